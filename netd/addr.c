/*
 * Addresses as text and as sockaddr. Only literals: netd never asks anybody
 * what a name means.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "mctp.h"
#include "netd.h"

static int
parse4(const char *text, uint16_t port, struct sockaddr_storage *ss,
    socklen_t *len)
{
	struct sockaddr_in	*sin = (struct sockaddr_in *)ss;

	if (inet_pton(AF_INET, text, &sin->sin_addr) != 1)
		return -1;
	sin->sin_family = AF_INET;
	sin->sin_port = htons(port);
	*len = sizeof(*sin);
	return 0;
}

static int
parse6(const char *text, uint16_t port, const struct link *link,
    struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in6	*sin6 = (struct sockaddr_in6 *)ss;
	char			 buf[INET6_ADDRSTRLEN];
	const char		*percent = strchr(text, '%');
	size_t			 n;

	n = percent == NULL ? strlen(text) : (size_t)(percent - text);
	if (n >= sizeof(buf))
		return -1;
	memcpy(buf, text, n);
	buf[n] = '\0';
	if (inet_pton(AF_INET6, buf, &sin6->sin6_addr) != 1)
		return -1;
	if (percent != NULL && (!IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr) ||
	    strcmp(percent + 1, link->name) != 0))
		return -1;
	if (IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr))
		sin6->sin6_scope_id = link->index;
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	*len = sizeof(*sin6);
	return 0;
}

int
addr_parse(const char *text, uint16_t port, const struct link *link,
    struct sockaddr_storage *ss, socklen_t *len)
{
	memset(ss, 0, sizeof(*ss));
	if (strchr(text, ':') != NULL)
		return parse6(text, port, link, ss, len);
	return parse4(text, port, ss, len);
}

/* The four bytes of an IPv4 address, mapped or not; NULL for true IPv6. */
static const uint8_t *
bytes4(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in	*sin;
	const struct sockaddr_in6	*sin6;

	if (ss->ss_family == AF_INET) {
		sin = (const struct sockaddr_in *)ss;
		return (const uint8_t *)&sin->sin_addr;
	}
	sin6 = (const struct sockaddr_in6 *)ss;
	if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr))
		return &sin6->sin6_addr.s6_addr[12];
	return NULL;
}

void
addr_text(const struct sockaddr_storage *ss, char *out, size_t size)
{
	const uint8_t	*a = bytes4(ss);

	if (ss->ss_family == AF_UNIX) {
		snprintf(out, size, "mctp");
		return;
	}
	if (ss->ss_family == AF_MCTP) {
		mctp_text(ss, out, size);
		return;
	}
	if (a != NULL) {
		snprintf(out, size, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
		return;
	}
	if (ss->ss_family != AF_INET6 || inet_ntop(AF_INET6,
	    &((const struct sockaddr_in6 *)ss)->sin6_addr, out,
	    (socklen_t)size) == NULL)
		snprintf(out, size, "?");
}

bool
addr_host(const struct sockaddr_storage *ss, uint8_t out[16])
{
	static const uint8_t	 mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t		*a4 = bytes4(ss);

	if (a4 != NULL) {
		memcpy(out, mapped, sizeof(mapped));
		memcpy(out + sizeof(mapped), a4, 4);
		return true;
	}
	if (ss->ss_family != AF_INET6)
		return false;
	memcpy(out, &((const struct sockaddr_in6 *)ss)->sin6_addr, 16);
	return true;
}

struct sockaddr_storage
addr_block(const struct sockaddr_storage *ss)
{
	struct sockaddr_storage	 out = *ss;
	struct sockaddr_in6	*sin6 = (struct sockaddr_in6 *)&out;

	if (ss->ss_family == AF_INET6 && bytes4(ss) == NULL)
		memset(&sin6->sin6_addr.s6_addr[8], 0, 8);
	return out;
}

bool
addr_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in6	*a6, *b6;
	const uint8_t			*a4 = bytes4(a), *b4 = bytes4(b);

	if (a4 != NULL || b4 != NULL)
		return a4 != NULL && b4 != NULL && memcmp(a4, b4, 4) == 0;
	if (a->ss_family == AF_MCTP && b->ss_family == AF_MCTP)
		return mctp_same(a, b);
	/* Whoever comes over a bridge counts as one. */
	if (a->ss_family == AF_UNIX || b->ss_family == AF_UNIX)
		return a->ss_family == b->ss_family;
	if (a->ss_family != AF_INET6 || b->ss_family != AF_INET6)
		return false;
	a6 = (const struct sockaddr_in6 *)a;
	b6 = (const struct sockaddr_in6 *)b;
	return IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr) &&
	    (!IN6_IS_ADDR_LINKLOCAL(&a6->sin6_addr) ||
	    a6->sin6_scope_id == b6->sin6_scope_id);
}

static bool
same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned	n = bits / 8, rest = bits % 8;

	return memcmp(a, b, n) == 0 && (rest == 0 ||
	    ((a[n] ^ b[n]) & (0xff00 >> rest & 0xff)) == 0);
}

bool
addr_onlink(const struct sockaddr_storage *ss, const struct link *link)
{
	const struct sockaddr_in6	*sin6;
	const uint8_t			*a4 = bytes4(ss);
	unsigned			 i;

	for (i = 0; a4 != NULL && i < link->naddr4; i++)
		if (same_prefix(a4, (const uint8_t *)&link->addr4[i],
		    link->len4[i]))
			return true;
	if (a4 != NULL || ss->ss_family != AF_INET6)
		return false;
	sin6 = (const struct sockaddr_in6 *)ss;
	if (IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr))
		return sin6->sin6_scope_id == link->index;
	for (i = 0; i < link->naddr6; i++)
		if (same_prefix(sin6->sin6_addr.s6_addr,
		    link->addr6[i].s6_addr, link->len6[i]))
			return true;
	return false;
}
