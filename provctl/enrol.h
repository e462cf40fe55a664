/*
 * The client of the certificate service, on a laptop that programs devices
 * or on the device itself.
 *
 * http.c knows TLS and http_reply.c HTTP, enrol_key.c keys and requests, enrol_tpm.c
 * keys in a TPM, enrol_ask.c the two protocols, enrol_check.c what an answer must be, enrol_store.c the
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
	STACK_OF(X509)	**peers;	/* NULL, or for what a verified server showed */
};

struct http_reply {
	unsigned	 status;
	char		 type[64];	/* lower case, without parameters */
	uint32_t	 retry_after;	/* s; 0: not said */
	char		*body;		/* NUL-terminated; the caller frees */
	size_t		 len;
};

/* ---- http_reply.c ------------------------------------------------------ */

enum reply_step {
	REPLY_MORE,
	REPLY_WHOLE,
	REPLY_LONG,		/* longer than we take */
	REPLY_CUT,		/* the end came in the middle */
	REPLY_BAD		/* no HTTP */
};

struct reply_reader;

/* Reads into reply, whose body is allocated now. */
struct reply_reader *reply_begin(struct http_reply *);
/* Bytes as they come; len 0 is the end of them. */
enum reply_step reply_feed(struct reply_reader *, const char *, size_t len);
void	reply_end(struct reply_reader *);

/* ---- http.c, again ----------------------------------------------------- */

/* One request on a connection of its own. */
enum outcome http_call(const struct http_call *, struct http_reply *,
	    char text[WHY_MAX]);

/* ---- enrol_tpm.c ------------------------------------------------------- */

#define TPM_SIG_MAX	72

struct tpm_key;			/* in the TPM, below what tpm_blob() says */

/* A device, or "unix:PATH". One TPM a process. 0, or -1 after a word. */
int	tpm_open(const char *where);
bool	tpm_is_open(void);
void	tpm_close(void);	/* after the last tpm_key_free() */
/* These return NULL after a word. */
struct tpm_key *tpm_make(void);
struct tpm_key *tpm_load(const uint8_t *blob, size_t);
void	tpm_key_free(struct tpm_key *);
const uint8_t *tpm_blob(const struct tpm_key *, size_t *);
EVP_PKEY *tpm_public(const struct tpm_key *);	/* its public half */
/* ECDSA over SHA-256 of the message, DER. 0, or -1. */
int	tpm_sign(const struct tpm_key *, const void *message, size_t,
	    uint8_t sig[TPM_SIG_MAX], size_t *siglen);
/* For TLS clients that have their key there. NULL, -1 on failure. */
SSL_CTX	*tpm_tls(void);
int	tpm_tls_use(SSL_CTX *, const X509 *, const struct tpm_key *);

/* ---- enrol_key.c ------------------------------------------------------- */

enum key_kind { KEYS_RSA2048, KEYS_P256, KEYS_TPM };

struct device_key {
	EVP_PKEY	*key;		/* whole, or its public half, or NULL */
	struct tpm_key	*tpm;		/* or NULL: it is in key */
};

int	key_make(struct device_key *, enum key_kind);
bool	key_is(const struct device_key *, enum key_kind);
void	key_free(struct device_key *);
/*
 * PKCS#10 over the key with the name as CN, and the subjectAltName of old if
 * that is not NULL (RFC 7030, 4.2.2). DER for free(), or NULL.
 */
uint8_t	*csr_make(const struct device_key *, const char *name,
	    const X509 *old, size_t *len);
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

/* What an answer says: pure. The certificate, or why not, into answer. */
enum outcome answer_json(const struct http_reply *, struct answer *,
	    char text[WHY_MAX]);
enum outcome answer_p7(const struct http_reply *, struct answer *,
	    STACK_OF(X509) **, char text[WHY_MAX]);
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
	struct device_key key;
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
int	store_pending(const char *dir, const struct device_key *,
	    const uint8_t *csr, size_t len);
/* Those of an earlier run, -1 if there are none. key_free() and free(). */
int	store_take(const char *dir, struct device_key *, uint8_t **csr,
	    size_t *len);
/* They have their certificate: path is it first, then up to the root. */
int	store_commit(const char *dir, STACK_OF(X509) *path,
	    STACK_OF(X509) *anchors, uint64_t renew_after);

/* ---- enrol.c ----------------------------------------------------------- */

int	enrol_run(const struct args *);

#endif
