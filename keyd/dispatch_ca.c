/*
 * What keyd does for policyd in the certificate service.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dispatch.h"
#include "log.h"

/* ---- certificates ---------------------------------------------------- */

static void
cert_reply(struct asked *a, struct chan *c, const struct signature *s)
{
	struct msg_cert_rep	 m;
	size_t			 n;

	m.certificate.len = 0;
	if (der_signed(key_curve(a->key), a->tbs, a->len, s,
	    m.certificate.data, sizeof(m.certificate.data), &n) == -1) {
		dispatch_refuse_for(c, &a->call, R_KEY_LIBRARY, "certificate",
		    NULL, NULL);
		return;
	}
	m.certificate.len = (uint32_t)n;
	chan_reply(c, &a->call, MSG_CERT_REP, &m);
}

static void
device_signed(const struct signature *s, void *arg)
{
	struct asked	*a = arg;
	struct chan	*c = asked_chan(a, &s->why);

	if (c != NULL)
		cert_reply(a, c, s);
	free(a);
}

int
keyd_device_cert(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_device_cert_req	*req = arg;
	const struct key			*k;
	struct asked				*a;
	struct why				 w;

	if ((k = dispatch_find(c, call, req->issuer, KEY_ISSUING)) == NULL)
		return 0;
	a = asked_new(call, k);
	if (device_cert_build(req, k, a->tbs, sizeof(a->tbs), &a->len,
	    &w) == -1) {
		free(a);
		return dispatch_refuse(c, call, &w);
	}
	key_sign(k, a->tbs, a->len, device_signed, a);
	return 0;
}

/* A CA's end is on the disk before anybody has its certificate. */
struct certifying {
	struct asked		*asked;
	const struct key	*over;
	uint64_t		 not_after;
};

static void
ca_signed(const struct signature *s, void *arg)
{
	struct certifying	*g = arg;
	struct chan		*c = asked_chan(g->asked, &s->why);
	struct why		 w;

	if (c == NULL)
		;
	else if (authority_record(g->over, g->not_after, &w) == -1)
		dispatch_refuse(c, &g->asked->call, &w);
	else
		cert_reply(g->asked, c, s);
	free(g->asked);
	free(g);
}

int
keyd_ca_cert(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ca_cert_req	*req = arg;
	const struct key		*issuer, *over;
	struct certifying		*g;
	struct asked			*a;
	struct why			 w;

	/* ca_cert.c knows which purposes go together. */
	if ((issuer = dispatch_find(c, call, req->issuer,
	    KEY_NPURPOSES)) == NULL || (over = dispatch_find(c, call, req->key,
	    KEY_NPURPOSES)) == NULL)
		return 0;
	a = asked_new(call, issuer);
	if (ca_cert_build(req, issuer, over, a->tbs, sizeof(a->tbs), &a->len,
	    &w) == -1) {
		free(a);
		return dispatch_refuse(c, call, &w);
	}
	if ((g = calloc(1, sizeof(*g))) == NULL)
		fatal("calloc");
	*g = (struct certifying){ a, over, req->not_after };
	key_sign(issuer, a->tbs, a->len, ca_signed, g);
	return 0;
}

/* ---- CRLs ------------------------------------------------------------ */

#define CRLS_MAX	8	/* that wait for the TPM: they may be long */

struct listing {
	struct asked	*asked;
	struct crl	 crl;
	int		 fd;
};

static unsigned	 crls;		/* that wait */

static void
crl_reply(struct listing *l, struct chan *c, const struct signature *s)
{
	struct msg_crl_rep	 m;

	if (crl_finish(&l->crl, key_curve(l->asked->key), s) == -1)
		dispatch_refuse_for(c, &l->asked->call, R_KEY_LIBRARY, "CRL",
		    NULL, NULL);
	else if (crl_write(&l->crl, l->fd) == -1)
		dispatch_refuse_for(c, &l->asked->call, R_KEY_CRL_FORM,
		    "descriptor", "one that can be written", strerror(errno));
	else {
		m.length = (uint32_t)l->crl.len;
		chan_reply(c, &l->asked->call, MSG_CRL_REP, &m);
	}
}

static void
crl_signed(const struct signature *s, void *arg)
{
	struct listing	*l = arg;
	struct chan	*c = asked_chan(l->asked, &s->why);

	if (c != NULL)
		crl_reply(l, c, s);
	close(l->fd);
	crl_free(&l->crl);
	free(l->asked);
	free(l);
	crls--;
}

int
keyd_crl(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_crl_req	*req = arg;
	const struct key		*k;
	struct listing			*l;
	struct crl			 crl;
	struct why			 w;

	if ((k = dispatch_find(c, call, req->issuer, KEY_ISSUING)) == NULL) {
		close(call->fd);
		return 0;
	}
	if (crls == CRLS_MAX)
		why_num(&w, R_TPM_QUEUE, "CRLs", CRLS_MAX, crls + 1);
	else if (crl_build(req, k, call->fd, &crl, &w) == 0) {
		if ((l = calloc(1, sizeof(*l))) == NULL)
			fatal("calloc");
		*l = (struct listing){ asked_new(call, k), crl, call->fd };
		crls++;
		key_sign(k, crl.buf + crl.at, crl.len, crl_signed, l);
		return 0;
	}
	close(call->fd);
	return dispatch_refuse(c, call, &w);
}

/* ---- OCSP ------------------------------------------------------------ */

static void
ocsp_signed(const struct signature *s, void *arg)
{
	struct msg_ocsp_sign_rep	 m;
	struct asked			*a = arg;
	struct chan			*c;

	if ((c = asked_chan(a, &s->why)) != NULL) {
		IPC_SET_BLOB(m.data, a->tbs, a->len);
		IPC_SET_BLOB(m.signature, s->der, s->len);
		chan_reply(c, &a->call, MSG_OCSP_SIGN_REP, &m);
	}
	free(a);
}

int
keyd_ocsp(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ocsp_sign_req	*req = arg;
	const struct key		*k;
	struct asked			*a;
	struct why			 w;

	if ((k = dispatch_find(c, call, req->key, KEY_OCSP)) == NULL)
		return 0;
	a = asked_new(call, k);
	if (ocsp_build(req, k, a->tbs, sizeof(a->tbs), &a->len, &w) == -1) {
		free(a);
		return dispatch_refuse(c, call, &w);
	}
	key_sign(k, a->tbs, a->len, ocsp_signed, a);
	return 0;
}
