/*
 * Private scalars at rest: AES-256-GCM under the backend's key-wrapping key,
 * with the description of the key as additional data, so that a scalar
 * decrypts only as the key that it was made for.
 */
#include <string.h>

#include <openssl/rand.h>

#include "keyd.h"

#define NONCE	12
#define TAG	16

int
wrap_seal(const uint8_t *kek, const void *aad, size_t aadlen,
    const uint8_t *in, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX	*ctx = EVP_CIPHER_CTX_new();
	int		 n, ret = -1;

	if (ctx == NULL || RAND_bytes(out, NONCE) != 1)
		goto out;
	if (EVP_EncryptInit_ex2(ctx, EVP_aes_256_gcm(), kek, out, NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aadlen) != 1 ||
	    EVP_EncryptUpdate(ctx, out + NONCE, &n, in, (int)len) != 1 ||
	    (size_t)n != len ||
	    EVP_EncryptFinal_ex(ctx, out + NONCE + len, &n) != 1 || n != 0 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG,
	    out + NONCE + len) != 1)
		goto out;
	ret = 0;
 out:
	EVP_CIPHER_CTX_free(ctx);
	return ret;
}

int
wrap_open(const uint8_t *kek, const void *aad, size_t aadlen,
    const uint8_t *in, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX	*ctx;
	uint8_t		 tag[TAG];
	size_t		 body;
	int		 n, ret = -1;

	if (len < WRAP_EXTRA || (ctx = EVP_CIPHER_CTX_new()) == NULL)
		return -1;
	body = len - WRAP_EXTRA;
	memcpy(tag, in + NONCE + body, TAG);
	if (EVP_DecryptInit_ex2(ctx, EVP_aes_256_gcm(), kek, in, NULL) != 1 ||
	    EVP_DecryptUpdate(ctx, NULL, &n, aad, (int)aadlen) != 1 ||
	    EVP_DecryptUpdate(ctx, out, &n, in + NONCE, (int)body) != 1 ||
	    (size_t)n != body ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) != 1 ||
	    EVP_DecryptFinal_ex(ctx, out + body, &n) != 1 || n != 0)
		goto out;
	ret = 0;
 out:
	EVP_CIPHER_CTX_free(ctx);
	if (ret == -1)
		explicit_bzero(out, body);
	return ret;
}
