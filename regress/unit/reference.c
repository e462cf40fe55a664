/*
 * Reference values: the file's form, and learn, show, accept over a store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "peers_fake.h"

#define HEX32	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"


static int
parse(const char *text, struct measures *l, char *err)
{
	return policy_parse_reference(text, strlen(text), l, err, 200);
}

static void
test_file(void **state)
{
	const struct measurement	*m;
	struct measures			 l;
	char				 err[200];

	assert_int_equal(parse("{ \"comment\": \"bmc-v3\", \"measurements\": ["
	    "{\"index\": 5, \"digest\": \"" HEX32 "\"},"
	    "{\"index\": 1, \"type\": 1, \"digest\": \"" HEX32 HEX32 "\"},"
	    "{\"index\": 254, \"type\": 5, \"value\": \"0011\"}],"
	    "\"ignore\": [5, 9]}", &l, err), 0);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.m[0].index, 1);
	assert_int_equal(l.m[0].type, 1);
	assert_int_equal(l.m[0].dlen, 64);
	assert_int_equal(l.m[1].index, 5);
	assert_int_equal(l.m[1].type, MEASURE_ANY_TYPE);
	m = measures_find(&l, 254);
	assert_non_null(m);
	assert_true(m->raw);
	assert_int_equal(m->dlen, 32);
	/* SHA-256 of 00 11 */
	assert_int_equal(m->vlen, 2);
	assert_true(measures_ignored(&l, 5));
	assert_true(measures_ignored(&l, 9));
	assert_false(measures_ignored(&l, 1));
	measures_clear(&l);
}

static void
test_bad_files(void **state)
{
	static const char *const bad[] = {
		"", "[]", "{}", "{\"measurements\": 3}", "{",
		"{\"measurements\": [3]}",
		"{\"measurements\": [{\"index\": 1}]}",
		"{\"measurements\": [{\"digest\": \"" HEX32 "\"}]}",
		"{\"measurements\": [{\"index\": 0, \"digest\": \"" HEX32
		    "\"}]}",
		"{\"measurements\": [{\"index\": 255, \"digest\": \"" HEX32
		    "\"}]}",
		"{\"measurements\": [{\"index\": \"1\", \"digest\": \"" HEX32
		    "\"}]}",
		"{\"measurements\": [{\"index\": 1, \"digest\": \"00\"}]}",
		"{\"measurements\": [{\"index\": 1, \"digest\": \"" HEX32
		    "0\"}]}",
		"{\"measurements\": [{\"index\": 1, \"digest\": \"" HEX32
		    "0g\"}]}",
		"{\"measurements\": [{\"index\": 1, \"digest\": 7}]}",
		"{\"measurements\": [{\"index\": 1, \"value\": \"\"}]}",
		"{\"measurements\": [{\"index\": 1, \"value\": \"00\", "
		    "\"digest\": \"" HEX32 "\"}]}",
		"{\"measurements\": [{\"index\": 1, \"type\": 128, "
		    "\"digest\": \"" HEX32 "\"}]}",
		"{\"measurements\": [{\"index\": 1, \"digets\": \"" HEX32
		    "\"}]}",
		"{\"measurements\": [{\"index\": 1, \"digest\": \"" HEX32
		    "\"}, {\"index\": 1, \"digest\": \"" HEX32 "\"}]}",
		"{\"measurements\": [], \"ignored\": []}",
		"{\"measurements\": [], \"ignore\": [0]}",
		"{\"measurements\": [], \"ignore\": [256]}",
		"{\"measurements\": [], \"measurements\": []}",
		"{\"measurements\": []} x",
	};
	struct measures	l;
	char		err[200];
	size_t		i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		*err = '\0';
		assert_int_equal(parse(bad[i], &l, err), -1);
		assert_true(*err != '\0');
		assert_int_equal(l.n, 0);
	}
	/* The line of the error is told. */
	assert_int_equal(parse("{\n\"measurements\": ]", &l, err), -1);
	assert_int_equal(strncmp(err, "2:", 2), 0);
}

static struct peer *
trusted(void)
{
	struct peer	*p;

	w_netd_up();
	w_attestq_up();
	w_pump();
	p = w_provision("bmc-b", &proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
	return p;
}

static void
reattest(struct peer *p, const struct proof *proof)
{
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	w_prove(proof);
}

static void
test_learn_and_accept(void **state)
{
	struct proof	 changed = proof_b;
	struct peer	*p = peer_byname("bmc-b");
	enum ref_source	 source;

	assert_int_equal(reference_learn(p), R_POL_NOT_ATTESTED);
	assert_int_equal(reference_accept(p), R_POL_NO_PROPOSAL);
	p = trusted();
	assert_int_equal(p->warning, R_POL_NO_REFERENCE);
	assert_int_equal(reference_accept(p), R_POL_NO_PROPOSAL);
	assert_int_equal(reference_learn(p), R_OK);
	assert_int_equal(p->proposed.n, 3);
	/* A proposal counts for nothing. */
	peer_reference(p, &source);
	assert_int_equal(source, REF_BASELINE);
	assert_int_equal(reference_accept(p), R_OK);
	assert_int_equal(p->proposed.n, 0);
	peer_reference(p, &source);
	assert_int_equal(source, REF_ACCEPTED);
	reattest(p, &proof_b);
	assert_int_equal(p->warning, R_OK);
	/* It survives: the same values are compared after a restart. */
	w_kill();
	w_start();
	w_netd_up();
	w_attestq_up();
	p = peer_byname("bmc-b");
	assert_int_equal(p->accepted.n, 3);
	assert_int_equal(p->warning, R_OK);
	assert_true(peer_trusted(p));
	changed.firmware = 2;
	reattest(p, &changed);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_MEASUREMENT);
	/* An update that is wanted: what was refused can be learnt. */
	assert_int_equal(reference_learn(p), R_OK);
	assert_int_equal(reference_accept(p), R_OK);
	assert_int_equal(peer_step(p, EV_POLICY, NULL), 0);
	jobs_pump();
	w_pump();
	w_prove(&changed);
	assert_int_equal(p->state, P_PROVISIONED);
}

/* What the operator looked at is what is accepted, or nothing. */
static void
test_accept_what_was_shown(void **state)
{
	struct proof	 changed = proof_b;
	struct peer	*p = trusted();

	assert_int_equal(reference_learn(p), R_OK);
	changed.firmware = 2;
	reattest(p, &changed);
	assert_int_equal(reference_accept(p), R_POL_SEEN_CHANGED);
	assert_int_equal(p->accepted.n, 0);
	assert_int_equal(reference_learn(p), R_OK);
	assert_int_equal(reference_accept(p), R_OK);
}

/* Another identity's measurements are never what a peer is learnt from. */
static void
test_learn_own_only(void **state)
{
	struct proof	 other = proof_b;
	struct peer	*p = peer_byname("bmc-b");

	other.node = NODE_C;
	w_netd_up();
	w_attestq_up();
	w_pump();
	w_provision("bmc-b", &other);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(reference_learn(p), R_POL_NOT_ATTESTED);
}

/* Unprovisioned: the baseline goes; what an operator accepted stays. */
static void
test_unprovision(void **state)
{
	struct proof	 changed = proof_b;
	struct peer	*p = trusted();

	changed.firmware = 2;
	peer_step(p, EV_UNPROVISION, NULL);
	w_kill();
	w_start();
	w_netd_up();
	w_attestq_up();
	w_pump();
	p = w_provision("bmc-b", &changed);
	assert_int_equal(p->state, P_PROVISIONED);
	reference_learn(p);
	reference_accept(p);
	peer_step(p, EV_UNPROVISION, NULL);
	p = w_provision("bmc-b", &proof_b);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_MEASUREMENT);
}

/* A raw value and its kept digest: the same whether it was short or long. */
static void
test_raw_values(void **state)
{
	struct measures		 l = { 0 };
	struct evidence		*ev = evidence_new();
	struct msg_evid_measurement m = { .index = 3, .type = 4, .raw = true };
	struct measurement	*r;

	memset(m.value.data, 5, 1000);
	m.value.len = 1000;
	assert_int_equal(evidence_measurement(ev, &m), 0);
	assert_int_equal(ev->measures.m[0].vlen, 0);
	assert_int_equal(ev->measures.m[0].dlen, 32);
	assert_int_equal(ev->measures.m[0].size, 1000);
	measures_copy(&l, &ev->measures);
	assert_int_equal(measurement_judge(&ev->measures.m[0], &l), J_EQUAL);
	r = &l.m[0];
	r->digest[0] ^= 1;
	assert_int_equal(measurement_judge(&ev->measures.m[0], &l), J_DIFFERS);
	measures_clear(&l);
	evidence_free(ev);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, w_setup, w_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_bad_files),
		T(test_learn_and_accept),
		T(test_accept_what_was_shown),
		T(test_learn_own_only),
		T(test_unprovision),
		cmocka_unit_test(test_raw_values),
	};

	return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
