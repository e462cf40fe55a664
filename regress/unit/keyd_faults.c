/*
 * A TPM that fails in every way that it can: each is a reason of its own,
 * and nothing ever waits for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keyd_dir.h"
#include "keyd_swtpm.h"

#define CC_SIGN		0x015d
#define CC_LOAD		0x0157
#define CC_CREATE	0x0153
#define CC_NV_READ	0x014e
#define CC_NV_INCREMENT	0x0134
#define CC_PCR_READ	0x017e
#define CC_READPUBLIC	0x0173
#define CC_PRIMARY	0x0131
#define CC_CAPABILITY	0x017a
#define CC_NV_DEFINE	0x012a
#define CC_FLUSH	0x0165

static struct proxy	 px;
static struct tpm	*tpm;
static unsigned		 lost;
static const struct key	*key;

static void
on_lost(void *arg)
{
	lost++;
}

static enum reason
begin(struct why *w, uint32_t patience)
{
	int	 fd = proxy_start(&px);

	assert_true(fd != -1);
	lost = 0;
	tpm = tpm_new(fd, patience);
	assert_non_null(tpm);
	tpm_on_lost(tpm, on_lost, NULL);
	return tpm_start(tpm, test_dir, w);
}

static void
end(void)
{
	tpm_free(tpm);
	tpm = NULL;
	proxy_stop(&px);
}

static int
setup_off(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	return test_dir_make(state) == -1 || swtpm_start(&px.tpm) == -1 ?
	    -1 : 0;
}

static int
setup(void **state)
{
	struct key_conf		 conf = { .backend = KEY_BACKEND_TPM };
	struct test_made	 m = { .calls = 0 };
	struct why		 w;

	if (setup_off(state) == -1 || begin(&w, TEST_PATIENCE) != R_OK)
		return -1;
	conf.tpm = tpm;
	conf.dir = test_dir;
	if (key_open(&conf, &w) == -1)
		return -1;
	key_make("tls", KEY_TLS, KEY_P256, test_made_cb, &m);
	if (!swtpm_serve(tpm, &m.calls) || m.key == NULL)
		return -1;
	key = m.key;
	return 0;
}

static int
teardown(void **state)
{
	if (tpm != NULL)
		end();
	swtpm_stop(&px.tpm);
	swtpm_remove(&px.tpm);
	return test_dir_remove(state);
}

/* ---- one job each, so that every command meets every fault ----------- */

struct outcome {
	unsigned	 calls;
	struct why	 why;
};

static void
job_done(const struct tpm_result *r, void *arg)
{
	struct outcome	*o = arg;

	why_tpm(&o->why, r);
	o->calls++;
}

static void
job_signed(const struct signature *s, void *arg)
{
	struct outcome	*o = arg;

	o->why = s->why;
	o->calls++;
}

static void
job_made(const struct key *k, bool made, const struct why *w, void *arg)
{
	struct outcome	*o = arg;

	o->why = *w;
	o->calls++;
}

static void
job_start(uint32_t code, struct outcome *o)
{
	static unsigned	 n;
	char		 label[16];

	memset(o, 0, sizeof(*o));
	if (code == CC_CREATE) {
		snprintf(label, sizeof(label), "key-%u", n++);
		key_make(label, KEY_TLS, KEY_P256, job_made, o);
	} else if (code == CC_NV_READ)
		assert_int_equal(tpm_counter(tpm, 0, job_done, o), R_OK);
	else if (code == CC_PCR_READ)
		assert_int_equal(tpm_pcrs(tpm, job_done, o), R_OK);
	else
		key_sign(key, "x", 1, job_signed, o);
}

static enum reason
job(uint32_t code, struct outcome *o)
{
	job_start(code, o);
	assert_true(swtpm_serve(tpm, &o->calls));
	assert_int_equal(o->calls, 1);
	return o->why.reason;
}

static const uint32_t jobs[] = {
	CC_LOAD, CC_SIGN, CC_CREATE, CC_NV_READ, CC_PCR_READ
};
#define NJOBS	(sizeof(jobs) / sizeof(jobs[0]))

static const struct {
	uint32_t	 rc;
	enum reason	 reason;
} codes[] = {
	{ TPM2_RC_LOCKOUT,			R_TPM_LOCKOUT },
	{ TPM2_RC_FAILURE,			R_TPM_FAILURE },
	{ TPM2_RC_RETRY,			R_TPM_BUSY },
	{ TPM2_RC_YIELDED,			R_TPM_BUSY },
	{ TPM2_RC_TESTING,			R_TPM_BUSY },
	{ TPM2_RC_NV_RATE,			R_TPM_BUSY },
	{ TPM2_RC_SESSION_MEMORY,		R_TPM_FULL },
	{ TPM2_RC_NV_SPACE,			R_TPM_FULL },
	{ TPM2_RC_AUTH_FAIL + TPM2_RC_S + TPM2_RC_1, R_TPM_AUTH },
	{ TPM2_RC_BAD_AUTH + TPM2_RC_S + TPM2_RC_1, R_TPM_AUTH },
	{ TPM2_RC_INTEGRITY + TPM2_RC_P + TPM2_RC_1, R_TPM_CLEARED },
	{ TPM2_RC_POLICY_FAIL + TPM2_RC_S + TPM2_RC_1, R_TPM_POLICY },
	{ TPM2_RC_CURVE + TPM2_RC_P + TPM2_RC_2, R_TPM_ALGORITHM },
	{ TPM2_RC_VALUE + TPM2_RC_P + TPM2_RC_3, R_TPM_ERROR },
	{ TPM2_RC_COMMAND_CODE,			R_TPM_ERROR },
	{ 0x00000abc,				R_TPM_ERROR },
};

static void
test_every_code_at_every_command(void **state)
{
	struct outcome	 o;
	size_t		 i, k;
	char		 seen[16];

	/* TPM2_Load first: it is not sent again once it succeeded. */
	for (k = 0; k < NJOBS; k++)
		for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
			proxy_say(&px, ANSWER, jobs[k], codes[i].rc, 1000);
			assert_int_equal(job(jobs[k], &o), codes[i].reason);
			snprintf(seen, sizeof(seen), "0x%08x", codes[i].rc);
			assert_string_equal(o.why.seen, seen);
			assert_string_equal(o.why.expected, "TPM_RC_SUCCESS");
			assert_true(strncmp(o.why.field, "TPM2_", 5) == 0);
			proxy_say(&px, PASS, 0, 0, 0);
			/* The fault is over: it works again. */
			if (jobs[k] != CC_LOAD)
				assert_int_equal(job(jobs[k], &o), R_OK);
			assert_int_equal(tpm_state(tpm), R_OK);
		}
	assert_int_equal(lost, 0);
}

/* "Send it again" is obeyed, a bounded number of times. */
static void
test_again(void **state)
{
	static const uint32_t	 again[] = {
		TPM2_RC_RETRY, TPM2_RC_YIELDED, TPM2_RC_TESTING
	};
	struct outcome		 o;
	size_t			 i;

	for (i = 0; i < 3; i++) {
		proxy_say(&px, ANSWER, CC_SIGN, again[i], 3);
		assert_int_equal(job(CC_SIGN, &o), R_OK);
		assert_int_equal(px.times, 0);
		px.hits = 0;
		proxy_say(&px, ANSWER, CC_SIGN, again[i], 1000);
		assert_int_equal(job(CC_SIGN, &o), R_TPM_BUSY);
		assert_in_range(px.hits, 2, 6);
	}
}

/* No free slot, though nothing of ours is in one. */
static void
test_full(void **state)
{
	struct outcome	 o;

	proxy_say(&px, ANSWER, CC_LOAD, TPM2_RC_OBJECT_MEMORY, 1000);
	assert_int_equal(job(CC_LOAD, &o), R_TPM_FULL);
	proxy_say(&px, ANSWER, CC_CREATE, TPM2_RC_OBJECT_MEMORY, 1000);
	assert_int_equal(job(CC_CREATE, &o), R_TPM_FULL);
	/* It never gets better, whatever is flushed: bounded. */
	proxy_say(&px, PASS, 0, 0, 0);
	assert_int_equal(job(CC_SIGN, &o), R_OK);
	proxy_say(&px, ANSWER, CC_SIGN, TPM2_RC_OBJECT_MEMORY, 1000);
	assert_int_equal(job(CC_SIGN, &o), R_TPM_FULL);
	proxy_say(&px, PASS, 0, 0, 0);
	assert_int_equal(job(CC_SIGN, &o), R_OK);
}

/* A slot becomes free once a key of ours is flushed. */
static void
test_room_is_made(void **state)
{
	struct outcome	 o;

	assert_int_equal(job(CC_SIGN, &o), R_OK);
	proxy_say(&px, ANSWER, CC_CREATE, TPM2_RC_OBJECT_MEMORY, 1);
	assert_int_equal(job(CC_CREATE, &o), R_OK);
	assert_int_equal(px.times, 0);
}

/* How many keys the TPM holds is learnt: no load fails twice. */
static void
test_slots_are_learnt(void **state)
{
	const struct key	*keys[3] = { key, NULL, NULL };
	struct test_made	 m;
	struct outcome		 o = { .calls = 0 };
	unsigned		 i, before;

	for (i = 1; i < 3; i++) {
		memset(&m, 0, sizeof(m));
		key_make(i == 1 ? "spdm" : "ca", i == 1 ? KEY_SPDM : KEY_CA,
		    KEY_P256, test_made_cb, &m);
		assert_true(swtpm_serve(tpm, &m.calls));
		keys[i] = m.key;
	}
	for (i = 0; i < 12; i++) {
		before = px.seen;
		memset(&o, 0, sizeof(o));
		key_sign(keys[i % 3], "x", 1, job_signed, &o);
		assert_true(swtpm_serve(tpm, &o.calls));
		assert_int_equal(o.why.reason, R_OK);
		/* flush, load, sign; a load that fails is one more */
		if (i >= 3)
			assert_int_equal(px.seen - before, 3);
	}
}

/*
 * A TPM that was reset has forgotten the key: it is loaded again. (Once a
 * test: this TPM only pretends, and its slot stays taken.)
 */
static void
forgotten(uint32_t rc)
{
	struct outcome	 o;

	assert_int_equal(job(CC_SIGN, &o), R_OK);
	proxy_say(&px, ANSWER, CC_SIGN, rc, 1);
	assert_int_equal(job(CC_SIGN, &o), R_OK);
	assert_int_equal(px.times, 0);
}

static void
test_forgotten(void **state)
{
	forgotten(TPM2_RC_REFERENCE_H0);
}

static void
test_forgotten_handle(void **state)
{
	forgotten(TPM2_RC_HANDLE + TPM2_RC_1);
}

/* The parent of all keys is gone, or the index of the counter. */
static void
test_parent_gone(void **state)
{
	struct outcome	 o;

	proxy_say(&px, ANSWER, CC_LOAD, TPM2_RC_HANDLE + TPM2_RC_1, 1);
	assert_int_equal(job(CC_LOAD, &o), R_TPM_CLEARED);
	proxy_say(&px, ANSWER, CC_CREATE, TPM2_RC_HANDLE + TPM2_RC_1, 1);
	assert_int_equal(job(CC_CREATE, &o), R_TPM_CLEARED);
	proxy_say(&px, ANSWER, CC_NV_READ, TPM2_RC_HANDLE + TPM2_RC_1, 1);
	assert_int_equal(job(CC_NV_READ, &o), R_TPM_COUNTER);
}

/* What ends the connection: everything that waits is told, once. */
static void
ends_with(enum fault f, enum reason reason)
{
	struct outcome	 o[4], late;
	size_t		 i;

	proxy_say(&px, f, CC_SIGN, 0, 1);
	for (i = 0; i < 4; i++)
		job_start(i == 2 ? CC_PCR_READ : CC_SIGN, &o[i]);
	assert_true(swtpm_serve(tpm, &o[3].calls));
	for (i = 0; i < 4; i++) {
		assert_int_equal(o[i].calls, 1);
		assert_int_equal(o[i].why.reason, reason);
	}
	assert_int_equal(lost, 1);
	assert_int_equal(tpm_state(tpm), reason);
	memset(&late, 0, sizeof(late));
	key_sign(key, "x", 1, job_signed, &late);
	assert_int_equal(late.calls, 1);
	assert_int_equal(late.why.reason, reason);
	assert_int_equal(tpm_pcrs(tpm, job_done, &late), reason);
	assert_int_equal(tpm_counter(tpm, 0, job_done, &late), reason);
	tpm_ready(tpm);		/* and nothing more happens */
	assert_int_equal(lost, 1);
}

static void
test_gone(void **state)
{
	ends_with(CLOSE, R_TPM_GONE);
}

static void
test_garbage(void **state)
{
	ends_with(GARBAGE, R_TPM_FORM);
}

static void
test_long(void **state)
{
	ends_with(LONG, R_TPM_FORM);
}

static void
test_gone_while_idle(void **state)
{
	struct pollfd	 pfd = { .fd = tpm_fd(tpm), .events = POLLIN };

	shutdown(px.front, SHUT_RDWR);
	assert_int_equal(poll(&pfd, 1, TEST_PATIENCE), 1);
	tpm_ready(tpm);
	assert_int_equal(tpm_state(tpm), R_TPM_GONE);
	assert_int_equal(lost, 1);
}

/* Time comes in as an argument: no waiting here. */
static void
silent_with(enum fault f)
{
	struct outcome	 o[2];
	uint64_t	 now = clock_mono_ms();

	proxy_say(&px, f, CC_PCR_READ, 0, 1);
	job_start(CC_PCR_READ, &o[0]);
	job_start(CC_SIGN, &o[1]);
	assert_in_range(tpm_timeout(tpm, now), 1, 2 * TEST_PATIENCE);
	tpm_tick(tpm, now + TEST_PATIENCE - 1);
	assert_int_equal(o[0].calls, 0);
	tpm_tick(tpm, now + 2 * TEST_PATIENCE);
	assert_int_equal(o[0].calls, 1);
	assert_int_equal(o[1].calls, 1);
	assert_int_equal(o[0].why.reason, R_TPM_SILENT);
	assert_int_equal(o[1].why.reason, R_TPM_SILENT);
	assert_int_equal(lost, 1);
	assert_int_equal(tpm_timeout(tpm, now), -1);
}

static void
test_silent(void **state)
{
	silent_with(SILENCE);
}

static void
test_half_an_answer(void **state)
{
	silent_with(TORN);
}

/* A lane is bounded, and what was taken is answered in order. */
static unsigned	 order;

static void
job_ordered(const struct tpm_result *r, void *arg)
{
	unsigned	*o = arg;

	*o = ++order;
}

static void
test_queue(void **state)
{
	static unsigned	 done[100];
	unsigned	 i, taken;

	order = 0;
	memset(done, 0, sizeof(done));
	for (taken = 0; taken < 100; taken++)
		if (tpm_pcrs(tpm, job_ordered, &done[taken]) != R_OK)
			break;
	assert_int_equal(taken, 64);
	assert_int_equal(tpm_pcrs(tpm, job_ordered, &done[99]), R_TPM_QUEUE);
	assert_true(swtpm_serve(tpm, &done[taken - 1]));
	for (i = 0; i < taken; i++)
		assert_int_equal(done[i], i + 1);
	assert_int_equal(done[99], 0);
	assert_int_equal(tpm_pcrs(tpm, job_ordered, &done[0]), R_OK);
}

/* A full lane does not make another one wait: they take turns. */
static void
test_turns(void **state)
{
	static unsigned	 many[64], few[3];
	unsigned	 i;

	order = 0;
	memset(many, 0, sizeof(many));
	memset(few, 0, sizeof(few));
	for (i = 0; i < 64; i++)
		assert_int_equal(tpm_pcrs(tpm, job_ordered, &many[i]), R_OK);
	for (i = 0; i < 3; i++)
		assert_int_equal(tpm_counter(tpm, 0, job_ordered, &few[i]),
		    R_OK);
	assert_true(swtpm_serve(tpm, &many[63]));
	for (i = 0; i < 3; i++)
		assert_int_equal(few[i], 2 * (i + 1));
}

/* ---- at start -------------------------------------------------------- */

static const struct {
	uint32_t	 code;
	enum fault	 fault;
	uint32_t	 rc;
	enum reason	 reason;
} starts[] = {
	{ 0,		 CLOSE,	  0,			R_TPM_GONE },
	{ CC_CAPABILITY, CLOSE,	  0,			R_TPM_GONE },
	{ CC_READPUBLIC, CLOSE,	  0,			R_TPM_GONE },
	{ CC_PRIMARY,	 CLOSE,	  0,			R_TPM_GONE },
	{ CC_NV_DEFINE,	 CLOSE,	  0,			R_TPM_GONE },
	{ CC_CAPABILITY, GARBAGE, 0,			R_TPM_FORM },
	{ CC_READPUBLIC, LONG,	  0,			R_TPM_FORM },
	{ CC_CAPABILITY, ANSWER,  TPM2_RC_FAILURE,	R_TPM_FAILURE },
	{ CC_READPUBLIC, ANSWER,  TPM2_RC_LOCKOUT,	R_TPM_LOCKOUT },
	{ CC_PRIMARY,	 ANSWER,  TPM2_RC_BAD_AUTH + TPM2_RC_S + TPM2_RC_1,
							R_TPM_AUTH },
	{ CC_PRIMARY,	 ANSWER,  TPM2_RC_OBJECT_MEMORY, R_TPM_FULL },
	{ CC_PRIMARY,	 ANSWER,  TPM2_RC_CURVE + TPM2_RC_P + TPM2_RC_2,
							R_TPM_ALGORITHM },
};

static void
test_start_faults(void **state)
{
	struct why	 w;
	size_t		 i;
	int		 fd;

	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		fd = proxy_start(&px);
		proxy_say(&px, starts[i].fault, starts[i].code, starts[i].rc,
		    1000);
		tpm = tpm_new(fd, TEST_PATIENCE);
		assert_int_equal(tpm_start(tpm, test_dir, &w),
		    starts[i].reason);
		assert_int_equal(w.reason, starts[i].reason);
		assert_int_equal(tpm_state(tpm), starts[i].reason);
		/* Only a storage root key that was made is recorded. */
		assert_int_equal(test_has("tpm"),
		    starts[i].code == CC_NV_DEFINE);
		end();
		test_dir_empty(test_dir);
		swtpm_stop(&px.tpm);
		swtpm_remove(&px.tpm);
		assert_int_equal(swtpm_start(&px.tpm), 0);
	}
	/* ... and nothing of it is in the way later. */
	assert_int_equal(begin(&w, TEST_PATIENCE), R_OK);
}

static void
test_start_silent(void **state)
{
	struct why	 w;
	int		 fd = proxy_start(&px);

	proxy_say(&px, SILENCE, CC_READPUBLIC, 0, 1000);
	tpm = tpm_new(fd, 50);
	assert_int_equal(tpm_start(tpm, test_dir, &w), R_TPM_SILENT);
	assert_string_equal(w.field, "TPM2_ReadPublic");
}

/* The owner has a password: no counter, but everything else works. */
static void
test_no_counter(void **state)
{
	struct why	 w;
	int		 fd = proxy_start(&px);

	proxy_say(&px, ANSWER, CC_NV_DEFINE,
	    TPM2_RC_BAD_AUTH + TPM2_RC_S + TPM2_RC_1, 1);
	tpm = tpm_new(fd, TEST_PATIENCE);
	assert_int_equal(tpm_start(tpm, test_dir, &w), R_OK);
	assert_int_equal(tpm_counter_state(tpm), R_TPM_AUTH);
	end();
	assert_int_equal(begin(&w, TEST_PATIENCE), R_OK);
	assert_int_equal(tpm_counter_state(tpm), R_OK);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TS(f)	cmocka_unit_test_setup_teardown(f, setup_off, teardown)
	const struct CMUnitTest tests[] = {
		T(test_every_code_at_every_command),
		T(test_again),
		T(test_full),
		T(test_room_is_made),
		T(test_slots_are_learnt),
		T(test_forgotten),
		T(test_forgotten_handle),
		T(test_parent_gone),
		T(test_gone),
		T(test_garbage),
		T(test_long),
		T(test_gone_while_idle),
		T(test_silent),
		T(test_half_an_answer),
		T(test_queue),
		T(test_turns),
		TS(test_start_faults),
		TS(test_start_silent),
		TS(test_no_counter),
	};

	return cmocka_run_group_tests_name("keyd_faults", tests, NULL, NULL);
}
