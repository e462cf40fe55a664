/* enrold: types and prototypes, grouped by file. What is pure: wire.h. */
#ifndef ENROLD_H
#define ENROLD_H

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <uv.h>

#include "conf.h"
#include "confine.h"
#include "ipc.h"
#include "tlsconn.h"
#include "wire.h"

/* ---- dispatch.c: who may send what --------------------------------------- */

extern const struct hub_peer	enrold_peers[];
extern const size_t		enrold_npeers;

void	enrold_down(enum ipc_role);	/* that link is gone */
int	enrold_listener(struct chan *, const struct ipc_call *, const void *);
int	enrold_ca(struct chan *, const struct ipc_call *, const void *);
int	enrold_maker(struct chan *, const struct ipc_call *, const void *);
int	enrold_profile(struct chan *, const struct ipc_call *, const void *);
int	enrold_crl(struct chan *, const struct ipc_call *, const void *);
int	enrold_accepted(struct chan *, const struct ipc_call *, const void *);

/* ---- filter.c ------------------------------------------------------------ */

extern const struct confine	enrold_confine;

/* ---- blob.c: bytes that several answers share ---------------------------- */

struct blob {
	unsigned	 refs;
	const uint8_t	*p;
	size_t		 len;
	bool		 mapped;	/* of a memfd; else of malloc(3) */
};

struct blob *blob_new(void *, size_t);	/* takes what malloc(3) gave */
/* The memfd's first bytes; NULL unless they cannot change any more. */
struct blob *blob_map(int fd, size_t);
struct blob *blob_ref(struct blob *);
void	blob_release(struct blob *);	/* NULL is fine */

/* ---- tls.c: what our listeners and their clients are made of --------------- */

/* Everything that OpenSSL loads lazily: before the filter. 0, or -1 logged. */
int	tls_init(void);
void	tls_stop(void);
EVP_MD_CTX *tls_sha256(void);	/* a fresh one; the process has only this */
/* For a listener's leaf, its CA and, or NULL, what stands above; NULL if they
 * cannot be used. */
SSL_CTX	*tls_context(uint32_t key, enum key_algorithm, X509 *leaf,
	    X509 *issuing, X509 *cross, bool mutual);

/* ---- warm.c ------------------------------------------------------------------ */

int	warm(void);	/* what else is loaded at its first use; 0 or -1 */

/* Who a client has shown to be. */
struct client {
	enum enrol_client kind;
	uint8_t		 serial[20];	/* of its certificate */
	size_t		 serial_len;
	uint8_t		 root[32];	/* SHA-256 of the maker's root, DER */
	uint8_t		 key[32];	/* SHA-256 of its SubjectPublicKeyInfo */
	char		 name[65];	/* common name */
	char		 unit[65];	/* serialNumber in the subject */
};

/* ---- client.c: whose certificate is it ------------------------------------- */

/* Below one of our CAs or a maker's root, in its time: 0; or -1 with why. */
int	client_verify(X509 *leaf, STACK_OF(X509) *chain, uint64_t now,
	    struct client *, struct refusal *why);

/* ---- settings.c: what policyd gives ---------------------------------------- */

struct authority {
	bool		 set, current;
	unsigned	 generation;	/* the number at the end of its name */
	X509		*issuing;
	struct blob	*root_der, *cross_der, *issuing_der, *ocsp_der;
	enum key_algorithm ocsp_algorithm;
	struct blob	*chain;		/* PEM: issuing, then root */
	struct blob	*crl;		/* DER, or NULL */
	struct blob	*crl_json;	/* the answer of get_crl; made when asked */
	uint64_t	 next_update;
};

struct listener {
	bool		 set;
	enum enrol_door	 door;
	SSL_CTX		*ctx;		/* NULL: plain, or not to be used yet */
};

struct maker {
	X509		*root;		/* NULL: this place is free */
	uint8_t		 sha256[32];
};

#define MAKERS_MAX	64	/* ENROL_MAKER.root */

const struct listener *settings_listener(unsigned);
const struct authority *settings_ca(unsigned);		/* NULL: there is none */
const struct authority *settings_current(void);	/* or NULL */
const struct authority *settings_generation(unsigned);
const struct maker *settings_makers(void);		/* MAKERS_MAX */
/* The mask of keys of this profile and whether keys are made for it; every
 * key if the label is empty. False: there is no such profile. */
bool	settings_profile(const char *label, uint32_t *keys, bool *keygen);
/* certs-only PKCS#7 of every CA certificate, base64 in one line; or NULL. */
struct blob *settings_cacerts(void);
/* The answer of get_crl; there is a current CA and it has a CRL. */
struct blob *settings_crl_json(void);
void	settings_stop(void);

/* ---- conn.c: connections ---------------------------------------------------- */

#define CONNS_MAX	4096
#define FILES_BESIDE	64	/* descriptors that are no connections */

struct conn;

void	conns_init(uv_loop_t *, const struct conf *);
void	conns_stop(void);
void	conns_netd_gone(void);
unsigned conns_open(void);

/* What a handler may ask of a connection whose request it serves. */
const struct http_request *conn_request(const struct conn *);
const struct client *conn_client(const struct conn *);
const char *conn_address(const struct conn *);
enum enrol_door conn_door(const struct conn *);
/* "tls-exporter" of RFC 9266; 0, or -1 where there is no TLS. */
int	conn_binding(const struct conn *, uint8_t out[32]);

struct reply {
	unsigned	 status;
	const char	*type;		/* Content-Type, NULL: no body */
	const char	*more;		/* further fields, each with CRLF; or NULL */
	void		*body;		/* from malloc(3), becomes the connection's */
	struct blob	*blob;		/* or this, which is referred to */
	size_t		 len;		/* of body */
	bool		 secret;	/* body is wiped */
	uint8_t		 taken[16];	/* serial of a certificate that it brings */
	size_t		 taken_len;	/* 0: none */
};

/* Answers the request that is being served, once. */
void	conn_reply(struct conn *, const struct reply *);
/* An error object of the JSON door. */
void	conn_refuse(struct conn *, const struct refusal *);
void	conn_refuse_why(struct conn *, enum reason, const char *field,
	    const char *expected, const char *seen);
/* A refusal that is no answer of HTTP: counted, the first of a kind logged. */
void	conn_count(const struct conn *, const struct refusal *);
/* What happens if the connection goes before it was answered; or NULL. */
void	conn_owner(struct conn *, void (*gone)(void *), void *arg);

/* ---- ask.c: calls to policyd -------------------------------------------------- */

/*
 * What came of it: m is the reply's message or NULL, then why says why. The
 * connection lives; whoever has gone meanwhile is not told. ctx is freed
 * with free_ctx afterwards in either case.
 */
typedef void (*ask_fn)(struct conn *, const void *m, const struct refusal *why,
    void *ctx);

void	ask(struct conn *, enum ipc_type, const void *msg, size_t size,
	    ask_fn, void *ctx, void (*free_ctx)(void *));
void	ask_stop(void);

/* ---- router.c: who serves what ------------------------------------------------- */

void	route(struct conn *);

/* ---- door_json.c, door_est.c, door_ocsp.c, door_status.c (CRLs and CAs) --------- */

void	json_serve(struct conn *);
void	est_serve(struct conn *);
/* A request with a challenge password is for this connection alone, at
 * whichever door (RFC 7030, 3.5). 0; or -1 with why. */
int	est_bound(const struct conn *, const struct csr *, struct refusal *why);
void	ocsp_serve(struct conn *);
void	crl_serve(struct conn *);
void	ca_serve(struct conn *);

/* ---- enrol.c: a request for a certificate, of either door ------------------------ */

struct enrol_ask {
	bool		 renew, est, keygen;
	const char	*profile;
	const struct csr *csr;
	const uint8_t	*ticket;	/* or NULL */
};

/* The fields of ENROL_REQ, the hash of the request among them. */
void	enrol_message(const struct conn *, const struct enrol_ask *,
	    struct msg_enrol_req *);

#endif
