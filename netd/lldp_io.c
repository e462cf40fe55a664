/*
 * LLDP on the wire (IEEE 802.1AB-2016, 9): one AF_PACKET socket of ethertype
 * 0x88cc, opened while CAP_NET_RAW is there, with a filter that cannot be
 * taken off again. It is bound to no interface, so that ours may go and come
 * back; frames of other interfaces are dropped here.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "clock.h"
#include "confine.h"
#include "lldp.h"
#include "log.h"
#include "netd.h"

#define READS_TURN	32	/* frames read in one turn of the loop */
#define TICK_MS		1000	/* 9.2.4: txTick */
#define FAST_SENDS	4	/* txFastInit: frames sent fast, */
#define FAST_MS		1000	/* msgFastTx: this far apart */
#define CREDIT_MAX	5	/* txCreditMax: a burst; one more a tick */

/* 7.1: nearest bridge, nearest non-TPMR bridge, nearest customer bridge. */
static const uint8_t	groups[][ETH_ALEN] = {
	{ 0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e },
	{ 0x01, 0x80, 0xc2, 0x00, 0x00, 0x03 },
	{ 0x01, 0x80, 0xc2, 0x00, 0x00, 0x00 },
};
#define NGROUP		(sizeof(groups) / sizeof(groups[0]))

static struct {
	int		 fd;
	uv_poll_t	 poll;
	uv_timer_t	 tick;
	int		 nhandles;	/* not closed yet */
	uint64_t	 interval;	/* ms between frames */
	uint16_t	 ttl;		/* s */
	char		 name[LLDP_STR_MAX + 1];
	unsigned	 joined;	/* interface whose groups we are in */
	unsigned	 credit, fast;
	bool		 pending;	/* a change was not sent yet */
	uint64_t	 next;		/* monotonic ms of the next frame */
} io = { .fd = -1 };

/* ---- the filter -------------------------------------------------------- */

/*
 * Only frames of our ethertype, to a group address of LLDP, that came from
 * the cable. SOCK_DGRAM shows the payload at 0 and the Ethernet header at
 * SKF_LL_OFF.
 */
static const struct sock_filter	code[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	    (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LLDP_ETHERTYPE, 0, 9),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	    (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 7, 0),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_LL_OFF),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0180c200, 0, 5),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)(SKF_LL_OFF + 4)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x000e, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0003, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0000, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, LLDP_MAX + 1),	/* one more: too long */
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static int
lock_filter(int fd)
{
	static const int	on = 1;
	struct sock_filter	copy[sizeof(code) / sizeof(code[0])];
	struct sock_fprog	prog = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = copy,
	};

	memcpy(copy, code, sizeof(code));
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
	    sizeof(prog)) == -1 || setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER,
	    &on, sizeof(on)) == -1)
		return -1;
	return 0;
}

/* ---- sending ----------------------------------------------------------- */

/* Group memberships vanish with the interface that they were on. */
static void
join(unsigned ifindex)
{
	struct packet_mreq	m = { .mr_ifindex = (int)ifindex,
	    .mr_type = PACKET_MR_MULTICAST, .mr_alen = ETH_ALEN };
	size_t			i;

	for (i = 0; i < NGROUP; i++) {
		memcpy(m.mr_address, groups[i], ETH_ALEN);
		if (setsockopt(io.fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m,
		    sizeof(m)) == -1) {
			log_warn("lldp: membership on %s", link_now()->name);
			return;
		}
	}
	io.joined = ifindex;
}

/* Chassis ID is our MAC address, Port ID the name of the interface. */
static void
set_ids(struct lldpdu *p)
{
	const struct link	*l = link_now();

	p->chassis.subtype = LLDP_CHASSIS_MAC;
	p->chassis.len = ETH_ALEN;
	memcpy(p->chassis.data, l->mac, ETH_ALEN);
	p->port.subtype = LLDP_PORT_IFNAME;
	p->port.len = (uint8_t)strlen(l->name);
	memcpy(p->port.data, l->name, p->port.len);
}

static void
set_addresses(struct lldpdu *p)
{
	const struct link	*l = link_now();

	p->ifindex = l->index;
	while (p->naddr4 < l->naddr4 && p->naddr4 < LLDP_ADDRS) {
		p->addr4[p->naddr4] = l->addr4[p->naddr4];
		p->naddr4++;
	}
	while (p->naddr6 < l->naddr6 && p->naddr6 < LLDP_ADDRS) {
		p->addr6[p->naddr6] = l->addr6[p->naddr6];
		p->naddr6++;
	}
}

/* The interface may go while we speak; netlink tells of it. */
static void
not_sent(int err)
{
	if (err == ENETDOWN || err == ENXIO || err == ENODEV)
		return;
	if (hub_count(R_LLD_SEND) == 1)
		log_warnx("lldp: %s: %s", link_now()->name, strerror(err));
}

static void
send_frame(uint16_t ttl)
{
	struct sockaddr_ll	to = { .sll_family = AF_PACKET,
	    .sll_protocol = htons(LLDP_ETHERTYPE), .sll_halen = ETH_ALEN };
	const struct link	*l = link_now();
	struct lldpdu		p;
	uint8_t			buf[LLDP_MAX];
	size_t			len;

	memset(&p, 0, sizeof(p));
	set_ids(&p);
	set_addresses(&p);
	p.ttl = ttl;
	memcpy(p.system_name, io.name, sizeof(p.system_name));
	snprintf(p.port_description, sizeof(p.port_description), "%s", l->name);
	snprintf(p.system_description, sizeof(p.system_description),
	    "provd " PROVD_VERSION);
	p.has_caps = true;
	p.caps = p.enabled = LLDP_CAP_STATION;
	if (lldp_encode(&p, buf, sizeof(buf), &len) == -1)
		fatalx("lldp: our own frame does not encode");
	to.sll_ifindex = (int)l->index;
	memcpy(to.sll_addr, groups[0], ETH_ALEN);
	if (sendto(io.fd, buf, len, 0, (struct sockaddr *)&to,
	    sizeof(to)) == -1)
		not_sent(errno);
}

/* 9.2.7: can this port carry frames now? */
static bool
can_send(void)
{
	const struct link	*l = link_now();

	return io.fd != -1 && l->up && l->ethernet && io.name[0] != '\0';
}

static void
send_now(uint64_t now)
{
	io.pending = false;
	io.next = now + io.interval;
	if (io.fast > 0) {
		io.fast--;
		if (io.next > now + FAST_MS)
			io.next = now + FAST_MS;
	}
	if (!can_send())
		return;
	if (io.credit > 0)
		io.credit--;
	send_frame(io.ttl);
}

/* At once while there is credit for it, else with the next tick. */
static void
send_soon(void)
{
	io.pending = true;
	if (io.credit > 0)
		send_now(clock_mono_ms());
}

void
lldp_name(const char *name)
{
	char	old[sizeof(io.name)];

	memcpy(old, io.name, sizeof(old));
	snprintf(io.name, sizeof(io.name), "%s", name);
	if (strcmp(old, io.name) != 0 && io.nhandles > 0)
		send_soon();
}

void
lldp_changed(void)
{
	const struct link	*l = link_now();

	if (io.fd == -1)
		return;
	if (l->index != io.joined) {
		io.joined = 0;
		if (l->index != 0)
			join(l->index);
	}
	if (l->up)
		io.fast = FAST_SENDS;
	send_soon();
}

/* ---- what neighbours say ----------------------------------------------- */

/* A global address before one that only this cable knows. */
static const struct in6_addr *
best6(const struct lldpdu *p)
{
	unsigned	i;

	for (i = 0; i < p->naddr6; i++)
		if (!IN6_IS_ADDR_LINKLOCAL(&p->addr6[i]))
			return &p->addr6[i];
	return &p->addr6[0];
}

static void
tell(const struct neighbour *n)
{
	struct msg_neighbour	 m = { .neighbour = n->id };
	const struct lldpdu	*p = &n->pdu;

	m.chassis_subtype = p->chassis.subtype;
	IPC_SET_BLOB(m.chassis, p->chassis.data, p->chassis.len);
	m.port_subtype = p->port.subtype;
	IPC_SET_BLOB(m.port, p->port.data, p->port.len);
	m.ttl = p->ttl;
	IPC_SET_STR(m.system_name, p->system_name);
	if (p->naddr4 > 0)
		inet_ntop(AF_INET, &p->addr4[0], m.address4,
		    sizeof(m.address4));
	if (p->naddr6 > 0)
		inet_ntop(AF_INET6, best6(p), m.address6, sizeof(m.address6));
	chan_send(hub_link(IPC_POLICYD), MSG_NEIGHBOUR, &m, -1);
}

static void
heard(const struct neighbour *n)
{
	log_info("lldp: neighbour %u is \"%s\"", n->id, n->pdu.system_name);
	tell(n);
}

static void
gone(uint32_t id)
{
	struct msg_neighbour_gone	m = { .neighbour = id };

	log_info("lldp: neighbour %u has gone", id);
	chan_send(hub_link(IPC_POLICYD), MSG_NEIGHBOUR_GONE, &m, -1);
}

/* 9.2.7: somebody new should not have to wait for a whole interval. */
static void
fresh(void)
{
	uint64_t	soon = clock_mono_ms() + FAST_MS;

	io.fast = FAST_SENDS;
	if (io.next > soon)
		io.next = soon;
}

static bool
known(const struct lldpdu *p)
{
	struct sockaddr_storage	 ss;
	struct sockaddr_in	*sin = (struct sockaddr_in *)&ss;
	struct sockaddr_in6	*sin6 = (struct sockaddr_in6 *)&ss;
	unsigned		 i;

	for (i = 0; i < p->naddr4; i++) {
		*sin = (struct sockaddr_in){ .sin_family = AF_INET,
		    .sin_addr = p->addr4[i] };
		if (peer_at(&ss))
			return true;
	}
	for (i = 0; i < p->naddr6; i++) {
		*sin6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
		    .sin6_addr = p->addr6[i] };
		if (peer_at(&ss))
			return true;
	}
	return false;
}

static const struct neighbour_ops	ops = { heard, gone, fresh, known };

void
lldp_report(void)
{
	if (io.fd != -1)
		neighbour_each(tell);
	chan_send(hub_link(IPC_POLICYD), MSG_NEIGHBOURS_END, NULL, -1);
}

/* Every odd frame is counted; the first of each sort is logged. */
static void
odd(enum reason r)
{
	if (hub_count(r) == 1)
		log_about(LOG_LVL_WARN, reason_code(r), NULL, "lldp: %s: %s",
		    reason_code(r), reason_text(r));
}

/* A bridge may send our own frames back to us. */
static bool
is_ours(const struct lldpdu *p)
{
	struct lldpdu	ours;

	set_ids(&ours);
	return lldp_id_same(&ours.chassis, &p->chassis) &&
	    lldp_id_same(&ours.port, &p->port);
}

static void
frame(const uint8_t *buf, size_t len)
{
	struct lldpdu	p;
	enum reason	r;

	if (len > LLDP_MAX) {
		odd(R_LLD_SIZE);
		return;
	}
	if ((r = lldp_decode(buf, len, &p)) != R_OK) {
		odd(r);
		return;
	}
	if (p.ndiscarded > 0)
		odd(p.discarded);
	if (is_ours(&p))
		return;
	if ((r = neighbour_heard(&p, clock_mono_ms())) != R_OK)
		odd(r);
}

/* 1 if a frame was read, 0 if there is none now. */
static int
read_one(void)
{
	struct sockaddr_ll	from = { 0 };
	socklen_t		fromlen = sizeof(from);
	uint8_t			buf[LLDP_MAX + 1];
	ssize_t			n;

	n = recvfrom(io.fd, buf, sizeof(buf), MSG_DONTWAIT,
	    (struct sockaddr *)&from, &fromlen);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* The socket tells once that an interface went down: no harm. */
	if (n == -1 && errno != ENETDOWN)
		fatal("lldp");
	if (n != -1 && (unsigned)from.sll_ifindex == link_now()->index)
		frame(buf, (size_t)n);
	return 1;
}

static void
readable(uv_poll_t *h, int status, int events)
{
	unsigned	i;

	if (status < 0)
		fatalx("lldp: poll: %s", uv_strerror(status));
	for (i = 0; i < READS_TURN && read_one() == 1; i++)
		;
}

static void
ticked(uv_timer_t *h)
{
	uint64_t	now = clock_mono_ms();

	if (io.credit < CREDIT_MAX)
		io.credit++;
	neighbour_sweep(now);
	if (io.pending || now >= io.next)
		send_now(now);
}

/* ---- start and end ----------------------------------------------------- */

int
lldp_open(const struct conf *conf)
{
	/* Where they come from D-Bus, another daemon speaks LLDP. */
	if (conf->interface == NULL || conf->dbus_neighbours)
		return 0;
	/*
	 * With protocol 0 nothing arrives before the filter is there; the
	 * bind to the protocol alone leaves the interface open.
	 */
	if ((io.fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0)) == -1 || lock_filter(io.fd) == -1) {
		log_warn("lldp: packet socket");
		return -1;
	}
	if (bind(io.fd, (struct sockaddr *)&(struct sockaddr_ll){
	    .sll_family = AF_PACKET, .sll_protocol = htons(LLDP_ETHERTYPE) },
	    sizeof(struct sockaddr_ll)) == -1 || neighbour_init(&ops) == -1) {
		log_warn("lldp: packet socket");
		return -1;
	}
	return 0;
}

/* 9.2.5: TTL is interval times hold, and a second for the road. */
static void
set_times(const struct conf *conf)
{
	uint64_t	ttl;

	io.interval = conf->lldp_interval;
	ttl = (io.interval * conf->lldp_hold + 999) / 1000 + 1;
	io.ttl = ttl > UINT16_MAX ? UINT16_MAX : (uint16_t)ttl;
}

int
lldp_start(struct uv_loop_s *loop, const struct conf *conf)
{
	uint64_t	tick = TICK_MS;
	int		err;

	if (io.fd == -1)
		return 0;
	set_times(conf);
	if (tick > io.interval)
		tick = io.interval;
	if ((err = uv_poll_init(loop, &io.poll, io.fd)) != 0 ||
	    (err = uv_poll_start(&io.poll, UV_READABLE, readable)) != 0) {
		log_warnx("lldp: %s", uv_strerror(err));
		return -1;
	}
	uv_timer_init(loop, &io.tick);
	uv_timer_start(&io.tick, ticked, tick, tick);
	io.nhandles = 2;
	io.credit = CREDIT_MAX;
	if (io.name[0] == '\0' && conf->node != NULL)
		snprintf(io.name, sizeof(io.name), "%s", conf->node);
	lldp_changed();
	return 0;
}

static void
handle_closed(uv_handle_t *h)
{
	if (--io.nhandles > 0)
		return;
	close(io.fd);
	io.fd = -1;
	neighbour_free();
}

void
lldp_stop(void)
{
	if (io.nhandles == 0)
		return;
	if (can_send())
		send_frame(0);	/* mibConstrShutdownLLDPDU(): goodbye */
	uv_close((uv_handle_t *)&io.poll, handle_closed);
	uv_close((uv_handle_t *)&io.tick, handle_closed);
}
