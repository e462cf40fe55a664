/*
 * OCSP (RFC 6960, nonces as RFC 9654 has them): a request is taken apart
 * here, a response is put around what keyd signed.
 */
#include <string.h>

#include "der_out.h"
#include "hex.h"
#include "wire.h"

#define PREFIX		"/ocsp/"

/* ---- requests -------------------------------------------------------------- */

static int
refuse(struct refusal *why, const char *field, const char *expected)
{
	refusal_set(why, R_ENR_OCSP, field, expected, "something else");
	return -1;
}

static bool
read_hash(struct der algorithm, struct ocsp_query *q)
{
	static const uint8_t	sha1[] = { 0x2b, 0x0e, 0x03, 0x02, 0x1a };
	static const uint8_t	sha256[] = { 0x60, 0x86, 0x48, 0x01, 0x65,
	    0x03, 0x04, 0x02, 0x01 };
	struct der		oid, null;

	if (!der_next(&algorithm, DER_OID, &oid, NULL))
		return false;
	if (der_equals(&oid, sha1, sizeof(sha1))) {
		q->hash = 0;
		q->hash_len = 20;
	} else if (der_equals(&oid, sha256, sizeof(sha256))) {
		q->hash = 1;
		q->hash_len = 32;
	} else
		return false;
	return algorithm.left == 0 || (der_next(&algorithm, DER_NULL, &null,
	    NULL) && algorithm.left == 0);
}

static int
read_cert_id(struct der id, struct ocsp_query *q, struct refusal *why)
{
	struct der	algorithm, name, key, serial;

	if (!der_next(&id, DER_SEQUENCE, &algorithm, NULL) ||
	    !read_hash(algorithm, q))
		return refuse(why, "hashAlgorithm", "SHA-1 or SHA-256");
	if (!der_next(&id, DER_OCTETS, &name, NULL) ||
	    !der_next(&id, DER_OCTETS, &key, NULL) ||
	    name.left != q->hash_len || key.left != q->hash_len)
		return refuse(why, "CertID", "two hashes of that length");
	memcpy(q->name_hash, name.p, name.left);
	memcpy(q->key_hash, key.p, key.left);
	if (!der_next(&id, DER_INTEGER, &serial, NULL) || id.left > 0 ||
	    (serial.p[0] & 0x80))
		return refuse(why, "serialNumber", "no negative number");
	if (serial.p[0] == 0 && serial.left > 1)
		serial.p++, serial.left--;
	if (serial.left > sizeof(q->serial))
		return refuse(why, "serialNumber", "at most 20 bytes");
	memcpy(q->serial, serial.p, serial.left);
	q->serial_len = serial.left;
	return 0;
}

static int
read_nonce(const struct der *value, struct ocsp_query *q, struct refusal *why)
{
	struct der	all = *value, nonce;

	if (q->nonce_len > 0 || !der_next(&all, DER_OCTETS, &nonce, NULL) ||
	    all.left > 0 || nonce.left == 0 || nonce.left > sizeof(q->nonce))
		return refuse(why, "nonce", "one, of 1 to 32 bytes");
	memcpy(q->nonce, nonce.p, nonce.left);
	q->nonce_len = nonce.left;
	return 0;
}

/* Extensions in an explicit tag, or nothing; q is NULL where none counts. */
static int
read_extensions(struct der *from, uint8_t tag, struct ocsp_query *q,
    struct refusal *why)
{
	static const uint8_t	id_nonce[] = { 0x2b, 0x06, 0x01, 0x05, 0x05,
	    0x07, 0x30, 0x01, 0x02 };
	struct der		wrap, list, e, oid, critical, value;
	bool			must;

	if (from->left == 0 || from->p[0] != tag)
		return 0;
	if (!der_next(from, tag, &wrap, NULL) ||
	    !der_next(&wrap, DER_SEQUENCE, &list, NULL) || wrap.left > 0)
		return refuse(why, "extensions", "a list");
	while (list.left > 0) {
		must = false;
		if (!der_next(&list, DER_SEQUENCE, &e, NULL) ||
		    !der_next(&e, DER_OID, &oid, NULL))
			return refuse(why, "extensions", "a type and a value");
		if (der_next(&e, DER_BOOLEAN, &critical, NULL))
			must = critical.p[0] != 0;
		if (!der_next(&e, DER_OCTETS, &value, NULL) || e.left > 0)
			return refuse(why, "extensions", "a type and a value");
		if (q != NULL && der_equals(&oid, id_nonce,
		    sizeof(id_nonce))) {
			if (read_nonce(&value, q, why) == -1)
				return -1;
		} else if (must)
			return refuse(why, "extensions",
			    "no critical one but a nonce");
	}
	return 0;
}

int
ocsp_parse(const uint8_t *der, size_t len, struct ocsp_query *q,
    struct refusal *why)
{
	struct der	all = { der, len }, outer, tbs, list, one, id, skip;

	memset(q, 0, sizeof(*q));
	if (!der_strict(der, len) ||
	    !der_next(&all, DER_SEQUENCE, &outer, NULL) ||
	    !der_next(&outer, DER_SEQUENCE, &tbs, NULL))
		return refuse(why, "request", "OCSPRequest in strict DER");
	/* optionalSignature: we trust nobody for having signed a question */
	if (der_next(&outer, 0xa0, &skip, NULL) && skip.left == 0)
		return refuse(why, "optionalSignature", "a signature");
	if (outer.left > 0)
		return refuse(why, "request", "nothing behind the signature");
	/* version, whose default some clients write; requestorName */
	if (der_next(&tbs, 0xa0, &skip, NULL) &&
	    !der_equals(&skip, "\x02\x01", 3))
		return refuse(why, "version", "v1");
	der_next(&tbs, 0xa1, &skip, NULL);
	if (!der_next(&tbs, DER_SEQUENCE, &list, NULL) ||
	    !der_next(&list, DER_SEQUENCE, &one, NULL) || list.left > 0)
		return refuse(why, "requestList", "one certificate");
	if (!der_next(&one, DER_SEQUENCE, &id, NULL))
		return refuse(why, "requestList", "a CertID");
	if (read_cert_id(id, q, why) == -1 ||
	    read_extensions(&one, 0xa0, NULL, why) == -1 ||
	    read_extensions(&tbs, 0xa2, q, why) == -1)
		return -1;
	if (one.left > 0 || tbs.left > 0)
		return refuse(why, "request", "nothing more");
	return 0;
}

/* RFC 6960, A.1: base64, then percent-encoding of what a path may not have. */
int
ocsp_path(const char *path, uint8_t *der, size_t size, size_t *len)
{
	char	text[1024];
	size_t	n = 0;
	int	high, low;

	if (strncmp(path, PREFIX, strlen(PREFIX)) != 0)
		return -1;
	for (path += strlen(PREFIX); *path != '\0'; path++) {
		if (n == sizeof(text))
			return -1;
		text[n] = *path;
		if (*path == '%') {
			if ((high = hex_digit(path[1])) == -1 ||
			    (low = hex_digit(path[2])) == -1)
				return -1;
			text[n] = (char)(high << 4 | low);
			path += 2;
		}
		/* what base64_decode() would skip */
		if ((uint8_t)text[n++] <= ' ')
			return -1;
	}
	if (base64_decode(text, n, der, size, len) == -1)
		return -1;
	return *len > 0 ? 0 : -1;
}

/* ---- responses ------------------------------------------------------------- */

int
ocsp_algorithm(struct bytes certificate, enum key_algorithm *algorithm)
{
	static const uint8_t	p256[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
	    0x01, 0x07 };
	static const uint8_t	p384[] = { 0x2b, 0x81, 0x04, 0x00, 0x22 };
	struct der		all = { certificate.p, certificate.len };
	struct der		outer, tbs, skip, spki, id, oid;
	int			i;

	if (!der_next(&all, DER_SEQUENCE, &outer, NULL) ||
	    !der_next(&outer, DER_SEQUENCE, &tbs, NULL) ||
	    !der_next(&tbs, 0xa0, &skip, NULL) ||
	    !der_next(&tbs, DER_INTEGER, &skip, NULL))
		return -1;
	for (i = 0; i < 4; i++)	/* algorithm, issuer, validity, subject */
		if (!der_next(&tbs, DER_SEQUENCE, &skip, NULL))
			return -1;
	if (!der_next(&tbs, DER_SEQUENCE, &spki, NULL) ||
	    !der_next(&spki, DER_SEQUENCE, &id, NULL) ||
	    !der_next(&id, DER_OID, &oid, NULL) ||
	    !der_next(&id, DER_OID, &oid, NULL))
		return -1;
	if (der_equals(&oid, p256, sizeof(p256)))
		*algorithm = KEY_P256;
	else if (der_equals(&oid, p384, sizeof(p384)))
		*algorithm = KEY_P384;
	else
		return -1;
	return 0;
}

int
ocsp_response(struct bytes data, struct bytes signature,
    enum key_algorithm algorithm, struct bytes signer, uint8_t *out,
    size_t size, size_t *len)
{
	/* ecdsa-with-SHA256 and -SHA384; id-pkix-ocsp-basic; successful */
	static const uint8_t	ecdsa[KEY_NCURVES][12] = {
	    { DER_SEQUENCE, 10, DER_OID, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04,
	    0x03, 0x02 },
	    { DER_SEQUENCE, 10, DER_OID, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04,
	    0x03, 0x03 } };
	static const uint8_t	basic[] = { DER_OID, 9, 0x2b, 0x06, 0x01, 0x05,
	    0x05, 0x07, 0x30, 0x01, 0x01 };
	static const uint8_t	status[] = { DER_ENUMERATED, 1,
	    OCSP_SUCCESSFUL };
	struct der_out		o;
	size_t			mark;

	if (algorithm >= KEY_NCURVES)
		return -1;
	der_out(&o, out, size);
	der_out_raw(&o, signer.p, signer.len);
	der_out_head(&o, DER_SEQUENCE, size);
	der_out_head(&o, 0xa0, size);		/* certs [0] EXPLICIT */
	mark = o.at;
	der_out_raw(&o, signature.p, signature.len);
	der_out_raw(&o, "", 1);			/* no unused bits */
	der_out_head(&o, DER_BITS, mark);
	der_out_raw(&o, ecdsa[algorithm], sizeof(ecdsa[0]));
	der_out_raw(&o, data.p, data.len);
	der_out_head(&o, DER_SEQUENCE, size);
	der_out_head(&o, DER_OCTETS, size);
	der_out_raw(&o, basic, sizeof(basic));
	der_out_head(&o, DER_SEQUENCE, size);
	der_out_head(&o, 0xa0, size);		/* responseBytes [0] EXPLICIT */
	der_out_raw(&o, status, sizeof(status));
	der_out_head(&o, DER_SEQUENCE, size);
	return der_out_end(&o, len);
}

size_t
ocsp_failed(enum ocsp_status status, uint8_t out[8])
{
	out[0] = DER_SEQUENCE;
	out[1] = 3;
	out[2] = DER_ENUMERATED;
	out[3] = 1;
	out[4] = (uint8_t)status;
	return 5;
}
