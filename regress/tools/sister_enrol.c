/*
 * Written cases: what enrold, taken over, may tell policyd in good form and
 * must not get, and what netd may hand to enrold.
 */
#include <sys/socket.h>

#include <err.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sister_cases.h"

#define SOCKETS	100

/* The base point of P-256: a key that everybody has. */
static const char	point[] =
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

enum made_up { UP_NO_AUTH, UP_TICKET, UP_UNLISTED, UP_SERIAL, UP_KEY, UP_OTHER,
	UP_MAKER, UP_PROFILE, UP_EXPONENT, UP_SMALL, UP_CURVE, UP_POINT,
	UP_KEYGEN, UP_LISTED, UP_NO_REQUEST, NUPS };

/* Each is refused for one of these. */
static const struct {
	const char	*name;
	enum reason	 reason, or;
} ups[NUPS] = {
	[UP_NO_AUTH] = { "a device, and nothing that vouches for it",
	    R_CRT_NO_AUTH, R_CRT_NO_AUTH },
	[UP_TICKET] = { "a ticket that is none", R_CRT_TICKET, R_CRT_TICKET },
	[UP_UNLISTED] = { "a device that is not listed", R_CRT_TICKET,
	    R_CRT_DEVICE },
	[UP_SERIAL] = { "a client with a certificate that is none",
	    R_CRT_CLIENT_REVOKED, R_CRT_SERIAL },
	[UP_KEY] = { "a client whose certificate is over another key",
	    R_CRT_CLIENT_REVOKED, R_CRT_CLIENT_REVOKED },
	[UP_OTHER] = { "a client that asks for another's name", R_CRT_NAME,
	    R_CRT_NOT_YOURS },
	[UP_MAKER] = { "a client of a maker that is none", R_CRT_MAKER,
	    R_CRT_MAKER },
	[UP_PROFILE] = { "a profile that is none", R_CRT_PROFILE,
	    R_CRT_PROFILE },
	[UP_EXPONENT] = { "RSA with exponent 1", R_CRT_KEY_WEAK,
	    R_CRT_KEY_WEAK },
	[UP_SMALL] = { "RSA of 512 bits", R_CRT_KEY_WEAK, R_CRT_KEY_TYPE },
	[UP_CURVE] = { "a curve that the profile does not allow",
	    R_CRT_KEY_TYPE, R_CRT_KEY_TYPE },
	[UP_POINT] = { "half a point", R_CRT_KEY_WEAK, R_CRT_KEY_TYPE },
	[UP_KEYGEN] = { "a key made by the server, where no profile has it",
	    R_ENR_NO_KEYGEN, R_ENR_NO_KEYGEN },
	[UP_LISTED] = { "another's name for a ticket that is good",
	    R_CRT_NAME, R_CRT_NAME },
	/* The last: it ends the link. */
	[UP_NO_REQUEST] = { "a request without its hash", R_IPC_CLOSED,
	    R_IPC_CLOSED },
};

/* What the test knows of two devices. */
static struct {
	const char	*has, *other;
	uint8_t		 serial[16], key[32];	/* the certificate of one */
	uint8_t		 ticket[16];		/* of the other, not used */
} known;

static int
hex_read(const char *hex, uint8_t *out, size_t len)
{
	size_t	n;

	return OPENSSL_hexstr2buf_ex(out, len, &n, hex, '\0') == 1 &&
	    n == len ? 0 : -1;
}

static void
point_set(struct msg_enrol_req *m)
{
	m->key_type = SUBJECT_P256;
	m->public.len = 65;
	if (hex_read(point, m->public.data, 65) == -1)
		errx(2, "point");
}

/* A request of this device, its authority still to be made up. */
static void
request(struct msg_enrol_req *m, const char *name)
{
	memset(m, 0, sizeof(*m));
	m->request.len = 32;
	memset(m->request.data, 0x5a, 32);
	IPC_SET_STR(m->profile, "iot");
	IPC_SET_STR(m->name, name);
	IPC_SET_STR(m->address, "192.0.2.77");
	point_set(m);
}

/* A client with the certificate of the device that has one. */
static void
client(struct msg_enrol_req *m)
{
	m->renew = true;
	m->client = CLIENT_OURS;
	IPC_SET_BLOB(m->client_serial, known.serial, 16);
	IPC_SET_BLOB(m->client_key, known.key, 32);
	IPC_SET_STR(m->client_name, known.has);
}

static void
rsa(struct msg_enrol_req *m, uint32_t len, uint32_t exponent)
{
	m->key_type = SUBJECT_RSA2048;
	m->public.len = len;
	memset(m->public.data, 0xc5, len);
	m->exponent = exponent;
}

static void
up_client(struct msg_enrol_req *m, enum made_up up)
{
	request(m, up == UP_OTHER || up == UP_MAKER ? known.other :
	    known.has);
	client(m);
	if (up == UP_SERIAL)
		m->client_serial.data[1] ^= 1;
	if (up == UP_KEY)
		m->client_key.data[0] ^= 1;
	if (up != UP_MAKER)
		return;
	m->renew = false;
	m->client = CLIENT_MAKER;
	m->client_root.len = 32;
	IPC_SET_STR(m->client_name, known.other);
}

/* Each from an address of its own: an address has only so many attempts. */
static void
make_up(struct msg_enrol_req *m, enum made_up up)
{
	request(m, up == UP_UNLISTED ? "24:0a:c4:ff:ff:ff" :
	    up == UP_LISTED ? known.has : known.other);
	if (up != UP_NO_AUTH)
		IPC_SET_BLOB(m->ticket, known.ticket, 16);
	switch (up) {
	case UP_TICKET:
	case UP_UNLISTED:
		m->ticket.data[0] ^= 1;
		break;
	case UP_SERIAL:
	case UP_KEY:
	case UP_OTHER:
	case UP_MAKER:
		up_client(m, up);
		break;
	case UP_PROFILE:
		IPC_SET_STR(m->profile, "root");
		break;
	case UP_EXPONENT:
		rsa(m, 256, 1);
		break;
	case UP_SMALL:
		rsa(m, 64, 65537);
		break;
	case UP_CURVE:
		m->key_type = SUBJECT_P384;
		m->public.len = 97;
		m->public.data[0] = 4;
		break;
	case UP_POINT:
		m->public.len = 33;
		break;
	case UP_NO_REQUEST:
		m->request.len = 0;
		break;
	case UP_KEYGEN:
		m->server_keygen = true;
		break;
	case UP_NO_AUTH:
	case UP_LISTED:
	case NUPS:
		break;
	}
	snprintf(m->address, sizeof(m->address), "198.51.100.%d", (int)up);
}

static void
cases_revoke(struct sister *s)
{
	struct msg_revoke_req	m = { .client_serial.len = 16,
	    .serial.len = 16 };
	struct heard		h;
	enum reason		r;

	memcpy(m.serial.data, known.serial, 16);
	m.client_serial.data[0] = 0x41;
	IPC_SET_STR(m.address, "192.0.2.77");
	r = sister_call(s, s->hub, MSG_REVOKE_REQ, &m, &h);
	tap(r == R_CRT_CLIENT_REVOKED || r == R_CRT_NOT_YOURS,
	    "enrold: revocation by a certificate that is none: %s",
	    reason_code(r));
	m.serial.data[0] ^= 1;
	memcpy(m.client_serial.data, known.serial, 16);
	r = sister_call(s, s->hub, MSG_REVOKE_REQ, &m, &h);
	tap(r == R_CRT_NOT_YOURS || r == R_CRT_SERIAL,
	    "enrold: revocation of what is another's: %s", reason_code(r));
}

void
cases_enrold(const char *dir, char **arg)
{
	static struct msg_enrol_req m;
	struct msg_enrol_taken	taken = { .serial.len = 16 };
	struct sister		s;
	struct heard		h;
	enum reason		r;
	int			up;

	known.has = arg[1];
	known.other = arg[3];
	if (hex_read(arg[0], known.serial, 16) == -1 ||
	    hex_read(arg[2], known.key, 32) == -1 ||
	    hex_read(arg[4], known.ticket, 16) == -1)
		errx(2, "enrold: SERIAL HAS KEY OTHER TICKET");
	sister_user(IPC_ENROLD, IPC_ENROLD);
	sister_greeted(&s, dir, IPC_ENROLD);
	cases_revoke(&s);
	taken.serial.data[0] = 0x41;
	sister_say(s.hub, MSG_ENROL_TAKEN, 0, &taken);
	for (up = 0; up < NUPS; up++) {
		if (up == UP_NO_REQUEST)
			tap_alive(&s);
		make_up(&m, (enum made_up)up);
		r = sister_call(&s, s.hub, MSG_ENROL_REQ, &m, &h);
		tap(r == ups[up].reason || r == ups[up].or,
		    "enrold: %s: %s", ups[up].name, reason_code(r));
	}
	printf("# offence enrold policyd %s ENROL_REQ\n",
	    reason_code(R_IPC_HANDLER));
}

/* A connection that nobody else holds. */
static int
say_connection(int fd, const struct msg_http_accepted *m)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(sizeof(int))];
	}		 cmsg;
	uint8_t		 buf[256];
	struct iovec	 iov = { .iov_base = buf };
	struct msghdr	 mh = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = cmsg.buf, .msg_controllen = sizeof(cmsg.buf) };
	int		 pair[2], r;

	if (ipc_encode(MSG_HTTP_ACCEPTED, 0, m, buf, sizeof(buf),
	    &iov.iov_len) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
		err(2, "connection");
	memset(&cmsg, 0, sizeof(cmsg));
	cmsg.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	cmsg.hdr.cmsg_level = SOL_SOCKET;
	cmsg.hdr.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&cmsg.hdr), pair, sizeof(int));
	r = sendmsg(fd, &mh, MSG_NOSIGNAL) == -1 ? -1 : 0;
	close(pair[0]);
	close(pair[1]);
	return r;
}

/* For doors that are none, and closed by the other end: over at once. */
void
cases_doors(const char *dir)
{
	struct msg_http_accepted m = { .address = "192.0.2.7" };
	uint8_t			 buf[256];
	struct sister		 s;
	struct heard		 h;
	unsigned		 over = 0, replies = 0;
	size_t			 len;

	sister_user(IPC_NETD, IPC_NETD);
	sister_greeted(&s, dir, IPC_NETD);
	if (sister_link(&s, IPC_ENROLD) == -1)
		errx(2, "no link to enrold");
	for (m.connection = 1; m.connection <= SOCKETS; m.connection++) {
		m.listener = m.connection % ENROL_LISTENERS;
		if (say_connection(s.link[IPC_ENROLD], &m) == -1 ||
		    sister_recv(s.link[IPC_ENROLD], &h, SISTER_MS) != 1)
			break;
		over += h.type == MSG_HTTP_OVER &&
		    h.msg.http_over.connection == m.connection;
	}
	tap(over == SOCKETS, "netd: %d connections that nobody made: each is "
	    "over at once", SOCKETS);
	tap_alive(&s);
	if (ipc_encode(MSG_HTTP_ACCEPTED, 0, &m, buf, sizeof(buf), &len) ==
	    -1 || sister_put(s.link[IPC_ENROLD], buf, len, 1) == -1)
		errx(2, "no descriptor");
	tap(sister_closed(s.link[IPC_ENROLD], &replies) &&
	    sister_closed(s.hub, &replies), "netd: a descriptor that is no "
	    "socket ends it: %s", reason_code(R_IPC_HANDLER));
	printf("# offence netd enrold %s HTTP_ACCEPTED\n",
	    reason_code(R_IPC_HANDLER));
}
