/*
 * A ProvisionPeer under way: an object from when policyd accepted it until
 * some time after its end, so that who asked, or a page that shows it, need
 * not have been there all the time. One for each name: the next request for
 * it takes the place of the one before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "busd.h"
#include "clock.h"
#include "log.h"

#define IFACE_COMMON	"xyz.openbmc_project.Common.Progress"
#define IFACE_OURS	"xyz.openbmc_project.Provisioning.Progress"
#define STATUS(word)	IFACE_COMMON ".OperationStatus." word

#define PROGRESS_MAX	64	/* as many as policyd owes an outcome */
#ifndef KEEP_MS			/* a test does not wait so long */
#define KEEP_MS		300000	/* after its end */
#define LIMIT_MS	900000	/* without an end: policyd gave up long ago */
#endif

enum status { IN_PROGRESS, COMPLETED, FAILED, ABORTED };

/* What the properties are made from. */
struct shown {
	uint32_t	status;		/* enum status */
	uint64_t	start, completed;	/* us since 1970; 0: not yet */
	uint32_t	step;
	char		step_name[33], detail[161];
	uint32_t	reason;
	char		field[65], expected[161], seen[161];
};

struct progress {
	TAILQ_ENTRY(progress) entry;	/* the oldest first */
	char		*path;
	char		 name[NAME_LEN + 1];
	struct shown	 s;
	bool		 pending;	/* its outcome is: not over yet */
	uint64_t	 due;		/* monotonic ms: it ends, or goes */
};

static TAILQ_HEAD(, progress)	all = TAILQ_HEAD_INITIALIZER(all);
static unsigned			n;
static uv_timer_t		timer;
static bool			timed;	/* the timer is one of the loop's */

static void	wait_next(void);

/* ---- the objects --------------------------------------------------------------- */

static int
get_status(sd_bus *bus, const char *path, const char *iface,
    const char *property, sd_bus_message *reply, void *member,
    sd_bus_error *error)
{
	static const char *const	words[] = {
		[IN_PROGRESS] = STATUS("InProgress"),
		[COMPLETED] = STATUS("Completed"),
		[FAILED] = STATUS("Failed"),
		[ABORTED] = STATUS("Aborted"),
	};

	return sd_bus_message_append(reply, "s",
	    words[*(const uint32_t *)member]);
}

#define OF(member)	(offsetof(struct progress, s) +			\
    offsetof(struct shown, member))
#define CHANGES		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

static const sd_bus_vtable	common[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Status", "s", get_status, OF(status), CHANGES),
	SD_BUS_PROPERTY("StartTime", "t", NULL, OF(start), CHANGES),
	SD_BUS_PROPERTY("CompletedTime", "t", NULL, OF(completed), CHANGES),
	SD_BUS_VTABLE_END
};

static const sd_bus_vtable	ours[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Name", "s", get_text, offsetof(struct progress, name),
	    SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Step", "u", NULL, OF(step), CHANGES),
	SD_BUS_PROPERTY("StepName", "s", get_text, OF(step_name), CHANGES),
	SD_BUS_PROPERTY("StepDetail", "s", get_text, OF(detail), CHANGES),
	SD_BUS_PROPERTY("ReasonCode", "s", get_reason, OF(reason), CHANGES),
	SD_BUS_PROPERTY("ReasonText", "s", get_reason, OF(reason), CHANGES),
	SD_BUS_PROPERTY("Remedy", "s", get_reason, OF(reason), CHANGES),
	SD_BUS_PROPERTY("ReasonField", "s", get_text, OF(field), CHANGES),
	SD_BUS_PROPERTY("ReasonExpected", "s", get_text, OF(expected), CHANGES),
	SD_BUS_PROPERTY("ReasonSeen", "s", get_text, OF(seen), CHANGES),
	SD_BUS_VTABLE_END
};

#define MEMBER(name, kind, member)					\
	{ name, MEMBER_##kind, offsetof(struct shown, member) }

static const struct member	of_common[] = {
	MEMBER("Status", U32, status),
	MEMBER("StartTime", U64, start),
	MEMBER("CompletedTime", U64, completed),
};

static const struct member	of_ours[] = {
	MEMBER("Step", U32, step),
	MEMBER("StepName", TEXT, step_name),
	MEMBER("StepDetail", TEXT, detail),
	MEMBER("ReasonCode", U32, reason),
	MEMBER("ReasonText", U32, reason),
	MEMBER("Remedy", U32, reason),
	MEMBER("ReasonField", TEXT, field),
	MEMBER("ReasonExpected", TEXT, expected),
	MEMBER("ReasonSeen", TEXT, seen),
};

static struct progress *
by_name(const char *name)
{
	struct progress	*p;

	TAILQ_FOREACH(p, &all, entry)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

static int
find(sd_bus *bus, const char *path, const char *iface, void *arg,
    void **found, sd_bus_error *error)
{
	struct progress	*p;

	TAILQ_FOREACH(p, &all, entry)
		if (strcmp(p->path, path) == 0) {
			*found = p;
			return 1;
		}
	return 0;
}

static int
enumerate(sd_bus *bus, const char *prefix, void *arg, char ***nodes,
    sd_bus_error *error)
{
	struct progress	*p;
	size_t		 i = 0;
	char		**list;

	if ((list = calloc(n + 1, sizeof(*list))) == NULL)
		fatal("progress");
	TAILQ_FOREACH(p, &all, entry)
		if ((list[i++] = strdup(p->path)) == NULL)
			fatal("progress");
	*nodes = list;
	return 1;
}

void
progress_add(sd_bus *bus)
{
	int	r;

	if ((r = sd_bus_add_fallback_vtable(bus, NULL, BUS_PROGRESS,
	    IFACE_COMMON, common, find, NULL)) < 0 ||
	    (r = sd_bus_add_fallback_vtable(bus, NULL, BUS_PROGRESS,
	    IFACE_OURS, ours, find, NULL)) < 0 ||
	    (r = sd_bus_add_node_enumerator(bus, NULL, BUS_PROGRESS,
	    enumerate, NULL)) < 0) {
		errno = -r;
		fatal("bus: %s", BUS_PROGRESS);
	}
}

/* ---- what changes ---------------------------------------------------------------- */

/* For people and their pages; nothing here goes by it. */
static uint64_t
real_us(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Why it ended is there before it has ended. */
static void
emit(const struct progress *p, const struct shown *before)
{
	changed_emit(p->path, IFACE_OURS, of_ours,
	    sizeof(of_ours) / sizeof(of_ours[0]), before, &p->s);
	changed_emit(p->path, IFACE_COMMON, of_common,
	    sizeof(of_common) / sizeof(of_common[0]), before, &p->s);
}

static void
progress_free(struct progress *p)
{
	TAILQ_REMOVE(&all, p, entry);
	n--;
	free(p->path);
	free(p);
}

static void
take_away(struct progress *p)
{
	(void)sd_bus_emit_interfaces_removed(bus_get(), p->path, IFACE_COMMON,
	    IFACE_OURS, NULL);
	progress_free(p);
}

static void
end(struct progress *p, enum status status)
{
	p->s.status = status;
	p->s.completed = real_us();
	p->due = clock_mono_ms() + KEEP_MS;
}

static void
due(uv_timer_t *t)
{
	struct progress	*p, *next;
	struct shown	 before;
	uint64_t	 now = clock_mono_ms();

	for (p = TAILQ_FIRST(&all); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		if (p->due > now)
			continue;
		if (p->s.status != IN_PROGRESS) {
			take_away(p);
			continue;
		}
		before = p->s;
		end(p, ABORTED);
		emit(p, &before);
	}
	wait_next();
}

static void
wait_next(void)
{
	struct progress	*p, *first = NULL;
	uint64_t	 now = clock_mono_ms();

	if (!timed && uv_timer_init(bus_loop(), &timer) != 0)
		fatalx("progress: timer");
	timed = true;
	TAILQ_FOREACH(p, &all, entry)
		if (first == NULL || p->due < first->due)
			first = p;
	if (first == NULL) {
		uv_timer_stop(&timer);
		return;
	}
	uv_update_time(timer.loop);
	uv_timer_start(&timer, due, first->due <= now ? 0 : first->due - now,
	    0);
}

/* Room for one more: the oldest that is over goes, or else the oldest. */
static void
make_room(void)
{
	struct progress	*p;

	if (n < PROGRESS_MAX)
		return;
	TAILQ_FOREACH(p, &all, entry)
		if (p->s.status != IN_PROGRESS)
			break;
	take_away(p == NULL ? TAILQ_FIRST(&all) : p);
}

void
progress_accepted(const char *name)
{
	struct progress	*p = by_name(name);

	/* Somebody asked before; both wait for the same attestation. */
	if (p != NULL && p->s.status == IN_PROGRESS)
		return;
	if (p != NULL)
		take_away(p);
	make_room();
	if ((p = calloc(1, sizeof(*p))) == NULL ||
	    sd_bus_path_encode(BUS_PROGRESS, name, &p->path) < 0)
		fatal("progress");
	IPC_SET_STR(p->name, name);
	p->s.start = real_us();
	p->due = clock_mono_ms() + LIMIT_MS;
	TAILQ_INSERT_TAIL(&all, p, entry);
	n++;
	(void)sd_bus_emit_interfaces_added(bus_get(), p->path, IFACE_COMMON,
	    IFACE_OURS, NULL);
	wait_next();
}

/* The one under way for a peer, or this node. */
static struct progress *
running(uint32_t peer)
{
	struct view_peer	*v = NULL;
	struct progress		*p;

	if (peer != PEER_SELF && (v = view_peer_byid(peer)) == NULL)
		return NULL;
	p = by_name(v == NULL ? NAME_SELF : v->m.name);
	return p == NULL || p->s.status != IN_PROGRESS ? NULL : p;
}

void
progress_step(const struct msg_bus_step *m)
{
	struct progress	*p = running(m->peer);
	struct shown	 before;

	if (p == NULL)
		return;
	before = p->s;
	p->s.step = m->step;
	IPC_SET_STR(p->s.step_name, m->name);
	IPC_SET_STR(p->s.detail, m->detail);
	emit(p, &before);
}

/*
 * What policyd owes for the request ends it; if that was "not done yet", the
 * next outcome of the peer does, which nobody asks for any more.
 */
void
progress_outcome(const struct msg_bus_outcome *m)
{
	struct progress	*p = running(m->peer);
	struct shown	 before;

	if (p == NULL || (!m->asked && !p->pending))
		return;
	before = p->s;
	p->s.reason = m->reason;
	IPC_SET_STR(p->s.field, m->field);
	IPC_SET_STR(p->s.expected, m->expected);
	IPC_SET_STR(p->s.seen, m->seen);
	if (m->reason == R_CTL_PENDING)
		p->pending = true;
	else
		end(p, m->provisioned && m->reason == R_OK ? COMPLETED :
		    FAILED);
	emit(p, &before);
	wait_next();
}

void
progress_removed(struct view_peer *v)
{
	struct progress	*p = by_name(v->m.name);
	struct shown	 before;

	if (p == NULL || p->s.status != IN_PROGRESS)
		return;
	before = p->s;
	end(p, ABORTED);
	emit(p, &before);
	wait_next();
}

void
progress_stop(void)
{
	while (!TAILQ_EMPTY(&all))
		progress_free(TAILQ_FIRST(&all));
	if (timed)
		uv_close((uv_handle_t *)&timer, NULL);
	timed = false;
}
