/*
 * Secured sessions of attestd -R over a socket, as a stranger opens them: a
 * process of its own answers, keyd signs, policyd hears of it, and silence
 * ends it.
 */
#include "attestd_world.h"
#include "../../attestd/spdm_requester.h"

/* The stranger: a requester of ours at the other end of the socket. */
static struct stranger {
	struct soft		 soft;
	struct spdm_slot	 slots[SPDM_SLOTS];
	struct requester_conf	 conf;
	struct requester	*q;
	struct spdm_tcp		 tcp;
	struct spdm_binding	 binding;
	EVP_PKEY		*sign_key;
	int			 fd;
	bool			 over;		/* netd heard of its end */
	uint8_t			 in[0x8000];
	size_t			 have;
} s;

static const struct spdm_step	whole[] = {
	{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },
	{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },
	{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_GET_CERTIFICATE, 1 },
	{ SPDM_CHALLENGE, 0 }, { SPDM_GET_MEASUREMENTS, 0 },
	{ SPDM_KEY_EXCHANGE, 0 }, { SPDM_FINISH, 0 },
	{ SPDM_HEARTBEAT, 0 },
	{ SPDM_KEY_UPDATE, SPDM_UPDATE_ALL },
	{ SPDM_KEY_UPDATE, SPDM_VERIFY_NEW },
	{ SPDM_GET_MEASUREMENTS, 0 },
	{ SPDM_END_SESSION, 0 },
};
#define NWHOLE		(sizeof(whole) / sizeof(whole[0]))
#define STEP_EXCHANGE	8
#define STEP_HEARTBEAT	10

static void
on_stranger_over(const struct ipc_reply *r, void *arg)
{
	s.over = true;
}

static int
before(void **state)
{
	struct msg_spdm_accepted	a = { .address = "192.0.2.7" };
	static const uint8_t		nonce[SPDM_NONCE] = { 1 };
	int				fds[2];

	memset(&s, 0, sizeof(s));
	soft_new(&s.soft, KEY_P256);
	s.sign_key = s.soft.key;
	w.soft = &s.soft;
	set_slot(0, s.soft.chain0, s.soft.len0);
	set_slot(1, s.soft.chain1, s.soft.len1);
	NEED(spdm_slot_set(&s.slots[0], 5, KEY_P256, s.soft.chain0,
	    s.soft.len0) == 0);
	s.tcp = (struct spdm_tcp){ .counted = true, .known = true,
	    .max = REQUESTER_TRANSFER };
	s.binding.tcp = &s.tcp;
	requester_defaults(&s.conf);
	s.conf.random = attestd_random;
	s.conf.binding = &s.binding;
	s.conf.slots = s.slots;
	s.conf.steps = whole;
	s.conf.nsteps = NWHOLE;
	requester_offer_session(&s.conf, true);
	NEED((s.q = requester_new(&s.conf, nonce)) != NULL);
	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	s.fd = fds[0];
	return chan_call(w.netd_r, MSG_SPDM_ACCEPTED, &a, fds[1], PATIENCE,
	    on_stranger_over, NULL);
}

static int
after(void **state)
{
	close(s.fd);
	WAIT_FOR(s.over);
	set_slot(0, NULL, 0);
	set_slot(1, NULL, 0);
	requester_free(s.q);
	spdm_slot_clear(&s.slots[0]);
	soft_free(&s.soft);
	return 0;
}

#define STRANGER(f)	cmocka_unit_test_setup_teardown(f, before, after)

static void
send_frame(bool secured, const uint8_t *p, size_t n)
{
	uint8_t	hdr[SPDM_TCP_HDR];

	spdm_tcp_header(&s.tcp, secured ? SPDM_TCP_SECURED : SPDM_TCP_SPDM,
	    n, hdr);
	NEED(write(s.fd, hdr, sizeof(hdr)) == sizeof(hdr));
	NEED(write(s.fd, p, n) == (ssize_t)n);
}

/* The next frame; meanwhile we are keyd and policyd. False: the end. */
static bool
next_frame(struct spdm_frame *f)
{
	struct pollfd	pfd = { .fd = s.fd, .events = POLLIN };
	ssize_t		n;

	while (spdm_tcp_next(&s.tcp, s.in, s.have, f) == TCP_MORE) {
		uv_timer_start(&patience, out_of_patience, PATIENCE, 0);
		while (poll(&pfd, 1, 5) == 0)
			uv_run(&loop, UV_RUN_NOWAIT);
		uv_timer_stop(&patience);
		n = read(s.fd, s.in + s.have, sizeof(s.in) - s.have);
		if (n <= 0)
			return false;
		s.have += (size_t)n;
	}
	return true;
}

static enum spdm_act
own_signature(void)
{
	const struct responder_sign	*sg = requester_sign(s.q);
	uint8_t				 sig[SPDM_SIG_MAX];

	soft_sign(s.sign_key, s.soft.alg, sg->version, sg->context, sg->hash,
	    sig);
	return requester_signed(s.q, sig);
}

/* Go on until the end, or until this step is to be sent. */
static enum spdm_act
carry_on(enum spdm_act act, size_t until)
{
	struct spdm_frame	 f;
	const uint8_t		*p;
	size_t			 len;
	bool			 secured;

	while (act == SPDM_SEND || act == SPDM_SIGN || act == SPDM_WAIT) {
		if (act == SPDM_SIGN) {
			act = own_signature();
			continue;
		}
		/* Busy: policyd's slots are still on their way. */
		if (act == SPDM_WAIT) {
			poll(NULL, 0, (int)requester_delay(s.q));
			uv_run(&loop, UV_RUN_NOWAIT);
			act = requester_wake(s.q);
			continue;
		}
		if (s.q->step == until)
			return act;
		p = requester_out(s.q, &secured, &len);
		send_frame(secured, p, len);
		assert_true(next_frame(&f));
		act = requester_feed(s.q, f.type == SPDM_TCP_SECURED, f.msg,
		    f.len);
		s.have -= f.used;
		memmove(s.in, s.in + f.used, s.have);
	}
	return act;
}

static enum spdm_act
converse(size_t until)
{
	return carry_on(requester_start(s.q), until);
}

static void
done(enum spdm_act act)
{
	if (act != SPDM_DONE)
		fail_msg("%s %s: expected %s, seen %s",
		    reason_code(requester_why(s.q)->reason),
		    requester_why(s.q)->field, requester_why(s.q)->expected,
		    requester_why(s.q)->seen);
}

/* ---- open to everybody --------------------------------------------------- */

/* Measured in the clear and in the session: policyd hears of both. */
static void
test_session(void **state)
{
	unsigned	attested = w.attested;

	done(converse(NWHOLE));
	WAIT_FOR(w.attested == attested + 2);
}

/* The signature of KEY_EXCHANGE_RSP takes longer than a peer should wait:
 * ResponseNotReady, and the session for RESPOND_IF_READY. */
static void
test_slow_keyd(void **state)
{
	unsigned	attested = w.attested;

	assert_int_equal(converse(STEP_EXCHANGE), SPDM_SEND);
	w.slow_keyd = true;
	done(carry_on(SPDM_SEND, NWHOLE));
	assert_false(w.slow_keyd);
	WAIT_FOR(w.attested == attested + 2);
}

/* A record of no session is counted, and nothing more; nor does it end what
 * is there. */
static void
test_no_session(void **state)
{
	static const uint8_t	record[40] = { 1, 2, 3, 4, 34 };
	static const uint8_t	version[4] = { SPDM_V10, SPDM_GET_VERSION };
	uint64_t		n = w.counts[R_ATT_SESSION_RECORD];
	struct spdm_frame	f;

	send_frame(false, version, sizeof(version));
	assert_true(next_frame(&f));
	s.have = 0;
	send_frame(true, record, sizeof(record));
	WAIT_FOR(w.counts[R_ATT_SESSION_RECORD] == n + 1);
	send_frame(false, version, sizeof(version));
	assert_true(next_frame(&f));
	assert_int_equal(f.msg[1], SPDM_VERSION);
}

/* Two heartbeats of silence: the session is over, the connection is not. */
static void
test_silence(void **state)
{
	uint64_t		 n = w.counts[R_ATT_SESSION_HEARTBEAT];
	uint64_t		 r = w.counts[R_ATT_SESSION_RECORD];
	static const uint8_t	 version[4] = { SPDM_V10, SPDM_GET_VERSION };
	struct spdm_frame	 f;
	const uint8_t		*p;
	size_t			 len;
	bool			 secured;

	assert_int_equal(converse(STEP_HEARTBEAT), SPDM_SEND);
	p = requester_out(s.q, &secured, &len);
	assert_true(secured);
	WAIT_FOR(w.counts[R_ATT_SESSION_HEARTBEAT] == n + 1);
	send_frame(secured, p, len);
	WAIT_FOR(w.counts[R_ATT_SESSION_RECORD] == r + 1);
	send_frame(false, version, sizeof(version));
	assert_true(next_frame(&f));
	assert_int_equal(f.msg[1], SPDM_VERSION);
}

/* A changed record: DecryptError, under the keys of the session. */
static void
test_changed(void **state)
{
	uint64_t		 n = w.counts[R_ATT_SESSION_REQUEST];
	struct spdm_frame	 f;
	uint8_t			 rec[256];
	const uint8_t		*p;
	size_t			 len;
	bool			 secured;

	assert_int_equal(converse(STEP_HEARTBEAT), SPDM_SEND);
	p = requester_out(s.q, &secured, &len);
	memcpy(rec, p, len);
	rec[len - 1] ^= 1;
	send_frame(secured, rec, len);
	assert_true(next_frame(&f));
	assert_int_equal(f.type, SPDM_TCP_SECURED);
	assert_int_equal(requester_feed(s.q, true, f.msg, f.len), SPDM_FAIL);
	WAIT_FOR(w.counts[R_ATT_SESSION_REQUEST] == n + 1);
}

/* ---- for those who show who they are -------------------------------------- */

static void
accept_root(X509 *x)
{
	static struct msg_root_set	m;
	uint8_t				der[4096];

	m.root = 7;
	IPC_SET_BLOB(m.certificate, der, soft_der(x, der));
	assert_int_equal(chan_send(w.hub_r, MSG_ROOT_SET, &m, -1), 0);
}

static void
test_mutual(void **state)
{
	unsigned	attested = w.attested;

	accept_root(s.soft.root);
	done(converse(NWHOLE));
	WAIT_FOR(w.attested == attested + 2);
}

static void
test_mutual_stranger(void **state)
{
	uint64_t	n = w.counts[R_ATT_CHAIN_ROOT];

	accept_root(s.soft.node_ca);
	assert_int_equal(converse(NWHOLE), SPDM_FAIL);
	WAIT_FOR(w.counts[R_ATT_CHAIN_ROOT] == n + 1);
}

static void
test_mutual_other_key(void **state)
{
	uint64_t	n = w.counts[R_ATT_SESSION_MUTUAL];

	accept_root(s.soft.root);
	s.sign_key = s.soft.root_key;
	assert_int_equal(converse(NWHOLE), SPDM_FAIL);
	WAIT_FOR(w.counts[R_ATT_SESSION_MUTUAL] == n + 1);
}

int
main(void)
{
	const struct CMUnitTest	open[] = {
		STRANGER(test_session), STRANGER(test_slow_keyd),
		STRANGER(test_no_session), STRANGER(test_changed),
	};
	const struct CMUnitTest	brief[] = { STRANGER(test_silence) };
	const struct CMUnitTest	mutual[] = {
		STRANGER(test_mutual), STRANGER(test_mutual_stranger),
		STRANGER(test_mutual_other_key),
	};
	int	failed;

	failed = cmocka_run_group_tests_name("attestd_session open", open,
	    setup, teardown);
	world_conf.heartbeat = 1;
	failed += cmocka_run_group_tests_name("attestd_session brief", brief,
	    setup, teardown);
	world_conf.heartbeat = RESPONDER_HEARTBEAT;
	world_conf.mutual = true;
	return failed + cmocka_run_group_tests_name("attestd_session mutual",
	    mutual, setup, teardown);
}
