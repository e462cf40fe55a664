/*
 * Who this node is: its keys in keyd, the certificates that keyd issues over
 * them, and the manufacturer's chain.
 *
 * One call to keyd is out at a time, and every step asks only for what is
 * missing: identity_next() may be called at any moment, and a kill of either
 * side at any line leads to the same end. A certificate is asked for only
 * after a row with its serial is on disk, so none exists without a record.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "hex.h"
#include "policyd.h"

#define KEYD_TIMEOUT	120000	/* ms; a slow TPM makes keys for a while */
#define RETRY_MIN	1000	/* ms, doubled at each failure */
#define RETRY_MAX	300000
#define STATUS_EVERY	60000	/* ms between looks at keyd's condition */
#define SKEW		3600	/* s that a leaf begins before it was issued */

/* Node CAs do not expire, and begin before any clock of ours can stand. */
#define CA_NOT_BEFORE	UINT64_C(1577836800)	/* 20200101000000Z */
#define CA_NOT_AFTER	UINT64_C(253402300799)	/* 99991231235959Z */

static const struct {
	const char	*label;
	uint32_t	 purpose;
} keys[IDK_N] = {
	[IDK_CA] = { "ca", KEY_CA },
	[IDK_SPDM] = { "spdm", KEY_SPDM },
	[IDK_TLS] = { "tls", KEY_TLS },
	[IDK_AUDIT] = { "audit", KEY_AUDIT },
};

static const struct {
	const char	*name;
	uint32_t	 profile;
	enum identity_key subject;
} certs[IDC_N] = {
	[IDC_NODE_CA] = { "node CA", CERT_NODE_CA, IDK_CA },
	[IDC_SPDM_LEAF] = { "SPDM leaf", CERT_SPDM_LEAF, IDK_SPDM },
	[IDC_TLS_LEAF] = { "TLS leaf", CERT_TLS_LEAF, IDK_TLS },
};

static struct identity	me;
static struct {
	bool		 asked[IDK_N];	/* in this life of keyd */
	bool		 status;	/* keyd told its condition */
	bool		 busy;
	bool		 audit;		/* audit.c knows the key */
	bool		 changed;	/* others do not know it yet */
	bool		 complete;
	bool		 slot0_ours;	/* its leaf is over our key */
	int64_t		 intent;	/* row of what is being issued */
	enum identity_cert issuing;
	uint8_t		 serial[16];
	uint64_t	 not_before, not_after;
	uint64_t	 now, retry, backoff, looked;	/* ms, monotonic */
} id;

static void	 identity_next(void);
static void	 identity_publish(void);

const struct identity *
identity_get(void)
{
	return &me;
}

/* ---- failing and going on ---- */

static void
identity_failed(enum reason r, const char *what, const struct msg_refused *why)
{
	if (me.why.reason != r)
		log_about(LOG_LVL_WARN, reason_code(r), NULL,
		    "identity: %s: %s %s", what, reason_code(r),
		    reason_text(r));
	if (why != NULL)
		why_set(&me.why, r, why->field, why->expected, why->seen);
	else
		why_set(&me.why, r, what, NULL, NULL);
	id.busy = false;
	id.retry = id.now + id.backoff;
	id.backoff = id.backoff * 2 > RETRY_MAX ? RETRY_MAX : id.backoff * 2;
}

static void
identity_call(enum ipc_type type, const void *msg, ipc_reply_fn fn, void *arg)
{
	id.busy = true;
	if (chan_call(hubd_link(IPC_KEYD), type, msg, -1, KEYD_TIMEOUT, fn,
	    arg) == -1)
		identity_failed(R_IPC_NOLINK, ipc_name(type), NULL);
}

/* ---- keyd's condition ---- */

static void
identity_condition(enum reason r)
{
	if (r == me.condition)
		return;
	me.condition = r;
	if (r != R_OK)
		log_about(LOG_LVL_WARN, reason_code(r), NULL, "keyd: %s %s",
		    reason_code(r), reason_text(r));
	audit_record(AUDIT_KEY, "keyd", r, "%s", reason_text(r));
}

static void
got_status(const struct ipc_reply *rep, void *arg)
{
	const struct msg_keyd_status	*m = rep->msg;

	if (rep->type != MSG_KEYD_STATUS) {
		identity_failed(rep->reason, "status", rep->refused);
		return;
	}
	id.busy = false;
	id.status = true;
	id.looked = id.now;
	me.backend = m->backend;
	me.nkeys = m->keys;
	me.counter = m->counter;
	text_set(me.manufacturer, sizeof(me.manufacturer), m->manufacturer);
	text_set(me.firmware, sizeof(me.firmware), m->firmware);
	identity_condition((enum reason)m->reason);
	identity_next();
}

/* ---- keys ---- */

/* The node's id follows from the SPDM key; another one than before is told. */
static void
identity_node(void)
{
	char	was[NODE_ID_LEN + 1] = "", now[NODE_ID_LEN + 1];

	if (cert_node_id(me.keys[IDK_SPDM].point, me.keys[IDK_SPDM].len,
	    now) == -1)
		return;
	store_meta_blob("node", was, NODE_ID_LEN);
	if (strcmp(was, now) != 0) {
		(void)store_meta_set_blob("node", now, NODE_ID_LEN);
		if (was[0] != '\0')
			(void)store_meta_set_blob("node_was", was,
			    NODE_ID_LEN);
		audit_record(AUDIT_KEY, "keyd", was[0] == '\0' ? R_OK :
		    R_KEY_IDENTITY_CHANGED, "node id %s%s%s", now,
		    was[0] == '\0' ? "" : ", was ", was);
		if (was[0] != '\0')
			log_warnx("identity: %s node id %s, was %s",
			    reason_code(R_KEY_IDENTITY_CHANGED), now, was);
	}
	memcpy(me.node, now, sizeof(now));
}

static bool
key_form_ok(const struct msg_key_info *m, enum identity_key k,
    uint32_t algorithm)
{
	return m->purpose == keys[k].purpose && m->algorithm == algorithm &&
	    m->public.len == (algorithm == KEY_P384 ? 97 : 65) &&
	    m->public.data[0] == 4;
}

static uint32_t
key_algorithm(enum identity_key k)
{
	return k == IDK_SPDM && conf->spdm_curve == CURVE_P384 ? KEY_P384 :
	    KEY_P256;
}

static void
got_key(const struct ipc_reply *rep, void *arg)
{
	enum identity_key		 k = (enum identity_key)(uintptr_t)arg;
	const struct msg_key_info	*m = rep->msg;

	if (rep->type != MSG_KEY_INFO) {
		identity_failed(rep->reason, keys[k].label, rep->refused);
		return;
	}
	if (!key_form_ok(m, k, key_algorithm(k))) {
		identity_failed(R_KEY_IDENTITY_CERT, keys[k].label, NULL);
		return;
	}
	if (!me.keys[k].have || me.keys[k].key != m->key ||
	    me.keys[k].len != m->public.len ||
	    memcmp(me.keys[k].point, m->public.data, m->public.len) != 0)
		id.changed = true;
	me.keys[k].have = true;
	me.keys[k].key = m->key;
	me.keys[k].algorithm = m->algorithm;
	me.keys[k].len = m->public.len;
	memcpy(me.keys[k].point, m->public.data, m->public.len);
	if (m->made)
		audit_record(AUDIT_KEY, "keyd", R_OK, "key \"%s\" made",
		    keys[k].label);
	id.asked[k] = true;
	id.busy = false;
	if (k == IDK_SPDM)
		identity_node();
	identity_next();
}

static void
identity_make(enum identity_key k)
{
	struct msg_key_make_req	m = { .purpose = keys[k].purpose,
	    .algorithm = key_algorithm(k) };

	IPC_SET_STR(m.label, keys[k].label);
	identity_call(MSG_KEY_MAKE_REQ, &m, got_key, (void *)(uintptr_t)k);
}

/* ---- certificates ---- */

static void
cert_wanted(enum identity_cert c, struct cert_want *w)
{
	enum identity_key	k = certs[c].subject;

	w->point = me.keys[k].point;
	w->pointlen = me.keys[k].len;
	w->ca = me.keys[IDK_CA].point;
	w->calen = me.keys[IDK_CA].len;
	w->node = c == IDC_TLS_LEAF ? me.node : NULL;
}

/* Is the certificate that we have over the keys and the id that we have? */
static bool
cert_fits(enum identity_cert c)
{
	struct cert_want	w = { .serial = me.certs[c].serial,
	    .not_before = me.certs[c].not_before,
	    .not_after = me.certs[c].not_after };
	struct why		why;

	cert_wanted(c, &w);
	return me.certs[c].have && cert_check(me.certs[c].der,
	    me.certs[c].len, &w, &why) == R_OK;
}

static void
cert_keep(enum identity_cert c, const uint8_t serial[16], uint64_t nb,
    uint64_t na, const uint8_t *der, size_t len)
{
	me.certs[c].have = true;
	memcpy(me.certs[c].serial, serial, 16);
	me.certs[c].not_before = nb;
	me.certs[c].not_after = na;
	me.certs[c].renew = c == IDC_NODE_CA ? na : nb + (na - nb) / 3 * 2;
	me.certs[c].len = len;
	memcpy(me.certs[c].der, der, len);
}

static void
cert_stored(enum reason r, void *arg)
{
	id.busy = false;
	if (r != R_OK) {
		identity_failed(r, certs[id.issuing].name, NULL);
		return;
	}
	identity_next();
}

/* keyd said no, so that certificate does not exist: neither does its row. */
static void
intent_forget(void)
{
	static struct store_sql	 del = STORE_SQL("DELETE FROM issued"
	    " WHERE id = ?1 AND certificate IS NULL");
	sqlite3_stmt		*st = store_stmt(&del);

	store_bind(st, "i", id.intent);
	(void)store_write(st);
}

static void
cert_record(enum identity_cert c)
{
	time_t		t = (time_t)id.not_after;
	char		until[32] = "";
	struct tm	tm;

	if (gmtime_r(&t, &tm) != NULL)
		strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &tm);
	audit_record(AUDIT_CERT, "keyd", R_OK, "%s issued, serial "
	    "%02x%02x%02x%02x..., until %s", certs[c].name, id.serial[0],
	    id.serial[1], id.serial[2], id.serial[3], until);
	log_info("identity: %s issued, until %s", certs[c].name, until);
}

static void
got_cert(const struct ipc_reply *rep, void *arg)
{
	static struct store_sql		 put = STORE_SQL("UPDATE issued"
	    " SET certificate = ?2 WHERE id = ?1");
	const struct msg_cert_rep	*m = rep->msg;
	enum identity_cert		 c = id.issuing;
	struct cert_want		 w = { .serial = id.serial,
	    .not_before = id.not_before, .not_after = id.not_after };
	sqlite3_stmt			*st;
	struct why			 why;

	if (rep->type != MSG_CERT_REP) {
		if (rep->refused != NULL)
			intent_forget();
		identity_failed(rep->reason, certs[c].name, rep->refused);
		return;
	}
	cert_wanted(c, &w);
	if (cert_check(m->certificate.data, m->certificate.len, &w,
	    &why) != R_OK) {
		identity_failed(why.reason, certs[c].name, NULL);
		me.why = why;
		return;
	}
	st = store_stmt(&put);
	store_bind(st, "ib", id.intent, m->certificate.data,
	    (size_t)m->certificate.len);
	if (store_write(st) != R_OK) {
		identity_failed(store_state(), certs[c].name, NULL);
		return;
	}
	cert_keep(c, id.serial, id.not_before, id.not_after,
	    m->certificate.data, m->certificate.len);
	cert_record(c);
	id.changed = true;
	store_after_commit(cert_stored, NULL);
}

/* The intent is on disk: now keyd may issue. */
static void
intent_stored(enum reason r, void *arg)
{
	enum identity_cert	c = id.issuing;
	enum identity_key	k = certs[c].subject;
	struct msg_cert_req	m = { .issuer = me.keys[IDK_CA].key,
	    .profile = certs[c].profile, .algorithm = me.keys[k].algorithm,
	    .not_before = id.not_before, .not_after = id.not_after };

	if (r != R_OK) {
		identity_failed(r, certs[c].name, NULL);
		return;
	}
	IPC_SET_BLOB(m.public, me.keys[k].point, me.keys[k].len);
	IPC_SET_BLOB(m.serial, id.serial, sizeof(id.serial));
	IPC_SET_STR(m.node, me.node);
	identity_call(MSG_CERT_REQ, &m, got_cert, NULL);
}

static void
identity_issue(enum identity_cert c)
{
	static struct store_sql	 put = STORE_SQL("INSERT INTO issued (serial,"
	    " profile, public, not_before, not_after, requested)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
	enum identity_key	 k = certs[c].subject;
	uint64_t		 now = clock_trusted();
	sqlite3_stmt		*st = store_stmt(&put);
	enum reason		 r;

	id.issuing = c;
	serial_draw(id.serial);
	id.not_before = c == IDC_NODE_CA ? CA_NOT_BEFORE : now - SKEW;
	id.not_after = c == IDC_NODE_CA ? CA_NOT_AFTER :
	    id.not_before + conf->leaf_lifetime;
	store_bind(st, "bibiii", id.serial, sizeof(id.serial),
	    (int64_t)certs[c].profile, me.keys[k].point, me.keys[k].len,
	    (int64_t)id.not_before, (int64_t)id.not_after, (int64_t)now);
	if ((r = store_write(st)) != R_OK) {
		identity_failed(r, certs[c].name, NULL);
		return;
	}
	id.intent = sqlite3_last_insert_rowid(store_db());
	id.busy = true;
	store_after_commit(intent_stored, NULL);
}

static bool
cert_due(enum identity_cert c)
{
	uint64_t	now = clock_trusted();

	return !me.certs[c].have || now < me.certs[c].not_before ||
	    now >= me.certs[c].renew;
}

/* ---- the next thing to ask for ---- */

static void
identity_complete(void)
{
	struct why	*w = &me.why;
	char		 was[NODE_ID_LEN + 1] = "";

	id.backoff = RETRY_MIN;
	id.retry = 0;
	why_set(w, R_OK, NULL, NULL, NULL);
	if (store_meta_blob("node_was", was, NODE_ID_LEN) > 0)
		why_set(w, R_KEY_IDENTITY_CHANGED, "node id", was, me.node);
	else if (me.condition != R_OK)
		why_set(w, me.condition, "keyd", NULL, NULL);
	if (!id.complete)
		log_info("identity: node %s", me.node);
	if (!id.complete || id.changed) {
		id.complete = true;
		id.changed = false;
		identity_publish();
		peers_identity();
	}
}

/* What was stored is over other keys: the TPM or the directory is another. */
static void
identity_sift(void)
{
	unsigned		 c;
	struct cert_info	 info;
	const uint8_t		*p = me.slot0.der, *der = NULL;
	size_t			 left = me.slot0.len, len = 0;

	for (c = 0; c < IDC_N; c++) {
		if (me.certs[c].have && !cert_fits(c)) {
			me.certs[c].have = false;
			id.changed = true;
		}
	}
	while (cert_next(&p, &left, &der, &len))
		;
	id.slot0_ours = me.slot0.have && cert_read(der, len, &info) == 0 &&
	    info.pointlen == me.keys[IDK_SPDM].len &&
	    memcmp(info.point, me.keys[IDK_SPDM].point, info.pointlen) == 0;
}

static void
identity_next(void)
{
	unsigned	i;

	if (id.busy || hubd_link(IPC_KEYD) == NULL)
		return;
	if (!id.status) {
		identity_call(MSG_KEYD_STATUS_REQ, NULL, got_status, NULL);
		return;
	}
	for (i = 0; i < IDK_N; i++) {
		if (!id.asked[i]) {
			identity_make(i);
			return;
		}
	}
	if (!id.audit) {
		id.audit = true;
		audit_keyd_up(me.keys[IDK_AUDIT].key,
		    me.keys[IDK_AUDIT].point, me.keys[IDK_AUDIT].len,
		    me.counter);
		identity_sift();
	}
	for (i = 0; i < IDC_N; i++) {
		if (cert_due(i)) {
			identity_issue(i);
			return;
		}
	}
	identity_complete();
}

/* ---- telling the others ---- */

static void
tell_netd(void)
{
	struct msg_net_identity	m = { .key = me.keys[IDK_TLS].key,
	    .algorithm = me.keys[IDK_TLS].algorithm };

	IPC_SET_STR(m.node, me.node);
	IPC_SET_STR(m.system_name, conf->node);
	IPC_SET_BLOB(m.leaf, me.certs[IDC_TLS_LEAF].der,
	    me.certs[IDC_TLS_LEAF].len);
	(void)chan_send(hubd_link(IPC_NETD), MSG_NET_IDENTITY, &m, -1);
}

/* To attestd: -R shows them to whoever asks, -Q where a session wants them. */
static void
tell_slots(enum ipc_role r)
{
	static struct msg_spdm_slot	 m;
	const size_t			 ca = me.certs[IDC_NODE_CA].len;

	memset(&m, 0, sizeof(m));
	m.key = me.keys[IDK_SPDM].key;
	m.algorithm = me.keys[IDK_SPDM].algorithm;
	if (id.slot0_ours)
		IPC_SET_BLOB(m.chain, me.slot0.der, me.slot0.len);
	(void)chan_send(hubd_link(r), MSG_SPDM_SLOT, &m, -1);
	m.slot = 1;
	memcpy(m.chain.data, me.certs[IDC_NODE_CA].der, ca);
	memcpy(m.chain.data + ca, me.certs[IDC_SPDM_LEAF].der,
	    me.certs[IDC_SPDM_LEAF].len);
	m.chain.len = (uint32_t)(ca + me.certs[IDC_SPDM_LEAF].len);
	(void)chan_send(hubd_link(r), MSG_SPDM_SLOT, &m, -1);
}

static void
identity_publish(void)
{
	tell_netd();
	tell_slots(IPC_ATTESTQ);
	tell_slots(IPC_ATTESTR);
}

void
identity_up(enum ipc_role r)
{
	if (r == IPC_KEYD) {
		id.retry = 0;
		id.backoff = RETRY_MIN;
		identity_next();
	} else if (id.complete && r == IPC_NETD)
		tell_netd();
	else if (id.complete && (r == IPC_ATTESTQ || r == IPC_ATTESTR))
		tell_slots(r);
}

/* A call that was out has failed already, through its callback. */
void
identity_down(enum ipc_role r)
{
	if (r != IPC_KEYD)
		return;
	memset(id.asked, 0, sizeof(id.asked));
	id.status = id.audit = false;
	why_set(&me.why, R_IPC_NOLINK, "keyd", NULL, NULL);
	audit_keyd_down();
}

/* ---- time ---- */

void
identity_tick(uint64_t mono_ms)
{
	id.now = mono_ms;
	if (id.busy || mono_ms < id.retry || hubd_link(IPC_KEYD) == NULL)
		return;
	if (mono_ms - id.looked >= STATUS_EVERY)
		id.status = false;
	identity_next();
}

void
identity_time_step(void)
{
	id.retry = 0;
	identity_next();
}

/* ---- start ---- */

static void
load_cert(enum identity_cert c)
{
	static struct store_sql	 get = STORE_SQL("SELECT serial, not_before,"
	    " not_after, certificate FROM issued WHERE profile = ?1 AND"
	    " certificate IS NOT NULL ORDER BY id DESC LIMIT 1");
	sqlite3_stmt		*st = store_stmt(&get);
	uint8_t			 serial[16] = { 0 }, der[CERT_MAX];
	size_t			 len;

	store_bind(st, "i", (int64_t)certs[c].profile);
	if (store_row(st) == 1) {
		store_blob(st, 0, serial, sizeof(serial));
		len = store_blob(st, 3, der, sizeof(der));
		cert_keep(c, serial, (uint64_t)sqlite3_column_int64(st, 1),
		    (uint64_t)sqlite3_column_int64(st, 2), der, len);
	}
	sqlite3_reset(st);
}

/* What 'identity show' says of the chain in slot 0. */
static void
slot0_describe(void)
{
	const uint8_t		*p = me.slot0.der, *der;
	size_t			 left = me.slot0.len, len;
	struct cert_info	 info;
	bool			 first = true;

	me.slot0.have = false;
	me.slot0.not_before = 0;
	me.slot0.not_after = UINT64_MAX;
	while (cert_next(&p, &left, &der, &len)) {
		if (cert_read(der, len, &info) == -1)
			return;
		if (first && EVP_Q_digest(NULL, "SHA256", NULL, der, len,
		    me.slot0.root, NULL) != 1)
			return;
		first = false;
		if (info.not_before > me.slot0.not_before)
			me.slot0.not_before = info.not_before;
		if (info.not_after < me.slot0.not_after)
			me.slot0.not_after = info.not_after;
	}
	if (first || left != 0)
		return;
	me.slot0.have = true;
	text_set(me.slot0.subject, sizeof(me.slot0.subject), info.subject);
	text_set(me.slot0.issuer, sizeof(me.slot0.issuer), info.issuer);
	hex(info.serial, info.seriallen, me.slot0.serial);
}

static void
load_slot0(void)
{
	static struct store_sql	 get = STORE_SQL(
	    "SELECT chain FROM slot WHERE slot = 0");
	sqlite3_stmt		*st = store_stmt(&get);

	if (store_row(st) == 1) {
		me.slot0.len = store_blob(st, 0, me.slot0.der,
		    sizeof(me.slot0.der));
		slot0_describe();
	}
	sqlite3_reset(st);
}

void
identity_start(void)
{
	unsigned	c;

	memset(&me, 0, sizeof(me));
	memset(&id, 0, sizeof(id));
	id.backoff = RETRY_MIN;
	why_set(&me.why, R_IPC_NOLINK, "keyd", NULL, NULL);
	for (c = 0; c < IDC_N; c++)
		load_cert(c);
	load_slot0();
}

/* ---- the operator ---- */

static void
installed(enum reason r, void *arg)
{
	if (r == R_OK)
		peers_identity();
}

enum reason
identity_install(const void *pem, size_t len, struct why *why)
{
	static struct store_sql	 put = STORE_SQL(
	    "INSERT INTO slot VALUES (0, ?1, ?2)"
	    " ON CONFLICT (slot) DO UPDATE SET chain = ?1, installed = ?2");
	static struct store_sql	 del = STORE_SQL(
	    "DELETE FROM meta WHERE name = 'node_was'");
	static uint8_t		 chain[SLOT_MAX];
	uint64_t		 now = clock_trusted();
	sqlite3_stmt		*st;
	size_t			 n;
	enum reason		 r;

	if (!me.keys[IDK_SPDM].have)
		return why_set(why, R_KEY_IDENTITY_NONE, NULL, NULL, NULL);
	if ((r = cert_chain(pem, len, me.keys[IDK_SPDM].point,
	    me.keys[IDK_SPDM].len, clockd_unset() ? 0 : now, chain, &n,
	    why)) != R_OK)
		return r;
	st = store_stmt(&put);
	store_bind(st, "bi", chain, n, (int64_t)now);
	if ((r = store_write(st)) != R_OK ||
	    (r = store_write(store_stmt(&del))) != R_OK)
		return why_set(why, r, NULL, NULL, NULL);
	memcpy(me.slot0.der, chain, n);
	me.slot0.len = n;
	slot0_describe();
	id.slot0_ours = true;
	audit_record(AUDIT_CERT, "slot 0", R_OK, "chain installed: %s, serial"
	    " %s", me.slot0.subject, me.slot0.serial);
	if (me.why.reason == R_KEY_IDENTITY_CHANGED)
		why_set(&me.why, R_OK, NULL, NULL, NULL);
	if (id.complete) {
		tell_slots(IPC_ATTESTQ);
		tell_slots(IPC_ATTESTR);
		store_after_commit(installed, NULL);
	}
	return R_OK;
}

struct csr_wait {
	identity_csr_fn	 fn;
	void		*arg;
};

static void
got_csr(const struct ipc_reply *rep, void *arg)
{
	const struct msg_csr_rep	*m = rep->msg;
	const struct msg_refused	*ref = rep->refused;
	struct csr_wait			*w = arg;
	struct why			 why;

	if (rep->type == MSG_CSR_REP) {
		why_set(&why, R_OK, NULL, NULL, NULL);
		w->fn(m->csr.data, m->csr.len, &why, w->arg);
	} else {
		why_set(&why, rep->reason, ref == NULL ? NULL : ref->field,
		    ref == NULL ? NULL : ref->expected,
		    ref == NULL ? NULL : ref->seen);
		w->fn(NULL, 0, &why, w->arg);
	}
	free(w);
}

void
identity_csr(const char *serial, identity_csr_fn fn, void *arg)
{
	struct msg_csr_req	 m = { .key = me.keys[IDK_SPDM].key };
	struct csr_wait		*w;
	struct why		 why;

	if (!me.keys[IDK_SPDM].have) {
		why_set(&why, R_KEY_IDENTITY_NONE, NULL, NULL, NULL);
		fn(NULL, 0, &why, arg);
		return;
	}
	if ((w = calloc(1, sizeof(*w))) == NULL)
		fatal("identity");
	w->fn = fn;
	w->arg = arg;
	IPC_SET_STR(m.name, conf->node);
	IPC_SET_STR(m.serial, serial);
	if (chan_call(hubd_link(IPC_KEYD), MSG_CSR_REQ, &m, -1, KEYD_TIMEOUT,
	    got_csr, w) == 0)
		return;
	free(w);
	why_set(&why, R_IPC_NOLINK, "keyd", NULL, NULL);
	fn(NULL, 0, &why, arg);
}
