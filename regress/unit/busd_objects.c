/*
 * busd's objects: one for each peer, its device of the attestation service,
 * and the progress of what was asked for. What they show, what they signal,
 * when they come and go.
 */
#include "bus_world.h"

#define DEVICES		"/xyz/openbmc_project/attestation_requester/devices/tcp"
#define REQUESTER	"/xyz/openbmc_project/attestation_requester"
#define RESPONDER	"/xyz/openbmc_project/attestation_responder/tcp/responder1"
#define IFACE_DEVICE	"xyz.openbmc_project.AttestationDevice"
#define IFACE_COMMON	"xyz.openbmc_project.Common.Progress"
#define IFACE_PROGRESS	"xyz.openbmc_project.Provisioning.Progress"
#define STATUS(word)	IFACE_COMMON ".OperationStatus." word
#define PEER_B		BUS_PEERS "/bmc_2db"
#define DEVICE_B	DEVICES "/bmc_2db"
#define PROGRESS_B	BUS_PROGRESS "/bmc_2db"
#define UNKNOWN		"org.freedesktop.DBus.Error.UnknownObject"
#define MANY		4096

static struct caller	*root, *ear;

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

/* A peer, bmc-b, that is there for the test; nobody has heard of it yet. */
static int
before(void **state)
{
	struct msg_bus_peer	m = peer_words(1, "bmc-b");

	w.refuse = R_OK;
	w.asked = 0;
	say_peer(&m);
	signals_settle(ear);
	signals_clear(ear);
	return 0;
}

static int
after(void **state)
{
	say_gone(1);
	return 0;
}

/* Exactly these signals have come, in this order. */
static void
heard(const char *signals)
{
	signals_settle(ear);
	assert_string_equal(ear->signals, signals);
	signals_clear(ear);
}

static void
outcome(uint32_t peer, bool asked, bool provisioned, enum reason reason)
{
	struct msg_bus_outcome	m = { .peer = peer, .asked = asked,
	    .provisioned = provisioned, .reason = reason };

	if (reason != R_OK)
		IPC_SET_STR(m.field, "measurement 3");
	assert_int_equal(chan_send(w.hub, MSG_BUS_OUTCOME, &m, -1), 0);
}

static void
step(uint32_t peer, uint32_t number, const char *name, const char *detail)
{
	struct msg_bus_step	m = { .peer = peer, .step = number };

	IPC_SET_STR(m.name, name);
	IPC_SET_STR(m.detail, detail);
	assert_int_equal(chan_send(w.hub, MSG_BUS_STEP, &m, -1), 0);
}

static void
done(struct caller *c, const char *path, const char *iface, const char *method,
    const char *s)
{
	struct answer	a;

	if (*call_wait(c, &a, path, iface, method, s) != '\0')
		fail_msg("%s %s: %s: %s", path, method, a.name, a.text);
	answer_free(&a);
}

static void
is_text(const char *path, const char *iface, const char *name,
    const char *value)
{
	assert_string_equal(property_text(root, path, iface, name), value);
}

static uint64_t
number(const char *path, const char *iface, const char *name, const char *type)
{
	struct answer	 a;
	sd_bus_message	*m = property(root, &a, path, iface, name, type);
	uint64_t	 t = 0;
	uint32_t	 u = 0;
	uint16_t	 q = 0;

	assert_true(sd_bus_message_read_basic(m, *type, *type == 't' ?
	    (void *)&t : *type == 'u' ? (void *)&u : (void *)&q) > 0);
	answer_free(&a);
	return t + u + q;
}

/* ---- peers ---------------------------------------------------------------------- */

static void
test_peer_shown(void **state)
{
	static const struct { const char *name; uint32_t n; } want[] = {
	    { "Measured", 5 }, { "Equal", 4 }, { "Ignored", 1 },
	    { "Differs", 0 }, { "Unlisted", 0 } };
	struct msg_bus_peer	 m = peer_words(1, "bmc-b");
	struct answer		 a;
	sd_bus_message		*r;
	const char		*key;
	uint32_t		 n;
	size_t			 i;

	m.equal = 4;
	m.ignored = 1;
	m.reason = R_POL_MEASUREMENT;
	IPC_SET_STR(m.expected, "aa");
	IPC_SET_STR(m.seen, "bb");
	say_peer(&m);
	signals_settle(ear);
	is_text(PEER_B, BUS_IFACE_PEER, "Name", "bmc-b");
	is_text(PEER_B, BUS_IFACE_PEER, "Origin", "configuration");
	is_text(PEER_B, BUS_IFACE_PEER, "State", "Connected");
	is_text(PEER_B, BUS_IFACE_PEER, "PeerConnected",
	    BUS_IFACE ".PeerConnectionStatus.Connected");
	is_text(PEER_B, BUS_IFACE_PEER, "Node", m.node);
	is_text(PEER_B, BUS_IFACE_PEER, "Identity", m.identity);
	is_text(PEER_B, BUS_IFACE_PEER, "Address", "192.0.2.7");
	is_text(PEER_B, BUS_IFACE_PEER, "Reference", "configured");
	is_text(PEER_B, BUS_IFACE_PEER, "ReasonCode",
	    reason_code(R_POL_MEASUREMENT));
	is_text(PEER_B, BUS_IFACE_PEER, "ReasonText",
	    reason_text(R_POL_MEASUREMENT));
	is_text(PEER_B, BUS_IFACE_PEER, "Remedy",
	    reason_remedy(R_POL_MEASUREMENT));
	is_text(PEER_B, BUS_IFACE_PEER, "ReasonExpected", "aa");
	is_text(PEER_B, BUS_IFACE_PEER, "ReasonSeen", "bb");
	assert_true(property_flag(root, PEER_B, BUS_IFACE_PEER,
	    "Provisioned"));
	assert_int_equal(number(PEER_B, BUS_IFACE_PEER, "Since", "t"), 1000);
	assert_int_equal(number(PEER_B, BUS_IFACE_PEER, "LastAttestation",
	    "t"), 2000);
	assert_int_equal(number(PEER_B, BUS_IFACE_PEER, "Port", "q"), 4194);
	is_text(DEVICE_B, IFACE_DEVICE, "remote_ip", "192.0.2.7");
	is_text(DEVICE_B, IFACE_DEVICE, "remote_port", "4194");
	r = property(root, &a, PEER_B, BUS_IFACE_PEER, "Measurements",
	    "a{su}");
	assert_true(sd_bus_message_enter_container(r, 'a', "{su}") > 0);
	for (i = 0; sd_bus_message_read(r, "{su}", &key, &n) > 0; i++) {
		assert_string_equal(key, want[i].name);
		assert_int_equal(n, want[i].n);
	}
	assert_int_equal(i, N(want));
	answer_free(&a);
}

/* It comes and goes with its device, and is nowhere after that. */
static void
test_peer_comes(void **state)
{
	struct msg_bus_peer	m = peer_words(2, "B\xc3\xbcro 7");
	struct answer		a;

	say_peer(&m);
	heard(BUS_ROOT " InterfacesAdded " BUS_PEERS "/B_c3_bcro_207;"
	    REQUESTER " InterfacesAdded " DEVICES "/B_c3_bcro_207;");
	is_text(BUS_PEERS "/B_c3_bcro_207", BUS_IFACE_PEER, "Name",
	    "B\xc3\xbcro 7");
	say_gone(2);
	heard(REQUESTER " InterfacesRemoved " DEVICES "/B_c3_bcro_207;"
	    BUS_ROOT " InterfacesRemoved " BUS_PEERS "/B_c3_bcro_207;");
	assert_string_equal(call_wait(root, &a, BUS_PEERS "/B_c3_bcro_207",
	    BUS_IFACE_PEER, "Provision", NULL), UNKNOWN);
	answer_free(&a);
	assert_string_equal(call_wait(root, &a, DEVICES "/B_c3_bcro_207",
	    IFACE_DEVICE, "attest", NULL), UNKNOWN);
	answer_free(&a);
	assert_int_equal(w.asked, 0);
}

/* One signal a change, of exactly what has changed. */
static void
test_peer_changes(void **state)
{
	struct msg_bus_peer	m = peer_words(1, "bmc-b");

	say_peer(&m);
	heard("");
	m.connected = LINK_NOTCONNECTED;
	IPC_SET_STR(m.state, "NotConnected");
	m.since = 1001;
	say_peer(&m);
	heard(PEER_B " PropertiesChanged State=NotConnected PeerConnected="
	    BUS_IFACE ".PeerConnectionStatus.NotConnected Since=1001;");
	m.equal = 3;
	m.differs = 2;
	say_peer(&m);
	heard(PEER_B " PropertiesChanged Measurements=;");
	m.reason = R_POL_NO_ADDRESS;
	m.provisioned = false;
	say_peer(&m);
	signals_settle(ear);
	assert_int_equal(ear->nsignals, 1);
	assert_non_null(strstr(ear->signals, " Provisioned=0 ReasonCode="));
	assert_non_null(strstr(ear->signals, " ReasonText="));
	assert_non_null(strstr(ear->signals, " Remedy="));
	assert_null(strstr(ear->signals, "ReasonField"));
	signals_clear(ear);
	/* The device has two of these. */
	IPC_SET_STR(m.address, "2001:db8::7");
	m.port = 0;
	say_peer(&m);
	heard(PEER_B " PropertiesChanged Address=2001:db8::7 Port=;"
	    DEVICE_B " PropertiesChanged remote_ip=2001:db8::7 remote_port=;");
	is_text(DEVICE_B, IFACE_DEVICE, "remote_port", "");
}

/* Every member of the message that is shown is signalled. */
static void
test_every_member(void **state)
{
	struct msg_bus_peer	m = peer_words(1, "bmc-b");
	uint32_t		*counts[] = { &m.measured, &m.equal,
	    &m.ignored, &m.differs, &m.unlisted };
	struct { char *text; size_t size; const char *name; } texts[] = {
	    { m.origin, sizeof(m.origin), "Origin" },
	    { m.state, sizeof(m.state), "State" },
	    { m.field, sizeof(m.field), "ReasonField" },
	    { m.expected, sizeof(m.expected), "ReasonExpected" },
	    { m.seen, sizeof(m.seen), "ReasonSeen" },
	    { m.node, sizeof(m.node), "Node" },
	    { m.identity, sizeof(m.identity), "Identity" },
	    { m.reference, sizeof(m.reference), "Reference" } };
	char			 want[160];
	size_t			 i;

	for (i = 0; i < N(texts); i++) {
		ipc_set_str(texts[i].text, texts[i].size, "other");
		say_peer(&m);
		snprintf(want, sizeof(want), "%s PropertiesChanged %s=other;",
		    PEER_B, texts[i].name);
		heard(want);
	}
	for (i = 0; i < N(counts); i++) {
		(*counts[i])++;
		say_peer(&m);
		heard(PEER_B " PropertiesChanged Measurements=;");
	}
	m.attested++;
	say_peer(&m);
	heard(PEER_B " PropertiesChanged LastAttestation=2001;");
}

static void
asked(enum ipc_type type, const char *name)
{
	assert_int_equal(w.asked, 1);
	assert_int_equal(w.type, type);
	assert_string_equal(w.name, name);
	assert_int_equal(w.caller, 0);
	w.asked = 0;
}

/* A method asks policyd for this peer, and the bus who may. */
static void
test_methods(void **state)
{
	static const char *const	methods[] = { "Provision",
	    "Unprovision", "Revoke" };
	struct caller			*nobody = caller_open(65534, false);
	struct answer			 a;
	size_t				 i;

	done(root, PEER_B, BUS_IFACE_PEER, "Provision", NULL);
	asked(MSG_BUS_PROVISION, "bmc-b");
	done(root, PEER_B, BUS_IFACE_PEER, "Unprovision", NULL);
	asked(MSG_BUS_UNPROVISION, "bmc-b");
	done(root, PEER_B, BUS_IFACE_PEER, "Revoke", NULL);
	asked(MSG_BUS_REVOKE, "bmc-b");
	done(root, DEVICE_B, IFACE_DEVICE, "attest", NULL);
	asked(MSG_BUS_PROVISION, "bmc-b");
	w.refuse = R_BUS_CALLER;
	assert_string_equal(call_wait(root, &a, PEER_B, BUS_IFACE_PEER,
	    "Revoke", NULL),
	    "xyz.openbmc_project.Common.Error.InsufficientPermission");
	answer_free(&a);
	w.asked = 0;
	for (i = 0; i < N(methods); i++) {
		assert_string_equal(call_wait(nobody, &a, PEER_B,
		    BUS_IFACE_PEER, methods[i], NULL),
		    "org.freedesktop.DBus.Error.AccessDenied");
		answer_free(&a);
	}
	assert_int_equal(w.asked, 0);
	caller_close(nobody);
}

/* A peer has one path; what else decodes to its name is nobody. */
static void
test_paths(void **state)
{
	static const char *const	paths[] = { BUS_PEERS "/bmc_2Db",
	    BUS_PEERS "/_62mc_2db", BUS_PEERS "/bmc_2db/x", BUS_PEERS,
	    BUS_PEERS "/_", BUS_PEERS "/bmc", DEVICES "/bmc_2Db", DEVICES,
	    DEVICES "/bmc_2db/x", BUS_PROGRESS "/bmc_2Db", BUS_PROGRESS,
	    RESPONDER "/x" };
	char				 path[2048];
	struct answer			 a;
	size_t				 i;

	for (i = 0; i < N(paths); i++) {
		call_wait(root, &a, paths[i], BUS_IFACE_PEER, "Provision",
		    NULL);
		assert_true(a.error);
		answer_free(&a);
		call_wait(root, &a, paths[i], IFACE_DEVICE, "attest", NULL);
		assert_true(a.error);
		answer_free(&a);
	}
	memset(path, 'x', sizeof(path));
	memcpy(path, DEVICES "/", strlen(DEVICES "/"));
	path[sizeof(path) - 1] = '\0';
	assert_string_equal(call_wait(root, &a, path, IFACE_DEVICE, "attest",
	    NULL), UNKNOWN);
	answer_free(&a);
	assert_int_equal(w.asked, 0);
}

/* How many objects a manager names. */
static size_t
managed(const char *manager)
{
	struct answer	 a;
	const char	*path;
	size_t		 n = 0;

	assert_string_equal(call_wait(root, &a, manager, MANAGER,
	    "GetManagedObjects", NULL), "");
	assert_true(sd_bus_message_enter_container(a.m, 'a',
	    "{oa{sa{sv}}}") > 0);
	while (sd_bus_message_enter_container(a.m, 'e', "oa{sa{sv}}") > 0) {
		assert_true(sd_bus_message_read(a.m, "o", &path) > 0);
		assert_true(sd_bus_message_skip(a.m, "a{sa{sv}}") > 0);
		assert_true(sd_bus_message_exit_container(a.m) > 0);
		n++;
	}
	answer_free(&a);
	return n;
}

/* Thousands of peers are objects like one. */
static void
test_many(void **state)
{
	struct msg_bus_peer	m;
	size_t			peers = managed(BUS_ROOT);
	size_t			devices = managed(REQUESTER);
	char			name[32];
	uint32_t		i;

	assert_int_equal(devices, 1);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		m = peer_words(1000 + i, name);
		say_peer(&m);
		if (i % 64 == 0) {
			signals_settle(ear);
			signals_clear(ear);
		}
	}
	signals_settle(ear);
	signals_clear(ear);
	is_text(BUS_PEERS "/many_2d4095", BUS_IFACE_PEER, "Name", "many-4095");
	assert_int_equal(managed(BUS_ROOT), peers + MANY);
	assert_int_equal(managed(REQUESTER), devices + MANY);
	for (i = 0; i < MANY; i++) {
		say_gone(1000 + i);
		if (i % 64 == 0) {
			signals_settle(ear);
			signals_clear(ear);
		}
	}
	signals_settle(ear);
	signals_clear(ear);
	assert_int_equal(managed(BUS_ROOT), peers);
}

/* ---- progress ----------------------------------------------------------------------- */

static void
provision(const char *name)
{
	done(root, BUS_ROOT, BUS_IFACE, "ProvisionPeer", name);
}

/* Steps, then the reason, then the word; and the answer to who asked. */
static void
test_progress(void **state)
{
	provision("bmc-b");
	heard(BUS_ROOT " InterfacesAdded " PROGRESS_B ";");
	is_text(PROGRESS_B, IFACE_COMMON, "Status", STATUS("InProgress"));
	is_text(PROGRESS_B, IFACE_PROGRESS, "Name", "bmc-b");
	assert_true(number(PROGRESS_B, IFACE_COMMON, "StartTime", "t") >
	    1700000000000000ULL);
	assert_int_equal(number(PROGRESS_B, IFACE_COMMON, "CompletedTime",
	    "t"), 0);
	step(1, 2, "CERTIFICATE", "slot 0");
	heard(PROGRESS_B " PropertiesChanged Step=2 StepName=CERTIFICATE "
	    "StepDetail=slot 0;");
	step(1, 3, "CHALLENGE", "slot 0");
	step(7, 4, "CHALLENGE", "somebody else's");
	step(PEER_SELF, 4, "CHALLENGE", "our own");
	heard(PROGRESS_B " PropertiesChanged Step=3 StepName=CHALLENGE;");
	outcome(1, false, true, R_OK);	/* of one that nobody asked for */
	signals_settle(ear);
	is_text(PROGRESS_B, IFACE_COMMON, "Status", STATUS("InProgress"));
	signals_clear(ear);
	outcome(1, true, true, R_OK);
	signals_settle(ear);
	assert_non_null(strstr(ear->signals, PROGRESS_B
	    " PropertiesChanged Status=" STATUS("Completed")
	    " CompletedTime="));
	assert_non_null(strstr(ear->signals, BUS_ROOT " PeerProvisioned 1;"));
	assert_true(number(PROGRESS_B, IFACE_COMMON, "CompletedTime", "t") >=
	    number(PROGRESS_B, IFACE_COMMON, "StartTime", "t"));
	signals_clear(ear);
	/* What comes after its end is another attestation's. */
	step(1, 1, "VERSION", "");
	outcome(1, true, false, R_POL_MEASUREMENT);
	signals_settle(ear);
	is_text(PROGRESS_B, IFACE_COMMON, "Status", STATUS("Completed"));
	is_text(PROGRESS_B, IFACE_PROGRESS, "StepName", "CHALLENGE");
}

/* The next request for a name takes the place of the last, once that ended. */
static void
test_progress_next(void **state)
{
	provision("bmc-b");
	signals_settle(ear);
	signals_clear(ear);
	provision("bmc-b");
	heard("");
	outcome(1, true, false, R_POL_MEASUREMENT);
	signals_settle(ear);
	is_text(PROGRESS_B, IFACE_COMMON, "Status", STATUS("Failed"));
	is_text(PROGRESS_B, IFACE_PROGRESS, "ReasonCode",
	    reason_code(R_POL_MEASUREMENT));
	is_text(PROGRESS_B, IFACE_PROGRESS, "ReasonField", "measurement 3");
	signals_clear(ear);
	done(root, DEVICE_B, IFACE_DEVICE, "attest", NULL);
	heard(BUS_ROOT " InterfacesRemoved " PROGRESS_B ";"
	    BUS_ROOT " InterfacesAdded " PROGRESS_B ";");
	is_text(PROGRESS_B, IFACE_COMMON, "Status", STATUS("InProgress"));
	is_text(PROGRESS_B, IFACE_PROGRESS, "ReasonCode", "");
	outcome(1, true, true, R_OK);
}

/* "Not done yet" is no end; the next outcome is, whoever asked. */
static void
test_progress_pending(void **state)
{
	provision("self");
	signals_settle(ear);
	signals_clear(ear);
	outcome(PEER_SELF, true, false, R_CTL_PENDING);
	signals_settle(ear);
	is_text(BUS_PROGRESS "/self", IFACE_COMMON, "Status",
	    STATUS("InProgress"));
	is_text(BUS_PROGRESS "/self", IFACE_PROGRESS, "ReasonCode",
	    reason_code(R_CTL_PENDING));
	outcome(PEER_SELF, false, true, R_OK);
	signals_settle(ear);
	is_text(BUS_PROGRESS "/self", IFACE_COMMON, "Status",
	    STATUS("Completed"));
	is_text(BUS_PROGRESS "/self", IFACE_PROGRESS, "ReasonCode", "");
}

/* A peer that goes takes the hope along, not the object. */
static void
test_progress_aborted(void **state)
{
	provision("bmc-b");
	say_gone(1);
	signals_settle(ear);
	is_text(PROGRESS_B, IFACE_COMMON, "Status", STATUS("Aborted"));
	before(state);
	is_text(PROGRESS_B, IFACE_COMMON, "Status", STATUS("Aborted"));
}

static void
test_progress_refused(void **state)
{
	struct answer	a;
	size_t		n = managed(BUS_ROOT);

	w.refuse = R_POL_NO_PEER;
	call_wait(root, &a, BUS_ROOT, BUS_IFACE, "ProvisionPeer", "stranger");
	assert_true(a.error);
	answer_free(&a);
	heard("");
	assert_int_equal(managed(BUS_ROOT), n);
}

/* However many are asked for, 64 are kept: the oldest that ended goes first. */
static void
test_progress_bound(void **state)
{
	/* Debian's own, since the bus lets nobody in who has no name. */
	static const uid_t	users[] = { 1, 2, 3, 5, 6 };
	struct caller		*c = NULL;
	size_t			 most = managed(BUS_ROOT) + 64;
	unsigned		 i;
	char			 name[32];

	for (i = 0; i < 80; i++) {
		if (i % 16 == 0) {	/* less than the burst of a user */
			if (c != NULL)
				caller_close(c);
			c = caller_open(users[i / 16], true);
		}
		snprintf(name, sizeof(name), "bound-%u", i);
		done(c, BUS_ROOT, BUS_IFACE, "ProvisionPeer", name);
		assert_true(managed(BUS_ROOT) <= most);
	}
	is_text(BUS_PROGRESS "/bound_2d79", IFACE_COMMON, "Status",
	    STATUS("InProgress"));
	caller_close(c);
	signals_settle(ear);
	assert_non_null(strstr(ear->signals, BUS_ROOT " InterfacesRemoved "
	    BUS_PROGRESS "/bound_2d0;"));
	assert_null(strstr(ear->signals, BUS_ROOT " InterfacesRemoved "
	    BUS_PROGRESS "/bound_2d40;"));
	signals_clear(ear);
}

/* ---- attestation ------------------------------------------------------------------------ */

static void
test_attested(void **state)
{
	outcome(1, true, true, R_OK);
	heard(DEVICE_B " Attested 1;" BUS_ROOT " PeerProvisioned 1;");
	outcome(1, true, false, R_POL_MEASUREMENT);
	heard(DEVICE_B " Attested 0;" BUS_ROOT " PeerProvisioned 0;");
	/* Trusted still, but this one did not end well. */
	outcome(1, false, true, R_POL_MEASUREMENT);
	heard(DEVICE_B " Attested 0;" RESPONDER " Attested 0;");
	/* Nobody here asked: the peer had attested us. */
	outcome(1, false, true, R_OK);
	heard(DEVICE_B " Attested 1;" RESPONDER " Attested 1;");
	outcome(1, true, false, R_CTL_PENDING);
	heard(BUS_ROOT " PeerProvisioned 0;");
	outcome(PEER_SELF, false, true, R_OK);
	outcome(77, false, true, R_OK);
	heard("");
}

/* What others signal under these names is nothing to us. */
static void
test_not_evidence(void **state)
{
	static const char *const	from[] = { DEVICE_B, RESPONDER };
	static const char *const	faces[] = { IFACE_DEVICE,
	    "xyz.openbmc_project.AttestationResponder" };
	struct caller			*c = caller_open(0, false);
	struct answer			 a;
	sd_bus_message			*m;
	size_t				 i;

	for (i = 0; i < 4; i++) {
		assert_true(sd_bus_message_new_signal(c->bus, &m, from[i / 2],
		    faces[i / 2], "Attested") >= 0);
		assert_true(sd_bus_message_append(m, "b", 1) >= 0);
		if (i % 2 == 1)
			assert_true(sd_bus_message_set_destination(m,
			    BUS_NAME_ATTEST) >= 0);
		assert_true(sd_bus_send(c->bus, m, NULL) >= 0);
		sd_bus_message_unref(m);
	}
	call_wait(c, &a, BUS_ROOT, PROPERTIES, "GetAll", BUS_IFACE);
	assert_false(a.error);
	answer_free(&a);
	signals_settle(ear);
	assert_int_equal(w.asked, 0);
	assert_int_equal(w.offences, 0);
	assert_null(strstr(ear->signals, "PropertiesChanged"));
	assert_null(strstr(ear->signals, "PeerProvisioned"));
	caller_close(c);
}

/* Objects are there with the names, and nothing is signalled before. */
static void
test_before_names(void **state)
{
	struct msg_bus_node	n = node_words();
	struct msg_bus_peer	m = peer_words(1, "bmc-b");
	struct caller		*c;

	world_dir();
	bus_start_daemon();
	c = caller_open(0, false);
	caller_listen(c, "/xyz");
	busd_start();
	busd_greeted();
	say_node(&n);
	say_peer(&m);
	m.since++;
	say_peer(&m);
	step(1, 1, "VERSION", "");
	outcome(1, true, true, R_OK);
	say_peer(&m);
	say_gone(1);
	say_peer(&m);
	say_end();
	WAIT_FOR(w.ready == 1);
	root = c;
	is_text(PEER_B, BUS_IFACE_PEER, "Name", "bmc-b");
	signals_settle(c);
	assert_string_equal(c->signals, "");
	caller_close(c);
	world_end();
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, before, after)

int
main(void)
{
	const struct CMUnitTest	objects[] = {
		TEST(test_peer_shown),
		TEST(test_peer_comes),
		TEST(test_peer_changes),
		TEST(test_every_member),
		TEST(test_paths),
		TEST(test_many),
		TEST(test_progress),
		TEST(test_progress_next),
		TEST(test_progress_pending),
		TEST(test_progress_aborted),
		TEST(test_progress_refused),
		TEST(test_progress_bound),
		TEST(test_methods),
		TEST(test_attested),
		TEST(test_not_evidence),
	};
	const struct CMUnitTest	life[] = {
		cmocka_unit_test(test_before_names),
	};
	const char		*lacks = world_lacks();

	if (lacks != NULL) {
		printf("1..0 # SKIP %s\n", lacks);
		return 0;
	}
	return cmocka_run_group_tests_name("objects", objects, setup_callers,
	    teardown_callers) +
	    cmocka_run_group_tests_name("life", life, NULL, NULL);
}
