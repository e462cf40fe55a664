/*
 * What an operator's command may say on the control socket: records, each
 * after one byte. 0 to 200 choose a command, whose fields are filled from the
 * bytes that follow; 201 to 254 do the same with any message of the catalogue;
 * 255 is a record of raw bytes, its length before it. The first byte of all
 * says whether the client greets at all, and what attestd -Q does meanwhile.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

/* What the fakes below say with cmocka. */
#define assert_true(c)			do { if (!(c)) abort(); } while (0)
#define assert_false(c)			assert_true(!(c))
#define assert_null(p)			assert_true((p) == NULL)
#define assert_non_null(p)		assert_true((p) != NULL)
#define assert_int_equal(a, b)		assert_true((a) == (b))
#define assert_int_not_equal(a, b)	assert_true((a) != (b))
#define assert_string_equal(a, b)	assert_true(strcmp(a, b) == 0)

#include "field.h"
#include "log.h"
#include "../unit/peers_fake.h"
#include "../../policyd/control.h"

#define LIFE	512		/* inputs that one policyd serves */

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);
int	fsync(int);
int	fdatasync(int);

static uv_loop_t		loop;
static struct sockaddr_un	address = { .sun_family = AF_UNIX };
static unsigned			served;
static union ipc_any		msg;

/* The disk is not what is tried. */
int
fsync(int fd)
{
	return 0;
}

int
fdatasync(int fd)
{
	return 0;
}

/* ---- policyd --------------------------------------------------------------- */

static void
down(void)
{
	if (served == 0)
		return;
	control_stop();
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	unlink(address.sun_path);
	assert_int_equal(w_teardown(NULL), 0);
	served = 0;
}

static void
up(void)
{
	static bool	once;
	int		fd;

	if (!once) {
		once = true;
		log_init("fuzz", true);
		log_level(LOG_LVL_WARN);
		assert_int_equal(atexit(down), 0);
	}
	assert_int_equal(w_setup(NULL), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock",
	    dir_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_not_equal(fd, -1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	uv_loop_init(&loop);
	control_start(&loop, fd);
	w_netd_up();
	w_attestq_up();
	w_pump();
}

static void
spin(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	w_pump();
	uv_run(&loop, UV_RUN_NOWAIT);
}

/* ---- the operator ------------------------------------------------------------ */

struct input {
	const uint8_t	*p;
	size_t		 left;
};

static unsigned
byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

/* A length: mostly short, now and then as long as it may be. */
static size_t
length(struct input *in, uint64_t bound)
{
	size_t	n = byte(in);

	if (n == 255)
		n = byte(in) << 8 | byte(in);
	return n > bound ? (size_t)bound : n;
}

static void
bytes(struct input *in, uint8_t *to, size_t n)
{
	size_t	k = n < in->left ? n : in->left;

	if (k > 0)
		memcpy(to, in->p, k);
	memset(to + k, 'x', n - k);
	in->p += k;
	in->left -= k;
}

static void
fill(struct input *in, enum ipc_type type)
{
	const struct field	*f;
	struct field_blob	*b;
	char			*p;
	size_t			 i, n, len;

	memset(&msg, 0, sizeof(msg));
	f = ipc_fields(type, &n);
	for (i = 0; i < n; i++) {
		p = (char *)&msg + f[i].offset;
		switch (f[i].kind) {
		case F_U32:
			*(uint32_t *)p = (uint32_t)(byte(in) % (f[i].bound + 1));
			break;
		case F_U64:
		case F_I64:
			*(uint64_t *)p = byte(in);
			break;
		case F_FLAG:
			*(bool *)p = byte(in) & 1;
			break;
		case F_STR:
			len = length(in, f[i].bound);
			bytes(in, (uint8_t *)p, len);
			break;
		case F_BLOB:
			b = (struct field_blob *)p;
			b->len = (uint32_t)length(in, f[i].bound);
			bytes(in, b->data, b->len);
			break;
		}
	}
}

static size_t
record(struct input *in, uint8_t *buf, uint32_t id)
{
	unsigned	how = byte(in);
	enum ipc_type	type;
	size_t		n;

	if (how == 255) {
		n = length(in, IPC_MAX_RECORD);
		bytes(in, buf, n);
		return n;
	}
	type = how <= 200 ? from_provctl[how % nfrom_provctl].type :
	    (enum ipc_type)(1 + byte(in) % (MSG_COUNT - 1));
	fill(in, type);
	if (type == MSG_CTL_HELLO)
		IPC_SET_BLOB(msg.ctl_hello.catalogue, ipc_catalogue(), 32);
	if (ipc_encode(type, ipc_kind(type) == IPC_CALL ||
	    ipc_kind(type) == IPC_REPLY ? id : 0, &msg, buf, IPC_MAX_RECORD,
	    &n) == -1)
		return 0;		/* no UTF-8 */
	return n;
}

/* Every row is an object with a name; every answer is to a call. */
static void
hear(int fd)
{
	static uint8_t	buf[IPC_MAX_RECORD];
	static union ipc_any m;
	enum ipc_type	type;
	uint32_t	id;
	ssize_t		n;
	json_t		*row;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		assert_int_equal(ipc_peek(buf, (size_t)n, &type, &id), 0);
		assert_int_equal(ipc_decode(type, buf, (size_t)n, &m), 0);
		if (type != MSG_CTL_ROW) {
			assert_int_equal(ipc_kind(type), IPC_REPLY);
			continue;
		}
		row = json_loadb((char *)m.ctl_row.json.data,
		    m.ctl_row.json.len, 0, NULL);
		assert_true(json_is_string(json_object_get(row, "row")));
		json_decref(row);
	}
}

static void
talk(int fd, struct input *in)
{
	static uint8_t	buf[IPC_MAX_RECORD];
	uint32_t	id = 1;
	size_t		n;

	while (in->left > 0) {
		n = record(in, buf, ++id);
		if (n > 0 && send(fd, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT) ==
		    -1 && errno != EAGAIN)
			return;		/* policyd has closed it */
		spin();
		hear(fd);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg_ctl_hello	hello;
	struct input		in = { data, size };
	uint8_t			buf[64];
	unsigned		mood;
	size_t			n;
	int			fd;

	if (size < 2)
		return 0;
	if (served == 0)
		up();
	served++;
	mood = byte(&in);
	w_hold = mood & 2;
	w_refuse_dial = mood & 4 ? R_NET_REFUSED : R_OK;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_not_equal(fd, -1);
	assert_int_equal(connect(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	spin();
	if (mood & 1) {
		IPC_SET_BLOB(hello.catalogue, ipc_catalogue(), 32);
		assert_int_equal(ipc_encode(MSG_CTL_HELLO, 1, &hello, buf,
		    sizeof(buf), &n), 0);
		assert_int_equal(send(fd, buf, n, 0), (ssize_t)n);
		spin();
	}
	talk(fd, &in);
	w_pass(mood >> 4);
	control_tick(w_mono);
	spin();
	hear(fd);
	close(fd);
	spin();
	if (served >= LIFE)
		down();
	return 0;
}
