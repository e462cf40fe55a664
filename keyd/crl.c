/*
 * Lists of revoked certificates (RFC 5280, 5). The rows come in a memfd, which
 * whoever asks can change at any time: each byte of it is read once, and what
 * was made of it lies in this process until it is signed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "der.h"
#include "keyd.h"
#include "store.h"

#define ROW		25	/* serial (16), time (8), reason (1) */
#define ROWS		1024	/* read at once */
#define ENTRY_MAX	52	/* of a revokedCertificate, DER */
#define REST_MAX	2048	/* of all that is not an entry */
#define FRONT		16	/* room for the head of the whole */
#define SLACK		3600	/* s */

static int
check(const struct msg_crl_req *req, const struct key *issuer, struct why *w)
{
	const struct conf_ca	*ca = authority_ca();

	if (ca == NULL)
		return why_set(w, R_KEY_CA_LABEL, "ca", "one in provd.conf",
		    NULL);
	if (key_purpose(issuer) != KEY_ISSUING)
		return why_set(w, R_KEY_PURPOSE, "issuer", "issuing",
		    key_purpose_name(key_purpose(issuer)));
	if (req->this_update >= req->next_update ||
	    req->next_update - req->this_update > ca->crl_every + SLACK)
		return why_num(w, R_KEY_CERT_VALIDITY, "next_update",
		    req->this_update + ca->crl_every, req->next_update);
	return 0;
}

/* A memfd that can be written, of this many rows, and nothing else. */
static int
check_fd(int fd, uint32_t count, struct why *w)
{
	int	 seals;
	off_t	 len;

	/* Only memory has seals: reading it never waits for a disk. */
	if ((seals = fcntl(fd, F_GET_SEALS)) == -1)
		return why_set(w, R_KEY_CRL_FORM, "descriptor", "a memfd",
		    strerror(errno));
	if ((seals & ~F_SEAL_SEAL) != 0)
		return why_set(w, R_KEY_CRL_FORM, "descriptor",
		    "a memfd without seals", NULL);
	if ((len = lseek(fd, 0, SEEK_END)) != (off_t)count * ROW)
		return why_num(w, R_KEY_CRL_FORM, "bytes",
		    (unsigned long long)count * ROW, (unsigned long long)len);
	return 0;
}

static uint64_t
big_endian(const uint8_t *p)
{
	uint64_t	 v = 0;
	unsigned	 i;

	for (i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* reasonCode: RFC 5280, 5.3.1; 7 is no reason, 8 is of delta CRLs only. */
static void
entry_reason(struct put *p, uint8_t reason)
{
	const uint8_t	 value[] = { DER_ENUMERATED, 1, reason };
	size_t		 list, mark;

	if (reason == CRL_UNSPECIFIED)
		return;
	list = asn1_begin(p, DER_SEQUENCE);
	mark = ext_begin(p, CE_REASON, false);
	asn1_put(p, DER_OCTETS, value, sizeof(value));
	asn1_end(p, mark);
	asn1_end(p, list);
}

static int
entry(struct put *p, const uint8_t *row, struct why *w)
{
	static const uint8_t	none[16];
	uint8_t			reason = row[24];
	size_t			mark;

	if (reason >= CRL_NREASONS || reason == 7 || reason == CRL_REMOVE)
		return why_num(w, R_KEY_CRL_FORM, "reason", CRL_UNSPECIFIED,
		    reason);
	if (memcmp(row, none, sizeof(none)) == 0)
		return why_set(w, R_KEY_CRL_FORM, "serial", "not zero", NULL);
	mark = asn1_begin(p, DER_SEQUENCE);
	asn1_uint(p, row, 16);
	asn1_time(p, big_endian(row + 16));
	entry_reason(p, reason);
	asn1_end(p, mark);
	return p->bad ? why_set(w, R_KEY_CRL_FORM, "time", "before 10000",
	    NULL) : 0;
}

static int
read_all(int fd, uint8_t *buf, size_t len, off_t at)
{
	ssize_t	 n;

	for (; len > 0; buf += n, at += n, len -= (size_t)n)
		if ((n = pread(fd, buf, len, at)) <= 0)
			return -1;
	return 0;
}

static int
entries(struct put *p, int fd, uint32_t count, struct why *w)
{
	uint8_t		 rows[ROWS * ROW] = { 0 };
	uint32_t	 done, n, i;

	for (done = 0; done < count; done += n) {
		n = count - done < ROWS ? count - done : ROWS;
		if (read_all(fd, rows, (size_t)n * ROW,
		    (off_t)done * ROW) == -1)
			return why_set(w, R_KEY_CRL_FORM, "rows", NULL,
			    strerror(errno));
		for (i = 0; i < n; i++)
			if (entry(p, rows + (size_t)i * ROW, w) == -1)
				return -1;
	}
	return 0;
}

static void
extensions(struct put *p, const struct msg_crl_req *req,
    const struct key *issuer)
{
	static const uint8_t	users[] = { 0x81, 1, 0xff };
	const char		*url = authority_ca()->url;
	size_t			outer = asn1_begin(p, ASN1_CONTEXT(0));
	size_t			list = asn1_begin(p, DER_SEQUENCE);
	size_t			mark, octets, idp;

	ext_aki(p, issuer);
	mark = ext_begin(p, CE_CRL_NUMBER, false);
	octets = asn1_begin(p, DER_OCTETS);
	asn1_number(p, req->number);
	asn1_end(p, octets);
	asn1_end(p, mark);
	/* IssuingDistributionPoint: the same name as in the certificates. */
	mark = ext_begin(p, CE_IDP, true);
	octets = asn1_begin(p, DER_OCTETS);
	idp = asn1_begin(p, DER_SEQUENCE);
	if (url != NULL)
		asn1_crl_point(p, url, authority_generation(issuer));
	else
		put_bytes(p, users, sizeof(users));
	asn1_end(p, idp);
	asn1_end(p, octets);
	asn1_end(p, mark);
	asn1_end(p, list);
	asn1_end(p, outer);
}

static int
tbs(struct put *p, const struct msg_crl_req *req, const struct key *issuer,
    int fd, struct why *w)
{
	static const uint8_t	v2[] = { DER_INTEGER, 1, 1 };
	size_t			mark = asn1_begin(p, DER_SEQUENCE), list;

	put_bytes(p, v2, sizeof(v2));
	asn1_signature(p, key_curve(issuer));
	if (authority_name(p, issuer) == -1)
		return why_set(w, R_KEY_CA_LABEL, "label", NULL,
		    key_label(issuer));
	asn1_time(p, req->this_update);
	asn1_time(p, req->next_update);
	/* absent if nothing is revoked: RFC 5280, 5.1.2.6 */
	if (req->count > 0) {
		list = asn1_begin(p, DER_SEQUENCE);
		if (entries(p, fd, req->count, w) == -1)
			return -1;
		asn1_end(p, list);
	}
	extensions(p, req, issuer);
	asn1_end(p, mark);
	return p->bad ? why_set(w, R_KEY_LIBRARY, "CRL", NULL, NULL) : 0;
}

int
crl_build(const struct msg_crl_req *req, const struct key *issuer, int fd,
    struct crl *crl, struct why *w)
{
	struct put	 p = { .bad = false };

	memset(crl, 0, sizeof(*crl));
	if (check(req, issuer, w) == -1 || check_fd(fd, req->count, w) == -1)
		return -1;
	crl->size = FRONT + REST_MAX + (size_t)req->count * ENTRY_MAX;
	if ((crl->buf = malloc(crl->size)) == NULL)
		return why_set(w, R_KEY_LIBRARY, "memory", NULL, NULL);
	p.buf = crl->buf + FRONT;
	p.size = crl->size - FRONT;
	if (tbs(&p, req, issuer, fd, w) == -1) {
		crl_free(crl);
		return -1;
	}
	crl->at = FRONT;
	crl->len = p.len;
	return 0;
}

/* Around the TBSCertList, where it lies: it may be long. */
int
crl_finish(struct crl *crl, const struct curve *c, const struct signature *s)
{
	struct put	 p = { .buf = crl->buf + FRONT, .len = crl->len,
			    .size = crl->size - FRONT };
	uint8_t		 head[FRONT];
	size_t		 n, more = 0, i;

	asn1_signature(&p, c);
	asn1_bits(&p, s->der, s->len);
	if (p.bad)
		return -1;
	for (n = p.len; n > 0; n >>= 8)
		more++;
	head[0] = DER_SEQUENCE;
	head[1] = (uint8_t)(0x80 | more);
	for (i = 0; i < more; i++)
		head[2 + i] = (uint8_t)(p.len >> (8 * (more - 1 - i)));
	crl->at = FRONT - (2 + more);
	crl->len = p.len + 2 + more;
	memcpy(crl->buf + crl->at, head, 2 + more);
	return 0;
}

int
crl_write(const struct crl *crl, int fd)
{
	const uint8_t	*p = crl->buf + crl->at;
	size_t		 done = 0;
	ssize_t		 n;

	for (; done < crl->len; done += (size_t)n)
		if ((n = pwrite(fd, p + done, crl->len - done,
		    (off_t)done)) <= 0)
			return -1;
	return ftruncate(fd, (off_t)crl->len);
}

void
crl_free(struct crl *crl)
{
	free(crl->buf);
	memset(crl, 0, sizeof(*crl));
}
