/*
 * The client's side of the control socket: one call at a time, its rows, its
 * answer. Synchronous, since the operator waits anyway.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "provctl.h"

#define HELLO_ID	1
#define CALL_ID		2
#define PATIENCE	120000	/* ms that policyd may be silent */

void
client_path(const struct args *a, char *path, size_t size)
{
	const char	*run = "/run/provd";
	struct conf	*conf = NULL;
	FILE		*null;

	if (a->sock != NULL) {
		snprintf(path, size, "%s", a->sock);
		return;
	}
	/* errors are told by 'check' and by the daemons, unless -f asks */
	null = a->conf_path != NULL ? NULL : fopen("/dev/null", "w");
	conf = conf_parse(a->conf_path != NULL ? a->conf_path : CONF_PATH,
	    null != NULL ? null : stderr);
	if (conf != NULL)
		run = conf->run_dir;
	snprintf(path, size, "%s/control.sock", run);
	conf_free(conf);
	if (null != NULL)
		fclose(null);
}

static int
unreachable(FILE *err, const char *path)
{
	switch (errno) {
	case ENOENT:
	case ECONNREFUSED:
		fprintf(err, "provctl: %s: policyd is not running: start it, "
		    "or name its socket with -s\n", path);
		break;
	case EACCES:
		fprintf(err, "provctl: %s: not permitted: operators are "
		    "members of group provd\n", path);
		break;
	default:
		fprintf(err, "provctl: %s: %s\n", path, strerror(errno));
		break;
	}
	return -1;
}

static int
client_connect(FILE *err, const char *path)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	int			fd, saved;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return unreachable(err, path);
	}
	memcpy(sun.sun_path, path, strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) == -1)
		return unreachable(err, path);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return unreachable(err, path);
	}
	return fd;
}

static int
client_send(int fd, enum ipc_type type, uint32_t id, const void *msg,
    int sendfd)
{
	static uint8_t	buf[IPC_MAX_RECORD];
	union {
		struct cmsghdr	head;
		char		space[CMSG_SPACE(sizeof(int))];
	}		control = { 0 };
	struct iovec	iov = { .iov_base = buf };
	struct msghdr	mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t		len;
	ssize_t		n;

	if (ipc_encode(type, id, msg, buf, sizeof(buf), &len) == -1) {
		errno = EMSGSIZE;
		return -1;
	}
	iov.iov_len = len;
	if (sendfd != -1) {
		mh.msg_control = &control;
		mh.msg_controllen = sizeof(control.space);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &sendfd, sizeof(int));
	}
	n = sendmsg(fd, &mh, MSG_NOSIGNAL);
	explicit_bzero(buf, len);	/* it may be a one-time code */
	return n == (ssize_t)len ? 0 : -1;
}

/* One record that answers id or is an event. 1, 0 at the end, or -1. */
static int
client_read(int fd, int timeout, enum ipc_type *type, uint32_t *id,
    union ipc_any *m)
{
	static uint8_t	buf[IPC_MAX_RECORD + 1];
	struct pollfd	pfd = { .fd = fd, .events = POLLIN };
	ssize_t		n;
	int		r;

	while ((r = poll(&pfd, 1, timeout)) == -1 && errno == EINTR)
		continue;
	if (r <= 0) {
		errno = r == 0 ? ETIMEDOUT : errno;
		return -1;
	}
	/* without room for control data a descriptor would be dropped */
	if ((n = recv(fd, buf, sizeof(buf), 0)) <= 0)
		return (int)n;
	if (ipc_peek(buf, (size_t)n, type, id) == -1 ||
	    ipc_decode(*type, buf, (size_t)n, m) == -1) {
		errno = EBADMSG;
		return -1;
	}
	return 1;
}

/* The connection failed in the middle. */
static int
client_lost(FILE *err, int r)
{
	if (r == 0 || errno == ECONNRESET || errno == EPIPE)
		fprintf(err, "provctl: policyd closed the connection; its "
		    "log says why\n");
	else if (errno == EBADMSG)
		fprintf(err, "provctl: policyd sent something else than an "
		    "answer: install programs of one build\n");
	else if (errno == ETIMEDOUT)
		fprintf(err, "provctl: policyd does not answer; see its "
		    "log\n");
	else
		fprintf(err, "provctl: policyd: %s\n", strerror(errno));
	return EX_UNREACHABLE;
}

static void
print_line(FILE *f, const char *head, const char *text)
{
	fputs(head, f);
	row_text(f, text);
	fputc('\n', f);
}

void
client_refused(FILE *f, const struct msg_refused *m)
{
	enum reason	r = (enum reason)m->reason;

	fprintf(f, "provctl: %s: %s\n", reason_code(r), reason_text(r));
	if (m->field[0] != '\0')
		print_line(f, "  field     ", m->field);
	if (m->expected[0] != '\0')
		print_line(f, "  expected  ", m->expected);
	if (m->seen[0] != '\0')
		print_line(f, "  seen      ", m->seen);
	fprintf(f, "  remedy    %s\n", reason_remedy(r));
}

int
client_open(const char *path, FILE *err, int *status)
{
	union ipc_any	*m;
	enum ipc_type	 type = MSG_NONE;
	uint32_t	 id = 0;
	int		 fd, r;

	*status = EX_UNREACHABLE;
	if ((fd = client_connect(err, path)) == -1)
		return -1;
	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	IPC_SET_BLOB(m->ctl_hello.catalogue, ipc_catalogue(), 32);
	r = client_send(fd, MSG_CTL_HELLO, HELLO_ID, m, -1);
	if (r == 0)
		r = client_read(fd, PATIENCE, &type, &id, m);
	if (r == 1 && type == MSG_CTL_WELCOME && id == HELLO_ID &&
	    m->ctl_welcome.catalogue.len == 32 &&
	    memcmp(m->ctl_welcome.catalogue.data, ipc_catalogue(), 32) == 0) {
		free(m);
		return fd;
	}
	if (r == 1 && type == MSG_REFUSED) {
		client_refused(err, &m->refused);
		*status = EX_REFUSED;
	} else {
		if (r == 1)
			errno = EBADMSG;
		client_lost(err, r == 1 ? -1 : r);
	}
	free(m);
	close(fd);
	return -1;
}

static int
take_row(const struct msg_ctl_row *m, row_fn fn, void *arg)
{
	json_t	*row;
	int	 r;

	row = json_loadb((const char *)m->json.data, m->json.len, 0, NULL);
	if (!json_is_object(row)) {
		json_decref(row);
		errno = EBADMSG;
		return -1;
	}
	r = fn(row, arg);
	json_decref(row);
	return r;
}

int
client_call(int fd, enum ipc_type call, const union ipc_any *msg,
    int sendfd, bool patient, row_fn fn, void *arg, struct msg_refused *refused)
{
	union ipc_any	*m;
	enum ipc_type	 type = MSG_NONE;
	uint32_t	 id = 0;
	int		 r, status = -1;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	r = client_send(fd, call, CALL_ID, msg, sendfd) == -1 ? -1 : 1;
	while (r == 1 && status == -1) {
		r = client_read(fd, patient ? -1 : PATIENCE, &type, &id, m);
		if (r != 1)
			break;
		if (type == MSG_CTL_ROW) {
			if (take_row(&m->ctl_row, fn, arg) == -1)
				r = -1;
		} else if (type == MSG_DONE && id == CALL_ID)
			status = EX_GOOD;
		else if (type == MSG_REFUSED && id == CALL_ID) {
			*refused = m->refused;
			status = EX_REFUSED;
		} else {
			errno = EBADMSG;
			r = -1;
		}
	}
	free(m);
	return status != -1 ? status : client_lost(stderr, r);
}
