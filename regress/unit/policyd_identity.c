/*
 * The node's identity: complete after a kill of either side at every step,
 * no certificate without a record, renewal at two thirds and after a step of
 * the clock, and the manufacturer's chain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>

#include "clock.h"
#include "policyd_dir.h"
#include "policyd_keyd.h"

#define START	(clock_build_time() + 86400)
#define DAY	UINT64_C(86400)
#define CALLS	8	/* of a first start: status, 4 keys, 3 certificates;
			   the counter's call may come in between */

static char		name[] = "bmc-a";
static struct conf	config = { .node = name, .spdm_curve = CURVE_P384,
    .leaf_lifetime = 90 * 86400, .checkpoint = 600000 };
const struct conf	*conf = &config;
static unsigned		completed;
static uint64_t		mono;
static bool		clock_is_unset;

void
control_event(const struct audit_row *row)
{
}

void
peers_identity(void)
{
	fake_wants_commit();	/* nobody is told what may be lost */
	completed++;
}

bool
clockd_unset(void)
{
	return clock_is_unset;
}

static void
keyd_down(void)
{
	identity_down(IPC_KEYD);
}

static void
keyd_up(void)
{
	fake_start();
	identity_up(IPC_KEYD);
	fake_pump();
}

static void
policyd_up(void)
{
	assert_int_equal(store_open(dir_store), R_OK);
	audit_start();
	identity_start();
}

static void
later(uint64_t ms)
{
	mono += ms;
	identity_tick(mono);
	fake_pump();
}

static int
setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	fake.counted = true;
	fake_down = keyd_down;
	mono = 1000000;
	completed = 0;
	clock_is_unset = false;
	config.spdm_curve = CURVE_P384;
	clock_set(START);
	if (dir_make(state) == -1)
		return -1;
	policyd_up();
	identity_tick(mono);
	return 0;
}

static int
teardown(void **state)
{
	fake_stop();
	fake_forget();
	store_close();
	return dir_remove(state);
}

/* Every certificate that keyd was ever asked for has its row. */
static void
assert_recorded(void)
{
	static struct store_sql	 get = STORE_SQL(
	    "SELECT profile FROM issued WHERE serial = ?1");
	sqlite3_stmt		*st;
	unsigned		 i;

	for (i = 0; i < fake.ncerts; i++) {
		st = store_stmt(&get);
		store_bind(st, "b", fake.serials[i], (size_t)16);
		assert_int_equal(store_row(st), 1);
		assert_int_equal(sqlite3_column_int64(st, 0),
		    fake.profiles[i]);
		sqlite3_reset(st);
	}
}

static void
assert_complete(void)
{
	const struct identity	*me = identity_get();
	char			 id[NODE_ID_LEN + 1];
	uint64_t		 now = clock_trusted();
	unsigned		 i;

	assert_int_equal(me->why.reason, R_OK);
	assert_true(completed > 0);
	for (i = 0; i < IDK_N; i++)
		assert_true(me->keys[i].have);
	for (i = 0; i < IDC_N; i++) {
		assert_true(me->certs[i].have);
		assert_true(me->certs[i].not_before <= now);
		assert_true(me->certs[i].renew > now);
	}
	assert_int_equal(cert_node_id(me->keys[IDK_SPDM].point,
	    me->keys[IDK_SPDM].len, id), 0);
	assert_string_equal(me->node, id);
	assert_recorded();
}

static X509 *
x509_of(enum identity_cert c)
{
	const uint8_t	*p = identity_get()->certs[c].der;
	X509		*x;

	x = d2i_X509(NULL, &p, (long)identity_get()->certs[c].len);
	assert_non_null(x);
	return x;
}

/* ---- from nothing ---- */

static void
test_first_start(void **state)
{
	X509	*ca, *leaf;

	assert_int_equal(identity_get()->why.reason, R_IPC_NOLINK);
	keyd_up();
	assert_complete();
	assert_int_equal(fake.ncerts, 3);
	assert_int_equal(completed, 1);
	assert_int_equal(identity_get()->keys[IDK_SPDM].len, 97);
	ca = x509_of(IDC_NODE_CA);
	leaf = x509_of(IDC_TLS_LEAF);
	assert_int_equal(X509_check_issued(ca, leaf), X509_V_OK);
	assert_int_equal(identity_get()->certs[IDC_NODE_CA].not_after,
	    253402300799);
	X509_free(ca);
	X509_free(leaf);
}

static void
test_p256(void **state)
{
	config.spdm_curve = CURVE_P256;
	keyd_up();
	assert_complete();
	assert_int_equal(identity_get()->keys[IDK_SPDM].len, 65);
}

/* A second start of either side asks for nothing that is there. */
static void
test_idempotent(void **state)
{
	char	node[NODE_ID_LEN + 1];

	keyd_up();
	memcpy(node, identity_get()->node, sizeof(node));
	fake_stop();
	assert_int_equal(identity_get()->why.reason, R_IPC_NOLINK);
	keyd_up();
	assert_complete();
	assert_int_equal(fake.ncerts, 3);
	assert_int_equal(completed, 1);		/* nothing changed */
	fake_stop();
	store_close();
	policyd_up();
	keyd_up();
	assert_complete();
	assert_int_equal(fake.ncerts, 3);
	assert_string_equal(identity_get()->node, node);
}

/* ---- kills ---- */

static void
test_keyd_killed_at_every_call(void **state)
{
	unsigned	at, before;

	for (at = 1; at <= CALLS + 1; at++) {
		for (before = 0; before < 2; before++) {
			teardown(state);
			setup(state);
			fake.die_before = before ? at : 0;
			fake.die_after = before ? 0 : at;
			keyd_up();
			assert_null(link_keyd);
			later(1000);
			keyd_up();
			later(600000);
			assert_complete();
		}
	}
}

static void
test_policyd_killed_at_every_call(void **state)
{
	unsigned	at, before;

	for (at = 1; at <= CALLS + 1; at++) {
		for (before = 0; before < 2; before++) {
			teardown(state);
			setup(state);
			fake.die_before = before ? at : 0;
			fake.die_after = before ? 0 : at;
			keyd_up();
			assert_null(link_keyd);
			store_close();
			policyd_up();
			assert_recorded();
			keyd_up();
			assert_complete();
		}
	}
}

/* The keys of the node, which outlive every process. */
static void
make_keys(void)
{
	bool	made;

	(void)fake_key("ca", KEY_CA, KEY_P256, &made);
	(void)fake_key("spdm", KEY_SPDM, KEY_P384, &made);
	(void)fake_key("tls", KEY_TLS, KEY_P256, &made);
	(void)fake_key("audit", KEY_AUDIT, KEY_P256, &made);
}

/* Killed at every write of the store, with keyd living on. */
static void
die_starting(int at)
{
	disk_install();
	disk_die_at = (unsigned)at;
	if (store_open(dir_store) != R_OK)
		_exit(97);
	audit_start();
	identity_start();
	keyd_up();
	store_close();
}

static void
test_killed_at_every_write(void **state)
{
	int	at, st = -1;

	for (at = 1; st == -1; at++) {
		assert_true(at < 500);
		store_close();
		dir_remove(state);
		dir_make(state);
		make_keys();
		st = in_child(die_starting, at);
		policyd_up();
		keyd_up();
		assert_complete();
		fake_stop();
		fake.ncerts = 0;
	}
	assert_int_equal(st, 0);
	assert_true(at > 20);
}

/* ---- keyd refuses or lies ---- */

static void
test_refused_then_retried(void **state)
{
	fake.refuse = R_TPM_LOCKOUT;
	keyd_up();
	assert_int_equal(identity_get()->why.reason, R_TPM_LOCKOUT);
	assert_string_equal(identity_get()->why.field, "field");
	fake.calls = 0;
	later(100);			/* not yet */
	assert_int_equal(fake.calls, 0);
	later(1000);
	assert_int_equal(fake.calls, 1);
	later(1000);			/* it backs off */
	assert_int_equal(fake.calls, 1);
	fake.refuse = R_OK;
	later(2000);
	assert_complete();
}

static void
lied(enum fake_lie lie)
{
	fake.lie = lie;
	keyd_up();
	assert_int_equal(identity_get()->why.reason, R_KEY_IDENTITY_CERT);
	assert_int_equal(completed, 0);
	fake.lie = LIE_NONE;
	later(600000);
	assert_complete();
}

static void
test_wrong_serial(void **state)
{
	lied(LIE_SERIAL);
}

static void
test_wrong_key(void **state)
{
	lied(LIE_KEY);
}

static void
test_wrong_window(void **state)
{
	lied(LIE_WINDOW);
}

static void
test_wrong_signature(void **state)
{
	lied(LIE_SIGNATURE);
}

static void
test_wrong_node(void **state)
{
	lied(LIE_NODE);
}

static void
test_junk(void **state)
{
	lied(LIE_JUNK);
}

/* ---- renewal ---- */

static void
serials(uint8_t s[IDC_N][16])
{
	unsigned	i;

	for (i = 0; i < IDC_N; i++)
		memcpy(s[i], identity_get()->certs[i].serial, 16);
}

static void
assert_renewed(uint8_t was[IDC_N][16], bool leafs)
{
	uint8_t	now[IDC_N][16];

	serials(now);
	assert_memory_equal(now[IDC_NODE_CA], was[IDC_NODE_CA], 16);
	assert_int_equal(memcmp(now[IDC_TLS_LEAF], was[IDC_TLS_LEAF], 16) != 0,
	    leafs);
	assert_int_equal(memcmp(now[IDC_SPDM_LEAF], was[IDC_SPDM_LEAF],
	    16) != 0, leafs);
}

static void
test_two_thirds(void **state)
{
	uint8_t	was[IDC_N][16];

	keyd_up();
	serials(was);
	clock_set(START + 59 * DAY);
	later(60000);
	assert_renewed(was, false);
	assert_int_equal(completed, 1);
	clock_set(START + 60 * DAY);
	later(60000);
	assert_renewed(was, true);
	assert_int_equal(completed, 2);
	assert_complete();
}

static void
test_renewal_waits_for_keyd(void **state)
{
	uint8_t	was[IDC_N][16];

	keyd_up();
	serials(was);
	fake_stop();
	clock_set(START + 61 * DAY);
	later(60000);
	assert_renewed(was, false);
	keyd_up();
	assert_renewed(was, true);
	assert_complete();
}

/* A step of ten years: the leafs are issued again at once. */
static void
test_ten_years(void **state)
{
	uint8_t	was[IDC_N][16];

	keyd_up();
	serials(was);
	clock_set(START + 3652 * DAY);
	identity_time_step();
	fake_pump();
	assert_renewed(was, true);
	assert_complete();
}

/* Time went back (the store was lost): not valid yet is as bad. */
static void
test_step_back(void **state)
{
	uint8_t	was[IDC_N][16];

	clock_set(START + 3652 * DAY);
	keyd_up();
	serials(was);
	clock_set(START);
	identity_time_step();
	fake_pump();
	assert_renewed(was, true);
	assert_complete();
}

/* ---- another key ---- */

static void
test_changed_key(void **state)
{
	char	was[NODE_ID_LEN + 1];

	keyd_up();
	memcpy(was, identity_get()->node, sizeof(was));
	fake_stop();
	fake_forget();
	keyd_up();
	assert_string_not_equal(identity_get()->node, was);
	assert_int_equal(identity_get()->why.reason, R_KEY_IDENTITY_CHANGED);
	assert_string_equal(identity_get()->why.expected, was);
	assert_string_equal(identity_get()->why.seen, identity_get()->node);
	assert_int_equal(fake.ncerts, 6);	/* all over the new keys */
	assert_int_equal(completed, 2);
	fake_stop();
	store_close();
	policyd_up();
	keyd_up();			/* and it is still told */
	assert_int_equal(identity_get()->why.reason, R_KEY_IDENTITY_CHANGED);
	assert_int_equal(fake.ncerts, 6);
}

/* ---- the manufacturer's chain ---- */

static EVP_PKEY	*maker;
static char	 pem[16384];

static int
make_maker(void **state)
{
	return (maker = EVP_EC_gen("P-384")) == NULL ? -1 : 0;
}

static int
free_maker(void **state)
{
	EVP_PKEY_free(maker);
	return 0;
}

static void
chain(EVP_PKEY *leaf, const char *cn)
{
	static const uint8_t	 serial[16] = { 0x41, 2 };
	X509			*x[2];
	BIO			*b = BIO_new(BIO_s_mem());
	char			*p;
	long			 n;
	int			 i;

	x[0] = fake_x509(leaf, cn, maker, "maker", serial, START - 30 * DAY,
	    START + 3000 * DAY, false);
	x[1] = fake_x509(maker, "maker", maker, "maker", serial,
	    START - 300 * DAY, START + 3000 * DAY, true);
	for (i = 0; i < 2; i++) {
		assert_int_equal(PEM_write_bio_X509(b, x[i]), 1);
		X509_free(x[i]);
	}
	n = BIO_get_mem_data(b, &p);
	memcpy(pem, p, (size_t)n);
	pem[n] = '\0';
	BIO_free(b);
}

/* ---- what netd and attestd hear ---- */

static struct chan		*netd, *attestq, *attestr;
static unsigned			 identities, slots[2];
static struct msg_net_identity	 heard;
static struct msg_spdm_slot	 slot[2];

static int
on_identity(struct chan *c, const struct ipc_call *call, const void *arg)
{
	heard = *(const struct msg_net_identity *)arg;
	identities++;
	return 0;
}

static int
on_slot(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_spdm_slot	*m = arg;

	assert_true(m->slot < 2);
	slot[m->slot] = *m;
	slots[m->slot]++;
	return 0;
}

static const struct ipc_handler sister[] = {
	{ MSG_NET_IDENTITY,	on_identity },
	{ MSG_SPDM_SLOT,	on_slot },
};

static struct chan *
sister_up(enum ipc_role r)
{
	struct chan_conf	 sc = { .self = r, .peer = IPC_POLICYD,
	    .handlers = sister, .nhandlers = 2 };
	struct chan_conf	 pc = { .self = IPC_POLICYD, .peer = r };
	struct chan		*c;
	int			 fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	assert_non_null(c = chan_new(fds[0], &sc));
	assert_non_null(link_other[r] = chan_new(fds[1], &pc));
	chan_set_phase(c, IPC_RUN);
	chan_set_phase(link_other[r], IPC_RUN);
	identity_up(r);
	return c;
}

static void
listen_to(void)
{
	fake_pump();
	(void)chan_input(netd);
	(void)chan_input(attestq);
	(void)chan_input(attestr);
}

static EVP_PKEY *
spdm_key(void)
{
	return fake.keys[identity_get()->keys[IDK_SPDM].key];
}

static void
test_install(void **state)
{
	const struct identity	*me = identity_get();
	struct why		 why;

	assert_int_equal(identity_install("", 0, &why), R_KEY_IDENTITY_NONE);
	keyd_up();
	chain(spdm_key(), "unit 7");
	assert_int_equal(identity_install(pem, strlen(pem), &why), R_OK);
	store_turn();
	assert_true(me->slot0.have);
	assert_string_equal(me->slot0.subject, "CN=unit 7");
	assert_string_equal(me->slot0.issuer, "CN=maker");
	assert_string_equal(me->slot0.serial,
	    "41020000000000000000000000000000");
	assert_int_equal(me->slot0.not_after, START + 3000 * DAY);
	store_close();
	policyd_up();
	assert_true(me->slot0.have);
	assert_string_equal(me->slot0.subject, "CN=unit 7");
	/* replaced by the next */
	keyd_up();
	chain(spdm_key(), "unit 7b");
	assert_int_equal(identity_install(pem, strlen(pem), &why), R_OK);
	assert_string_equal(me->slot0.subject, "CN=unit 7b");
	/* and a refused one changes nothing */
	chain(maker, "other");
	assert_int_equal(identity_install(pem, strlen(pem), &why),
	    R_KEY_CHAIN_LEAF);
	assert_string_equal(me->slot0.subject, "CN=unit 7b");
}

static void
test_install_acknowledges_change(void **state)
{
	struct why	why;

	keyd_up();
	fake_stop();
	fake_forget();
	keyd_up();
	assert_int_equal(identity_get()->why.reason, R_KEY_IDENTITY_CHANGED);
	chain(spdm_key(), "unit 7");
	assert_int_equal(identity_install(pem, strlen(pem), &why), R_OK);
	later(120000);
	assert_int_equal(identity_get()->why.reason, R_OK);
}

/* A clock that is unset must not keep a node from its identity. */
static void
test_install_clock_unset(void **state)
{
	struct why	why;

	keyd_up();
	chain(spdm_key(), "unit 7");
	clock_set(START + 9000 * DAY);
	assert_int_equal(identity_install(pem, strlen(pem), &why),
	    R_KEY_CHAIN_WINDOW);
	clock_is_unset = true;
	assert_int_equal(identity_install(pem, strlen(pem), &why), R_OK);
}

/*
 * They hear it when it is complete, when they come, and when it changes; a
 * chain over another key than ours is not served.
 */
static void
test_published(void **state)
{
	const struct identity	*me = identity_get();
	struct why		 why;

	identities = slots[0] = slots[1] = 0;
	netd = sister_up(IPC_NETD);
	attestq = sister_up(IPC_ATTESTQ);
	attestr = sister_up(IPC_ATTESTR);
	listen_to();
	assert_int_equal(identities + slots[0] + slots[1], 0);
	keyd_up();
	listen_to();
	assert_int_equal(identities, 1);
	assert_string_equal(heard.node, me->node);
	assert_string_equal(heard.system_name, "bmc-a");
	assert_int_equal(heard.key, me->keys[IDK_TLS].key);
	assert_int_equal(heard.leaf.len, me->certs[IDC_TLS_LEAF].len);
	assert_int_equal(slots[0], 2);	/* -Q and -R */
	assert_int_equal(slot[0].chain.len, 0);
	assert_int_equal(slots[1], 2);
	assert_int_equal(slot[1].key, me->keys[IDK_SPDM].key);
	assert_int_equal(slot[1].chain.len, me->certs[IDC_NODE_CA].len +
	    me->certs[IDC_SPDM_LEAF].len);

	chain(spdm_key(), "unit 7");
	assert_int_equal(identity_install(pem, strlen(pem), &why), R_OK);
	listen_to();
	assert_int_equal(slot[0].chain.len, me->slot0.len);
	identity_up(IPC_NETD);		/* netd came again */
	listen_to();
	assert_int_equal(identities, 2);
	clock_set(START + 61 * DAY);	/* renewed */
	later(60000);
	listen_to();
	assert_int_equal(identities, 3);

	fake_stop();
	fake_forget();
	keyd_up();			/* the TPM is another */
	listen_to();
	assert_int_equal(identities, 4);
	assert_string_equal(heard.node, me->node);
	assert_int_equal(slot[0].chain.len, 0);
	chan_close(netd);
	chan_close(attestq);
	chan_close(attestr);
	chan_close(link_other[IPC_NETD]);
	chan_close(link_other[IPC_ATTESTQ]);
	chan_close(link_other[IPC_ATTESTR]);
	link_other[IPC_NETD] = link_other[IPC_ATTESTQ] =
	    link_other[IPC_ATTESTR] = NULL;
}

static struct why	csr_why;
static unsigned		csrs;

static void
got_csr(const uint8_t *der, size_t len, const struct why *why, void *arg)
{
	csr_why = *why;
	csrs++;
	assert_int_equal(der != NULL, why->reason == R_OK);
}

static void
test_csr(void **state)
{
	csrs = 0;
	identity_csr("SN1", got_csr, NULL);
	assert_int_equal(csrs, 1);
	assert_int_equal(csr_why.reason, R_KEY_IDENTITY_NONE);
	keyd_up();
	identity_csr("SN1", got_csr, NULL);
	assert_int_equal(csrs, 1);
	fake_pump();
	assert_int_equal(csrs, 2);
	assert_int_equal(csr_why.reason, R_OK);
	fake.refuse = R_KEY_CSR_NAME;
	identity_csr("SN1", got_csr, NULL);
	fake_pump();
	assert_int_equal(csr_why.reason, R_KEY_CSR_NAME);
	assert_string_equal(csr_why.seen, "that");
	fake_stop();
	identity_csr("SN1", got_csr, NULL);
	assert_int_equal(csr_why.reason, R_IPC_NOLINK);
	assert_int_equal(csrs, 4);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_first_start),
		T(test_p256),
		T(test_idempotent),
		T(test_keyd_killed_at_every_call),
		T(test_policyd_killed_at_every_call),
		T(test_killed_at_every_write),
		T(test_refused_then_retried),
		T(test_wrong_serial),
		T(test_wrong_key),
		T(test_wrong_window),
		T(test_wrong_signature),
		T(test_wrong_node),
		T(test_junk),
		T(test_two_thirds),
		T(test_renewal_waits_for_keyd),
		T(test_ten_years),
		T(test_step_back),
		T(test_changed_key),
		T(test_install),
		T(test_install_acknowledges_change),
		T(test_install_clock_unset),
		T(test_published),
		T(test_csr),
	};

	return cmocka_run_group_tests_name("policyd_identity", tests,
	    make_maker, free_maker);
}
