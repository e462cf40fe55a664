/*
 * SubjectPublicKeyInfo of the two kinds of key there are: its SHA-256 is what
 * node ids are made of, so that all daemons must write the same bytes.
 */
#ifndef SPKI_H
#define SPKI_H

#include <stddef.h>
#include <stdint.h>

#define SPKI_MAX	120

/*
 * DER of an uncompressed point of P-256 or P-384 (RFC 5480); its length, or 0
 * if the bytes have not the form of one. The curve's equation is not checked.
 */
size_t	spki_der(const uint8_t *point, size_t len, uint8_t out[SPKI_MAX]);

#endif
