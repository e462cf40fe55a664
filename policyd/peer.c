/*
 * The peers, and the one function that moves them from state to state.
 *
 * Memory holds them all; the store is written in the turn of each change, and
 * read at start only.
 */
#include <sys/random.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bus.h"
#include "clock.h"
#include "component.h"
#include "self.h"

#define BUCKETS		4096
#define TIMEOUT_MS	60000	/* Provisioned, InProgress: until TIMEOUT */
#define RUN_SAVE_MS	60000

struct peerq		 peers = TAILQ_HEAD_INITIALIZER(peers);
static struct peer	*names[BUCKETS], *ids[BUCKETS];
static size_t		 npeers;
static bool		 stepping;
static uint64_t		 run_base, run_start, run_saved;

static void
random_bytes(void *p, size_t n)
{
	if (getrandom(p, n, 0) != (ssize_t)n)
		fatal("getrandom");
}

struct peers_env peers_env = {
	.link = hubd_link,
	.mono = clock_mono_ms,
	.now = clock_trusted,
	.random = random_bytes,
};

/* ---- finding ------------------------------------------------------------ */

/* FNV-1a; the set is bounded, so chosen names cannot do much harm. */
static unsigned
bucket(const char *s)
{
	uint32_t	h = 2166136261u;

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h % BUCKETS;
}

struct peer *
peer_byname(const char *name)
{
	struct peer	*p;

	for (p = names[bucket(name)]; p != NULL; p = p->name_next)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

struct peer *
peer_byid(uint32_t id)
{
	struct peer	*p;

	for (p = ids[id % BUCKETS]; p != NULL; p = p->id_next)
		if (p->id == id)
			return p;
	return NULL;
}

size_t
peers_count(void)
{
	return npeers;
}

bool
peer_trusted(const struct peer *p)
{
	return fsm_trusted(p->state);
}

uint64_t
peers_age(void)
{
	return peers_env.mono() - run_start;
}

uint64_t
peers_run(void)
{
	return run_base + peers_age();
}

void
peers_run_save(void)
{
	run_saved = peers_env.mono();
	store_meta_set_int("peers_run", (int64_t)peers_run());
}

/* ---- coming and going --------------------------------------------------- */

bool
peer_name_ok(const char *name)
{
	const unsigned char	*s = (const unsigned char *)name;

	if (*s == '\0' || strlen(name) > 64 || strcmp(name, SELF_NAME) == 0)
		return false;
	for (; *s != '\0'; s++)
		if (*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static void
peer_link_in(struct peer *p)
{
	unsigned	 b = bucket(p->name);

	p->name_next = names[b];
	names[b] = p;
	p->id_next = ids[p->id % BUCKETS];
	ids[p->id % BUCKETS] = p;
	TAILQ_INSERT_TAIL(&peers, p, entry);
	npeers++;
}

static struct peer *
peer_alloc(const char *name, enum peer_origin origin)
{
	struct peer	*p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		fatal("peer");
	ipc_set_str(p->name, sizeof(p->name), name);
	p->origin = origin;
	p->cause = "";
	p->since = peers_env.now();
	return p;
}

struct peer *
peer_new(const char *name, enum peer_origin origin, const char *identity,
    const char *serial, const char *address, struct why *why)
{
	struct peer	*p;
	size_t		 i;

	memset(why, 0, sizeof(*why));
	if (!peer_name_ok(name)) {
		why_set(why, R_POL_NAME, "name", "1 to 64 printable characters, "
		    "not \"" SELF_NAME "\"", NULL);
		return NULL;
	}
	if (peer_byname(name) != NULL) {
		why_set(why, R_POL_PEER_EXISTS, "name", NULL, name);
		return NULL;
	}
	if (npeers >= PEERS_MAX) {
		why_set(why, R_POL_PEERS_FULL, NULL, NULL, NULL);
		return NULL;
	}
	p = peer_alloc(name, origin);
	ipc_set_str(p->identity, sizeof(p->identity), identity);
	for (i = 0; p->identity[i] != '\0'; i++)
		if (p->identity[i] >= 'A' && p->identity[i] <= 'F')
			p->identity[i] += 'a' - 'A';
	ipc_set_str(p->serial, sizeof(p->serial), serial);
	peer_set_address(p, address);
	why_set(&p->why, R_POL_NOT_ASKED, NULL, NULL, NULL);
	peer_store_insert(p);
	if (p->id == 0) {
		why_set(why, store_state() != R_OK ? store_state() :
		    R_POL_PEERS_FULL, "store", NULL, NULL);
		peer_set_address(p, "");
		free(p);
		return NULL;
	}
	peer_link_in(p);
	peer_leave(p);
	bus_peer_changed(p);
	return p;
}

struct peer *
peer_restore(uint32_t id, const char *name, enum peer_origin origin)
{
	struct peer	*p;

	p = peer_alloc(name, origin);
	p->id = id;
	peer_link_in(p);
	return p;
}

void
peer_forget_evidence(struct peer *p)
{
	peer_set_evidence(p, NULL);
	free(p->anchor2);
	p->anchor2 = NULL;
	p->anchor2_len = 0;
	p->attested = p->attested_run = 0;
	p->have &= HAVE_LEAVE;
	p->warning = R_OK;
	p->lost = false;
}

static void
peer_free(struct peer *p)
{
	struct peer	**pp;
	unsigned	  i;

	for (pp = &names[bucket(p->name)]; *pp != p; pp = &(*pp)->name_next)
		;
	*pp = p->name_next;
	for (pp = &ids[p->id % BUCKETS]; *pp != p; pp = &(*pp)->id_next)
		;
	*pp = p->id_next;
	TAILQ_REMOVE(&peers, p, entry);
	npeers--;
	code_drop(p);
	net_quiet(p);
	bus_peer_gone(p);
	peer_set_address(p, "");
	peer_forget_evidence(p);
	measures_clear(&p->seen);
	measures_clear(&p->proposed);
	measures_clear(&p->accepted);
	for (i = 0; i < p->nsteps; i++)
		free(p->steps[i].detail);
	free(p->steps);
	free(p);
}

void
peer_remove(struct peer *p)
{
	/* At start, before the states: a revocation outlives the name. */
	if (p->state != P_NOTDETERMINED)
		peer_step(p, EV_UNPROVISION, NULL);
	peer_store_delete(p);
	peer_free(p);
}

/* ---- what policy says --------------------------------------------------- */

void
peer_leave(struct peer *p)
{
	if (!p->held && policy_lists(&policy, p->identity, p->serial))
		p->have |= HAVE_LEAVE;
	else
		p->have &= ~(unsigned)HAVE_LEAVE;
}

const struct measures *
peer_reference(const struct peer *p, enum ref_source *source)
{
	const struct measures	*l;

	if (p->accepted.n > 0) {
		*source = REF_ACCEPTED;
		return &p->accepted;
	}
	l = p->conf != NULL ? policy_file(p->conf->reference) : NULL;
	if (l == NULL)
		l = policy_file(conf->reference);
	if (l != NULL) {
		*source = REF_FILE;
		return l;
	}
	if (p->ev != NULL) {
		*source = REF_BASELINE;
		return &p->ev->measures;
	}
	*source = REF_NONE;
	return NULL;
}

void
peer_listing(const struct peer *p, const struct evidence *ev,
    struct listing *l)
{
	const struct peer	*other = peer_bynode(ev->node, p);

	memset(l, 0, sizeof(*l));
	l->identity = p->identity;
	l->serial = p->serial;
	l->own = identity_get()->node;
	l->revoked = peer_revoked(ev->node);
	l->unset = clockd_unset();
	l->other = other != NULL ? other->name : NULL;
	l->reference = peer_reference(p, &l->source);
}

/* ---- the one that moves ------------------------------------------------- */

static int
step_refused(struct peer *p, enum peer_event ev, enum reason r,
    const char *missing)
{
	if (hubd_count(r) == 1)
		log_about(LOG_LVL_INFO, reason_code(r), p->name,
		    "peer %s: %s: refused in state %s%s%s", p->name,
		    fsm_event_name(ev), fsm_state_name(p->state),
		    *missing != '\0' ? ", no evidence: " : "", missing);
	return -1;
}

static void
step_note(struct peer *p, enum peer_state from, enum peer_event ev,
    const struct why *why)
{
	enum reason	 r = why != NULL ? why->reason : R_OK;
	const char	*code = r == R_OK ? "" : reason_code(r);

	log_about(LOG_LVL_INFO, code, p->name, "peer %s: %s -> %s: %s%s%s",
	    p->name, fsm_state_name(from), fsm_state_name(p->state),
	    fsm_event_name(ev), *code != '\0' ? ", " : "", code);
	audit_record(AUDIT_TRANSITION, p->name, r, "%s -> %s: %s%s%s%s%s%s%s",
	    fsm_state_name(from), fsm_state_name(p->state), fsm_event_name(ev),
	    r != R_OK && *why->field ? "; " : "", r != R_OK ? why->field : "",
	    r != R_OK && *why->expected ? ": expected " : "",
	    r != R_OK ? why->expected : "",
	    r != R_OK && *why->seen ? ", seen " : "",
	    r != R_OK ? why->seen : "");
	control_transition(p, from, ev, why);
}

int
peer_step(struct peer *p, enum peer_event ev, const struct why *why)
{
	const struct trans	*t = fsm_find(p->state, ev);
	enum peer_state		 from = p->state;
	unsigned		 i;

	if (stepping)
		fatalx("peer %s: %s inside of a transition", p->name,
		    fsm_event_name(ev));
	if (t == NULL)
		return step_refused(p, ev, R_POL_EVENT, "");
	for (i = 0; i < BIT_N; i++)
		if (t->needs & ~p->have & 1u << i)
			return step_refused(p, ev, R_POL_EVIDENCE,
			    fsm_bit_name((enum peer_bit)i));
	stepping = true;
	p->state = t->next;
	if (from != p->state) {
		p->since = peers_env.now();
		p->deadline = 0;
		if (p->state == P_PROVISIONED || p->state == P_INPROGRESS)
			p->deadline = peers_env.mono() + TIMEOUT_MS;
	}
	peer_run_act(p, t, why);
	if (from != p->state) {
		step_note(p, from, ev, why);
		peer_store_save(p);
	} else
		control_stay(p, ev, why);
	bus_peer_changed(p);
	bus_stepped(p, ev, why);
	stepping = false;
	return 0;
}

/* ---- for policyd.c and hubd.c ------------------------------------------- */

/* provd.conf wins over what the store has of a peer. */
static void
conf_apply(struct peer *p, const struct conf_peer *c)
{
	size_t	i;

	p->conf = c;
	p->origin = FROM_CONF;
	if (c->identity != NULL)
		ipc_set_str(p->identity, sizeof(p->identity), c->identity);
	for (i = 0; p->identity[i] != '\0'; i++)
		if (p->identity[i] >= 'A' && p->identity[i] <= 'F')
			p->identity[i] += 'a' - 'A';
	if (c->serial != NULL)
		ipc_set_str(p->serial, sizeof(p->serial), c->serial);
	peer_set_address(p, c->address != NULL ? c->address : "");
	peer_leave(p);
}

static void
conf_peers(void)
{
	const struct conf_peer	*c;
	struct peer		*p, *next;
	struct why		 why;

	for (c = conf->peers; c != NULL; c = c->next) {
		if ((p = peer_byname(c->name)) == NULL)
			p = peer_new(c->name, FROM_CONF, "", "", "", &why);
		if (p == NULL)
			log_warnx("peer %s: %s", c->name,
			    reason_text(why.reason));
		else
			conf_apply(p, c);
	}
	for (p = TAILQ_FIRST(&peers); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		if (p->origin != FROM_CONF || p->conf != NULL)
			continue;
		log_info("peer %s: no longer in the configuration", p->name);
		audit_record(AUDIT_OPERATOR, p->name, R_OK,
		    "taken out of provd.conf");
		peer_remove(p);
	}
}

void
peers_start(struct uv_loop_s *loop)
{
	struct peer	*p;

	run_start = peers_env.mono();
	run_base = (uint64_t)store_meta_int("peers_run", 0);
	run_saved = run_start;
	jobs_start();
	peer_store_load();
	conf_peers();
	/* A kill -9 leaves the saved run behind what was proved since. */
	TAILQ_FOREACH(p, &peers, entry)
		if (p->attested_run > run_base)
			run_base = p->attested_run;
	TAILQ_FOREACH(p, &peers, entry)
		peer_resume(p);
	components_start();
	self_start();
	bus_start();
}

void
peers_up(enum ipc_role role)
{
	neighbours_up(role);
	if (role == IPC_NETD)
		net_up();
	if (role == IPC_BUSD)
		bus_up();
	/* What answers us, and what signs, may be another one now. */
	if (role == IPC_ATTESTR || role == IPC_KEYD)
		self_changed();
	jobs_pump();
	component_job_pump();
	self_pump();
}

void
peers_down(enum ipc_role role)
{
	struct peer	*p;

	jobs_down(role);
	neighbours_down(role);
	if (role == IPC_KEYD)
		codes_down();
	if (role == IPC_BUSD)
		bus_down();
	if (role != IPC_NETD)
		return;
	net_down();
	TAILQ_FOREACH(p, &peers, entry)
		peer_step(p, EV_NETD_LOST, NULL);
}

void
peers_tick(uint64_t mono)
{
	struct peer	*p;

	jobs_tick(mono);
	TAILQ_FOREACH(p, &peers, entry)
		peer_tick(p, mono);
	jobs_pump();
	components_tick(mono);
	self_tick(mono);
	net_pump();
	bus_tick(mono);
	if (mono - run_saved >= RUN_SAVE_MS && store_state() == R_OK)
		peers_run_save();
}

void
peers_time_step(void)
{
	struct peer	*p;

	TAILQ_FOREACH(p, &peers, entry)
		if (peer_trusted(p))
			net_tell(p);
}

void
peers_identity(void)
{
	self_changed();
	bus_node_changed();
	jobs_pump();
	component_job_pump();
}

void
peers_end(void)
{
	struct peer	*p;

	components_end();
	self_end();
	while ((p = TAILQ_FIRST(&peers)) != NULL) {
		job_cancel(p);
		peer_free(p);
	}
	bus_end();
	neighbours_clear();
	inbound_clear();
}
