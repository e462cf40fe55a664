/*
 * An OpenSSL provider for keys whose private half is in keyd.
 *
 * Keys are named "EC" and "RSA" as those of the default provider, because
 * libssl finds the slot of a certificate by that name. A key can be imported without its
 * private half only, cannot be exported with it, and can sign only a whole
 * message (DIGEST_SIGN): a bare digest has no way out of this process.
 *
 * A signature pauses the handshake's asynchronous job. Its record lives on
 * the job's own stack, so everybody else knows it by a number, never by an
 * address: the connection may be gone when the answer comes.
 */
#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <string.h>

#include "tlsconn.h"

#define PARAM_KEY_ID	"provd-key"
#define SIG_MAX		256		/* as in the catalogue */
#define CONTENT_MAX	146		/* CertificateVerify with SHA-384 */
#define PUB_MAX		256
#define RSA_EXPONENT	65537

struct kind {
	const char	*name, *other;	/* SEC 2 or ANSI name, and NIST's */
	const char	*digest, *digest2;
	int		 bits, security;
	size_t		 publen, maxsig;
	uint16_t	 scheme;	/* RFC 8446, 4.2.3 */
};

static const struct kind kinds[KEY_NALGORITHMS] = {
	[KEY_P256] = { "prime256v1", "P-256", "SHA256", "SHA2-256", 256, 128,
	    65, 72, 0x0403 },
	[KEY_P384] = { "secp384r1", "P-384", "SHA384", "SHA2-384", 384, 192,
	    97, 104, 0x0503 },
	/* rsa_pss_rsae_sha256: an RSA key that signs RSASSA-PSS */
	[KEY_RSA2048] = { NULL, NULL, "SHA256", "SHA2-256", 2048, 112,
	    256, 256, 0x0804 },
};

struct remote_key {
	const struct kind *kind;
	uint32_t	 id;
	bool		 has_id;	/* else a public key alone */
	uint8_t		 pub[PUB_MAX];
	size_t		 publen;
};

struct pending {
	struct sign_request req;
	ASYNC_callback_fn wake;
	void		*wake_arg;	/* the SSL: set by libssl */
	bool		 asked, paused, done, abort;
	enum reason	 reason;
	uint8_t		 sig[SIG_MAX];
	size_t		 siglen;
};

/* One event loop, one thread; these are the process's. */
static struct {
	OSSL_LIB_CTX	*lib;
	unsigned	 skip;		/* rows of the tables below */
	provider_sign_fn sign;
	struct pending	*slot[SIGN_SLOTS];
	uint32_t	 turn, max;	/* of the slots, so many are used */
	unsigned	 npending;
	enum reason	 failure;
} prov;

/* ---- keys ---------------------------------------------------------------- */

static void *
key_new(void *provctx)
{
	return OPENSSL_zalloc(sizeof(struct remote_key));
}

static void
key_free(void *data)
{
	OPENSSL_free(data);
}

static int
key_has(const void *data, int selection)
{
	const struct remote_key *k = data;

	if (k == NULL || k->kind == NULL)
		return 0;
	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY && !k->has_id)
		return 0;
	if (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY && k->publen == 0)
		return 0;
	return 1;
}

static int
key_match(const void *a, const void *b, int selection)
{
	const struct remote_key *x = a, *y = b;

	if (x->kind == NULL || x->kind != y->kind)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
		return 1;
	return x->publen == y->publen && memcmp(x->pub, y->pub, x->publen) == 0;
}

static const struct kind *
curve_find(const char *name)
{
	size_t i;

	for (i = 0; i < KEY_NCURVES; i++)
		if (strcmp(kinds[i].name, name) == 0 ||
		    strcmp(kinds[i].other, name) == 0)
			return &kinds[i];
	return NULL;
}

static int
import_id(struct remote_key *k, const OSSL_PARAM params[])
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, PARAM_KEY_ID);

	if (p == NULL)
		return 1;
	k->has_id = true;
	return OSSL_PARAM_get_uint32(p, &k->id);
}

static int
ec_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct remote_key	*k = data;
	const OSSL_PARAM	*p;
	const char		*group;
	const void		*pub;
	size_t			 len;

	if (OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY) != NULL)
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
	if (p == NULL || !OSSL_PARAM_get_utf8_string_ptr(p, &group) ||
	    (k->kind = curve_find(group)) == NULL)
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
	if (p != NULL) {
		if (!OSSL_PARAM_get_octet_string_ptr(p, &pub, &len) ||
		    len != k->kind->publen)
			return 0;
		memcpy(k->pub, pub, len);
		k->publen = len;
	}
	return import_id(k, params);
}

static const OSSL_PARAM *
ec_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_uint32(PARAM_KEY_ID, NULL),
		OSSL_PARAM_END
	};

	return types;
}

/* One size and one exponent; a modulus comes as an integer of this machine. */
static int
rsa_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct remote_key	*k = data;
	const OSSL_PARAM	*n, *e;
	BIGNUM			*bn = NULL;
	uint32_t		 exponent;

	n = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_N);
	e = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_E);
	if (OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_D) != NULL ||
	    n == NULL || e == NULL || !OSSL_PARAM_get_uint32(e, &exponent) ||
	    exponent != RSA_EXPONENT || !OSSL_PARAM_get_BN(n, &bn))
		return 0;
	if (BN_num_bits(bn) == kinds[KEY_RSA2048].bits) {
		k->kind = &kinds[KEY_RSA2048];
		k->publen = (size_t)BN_bn2bin(bn, k->pub);
	}
	BN_free(bn);
	return k->kind != NULL && import_id(k, params);
}

static const OSSL_PARAM *
rsa_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_uint32(PARAM_KEY_ID, NULL),
		OSSL_PARAM_END
	};

	return types;
}

/*
 * Before it signs, EVP tries to move the key to the provider it prefers. The
 * refusal to export a private half is what brings the work back to us.
 */
static int
ec_export(void *data, int selection, OSSL_CALLBACK *cb, void *arg)
{
	struct remote_key *k = data;
	OSSL_PARAM	   params[3], *p = params;
	char		   group[16];

	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY || k->kind == NULL)
		return 0;
	OPENSSL_strlcpy(group, k->kind->name, sizeof(group));
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
	    group, 0);
	if (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY)
		*p++ = OSSL_PARAM_construct_octet_string(
		    OSSL_PKEY_PARAM_PUB_KEY, k->pub, k->publen);
	*p = OSSL_PARAM_construct_end();
	return cb(params, arg);
}

static const OSSL_PARAM *
ec_export_types(int selection)
{
	return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL :
	    ec_import_types(selection);
}

/* The modulus as an integer of this machine. */
static bool
rsa_native(const struct remote_key *k, uint8_t out[PUB_MAX])
{
	BIGNUM	*n = BN_bin2bn(k->pub, (int)k->publen, NULL);
	bool	 ok;

	ok = n != NULL && BN_bn2nativepad(n, out, PUB_MAX) == PUB_MAX;
	BN_free(n);
	return ok;
}

static int
rsa_export(void *data, int selection, OSSL_CALLBACK *cb, void *arg)
{
	struct remote_key *k = data;
	OSSL_PARAM	   params[3];
	uint8_t		   n[PUB_MAX];
	uint32_t	   e = RSA_EXPONENT;

	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY || k->kind == NULL ||
	    !rsa_native(k, n))
		return 0;
	params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n,
	    sizeof(n));
	params[1] = OSSL_PARAM_construct_uint32(OSSL_PKEY_PARAM_RSA_E, &e);
	params[2] = OSSL_PARAM_construct_end();
	return cb(params, arg);
}

static const OSSL_PARAM *
rsa_export_types(int selection)
{
	return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL :
	    rsa_import_types(selection);
}

static int
param_int(OSSL_PARAM params[], const char *name, int value)
{
	OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

	return p == NULL || OSSL_PARAM_set_int(p, value);
}

static int
param_text(OSSL_PARAM params[], const char *name, const char *value)
{
	OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

	return p == NULL || OSSL_PARAM_set_utf8_string(p, value);
}

static int
param_octets(OSSL_PARAM params[], const char *name, const uint8_t *value,
    size_t len)
{
	OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

	return p == NULL || OSSL_PARAM_set_octet_string(p, value, len);
}

static int
key_get_params(const struct remote_key *k, OSSL_PARAM params[])
{
	if (k->kind == NULL)
		return 0;
	return param_int(params, OSSL_PKEY_PARAM_BITS, k->kind->bits) &&
	    param_int(params, OSSL_PKEY_PARAM_SECURITY_BITS,
	    k->kind->security) &&
	    param_int(params, OSSL_PKEY_PARAM_MAX_SIZE,
	    (int)k->kind->maxsig) &&
	    param_text(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST,
	    k->kind->digest);
}

#define GETTABLE							\
	OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),			\
	OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),		\
	OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),			\
	OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0)

static int
ec_get_params(void *data, OSSL_PARAM params[])
{
	const struct remote_key *k = data;

	return key_get_params(k, params) &&
	    param_text(params, OSSL_PKEY_PARAM_GROUP_NAME, k->kind->name) &&
	    param_text(params, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
	    "uncompressed") &&
	    param_octets(params, OSSL_PKEY_PARAM_PUB_KEY, k->pub, k->publen) &&
	    param_octets(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, k->pub,
	    k->publen);
}

static const OSSL_PARAM *
ec_gettable(void *provctx)
{
	static const OSSL_PARAM params[] = {
		GETTABLE,
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(
		    OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
		    NULL, 0),
		OSSL_PARAM_END
	};

	return params;
}

/* Nobody needs the modulus: EVP compares keys by export and MATCH. */
static int
rsa_get_params(void *data, OSSL_PARAM params[])
{
	return key_get_params(data, params);
}

static const OSSL_PARAM *
rsa_gettable(void *provctx)
{
	static const OSSL_PARAM params[] = { GETTABLE, OSSL_PARAM_END };

	return params;
}

static const char *
ec_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static const char *
rsa_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "RSA" : NULL;
}

/* ---- signatures ---------------------------------------------------------- */

struct signing {
	const struct remote_key *key;
	bool	 unfit;		/* a padding was asked for that keyd does not make */
};

static void *
sign_newctx(void *provctx, const char *propq)
{
	return OPENSSL_zalloc(sizeof(struct signing));
}

static void
sign_freectx(void *data)
{
	OPENSSL_free(data);
}

static int
sign_init(void *data, const char *digest, void *keydata,
    const OSSL_PARAM params[])
{
	struct signing		*s = data;
	const struct remote_key *k = keydata;

	if (k == NULL || k->kind == NULL || !k->has_id || digest == NULL)
		return 0;
	/* A kind of key has one scheme, and a scheme one digest. */
	if (strcmp(digest, k->kind->digest) != 0 &&
	    strcmp(digest, k->kind->digest2) != 0)
		return 0;
	s->key = k;
	return 1;
}

/*
 * What libssl asks of RSA: PSS with a salt as long as the digest, which is
 * all that keyd makes. Anything else is kept in mind, for the signature.
 */
static int
rsa_set_params(void *data, const OSSL_PARAM params[])
{
	struct signing		*s = data;
	const OSSL_PARAM	*p;
	const char		*text;
	int			 n;

	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p != NULL)
		s->unfit = p->data_type == OSSL_PARAM_UTF8_STRING ?
		    !OSSL_PARAM_get_utf8_string_ptr(p, &text) ||
		    strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PSS) != 0 :
		    !OSSL_PARAM_get_int(p, &n) || n != RSA_PKCS1_PSS_PADDING;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	if (p != NULL && (p->data_type == OSSL_PARAM_UTF8_STRING ?
	    !OSSL_PARAM_get_utf8_string_ptr(p, &text) ||
	    strcmp(text, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) != 0 :
	    !OSSL_PARAM_get_int(p, &n) || n != RSA_PSS_SALTLEN_DIGEST))
		s->unfit = true;
	return 1;
}

static const OSSL_PARAM *
rsa_settable(void *data, void *provctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL,
		    0),
		OSSL_PARAM_END
	};

	return params;
}

/* A free slot, or NULL; the number holds the slot and which turn it is. */
static struct pending **
pending_enter(struct pending *p)
{
	uint32_t i;

	for (i = 0; i < prov.max && prov.slot[i] != NULL; i++)
		;
	if (i == prov.max)
		return NULL;
	p->req.id = ++prov.turn * SIGN_SLOTS + i;
	prov.slot[i] = p;
	prov.npending++;
	return &prov.slot[i];
}

/*
 * On the loop's own stack, never on a job's: a job has 32 KiB, and a channel
 * is not shallow. The signer may call provider_done() before it returns, and
 * p is gone then.
 */
static void
pending_ask(struct pending *p)
{
	enum reason r;

	p->asked = true;
	if ((r = prov.sign(&p->req)) == R_OK)
		return;
	p->asked = false;
	if (r == R_TLS_BUSY)
		return;
	p->reason = r;
	p->done = true;
	if (p->paused)
		p->wake(p->wake_arg);
}

void
provider_flush(void)
{
	size_t i;

	for (i = 0; i < prov.max; i++) {
		struct pending *p = prov.slot[i];

		if (p != NULL && !p->asked && !p->done && !p->abort)
			pending_ask(p);
	}
}

static int
sign_wait(struct pending *p)
{
	ASYNC_JOB	*job = ASYNC_get_current_job();
	ASYNC_WAIT_CTX	*wait;

	if (job == NULL) {
		pending_ask(p);
		return p->done ? 0 : -1;
	}
	if ((wait = ASYNC_get_wait_ctx(job)) == NULL ||
	    !ASYNC_WAIT_CTX_get_callback(wait, &p->wake, &p->wake_arg))
		return -1;
	p->paused = true;
	while (!p->done && !p->abort)
		if (!ASYNC_pause_job())
			return -1;
	return p->done ? 0 : -1;
}

static int
sign_digest(void *data, uint8_t *sig, size_t *siglen, size_t sigsize,
    const uint8_t *content, size_t len)
{
	struct signing	*s = data;
	struct pending	 p = { .reason = R_OK }, **slot;
	int		 r = 0;

	if (s->key == NULL || s->unfit)
		return 0;
	if (sig == NULL) {
		*siglen = s->key->kind->maxsig;
		return 1;
	}
	if (len > CONTENT_MAX)
		return 0;
	p.req.key = s->key->id;
	p.req.scheme = s->key->kind->scheme;
	p.req.content = content;
	p.req.len = len;
	if ((slot = pending_enter(&p)) == NULL) {
		prov.failure = R_TLS_BUSY;
		return 0;
	}
	if (sign_wait(&p) == 0 && p.reason == R_OK && p.siglen <= sigsize) {
		memcpy(sig, p.sig, p.siglen);
		*siglen = p.siglen;
		r = 1;
	} else
		prov.failure = p.reason != R_OK ? p.reason : R_TLS_BUSY;
	*slot = NULL;
	prov.npending--;
	return r;
}

void
provider_done(uint32_t id, enum reason reason, const uint8_t *sig, size_t len)
{
	struct pending *p = prov.slot[id % SIGN_SLOTS];

	if (p != NULL && p->req.id == id && !p->done) {
		p->reason = reason;
		if (reason == R_OK && (len == 0 || len > sizeof(p->sig)))
			p->reason = R_IPC_FORM;
		else if (reason == R_OK) {
			memcpy(p->sig, sig, len);
			p->siglen = len;
		}
		p->done = true;
		if (p->paused)
			p->wake(p->wake_arg);	/* p is gone now */
	}
	provider_flush();	/* there may be room for those that wait */
}

bool
provider_abort(const SSL *ssl)
{
	size_t i;

	for (i = 0; i < prov.max; i++)
		if (prov.slot[i] != NULL && prov.slot[i]->paused &&
		    prov.slot[i]->wake_arg == ssl) {
			prov.slot[i]->abort = true;
			return true;
		}
	return false;
}

enum reason
provider_failure(void)
{
	enum reason r = prov.failure;

	prov.failure = R_OK;
	return r;
}

unsigned
provider_pending(void)
{
	return prov.npending;
}

/* ---- the provider -------------------------------------------------------- */

#define FN(id, f)	{ id, (void (*)(void))f }

static const OSSL_DISPATCH ec_functions[] = {
	FN(OSSL_FUNC_KEYMGMT_NEW, key_new),
	FN(OSSL_FUNC_KEYMGMT_FREE, key_free),
	FN(OSSL_FUNC_KEYMGMT_HAS, key_has),
	FN(OSSL_FUNC_KEYMGMT_MATCH, key_match),
	FN(OSSL_FUNC_KEYMGMT_IMPORT, ec_import),
	FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, ec_import_types),
	FN(OSSL_FUNC_KEYMGMT_EXPORT, ec_export),
	FN(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, ec_export_types),
	FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, ec_get_params),
	FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, ec_gettable),
	FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation_name),
	{ 0, NULL }
};

static const OSSL_DISPATCH rsa_functions[] = {
	FN(OSSL_FUNC_KEYMGMT_NEW, key_new),
	FN(OSSL_FUNC_KEYMGMT_FREE, key_free),
	FN(OSSL_FUNC_KEYMGMT_HAS, key_has),
	FN(OSSL_FUNC_KEYMGMT_MATCH, key_match),
	FN(OSSL_FUNC_KEYMGMT_IMPORT, rsa_import),
	FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, rsa_import_types),
	FN(OSSL_FUNC_KEYMGMT_EXPORT, rsa_export),
	FN(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, rsa_export_types),
	FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, rsa_get_params),
	FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, rsa_gettable),
	FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, rsa_operation_name),
	{ 0, NULL }
};

#define SIGN_FUNCTIONS							\
	FN(OSSL_FUNC_SIGNATURE_NEWCTX, sign_newctx),			\
	FN(OSSL_FUNC_SIGNATURE_FREECTX, sign_freectx),			\
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sign_init),		\
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign_digest)

static const OSSL_DISPATCH ecdsa_functions[] = {
	SIGN_FUNCTIONS,
	{ 0, NULL }
};

static const OSSL_DISPATCH pss_functions[] = {
	SIGN_FUNCTIONS,
	FN(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, rsa_set_params),
	FN(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, rsa_settable),
	{ 0, NULL }
};

/* The rows of RSA first: who does not speak it begins behind them. */
static const OSSL_ALGORITHM key_algorithms[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=remote",
	    rsa_functions, "keys at keyd" },
	{ "EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=remote",
	    ec_functions, "keys at keyd" },
	{ NULL, NULL, NULL, NULL }
};

static const OSSL_ALGORITHM sign_algorithms[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=remote",
	    pss_functions, "signatures by keyd" },
	{ "ECDSA", "provider=remote", ecdsa_functions, "signatures by keyd" },
	{ NULL, NULL, NULL, NULL }
};

static const OSSL_ALGORITHM *
query(void *provctx, int operation, int *no_cache)
{
	*no_cache = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return key_algorithms + prov.skip;
	if (operation == OSSL_OP_SIGNATURE)
		return sign_algorithms + prov.skip;
	return NULL;
}

static int
provider_entry(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **provctx)
{
	static const OSSL_DISPATCH functions[] = {
		FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
		{ 0, NULL }
	};

	*out = functions;
	*provctx = &prov;
	return 1;
}

void
provider_signer(provider_sign_fn sign)
{
	prov.sign = sign;
}

int
provider_init(OSSL_LIB_CTX *lib, bool rsa)
{
	prov.skip = rsa ? 0 : 1;
	prov.max = rsa ? SIGN_SLOTS : SIGN_MAX;
	prov.lib = lib;
	if (!OSSL_PROVIDER_add_builtin(lib, "remote", provider_entry) ||
	    OSSL_PROVIDER_load(lib, "remote") == NULL)
		return -1;
	return 0;
}

/* Fills up to two of the parameters; copy holds what they point to. */
static size_t
key_params(enum key_algorithm algorithm, uint8_t *copy, char group[16],
    const uint8_t *pub, size_t publen, OSSL_PARAM params[2])
{
	static uint32_t		 exponent = RSA_EXPONENT;
	struct remote_key	 k = { .publen = publen };

	if (algorithm != KEY_RSA2048) {
		memcpy(copy, pub, publen);	/* the interface takes no const */
		OPENSSL_strlcpy(group, kinds[algorithm].name, 16);
		params[0] = OSSL_PARAM_construct_utf8_string(
		    OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
		params[1] = OSSL_PARAM_construct_octet_string(
		    OSSL_PKEY_PARAM_PUB_KEY, copy, publen);
		return 2;
	}
	memcpy(k.pub, pub, publen);
	if (!rsa_native(&k, copy))
		return 0;
	params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, copy,
	    PUB_MAX);
	params[1] = OSSL_PARAM_construct_uint32(OSSL_PKEY_PARAM_RSA_E,
	    &exponent);
	return 2;
}

EVP_PKEY *
provider_key(uint32_t key, enum key_algorithm algorithm, const uint8_t *pub,
    size_t publen)
{
	EVP_PKEY_CTX	*ctx;
	EVP_PKEY	*pkey = NULL;
	OSSL_PARAM	 params[4];
	uint8_t		 copy[PUB_MAX];
	char		 group[16];
	size_t		 n;

	if (publen > sizeof(copy) || (n = key_params(algorithm, copy, group,
	    pub, publen, params)) == 0)
		return NULL;
	params[n++] = OSSL_PARAM_construct_uint32(PARAM_KEY_ID, &key);
	params[n] = OSSL_PARAM_construct_end();
	ctx = EVP_PKEY_CTX_new_from_name(prov.lib,
	    algorithm == KEY_RSA2048 ? "RSA" : "EC", "provider=remote");
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) <= 0)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}
