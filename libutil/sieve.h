/*
 * An OpenSSL with what a daemon needs and nothing else: strangers' bytes meet
 * that much less code, and a certificate is read faster, because to decode a
 * public key OpenSSL first collects every decoder that it has.
 */
#ifndef SIEVE_H
#define SIEVE_H

#include <openssl/types.h>
#include <stddef.h>

#define SIEVE_MAX	16	/* algorithms of one kind */

/* What is kept: the first of its names and, if not NULL, a part of its properties. */
struct sieve_row {
	int		 operation;	/* OSSL_OP_DIGEST, ... */
	const char	*name;
	const char	*property;
};

/*
 * A library context with these algorithms of the default provider, and its
 * TLS groups as far as they can be computed. Lives as long as the process,
 * which has one. NULL on failure.
 */
OSSL_LIB_CTX *sieve_open(const struct sieve_row *, size_t);

#endif
