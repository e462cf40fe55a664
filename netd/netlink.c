/*
 * The one interface that we announce ourselves on: whether it exists, has a
 * carrier, and which addresses it has. rtnetlink(7) tells of every change;
 * then the whole is read again, so nothing depends on having seen each.
 * Only the kernel speaks on this socket.
 */
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <net/if_arp.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "clock.h"
#include "log.h"
#include "netd.h"

#define READS_TURN	16
#define FIRST_MS	2000	/* for the first look, before confinement */

enum scan_state { SCAN_IDLE, SCAN_LINK, SCAN_ADDRESSES };

static struct {
	int		 fd;
	uv_poll_t	 poll;
	bool		 started;
	uint32_t	 portid, seq;
	enum scan_state	 state;
	bool		 again;		/* something changed during the scan */
	struct link	 found;		/* what this scan has found so far */
	struct link	 now;
	struct link	 reach;		/* the last one that had addresses */
} nl = { .fd = -1 };

/* ---- asking ------------------------------------------------------------ */

static int
ask(const void *msg, size_t len)
{
	struct sockaddr_nl	kernel = { .nl_family = AF_NETLINK };

	if (sendto(nl.fd, msg, len, 0, (struct sockaddr *)&kernel,
	    sizeof(kernel)) == -1) {
		log_warn("netlink");
		nl.state = SCAN_IDLE;
		return -1;
	}
	return 0;
}

static int
ask_link(void)
{
	struct {
		struct nlmsghdr		h;
		struct ifinfomsg	i;
		struct rtattr		a;
		char			name[RTA_ALIGN(IF_NAMESIZE)];
	} m;
	size_t	len = strlen(nl.now.name) + 1;

	memset(&m, 0, sizeof(m));
	m.h.nlmsg_type = RTM_GETLINK;
	m.h.nlmsg_flags = NLM_F_REQUEST;
	m.h.nlmsg_seq = ++nl.seq;
	m.a.rta_type = IFLA_IFNAME;
	m.a.rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(m.name, nl.now.name, len);
	m.h.nlmsg_len = (uint32_t)(offsetof(__typeof__(m), name) +
	    RTA_ALIGN(len));
	nl.state = SCAN_LINK;
	return ask(&m, m.h.nlmsg_len);
}

static int
ask_addresses(void)
{
	struct {
		struct nlmsghdr		h;
		struct ifaddrmsg	i;
	} m;

	memset(&m, 0, sizeof(m));
	m.h.nlmsg_len = sizeof(m);
	m.h.nlmsg_type = RTM_GETADDR;
	m.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m.h.nlmsg_seq = ++nl.seq;
	nl.state = SCAN_ADDRESSES;
	return ask(&m, sizeof(m));
}

static void
scan(void)
{
	memset(&nl.found, 0, sizeof(nl.found));
	memcpy(nl.found.name, nl.now.name, sizeof(nl.found.name));
	nl.again = false;
	ask_link();
}

/* ---- hearing ----------------------------------------------------------- */

static const void *
attribute(void *first, size_t left, unsigned type, size_t *len)
{
	struct rtattr	*a;

	for (a = first; RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == type) {
			*len = RTA_PAYLOAD(a);
			return RTA_DATA(a);
		}
	*len = 0;
	return NULL;
}

static void
found_link(struct nlmsghdr *h)
{
	struct ifinfomsg	*i = NLMSG_DATA(h);
	const void		*mac;
	size_t			 len;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*i)))
		return;
	nl.found.index = (unsigned)i->ifi_index;
	nl.found.up = (i->ifi_flags & IFF_UP) != 0 &&
	    (i->ifi_flags & IFF_RUNNING) != 0;
	mac = attribute(IFLA_RTA(i), IFLA_PAYLOAD(h), IFLA_ADDRESS, &len);
	nl.found.ethernet = mac != NULL && len == sizeof(nl.found.mac) &&
	    (i->ifi_type == ARPHRD_ETHER || i->ifi_type == ARPHRD_LOOPBACK);
	if (nl.found.ethernet)
		memcpy(nl.found.mac, mac, len);
}

static void
add4(const void *a, uint8_t prefix)
{
	struct link	*l = &nl.found;

	if (l->naddr4 == LINK_ADDRS)
		return;
	memcpy(&l->addr4[l->naddr4], a, sizeof(l->addr4[0]));
	l->len4[l->naddr4++] = prefix;
}

/* Link-local addresses go to the end. */
static void
add6(const struct in6_addr *a, uint8_t prefix)
{
	struct link	*l = &nl.found;
	unsigned	 at = l->naddr6;

	if (at == LINK_ADDRS)
		return;
	if (!IN6_IS_ADDR_LINKLOCAL(a))
		while (at > 0 && IN6_IS_ADDR_LINKLOCAL(&l->addr6[at - 1])) {
			l->addr6[at] = l->addr6[at - 1];
			l->len6[at] = l->len6[at - 1];
			at--;
		}
	l->addr6[at] = *a;
	l->len6[at] = prefix;
	l->naddr6++;
}

static void
found_address(struct nlmsghdr *h)
{
	struct ifaddrmsg	*i = NLMSG_DATA(h);
	const uint8_t		*a;
	struct in6_addr		 a6;
	size_t			 len;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*i)) ||
	    i->ifa_index != nl.found.index || i->ifa_scope >= RT_SCOPE_HOST ||
	    (i->ifa_flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0)
		return;
	a = attribute(IFA_RTA(i), IFA_PAYLOAD(h), i->ifa_family == AF_INET ?
	    IFA_LOCAL : IFA_ADDRESS, &len);
	if (a == NULL)
		return;
	if (i->ifa_family == AF_INET && len == sizeof(struct in_addr))
		add4(a, i->ifa_prefixlen);
	/* Temporary addresses are made to be forgotten (RFC 8981). */
	if (i->ifa_family == AF_INET6 && len == sizeof(a6) &&
	    (i->ifa_flags & IFA_F_TEMPORARY) == 0) {
		memcpy(&a6, a, sizeof(a6));
		add6(&a6, i->ifa_prefixlen);
	}
}

static void
scanned(void)
{
	bool	changed = memcmp(&nl.found, &nl.now, sizeof(nl.now)) != 0;
	bool	was_up = nl.now.up;

	nl.state = SCAN_IDLE;
	nl.now = nl.found;
	if (nl.now.naddr4 + nl.now.naddr6 > 0)
		nl.reach = nl.now;
	if (nl.started && was_up != nl.now.up) {
		log_info("link: %s is %s", nl.now.name, nl.now.up ? "up" :
		    nl.now.index == 0 ? "gone" : "down");
		peers_link(nl.now.up);
	}
	if (nl.started && changed)
		lldp_changed();
	if (nl.again)
		scan();
}

/* The interface that we know, or the one that this scan has found. */
static bool
is_ours(unsigned index)
{
	return index != 0 && (index == nl.now.index || index == nl.found.index);
}

/* Does a notification concern our interface? A rename keeps the index. */
static bool
concerns_us(struct nlmsghdr *h)
{
	struct ifinfomsg	*i = NLMSG_DATA(h);
	struct ifaddrmsg	*a = NLMSG_DATA(h);
	const char		*name;
	size_t			 len;

	if (h->nlmsg_type == RTM_NEWADDR || h->nlmsg_type == RTM_DELADDR)
		return h->nlmsg_len >= NLMSG_LENGTH(sizeof(*a)) &&
		    is_ours(a->ifa_index);
	if ((h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK) ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*i)))
		return false;
	name = attribute(IFLA_RTA(i), IFLA_PAYLOAD(h), IFLA_IFNAME, &len);
	return is_ours((unsigned)i->ifi_index) || (name != NULL && len > 0 &&
	    name[len - 1] == '\0' && strcmp(name, nl.now.name) == 0);
}

static void
answered(struct nlmsghdr *h)
{
	if ((h->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
		nl.again = true;
	if (nl.state == SCAN_LINK) {
		if (h->nlmsg_type == RTM_NEWLINK) {
			found_link(h);
			ask_addresses();
		} else if (h->nlmsg_type == NLMSG_ERROR)
			scanned();	/* there is no such interface */
	} else if (nl.state == SCAN_ADDRESSES) {
		if (h->nlmsg_type == RTM_NEWADDR)
			found_address(h);
		else
			scanned();	/* NLMSG_DONE, or an error */
	}
}

static void
heard(uint8_t *buf, size_t len)
{
	struct nlmsghdr	*h;
	size_t			 left = len;

	for (h = (struct nlmsghdr *)(void *)buf;
	    NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_pid == nl.portid && h->nlmsg_seq == nl.seq &&
		    nl.state != SCAN_IDLE)
			answered(h);
		else if (concerns_us(h))
			nl.again = true;
	}
}

/* 1 if something was read, 0 if there is nothing now. */
static int
hear_one(void)
{
	static _Alignas(struct nlmsghdr) uint8_t	buf[32768];
	struct sockaddr_nl	from = { 0 };
	socklen_t		fromlen = sizeof(from);
	ssize_t			n;

	n = recvfrom(nl.fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC,
	    (struct sockaddr *)&from, &fromlen);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == -1 && errno != ENOBUFS)
		fatal("netlink");
	if (n == -1 || (size_t)n > sizeof(buf)) {
		/* Something was lost, maybe an answer: begin anew. */
		nl.state = SCAN_IDLE;
		nl.again = true;
	} else if (from.nl_pid == 0)
		heard(buf, (size_t)n);
	return 1;
}

static void
readable(uv_poll_t *h, int status, int events)
{
	unsigned	i;

	if (status < 0)
		fatalx("netlink: poll: %s", uv_strerror(status));
	for (i = 0; i < READS_TURN && hear_one() == 1; i++)
		;
	if (nl.again && nl.state == SCAN_IDLE)
		scan();
}

/* ---- start and end ----------------------------------------------------- */

/* The first look, while waiting is still allowed. */
static int
first_scan(void)
{
	struct pollfd	p = { .fd = nl.fd, .events = POLLIN };
	uint64_t	end = clock_mono_ms() + FIRST_MS, now;

	scan();
	while (nl.state != SCAN_IDLE || nl.again) {
		if ((now = clock_mono_ms()) >= end) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (poll(&p, 1, (int)(end - now)) == 1)
			hear_one();
		if (nl.again && nl.state == SCAN_IDLE)
			scan();
	}
	return 0;
}

int
link_open(const struct conf *conf)
{
	struct sockaddr_nl	sa = { .nl_family = AF_NETLINK,
	    .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
	    RTMGRP_IPV6_IFADDR };
	socklen_t		len = sizeof(sa);

	if (conf->interface == NULL)
		return 0;
	if (strlen(conf->interface) >= IF_NAMESIZE) {
		log_warnx("link: %s: no interface has such a long name",
		    conf->interface);
		return -1;
	}
	memset(&nl.now, 0, sizeof(nl.now));
	memcpy(nl.now.name, conf->interface, strlen(conf->interface));
	if ((nl.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    NETLINK_ROUTE)) == -1 ||
	    bind(nl.fd, (struct sockaddr *)&sa, sizeof(sa)) == -1 ||
	    getsockname(nl.fd, (struct sockaddr *)&sa, &len) == -1) {
		log_warn("netlink");
		return -1;
	}
	nl.portid = sa.nl_pid;
	if (first_scan() == -1) {
		log_warn("link: %s", nl.now.name);
		return -1;
	}
	if (nl.now.index == 0)
		log_warnx("link: %s does not exist yet", nl.now.name);
	return 0;
}

int
link_start(struct uv_loop_s *loop)
{
	int	err;

	if (nl.fd == -1)
		return 0;
	if ((err = uv_poll_init(loop, &nl.poll, nl.fd)) != 0 ||
	    (err = uv_poll_start(&nl.poll, UV_READABLE, readable)) != 0) {
		log_warnx("netlink: %s", uv_strerror(err));
		return -1;
	}
	nl.started = true;
	if (!nl.now.up)
		peers_link(false);
	return 0;
}

const struct link *
link_now(void)
{
	return &nl.now;
}

bool
link_reaches(const char *address)
{
	struct sockaddr_storage	ss;
	socklen_t		len;

	return addr_parse(address, 0, &nl.reach, &ss, &len) == -1 ||
	    addr_onlink(&ss, &nl.reach);
}

static void
link_closed(uv_handle_t *h)
{
	close(nl.fd);
	nl.fd = -1;
}

void
link_stop(void)
{
	if (nl.started)
		uv_close((uv_handle_t *)&nl.poll, link_closed);
	nl.started = false;
}
