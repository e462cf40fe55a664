/*
 * Clients of the control socket: they greet, ask, and keep the rows that they
 * get.
 */
#ifndef CONTROL_CLIENT_H
#define CONTROL_CLIENT_H

#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <uv.h>

#include "peers_fake.h"
#include "../../policyd/control.h"

static uv_loop_t		loop;
static char			sock_path[96];

/* What a client got as answer. */
#define ROWS_MAX	700
static json_t		*rows[ROWS_MAX];
static unsigned		 nrows;
static unsigned		 steps;		/* turns that left more to do */
static struct msg_refused refused;

static inline void
spin(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	steps += control_work();
	w_pump();
	uv_run(&loop, UV_RUN_NOWAIT);
}

static inline void
rows_clear(void)
{
	while (nrows > 0)
		json_decref(rows[--nrows]);
}

static inline int
c_setup(void **state)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	int			 fd;

	if (w_setup(state) == -1)
		return -1;
	snprintf(sock_path, sizeof(sock_path), "%s/control.sock", dir_path);
	memcpy(sun.sun_path, sock_path, strlen(sock_path) + 1);
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 16) == -1)
		return -1;
	uv_loop_init(&loop);
	control_start(&loop, fd);
	w_netd_up();
	w_attestq_up();
	w_pump();
	return 0;
}

static inline int
c_teardown(void **state)
{
	rows_clear();
	control_stop();
	uv_run(&loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&loop) != 0)
		return -1;
	unlink(sock_path);
	return w_teardown(state);
}

static inline int
client(void)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	int			 fd;

	memcpy(sun.sun_path, sock_path, strlen(sock_path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static inline void
say(int fd, enum ipc_type type, uint32_t id, const void *m)
{
	uint8_t	buf[IPC_MAX_RECORD];
	size_t	len;

	assert_int_equal(ipc_encode(type, id, m, buf, sizeof(buf), &len), 0);
	assert_int_equal(send(fd, buf, len, MSG_NOSIGNAL), len);
}

/*
 * Everything until the answer: its type, MSG_NONE if it has not come, or -1
 * if policyd closed.
 */
static inline int
hear(int fd)
{
	static union ipc_any	 m;
	uint8_t			 buf[IPC_MAX_RECORD];
	enum ipc_type		 type;
	uint32_t		 id;
	ssize_t			 n;
	int			 quiet;

	for (quiet = 0; quiet < 20;) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n == 0 || (n == -1 && errno == ECONNRESET))
			return -1;
		if (n == -1) {
			quiet++;
			spin();
			continue;
		}
		quiet = 0;
		assert_int_equal(ipc_peek(buf, (size_t)n, &type, &id), 0);
		assert_int_equal(ipc_decode(type, buf, (size_t)n, &m), 0);
		if (type == MSG_CTL_ROW) {
			assert_true(nrows < ROWS_MAX);
			rows[nrows] = json_loadb((char *)m.ctl_row.json.data,
			    m.ctl_row.json.len, 0, NULL);
			assert_non_null(rows[nrows]);
			assert_true(json_is_string(json_object_get(
			    rows[nrows], "row")));
			nrows++;
			continue;
		}
		if (type == MSG_REFUSED)
			refused = m.refused;
		return (int)type;
	}
	return MSG_NONE;
}

static inline int
greet(void)
{
	struct msg_ctl_hello	h;
	int			fd = client();

	IPC_SET_BLOB(h.catalogue, ipc_catalogue(), HASH_LEN);
	say(fd, MSG_CTL_HELLO, 1, &h);
	assert_int_equal(hear(fd), MSG_CTL_WELCOME);
	return fd;
}

static inline int
ask(int fd, enum ipc_type type, const void *m)
{
	rows_clear();
	say(fd, type, 2, m);
	return hear(fd);
}

static inline const char *
text(unsigned i, const char *key)
{
	const char	*s;

	assert_true(i < nrows);
	s = json_string_value(json_object_get(rows[i], key));
	return s != NULL ? s : "";
}

/* The first row of this type, or fail. */
static inline json_t *
row(const char *type)
{
	unsigned	i;

	for (i = 0; i < nrows; i++)
		if (strcmp(text(i, "row"), type) == 0)
			return rows[i];
	fail_msg("no row %s", type);
	return NULL;
}

static inline const char *
row_text(const char *type, const char *key)
{
	const char	*s = json_string_value(json_object_get(row(type), key));

	return s != NULL ? s : "";
}

static inline const char *
why_code(const char *type, const char *key)
{
	const char	*s = json_string_value(json_object_get(
	    json_object_get(row(type), key), "code"));

	return s != NULL ? s : "";
}

#endif
