/*
 * RSA public keys that must not be certified: a list of what can be seen from
 * the key alone, for those who never had the private one.
 */
#ifndef WEAKKEY_H
#define WEAKKEY_H

#include <stddef.h>
#include <stdint.h>

#define WEAK_RSA_BITS	2048	/* NIST SP 800-131A: fewer are disallowed */
#define WEAK_RSA_MAX	1024	/* bytes of a modulus that are looked at */

/*
 * What is wrong with a key of modulus n, big-endian, and exponent e; NULL if
 * nothing is. The text is for a refusal's "seen".
 */
const char *weak_rsa(const uint8_t *n, size_t len, uint32_t e);

#endif
