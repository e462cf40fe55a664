/*
 * The two protocols of the certificate service: JSON (provd-enrol(7)) and EST
 * (RFC 7030 as RFC 8951 mends it).
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>

#include "enrol.h"
#include "secret.h"

#define EST_PATH	"/.well-known/est"
#define CERTS_MAX	24	/* 8 issuing CAs, their roots, one each above */

/* ---- certificates in what a server says -------------------------------- */

static void
certs_free(STACK_OF(X509) *s)
{
	sk_X509_pop_free(s, X509_free);
}

STACK_OF(X509) *
pem_certs(const char *text, size_t len)
{
	STACK_OF(X509)	*s = sk_X509_new_null();
	BIO		*b = BIO_new_mem_buf(text, (int)len);
	X509		*x;

	ERR_clear_error();
	while (s != NULL && b != NULL &&
	    (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL)
		if (sk_X509_num(s) == CERTS_MAX || sk_X509_push(s, x) <= 0) {
			X509_free(x);
			break;
		}
	/* it ended because there was no other, not at a bad one */
	if (b == NULL || s == NULL || sk_X509_num(s) < 1 ||
	    ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		certs_free(s);
		s = NULL;
	}
	ERR_clear_error();
	BIO_free(b);
	return s;
}

/* Base64 in any wrapping (RFC 8951, 3.1). malloc'd, or NULL. */
static uint8_t *
unbase64(const char *text, size_t len, size_t *out)
{
	EVP_ENCODE_CTX	*ctx = EVP_ENCODE_CTX_new();
	char		*flat = malloc(len + 1);
	uint8_t		*der = malloc(len / 4 * 3 + 64);
	size_t		 i, n = 0;
	int		 a = 0, b = 0, r = -1;

	if (ctx == NULL || flat == NULL || der == NULL)
		abort();
	for (i = 0; i < len; i++)
		if (memchr(" \t\r\n", text[i], 4) == NULL)
			flat[n++] = text[i];
	EVP_DecodeInit(ctx);
	if (n > 0 && n % 4 == 0 && EVP_DecodeUpdate(ctx, der, &a,
	    (unsigned char *)flat, (int)n) != -1 &&
	    EVP_DecodeFinal(ctx, der + a, &b) == 1)
		r = 0;
	EVP_ENCODE_CTX_free(ctx);
	free(flat);
	if (r == -1) {
		free(der);
		return NULL;
	}
	*out = (size_t)a + (size_t)b;
	return der;
}

/* certs-only PKCS#7 (RFC 5652): nothing in it is signed. */
static STACK_OF(X509) *
p7_certs(const uint8_t *der, size_t len)
{
	const unsigned char	*p = der;
	PKCS7			*p7 = d2i_PKCS7(NULL, &p, (long)len);
	STACK_OF(X509)		*in, *out = NULL;

	if (p7 != NULL && p == der + len && PKCS7_type_is_signed(p7) &&
	    (in = p7->d.sign->cert) != NULL && sk_X509_num(in) > 0 &&
	    sk_X509_num(in) <= CERTS_MAX)
		out = X509_chain_up_ref(in);
	PKCS7_free(p7);
	return out;
}

/* ---- refusals ---------------------------------------------------------- */

/* Nothing is wrong with the request: later. */
static bool
is_passing(unsigned status)
{
	return status == 429 || status == 500 || status == 502 ||
	    status == 503 || status == 504;
}

static const char *
text_of(const json_t *o, const char *name)
{
	const char	*s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "";
}

/* {"status":"error","error":{"code":..., "text":..., ...}}, from any door. */
static enum outcome
refused(const struct http_reply *r, struct answer *a, char text[WHY_MAX])
{
	enum outcome	 how = is_passing(r->status) ? AGAIN : NEVER;
	json_t		*root = NULL, *e;

	a->retry_after = r->retry_after;
	if (strcmp(r->type, "application/json") == 0)
		root = json_loadb(r->body, r->len, JSON_REJECT_DUPLICATES,
		    NULL);
	e = json_object_get(root, "error");
	if (json_is_object(e) && *text_of(e, "code") != '\0') {
		a->refused = json_incref(e);
		why(text, how, "%s: %s", text_of(e, "code"),
		    text_of(e, "text"));
	} else if (strcmp(r->type, "text/plain") == 0 && r->len > 0)
		/* EST has no more than that (RFC 7030, 4.2.3) */
		why(text, how, "HTTP status %u: %.*s", r->status,
		    (int)strcspn(r->body, "\r\n"), r->body);
	else
		why(text, how, "HTTP status %u", r->status);
	json_decref(root);
	return how;
}

static enum outcome
wrong_type(const struct http_reply *r, const char *want, char text[WHY_MAX])
{
	return why(text, NEVER, "the answer is of type %s, not %s",
	    r->type[0] != '\0' ? r->type : "unknown", want);
}

/* ---- JSON -------------------------------------------------------------- */

static enum outcome
json_open(const struct http_reply *r, struct answer *a, json_t **out,
    char text[WHY_MAX])
{
	if (r->status != 200)
		return refused(r, a, text);
	if (strcmp(r->type, "application/json") != 0)
		return wrong_type(r, "application/json", text);
	*out = json_loadb(r->body, r->len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(*out) || strcmp(text_of(*out, "status"), "ok") != 0)
		return why(text, NEVER, "the answer is not the JSON that was "
		    "expected");
	return DONE;
}

static enum outcome
json_call(const struct ask *q, json_t *body, struct http_reply *r,
    struct answer *a, json_t **out, STACK_OF(X509) **peers, char text[WHY_MAX])
{
	struct http_call	 h = { .url = q->url, .tls = q->tls,
				     .unverified = q->csr == NULL,
				     .method = "POST", .path = "/",
				     .type = "application/json",
				     .accept = "application/json",
				     .deadline = q->deadline,
				     .peers = peers };
	enum outcome		 w;
	char			*dump;

	*out = NULL;
	if (body == NULL || (dump = json_dumps(body, JSON_COMPACT)) == NULL)
		abort();
	h.body = dump;
	h.len = strlen(dump);
	w = http_call(&h, r, text);
	freezero(dump, h.len);
	return w == DONE ? json_open(r, a, out, text) : w;
}

/* "2026-11-26T14:00:00Z"; 0 if it is none. */
static uint64_t
time_of(const char *s)
{
	struct tm	 tm = { 0 };
	const char	*end = strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t		 t;

	if (end == NULL || *end != '\0' || (t = timegm(&tm)) < 0)
		return 0;
	return (uint64_t)t;
}

static enum outcome
json_cert(const json_t *o, struct answer *a, char text[WHY_MAX])
{
	const char	*pem = text_of(o, "certificate");
	STACK_OF(X509)	*one = pem_certs(pem, strlen(pem));

	if (one == NULL || sk_X509_num(one) != 1) {
		certs_free(one);
		return why(text, NEVER, "the answer has no certificate");
	}
	a->cert = sk_X509_pop(one);
	certs_free(one);
	pem = text_of(o, "chain");
	a->chain = pem_certs(pem, strlen(pem));
	a->renew_after = time_of(text_of(o, "renew_after"));
	if (a->chain == NULL)
		return why(text, NEVER, "the answer has no chain");
	return DONE;
}

enum outcome
answer_json(const struct http_reply *r, struct answer *a, char text[WHY_MAX])
{
	enum outcome	 w;
	json_t		*o = NULL;

	if ((w = json_open(r, a, &o, text)) == DONE)
		w = json_cert(o, a, text);
	json_decref(o);
	return w;
}

static enum outcome
json_ask(const struct ask *q, struct answer *a, char text[WHY_MAX])
{
	struct http_reply	 r = { 0 };
	enum outcome		 w;
	json_t			*body, *o;
	char			*csr;
	size_t			 size = 4 * ((q->csr_len + 2) / 3) + 1;
	STACK_OF(X509)		*peers = NULL;

	if ((csr = malloc(size)) == NULL)
		abort();
	EVP_EncodeBlock((unsigned char *)csr, q->csr, (int)q->csr_len);
	body = json_pack("{s:s, s:s, s:s*, s:s*}", "operation",
	    q->renew ? "renew_client_cert" : "req_client_cert", "csr", csr,
	    "ticket", q->ticket, "profile", q->profile);
	free(csr);
	w = json_call(q, body, &r, a, &o, &peers, text);
	json_decref(body);
	if (w == DONE)
		w = json_cert(o, a, text);
	/* Below a new root: how the old one leads there, TLS has shown. */
	if (w == DONE && peers != NULL && X509_add_certs(a->chain, peers,
	    X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) != 1)
		abort();
	certs_free(peers);
	json_decref(o);
	free(r.body);
	return w;
}

/* ---- EST --------------------------------------------------------------- */

enum outcome
answer_p7(const struct http_reply *r, struct answer *a,
    STACK_OF(X509) **certs, char text[WHY_MAX])
{
	uint8_t	*der;
	size_t	 len;

	*certs = NULL;
	if (r->status == 202) {		/* RFC 7030, 4.2.3 */
		a->retry_after = r->retry_after;
		return why(text, AGAIN, "the server has not decided yet");
	}
	if (r->status != 200)
		return refused(r, a, text);
	if (strcmp(r->type, "application/pkcs7-mime") != 0)
		return wrong_type(r, "application/pkcs7-mime", text);
	if ((der = unbase64(r->body, r->len, &len)) != NULL)
		*certs = p7_certs(der, len);
	free(der);
	return *certs != NULL ? DONE : why(text, NEVER, "the answer is no "
	    "PKCS#7 with certificates");
}

static enum outcome
est_call(const struct ask *q, const char *operation, struct http_reply *r,
    struct answer *a, STACK_OF(X509) **certs, char text[WHY_MAX])
{
	struct http_call	 h = { .url = q->url, .tls = q->tls,
				     .unverified = q->csr == NULL,
				     .method = "GET", .deadline = q->deadline,
				     .accept = "application/pkcs7-mime" };
	char			 path[128], *body = NULL;
	enum outcome		 w;

	*certs = NULL;
	snprintf(path, sizeof(path), EST_PATH "%s%s/%s",
	    q->profile != NULL ? "/" : "",
	    q->profile != NULL ? q->profile : "", operation);
	h.path = path;
	if (strcmp(operation, "cacerts") != 0) {
		h.method = "POST";
		h.type = "application/pkcs10";
		if (q->ticket != NULL) {
			h.user = q->name;
			h.password = q->ticket;
		}
		if ((body = malloc(4 * ((q->csr_len + 2) / 3) + 1)) == NULL)
			abort();
		h.body = body;
		h.len = (size_t)EVP_EncodeBlock((unsigned char *)body, q->csr,
		    (int)q->csr_len);
	}
	w = http_call(&h, r, text);
	free(body);
	return w == DONE ? answer_p7(r, a, certs, text) : w;
}

static enum outcome
est_chain(const struct ask *q, STACK_OF(X509) **certs, char text[WHY_MAX])
{
	struct http_reply	 r = { 0 };
	struct answer		 a = { 0 };
	enum outcome		 w;

	w = est_call(q, "cacerts", &r, &a, certs, text);
	free(r.body);
	answer_free(&a);
	return w;
}

static enum outcome
est_ask(const struct ask *q, struct answer *a, char text[WHY_MAX])
{
	struct http_reply	 r = { 0 };
	STACK_OF(X509)		*certs;
	enum outcome		 w;

	w = est_call(q, q->renew ? "simplereenroll" : "simpleenroll", &r, a,
	    &certs, text);
	free(r.body);
	if (w == DONE && sk_X509_num(certs) != 1)
		w = why(text, NEVER, "the answer has %d certificates in the "
		    "place of one", sk_X509_num(certs));
	if (w == DONE) {
		a->cert = sk_X509_pop(certs);
		w = est_chain(q, &a->chain, text);
	}
	certs_free(certs);
	return w;
}

/* ---- both -------------------------------------------------------------- */

enum outcome
ask_cert(const struct ask *q, struct answer *a, char text[WHY_MAX])
{
	memset(a, 0, sizeof(*a));
	return q->est ? est_ask(q, a, text) : json_ask(q, a, text);
}

enum outcome
ask_chain(const struct ask *q, STACK_OF(X509) **certs, char text[WHY_MAX])
{
	struct http_reply	 r = { 0 };
	struct answer		 a = { 0 };
	enum outcome		 w;
	json_t			*body, *o;
	const char		*pem;

	if (q->est)
		return est_chain(q, certs, text);
	*certs = NULL;
	body = json_pack("{s:s}", "operation", "get_ca_chain");
	w = json_call(q, body, &r, &a, &o, NULL, text);
	json_decref(body);
	if (w == DONE) {
		pem = text_of(o, "chain");
		if ((*certs = pem_certs(pem, strlen(pem))) == NULL)
			w = why(text, NEVER, "the answer has no chain");
	}
	json_decref(o);
	free(r.body);
	answer_free(&a);
	return w;
}

void
answer_free(struct answer *a)
{
	X509_free(a->cert);
	certs_free(a->chain);
	json_decref(a->refused);
	memset(a, 0, sizeof(*a));
}
