/*
 * DER going out, for what the certificate service is given: tags, lengths and
 * the few types that certificates, CRLs and OCSP responses are made of. A
 * length is written once its contents are there; X.690 (10, 11) wants the
 * shortest form of everything, and nothing here has another.
 */
#include <string.h>

#include "der.h"
#include "keyd.h"
#include "spki.h"
#include "store.h"

#define YEAR_10000	253402300800ULL	/* no Time can say it */
#define YEAR_2050	2524608000ULL
#define DAY		86400

size_t
asn1_begin(struct put *p, uint8_t tag)
{
	put_uint(p, tag, 1);
	put_uint(p, 0, 1);
	return p->len;
}

void
asn1_end(struct put *p, size_t mark)
{
	size_t	 n, more = 0, i;

	if (p->bad)
		return;
	n = p->len - mark;
	if (n >= 0x80)
		for (i = n; i > 0; i >>= 8)
			more++;
	if (more > p->size - p->len) {
		p->bad = true;
		return;
	}
	memmove(p->buf + mark + more, p->buf + mark, n);
	p->buf[mark - 1] = (uint8_t)(more == 0 ? n : 0x80 | more);
	for (i = 0; i < more; i++)
		p->buf[mark + i] = (uint8_t)(n >> (8 * (more - 1 - i)));
	p->len += more;
}

void
asn1_put(struct put *p, uint8_t tag, const void *data, size_t len)
{
	size_t	 mark = asn1_begin(p, tag);

	put_bytes(p, data, len);
	asn1_end(p, mark);
}

void
asn1_text(struct put *p, uint8_t tag, const char *s)
{
	asn1_put(p, tag, s, strlen(s));
}

void
asn1_uint(struct put *p, const uint8_t *n, size_t len)
{
	size_t	 mark = asn1_begin(p, DER_INTEGER);

	while (len > 0 && *n == 0) {
		n++;
		len--;
	}
	if (len == 0 || n[0] >= 0x80)
		put_uint(p, 0, 1);
	put_bytes(p, n, len);
	asn1_end(p, mark);
}

void
asn1_number(struct put *p, uint64_t n)
{
	uint8_t	 b[8];
	unsigned i;

	for (i = 0; i < 8; i++)
		b[i] = (uint8_t)(n >> (56 - 8 * i));
	asn1_uint(p, b, sizeof(b));
}

void
asn1_bits(struct put *p, const void *data, size_t len)
{
	size_t	 mark = asn1_begin(p, DER_BITS);

	put_uint(p, 0, 1);		/* none is unused */
	put_bytes(p, data, len);
	asn1_end(p, mark);
}

static void
digits(char *out, unsigned n, unsigned width)
{
	while (width-- > 0) {
		out[width] = (char)('0' + n % 10);
		n /= 10;
	}
}

/* YYYYMMDDHHMMSSZ; the calendar is counted in eras of 400 years from March. */
static void
calendar(char out[15], uint64_t seconds)
{
	uint32_t	 days = (uint32_t)(seconds / DAY);
	uint32_t	 rest = (uint32_t)(seconds % DAY);
	uint32_t	 z = days + 719468, era = z / 146097;
	uint32_t	 doe = z % 146097;
	uint32_t	 yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) /
			    365;
	uint32_t	 doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint32_t	 mp = (5 * doy + 2) / 153;
	uint32_t	 month = mp < 10 ? mp + 3 : mp - 9;

	digits(out, yoe + era * 400 + (month <= 2), 4);
	digits(out + 4, month, 2);
	digits(out + 6, doy - (153 * mp + 2) / 5 + 1, 2);
	digits(out + 8, rest / 3600, 2);
	digits(out + 10, rest / 60 % 60, 2);
	digits(out + 12, rest % 60, 2);
	out[14] = 'Z';
}

void
asn1_gtime(struct put *p, uint64_t seconds)
{
	char	 text[15];

	if (seconds >= YEAR_10000) {
		p->bad = true;
		return;
	}
	calendar(text, seconds);
	asn1_put(p, ASN1_GTIME, text, sizeof(text));
}

void
asn1_time(struct put *p, uint64_t seconds)
{
	char	 text[15];

	if (seconds >= YEAR_2050) {
		asn1_gtime(p, seconds);
		return;
	}
	calendar(text, seconds);
	asn1_put(p, ASN1_UTCTIME, text + 2, sizeof(text) - 2);
}

void
asn1_signature(struct put *p, const struct curve *c)
{
	/* ecdsa-with-SHA256, ecdsa-with-SHA384: RFC 5758, 3.2 */
	static const uint8_t	sha256[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a,
				    0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
	static const uint8_t	sha384[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a,
				    0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03 };

	put_bytes(p, c->hash == 32 ? sha256 : sha384, sizeof(sha256));
}

/* RSAPublicKey (RFC 8017, A.1.1) */
static void
rsa_key(struct put *p, const struct subject *s)
{
	size_t	 mark = asn1_begin(p, DER_SEQUENCE);

	asn1_uint(p, s->public, s->len);
	asn1_number(p, s->exponent);
	asn1_end(p, mark);
}

void
asn1_spki(struct put *p, const struct subject *s)
{
	/* AlgorithmIdentifier of rsaEncryption (RFC 3279, 2.3.1) */
	static const uint8_t	rsa[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86,
				    0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
				    0x05, 0x00 };
	uint8_t			spki[SPKI_MAX];
	size_t			mark, bits;

	if (s->exponent == 0) {
		put_bytes(p, spki, spki_der(s->public, s->len, spki));
		return;
	}
	mark = asn1_begin(p, DER_SEQUENCE);
	put_bytes(p, rsa, sizeof(rsa));
	bits = asn1_begin(p, DER_BITS);
	put_uint(p, 0, 1);
	rsa_key(p, s);
	asn1_end(p, bits);
	asn1_end(p, mark);
}

/* RFC 7093, section 2, method 1, as in profile.c. */
int
subject_identifier(const struct subject *s, uint8_t out[20])
{
	uint8_t		 der[560], md[32];
	struct put	 p = { .buf = der, .size = sizeof(der) };

	if (s->exponent == 0)
		put_bytes(&p, s->public, s->len);
	else
		rsa_key(&p, s);
	if (p.bad || curve_digest(curve_get(KEY_P256), der, p.len, md) == -1)
		return -1;
	memcpy(out, md, 20);
	return 0;
}
