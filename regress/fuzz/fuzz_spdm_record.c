/*
 * What may come as a secured record (DSP0277), over TCP or MCTP: any bytes;
 * and what the keys' owner may put into one: any bytes, sealed here. Nothing
 * of the session changes unless the record is the next one.
 *
 *   byte 0	1 MCTP, 2 the responder's side, 4 an older key is kept, 8 the
 *		sequence is nearly used up, 16 the record is sealed here,
 *		32 the version is 1.3, 64 data keys
 *   the rest	a record; or, to be sealed, AppLen and what is under it
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "../../attestd/spdm_session.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define MAX	0x5000

static void
zeros(void *arg, uint8_t *p, size_t n)
{
	memset(p, 3, n);
}

static struct spdm_session *
session(uint8_t how)
{
	static const uint8_t	 id[4] = { 1, 0, 2, 0 };
	static const uint8_t	 secret[SPDM_HASH_MAX] = { 7 };
	EVP_MD_CTX		*base = EVP_MD_CTX_new();
	const struct spdm_alg	*alg = spdm_alg(KEY_P256);
	struct spdm_session	*s;

	if (base == NULL || EVP_DigestInit_ex2(base, spdm_md(alg), NULL) != 1 ||
	    (s = spdm_session_new(how & 32 ? SPDM_V13 : SPDM_V12, alg,
	    base)) == NULL)
		abort();
	EVP_MD_CTX_free(base);
	memcpy(s->id, id, sizeof(id));
	spdm_session_shared(s, secret, 32);
	spdm_session_handshake(s, secret);
	if (how & 64)
		spdm_session_data(s, secret);
	if (how & 8)
		s->dir[0].seq = s->dir[1].seq = (1 << 24) - 1;
	if (how & 4) {
		spdm_session_before(s);
		spdm_session_update(s, SPDM_SIDE_RSP);
	}
	return s;
}

/* As the other end would, but with any AppLen and any transport bytes. */
static size_t
seal(const struct spdm_session *s, enum spdm_side side,
    const struct spdm_binding *b, const uint8_t *p, size_t len, uint8_t *out)
{
	const struct spdm_dir	*d = s->has_before && side == SPDM_SIDE_RSP &&
	    len % 2 == 0 ? &s->before : &s->dir[side];
	EVP_CIPHER_CTX		*c = EVP_CIPHER_CTX_new();
	EVP_CIPHER		*aes = EVP_CIPHER_fetch(spdm_lib(),
	    "AES-256-GCM", NULL);
	uint8_t			 iv[SPDM_AEAD_IV];
	size_t			 head = 4 + b->seq_len + 2u;
	unsigned		 i;
	int			 n;

	memcpy(iv, d->iv, sizeof(iv));
	for (i = 0; i < 8; i++)
		iv[i] ^= (uint8_t)(d->seq >> 8 * i);
	memcpy(out, s->id, 4);
	for (i = 0; i < b->seq_len; i++)
		out[4 + i] = (uint8_t)(d->seq >> 8 * i);
	out[head - 2] = (uint8_t)(len + SPDM_AEAD_TAG);
	out[head - 1] = (uint8_t)((len + SPDM_AEAD_TAG) >> 8);
	if (c == NULL ||
	    EVP_EncryptInit_ex2(c, aes, d->key, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(c, NULL, &n, out, (int)head) != 1 ||
	    EVP_EncryptUpdate(c, out + head, &n, p, (int)len) != 1 ||
	    EVP_EncryptFinal_ex(c, out + head + n, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, SPDM_AEAD_TAG,
	    out + head + len) != 1)
		abort();
	EVP_CIPHER_CTX_free(c);
	EVP_CIPHER_free(aes);
	return head + len + SPDM_AEAD_TAG;
}

/* What we sealed ourselves opens, once; changed, it does not. */
static void
round_trip(struct spdm_session *s, enum spdm_side side,
    const struct spdm_binding *b, const uint8_t *p, size_t len)
{
	static uint8_t	 rec[MAX], plain[MAX];
	struct spdm_session twin = *s;
	const uint8_t	*msg;
	size_t		 n, m;

	n = spdm_record_seal(&twin, side, b, zeros, NULL, p, len, rec,
	    sizeof(rec));
	if (n == 0)
		return;
	rec[n - 1] ^= 1;
	if (spdm_record_open(s, side, b, rec, n, plain, sizeof(plain), &msg,
	    &m) != OPEN_DECRYPT)
		abort();
	rec[n - 1] ^= 1;
	if (spdm_record_open(s, side, b, rec, n, plain, sizeof(plain), &msg,
	    &m) != OPEN_OK || m != len || memcmp(msg, p, m) != 0)
		abort();
	if (spdm_record_open(s, side, b, rec, n, plain, sizeof(plain), &msg,
	    &m) == OPEN_OK)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t		 rec[MAX + 64], plain[MAX];
	struct spdm_tcp		 tcp = { .counted = true, .known = true };
	struct spdm_binding	 b = { .tcp = &tcp };
	struct spdm_session	*s;
	const uint8_t		*msg, *p;
	enum spdm_side		 side;
	enum spdm_open		 r;
	uint64_t		 was;
	size_t			 n, len;

	if (spdm_init() == -1)
		abort();
	if (size < 1 || size > MAX)
		return 0;
	p = data + 1;
	n = size - 1;
	if (data[0] & 1)
		b = (struct spdm_binding){ .seq_len = 2, .pad_max = 7,
		    .mctp = true };
	side = data[0] & 2 ? SPDM_SIDE_RSP : SPDM_SIDE_REQ;
	s = session(data[0]);
	was = s->dir[side].seq;
	if (data[0] & 16) {
		n = seal(s, side, &b, p, n, rec);
		p = rec;
	}
	r = spdm_record_open(s, side, &b, p, n, plain, sizeof(plain), &msg,
	    &len);
	if (r == OPEN_OK) {
		if (msg < plain || msg + len > plain + sizeof(plain))
			abort();
		if (len > 0 && msg[len - 1] == 0x77)	/* read all of it */
			was++;
	} else if (s->dir[side].seq != was)
		abort();
	spdm_session_free(s);
	s = session(data[0] & (uint8_t)~12);
	round_trip(s, side, &b, data + 1, size - 1);
	spdm_session_free(s);
	return 0;
}
