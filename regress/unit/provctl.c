/*
 * provctl: the command line, rows for people, and the client against a
 * policyd that the test plays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "provctl_world.h"

/* ---- the command line -------------------------------------------------- */

static void
test_usage(void **state)
{
	(void)state;
	expect("", EX_WRONG, "usage: provctl");
	expect("frobnicate", EX_WRONG, "no command \"frobnicate\"");
	expect("peer", EX_WRONG, "peer add NAME");
	expect("peer frob", EX_WRONG, "peer what?");
	expect("peer show", EX_WRONG, "something is missing");
	expect("peer show a b", EX_WRONG, "too much: \"b\"");
	expect("peer show --last 3 a", EX_WRONG, "unknown option \"--last\"");
	expect("--frob status", EX_WRONG, "unknown option \"--frob\"");
	expect("audit show --last", EX_WRONG, "has a value");
	expect("audit show --last 3 --last 4", EX_WRONG, "given twice");
	expect("audit show --last x", EX_WRONG, "not a number");
	expect("audit show --last 4294967296", EX_WRONG, "not a number");
	expect("audit show --last -1", EX_WRONG, "not a number");
	expect("provision a --identity 3F", EX_WRONG, "40 lower-case");
	expect("log level loud", EX_WRONG, "warn, info, debug or trace");
	expect("log level info sshd", EX_WRONG, "attestd-r");
	expect("identity install /nonexistent", EX_WRONG, "No such file");
	expect("peer show 0123456789012345678901234567890123456789012345678901"
	    "2345678901234", EX_WRONG, "1 to 64");
	expect("status --help", EX_GOOD, "usage: provctl");
	expect("provision --help", EX_GOOD, "--no-wait");
}

static void
test_every_command(void **state)
{
	char	line[128];
	size_t	i, j;

	(void)state;
	for (i = 0; i < ncommands; i++) {
		snprintf(line, sizeof(line), "%s --help", commands[i].name);
		expect(line, EX_GOOD, commands[i].text);
		assert_true(commands[i].type != MSG_NONE ||
		    commands[i].local != NULL);
		if (commands[i].type != MSG_NONE)
			assert_true(ipc_route(commands[i].type, IPC_PROVCTL,
			    IPC_POLICYD, IPC_RUN));
		for (j = 0; j < i; j++)
			assert_string_not_equal(commands[i].name,
			    commands[j].name);
	}
}

/* Every CTL call of the catalogue can be made by some command. */
static void
test_every_call(void **state)
{
	size_t	i;
	int	t;

	(void)state;
	for (t = MSG_CTL_STATUS; t < MSG_CTL_ROW; t++) {
		for (i = 0; i < ncommands; i++)
			if ((int)commands[i].type == t)
				break;
		if (i == ncommands)
			fail_msg("no command sends %s",
			    ipc_name((enum ipc_type)t));
	}
}

/* ---- fields ------------------------------------------------------------ */

#define ID	"0123456789abcdef0123456789abcdef01234567"

static void
check_add(const union ipc_any *m)
{
	if (strcmp(m->ctl_peer_add.name, "b") != 0 ||
	    strcmp(m->ctl_peer_add.identity, ID) != 0 ||
	    strcmp(m->ctl_peer_add.serial, "S-1") != 0 ||
	    strcmp(m->ctl_peer_add.address, "192.0.2.1") != 0)
		_exit(30);
}

static void
check_provision(const union ipc_any *m)
{
	if (strcmp(m->ctl_provision.name, "b") != 0 ||
	    m->ctl_provision.identity[0] != '\0' || m->ctl_provision.wait)
		_exit(31);
}

static void
check_audit(const union ipc_any *m)
{
	if (m->ctl_audit_show.from != 7 || m->ctl_audit_show.last != 0)
		_exit(32);
}

static void
check_log(const union ipc_any *m)
{
	if (m->ctl_log_level.level != 3 ||
	    strcmp(m->ctl_log_level.daemon, "attestd-q") != 0)
		_exit(33);
}

static void
check_install(const union ipc_any *m)
{
	if (m->ctl_identity_install.chain.len != 5 ||
	    memcmp(m->ctl_identity_install.chain.data, "chain", 5) != 0)
		_exit(34);
}

static void
test_fields(void **state)
{
	char	line[128], path[80];
	FILE	*f;

	(void)state;
	with_policyd(&(struct script){ .want = MSG_CTL_PEER_ADD,
	    .check = check_add }, "peer add b --identity " ID " --serial S-1 "
	    "--address 192.0.2.1", EX_GOOD, "");
	with_policyd(&(struct script){ .want = MSG_CTL_PROVISION,
	    .check = check_provision }, "provision --no-wait -- b", EX_GOOD,
	    "");
	with_policyd(&(struct script){ .want = MSG_CTL_AUDIT_SHOW,
	    .check = check_audit }, "audit show --from 7", EX_GOOD, "");
	with_policyd(&(struct script){ .want = MSG_CTL_LOG_LEVEL,
	    .check = check_log }, "log level trace attestd-q", EX_GOOD, "");
	snprintf(path, sizeof(path), "%s/chain", dir);
	assert_non_null(f = fopen(path, "w"));
	fputs("chain", f);
	fclose(f);
	snprintf(line, sizeof(line), "identity install %s", path);
	with_policyd(&(struct script){ .want = MSG_CTL_IDENTITY_INSTALL,
	    .check = check_install }, line, EX_GOOD, "");
	unlink(path);
}

/* ---- answers ----------------------------------------------------------- */

static void
test_exit_codes(void **state)
{
	(void)state;
	expect("status", EX_UNREACHABLE, "policyd is not running");
	with_policyd(&(struct script){ .refuse = R_IPC_NOLINK },
	    "unprovision b", EX_REFUSED, "provctl: IPC-016: ");
	assert_non_null(strstr(err, "field     measurement 3\n"));
	assert_non_null(strstr(err, "seen      b?[2Jb\n"));
	assert_non_null(strstr(err, "remedy    "));
	assert_string_equal(out, "");
	with_policyd(&(struct script){ .refuse = R_IPC_NOLINK },
	    "unprovision b --json", EX_REFUSED,
	    "{\"row\":\"refused\",\"reason\":{\"code\":\"IPC-016\"");
	with_policyd(&(struct script){ .hang_up = true }, "status",
	    EX_UNREACHABLE, "closed the connection");
	with_policyd(&(struct script){ .other_build = true }, "status",
	    EX_UNREACHABLE, "one build");
	with_policyd(&(struct script){ .garbage = true, .hang_up = true },
	    "status", EX_UNREACHABLE, "one build");
	with_policyd(&(struct script){ .rows = { "[1]" }, .hang_up = true },
	    "status", EX_UNREACHABLE, "one build");
}

static void
test_table(void **state)
{
	const struct script	s = { .rows = {
		"{\"row\":\"peer\",\"name\":\"bmc-b\",\"state\":\"Connected\","
		    "\"provisioned\":true,\"connected\":\"Connected\","
		    "\"address\":\"192.0.2.2\",\"node\":\"" ID "\","
		    "\"reason\":null}",
		"{\"row\":\"peer\",\"name\":\"c\",\"state\":"
		    "\"AttestationFailed\",\"provisioned\":false,"
		    "\"connected\":\"NotConnected\",\"address\":null,"
		    "\"node\":null,\"reason\":{\"code\":\"ATT-014\","
		    "\"text\":\"It differs.\",\"field\":\"index 3\","
		    "\"expected\":\"aa\",\"seen\":\"bb\"}}",
	} };

	(void)state;
	with_policyd(&s, "peer list", EX_GOOD, "PEER   STATE");
	assert_string_equal(out,
	    "PEER   STATE              PROVISIONED  CONNECTED     ADDRESS    ID                                        REASON\n"
	    "bmc-b  Connected          yes          Connected     192.0.2.2  " ID "  -\n"
	    "c      AttestationFailed  no           NotConnected  -          -                                         ATT-014: It differs. (index 3: expected aa, seen bb)\n");
	with_policyd(&s, "--json peer list", EX_GOOD, "{\"row\":\"peer\"");
	assert_non_null(strstr(out, "}\n{\"row\":\"peer\",\"name\":\"c\""));
}

static void
test_block(void **state)
{
	const struct script	s = { .rows = {
		"{\"row\":\"peer\",\"name\":\"b\",\"state\":\"Attesting\","
		    "\"provisioned\":false,\"identity\":null,"
		    "\"reason\":{\"code\":\"ATT-014\",\"text\":\"It differs.\","
		    "\"remedy\":\"Look.\",\"field\":\"index 3\","
		    "\"expected\":\"aa\",\"seen\":\"bb\"}}",
		"{\"row\":\"step\",\"peer\":\"b\",\"name\":\"VERSION\","
		    "\"detail\":\"1.3\",\"time\":\"t\"}",
		"{\"row\":\"step\",\"peer\":\"b\",\"name\":\"CHALLENGE\","
		    "\"detail\":\"signature\",\"time\":\"t\"}",
		"{\"row\":\"future\",\"x\":1}",
	} };

	(void)state;
	with_policyd(&s, "peer show b", EX_GOOD, "Attesting");
	assert_string_equal(out,
	    "peer            b\n"
	    "state           Attesting\n"
	    "provisioned     no\n"
	    "reason          ATT-014: It differs.\n"
	    "\tindex 3: expected aa, seen bb\n"
	    "\tremedy: Look.\n"
	    "\n"
	    "STEP       CHECKED    TIME\n"
	    "VERSION    1.3        t\n"
	    "CHALLENGE  signature  t\n"
	    "{\"row\":\"future\",\"x\":1}\n");
}

/* What strangers announce must not command the operator's terminal. */
static void
test_hostile_text(void **state)
{
	const struct script	s = { .rows = {
		"{\"row\":\"neighbour\",\"name\":\"x\\u001b]0;y\\u0007"
		    "\\u009b2J\\n\\u007f\\u202e\\u00e9\"}",
	} };
	size_t			i;

	(void)state;
	with_policyd(&s, "neighbours", EX_GOOD, "x?]0;y??2J???\xc3\xa9");
	with_policyd(&s, "neighbours --json", EX_GOOD, "x\\u001B]0;y");
	for (i = 0; out[i] != '\0'; i++)
		assert_true(out[i] == '\n' || out[i] >= ' ');
}

static void
test_stream(void **state)
{
	const struct script	s = { .rows = {
		"{\"row\":\"step\",\"peer\":\"b\",\"name\":\"VERSION\","
		    "\"detail\":\"1.3\",\"time\":\"t\"}",
		"{\"row\":\"transition\",\"time\":\"t\",\"peer\":\"b\","
		    "\"from\":\"Attesting\",\"to\":\"Provisioned\","
		    "\"cause\":\"verdict\",\"reason\":null}",
	} };

	(void)state;
	with_policyd(&s, "provision b", EX_GOOD, "");
	assert_string_equal(out, "b: VERSION: 1.3\n"
	    "t b: Attesting -> Provisioned (verdict)\n");
}

/* Only the code of a reason, where the text has the rest. */
static void
test_nested(void **state)
{
	const struct script	s = { .rows = {
		"{\"row\":\"audit\",\"sequence\":1,\"time\":\"t\","
		    "\"kind\":\"start\",\"subject\":\"policyd\","
		    "\"text\":\"started\",\"reason\":null}",
		"{\"row\":\"audit\",\"sequence\":2,\"time\":\"t\","
		    "\"kind\":\"verdict\",\"subject\":\"b\",\"text\":"
		    "\"refused\",\"reason\":{\"code\":\"POL-012\"}}",
	} };

	(void)state;
	with_policyd(&s, "audit show", EX_GOOD, "");
	assert_string_equal(out,
	    "NUMBER  TIME  KIND     SUBJECT  REASON   TEXT\n"
	    "1       t     start    policyd  -        started\n"
	    "2       t     verdict  b        POL-012  refused\n");
}

static void
test_csr(void **state)
{
	const struct script	s = { .rows = {
		"{\"row\":\"csr\",\"pem\":\"-----BEGIN\\nx\\n\"}",
	} };
	char			path[80], line[128], buf[64];
	FILE			*f;

	(void)state;
	with_policyd(&s, "identity csr", EX_GOOD, "");
	assert_string_equal(out, "-----BEGIN\nx\n");
	snprintf(path, sizeof(path), "%s/csr", dir);
	snprintf(line, sizeof(line), "identity csr -o %s", path);
	with_policyd(&s, line, EX_GOOD, "");
	assert_string_equal(out, "");
	assert_non_null(f = fopen(path, "r"));
	assert_non_null(fgets(buf, sizeof(buf), f));
	assert_string_equal(buf, "-----BEGIN\n");
	fclose(f);
	unlink(path);
	with_policyd(&s, "identity csr -o /nonexistent/x", EX_REFUSED,
	    "No such file");
	with_policyd(&s, "identity csr --json", EX_GOOD, "{\"row\":\"csr\"");
}

static void
test_verify(void **state)
{
	(void)state;
	with_policyd(&(struct script){ .rows = {
	    "{\"row\":\"verify\",\"records\":3,\"reason\":null}" } },
	    "audit verify", EX_GOOD, "records         3\n");
	with_policyd(&(struct script){ .rows = {
	    "{\"row\":\"verify\",\"records\":3,\"reason\":"
	    "{\"code\":\"AUD-001\"}}" } },
	    "audit verify", EX_REFUSED, "AUD-001");
}

static void
test_explain(void **state)
{
	(void)state;
	expect("explain ipc-010", EX_GOOD, "different builds");
	expect("explain IPC-010 --json", EX_GOOD,
	    "{\"row\":\"reason\",\"code\":\"IPC-010\",");
	expect("explain XYZ-001", EX_REFUSED, "no reason has the code");
}

static void
test_check(void **state)
{
	char	path[80], line[128];
	FILE	*f;

	(void)state;
	snprintf(path, sizeof(path), "%s/conf", dir);
	assert_non_null(f = fopen(path, "w"));
	fprintf(f, "node a\nkey backend soft\naccept root %s/conf\n"
	    "run directory %s/run\nstate directory %s/state\n", dir, dir, dir);
	fclose(f);
	snprintf(line, sizeof(line), "-f %s check", path);
	expect(line, EX_REFUSED, "no PEM certificate");
	assert_non_null(strstr(out, "ok    configuration"));
	assert_non_null(strstr(out, "warn  TPM"));
	assert_non_null(strstr(out, "policyd is not running"));
	assert_non_null(strstr(out, "remedy: start policyd"));
	snprintf(line, sizeof(line), "-f %s check --json", path);
	expect(line, EX_REFUSED, "{\"row\":\"check\",\"result\":\"ok\","
	    "\"what\":\"configuration\",\"found\":");
	unlink(path);
	expect("-f /nonexistent/x check", EX_REFUSED,
	    "fail  configuration  /nonexistent/x: No such file");
}

/* What an operator should know of his listeners and profiles. */
static void
test_check_service(void **state)
{
	char	path[80], line[128];
	FILE	*f;

	(void)state;
	snprintf(path, sizeof(path), "%s/conf", dir);
	assert_non_null(f = fopen(path, "w"));
	fprintf(f, "node a\nrun directory %s/run\nstate directory %s/state\n"
	    "ca ACME {\nurl \"http://ca.example.org\"\n}\n"
	    "listen enrol port 8443\n"
	    "listen enrol mutual port 8444 key rsa-2048\n"
	    "listen enrol plain port 8888\n"
	    "profile iot { key ecdsa-p256 valid 1 d\n"
	    "manufacturer root %s/none }\n"
	    "profile lab { key ecdsa-p256 valid 1 d open }\n", dir, dir, dir);
	fclose(f);
	snprintf(line, sizeof(line), "-f %s check", path);
	expect(line, EX_REFUSED, "ok    profile        iot\n");
	assert_non_null(strstr(out, "warn  profile        lab is open"));
	assert_non_null(strstr(out, "fail  maker's root"));
	assert_non_null(strstr(out, "warn  ca             http://ca.example"));
	assert_non_null(strstr(out, "ok    listener       port 8443"));
	assert_non_null(strstr(out, "fail  listener       port 8444"));
	assert_non_null(strstr(out, "warn  listener       port 8888"));
	assert_non_null(strstr(out, "_enrold"));
	assert_non_null(strstr(out, "/run/enrold"));
	assert_non_null(f = fopen(path, "w"));
	fprintf(f, "node a\nrun directory %s/run\nstate directory %s/state\n",
	    dir, dir);
	fclose(f);
	expect(line, EX_REFUSED, "ok    configuration");
	assert_null(strstr(out, "enrold"));
	assert_null(strstr(out, "ca   "));
	unlink(path);
}

static int
teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_every_command),
		cmocka_unit_test(test_every_call),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_block),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_csr),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_check_service),
	};

	return cmocka_run_group_tests_name("provctl", tests, world_setup, teardown);
}
