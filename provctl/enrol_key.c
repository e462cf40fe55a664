/*
 * Keys of a device and requests over them.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "enrol.h"

int
key_make(struct device_key *k, enum key_kind kind)
{
	memset(k, 0, sizeof(*k));
	if (kind == KEYS_TPM) {
		if ((k->tpm = tpm_make()) != NULL)
			k->key = tpm_public(k->tpm);
	} else
		k->key = kind == KEYS_P256 ? EVP_EC_gen("P-256") :
		    EVP_RSA_gen(2048);
	if (k->key != NULL)
		return 0;
	key_free(k);
	return -1;
}

bool
key_is(const struct device_key *k, enum key_kind kind)
{
	if ((k->tpm != NULL) != (kind == KEYS_TPM))
		return false;
	return EVP_PKEY_is_a(k->key, kind == KEYS_RSA2048 ? "RSA" : "EC") &&
	    EVP_PKEY_get_bits(k->key) == (kind == KEYS_RSA2048 ? 2048 : 256);
}

void
key_free(struct device_key *k)
{
	EVP_PKEY_free(k->key);
	tpm_key_free(k->tpm);
	memset(k, 0, sizeof(*k));
}

/* What is renewed keeps its subjectAltName. */
static int
add_san(X509_REQ *req, const X509 *old)
{
	STACK_OF(X509_EXTENSION)	*exts;
	X509_EXTENSION			*e;
	int				 i, r = -1;

	i = X509_get_ext_by_NID(old, NID_subject_alt_name, -1);
	if (i < 0)
		return 0;
	e = X509_EXTENSION_dup(X509_get_ext(old, i));
	exts = sk_X509_EXTENSION_new_null();
	if (e != NULL && exts != NULL && sk_X509_EXTENSION_push(exts, e) > 0) {
		e = NULL;
		r = X509_REQ_add_extensions(req, exts) == 1 ? 0 : -1;
	}
	X509_EXTENSION_free(e);
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	return r;
}

/* OpenSSL's own way wants a key that signs; the TPM is asked past it. */
static int
sign_by_tpm(X509_REQ *req, const struct tpm_key *k)
{
	X509_ALGOR	*alg = X509_ALGOR_new();
	ASN1_BIT_STRING	*bits = ASN1_BIT_STRING_new();
	uint8_t		*tbs = NULL, sig[TPM_SIG_MAX];
	size_t		 siglen;
	int		 n, r = -1;

	if (alg == NULL || bits == NULL)
		abort();
	X509_ALGOR_set0(alg, OBJ_nid2obj(NID_ecdsa_with_SHA256), V_ASN1_UNDEF,
	    NULL);
	n = i2d_re_X509_REQ_tbs(req, &tbs);
	if (n > 0 && tpm_sign(k, tbs, (size_t)n, sig, &siglen) == 0 &&
	    ASN1_BIT_STRING_set(bits, sig, (int)siglen) == 1 &&
	    X509_REQ_set1_signature_algo(req, alg) == 1) {
		/* no unused bits, whatever the last byte is */
		bits->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 0x07);
		bits->flags |= ASN1_STRING_FLAG_BITS_LEFT;
		X509_REQ_set0_signature(req, bits);
		bits = NULL;
		r = 0;
	}
	OPENSSL_free(tbs);
	ASN1_BIT_STRING_free(bits);
	X509_ALGOR_free(alg);
	return r;
}

static int
sign(X509_REQ *req, const struct device_key *k)
{
	if (k->tpm != NULL)
		return sign_by_tpm(req, k->tpm);
	return X509_REQ_sign(req, k->key, EVP_sha256()) > 0 ? 0 : -1;
}

uint8_t *
csr_make(const struct device_key *k, const char *name, const X509 *old,
    size_t *len)
{
	X509_REQ	*req = X509_REQ_new();
	uint8_t		*der = NULL, *out;
	int		 n;

	if (req == NULL || X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
	    X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(req),
	    NID_commonName, MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
	    0) != 1 || X509_REQ_set_pubkey(req, k->key) != 1 ||
	    (old != NULL && add_san(req, old) == -1) ||
	    sign(req, k) == -1 ||
	    (n = i2d_X509_REQ(req, &der)) <= 0) {
		X509_REQ_free(req);
		return NULL;
	}
	X509_REQ_free(req);
	if ((out = malloc((size_t)n)) == NULL)
		abort();
	memcpy(out, der, (size_t)n);
	OPENSSL_free(der);
	*len = (size_t)n;
	return out;
}

char *
name_of(const X509_NAME *name)
{
	const ASN1_STRING	*s;
	unsigned char		*utf8;
	char			*out = NULL;
	int			 i, n;

	i = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (i < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, i) >= 0)
		return NULL;
	s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i));
	if ((n = ASN1_STRING_to_UTF8(&utf8, s)) < 0)
		return NULL;
	if (n > 0 && memchr(utf8, '\0', (size_t)n) == NULL &&
	    (out = strndup((char *)utf8, (size_t)n)) == NULL)
		abort();
	OPENSSL_free(utf8);
	return out;
}

static bool
same_san(X509_REQ *req, const X509 *old)
{
	STACK_OF(X509_EXTENSION)	*exts = X509_REQ_get_extensions(req);
	X509_EXTENSION			*a = NULL, *b = NULL;
	int				 i;
	bool				 same;

	if ((i = X509v3_get_ext_by_NID(exts, NID_subject_alt_name, -1)) >= 0)
		a = X509v3_get_ext(exts, i);
	if (old != NULL && (i = X509_get_ext_by_NID(old, NID_subject_alt_name,
	    -1)) >= 0)
		b = X509_get_ext(old, i);
	same = a == NULL || b == NULL ? a == b : ASN1_OCTET_STRING_cmp(
	    X509_EXTENSION_get_data(a),
	    X509_EXTENSION_get_data(b)) == 0;
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	return same;
}

bool
csr_fits(const uint8_t *der, size_t len, const EVP_PKEY *key,
    const char *name, const X509 *old)
{
	const unsigned char	*p = der;
	X509_REQ		*req = d2i_X509_REQ(NULL, &p, (long)len);
	EVP_PKEY		*pub;
	char			*cn = NULL;
	bool			 fits = false;

	if (req != NULL && p == der + len &&
	    (pub = X509_REQ_get0_pubkey(req)) != NULL &&
	    EVP_PKEY_eq(pub, key) == 1 && X509_REQ_verify(req, pub) == 1 &&
	    same_san(req, old) &&
	    (cn = name_of(X509_REQ_get_subject_name(req))) != NULL)
		fits = strcmp(cn, name) == 0;
	free(cn);
	X509_REQ_free(req);
	return fits;
}
