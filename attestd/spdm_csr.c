/*
 * GET_CSR, CSR, SET_CERTIFICATE and the certificate request in them. OpenSSL
 * sees a public key whose form is known byte for byte, and a signature; the
 * rest is read here.
 */
#include <string.h>

#include <openssl/err.h>

#include "pkcs10.h"
#include "spdm_csr.h"
#include "spki.h"

static uint16_t
u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* ---- messages ------------------------------------------------------------ */

int
spdm_get_csr_get(const uint8_t *msg, size_t len, struct spdm_get_csr *g)
{
	*g = (struct spdm_get_csr){ 0 };
	if (len < 8)
		return -1;
	if (msg[0] >= SPDM_V13) {
		g->key_pair = msg[2];
		g->model = msg[3] & 0x07;
		g->tag = msg[3] >> 3 & 0x07;
		g->overwrite = msg[3] & 0x80;
	}
	g->info_len = u16(msg + 4);
	g->opaque_len = u16(msg + 6);
	if (g->opaque_len > SPDM_OPAQUE_MAX ||
	    g->info_len + g->opaque_len != len - 8)
		return -1;
	g->info = msg + 8;
	g->opaque = g->info + g->info_len;
	return 0;
}

void
spdm_get_csr_put(struct spdm_buf *b, uint8_t version,
    const struct spdm_get_csr *g)
{
	uint8_t	attr = 0;

	if (version >= SPDM_V13)
		attr = (uint8_t)((g->model & 0x07) | (g->tag & 0x07) << 3 |
		    (g->overwrite ? 0x80 : 0));
	spdm_put_hdr(b, version, SPDM_GET_CSR,
	    version >= SPDM_V13 ? g->key_pair : 0, attr);
	spdm_put_u16(b, (uint16_t)g->info_len);
	spdm_put_u16(b, (uint16_t)g->opaque_len);
	spdm_put(b, g->info, g->info_len);
	spdm_put(b, g->opaque, g->opaque_len);
}

int
spdm_csr_get(const uint8_t *msg, size_t len, struct spdm_csr_rsp *c)
{
	*c = (struct spdm_csr_rsp){ 0 };
	if (len < 8 || u16(msg + 4) == 0 || u16(msg + 4) != len - 8)
		return -1;
	c->len = len - 8;
	c->csr = msg + 8;
	return 0;
}

void
spdm_csr_put(struct spdm_buf *b, uint8_t version,
    const struct spdm_csr_rsp *c)
{
	spdm_put_hdr(b, version, SPDM_CSR, 0, 0);
	spdm_put_u16(b, (uint16_t)c->len);
	spdm_put_u16(b, 0);
	spdm_put(b, c->csr, c->len);
}

/* An erasure has no chain; anything else has one, of the length it says. */
int
spdm_set_certificate_get(const uint8_t *msg, size_t len,
    struct spdm_set_certificate *s)
{
	*s = (struct spdm_set_certificate){ 0 };
	if (len < 4)
		return -1;
	s->slot = msg[2] & 0x0f;
	if (msg[0] >= SPDM_V13) {
		s->model = msg[2] >> 4 & 0x07;
		s->erase = msg[2] & 0x80;
		s->key_pair = msg[3];
	}
	s->len = len - 4;
	s->chain = msg + 4;
	if (s->slot >= SPDM_SLOTS)
		return -1;
	if (s->erase)
		return s->len == 0 && s->model == SPDM_MODEL_NONE ? 0 : -1;
	return s->len >= 4 && u16(s->chain) == s->len ? 0 : -1;
}

void
spdm_set_certificate_put(struct spdm_buf *b, uint8_t version,
    const struct spdm_set_certificate *s)
{
	uint8_t	p1 = s->slot & 0x0f;

	if (version >= SPDM_V13)
		p1 = (uint8_t)(p1 | (s->model & 0x07) << 4 |
		    (s->erase ? 0x80 : 0));
	spdm_put_hdr(b, version, SPDM_SET_CERTIFICATE, p1,
	    version >= SPDM_V13 ? s->key_pair : 0);
	if (!s->erase)
		spdm_put(b, s->chain, s->len);
}

int
spdm_set_certificate_rsp_get(const uint8_t *msg, size_t len)
{
	return len == 4 ? msg[2] & 0x0f : -1;
}

size_t
spdm_slot_content(const struct spdm_alg *alg, const uint8_t *ders, size_t len,
    uint8_t *out, size_t size)
{
	size_t	root = der_len(ders, len);
	size_t	total = 4 + alg->hash_len + len;

	if (root == 0 || total > UINT16_MAX || total > size)
		return 0;
	out[0] = (uint8_t)total;
	out[1] = (uint8_t)(total >> 8);
	out[2] = out[3] = 0;
	spdm_hash(spdm_md(alg), ders, root, out + 4);
	memcpy(out + 4 + alg->hash_len, ders, len);
	return total;
}

/* ---- the request in it --------------------------------------------------- */

/* Only what may stand in a message and in a log: printable ASCII. */
static void
text(const struct der *d, char out[65])
{
	size_t	i;

	for (i = 0; i < d->left; i++)
		if (d->p[i] < 0x20 || d->p[i] > 0x7e)
			return;
	if (d->left == 0 || d->left > 64)
		return;
	memcpy(out, d->p, d->left);
	out[d->left] = '\0';
}

/* UTF8String, PrintableString, T61String and IA5String. */
static bool
string_tag(uint8_t tag)
{
	return tag == 0x0c || tag == 0x13 || tag == 0x14 || tag == 0x16;
}

/* AttributeTypeAndValue of a name: those two that are read. */
static bool
read_name(struct der *set, struct spdm_csr *c)
{
	static const uint8_t	cn[] = { 0x55, 0x04, 0x03 };
	static const uint8_t	serial[] = { 0x55, 0x04, 0x05 };
	struct der		pair, type, value;
	uint8_t			tag;

	if (!der_next(set, DER_SEQUENCE, &pair, NULL) ||
	    !der_next(&pair, DER_OID, &type, NULL) || pair.left == 0)
		return false;
	tag = pair.p[0];
	if (!der_next(&pair, tag, &value, NULL) || pair.left != 0)
		return false;
	if (!string_tag(tag))
		return true;
	if (der_equals(&type, cn, sizeof(cn)))
		text(&value, c->name);
	else if (der_equals(&type, serial, sizeof(serial)))
		text(&value, c->device);
	return true;
}

/* Name ::= SEQUENCE OF SET OF; of several common names the last counts. */
static bool
read_names(struct der name, struct spdm_csr *c)
{
	struct der	set;

	while (name.left > 0) {
		if (!der_next(&name, DER_SET, &set, NULL) || set.left == 0)
			return false;
		while (set.left > 0)
			if (!read_name(&set, c))
				return false;
	}
	return true;
}

/* The key in the one form that its curve has. */
static bool
read_key(const struct der *spki, enum key_algorithm a, struct spdm_csr *c)
{
	uint8_t	form[SPKI_MAX];
	size_t	n = spdm_alg(a)->sig_len + 1;

	if (spki->left <= n)
		return false;
	memcpy(c->point, spki->p + spki->left - n, n);
	c->point_len = n;
	c->algorithm = a;
	return spki_der(c->point, n, form) == spki->left &&
	    memcmp(form, spki->p, spki->left) == 0;
}

/* ecdsa-with-SHA256, ecdsa-with-SHA384 (RFC 5758); never less than the key. */
static const char *
read_digest(const struct der *algorithm, enum key_algorithm a)
{
	static const uint8_t	sha256[] = { DER_OID, 8, 0x2a, 0x86, 0x48,
	    0xce, 0x3d, 0x04, 0x03, 0x02 };
	static const uint8_t	sha384[] = { DER_OID, 8, 0x2a, 0x86, 0x48,
	    0xce, 0x3d, 0x04, 0x03, 0x03 };

	if (der_equals(algorithm, sha384, sizeof(sha384)))
		return spdm_alg(KEY_P384)->md_name;
	if (a == KEY_P256 && der_equals(algorithm, sha256, sizeof(sha256)))
		return spdm_alg(KEY_P256)->md_name;
	return NULL;
}

static bool
possessed(const struct der *spki, const char *digest, const struct der *info,
    const struct der *sig)
{
	const uint8_t	*p = spki->p;
	EVP_PKEY	*key;
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();
	bool		 ok;

	key = d2i_PUBKEY_ex(NULL, &p, (long)spki->left, spdm_lib(), NULL);
	ok = key != NULL && ctx != NULL &&
	    EVP_DigestVerifyInit_ex(ctx, NULL, digest, spdm_lib(), NULL, key,
	    NULL) == 1 &&
	    EVP_DigestVerify(ctx, sig->p, sig->left, info->p, info->left) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}

int
spdm_csr_read(const uint8_t *p, size_t len, enum key_algorithm a,
    struct spdm_csr *c, struct spdm_why *w)
{
	struct pkcs10	 q;
	const char	*bad, *digest;

	*c = (struct spdm_csr){ 0 };
	if (len > SPDM_CSR_MAX)
		return spdm_fail(w, R_ATT_CSR_FORM, "certificate request",
		    "at most 4096 bytes", "%zu", len);
	if ((bad = pkcs10_read(p, len, &q)) != NULL || !read_names(q.name, c))
		return spdm_fail(w, R_ATT_CSR_FORM, "certificate request",
		    bad == NULL ? "a subject" : bad,
		    "something else, of %zu bytes", len);
	if (!read_key(&q.spki, a, c))
		return spdm_fail(w, R_ATT_CSR_KEY, "certificate request",
		    spdm_alg(a)->name, "another kind of key");
	if ((digest = read_digest(&q.algorithm, a)) == NULL)
		return spdm_fail(w, R_ATT_CSR_KEY, "certificate request",
		    "signed with ECDSA and a hash of the key's strength",
		    "another algorithm");
	if (!possessed(&q.spki, digest, &q.info, &q.sig))
		return spdm_fail(w, R_ATT_CSR_PROOF, "certificate request",
		    "a signature by the key that it asks for",
		    "one that does not verify");
	return 0;
}
