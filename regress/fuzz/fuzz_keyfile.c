/*
 * Files of the key directory: a key, the records of the TPM and of a CA. The
 * closing digest is put right, so that what stands behind it is reached; what
 * is taken must be the one form of what it says.
 */
#include <stdlib.h>
#include <string.h>

#include "../../keyd/keyd.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
one(const uint8_t *buf, size_t len)
{
	struct key_file		 f;
	struct tpm_record	 r;
	struct ca_record	 c;
	uint8_t			 again[KEY_FILE_MAX];
	size_t			 n;

	if (store_parse(buf, len, &f) == 0 &&
	    (store_format(&f, again, sizeof(again), &n) == -1 || n != len ||
	    memcmp(again, buf, n) != 0))
		abort();
	if (tpm_record_parse(buf, len, &r) == 0 &&
	    (tpm_record_format(&r, again, sizeof(again), &n) == -1 ||
	    n != len || memcmp(again, buf, n) != 0))
		abort();
	if (ca_record_parse(buf, len, &c) == 0 &&
	    (ca_record_format(&c, again, sizeof(again), &n) == -1 ||
	    n != len || memcmp(again, buf, n) != 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t	 buf[KEY_FILE_MAX];

	if (curve_init() == -1)
		abort();
	one(data, len);
	if (len < 32 || len > sizeof(buf))
		return 0;
	memcpy(buf, data, len);
	if (curve_digest(curve_get(KEY_P256), buf, len - 32,
	    buf + len - 32) == -1)
		abort();
	one(buf, len);
	return 0;
}
