/*
 * Strict DER (X.690, 10 and 11). OpenSSL's decoder takes some BER; what is
 * signed by strangers must not hold any.
 */
#ifndef DER_H
#define DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DER_BOOLEAN	0x01
#define DER_INTEGER	0x02
#define DER_BITS	0x03
#define DER_OCTETS	0x04
#define DER_NULL	0x05
#define DER_OID		0x06
#define DER_ENUMERATED	0x0a
#define DER_SEQUENCE	0x30
#define DER_SET		0x31

struct der {			/* what is left of a body */
	const uint8_t	*p;
	size_t		 left;
};

/* Length of the SEQUENCE at p if it is whole, else 0. */
size_t	der_len(const uint8_t *p, size_t left);
/* The element at p: its body. Length of it all, or 0. */
size_t	der_element(const uint8_t *p, size_t left, const uint8_t **body,
	    size_t *body_len);
/* One SEQUENCE from end to end, and every element in its one form. */
bool	der_strict(const uint8_t *, size_t);
/* Takes the next element if it has the tag: its body, and the whole of it
 * (NULL: not wanted). */
bool	der_next(struct der *, uint8_t tag, struct der *body,
	    struct der *whole);
bool	der_equals(const struct der *, const void *, size_t);

#endif
