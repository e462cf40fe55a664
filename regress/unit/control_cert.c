/* Commands about devices and certificates, with real clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <ctype.h>

#include "clock.h"
#include "control_client.h"
#include "hex.h"
#include "../../policyd/enrol.h"

#define MAC	"24:0a:c4:12:34:56"
#define DAY	86400u

static struct conf_profile profiles[] = {
	{ &profiles[1], (char []){ "iot" }, 1, 30 * DAY, 10 * DAY, 1,
	    NAME_MAC, NULL, false, false, false, 0 },
	{ &profiles[2], (char []){ "ops" }, 1, 30 * DAY, 10 * DAY, 1,
	    NAME_TEXT, NULL, false, false, true, 0 },
	{ NULL, (char []){ "lab" }, 1, 30 * DAY, 10 * DAY, 1,
	    NAME_TEXT, NULL, false, false, false, 0 },
};

static int
setup(void **state)
{
	if (c_setup(state) == -1)
		return -1;
	config.profiles = profiles;
	clock_set(T0);
	steps = 0;
	return 0;
}

static bool
is_null(const char *type, const char *key)
{
	return json_is_null(json_object_get(row(type), key));
}

static int64_t
row_int(const char *type, const char *key)
{
	return json_integer_value(json_object_get(row(type), key));
}

static int
add(int fd, const char *name, const char *profile, bool ticket, uint32_t life)
{
	struct msg_ctl_device_add	m = { .ticket = ticket,
	    .lifetime = life };

	IPC_SET_STR(m.name, name);
	IPC_SET_STR(m.profile, profile);
	return ask(fd, MSG_CTL_DEVICE_ADD, &m);
}

static int
devices(int fd, const char *name, const char *profile)
{
	struct msg_ctl_device_list	m = { .name = "" };

	IPC_SET_STR(m.name, name);
	IPC_SET_STR(m.profile, profile);
	return ask(fd, MSG_CTL_DEVICE_LIST, &m);
}

static void
assert_why(int answer, enum reason r, const char *field)
{
	assert_int_equal(answer, MSG_REFUSED);
	assert_string_equal(reason_code(refused.reason), reason_code(r));
	assert_string_equal(refused.field, field);
}

static void
test_device_add(void **state)
{
	int	fd = greet();

	assert_int_equal(add(fd, "24-0A-C4-12-34-56", "iot", false, 0),
	    MSG_DONE);
	assert_string_equal(row_text("device", "name"), MAC);
	assert_string_equal(row_text("device", "profile"), "iot");
	assert_string_equal(row_text("device", "ticket_state"), "none");
	assert_true(is_null("device", "ticket"));
	assert_true(is_null("device", "ticket_expires"));
	assert_true(is_null("device", "last"));
	assert_int_equal(row_int("device", "certificates"), 0);
	/* Once more: nothing new. */
	assert_int_equal(add(fd, MAC, "", false, 0), MSG_DONE);
	assert_int_equal(devices(fd, "", ""), MSG_DONE);
	assert_int_equal(nrows, 1);
	/* Not under two profiles, nor under none; in no other form. */
	assert_int_equal(add(fd, "Alice", "ops", false, 0), MSG_DONE);
	assert_why(add(fd, "Alice", "lab", false, 0), R_CRT_PROFILE,
	    "profile");
	assert_string_equal(refused.expected, "ops");
	assert_why(add(fd, "Bob", "", false, 0), R_CRT_PROFILE, "profile");
	assert_why(add(fd, "Bob", "none", false, 0), R_CRT_PROFILE,
	    "profile");
	assert_why(add(fd, "Bob", "iot", false, 0), R_CRT_NAME_FORM, "name");
	assert_int_equal(devices(fd, "", ""), MSG_DONE);
	assert_int_equal(nrows, 2);
	assert_int_equal(devices(fd, "", "ops"), MSG_DONE);
	assert_int_equal(nrows, 1);
	assert_int_equal(devices(fd, "24:0A:C4:12:34:56", ""), MSG_DONE);
	assert_string_equal(row_text("device", "name"), MAC);
	assert_why(devices(fd, "Bob", ""), R_CRT_DEVICE, "name");
	close(fd);
}

/* Of the ticket nothing stays but its hash. */
static void
test_device_ticket(void **state)
{
	char			 digits[HEX_SIZE(TICKET_LEN)], until[32];
	uint8_t			 bytes[TICKET_LEN];
	struct ticket		 t;
	sqlite3_stmt		*st;
	unsigned		 i, k;
	int			 fd = greet();

	assert_int_equal(add(fd, MAC, "iot", true, 0), MSG_DONE);
	assert_string_equal(row_text("device", "ticket_state"), "waiting");
	snprintf(digits, sizeof(digits), "%s", row_text("device", "ticket"));
	assert_int_equal(strspn(digits, "0123456789abcdef"), 32);
	assert_string_equal(row_text("device", "ticket_expires"),
	    time_text(clock_trusted() + DAY, until, sizeof(until)));
	for (i = 0; i < TICKET_LEN; i++) {
		assert_int_equal(sscanf(digits + 2 * i, "%2x", &k), 1);
		bytes[i] = (uint8_t)k;
	}
	assert_true(ticket_find(bytes, &t));
	assert_string_equal(t.name, MAC);
	assert_int_equal(devices(fd, "", ""), MSG_DONE);
	assert_true(is_null("device", "ticket"));
	/* Neither in the audit log. */
	assert_int_equal(sqlite3_prepare_v2(store_db(), "SELECT count(*) FROM"
	    " audit WHERE instr(text, ?1) > 0", -1, &st, NULL), SQLITE_OK);
	sqlite3_bind_text(st, 1, digits, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(st, 0), 0);
	sqlite3_finalize(st);
	/* The next one takes its place, for as long as was said. */
	assert_int_equal(add(fd, MAC, "", true, 60), MSG_DONE);
	assert_false(ticket_find(bytes, &t));
	clock_set(T0 + 61);
	assert_int_equal(devices(fd, MAC, ""), MSG_DONE);
	assert_string_equal(row_text("device", "ticket_state"), "expired");
	close(fd);
}

static void
test_device_remove(void **state)
{
	struct msg_ctl_device_remove	m = { .name = "24-0a-c4-12-34-56" };
	int				fd = greet();

	assert_why(ask(fd, MSG_CTL_DEVICE_REMOVE, &m), R_CRT_DEVICE, "name");
	assert_int_equal(add(fd, MAC, "iot", true, 0), MSG_DONE);
	assert_int_equal(ask(fd, MSG_CTL_DEVICE_REMOVE, &m), MSG_DONE);
	assert_int_equal(devices(fd, "", ""), MSG_DONE);
	assert_int_equal(nrows, 0);
	close(fd);
}

/* Case counts in texts: it is the one that was named, not a host's. */
static void
test_device_remove_text(void **state)
{
	struct msg_ctl_device_remove	m = { .name = "Unit-1" };
	int				fd = greet();

	assert_int_equal(add(fd, "unit-1", "lab", false, 0), MSG_DONE);
	assert_int_equal(add(fd, "Unit-1", "lab", false, 0), MSG_DONE);
	assert_int_equal(ask(fd, MSG_CTL_DEVICE_REMOVE, &m), MSG_DONE);
	assert_int_equal(devices(fd, "", ""), MSG_DONE);
	assert_int_equal(nrows, 1);
	assert_string_equal(row_text("device", "name"), "unit-1");
	close(fd);
}

static void
test_device_many(void **state)
{
	char		name[32];
	struct why	why;
	unsigned	i;
	int		fd = greet();

	for (i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "unit-%u", i);
		assert_int_equal(device_add(name, &profiles[1], &why), R_OK);
	}
	store_turn();
	assert_int_equal(devices(fd, "", ""), MSG_DONE);
	assert_int_equal(nrows, 600);
	close(fd);
}

/* ---- certificates --------------------------------------------------------- */

static struct issued	newest;

static void
put(const char *name, const char *profile, unsigned generation,
    uint64_t until, bool has)
{
	struct issued	i = { .generation = generation,
	    .not_before = T0 - 10, .not_after = until, .requested = T0 };
	struct intent	in;

	memset(&in, 0, sizeof(in));
	serial_draw(i.serial);
	memcpy(i.key, i.serial, SERIAL_LEN);
	IPC_SET_STR(i.name, name);
	IPC_SET_STR(i.profile, profile);
	IPC_SET_STR(i.address, "192.0.2.9");
	assert_int_equal(issued_intent(&i, &in), R_OK);
	if (has) {
		assert_int_equal(issued_fill(i.id, (const uint8_t *)"0123456",
		    7), R_OK);
		assert_int_equal(issued_taken(i.serial), R_OK);
	}
	newest = i;
}

static int
certs(int fd, const char *name, const char *profile, uint32_t status)
{
	struct msg_ctl_cert_list	m = { .status = status };

	IPC_SET_STR(m.name, name);
	IPC_SET_STR(m.profile, profile);
	return ask(fd, MSG_CTL_CERT_LIST, &m);
}

static void
test_cert_show(void **state)
{
	struct msg_ctl_cert_show	m = { .serial = "" };
	int				fd = greet();

	put(MAC, "iot", 1, T0 + DAY, true);
	hex(newest.serial, SERIAL_LEN, m.serial);
	m.serial[0] = (char)toupper((unsigned char)m.serial[0]);
	assert_int_equal(ask(fd, MSG_CTL_CERT_SHOW, &m), MSG_DONE);
	m.serial[0] = (char)tolower((unsigned char)m.serial[0]);
	assert_string_equal(row_text("cert", "serial"), m.serial);
	assert_string_equal(row_text("cert", "name"), MAC);
	assert_string_equal(row_text("cert", "profile"), "iot");
	assert_string_equal(row_text("cert", "status"), "valid");
	assert_string_equal(row_text("cert", "auth"), "ticket");
	assert_string_equal(row_text("cert", "door"), "json");
	assert_string_equal(row_text("cert", "address"), "192.0.2.9");
	assert_string_equal(row_text("cert", "pem"), "-----BEGIN CERTIFICATE"
	    "-----\nMDEyMzQ1Ng==\n-----END CERTIFICATE-----\n");
	assert_true(is_null("cert", "revoked"));
	assert_true(json_is_true(json_object_get(row("cert"),
	    "acknowledged")));
	/* Asked for, and keyd never answered. */
	put(MAC, "iot", 1, T0 + DAY, false);
	hex(newest.serial, SERIAL_LEN, m.serial);
	assert_int_equal(ask(fd, MSG_CTL_CERT_SHOW, &m), MSG_DONE);
	assert_string_equal(row_text("cert", "status"), "orphan");
	assert_true(is_null("cert", "pem"));
	assert_true(is_null("cert", "sha256"));
	m.serial[5] ^= 1;
	assert_why(ask(fd, MSG_CTL_CERT_SHOW, &m), m.serial[5] >= '0' &&
	    strspn(m.serial, "0123456789abcdef") == 32 ? R_CRT_SERIAL :
	    R_CTL_VALUE, "serial");
	m.serial[31] = '\0';
	assert_why(ask(fd, MSG_CTL_CERT_SHOW, &m), R_CTL_VALUE, "serial");
	close(fd);
}

/* However many there are, a turn looks at some of them only. */
static void
test_cert_list(void **state)
{
	static struct issued	 i;
	struct why		 why;
	char			 name[32];
	unsigned		 n;
	int			 fd = greet();

	for (n = 0; n < 9000; n++) {
		snprintf(name, sizeof(name), "unit-%u", n % 30);
		put(name, n % 30 == 0 ? "lab" : "ops", 1, n < 50 ? T0 - 1 :
		    T0 + DAY, n % 100 != 0);
	}
	assert_true(issued_byid(8000, &i));
	assert_int_equal(issued_revoke(&i, CRL_SUPERSEDED, "test", &why),
	    R_OK);
	store_turn();
	assert_int_equal(certs(fd, "unit-3", "", 0), MSG_DONE);
	assert_int_equal(nrows, 300);
	assert_true(is_null("cert", "pem"));
	steps = 0;
	assert_int_equal(certs(fd, "", "", 2), MSG_DONE);
	assert_int_equal(nrows, 1);
	assert_string_equal(row_text("cert", "revocation"), "superseded");
	assert_in_range(steps, 2, 10);
	assert_int_equal(certs(fd, "", "", 3), MSG_DONE);
	assert_int_equal(nrows, 50);
	assert_int_equal(certs(fd, "", "", 4), MSG_DONE);
	assert_int_equal(nrows, 89);
	assert_int_equal(certs(fd, "", "lab", 0), MSG_DONE);
	assert_int_equal(nrows, 300);
	assert_int_equal(certs(fd, "", "none", 0), MSG_DONE);
	assert_int_equal(nrows, 0);
	assert_int_equal(ask(fd, MSG_CTL_CERT_STATS, NULL), MSG_DONE);
	assert_int_equal(nrows, 2);
	for (n = 0; n < 2; n++) {
		json_t	*o = rows[n];
		bool	 lab = strcmp(text(n, "profile"), "lab") == 0;

		assert_int_equal(json_integer_value(json_object_get(o,
		    "total")), lab ? 300 : 8700);
		assert_int_equal(json_integer_value(json_object_get(o,
		    "expired")), lab ? 2 : 48);
		assert_int_equal(json_integer_value(json_object_get(o,
		    "revoked")), lab ? 0 : 1);
	}
	close(fd);
}

/* Who goes away in the middle of it is forgotten with what it asked. */
static void
test_cert_list_gone(void **state)
{
	struct msg_ctl_cert_list	m = { .status = 2 };
	unsigned			n;
	int				fd = greet();

	for (n = 0; n < 9000; n++)
		put("unit", "ops", 1, T0 + DAY, true);
	store_turn();
	say(fd, MSG_CTL_CERT_LIST, 2, &m);
	spin();
	close(fd);
	for (n = 0; n < 20; n++)
		spin();
	assert_false(control_work());
}

static int
cert_revoke(int fd, const uint8_t *serial, const char *name, uint32_t reason)
{
	struct msg_ctl_cert_revoke	m = { .reason = reason };

	if (serial != NULL)
		hex(serial, SERIAL_LEN, m.serial);
	IPC_SET_STR(m.name, name);
	return ask(fd, MSG_CTL_CERT_REVOKE, &m);
}

static void
test_cert_revoke(void **state)
{
	uint8_t	one[SERIAL_LEN];
	int	fd = greet();

	put(MAC, "iot", 1, T0 + DAY, true);
	memcpy(one, newest.serial, SERIAL_LEN);
	put(MAC, "iot", 2, T0 + DAY, true);
	put(MAC, "iot", 2, T0 + DAY, false);
	put(MAC, "iot", 2, T0 - 1, true);
	assert_why(cert_revoke(fd, one, "", CRL_HOLD), R_CTL_VALUE, "reason");
	assert_int_equal(cert_revoke(fd, one, "", CRL_KEY_COMPROMISE), MSG_DONE);
	assert_string_equal(row_text("cert", "status"), "revoked");
	assert_string_equal(row_text("cert", "revocation"), "keyCompromise");
	assert_why(cert_revoke(fd, one, "", CRL_KEY_COMPROMISE), R_CRT_REVOKED,
	    "serial");
	/* All that a device has: neither expired nor revoked ones. */
	assert_int_equal(cert_revoke(fd, NULL, "24-0A-C4-12-34-56",
	    CRL_CESSATION), MSG_DONE);
	assert_int_equal(nrows, 2);
	assert_why(cert_revoke(fd, NULL, MAC, CRL_CESSATION), R_CRT_SERIAL,
	    "name");
	assert_why(cert_revoke(fd, NULL, "", CRL_CESSATION), R_CRT_SERIAL, "name");
	one[3] ^= 1;
	assert_why(cert_revoke(fd, one, "", CRL_CESSATION), R_CRT_SERIAL,
	    "serial");
	assert_int_equal(certs(fd, MAC, "", 2), MSG_DONE);
	assert_int_equal(nrows, 3);
	close(fd);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, c_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_device_add),
		T(test_device_ticket),
		T(test_device_remove),
		T(test_device_remove_text),
		T(test_device_many),
		T(test_cert_show),
		T(test_cert_list),
		T(test_cert_list_gone),
		T(test_cert_revoke),
	};

	return cmocka_run_group_tests_name("control_cert", tests, NULL, NULL);
}
