/*
 * Times of certificates as seconds since 1970. OpenSSL's functions that take
 * a time_t are not used: on 32-bit ARM Debian's library has one of 32 bits
 * and ours has 64, so that it would read half of it, and of something else.
 */
#ifndef X509TIME_H
#define X509TIME_H

#include <stdint.h>

#include <openssl/asn1.h>

/* UTCTime up to 2049, GeneralizedTime from then on (RFC 5280, 4.1.2.5); at
 * most 9999. 0, or -1. */
int	x509_time_set(ASN1_TIME *, uint64_t seconds);
/* 0 for what is no time, or before 1970. */
uint64_t x509_time(const ASN1_TIME *);

#endif
