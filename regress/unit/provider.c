/* Keys at keyd: what nobody in this process can get from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "certs.h"

static EVP_PKEY		*local, *remote;
static enum reason	 answer;	/* of the signer */
static unsigned		 asked;
static uint32_t		 asked_key;
static uint16_t		 asked_scheme;

static enum reason
sign(const struct sign_request *q)
{
	uint8_t	sig[112];
	size_t	len;

	asked++;
	asked_key = q->key;
	asked_scheme = q->scheme;
	if (answer != R_OK)
		return answer;
	len = certs_signature(local, q->content, q->len, sig);
	provider_done(q->id, R_OK, sig, len);
	return R_OK;
}

static int
setup(void **state)
{
	uint8_t	pub[97];
	size_t	len;

	if (tls_init(NULL) == -1)
		return -1;
	provider_signer(sign);
	local = certs_key("P-256");
	len = certs_public(local, pub);
	remote = provider_key(7, KEY_P256, pub, len);
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

static int
digest_sign(EVP_PKEY *key, const char *digest, size_t contentlen, uint8_t *sig,
    size_t *len)
{
	static const uint8_t	 content[256] = { 0x20 };
	EVP_MD_CTX		*ctx = EVP_MD_CTX_new();
	int			 r;

	r = EVP_DigestSignInit_ex(ctx, NULL, digest, tls_lib(), TLS_PROPQ, key,
	    NULL) == 1 && EVP_DigestSign(ctx, sig, len, content,
	    contentlen) == 1 ? 0 : -1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return r;
}

/* The signature comes from the signer, for this key, and verifies. */
static void
test_signs(void **state)
{
	static const uint8_t	 content[130] = { 0x20 };
	EVP_MD_CTX		*ctx = EVP_MD_CTX_new();
	uint8_t			 sig[112];
	size_t			 len = sizeof(sig);

	answer = R_OK;
	asked = 0;
	assert_int_equal(digest_sign(remote, "SHA256", 130, sig, &len), 0);
	assert_int_equal(asked, 1);
	assert_int_equal(asked_key, 7);
	assert_int_equal(asked_scheme, 0x0403);
	assert_int_equal(EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", tls_lib(),
	    TLS_PROPQ, local, NULL), 1);
	assert_int_equal(EVP_DigestVerify(ctx, sig, len, content, 130), 1);
	EVP_MD_CTX_free(ctx);
	assert_int_equal(provider_pending(), 0);
}

/* The reason of a failure is kept for who asked. */
static void
test_failure(void **state)
{
	uint8_t	sig[112];
	size_t	len = sizeof(sig);

	answer = R_IPC_NOLINK;
	assert_int_equal(digest_sign(remote, "SHA256", 130, sig, &len), -1);
	assert_int_equal(provider_failure(), R_IPC_NOLINK);
	assert_int_equal(provider_failure(), R_OK);
	assert_int_equal(provider_pending(), 0);
}

/* One digest a curve, and no more content than TLS has. */
static void
test_wrong_form(void **state)
{
	uint8_t	sig[112];
	size_t	len = sizeof(sig);

	answer = R_OK;
	asked = 0;
	assert_int_equal(digest_sign(remote, "SHA384", 130, sig, &len), -1);
	assert_int_equal(digest_sign(remote, "SHA3-256", 130, sig, &len), -1);
	assert_int_equal(digest_sign(remote, "SHA256", 147, sig, &len), -1);
	assert_int_equal(asked, 0);
}

/* No bare digest is signed. */
static void
test_no_bare_digest(void **state)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(tls_lib(), remote,
	    TLS_PROPQ);

	assert_non_null(ctx);
	assert_int_not_equal(EVP_PKEY_sign_init(ctx), 1);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
}

/* There is no private half to be had. */
static void
test_no_private_half(void **state)
{
	OSSL_PARAM	*params = NULL;
	BIGNUM		*priv = NULL;
	uint8_t		*der = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(remote, OSSL_PKEY_PARAM_PRIV_KEY,
	    &priv), 0);
	assert_int_equal(EVP_PKEY_todata(remote, EVP_PKEY_KEYPAIR, &params), 0);
	assert_true(i2d_PrivateKey(remote, &der) <= 0);
	ERR_clear_error();
}

/* And none can be put in. */
static void
test_import_refuses_private(void **state)
{
	uint8_t		 pub[97];
	OSSL_PARAM_BLD	*b = OSSL_PARAM_BLD_new();
	BIGNUM		*priv = NULL;
	OSSL_PARAM	*params;
	EVP_PKEY_CTX	*ctx;
	EVP_PKEY	*k = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(local, OSSL_PKEY_PARAM_PRIV_KEY,
	    &priv), 1);
	OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME,
	    "prime256v1", 0);
	OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, pub,
	    certs_public(local, pub));
	OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, priv);
	params = OSSL_PARAM_BLD_to_param(b);
	ctx = EVP_PKEY_CTX_new_from_name(tls_lib(), "EC", "provider=remote");
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_true(EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_KEYPAIR, params) <= 0);
	EVP_PKEY_free(k);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(b);
	BN_clear_free(priv);
	ERR_clear_error();
}

/* The public half is the certificate's or it is not. */
static void
test_matches(void **state)
{
	EVP_PKEY *other = certs_key("P-256");

	assert_int_equal(EVP_PKEY_eq(local, remote), 1);
	assert_int_not_equal(EVP_PKEY_eq(other, remote), 1);
	EVP_PKEY_free(other);
	ERR_clear_error();
}

/* A point that does not fit the curve is refused. */
static void
test_wrong_point(void **state)
{
	uint8_t pub[97];

	assert_null(provider_key(1, KEY_P384, pub, certs_public(local, pub)));
	assert_null(provider_key(1, KEY_P256, pub, 64));
	ERR_clear_error();
}

/* Of OpenSSL there is only what the channel is made of. */
static void
test_nothing_else(void **state)
{
	assert_null(EVP_MD_fetch(tls_lib(), "MD5", NULL));
	assert_null(EVP_CIPHER_fetch(tls_lib(), "AES-128-CBC", NULL));
	assert_null(EVP_KEYMGMT_fetch(tls_lib(), "RSA", NULL));
	assert_null(EVP_KEYMGMT_fetch(tls_lib(), "X448", NULL));
	assert_null(EVP_SIGNATURE_fetch(tls_lib(), "ED25519", NULL));
	ERR_clear_error();
}

/* An answer that nobody waits for changes nothing. */
static void
test_late_answer(void **state)
{
	static const uint8_t sig[72] = { 0x30 };

	provider_done(0, R_OK, sig, sizeof(sig));
	provider_done(UINT32_MAX, R_OK, sig, sizeof(sig));
	assert_int_equal(provider_pending(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signs),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_wrong_form),
		cmocka_unit_test(test_no_bare_digest),
		cmocka_unit_test(test_no_private_half),
		cmocka_unit_test(test_import_refuses_private),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_wrong_point),
		cmocka_unit_test(test_nothing_else),
		cmocka_unit_test(test_late_answer),
	};

	return cmocka_run_group_tests_name("provider", tests, setup, teardown);
}
