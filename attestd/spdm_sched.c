/*
 * The key schedule of a session (DSP0274, key schedule) and its running
 * transcripts. No output is ever longer than the hash, so that HKDF-Expand
 * (RFC 5869, 2.3) is a single HMAC over info and the byte 1.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>

#include "log.h"
#include "secret.h"
#include "spdm_session.h"

#define INFO_MAX	(2 + 8 + 16 + SPDM_HASH_MAX)

/* Fetched once, as the digests are. */
static EVP_MAC	*hmac_mac;

int
spdm_session_init(void)
{
	if (hmac_mac == NULL &&
	    (hmac_mac = EVP_MAC_fetch(spdm_lib(), "HMAC", NULL)) == NULL)
		return -1;
	return spdm_record_init();
}

static void
hmac(const struct spdm_alg *alg, const uint8_t *key, const void *p, size_t n,
    uint8_t *out)
{
	OSSL_PARAM	 params[2];
	EVP_MAC_CTX	*c = EVP_MAC_CTX_new(hmac_mac);
	size_t		 len;
	char		 name[16];

	OPENSSL_strlcpy(name, alg->md_name, sizeof(name));
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
	    name, 0);
	params[1] = OSSL_PARAM_construct_end();
	if (c == NULL || EVP_MAC_init(c, key, alg->hash_len, params) != 1 ||
	    EVP_MAC_update(c, p, n) != 1 ||
	    EVP_MAC_final(c, out, &len, alg->hash_len) != 1)
		fatalx("session: HMAC failed");
	EVP_MAC_CTX_free(c);
}

/*
 * Expand(secret, BinConcat(len, version, label, context)), len bytes of it.
 * context is a hash or NULL.
 */
static void
expand(const struct spdm_session *s, const uint8_t *secret, const char *label,
    const uint8_t *context, uint8_t *out, size_t len)
{
	uint8_t		info[INFO_MAX + 1], block[SPDM_HASH_MAX];
	struct spdm_buf	b;

	spdm_buf_init(&b, info, sizeof(info));
	spdm_put_u16(&b, (uint16_t)len);
	spdm_put(&b, "spdm1.", 6);
	spdm_put_u8(&b, (uint8_t)('0' + (s->version & 0xf)));
	spdm_put_u8(&b, ' ');
	spdm_put(&b, label, strlen(label));
	if (context != NULL)
		spdm_put(&b, context, s->alg->hash_len);
	spdm_put_u8(&b, 1);
	if (b.full || len > s->alg->hash_len)
		fatalx("session: label %s is too long", label);
	hmac(s->alg, secret, b.data, b.len, block);
	memcpy(out, block, len);
	OPENSSL_cleanse(block, sizeof(block));
}

/* ---- life ---------------------------------------------------------------- */

static void
copy(EVP_MD_CTX *to, const EVP_MD_CTX *from)
{
	if (EVP_MD_CTX_copy_ex(to, from) != 1)
		fatalx("session: copy failed");
}

static void
update(EVP_MD_CTX *c, const void *p, size_t n)
{
	if (EVP_DigestUpdate(c, p, n) != 1)
		fatalx("session: digest failed");
}

static void
finish(struct spdm_session *s, const EVP_MD_CTX *from, uint8_t *out)
{
	copy(s->tmp, from);
	if (EVP_DigestFinal_ex(s->tmp, out, NULL) != 1)
		fatalx("session: digest failed");
}

struct spdm_session *
spdm_session_new(uint8_t version, const struct spdm_alg *alg,
    const EVP_MD_CTX *base)
{
	struct spdm_session	*s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->version = version;
	s->alg = alg;
	s->th = EVP_MD_CTX_new();
	s->m = EVP_MD_CTX_new();
	s->tmp = EVP_MD_CTX_new();
	s->base = EVP_MD_CTX_new();
	if (s->th == NULL || s->m == NULL || s->tmp == NULL ||
	    s->base == NULL) {
		spdm_session_free(s);
		return NULL;
	}
	copy(s->th, base);
	/* L1/L2 starts with A from 1.2 on, and with nothing before. */
	if (version >= SPDM_V12)
		copy(s->base, base);
	else if (EVP_DigestInit_ex2(s->base, spdm_md(alg), NULL) != 1)
		fatalx("session: digest failed");
	copy(s->m, s->base);
	return s;
}

void
spdm_session_free(struct spdm_session *s)
{
	if (s == NULL)
		return;
	EVP_MD_CTX_free(s->th);
	EVP_MD_CTX_free(s->m);
	EVP_MD_CTX_free(s->tmp);
	EVP_MD_CTX_free(s->base);
	freezero(s, sizeof(*s));
}

void
spdm_session_th_add(struct spdm_session *s, const void *p, size_t n)
{
	update(s->th, p, n);
}

void
spdm_session_th(struct spdm_session *s, uint8_t *out)
{
	finish(s, s->th, out);
}

void
spdm_session_m_reset(struct spdm_session *s)
{
	copy(s->m, s->base);
}

void
spdm_session_m_add(struct spdm_session *s, const void *p, size_t n)
{
	update(s->m, p, n);
}

void
spdm_session_m(struct spdm_session *s, uint8_t *out)
{
	finish(s, s->m, out);
}

/* ---- secrets ------------------------------------------------------------- */

/* Salt 0 is a string of zeros. */
void
spdm_session_shared(struct spdm_session *s, const uint8_t *shared, size_t n)
{
	static const uint8_t	zero[SPDM_HASH_MAX];

	hmac(s->alg, zero, shared, n, s->hs);
}

/* Key, IV and sequence from the secret of a direction. */
static void
dir_keys(struct spdm_session *s, struct spdm_dir *d)
{
	expand(s, d->secret, "key", NULL, d->key, sizeof(d->key));
	expand(s, d->secret, "iv", NULL, d->iv, sizeof(d->iv));
	d->seq = 0;
}

static void
handshake_keys(struct spdm_session *s)
{
	unsigned	i;

	for (i = 0; i < SPDM_NSIDES; i++) {
		expand(s, s->dir[i].secret, "finished", NULL, s->finished[i],
		    s->alg->hash_len);
		dir_keys(s, &s->dir[i]);
	}
	s->phase = SPDM_P_HANDSHAKE;
}

void
spdm_session_handshake(struct spdm_session *s, const uint8_t *th1)
{
	static const uint8_t	zero[SPDM_HASH_MAX];
	uint8_t			salt[SPDM_HASH_MAX];

	expand(s, s->hs, "req hs data", th1, s->dir[SPDM_SIDE_REQ].secret,
	    s->alg->hash_len);
	expand(s, s->hs, "rsp hs data", th1, s->dir[SPDM_SIDE_RSP].secret,
	    s->alg->hash_len);
	expand(s, s->hs, "derived", NULL, salt, s->alg->hash_len);
	hmac(s->alg, salt, zero, s->alg->hash_len, s->master);
	OPENSSL_cleanse(salt, sizeof(salt));
	OPENSSL_cleanse(s->hs, sizeof(s->hs));
	handshake_keys(s);
}

void
spdm_session_handshake_psk(struct spdm_session *s, const uint8_t *req_secret,
    const uint8_t *rsp_secret, const uint8_t *master)
{
	memcpy(s->dir[SPDM_SIDE_REQ].secret, req_secret, s->alg->hash_len);
	memcpy(s->dir[SPDM_SIDE_RSP].secret, rsp_secret, s->alg->hash_len);
	memcpy(s->master, master, s->alg->hash_len);
	s->psk = true;
	handshake_keys(s);
}

void
spdm_session_verify_data(const struct spdm_session *s, enum spdm_side side,
    const uint8_t *th, uint8_t *out)
{
	hmac(s->alg, s->finished[side], th, s->alg->hash_len, out);
}

void
spdm_session_data(struct spdm_session *s, const uint8_t *th2)
{
	expand(s, s->master, "req app data", th2,
	    s->dir[SPDM_SIDE_REQ].secret, s->alg->hash_len);
	expand(s, s->master, "rsp app data", th2,
	    s->dir[SPDM_SIDE_RSP].secret, s->alg->hash_len);
	/* Nothing is exported, so that no export master secret is made. */
	OPENSSL_cleanse(s->master, sizeof(s->master));
	OPENSSL_cleanse(s->finished, sizeof(s->finished));
	dir_keys(s, &s->dir[SPDM_SIDE_REQ]);
	dir_keys(s, &s->dir[SPDM_SIDE_RSP]);
	s->phase = SPDM_P_DATA;
}

void
spdm_session_update(struct spdm_session *s, enum spdm_side side)
{
	struct spdm_dir	*d = &s->dir[side];
	uint8_t		 next[SPDM_HASH_MAX];

	expand(s, d->secret, "traffic upd", NULL, next, s->alg->hash_len);
	memcpy(d->secret, next, s->alg->hash_len);
	OPENSSL_cleanse(next, sizeof(next));
	dir_keys(s, d);
}

void
spdm_session_before(struct spdm_session *s)
{
	s->before = s->dir[SPDM_SIDE_RSP];
	s->has_before = true;
	s->went_back = false;
}

void
spdm_session_settle(struct spdm_session *s, bool back)
{
	if (back && s->has_before)
		s->dir[SPDM_SIDE_RSP] = s->before;
	OPENSSL_cleanse(&s->before, sizeof(s->before));
	s->went_back = back && s->has_before;
	s->has_before = false;
}
