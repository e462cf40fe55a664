/*
 * A caller on a node's message bus, as no honest tool is:
 *
 *   busload SOCKET get N            property PeerConnected, N times in a row
 *   busload SOCKET method N NAME    ProvisionPeer(NAME), N times in a row
 *   busload SOCKET flood N          calls of all kinds, N always unanswered,
 *                                   until SIGTERM or the bus ends
 *   busload SOCKET wrong            each call that there should not be, once;
 *                                   lines of TAP
 *   busload SOCKET echo N           N calls of a property and N of a method
 *                                   of a service of its own, which does nothing:
 *                                   what the bus itself costs, and its
 *                                   processor time ("cpu")
 *
 * What came of it is a line "WHAT calls microseconds-a-call error...", with
 * each error of the bus and how often it was the answer.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define NAME	"xyz.openbmc_project.Provisioning"
#define PATH	"/xyz/openbmc_project/Provisioning"
#define FACE	"xyz.openbmc_project.Provisioning.Provisioning"
#define PROPS	"org.freedesktop.DBus.Properties"
#define ECHO	"xyz.openbmc_project.Echo"

static struct { char name[96]; uint64_t n; } errors[16];
static volatile sig_atomic_t	stop;

static void
ended(int sig)
{
	stop = 1;
}

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static sd_bus *
bus_of(const char *socket)
{
	sd_bus	*bus;
	char	 address[256];
	int	 r;

	snprintf(address, sizeof(address), "unix:path=%s", socket);
	if ((r = sd_bus_new(&bus)) < 0 ||
	    (r = sd_bus_set_address(bus, address)) < 0 ||
	    (r = sd_bus_set_bus_client(bus, 1)) < 0 ||
	    (r = sd_bus_start(bus)) < 0)
		errx(1, "%s: %s", socket, strerror(-r));
	return bus;
}

static void
count_error(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]) - 1; i++)
		if (errors[i].n == 0 || strcmp(errors[i].name, name) == 0)
			break;
	snprintf(errors[i].name, sizeof(errors[i].name), "%s", name);
	errors[i].n++;
}

static void
report(const char *what, uint64_t n, uint64_t us)
{
	size_t i;

	printf("%s %" PRIu64 " %.2f", what, n, n == 0 ? 0 : (double)us / (double)n);
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].n > 0)
			printf(" %s=%" PRIu64, errors[i].name, errors[i].n);
	printf("\n");
	fflush(stdout);
	memset(errors, 0, sizeof(errors));
}

/* ---- one after the other ---- */

static void
one(sd_bus *bus, const char *dest, const char *path, const char *face,
    const char *peer)
{
	sd_bus_error	 e = SD_BUS_ERROR_NULL;
	sd_bus_message	*reply = NULL;
	int		 r;

	if (peer == NULL)
		r = sd_bus_call_method(bus, dest, path, PROPS, "Get", &e,
		    &reply, "ss", face, "PeerConnected");
	else
		r = sd_bus_call_method(bus, dest, path, face, "ProvisionPeer",
		    &e, &reply, "s", peer);
	if (r < 0)
		count_error(e.name != NULL ? e.name : strerror(-r));
	if (r == -ENOTCONN || r == -ECONNRESET)
		errx(1, "the bus has gone");
	sd_bus_error_free(&e);
	sd_bus_message_unref(reply);
}

static void
row(sd_bus *bus, const char *what, const char *dest, const char *path,
    const char *face, const char *peer, long n)
{
	uint64_t from = now_us();
	long	 i;

	for (i = 0; i < n; i++)
		one(bus, dest, path, face, peer);
	report(what, (uint64_t)n, now_us() - from);
}

/* ---- a service that does nothing ---- */

static int
echo_property(sd_bus *bus, const char *path, const char *face,
    const char *property, sd_bus_message *reply, void *arg, sd_bus_error *e)
{
	return sd_bus_message_append(reply, "s", FACE
	    ".PeerConnectionStatus.NotDetermined");
}

static int
echo_method(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	return sd_bus_error_set(e, "xyz.openbmc_project.Common.Error.NotAllowed",
	    "BUS-000 nothing is done here");
}

static const sd_bus_vtable echo_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("PeerConnected", "s", echo_property, 0, 0),
	SD_BUS_METHOD("ProvisionPeer", "s", "", echo_method,
	    SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END
};

static void
echo_serve(const char *socket, int ready)
{
	sd_bus *bus = bus_of(socket);

	if (sd_bus_add_object_vtable(bus, NULL, "/echo", ECHO, echo_vtable,
	    NULL) < 0 || sd_bus_request_name(bus, ECHO, 0) < 0)
		errx(1, "%s: no name", ECHO);
	if (write(ready, "", 1) != 1)
		err(1, "write");
	for (;;)
		if (sd_bus_process(bus, NULL) == 0 &&
		    sd_bus_wait(bus, UINT64_MAX) < 0)
			_exit(1);
}

static uint64_t
us_of(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * 1000000 + (uint64_t)tv->tv_usec;
}

static void
echo(const char *socket, long n)
{
	struct rusage ru;
	sd_bus	*bus;
	pid_t	 pid;
	char	 c;
	int	 ready[2];

	if (pipe(ready) == -1 || (pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		close(ready[0]);
		echo_serve(socket, ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		errx(1, "the service did not start");
	bus = bus_of(socket);
	row(bus, "get", ECHO, "/echo", ECHO, NULL, n);
	row(bus, "method", ECHO, "/echo", ECHO, "x", n);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	getrusage(RUSAGE_CHILDREN, &ru);
	report("cpu", 2 * (uint64_t)n, us_of(&ru.ru_utime) +
	    us_of(&ru.ru_stime));
	sd_bus_flush_close_unref(bus);
}

/* ---- too many at once ---- */

static unsigned	waiting;
static uint64_t	answered;

static int
flood_reply(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	const sd_bus_error *got = sd_bus_message_get_error(m);

	waiting--;
	answered++;
	if (got != NULL)
		count_error(got->name);
	return 0;
}

static void
flood_one(sd_bus *bus, unsigned i)
{
	static const char *const members[] = { "Get", "GetAll", "Introspect",
	    "GetManagedObjects" };
	int r;

	switch (i % 4) {
	case 0:
		r = sd_bus_call_method_async(bus, NULL, NAME, PATH, PROPS,
		    members[0], flood_reply, NULL, "ss", FACE, "Provisioned");
		break;
	case 1:
		r = sd_bus_call_method_async(bus, NULL, NAME, PATH, FACE,
		    "ProvisionPeer", flood_reply, NULL, "s", "nobody");
		break;
	case 2:
		r = sd_bus_call_method_async(bus, NULL, NAME, PATH,
		    "org.freedesktop.DBus.Introspectable", members[2],
		    flood_reply, NULL, "");
		break;
	default:
		r = sd_bus_call_method_async(bus, NULL, NAME, PATH,
		    "org.freedesktop.DBus.ObjectManager", members[3],
		    flood_reply, NULL, "");
	}
	if (r >= 0)
		waiting++;
}

static void
flood(sd_bus *bus, unsigned n)
{
	uint64_t from = now_us();
	unsigned i = 0;
	int	 r = 0;

	signal(SIGTERM, ended);
	printf("floods\n");
	fflush(stdout);
	while (!stop && r >= 0) {
		while (waiting < n)
			flood_one(bus, i++);
		while ((r = sd_bus_process(bus, NULL)) > 0)
			;
		if (r == 0 && waiting >= n)
			(void)sd_bus_wait(bus, 100000);
	}
	report("flood", answered, now_us() - from);
}

/* ---- calls that there should not be ---- */

enum body { NONE, STR, TWO, INT, VARIANT, DICT, BYTES, LONG, FD, SS, SSV, SSI };

static const struct wrong {
	const char	*what, *path, *face, *member;
	enum body	 body;
	const char	*a, *b;
	const char	*want;		/* in the error's name; NULL: an answer */
} wrongs[] = {
	{ "no argument", PATH, FACE, "ProvisionPeer", NONE, 0, 0, "InvalidArgs" },
	{ "a number", PATH, FACE, "ProvisionPeer", INT, 0, 0, "InvalidArgs" },
	{ "two strings", PATH, FACE, "ProvisionPeer", TWO, "self", "self", "InvalidArgs" },
	{ "a variant", PATH, FACE, "ProvisionPeer", VARIANT, "self", 0, "InvalidArgs" },
	{ "a dictionary", PATH, FACE, "ProvisionPeer", DICT, 0, 0, "InvalidArgs" },
	{ "16 MiB of bytes", PATH, FACE, "ProvisionPeer", BYTES, 0, 0, "InvalidArgs" },
	{ "a descriptor", PATH, FACE, "ProvisionPeer", FD, 0, 0, "NotSupported" },
	{ "an empty name", PATH, FACE, "ProvisionPeer", STR, "", 0, "InvalidArgument" },
	{ "a name of 1 MiB", PATH, FACE, "ProvisionPeer", LONG, 0, 0, "InvalidArgument" },
	{ "a name of 65 bytes", PATH, FACE, "ProvisionPeer", STR,
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0, "InvalidArgument" },
	{ "a path for a name", PATH, FACE, "ProvisionPeer", STR, "../../etc/passwd", 0, "Invalid|NotFound" },
	{ "a name with line ends", PATH, FACE, "ProvisionPeer", STR, "b\n\x1b[31mroot: ok", 0, "Invalid|NotFound" },
	{ "a name that nobody has", PATH, FACE, "ProvisionPeer", STR, "nobody", 0, "NotFound" },
	{ "another method", PATH, FACE, "Reboot", NONE, 0, 0, "UnknownMethod" },
	{ "another interface", PATH, "com.example.None", "ProvisionPeer", STR, "self", 0, "Unknown" },
	{ "another object", "/xyz/openbmc_project/None", FACE, "ProvisionPeer", STR, "self", 0, "Unknown" },
	{ "the root", "/", FACE, "ProvisionPeer", STR, "self", 0, "Unknown" },
	{ "no peer's object", PATH "/peers/nobody", "xyz.openbmc_project.Provisioning.Peer", "Revoke", NONE, 0, 0, "Unknown|NotFound" },
	{ "a peer's escaped nonsense", PATH "/peers/_2", "xyz.openbmc_project.Provisioning.Peer", "Provision", NONE, 0, 0, "Unknown|NotFound" },
	{ "an argument too many", "/xyz/openbmc_project/Debug", "xyz.openbmc_project.Provisioning.DebugControl", "GetLogLevel", STR, "x", 0, "InvalidArgs" },
	{ "a level that there is not", "/xyz/openbmc_project/Debug", "xyz.openbmc_project.Provisioning.DebugControl", "SetLogLevel", STR, "LOUD", 0, "Invalid" },
	{ "a property that there is not", PATH, PROPS, "Get", SS, FACE, "Secret", "UnknownProperty" },
	{ "a property of nothing", PATH, PROPS, "Get", SS, "com.example.None", "X", "Unknown" },
	{ "a property to set", PATH, PROPS, "Set", SSV, FACE, "Provisioned", "PropertyReadOnly" },
	{ "a hidden property to set", PATH, PROPS, "Set", SSV, FACE, "provisioned", "PropertyReadOnly" },
	{ "a property and a number", PATH, PROPS, "Get", SSI, FACE, "Provisioned", "*" },
	{ "no property", PATH, PROPS, "Get", NONE, 0, 0, "Invalid|Unknown" },
	{ "all of every interface", PATH, PROPS, "GetAll", STR, "", 0, NULL },
	{ "all of no interface", PATH, PROPS, "GetAll", STR, "com.example.None", 0, "Unknown" },
	{ "objects, with an argument", PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", STR, "x", 0, "InvalidArgs|Unknown" },
	{ "objects below a peer", PATH "/peers", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NONE, 0, 0, "Unknown" },
	{ "introspection of the root", "/", "org.freedesktop.DBus.Introspectable", "Introspect", NONE, 0, 0, NULL },
	{ "introspection of nothing", "/a/b/c/d", "org.freedesktop.DBus.Introspectable", "Introspect", NONE, 0, 0, "Unknown" },
	{ "a ping", PATH, "org.freedesktop.DBus.Peer", "Ping", NONE, 0, 0, NULL },
	{ "a ping of nothing", "/a/b/c/d", "org.freedesktop.DBus.Peer", "Ping", NONE, 0, 0, NULL },
	{ "the machine's id", PATH, "org.freedesktop.DBus.Peer", "GetMachineId", NONE, 0, 0, "*" },
	{ "another method of Peer", PATH, "org.freedesktop.DBus.Peer", "Exit", NONE, 0, 0, "Unknown" },
	{ "a method of the bus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", NONE, 0, 0, "Unknown" },
};

static int
append(sd_bus_message *m, const struct wrong *w)
{
	static char long_name[1 << 20];
	void	*p;
	int	 r;

	switch (w->body) {
	case NONE:
		return 0;
	case STR:
		return sd_bus_message_append(m, "s", w->a);
	case TWO:
	case SS:
		return sd_bus_message_append(m, "ss", w->a, w->b);
	case SSV:
		return sd_bus_message_append(m, "ssv", w->a, w->b, "b", 1);
	case SSI:
		return sd_bus_message_append(m, "ssi", w->a, w->b, 1);
	case INT:
		return sd_bus_message_append(m, "i", 7);
	case VARIANT:
		return sd_bus_message_append(m, "v", "s", w->a);
	case DICT:
		return sd_bus_message_append(m, "a{sv}", 1, "x", "b", 1);
	case BYTES:
		if ((r = sd_bus_message_append_array_space(m, 'y', 16 << 20,
		    &p)) >= 0)
			memset(p, 0xff, 16 << 20);
		return r;
	case LONG:
		memset(long_name, 'x', sizeof(long_name) - 1);
		return sd_bus_message_append(m, "s", long_name);
	case FD:
		return sd_bus_message_append(m, "h", STDERR_FILENO);
	}
	return -EINVAL;
}

/* Is one of want ("A|B") in this name? */
static bool
among(const char *want, const char *name)
{
	char	 buf[64], *p, *last;

	if (want == NULL || name == NULL)
		return want == name;
	snprintf(buf, sizeof(buf), "%s", want);
	for (p = strtok_r(buf, "|", &last); p != NULL;
	    p = strtok_r(NULL, "|", &last))
		if (strstr(name, p) != NULL)
			return true;
	return false;
}

static void
wrong(sd_bus *bus, const struct wrong *w, unsigned i)
{
	sd_bus_error	 e = SD_BUS_ERROR_NULL;
	sd_bus_message	*m = NULL, *reply = NULL;
	bool		 good;
	int		 r;

	if ((r = sd_bus_message_new_method_call(bus, &m, NAME, w->path,
	    w->face, w->member)) < 0 || (r = append(m, w)) < 0)
		errx(1, "%s: %s", w->what, strerror(-r));
	r = sd_bus_call(bus, m, 10 * 1000000, &e, &reply);
	good = w->want != NULL && strcmp(w->want, "*") == 0 ?
	    e.name == NULL || strstr(e.name, "NoReply") == NULL :
	    among(w->want, e.name);
	printf("%sok %u - %s: %s\n", good ? "" : "not ", i, w->what,
	    r >= 0 ? "answered" : e.name);
	if (!good)
		printf("# wanted %s; %s\n", w->want == NULL ? "an answer" :
		    w->want, e.message == NULL ? "" : e.message);
	sd_bus_error_free(&e);
	sd_bus_message_unref(m);
	sd_bus_message_unref(reply);
}

/* What nobody asked for, at busd's own address. */
static void
unasked(sd_bus *bus)
{
	static const struct { const char *path, *face, *member, *sig; } s[] = {
		{ "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameLost", "s" },
		{ "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", "sss" },
		{ "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameAcquired", "s" },
		{ "/xyz/openbmc_project/attestation_requester/devices/tcp/b",
		    "xyz.openbmc_project.AttestationDevice", "Attested", "b" },
		{ PATH, FACE, "PeerProvisioned", "b" },
		{ PATH, PROPS, "PropertiesChanged", "s" },
		{ PATH, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", "o" },
	};
	sd_bus_message *m;
	size_t		i;

	for (i = 0; i < sizeof(s) / sizeof(s[0]); i++) {
		if (sd_bus_message_new_signal(bus, &m, s[i].path, s[i].face,
		    s[i].member) < 0 ||
		    sd_bus_message_set_destination(m, NAME) < 0 ||
		    (s[i].sig[0] == 'b' ? sd_bus_message_append(m, "b", 1) :
		    s[i].sig[0] == 'o' ? sd_bus_message_append(m, "o", "/") :
		    s[i].sig[1] == 's' ? sd_bus_message_append(m, "sss", NAME,
		    ":1.0", "") : sd_bus_message_append(m, "s", NAME)) < 0 ||
		    sd_bus_send(bus, m, NULL) < 0)
			errx(1, "%s", s[i].member);
		sd_bus_message_unref(m);
	}
}

int
main(int argc, char **argv)
{
	sd_bus	*bus;
	long	 n;
	unsigned i;

	if (argc < 3)
		errx(2, "usage: busload socket get|method|flood|wrong|echo ...");
	n = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
	if (strcmp(argv[2], "echo") == 0) {
		echo(argv[1], n);
		return 0;
	}
	bus = bus_of(argv[1]);
	if (strcmp(argv[2], "get") == 0)
		row(bus, "get", NAME, PATH, FACE, NULL, n);
	else if (strcmp(argv[2], "method") == 0 && argc > 4)
		row(bus, "method", NAME, PATH, FACE, argv[4], n);
	else if (strcmp(argv[2], "flood") == 0)
		flood(bus, (unsigned)n);
	else if (strcmp(argv[2], "wrong") == 0) {
		unasked(bus);
		for (i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
			wrong(bus, &wrongs[i], i + 1);
	} else
		errx(2, "%s?", argv[2]);
	sd_bus_flush_close_unref(bus);
	return 0;
}
