/*
 * enrold: what it reads and writes, pure functions (bytes in, struct out, no
 * I/O, no state), which unit tests and fuzzers link without the daemon.
 *
 * http.c      a request of HTTP/1.1
 * json.c      the operations of the JSON door and its answers
 * auth.c      tickets by HTTP Basic
 * cert.c      times of a certificate
 * csr.c       a PKCS#10 certificate request in strict DER
 * base64.c    base64 and PEM
 * est.c       bodies of EST (RFC 7030, RFC 8951)
 * pkcs7.c     a degenerate PKCS#7 with certificates and nothing else
 * ocsp.c      requests and responses of OCSP (RFC 6960)
 *
 * A function that refuses returns -1 and says in *why which check failed.
 * The caller owns every buffer.
 */
#ifndef WIRE_H
#define WIRE_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc.h"
#include "refusal.h"

#define HTTP_HEADER_MAX	8192	/* bytes of the request line and all fields */
#define HTTP_BODY_MAX	65536
#define CSR_DER_MAX	16384	/* bytes of a certificate request */
#define TICKET_LEN	16

struct bytes {
	const uint8_t	*p;
	size_t		 len;
};

/* ---- http.c: requests ---------------------------------------------------- */

enum http_verb { VERB_GET, VERB_HEAD, VERB_POST, VERB_OTHER };

/* The fields of a request that anybody here looks at; a long one is refused. */
struct http_request {
	enum http_verb	 verb;
	char		 path[1024];	/* as sent: not decoded; without query */
	char		 query[256];	/* behind '?', or empty */
	char		 content_type[128];
	char		 transfer_encoding[64];	/* Content-Transfer-Encoding */
	char		 accept[256];
	char		 authorization[256];	/* a secret: wiped by http_reset() */
	bool		 has_type;
	bool		 keep_alive;	/* as the client wants it */
	bool		 expects;	/* "Expect: 100-continue" */
	const uint8_t	*body;		/* NUL behind it, not counted */
	size_t		 body_len;
};

/* A request is read from a connection's bytes as they come. */
struct http;

enum http_step {
	HTTP_MORE,		/* not whole yet */
	HTTP_CONTINUE,		/* the client waits to hear that it may send on */
	HTTP_WHOLE,		/* http_request() has it */
	HTTP_REFUSED		/* why; nothing more can be read */
};
enum http_part { HTTP_IDLE, HTTP_HEADER, HTTP_BODY };	/* what is awaited */

struct http *http_new(void);		/* NULL: no memory */
void	http_free(struct http *);	/* wipes; NULL is fine */
void	http_reset(struct http *);	/* for the next request; wipes this one */
/* Takes *used bytes, all but for what follows a whole request. */
enum http_step http_read(struct http *, const uint8_t *, size_t, size_t *used,
	    struct refusal *why);
const struct http_request *http_request(const struct http *);
enum http_part http_part(const struct http *);

/* ---- json.c: the JSON door ------------------------------------------------ */

enum json_operation {
	JSON_REQUEST, JSON_RENEW, JSON_REVOKE, JSON_CHAIN, JSON_CRL,
	JSON_STATUS, JSON_NOPERATIONS
};

/* What was asked for; a member that is not there is empty. */
struct json_request {
	enum json_operation op;
	uint8_t		 csr[CSR_DER_MAX];
	size_t		 csr_len;
	uint8_t		 ticket[TICKET_LEN];	/* a secret */
	bool		 has_ticket;
	char		 profile[33];
	uint8_t		 serial[20];	/* without leading zeros */
	size_t		 serial_len;
	enum crl_reason	 reason;
};

const char *json_name(enum json_operation);	/* "req_client_cert" */
const char *json_reason(enum crl_reason);	/* "keyCompromise", or NULL */
/* "/", or "/NAME" of an operation: *op is JSON_NOPERATIONS for "/". 0 or -1. */
int	json_path(const char *path, enum json_operation *op);
/*
 * One flat object of known members, strictly; op from the path or
 * JSON_NOPERATIONS. An empty body is an empty object where the path says the
 * operation. 0, or -1 with why; *r may hold a secret either way.
 */
int	json_parse(enum json_operation op, const uint8_t *, size_t,
	    struct json_request *r, struct refusal *why);
/* jansson opens a file for its first object: before the filter. */
void	json_warm(void);

/* Text members of an answer; NULL ends them. A NULL value is left out. */
struct json_member {
	const char	*name, *value;
};
/*
 * {"status":"ok","operation":...,...} or {"status":"error","error":{...}}
 * and a line end, to be freed; NULL if there is no memory.
 */
char	*json_answer(enum json_operation, const struct json_member *,
	    size_t *len);
char	*json_error(const struct refusal *, size_t *len);
/* The status of HTTP that goes with a reason; 503 for what is not the
 * client's. */
unsigned http_status(enum reason);
const char *http_phrase(unsigned status);	/* "Bad Request" */

/* ---- auth.c: HTTP Basic ---------------------------------------------------- */

/*
 * The ticket of "Authorization: Basic base64(name:ticket)" (RFC 7617), 32 hex
 * digits, and the name. 0; or -1 with why. No such field: 0, and *has false.
 */
int	basic_ticket(const char *authorization, char name[65],
	    uint8_t ticket[TICKET_LEN], bool *has, struct refusal *why);
int	ticket_parse(const char *hex, size_t len, uint8_t ticket[TICKET_LEN]);
/* The same name, but for case and the separators of a MAC? */
bool	name_same(const char *, const char *);

/* ---- cert.c: what we tell of a certificate of ours -------------------------- */

/* The window of validity, seconds since 1970; 0 or -1. */
int	cert_window(const uint8_t *der, size_t len, uint64_t *not_before,
	    uint64_t *not_after);
void	time_text(uint64_t, char out[32]);	/* RFC 3339, UTC */

/* ---- csr.c: certificate requests ----------------------------------------- */

/*
 * A certificate request (RFC 2986): one common name and no other attribute in
 * the subject, at most one subjectAltName of at most one name, a key of a
 * known type. der points into the caller's buffer.
 */
enum csr_digest { CSR_SHA256, CSR_SHA384, CSR_SHA512, CSR_NDIGESTS };

struct csr {
	char		 name[65];	/* the common name, UTF-8, no NUL */
	enum san_kind	 san_kind;
	char		 san[129];
	enum subject_key key_type;
	uint8_t		 public[512];	/* 04 || X || Y, or the modulus */
	size_t		 public_len;
	uint32_t	 exponent;	/* of RSA, else 0 */
	char		 password[256];	/* challengePassword, or empty */
	struct bytes	 der;		/* all of it */
	struct bytes	 info;		/* CertificationRequestInfo: what is signed */
	struct bytes	 spki;		/* SubjectPublicKeyInfo */
	struct bytes	 signature;
	enum csr_digest	 digest;	/* of the signature */
	bool		 pss;		/* RSASSA-PSS, with so many bytes of salt */
	uint16_t	 salt;
};

int	csr_parse(const uint8_t *der, size_t len, struct csr *,
	    struct refusal *why);
/*
 * Proof of possession: is it signed by the key in it? Nothing is fetched if
 * csr_warm() was called before.
 */
int	csr_verify(const struct csr *, struct refusal *why);
/* Fetch what csr_verify() needs, before the filter is on; 0 or -1. */
int	csr_warm(OSSL_LIB_CTX *);
void	csr_cool(void);		/* and give it back, at the end */

/* ---- base64.c ------------------------------------------------------------ */

/*
 * Strict but for white space anywhere (CR, LF, blank, tab): RFC 4648 with
 * padding, nothing behind it. 0 and the length, or -1.
 */
int	base64_decode(const char *text, size_t len, uint8_t *out, size_t size,
	    size_t *outlen);
/*
 * With a line end after every 64 characters if lines, and NUL behind it.
 * Returns the length without NUL, or 0 if it does not fit.
 */
size_t	base64_encode(const uint8_t *, size_t, bool lines, char *out,
	    size_t size);
/*
 * DER of the one PEM block in the text, labelled so ("CERTIFICATE REQUEST",
 * "NEW CERTIFICATE REQUEST" counts as the same); CRLF or LF. 0 or -1.
 */
int	pem_decode(const char *text, size_t len, const char *label,
	    uint8_t *out, size_t size, size_t *outlen);
/* A PEM block, LF, NUL behind it; its length, or 0 if it does not fit. */
size_t	pem_encode(const uint8_t *, size_t, const char *label, char *out,
	    size_t size);
/*
 * What devices call base64: of DER, or of PEM with CRLF or LF; or PEM itself.
 * The DER of the certificate request. 0, or -1 with why (ENR_BASE64).
 */
int	base64_csr(const char *text, size_t len, uint8_t *out, size_t size,
	    size_t *outlen, struct refusal *why);

/* ---- pkcs7.c ------------------------------------------------------------- */

/* SignedData without signers: certificates alone (RFC 5652, 5; RFC 7030,
 * 4.1.3). 0, or -1 if it does not fit. */
int	pkcs7_certs(const struct bytes *certs, size_t ncerts, uint8_t *out,
	    size_t size, size_t *len);

/* ---- est.c ---------------------------------------------------------------- */

enum est_operation {
	EST_CACERTS, EST_ENROLL, EST_REENROLL, EST_CSRATTRS, EST_KEYGEN,
	EST_NOPERATIONS
};

/*
 * "/.well-known/est/[label/]operation": which, and the label or an empty
 * text. 0, or -1 if there is nothing at this path.
 */
int	est_path(const char *path, enum est_operation *, char label[33]);
/* The request's body: base64 in any wrapping (RFC 8951, 3.1); checks the
 * Content-Type. */
int	est_csr(const struct http_request *, uint8_t *der, size_t size,
	    size_t *len, struct refusal *why);
/*
 * Does the challengePassword bind the request to this connection (RFC 7030,
 * 3.5)? binding is the "tls-exporter" value (RFC 9266), 32 bytes. 0: it is
 * this one, or there is none; -1 with why (ENR_CSR_BINDING).
 */
int	est_binding(const struct csr *, const uint8_t binding[32],
	    struct refusal *why);
/* CsrAttrs (RFC 8951, 4.2 / RFC 9908) for a mask of 1 << enum subject_key. */
int	est_csrattrs(uint32_t keys, uint8_t *out, size_t size, size_t *len);
/*
 * A new key for serverkeygen, PKCS#8 DER (a secret: the caller wipes it), and
 * its public half in *csr, which keeps its names: P-256, whatever key the
 * request had (RFC 7030, 4.4.1). est_warm() loads what it needs.
 */
int	est_keygen(struct csr *, uint8_t *pkcs8, size_t size, size_t *len);
int	est_warm(OSSL_LIB_CTX *);
void	est_cool(void);
/*
 * The multipart/mixed body of serverkeygen (RFC 7030, 4.4.2): the key, then
 * PKCS#7. type gets the Content-Type with its boundary.
 */
int	est_multipart(struct bytes pkcs8, struct bytes pkcs7, char *out,
	    size_t size, size_t *len, char type[128]);

/* ---- ocsp.c ---------------------------------------------------------------- */

struct ocsp_query {
	unsigned	 hash;		/* 0 SHA-1, 1 SHA-256 */
	uint8_t		 name_hash[32], key_hash[32];
	size_t		 hash_len;	/* 20 or 32 */
	uint8_t		 serial[20];	/* without leading zeros */
	size_t		 serial_len;
	uint8_t		 nonce[32];
	size_t		 nonce_len;	/* 0: none */
};

enum ocsp_status {	/* OCSPResponseStatus */
	OCSP_SUCCESSFUL = 0, OCSP_MALFORMED = 1, OCSP_INTERNAL = 2,
	OCSP_TRY_LATER = 3, OCSP_UNAUTHORIZED = 6
};

/* A request for one certificate, DER; its signature, if any, is not looked at. */
int	ocsp_parse(const uint8_t *der, size_t len, struct ocsp_query *,
	    struct refusal *why);
/* "/ocsp/<base64, percent-encoded>": the DER of the request. 0 or -1. */
int	ocsp_path(const char *path, uint8_t *der, size_t size, size_t *len);
/* What key the OCSP signer of this certificate has. 0, or -1. */
int	ocsp_algorithm(struct bytes certificate, enum key_algorithm *);
/* A BasicOCSPResponse of what keyd signed, with the signer's certificate;
 * algorithm is that of its key. 0, or -1 if it does not fit. */
int	ocsp_response(struct bytes data, struct bytes signature,
	    enum key_algorithm, struct bytes signer, uint8_t *out,
	    size_t size, size_t *len);
/* A response of nothing but a status other than OCSP_SUCCESSFUL; its length. */
size_t	ocsp_failed(enum ocsp_status, uint8_t out[8]);

#endif
