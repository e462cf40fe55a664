/*
 * Secured records (DSP0277): SessionID, sequence bytes of the transport,
 * Length, then AES-256-GCM over AppLen, application data and random bytes.
 * What stands before the ciphertext is authenticated with it.
 */
#include <string.h>

#include <openssl/crypto.h>

#include "log.h"
#include "spdm_session.h"

#define MCTP_SPDM	0x05	/* MCTP message type of DSP0275 */
/* AES-GCM bears 2^24.5 full records under one key (RFC 8446, 5.5). */
#define SEQ_MAX		(UINT64_C(1) << 24)
#define PREFIX_MAX	4	/* transport bytes before the message inside */

static EVP_CIPHER	*aead;

int
spdm_record_init(void)
{
	if (aead == NULL && (aead = EVP_CIPHER_fetch(spdm_lib(),
	    "AES-256-GCM", NULL)) == NULL)
		return -1;
	return 0;
}

/* ---- what both directions share ------------------------------------------ */

/* Little-endian, over the first bytes of the IV (DSP0277 1.2). */
static void
nonce(const struct spdm_dir *d, uint8_t out[SPDM_AEAD_IV])
{
	unsigned	i;

	memcpy(out, d->iv, SPDM_AEAD_IV);
	for (i = 0; i < 8; i++)
		out[i] ^= (uint8_t)(d->seq >> 8 * i);
}

static EVP_CIPHER_CTX *
begin(const struct spdm_dir *d, const uint8_t *aad, size_t aad_len, int enc)
{
	EVP_CIPHER_CTX	*c = EVP_CIPHER_CTX_new();
	uint8_t		 iv[SPDM_AEAD_IV];
	int		 n;

	nonce(d, iv);
	if (c == NULL || EVP_CipherInit_ex2(c, aead, d->key, iv, enc, NULL)
	    != 1 || EVP_CipherUpdate(c, NULL, &n, aad, (int)aad_len) != 1)
		fatalx("record: AES-256-GCM failed");
	return c;
}

static size_t
head_len(const struct spdm_binding *b)
{
	return sizeof(((struct spdm_session *)0)->id) + b->seq_len + 2;
}

static size_t
prefix_len(const struct spdm_binding *b)
{
	return b->mctp ? 1 : SPDM_TCP_HDR;
}

/* The transport's bytes before a message inside a record. */
static void
prefix(const struct spdm_binding *b, size_t len, uint8_t out[PREFIX_MAX])
{
	if (b->mctp)
		out[0] = MCTP_SPDM;
	else
		spdm_tcp_header(b->tcp, SPDM_TCP_SPDM, len, out);
}

/* ---- seal ---------------------------------------------------------------- */

size_t
spdm_record_seal(struct spdm_session *s, enum spdm_side side,
    const struct spdm_binding *b, spdm_random_fn random, void *random_arg,
    const uint8_t *msg, size_t len, uint8_t *out, size_t size)
{
	struct spdm_dir	*d = &s->dir[side];
	size_t		 head = head_len(b), pre = prefix_len(b);
	size_t		 plain, total;
	uint8_t		 pad = 0, *p;
	struct spdm_buf	 w;
	EVP_CIPHER_CTX	*c;
	unsigned	 i;
	int		 n;

	if (b->pad_max > 0) {
		random(random_arg, &pad, 1);
		pad = (uint8_t)(pad % (b->pad_max + 1U));
	}
	if (s->phase == SPDM_P_NONE || d->seq >= SEQ_MAX ||
	    len > SPDM_RECORD_MAX)
		return 0;
	plain = 2 + pre + len + pad;
	total = head + plain + SPDM_AEAD_TAG;
	if (total > size || plain + SPDM_AEAD_TAG > UINT16_MAX)
		return 0;
	spdm_buf_init(&w, out, size);
	spdm_put(&w, s->id, sizeof(s->id));
	for (i = 0; i < b->seq_len; i++)
		spdm_put_u8(&w, (uint8_t)(d->seq >> 8 * i));
	spdm_put_u16(&w, (uint16_t)(plain + SPDM_AEAD_TAG));
	spdm_put_u16(&w, (uint16_t)(pre + len));
	prefix(b, len, out + w.len);
	w.len += pre;
	spdm_put(&w, msg, len);
	if (pad > 0)
		random(random_arg, out + w.len, pad);
	p = out + head;
	c = begin(d, out, head, 1);
	if (EVP_CipherUpdate(c, p, &n, p, (int)plain) != 1 ||
	    n != (int)plain || EVP_CipherFinal_ex(c, p + plain, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, SPDM_AEAD_TAG,
	    p + plain) != 1)
		fatalx("record: AES-256-GCM failed");
	EVP_CIPHER_CTX_free(c);
	d->seq++;
	return total;
}

/* ---- open ---------------------------------------------------------------- */

/* Decrypt with these keys. False: not theirs, or somebody changed it. */
static bool
decrypt(const struct spdm_dir *d, const uint8_t *rec, size_t head,
    size_t cipher, uint8_t *out)
{
	EVP_CIPHER_CTX	*c = begin(d, rec, head, 0);
	uint8_t		 tag[SPDM_AEAD_TAG];
	int		 n;
	bool		 ok;

	memcpy(tag, rec + head + cipher, sizeof(tag));
	ok = EVP_CipherUpdate(c, out, &n, rec + head, (int)cipher) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, SPDM_AEAD_TAG, tag)
	    == 1 && EVP_CipherFinal_ex(c, out + n, &n) == 1;
	EVP_CIPHER_CTX_free(c);
	if (!ok)
		OPENSSL_cleanse(out, cipher);
	return ok;
}

/* The message in what was decrypted. */
static bool
unwrap(const struct spdm_binding *b, const uint8_t *plain, size_t plen,
    const uint8_t **msg, size_t *len)
{
	size_t	app = plain[0] | (size_t)plain[1] << 8, pre = prefix_len(b);
	uint8_t	want[PREFIX_MAX];

	if (app < pre || app > plen - 2)
		return false;
	prefix(b, app - pre, want);
	if (memcmp(want, plain + 2, pre) != 0)
		return false;
	*msg = plain + 2 + pre;
	*len = app - pre;
	return true;
}

/* The record that comes next under these keys, opened. */
static bool
next(const struct spdm_dir *d, const struct spdm_binding *b,
    const uint8_t *rec, size_t cipher, uint8_t *out)
{
	size_t		n = sizeof(((struct spdm_session *)0)->id);
	unsigned	i;

	for (i = 0; i < b->seq_len; i++)
		if (rec[n + i] != (uint8_t)(d->seq >> 8 * i))
			return false;
	return d->seq < SEQ_MAX && decrypt(d, rec, head_len(b), cipher, out);
}

enum spdm_open
spdm_record_open(struct spdm_session *s, enum spdm_side side,
    const struct spdm_binding *b, const uint8_t *rec, size_t reclen,
    uint8_t *out, size_t size, const uint8_t **msg, size_t *len)
{
	struct spdm_dir	*d = &s->dir[side];
	size_t		 head = head_len(b), cipher;

	if (reclen < head + 2 + prefix_len(b) + SPDM_AEAD_TAG ||
	    reclen - head - SPDM_AEAD_TAG > size ||
	    (rec[head - 2] | (size_t)rec[head - 1] << 8) != reclen - head)
		return OPEN_FORM;
	cipher = reclen - head - SPDM_AEAD_TAG;
	if (s->phase == SPDM_P_NONE ||
	    memcmp(rec, s->id, sizeof(s->id)) != 0)
		return OPEN_SESSION;
	if (!next(d, b, rec, cipher, out)) {
		/* The answer may be an ERROR that comes under the old key. */
		if (side != SPDM_SIDE_RSP || !s->has_before)
			return OPEN_DECRYPT;
		d = &s->before;
		if (!next(d, b, rec, cipher, out))
			return OPEN_DECRYPT;
	}
	if (!unwrap(b, out, cipher, msg, len)) {
		OPENSSL_cleanse(out, cipher);
		return OPEN_FORM;
	}
	d->seq++;
	if (side == SPDM_SIDE_RSP && s->has_before)
		spdm_session_settle(s, d == &s->before);
	return OPEN_OK;
}
