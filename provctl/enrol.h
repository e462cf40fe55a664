/*
 * The client of the certificate service, on a laptop that programs devices
 * or on the device itself.
 *
 * http.c knows HTTP and TLS, enrol_key.c keys and requests, enrol_ask.c the
 * two protocols, enrol_check.c what an answer must be, enrol_store.c the
 * directory; enrol.c asks, waits, asks again.
 */
#ifndef ENROL_H
#define ENROL_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "provctl.h"

#define WHY_MAX		512

/* What came of an attempt. */
enum outcome {
	DONE,
	AGAIN,			/* the same may succeed later */
	NEVER			/* it will not */
};

/* A word about why; returns how, so that a function can end with it. */
enum outcome why(char text[WHY_MAX], enum outcome how, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/* ---- http.c ------------------------------------------------------------ */

#define HTTP_REPLY_MAX	262144	/* bytes of a body */

struct url {
	bool	 tls;
	char	 host[256], port[6];
	char	 path[256];	/* without a slash at its end; may be "" */
};

/* NULL, or what is wrong with it. */
const char *url_parse(const char *, struct url *);

struct http_call {
	const struct url *url;
	SSL_CTX		*tls;		/* of an https URL */
	bool		 unverified;	/* the server may be anybody */
	const char	*method, *path;	/* path is put behind the URL's */
	const char	*type;		/* of the body, or NULL: none */
	const char	*accept;
	const char	*user, *password;	/* Basic, or NULL */
	const void	*body;
	size_t		 len;
	uint64_t	 deadline;	/* clock_mono_ms() */
};

struct http_reply {
	unsigned	 status;
	char		 type[64];	/* lower case, without parameters */
	uint32_t	 retry_after;	/* s; 0: not said */
	char		*body;		/* NUL-terminated; the caller frees */
	size_t		 len;
};

/* One request on a connection of its own. */
enum outcome http_call(const struct http_call *, struct http_reply *,
	    char text[WHY_MAX]);

/* ---- enrol_key.c ------------------------------------------------------- */

enum key_kind { KEYS_RSA2048, KEYS_P256 };

EVP_PKEY *key_make(enum key_kind);
bool	key_is(const EVP_PKEY *, enum key_kind);
/*
 * PKCS#10 over the key with the name as CN, and the subjectAltName of old if
 * that is not NULL (RFC 7030, 4.2.2). DER for free(), or NULL.
 */
uint8_t	*csr_make(EVP_PKEY *, const char *name, const X509 *old, size_t *len);
/* Is this a request as csr_make() makes it of these? */
bool	csr_fits(const uint8_t *, size_t, const EVP_PKEY *, const char *name,
	    const X509 *old);
/* NULL if it has not exactly one common name, or a bad one; freed by free(). */
char	*name_of(const X509_NAME *);

/* ---- enrol_ask.c ------------------------------------------------------- */

struct ask {
	const struct url *url;
	SSL_CTX		*tls;
	bool		 est, renew;
	const char	*profile;	/* label, or NULL */
	const char	*name;		/* of the device */
	const char	*ticket;	/* 32 hex digits, or NULL */
	const uint8_t	*csr;
	size_t		 csr_len;
	uint64_t	 deadline;
};

struct answer {
	X509		*cert;
	STACK_OF(X509)	*chain;		/* what came beside it */
	uint64_t	 renew_after;	/* 0: not said */
	uint32_t	 retry_after;	/* s, of a refusal; 0: not said */
	json_t		*refused;	/* the server's error object, or NULL */
};

enum outcome ask_cert(const struct ask *, struct answer *, char text[WHY_MAX]);
/* The CA certificates, from a server that nobody vouches for yet. */
enum outcome ask_chain(const struct ask *, STACK_OF(X509) **,
	    char text[WHY_MAX]);
void	answer_free(struct answer *);
/* PEM certificates one after the other; NULL if there is none or a bad one. */
STACK_OF(X509) *pem_certs(const char *, size_t len);

/* ---- enrol_check.c ----------------------------------------------------- */

/*
 * Is this certificate over our key, under our name, valid now, and below one
 * of the anchors? *path is then it and what is above it, the root last; the
 * caller frees it.
 */
enum outcome check_cert(X509 *, STACK_OF(X509) *chain,
	    STACK_OF(X509) *anchors, EVP_PKEY *, const char *name,
	    STACK_OF(X509) **path, char text[WHY_MAX]);
/* From when on it is to be renewed: at two thirds of its life. */
uint64_t check_renewal(const X509 *);

/* ---- enrol_store.c ----------------------------------------------------- */

/*
 * An enrolment is a directory DIR/set-HEX with its key, certificate, chain
 * and anchors. DIR/live is a link to the one that counts; DIR/key.pem and the
 * others are links through it. A key that waits for its certificate is in the
 * one that DIR/next is a link to: that link becomes "live", in one step.
 */
struct stored {
	EVP_PKEY	*key;
	X509		*cert;
	STACK_OF(X509)	*chain, *anchors;
	uint64_t	 renew_after;	/* 0: not said by the server */
};

/*
 * Make or open it, for this process alone, and clear away what an interrupted
 * run left. A descriptor that holds the lock, or -1 after a word.
 */
int	store_open(const char *dir);
/* What is live. 0 (with nothing in it if nothing is), or -1 after a word. */
int	store_load(const char *dir, struct stored *);
void	stored_free(struct stored *);
/* Keep this key and request until store_commit(). 0, or -1 after a word. */
int	store_pending(const char *dir, EVP_PKEY *, const uint8_t *csr,
	    size_t len);
/* Those of an earlier run; NULL if there are none. free(). */
EVP_PKEY *store_take(const char *dir, uint8_t **csr, size_t *len);
/* They have their certificate: path is it first, then up to the root. */
int	store_commit(const char *dir, STACK_OF(X509) *path,
	    STACK_OF(X509) *anchors, uint64_t renew_after);

/* ---- enrol.c ----------------------------------------------------------- */

int	enrol_run(const struct args *);

#endif
