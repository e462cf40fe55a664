/*
 * keyd: types and prototypes, grouped by file.
 */
#ifndef KEYD_H
#define KEYD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <tss2/tss2_esys.h>

#include "checkpoint.h"
#include "conf.h"
#include "confine.h"
#include "ipc.h"
#include "reason.h"
#include "tcti.h"

#define KEY_MAX		64	/* keys of one keyd */
#define KEY_LABEL_MAX	32
#define KEY_POINT_MAX	97	/* 04 || X || Y of P-384 */
#define KEY_PUBLIC_MAX	256	/* a point, or the modulus of RSA-2048 */
#define KEY_BLOB_MAX	1024	/* a private half, as the backend keeps it */
#define KEY_FILE_MAX	2048
#define KEY_HEADER_MAX	384	/* what a key file says before its private half */
#define SCALAR_MAX	48
#define SIG_DER_MAX	112
#define SIG_MAX		256	/* of RSA-2048 */
#define SIG_RAW_MAX	96
#define KEK_LEN		32	/* AES-256 key that wraps private scalars */
#define PCR_LEN		256	/* eight SHA-256 registers */

/* Why something failed; the two texts may be empty. */
struct why {
	enum reason	 reason;
	char		 field[64];
	char		 expected[160];
	char		 seen[160];
};

/* ---- curve.c: what depends on a key's algorithm ---------------------- */

struct curve {
	const char	*group;		/* OpenSSL's name */
	int		 nid;
	int		 sig_nid;	/* ecdsa-with-SHA* (RFC 5758) */
	const char	*md_name;
	size_t		 coord;		/* bytes of a coordinate, a scalar */
	size_t		 point;		/* 04 || X || Y */
	size_t		 hash;		/* bytes of the digest that is signed */
	uint16_t	 tls_scheme;	/* RFC 8446, 4.2.3 */
	TPMI_ECC_CURVE	 tpm_curve;
	TPMI_ALG_HASH	 tpm_hash;
};

const struct curve *curve_get(enum key_algorithm);
/* Is this a point of the curve, in the uncompressed form? */
bool	curve_has(const struct curve *, const uint8_t *point, size_t len);
/* Digest of msg with the curve's hash. 0, or -1 if OpenSSL fails. */
int	curve_digest(const struct curve *, const void *msg, size_t len,
	    uint8_t *out);
/* OCSP names keys by it (RFC 6960); nothing is signed with it. 0 or -1. */
int	sha1_digest(const void *msg, size_t len, uint8_t out[20]);
/* r || s, each padded to the curve's size, to DER and back. 0 or -1. */
int	ecdsa_to_der(const struct curve *, const uint8_t *raw, uint8_t *der,
	    size_t size, size_t *len);
int	ecdsa_to_raw(const struct curve *, const uint8_t *der, size_t len,
	    uint8_t *raw);
/* SubjectPublicKeyInfo over a point. The caller frees it; NULL on failure. */
X509_PUBKEY *curve_spki(const struct curve *, const uint8_t *point);
/* Node id of a point: 40 hex digits and NUL (DESIGN, section 4). 0 or -1. */
int	curve_node_id(const struct curve *, const uint8_t *point, char *id);
/* Everything that OpenSSL loads late, forced before the filter. 0 or -1. */
int	curve_init(void);

/* ---- tpm.c: the queue of TPM commands -------------------------------- */

struct tpm;

/* A key that lives in the TPM: its two halves, and where it is loaded. */
struct tpm_object {
	TPM2B_PUBLIC	 public;
	TPM2B_PRIVATE	 private;
	ESYS_TR		 handle;	/* ESYS_TR_NONE: not loaded */
	uint64_t	 used;		/* for the least recently used one */
};

/* What came of a job. */
struct tpm_result {
	enum reason	 reason;
	const char	*command;	/* of the failed command: "TPM2_Sign" */
	TSS2_RC		 rc;
	uint64_t	 counter;	/* where it stands */
	uint64_t	 wanted;	/* where it should have been moved */
	size_t		 len;
	uint8_t		 data[PCR_LEN];	/* r || s, or the registers */
	const TPM2B_PUBLIC *public;	/* of a key just made */
	const TPM2B_PRIVATE *private;
};
typedef void (*tpm_done_fn)(const struct tpm_result *, void *arg);

struct tpm_info {
	char		 manufacturer[64];
	char		 firmware[64];
};

/*
 * Open "unix:PATH" (a software TPM's socket) or a device, non-blocking.
 * Descriptor or -1 with errno.
 */
int	tpm_connect(const char *path);
/*
 * The TPM behind fd, which is owned from now on. patience: milliseconds that
 * a command may take; the slow ones (a key is made) may take six times that.
 */
struct tpm *tpm_new(int fd, uint32_t patience);
void	tpm_free(struct tpm *);
/* Called once if the TPM is gone, silent or answers nonsense. */
void	tpm_on_lost(struct tpm *, void (*lost)(void *), void *arg);
/* What is wrong with the TPM as a whole; R_OK if nothing. */
enum reason tpm_state(const struct tpm *);
const struct tpm_info *tpm_info(const struct tpm *);
/* Is there an audit counter? R_OK, or why not. */
enum reason tpm_counter_state(const struct tpm *);

/* For the event loop, and for tests that choose the time. */
int	tpm_fd(const struct tpm *);
bool	tpm_wants_output(const struct tpm *);
void	tpm_ready(struct tpm *);
void	tpm_tick(struct tpm *, uint64_t now_ms);
int64_t	tpm_timeout(const struct tpm *, uint64_t now_ms);	/* ms, or -1 */

/*
 * Queue a job. R_OK: done runs once, in the order of the lane; at once only
 * if the TPM is lost now. Otherwise the reason, and done never runs. Objects
 * are the caller's until done; digests are copied.
 */
enum reason tpm_sign(struct tpm *, enum key_purpose lane, struct tpm_object *,
	    const struct curve *, const uint8_t *digest, tpm_done_fn, void *);
enum reason tpm_make(struct tpm *, const struct curve *,
	    const uint8_t binding[32], tpm_done_fn, void *arg);
/* Read the counter (0), or move it to advance if it stands one below. */
enum reason tpm_counter(struct tpm *, uint64_t advance, tpm_done_fn, void *);
enum reason tpm_pcrs(struct tpm *, tpm_done_fn, void *arg);
/* The object is about to be freed: no job may use it any more. */
void	tpm_forget(struct tpm *, struct tpm_object *);

/* ---- tpm_rc.c: what a response code means ---------------------------- */

enum reason tpm_reason(TSS2_RC);
/* Must the connection be given up after this code? */
bool	tpm_rc_fatal(TSS2_RC);
/* Is it the warning that no object slot is free; that a handle is gone? */
bool	tpm_rc_slots(TSS2_RC);
bool	tpm_rc_handle(TSS2_RC);

/* ---- tpm_start.c: what keyd does with a TPM before it serves --------- */

#define SRK_HANDLE	0x81000001U	/* TPM 2.0 Provisioning Guidance */
#define COUNTER_INDEX	0x01850001U	/* of the owner's range */

/* What must be the same at every start; kept as the file "tpm". */
struct tpm_record {
	uint16_t	 srk_len;	/* 0: none was recorded */
	uint8_t		 srk_name[68];
	bool		 counter;	/* the counter was made */
};

/*
 * Identify the TPM, flush what others left, find or make the storage root
 * key and the counter, and compare them with the record in the key
 * directory. The reason is the TPM's state from now on; a TPM that is gone
 * or silent is why's reason, too.
 */
enum reason tpm_start(struct tpm *, const char *dir, struct why *);
int	tpm_record_format(const struct tpm_record *, uint8_t *buf, size_t size,
	    size_t *len);
int	tpm_record_parse(const uint8_t *buf, size_t len, struct tpm_record *);

/* ---- seal.c: a key sealed to the TPM --------------------------------- */

/*
 * The key-wrapping key of the backend `sealed', made if there is none: dir
 * holds it as the file "seal", sealed to the TPM and, with pcrs, to the
 * registers 0 to 7. kek is memory of secret_alloc().
 */
enum reason seal_open(struct tpm *, const char *dir, bool pcrs, uint8_t *kek,
	    struct why *);
/* The same for the backend `soft': the file "soft.secret". */
enum reason seal_soft(const char *dir, uint8_t *kek, struct why *);

/* ---- wrap.c: a private scalar as bytes at rest ----------------------- */

#define WRAP_EXTRA	28	/* nonce and tag of AES-256-GCM */

/* out: nonce || ciphertext || tag, len + WRAP_EXTRA bytes. 0 or -1. */
int	wrap_seal(const uint8_t *kek, const void *aad, size_t aadlen,
	    const uint8_t *in, size_t len, uint8_t *out);
int	wrap_open(const uint8_t *kek, const void *aad, size_t aadlen,
	    const uint8_t *in, size_t len, uint8_t *out);

/* ---- store.c: one file a key ----------------------------------------- */

/* A key file, parsed. */
struct key_file {
	uint8_t		 id;
	uint8_t		 purpose;
	uint8_t		 algorithm;
	uint8_t		 backend;
	char		 label[KEY_LABEL_MAX + 1];
	uint32_t	 public_len;
	uint8_t		 public[KEY_PUBLIC_MAX];	/* point or modulus */
	uint32_t	 blob_len;
	uint8_t		 blob[KEY_BLOB_MAX];
};

bool	store_label_ok(const char *);
/* Pure: bytes of a key file. 0, or -1 if it is not the one form. */
int	store_format(const struct key_file *, uint8_t *buf, size_t size,
	    size_t *len);
int	store_parse(const uint8_t *buf, size_t len, struct key_file *);
/* The part of the file that says what the key is: bound to the private half. */
int	store_header(const struct key_file *, uint8_t *buf, size_t size,
	    size_t *len);
/*
 * A file appears whole or not at all: a temporary one, fsync, rename, fsync
 * of the directory. 0, or -1 with errno.
 */
int	store_write(const char *dir, const char *name, const void *, size_t);
/* Bytes read, 0 if there is no such file, -1 with errno. */
ssize_t	store_read(const char *dir, const char *name, void *buf, size_t size);
/* Remove what a killed keyd left half-written. 0, or -1 with errno. */
int	store_sweep(const char *dir);
bool	store_any(const char *dir);	/* is there a key file? */
/* Every key file of the directory in turn. 0, or -1 with why. */
int	store_each(const char *dir, int (*fn)(const struct key_file *, void *,
	    struct why *), void *arg, struct why *);

/* ---- key.c: the table of keys ---------------------------------------- */

struct key;

struct signature {
	struct why	 why;		/* reason R_OK: there is one */
	size_t		 len;
	uint8_t		 der[SIG_MAX];	/* of RSA as it is, not DER */
};
typedef void (*key_signed_fn)(const struct signature *, void *arg);

struct key_conf {
	unsigned	 backend;	/* KEY_BACKEND_* */
	struct tpm	*tpm;		/* NULL for the backend `soft' */
	const char	*dir;		/* as seen after the chroot */
	uint8_t		*kek;		/* NULL for the backend `tpm' */
};

/* Load every key of the directory. 0, or -1 with why. */
int	key_open(const struct key_conf *, struct why *);
void	key_close(void);		/* wipes */
const struct key *key_byid(uint32_t);
const struct key *key_bylabel(const char *);
/* The key over this point with this purpose, or NULL. */
const struct key *key_bypoint(enum key_purpose, const uint8_t *, size_t);
/* The key over this point or modulus, of whatever purpose, or NULL. */
const struct key *key_over(const uint8_t *, size_t);
/* The n-th key of a purpose, or NULL. */
const struct key *key_bypurpose(enum key_purpose, unsigned n);
unsigned key_count(void);
uint32_t key_id(const struct key *);
enum key_purpose key_purpose(const struct key *);
enum key_algorithm key_algorithm(const struct key *);
const char *key_label(const struct key *);
/* NULL of an RSA key, which has no curve. */
const struct curve *key_curve(const struct key *);
/* The point, or the modulus. */
const uint8_t *key_point(const struct key *);
size_t	key_point_len(const struct key *);
const char *key_purpose_name(enum key_purpose);

/*
 * The key of this label, made if there is none. made() runs exactly once,
 * perhaps before key_make() returns; k is NULL if why says so.
 */
typedef void (*key_made_fn)(const struct key *k, bool made, const struct why *,
	    void *arg);
void	key_make(const char *label, enum key_purpose, enum key_algorithm,
	    key_made_fn, void *arg);
/* Sign msg. cb runs exactly once, perhaps before key_sign() returns. */
void	key_sign(const struct key *, const void *msg, size_t len, key_signed_fn,
	    void *arg);

/* ---- local.c: signatures of the backends `sealed' and `soft' --------- */

struct local;

/* A fresh scalar and its point. scalar is wiped on failure. 0 or -1. */
int	local_make(const struct curve *, uint8_t *scalar, uint8_t *point);
struct local *local_new(const struct curve *, const uint8_t *scalar,
	    const uint8_t *point);
void	local_free(struct local *);
/* At most SIG_MAX bytes: DER of ECDSA, RSASSA-PSS as it is. */
int	local_sign(struct local *, const uint8_t *digest, size_t len,
	    uint8_t *sig, size_t *siglen);

/* ---- rsa.c: the RSA keys among them ---------------------------------- */

#define RSA_BYTES	256	/* of the modulus */
#define RSA_EXPONENT	65537
#define RSA_SECRET_LEN	(RSA_BYTES + 5 * RSA_BYTES / 2)

/*
 * A fresh key: d, p, q, d mod p-1, d mod q-1, 1/q mod p. Takes a tenth of a
 * second or, on small machines, several. secret is wiped on failure. 0 or -1.
 */
int	rsa_make(uint8_t secret[RSA_SECRET_LEN], uint8_t modulus[RSA_BYTES]);
bool	rsa_has(const uint8_t *modulus, size_t len);
/* It signs with RSASSA-PSS, SHA-256 and a salt as long (RFC 8446, 4.2.3). */
EVP_PKEY_CTX *rsa_signer(const uint8_t secret[RSA_SECRET_LEN],
	    const uint8_t modulus[RSA_BYTES]);
struct local *local_rsa(const uint8_t *secret, const uint8_t *modulus);

/* ---- why.c ----------------------------------------------------------- */

/* Fill why; returns -1, so that a check can end with `return why_set(...)'. */
int	why_set(struct why *, enum reason, const char *field,
	    const char *expected, const char *seen);
int	why_num(struct why *, enum reason, const char *field,
	    unsigned long long expected, unsigned long long seen);
void	why_tpm(struct why *, const struct tpm_result *);
/* For the log: code, sentence and the check; the same buffer every time. */
const char *why_text(const struct why *);

/* ---- the forms: tls13.c spdm.c profile.c csr.c checkpoint.c ---------- */

#define TLS13_CONTENT_MIN	130
#define TLS13_CONTENT_MAX	146
/* Is this the complete CertificateVerify content of TLS 1.3? 0, or -1. */
int	tls13_check(enum key_algorithm, enum ipc_role asker, uint32_t scheme,
	    const uint8_t *content, size_t len, struct why *);

#define SPDM_PREFIX_LEN		100
#define SPDM_SIGNED_MAX		(SPDM_PREFIX_LEN + 48)
/*
 * What SPDM of this version signs in a context that the asker may have:
 * combined prefix || hash (DSP0274, signature generation). 0, or -1.
 */
int	spdm_build(const struct curve *, enum ipc_role asker, uint32_t version,
	    const char *context, const uint8_t *hash, size_t hashlen,
	    uint8_t *out, size_t *outlen, struct why *);

/* The bytes of libutil's checkpoint.h. 0 or -1. */
int	checkpoint_build(const struct msg_checkpoint_req *, uint8_t *out,
	    struct why *);

#define DER_MAX			2048
/*
 * TBSCertificate of a request that keeps to its profile; nothing of it comes
 * from outside but the fields. 0 and the length, or -1.
 */
int	profile_build(const struct msg_cert_req *, const struct key *issuer,
	    uint8_t *out, size_t size, size_t *len, struct why *);
/* Is this the id of a node whose SPDM key we hold? */
bool	node_is_ours(const char *node);

/* CertificationRequestInfo (RFC 2986, 4.1) over the key. 0 or -1. */
int	csr_build(const struct msg_csr_req *, const struct key *, uint8_t *out,
	    size_t size, size_t *len, struct why *);
/* SEQUENCE { what was signed, algorithm, signature }. 0 or -1. */
int	der_signed(const struct curve *, const uint8_t *tbs, size_t tbslen,
	    const struct signature *, uint8_t *out, size_t size, size_t *len);

/* ---- asn1.c: DER going out, over store.h's struct put ---------------- */

#define ASN1_UTF8	0x0c
#define ASN1_PRINTABLE	0x13
#define ASN1_UTCTIME	0x17
#define ASN1_GTIME	0x18
#define ASN1_CONTEXT(n)	(0xa0 | (n))	/* constructed */
#define GN_DNS		0x82		/* GeneralName: RFC 5280, 4.2.1.6 */
#define GN_URI		0x86
#define GN_IP		0x87
#define AT_COMMON_NAME	3
#define AT_SERIAL	5
#define AT_ORGANIZATION	10

/* A public key that is certified. */
struct subject {
	const uint8_t	*public;	/* point or modulus */
	size_t		 len;
	uint32_t	 exponent;	/* 0: a point */
};

struct put;
/* An element whose contents follow, until asn1_end() with the mark. */
size_t	asn1_begin(struct put *, uint8_t tag);
void	asn1_end(struct put *, size_t mark);
void	asn1_put(struct put *, uint8_t tag, const void *, size_t);
void	asn1_text(struct put *, uint8_t tag, const char *);
/* An INTEGER, never negative, from big-endian bytes. */
void	asn1_uint(struct put *, const uint8_t *, size_t);
void	asn1_number(struct put *, uint64_t);
void	asn1_bits(struct put *, const void *, size_t);	/* BIT STRING */
/* GeneralizedTime; Time, which is UTCTime until 2049 (RFC 5280, 4.1.2.5). */
void	asn1_gtime(struct put *, uint64_t seconds);
void	asn1_time(struct put *, uint64_t seconds);
void	asn1_signature(struct put *, const struct curve *);
void	asn1_spki(struct put *, const struct subject *);
/* RelativeDistinguishedName of one attribute, id-at and a number. */
void	asn1_attribute(struct put *, uint8_t at, const char *value);
/* DistributionPoint's name: where an issuing CA's list is. */
void	asn1_crl_point(struct put *, const char *url, unsigned generation);
/* Key identifier: 20 bytes. 0 or -1. */
int	subject_identifier(const struct subject *, uint8_t out[20]);
struct subject subject_of(const struct key *);

/* ---- extension.c ----------------------------------------------------- */

/* id-ce and a number. */
enum {
	CE_SKI = 14, CE_USAGE = 15, CE_SAN = 17, CE_BASIC = 19,
	CE_CRL_NUMBER = 20, CE_REASON = 21, CE_IDP = 28, CE_CONSTRAINTS = 30,
	CE_CRL = 31, CE_AKI = 35, CE_EKU = 37
};
#define EKU_OCSP	0x100	/* beside enum conf_usage */

/* Head of an extension; its OCTET STRING follows, then asn1_end(). */
size_t	ext_begin(struct put *, uint8_t ce, bool critical);
void	ext_basic(struct put *, int pathlen);	/* -1: not a CA */
void	ext_usage(struct put *, bool ca);
void	ext_eku(struct put *, unsigned usage);
void	ext_ski(struct put *, const struct subject *);
void	ext_aki(struct put *, const struct key *issuer);
/* The hosts, as dNSName or iPAddress, and the URI if there is one. */
void	ext_san(struct put *, const struct conf_name *hosts, const char *uri);
void	ext_permitted(struct put *, const struct conf_name *);
void	ext_crl(struct put *, const char *url, unsigned generation);
void	ext_access(struct put *, const char *url, unsigned generation);
void	ext_nocheck(struct put *);

/* ---- authority.c: the certificate service's authority ---------------- */

/*
 * Reads the records of the CA keys, after key_open(). Both arguments are
 * used as long as keyd runs. 0, or -1 with why.
 */
int	authority_open(const struct conf *, const char *dir, struct why *);
const struct conf_ca *authority_ca(void);	/* NULL: there is none */
const struct conf_profile *authority_profile(const char *name);
/* From the label of a root, issuing or ocsp key; 0: it has none. */
unsigned authority_generation(const struct key *);
void	authority_label(enum key_purpose, unsigned generation,
	    char out[KEY_LABEL_MAX + 1]);
/* May a key of this purpose have this label? 0, or -1 with why. */
int	authority_key_ok(const char *label, enum key_purpose, struct why *);
/* Name of the certificate over a root, issuing or ocsp key. 0 or -1. */
int	authority_name(struct put *, const struct key *);
/*
 * The CA of this key is certified until then, 0: by somebody else. Written
 * down before the certificate is given away. 0, or -1 with why.
 */
int	authority_record(const struct key *, uint64_t not_after,
	    struct why *);
/* When the CA's life ends; UINT64_MAX where only its root knows. */
uint64_t authority_end(const struct key *);

#define CA_WORD_MAX	40	/* with " Issuing CA 999999" below ub-common-name */

/* What is written down of a CA. */
struct ca_record {
	char		 word[CA_WORD_MAX + 1];	/* its name begins with */
	uint64_t	 not_after;	/* 0: certified by a root elsewhere */
};

/* Pure: its bytes. 0 or -1. */
int	ca_record_format(const struct ca_record *, uint8_t *buf, size_t size,
	    size_t *len);
int	ca_record_parse(const uint8_t *buf, size_t len, struct ca_record *);

/* ---- tbs.c ca_cert.c device_cert.c: what the authority certifies ----- */

struct tbs {
	const struct key *issuer, *over;	/* over: NULL of a device's */
	struct subject	 subject;
	const uint8_t	*serial;
	size_t		 serial_len;
	uint64_t	 not_before, not_after;
	uint64_t	 longest;	/* seconds that the profile gives */
};

int	tbs_check(const struct tbs *, struct why *);
/* Version to validity. 0, or -1: the issuer has no name. */
int	tbs_head(struct put *, const struct tbs *);
void	tbs_identifiers(struct put *, const struct tbs *);
/* Where CRL, OCSP and issuer are, if provd.conf says so. */
void	tbs_pointers(struct put *, const struct tbs *);

int	ca_cert_build(const struct msg_ca_cert_req *, const struct key *issuer,
	    const struct key *over, uint8_t *out, size_t size, size_t *len,
	    struct why *);
int	device_cert_build(const struct msg_device_cert_req *,
	    const struct key *issuer, uint8_t *out, size_t size, size_t *len,
	    struct why *);

/* ---- crl.c ----------------------------------------------------------- */

/* What is being signed, then the signed list, at buf + at. */
struct crl {
	uint8_t		*buf;
	size_t		 at, len, size;
};

/* TBSCertList of the rows in fd, which stays the caller's. 0, or -1. */
int	crl_build(const struct msg_crl_req *, const struct key *issuer, int fd,
	    struct crl *, struct why *);
int	crl_finish(struct crl *, const struct curve *,
	    const struct signature *);
int	crl_write(const struct crl *, int fd);	/* 0, or -1 with errno */
void	crl_free(struct crl *);

/* ---- ocsp.c ---------------------------------------------------------- */

/* ResponseData of one certificate. 0, or -1 with why. */
int	ocsp_build(const struct msg_ocsp_sign_req *, const struct key *,
	    uint8_t *out, size_t size, size_t *len, struct why *);

/* ---- code.c: one-time codes ------------------------------------------ */

#define CODE_LEN	16	/* 128 random bits */
#define CODE_ID_LEN	16	/* of SHA-256 over a label and the code */
#define CODES_MAX	4	/* held at once */
#define CODE_HASH_MAX	48

/* What this node is in the session. */
enum code_dir { CODE_REQUESTER, CODE_RESPONDER, CODE_NDIRS };

struct code_ask {
	const uint8_t	*id;
	size_t		 idlen;
	enum code_dir	 dir;
	const char	*node;		/* id of the node that answers */
	uint32_t	 version;	/* of SPDM */
	enum key_algorithm algorithm;
	const uint8_t	*th1;
	size_t		 th1len;
};

struct code_secrets {
	size_t		 len;		/* of each */
	uint8_t		 request[CODE_HASH_MAX];	/* handshake secrets */
	uint8_t		 response[CODE_HASH_MAX];
	uint8_t		 master[CODE_HASH_MAX];
};

int	code_open(void);		/* before confinement. 0 or -1 */
void	code_close(void);		/* wipes */
/* Hold a code for so many ms; id is CODE_ID_LEN bytes. 0, or -1. */
int	code_put(const uint8_t *code, size_t len, uint32_t lifetime,
	    uint64_t now, uint8_t *id, struct why *);
void	code_drop(const uint8_t *id, size_t len);
/*
 * The secrets of one session. An attempt with an id that is held burns the
 * code in that direction, whatever comes of it. 0 and the caller wipes, or -1.
 */
int	code_use(const struct code_ask *, uint64_t now, struct code_secrets *,
	    struct why *);
/* Wipe what is over. Milliseconds until the next one is, or -1. */
int64_t	code_tick(uint64_t now);

/* ---- dispatch.c: what keyd does for whom ----------------------------- */

struct keyd_conf {
	unsigned	 backend;
	struct tpm	*tpm;
	enum reason	 state;		/* what is wrong from the start on */
};

extern const struct hub_peer keyd_peers[];
extern const size_t keyd_npeers;
void	keyd_serve(const struct keyd_conf *);

/* ---- filter.c -------------------------------------------------------- */

extern const struct confine keyd_confine;

#endif
