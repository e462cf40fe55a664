/*
 * What a caller wants of policyd: first the bus says who he is, then policyd
 * decides. Nobody waits here in a queue: what goes over a limit is refused at
 * once, so that a caller who floods fills only his own share.
 */
#include <sys/queue.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "busd.h"
#include "log.h"

#define OF_SENDER	4	/* calls of one connection at once */
#define OF_USER		4	/* of one uid, with policyd */
#define ALL_POLICYD	32	/* of all with policyd: half of the window */
/* The bus gives a uid 256 connections; there is room for others beside. */
#define ALL_CALLS	(256 * OF_SENDER + 256)
#define ASK_MS		20000	/* for policyd and the disk */

/* A uid may ask this often, less than policyd takes of all. */
#define BURST		20
#define EVERY_MS	3000
#define USERS		32

struct call {
	TAILQ_ENTRY(call) entry;
	sd_bus_message	*m;
	sd_bus_slot	*slot;		/* the bus is asked for the uid */
	enum ipc_type	 type;
	char		 name[NAME_LEN + 1];
	uint32_t	 level;
	uid_t		 uid;
	bool		 asked;		/* policyd; then the uid is known */
};

static TAILQ_HEAD(, call)	calls = TAILQ_HEAD_INITIALIZER(calls);
static unsigned			ncalls, nasked;

static struct user {
	uid_t		uid;
	uint64_t	full;	/* ms: when all of the burst is there again */
} users[USERS];

static void
call_free(struct call *c)
{
	TAILQ_REMOVE(&calls, c, entry);
	ncalls--;
	if (c->asked)
		nasked--;
	sd_bus_slot_unref(c->slot);
	sd_bus_message_unref(c->m);
	free(c);
}

static void
call_refuse(struct call *c, enum reason reason)
{
	(void)error_reply(c->m, reason, NULL, NULL, NULL);
	call_free(c);
}

/* ---- limits ------------------------------------------------------------------ */

static unsigned
of_sender(const char *sender)
{
	struct call	*c;
	unsigned	 n = 0;

	TAILQ_FOREACH(c, &calls, entry)
		n += strcmp(sd_bus_message_get_sender(c->m), sender) == 0;
	return n;
}

static unsigned
of_user(uid_t uid)
{
	struct call	*c;
	unsigned	 n = 0;

	TAILQ_FOREACH(c, &calls, entry)
		n += c->asked && c->uid == uid;
	return n;
}

/* Who is not known takes the place of whom it costs least to forget. */
static struct user *
user_find(uid_t uid)
{
	struct user	*u, *oldest = &users[0];

	for (u = users; u < &users[USERS]; u++) {
		if (u->full != 0 && u->uid == uid)
			return u;
		if (u->full < oldest->full)
			oldest = u;
	}
	*oldest = (struct user){ .uid = uid };
	return oldest;
}

/* full lies ahead by what was taken; more than a burst ahead is too much. */
static bool
too_often(uid_t uid)
{
	struct user	*u = user_find(uid);
	uint64_t	 now = uv_hrtime() / 1000000;

	if (u->full < now)
		u->full = now;
	if (u->full - now > (BURST - 1) * EVERY_MS)
		return true;
	u->full += EVERY_MS;
	return false;
}

/* ---- policyd ------------------------------------------------------------------ */

static void
accepted(const struct call *c)
{
	if (c->type == MSG_BUS_LOG_LEVEL) {
		debug_accepted(c->name);
		(void)sd_bus_reply_method_return(c->m, "b", 1);
		return;
	}
	/* What is under way is seen before the caller hears of it. */
	if (c->type == MSG_BUS_PROVISION)
		progress_accepted(c->name);
	(void)sd_bus_reply_method_return(c->m, NULL);
}

static void
replied(const struct ipc_reply *r, void *arg)
{
	const struct msg_refused	*why = r->refused;
	struct call			*c = arg;

	if (r->type != MSG_REFUSED && r->reason == R_OK) {
		accepted(c);
		call_free(c);
	} else if (why != NULL) {
		(void)error_relay(c->m, r->reason, why->field, why->expected,
		    why->seen);
		call_free(c);
	} else
		call_refuse(c, r->reason);
}

static int
send_call(struct call *c, struct chan *policyd)
{
	union {
		struct msg_bus_provision	provision;
		struct msg_bus_unprovision	unprovision;
		struct msg_bus_revoke		revoke;
		struct msg_bus_log_level	log_level;
	} m;

	memset(&m, 0, sizeof(m));
	if (c->type == MSG_BUS_PROVISION) {
		m.provision.caller = c->uid;
		IPC_SET_STR(m.provision.name, c->name);
	} else if (c->type == MSG_BUS_UNPROVISION) {
		m.unprovision.caller = c->uid;
		IPC_SET_STR(m.unprovision.name, c->name);
	} else if (c->type == MSG_BUS_REVOKE) {
		m.revoke.caller = c->uid;
		IPC_SET_STR(m.revoke.name, c->name);
	} else {
		m.log_level.caller = c->uid;
		m.log_level.level = c->level;
	}
	return chan_call(policyd, c->type, &m, -1, ASK_MS, replied, c);
}

static void
ask(struct call *c)
{
	struct chan	*policyd = hub_link(IPC_POLICYD);

	if (policyd == NULL)
		call_refuse(c, R_BUS_POLICYD);
	else if (of_user(c->uid) >= OF_USER || nasked >= ALL_POLICYD ||
	    chan_window(policyd) == 0)
		call_refuse(c, R_BUS_BUSY);
	else if (too_often(c->uid))
		call_refuse(c, R_BUS_OFTEN);
	else if (send_call(c, policyd) == -1)
		call_refuse(c, R_BUS_POLICYD);
	else {
		c->asked = true;
		nasked++;
		log_debug("uid %u: %s %s", c->uid, ipc_name(c->type), c->name);
	}
}

/* ---- the bus -------------------------------------------------------------------- */

/* A unique name never has a second owner, so the uid is that of the call. */
static int
identified(sd_bus_message *answer, void *arg, sd_bus_error *error)
{
	struct call	*c = arg;
	uint32_t	 uid;

	c->slot = sd_bus_slot_unref(c->slot);
	if (sd_bus_message_is_method_error(answer, NULL) ||
	    sd_bus_message_read(answer, "u", &uid) <= 0)
		call_refuse(c, R_BUS_CREDENTIALS);
	else {
		c->uid = uid;
		ask(c);
	}
	return 1;
}

/* As policyd takes it: no control characters; the bus has seen to UTF-8. */
static bool
name_ok(const char *name)
{
	const unsigned char	*s = (const unsigned char *)name;

	if (*s == '\0' || strnlen(name, NAME_LEN + 1) > NAME_LEN)
		return false;
	for (; *s != '\0'; s++)
		if (*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

int
call_forward(sd_bus_message *m, enum ipc_type type, const char *name,
    uint32_t level)
{
	const char	*sender = sd_bus_message_get_sender(m);
	struct call	*c;
	int		 r;

	if (!name_ok(name))
		return error_reply(m, R_BUS_ARGUMENT, "name",
		    "1 to 64 bytes, no control characters", NULL);
	if (sender == NULL)
		return error_reply(m, R_BUS_CREDENTIALS, NULL, NULL, NULL);
	if (ncalls >= ALL_CALLS || of_sender(sender) >= OF_SENDER)
		return error_reply(m, R_BUS_BUSY, NULL, NULL, NULL);
	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("call");
	c->m = sd_bus_message_ref(m);
	c->type = type;
	c->level = level;
	IPC_SET_STR(c->name, name);
	TAILQ_INSERT_TAIL(&calls, c, entry);
	ncalls++;
	r = sd_bus_call_method_async(bus_get(), &c->slot,
	    "org.freedesktop.DBus", "/org/freedesktop/DBus",
	    "org.freedesktop.DBus", "GetConnectionUnixUser", identified, c,
	    "s", sender);
	if (r < 0)
		call_refuse(c, R_BUS_CREDENTIALS);
	return 1;
}

void
call_stop(void)
{
	struct call	*c, *next;

	/* The channel's end answers the others. */
	for (c = TAILQ_FIRST(&calls); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (!c->asked)
			call_free(c);
	}
}
