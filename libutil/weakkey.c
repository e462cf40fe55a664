#include <stdbool.h>

#include <openssl/bn.h>

#include "weakkey.h"

/*
 * The odd primes below 752, which NIST SP 800-89 (5.3.3) wants no modulus
 * divided by. 0 ends a group whose product is below 2^32: one division of the
 * modulus serves it.
 */
static const uint16_t primes[] = {
	3, 5, 7, 11, 13, 17, 19, 23, 29, 0,
	31, 37, 41, 43, 47, 0,
	53, 59, 61, 67, 71, 0,
	73, 79, 83, 89, 97, 0,
	101, 103, 107, 109, 0, 113, 127, 131, 137, 0, 139, 149, 151, 157, 0,
	163, 167, 173, 179, 0, 181, 191, 193, 197, 0, 199, 211, 223, 227, 0,
	229, 233, 239, 241, 0,
	251, 257, 263, 0, 269, 271, 277, 0, 281, 283, 293, 0, 307, 311, 313, 0,
	317, 331, 337, 0, 347, 349, 353, 0, 359, 367, 373, 0, 379, 383, 389, 0,
	397, 401, 409, 0, 419, 421, 431, 0, 433, 439, 443, 0, 449, 457, 461, 0,
	463, 467, 479, 0, 487, 491, 499, 0, 503, 509, 521, 0, 523, 541, 547, 0,
	557, 563, 569, 0, 571, 577, 587, 0, 593, 599, 601, 0, 607, 613, 617, 0,
	619, 631, 641, 0, 643, 647, 653, 0, 659, 661, 673, 0, 677, 683, 691, 0,
	701, 709, 719, 0, 727, 733, 739, 0, 743, 751, 0,
};
#define NPRIMES	(sizeof(primes) / sizeof(primes[0]))

/* The primes whose residues tell a key of CVE-2017-15361 from another. */
#define ROCA_LAST	167
#define ROCA_GENERATOR	65537

#define FERMAT_ROUNDS	100

static uint32_t
residue(const uint8_t *n, size_t len, uint32_t m)
{
	uint64_t	 r = 0;
	size_t		 i;

	for (i = 0; i < len % 4; i++)
		r = r << 8 | n[i];
	for (r %= m; i < len; i += 4)
		r = (r << 32 | (uint32_t)n[i] << 24 | (uint32_t)n[i + 1] << 16 |
		    (uint32_t)n[i + 2] << 8 | n[i + 3]) % m;
	return (uint32_t)r;
}

/* Is r a power of 65537 modulo p? */
static bool
is_power(uint32_t r, uint32_t p)
{
	uint32_t	 x = 1;

	do {
		if (x == r)
			return true;
		x = x * (ROCA_GENERATOR % p) % p;
	} while (x != 1);
	return false;
}

static size_t
bits(const uint8_t *n, size_t len)
{
	size_t	 b;
	uint8_t	 top;

	if (len == 0)
		return 0;
	b = 8 * (len - 1);
	for (top = n[0]; top != 0; top >>= 1)
		b++;
	return b;
}

/*
 * The primes of the broken library are k * M + (65537^a mod M), with M the
 * product of the first primes, so that the modulus, too, is a power of 65537
 * modulo each of them; of other keys, one in 2^27 is.
 */
static const char *
weak_factors(const uint8_t *n, size_t len)
{
	uint32_t	 product, r;
	size_t		 i, k;
	bool		 roca = true;

	for (i = 0; i < NPRIMES; i = k + 1) {
		product = 1;
		for (k = i; primes[k] != 0; k++)
			product *= primes[k];
		r = residue(n, len, product);
		for (k = i; primes[k] != 0; k++) {
			if (r % primes[k] == 0)
				return "a modulus with a small factor";
			if (roca && primes[k] <= ROCA_LAST &&
			    !is_power(r % primes[k], primes[k]))
				roca = false;
		}
	}
	return roca ? "a key of the broken family of CVE-2017-15361" : NULL;
}

/* ---- primes that are close to each other ------------------------------ */

/* x = floor(sqrt(n)), by Newton's method from above. 0 or -1. */
static int
root(BIGNUM *x, const BIGNUM *n, BN_CTX *ctx)
{
	BIGNUM	*next = BN_CTX_get(ctx);

	if (next == NULL || BN_one(x) != 1 ||
	    BN_lshift(x, x, (BN_num_bits(n) + 1) / 2) != 1)
		return -1;
	for (;;) {
		if (BN_div(next, NULL, n, x, ctx) != 1 ||
		    BN_add(next, next, x) != 1 || BN_rshift1(next, next) != 1)
			return -1;
		if (BN_cmp(next, x) >= 0)
			return 0;
		BN_swap(next, x);
	}
}

/* Is r the square of something modulo m? */
static bool
residue_of_square(BN_ULONG r, unsigned m)
{
	unsigned	 i;

	for (i = 0; i <= m / 2; i++)
		if (i * i % m == r % m)
			return true;
	return false;
}

/* 1 or 0, or -1. Most numbers are told by three small remainders. */
static int
is_square(const BIGNUM *n, BN_CTX *ctx)
{
	BN_ULONG	 r = BN_mod_word(n, 64UL * 63 * 65);
	BIGNUM		*x;
	int		 ret = -1;

	if (!residue_of_square(r, 64) || !residue_of_square(r, 63) ||
	    !residue_of_square(r, 65))
		return 0;
	BN_CTX_start(ctx);
	x = BN_CTX_get(ctx);
	if (x != NULL && (BN_is_zero(n) || root(x, n, ctx) == 0) &&
	    BN_sqr(x, x, ctx) == 1)
		ret = BN_is_zero(n) || BN_cmp(x, n) == 0;
	BN_CTX_end(ctx);
	return ret;
}

/*
 * Fermat's method: n = a^2 - b^2 = (a - b)(a + b), with an a just above the
 * root of n if the primes are close, as those of CVE-2022-26320. Good ones are
 * 2^900 and more apart, and no number of rounds finds them. 1 or 0, or -1.
 */
static int
fermat(const BIGNUM *n, BN_CTX *ctx)
{
	BIGNUM	*a = BN_CTX_get(ctx), *b2 = BN_CTX_get(ctx);
	int	 i, r;

	if (b2 == NULL || root(a, n, ctx) == -1 || BN_sqr(b2, a, ctx) != 1)
		return -1;
	if (BN_cmp(b2, n) == 0)
		return 1;
	if (BN_add_word(a, 1) != 1 || BN_sqr(b2, a, ctx) != 1 ||
	    BN_sub(b2, b2, n) != 1)
		return -1;
	for (i = 0; i < FERMAT_ROUNDS; i++) {
		if ((r = is_square(b2, ctx)) != 0)
			return r;
		/* (a + 1)^2 = a^2 + 2a + 1 */
		if (BN_add(b2, b2, a) != 1 || BN_add_word(a, 1) != 1 ||
		    BN_add(b2, b2, a) != 1)
			return -1;
	}
	return 0;
}

static const char *
weak_close(const uint8_t *modulus, size_t len)
{
	BN_CTX	*ctx = BN_CTX_new();
	BIGNUM	*n = BN_bin2bn(modulus, (int)len, NULL);
	int	 r = -1;

	if (ctx != NULL && n != NULL) {
		BN_CTX_start(ctx);
		r = fermat(n, ctx);
		BN_CTX_end(ctx);
	}
	BN_free(n);
	BN_CTX_free(ctx);
	return r == 0 ? NULL : r == 1 ? "a modulus of two primes that are "
	    "too close" : "a modulus that cannot be looked at: no memory";
}

const char *
weak_rsa(const uint8_t *n, size_t len, uint32_t e)
{
	const char	*why;

	if (len > WEAK_RSA_MAX)
		return "a modulus that is too long";
	if (len > 0 && n[0] == 0)
		return "a modulus with a leading zero";
	if (bits(n, len) < WEAK_RSA_BITS)
		return "a modulus of fewer than 2048 bits";
	if ((n[len - 1] & 1) == 0)
		return "an even modulus";
	if ((e & 1) == 0)
		return "an even exponent";
	/* SP 800-56B, 6.2: 2^16 < e; 1 signs nothing at all. */
	if (e < 65537)
		return "an exponent below 65537";
	if ((why = weak_factors(n, len)) != NULL)
		return why;
	return weak_close(n, len);
}
