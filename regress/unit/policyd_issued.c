/*
 * What was issued: in the store, in files and in the log of serials, each
 * once, whatever is killed, torn, missing or full; who may revoke it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "confine.h"
#include "policyd_enrol.h"

/* ---- a process that dies at any write, of the store or of a file ---- */

static bool	armed;

ssize_t
write(int fd, const void *buf, size_t n)
{
	if (armed && fd > 2) {
		/* Torn: half of it is there. */
		if (disk_writes + 1 == disk_die_at && disk_half)
			syscall(SYS_write, fd, buf, n / 2);
		(void)disk_gate(-1, NULL, 0, 0);
	}
	return syscall(SYS_write, fd, buf, n);
}

#define CLIENTS	7

static struct {
	struct msg_enrol_req asked[CLIENTS];
	struct answer	 got[CLIENTS];
} *shared;

static void
note(struct answer **a, unsigned n)
{
	unsigned	i;

	for (i = 0; i < n; i++)
		if (a[i]->times > 0)
			shared->got[i] = *a[i];
}

static void
die_issuing(int at)
{
	unsigned	 i, k;
	struct answer	*a[CLIENTS];

	start();
	for (i = 0; i < CLIENTS; i++)
		ticket(&shared->asked[i], shared->asked[i].name, "iot");
	store_turn();
	disk_install();
	disk_die_at = (unsigned)at;
	disk_half = at % 2 == 1;
	armed = true;
	/* In groups of one to four, so that they overlap. */
	for (i = 0; i < CLIENTS; i++) {
		a[i] = ask(&shared->asked[i]);
		for (k = 0; k < (i == 0 || i == 2 ? 8 : 1); k++) {
			turn();
			note(a, i + 1);
		}
	}
	for (k = 0; k < 20; k++) {
		turn();
		note(a, CLIENTS);
	}
	enrol_tick(mono);
	turns();
	armed = false;
	disk_die_at = 0;
	stop();
}

static void
each_once(void)
{
	unsigned		 i;
	struct answer		*a;
	static struct issued	 row;

	for (i = 0; i < CLIENTS; i++) {
		if (shared->got[i].type == MSG_ENROL_REP)
			assert_kept(&shared->got[i]);
		/* What has a certificate that nobody took is listed as such. */
		if (issued_newest(shared->asked[i].name, &row))
			assert_int_equal(issued_state(&row, NOW), ST_ORPHAN);
		a = assert_issued(&shared->asked[i]);
		assert_kept(a);
		if (shared->got[i].type == MSG_ENROL_REP)
			assert_memory_equal(a->rep.certificate.data,
			    shared->got[i].rep.certificate.data,
			    a->rep.certificate.len);
		taken(a);
		assert_true(issued_newest(shared->asked[i].name, &row));
		assert_int_equal(issued_state(&row, NOW), ST_VALID);
	}
	assert_int_equal(sql_int("SELECT count(*) FROM cert"), CLIENTS);
	assert_int_equal(sql_int("SELECT count(*) FROM cert WHERE state < 2"),
	    0);
}

static void
test_killed(void **state)
{
	char		name[32];
	unsigned	i, acked = 0, partly = 0, n;
	int		at, st = -1;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	for (at = 1; st == -1; at += at < 50 ? 1 : 3) {
		stop();
		assert_int_equal(nftw(dir_path, remove_one, 16, FTW_DEPTH |
		    FTW_PHYS), 0);
		assert_int_equal(dir_make(state), 0);
		memset(shared, 0, sizeof(*shared));
		for (i = 0; i < CLIENTS; i++) {
			snprintf(name, sizeof(name), "02:00:00:00:00:%02x", i);
			shared->asked[i] = request(name, "");
		}
		nasked = 0;
		st = in_child(die_issuing, at);
		assert_true(at < 1000);
		start();
		for (i = n = 0; i < CLIENTS; i++)
			n += shared->got[i].type == MSG_ENROL_REP;
		acked += n;
		partly += n > 0 && n < CLIENTS;
		each_once();
	}
	assert_int_equal(st, 0);
	assert_true(at > 20);
	assert_true(acked > 50 && partly > 10);
	munmap(shared, sizeof(*shared));
}

/* ---- files that are put right at the next start ---- */

static struct msg_enrol_req	asked[12];
static struct answer		*got[12];

static void
issue_some(void)
{
	char		name[32];
	unsigned	i;

	for (i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "02:00:00:00:00:%02x", i);
		asked[i] = request(name, "");
		ticket(&asked[i], name, "iot");
		got[i] = assert_issued(&asked[i]);
		if (i < 8)
			taken(got[i]);
	}
}

static void
all_kept(void)
{
	char		*text = log_text(), *p;
	unsigned	 i, lines = 0;

	for (i = 0; i < 12; i++)
		assert_kept(got[i]);
	for (p = text; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	assert_int_equal(lines, 12);
	free(text);
}

static void
log_path(char *out, size_t size)
{
	snprintf(out, size, "%s/issued/serials.txt", dir_path);
}

static void
test_line(void **state)
{
	struct msg_enrol_req	 m = request(MAC, "");
	char			*text, want[256], digits[HEX_SIZE(SERIAL_LEN)];
	struct answer		*a;

	ticket(&m, MAC, "iot");
	a = assert_issued(&m);
	hex(a->rep.serial.data, SERIAL_LEN, digits);
	snprintf(want, sizeof(want), "%s %s iot 2033-06-17T03:28:20Z\n",
	    digits, MAC);
	text = log_text();
	assert_string_equal(text, want);
	free(text);
}

static void
test_torn_line(void **state)
{
	static const off_t	cuts[] = { 1, 20, 70, 85, 100, 170 };
	struct stat		st;
	char			path[256];
	size_t			i;
	int			fd;

	issue_some();
	all_kept();
	log_path(path, sizeof(path));
	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		stop();
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(truncate(path, st.st_size - cuts[i]), 0);
		start();
		all_kept();
	}
	/* Blocks that the disk never got read as zeros. */
	stop();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 100), 0);
	assert_int_equal(truncate(path, st.st_size), 0);
	start();
	all_kept();
	/* What is none of ours. */
	stop();
	assert_int_not_equal(fd = open(path, O_WRONLY | O_APPEND), -1);
	assert_int_equal(write(fd, "hello\n", 6), 6);
	close(fd);
	start();
	all_kept();
}

static void
test_missing_files(void **state)
{
	char	path[256], dir[256];
	int	fd;

	issue_some();
	stop();
	path_of(got[0]->rep.serial.data, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	path_of(got[5]->rep.serial.data, path, sizeof(path));
	assert_int_equal(truncate(path, 100), 0);
	path_of(got[11]->rep.serial.data, path, sizeof(path));
	assert_int_not_equal(fd = open(path, O_WRONLY | O_TRUNC), -1);
	close(fd);
	start();
	all_kept();
	/* All of them, and the log. */
	stop();
	snprintf(dir, sizeof(dir), "%s/issued", dir_path);
	assert_int_equal(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	start();
	all_kept();
	/* While policyd runs: the next one makes the directories again. */
	assert_int_equal(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	struct msg_enrol_req	 m = request(MAC, "");
	ticket(&m, MAC, "iot");
	assert_kept(assert_issued(&m));
}

/* The mark in the store is behind what was written: nothing is there twice. */
static void
test_mark(void **state)
{
	issue_some();
	stop();
	dir_sql("DELETE FROM meta WHERE name = 'cert_files'");
	start();
	all_kept();
	assert_int_equal(store_meta_int("cert_files", 0), 12);
	stop();
	start();
	all_kept();
}

static enum reason	warning;

static void
see_warning(const char *about, const struct why *why, void *arg)
{
	assert_string_equal(about, "issued");
	warning = why->reason;
}

static enum reason
warned(void)
{
	warning = R_OK;
	enrol_warnings(see_warning, NULL);
	return warning;
}

/*
 * A log that cannot be written stands for a full disk: nobody is answered,
 * nothing more is issued, and nothing is lost.
 */
static void
test_no_room(void **state)
{
	struct msg_enrol_req	 m[3];
	static struct issued	 i;
	char			 path[256], aside[300];
	unsigned		 n;

	issue_some();
	log_path(path, sizeof(path));
	snprintf(aside, sizeof(aside), "%s.aside", path);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	for (n = 0; n < 3; n++) {
		m[n] = request(n == 0 ? MAC : n == 1 ? MAC2 :
		    "02:00:00:00:01:00", "");
		ticket(&m[n], m[n].name, "iot");
	}
	(void)ask(&m[0]);
	(void)ask(&m[1]);
	turns();
	assert_int_equal(answers[nasked - 1].reason, R_CRT_FILES);
	assert_int_equal(answers[nasked - 2].reason, R_CRT_FILES);
	n = keyd_asked;
	assert_int_equal(warned(), R_CRT_FILES);
	assert_refused(&m[0], R_CRT_FILES, "issued");
	assert_refused(&m[2], R_CRT_FILES, "issued");
	assert_int_equal(keyd_asked, n);
	assert_true(issued_newest(MAC, &i));
	assert_int_equal(issued_state(&i, NOW), ST_ORPHAN);
	assert_int_equal(log_lines(i.serial), 0);
	enrol_tick(mono);
	turns();
	/* Room again. */
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rename(aside, path), 0);
	enrol_tick(mono);
	turns();
	assert_int_equal(log_lines(i.serial), 1);
	for (n = 0; n < 3; n++)
		assert_kept(assert_issued(&m[n]));
	assert_int_equal(sql_int("SELECT count(*) FROM cert"), 15);
	for (n = 0; n < 12; n++)
		assert_kept(got[n]);
}

/*
 * All that it does with files, under the filter that a policyd with a ca has:
 * SIGSYS would end it.
 */
static void
filtered(int arg)
{
	struct msg_enrol_req	 m[3];
	struct confine		 c = policyd_confine_for(conf);
	char			 dir[256], log[256];
	unsigned		 i;

	start();
	for (i = 0; i < 3; i++) {
		m[i] = request(i == 0 ? MAC : i == 1 ? MAC2 :
		    "02:00:00:00:01:00", "");
		ticket(&m[i], m[i].name, "iot");
	}
	snprintf(dir, sizeof(dir), "%s/issued", dir_path);
	if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		_exit(1);
	log_path(log, sizeof(log));
	confine_filter(&c);
	/* Directories that somebody took away are made again. */
	assert_kept(assert_issued(&m[0]));
	if (unlink(log) == -1)
		_exit(2);
	assert_kept(assert_issued(&m[1]));
	assert_kept(assert_issued(&m[2]));
	assert_true(assert_issued(&m[2])->rep.again);
	_exit(0);
}

static void
test_filter(void **state)
{
	stop();
	assert_int_equal(in_child(filtered, 0), 0);
	start();
}

/* A store that cannot commit: keyd is not asked, nobody has an answer. */
static void
test_no_commit(void **state)
{
	struct msg_enrol_req	 m = request(MAC, "");
	static struct issued	 i;
	struct answer		*a;

	ticket(&m, MAC, "iot");
	disk_install();
	disk_errno = ENOSPC;
	a = ask(&m);
	turns();
	assert_int_equal(a->type, MSG_REFUSED);
	assert_int_equal(a->reason, R_SYS_STORE_FULL);
	assert_int_equal(keyd_asked, 0);
	disk_errno = 0;
	stop();
	start();
	/* The same between keyd's answer and ours. */
	a = ask(&m);
	turn();
	pump_end(&keyd_ours, &keyd_theirs);
	assert_int_equal(keyd_asked, 1);
	disk_errno = ENOSPC;
	turns();
	assert_int_equal(a->type, MSG_REFUSED);
	assert_int_equal(a->reason, R_SYS_STORE_FULL);
	disk_errno = 0;
	stop();
	start();
	assert_true(issued_newest(MAC, &i));
	assert_int_equal(i.len, 0);
	assert_int_equal(log_lines(i.serial), 0);
	assert_kept(assert_issued(&m));
	assert_int_equal(sql_int("SELECT count(*) FROM cert"), 1);
}

/* ---- orphans ---- */

static unsigned		seen;
static struct issued	last_seen;

static void
see(const struct issued *i, void *arg)
{
	seen++;
	last_seen = *i;
}

static unsigned
found(const char *name, const char *profile, enum issued_status st)
{
	struct issued_filter	f = { .status = st, .now = clock_trusted() };
	int64_t			at = 0, before;
	unsigned		pages = 0;

	snprintf(f.name, sizeof(f.name), "%s", name);
	snprintf(f.profile, sizeof(f.profile), "%s", profile);
	seen = 0;
	do {
		before = at;
		assert_true(pages++ < 10000);
		if (!issued_page(&f, &at, 7, see, NULL))
			break;
		assert_true(at > before);
	} while (true);
	return seen;
}

static void
test_orphans(void **state)
{
	struct msg_enrol_req	 m = request(MAC, ""), n = request(MAC2, "");
	static struct issued	 i;
	struct answer		*a;
	struct why		 why;

	/* enrold dies before it says that the client has it. */
	ticket(&m, MAC, "iot");
	a = assert_issued(&m);
	chan_close(enrold_theirs);
	turns();
	enrold_up();
	assert_int_equal(found("", "", ST_ORPHAN), 1);
	assert_memory_equal(last_seen.serial, a->rep.serial.data, SERIAL_LEN);
	/* The client asks again, and this time it has it. */
	a = assert_issued(&m);
	assert_true(a->rep.again);
	taken(a);
	assert_int_equal(found("", "", ST_ORPHAN), 0);
	/* enrold dies while keyd works: issued, and nobody has it. */
	ticket(&n, MAC2, "iot");
	a = ask(&n);
	turn();
	turn();
	chan_close(enrold_theirs);
	turns();
	enrold_up();
	assert_int_equal(found("", "", ST_ORPHAN), 1);
	assert_int_equal(found(MAC2, "iot", ST_ORPHAN), 1);
	assert_int_equal(log_lines(last_seen.serial), 1);
	/* The status says so, once nobody can be waiting for it. */
	assert_int_equal(warned(), R_OK);
	clock_set(NOW + 700);
	assert_int_equal(warned(), R_CRT_ORPHAN);
	/* An operator ends it; then its request is worth nothing. */
	i = last_seen;
	assert_int_equal(issued_revoke(&i, CRL_CESSATION, "test", &why), R_OK);
	assert_int_equal(found("", "", ST_ORPHAN), 0);
	assert_int_equal(found("", "", ST_REVOKED), 1);
	assert_int_equal(warned(), R_OK);
	assert_int_equal(issued_status(i.serial, SERIAL_LEN, NOW, &i),
	    CERT_REVOKED);
	assert_refused(&n, R_CRT_KEY_REVOKED, "key");
}

/* Whom nobody waits for any more, before keyd was asked: as if never asked. */
static void
test_gone_before(void **state)
{
	struct msg_enrol_req	m = request(MAC, "");

	ticket(&m, MAC, "iot");
	(void)ask(&m);
	pump_end(&enrold_ours, &enrold_theirs);
	chan_close(enrold_theirs);
	turns();
	assert_int_equal(keyd_asked, 0);
	assert_int_equal(sql_int("SELECT count(*) FROM cert"), 0);
	enrold_up();
	assert_issued(&m);
}

/* ---- lists ---- */

static void
put_row(unsigned n, const char *name, const char *profile, uint64_t until)
{
	struct issued	i = { .generation = 2, .not_before = NOW - 10,
	    .not_after = until, .requested = NOW };
	struct intent	in;

	memset(&in, 0, sizeof(in));
	serial_draw(i.serial);
	memcpy(i.key, i.serial, SERIAL_LEN);
	snprintf(i.name, sizeof(i.name), "%s", name);
	snprintf(i.profile, sizeof(i.profile), "%s", profile);
	assert_int_equal(issued_intent(&i, &in), R_OK);
	if (n % 10 != 0) {
		assert_int_equal(issued_fill(i.id, (const uint8_t *)"x", 1),
		    R_OK);
		assert_int_equal(issued_taken(i.serial), R_OK);
	}
}

static int64_t	counts[ST_ORPHAN + 1];

static void
add_count(const char *profile, enum issued_status st, int64_t n, void *arg)
{
	if (strcmp(profile, "iot") == 0)
		counts[st] += n;
}

static void
test_lists(void **state)
{
	static struct issued	 i;
	struct why		 why;
	char			 name[32];
	int64_t			 at = 0;
	unsigned		 n;

	for (n = 0; n < 5000; n++) {
		snprintf(name, sizeof(name), "unit-%u", n % 1000);
		put_row(n, name, n % 5 == 0 ? "web" : "iot",
		    n < 100 ? NOW - 1 : NOW + DAY);
	}
	store_turn();
	assert_true(issued_byid(4002, &i));
	assert_int_equal(issued_revoke(&i, CRL_SUPERSEDED, "test", &why),
	    R_OK);
	assert_int_equal(issued_revoke(&i, CRL_SUPERSEDED, "test", &why),
	    R_CRT_REVOKED);
	assert_int_equal(found("", "", ST_ALL), 5000);
	assert_int_equal(found("unit-7", "", ST_ALL), 5);
	assert_int_equal(found("unit-7", "", ST_EXPIRED), 1);
	assert_int_equal(found("unit-7", "web", ST_ALL), 0);
	assert_int_equal(found("", "web", ST_ALL), 1000);
	assert_int_equal(found("", "", ST_EXPIRED), 100);
	assert_int_equal(found("", "", ST_REVOKED), 1);
	assert_int_equal(found("", "", ST_ORPHAN), 490);
	assert_int_equal(found("", "web", ST_ORPHAN), 490);
	assert_int_equal(found("", "", ST_VALID), 5000 - 100 - 1 - 490);
	memset(counts, 0, sizeof(counts));
	while (issued_count(&at, NOW, add_count, NULL))
		;
	assert_int_equal(counts[ST_EXPIRED], 80);
	assert_int_equal(counts[ST_REVOKED], 1);
	assert_int_equal(counts[ST_ORPHAN], 0);
	assert_int_equal(counts[ST_VALID], 4000 - 80 - 1);
	assert_true(issued_any_valid(2, NOW));
	assert_false(issued_any_valid(2, NOW + DAY));
	assert_false(issued_any_valid(1, NOW));
}

static unsigned		devices;
static char		last_device[NAME_LEN + 1];

static void
see_device(const struct device *d, void *arg)
{
	assert_true(strcmp(d->name, last_device) > 0);
	memcpy(last_device, d->name, sizeof(last_device));
	devices++;
}

static void
test_devices(void **state)
{
	char		name[32], after[NAME_LEN + 1] = "";
	unsigned	i;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "02:00:00:00:00:%02x", i);
		list(name, i < 40 ? "iot" : "named");
	}
	last_device[0] = '\0';
	while (device_page(after, "", 7, see_device, NULL))
		;
	assert_int_equal(devices, 100);
	devices = 0;
	after[0] = last_device[0] = '\0';
	while (device_page(after, "named", 7, see_device, NULL))
		;
	assert_int_equal(devices, 60);
}

/* ---- revoking ---- */

static struct msg_revoke_req
revocation(const struct answer *client, const struct answer *target)
{
	struct msg_revoke_req	m;

	memset(&m, 0, sizeof(m));
	m.client_serial.len = SERIAL_LEN;
	memcpy(m.client_serial.data, client->rep.serial.data, SERIAL_LEN);
	if (target != NULL) {
		m.serial.len = SERIAL_LEN;
		memcpy(m.serial.data, target->rep.serial.data, SERIAL_LEN);
	}
	m.reason = CRL_KEY_COMPROMISE;
	IPC_SET_STR(m.address, "192.0.2.9");
	return m;
}

static void
assert_revoke(const struct msg_revoke_req *m, enum reason r)
{
	struct answer	*a = call(MSG_REVOKE_REQ, m);

	turns();
	assert_int_equal(a->times, 1);
	assert_string_equal(reason_code(a->reason), reason_code(r));
	assert_int_equal(a->type, r == R_OK ? MSG_DONE : MSG_REFUSED);
}

static struct msg_cert_status_rep
status_of(const struct answer *of)
{
	struct msg_cert_status_req	 m;
	struct answer			*a;

	IPC_SET_BLOB(m.serial, of->rep.serial.data, SERIAL_LEN);
	a = call(MSG_CERT_STATUS_REQ, &m);
	turns();
	assert_int_equal(a->type, MSG_CERT_STATUS_REP);
	return a->status;
}

static void
test_revoke(void **state)
{
	struct msg_enrol_req	 q = request("Alice", "");
	struct msg_revoke_req	 m;
	struct answer		*alice, none;

	issue_some();
	ticket(&q, "Alice", "ops");
	alice = assert_issued(&q);
	/* No certificate, one of nobody, another's. */
	memset(&none, 0, sizeof(none));
	m = revocation(got[0], NULL);
	m.client_serial.len = 0;
	assert_revoke(&m, R_CRT_NO_AUTH);
	m = revocation(&none, NULL);
	assert_revoke(&m, R_CRT_CLIENT_REVOKED);
	m = revocation(got[0], got[1]);
	assert_revoke(&m, R_CRT_NOT_YOURS);
	m = revocation(got[0], &none);
	assert_revoke(&m, R_CRT_NOT_YOURS);
	m = revocation(got[0], alice);
	assert_revoke(&m, R_CRT_NOT_YOURS);
	/* A reason that could be taken back. */
	m = revocation(got[0], NULL);
	m.reason = CRL_HOLD;
	assert_revoke(&m, R_CTL_VALUE);
	m.reason = CRL_REMOVE;
	assert_revoke(&m, R_CTL_VALUE);
	m.reason = 7;
	assert_revoke(&m, R_CTL_VALUE);
	assert_int_equal(crls, 0);
	assert_int_equal(status_of(got[0]).status, CERT_GOOD);
	/* Its own; then it is good for nothing. */
	m = revocation(got[0], NULL);
	assert_revoke(&m, R_OK);
	assert_int_equal(crls, 1);
	assert_int_equal(status_of(got[0]).status, CERT_REVOKED);
	assert_int_equal(status_of(got[0]).reason, CRL_KEY_COMPROMISE);
	assert_true(status_of(got[0]).revoked >= NOW);
	assert_revoke(&m, R_CRT_CLIENT_REVOKED);
	m = revocation(got[1], got[1]);
	assert_revoke(&m, R_OK);
	/* An operator: any, once. */
	m = revocation(alice, got[2]);
	assert_revoke(&m, R_OK);
	assert_revoke(&m, R_CRT_REVOKED);
	m = revocation(alice, &none);
	assert_revoke(&m, R_CRT_SERIAL);
	m.serial.len = 20;
	assert_revoke(&m, R_CRT_SERIAL);
	assert_int_equal(status_of(&none).status, CERT_UNKNOWN);
	/* Who was taken off the list, or moved on it, is none any more. */
	struct device	d;
	assert_true(device_find("Alice", &d));
	assert_int_equal(device_remove(d.id), R_OK);
	m = revocation(alice, got[3]);
	assert_revoke(&m, R_CRT_NOT_YOURS);
	list("Alice", "guest");
	assert_revoke(&m, R_CRT_NOT_YOURS);
	/* Neither with one that has expired. */
	clock_set(NOW + 31 * DAY);
	m = revocation(alice, got[3]);
	assert_revoke(&m, R_CRT_CLIENT_EXPIRED);
	assert_int_equal(status_of(got[3]).status, CERT_EXPIRED);
	assert_int_equal(status_of(got[2]).status, CERT_REVOKED);
	assert_int_equal(crls, 3);
}

static unsigned	nrevoked;
static uint64_t	when;

static void
see_revoked(const uint8_t serial[SERIAL_LEN], uint64_t revoked,
    enum crl_reason reason, void *arg)
{
	assert_true(revoked >= when);
	when = revoked;
	nrevoked++;
}

static void
test_revoked_rows(void **state)
{
	static const unsigned	order[] = { 5, 1, 9 };
	static struct issued	i;
	struct why		why;
	unsigned		n;

	issue_some();
	for (n = 0; n < 3; n++) {
		clock_set(NOW + n + 1);
		assert_true(issued_find(got[order[n]]->rep.serial.data,
		    SERIAL_LEN, &i));
		assert_int_equal(issued_revoke(&i, CRL_UNSPECIFIED, "test",
		    &why), R_OK);
	}
	issued_revoked(2, see_revoked, NULL);
	assert_int_equal(nrevoked, 3);
	issued_revoked(1, see_revoked, NULL);
	assert_int_equal(nrevoked, 3);
}

/* ---- forms ---- */

static void
spki_same(EVP_PKEY *k, uint32_t type, const uint8_t *public, size_t len,
    uint32_t e)
{
	uint8_t	 ours[SPKI_ANY_MAX], *theirs = NULL;
	int	 n = i2d_PUBKEY(k, &theirs);

	assert_int_equal(form_spki(type, public, len, e, ours), n);
	assert_memory_equal(ours, theirs, n);
	OPENSSL_free(theirs);
}

static void
test_spki(void **state)
{
	static const struct {
		uint32_t	type;
		unsigned	bits;
	} rsa[] = { { SUBJECT_RSA2048, 2048 }, { SUBJECT_RSA3072, 3072 } };
	uint8_t			 buf[512], out[SPKI_ANY_MAX];
	EVP_PKEY		*k;
	size_t			 i, len = 0;

	k = EVP_EC_gen("P-384");
	assert_int_equal(EVP_PKEY_get_octet_string_param(k, "pub", buf,
	    sizeof(buf), &len), 1);
	spki_same(k, SUBJECT_P384, buf, len, 0);
	EVP_PKEY_free(k);
	for (i = 0; i < 2; i++) {
		len = rsa[i].bits / 8;
		memset(buf, 0x5a, sizeof(buf));
		buf[0] = 0x80 | (uint8_t)i;
		k = rsa_public(buf, len, 65537);
		spki_same(k, rsa[i].type, buf, len, 65537);
		assert_int_equal(form_spki(rsa[1 - i].type, buf, len, 65537,
		    out), 0);
		buf[0] &= 0x7f;
		assert_int_equal(form_spki(rsa[i].type, buf, len, 65537, out),
		    0);
		EVP_PKEY_free(k);
	}
	/* The longest there is. */
	memset(buf, 0xff, sizeof(buf));
	len = form_spki(SUBJECT_RSA4096, buf, 512, UINT32_MAX, out);
	assert_in_range(len, 512, SPKI_ANY_MAX);
	assert_int_equal(form_spki(SUBJECT_NKEYS, buf, 512, 3, out), 0);
}

/* From 2050 on, times have another form (RFC 5280, 4.1.2.5). */
static void
test_far_away(void **state)
{
	struct msg_enrol_req	m = request(MAC, "");

	profiles[0].validity = 20000 * DAY;
	the_ca.not_after = NOW + 30000 * DAY;
	ticket(&m, MAC, "iot");
	assert_kept(assert_issued(&m));
	profiles[0].validity = 30 * DAY;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_killed),
		T(test_line),
		T(test_torn_line),
		T(test_missing_files),
		T(test_mark),
		T(test_no_room),
		T(test_filter),
		T(test_no_commit),
		T(test_orphans),
		T(test_gone_before),
		T(test_lists),
		T(test_devices),
		T(test_revoke),
		T(test_revoked_rows),
		T(test_spki),
		T(test_far_away),
	};

	return cmocka_run_group_tests_name("policyd_issued", tests, NULL,
	    NULL);
}
