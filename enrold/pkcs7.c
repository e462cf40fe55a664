#include "der_out.h"
#include "wire.h"

int
pkcs7_certs(const struct bytes *certs, size_t ncerts, uint8_t *out,
    size_t size, size_t *len)
{
	/* id-data without content; id-signedData; version 1, no digests */
	static const uint8_t	data[] = { DER_SEQUENCE, 11, DER_OID, 9, 0x2a,
	    0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01 };
	static const uint8_t	signed_data[] = { DER_OID, 9, 0x2a, 0x86, 0x48,
	    0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };
	static const uint8_t	start[] = { DER_INTEGER, 1, 1, DER_SET, 0 };
	static const uint8_t	no_signers[] = { DER_SET, 0 };
	struct der_out		o;
	size_t			mark;

	der_out(&o, out, size);
	der_out_raw(&o, no_signers, sizeof(no_signers));
	mark = o.at;
	while (ncerts-- > 0)
		der_out_raw(&o, certs[ncerts].p, certs[ncerts].len);
	der_out_head(&o, 0xa0, mark);	/* certificates [0] IMPLICIT */
	der_out_raw(&o, data, sizeof(data));
	der_out_raw(&o, start, sizeof(start));
	der_out_head(&o, DER_SEQUENCE, size);
	der_out_head(&o, 0xa0, size);	/* content [0] EXPLICIT */
	der_out_raw(&o, signed_data, sizeof(signed_data));
	der_out_head(&o, DER_SEQUENCE, size);
	return der_out_end(&o, len);
}
