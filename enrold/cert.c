/*
 * Times of a certificate, without OpenSSL: it would decode the key, too, for
 * every certificate that leaves.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "der.h"
#include "wire.h"

#define UTC_TIME		0x17
#define GENERALIZED_TIME	0x18
#define VERSION			0xa0

static bool
two(const uint8_t *p, int *out)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*out = (p[0] - '0') * 10 + p[1] - '0';
	return true;
}

/* RFC 5280, 4.1.2.5: with seconds, in UTC. */
static bool
read_time(struct der *d, uint64_t *out)
{
	struct der	 t;
	struct tm	 tm = { 0 };
	int		 century = 0, year;
	int64_t		 s;

	if (der_next(d, UTC_TIME, &t, NULL)) {
		if (t.left != 13 || !two(t.p, &year))
			return false;
		tm.tm_year = year < 50 ? year + 100 : year;
	} else if (der_next(d, GENERALIZED_TIME, &t, NULL)) {
		if (t.left != 15 || !two(t.p, &century) ||
		    !two(t.p + 2, &year))
			return false;
		tm.tm_year = century * 100 + year - 1900;
		t.p += 2;
	} else
		return false;
	if (!two(t.p + 2, &tm.tm_mon) || !two(t.p + 4, &tm.tm_mday) ||
	    !two(t.p + 6, &tm.tm_hour) || !two(t.p + 8, &tm.tm_min) ||
	    !two(t.p + 10, &tm.tm_sec) || t.p[12] != 'Z')
		return false;
	tm.tm_mon--;
	s = timegm(&tm);
	*out = s < 0 ? 0 : (uint64_t)s;
	return true;
}

int
cert_window(const uint8_t *der, size_t len, uint64_t *not_before,
    uint64_t *not_after)
{
	struct der d = { der, len }, cert, tbs, skip, validity;

	if (!der_next(&d, DER_SEQUENCE, &cert, NULL) ||
	    !der_next(&cert, DER_SEQUENCE, &tbs, NULL))
		return -1;
	(void)der_next(&tbs, VERSION, &skip, NULL);
	if (!der_next(&tbs, DER_INTEGER, &skip, NULL) ||
	    !der_next(&tbs, DER_SEQUENCE, &skip, NULL) ||
	    !der_next(&tbs, DER_SEQUENCE, &skip, NULL) ||
	    !der_next(&tbs, DER_SEQUENCE, &validity, NULL) ||
	    !read_time(&validity, not_before) ||
	    !read_time(&validity, not_after))
		return -1;
	return 0;
}

void
time_text(uint64_t seconds, char out[32])
{
	time_t		t = (time_t)seconds;
	struct tm	tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}
