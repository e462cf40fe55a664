#include "pkcs10.h"

#define TAG_ATTRIBUTES	0xa0	/* [0] IMPLICIT SET OF */

const char *
pkcs10_read(const uint8_t *p, size_t len, struct pkcs10 *q)
{
	struct der	all = { p, len }, outer, body, version;

	if (!der_strict(p, len) || !der_next(&all, DER_SEQUENCE, &outer, NULL))
		return "strict DER, and nothing after it";
	if (!der_next(&outer, DER_SEQUENCE, &body, &q->info) ||
	    !der_next(&outer, DER_SEQUENCE, &q->algorithm, NULL) ||
	    !der_next(&outer, DER_BITS, &q->sig, NULL) || outer.left != 0)
		return "what is signed, an algorithm, a signature";
	if (!der_next(&body, DER_INTEGER, &version, NULL) ||
	    !der_equals(&version, "", 1))
		return "version 0";
	if (!der_next(&body, DER_SEQUENCE, &q->name, NULL))
		return "a subject";
	if (!der_next(&body, DER_SEQUENCE, &q->spki_body, &q->spki))
		return "a public key";
	if (!der_next(&body, TAG_ATTRIBUTES, &q->attributes, NULL) ||
	    body.left != 0)
		return "attributes, and nothing after them";
	if (q->sig.left < 2 || q->sig.p[0] != 0)
		return "a signature of whole bytes";
	q->sig.p++;
	q->sig.left--;
	return NULL;
}
