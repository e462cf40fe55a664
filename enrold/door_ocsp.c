/*
 * OCSP over HTTP (RFC 6960, appendix A): what can be read goes to policyd,
 * which has keyd sign; errors are statuses of OCSP and not of HTTP.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "enrold.h"
#include "log.h"

#define REQUEST		"application/ocsp-request"
#define RESPONSE	"application/ocsp-response"
#define REQUEST_MAX	4096	/* DER; signed ones bring their chain */
#define RESPONSE_MAX	4096	/* data, signature, signer */

static void
answer(struct conn *c, void *body, size_t len)
{
	struct reply	r = { .status = 200, .type = RESPONSE, .body = body,
			    .len = len };

	conn_reply(c, &r);
}

static void
failed(struct conn *c, enum ocsp_status status, const struct refusal *why)
{
	uint8_t	*body = malloc(8);

	if (body == NULL)
		fatal("ocsp");
	conn_count(c, why);
	answer(c, body, ocsp_failed(status, body));
}

static void
answered(struct conn *c, const void *msg, const struct refusal *why, void *ctx)
{
	const struct msg_ocsp_rep	*m = msg;
	const struct authority		*a;
	struct refusal			 gone;
	uint8_t				*body;
	size_t				 len;

	if (m == NULL) {
		failed(c, why->reason == R_CRT_OCSP_ISSUER ?
		    OCSP_UNAUTHORIZED : OCSP_TRY_LATER, why);
		return;
	}
	if ((a = settings_ca(m->ca)) == NULL || a->ocsp_der == NULL) {
		refusal_set(&gone, R_CRT_NO_CA, "signer", "a certificate",
		    NULL);
		failed(c, OCSP_TRY_LATER, &gone);
		return;
	}
	if ((body = malloc(RESPONSE_MAX)) == NULL)
		fatal("ocsp");
	if (ocsp_response((struct bytes){ m->data.data, m->data.len },
	    (struct bytes){ m->signature.data, m->signature.len },
	    a->ocsp_algorithm, (struct bytes){ a->ocsp_der->p,
	    a->ocsp_der->len }, body, RESPONSE_MAX, &len) == -1)
		fatalx("ocsp: a response does not fit");
	answer(c, body, len);
}

/* The request's DER, of either method. 0; or -1 with why. */
static int
read_body(const struct http_request *q, uint8_t *buf, size_t size,
    struct bytes *der, struct refusal *why)
{
	if (q->verb == VERB_POST) {
		*der = (struct bytes){ q->body, q->body_len };
		if (!q->has_type || strncasecmp(q->content_type, REQUEST,
		    strlen(REQUEST)) != 0) {
			refusal_set(why, R_ENR_TYPE, "Content-Type", REQUEST,
			    q->content_type);
			return -1;
		}
		if (der->len > REQUEST_MAX) {
			refusal_set(why, R_ENR_BODY, "request",
			    "at most 4096 bytes", "more");
			return -1;
		}
		return 0;
	}
	der->p = buf;
	if (ocsp_path(q->path, buf, size, &der->len) == -1) {
		refusal_set(why, R_ENR_OCSP, "path",
		    "base64 of a request, percent-encoded", q->path);
		return -1;
	}
	return 0;
}

static void
ask_policyd(struct conn *c, const struct ocsp_query *q)
{
	struct msg_ocsp_req	m = { .hash = q->hash };

	IPC_SET_BLOB(m.name_hash, q->name_hash, q->hash_len);
	IPC_SET_BLOB(m.key_hash, q->key_hash, q->hash_len);
	IPC_SET_BLOB(m.serial, q->serial, q->serial_len);
	IPC_SET_BLOB(m.nonce, q->nonce, q->nonce_len);
	ask(c, MSG_OCSP_REQ, &m, sizeof(m), answered, NULL, NULL);
}

void
ocsp_serve(struct conn *c)
{
	const struct http_request	*q = conn_request(c);
	struct ocsp_query		 query;
	struct refusal			 why;
	struct bytes			 der;
	uint8_t				 buf[1024];

	if (q->verb != VERB_GET && q->verb != VERB_POST) {
		refusal_set(&why, R_ENR_METHOD, "method", "GET or POST", NULL);
		conn_refuse(c, &why);
	} else if (read_body(q, buf, sizeof(buf), &der, &why) == -1) {
		if (why.reason == R_ENR_OCSP)
			failed(c, OCSP_MALFORMED, &why);
		else
			conn_refuse(c, &why);
	} else if (ocsp_parse(der.p, der.len, &query, &why) == -1)
		failed(c, OCSP_MALFORMED, &why);
	else
		ask_policyd(c, &query);
}
