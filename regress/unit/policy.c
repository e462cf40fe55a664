/*
 * The verdict as a pure function: every check refuses what it is for, with
 * its own reason, and the first one that fails is the one that is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../policyd/peer.h"

#define NODE_A	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NODE_B	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define NOW	1800000000ull

const struct conf	*conf;
static struct policy_accept accepts[2];
static struct policy	 pol;
static struct listing	 list;
static struct evidence	 ev;
static struct measures	 ref;
static struct why	 why;
static enum reason	 warning;

static void
measure(struct measures *l, unsigned index, unsigned type, uint8_t byte)
{
	struct measurement	*m = measures_add(l, index);

	assert_non_null(m);
	m->type = (uint8_t)type;
	m->dlen = 48;
	memset(m->digest, byte, 48);
}

static int
setup(void **state)
{
	memset(&ev, 0, sizeof(ev));
	memset(&ref, 0, sizeof(ref));
	memset(accepts, 0, sizeof(accepts));
	memset(accepts[0].root, 1, HASH_LEN);
	pol = (struct policy){ accepts, 1, 3, 3 };
	list = (struct listing){ .identity = NODE_B, .serial = "",
	    .own = NODE_A };
	ev.have = HAVE_IDENTITY | HAVE_ANCHOR | HAVE_MEASURED | HAVE_FRESH;
	ev.version = 0x12;
	ev.algorithm = KEY_P384;
	strcpy(ev.node, NODE_B);
	strcpy(ev.serial, "01ab");
	strcpy(ev.device, "ACME-7701");
	memset(ev.root, 1, HASH_LEN);
	ev.not_after = NOW + 1;
	measure(&ev.measures, 1, 1, 0x11);
	measure(&ev.measures, 2, 0, 0x22);
	measure(&ev.measures, MEASURE_BOOT_ID, MEASURE_BOOT_TYPE, 0x33);
	return 0;
}

static int
teardown(void **state)
{
	measures_clear(&ev.measures);
	measures_clear(&ref);
	return 0;
}

static enum reason
judge(void)
{
	return policy_judge(&pol, &list, &ev, NOW, &why, &warning);
}

static void
refused(enum reason r, const char *field, const char *seen)
{
	assert_int_equal(judge(), r);
	assert_int_equal(why.reason, r);
	assert_string_equal(why.field, field);
	if (seen != NULL)
		assert_string_equal(why.seen, seen);
}

static void
use_reference(enum ref_source source)
{
	measures_copy(&ref, &ev.measures);
	list.reference = &ref;
	list.source = source;
}

static void
test_good(void **state)
{
	assert_int_equal(judge(), R_OK);
	assert_int_equal(warning, R_POL_NO_REFERENCE);
	use_reference(REF_ACCEPTED);
	assert_int_equal(judge(), R_OK);
	assert_int_equal(warning, R_OK);
}

static void
test_each_bit(void **state)
{
	unsigned	all = ev.have, i;

	for (i = 0; i < BIT_N; i++) {
		if (!(all & 1u << i))
			continue;
		ev.have = all & ~(1u << i);
		refused(R_POL_INCOMPLETE, "evidence", NULL);
		assert_string_equal(why.expected, fsm_bit_name(i));
	}
}

static void
test_version_and_algorithm(void **state)
{
	pol.versions = 2;
	refused(R_POL_VERSION, "version", "1.2");
	ev.version = 0x11;
	refused(R_POL_VERSION, "version", "1.1");
	pol.versions = 4;
	assert_int_equal(judge(), R_OK);
	ev.version = 0x12;
	refused(R_POL_VERSION, "version", "1.2");
	ev.version = 0x14;
	pol.versions = 0xff;
	refused(R_POL_VERSION, "version", "1.4");
	ev.version = 0x13;
	pol.algorithms = 1u << KEY_P256;
	refused(R_POL_ALGORITHM, "algorithm", "P-384");
}

static void
test_root(void **state)
{
	ev.root[31] ^= 1;
	refused(R_POL_ROOT, "root", NULL);
	assert_int_equal(strlen(why.seen), 64);
	pol.naccepts = 0;
	ev.root[31] ^= 1;
	refused(R_POL_ROOT, "root", NULL);
}

static void
test_identity(void **state)
{
	list.identity = NODE_A;
	list.own = "";
	refused(R_POL_IDENTITY, "identity", NODE_B);
	list.identity = "";
	refused(R_POL_NOT_LISTED, "identity", NODE_B);
	list.serial = "01AB";
	assert_int_equal(judge(), R_OK);
	list.serial = "acme-7701";
	assert_int_equal(judge(), R_OK);
	list.serial = "ACME-7702";
	refused(R_POL_SERIAL, "serial", "ACME-7701");
	/* Both are listed: both must be right. */
	list.identity = NODE_B;
	refused(R_POL_SERIAL, "serial", "ACME-7701");
	list.serial = "";
	list.own = NODE_B;
	refused(R_POL_SELF, "identity", NODE_B);
	list.own = NODE_A;
	list.revoked = "bmc-z";
	refused(R_POL_REVOKED, "identity", NODE_B);
	assert_string_equal(why.expected, "not revoked, as bmc-z was");
	list.revoked = NULL;
	list.other = "bmc-q";
	refused(R_POL_DUPLICATE, "identity", "bmc-q");
}

/* An empty serial number matches no rule and no listing. */
static void
test_rules(void **state)
{
	list.identity = "";
	memset(accepts[1].root, 2, HASH_LEN);
	accepts[1].serial = "*";
	pol.naccepts = 2;
	/* The rule is for another root. */
	refused(R_POL_NOT_LISTED, "identity", NODE_B);
	accepts[0].serial = "ACME-78*";
	refused(R_POL_NOT_LISTED, "identity", NODE_B);
	accepts[0].serial = "acme-77??";
	assert_int_equal(judge(), R_OK);
	accepts[0].serial = "01a*";
	assert_int_equal(judge(), R_OK);
	accepts[0].serial = "*";
	assert_int_equal(judge(), R_OK);
	ev.serial[0] = ev.device[0] = '\0';
	refused(R_POL_NOT_LISTED, "identity", NODE_B);
}

static void
test_window(void **state)
{
	ev.not_after = NOW - 1;
	refused(R_POL_WINDOW, "validity", "2027-01-15T08:00:00Z");
	ev.not_before = NOW + 301;
	ev.not_after = UINT64_MAX;
	refused(R_POL_WINDOW, "validity", "2027-01-15T08:00:00Z");
	assert_string_equal(why.expected, "2027-01-15T08:05:01Z to never");
	/* Our clock is unset: it may well be valid. Expired is expired. */
	list.unset = true;
	assert_int_equal(judge(), R_OK);
	ev.not_after = NOW - 1;
	refused(R_POL_WINDOW, "validity", NULL);
	ev.not_after = UINT64_MAX;
	list.unset = false;
	/* Issued just now, by a clock that is a little ahead. */
	ev.not_before = NOW + 300;
	assert_int_equal(judge(), R_OK);
	ev.not_before = NOW;
	ev.not_after = NOW;
	assert_int_equal(judge(), R_OK);
}

static void
test_measurements(void **state)
{
	struct measurement	*m;

	use_reference(REF_ACCEPTED);
	ev.measures.m[1].digest[47] ^= 1;
	refused(R_POL_MEASUREMENT, "measurement 2 (immutable ROM)", NULL);
	assert_int_equal(strlen(why.expected), 96);
	list.source = REF_BASELINE;
	refused(R_POL_CHANGED, "measurement 2 (immutable ROM)", NULL);
	measures_ignore(&ref, 2);
	assert_int_equal(judge(), R_OK);
	memset(ref.ignored, 0, sizeof(ref.ignored));
	ev.measures.m[1].digest[47] ^= 1;
	ev.measures.m[1].type = 1;
	refused(R_POL_CHANGED, "measurement 2 (mutable firmware)", NULL);
	ref.m[1].type = MEASURE_ANY_TYPE;
	assert_int_equal(judge(), R_OK);
	/* A digest of another length is another digest. */
	ev.measures.m[1].dlen = 32;
	refused(R_POL_CHANGED, "measurement 2 (mutable firmware)", NULL);
	ev.measures.m[1].dlen = 48;
	m = measures_add(&ev.measures, 3);
	m->dlen = 48;
	refused(R_POL_UNLISTED, "measurement 3 (immutable ROM)", NULL);
	measures_ignore(&ref, 3);
	assert_int_equal(judge(), R_OK);
	measure(&ref, 4, 1, 4);
	refused(R_POL_MISSING, "measurement 4", "nothing");
}

/* The boot id is not compared; something else at its index is. */
static void
test_boot_id(void **state)
{
	use_reference(REF_BASELINE);
	ev.measures.m[2].digest[0] ^= 1;
	assert_int_equal(judge(), R_OK);
	ev.measures.m[2].type = 1;
	refused(R_POL_CHANGED, "measurement 240 (mutable firmware)", NULL);
}

static void
test_glob(void **state)
{
	static const struct {
		const char	*pat, *s;
		bool		 match;
	} rows[] = {
		{ "", "", true }, { "", "a", false }, { "*", "", true },
		{ "a*", "A", true }, { "a*b*c", "aXbYbZc", true },
		{ "a*b*c", "aXbYbZcd", false }, { "?", "", false },
		{ "a?c", "abc", true }, { "**a", "bba", true },
		{ "[a]", "a", false }, { "a", "ab", false },
		{ "*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(policy_glob(rows[i].pat, rows[i].s),
		    rows[i].match);
}

static void
test_shift(void **state)
{
	assert_int_equal(policy_shift(NOW - 5, NOW + 5, NOW), 0);
	assert_int_equal(policy_shift(NOW, NOW, NOW), 0);
	/* The peer's clock is ahead of ours, then behind it. */
	assert_int_equal(policy_shift(NOW + 1000, NOW + 90000, NOW), 4600);
	assert_int_equal(policy_shift(0, NOW - 1000, NOW), -4600);
	/* A window shorter than two hours: its middle. */
	assert_int_equal(policy_shift(NOW + 100, NOW + 200, NOW), 150);
	assert_int_equal(policy_shift(NOW - 200, NOW - 100, NOW), -150);
	/* Nonsense shifts nothing. */
	assert_int_equal(policy_shift(UINT64_MAX, UINT64_MAX, NOW), 0);
	assert_int_equal(policy_shift(NOW + 9, NOW + 1, NOW), 0);
}

static void
test_transient(void **state)
{
	assert_true(policy_transient(R_NET_TIMEOUT));
	assert_true(policy_transient(R_IPC_CLOSED));
	assert_true(policy_transient(R_ATT_TIMEOUT));
	assert_true(policy_transient(R_ATT_SIGN));	/* keyd, not the peer */
	assert_false(policy_transient(R_ATT_CHALLENGE));
	assert_false(policy_transient(R_ATT_SUMMARY));
	assert_false(policy_transient(R_ATT_KEY_EXCHANGE));
	assert_false(policy_transient(R_ATT_VERSION));
	assert_false(policy_transient(R_ATT_ANCHOR_KEY));
	assert_true(policy_doubtful(R_TLS_EXPIRED));
	assert_false(policy_doubtful(R_TLS_SILENT));
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_good),
		T(test_each_bit),
		T(test_version_and_algorithm),
		T(test_root),
		T(test_identity),
		T(test_rules),
		T(test_window),
		T(test_measurements),
		T(test_boot_id),
		T(test_glob),
		T(test_shift),
		T(test_transient),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
