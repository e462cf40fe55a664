/*
 * The connection to the bus, and sd-bus on libuv.
 *
 * A prepare handle looks, before the loop sleeps, at what sd-bus waits for:
 * so whoever queues something for the bus need not say so. What the bus sends
 * is taken a bounded number of messages a turn, and not at all while answers
 * wait for a bus that does not read.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "busd.h"
#include "log.h"

#define PAUSE_MS	500	/* between looks for a bus that is absent */
#define TURN_MAX	32	/* messages a turn of the loop */
#define HOLD		8	/* answers that wait: ask for no more calls */
#define QUEUE_MAX	16384	/* messages that wait: the bus does not read */
#define METHOD_US	10000000	/* for the bus's own answers */

static sd_bus		*bus;
static uv_poll_t	 poll_handle;
static uv_timer_t	 timer;
static uv_prepare_t	 before;
static bool		 running;
static int		 events;	/* that the poll handle waits for */
static int		 unsettled;	/* names that the bus has not answered */
static bool		 lost;

/* ---- before the filter --------------------------------------------------- */

static int
try_connect(const struct sockaddr_un *sun)
{
	int	fd, save;

	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		fatal("socket");
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0)
		return fd;
	save = errno;
	close(fd);
	errno = save;
	return -1;
}

int
bus_connect(const char *path)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	bool			 said = false;
	int			 fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		fatalx("%s: too long for a socket", path);
	memcpy(sun.sun_path, path, strlen(path));
	while ((fd = try_connect(&sun)) == -1) {
		if (errno != ENOENT && errno != ECONNREFUSED &&
		    errno != EAGAIN && errno != EINTR)
			fatal("%s", path);
		if (!said) {
			start_status("waiting for the message bus");
			log_about(LOG_LVL_WARN, reason_code(R_BUS_ABSENT), NULL,
			    "%s %s: %s", reason_code(R_BUS_ABSENT), path,
			    reason_text(R_BUS_ABSENT));
		}
		said = true;
		(void)poll(NULL, 0, PAUSE_MS);
	}
	return fd;
}

/*
 * sd-bus would look the id of the machine up in a file. It answers everything
 * else of org.freedesktop.DBus.Peer by itself.
 */
static int
refuse_builtin(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Peer",
	    "GetMachineId") <= 0)
		return 0;
	return error_reply(m, R_BUS_BUILTIN, NULL, NULL, NULL);
}

static void
must(int r, const char *what)
{
	if (r < 0) {
		errno = -r;
		fatal("bus: %s", what);
	}
}

void
bus_init(int fd)
{
	must(sd_bus_new(&bus), "new");
	must(sd_bus_set_fd(bus, fd, fd), "descriptor");
	must(sd_bus_set_bus_client(bus, 1), "client");
	/* No method of ours takes a descriptor. */
	must(sd_bus_negotiate_fds(bus, 0), "descriptors");
	must(sd_bus_set_method_call_timeout(bus, METHOD_US), "timeout");
	must(sd_bus_add_filter(bus, NULL, refuse_builtin, NULL), "filter");
	face_add(bus);
	debug_add(bus);
	peer_objects_add(bus);
	progress_add(bus);
	attestation_add(bus);
	must(sd_bus_start(bus), "start");
}

sd_bus *
bus_get(void)
{
	return bus;
}

/* ---- on the loop ----------------------------------------------------------- */

static void
bus_gone(const char *why)
{
	if (lost)
		return;
	lost = true;
	hub_count(R_BUS_LOST);
	log_about(LOG_LVL_WARN, reason_code(R_BUS_LOST), NULL,
	    "%s %s (%s)", reason_code(R_BUS_LOST),
	    reason_text(R_BUS_LOST), why);
}

bool
bus_lost(void)
{
	return lost;
}

static bool
held(void)
{
	uint64_t	n = 0;

	if (sd_bus_get_n_queued_write(bus, &n) < 0)
		return false;
	if (n > QUEUE_MAX)
		bus_gone("it does not read");
	return n > HOLD;
}

/* While answers are held back, a call writes at most and reads nothing. */
static void
work(bool writable)
{
	int	i, r;

	for (i = 0; i < TURN_MAX && !lost; i++) {
		if (held() && !writable)
			return;
		writable = false;
		if ((r = sd_bus_process(bus, NULL)) < 0)
			bus_gone(strerror(-r));
		else if (sd_bus_is_open(bus) <= 0)
			bus_gone("it closed the connection");
		else if (r == 0)
			return;
	}
}

static void
ready(uv_poll_t *h, int status, int what)
{
	if (status < 0) {
		/* Reading says what it is, and takes it away. */
		events = 0;
		what = UV_WRITABLE;
	}
	work((what & UV_WRITABLE) != 0);
}

static void
due(uv_timer_t *t)
{
	work(false);
}

static void
watch_time(void)
{
	uint64_t	when, now = uv_hrtime() / 1000;	/* sd-bus's clock */

	if (sd_bus_get_timeout(bus, &when) <= 0 || when == UINT64_MAX) {
		uv_timer_stop(&timer);
		return;
	}
	uv_update_time(timer.loop);
	uv_timer_start(&timer, due, when <= now ? 0 :
	    (when - now + 999) / 1000, 0);
}

static void
look(uv_prepare_t *h)
{
	bool	hold = held();
	int	want, err;

	if (lost) {	/* here nobody is inside of sd-bus */
		busd_end();
		return;
	}
	if ((want = sd_bus_get_events(bus)) < 0) {
		bus_gone(strerror(-want));
		return;
	}
	want = ((want & POLLIN) != 0 && !hold ? UV_READABLE : 0) |
	    ((want & POLLOUT) != 0 ? UV_WRITABLE : 0);
	if (want != events) {
		if ((err = uv_poll_start(&poll_handle, want, ready)) != 0)
			fatalx("bus: poll: %s", uv_strerror(err));
		events = want;
	}
	if (hold)
		uv_timer_stop(&timer);
	else
		watch_time();
}

void
bus_start(uv_loop_t *loop)
{
	int	err;

	if ((err = uv_poll_init(loop, &poll_handle, sd_bus_get_fd(bus))) != 0 ||
	    (err = uv_timer_init(loop, &timer)) != 0 ||
	    (err = uv_prepare_init(loop, &before)) != 0 ||
	    (err = uv_prepare_start(&before, look)) != 0)
		fatalx("bus: %s", uv_strerror(err));
	running = true;
}

uv_loop_t *
bus_loop(void)
{
	return timer.loop;
}

/* ---- names ------------------------------------------------------------------- */

bool
bus_named(void)
{
	return view_told() && unsettled == 0 && !lost;
}

/* 1: it is ours; 4: it was already (D-Bus specification, RequestName). */
static bool
granted(sd_bus_message *m)
{
	uint32_t	answer;

	return !sd_bus_message_is_method_error(m, NULL) &&
	    sd_bus_message_read(m, "u", &answer) > 0 &&
	    (answer == 1 || answer == 4);
}

static void
say_name(enum reason why, const char *name, sd_bus_message *m)
{
	const sd_bus_error	*e = sd_bus_message_get_error(m);

	hub_count(why);
	log_about(LOG_LVL_WARN, reason_code(why), NULL,
	    "%s %s: %s %s%s%s", reason_code(why), name, reason_text(why),
	    reason_remedy(why), e == NULL || e->message == NULL ? "" : " ",
	    e == NULL || e->message == NULL ? "" : e->message);
}

static int
named(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	if (!granted(m)) {
		say_name(R_BUS_NAME, BUS_NAME, m);
		lost = true;
		return 1;
	}
	unsettled--;
	busd_ready();
	return 1;
}

static int
named_attestation(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	if (!granted(m))
		say_name(R_BUS_ATTESTATION_NAME, BUS_NAME_ATTEST, m);
	unsettled--;
	busd_ready();
	return 1;
}

void
bus_publish(void)
{
	if (bus == NULL)
		return;
	unsettled = 2;
	must(sd_bus_request_name_async(bus, NULL, BUS_NAME_ATTEST, 0,
	    named_attestation, NULL), "name");
	must(sd_bus_request_name_async(bus, NULL, BUS_NAME, 0, named, NULL),
	    "name");
}

/* ---- the end -------------------------------------------------------------------- */

void
bus_stop(void)
{
	if (running) {
		uv_close((uv_handle_t *)&poll_handle, NULL);
		uv_close((uv_handle_t *)&timer, NULL);
		uv_close((uv_handle_t *)&before, NULL);
	}
	running = false;
	if (bus != NULL) {
		sd_bus_close(bus);
		bus = sd_bus_unref(bus);
	}
}
