/*
 * busd as a process, on a bus: what callers get, whom the bus lets through,
 * what policyd is asked, and that nobody's calls can end or fill it.
 */
#include "bus_world.h"

#define ERR(name)	"xyz.openbmc_project.Common.Error." name
#define CONNECTION(w)	BUS_IFACE ".PeerConnectionStatus." w
#define NOBODY		65534

/* Users that every Debian has: the bus turns away a uid without a name. */
static const uid_t	users[] = { 1, 2, 3, 5, 6, 7, 8, 9, 10, 13, 33, 34 };

static struct caller	*root, *ear;	/* of setup_callers() */

static int
setup_callers(void **state)
{
	setup(state);
	root = caller_open(0, false);
	ear = caller_open(0, false);
	caller_listen(ear, "/");
	return 0;
}

static int
teardown_callers(void **state)
{
	caller_close(root);
	caller_close(ear);
	return teardown(state);
}

/* Every test begins with a policyd that accepts, and nobody heard. */
static int
before(void **state)
{
	w.mute = false;
	w.refuse = R_OK;
	w.asked = 0;
	signals_settle(ear);
	signals_clear(ear);
	return 0;
}

static void
provision(struct caller *c, struct answer *a, const char *name)
{
	call_one(c, a, BUS_ROOT, BUS_IFACE, "ProvisionPeer", name);
}

static void
assert_error(const struct answer *a, const char *name, const char *text)
{
	if (!a->error || strcmp(a->name, name) != 0 ||
	    strstr(a->text, text) == NULL)
		fail_msg("%s: %s: not %s: %s", a->name, a->text, name, text);
}

/* ---- properties -------------------------------------------------------------------- */

static void
test_properties(void **state)
{
	static const char *const	words[LINK_NWORDS] = {
	    CONNECTION("NotDetermined"), CONNECTION("NotConnected"),
	    CONNECTION("InProgress"), CONNECTION("Connected") };
	struct msg_bus_node		m = node_words();
	unsigned			i;

	for (i = 0; i < LINK_NWORDS; i++) {
		m.connected = i;
		m.provisioned = i & 1;
		say_node(&m);
		signals_settle(ear);
		assert_string_equal(property_text(root, BUS_ROOT, BUS_IFACE,
		    "PeerConnected"), words[i]);
		assert_string_equal(property_text(root, BUS_ROOT, BUS_IFACE,
		    "peerConnected"), words[i]);
		assert_int_equal(property_flag(root, BUS_ROOT, BUS_IFACE,
		    "Provisioned"), m.provisioned);
		assert_int_equal(property_flag(root, BUS_ROOT, BUS_IFACE,
		    "provisioned"), m.provisioned);
	}
	m = node_words();
	say_node(&m);
}

/* One signal a change, of what has changed; none where nothing has. */
static void
test_changes(void **state)
{
	struct msg_bus_node	m = node_words();

	say_node(&m);
	m.connected = LINK_CONNECTED;
	say_node(&m);
	WAIT_FOR(ear->nsignals == 1);
	assert_string_equal(ear->signals, BUS_ROOT " PropertiesChanged "
	    "PeerConnected=" CONNECTION("Connected") ";");
	signals_clear(ear);
	m.provisioned = true;
	m.connected = LINK_INPROGRESS;
	say_node(&m);
	WAIT_FOR(ear->nsignals == 1);
	assert_string_equal(ear->signals, BUS_ROOT " PropertiesChanged "
	    "Provisioned=1 PeerConnected=" CONNECTION("InProgress") ";");
	signals_clear(ear);
	m.self = SELF_FAILED;
	m.reason = R_POL_MEASUREMENT;
	IPC_SET_STR(m.field, "measurement 3");
	say_node(&m);
	WAIT_FOR(ear->nsignals == 1);
	assert_non_null(strstr(ear->signals, " State=AttestationFailed "
	    "ReasonCode=POL-011 ReasonText=A measurement differs"));
	assert_non_null(strstr(ear->signals, " ReasonField=measurement 3;"));
	signals_clear(ear);
	m.log_level = LOG_LVL_DEBUG;
	say_node(&m);
	say_node(&m);
	signals_settle(ear);
	assert_int_equal(ear->nsignals, 0);
	m = node_words();
	say_node(&m);
	WAIT_FOR(ear->nsignals == 2);
	signals_settle(ear);
	assert_int_equal(ear->nsignals, 2);
	assert_null(strstr(ear->signals, "peerConnected"));
}

/* The old spellings answer, and are in no list. */
static void
test_introspection(void **state)
{
	static const char *const	there[] = {
		"<interface name=\"" BUS_IFACE "\">",
		"   <arg type=\"s\" name=\"bmcId\" direction=\"in\"/>",
		"<property name=\"Provisioned\" type=\"b\" access=\"read\">",
		"<property name=\"PeerConnected\" type=\"s\" access=\"read\">",
		"<signal name=\"PeerProvisioned\">",
	};
	struct answer			a;
	const char			*xml;
	size_t				i;

	assert_string_equal(call_wait(root, &a, BUS_ROOT,
	    "org.freedesktop.DBus.Introspectable", "Introspect", NULL), "");
	assert_true(sd_bus_message_read(a.m, "s", &xml) > 0);
	for (i = 0; i < N(there); i++)
		if (strstr(xml, there[i]) == NULL)
			fail_msg("no %s in %s", there[i], xml);
	assert_null(strstr(xml, "\"peerConnected\""));
	assert_null(strstr(xml, "\"provisioned\""));
	answer_free(&a);
	assert_string_equal(call_wait(root, &a, BUS_ROOT, PROPERTIES, "GetAll",
	    BUS_IFACE), "");
	assert_string_equal(sd_bus_message_get_signature(a.m, 1), "a{sv}");
	answer_free(&a);
	assert_string_equal(call_wait(root, &a, BUS_DEBUG,
	    "org.freedesktop.DBus.Introspectable", "Introspect", NULL), "");
	assert_true(sd_bus_message_read(a.m, "s", &xml) > 0);
	assert_non_null(strstr(xml, "<method name=\"SetLogLevel\">"));
	answer_free(&a);
}

/* ---- calls ------------------------------------------------------------------------- */

/* The return says accepted; what came of it is a signal, for who asked. */
static void
test_provision(void **state)
{
	struct msg_bus_outcome	o = { .asked = true, .provisioned = true };
	struct answer		a;

	provision(root, &a, "bmc-b");
	WAIT_FOR(a.done);
	assert_string_equal(a.name, "");
	assert_string_equal(sd_bus_message_get_signature(a.m, 1), "");
	answer_free(&a);
	assert_int_equal(w.type, MSG_BUS_PROVISION);
	assert_string_equal(w.name, "bmc-b");
	assert_int_equal(w.caller, 0);
	signals_settle(ear);
	assert_null(strstr(ear->signals, "PeerProvisioned"));
	chan_send(w.hub, MSG_BUS_OUTCOME, &o, -1);
	WAIT_FOR(strstr(ear->signals, BUS_ROOT " PeerProvisioned 1;") != NULL);
	signals_clear(ear);
	o.provisioned = false;
	o.reason = R_POL_MEASUREMENT;
	chan_send(w.hub, MSG_BUS_OUTCOME, &o, -1);
	WAIT_FOR(strstr(ear->signals, BUS_ROOT " PeerProvisioned 0;") != NULL);
	signals_clear(ear);
	o.asked = false;
	chan_send(w.hub, MSG_BUS_OUTCOME, &o, -1);
	signals_settle(ear);
	assert_null(strstr(ear->signals, "PeerProvisioned"));
}

/* The bus refuses who is neither root nor in the group; policyd hears the uid. */
static void
test_users(void **state)
{
	struct caller	*member = caller_open(NOBODY, true);
	struct caller	*outsider = caller_open(NOBODY, false);
	struct answer	 a;

	provision(member, &a, NAME_SELF);
	WAIT_FOR(a.done);
	assert_string_equal(a.text, "");
	assert_int_equal(w.caller, NOBODY);
	assert_string_equal(w.name, NAME_SELF);
	answer_free(&a);
	provision(outsider, &a, NAME_SELF);
	WAIT_FOR(a.done);
	assert_error(&a, SD_BUS_ERROR_ACCESS_DENIED, "");
	answer_free(&a);
	/* to read is to send a call, too */
	call_wait(outsider, &a, BUS_ROOT, PROPERTIES, "GetAll", BUS_IFACE);
	assert_error(&a, SD_BUS_ERROR_ACCESS_DENIED, "");
	answer_free(&a);
	assert_int_equal(w.asked, 1);
	caller_close(member);
	caller_close(outsider);
}

/* Only _busd may own the names, whatever else a policy allows. */
static void
test_owner(void **state)
{
	struct caller	*c = caller_open(NOBODY, true);
	static const char *const names[] = { BUS_NAME, BUS_NAME_ATTEST };
	struct answer	 a;
	sd_bus_message	*m;
	size_t		 i;

	for (i = 0; i < N(names); i++) {
		assert_true(sd_bus_message_new_method_call(c->bus, &m,
		    "org.freedesktop.DBus", "/org/freedesktop/DBus",
		    "org.freedesktop.DBus", "RequestName") >= 0);
		sd_bus_message_append(m, "su", names[i], 2 /* replace */);
		call_send(c, &a, m);
		WAIT_FOR(a.done);
		assert_error(&a, SD_BUS_ERROR_ACCESS_DENIED, "");
		answer_free(&a);
	}
	caller_close(c);
}

static void
test_errors(void **state)
{
	static const struct {
		enum reason	 reason;
		const char	*name, *code;
	} errors[] = {
		{ R_BUS_CALLER, ERR("InsufficientPermission"), "BUS-004 " },
		{ R_POL_NO_PEER, ERR("ResourceNotFound"), "POL-019 " },
		{ R_POL_NAME, ERR("InvalidArgument"), "POL-022 " },
		{ R_POL_NOT_LISTED, ERR("NotAllowed"), "POL-001 " },
		{ R_BUS_REVOKED, ERR("NotAllowed"), "BUS-009 " },
		{ R_BUS_RATE, ERR("TooManyResources"), "BUS-010 " },
		{ R_IPC_NOLINK, ERR("Unavailable"), "IPC-016 " },
	};
	struct caller	*c = caller_open(NOBODY, true);
	struct answer	 a;
	size_t		 i;

	for (i = 0; i < N(errors); i++) {
		w.refuse = errors[i].reason;
		provision(c, &a, "bmc-b");
		WAIT_FOR(a.done);
		assert_error(&a, errors[i].name, errors[i].code);
		assert_error(&a, errors[i].name, reason_text(w.refuse));
		assert_error(&a, errors[i].name, reason_remedy(w.refuse));
		assert_error(&a, errors[i].name,
		    " field expected this seen that ");
		answer_free(&a);
	}
	caller_close(c);
	/* each is policyd's, which has counted it */
	assert_int_equal(w.counts[R_POL_NO_PEER], 0);
}

static void
test_debug(void **state)
{
	static const struct { const char *said, *shown; uint32_t level; } words[] = {
		{ "DEBUG", "DEBUG", LOG_LVL_DEBUG },
		{ "critical", "CRITICAL", LOG_LVL_WARN },
		{ "Error", "ERROR", LOG_LVL_WARN },
		{ "WARNING", "WARNING", LOG_LVL_WARN },
		{ "info", "INFO", LOG_LVL_INFO },
	};
	struct caller		*c = caller_open(users[0], true);
	struct msg_bus_node	 m = node_words();
	struct answer		 a;
	size_t			 i;
	int			 ok;

	for (i = 0; i < N(words); i++) {
		assert_string_equal(call_wait(c, &a, BUS_DEBUG, BUS_IFACE_DEBUG,
		    "SetLogLevel", words[i].said), "");
		assert_true(sd_bus_message_read(a.m, "b", &ok) > 0 && ok);
		answer_free(&a);
		assert_int_equal(w.type, MSG_BUS_LOG_LEVEL);
		assert_int_equal(w.level, words[i].level);
		assert_int_equal(w.caller, users[0]);
		m.log_level = words[i].level;
		say_node(&m);
		level_becomes(c, words[i].shown);
	}
	/* provctl set another one meanwhile */
	m.log_level = LOG_LVL_WARN;
	say_node(&m);
	level_becomes(c, "WARNING");
	w.asked = 0;
	call_wait(c, &a, BUS_DEBUG, BUS_IFACE_DEBUG, "SetLogLevel", "LOUD");
	assert_error(&a, ERR("InvalidArgument"), "BUS-007 ");
	answer_free(&a);
	assert_int_equal(w.asked, 0);
	m = node_words();
	say_node(&m);
	caller_close(c);
}

/* ---- calls that nobody should make --------------------------------------------------- */

static void
test_names(void **state)
{
	static char	 longest[66], much[1 << 20];
	const char	*names[] = { "", "a\nb", "\x7f", longest, much };
	struct answer	 a;
	size_t		 i;

	memset(longest, 'x', sizeof(longest) - 1);
	memset(much, 'x', sizeof(much) - 1);
	for (i = 0; i < N(names); i++) {
		provision(root, &a, names[i]);
		WAIT_FOR(a.done);
		assert_error(&a, ERR("InvalidArgument"), "BUS-007 ");
		answer_free(&a);
	}
	assert_int_equal(w.asked, 0);
	longest[64] = '\0';
	provision(root, &a, longest);
	WAIT_FOR(a.done);
	assert_string_equal(a.name, "");
	assert_string_equal(w.name, longest);
	answer_free(&a);
}

/* The bus's own errors, from sd-bus; and what it must not do for itself. */
static void
test_malformed(void **state)
{
	static const struct {
		const char	*path, *iface, *member, *types, *error;
	} calls[] = {
		{ BUS_ROOT, BUS_IFACE, "ProvisionPeer", "",
		    SD_BUS_ERROR_INVALID_ARGS },
		{ BUS_ROOT, BUS_IFACE, "ProvisionPeer", "u",
		    SD_BUS_ERROR_INVALID_ARGS },
		{ BUS_ROOT, BUS_IFACE, "ProvisionPeer", "ss",
		    SD_BUS_ERROR_INVALID_ARGS },
		{ BUS_ROOT, BUS_IFACE, "UnprovisionEverybody", "s",
		    SD_BUS_ERROR_UNKNOWN_METHOD },
		{ BUS_ROOT, "xyz.openbmc_project.Nothing", "ProvisionPeer",
		    "s", SD_BUS_ERROR_UNKNOWN_METHOD },
		{ "/xyz/openbmc_project/Nothing", BUS_IFACE, "ProvisionPeer",
		    "s", SD_BUS_ERROR_UNKNOWN_OBJECT },
		{ BUS_ROOT "/peers/nobody", BUS_IFACE, "ProvisionPeer", "s",
		    SD_BUS_ERROR_UNKNOWN_OBJECT },
		{ BUS_DEBUG, BUS_IFACE_DEBUG, "SetLogLevel", "u",
		    SD_BUS_ERROR_INVALID_ARGS },
		{ BUS_ROOT, PROPERTIES, "Get", "s",
		    SD_BUS_ERROR_INVALID_ARGS },
		{ BUS_ROOT, PROPERTIES, "Get", "ss",
		    SD_BUS_ERROR_UNKNOWN_PROPERTY },
		{ BUS_ROOT, "org.freedesktop.DBus.Peer", "GetMachineId", "",
		    SD_BUS_ERROR_NOT_SUPPORTED },
		{ "/", "org.freedesktop.DBus.Peer", "GetMachineId", "",
		    SD_BUS_ERROR_NOT_SUPPORTED },
		{ "/", "org.freedesktop.DBus.Peer", "Ping", "", "" },
		{ "/", "org.freedesktop.DBus.Peer", "Pong", "",
		    SD_BUS_ERROR_UNKNOWN_METHOD },
		{ "/", "org.freedesktop.DBus.Introspectable", "Introspect",
		    "", "" },
	};
	sd_bus_message	*m;
	struct answer	 a;
	const char	*t;
	size_t		 i;

	for (i = 0; i < N(calls); i++) {
		m = call_make(root, calls[i].path, calls[i].iface,
		    calls[i].member);
		for (t = calls[i].types; *t != '\0'; t++)
			if (*t == 's')
				sd_bus_message_append(m, "s", "bmc-b");
			else
				sd_bus_message_append(m, "u", 7);
		call_send(root, &a, m);
		WAIT_FOR(a.done);
		if (strcmp(a.name, calls[i].error) != 0)
			fail_msg("%s %s %s(%s): %s: %s", calls[i].path,
			    calls[i].iface, calls[i].member, calls[i].types,
			    a.name, a.text);
		answer_free(&a);
	}
	assert_int_equal(w.asked, 0);
	WAIT_FOR(w.counts[R_BUS_BUILTIN] == 2);
}

/* No property can be written, with a right type or a wrong one. */
static void
test_read_only(void **state)
{
	static const char *const	names[] = { "Provisioned",
	    "PeerConnected", "provisioned", "peerConnected", "Nothing" };
	sd_bus_message			*m;
	struct answer			 a;
	size_t				 i;

	for (i = 0; i < N(names); i++) {
		m = call_make(root, BUS_ROOT, PROPERTIES, "Set");
		sd_bus_message_append(m, "ssv", BUS_IFACE, names[i], "b", 1);
		call_send(root, &a, m);
		WAIT_FOR(a.done);
		assert_true(a.error);
		answer_free(&a);
	}
	assert_false(property_flag(root, BUS_ROOT, BUS_IFACE, "Provisioned"));
}

/* What goes in, of a pool that is partly right, so that it gets far. */
static void
random_call(struct caller *c, struct answer *a)
{
	static const char *const paths[] = { "/", BUS_ROOT, BUS_DEBUG,
	    BUS_PEERS, BUS_PROGRESS, "/xyz", BUS_PEERS "/bmc_2da",
	    "/xyz/openbmc_project/attestation_requester/devices/tcp/bmc_2da",
	    "/xyz/openbmc_project/attestation_responder/tcp/responder1" };
	static const char *const ifaces[] = { NULL, BUS_IFACE, BUS_IFACE_PEER,
	    BUS_IFACE_DEBUG, BUS_IFACE_NODE, PROPERTIES,
	    "org.freedesktop.DBus.Peer", "org.freedesktop.DBus.ObjectManager",
	    "org.freedesktop.DBus.Introspectable",
	    "org.freedesktop.DBus.Monitoring", "org.freedesktop.DBus" };
	static const char *const members[] = { "Get", "GetAll", "Set",
	    "ProvisionPeer", "Provision", "Revoke", "Unprovision", "attest",
	    "SetLogLevel", "GetLogLevel", "Introspect", "GetManagedObjects",
	    "Ping", "GetMachineId", "Hello", "X" };
	static const char *const texts[] = { BUS_IFACE, BUS_IFACE_PEER, "self",
	    "bmc-a", "PeerConnected", "Provisioned", "", "DEBUG", "\x01",
	    "org.freedesktop.DBus.Peer", "/" };
	sd_bus_message	*m = call_make(c, paths[(size_t)rand() % N(paths)],
	    ifaces[(size_t)rand() % N(ifaces)],
	    members[(size_t)rand() % N(members)]);
	int		 n;

	for (n = rand() % 4; n > 0; n--)
		switch (rand() % 8) {
		case 0:
			sd_bus_message_append(m, "u", (uint32_t)rand());
			break;
		case 1:
			sd_bus_message_append(m, "v", "s", "x");
			break;
		case 2:
			sd_bus_message_append(m, "a{sv}", 1, "k", "t",
			    (uint64_t)rand());
			break;
		case 3:
			sd_bus_message_append(m, "(ob)", "/x", 1);
			break;
		default:
			sd_bus_message_append(m, "s",
			    texts[(size_t)rand() % N(texts)]);
			break;
		}
	call_send(c, a, m);
}

/* Nothing that a caller sends makes busd do what its filter kills. */
static void
test_random(void **state)
{
	static struct answer	 answers[16];
	struct msg_bus_peer	 p = peer_words(9, "bmc-a");
	unsigned		 seed = (unsigned)time(NULL), i, j;

	print_message("seed %u\n", seed);
	srand(seed);
	say_peer(&p);
	for (i = 0; i < 60; i++) {
		w.refuse = i % 3 == 0 ? R_POL_NO_PEER : R_OK;
		for (j = 0; j < N(answers); j++)
			random_call(root, &answers[j]);
		for (j = 0; j < N(answers); j++) {
			WAIT_FOR(answers[j].done);
			answer_free(&answers[j]);
		}
	}
	say_gone(9);
	signals_settle(ear);
	assert_int_equal(waitpid(w.pid, NULL, WNOHANG), 0);
}

/* ---- callers that ask too much ------------------------------------------------------- */

static unsigned
count_errors(struct answer *answers, unsigned n, const char *code)
{
	unsigned	i, found = 0;

	for (i = 0; i < n; i++)
		found += answers[i].done && answers[i].error &&
		    strstr(answers[i].text, code) != NULL;
	return found;
}

/* One who floods fills his own share, and is told so at once. */
static void
test_flood(void **state)
{
	static struct answer	 answers[100], more[30], other;
	struct caller		*bad = caller_open(users[1], true);
	struct caller		*same[6], *good = caller_open(users[2], true);
	unsigned		 i;

	w.mute = true;
	for (i = 0; i < N(answers); i++)
		provision(bad, &answers[i], "bmc-b");
	WAIT_FOR(count_errors(answers, N(answers), "BUS-006 ") >=
	    N(answers) - 4 && w.waiting == 4);
	/* more connections of the same user get no more */
	for (i = 0; i < N(same); i++)
		same[i] = caller_open(users[1], true);
	for (i = 0; i < N(more); i++)
		provision(same[i % N(same)], &more[i], "bmc-b");
	WAIT_FOR(count_errors(more, N(more), "BUS-006 ") == N(more));
	assert_int_equal(w.waiting, 4);
	/* somebody else is served meanwhile, and so is who only reads */
	provision(good, &other, "bmc-c");
	WAIT_FOR(w.waiting == 5);
	assert_string_equal(w.name, "bmc-c");
	assert_false(property_flag(bad, BUS_ROOT, BUS_IFACE, "Provisioned"));
	answer_all();
	WAIT_FOR(other.done);
	assert_false(other.error);
	for (i = 0; i < N(answers); i++) {
		WAIT_FOR(answers[i].done);
		answer_free(&answers[i]);
	}
	for (i = 0; i < N(more); i++)
		answer_free(&more[i]);
	answer_free(&other);
	for (i = 0; i < N(same); i++)
		caller_close(same[i]);
	caller_close(bad);
	caller_close(good);
}

/* All users together leave room in policyd's window. */
static void
test_flood_of_users(void **state)
{
	static struct answer	 answers[9][4];
	struct caller		*callers[9];
	unsigned		 i, j, refused = 0;

	w.mute = true;
	for (i = 0; i < N(callers); i++) {
		callers[i] = caller_open(users[i], true);
		for (j = 0; j < 4; j++)
			provision(callers[i], &answers[i][j], "bmc-b");
	}
	WAIT_FOR(count_errors(answers[0], 36, "BUS-006 ") == 4 &&
	    w.waiting == 32);
	answer_all();
	for (i = 0; i < N(callers); i++) {
		for (j = 0; j < 4; j++) {
			WAIT_FOR(answers[i][j].done);
			refused += answers[i][j].error;
			answer_free(&answers[i][j]);
		}
		caller_close(callers[i]);
	}
	assert_int_equal(refused, 4);
}

/* Asked one after the other it ends, too: policyd's allowance is for all. */
static void
test_rate(void **state)
{
	struct caller	*c = caller_open(users[9], true);
	struct caller	*other = caller_open(users[10], true);
	struct answer	 a = { .error = false };
	unsigned	 i;

	for (i = 0; i < 1000 && !a.error; i++) {
		answer_free(&a);
		provision(c, &a, "bmc-b");
		WAIT_FOR(a.done);
	}
	assert_error(&a, ERR("TooManyResources"), "BUS-014 ");
	assert_true(i > 20 && w.asked < i);
	answer_free(&a);
	provision(other, &a, "bmc-b");
	WAIT_FOR(a.done);
	assert_false(a.error);
	answer_free(&a);
	caller_close(c);
	caller_close(other);
}

/*
 * Who goes before the bus could say who he is has asked for nothing; and the
 * bus was asked for four of his calls, not for all.
 */
static void
test_caller_gone(void **state)
{
	struct caller	*c = caller_open(users[11], true);
	static struct answer answers[20];
	struct answer	 there;
	uint64_t	 before_it = w.counts[R_BUS_CREDENTIALS];
	size_t		 i;
	char		 name[32];
	sd_bus_message	*m;
	const char	*unique;
	int		 owned = 1;

	/* It has a name, and the bus its call, while busd stands still. */
	signals_settle(c);
	assert_true(sd_bus_get_unique_name(c->bus, &unique) >= 0);
	snprintf(name, sizeof(name), "%s", unique);
	assert_int_equal(kill(w.pid, SIGSTOP), 0);
	for (i = 0; i < N(answers); i++)
		provision(c, &answers[i], "bmc-b");
	assert_true(sd_bus_flush(c->bus) >= 0);
	caller_close(c);
	while (owned) {
		assert_true(sd_bus_message_new_method_call(root->bus, &m,
		    "org.freedesktop.DBus", "/org/freedesktop/DBus",
		    "org.freedesktop.DBus", "NameHasOwner") >= 0);
		sd_bus_message_append(m, "s", name);
		call_send(root, &there, m);
		WAIT_FOR(there.done);
		assert_true(sd_bus_message_read(there.m, "b", &owned) > 0);
		answer_free(&there);
	}
	assert_int_equal(kill(w.pid, SIGCONT), 0);
	WAIT_FOR(w.counts[R_BUS_CREDENTIALS] == before_it + 4);
	assert_int_equal(w.asked, 0);
}

/* ---- beginning and end ------------------------------------------------------------------ */

static bool
has_owner(struct caller *c, const char *name)
{
	sd_bus_message	*m;
	struct answer	 a;
	int		 owned;

	assert_true(sd_bus_message_new_method_call(c->bus, &m,
	    "org.freedesktop.DBus", "/org/freedesktop/DBus",
	    "org.freedesktop.DBus", "NameHasOwner") >= 0);
	sd_bus_message_append(m, "s", name);
	call_send(c, &a, m);
	WAIT_FOR(a.done);
	assert_true(sd_bus_message_read(a.m, "b", &owned) > 0);
	answer_free(&a);
	return owned != 0;
}

/* It waits for a bus, then for policyd's last word; only then it is there. */
static void
test_start(void **state)
{
	struct msg_bus_node	 m = node_words();
	struct caller		*c;

	world_dir();
	busd_start();
	bus_start_daemon();
	busd_greeted();
	c = caller_open(0, false);
	m.connected = LINK_CONNECTED;
	say_node(&m);
	assert_false(has_owner(c, BUS_NAME));
	assert_int_equal(w.ready, 0);
	say_end();
	WAIT_FOR(w.ready == 1);
	assert_true(has_owner(c, BUS_NAME));
	assert_true(has_owner(c, BUS_NAME_ATTEST));
	assert_string_equal(property_text(c, BUS_ROOT, BUS_IFACE,
	    "PeerConnected"), CONNECTION("Connected"));
	caller_close(c);
	world_end();
}

/* The bus goes: it ends, to be started anew. */
static void
test_bus_gone(void **state)
{
	setup(state);
	bus_stop_daemon();
	assert_int_equal(busd_wait(), 1);
	WAIT_FOR(w.hub == NULL);
	world_end();
}

/* A bus that does not read costs a bounded queue, then the same. */
static void
test_bus_silent(void **state)
{
	struct msg_bus_outcome	o = { .peer = PEER_SELF, .asked = true };
	unsigned		i;

	setup(state);
	assert_int_equal(kill(w.daemon, SIGSTOP), 0);
	for (i = 0; w.hub != NULL && i < 100000; i++) {
		WAIT_FOR(w.hub == NULL || chan_room(w.hub) > 64);
		if (w.hub != NULL)
			chan_send(w.hub, MSG_BUS_OUTCOME, &o, -1);
	}
	WAIT_FOR(w.hub == NULL);
	assert_int_equal(busd_wait(), 1);
	world_end();
}

static void
take(struct caller *c, const char *name)
{
	sd_bus_message	*m;
	struct answer	 a;

	assert_true(sd_bus_message_new_method_call(c->bus, &m,
	    "org.freedesktop.DBus", "/org/freedesktop/DBus",
	    "org.freedesktop.DBus", "RequestName") >= 0);
	sd_bus_message_append(m, "su", name, 4);
	call_send(c, &a, m);
	WAIT_FOR(a.done);
	if (a.error)
		fail_msg("%s: %s", name, a.text);
	answer_free(&a);
}

/*
 * Another daemon has the name: without it there is nothing to do. The policy
 * keeps others from it, so that a bus of another policy is asked.
 */
static void
test_name_taken(void **state)
{
	static const char *const names[] = { BUS_NAME, BUS_NAME_ATTEST };
	struct msg_bus_node	 m = node_words();
	struct caller		*c;
	size_t			 i;

	for (i = 0; i < N(names); i++) {
		world_dir();
		w.anybody = true;
		bus_start_daemon();
		c = caller_open(0, false);
		take(c, names[i]);
		busd_start();
		busd_greeted();
		say_node(&m);
		say_end();
		if (i == 0) {
			assert_int_equal(busd_wait(), 1);
			WAIT_FOR(w.hub == NULL);
			assert_int_equal(w.ready, 0);
		} else {
			WAIT_FOR(w.ready == 1 &&
			    w.counts[R_BUS_ATTESTATION_NAME] == 1);
			assert_true(has_owner(c, BUS_NAME));
		}
		caller_close(c);
		world_end();
	}
}

/* What policyd may not say of peers is an offence, as of anybody. */
static void
test_view(void **state)
{
	struct msg_bus_peer	a = peer_words(1, "bmc-a");
	struct msg_bus_peer	wrong[] = { peer_words(PEER_SELF, "bmc-x"),
	    peer_words(2, "bmc-a"), peer_words(1, "bmc-b"),
	    peer_words(3, "") };
	size_t			i;

	for (i = 0; i < N(wrong); i++) {
		setup(state);
		say_peer(&a);
		say_peer(&a);
		say_gone(77);	/* came and went unseen */
		say_peer(&wrong[i]);
		WAIT_FOR(w.hub == NULL);
		assert_int_equal(busd_wait(), 0);
		world_end();
	}
}

int
main(void)
{
	const struct CMUnitTest	calls[] = {
		cmocka_unit_test_setup(test_properties, before),
		cmocka_unit_test_setup(test_changes, before),
		cmocka_unit_test_setup(test_introspection, before),
		cmocka_unit_test_setup(test_provision, before),
		cmocka_unit_test_setup(test_users, before),
		cmocka_unit_test_setup(test_owner, before),
		cmocka_unit_test_setup(test_errors, before),
		cmocka_unit_test_setup(test_debug, before),
		cmocka_unit_test_setup(test_names, before),
		cmocka_unit_test_setup(test_malformed, before),
		cmocka_unit_test_setup(test_read_only, before),
		cmocka_unit_test_setup(test_flood, before),
		cmocka_unit_test_setup(test_flood_of_users, before),
		cmocka_unit_test_setup(test_rate, before),
		cmocka_unit_test_setup(test_caller_gone, before),
		cmocka_unit_test_setup(test_random, before),
	};
	const struct CMUnitTest	life[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_bus_gone),
		cmocka_unit_test(test_bus_silent),
		cmocka_unit_test(test_name_taken),
		cmocka_unit_test(test_view),
	};
	const char		*lacks = world_lacks();
	int			 failed;

	if (lacks != NULL) {
		printf("1..0 # SKIP %s\n", lacks);
		return 0;
	}
	failed = cmocka_run_group_tests_name("calls", calls, setup_callers,
	    teardown_callers);
	return failed +
	    cmocka_run_group_tests_name("life", life, NULL, NULL);
}
