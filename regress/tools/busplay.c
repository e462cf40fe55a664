/*
 * Somebody else on a node's message bus, or that bus itself:
 *
 *   busplay SOCKET own NAME   has this name, until SIGTERM
 *   busplay SOCKET lldp       the LLDP service, of which lines on the standard
 *                             input say what it hears: "heard IF NAME ADDRESS",
 *                             "moved IF ADDRESS" (a changed property), "gone IF"
 *   busplay SOCKET bus KIND   a bus that is none, for whoever connects first:
 *
 *       silent   does not authenticate        mute     does not answer Hello
 *       noise    answers Hello with noise     huge     ... with a header that
 *       half     ... with half a message               announces 128 MiB
 *       nobody   greets, gives names; then, after the line "call", one
 *                who has gone since and one whose uid is nonsense ask to
 *                provision 'self'
 *       never    the same, but never says who the callers are; 2,000 of them
 *
 * What happens is a line on the standard output.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define LLDP	"/xyz/openbmc_project/network/lldp"
#define TLVS	"xyz.openbmc_project.Network.LLDP.TLVs"
#define NAME	"xyz.openbmc_project.Provisioning"
#define PATH	"/xyz/openbmc_project/Provisioning"
#define FACE	"xyz.openbmc_project.Provisioning.Provisioning"

static void
say(const char *what)
{
	printf("%s\n", what);
	fflush(stdout);
}

static sd_bus *
bus_of(const char *path)
{
	sd_bus	*bus;
	char	 address[256];
	int	 r;

	snprintf(address, sizeof(address), "unix:path=%s", path);
	if ((r = sd_bus_new(&bus)) < 0 ||
	    (r = sd_bus_set_address(bus, address)) < 0 ||
	    (r = sd_bus_set_bus_client(bus, 1)) < 0 ||
	    (r = sd_bus_start(bus)) < 0)
		errx(1, "%s: %s", path, strerror(-r));
	return bus;
}

static void
own(sd_bus *bus, const char *name)
{
	int r;

	if ((r = sd_bus_request_name(bus, name, 0)) < 0)
		errx(1, "%s: %s", name, strerror(-r));
	say("owns");
}

/* Until the bus ends, or the standard input. */
static void
serve(sd_bus *bus, void (*on_line)(sd_bus *, const char *))
{
	struct pollfd	 fds[2];
	char		 line[256];
	int		 r;

	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;) {
		while ((r = sd_bus_process(bus, NULL)) > 0)
			;
		if (r < 0) {
			say("closed");
			return;
		}
		fds[0] = (struct pollfd){ .fd = sd_bus_get_fd(bus),
		    .events = (short)sd_bus_get_events(bus) };
		fds[1] = (struct pollfd){ .fd = on_line == NULL ? -1 :
		    STDIN_FILENO, .events = POLLIN };
		if (poll(fds, 2, 1000) == -1 && errno != EINTR)
			err(1, "poll");
		if (fds[1].revents != 0) {
			if (fgets(line, sizeof(line), stdin) == NULL)
				return;
			on_line(bus, line);
		}
	}
}

/* ---- an LLDP service ---- */

static struct port {
	char	interface[16], name[65], address[65], path[128];
	sd_bus_slot *slot;
} ports[8];

static int
port_property(sd_bus *bus, const char *path, const char *face,
    const char *property, sd_bus_message *reply, void *arg, sd_bus_error *e)
{
	const struct port *p = arg;
	const char	  *v = "";

	if (strcmp(property, "SystemName") == 0)
		v = p->name;
	else if (strcmp(property, "ManagementAddressIPv4") == 0)
		v = p->address;
	else if (strcmp(property, "ChassisId") == 0)
		v = "02:00:00:00:00:01";
	else if (strcmp(property, "PortId") == 0)
		v = p->interface;
	return sd_bus_message_append(reply, "s", v);
}

#define TLV(n)	SD_BUS_PROPERTY(n, "s", port_property, 0,		\
    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
static const sd_bus_vtable port_vtable[] = {
	SD_BUS_VTABLE_START(0),
	TLV("ChassisId"), TLV("ChassisIdSubtype"), TLV("PortId"),
	TLV("PortIdSubtype"), TLV("SystemName"), TLV("SystemDescription"),
	TLV("ManagementAddressIPv4"), TLV("ManagementAddressIPv6"),
	TLV("ManagementAddressMAC"),
	SD_BUS_VTABLE_END
};

static struct port *
port_of(const char *interface)
{
	struct port *p;

	for (p = ports; p < ports + 7 && p->interface[0] != '\0'; p++)
		if (strcmp(p->interface, interface) == 0)
			break;
	snprintf(p->interface, sizeof(p->interface), "%s", interface);
	snprintf(p->path, sizeof(p->path), LLDP "/%s/receive", interface);
	return p;
}

static void
lldp_line(sd_bus *bus, const char *line)
{
	char	 word[8], interface[16], a[65] = "", b[65] = "";
	struct port *p;
	int	 n, r = 0;

	n = sscanf(line, "%7s %15s %64s %64s", word, interface, a, b);
	if (n < 2)
		return;
	p = port_of(interface);
	if (strcmp(word, "heard") == 0 && n == 4) {
		memcpy(p->name, a, sizeof(p->name));
		memcpy(p->address, b, sizeof(p->address));
		if (p->slot == NULL)
			r = sd_bus_add_object_vtable(bus, &p->slot, p->path,
			    TLVS, port_vtable, p);
		if (r >= 0)
			r = sd_bus_emit_interfaces_added(bus, p->path, TLVS,
			    NULL);
	} else if (strcmp(word, "moved") == 0 && n == 3) {
		snprintf(p->address, sizeof(p->address), "%s", a);
		r = sd_bus_emit_properties_changed(bus, p->path, TLVS,
		    "ManagementAddressIPv4", NULL);
	} else if (strcmp(word, "gone") == 0) {
		r = sd_bus_emit_interfaces_removed(bus, p->path, TLVS, NULL);
		sd_bus_slot_unref(p->slot);
		p->slot = NULL;
	}
	if (r < 0)
		errx(1, "%s: %s", line, strerror(-r));
	say(word);
}

static void
lldp(sd_bus *bus)
{
	if (sd_bus_add_object_manager(bus, NULL, LLDP) < 0 ||
	    sd_bus_add_object_manager(bus, NULL, "/") < 0)
		errx(1, "object manager");
	own(bus, "xyz.openbmc_project.LLDP");
	serve(bus, lldp_line);
}

/* ---- a bus that is none ---- */

static const char *kind;
static unsigned	callers;

static bool
is(const char *k)
{
	return strcmp(kind, k) == 0;
}

static int
accept_one(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int	 l, fd;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	unlink(path);
	if ((l = socket(AF_UNIX, SOCK_STREAM, 0)) == -1 ||
	    bind(l, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    chmod(path, 0666) == -1 || listen(l, 4) == -1)
		err(1, "%s", path);
	say("listens");
	if ((fd = accept(l, NULL, NULL)) == -1)
		err(1, "accept");
	close(l);
	unlink(path);
	say("accepted");
	return fd;
}

static void
drain(int fd)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
	say("closed");
}

static void
send_raw(int fd)
{
	/* Little endian, method return, version 1; body, serial, fields. */
	static const unsigned char huge[16] = { 'l', 2, 1, 1, 0, 0, 0, 8,
	    1, 0, 0, 0, 0xff, 0xff, 0xff, 3 };
	unsigned char noise[512];
	size_t	i;

	if (is("huge"))
		i = write(fd, huge, sizeof(huge)) == sizeof(huge);
	else if (is("half"))
		i = write(fd, "l\2\1\1\0\0\0\0\1\0\0\0", 12) == 12;
	else {
		for (i = 0; i < sizeof(noise); i++)
			noise[i] = (unsigned char)(i * 131 + 7);
		i = write(fd, noise, sizeof(noise)) == sizeof(noise);
	}
	say(i ? "sent" : "not sent");
	if (is("half"))
		shutdown(fd, SHUT_WR);
}

static void
call_as(sd_bus *bus, const char *sender)
{
	sd_bus_message *m;
	uint64_t	cookie;		/* without it no answer is wanted */

	if (sd_bus_message_new_method_call(bus, &m, NAME, PATH, FACE,
	    "ProvisionPeer") < 0 || sd_bus_message_append(m, "s", "self") < 0 ||
	    sd_bus_message_set_sender(m, sender) < 0 ||
	    sd_bus_send(bus, m, &cookie) < 0)
		errx(1, "call as %s", sender);
	sd_bus_message_unref(m);
}

static void
call_as_many(sd_bus *bus)
{
	char		sender[16];
	unsigned	n = is("never") ? 2000 : 2;

	while (callers < n) {
		snprintf(sender, sizeof(sender), ":1.%u", 100 + callers++);
		call_as(bus, sender);
	}
	say("called");
}

static int
user(sd_bus_message *m)
{
	const char *who = "";

	if (is("never"))
		return 1;
	(void)sd_bus_message_read(m, "s", &who);
	return strcmp(who, ":1.100") == 0 ?
	    sd_bus_reply_method_errorf(m, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
	    "no %s", who) : sd_bus_reply_method_return(m, "s", "0");
}

static int
heard(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	sd_bus		*bus = sd_bus_message_get_bus(m);
	const sd_bus_error *error;

	if (sd_bus_message_is_method_error(m, NULL)) {
		error = sd_bus_message_get_error(m);
		printf("refused %s %s\n", error->name, error->message);
		fflush(stdout);
		return 1;
	}
	if (sd_bus_message_is_method_call(m, NULL, "Hello")) {
		if (is("mute"))
			return 1;
		if (!is("nobody") && !is("never")) {
			send_raw(sd_bus_get_fd(bus));
			return 1;
		}
		return sd_bus_reply_method_return(m, "s", ":1.1");
	}
	if (sd_bus_message_is_method_call(m, NULL, "RequestName")) {
		const char *name = "";

		(void)sd_bus_message_read(m, "s", &name);
		say(name);
		return sd_bus_reply_method_return(m, "u", 1);
	}
	if (sd_bus_message_is_method_call(m, NULL, "GetConnectionUnixUser"))
		return user(m);
	if (sd_bus_message_is_method_call(m, NULL, NULL))
		return sd_bus_reply_method_return(m, "");
	return 1;
}

static void
hostile_line(sd_bus *bus, const char *line)
{
	if (strncmp(line, "call", 4) == 0)
		call_as_many(bus);
}

static void
hostile(const char *path)
{
	sd_id128_t	 id = { .bytes = { 1 } };
	sd_bus		*bus;
	int		 fd = accept_one(path);

	if (is("silent")) {
		drain(fd);
		return;
	}
	if (sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 ||
	    sd_bus_set_server(bus, 1, id) < 0 ||
	    sd_bus_add_filter(bus, NULL, heard, NULL) < 0 ||
	    sd_bus_start(bus) < 0)
		errx(1, "no bus");
	serve(bus, hostile_line);
}

int
main(int argc, char **argv)
{
	sd_bus *bus;

	if (argc == 4 && strcmp(argv[2], "own") == 0) {
		bus = bus_of(argv[1]);
		own(bus, argv[3]);
		serve(bus, NULL);
	} else if (argc == 3 && strcmp(argv[2], "lldp") == 0) {
		lldp(bus_of(argv[1]));
	} else if (argc == 4 && strcmp(argv[2], "bus") == 0) {
		kind = argv[3];
		hostile(argv[1]);
	} else
		errx(2, "usage: busplay socket own name|lldp|bus kind");
	return 0;
}
