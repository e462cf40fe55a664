/* Transcripts as running hashes: nothing grows with what a peer sends. */
#include <string.h>

#include "log.h"
#include "spdm.h"

static void
copy(EVP_MD_CTX *to, const EVP_MD_CTX *from)
{
	if (EVP_MD_CTX_copy_ex(to, from) != 1)
		fatalx("transcript: copy failed");
}

static void
update(EVP_MD_CTX *c, const void *p, size_t n)
{
	if (EVP_DigestUpdate(c, p, n) != 1)
		fatalx("transcript: digest failed");
}

int
transcript_init(struct transcript *t)
{
	memset(t, 0, sizeof(*t));
	t->base = EVP_MD_CTX_new();
	t->b = EVP_MD_CTX_new();
	t->m = EVP_MD_CTX_new();
	t->tmp = EVP_MD_CTX_new();
	if (t->base && t->b && t->m && t->tmp)
		return 0;
	transcript_free(t);
	return -1;
}

void
transcript_free(struct transcript *t)
{
	EVP_MD_CTX_free(t->base);
	EVP_MD_CTX_free(t->b);
	EVP_MD_CTX_free(t->m);
	EVP_MD_CTX_free(t->tmp);
	memset(t, 0, sizeof(*t));
}

void
transcript_reset(struct transcript *t)
{
	t->alen = 0;
	t->alg = NULL;
	t->m_alone = false;
}

int
transcript_a(struct transcript *t, const void *p, size_t n)
{
	if (sizeof(t->a) - t->alen < n)
		return -1;
	memcpy(t->a + t->alen, p, n);
	t->alen += n;
	return 0;
}

void
transcript_negotiated(struct transcript *t, const struct spdm_alg *alg)
{
	t->alg = alg;
	if (EVP_DigestInit_ex2(t->base, spdm_md(alg), NULL) != 1)
		fatalx("transcript: %s failed", alg->md_name);
	update(t->base, t->a, t->alen);
	t->b_clean = t->m_clean = false;
	transcript_reset_b(t);
	transcript_reset_m(t);
}

void
transcript_m_alone(struct transcript *t)
{
	t->m_alone = true;
}

void
transcript_reset_b(struct transcript *t)
{
	if (t->alg == NULL || t->b_clean)
		return;
	copy(t->b, t->base);
	t->b_clean = true;
}

void
transcript_reset_m(struct transcript *t)
{
	if (t->alg == NULL || t->m_clean)
		return;
	if (!t->m_alone)
		copy(t->m, t->base);
	else if (EVP_DigestInit_ex2(t->m, spdm_md(t->alg), NULL) != 1)
		fatalx("transcript: %s failed", t->alg->md_name);
	t->m_clean = true;
}

void
transcript_b(struct transcript *t, const void *req, size_t reqlen,
    const void *rsp, size_t rsplen)
{
	update(t->b, req, reqlen);
	update(t->b, rsp, rsplen);
	t->b_clean = false;
}

void
transcript_m(struct transcript *t, const void *req, size_t reqlen,
    const void *rsp, size_t rsplen)
{
	update(t->m, req, reqlen);
	update(t->m, rsp, rsplen);
	t->m_clean = false;
}

static void
finish(EVP_MD_CTX *c, uint8_t *out)
{
	if (EVP_DigestFinal_ex(c, out, NULL) != 1)
		fatalx("transcript: digest failed");
}

void
transcript_c_hash(struct transcript *t, const void *req, size_t reqlen,
    const void *rsp, size_t rsplen, uint8_t *out)
{
	copy(t->tmp, t->b);
	update(t->tmp, req, reqlen);
	update(t->tmp, rsp, rsplen);
	finish(t->tmp, out);
}

void
transcript_m_hash(struct transcript *t, uint8_t *out)
{
	copy(t->tmp, t->m);
	finish(t->tmp, out);
}
