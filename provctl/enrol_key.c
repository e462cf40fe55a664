/*
 * Keys of a device and requests over them.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "enrol.h"

EVP_PKEY *
key_make(enum key_kind kind)
{
	return kind == KEYS_P256 ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);
}

bool
key_is(const EVP_PKEY *key, enum key_kind kind)
{
	return EVP_PKEY_is_a(key, kind == KEYS_P256 ? "EC" : "RSA") &&
	    EVP_PKEY_get_bits(key) == (kind == KEYS_P256 ? 256 : 2048);
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

uint8_t *
csr_make(EVP_PKEY *key, const char *name, const X509 *old, size_t *len)
{
	X509_REQ	*req = X509_REQ_new();
	uint8_t		*der = NULL, *out;
	int		 n;

	if (req == NULL || X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
	    X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(req),
	    NID_commonName, MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
	    0) != 1 || X509_REQ_set_pubkey(req, key) != 1 ||
	    (old != NULL && add_san(req, old) == -1) ||
	    X509_REQ_sign(req, key, EVP_sha256()) <= 0 ||
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
