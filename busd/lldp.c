/*
 * Neighbours from an LLDP service on the bus, instead of netd's own.
 *
 * Whoever owns the well-known name is asked by its unique name and nobody
 * else is heard: a signal may be sent to us by anybody, whatever it says of
 * its sender. A signal says only that it is time to look again, at most once
 * a second; and since OpenBMC's service need not signal what changes in an
 * object, we look now and then without one. So what policyd hears of is what
 * the service last answered, however fast it signals.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "busd.h"
#include "clock.h"
#include "lldp_tlv.h"
#include "log.h"

#define SERVICE		"xyz.openbmc_project.LLDP"
#define IFACE_TLVS	"xyz.openbmc_project.Network.LLDP.TLVs"
#define DRIVER		"org.freedesktop.DBus"
#define IFACE_MANAGER	"org.freedesktop.DBus.ObjectManager"
#define IFACE_PROPS	"org.freedesktop.DBus.Properties"

#define ROWS_MAX	64	/* as many as netd keeps */
#ifndef AGAIN_MS		/* a test does not wait so long */
#define AGAIN_MS	1000	/* between two looks, at least */
#define LOOK_MS		30000	/* and at most: LLDP's own interval */
#endif

struct row {
	TAILQ_ENTRY(row)	 entry;
	uint32_t		 id;	/* never used twice */
	char			*path;
	struct msg_neighbour	 told;
	bool			 there;	/* policyd knows of it */
	bool			 seen;	/* in the answer that is read now */
};

/* Where the service may have its ObjectManager; then the object itself. */
static const char *const	managers[] = {
	TLV_ROOT, "/xyz/openbmc_project/network", "/",
};
#define NMANAGERS	(sizeof(managers) / sizeof(managers[0]))

static TAILQ_HEAD(, row)	rows = TAILQ_HEAD_INITIALIZER(rows);
static unsigned			nrows;
static uint32_t			last_id;
static sd_bus			*bus;
static sd_bus_slot		*call;	/* what the service is asked now */
static uv_timer_t		 timer;
static bool			 again;	/* something changed while we looked */
static bool			 ended;	/* NEIGHBOURS_END was sent */
static bool			 said;	/* that this owner does not answer */
static uint64_t			 looked;	/* monotonic ms */
static size_t			 manager;	/* that answered, or the next */
static char			*owner;	/* a unique name, or NULL */
static char			*interface;	/* whose frames count */
static char			*object;	/* of that interface */

static void	look(void);

/* ---- what policyd hears ------------------------------------------------------ */

static void
row_gone(struct row *r)
{
	struct msg_neighbour_gone	m = { .neighbour = r->id };

	if (!r->there)
		return;
	r->there = false;
	log_info("lldp: neighbour %u has gone", r->id);
	chan_send(hub_link(IPC_POLICYD), MSG_NEIGHBOUR_GONE, &m, -1);
}

static void
row_free(struct row *r)
{
	row_gone(r);
	TAILQ_REMOVE(&rows, r, entry);
	nrows--;
	free(r->path);
	free(r);
}

static void
rows_clear(void)
{
	while (!TAILQ_EMPTY(&rows))
		row_free(TAILQ_FIRST(&rows));
}

static void
tell_end(void)
{
	if (!ended)
		chan_send(hub_link(IPC_POLICYD), MSG_NEIGHBOURS_END, NULL, -1);
	ended = true;
}

static void
odd(enum reason r, const char *path, const char *what)
{
	if (hub_count(r) == 1)
		log_about(LOG_LVL_WARN, reason_code(r), NULL,
		    "lldp: %s %s: %s: %s", reason_code(r), path, what,
		    reason_text(r));
}

static struct row *
row_of(const char *path)
{
	struct row	*r;

	TAILQ_FOREACH(r, &rows, entry)
		if (strcmp(r->path, path) == 0)
			return r;
	if (nrows >= ROWS_MAX) {
		odd(R_LLD_TABLE, path, "one more");
		return NULL;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL ||
	    (r->path = strdup(path)) == NULL)
		fatal("lldp");
	r->id = ++last_id;
	TAILQ_INSERT_TAIL(&rows, r, entry);
	nrows++;
	return r;
}

/* The object at path says t. */
static void
heard(const char *path, const struct tlvs *t)
{
	struct msg_neighbour	 m;
	struct row		*r;
	enum reason		 why;
	bool			 there;

	if ((why = tlv_neighbour(t, &m, &there)) != R_OK)
		odd(why, path, "an id");
	if (!there || (r = row_of(path)) == NULL)
		return;
	r->seen = true;
	m.neighbour = r->id;
	if (r->there && memcmp(&m, &r->told, sizeof(m)) == 0)
		return;
	if (!r->there)
		log_info("lldp: neighbour %u is \"%s\"", r->id, m.system_name);
	r->there = true;
	memcpy(&r->told, &m, sizeof(m));
	chan_send(hub_link(IPC_POLICYD), MSG_NEIGHBOUR, &m, -1);
}

/* All that the service has was read. */
static void
sweep(void)
{
	struct row	*r, *next;

	for (r = TAILQ_FIRST(&rows); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (!r->seen)
			row_free(r);
		else
			r->seen = false;
	}
	tell_end();
}

/* ---- what the service answers ------------------------------------------------- */

/* A number of the type that the variant holds; false if it holds none. */
static bool
number_of(sd_bus_message *m, char type, uint64_t *value)
{
	union {
		uint8_t		y;
		uint16_t	q;
		uint32_t	u;
		uint64_t	t;
	} v;

	if (strchr("yqut", type) == NULL ||
	    sd_bus_message_read_basic(m, type, &v) <= 0)
		return false;
	*value = type == 'y' ? v.y : type == 'q' ? v.q : type == 'u' ? v.u :
	    v.t;
	return true;
}

/* One property; what has another type than a string or a number is skipped. */
static int
read_value(sd_bus_message *m, const char *path, const char *property,
    struct tlvs *t)
{
	enum reason	 why = R_OK;
	const char	*contents, *text;
	uint64_t	 number;
	char		 type;
	int		 r;

	if ((r = sd_bus_message_peek_type(m, &type, &contents)) <= 0)
		return r < 0 ? r : -EBADMSG;
	if (contents == NULL || strlen(contents) != 1 ||
	    strchr("syqut", *contents) == NULL)
		return sd_bus_message_skip(m, "v");
	type = *contents;
	if ((r = sd_bus_message_enter_container(m, 'v', contents)) < 0)
		return r;
	if (type == 's') {
		if ((r = sd_bus_message_read(m, "s", &text)) < 0)
			return r;
		why = tlv_text(t, property, text);
	} else if (number_of(m, type, &number))
		why = tlv_number(t, property, number);
	else
		return -EBADMSG;
	if (why != R_OK)
		odd(why, path, property);
	return sd_bus_message_exit_container(m);
}

/* a{sv} */
static int
read_tlvs(sd_bus_message *m, const char *path)
{
	struct tlvs	 t;
	const char	*property;
	int		 r;

	memset(&t, 0, sizeof(t));
	if ((r = sd_bus_message_enter_container(m, 'a', "{sv}")) < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0)
		if ((r = sd_bus_message_read(m, "s", &property)) < 0 ||
		    (r = read_value(m, path, property, &t)) < 0 ||
		    (r = sd_bus_message_exit_container(m)) < 0)
			return r;
	if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0)
		return r;
	heard(path, &t);
	return 0;
}

/* a{sa{sv}}: the interfaces of the object at path. */
static int
read_object(sd_bus_message *m, const char *path)
{
	const char	*iface;
	int		 r;

	if ((r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}")) < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
		if ((r = sd_bus_message_read(m, "s", &iface)) < 0)
			return r;
		r = strcmp(iface, IFACE_TLVS) == 0 ? read_tlvs(m, path) :
		    sd_bus_message_skip(m, "a{sv}");
		if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* a{oa{sa{sv}}} */
static int
read_all(sd_bus_message *m)
{
	const char	*path;
	int		 r;

	if ((r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}")) < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e',
	    "oa{sa{sv}}")) > 0) {
		if ((r = sd_bus_message_read(m, "o", &path)) < 0)
			return r;
		r = tlv_path(path, interface) ? read_object(m, path) :
		    sd_bus_message_skip(m, "a{sa{sv}}");
		if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* ---- looking --------------------------------------------------------------------- */

static void
due(uv_timer_t *t)
{
	look();
}

static void
looked_once(void)
{
	uv_timer_start(&timer, due, again ? AGAIN_MS : LOOK_MS, 0);
	again = false;
}

/* There is nothing of the kind there; a hang or a bus policy is another thing. */
static bool
is_absent(const sd_bus_error *e)
{
	static const char *const	names[] = {
		SD_BUS_ERROR_UNKNOWN_METHOD, SD_BUS_ERROR_UNKNOWN_OBJECT,
		SD_BUS_ERROR_UNKNOWN_INTERFACE, SD_BUS_ERROR_UNKNOWN_PROPERTY,
		"xyz.openbmc_project.Common.Error.ResourceNotFound",
	};
	size_t				i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (sd_bus_error_has_name(e, names[i]))
			return true;
	return false;
}

/*
 * What was known stays known: the service may be slow, and it is still there.
 * policyd need not wait for it to begin.
 */
static void
no_answer(const sd_bus_error *e)
{
	hub_count(R_BUS_LLDP);
	if (!said)
		log_about(LOG_LVL_WARN, reason_code(R_BUS_LLDP), NULL,
		    "lldp: %s %s: %s (%s)", reason_code(R_BUS_LLDP),
		    SERVICE, reason_text(R_BUS_LLDP),
		    e == NULL || e->name == NULL ? "no sense" : e->name);
	said = true;
	manager = 0;
	tell_end();
	looked_once();
}

static void
nobody(void)
{
	manager = 0;
	sweep();
	looked_once();
}

static int
replied(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const sd_bus_error	*e = sd_bus_message_get_error(m);
	struct row		*row;
	int			 r;

	call = sd_bus_slot_unref(call);
	if (e != NULL && !is_absent(e)) {
		no_answer(e);
		return 1;
	}
	if (e != NULL && manager < NMANAGERS) {
		manager++;
		look();
		return 1;
	}
	if (e != NULL) {
		nobody();
		return 1;
	}
	r = manager < NMANAGERS ? read_all(m) : read_tlvs(m, object);
	if (r < 0) {
		TAILQ_FOREACH(row, &rows, entry)
			row->seen = false;
		no_answer(NULL);
		return 1;
	}
	sweep();
	looked_once();
	return 1;
}

/* For a service that has no ObjectManager. */
static int
ask_object(void)
{
	return sd_bus_call_method_async(bus, &call, owner, object, IFACE_PROPS,
	    "GetAll", replied, NULL, "s", IFACE_TLVS);
}

static void
look(void)
{
	int	r;

	if (owner == NULL || call != NULL)
		return;
	looked = clock_mono_ms();
	r = manager < NMANAGERS ? sd_bus_call_method_async(bus, &call, owner,
	    managers[manager], IFACE_MANAGER, "GetManagedObjects", replied,
	    NULL, NULL) : ask_object();
	if (r < 0)
		no_answer(NULL);
}

/* Something changed. */
static void
look_soon(void)
{
	uint64_t	now = clock_mono_ms();

	if (call != NULL) {
		again = true;
		return;
	}
	uv_update_time(timer.loop);
	uv_timer_start(&timer, due, now - looked >= AGAIN_MS ? 0 :
	    AGAIN_MS - (now - looked), 0);
}

/* ---- who the service is ------------------------------------------------------------ */

static void
set_owner(const char *name)
{
	if (owner != NULL && strcmp(owner, name) == 0)
		return;
	call = sd_bus_slot_unref(call);
	uv_timer_stop(&timer);
	rows_clear();
	free(owner);
	owner = NULL;
	again = said = false;
	manager = 0;
	if (*name == '\0') {
		log_info("lldp: %s is not there", SERVICE);
		tell_end();
		return;
	}
	log_info("lldp: %s is %s", SERVICE, name);
	if ((owner = strdup(name)) == NULL)
		fatal("lldp");
	look_soon();
}

static bool
is_from(sd_bus_message *m, const char *sender)
{
	const char	*s = sd_bus_message_get_sender(m);

	return s != NULL && sender != NULL && strcmp(s, sender) == 0;
}

static int
owner_changed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char	*name, *old, *new;

	if (is_from(m, DRIVER) &&
	    sd_bus_message_read(m, "sss", &name, &old, &new) > 0 &&
	    strcmp(name, SERVICE) == 0 && bus != NULL)
		set_owner(new);
	return 0;
}

static int
owner_is(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char	*name;

	call = sd_bus_slot_unref(call);
	if (sd_bus_message_is_method_error(m, NULL) ||
	    sd_bus_message_read(m, "s", &name) <= 0)
		name = "";
	set_owner(name);
	return 1;
}

/* InterfacesAdded and InterfacesRemoved name the object first. */
static int
objects_changed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char	*path;

	if (is_from(m, owner) && sd_bus_message_read(m, "o", &path) > 0 &&
	    tlv_path(path, interface))
		look_soon();
	return 0;
}

static int
properties_changed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char	*path = sd_bus_message_get_path(m);

	if (is_from(m, owner) && path != NULL && tlv_path(path, interface))
		look_soon();
	return 0;
}

/* ---- begin and end ------------------------------------------------------------------- */

static void
must(int r, const char *what)
{
	if (r < 0) {
		errno = -r;
		fatal("lldp: %s", what);
	}
}

static void
match(const char *iface, const char *member, sd_bus_message_handler_t fn)
{
	must(sd_bus_match_signal_async(bus, NULL, SERVICE, NULL, iface, member,
	    fn, NULL, NULL), member);
}

void
lldp_interface(const char *name)
{
	char	*top = NULL;

	free(interface);
	free(object);
	if ((interface = strdup(name)) == NULL ||
	    sd_bus_path_encode(TLV_ROOT, name, &top) < 0 ||
	    asprintf(&object, "%s/receive", top) == -1)
		fatal("lldp");
	free(top);
}

void
lldp_start(uv_loop_t *l, sd_bus *b)
{
	int	r;

	if (bus != NULL)
		return;
	if (interface == NULL)
		lldp_interface("");
	bus = sd_bus_ref(b);
	if ((r = uv_timer_init(l, &timer)) != 0)
		fatalx("lldp: %s", uv_strerror(r));
	/* First the rules, then the question: so that nothing is missed. */
	must(sd_bus_add_match_async(bus, NULL, "type='signal',sender='" DRIVER
	    "',member='NameOwnerChanged',arg0='" SERVICE "'", owner_changed,
	    NULL, NULL), "NameOwnerChanged");
	match(IFACE_MANAGER, "InterfacesAdded", objects_changed);
	match(IFACE_MANAGER, "InterfacesRemoved", objects_changed);
	match(IFACE_PROPS, "PropertiesChanged", properties_changed);
	must(sd_bus_call_method_async(bus, &call, DRIVER,
	    "/org/freedesktop/DBus", DRIVER, "GetNameOwner", owner_is, NULL,
	    "s", SERVICE), "GetNameOwner");
}

void
lldp_stop(void)
{
	struct row	*r;

	if (bus != NULL)
		uv_close((uv_handle_t *)&timer, NULL);
	/* policyd marks what is not named again when we are back. */
	TAILQ_FOREACH(r, &rows, entry)
		r->there = false;
	rows_clear();
	call = sd_bus_slot_unref(call);
	bus = sd_bus_unref(bus);
	free(owner);
	owner = NULL;
	free(interface);
	free(object);
	interface = object = NULL;
}
