/*
 * Every state with every event: what happens is in peer_fsm.ok, and a change
 * of one row is seen there. And rules that hold for the table as a whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FSMDOC_TEST
#include "../tools/fsmdoc.c"

#define MANUAL	"man/policyd.8"
#define GOLDEN	"regress/unit/peer_fsm.ok"

const struct conf	*conf;

static void
needs_text(unsigned needs, char *buf, size_t size)
{
	unsigned	i;

	buf[0] = '\0';
	for (i = 0; i < BIT_N; i++)
		if (needs & 1u << i) {
			if (*buf != '\0')
				strncat(buf, "+", size - strlen(buf) - 1);
			strncat(buf, fsm_bit_name((enum peer_bit)i),
			    size - strlen(buf) - 1);
		}
	if (*buf == '\0')
		strncat(buf, "-", size - 1);
}

static void
write_table(FILE *f)
{
	const struct trans	*t;
	char			 needs[128];
	int			 s, e;

	for (s = 0; s < P_NSTATES; s++)
		for (e = 0; e < EV_N; e++) {
			t = fsm_find((enum peer_state)s, (enum peer_event)e);
			fprintf(f, "%-17s %-18s ", fsm_state_name(s),
			    fsm_event_name(e));
			if (t == NULL) {
				fprintf(f, "refused\n");
				continue;
			}
			needs_text(t->needs, needs, sizeof(needs));
			fprintf(f, "%-44s %-8s %s\n", needs,
			    fsm_act_name(t->act), fsm_state_name(t->next));
		}
}

static void
test_golden(void **state)
{
	char	*have = NULL, want[32768];
	size_t	 n, m;
	FILE	*f;

	f = open_memstream(&have, &n);
	assert_non_null(f);
	write_table(f);
	fclose(f);
	if (getenv("PEER_FSM_WRITE") != NULL) {
		f = fopen(GOLDEN, "w");
		assert_non_null(f);
		fwrite(have, 1, n, f);
		fclose(f);
	}
	f = fopen(GOLDEN, "r");
	assert_non_null(f);
	m = fread(want, 1, sizeof(want), f);
	fclose(f);
	assert_int_equal(n, m);
	assert_memory_equal(have, want, n);
	free(have);
}

/* Who comes to be trusted has all the evidence, whatever the path. */
static void
test_trust_needs_evidence(void **state)
{
	const unsigned		 all = TRUST;
	const struct trans	*t;
	int			 s, e;

	for (s = 0; s < P_NSTATES; s++)
		for (e = 0; e < EV_N; e++) {
			t = fsm_find(s, e);
			if (t == NULL || !fsm_trusted(t->next) ||
			    fsm_trusted(t->state))
				continue;
			assert_int_equal(t->needs & all, all);
		}
	for (s = 0; s < P_NSTATES; s++) {
		if ((t = fsm_find(s, EV_GOOD)) != NULL)
			assert_int_equal(t->needs & all, all);
		if ((t = fsm_find(s, EV_LINK_UP)) != NULL) {
			assert_true(fsm_trusted(s));
			assert_int_equal(t->needs & all, all);
		}
	}
}

/* netd's claims never lead from a state without trust. */
static void
test_links_grant_nothing(void **state)
{
	const struct trans	*t;
	int			 s, e;

	for (s = 0; s < P_NSTATES; s++)
		for (e = EV_LINK_PROGRESS; e <= EV_NETD_LOST; e++) {
			t = fsm_find(s, e);
			if (t == NULL)
				continue;
			assert_int_equal(fsm_trusted(t->state),
			    fsm_trusted(t->next));
		}
}

/* An operator is always obeyed at once; a failure takes no trust by itself. */
static void
test_operator_and_failures(void **state)
{
	const struct trans	*t;
	int			 s;

	for (s = 0; s < P_NSTATES; s++) {
		t = fsm_find(s, EV_UNPROVISION);
		assert_non_null(t);
		assert_int_equal(t->next, P_NOTDETERMINED);
		assert_int_equal(t->needs, 0);
		t = fsm_find(s, EV_REVOKE);
		assert_non_null(t);
		assert_int_equal(t->next, P_REVOKED);
		if (!fsm_trusted(s))
			continue;
		t = fsm_find(s, EV_UNREACHABLE);
		assert_int_equal(t->next, s);
		t = fsm_find(s, EV_UNPROVED);
		assert_int_equal(t->next, s);
		t = fsm_find(s, EV_INBOUND);
		assert_int_equal(t->next, s);
		t = fsm_find(s, EV_BAD);
		assert_int_equal(t->next, P_ATTESTFAILED);
		t = fsm_find(s, EV_EXPIRED);
		assert_int_equal(t->next, P_ATTESTFAILED);
	}
	/* Revoked: only the operator leads out. */
	for (s = 0; s < EV_N; s++)
		if ((t = fsm_find(P_REVOKED, s)) != NULL && s != EV_UNPROVISION)
			assert_int_equal(t->next, P_REVOKED);
}

/* One row a state and event. */
static void
test_no_double_row(void **state)
{
	static const struct trans rows[] = {
#define ROW(state, event, needs, act, next) \
		{ P_##state, EV_##event, needs, ACT_##act, P_##next },
#include "../../policyd/peer_fsm.def"
	};
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_memory_equal(fsm_find(rows[i].state, rows[i].event),
		    &rows[i], sizeof(rows[i]));
}

/* The manual has the section that would be made now. */
static void
test_manual(void **state)
{
	char	*have = NULL, *want = NULL;
	size_t	 n, m;
	FILE	*in, *out;

	in = fopen(MANUAL, "r");
	assert_non_null(in);
	out = open_memstream(&want, &m);
	assert_non_null(out);
	assert_int_equal(man_replace(in, out), 0);
	fclose(out);
	rewind(in);
	have = calloc(1, m + 2);
	assert_non_null(have);
	n = fread(have, 1, m + 1, in);
	fclose(in);
	if (n != m || memcmp(have, want, n) != 0)
		fail_msg("%s is old: make generated", MANUAL);
	free(have);
	free(want);
}

/* The model has every row. */
static void
test_model(void **state)
{
	char	*text = NULL, want[64];
	size_t	 n;
	FILE	*f;
	int	 s, e;

	f = open_memstream(&text, &n);
	assert_non_null(f);
	promela(f);
	fclose(f);
	for (s = 0; s < P_NSTATES; s++)
		for (e = 0; e < EV_N; e++) {
			snprintf(want, sizeof(want),
			    ":: state == %d && event == %d &&", s, e);
			assert_int_equal(strstr(text, want) != NULL,
			    fsm_find(s, e) != NULL);
		}
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_trust_needs_evidence),
		cmocka_unit_test(test_links_grant_nothing),
		cmocka_unit_test(test_operator_and_failures),
		cmocka_unit_test(test_no_double_row),
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests_name("peer_fsm", tests, NULL, NULL);
}
