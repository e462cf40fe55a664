/*
 * TLS 1.3 on the event loop with the private key at keyd, for the daemons that
 * speak it. provider.c knows OpenSSL's provider interface, tlsconn.c a
 * connection; contexts and what a certificate means are the daemon's.
 */
#ifndef TLSCONN_H
#define TLSCONN_H

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "ipc.h"
#include "refusal.h"
#include "sieve.h"

/* ---- provider.c: keys whose private half is elsewhere -------------------- */

#define SIGN_MAX	64	/* signatures that may be pending; as the link's window */
#define SIGN_SLOTS	512	/* the same for enrold, whose devices may all come at
				   once: those beyond the window wait for it */

struct sign_request {
	uint32_t	 id;		/* for provider_done() */
	uint32_t	 key;
	uint16_t	 scheme;	/* of TLS, RFC 8446, 4.2.3 */
	const uint8_t	*content;	/* whole, RFC 8446, 4.4.3; valid until done */
	size_t		 len;
};

/*
 * Ask for a signature. R_OK: provider_done() has been or will be called;
 * R_TLS_BUSY: no room, ask again when another one is done; else why not.
 */
typedef enum reason (*provider_sign_fn)(const struct sign_request *);

/* Register the built-in provider, for keys on curves and maybe RSA; 0 or -1. */
int	provider_init(OSSL_LIB_CTX *, bool rsa);
void	provider_signer(provider_sign_fn);
/* A key of keyd: its number there, its public half as 04 || X || Y, or the
 * modulus of RSA, whose exponent is 65537. */
EVP_PKEY *provider_key(uint32_t key, enum key_algorithm, const uint8_t *pub,
	    size_t publen);
/*
 * Ask for the signatures that wait to be asked for: after a handshake paused,
 * and when the signer has room again.
 */
void	provider_flush(void);
/*
 * A signature is there, or failed for a reason. Resumes the handshake that
 * waits for it; an id that nobody waits for any more is ignored.
 */
void	provider_done(uint32_t id, enum reason, const uint8_t *sig, size_t len);
/* Is a signature for this connection pending? It fails when resumed next. */
bool	provider_abort(const SSL *);
/* Why the last signature of this turn failed, or R_OK; and forget it. */
enum reason provider_failure(void);
unsigned provider_pending(void);

/* ---- tlsconn.c: one connection ------------------------------------------- */

struct tls;

struct tls_events {
	/* Complete; the certificate was accepted, tls_leaf() has it. */
	void	(*up)(struct tls *, void *arg);
	void	(*data)(struct tls *, void *arg, const uint8_t *, size_t);
	/* Over, for this reason. Call tls_close() and forget it. */
	void	(*down)(struct tls *, void *arg, const struct refusal *);
	/*
	 * The other side's leaf; 0, or -1 with why. Runs on a small stack
	 * inside the handshake: check, keep, do nothing else.
	 */
	int	(*verify)(struct tls *, void *arg, X509 *leaf, struct refusal *);
	/* What tls_write() left can be written now. May be NULL. */
	void	(*drained)(struct tls *, void *arg);
};

#define TLS_PROPQ	"?provider=default"	/* the mandatory form fails */

/*
 * OpenSSL with these algorithms and keyd's keys, jobs for SIGN_MAX handshakes
 * that wait, or with RSA, which is enrold's, SIGN_SLOTS. Once, before the
 * filter. 0 or -1.
 */
int	tls_library(const struct sieve_row *, size_t, bool rsa);
OSSL_LIB_CTX *tls_lib(void);
X509	*tls_parse(const uint8_t *der, size_t len);	/* all of it, or NULL */
/*
 * A new context without identity: TLS 1.3 and nothing to resume, no tickets,
 * no cache, no early data, so that no revocation needs to be looked for in a
 * session. list: bytes of certificates that the other side may send; fragment:
 * of a record. NULL on failure.
 */
SSL_CTX	*tls_rules(const SSL_METHOD *, const char *ciphers, char *sigalgs,
	    long list, long fragment);
void	tls_keyd(void);		/* from now on keyd signs */
/* For SSL_CTX_set_cert_verify_callback(): asks the connection's events. */
int	tls_verify(X509_STORE_CTX *, void *);
int	tls_alert(enum reason);	/* X509_V_ERR_* whose alert fits */
/* The public half of a certificate as a key at keyd, or NULL. */
EVP_PKEY *tls_leaf_key(X509 *leaf, uint32_t key, enum key_algorithm);
/*
 * Takes fd, and holds the context while it lives. Nothing is called from
 * inside.
 */
struct tls *tls_start(uv_loop_t *, SSL_CTX *, int fd, bool server,
	    const struct tls_events *, void *arg);
/* 0, or -1 if what waits to be written is over its bound. */
int	tls_send(struct tls *, const void *, size_t);
/*
 * Write what goes out now, and say how much that was; drained() follows if it
 * was not all. Not to be mixed with tls_send().
 */
size_t	tls_write(struct tls *, const void *, size_t);
/* Stop reading, but for the rest of a record; or go on. */
void	tls_pause(struct tls *, bool);
/* No more is written: close_notify, and the end of our side of the socket. */
void	tls_finish(struct tls *);
/* Closes at once, whatever was under way; no event follows. NULL is fine. */
void	tls_close(struct tls *);
X509	*tls_leaf(const struct tls *);	/* theirs, once up; not to be freed */
/* What else they sent beside their leaf; in verify() only. */
STACK_OF(X509) *tls_chain(const struct tls *);
SSL	*tls_ssl(const struct tls *);	/* for exporters; not to be freed */

/* ---- tlswarm.c: what OpenSSL loads at its first use ----------------------- */

/* A CA of P-256, a leaf, and its key as if it were at keyd. */
struct warm {
	OSSL_LIB_CTX	*lib;
	EVP_PKEY	*ca_key, *key, *remote;
	X509		*ca, *leaf;
};

/* New keys, which sign what keyd would until tls_keyd() is called. 0 or -1;
 * warm_close() in either case. */
int	warm_open(struct warm *, OSSL_LIB_CTX *, enum key_algorithm,
	    const char *san);
void	warm_close(struct warm *);
/* A handshake with both contexts, some bytes, and the end. */
bool	warm_handshake(SSL_CTX *servers, SSL_CTX *clients);

#endif
