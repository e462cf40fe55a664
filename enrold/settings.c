/*
 * What policyd gives: listeners with their leafs, the CAs, their CRLs, the
 * roots of manufacturers, profiles. Everything that answers are made of is
 * made here, once, and not for each request.
 */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "enrold.h"
#include "log.h"

struct profile {
	char		name[33];	/* empty: this place is free */
	uint32_t	keys;
	bool		keygen;
};

/* One process has one set. */
static struct {
	struct listener	 listener[ENROL_LISTENERS];
	struct authority ca[ENROL_CAS];
	struct maker	 maker[MAKERS_MAX];
	struct profile	 profile[ENROL_PROFILES];
	struct blob	*cacerts;
} set;

/* ---- asking ---------------------------------------------------------------- */

const struct listener *
settings_listener(unsigned n)
{
	return n < ENROL_LISTENERS && set.listener[n].set ?
	    &set.listener[n] : NULL;
}

const struct authority *
settings_ca(unsigned n)
{
	return n < ENROL_CAS && set.ca[n].set ? &set.ca[n] : NULL;
}

const struct authority *
settings_current(void)
{
	unsigned i;

	for (i = 0; i < ENROL_CAS; i++)
		if (set.ca[i].set && set.ca[i].current)
			return &set.ca[i];
	return NULL;
}

const struct authority *
settings_generation(unsigned generation)
{
	unsigned i;

	for (i = 0; i < ENROL_CAS; i++)
		if (set.ca[i].set && set.ca[i].generation == generation)
			return &set.ca[i];
	return NULL;
}

const struct maker *
settings_makers(void)
{
	return set.maker;
}

bool
settings_profile(const char *label, uint32_t *keys, bool *keygen)
{
	unsigned	i;
	bool		found = false;

	*keys = 0;
	*keygen = false;
	for (i = 0; i < ENROL_PROFILES; i++) {
		if (set.profile[i].name[0] == '\0' || (label[0] != '\0' &&
		    strcmp(set.profile[i].name, label) != 0))
			continue;
		*keys |= set.profile[i].keys;
		*keygen = *keygen || set.profile[i].keygen;
		found = true;
	}
	return found;
}

/* ---- the CAs ---------------------------------------------------------------- */

static struct blob *
copy(const uint8_t *p, size_t len)
{
	uint8_t *q;

	if (len == 0)
		return NULL;
	if ((q = malloc(len)) == NULL)
		fatal("settings");
	memcpy(q, p, len);
	return blob_new(q, len);
}

/* Issuing CA, then root: what a device sends after its own certificate. */
static struct blob *
chain_pem(const struct msg_enrol_ca *m)
{
	size_t	 size = 2 * (sizeof(m->root.data) * 3 / 2 + 128), n, k;
	char	*text = malloc(size);

	if (text == NULL)
		fatal("settings");
	n = pem_encode(m->issuing.data, m->issuing.len, "CERTIFICATE", text,
	    size);
	k = pem_encode(m->root.data, m->root.len, "CERTIFICATE", text + n,
	    size - n);
	if (n == 0 || k == 0)
		fatalx("settings: a chain does not fit");
	return blob_new(text, n + k);
}

/* "ACME Issuing CA 3" is of generation 3. */
static unsigned
generation_of(X509 *x)
{
	X509_NAME	*name = X509_get_subject_name(x);
	char		 text[128];
	const char	*p;
	unsigned	 n = 0;
	int		 len;

	len = X509_NAME_get_text_by_NID(name, NID_commonName, text,
	    sizeof(text));
	if (len <= 0 || (p = strrchr(text, ' ')) == NULL)
		return 0;
	for (p++; *p >= '0' && *p <= '9' && n < 100000; p++)
		n = n * 10 + (unsigned)(*p - '0');
	return *p == '\0' ? n : 0;
}

static void
ca_clear(struct authority *a)
{
	X509_free(a->issuing);
	blob_release(a->root_der);
	blob_release(a->cross_der);
	blob_release(a->issuing_der);
	blob_release(a->ocsp_der);
	blob_release(a->chain);
	blob_release(a->crl);
	blob_release(a->crl_json);
	memset(a, 0, sizeof(*a));
}

/* What EST gives as /cacerts (RFC 7030, 4.1.3): each issuing CA, each root and
 * what an older root says of it, once. */
static void
cacerts_make(void)
{
	struct bytes	 certs[3 * ENROL_CAS] = { { NULL, 0 } };
	size_t		 n = 0, i, k, len, size;
	struct blob	*b[3];
	uint8_t		*der;
	char		*text;

	blob_release(set.cacerts);
	set.cacerts = NULL;
	for (i = 0; i < (size_t)3 * ENROL_CAS; i++) {
		const struct authority *a = &set.ca[i / 3];

		if (!a->set)
			continue;
		b[0] = a->issuing_der;
		b[1] = a->root_der;
		b[2] = a->cross_der;
		if (b[i % 3] == NULL)
			continue;
		for (k = 0; k < n; k++)
			if (certs[k].len == b[i % 3]->len && memcmp(certs[k].p,
			    b[i % 3]->p, certs[k].len) == 0)
				break;
		if (k == n)
			certs[n++] = (struct bytes){ b[i % 3]->p,
			    b[i % 3]->len };
	}
	if (n == 0)
		return;
	size = 256;
	for (i = 0; i < n; i++)
		size += certs[i].len;
	der = malloc(size);
	text = malloc(size * 3 / 2 + 64);
	if (der == NULL || text == NULL)
		fatal("settings");
	if (pkcs7_certs(certs, n, der, size, &len) == -1 ||
	    (len = base64_encode(der, len, false, text,
	    size * 3 / 2 + 64)) == 0)
		fatalx("settings: the CA certificates do not fit");
	free(der);
	set.cacerts = blob_new(text, len);
}

struct blob *
settings_cacerts(void)
{
	return set.cacerts;
}

struct blob *
settings_crl_json(void)
{
	struct authority	*a = &set.ca[settings_current() - set.ca];
	size_t			 size, len;
	char			*pem, *json, next[32];

	if (a->crl_json != NULL)
		return a->crl_json;
	size = a->crl->len / 48 * 66 + 256;
	if ((pem = malloc(size)) == NULL ||
	    pem_encode(a->crl->p, a->crl->len, "X509 CRL", pem, size) == 0)
		fatalx("settings: a CRL does not fit");
	time_text(a->next_update, next);
	json = json_answer(JSON_CRL, (const struct json_member[]){
	    { "crl", pem }, { "next_update", next }, { NULL, NULL } }, &len);
	free(pem);
	if (json == NULL)
		fatal("settings");
	a->crl_json = blob_new(json, len);
	return a->crl_json;
}

int
enrold_ca(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_enrol_ca	*m = arg;
	struct authority		*a = &set.ca[m->ca], old = *a;
	X509				*x = NULL, *cross = NULL;
	unsigned			 i;

	if (m->issuing.len == 0) {
		ca_clear(a);
		cacerts_make();
		return 0;
	}
	x = tls_parse(m->issuing.data, m->issuing.len);
	if (m->cross.len > 0)
		cross = tls_parse(m->cross.data, m->cross.len);
	if (x == NULL || m->root.len == 0 || (m->cross.len > 0 &&
	    cross == NULL)) {
		X509_free(x);
		X509_free(cross);
		return -1;
	}
	X509_free(cross);
	/* The CRL stays if it is still the same CA. */
	if (old.crl != NULL && X509_cmp(old.issuing, x) == 0)
		blob_ref(old.crl);
	else
		old.crl = NULL;
	ca_clear(a);
	a->crl = old.crl;
	a->next_update = old.next_update;
	a->set = true;
	a->issuing = x;
	a->generation = generation_of(x);
	a->root_der = copy(m->root.data, m->root.len);
	a->cross_der = copy(m->cross.data, m->cross.len);
	a->issuing_der = copy(m->issuing.data, m->issuing.len);
	a->chain = chain_pem(m);
	if (m->ocsp.len > 0 && ocsp_algorithm((struct bytes){ m->ocsp.data,
	    m->ocsp.len }, &a->ocsp_algorithm) == 0)
		a->ocsp_der = copy(m->ocsp.data, m->ocsp.len);
	for (i = 0; m->current && i < ENROL_CAS; i++)
		set.ca[i].current = false;
	a->current = m->current;
	cacerts_make();
	if (c != NULL)		/* not warm.c's */
		log_info("issuing CA %u%s", a->generation,
		    a->current ? ", which issues now" : "");
	return 0;
}

/* policyd lets go of the memfd and never changes it again. */
int
enrold_crl(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_enrol_crl	*m = arg;
	struct authority		*a = &set.ca[m->ca];
	struct blob			*crl = blob_map(call->fd, m->length);

	close(call->fd);
	if (crl == NULL)
		return -1;
	if (!a->set) {
		blob_release(crl);
		return 0;
	}
	blob_release(a->crl);
	blob_release(a->crl_json);
	a->crl = crl;
	a->crl_json = NULL;
	a->next_update = m->next_update;
	log_debug("CRL of issuing CA %u: %zu bytes", a->generation, crl->len);
	return 0;
}

/* ---- listeners ---------------------------------------------------------------- */

/* For who trusts only the root before the one above this CA. NULL: nothing. */
static X509 *
cross_above(const uint8_t *issuing, size_t len)
{
	const struct authority	*a;
	unsigned		 i;

	for (i = 0; i < ENROL_CAS; i++)
		if ((a = settings_ca(i)) != NULL && a->cross_der != NULL &&
		    a->issuing_der->len == len &&
		    memcmp(a->issuing_der->p, issuing, len) == 0)
			return tls_parse(a->cross_der->p, a->cross_der->len);
	return NULL;
}

int
enrold_listener(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_enrol_listener	*m = arg;
	struct listener			*l = &set.listener[m->listener];
	X509				*leaf = NULL, *issuing = NULL, *cross;
	SSL_CTX				*ctx = NULL;
	bool				 tls;

	tls = m->door == DOOR_TLS || m->door == DOOR_MUTUAL;
	if (tls && m->leaf.len > 0) {
		leaf = tls_parse(m->leaf.data, m->leaf.len);
		issuing = tls_parse(m->issuing.data, m->issuing.len);
		cross = cross_above(m->issuing.data, m->issuing.len);
		if (leaf != NULL && issuing != NULL)
			ctx = tls_context(m->key, m->algorithm, leaf, issuing,
			    cross, m->door == DOOR_MUTUAL);
		X509_free(cross);
		X509_free(leaf);
		X509_free(issuing);
		if (ctx == NULL) {
			hub_count(R_TLS_BAD_LEAF);
			log_warnx("listener %u: %s: %s", m->listener,
			    reason_code(R_TLS_BAD_LEAF),
			    reason_text(R_TLS_BAD_LEAF));
			return 0;	/* the last good one stays */
		}
	}
	/* Open connections hold the context that they began with. */
	SSL_CTX_free(l->ctx);
	*l = (struct listener){ .set = true, .door = m->door, .ctx = ctx };
	return 0;
}

/* ---- manufacturers, profiles ---------------------------------------------------- */

int
enrold_maker(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_enrol_maker	*m = arg;
	struct maker			*k = &set.maker[m->root];

	X509_free(k->root);
	k->root = NULL;
	if (m->certificate.len == 0)
		return 0;
	if ((k->root = tls_parse(m->certificate.data,
	    m->certificate.len)) == NULL ||
	    EVP_Q_digest(tls_lib(), "SHA256", TLS_PROPQ, m->certificate.data,
	    m->certificate.len, k->sha256, NULL) != 1)
		return -1;
	return 0;
}

int
enrold_profile(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_enrol_profile	*m = arg;
	struct profile			*p = &set.profile[m->profile];

	memcpy(p->name, m->name, sizeof(p->name));
	p->keys = m->keys;
	p->keygen = m->server_keygen;
	return 0;
}

void
settings_stop(void)
{
	unsigned i;

	for (i = 0; i < ENROL_LISTENERS; i++)
		SSL_CTX_free(set.listener[i].ctx);
	for (i = 0; i < ENROL_CAS; i++)
		ca_clear(&set.ca[i]);
	for (i = 0; i < MAKERS_MAX; i++)
		X509_free(set.maker[i].root);
	blob_release(set.cacerts);
	memset(&set, 0, sizeof(set));
}
