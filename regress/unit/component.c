/*
 * Components: only an operator begins, only the listed device under the right
 * root gets a certificate, never one without a row on disk, and what policyd
 * did not see to its end is shown as such.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "peers_fake.h"
#include "../../policyd/component.h"
#include "x509time.h"

#define DAY	86400u
#define NODE_A	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NODE_N	"dddddddddddddddddddddddddddddddddddddddd"

static char	listed[] = NODE_N, of_77[] = "ACME-77*", of_88[] = "ACME-88*";
static struct conf_component	conf_nic = { .name = (char []){ "nic0" },
	.identity = listed, .address = (char []){ "192.0.2.9" },
	.spdm_port = 4195, .slot = 2, .validity = 30 * DAY };
static const struct proof	proof_n = { NODE_N, ROOT_A, 1, 1, 0, T0 * 2ull,
	0, 0, 0 };

/* ---- a keyd, and attestd's ear for the chain ----------------------------- */

static struct side	 k_keyd;
static EVP_PKEY		*k_ca, *k_device;
static unsigned		 k_asked, k_chains;
static struct msg_cert_req k_req;
static struct msg_component_chain k_chain;
static enum reason	 k_refuse;
static bool		 k_lie, k_mute;

static struct chan *
link_of(enum ipc_role role)
{
	return role == IPC_KEYD ? k_keyd.ours : w_link(role);
}

/* As w_random, but no serial number comes twice. */
static void
random_of(void *p, size_t n)
{
	static uint8_t	k;

	memset(p, 0xff, n);
	if (n >= 16)
		memset(p, ++k & 0x3f, n);
}

static size_t
point(EVP_PKEY *k, uint8_t out[97])
{
	size_t	n = 0;

	assert_int_equal(EVP_PKEY_get_octet_string_param(k, "pub", out, 97,
	    &n), 1);
	return n;
}

static void
put_name(X509_NAME *n, const char *cn)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC,
	    (const unsigned char *)cn, -1, -1, 0), 1);
}

static size_t
certify(EVP_PKEY *subject, const uint8_t *serial, uint64_t nb, uint64_t na,
    const char *uri, uint8_t *der)
{
	X509		*x = X509_new();
	BIGNUM		*b = BN_bin2bn(serial, 16, NULL);
	ASN1_TIME	*t = ASN1_TIME_new();
	X509_EXTENSION	*e;
	char		 text[160];
	int		 n;

	X509_set_version(x, 2);
	BN_to_ASN1_INTEGER(b, X509_get_serialNumber(x));
	put_name(X509_get_issuer_name(x), "node CA");
	put_name(X509_get_subject_name(x), "leaf");
	assert_int_equal(x509_time_set(t, nb), 0);
	X509_set1_notBefore(x, t);
	assert_int_equal(x509_time_set(t, na), 0);
	X509_set1_notAfter(x, t);
	X509_set_pubkey(x, subject);
	if (uri != NULL) {
		snprintf(text, sizeof(text), "URI:%s", uri);
		e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
		    text);
		assert_int_equal(X509_add_ext(x, e, -1), 1);
		X509_EXTENSION_free(e);
	}
	assert_true(X509_sign(x, k_ca, EVP_sha256()) > 0);
	n = i2d_X509(x, &der);
	assert_true(n > 0 && n < 2048);
	ASN1_TIME_free(t);
	BN_free(b);
	X509_free(x);
	return (size_t)n;
}

static int
k_cert(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct msg_cert_rep	m;
	char			uri[128];

	k_asked++;
	k_req = *(const struct msg_cert_req *)arg;
	/* What this call follows from is on disk: no transaction is open. */
	assert_int_not_equal(sqlite3_get_autocommit(store_db()), 0);
	if (k_mute)
		return 0;
	if (k_refuse != R_OK)
		return chan_refuse(c, call, k_refuse);
	memset(&m, 0, sizeof(m));
	snprintf(uri, sizeof(uri), "urn:provd:component:%s:%s", k_req.node,
	    k_lie ? "gpu0" : k_req.component);
	m.certificate.len = (uint32_t)certify(k_device, k_req.serial.data,
	    k_req.not_before, k_req.not_after, uri, m.certificate.data);
	return chan_reply(c, call, MSG_CERT_REP, &m);
}

static int
q_chain(struct chan *c, const struct ipc_call *call, const void *arg)
{
	k_chains++;
	k_chain = *(const struct msg_component_chain *)arg;
	/* and neither is it here */
	assert_int_not_equal(sqlite3_get_autocommit(store_db()), 0);
	return 0;
}

static const struct ipc_handler at_keyd[] = {
	{ MSG_CERT_REQ, k_cert },
};
static const struct ipc_handler at_attestq[] = {
	{ MSG_JOB_OPEN, w_job_open }, { MSG_JOB_CANCEL, w_job_cancel },
	{ MSG_COMPONENT_CHAIN, q_chain },
};

static void
pump(void)
{
	int	i;

	/* What keyd is asked it hears before the turn's commit, if it was
	   asked too early. */
	for (i = 0; i < 12; i++) {
		w_side_pump(&w_netd);
		w_side_pump(&w_attestq);
		w_side_pump(&k_keyd);
		w_side_pump(&w_attestq);
		store_turn();
	}
}

static void
attestq_up(void)
{
	w_up(&w_attestq, IPC_ATTESTQ, from_attestq, nfrom_attestq, at_attestq,
	    3);
}

/* What identity.c has once keyd answered. */
static void
know_ourselves(void)
{
	struct identity	*me = (struct identity *)(uintptr_t)identity_get();
	uint8_t		 serial[16] = { 0x41, 1 };

	IPC_SET_STR(me->node, NODE_A);
	me->keys[IDK_CA].have = true;
	me->keys[IDK_CA].key = 7;
	me->keys[IDK_CA].len = point(k_ca, me->keys[IDK_CA].point);
	me->certs[IDC_NODE_CA].len = certify(k_ca, serial, 0, T0 * 2ull, NULL,
	    me->certs[IDC_NODE_CA].der);
	me->certs[IDC_NODE_CA].have = true;
}

static void
all_up(void)
{
	peers_env.link = link_of;
	peers_env.random = random_of;
	w_netd_up();
	attestq_up();
	w_up(&k_keyd, IPC_KEYD, from_keyd, nfrom_keyd, at_keyd, 1);
	pump();
}

static int
setup(void **state)
{
	conf_nic.slot = 2;
	conf_nic.identity = listed;
	conf_nic.serial = NULL;
	conf_nic.root = NULL;
	config.components = &conf_nic;
	config.peers = NULL;
	k_asked = k_chains = 0;
	k_refuse = R_OK;
	k_lie = k_mute = false;
	k_ca = EVP_EC_gen("P-256");
	k_device = EVP_EC_gen("P-384");
	know_ourselves();
	if (w_setup(state) == -1)
		return -1;
	all_up();
	return 0;
}

static int
teardown(void **state)
{
	w_down(&k_keyd);
	EVP_PKEY_free(k_ca);
	EVP_PKEY_free(k_device);
	return w_teardown(state);
}

/* policyd is killed: it sees nobody go, and starts again. */
static void
restart(void)
{
	components_end();
	w_down(&k_keyd);
	w_kill();
	w_start();
	all_up();
}

/* ---- what the device does ------------------------------------------------ */

static struct component *
nic(void)
{
	return component_byname("nic0");
}

static void
enrol(void)
{
	assert_int_equal(component_step(nic(), CE_ENROL, NULL), 0);
	component_job_pump();
	pump();
}

static void
prove(const struct proof *p)
{
	w_identity(p);
	w_measurement(1, 1, false, p->firmware, 48);
	w_end(1);
	pump();
}

static void
ask_with(uint32_t algorithm)
{
	struct msg_component_csr	m = { .job = w_job.job,
	    .algorithm = algorithm };

	m.public.len = (uint32_t)point(k_device, m.public.data);
	IPC_SET_STR(m.name, "some nic");
	w_send(&w_attestq, MSG_COMPONENT_CSR, &m);
	pump();
}

static void
ask(void)
{
	ask_with(KEY_P384);
}

static void
held(bool right)
{
	struct msg_component_held	m = { .job = w_job.job };

	SHA256(k_chain.chain.data, k_chain.chain.len, m.chain.data);
	m.chain.len = 32;
	m.chain.data[0] ^= !right;
	w_send(&w_attestq, MSG_COMPONENT_HELD, &m);
	pump();
}

static void
reset(bool set, uint32_t tag)
{
	struct msg_component_reset	m = { .job = w_job.job, .set = set,
	    .tag = tag };

	w_send(&w_attestq, MSG_COMPONENT_RESET, &m);
	pump();
}

static void
pass(uint64_t seconds, uint64_t step)
{
	for (; seconds > 0; seconds -= step) {
		w_mono += step * 1000;
		w_now += step;
		peers_tick(w_mono);
		pump();
	}
}

/* Second by second until it is in this state. */
static void
until(enum component_state state)
{
	unsigned	i;

	for (i = 0; i < 200 && nic()->state != state; i++)
		pass(1, 1);
	assert_int_equal(nic()->state, state);
}

/* Its certificate begins an hour before it was issued. */
static void
until_renewal(uint64_t seconds)
{
	pass(seconds, 3600);
	pass(3540, 60);
	until(C_RENEWING);
}

/* The rows of certificates for components: with one, and without. */
static void
count_issued(unsigned with, unsigned without)
{
	static struct store_sql	 get = STORE_SQL("SELECT"
	    " count(certificate), count(*) FROM issued WHERE profile = 3");
	sqlite3_stmt		*st = store_stmt(&get);

	assert_int_equal(store_row(st), 1);
	assert_int_equal(sqlite3_column_int(st, 0), with);
	assert_int_equal(sqlite3_column_int(st, 1), with + without);
	sqlite3_reset(st);
}

static void
enrolled(void)
{
	enrol();
	prove(&proof_n);
	ask();
	held(true);
	assert_int_equal(nic()->state, C_ENROLLED);
	assert_true(component_enrolled(nic()));
}

/* ---- the straight way ---------------------------------------------------- */

static void
test_enrol(void **state)
{
	const struct component	*c = nic();
	const uint8_t		*p = k_chain.chain.data, *der;
	size_t			 left, n;

	assert_int_equal(c->state, C_NOTENROLLED);
	assert_int_equal(c->why.reason, R_POL_COMPONENT_NOT_ASKED);
	pass(7 * DAY, 3600);		/* nobody but the operator begins */
	assert_int_equal(w_opens, 0);
	enrol();
	assert_int_equal(c->state, C_ENROLLING);
	assert_int_equal(w_job.kind, JOB_COMPONENT);
	assert_int_equal(w_job.slot, 2);
	assert_int_equal(w_job.readback, 0);
	assert_int_equal(w_dial.port, 4195);
	assert_string_equal(w_dial.address, "192.0.2.9");
	prove(&proof_n);
	assert_int_equal(k_asked, 0);
	ask();
	assert_int_equal(k_asked, 1);
	assert_int_equal(k_req.profile, CERT_COMPONENT_LEAF);
	assert_int_equal(k_req.issuer, 7);
	assert_string_equal(k_req.component, "nic0");
	assert_string_equal(k_req.node, NODE_A);
	assert_int_equal(k_req.not_after - k_req.not_before, 30 * DAY);
	assert_int_equal(k_chains, 1);
	left = k_chain.chain.len;	/* node CA first, then the leaf */
	assert_true(cert_next(&p, &left, &der, &n));
	assert_memory_equal(der, identity_get()->certs[IDC_NODE_CA].der, n);
	assert_true(cert_next(&p, &left, &der, &n));
	assert_int_equal(left, 0);
	assert_false(component_enrolled(c));
	held(true);
	assert_int_equal(c->state, C_ENROLLED);
	assert_int_equal(c->why.reason, R_OK);
	assert_string_equal(c->node, NODE_N);
	assert_memory_equal(c->cert.der, der, n);
	count_issued(1, 0);
	assert_int_equal(w_cancels, 0);
	restart();			/* and it is on disk */
	assert_int_equal(nic()->state, C_ENROLLED);
	assert_memory_equal(nic()->cert.der, der, n);
}

/* ---- refusals ------------------------------------------------------------ */

static void
refused(const struct proof *p, enum reason r, enum component_state s)
{
	enrol();
	prove(p);
	assert_int_equal(nic()->state, s);
	assert_int_equal(nic()->why.reason, r);
	assert_int_equal(w_cancels, 1);
	w_cancels = 0;
	ask();				/* too late, and no offence */
	assert_non_null(w_attestq.ours);
	assert_int_equal(k_asked, 0);
	count_issued(0, 0);
}

static void
test_refused(void **state)
{
	struct proof	p = proof_n;

	p.root = ROOT_B;
	refused(&p, R_POL_ROOT, C_FAILED);
	p = proof_n;
	p.node = NODE_C;
	refused(&p, R_POL_IDENTITY, C_FAILED);
	p.node = NODE_A;		/* our own */
	refused(&p, R_POL_SELF, C_FAILED);
	p = proof_n;
	p.not_after = T0 - 1;
	refused(&p, R_POL_WINDOW, C_UNFINISHED);
	conf_nic.identity = NULL;
	conf_nic.serial = of_88;
	refused(&proof_n, R_POL_SERIAL, C_FAILED);
	conf_nic.serial = of_77;
	enrolled();
}

/* A root of its own takes the place of the accepted ones, and is no other's. */
static void
test_own_root(void **state)
{
	struct evidence	 ev = { .have = HAVE_IDENTITY | HAVE_MEASURED |
	    HAVE_FRESH, .version = 0x13, .algorithm = KEY_P384,
	    .not_after = T0 * 2ull };
	struct listing	 l = { .identity = NODE_N, .serial = "", .own = NODE_A };
	uint8_t		 root[HASH_LEN];
	struct why	 why;

	IPC_SET_STR(ev.node, NODE_N);
	memset(ev.root, ROOT_B, HASH_LEN);
	memset(root, ROOT_B, HASH_LEN);
	assert_int_equal(policy_judge_component(&policy, &l, root, &ev, T0,
	    &why), R_OK);
	assert_int_equal(policy_judge_component(&policy, &l, NULL, &ev, T0,
	    &why), R_POL_ROOT);
	memset(ev.root, ROOT_A, HASH_LEN);
	assert_int_equal(policy_judge_component(&policy, &l, root, &ev, T0,
	    &why), R_POL_ROOT);
	/* a root alone lists nobody */
	l.identity = "";
	assert_int_equal(policy_judge_component(&policy, &l, NULL, &ev, T0,
	    &why), R_POL_NOT_LISTED);
}

/* Half of the evidence is none. */
static void
test_incomplete(void **state)
{
	enrol();
	w_identity(&proof_n);
	w_end(0);
	pump();
	assert_int_equal(nic()->state, C_FAILED);
	assert_int_equal(nic()->why.reason, R_POL_INCOMPLETE);
}

/* A request before the evidence, or twice, is a word of no honest attestd. */
static void
test_offences(void **state)
{
	unsigned	i;

	for (i = 0; i < 5; i++) {
		enrol();
		if (i > 0)
			prove(&proof_n);
		if (i == 1)
			held(true);		/* before anything was set */
		else if (i == 2)
			reset(true, 0);
		else if (i == 3) {
			k_mute = true;
			ask();
			k_mute = false;
			ask();
		} else if (i == 4)
			ask_with(KEY_P256);	/* a point of the other curve */
		else
			ask();
		assert_true(w_attestq.offended);
		assert_int_equal(nic()->state, C_UNFINISHED);
		assert_int_equal(nic()->why.reason, R_IPC_CLOSED);
		w_down(&w_attestq);
		attestq_up();
		pump();
	}
	assert_int_equal(k_chains, 0);
	enrolled();
}

static void
test_keyd_refuses(void **state)
{
	k_refuse = R_KEY_CERT_SUBJECT;
	enrol();
	prove(&proof_n);
	ask();
	assert_int_equal(nic()->state, C_FAILED);
	assert_int_equal(nic()->why.reason, R_KEY_CERT_SUBJECT);
	assert_int_equal(k_chains, 0);
	count_issued(0, 0);
	k_refuse = R_OK;
	k_lie = true;			/* the name of another component */
	enrol();
	prove(&proof_n);
	ask();
	assert_int_equal(nic()->why.reason, R_KEY_IDENTITY_CERT);
	assert_int_equal(k_chains, 0);
	k_lie = false;
	enrolled();
}

static void
test_device_refuses(void **state)
{
	enrol();
	prove(&proof_n);
	ask();
	w_fail(R_ATT_SET_CERTIFICATE);
	pump();
	assert_int_equal(nic()->state, C_FAILED);
	assert_int_equal(nic()->why.reason, R_ATT_SET_CERTIFICATE);
	assert_false(component_enrolled(nic()));
	enrol();
	prove(&proof_n);
	ask();
	held(false);			/* it took one and shows another */
	assert_int_equal(nic()->state, C_FAILED);
	assert_int_equal(nic()->why.reason, R_ATT_SLOT_OTHER);
	count_issued(2, 0);		/* both are on record */
	enrolled();
}

static void
test_unreachable(void **state)
{
	w_refuse_dial = R_NET_REFUSED;
	enrol();
	assert_int_equal(nic()->state, C_UNFINISHED);
	assert_int_equal(nic()->why.reason, R_NET_REFUSED);
	pass(DAY, 3600);			/* not by itself */
	assert_int_equal(w_dials, 1);
	w_refuse_dial = R_OK;
	enrol();
	pass(40, 1);			/* it connects, and says nothing */
	assert_int_equal(nic()->state, C_UNFINISHED);
	assert_int_equal(nic()->why.reason, R_POL_TIMEOUT);
	enrolled();
}

/* ---- kills --------------------------------------------------------------- */

/* At every step: an end that was not seen is none, and no row is missing. */
static void
test_killed(void **state)
{
	unsigned	at;

	for (at = 0; at < 5; at++) {
		k_mute = at == 2;
		enrol();
		if (at > 0)
			prove(&proof_n);
		if (at > 1)
			ask();
		if (at == 4) {
			w_down(&k_keyd);
			held(true);
			assert_int_equal(nic()->state, C_ENROLLED);
		}
		k_mute = false;
		restart();
		if (at == 4)
			break;
		assert_int_equal(nic()->state, C_UNFINISHED);
		assert_int_equal(nic()->why.reason,
		    R_POL_COMPONENT_UNFINISHED);
		assert_false(component_enrolled(nic()));
		pass(3600, 600);
		assert_int_equal(nic()->state, C_UNFINISHED);
	}
	/* asked four times: at 2 without an answer that was stored */
	assert_int_equal(k_asked, 3);
	count_issued(2, 1);
	assert_int_equal(nic()->state, C_ENROLLED);
}

/* attestd -Q dies in the middle; the answer of keyd comes all the same. */
static void
test_attestq_killed(void **state)
{
	enrol();
	prove(&proof_n);
	k_mute = true;
	ask();
	w_down(&w_attestq);
	pump();
	assert_int_equal(nic()->state, C_UNFINISHED);
	assert_int_equal(nic()->why.reason, R_IPC_CLOSED);
	attestq_up();
	k_mute = false;
	enrolled();
}

/* ---- renewal ------------------------------------------------------------- */

static void
test_renewal(void **state)
{
	uint8_t		 first[16];
	unsigned	 opens;

	enrolled();
	memcpy(first, nic()->cert.serial, 16);
	opens = w_opens;
	pass(19 * DAY, 3600);
	assert_int_equal(w_opens, opens);
	until_renewal(DAY - 7200);	/* two thirds of 30 days */
	assert_int_equal(w_opens, opens + 1);
	assert_int_equal(nic()->state, C_RENEWING);
	assert_true(component_enrolled(nic()));
	w_fail(R_ATT_TIMEOUT);		/* the old one stays, it tries again */
	pump();
	assert_int_equal(nic()->state, C_ENROLLED);
	assert_int_equal(nic()->trouble.reason, R_ATT_TIMEOUT);
	assert_memory_equal(nic()->cert.serial, first, 16);
	until(C_RENEWING);
	assert_int_equal(w_opens, opens + 2);
	prove(&proof_n);
	ask();
	restart();			/* the new one was not seen in the slot */
	assert_int_equal(nic()->state, C_ENROLLED);
	assert_memory_equal(nic()->cert.serial, first, 16);
	until(C_RENEWING);
	prove(&proof_n);
	ask();
	held(true);
	assert_int_equal(nic()->state, C_ENROLLED);
	assert_int_equal(nic()->trouble.reason, R_OK);
	opens = w_opens;
	pass(3600, 600);
	assert_int_equal(w_opens, opens);
}

/* Another device in its place: it is not renewed. */
static void
test_renewal_refused(void **state)
{
	struct proof	p = proof_n;
	unsigned	opens;

	enrolled();
	until_renewal(20 * DAY - 7200);
	p.node = NODE_C;
	prove(&p);
	assert_int_equal(nic()->state, C_FAILED);
	assert_int_equal(nic()->why.reason, R_POL_IDENTITY);
	opens = w_opens;
	pass(DAY, 3600);
	assert_int_equal(w_opens, opens);
}

static void
test_other_ca(void **state)
{
	unsigned	opens;

	enrolled();
	opens = w_opens;
	EVP_PKEY_free(k_ca);
	k_ca = EVP_EC_gen("P-256");
	know_ourselves();
	pass(2, 1);
	assert_int_equal(w_opens, opens + 1);
	assert_int_equal(nic()->state, C_RENEWING);
}

/* ---- a reset ------------------------------------------------------------- */

static void
test_reset_csr(void **state)
{
	enrol();
	prove(&proof_n);
	reset(false, 5);
	assert_int_equal(nic()->state, C_RESETREQUIRED);
	assert_int_equal(nic()->why.reason, R_ATT_RESET_REQUIRED);
	restart();
	assert_int_equal(nic()->state, C_RESETREQUIRED);
	w_refuse_dial = R_NET_UNREACHABLE;	/* it is being reset */
	pass(60, 1);
	assert_int_equal(nic()->state, C_RESETREQUIRED);
	assert_int_equal(nic()->why.reason, R_ATT_RESET_REQUIRED);
	assert_int_equal(nic()->trouble.reason, R_NET_UNREACHABLE);
	w_refuse_dial = R_OK;
	until(C_RESUMING);
	assert_int_equal(w_job.tag, 5);
	assert_int_equal(w_job.readback, 0);
	prove(&proof_n);
	ask();
	held(true);
	assert_int_equal(nic()->state, C_ENROLLED);
	assert_int_equal(nic()->trouble.reason, R_OK);
}

static void
test_reset_set(void **state)
{
	enrol();
	prove(&proof_n);
	ask();
	reset(true, 0);
	assert_int_equal(nic()->state, C_RESETREQUIRED);
	assert_false(component_enrolled(nic()));
	until(C_RESUMING);
	assert_int_equal(w_job.readback, 1);
	prove(&proof_n);
	w_fail(R_ATT_SLOT_OTHER);	/* not yet */
	pump();
	assert_int_equal(nic()->state, C_RESETREQUIRED);
	restart();
	until(C_RESUMING);
	prove(&proof_n);
	assert_int_equal(k_chains, 1);
	held(true);
	assert_int_equal(nic()->state, C_ENROLLED);
	assert_int_equal(k_asked, 1);
	count_issued(1, 0);
}

/* An operator who does not wait begins anew: with another certificate. */
static void
test_reset_again(void **state)
{
	enrol();
	prove(&proof_n);
	ask();
	reset(true, 0);
	enrol();
	assert_int_equal(nic()->state, C_RESUMING);
	assert_int_equal(w_job.readback, 0);
	assert_int_equal(w_job.tag, 0);
	prove(&proof_n);
	ask();
	held(true);
	assert_int_equal(nic()->state, C_ENROLLED);
	count_issued(2, 0);
}

/* ---- configuration ------------------------------------------------------- */

static void
test_slot_changed(void **state)
{
	enrolled();
	conf_nic.slot = 3;
	restart();
	assert_int_equal(nic()->state, C_NOTENROLLED);
	assert_int_equal(nic()->why.reason, R_POL_COMPONENT_CHANGED);
	assert_int_equal(nic()->cert.id, 0);
	enrol();			/* and that it was is forgotten */
	restart();
	assert_int_equal(nic()->state, C_UNFINISHED);
	enrolled();
	restart();
	assert_int_equal(nic()->state, C_ENROLLED);
}

static void
assert_put_back(void)
{
	unsigned	asked = k_asked;

	restart();
	assert_int_equal(nic()->state, C_NOTENROLLED);
	assert_int_equal(nic()->why.reason, R_POL_COMPONENT_CHANGED);
	assert_string_equal(nic()->why.field, "identity, serial or root");
	assert_int_equal(nic()->cert.id, 0);
	assert_string_equal(nic()->node, "");
	pass(40 * DAY, DAY);		/* it would have been renewed */
	assert_int_equal(nic()->state, C_NOTENROLLED);
	assert_int_equal(k_asked, asked);
}

static void
test_device_changed(void **state)
{
	static char	other[] = NODE_A;

	enrolled();
	restart();
	assert_int_equal(nic()->state, C_ENROLLED);
	conf_nic.identity = other;
	assert_put_back();
	restart();			/* and so it stays */
	assert_int_equal(nic()->why.reason, R_POL_COMPONENT_CHANGED);
	conf_nic.identity = listed;
	enrolled();
	conf_nic.serial = of_77;	/* one more rule */
	assert_put_back();
	conf_nic.serial = NULL;
	enrolled();
	conf_nic.identity = NULL;	/* and the same text elsewhere */
	conf_nic.serial = listed;
	assert_put_back();
}

static void
with_root(char *path)
{
	conf_nic.root = path;
	settings_read(&config);
}

static void
test_root_changed(void **state)
{
	enrolled();
	with_root((char []){ "regress/data/upgrade/root.pem" });
	assert_put_back();
	component_step(nic(), CE_ENROL, NULL);
	restart();
	assert_int_equal(nic()->state, C_UNFINISHED);
	/* the same certificate in another file */
	with_root((char []){ "regress/data/./upgrade/root.pem" });
	restart();
	assert_int_equal(nic()->state, C_UNFINISHED);
	with_root(NULL);
	assert_put_back();
}

/* A store from before the rules were kept: not changed, and kept from then. */
static void
test_rules_unknown(void **state)
{
	static struct store_sql	 forget = STORE_SQL(
	    "UPDATE component SET rules = x''");

	enrolled();
	assert_int_equal(store_write(store_stmt(&forget)), R_OK);
	restart();
	assert_int_equal(nic()->state, C_ENROLLED);
	assert_int_not_equal(nic()->cert.id, 0);
	conf_nic.serial = of_77;
	assert_put_back();
}

static void
test_taken_out(void **state)
{
	static struct store_sql	 get = STORE_SQL(
	    "SELECT count(*) FROM component");
	sqlite3_stmt		*st;

	enrolled();
	config.components = NULL;
	restart();
	assert_null(nic());
	st = store_stmt(&get);
	assert_int_equal(store_row(st), 1);
	assert_int_equal(sqlite3_column_int(st, 0), 0);
	sqlite3_reset(st);
	count_issued(1, 0);		/* what was issued stays on record */
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_enrol),
		T(test_refused),
		T(test_own_root),
		T(test_incomplete),
		T(test_offences),
		T(test_keyd_refuses),
		T(test_device_refuses),
		T(test_unreachable),
		T(test_killed),
		T(test_attestq_killed),
		T(test_renewal),
		T(test_renewal_refused),
		T(test_other_ca),
		T(test_reset_csr),
		T(test_reset_set),
		T(test_reset_again),
		T(test_slot_changed),
		T(test_device_changed),
		T(test_root_changed),
		T(test_rules_unknown),
		T(test_taken_out),
	};

	return cmocka_run_group_tests_name("component", tests, NULL, NULL);
}
