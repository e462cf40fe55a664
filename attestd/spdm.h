/*
 * SPDM 1.2 and 1.3 (DSP0274) over TCP (DSP0287) and MCTP (DSP0275), and 1.1
 * for a requester that verifies: the part of attestd that is
 * bytes in, struct out. No file of it does I/O, keeps time or knows an event
 * loop; unit tests and fuzzers link it without the daemon.
 *
 * Everything on the wire is little-endian but r || s, which are big-endian.
 */
#ifndef SPDM_H
#define SPDM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "der.h"
#include "ipc.h"
#include "reason.h"

#define SPDM_V10		0x10
#define SPDM_V11		0x11
#define SPDM_V12		0x12
#define SPDM_V13		0x13
/* Versions as the bits of a job and of provd.conf(5). */
#define SPDM_ALLOW_12		0x01
#define SPDM_ALLOW_13		0x02
#define SPDM_ALLOW_11		0x04	/* as requester only */
#define SPDM_ALLOW_ALL		0x07

#define SPDM_NONCE		32
#define SPDM_HINT		16	/* id of a one-time code */
#define SPDM_CONTEXT		8	/* requester's context, from 1.3 on */
#define SPDM_HASH_MAX		48
#define SPDM_SIG_MAX		96
#define SPDM_SLOTS		8
#define SPDM_OPAQUE_MAX		1024	/* DSP0274, opaque data */
#define SPDM_VERSIONS_MAX	32
#define SPDM_MIN_TRANSFER	42	/* MinDataTransferSize of 1.2 and 1.3 */
#define SPDM_ANY_TRANSFER	0xffff	/* 1.1 names none: a frame of DSP0287 */
#define SPDM_CHAIN_MAX		20480	/* bytes of one slot that we read */
#define SPDM_CERTS_MAX		8	/* certificates of one slot */
#define SPDM_BLOCKS_MAX		128
#define SPDM_VALUE_MAX		1024	/* bytes of one measurement value */
#define SPDM_REQUEST_MAX	0x2000	/* bytes of a request that we build */
#define SPDM_DIGESTS_MAX	424	/* eight slots of a multi-key connection */

/* Codes of requests; a response is the request with bit 7 clear. */
enum spdm_code {
	SPDM_DIGESTS = 0x01, SPDM_CERTIFICATE = 0x02,
	SPDM_CHALLENGE_AUTH = 0x03, SPDM_VERSION = 0x04,
	SPDM_CHUNK_SEND_ACK = 0x05, SPDM_CHUNK_RESPONSE = 0x06,
	SPDM_KEY_EXCHANGE_RSP = 0x64, SPDM_FINISH_RSP = 0x65,
	SPDM_PSK_EXCHANGE_RSP = 0x66, SPDM_PSK_FINISH_RSP = 0x67,
	SPDM_HEARTBEAT_ACK = 0x68, SPDM_KEY_UPDATE_ACK = 0x69,
	SPDM_ENCAPSULATED_REQUEST = 0x6a, SPDM_ENCAPSULATED_ACK = 0x6b,
	SPDM_END_SESSION_ACK = 0x6c,
	SPDM_MEASUREMENTS = 0x60, SPDM_CAPABILITIES = 0x61,
	SPDM_CSR = 0x6d, SPDM_SET_CERTIFICATE_RSP = 0x6e,
	SPDM_ALGORITHMS = 0x63, SPDM_ERROR = 0x7f,
	SPDM_GET_DIGESTS = 0x81, SPDM_GET_CERTIFICATE = 0x82,
	SPDM_CHALLENGE = 0x83, SPDM_GET_VERSION = 0x84,
	SPDM_CHUNK_SEND = 0x85, SPDM_CHUNK_GET = 0x86,
	SPDM_GET_MEASUREMENTS = 0xe0, SPDM_GET_CAPABILITIES = 0xe1,
	SPDM_NEGOTIATE_ALGORITHMS = 0xe3, SPDM_KEY_EXCHANGE = 0xe4,
	SPDM_FINISH = 0xe5, SPDM_PSK_EXCHANGE = 0xe6, SPDM_PSK_FINISH = 0xe7,
	SPDM_HEARTBEAT = 0xe8, SPDM_KEY_UPDATE = 0xe9,
	SPDM_GET_ENCAPSULATED = 0xea, SPDM_DELIVER_ENCAPSULATED = 0xeb,
	SPDM_END_SESSION = 0xec, SPDM_GET_CSR = 0xed,
	SPDM_SET_CERTIFICATE = 0xee, SPDM_RESPOND_IF_READY = 0xff
};

enum spdm_error_code {
	SPDM_E_INVALID_REQUEST = 0x01, SPDM_E_INVALID_SESSION = 0x02,
	SPDM_E_BUSY = 0x03,
	SPDM_E_UNEXPECTED = 0x04, SPDM_E_UNSPECIFIED = 0x05,
	SPDM_E_DECRYPT = 0x06, SPDM_E_UNSUPPORTED = 0x07,
	SPDM_E_IN_FLIGHT = 0x08, SPDM_E_INVALID_RESPONSE = 0x09,
	SPDM_E_SESSION_LIMIT = 0x0a, SPDM_E_SESSION_REQUIRED = 0x0b,
	SPDM_E_RESET_REQUIRED = 0x0c,
	SPDM_E_RESPONSE_TOO_LARGE = 0x0d, SPDM_E_LARGE_RESPONSE = 0x0f,
	SPDM_E_MESSAGE_LOST = 0x10,
	SPDM_E_VERSION_MISMATCH = 0x41, SPDM_E_NOT_READY = 0x42,
	SPDM_E_NO_PENDING = 0x45
};

/* Capability flags (DSP0274, GET_CAPABILITIES and CAPABILITIES). */
#define SPDM_CAP_CACHE		0x00000001u
#define SPDM_CAP_CERT		0x00000002u
#define SPDM_CAP_CHAL		0x00000004u
#define SPDM_CAP_MEAS_NOSIG	0x00000008u
#define SPDM_CAP_MEAS_SIG	0x00000010u
#define SPDM_CAP_MEAS		0x00000018u
#define SPDM_CAP_MEAS_FRESH	0x00000020u
#define SPDM_CAP_ENCRYPT	0x00000040u
#define SPDM_CAP_MAC		0x00000080u
#define SPDM_CAP_MUT_AUTH	0x00000100u
#define SPDM_CAP_KEY_EX		0x00000200u
#define SPDM_CAP_PSK		0x00000c00u
#define SPDM_CAP_ENCAP		0x00001000u
#define SPDM_CAP_HBEAT		0x00002000u
#define SPDM_CAP_KEY_UPD	0x00004000u
#define SPDM_CAP_CLEAR		0x00008000u
#define SPDM_CAP_PUB_KEY_ID	0x00010000u
#define SPDM_CAP_CHUNK		0x00020000u
#define SPDM_CAP_SET_CERT	0x00080000u
#define SPDM_CAP_CSR		0x00100000u
#define SPDM_CAP_INSTALL_RESET	0x00200000u
#define SPDM_CAP_EP_INFO	0x00c00000u
#define SPDM_CAP_MULTI_KEY	0x0c000000u
#define SPDM_MULTI_KEY_ONLY	0x04000000u	/* values of it */
#define SPDM_MULTI_KEY_NEG	0x08000000u

#define SPDM_MEAS_DMTF		0x01	/* measurement specification */
#define SPDM_OPAQUE_FMT1	0x02	/* OtherParams */
#define SPDM_MULTI_KEY_CONN	0x10	/* 1.3 */
/* Of one slot in DIGESTS of a multi-key connection: CertificateInfo ... */
#define SPDM_CERT_MODEL		0x07
#define SPDM_CERT_DEVICE	1
#define SPDM_CERT_ALIAS		2
#define SPDM_CERT_GENERIC	3
/* ... and KeyUsageMask. */
#define SPDM_USE_KEY_EXCHANGE	0x0001
#define SPDM_USE_CHALLENGE	0x0002
#define SPDM_USE_MEASUREMENTS	0x0004
#define SPDM_SUMMARY_NONE	0x00
#define SPDM_SUMMARY_TCB	0x01
#define SPDM_SUMMARY_ALL	0xff
#define SPDM_ATTR_SIGN		0x01	/* GET_MEASUREMENTS, Param1 */
#define SPDM_ATTR_RAW		0x02
#define SPDM_ATTR_NEW		0x04	/* from 1.3 on */
#define SPDM_OP_COUNT		0x00	/* GET_MEASUREMENTS, Param2 */
#define SPDM_OP_ALL		0xff

/* Which check failed; goes into JOB_FAILED and into the log. */
struct spdm_why {
	enum reason	reason;
	char		field[65];
	char		expected[161];
	char		seen[161];
};

/* A pair of signature and hash that we speak; the row's number is its
 * enum key_algorithm. */
struct spdm_alg {
	const char	*name;
	uint32_t	 asym, hash;	/* bits in NEGOTIATE_ALGORITHMS */
	const char	*md_name, *group;
	size_t		 hash_len, sig_len;
};

/* Fills n bytes. A function pointer so that a test can play a recording. */
typedef void (*spdm_random_fn)(void *arg, uint8_t *, size_t);

/* ---- spdm_msg.c: messages ------------------------------------------------ */

/* What is written; full is set once something did not fit. */
struct spdm_buf {
	uint8_t	*data;
	size_t	 size, len;
	bool	 full;
};

struct spdm_hdr {
	uint8_t	version, code, p1, p2;
};

struct spdm_caps {
	uint8_t		version, p1;
	uint8_t		ct_exponent;
	uint32_t	flags, data_transfer, max_msg;
};

enum spdm_table { SPDM_T_DHE, SPDM_T_AEAD, SPDM_T_REQ_ASYM, SPDM_T_SCHEDULE,
	SPDM_NTABLES };

struct spdm_algs {
	uint8_t		version;
	uint8_t		meas_spec, other, mel_spec;
	uint8_t		ext;		/* extended algorithms named */
	uint32_t	base_asym, base_hash;
	uint32_t	meas_hash;	/* ALGORITHMS only */
	uint8_t		tables;		/* bit n: table n is there */
	uint16_t	table[SPDM_NTABLES];
};

struct spdm_versions {
	size_t		n;
	uint8_t		version[SPDM_VERSIONS_MAX];	/* 0x12 is 1.2 */
};

struct spdm_digests {
	uint8_t		supported, provisioned;
	size_t		n;
	const uint8_t	*digest;	/* n digests in the message */
	/* n of each, u16 the last; NULL unless the connection is multi-key. */
	const uint8_t	*key_pair, *cert_info, *usage;
};

struct spdm_get_certificate {
	uint8_t		slot;
	bool		size_only;	/* SlotSizeRequested, from 1.3 on */
	uint16_t	offset, length;
};

struct spdm_certificate {
	uint8_t		slot;
	uint16_t	length, remainder;
	const uint8_t	*data;
};

struct spdm_challenge {
	uint8_t		slot, summary;
	const uint8_t	*nonce;
	const uint8_t	*context;	/* NULL before 1.3 */
};

struct spdm_challenge_auth {
	uint8_t		slot, mask;
	const uint8_t	*chain_hash, *nonce, *summary, *context, *signature;
};

struct spdm_get_measurements {
	uint8_t		attr, op, slot;
	const uint8_t	*nonce;		/* NULL if not signed */
	const uint8_t	*context;	/* NULL before 1.3 */
};

struct spdm_measurements {
	uint8_t		count;		/* Param1, only for SPDM_OP_COUNT */
	uint8_t		slot, changed;
	uint8_t		nblocks;
	size_t		record_len;
	const uint8_t	*record, *nonce, *context, *signature;
};

struct spdm_block {
	uint8_t		index, spec, type;
	bool		raw;
	size_t		len;
	const uint8_t	*value;
};

struct spdm_error {
	uint8_t		code, data;
	uint8_t		rdt_exponent, request, token, rdtm;	/* NOT_READY */
};

void	spdm_buf_init(struct spdm_buf *, uint8_t *, size_t);
uint32_t spdm_le32(const uint8_t *);
void	spdm_put_u8(struct spdm_buf *, uint8_t);
void	spdm_put_u16(struct spdm_buf *, uint16_t);
void	spdm_put_u24(struct spdm_buf *, uint32_t);
void	spdm_put_u32(struct spdm_buf *, uint32_t);
void	spdm_put(struct spdm_buf *, const void *, size_t);
void	spdm_put_hdr(struct spdm_buf *, uint8_t version, uint8_t code,
	    uint8_t p1, uint8_t p2);

/*
 * Each _get takes one whole message and returns 0 only if every byte of it
 * is accounted for; pointers in the struct point into the message. The codes
 * and versions have been checked by the caller.
 */
int	spdm_hdr_get(const uint8_t *, size_t, struct spdm_hdr *);
int	spdm_versions_get(const uint8_t *, size_t, struct spdm_versions *);
int	spdm_caps_get(const uint8_t *, size_t, struct spdm_caps *);
int	spdm_negotiate_get(const uint8_t *, size_t, struct spdm_algs *);
int	spdm_algorithms_get(const uint8_t *, size_t, struct spdm_algs *);
int	spdm_digests_get(const uint8_t *, size_t, size_t hash_len,
	    bool multi_key, struct spdm_digests *);
int	spdm_get_certificate_get(const uint8_t *, size_t,
	    struct spdm_get_certificate *);
int	spdm_certificate_get(const uint8_t *, size_t,
	    struct spdm_certificate *);
int	spdm_challenge_get(const uint8_t *, size_t, struct spdm_challenge *);
int	spdm_challenge_auth_get(const uint8_t *, size_t,
	    const struct spdm_alg *, bool summary,
	    struct spdm_challenge_auth *);
int	spdm_get_measurements_get(const uint8_t *, size_t,
	    struct spdm_get_measurements *);
int	spdm_measurements_get(const uint8_t *, size_t,
	    const struct spdm_alg *, bool is_signed,
	    struct spdm_measurements *);
int	spdm_error_get(const uint8_t *, size_t, struct spdm_error *);
/* The next block of a record: 1, 0 at its end, -1 if malformed. */
int	spdm_block_next(const uint8_t **, size_t *left, struct spdm_block *);

void	spdm_caps_put(struct spdm_buf *, uint8_t code,
	    const struct spdm_caps *);
void	spdm_negotiate_put(struct spdm_buf *, const struct spdm_algs *);
void	spdm_algorithms_put(struct spdm_buf *, const struct spdm_algs *);
void	spdm_error_put(struct spdm_buf *, uint8_t version, uint8_t code,
	    uint8_t data);
void	spdm_block_put(struct spdm_buf *, const struct spdm_block *);
struct spdm_slot;
/* DIGESTS of the slots in the mask. */
void	spdm_digests_put(struct spdm_buf *, uint8_t version,
	    const struct spdm_slot *, uint8_t mask, size_t hash_len,
	    bool multi_key);

/* ---- spdm_alg.c: algorithms, prefix, signatures -------------------------- */

/* Loads what OpenSSL would load lazily; once, before confinement. 0 or -1. */
int	spdm_init(void);
const struct spdm_alg *spdm_alg(enum key_algorithm);
/* The row whose two bits are exactly these, or NULL. */
const struct spdm_alg *spdm_alg_selected(uint32_t asym, uint32_t hash);
const EVP_MD *spdm_md(const struct spdm_alg *);
const EVP_MD *spdm_sha256(void);
/* Bytes of a measurement hash of this bit, 0 if it is none. */
size_t	spdm_meas_hash_len(uint32_t bit);

#define SPDM_PREFIX		100
#define SPDM_CTX_CHALLENGE	"responder-challenge_auth signing"
#define SPDM_CTX_MEASUREMENTS	"responder-measurements signing"
/* The combined prefix of 1.2 and later (DSP0274, signature generation). */
void	spdm_prefix(uint8_t version, const char *context,
	    uint8_t out[SPDM_PREFIX]);
/* Verify r || s over prefix and transcript hash, or, in 1.1, which has no
 * prefix, over the transcript whose hash it is. 0, or -1. */
int	spdm_verify(EVP_PKEY *, const struct spdm_alg *, uint8_t version,
	    const char *context, const uint8_t *hash, const uint8_t *sig);
/* Hash of one string. */
void	spdm_hash(const EVP_MD *, const void *, size_t, uint8_t *out);
/* Fill *w. expected and seen may be NULL. Always returns -1. */
int	spdm_fail(struct spdm_why *, enum reason, const char *field,
	    const char *expected, const char *seen, ...)
	    __attribute__((format(printf, 5, 6)));

/* ---- spdm_lib.c ---------------------------------------------------------- */

/* The library context in which certificates live and signatures are
 * verified. spdm_init() makes it. */
OSSL_LIB_CTX *spdm_lib(void);
int	spdm_lib_init(void);

/* ---- transcript.c -------------------------------------------------------- */

#define TRANSCRIPT_A_MAX	1024

/*
 * What is signed: M1/M2 = A B C and L1/L2 = A M (DSP0274, CHALLENGE and
 * GET_MEASUREMENTS). A is kept as bytes until the hash is negotiated; the
 * others only ever exist as running hashes.
 */
struct transcript {
	uint8_t		 a[TRANSCRIPT_A_MAX];
	size_t		 alen;
	const struct spdm_alg *alg;	/* NULL until negotiated */
	EVP_MD_CTX	*base, *b, *m, *tmp;
	bool		 b_clean, m_clean;	/* equal to their start */
	bool		 m_alone;	/* L1/L2 without A: before 1.2 */
};

int	transcript_init(struct transcript *);	/* 0, or -1: no memory */
void	transcript_free(struct transcript *);
void	transcript_reset(struct transcript *);	/* GET_VERSION */
int	transcript_a(struct transcript *, const void *, size_t);
/* A is complete. */
void	transcript_negotiated(struct transcript *, const struct spdm_alg *);
/* The version is 1.1: to be said before transcript_negotiated(). */
void	transcript_m_alone(struct transcript *);
void	transcript_reset_b(struct transcript *);
void	transcript_reset_m(struct transcript *);
/* A request of B with its response. */
void	transcript_b(struct transcript *, const void *req, size_t,
	    const void *rsp, size_t);
/* A request of M with its response, without the signature if there is one. */
void	transcript_m(struct transcript *, const void *req, size_t,
	    const void *rsp, size_t);
/*
 * M1/M2 with this C at its end. C is not kept: a CHALLENGE that fails leaves
 * B as it was, so that it can be asked again.
 */
void	transcript_c_hash(struct transcript *, const void *req, size_t,
	    const void *rsp, size_t, uint8_t *out);
void	transcript_m_hash(struct transcript *, uint8_t *out);

/* ---- spdm_cert.c: what a slot holds -------------------------------------- */

struct spdm_root {		/* an accepted root, for chains below theirs */
	X509		*cert;
	uint8_t		 sha256[32], sha384[48];
};

struct spdm_chain {
	size_t		 n;
	X509		*cert[SPDM_CERTS_MAX];
	const uint8_t	*der[SPDM_CERTS_MAX];	/* in the caller's buffer */
	size_t		 der_len[SPDM_CERTS_MAX];
	EVP_PKEY	*key;			/* the leaf's, in its cert */
	uint8_t		 spki[32];		/* SHA-256 of the key's DER */
	uint8_t		 root_sha256[32];
	uint64_t	 not_before, not_after;	/* all of them overlap here */
};

/* Whose key it is: the leaf of slot 0 in fields. */
struct spdm_identity {
	char		node[41];
	char		serial[65];	/* the leaf's serial number, hex */
	char		device[65];	/* serialNumber of its subject */
	char		subject[256];	/* RFC 2253 */
};

struct spdm_chain_rules {
	const struct spdm_alg *alg;
	uint8_t		 version, slot;
	bool		 self_signed;	/* check the root's signature */
	bool		 requester;	/* whose leaf it is; else a responder's */
	const struct spdm_root *roots;	/* for chains that start below one */
	size_t		 nroots;
};

/*
 * Parse the content of a slot, each certificate once, and check it against
 * DSP0274, certificates and certificate chains. Validity windows are
 * computed and never judged. 0, or -1 with *why. spdm_chain_free() in any
 * case.
 */
int	spdm_chain_read(const uint8_t *, size_t,
	    const struct spdm_chain_rules *, struct spdm_chain *,
	    struct spdm_why *);
/* Slot 1: a node CA and the leaf that it issued over the key of slot 0. */
int	spdm_anchor_check(const struct spdm_chain *anchor,
	    const struct spdm_chain *slot0, struct spdm_why *);
void	spdm_identity(const struct spdm_chain *, struct spdm_identity *);
void	spdm_chain_free(struct spdm_chain *);
X509	*spdm_x509(const uint8_t *, size_t, const uint8_t **end);

/* ---- spdm_tcp.c: DSP0287 ------------------------------------------------- */

#define SPDM_TCP_HDR		4
#define SPDM_TCP_SPDM		0x05
#define SPDM_TCP_SECURED	0x06
#define SPDM_TCP_INQUIRY	0xbf
#define SPDM_TCP_TOO_LARGE	0xc0
#define SPDM_TCP_NO_VERSION	0xc1
#define SPDM_TCP_NO_REQUESTER	0xc2
#define SPDM_TCP_NO_RESPONDER	0xc3

/*
 * PayloadLen counts the two bytes after it (libspdm), or what follows the
 * header (others). The first message of a connection has a length of its
 * own and tells which; what is assumed before that:
 */
#define SPDM_TCP_COUNTED_DEFAULT	true

struct spdm_tcp {
	bool	counted;	/* PayloadLen = message + 2 */
	bool	known;		/* seen, no longer assumed */
	size_t	max;		/* longest message that is taken; a secured
				   record may be longer */
};

enum spdm_tcp_result {
	TCP_MORE,		/* the frame is not whole yet */
	TCP_MESSAGE,		/* an SPDM message */
	TCP_PEER_ERROR,		/* the peer sent Role-Inquiry or an error */
	TCP_BAD			/* end it, after sending reply if it is not 0 */
};

struct spdm_frame {
	uint8_t		 type;		/* MessageType as received */
	const uint8_t	*msg;
	size_t		 len;
	size_t		 used;		/* bytes of the buffer consumed */
	uint8_t		 reply;		/* answer this type, 0: none */
};

enum spdm_tcp_result spdm_tcp_next(struct spdm_tcp *, const uint8_t *, size_t,
	    struct spdm_frame *);
void	spdm_tcp_header(const struct spdm_tcp *, uint8_t type, size_t len,
	    uint8_t out[SPDM_TCP_HDR]);

/* ---- measure.c: what this node measures of itself ------------------------ */

#define MEASURE_FILES_MAX	32
#define MEASURE_PCRS		8
#define MEASURE_RAW_MAX		128

struct measure {
	uint8_t		index, type;	/* DMTF value type */
	bool		tcb;		/* counts for the TCB summary */
	bool		raw_only;	/* there is no digest form */
	bool		has_raw;
	uint8_t		digest[SPDM_HASH_MAX];
	size_t		digest_len;
	uint8_t		raw[MEASURE_RAW_MAX];
	size_t		raw_len;
};

struct measure_set {
	size_t		n;
	struct measure	m[MEASURE_FILES_MAX + MEASURE_PCRS + 4];
};

struct conf_path;
/* Hash the files and read the boot id: before confinement. 0, or -1 with
 * the path in *bad. */
int	measure_files(struct measure_set *, const struct conf_path *,
	    const char *boot_id, bool developer, const char **bad);
/* Put in (or, with NULL, take out) the PCR values. */
void	measure_pcrs(struct measure_set *, const uint8_t *values);
const struct measure *measure_find(const struct measure_set *, uint8_t index);
/* The block of a row, raw or digest as asked for. */
void	measure_block(const struct measure *, bool raw, struct spdm_buf *);
/* Hash of the blocks in digest form (DSP0274, measurement summary). */
void	measure_summary(const struct measure_set *, bool all, const EVP_MD *,
	    uint8_t *out);

/* ---- spdm_tables.c: one row a request ------------------------------------ */

struct responder;
struct requester;

enum spdm_state {		/* of a connection; bits, for the column */
	SPDM_S_START = 1, SPDM_S_VERSION = 2, SPDM_S_CAPS = 4, SPDM_S_READY = 8
};
#define SPDM_S_ANY	(SPDM_S_START | SPDM_S_VERSION | SPDM_S_CAPS | \
			    SPDM_S_READY)

#define SPDM_F_SESSION	0x01	/* only inside a secured session */
#define SPDM_F_OWN_VER	0x02	/* brings its own version */
#define SPDM_RESET_B	0x04	/* starts B anew */
#define SPDM_RESET_M	0x08	/* starts M anew */
#define SPDM_F_HAND	0x10	/* may come in a session's handshake */
#define SPDM_F_DATA	0x20	/* may come in a session after it */
#define SPDM_F_BOTH	0x40	/* both sides must have the capability */

/* TAKE_HOLD: an act of the daemon comes first. */
enum spdm_take { TAKE_NEXT, TAKE_AGAIN, TAKE_HOLD, TAKE_FAIL };

struct spdm_row {
	uint8_t		 code;
	const char	*name;
	uint8_t		 since;		/* lowest version that has it */
	uint32_t	 caps;		/* needed: one of these, if any */
	uint8_t		 states;
	uint8_t		 flags;
	uint16_t	 min, max;	/* bytes of the request in 1.2 */
	uint16_t	 more13;	/* bytes more from 1.3 on */
	uint16_t	 rsp_min;	/* bytes of the response */
	/* Responder: 0 with a response, or an enum spdm_error_code. */
	uint8_t		(*serve)(struct responder *, const uint8_t *, size_t);
	/* Requester: write the request, read the response. */
	void		(*ask)(struct requester *);
	enum spdm_take	(*take)(struct requester *, const uint8_t *, size_t);
};

const struct spdm_row *spdm_row(uint8_t code);	/* NULL: unknown */
const char *spdm_code_name(uint8_t code);	/* of requests */
const char *spdm_error_name(uint8_t code);
/* NULL, or what makes the combination illegal (DSP0274, capabilities). */
const char *spdm_caps_illegal(const struct spdm_caps *, bool request);
/* The flags that a version defines; its others are reserved. */
uint32_t spdm_caps_known(uint8_t version);
/* "1.2 or 1.3", for people. */
const char *spdm_versions_text(uint32_t allowed);
/* The SPDM_ALLOW_ bit of a version, 0 if it has none. */
uint32_t spdm_allow(uint8_t version);

/* What keyd signs: the prefix of version and context, and the hash. */
struct responder_sign {
	uint32_t	 serial;	/* give it back with the signature */
	uint32_t	 key;
	uint8_t		 version;
	const char	*context;
	const uint8_t	*hash;
	size_t		 hash_len, sig_len;
};

/* ---- requester.c --------------------------------------------------------- */

enum spdm_act {
	SPDM_SEND,		/* requester_out() goes to the peer */
	SPDM_SIGN,		/* requester_sign() says what keyd must sign;
				   then requester_signed() */
	SPDM_KEYS,		/* requester_psk() says what keyd must derive;
				   then requester_secrets() */
	SPDM_ISSUE,		/* requester_csr() wants a certificate; then
				   requester_chain() */
	SPDM_WAIT,		/* requester_delay(), then requester_wake() */
	SPDM_DONE,		/* the evidence is complete */
	SPDM_FAIL		/* requester_why() says why */
};

struct spdm_step {
	uint8_t		code;		/* request */
	/* Slot of GET_CERTIFICATE, SET_CERTIFICATE, KEY_EXCHANGE; operation of KEY_UPDATE;
	 * Param1 of END_SESSION. */
	uint8_t		slot;
};

/* What is offered, and in which order it is asked. */
struct requester_conf {
	struct spdm_caps caps;		/* version is chosen later */
	struct spdm_algs algs;		/* without asym and hash: below */
	uint32_t	 versions;	/* SPDM_ALLOW_ bits */
	uint32_t	 algorithms;	/* bits 1 << enum key_algorithm */
	uint8_t		 anchor;	/* slot of the node CA; 0: none */
	const struct spdm_step *steps;
	size_t		 nsteps;
	const struct spdm_root *roots;
	size_t		 nroots;
	spdm_random_fn	 random;
	void		*random_arg;
	/* Sessions (spdm_session.h). */
	const struct spdm_binding *binding;	/* how records look here */
	const struct spdm_dhe_ops *dhe;	/* NULL: spdm_dhe */
	void		*dhe_arg;
	uint16_t	 session;	/* our half of the session's id */
	uint8_t		 hint[SPDM_HINT];	/* of PSK_EXCHANGE */
	uint8_t		 csr_tag;	/* of GET_CSR after a reset, or 0 */
	/* Our own chains, for a responder that wants to know us; or NULL. */
	const struct spdm_slot *slots;
	/* Told how far it got, for people. May be NULL. */
	void		(*step)(void *arg, unsigned step, const char *detail);
	void		*step_arg;
};

#define REQUESTER_TRANSFER	0x4000	/* our DataTransferSize */

struct spdm_evidence {
	uint8_t		 version;
	enum key_algorithm algorithm;
	struct spdm_identity id;
	uint8_t		 root_sha256[32];
	uint64_t	 not_before, not_after;
	const uint8_t	*anchor;	/* DER of the node CA, NULL if none */
	size_t		 anchor_len;
	uint64_t	 anchor_before, anchor_after;	/* the slot's window */
	const uint8_t	*record;	/* measurement blocks */
	size_t		 record_len;
	unsigned	 nblocks;
	bool		 code;		/* signed again under a code */
};

/* What a provd node offers when it attests; the caller sets the rest. */
void	requester_defaults(struct requester_conf *);
/* What it offers besides if its steps open a session: mutual if it may be
 * asked to authenticate itself (conf->slots). */
void	requester_offer_session(struct requester_conf *, bool mutual);
/* nonce is the job's, for GET_MEASUREMENTS. NULL: no memory. */
struct requester *requester_new(const struct requester_conf *,
	    const uint8_t nonce[SPDM_NONCE]);
void	requester_free(struct requester *);
enum spdm_act requester_start(struct requester *);
/* A message, or a secured record. */
enum spdm_act requester_feed(struct requester *, bool secured,
	    const uint8_t *, size_t);
enum spdm_act requester_wake(struct requester *);
/* What keyd must sign for SPDM_SIGN; and its signature, or NULL if it has
 * none to give. */
const struct responder_sign *requester_sign(const struct requester *);
enum spdm_act requester_signed(struct requester *, const uint8_t *sig);
/* Valid until the next feed; whether it is a secured record. */
const uint8_t *requester_out(const struct requester *, bool *secured,
	    size_t *len);
uint32_t requester_delay(const struct requester *);	/* milliseconds */
const struct spdm_why *requester_why(const struct requester *);
/* Valid until requester_free(). */
const struct spdm_evidence *requester_evidence(const struct requester *);

/* ---- responder.c --------------------------------------------------------- */

struct spdm_slot {
	uint32_t	 key;		/* keyd's number */
	enum key_algorithm algorithm;
	uint8_t		*content;	/* as on the wire; NULL: empty */
	size_t		 len;
	uint8_t		 digest[SPDM_HASH_MAX];
	/* Told on multi-key connections. */
	uint8_t		 key_pair, model;	/* KeyPairID, SPDM_CERT_ */
	uint16_t	 usage;			/* SPDM_USE_ */
};

struct responder_conf {
	struct spdm_caps caps;
	uint32_t	 versions;	/* SPDM_ALLOW_ bits */
	struct spdm_algs algs;		/* what may be selected */
	const struct spdm_slot *slots;	/* SPDM_SLOTS of them */
	const struct measure_set *measures;	/* NULL: not known yet, Busy */
	spdm_random_fn	 random;
	void		*random_arg;

	/* Sessions (spdm_session.h). */
	const struct spdm_binding *binding;	/* how records look here */
	const struct spdm_dhe_ops *dhe;	/* NULL: spdm_dhe */
	void		*dhe_arg;
	uint8_t		 heartbeat;	/* seconds, 0: none */
	uint8_t		 mutual;	/* SPDM_MUT_: asked of a requester */
	/* SPDM_MUT_KNOWN: the requester's chain, and which of its slots. */
	const struct spdm_slot *known;
	uint8_t		 known_slot;
	/* Where a requester's chain may end, and the trusted time that its
	 * validity must hold (0: not judged). */
	const struct spdm_root *roots;
	size_t		 nroots;
	uint64_t	 now;

	/* A device whose slots somebody else fills (spdm_csr.h), or NULL. */
	uint8_t		(*csr)(void *arg, uint8_t *tag, uint8_t *, size_t *len);
	uint8_t		(*set_certificate)(void *arg, uint8_t slot,
			    const uint8_t *ders, size_t len);
	void		*csr_arg;
};

enum responder_act {
	RESPONDER_SEND,		/* responder_out() goes to the peer */
	RESPONDER_SIGN,		/* responder_sign() says what keyd must sign;
				   then responder_signed() */
	RESPONDER_PSK,		/* responder_psk() says what keyd must derive;
				   then responder_secrets() */
	RESPONDER_NONE		/* a record of no session: no answer */
};

#define RESPONDER_TRANSFER	0x1200	/* our DataTransferSize */
#define RESPONDER_HEARTBEAT	15	/* seconds */

void	responder_defaults(struct responder_conf *);
struct responder *responder_new(const struct responder_conf *);
void	responder_free(struct responder *);
/*
 * A message, or a secured record. Not while a signature is awaited, unless
 * responder_defer() was called.
 */
enum responder_act responder_feed(struct responder *, bool secured,
	    const uint8_t *, size_t);
const struct responder_sign *responder_sign(const struct responder *);
/*
 * The signature, or NULL if keyd has none to give: then the answer is ERROR
 * Busy. True: responder_out() goes to the peer. False: the answer was
 * deferred and waits for RESPOND_IF_READY, or nobody waits for it any more.
 */
bool	responder_signed(struct responder *, uint32_t serial,
	    const uint8_t *sig);
/* The signature takes long: answer ResponseNotReady meanwhile. */
void	responder_defer(struct responder *);
/* Valid until the next feed; whether it is a secured record. Nothing (length
 * 0) if the session could not carry the answer and is over. */
const uint8_t *responder_out(const struct responder *, bool *secured,
	    size_t *len);
/* The ERROR code of the last answer, 0 if it was none. */
uint8_t	responder_error(const struct responder *);
/* A signed MEASUREMENTS was the last answer. */
bool	responder_attested(const struct responder *);
/* Why a requester did not authenticate itself; R_OK if that was not it. */
const struct spdm_why *responder_why(const struct responder *);
/* A session stands, or is being made. */
bool	responder_in_session(const struct responder *);
/* Seconds between the signs of life that its requester owes, 0: none. */
unsigned responder_heartbeat(const struct responder *);
/* It was silent for too long: the session ends without a word. */
void	responder_expire(struct responder *);
/* Content of a slot from DERs, root first. 0, or -1. */
int	spdm_slot_set(struct spdm_slot *, uint32_t key, enum key_algorithm,
	    const uint8_t *ders, size_t);
void	spdm_slot_clear(struct spdm_slot *);

#endif
