/*
 * An OpenSSL provider for keys whose private half is in keyd.
 *
 * Keys are named "EC" as those of the default provider, because libssl finds
 * the slot of a certificate by that name. A key can be imported without its
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
#include <string.h>

#include "tlsconn.h"

#define PARAM_KEY_ID	"provd-key"
#define SIG_MAX		112		/* DER, as in the catalogue */
#define CONTENT_MAX	146		/* CertificateVerify with SHA-384 */
#define PUB_MAX		97

struct curve {
	const char	*name, *other;	/* SEC 2 or ANSI name, and NIST's */
	const char	*digest, *digest2;
	int		 bits, security;
	size_t		 publen, maxsig;
	uint16_t	 scheme;
};

static const struct curve curves[KEY_NCURVES] = {
	[KEY_P256] = { "prime256v1", "P-256", "SHA256", "SHA2-256", 256, 128,
	    65, 72, 0x0403 },
	[KEY_P384] = { "secp384r1", "P-384", "SHA384", "SHA2-384", 384, 192,
	    97, 104, 0x0503 },
};

struct remote_key {
	const struct curve *curve;
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
	provider_sign_fn sign;
	struct pending	*slot[SIGN_MAX];
	uint32_t	 turn;
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

	if (k == NULL || k->curve == NULL)
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

	if (x->curve == NULL || x->curve != y->curve)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
		return 1;
	return x->publen == y->publen && memcmp(x->pub, y->pub, x->publen) == 0;
}

static const struct curve *
curve_find(const char *name)
{
	size_t i;

	for (i = 0; i < KEY_NCURVES; i++)
		if (strcmp(curves[i].name, name) == 0 ||
		    strcmp(curves[i].other, name) == 0)
			return &curves[i];
	return NULL;
}

static int
key_import(void *data, int selection, const OSSL_PARAM params[])
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
	    (k->curve = curve_find(group)) == NULL)
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
	if (p != NULL) {
		if (!OSSL_PARAM_get_octet_string_ptr(p, &pub, &len) ||
		    len != k->curve->publen)
			return 0;
		memcpy(k->pub, pub, len);
		k->publen = len;
	}
	p = OSSL_PARAM_locate_const(params, PARAM_KEY_ID);
	if (p != NULL) {
		if (!OSSL_PARAM_get_uint32(p, &k->id))
			return 0;
		k->has_id = true;
	}
	return 1;
}

static const OSSL_PARAM *
key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
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
key_export(void *data, int selection, OSSL_CALLBACK *cb, void *arg)
{
	struct remote_key *k = data;
	OSSL_PARAM	   params[3], *p = params;
	char		   group[16];

	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY || k->curve == NULL)
		return 0;
	OPENSSL_strlcpy(group, k->curve->name, sizeof(group));
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
	    group, 0);
	if (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY)
		*p++ = OSSL_PARAM_construct_octet_string(
		    OSSL_PKEY_PARAM_PUB_KEY, k->pub, k->publen);
	*p = OSSL_PARAM_construct_end();
	return cb(params, arg);
}

static const OSSL_PARAM *
key_export_types(int selection)
{
	return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL :
	    key_import_types(selection);
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
key_get_params(void *data, OSSL_PARAM params[])
{
	const struct remote_key *k = data;

	if (k->curve == NULL)
		return 0;
	return param_int(params, OSSL_PKEY_PARAM_BITS, k->curve->bits) &&
	    param_int(params, OSSL_PKEY_PARAM_SECURITY_BITS,
	    k->curve->security) &&
	    param_int(params, OSSL_PKEY_PARAM_MAX_SIZE,
	    (int)k->curve->maxsig) &&
	    param_text(params, OSSL_PKEY_PARAM_GROUP_NAME, k->curve->name) &&
	    param_text(params, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
	    "uncompressed") &&
	    param_text(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST,
	    k->curve->digest) &&
	    param_octets(params, OSSL_PKEY_PARAM_PUB_KEY, k->pub, k->publen) &&
	    param_octets(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, k->pub,
	    k->publen);
}

static const OSSL_PARAM *
key_gettable(void *provctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(
		    OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
		    NULL, 0),
		OSSL_PARAM_END
	};

	return params;
}

static const char *
key_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

/* ---- signatures ---------------------------------------------------------- */

struct signing {
	const struct remote_key *key;
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

	if (k == NULL || k->curve == NULL || !k->has_id || digest == NULL)
		return 0;
	/* A curve has one scheme, and a scheme one digest. */
	if (strcmp(digest, k->curve->digest) != 0 &&
	    strcmp(digest, k->curve->digest2) != 0)
		return 0;
	s->key = k;
	return 1;
}

/* A free slot, or NULL; the number holds the slot and which turn it is. */
static struct pending **
pending_enter(struct pending *p)
{
	uint32_t i;

	for (i = 0; i < SIGN_MAX && prov.slot[i] != NULL; i++)
		;
	if (i == SIGN_MAX)
		return NULL;
	p->req.id = ++prov.turn * SIGN_MAX + i;
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

	for (i = 0; i < SIGN_MAX; i++) {
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

	if (s->key == NULL)
		return 0;
	if (sig == NULL) {
		*siglen = s->key->curve->maxsig;
		return 1;
	}
	if (len > CONTENT_MAX)
		return 0;
	p.req.key = s->key->id;
	p.req.scheme = s->key->curve->scheme;
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
	struct pending *p = prov.slot[id % SIGN_MAX];

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

	for (i = 0; i < SIGN_MAX; i++)
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

static const OSSL_DISPATCH key_functions[] = {
	FN(OSSL_FUNC_KEYMGMT_NEW, key_new),
	FN(OSSL_FUNC_KEYMGMT_FREE, key_free),
	FN(OSSL_FUNC_KEYMGMT_HAS, key_has),
	FN(OSSL_FUNC_KEYMGMT_MATCH, key_match),
	FN(OSSL_FUNC_KEYMGMT_IMPORT, key_import),
	FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),
	FN(OSSL_FUNC_KEYMGMT_EXPORT, key_export),
	FN(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_export_types),
	FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),
	FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable),
	FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, key_operation_name),
	{ 0, NULL }
};

static const OSSL_DISPATCH sign_functions[] = {
	FN(OSSL_FUNC_SIGNATURE_NEWCTX, sign_newctx),
	FN(OSSL_FUNC_SIGNATURE_FREECTX, sign_freectx),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sign_init),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign_digest),
	{ 0, NULL }
};

static const OSSL_ALGORITHM key_algorithms[] = {
	{ "EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=remote",
	    key_functions, "keys at keyd" },
	{ NULL, NULL, NULL, NULL }
};

static const OSSL_ALGORITHM sign_algorithms[] = {
	{ "ECDSA", "provider=remote", sign_functions, "signatures by keyd" },
	{ NULL, NULL, NULL, NULL }
};

static const OSSL_ALGORITHM *
query(void *provctx, int operation, int *no_cache)
{
	*no_cache = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return key_algorithms;
	if (operation == OSSL_OP_SIGNATURE)
		return sign_algorithms;
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
provider_init(OSSL_LIB_CTX *lib)
{
	prov.lib = lib;
	if (!OSSL_PROVIDER_add_builtin(lib, "remote", provider_entry) ||
	    OSSL_PROVIDER_load(lib, "remote") == NULL)
		return -1;
	return 0;
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

	if (publen > sizeof(copy))
		return NULL;
	memcpy(copy, pub, publen);	/* the interface takes no const */
	OPENSSL_strlcpy(group, curves[algorithm].name, sizeof(group));
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
	    group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
	    copy, publen);
	params[2] = OSSL_PARAM_construct_uint32(PARAM_KEY_ID, &key);
	params[3] = OSSL_PARAM_construct_end();
	ctx = EVP_PKEY_CTX_new_from_name(prov.lib, "EC", "provider=remote");
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) <= 0)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}
