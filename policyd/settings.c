/*
 * What policyd read for the others before it was confined: the accepted
 * roots, and those of profiles. Trusted time and log levels go out with the greeting.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policyd.h"

#define ROOTS_MAX	64	/* ROOT_SET.root */
#define ROOT_MAX	4096	/* ROOT_SET.certificate */

static struct root	*roots;
static bool		 mutual;	/* attestd -R asks who a requester is */

static void
root_add(const char *path, X509 *x)
{
	struct root	 *r, **tail;
	struct cert_info info;
	int		 n;
	unsigned	 count = 0;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		fatal("settings");
	if ((n = i2d_X509(x, &r->der)) <= 0 || n > ROOT_MAX)
		fatalx("%s: longer than %d bytes", path, ROOT_MAX);
	r->path = path;
	r->len = (size_t)n;
	if (EVP_Q_digest(NULL, "SHA256", NULL, r->der, r->len, r->hash,
	    NULL) != 1 || cert_read(r->der, r->len, &info) == -1)
		fatalx("%s: cannot be read", path);
	text_set(r->subject, sizeof(r->subject), info.subject);
	for (tail = &roots; *tail != NULL; tail = &(*tail)->next)
		count++;
	if (count == ROOTS_MAX)
		fatalx("%s: more than %d roots", path, ROOTS_MAX);
	*tail = r;
}

static void
root_read(const char *path)
{
	FILE	*f;
	X509	*x;

	if ((f = fopen(path, "re")) == NULL)
		fatal("%s", path);
	if ((x = PEM_read_X509(f, NULL, NULL, NULL)) == NULL)
		fatalx("%s: no PEM certificate", path);
	if (PEM_read_X509(f, NULL, NULL, NULL) != NULL)
		fatalx("%s: more than one certificate: a root is one", path);
	if (X509_check_ca(x) == 0)
		fatalx("%s: not the certificate of a CA", path);
	root_add(path, x);
	X509_free(x);
	ERR_clear_error();		/* of the end of the file */
	fclose(f);
}

static struct root *
root_find(const char *path)
{
	struct root	*r;

	for (r = roots; r != NULL; r = r->next)
		if (strcmp(r->path, path) == 0)
			break;
	return r;
}

static struct root *
root_want(const char *path)
{
	if (root_find(path) == NULL)
		root_read(path);
	return root_find(path);
}

/*
 * A component's root is read, and accepted for nobody else; one of a profile
 * is for devices that enrol, and none of attestd's business.
 */
void
settings_read(const struct conf *c)
{
	const struct conf_accept	*a;
	const struct conf_component	*k;
	const struct conf_profile	*p;
	const struct conf_path		*m;

	for (a = c->accepts; a != NULL; a = a->next)
		root_want(a->root)->accepted = true;
	for (k = c->components; k != NULL; k = k->next)
		if (k->root != NULL)
			root_want(k->root)->component = true;
	for (p = c->profiles; p != NULL; p = p->next)
		for (m = p->makers; m != NULL; m = m->next)
			root_want(m->path)->maker = true;
	mutual = c->spdm_mutual;
}

const struct root *
settings_roots(void)
{
	return roots;
}

/* attestd -R has a use for them only if a session asks who its requester is,
 * and then for those of peers: a component has no business with it. */
void
settings_up(enum ipc_role role)
{
	const struct root	*r;
	struct msg_root_set	 m = { 0 };

	if (role != IPC_ATTESTQ && (role != IPC_ATTESTR || !mutual))
		return;
	for (r = roots; r != NULL; r = r->next, m.root++) {
		if (!r->accepted && (role == IPC_ATTESTR || !r->component))
			continue;
		IPC_SET_BLOB(m.certificate, r->der, r->len);
		(void)chan_send(hubd_link(role), MSG_ROOT_SET, &m, -1);
	}
}
