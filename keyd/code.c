/*
 * One-time codes: what two operators typed, in memory that is locked and
 * never anywhere else, until it is used or its time is over.
 *
 * A code opens at most two SPDM sessions, one in each direction, and each
 * direction is burned by its first attempt, whatever comes of it. The two
 * have different keys, because the id of the node that answers is derived
 * in: a session that somebody passes on to another node does not open.
 */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/sha.h>

#include "keyd.h"
#include "secret.h"

#define LIFETIME_MAX	600000	/* ms */
#define GONE_MAX	64	/* ids of codes that are not held any more */
#define ID_LABEL	"provd code id"
#define PSK_SALT	"provd one-time code"
#define INFO_MAX	(2 + 8 + 16 + 48)

struct code {
	bool		 held;
	bool		 used[CODE_NDIRS];
	uint64_t	 until;		/* mono ms */
	uint8_t		 id[CODE_ID_LEN];
	uint8_t		 code[CODE_LEN];
};

static struct code	*codes;		/* CODES_MAX, of secret_alloc() */
static EVP_KDF		*hkdf;

/* The newest of those that are gone, so that none is taken twice. */
static struct {
	enum reason	 reason;	/* why it is gone */
	uint8_t		 id[CODE_ID_LEN];
} gone[GONE_MAX];
static unsigned		 ngone;

int
code_open(void)
{
	if (codes != NULL)
		return 0;
	if ((hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL)) == NULL)
		return -1;
	codes = secret_alloc(CODES_MAX * sizeof(*codes));
	return codes == NULL ? -1 : 0;
}

void
code_close(void)
{
	secret_free(codes, CODES_MAX * sizeof(*codes));
	codes = NULL;
	EVP_KDF_free(hkdf);
	hkdf = NULL;
	memset(gone, 0, sizeof(gone));
	ngone = 0;
}

/* ---- the table ------------------------------------------------------- */

static void
code_end(struct code *c, enum reason reason)
{
	gone[ngone % GONE_MAX].reason = reason;
	memcpy(gone[ngone++ % GONE_MAX].id, c->id, CODE_ID_LEN);
	explicit_bzero(c, sizeof(*c));
}

static struct code *
code_find(const uint8_t *id)
{
	size_t	 i;

	for (i = 0; i < CODES_MAX; i++)
		if (codes[i].held && memcmp(codes[i].id, id, CODE_ID_LEN) == 0)
			return &codes[i];
	return NULL;
}

/* Why a code that is not held is gone, R_KEY_CODE_UNKNOWN if it never was. */
static enum reason
code_gone(const uint8_t *id)
{
	size_t	 i;

	for (i = 0; i < GONE_MAX && i < ngone; i++)
		if (memcmp(gone[i].id, id, CODE_ID_LEN) == 0)
			return gone[i].reason;
	return R_KEY_CODE_UNKNOWN;
}

int64_t
code_tick(uint64_t now)
{
	int64_t	 next = -1;
	size_t	 i;

	for (i = 0; i < CODES_MAX; i++) {
		if (!codes[i].held)
			continue;
		if (codes[i].until <= now)
			code_end(&codes[i], R_KEY_CODE_EXPIRED);
		else if (next == -1 || (int64_t)(codes[i].until - now) < next)
			next = (int64_t)(codes[i].until - now);
	}
	return next;
}

static void
code_id(const uint8_t *code, uint8_t *id)
{
	uint8_t	 in[sizeof(ID_LABEL) - 1 + CODE_LEN], md[32];

	memcpy(in, ID_LABEL, sizeof(ID_LABEL) - 1);
	memcpy(in + sizeof(ID_LABEL) - 1, code, CODE_LEN);
	SHA256(in, sizeof(in), md);
	memcpy(id, md, CODE_ID_LEN);
	OPENSSL_cleanse(in, sizeof(in));
}

int
code_put(const uint8_t *code, size_t len, uint32_t lifetime, uint64_t now,
    uint8_t *id, struct why *w)
{
	struct code	*c = NULL;
	size_t		 i;

	code_tick(now);
	if (len != CODE_LEN)
		return why_num(w, R_KEY_CODE_FORM, "code length", CODE_LEN,
		    len);
	if (lifetime == 0 || lifetime > LIFETIME_MAX)
		return why_num(w, R_KEY_CODE_FORM, "lifetime", LIFETIME_MAX,
		    lifetime);
	code_id(code, id);
	if (code_find(id) != NULL || code_gone(id) != R_KEY_CODE_UNKNOWN)
		return why_set(w, R_KEY_CODE_AGAIN, "code", NULL, NULL);
	for (i = 0; i < CODES_MAX && c == NULL; i++)
		if (!codes[i].held)
			c = &codes[i];
	if (c == NULL)
		return why_num(w, R_KEY_CODE_FULL, "codes", CODES_MAX,
		    CODES_MAX);
	c->held = true;
	c->until = now + lifetime;
	memcpy(c->id, id, CODE_ID_LEN);
	memcpy(c->code, code, CODE_LEN);
	return 0;
}

void
code_drop(const uint8_t *id, size_t len)
{
	struct code	*c;

	if (len == CODE_ID_LEN && (c = code_find(id)) != NULL)
		code_end(c, R_KEY_CODE_USED);
}

/* ---- secrets --------------------------------------------------------- */

static int
derive(const struct curve *c, int mode, const uint8_t *key, size_t keylen,
    const void *salt, size_t saltlen, const void *info, size_t infolen,
    uint8_t *out)
{
	EVP_KDF_CTX	*ctx = EVP_KDF_CTX_new(hkdf);
	OSSL_PARAM	 p[6], *q = p;
	char		 md[16];
	union { const void *in; void *out; } k = { .in = key },
	    s = { .in = salt }, i = { .in = info };
	int		 r;

	OPENSSL_strlcpy(md, c->md_name, sizeof(md));
	*q++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, md, 0);
	*q++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	*q++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, k.out,
	    keylen);
	if (salt != NULL)
		*q++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
		    s.out, saltlen);
	if (info != NULL)
		*q++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
		    i.out, infolen);
	*q = OSSL_PARAM_construct_end();
	r = ctx != NULL && EVP_KDF_derive(ctx, out, c->hash, p) == 1 ? 0 : -1;
	EVP_KDF_CTX_free(ctx);
	return r;
}

static int
extract(const struct curve *c, const uint8_t *salt, const uint8_t *in,
    uint8_t *out)
{
	return derive(c, EVP_KDF_HKDF_MODE_EXTRACT_ONLY, in, c->hash, salt,
	    c->hash, NULL, 0, out);
}

/* Expand over BinConcat (DSP0274, key schedule); context may be NULL. */
static int
expand(const struct curve *c, const uint8_t *secret, uint32_t version,
    const char *label, const uint8_t *context, uint8_t *out)
{
	uint8_t	 info[INFO_MAX];
	size_t	 n = strlen(label);

	info[0] = (uint8_t)c->hash;
	info[1] = 0;
	memcpy(info + 2, "spdm1.x ", 8);
	info[8] = (uint8_t)('0' + (version & 15));
	memcpy(info + 10, label, n);
	if (context != NULL)
		memcpy(info + 10 + n, context, c->hash);
	return derive(c, EVP_KDF_HKDF_MODE_EXPAND_ONLY, secret, c->hash, NULL,
	    0, info, 10 + n + (context != NULL ? c->hash : 0), out);
}

/* The PSK of the sessions that the node of this id answers. */
static int
code_key(const struct curve *c, const uint8_t *code, const char *node,
    uint8_t *psk)
{
	return derive(c, EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND, code, CODE_LEN,
	    PSK_SALT, sizeof(PSK_SALT) - 1, node, strlen(node), psk);
}

/*
 * Salt_0 of a PSK is all ones from SPDM 1.3 on, zeros before (DSP0274, key
 * schedule); the input of the master secret is zeros in both.
 */
static int
schedule(const struct curve *c, const uint8_t *code, const struct code_ask *a,
    struct code_secrets *s)
{
	uint8_t	 psk[CODE_HASH_MAX], hs[CODE_HASH_MAX];
	uint8_t	 salt[CODE_HASH_MAX];
	int	 r = -1;

	memset(salt, a->version >= 0x13 ? 0xff : 0, sizeof(salt));
	if (code_key(c, code, a->node, psk) == -1 ||
	    extract(c, salt, psk, hs) == -1 ||
	    expand(c, hs, a->version, "req hs data", a->th1, s->request) ==
	    -1 ||
	    expand(c, hs, a->version, "rsp hs data", a->th1, s->response) ==
	    -1 ||
	    expand(c, hs, a->version, "derived", NULL, salt) == -1)
		goto out;
	memset(hs, 0, sizeof(hs));
	if (extract(c, salt, hs, s->master) == -1)
		goto out;
	s->len = c->hash;
	r = 0;
 out:
	OPENSSL_cleanse(psk, sizeof(psk));
	OPENSSL_cleanse(hs, sizeof(hs));
	OPENSSL_cleanse(salt, sizeof(salt));
	if (r == -1)
		OPENSSL_cleanse(s, sizeof(*s));
	return r;
}

static int
ask_check(const struct code_ask *a, const struct curve *c, struct why *w)
{
	if (a->version != 0x12 && a->version != 0x13)
		return why_num(w, R_KEY_SPDM_VERSION, "version", 0x13,
		    a->version);
	if (a->th1len != c->hash)
		return why_num(w, R_KEY_SPDM_HASH, "hash length", c->hash,
		    a->th1len);
	if (strlen(a->node) != 40 ||
	    strspn(a->node, "0123456789abcdef") != 40)
		return why_set(w, R_KEY_CODE_FORM, "node", "40 hex digits",
		    a->node);
	return 0;
}

int
code_use(const struct code_ask *a, uint64_t now, struct code_secrets *s,
    struct why *w)
{
	const struct curve	*c = curve_get(a->algorithm);
	struct code		*k;
	int			 r = -1;

	code_tick(now);
	if (a->idlen != CODE_ID_LEN)
		return why_num(w, R_KEY_CODE_FORM, "code", CODE_ID_LEN,
		    a->idlen);
	if ((k = code_find(a->id)) == NULL)
		return why_set(w, code_gone(a->id), "code", NULL, NULL);
	if (k->used[a->dir])
		return why_set(w, R_KEY_CODE_USED, "code", NULL, NULL);
	k->used[a->dir] = true;
	if (ask_check(a, c, w) == 0) {
		if ((r = schedule(c, k->code, a, s)) == -1)
			why_set(w, R_KEY_LIBRARY, "code", NULL, NULL);
	}
	if (k->used[CODE_REQUESTER] && k->used[CODE_RESPONDER])
		code_end(k, R_KEY_CODE_USED);
	return r;
}
