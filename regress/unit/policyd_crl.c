/*
 * CRLs and OCSP: numbers that are never used twice, whatever is killed;
 * revocations that come together share one; nothing of keyd's is published
 * unread; the right CA answers for a certificate, and no stranger uses up
 * keyd's window.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policyd_authority.h"

static unsigned		published;
static enum reason	publish_reason;

static void
on_published(enum reason r, void *arg)
{
	published++;
	publish_reason = r;
}

static int
setup(void **state)
{
	struct why	why;

	if (authority_setup(state) == -1)
		return -1;
	published = 0;
	publish_reason = R_OK;
	enrold_start();
	keyd_up();
	if (init(false) != R_OK)
		return -1;
	pump();
	return ca_current(&why) == NULL ? -1 : 0;
}

static void
again(void **state)
{
	authority_teardown(state);
	assert_int_equal(setup(state), 0);
}

static const struct crl *
crl(void)
{
	return crl_byslot(0);
}

static void
revoke_and_publish(enum crl_reason reason)
{
	revoke_one(reason);
	crl_changed(1, on_published, NULL);
	pump();
}

static X509_CRL *
parse(const uint8_t *der, size_t len)
{
	const uint8_t	*p = der;
	X509_CRL	*c = d2i_X509_CRL(NULL, &p, (long)len);

	assert_non_null(c);
	assert_ptr_equal(p, der + len);
	return c;
}

/* What enrold, the file and the store have is the same, and the newest. */
static void
assert_published(uint64_t number, int entries)
{
	STACK_OF(X509_REVOKED)	*list;
	ASN1_INTEGER		*n;
	X509_CRL		*c;
	uint8_t			 file[65536];
	char			 path[160];
	ssize_t			 len;
	int			 fd;

	assert_int_equal(crl()->number, number);
	assert_int_equal(crl()->entries, entries);
	assert_true(crl()->in_file);
	snprintf(path, sizeof(path), "%s/crl/issuing-1.crl", dir_path);
	assert_int_not_equal(fd = open(path, O_RDONLY), -1);
	len = read(fd, file, sizeof(file));
	close(fd);
	assert_int_equal(len, enrold.crl[0].len);
	assert_memory_equal(file, enrold.crl[0].der, (size_t)len);
	assert_int_equal(enrold.crl[0].seals & (F_SEAL_WRITE | F_SEAL_GROW |
	    F_SEAL_SHRINK), F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
	c = parse(file, (size_t)len);
	list = X509_CRL_get_REVOKED(c);
	assert_int_equal(list == NULL ? 0 : sk_X509_REVOKED_num(list),
	    entries);
	n = X509_CRL_get_ext_d2i(c, NID_crl_number, NULL, NULL);
	assert_int_equal(ASN1_INTEGER_get(n), number);
	ASN1_INTEGER_free(n);
	X509_CRL_free(c);
}

/* No number twice, and always a larger one. */
static void
assert_numbers_grow(void)
{
	unsigned	i;

	for (i = 1; i < service.crls; i++)
		assert_true(service.numbers[i] > service.numbers[i - 1]);
}

/* ---- when ---- */

static void
test_first(void **state)
{
	assert_published(1, 0);
	assert_int_equal(crl()->next_update - crl()->this_update, DAY);
}

static void
test_at_once(void **state)
{
	revoke_and_publish(CRL_KEY_COMPROMISE);
	assert_int_equal(published, 1);
	assert_int_equal(publish_reason, R_OK);
	assert_published(2, 1);
	revoke_and_publish(CRL_UNSPECIFIED);
	assert_published(3, 2);
	assert_numbers_grow();
}

/* Many in one turn are one; those that come while keyd signs are the next. */
static void
test_coalesced(void **state)
{
	unsigned	i;

	for (i = 0; i < 10; i++) {
		revoke_one(CRL_SUPERSEDED);
		crl_changed(1, on_published, NULL);
	}
	store_turn();			/* its number */
	store_turn();			/* asked of keyd, not answered */
	for (i = 0; i < 10; i++) {
		revoke_one(CRL_SUPERSEDED);
		crl_changed(1, on_published, NULL);
	}
	pump();
	assert_int_equal(published, 20);
	assert_int_equal(service.crls, 3);
	assert_int_equal(service.entries[1], 10);
	assert_int_equal(service.entries[2], 20);
	assert_published(3, 20);
}

/* Half of its life is over: another. And once only. */
static void
test_half(void **state)
{
	clock_set(clock_trusted() + DAY / 2 - 60);
	later(1000);
	assert_int_equal(crl()->number, 1);
	clock_set(clock_trusted() + 120);
	later(1000);
	assert_published(2, 0);
	later(1000);
	later(1000);
	assert_published(2, 0);
	clock_set(clock_trusted() + 400 * DAY);	/* as after a step */
	later(1000);
	assert_published(3, 0);
	assert_true(crl()->next_update > clock_trusted());
}

static void
test_restart(void **state)
{
	revoke_and_publish(CRL_KEY_COMPROMISE);
	fake_stop();
	store_close();
	policyd_up();
	assert_int_equal(crl()->number, 2);	/* what was published stands */
	assert_int_equal(crl()->entries, 1);
	enrold.crls = 0;
	keyd_up();
	assert_published(3, 1);
	assert_int_equal(enrold.crls, 1);
	assert_numbers_grow();
}

/* enrold came again: it hears all that is published. */
static void
test_enrold_again(void **state)
{
	revoke_and_publish(CRL_KEY_COMPROMISE);
	chan_close(enrold.chan);
	chan_close(link_other[IPC_ENROLD]);
	enrold_start();
	pump();
	assert_int_equal(enrold.crls, 1);
	assert_published(2, 1);
}

static void
test_keyd_away(void **state)
{
	fake_stop();
	revoke_and_publish(CRL_KEY_COMPROMISE);
	assert_int_equal(published, 1);
	assert_int_equal(publish_reason, R_IPC_NOLINK);
	keyd_up();			/* and it is made up for */
	assert_published(2, 1);
}

static void
test_gone(void **state)
{
	crl_changed(77, on_published, NULL);
	pump();
	assert_int_equal(published, 1);
	assert_int_equal(publish_reason, R_OK);
	assert_int_equal(crl()->number, 1);
}

/* A long list is not signed with each device that is revoked. */
static void
test_long(void **state)
{
	issued.more = 9999;
	revoke_and_publish(CRL_SUPERSEDED);
	assert_int_equal(crl()->entries, 10000);
	revoke_and_publish(CRL_SUPERSEDED);
	revoke_and_publish(CRL_SUPERSEDED);
	assert_int_equal(published, 1);
	assert_int_equal(crl()->number, 2);
	later(499);
	assert_int_equal(crl()->number, 2);
	later(1);
	assert_int_equal(published, 3);
	assert_int_equal(publish_reason, R_OK);
	assert_int_equal(crl()->number, 3);
	assert_int_equal(crl()->entries, 10002);
	issued.more = 0;		/* a short one is: at once */
	crl_hurry(1);
	revoke_and_publish(CRL_SUPERSEDED);
	revoke_and_publish(CRL_SUPERSEDED);
	assert_int_equal(published, 5);
	assert_published(5, 5);
}

/* Times of both forms, around leap days and the end of UTCTime. */
static void
test_times(void **state)
{
	static const uint64_t	times[] = { 0, 951782399, 951782400,
	    951868799, 951868800, 1709164800, 1709251199, 1709251200,
	    1735689599, 1735689600, UINT64_C(2524607999),
	    UINT64_C(2524608000), UINT64_C(4107542399), UINT64_C(4107542400),
	    UINT64_C(13574563200), UINT64_C(253402300799) };
	size_t			i;

	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		revoke_one(CRL_SUPERSEDED);
		issued.times[i] = times[i];
	}
	crl_changed(1, on_published, NULL);
	pump();
	assert_int_equal(publish_reason, R_OK);
	assert_published(2, (int)i);
}

/* Each CA has its own, and its own numbers. */
static void
test_two_cas(void **state)
{
	struct why	why;

	assert_int_equal(ca_rollover(false, "test", on_made, NULL, &why), R_OK);
	pump();
	assert_int_equal(crl_byslot(1)->number, 1);
	issued.generation = 1;
	revoke_and_publish(CRL_KEY_COMPROMISE);
	assert_int_equal(crl_byslot(0)->number, 2);
	assert_int_equal(crl_byslot(0)->entries, 1);
	assert_int_equal(crl_byslot(1)->number, 1);
	assert_int_equal(crl_byslot(1)->entries, 0);
}

/* ---- kills ---- */

/* keyd dies before or after it signed; policyd dies with it, or lives on. */
static void
killed(void **state, bool before, bool policyd)
{
	again(state);
	fake.calls = 0;
	fake.die_before = before ? 1 : 0;
	fake.die_after = before ? 0 : 1;
	revoke_and_publish(CRL_KEY_COMPROMISE);
	assert_null(link_keyd);
	assert_int_equal(published, 1);
	assert_int_not_equal(publish_reason, R_OK);
	assert_int_equal(crl()->number, 1);
	if (policyd) {
		fake_stop();
		store_close();
		policyd_up();
	} else
		later(1000);
	keyd_up();
	later(600000);
	assert_int_equal(crl()->entries, 1);
	assert_published(crl()->number, 1);
	assert_true(crl()->number > 2);
	assert_numbers_grow();
}

static void
test_killed(void **state)
{
	killed(state, false, false);
	killed(state, false, true);
	killed(state, true, false);
	killed(state, true, true);
}

static void
die_publishing(int at)
{
	disk_install();
	disk_die_at = (unsigned)at;
	revoke_and_publish(CRL_KEY_COMPROMISE);
	store_close();
}

/* Killed at every write: the number that keyd may have used is not reused. */
static void
test_killed_at_every_write(void **state)
{
	static struct store_sql	 get = STORE_SQL("SELECT asked, number FROM crl");
	sqlite3_stmt		*row;
	int			 at, st = -1;
	int64_t			 asked, number;

	for (at = 1; st == -1; at++) {
		assert_true(at < 200);
		again(state);
		fake_stop();
		store_close();
		policyd_up();
		keyd_up();
		st = in_child(die_publishing, at);
		fake_stop();
		store_close();
		policyd_up();
		row = store_stmt(&get);
		assert_int_equal(store_row(row), 1);
		asked = sqlite3_column_int64(row, 0);
		number = sqlite3_column_int64(row, 1);
		sqlite3_reset(row);
		assert_true(asked >= number);
		revoke_one(CRL_KEY_COMPROMISE);
		keyd_up();
		later(1000);
		assert_true(crl()->number > (uint64_t)asked);
	}
	assert_int_equal(st, 0);
	assert_true(at > 3);
}

/* ---- what a hostile keyd answers ---- */

static const struct {
	enum fake_lie	 lie;
	const char	*field;
} lies[] = {
	{ LIE_CRL_ENTRY, "revokedCertificates" },
	{ LIE_CRL_MORE, "revokedCertificates" },
	{ LIE_CRL_REASON, "revokedCertificates" },
	{ LIE_CRL_TIME, "revokedCertificates" },
	{ LIE_CRL_NUMBER, "cRLNumber" },
	{ LIE_CRL_UPDATE, "nextUpdate" },
	{ LIE_CRL_THIS, "thisUpdate" },
	{ LIE_CRL_ISSUER, "issuer" },
	{ LIE_CRL_SIGNATURE, "signature" },
	{ LIE_CRL_JUNK, "form" },
	{ LIE_CRL_LENGTH, "length" },
	{ LIE_CRL_SHORT, "length" },
};

static void
test_lies(void **state)
{
	uint8_t	was[65536];
	size_t	i, n;

	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		again(state);
		n = enrold.crl[0].len;
		memcpy(was, enrold.crl[0].der, n);
		fake.lie = lies[i].lie;
		revoke_one(CRL_KEY_COMPROMISE);
		revoke_and_publish(CRL_CESSATION);
		assert_int_equal(published, 1);
		assert_int_equal(publish_reason, R_CRT_CRL);
		assert_string_equal(crl()->why.field, lies[i].field);
		assert_int_equal(crl()->number, 1);
		assert_int_equal(enrold.crls, 1);
		assert_memory_equal(was, enrold.crl[0].der, n);
		fake.lie = LIE_NONE;
		later(600000);
		assert_int_equal(crl()->why.reason, R_OK);
		assert_published(crl()->number, 2);
		assert_numbers_grow();
	}
}

/* It kept the memory that it signed in: nobody reads that again. */
static void
test_kept_memory(void **state)
{
	revoke_and_publish(CRL_KEY_COMPROMISE);
	assert_int_not_equal(service.kept, -1);
	assert_int_equal(ftruncate(service.kept, 0), 0);
	chan_close(enrold.chan);
	chan_close(link_other[IPC_ENROLD]);
	enrold_start();
	pump();
	assert_published(2, 1);
}

/* ---- files ---- */

static void
test_file_fails(void **state)
{
	char	path[160];

	if (geteuid() == 0) {		/* a directory in the way */
		snprintf(path, sizeof(path), "%s/crl/new", dir_path);
		assert_int_equal(mkdir(path, 0700), 0);
	} else {
		snprintf(path, sizeof(path), "%s/crl", dir_path);
		assert_int_equal(chmod(path, 0500), 0);
	}
	revoke_and_publish(CRL_KEY_COMPROMISE);
	assert_int_equal(publish_reason, R_CRT_FILES);
	assert_int_equal(crl()->number, 2);	/* enrold has it all the same */
	assert_int_equal(enrold.crls, 2);
	assert_true(counts[R_CRT_FILES] > 0);
	if (geteuid() == 0)
		assert_int_equal(rmdir(path), 0);
	else
		assert_int_equal(chmod(path, 0700), 0);
	later(600000);
	assert_published(2, 1);
	assert_int_equal(crl()->why.reason, R_OK);
}

/* ---- the operator's memfd ---- */

static void
test_copy(void **state)
{
	uint8_t	buf[65536];
	char	path[160];
	int	fd, fds[2];

	fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(crl_copy(1, fd), R_OK);
	assert_int_equal(lseek(fd, 0, SEEK_END), enrold.crl[0].len);
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), enrold.crl[0].len);
	assert_memory_equal(buf, enrold.crl[0].der, enrold.crl[0].len);
	assert_int_equal(crl_copy(2, fd), R_CRT_NO_CRL);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(crl_copy(1, fd), R_CTL_VALUE);
	close(fd);
	/* Whatever might make policyd wait is refused. */
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(crl_copy(1, fds[1]), R_CTL_VALUE);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(crl_copy(1, fds[1]), R_CTL_VALUE);
	close(fds[0]);
	close(fds[1]);
	fd = memfd_create("test", MFD_CLOEXEC);	/* of fixed size */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fds[0] = open(path, O_RDONLY);
	assert_int_equal(crl_copy(1, fds[0]), R_CTL_VALUE);
	close(fds[0]);
	close(fd);
	fd = open("/dev/null", O_RDWR);
	assert_int_equal(crl_copy(1, fd), R_CTL_VALUE);
	close(fd);
}

/* ---- OCSP ---- */

static void
on_ocsp(const struct ipc_reply *r, void *arg)
{
	if (r->type == MSG_OCSP_REP) {
		enrold.answers++;
		enrold.ocsp = *(const struct msg_ocsp_rep *)r->msg;
		return;
	}
	enrold.refusals++;
	enrold.reason = r->reason;
}

static void
question(struct msg_ocsp_req *m, unsigned generation, uint32_t hash)
{
	const struct ca	*c = ca_bygeneration(generation);
	size_t		 n = hash == 0 ? 20 : 32;

	memset(m, 0, sizeof(*m));
	m->hash = hash;
	IPC_SET_BLOB(m->name_hash, c->name_hash[hash], n);
	IPC_SET_BLOB(m->key_hash, c->key_hash[hash], n);
	IPC_SET_BLOB(m->serial, issued.one.serial, SERIAL_LEN);
	IPC_SET_BLOB(m->nonce, "nonce", 5);
}

static void
ask(const struct msg_ocsp_req *m)
{
	assert_int_equal(chan_call(enrold.chan, MSG_OCSP_REQ, m, -1, 60000,
	    on_ocsp, NULL), 0);
}

static void
one_is(enum cert_status status, unsigned generation, uint64_t revoked)
{
	memset(&issued.one, 0, sizeof(issued.one));
	issued.one.serial[0] = 0x42;
	issued.one.serial[15] = 7;
	issued.one.generation = generation;
	issued.one.revoked = revoked;
	issued.one.reason = revoked != 0 ? CRL_KEY_COMPROMISE :
	    CRL_UNSPECIFIED;
	issued.status = status;
}

static void
test_ocsp_hashes(void **state)
{
	struct msg_ocsp_req	m;
	uint32_t		hash;

	one_is(CERT_GOOD, 1, 0);
	for (hash = 0; hash < 2; hash++) {
		question(&m, 1, hash);
		ask(&m);
		pump();
		assert_int_equal(enrold.answers, hash + 1);
		assert_int_equal(service.ocsp.status, CERT_GOOD);
		assert_int_equal(service.ocsp.hash, hash);
		assert_int_equal(service.ocsp.key, ca_bygeneration(1)->ocsp_key);
		assert_int_equal(service.ocsp.this_update, clock_trusted());
		assert_int_equal(service.ocsp.next_update,
		    clock_trusted() + 3600);
		assert_int_equal(service.ocsp.nonce.len, 5);
		assert_memory_equal(service.ocsp.serial.data,
		    issued.one.serial, SERIAL_LEN);
		assert_int_equal(enrold.ocsp.ca, 0);
		assert_int_equal(enrold.ocsp.next_update,
		    service.ocsp.next_update);
		/* Of another issuer: not ours to answer. */
		m.key_hash.data[0] ^= 1;
		ask(&m);
		m.key_hash.data[0] ^= 1;
		m.name_hash.data[19] ^= 1;
		ask(&m);
		m.name_hash.data[19] ^= 1;
		m.name_hash.len--;
		ask(&m);
		m.name_hash.len++;
		m.hash ^= 1;		/* the length of the other one */
		ask(&m);
		pump();
		assert_int_equal(enrold.refusals, 4 * (hash + 1));
		assert_int_equal(enrold.reason, R_CRT_OCSP_ISSUER);
	}
	assert_int_equal(service.ocsps, 2);
}

static void
assert_status(enum cert_status want)
{
	struct msg_ocsp_req	m;
	unsigned		n = enrold.answers;

	question(&m, 1, 1);
	ask(&m);
	pump();
	assert_int_equal(enrold.answers, n + 1);
	assert_int_equal(service.ocsp.status, want);
	assert_int_equal(service.ocsp.revoked, issued.status != CERT_UNKNOWN &&
	    want == CERT_REVOKED ? issued.one.revoked : 0);
}

static void
test_ocsp_status(void **state)
{
	struct msg_ocsp_req	m;

	one_is(CERT_REVOKED, 1, START - 100);
	assert_status(CERT_REVOKED);
	assert_int_equal(service.ocsp.reason, CRL_KEY_COMPROMISE);
	one_is(CERT_EXPIRED, 1, 0);		/* on record, not revoked */
	assert_status(CERT_GOOD);
	one_is(CERT_EXPIRED, 1, START - 100);	/* still revoked */
	assert_status(CERT_REVOKED);
	one_is(CERT_UNKNOWN, 1, 0);
	issued.one.serial[3] = 9;
	assert_status(CERT_UNKNOWN);
	one_is(CERT_REVOKED, 2, START - 100);	/* another CA issued it */
	assert_status(CERT_UNKNOWN);
	one_is(CERT_GOOD, 1, 0);
	/* The leaf of a listener is ours, too; a serial of any length is asked. */
	question(&m, 1, 1);
	IPC_SET_BLOB(m.serial, ca_leafs()[0].cert.serial, SERIAL_LEN);
	ask(&m);
	pump();
	assert_int_equal(service.ocsp.status, CERT_GOOD);
	m.serial.len = 20;
	ask(&m);
	m.serial.len = 0;
	ask(&m);
	pump();
	assert_int_equal(service.ocsp.status, CERT_UNKNOWN);
}

/* The one that issued it answers, though it issues no more. */
static void
test_ocsp_rollover(void **state)
{
	struct msg_ocsp_req	m;
	struct why		why;

	assert_int_equal(ca_rollover(false, "test", on_made, NULL, &why),
	    R_OK);
	pump();
	one_is(CERT_GOOD, 1, 0);
	question(&m, 1, 0);
	ask(&m);
	pump();
	assert_int_equal(enrold.ocsp.ca, 0);
	assert_int_equal(service.ocsp.key, ca_bygeneration(1)->ocsp_key);
	assert_int_equal(service.ocsp.status, CERT_GOOD);
	question(&m, 2, 0);
	ask(&m);
	pump();
	assert_int_equal(enrold.ocsp.ca, 1);
	assert_int_equal(service.ocsp.key, ca_bygeneration(2)->ocsp_key);
	assert_int_equal(service.ocsp.status, CERT_UNKNOWN);
}

/* A hostile enrold asks as much as its window lets it: revoking goes on. */
static void
test_ocsp_flood(void **state)
{
	struct msg_ocsp_req	m;
	unsigned		i;

	one_is(CERT_GOOD, 1, 0);
	question(&m, 1, 1);
	for (i = 0; i < 200; i++)
		ask(&m);
	while (fake_pump_end(link_other[IPC_ENROLD]))
		;
	assert_true(chan_window(link_keyd) >= 32);
	revoke_and_publish(CRL_KEY_COMPROMISE);
	assert_int_equal(publish_reason, R_OK);
	assert_published(2, 1);
	assert_int_equal(enrold.answers + enrold.refusals, 200);
	assert_int_equal(enrold.answers, 32);
	assert_int_equal(enrold.reason, R_ENR_BUSY);
	ask(&m);			/* and then it is served again */
	pump();
	assert_int_equal(enrold.answers, 33);
}

static void
test_ocsp_without_keyd(void **state)
{
	struct msg_ocsp_req	m;

	one_is(CERT_GOOD, 1, 0);
	question(&m, 1, 1);
	fake.calls = 0;
	fake.die_before = 1;		/* in the middle of it */
	ask(&m);
	pump();
	assert_int_equal(enrold.refusals, 1);
	ask(&m);
	pump();
	assert_int_equal(enrold.refusals, 2);
	assert_int_equal(enrold.reason, R_IPC_NOLINK);
	keyd_up();
	ask(&m);
	pump();
	assert_int_equal(enrold.answers, 1);
}

#define C(f)	cmocka_unit_test_setup_teardown(f, setup, authority_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		C(test_first),
		C(test_at_once),
		C(test_coalesced),
		C(test_half),
		C(test_restart),
		C(test_enrold_again),
		C(test_keyd_away),
		C(test_gone),
		C(test_long),
		C(test_times),
		C(test_two_cas),
		C(test_killed),
		C(test_killed_at_every_write),
		C(test_lies),
		C(test_kept_memory),
		C(test_file_fails),
		C(test_copy),
		C(test_ocsp_hashes),
		C(test_ocsp_status),
		C(test_ocsp_rollover),
		C(test_ocsp_flood),
		C(test_ocsp_without_keyd),
	};

	return cmocka_run_group_tests_name("policyd_crl", tests, NULL, NULL);
}
