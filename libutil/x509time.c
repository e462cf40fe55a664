#include <time.h>

#include "x509time.h"

#define YEAR_10000	253402300800ULL

int
x509_time_set(ASN1_TIME *t, uint64_t seconds)
{
	char		text[sizeof("99991231235959Z")];
	struct tm	tm;
	time_t		s = (time_t)seconds;

	if (seconds >= YEAR_10000 || gmtime_r(&s, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm) == 0 ||
	    ASN1_TIME_set_string_X509(t, text) != 1)
		return -1;
	return 0;
}

uint64_t
x509_time(const ASN1_TIME *t)
{
	struct tm	tm;
	time_t		s;

	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1 || (s = timegm(&tm)) < 0)
		return 0;
	return (uint64_t)s;
}
