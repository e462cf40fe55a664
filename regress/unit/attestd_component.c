/*
 * attestd -Q fills the slot of a component: the device is played here, and so
 * are policyd, who takes its time to issue, and keyd, who signs FINISH.
 */
#include "attestd_world.h"

#define SLOT	3

/* ---- the device ---------------------------------------------------------- */

static struct {
	struct soft		 soft;
	struct spdm_slot	 slots[SPDM_SLOTS];
	struct measure_set	 set;
	struct responder_conf	 conf;
	struct responder	*r;
	struct conn		*conn;
	struct spdm_root	 roots[1];
	bool			 asked, held;	/* CSR; the slot was read */
	unsigned		 beats;		/* between CSR and chain */
	uint8_t			 read[32];
} d;

static void
device_random(void *arg, uint8_t *p, size_t n)
{
	memset(p, 0x41, n);
}

static uint8_t
device_csr(void *arg, uint8_t *tag, uint8_t *out, size_t *len)
{
	X509_REQ	*q = X509_REQ_new();
	uint8_t		*p = out;

	NEED(q != NULL);
	X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(q), "CN",
	    MBSTRING_ASC, (const unsigned char *)"a nic", -1, -1, 0);
	X509_REQ_set_pubkey(q, d.soft.key);
	NEED(X509_REQ_sign(q, d.soft.key, EVP_sha256()) > 0);
	NEED((size_t)i2d_X509_REQ(q, NULL) <= *len);
	*len = (size_t)i2d_X509_REQ(q, &p);
	X509_REQ_free(q);
	return 0;
}

static uint8_t
device_set(void *arg, uint8_t slot, const uint8_t *ders, size_t len)
{
	assert_int_equal(slot, SLOT);
	return spdm_slot_set(&d.slots[slot], 5, d.soft.algorithm, ders, len)
	    == 0 ? 0 : SPDM_E_INVALID_REQUEST;
}

static void
send_chain(void)
{
	static struct msg_component_chain	m = { .job = 7 };

	IPC_SET_BLOB(m.chain, d.soft.chain1, d.soft.len1);
	assert_int_equal(chan_send(w.hub_q, MSG_COMPONENT_CHAIN, &m, -1), 0);
}

static void
device_message(void *arg, bool secured, const uint8_t *msg, size_t len)
{
	const struct responder_sign	*sg;
	const uint8_t			*p;
	uint8_t				 sig[SPDM_SIG_MAX];
	size_t				 n;

	/* Nothing but signs of life comes while policyd thinks. */
	if (d.asked && d.beats < 2 && ++d.beats == 2)
		send_chain();
	if (responder_feed(d.r, secured, msg, len) == RESPONDER_SIGN) {
		sg = responder_sign(d.r);
		soft_sign(d.soft.key, d.soft.alg, sg->version, sg->context,
		    sg->hash, sig);
		assert_true(responder_signed(d.r, sg->serial, sig));
	}
	assert_int_equal(responder_error(d.r), 0);
	p = responder_out(d.r, &secured, &n);
	conn_send(d.conn, secured, p, n);
}

static void
device_lost(void *arg, enum reason reason, const char *expected,
    const char *seen)
{
	conn_close(d.conn);
	d.conn = NULL;
}

static void
device_timer(void *arg)
{
}

static const struct conn_ops	device_ops = {
	device_message, device_lost, device_timer
};

static void
device_init(void)
{
	uint8_t		pcrs[256] = { 1 };
	const char	*bad;

	soft_new(&d.soft, KEY_P256);
	NEED(spdm_slot_set(&d.slots[0], 5, KEY_P256, d.soft.chain0,
	    d.soft.len0) == 0);
	NEED(measure_files(&d.set, NULL, "/proc/sys/kernel/random/boot_id",
	    false, &bad) == 0);
	measure_pcrs(&d.set, pcrs);
	responder_defaults(&d.conf);
	d.conf.caps.flags |= SPDM_CAP_CSR | SPDM_CAP_SET_CERT |
	    SPDM_CAP_INSTALL_RESET | SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;
	d.conf.csr = device_csr;
	d.conf.set_certificate = device_set;
	d.conf.slots = d.slots;
	d.conf.measures = &d.set;
	d.conf.random = device_random;
	d.conf.heartbeat = 1;
	/* It wants to know us: of the same maker, so that it can. */
	d.conf.mutual = SPDM_MUT_ENCAP;
	spdm_hash(spdm_sha256(), d.soft.chain0, soft_der(d.soft.root,
	    d.soft.chain0), d.roots[0].sha256);
	d.roots[0].cert = d.soft.root;
	d.conf.roots = d.roots;
	d.conf.nroots = 1;
}

/* ---- policyd ------------------------------------------------------------- */

static int
on_csr(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_component_csr	*m = msg;

	assert_true(w.ended);		/* the evidence came before */
	assert_string_equal(m->name, "a nic");
	assert_int_equal(m->algorithm, KEY_P256);
	d.asked = true;
	return 0;
}

static int
on_held(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_component_held	*m = msg;

	assert_int_equal(m->chain.len, 32);
	memcpy(d.read, m->chain.data, 32);
	d.held = true;
	return 0;
}

static const struct ipc_handler csr_handlers[] = {
	{ MSG_JOB_STEP, on_step }, { MSG_EVID_IDENTITY, on_identity },
	{ MSG_EVID_MEASUREMENT, on_measurement }, { MSG_EVID_END, on_end },
	{ MSG_JOB_FAILED, on_failed }, { MSG_COUNTER, on_counter },
	{ MSG_COMPONENT_CSR, on_csr }, { MSG_COMPONENT_HELD, on_held },
};

/* ---- the job ------------------------------------------------------------- */

static void
open_job(void)
{
	struct msg_job_open	 m = { .job = 7, .kind = JOB_COMPONENT,
	    .versions = SPDM_ALLOW_13, .algorithms = 1U << KEY_P256,
	    .deadline = PATIENCE, .slot = SLOT };
	struct msg_spdm_dialled	 dialled = { .job = 7 };
	uint8_t			 nonce[32] = { 7 };
	int			 fds[2];

	IPC_SET_BLOB(m.nonce, nonce, 32);
	assert_int_equal(chan_call(w.hub_q, MSG_JOB_OPEN, &m, -1, PATIENCE,
	    on_opened, NULL), 0);
	WAIT_FOR(w.opened);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fds), 0);
	assert_non_null(d.conn = conn_new(&loop, fds[1], RESPONDER_TRANSFER,
	    &device_ops, NULL));
	d.conf.binding = conn_binding(d.conn);
	assert_non_null(d.r = responder_new(&d.conf));
	assert_int_equal(chan_send(w.netd_q, MSG_SPDM_DIALLED, &dialled,
	    fds[0]), 0);
}

/* The device hears from us each half second until the chain is there. */
static void
test_slow_issue(void **state)
{
	static struct msg_spdm_slot	 m = { .slot = 0, .key = 5,
	    .algorithm = KEY_P256 };
	uint8_t				 h[32];
	unsigned			 i;

	device_init();
	w.soft = &d.soft;
	chan_set_handlers(w.hub_q, csr_handlers,
	    sizeof(csr_handlers) / sizeof(csr_handlers[0]));
	chan_set_handlers(w.keyd_q, keyd_from_r, 2);
	IPC_SET_BLOB(m.chain, d.soft.chain0, d.soft.len0);
	assert_int_equal(chan_send(w.hub_q, MSG_SPDM_SLOT, &m, -1), 0);
	open_job();
	WAIT_FOR(d.held || w.failed);
	if (w.failed)
		fail_msg("%s %s: expected %s, seen %s",
		    reason_code(w.why.reason), w.why.field, w.why.expected,
		    w.why.seen);
	assert_int_equal(d.beats, 2);
	spdm_hash(spdm_sha256(), d.soft.chain1, d.soft.len1, h);
	assert_memory_equal(d.read, h, 32);
	WAIT_FOR(d.conn == NULL);
	responder_free(d.r);
	for (i = 0; i < SPDM_SLOTS; i++)
		spdm_slot_clear(&d.slots[i]);
	soft_free(&d.soft);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_slow_issue),
	};

	return cmocka_run_group_tests_name("attestd_component", tests, setup,
	    teardown);
}
