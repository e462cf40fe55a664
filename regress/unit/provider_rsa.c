/* An RSA key at keyd: RSASSA-PSS over a whole message, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "../../enrold/enrold.h"

static EVP_PKEY		*local, *remote;
static unsigned		 asked;
static uint16_t		 asked_scheme;
static uint8_t		 modulus[512];

static enum reason
sign(const struct sign_request *q)
{
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX	*pctx;
	uint8_t		 sig[256];
	size_t		 n = sizeof(sig);

	asked++;
	asked_scheme = q->scheme;
	assert_int_equal(q->key, 9);
	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha256(), NULL,
	    local), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx,
	    RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx,
	    RSA_PSS_SALTLEN_DIGEST), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, q->content, q->len), 1);
	EVP_MD_CTX_free(ctx);
	provider_done(q->id, R_OK, sig, n);
	return R_OK;
}

static size_t
modulus_of(EVP_PKEY *key, uint8_t *out)
{
	BIGNUM	*n = NULL;
	int	 len;

	assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N,
	    &n), 1);
	len = BN_bn2bin(n, out);
	BN_free(n);
	return (size_t)len;
}

static int
setup(void **state)
{
	if (tls_init() == -1)
		return -1;
	provider_signer(sign);
	local = EVP_RSA_gen(2048);
	remote = provider_key(9, KEY_RSA2048, modulus,
	    modulus_of(local, modulus));
	return remote == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	EVP_PKEY_free(local);
	EVP_PKEY_free(remote);
	tls_stop();
	return 0;
}

/* As libssl asks; padding 0 and salt 0 are left as they are. */
static int
digest_sign(const char *digest, int padding, int salt, uint8_t *sig,
    size_t *len)
{
	static const uint8_t	 content[130] = { 0x20 };
	EVP_MD_CTX		*ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX		*pctx;
	int			 r;

	r = EVP_DigestSignInit_ex(ctx, &pctx, digest, tls_lib(), TLS_PROPQ,
	    remote, NULL) == 1 && (padding == 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(pctx, padding) == 1) &&
	    (salt == 0 || EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salt) == 1) &&
	    EVP_DigestSign(ctx, sig, len, content, sizeof(content)) == 1 ?
	    0 : -1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return r;
}

static void
test_signs(void **state)
{
	static const uint8_t	 content[130] = { 0x20 };
	EVP_MD_CTX		*ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX		*pctx;
	uint8_t			 sig[256];
	size_t			 n = sizeof(sig);

	asked = 0;
	assert_int_equal(digest_sign("SHA256", RSA_PKCS1_PSS_PADDING,
	    RSA_PSS_SALTLEN_DIGEST, sig, &n), 0);
	assert_int_equal(asked, 1);
	assert_int_equal(asked_scheme, 0x0804);	/* rsa_pss_rsae_sha256 */
	assert_int_equal(n, 256);
	assert_int_equal(EVP_DigestVerifyInit(ctx, &pctx, EVP_sha256(), NULL,
	    local), 1);
	EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
	assert_int_equal(EVP_DigestVerify(ctx, sig, n, content,
	    sizeof(content)), 1);
	EVP_MD_CTX_free(ctx);
}

/* Another padding, salt or digest never leaves this process. */
static void
test_other_schemes(void **state)
{
	uint8_t	sig[256];
	size_t	n = sizeof(sig);

	asked = 0;
	assert_int_equal(digest_sign("SHA256", RSA_PKCS1_PADDING, 0, sig, &n),
	    -1);
	assert_int_equal(digest_sign("SHA256", RSA_NO_PADDING, 0, sig, &n),
	    -1);
	assert_int_equal(digest_sign("SHA256", RSA_PKCS1_PSS_PADDING, 20, sig,
	    &n), -1);
	assert_int_equal(digest_sign("SHA256", RSA_PKCS1_PSS_PADDING,
	    RSA_PSS_SALTLEN_MAX, sig, &n), -1);
	assert_int_equal(digest_sign("SHA384", RSA_PKCS1_PSS_PADDING,
	    RSA_PSS_SALTLEN_DIGEST, sig, &n), -1);
	assert_int_equal(asked, 0);
	assert_int_equal(provider_pending(), 0);
}

static void
test_no_bare_digest(void **state)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(tls_lib(), remote,
	    TLS_PROPQ);

	assert_non_null(ctx);
	assert_int_not_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_not_equal(EVP_PKEY_decrypt_init(ctx), 1);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
}

static void
test_no_private_half(void **state)
{
	OSSL_PARAM	*params = NULL;
	BIGNUM		*d = NULL;
	uint8_t		*der = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(remote, OSSL_PKEY_PARAM_RSA_D,
	    &d), 0);
	assert_int_equal(EVP_PKEY_todata(remote, EVP_PKEY_KEYPAIR, &params),
	    0);
	assert_true(i2d_PrivateKey(remote, &der) <= 0);
	ERR_clear_error();
}

static void
test_import_refuses_private(void **state)
{
	OSSL_PARAM_BLD	*b = OSSL_PARAM_BLD_new();
	BIGNUM		*n = NULL, *d = NULL;
	OSSL_PARAM	*params;
	EVP_PKEY_CTX	*ctx;
	EVP_PKEY	*k = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(local, OSSL_PKEY_PARAM_RSA_N,
	    &n), 1);
	assert_int_equal(EVP_PKEY_get_bn_param(local, OSSL_PKEY_PARAM_RSA_D,
	    &d), 1);
	OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n);
	OSSL_PARAM_BLD_push_uint32(b, OSSL_PKEY_PARAM_RSA_E, 65537);
	OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_D, d);
	params = OSSL_PARAM_BLD_to_param(b);
	ctx = EVP_PKEY_CTX_new_from_name(tls_lib(), "RSA", "provider=remote");
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_true(EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_KEYPAIR, params) <= 0);
	EVP_PKEY_free(k);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(b);
	BN_free(n);
	BN_clear_free(d);
	ERR_clear_error();
}

/* The key of the certificate or none; a modulus of 2048 bits or none. */
static void
test_modulus(void **state)
{
	EVP_PKEY	*small = EVP_RSA_gen(1024), *other = EVP_RSA_gen(2048);
	uint8_t		 n[512];
	size_t		 len = modulus_of(small, n);

	assert_int_equal(EVP_PKEY_eq(local, remote), 1);
	assert_int_not_equal(EVP_PKEY_eq(other, remote), 1);
	assert_int_equal(EVP_PKEY_get_bits(remote), 2048);
	assert_null(provider_key(9, KEY_RSA2048, n, len));
	assert_null(provider_key(9, KEY_RSA2048, modulus, 0));
	assert_null(provider_key(9, KEY_RSA2048, modulus, 257));
	EVP_PKEY_free(small);
	EVP_PKEY_free(other);
	ERR_clear_error();
}

/* Of OpenSSL there is what listeners and certificates are made of. */
static void
test_nothing_else(void **state)
{
	assert_null(EVP_MD_fetch(tls_lib(), "MD5", NULL));
	assert_null(EVP_CIPHER_fetch(tls_lib(), "AES-128-CBC", NULL));
	assert_null(EVP_KEYMGMT_fetch(tls_lib(), "DSA", NULL));
	assert_null(EVP_SIGNATURE_fetch(tls_lib(), "ED25519", NULL));
	assert_null(EVP_ASYM_CIPHER_fetch(tls_lib(), "RSA", NULL));
	ERR_clear_error();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signs),
		cmocka_unit_test(test_other_schemes),
		cmocka_unit_test(test_no_bare_digest),
		cmocka_unit_test(test_no_private_half),
		cmocka_unit_test(test_import_refuses_private),
		cmocka_unit_test(test_modulus),
		cmocka_unit_test(test_nothing_else),
	};

	return cmocka_run_group_tests_name("provider_rsa", tests, setup,
	    teardown);
}
