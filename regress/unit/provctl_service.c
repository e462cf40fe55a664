/*
 * provctl's commands for the certificate service: what they send, what they
 * show and write, and the root that no daemon holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include <fcntl.h>
#include <termios.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "provctl_world.h"
#include "x509time.h"

#define MAC	"24:0a:c4:12:34:56"
#define SERIAL	"5f0011223344556677889900aabbccdd"
#define TICKET	"00112233445566778899aabbccddeeff"
#define SKEW	3600	/* s that a CA counts before it is signed */

/* ---- files ------------------------------------------------------------- */

static char	text[65536];

/* The same name, the same string. */
static const char *
in_dir(const char *name)
{
	static char	path[16][128];
	char		want[128];
	int		n;

	snprintf(want, sizeof(want), "%s/%s", dir, name);
	for (n = 0; n < 16; n++) {
		if (path[n][0] == '\0')
			memcpy(path[n], want, sizeof(want));
		if (strcmp(path[n], want) == 0)
			return path[n];
	}
	abort();
}

static void
put(const char *name, const char *what)
{
	FILE	*f = fopen(in_dir(name), "w");

	assert_non_null(f);
	fputs(what, f);
	assert_int_equal(fclose(f), 0);
}

static const char *
get(const char *path)
{
	FILE	*f = fopen(path, "r");
	size_t	 n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static unsigned
mode(const char *path)
{
	struct stat	st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static const char *
line(const char *format, ...)
{
	static char	l[1024];
	va_list		ap;

	va_start(ap, format);
	vsnprintf(l, sizeof(l), format, ap);
	va_end(ap);
	return l;
}

/* ---- words that are wrong ----------------------------------------------- */

static void
test_usage(void **state)
{
	static const struct {
		const char	*line, *says;
	} rows[] = {
		{ "cert list --status sane", "orphan" },
		{ "cert show 12x4", "hexadecimal" },
		{ "cert show 0x", "1 to 40" },
		{ "cert show 0123456789012345678901234567890123456789a",
		    "at most 40" },
		{ "cert revoke", "one of the two" },
		{ "cert revoke 12 --name " MAC, "one of the two" },
		{ "cert revoke 12 --reason bored", "keyCompromise" },
		{ "device add " MAC " --ticket 0d", "at most a year" },
		{ "device add " MAC " --ticket 366d", "at most a year" },
		{ "device add " MAC " -o x", "none is asked for" },
		{ "ca crl --generation x", "not a number" },
		{ "ca init --passphrase-fd 3", "goes with --offline" },
		{ "ca init -o x", "goes with --offline" },
		{ "ca sign /dev/null", "--offline DIR" },
		{ "ca install /nonexistent", "No such file" },
		{ "device import /nonexistent", "No such file" },
	};
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i].line, EX_WRONG, rows[i].says);
}

/* ---- fields ------------------------------------------------------------ */

static void
check_list(const union ipc_any *m)
{
	if (strcmp(m->ctl_cert_list.name, MAC) != 0 ||
	    strcmp(m->ctl_cert_list.profile, "iot") != 0 ||
	    m->ctl_cert_list.status != 4 || m->ctl_cert_list.pem)
		_exit(30);
}

static void
check_show(const union ipc_any *m)
{
	if (strcmp(m->ctl_cert_show.serial, "5fab") != 0)
		_exit(31);
}

static void
check_revoke(const union ipc_any *m)
{
	if (strcmp(m->ctl_cert_revoke.serial, "5fab") != 0 ||
	    m->ctl_cert_revoke.name[0] != '\0' ||
	    m->ctl_cert_revoke.reason != CRL_PRIVILEGE_WITHDRAWN)
		_exit(32);
}

static void
check_revoke_name(const union ipc_any *m)
{
	if (m->ctl_cert_revoke.serial[0] != '\0' ||
	    strcmp(m->ctl_cert_revoke.name, MAC) != 0 ||
	    m->ctl_cert_revoke.reason != CRL_UNSPECIFIED)
		_exit(33);
}

static void
check_add(const union ipc_any *m)
{
	if (strcmp(m->ctl_device_add.name, MAC) != 0 ||
	    strcmp(m->ctl_device_add.profile, "iot") != 0 ||
	    !m->ctl_device_add.ticket || m->ctl_device_add.lifetime != 5400)
		_exit(34);
}

static void
check_add_plain(const union ipc_any *m)
{
	if (strcmp(m->ctl_device_add.name, MAC) != 0 ||
	    m->ctl_device_add.profile[0] != '\0' ||
	    m->ctl_device_add.ticket || m->ctl_device_add.lifetime != 0)
		_exit(35);
}

static void
check_rollover(const union ipc_any *m)
{
	if (!m->ctl_ca_rollover.root)
		_exit(36);
}

static void
check_init(const union ipc_any *m)
{
	if (m->ctl_ca_init.offline)
		_exit(37);
}

static void
test_fields(void **state)
{
	with_policyd(&(struct script){ .want = MSG_CTL_CERT_LIST,
	    .check = check_list }, "cert list --name " MAC
	    " --profile iot --status orphan", EX_GOOD, "");
	with_policyd(&(struct script){ .want = MSG_CTL_CERT_SHOW,
	    .check = check_show }, "cert show 5F:AB", EX_GOOD, "");
	with_policyd(&(struct script){ .want = MSG_CTL_CERT_REVOKE,
	    .check = check_revoke }, "cert revoke 0x5fab --reason "
	    "privilegeWithdrawn", EX_GOOD, "");
	with_policyd(&(struct script){ .want = MSG_CTL_CERT_REVOKE,
	    .check = check_revoke_name }, "cert revoke --name " MAC, EX_GOOD,
	    "");
	/* a duration belongs to --ticket, a name does not */
	with_policyd(&(struct script){ .want = MSG_CTL_DEVICE_ADD,
	    .check = check_add }, "device add --ticket 90m --profile iot " MAC,
	    EX_GOOD, "");
	with_policyd(&(struct script){ .want = MSG_CTL_DEVICE_ADD,
	    .check = check_add_plain }, "device add " MAC, EX_GOOD, "");
	with_policyd(&(struct script){ .want = MSG_CTL_CA_ROLLOVER,
	    .check = check_rollover }, "ca rollover --root", EX_GOOD, "");
	with_policyd(&(struct script){ .want = MSG_CTL_CA_INIT,
	    .check = check_init }, "ca init", EX_GOOD, "");
	with_policyd(&(struct script){ .want = MSG_CTL_CA_INIT,
	    .refuse = R_CRT_CA_EXISTS }, "ca init", EX_REFUSED, "CRT-002");
}

/* ---- rows -------------------------------------------------------------- */

#define CERT_ROW "{\"row\":\"cert\",\"serial\":\"" SERIAL "\",\"name\":\"" \
	MAC "\",\"profile\":\"iot\",\"generation\":1,\"status\":\"revoked\"," \
	"\"not_before\":\"a\",\"not_after\":\"b\",\"issued\":\"c\"," \
	"\"revoked\":\"d\",\"revocation\":\"keyCompromise\",\"auth\":" \
	"\"ticket\",\"door\":\"json\",\"address\":\"192.0.2.1\",\"sha256\":" \
	"null,\"pem\":\"PEM\\n\",\"acknowledged\":true}"

static void
test_rows(void **state)
{
	const struct script	ca = { .rows = {
		"{\"row\":\"ca\",\"kind\":\"root\",\"generation\":1,\"state\":"
		    "\"current\",\"subject\":\"CN=R\",\"serial\":\"01\","
		    "\"not_before\":\"a\",\"not_after\":\"b\",\"key\":"
		    "\"P-256\",\"sha256\":\"00\",\"pem\":\"ROOT\\n\"}",
		"{\"row\":\"ca\",\"kind\":\"ocsp\",\"generation\":1,\"state\":"
		    "\"current\",\"subject\":\"CN=O\",\"serial\":\"02\","
		    "\"not_before\":\"a\",\"not_after\":\"b\",\"key\":"
		    "\"P-256\",\"sha256\":\"00\",\"pem\":\"OCSP\\n\"}",
		"{\"row\":\"crl\",\"generation\":1,\"number\":7,"
		    "\"this_update\":\"t\",\"next_update\":\"n\","
		    "\"entries\":3}",
		"{\"row\":\"ca\",\"kind\":\"listener\",\"generation\":1,"
		    "\"state\":\"current\",\"subject\":\"CN=L\",\"serial\":"
		    "\"03\",\"not_before\":\"a\",\"not_after\":\"b\","
		    "\"key\":\"P-256\",\"sha256\":\"00\",\"pem\":"
		    "\"L\\n\"}" } };
	const struct script	cert = { .rows = { CERT_ROW } };

	with_policyd(&ca, "ca show", EX_GOOD, "");
	assert_string_equal(out,
	    "CA        N  STATE    KEY    UNTIL  SERIAL  SUBJECT  REASON\n"
	    "root      1  current  P-256  b      01      CN=R     -\n"
	    "ocsp      1  current  P-256  b      02      CN=O     -\n"
	    "listener  1  current  P-256  b      03      CN=L     -\n"
	    "\n"
	    "CRL OF  NUMBER  ENTRIES  SINCE  NEXT  REASON\n"
	    "1       7       3        t      n     -\n");
	with_policyd(&ca, "ca show --pem", EX_GOOD, "");
	assert_string_equal(out, "ROOT\n");
	with_policyd(&cert, "cert list", EX_GOOD, "");
	assert_string_equal(out,
	    "SERIAL                            NAME               PROFILE  "
	    "STATUS   UNTIL  BY      DOOR\n"
	    SERIAL "  " MAC "  iot      revoked  b      ticket  json\n");
	with_policyd(&cert, "cert show " SERIAL, EX_GOOD,
	    "because of      keyCompromise\n");
	with_policyd(&cert, "cert show " SERIAL " --pem", EX_GOOD, "");
	assert_string_equal(out, "PEM\n");
	with_policyd(&(struct script){ .rows = {
	    "{\"row\":\"cert_stats\",\"profile\":\"iot\",\"total\":5,"
	    "\"valid\":2,\"revoked\":1,\"expired\":1,\"orphan\":1}" } },
	    "cert stats", EX_GOOD,
	    "PROFILE  TOTAL  VALID  REVOKED  EXPIRED  ORPHANS\n"
	    "iot      5      2      1        1        1\n");
}

/* ---- what goes into files ----------------------------------------------- */

static void
test_export(void **state)
{
	const struct script	certs = { .want = MSG_CTL_CERT_LIST,
				    .rows = { CERT_ROW, CERT_ROW } };
	const struct script	bad = { .want = MSG_CTL_CERT_LIST,
				    .rows = { CERT_ROW },
				    .refuse = R_CRT_NO_CA };
	const struct script	devices = { .want = MSG_CTL_DEVICE_LIST,
				    .rows = {
		"{\"row\":\"device\",\"name\":\"a,\\\"b\\\"\",\"profile\":"
		    "\"iot\",\"added\":\"t\",\"ticket\":null,"
		    "\"ticket_state\":\"waiting\",\"ticket_expires\":\"u\","
		    "\"certificates\":3,\"last\":null}" } };
	const char		*path = in_dir("export");

	with_policyd(&certs, line("cert export -o %s", path), EX_GOOD,
	    "2 certificates");
	assert_string_equal(get(path), "PEM\nPEM\n");
	/* what was there stays if the new one is not whole */
	with_policyd(&bad, line("cert export -o %s", path), EX_REFUSED,
	    "CRT-001");
	assert_string_equal(get(path), "PEM\nPEM\n");
	with_policyd(&certs, line("--json cert export -o %s", path), EX_GOOD,
	    "");
	assert_memory_equal(get(path), "{\"row\":\"cert\"", 13);
	with_policyd(&devices, line("device export -o %s", path), EX_GOOD, "");
	assert_string_equal(get(path),
	    "name,profile,added,ticket,certificates,last\n"
	    "\"a,\"\"b\"\"\",iot,t,waiting,3,\n");
	expect("device export -o /nonexistent/x", EX_REFUSED, "No such file");
	unlink(path);
}

static void
test_crl(void **state)
{
	const struct script	s = { .want = MSG_CTL_CA_CRL, .crl = "the CRL",
				    .rows = {
		"{\"row\":\"crl\",\"generation\":1,\"number\":7,"
		    "\"this_update\":\"t\",\"next_update\":\"n\","
		    "\"entries\":3}" } };
	const struct script	none = { .want = MSG_CTL_CA_CRL };
	const char		*path = in_dir("crl");

	with_policyd(&s, line("ca crl -o %s", path), EX_GOOD, "CRL OF");
	assert_string_equal(get(path), "the CRL");
	with_policyd(&s, "ca crl -o -", EX_GOOD, "");
	assert_string_equal(out, "the CRL");
	with_policyd(&s, "ca crl", EX_GOOD, "NUMBER");
	unlink(path);
	with_policyd(&none, line("ca crl -o %s", path), EX_REFUSED, "no CRL");
	assert_int_equal(access(path, F_OK), -1);
}

/* ---- devices ----------------------------------------------------------- */

#define DEVICE_ROW(name, ticket) "{\"row\":\"device\",\"name\":\"" name	\
	"\",\"profile\":\"iot\",\"added\":\"t\",\"ticket\":" ticket		\
	",\"ticket_state\":\"waiting\",\"ticket_expires\":\"u\","		\
	"\"certificates\":0,\"last\":null}"

static void
test_ticket(void **state)
{
	const struct script	s = { .want = MSG_CTL_DEVICE_ADD, .rows = {
		DEVICE_ROW(MAC, "\"" TICKET "\"") } };
	const char		*path = in_dir("tickets");

	with_policyd(&s, "device add " MAC " --ticket", EX_GOOD,
	    "ticket          " TICKET "\n");
	with_policyd(&s, "--json device add " MAC " --ticket", EX_GOOD,
	    "\"ticket\":\"" TICKET "\"");
	with_policyd(&s, line("device add " MAC " --ticket -o %s", path),
	    EX_GOOD, "");
	assert_null(strstr(out, TICKET));
	assert_string_equal(get(path), "name,profile,ticket,expires\n"
	    MAC ",iot," TICKET ",u\n");
	assert_int_equal(mode(path), 0600);
	unlink(path);
	with_policyd(&(struct script){ .refuse = R_CRT_PROFILE },
	    line("device add " MAC " --ticket -o %s", path), EX_REFUSED,
	    "CRT-006");
	assert_int_equal(access(path, F_OK), -1);
}

static void
check_first(const union ipc_any *m)
{
	if (strcmp(m->ctl_device_add.name, "a") != 0 ||
	    strcmp(m->ctl_device_add.profile, "other") != 0)
		_exit(40);
}

static void
check_second(const union ipc_any *m)
{
	if (strcmp(m->ctl_device_add.name, "b") != 0 ||
	    strcmp(m->ctl_device_add.profile, "p\"q") != 0)
		_exit(41);
}

static void
check_third(const union ipc_any *m)
{
	if (strcmp(m->ctl_device_add.name, "c") != 0 ||
	    strcmp(m->ctl_device_add.profile, "iot") != 0)
		_exit(42);
}

static void
test_import(void **state)
{
	const struct script	third = { .want = MSG_CTL_DEVICE_ADD,
				    .check = check_third, .rows = {
				    DEVICE_ROW("c", "null") } };
	const struct script	second = { .want = MSG_CTL_DEVICE_ADD,
				    .check = check_second, .next = &third,
				    .refuse = R_CRT_PROFILE };
	const struct script	first = { .want = MSG_CTL_DEVICE_ADD,
				    .check = check_first, .next = &second,
				    .rows = { DEVICE_ROW("a", "null") } };
	const char		*path = in_dir("csv");

	put("csv", "Name,Profile\r\n# a remark, \"\n a , other \r\n\r\n"
	    "\"b\" , \"p\"\"q\"\nc");
	with_policyd(&first, line("device import %s --profile iot", path),
	    EX_REFUSED, "2 devices, 1 refused");
	assert_non_null(strstr(err, "csv:5:\n"));
	assert_non_null(strstr(err, "CRT-006"));
	/* a line that is wrong: not one device is added */
	put("csv", "a\nb,\"x\n");
	expect(line("device import %s", path), EX_WRONG, "csv:2: a line is");
	put("csv", "a\n,iot\n");
	expect(line("device import %s", path), EX_WRONG, "csv:2: a line is");
	put("csv", "a\n\"b\"x\n");
	expect(line("device import %s", path), EX_WRONG, "csv:2: a line is");
	put("csv", "a\nb\rc\n");
	expect(line("device import %s", path), EX_WRONG, "csv:2: a line is");
	unlink(path);
}

static void
test_import_tickets(void **state)
{
	const struct script	second = { .want = MSG_CTL_DEVICE_ADD, .rows = {
		DEVICE_ROW("b", "\"" TICKET "\"") } };
	const struct script	first = { .want = MSG_CTL_DEVICE_ADD,
				    .next = &second, .rows = {
		DEVICE_ROW("a", "\"" TICKET "\"") } };
	const char		*path = in_dir("csv");

	put("csv", "a\nb\n");
	with_policyd(&first, line("device import %s --ticket 7d", path),
	    EX_GOOD, "2 devices, 0 refused");
	assert_string_equal(out, "name,profile,ticket,expires\n"
	    "a,iot," TICKET ",u\nb,iot," TICKET ",u\n");
	unlink(path);
}

/* ---- the offline root --------------------------------------------------- */

static EVP_PKEY		*issuing_key;
static char		 csr_pem[4096], csr_row[8192];

/* The request as keyd makes it. */
static void
make_csr(const char *org, const char *cn, const char *curve)
{
	X509_REQ	*req = X509_REQ_new();
	X509_NAME	*name = X509_REQ_get_subject_name(req);
	BIO		*b = BIO_new(BIO_s_mem());
	json_t		*row;
	char		*dump;
	int		 n;

	EVP_PKEY_free(issuing_key);
	issuing_key = strcmp(curve, "RSA") == 0 ? EVP_RSA_gen(2048) :
	    EVP_EC_gen(curve);
	assert_non_null(issuing_key);
	if (org != NULL)
		X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
		    (const uint8_t *)org, -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const uint8_t *)cn, -1, -1, 0);
	X509_REQ_set_pubkey(req, issuing_key);
	assert_true(X509_REQ_sign(req, issuing_key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509_REQ(b, req), 1);
	n = BIO_read(b, csr_pem, sizeof(csr_pem) - 1);
	csr_pem[n] = '\0';
	row = json_pack("{s:s, s:i, s:s, s:s}", "row", "ca_csr", "generation",
	    1, "subject", cn, "pem", csr_pem);
	dump = json_dumps(row, JSON_COMPACT);
	snprintf(csr_row, sizeof(csr_row), "%s", dump);
	free(dump);
	json_decref(row);
	BIO_free(b);
	X509_REQ_free(req);
	put("csr", csr_pem);
}

/* The file is the passphrase's descriptor: the child's standard input. */
static void
with_passphrase(const char *passphrase)
{
	int	fd;

	put("pass", passphrase);
	fd = open(in_dir("pass"), O_RDONLY);
	assert_true(fd != -1);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	close(fd);
	unlink(in_dir("pass"));
}

static X509 *
take_cert(const char **pem)
{
	BIO	*b = BIO_new_mem_buf(*pem, -1);
	X509	*x = PEM_read_bio_X509(b, NULL, NULL, NULL);

	assert_non_null(x);
	*pem = strstr(*pem, "-----END CERTIFICATE-----\n") + 26;
	BIO_free(b);
	return x;
}

static void
has_extension(const X509 *x, int nid, const char *want)
{
	X509_EXTENSION	*e = X509_get_ext(x, X509_get_ext_by_NID(x, nid, -1));
	BIO		*b = BIO_new(BIO_s_mem());
	char		 got[512];
	int		 n;

	assert_non_null(e);
	X509V3_EXT_print(b, e, 0, 0);
	n = BIO_read(b, got, sizeof(got) - 1);
	got[n < 0 ? 0 : n] = '\0';
	assert_string_equal(got, want);
	BIO_free(b);
}

/* The chain in text is over the issuing key, in the form of keyd's. */
static void
check_chain(const char *pem, const char *root_cn, const char *permitted,
    uint64_t days)
{
	X509		*issuing = take_cert(&pem), *root = take_cert(&pem);
	X509_STORE	*store = X509_STORE_new();
	X509_STORE_CTX	*ctx = X509_STORE_CTX_new();
	char		 cn[65];

	assert_string_equal(pem, "");
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(issuing), issuing_key),
	    1);
	X509_STORE_add_cert(store, root);
	X509_STORE_set_flags(store, X509_V_FLAG_X509_STRICT);
	X509_STORE_CTX_init(ctx, store, issuing, NULL);
	assert_int_equal(X509_verify_cert(ctx), 1);
	assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(root),
	    NID_commonName, cn, sizeof(cn)) > 0);
	assert_string_equal(cn, root_cn);
	has_extension(root, NID_basic_constraints, "CA:TRUE, pathlen:2");
	has_extension(issuing, NID_basic_constraints, "CA:TRUE, pathlen:0");
	has_extension(issuing, NID_key_usage, "Certificate Sign, CRL Sign");
	if (permitted != NULL)
		has_extension(issuing, NID_name_constraints, permitted);
	else
		assert_int_equal(X509_get_ext_by_NID(issuing,
		    NID_name_constraints, -1), -1);
	assert_int_equal(x509_time(X509_get0_notAfter(issuing)) -
	    x509_time(X509_get0_notBefore(issuing)), days * 86400 + SKEW);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(issuing);
	X509_free(root);
}

static void
remove_root(void)
{
	const char	*root = in_dir("root");

	assert_int_equal(system(line("rm -rf %s", root)), 0);
}

static void
test_sign(void **state)
{
	const char	*csr = in_dir("csr"), *root = in_dir("root");

	put("conf", "node a\n");
	make_csr("ACME", "ACME Issuing CA 3", "P-256");
	with_passphrase("correct horse\n");
	expect(line("ca sign --offline %s --new-root --passphrase-fd 0 "
	    "--permitted example.org,b.example %s", root, csr), EX_GOOD,
	    "signed ACME Issuing CA 3");
	check_chain(out, "ACME Root CA 3", "Permitted:\n  DNS:example.org\n"
	    "  DNS:b.example", 1825);
	assert_int_equal(mode(root), 0700);
	assert_int_equal(mode(in_dir("root/root.key")), 0600);
	assert_memory_equal(get(in_dir("root/root.key")),
	    "-----BEGIN ENCRYPTED PRIVATE KEY-----", 37);
	/* the same root again, on the other curve */
	make_csr("ACME", "ACME Issuing CA 4", "P-384");
	with_passphrase("correct horse");
	expect(line("ca sign --offline %s --passphrase-fd 0 %s", root, csr),
	    EX_GOOD, "signed");
	check_chain(out, "ACME Root CA 3", NULL, 1825);
	with_passphrase("correct cow\n");
	expect(line("ca sign --offline %s --passphrase-fd 0 %s", root, csr),
	    EX_REFUSED, "wrong passphrase");
	assert_string_equal(out, "");
	with_passphrase("correct horse\n");
	expect(line("ca sign --offline %s --new-root --passphrase-fd 0 %s",
	    root, csr), EX_REFUSED, "there is a root already");
	remove_root();
	unlink(csr);
	unlink(in_dir("conf"));
}

static void
test_sign_refused(void **state)
{
	static const struct {
		const char	*org, *cn, *curve, *says;
	} rows[] = {
		{ "ACME", "Evil CA 1", "P-256", "not for an issuing CA" },
		{ "ACME", "ACME Issuing CA", "P-256", "not for an issuing" },
		{ "ACME", "ACME Issuing CA 01", "P-256", "not for an" },
		{ "ACME", "ACME Issuing CA 1000", "P-256", "not for an" },
		{ NULL, "ACME Issuing CA 1", "P-256", "not for an issuing" },
		{ "ACME", "ACME Issuing CA 1", "RSA", "P-256 or P-384" },
		{ "ACME", "ACME Issuing CA 1", "P-521", "P-256 or P-384" },
	};
	const char	*csr = in_dir("csr"), *root = in_dir("root");
	size_t		 i;
	char		*p;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_csr(rows[i].org, rows[i].cn, rows[i].curve);
		with_passphrase("correct horse\n");
		expect(line("ca sign --offline %s --new-root --passphrase-fd 0 "
		    "%s", root, csr), EX_REFUSED, rows[i].says);
		assert_string_equal(out, "");
		/* and no root was made for it */
		assert_int_equal(access(in_dir("root/root.key"), F_OK), -1);
	}
	/* signed by another key */
	make_csr("ACME", "ACME Issuing CA 1", "P-256");
	p = strstr(csr_pem, "-----END") - 6;
	*p = *p == 'A' ? 'B' : 'A';
	put("csr", csr_pem);
	with_passphrase("correct horse\n");
	expect(line("ca sign --offline %s --new-root --passphrase-fd 0 %s",
	    root, csr), EX_REFUSED, "provctl: ");
	assert_int_equal(access(in_dir("root/root.key"), F_OK), -1);
	make_csr("ACME", "ACME Issuing CA 1", "P-256");
	with_passphrase("short\n");
	expect(line("ca sign --offline %s --new-root --passphrase-fd 0 %s",
	    root, csr), EX_REFUSED, "at least 8");
	with_passphrase("");
	expect(line("ca sign --offline %s --new-root --passphrase-fd 0 %s",
	    root, csr), EX_REFUSED, "has none");
	with_passphrase("correct horse\n");
	expect(line("ca sign --offline %s --new-root --passphrase-fd 0 "
	    "--permitted a,,b %s", root, csr), EX_REFUSED, "host names");
	assert_int_equal(chmod(root, 0755), 0);
	with_passphrase("correct horse\n");
	expect(line("ca sign --offline %s --new-root --passphrase-fd 0 %s",
	    root, csr), EX_REFUSED, "yours alone");
	remove_root();
	unlink(csr);
}

/* Typed, whatever the standard input is: there the request may be. */
static void
test_sign_typed(void **state)
{
	static const struct {
		const char	*first, *second, *says;
		int		 status;
	} rows[] = {
		{ "correct horse\n", "correct cow\n", "not the same",
		    EX_REFUSED },
		{ "short\n", "short\n", "at least 8", EX_REFUSED },
		{ "correct horse\n", "correct horse\n", "signed", EX_GOOD },
	};
	const char	*csr = in_dir("csr"), *dir_of = in_dir("root");
	int		 master, slave, o, e;
	pid_t		 pid;
	size_t		 i;

	make_csr("ACME", "ACME Issuing CA 1", "P-256");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		terminal(&master, &slave);
		pid = provctl_begin(line("ca sign --offline %s --new-root %s",
		    dir_of, csr), slave, &o, &e);
		on_prompt(e, "New passphrase for the root key in", master,
		    rows[i].first);
		on_prompt(e, "The same again: ", master, rows[i].second);
		assert_int_equal(provctl_end(pid, o, e), rows[i].status);
		assert_non_null(strstr(err, rows[i].says));
		assert_null(strstr(err, "horse"));
		close(slave);
		close(master);
	}
	check_chain(out, "ACME Root CA 1", NULL, 1825);
	terminal(&master, &slave);
	pid = provctl_begin(line("ca sign --offline %s %s", dir_of, csr),
	    slave, &o, &e);
	on_prompt(e, ": ", master, "correct horse\n");
	assert_int_equal(provctl_end(pid, o, e), EX_GOOD);
	close(slave);
	close(master);
	remove_root();
	unlink(csr);
}

static void
check_offline(const union ipc_any *m)
{
	if (!m->ctl_ca_init.offline)
		_exit(50);
}

static void
check_installed(const union ipc_any *m)
{
	static char	pem[16385];

	memcpy(pem, m->ctl_ca_install.chain.data, m->ctl_ca_install.chain.len);
	check_chain(pem, "ACME Root CA 1", NULL, 1825);
}

/* All of it with a policyd: the key, its request, the root, its signature. */
static void
test_init_offline(void **state)
{
	const struct script	install = { .want = MSG_CTL_CA_INSTALL,
				    .check = check_installed };
	struct script		csr = { .want = MSG_CTL_CA_CSR,
				    .next = &install };
	struct script		init = { .want = MSG_CTL_CA_INIT,
				    .check = check_offline, .next = &csr };
	const char		*root = in_dir("root");

	make_csr("ACME", "ACME Issuing CA 1", "P-256");
	csr.rows[0] = csr_row;
	with_passphrase("correct horse\n");
	with_policyd(&init, line("ca init --offline %s --passphrase-fd 0",
	    root), EX_GOOD, "put");
	remove_root();
	/* an earlier run ended in between */
	init.refuse = R_CRT_CA_WAITS;
	with_passphrase("correct horse\n");
	with_policyd(&init, line("ca init --offline %s --passphrase-fd 0",
	    root), EX_GOOD, "going on");
	remove_root();
	init.refuse = R_CRT_CA_EXISTS;
	init.next = NULL;
	with_passphrase("correct horse\n");
	with_policyd(&init, line("ca init --offline %s --passphrase-fd 0",
	    root), EX_REFUSED, "CRT-002");
	remove_root();
	/* a bad passphrase is told before anything is begun */
	with_passphrase("short\n");
	expect(line("ca init --offline %s --passphrase-fd 0", root),
	    EX_REFUSED, "at least 8");
	/* the root is elsewhere: the request alone */
	init.refuse = R_OK;
	init.next = &csr;
	csr.next = NULL;
	with_policyd(&init, "ca init --offline -", EX_GOOD, "");
	assert_string_equal(out, csr_pem);
	with_policyd(&csr, "ca csr", EX_GOOD, "");
	assert_string_equal(out, csr_pem);
	remove_root();
	unlink(in_dir("csr"));
}

static int
teardown(void **state)
{
	EVP_PKEY_free(issuing_key);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_export),
		cmocka_unit_test(test_crl),
		cmocka_unit_test(test_ticket),
		cmocka_unit_test(test_import),
		cmocka_unit_test(test_import_tickets),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_sign_refused),
		cmocka_unit_test(test_sign_typed),
		cmocka_unit_test(test_init_offline),
	};

	return cmocka_run_group_tests_name("provctl_service", tests,
	    world_setup, teardown);
}
