/*
 * A root that no daemon holds: its key, encrypted, in a directory that is put
 * away. The certificates have the form of those that keyd makes (keyd(8)),
 * and are lasting before anybody gets them.
 *
 *	root.key	PKCS#8, AES-256 under scrypt (RFC 7914) of a passphrase
 *	root.pem	the root
 *	HEX.pem		each issuing CA that it signed, by serial number
 */
#include <sys/random.h>
#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include "clock.h"
#include "hex.h"
#include "secret.h"
#include "service.h"
#include "x509time.h"

#define SKEW		3600	/* s; the clocks of two machines differ */
#define DAY		86400ULL
#define ROOT_DAYS	3650	/* of a machine without provd.conf(5) */
#define ISSUING_DAYS	1825
#define PASSPHRASE_MIN	8
#define ISSUING_WORDS	" Issuing CA "
#define ROOT_WORDS	" Root CA "

/* 16 MiB of memory and five passes: what OpenSSL takes without a limit set. */
#define SCRYPT_N	16384
#define SCRYPT_R	8
#define SCRYPT_P	5

static int
say(const char *what, const char *detail)
{
	fprintf(stderr, "provctl: %s%s%s\n", what, detail != NULL ? ": " : "",
	    detail != NULL ? detail : "");
	return -1;
}

static int
say_ssl(const char *what)
{
	const char	*text = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return say(what, text);
}

static char *
in_dir(const struct offline *o, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", o->dir, name);
	return path;
}

/* ---- the passphrase ---------------------------------------------------- */

static int
passphrase_fd(const char *s, char *buf, size_t size)
{
	uint64_t	fd;

	if (args_number(s, INT_MAX, &fd) == -1)
		return -1;
	if (terminal_line((int)fd, buf, size) == -1)
		return say("the passphrase is a line of at most 256 "
		    "characters; this descriptor has none", s);
	return 0;
}

static int
passphrase_twice(int fd, const char *prompt, char *buf, size_t size)
{
	char	again[PASSPHRASE_MAX + 1];
	int	r;

	if (terminal_ask(fd, prompt, buf, size) == -1)
		return say("no passphrase", NULL);
	r = terminal_ask(fd, "The same again: ", again, sizeof(again));
	if (r == -1 || strcmp(again, buf) != 0)
		r = say("the two are not the same", NULL);
	explicit_bzero(again, sizeof(again));
	return r;
}

/* From the terminal whatever the standard input is: a request may be in it. */
static int
passphrase(struct offline *o, const struct args *a)
{
	char	prompt[PATH_MAX + 64];
	int	fd, r;

	if (a->opt[OPT_PASSPHRASE_FD] != NULL)
		return passphrase_fd(a->opt[OPT_PASSPHRASE_FD], o->passphrase,
		    sizeof(o->passphrase));
	if ((fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)) == -1)
		return say("there is no terminal to ask for the passphrase; "
		    "--passphrase-fd N reads it from a descriptor", NULL);
	snprintf(prompt, sizeof(prompt), "%s for the root key in %s: ",
	    o->create ? "New passphrase" : "Passphrase", o->dir);
	r = o->create ? passphrase_twice(fd, prompt, o->passphrase,
	    sizeof(o->passphrase)) : terminal_ask(fd, prompt, o->passphrase,
	    sizeof(o->passphrase));
	close(fd);
	return r;
}

/* ---- opening ----------------------------------------------------------- */

static int
give_passphrase(char *buf, int size, int rwflag, void *arg)
{
	const struct offline	*o = arg;
	int			 n = (int)strlen(o->passphrase);

	if (n > size)
		return -1;
	memcpy(buf, o->passphrase, (size_t)n);
	return n;
}

static int
open_root(struct offline *o)
{
	char	 path[PATH_MAX];
	FILE	*f;

	if ((f = fopen(in_dir(o, "root.pem", path), "re")) == NULL)
		return say(path, strerror(errno));
	o->root = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	if (o->root == NULL)
		return say_ssl(path);
	if ((f = fopen(in_dir(o, "root.key", path), "re")) == NULL)
		return say(path, strerror(errno));
	setvbuf(f, NULL, _IONBF, 0);
	o->key = PEM_read_PrivateKey(f, NULL, give_passphrase, o);
	fclose(f);
	ERR_clear_error();
	if (o->key == NULL)
		return say(path, "wrong passphrase, or no encrypted key");
	if (X509_check_private_key(o->root, o->key) != 1)
		return say_ssl(path);
	return 0;
}

/* Empty, ours alone, and on disk. */
static int
make_dir(const struct offline *o)
{
	char		path[PATH_MAX];
	struct stat	st;

	if (mkdir(o->dir, 0700) == -1 && errno != EEXIST)
		return say(o->dir, strerror(errno));
	if (stat(o->dir, &st) == -1)
		return say(o->dir, strerror(errno));
	if (!S_ISDIR(st.st_mode) || (st.st_mode & 077) != 0 ||
	    st.st_uid != geteuid())
		return say(o->dir, "not a directory that is yours alone: "
		    "mode 0700");
	if (lstat(in_dir(o, "root.key", path), &st) == 0 ||
	    lstat(in_dir(o, "root.pem", path), &st) == 0)
		return say(path, "there is a root already; ca sign uses it");
	if (file_sync_dir(o->dir) == -1)
		return say(o->dir, strerror(errno));
	return 0;
}

int
offline_open(struct offline *o, const struct args *a, const char *dir,
    bool create)
{
	memset(o, 0, sizeof(*o));
	o->dir = dir;
	o->create = create;
	if ((uint64_t)time(NULL) < clock_build_time())
		return say("the clock of this machine is before the day on "
		    "which this program was built; set it", NULL);
	if (create && make_dir(o) == -1)
		return -1;
	if (passphrase(o, a) == -1)
		return -1;
	if (create && strlen(o->passphrase) < PASSPHRASE_MIN)
		return say("a passphrase has at least 8 characters", NULL);
	return create ? 0 : open_root(o);
}

void
offline_close(struct offline *o)
{
	EVP_PKEY_free(o->key);
	X509_free(o->root);
	explicit_bzero(o, sizeof(*o));
}

/* ---- certificates ------------------------------------------------------ */

/* RFC 7093, section 2, method 1, as keyd's. */
static int
key_identifier(X509 *x, unsigned char out[20])
{
	const ASN1_BIT_STRING	*key = X509_get0_pubkey_bitstr(x);
	unsigned char		 md[32];

	if (EVP_Digest(key->data, (size_t)key->length, md, NULL, EVP_sha256(),
	    NULL) != 1)
		return -1;
	memcpy(out, md, 20);
	return 0;
}

static int
ext_identifiers(X509 *x, X509 *issuer)
{
	ASN1_OCTET_STRING	*ski = ASN1_OCTET_STRING_new();
	AUTHORITY_KEYID		*aki = AUTHORITY_KEYID_new();
	unsigned char		 id[20];
	int			 r = -1;

	if (ski != NULL && aki != NULL &&
	    (aki->keyid = ASN1_OCTET_STRING_new()) != NULL &&
	    key_identifier(x, id) == 0 &&
	    ASN1_OCTET_STRING_set(ski, id, sizeof(id)) == 1 &&
	    key_identifier(issuer, id) == 0 &&
	    ASN1_OCTET_STRING_set(aki->keyid, id, sizeof(id)) == 1 &&
	    X509_add1_ext_i2d(x, NID_subject_key_identifier, ski, 0,
	    X509V3_ADD_APPEND) == 1 &&
	    X509_add1_ext_i2d(x, NID_authority_key_identifier, aki, 0,
	    X509V3_ADD_APPEND) == 1)
		r = 0;
	ASN1_OCTET_STRING_free(ski);
	AUTHORITY_KEYID_free(aki);
	return r;
}

static int
ext_text(X509 *x, int nid, const char *value)
{
	X509_EXTENSION	*e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	int		 r;

	r = e != NULL && X509_add_ext(x, e, -1) == 1 ? 0 : -1;
	X509_EXTENSION_free(e);
	return r;
}

static int
serial_set(X509 *x)
{
	unsigned char	 raw[16];
	BIGNUM		*n;
	int		 r;

	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		return -1;
	raw[0] = (unsigned char)((raw[0] & 0x7f) | 0x40);	/* positive, 16 octets */
	n = BN_bin2bn(raw, sizeof(raw), NULL);
	r = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) !=
	    NULL ? 0 : -1;
	BN_free(n);
	return r;
}

/* Signed with the root's key; issuer is x itself for the root. */
static int
finish(const struct offline *o, X509 *x, X509 *issuer, const char *basic,
    const char *permitted)
{
	const EVP_MD	*md = EVP_PKEY_get_bits(o->key) > 256 ?
	    EVP_sha384() : EVP_sha256();

	if (X509_set_version(x, X509_VERSION_3) != 1 || serial_set(x) == -1 ||
	    X509_set_issuer_name(x, X509_get_subject_name(issuer)) != 1 ||
	    ext_text(x, NID_basic_constraints, basic) == -1 ||
	    ext_text(x, NID_key_usage, "critical,keyCertSign,cRLSign") == -1 ||
	    ext_identifiers(x, issuer) == -1)
		return -1;
	if (permitted != NULL &&
	    ext_text(x, NID_name_constraints, permitted) == -1)
		return -1;
	return X509_sign(x, o->key, md) > 0 ? 0 : -1;
}

static int
set_times(X509 *x, uint64_t from, uint64_t until)
{
	return x509_time_set(X509_getm_notBefore(x), from) == 0 &&
	    x509_time_set(X509_getm_notAfter(x), until) == 0 ? 0 : -1;
}

/* ---- what provd.conf says, where there is one --------------------------- */

struct wish {
	uint64_t	 root, issuing;		/* seconds */
	char		*permitted;		/* for OpenSSL, or NULL */
};

static bool
host_name(const char *s, size_t len)
{
	return len > 0 && len < 254 && strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") >= len;
}

static int
wish_add(struct wish *w, const char *name, size_t len)
{
	char	*more;

	if (!host_name(name, len))
		return args_wrong("names are host names with commas between "
		    "them, not", name);
	if (asprintf(&more, "%s,permitted;DNS:%.*s", w->permitted != NULL ?
	    w->permitted : "critical", (int)len, name) == -1)
		abort();
	free(w->permitted);
	w->permitted = more;
	return 0;
}

static int
wish_conf(struct wish *w, const struct args *a)
{
	const char		*path = a->conf_path;
	const struct conf_name	*n;
	struct conf		*conf;
	int			 r = 0;

	if (path == NULL && access(CONF_PATH, R_OK) == -1)
		return 0;
	if ((conf = conf_parse(path != NULL ? path : CONF_PATH, stderr)) ==
	    NULL)
		return -1;
	if (conf->ca.root_validity != 0)
		w->root = conf->ca.root_validity;
	if (conf->ca.issuing_validity != 0)
		w->issuing = conf->ca.issuing_validity;
	for (n = conf->ca.permitted; n != NULL && r == 0 &&
	    a->opt[OPT_PERMITTED] == NULL; n = n->next)
		r = wish_add(w, n->name, strlen(n->name));
	conf_free(conf);
	return r;
}

static int
wish_read(struct wish *w, const struct args *a)
{
	const char	*p = a->opt[OPT_PERMITTED];
	size_t		 len;

	*w = (struct wish){ ROOT_DAYS * DAY, ISSUING_DAYS * DAY, NULL };
	if (wish_conf(w, a) == -1)
		return -1;
	for (; p != NULL; p = p[len] == ',' ? p + len + 1 : NULL) {
		len = strcspn(p, ",");
		if (wish_add(w, p, len) == -1)
			return -1;
	}
	return 0;
}

/* ---- the request ------------------------------------------------------- */

struct wanted {
	X509_REQ	*req;
	EVP_PKEY	*key;
	char		 org[65];
	unsigned	 generation;
};

/* "O=ACME, CN=ACME Issuing CA 3": the one form that keyd gives them. */
static int
wanted_name(struct wanted *w)
{
	X509_NAME	*name = X509_REQ_get_subject_name(w->req);
	char		 cn[65], want[128];
	const char	*n;
	uint64_t	 number = 0;

	if (X509_NAME_entry_count(name) != 2 ||
	    X509_NAME_get_text_by_NID(name, NID_organizationName, w->org,
	    sizeof(w->org)) <= 0 || X509_NAME_get_text_by_NID(name,
	    NID_commonName, cn, sizeof(cn)) <= 0)
		return -1;
	n = strrchr(cn, ' ');
	if (n == NULL || !isdigit((unsigned char)n[1]) ||
	    (number = strtoull(n + 1, NULL, 10)) == 0 || number > 999)
		return -1;
	w->generation = (unsigned)number;
	snprintf(want, sizeof(want), "%s" ISSUING_WORDS "%u", w->org,
	    w->generation);
	return strcmp(want, cn) == 0 ? 0 : -1;
}

static int
wanted_key(const struct wanted *w)
{
	char	group[32];
	size_t	len;

	return EVP_PKEY_is_a(w->key, "EC") && EVP_PKEY_get_group_name(w->key,
	    group, sizeof(group), &len) == 1 &&
	    (strcmp(group, "prime256v1") == 0 ||
	    strcmp(group, "secp384r1") == 0) ? 0 : -1;
}

static int
wanted_read(struct wanted *w, const char *csr)
{
	BIO	*b = BIO_new_mem_buf(csr, -1);

	memset(w, 0, sizeof(*w));
	if (b != NULL)
		w->req = PEM_read_bio_X509_REQ(b, NULL, NULL, NULL);
	BIO_free(b);
	if (w->req == NULL)
		return say_ssl("this is no certificate request in PEM");
	w->key = X509_REQ_get0_pubkey(w->req);
	if (w->key == NULL || wanted_key(w) == -1)
		return say("the request is not over a P-256 or P-384 key",
		    NULL);
	if (X509_REQ_verify(w->req, w->key) != 1)
		return say_ssl("the request is not signed by its own key");
	if (wanted_name(w) == -1)
		return say("the request is not for an issuing CA of provd: its "
		    "name is to be O=NAME, CN=NAME Issuing CA N", NULL);
	return 0;
}

/* ---- the root ---------------------------------------------------------- */

static int
write_key(const struct offline *o)
{
	PKCS8_PRIV_KEY_INFO	*info = EVP_PKEY2PKCS8(o->key);
	X509_ALGOR		*pbe;
	X509_SIG		*sig = NULL;
	BIO			*b = BIO_new(BIO_s_mem());
	char			*pem, path[PATH_MAX];
	long			 len;
	int			 r = -1;

	pbe = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, 0, NULL, SCRYPT_N,
	    SCRYPT_R, SCRYPT_P);
	if (info != NULL && pbe != NULL)
		sig = PKCS8_set0_pbe(o->passphrase, (int)strlen(o->passphrase),
		    info, pbe);
	if (sig == NULL) {
		X509_ALGOR_free(pbe);
		say_ssl("the root key cannot be encrypted");
	} else if (b != NULL && PEM_write_bio_PKCS8(b, sig) == 1 &&
	    (len = BIO_get_mem_data(b, &pem)) > 0)
		r = file_put(in_dir(o, "root.key", path), 0600, pem,
		    (size_t)len);
	X509_SIG_free(sig);
	PKCS8_PRIV_KEY_INFO_free(info);
	BIO_free(b);
	return r;
}

static int
name_set(X509_NAME *name, const char *org, const char *cn)
{
	return X509_NAME_add_entry_by_NID(name, NID_organizationName,
	    MBSTRING_UTF8, (const unsigned char *)org, -1, -1, 0) == 1 &&
	    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
	    (const unsigned char *)cn, -1, -1, 0) == 1 ? 0 : -1;
}

static char *
pem_of(X509 *x)
{
	BIO	*b = BIO_new(BIO_s_mem());
	char	*p, *out = NULL;
	long	 len;

	if (b != NULL && PEM_write_bio_X509(b, x) == 1 &&
	    (len = BIO_get_mem_data(b, &p)) > 0 &&
	    (out = strndup(p, (size_t)len)) == NULL)
		abort();
	BIO_free(b);
	return out;
}

static int
write_cert(const struct offline *o, X509 *x, const char *name)
{
	char	*pem = pem_of(x), path[PATH_MAX];
	int	 r = -1;

	if (pem != NULL)
		r = file_put(in_dir(o, name, path), 0644, pem, strlen(pem));
	free(pem);
	return r;
}

/* On the curve of the request; numbered as the issuing CA it is made for. */
static int
make_root(struct offline *o, const struct wanted *w, const struct wish *wish)
{
	uint64_t	now = (uint64_t)time(NULL);
	char		cn[128];

	snprintf(cn, sizeof(cn), "%s" ROOT_WORDS "%u", w->org, w->generation);
	o->key = EVP_EC_gen(EVP_PKEY_get_bits(w->key) > 256 ? "P-384" :
	    "P-256");
	o->root = X509_new();
	if (o->key == NULL || o->root == NULL ||
	    X509_set_pubkey(o->root, o->key) != 1 ||
	    name_set(X509_get_subject_name(o->root), w->org, cn) == -1 ||
	    set_times(o->root, now - SKEW, now + wish->root) == -1 ||
	    finish(o, o->root, o->root, "critical,CA:TRUE,pathlen:2",
	    NULL) == -1)
		return say_ssl("the root cannot be made");
	if (write_key(o) == -1)
		return -1;
	return write_cert(o, o->root, "root.pem");
}

/* ---- the issuing CA ---------------------------------------------------- */

static int
issue(const struct offline *o, const struct wanted *w, const struct wish *wish,
    X509 *x)
{
	uint64_t	now = (uint64_t)time(NULL), until, last;

	last = x509_time(X509_get0_notAfter(o->root));
	until = now + wish->issuing;
	if (until > last)
		until = last;
	if (now >= until)
		return say("the root has expired, or the clock is wrong",
		    NULL);
	if (X509_set_pubkey(x, w->key) != 1 || X509_set_subject_name(x,
	    X509_REQ_get_subject_name(w->req)) != 1 ||
	    set_times(x, now - SKEW, until) == -1 ||
	    finish(o, x, o->root, "critical,CA:TRUE,pathlen:0",
	    wish->permitted) == -1)
		return say_ssl("the issuing CA cannot be signed");
	return 0;
}

static int
keep(const struct offline *o, X509 *x)
{
	const ASN1_INTEGER	*serial = X509_get0_serialNumber(x);
	char			 digits[HEX_SIZE(20)], name[64];

	hex(serial->data, (size_t)serial->length, digits);	/* 16 */
	snprintf(name, sizeof(name), "%s.pem", digits);
	return write_cert(o, x, name);
}

/* The operator sees what was certified. */
static void
tell(const struct wanted *w, X509 *x)
{
	const ASN1_BIT_STRING	*key = X509_get0_pubkey_bitstr(x);
	unsigned char		 md[32];
	char			 digits[HEX_SIZE(32)];

	if (EVP_Digest(key->data, (size_t)key->length, md, NULL, EVP_sha256(),
	    NULL) != 1)
		return;
	hex(md, sizeof(md), digits);
	fputs("provctl: signed ", stderr);
	row_text(stderr, w->org);
	fprintf(stderr, ISSUING_WORDS "%u, SHA-256 of its key %s\n",
	    w->generation, digits);
}

char *
offline_sign(struct offline *o, const struct args *a, const char *csr)
{
	struct wanted	 w = { 0 };
	struct wish	 wish = { 0 };
	X509		*x = X509_new();
	char		*ours = NULL, *root = NULL, *chain = NULL;

	if (x == NULL || wanted_read(&w, csr) == -1 ||
	    wish_read(&wish, a) == -1)
		goto out;
	if (o->root == NULL && make_root(o, &w, &wish) == -1)
		goto out;
	if (issue(o, &w, &wish, x) == -1 || keep(o, x) == -1)
		goto out;
	ours = pem_of(x);
	root = pem_of(o->root);
	if (ours == NULL || root == NULL)
		goto out;
	if (asprintf(&chain, "%s%s", ours, root) == -1)
		abort();
	tell(&w, x);
 out:
	X509_REQ_free(w.req);
	X509_free(x);
	free(wish.permitted);
	free(ours);
	free(root);
	return chain;
}
