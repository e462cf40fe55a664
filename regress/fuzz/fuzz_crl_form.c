/*
 * What keyd answers as a CRL, read entry by entry. The input is the length of
 * the CA's certificate (2 bytes) and the certificate, number and both times (8
 * bytes each), the count of rows (1 byte) and the rows, then the CRL. What is
 * taken OpenSSL reads as the same.
 */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "../../policyd/ca.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

const struct conf	*conf;

static uint64_t
take(const uint8_t **p, size_t *left, size_t n)
{
	uint64_t	v = 0;

	if (*left < n) {
		*left = 0;
		return 0;
	}
	for (*left -= n; n > 0; n--)
		v = v << 8 | *(*p)++;
	return v;
}

static void
same(const uint8_t *der, size_t len, const struct crl_want *w)
{
	const uint8_t		*p = der;
	X509_CRL		*crl = d2i_X509_CRL(NULL, &p, (long)len);
	STACK_OF(X509_REVOKED)	*list;

	if (crl == NULL || p != der + len)
		abort();
	list = X509_CRL_get_REVOKED(crl);
	if ((list == NULL ? 0 : sk_X509_REVOKED_num(list)) != (int)w->count)
		abort();
	X509_CRL_free(crl);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct crl_want	 w = { 0 };
	struct why	 why;

	w.ca_len = (size_t)take(&data, &size, 2);
	w.ca = data;
	if (w.ca_len > size)
		return 0;
	data += w.ca_len;
	size -= w.ca_len;
	w.number = take(&data, &size, 8);
	w.this_update = take(&data, &size, 8);
	w.next_update = take(&data, &size, 8);
	w.count = (size_t)take(&data, &size, 1);
	w.rows = data;
	if (w.count * CRL_ROW > size)
		return 0;
	data += w.count * CRL_ROW;
	size -= w.count * CRL_ROW;
	if (crl_check(data, size, &w, &why) == R_OK)
		same(data, size, &w);
	else if (why.reason == R_OK)
		abort();
	ERR_clear_error();
	return 0;
}
