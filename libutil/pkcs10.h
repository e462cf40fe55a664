/* What a certificate request is made of (RFC 2986, 4). */
#ifndef PKCS10_H
#define PKCS10_H

#include "der.h"

/* Parts of the bytes that were read: whole elements, or bodies of them. */
struct pkcs10 {
	struct der	 info;		/* whole: what is signed */
	struct der	 name;		/* body of the subject */
	struct der	 spki;		/* whole SubjectPublicKeyInfo */
	struct der	 spki_body;
	struct der	 attributes;	/* body */
	struct der	 algorithm;	/* body: of the signature */
	struct der	 sig;		/* without the octet of unused bits */
};

/*
 * Strict DER from end to end, of this form; nothing in the parts is looked
 * at. NULL, or what should be there and is not.
 */
const char *pkcs10_read(const uint8_t *, size_t, struct pkcs10 *);

#endif
