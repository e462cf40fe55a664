/*
 * The control socket: rows of JSON for provctl(8).
 *
 * Every answer is CTL_ROW events, then DONE or REFUSED. A row is one JSON
 * object whose member "row" names its type. Members are never taken away and
 * never change their meaning; new ones may be added. A member that is not
 * known is null. Kinds:
 *
 *   str    string                  num    number
 *   bool   true, false             time   string, RFC 3339 UTC, "2026-11-26T14:00:00Z"
 *   hex    lower-case hex string   id     hex of a node id, 40 digits
 *   why    {"code": str, "text": str, "remedy": str, "field": str or null,
 *           "expected": str or null, "seen": str or null}
 *
 * node         status        node id|null, name str, developer bool, catalogue hex,
 *                            started time, state str (ready, starting, degraded)
 * daemon       status        role str, state str (absent, greeted, ready), ready bool, pid num|null,
 *                            uid num|null, developer bool, generation num (how often it
 *                            greeted), since time|null, offences num, log_level num
 * keyd         status        backend str (tpm, sealed, soft), condition why|null,
 *                            manufacturer str, firmware str, keys num, counter bool
 * clock        status        time time, floor time, unset bool
 * peers        status        total num, provisioned num, connected num, attesting num,
 *                            failed num, revoked num
 * trail        status        sequence num, checkpoint time|null, counter num, uncovered num,
 *                            condition why|null
 * counter      status        role str, reason why, count num
 * self         status,       state str (Unknown, Attesting, Provisioned, Failed), provisioned
 *              provision     bool, since time|null, node id|null, attesting bool (a job is
 *                            running), attested time|null, next time|null (when the next
 *                            attempt is due), attempts num (since the last good one), reason
 *                            why|null (why it is not provisioned), warning why|null (such
 *                            as: no reference values); in status only where it runs
 * warning      status        about str (what it is about: "keyd", "clock", a peer's name),
 *                            reason why
 *
 * neighbour    neighbours,   neighbour num, name str, chassis str, chassis_subtype num,
 *              monitor       port str, port_subtype num, ttl num, address4 str|null,
 *                            address6 str|null, heard time, peer str|null (the peer
 *                            of that name), event str (heard; monitor: also gone)
 *
 * peer         peer list,    name str, origin str (configuration, operator, neighbour),
 *              peer show,    state str (NotDetermined, Attesting, Provisioned, InProgress,
 *              peer add,     Connected, NotConnected, AttestationFailed, Revoked),
 *              provision,    provisioned bool, connected str (NotDetermined, InProgress,
 *              unprovision,  Connected, NotConnected), since time, node id|null (proved),
 *              revoke        identity id|null (listed), identity_from str|null
 *                            (configuration, operator, code), serial str|null (listed),
 *                            code time|null (until when a one-time code waits for it),
 *                            address str|null, address_from str|null (configuration,
 *                            operator, lldp), attesting bool (a job is running),
 *                            attested time|null, expires time|null (when the evidence
 *                            is too old), next time|null (when the next attempt is due),
 *                            attempts num (since the last good one), shift num (seconds),
 *                            reason why|null (why it is not trusted or not connected),
 *                            warning why|null (such as: no reference values)
 * evidence     peer show     peer str, time time, version str ("1.3"), algorithm str
 *                            ("P-256/SHA-256"), node id, serial str, device str|null (the serial
 *                            number in its subject), subject str, root hex (SHA-256),
 *                            not_before time, not_after time, anchor hex (SHA-256)
 * step         peer show,    peer str|null, component str|null (one of the two), job num, step
 *              provision,    num, name str, detail str, time time
 *              component
 *              enrol, show,
 *              monitor
 * measurement  peer show     peer str, index num, type num, kind str, raw bool, value hex,
 *                            judged str (equal, baseline, ignored, differs, unjudged)
 * link         peer show,    peer str, state str (none, in progress, connected), dialled
 *              monitor       bool, address str|null, reason why|null, since time
 * attempt      provision,    peer str, reason why (why an attestation ended without a
 *              monitor       verdict), attempts num, next time|null (when it is tried again)
 * transition   provision,    peer str, from str, to str, event str, cause str, reason
 *              monitor       why|null, time time
 * lost         monitor       count num (rows that this reader was too slow for)
 *
 * identity     identity      node id|null, name str, algorithm str, state str
 *              show          (ready, waiting), reason why|null
 * key          identity      label str, purpose str, algorithm str, key num
 *              show
 * certificate  identity      use str (node-ca, spdm-leaf, tls-leaf, slot-0, component), position
 *              show,         num, subject str, issuer str, serial hex, not_before time,
 *              install       not_after time, sha256 hex, pem str
 * csr          identity csr  pem str
 *
 * component    component     name str, state str (NotEnrolled, Enrolling, Unfinished,
 *              list, show,   ResetRequired, Resuming, Enrolled, Renewing, Failed), enrolled
 *              enrol,        bool, since time, slot num, address str, port num, identity
 *              monitor       id|null, serial str|null (listed), node id|null (proved), device
 *                            str|null (the serial number in its subject), attested
 *                            time|null, busy bool (a job is running), certificate hex|null
 *                            (serial of what the slot holds), not_before time|null, not_after
 *                            time|null, renewal time|null, next time|null (when it is
 *                            tried again), reason why|null (why it is not enrolled), warning
 *                            why|null (the last renewal that failed)
 *
 * ca           ca show, init, kind str (root, issuing, ocsp, listener), generation num (of a
 *              rollover,     root; of the issuing CA itself, or the one that issued it),
 *              install       state str (waiting, current, old), key str (P-256, P-384,
 *                            RSA-2048), subject str|null (null: there is no certificate
 *                            yet), serial hex|null, not_before time|null, not_after
 *                            time|null, sha256 hex|null, pem str|null, reason why|null
 *                            (why it waits, or is not renewed)
 * crl          ca show, crl  generation num, number num, this_update time, next_update time,
 *                            entries num, reason why|null (why there is no newer one)
 * ca_csr       ca csr        generation num, subject str, pem str
 * cert         cert list,    serial hex, name str, profile str, generation num (of its issuing
 *              show, revoke  CA), status str (valid, revoked, expired, orphan: no client is known
 *                            to have it), not_before time, not_after time, issued time,
 *                            revoked time|null, revocation str|null (RFC 5280's word), auth
 *                            str (ticket, renewal, manufacturer, open), door str (json, est),
 *                            address str (who asked), sha256 hex|null (null: keyd never
 *                            answered), pem str|null, acknowledged bool
 * cert_stats   cert stats    profile str, total num, valid num, revoked num, expired num,
 *                            orphan num
 * device       device add,   name str, profile str, added time, ticket str|null (only in the
 *              list          answer to add), ticket_state str (none, waiting, used, expired),
 *                            ticket_expires time|null, certificates num, last hex|null
 *                            (serial of its newest)
 *
 * reference    reference     peer str, set str (accepted, proposed, file, baseline),
 *              show, learn,  index num, type num, kind str, raw bool, digest hex (SHA-256
 *              accept        of a raw value, else the value itself), ignore bool, time time
 *
 * audit        audit show,   sequence num, time time, kind str (start, operator, transition,
 *              monitor       verdict, refusal, cert, key, offence, clock), subject str|null
 *                            (a peer's or a daemon's name), reason why|null, text str,
 *                            hash hex
 * verify       audit verify  records num, sequence num|null (of what was found), checkpoints
 *                            num, uncovered num (records after the last checkpoint), counter
 *                            num, tpm_counter num|null, reason why|null (null: it is whole)
 *
 * explain      explain peer  peer str, state str, text str (one sentence: why it is so),
 *                            reason why|null, warning why|null, confirm id|null (the id
 *                            that 'provctl provision NAME --identity' would confirm)
 *
 * provision --wait gives step and transition rows as they happen and ends with
 * a peer row. monitor never ends by itself. log level gives no row, peer
 * remove none.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "control.h"
#include "self.h"

#define ROWS_QUEUED	64	/* of an answer, ahead of the reader */
#define TICK_MS		1000

struct clientq		 clients = TAILQ_HEAD_INITIALIZER(clients);
static unsigned		 nclients;
static uv_loop_t	*loop;
static uv_poll_t	*listener;
static uv_timer_t	*ticker;
static int		 listen_fd = -1;

/* ---- one client --------------------------------------------------------- */

static void
client_closed(struct chan *c, enum reason offence, unsigned type)
{
	struct client	*cl = chan_arg(c);

	if (offence != R_OK && hubd_count(offence) == 1)
		log_info("control: uid %u: %s", cl->uid, reason_text(offence));
	TAILQ_REMOVE(&clients, cl, entry);
	nclients--;
	free(cl->listing);
	free(cl);
}

static void
client_pump(struct client *cl)
{
	while (cl->next != NULL && !cl->paused &&
	    chan_room(cl->chan) > IPC_QUEUE_MAX - ROWS_QUEUED)
		if (!cl->next(cl)) {
			cl->next = NULL;
			client_done(cl);
		}
}

bool
control_work(void)
{
	struct client	*cl, *next;
	bool		 more = false;

	for (cl = TAILQ_FIRST(&clients); cl != NULL; cl = next) {
		next = TAILQ_NEXT(cl, entry);
		if (!cl->paused)
			continue;
		cl->paused = false;
		client_pump(cl);
		more = more || cl->paused;
	}
	return more;
}

static void
client_drained(struct chan *c)
{
	struct client	*cl = chan_arg(c);
	json_t		*row;

	cl->stalled = 0;
	if (cl->lost > 0) {
		row = row_new("lost");
		row_num(row, "count", (int64_t)cl->lost);
		cl->lost = 0;
		client_row(cl, row);
	}
	client_pump(cl);
}

struct client *
client_begin(struct chan *c, const struct ipc_call *call)
{
	struct client	*cl = chan_arg(c);

	if (cl->busy) {
		chan_refuse(c, call, R_CTL_BUSY);
		return NULL;
	}
	cl->busy = true;
	cl->call = *call;
	cl->wait = 0;
	cl->component = NULL;
	cl->self = false;
	cl->next = NULL;
	cl->cursor = 0;
	free(cl->listing);
	cl->listing = NULL;
	cl->paused = false;
	return cl;
}

struct client *
client_of(const struct ipc_call *call)
{
	struct chan	*c = chan_find(call);
	struct client	*cl;

	if (c == NULL || (cl = chan_arg(c)) == NULL || !cl->busy ||
	    cl->call.id != call->id)
		return NULL;
	return cl;
}

void
client_row(struct client *cl, json_t *row)
{
	static struct msg_ctl_row	 m;
	size_t				 n;

	n = json_dumpb(row, (char *)m.json.data, sizeof(m.json.data),
	    JSON_COMPACT);
	json_decref(row);
	if (n == 0 || n > sizeof(m.json.data)) {
		log_warnx("control: a row is too long");
		return;
	}
	m.json.len = (uint32_t)n;
	if (chan_send(cl->chan, MSG_CTL_ROW, &m, -1) == -1)
		return;		/* it is gone, or going */
	if (cl->stalled == 0 && chan_wants_output(cl->chan))
		cl->stalled = peers_env.mono();
}

int
client_stream(struct client *cl, bool (*next)(struct client *))
{
	cl->next = next;
	client_pump(cl);
	return 0;
}

int
client_done(struct client *cl)
{
	cl->busy = false;
	return chan_done(cl->chan, &cl->call);
}

int
client_ack(struct client *cl)
{
	cl->busy = false;
	ack_call(&cl->call);
	return 0;
}

int
client_refuse(struct client *cl, const struct why *why)
{
	cl->busy = false;
	cl->wait = 0;
	cl->component = NULL;
	cl->self = false;
	return refuse_why(cl->chan, &cl->call, why);
}

int
client_refuse_r(struct client *cl, enum reason r, const char *field,
    const char *expected, const char *seen)
{
	struct why	why;

	why_set(&why, r, field, expected, seen);
	return client_refuse(cl, &why);
}

/* ---- those who watch ---------------------------------------------------- */

static void
monitor_row(struct client *cl, json_t *row)
{
	if (chan_room(cl->chan) < IPC_QUEUE_MAX - MONITOR_MAX) {
		cl->lost++;
		return;
	}
	client_row(cl, json_incref(row));
}

void
monitors_row(json_t *row)
{
	watchers_row(NULL, row);
}

void
waiters_row(bool (*waits)(const struct client *, const void *),
    const void *what, json_t *row)
{
	struct client	*cl, *next;

	for (cl = TAILQ_FIRST(&clients); cl != NULL; cl = next) {
		next = TAILQ_NEXT(cl, entry);
		if (cl->monitor || waits(cl, what))
			monitor_row(cl, row);
	}
	json_decref(row);
}

static bool
waits_for_peer(const struct client *cl, const void *what)
{
	const struct peer	*p = what;

	return p != NULL && cl->wait == p->id;
}

void
watchers_row(const struct peer *p, json_t *row)
{
	waiters_row(waits_for_peer, p, row);
}

/* ---- the socket --------------------------------------------------------- */

int
ctl_hello(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_hello	*m = arg;
	struct msg_ctl_welcome		 w = { 0 };

	if (m->catalogue.len != HASH_LEN ||
	    memcmp(m->catalogue.data, ipc_catalogue(), HASH_LEN) != 0)
		return chan_refuse(c, call, R_IPC_BUILD);
	IPC_SET_BLOB(w.catalogue, ipc_catalogue(), HASH_LEN);
	if (chan_reply(c, call, MSG_CTL_WELCOME, &w) == -1)
		return -1;
	chan_set_phase(c, IPC_RUN);	/* the welcome belongs to the start */
	return 0;
}

static void
client_new(int fd)
{
	struct chan_conf	 cc = {
		.self = IPC_POLICYD, .peer = IPC_PROVCTL,
		.handlers = from_provctl, .nhandlers = nfrom_provctl,
		.closed = client_closed, .drained = client_drained,
	};
	struct ucred		 cred;
	struct client		*cl;
	socklen_t		 len = sizeof(cred);

	if (nclients >= CLIENTS_MAX) {
		if (hubd_count(R_CTL_CLIENTS) == 1)
			log_info("control: %s", reason_text(R_CTL_CLIENTS));
		close(fd);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1) {
		log_warn("control: SO_PEERCRED");
		close(fd);
		return;
	}
	if ((cl = calloc(1, sizeof(*cl))) == NULL)
		fatal("control");
	cl->uid = cred.uid;
	cl->pid = cred.pid;
	cc.arg = cl;
	if ((cl->chan = chan_open(loop, fd, &cc)) == NULL)
		fatal("control");
	TAILQ_INSERT_TAIL(&clients, cl, entry);
	nclients++;
}

static void
listener_ready(uv_poll_t *h, int status, int events)
{
	int	fd;

	if (status < 0)
		fatalx("control: poll: %s", uv_strerror(status));
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd == -1) {
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			log_warn("control: accept");
		return;
	}
	client_new(fd);
}

void
control_tick(uint64_t mono)
{
	struct client	*cl, *next;
	struct peer	*p;
	struct why	 why;

	for (cl = TAILQ_FIRST(&clients); cl != NULL; cl = next) {
		next = TAILQ_NEXT(cl, entry);
		if (cl->stalled != 0 && !chan_wants_output(cl->chan))
			cl->stalled = 0;
		if (cl->stalled != 0 && mono - cl->stalled > STALL_MS) {
			log_info("control: uid %u does not read", cl->uid);
			chan_close(cl->chan);
			continue;
		}
		if ((cl->wait == 0 && cl->component == NULL && !cl->self) ||
		    mono < cl->wait_until)
			continue;
		why_set(&why, R_CTL_PENDING, NULL, NULL, NULL);
		if (cl->self)
			control_self_pending(&why);
		if ((p = peer_byid(cl->wait)) != NULL) {
			if (p->trouble.reason != R_OK)
				why = p->trouble;
			else if (!peer_trusted(p) && p->why.reason != R_OK)
				why = p->why;
		}
		client_refuse(cl, &why);
	}
}

static void
ticker_due(uv_timer_t *h)
{
	control_tick(peers_env.mono());
}

static void
handle_free(uv_handle_t *h)
{
	free(h);
}

void
control_start(struct uv_loop_s *l, int fd)
{
	int	err;

	loop = l;
	listen_fd = fd;
	listener = calloc(1, sizeof(*listener));
	ticker = calloc(1, sizeof(*ticker));
	if (listener == NULL || ticker == NULL)
		fatal("control");
	if ((err = uv_poll_init(loop, listener, fd)) != 0 ||
	    (err = uv_poll_start(listener, UV_READABLE, listener_ready)) != 0 ||
	    (err = uv_timer_init(loop, ticker)) != 0 ||
	    (err = uv_timer_start(ticker, ticker_due, TICK_MS, TICK_MS)) != 0)
		fatalx("control: %s", uv_strerror(err));
}

void
control_stop(void)
{
	struct client	*cl;

	if (listener == NULL)
		return;
	while ((cl = TAILQ_FIRST(&clients)) != NULL)
		chan_close(cl->chan);
	uv_close((uv_handle_t *)listener, handle_free);
	uv_close((uv_handle_t *)ticker, handle_free);
	listener = NULL;
	ticker = NULL;
	close(listen_fd);
}
