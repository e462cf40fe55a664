/*
 * provctl enrol: a key, a request, an answer that is checked, and files; then
 * the same again when two thirds of the certificate's life are over.
 *
 * What fails in a way that may pass is tried again, with the same key and
 * request, so that a server that did answer answers the same again.
 */
#include <sys/random.h>
#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "clock.h"
#include "enrol.h"
#include "hex.h"
#include "secret.h"
#include "x509time.h"

#define NAME_LEN	64
#define TICKET_LEN	32		/* hex digits */
#define TIMEOUT		120		/* s, for all attempts */
#define TIMEOUT_MAX	86400
#define ATTEMPT		30000		/* ms, for one of them */
#define WAIT_MIN	1000		/* ms between two, doubled each time */
#define WAIT_MAX	30000
#define ROUND_MIN	60000		/* ms between rounds of --daemon */
#define ROUND_MAX	3600000
#define NAP		600		/* s: the clock may be set meanwhile */

struct work {
	const struct args *args;
	struct url	 url;
	const char	*dir;
	char		 name[NAME_LEN + 1];
	char		 ticket[TICKET_LEN + 1];
	enum key_kind	 kind;
	uint64_t	 timeout;	/* ms */
	struct stored	 old;		/* what the directory has */
	STACK_OF(X509)	*anchors;
	SSL_CTX		*tls;
	struct device_key key;
	uint8_t		*csr;
	size_t		 csr_len;
	bool		 renew;		/* with the certificate of old */
	bool		 asked;		/* for a ticket, on the terminal */
	uint64_t	 deadline;	/* of this round */
};

static uint64_t
now_s(void)
{
	return (uint64_t)time(NULL);
}

static int
fail(const struct work *w, const char *text)
{
	fputs("provctl: ", stderr);
	row_text(stderr, w->url.host);
	fputs(": ", stderr);
	row_text(stderr, text);
	fputc('\n', stderr);
	return EX_REFUSED;
}

/* ---- the command line --------------------------------------------------- */

/* "24:0A:C4:12:34:56", with hyphens, or without either: as policyd has it. */
static int
take_mac(struct work *w, const char *s)
{
	char	digits[12];
	size_t	n = 0, i;

	for (; *s != '\0' && n < 12; s++) {
		if ((*s == ':' || *s == '-') && n > 0 && n % 2 == 0)
			s++;
		if (!isxdigit((unsigned char)*s))
			break;
		digits[n++] = (char)tolower((unsigned char)*s);
	}
	if (n != 12 || *s != '\0')
		return -1;
	for (i = 0; i < 6; i++)
		snprintf(w->name + 3 * i, 4, "%.2s%s", digits + 2 * i,
		    i < 5 ? ":" : "");
	return 0;
}

static int
take_interface(struct work *w, const char *name)
{
	char	path[128], *text;
	size_t	len;
	int	r = -1;

	if (strchr(name, '/') != NULL || name[0] == '.' ||
	    snprintf(path, sizeof(path), "/sys/class/net/%s/address", name) >=
	    (int)sizeof(path))
		return args_wrong("there is no interface", name);
	if ((text = file_get(path, 4096, &len)) == NULL)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	if ((r = take_mac(w, text)) == -1)
		args_wrong("this interface has no MAC address:", name);
	free(text);
	return r;
}

static int
take_name(struct work *w)
{
	const struct args	*a = w->args;
	const char		*s = a->opt[OPT_NAME];
	int			 n;

	n = (a->opt[OPT_MAC] != NULL) + (a->opt[OPT_INTERFACE] != NULL) +
	    (s != NULL);
	if (n > 1)
		return args_wrong("one of --mac, --interface and --name says "
		    "what the device is called", NULL);
	if (a->opt[OPT_MAC] != NULL) {
		if (take_mac(w, a->opt[OPT_MAC]) == -1)
			return args_wrong("a MAC address is 24:0a:c4:12:34:56, "
			    "not", a->opt[OPT_MAC]);
		return 0;
	}
	if (a->opt[OPT_INTERFACE] != NULL)
		return take_interface(w, a->opt[OPT_INTERFACE]);
	if (s == NULL)
		return 0;
	if (*s == '\0' || strlen(s) > NAME_LEN || strspn(s,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	    "-_.:") != strlen(s))
		return args_wrong("a name has 1 to 64 letters, digits and "
		    "-_.: , not", s);
	snprintf(w->name, sizeof(w->name), "%s", s);
	return 0;
}

static int
take_key(struct work *w)
{
	const char	*s = w->args->opt[OPT_KEY];
	bool		 tpm = w->args->opt[OPT_TPM] != NULL;

	w->kind = tpm ? KEYS_TPM : KEYS_RSA2048;
	if (s == NULL)
		return 0;
	if (tpm && strcmp(s, "p256") != 0)
		return args_wrong("a key in the TPM is p256, not", s);
	if (tpm || strcmp(s, "rsa-2048") == 0)
		return 0;
	w->kind = KEYS_P256;
	if (strcmp(s, "p256") == 0 || strcmp(s, "ecdsa-p256") == 0)
		return 0;
	return args_wrong("a key is rsa-2048 or p256, not", s);
}

static int
options(struct work *w)
{
	const struct args	*a = w->args;
	const char		*bad;
	uint64_t		 s = TIMEOUT;

	if (a->opt[OPT_OUT] == NULL || a->opt[OPT_SERVER] == NULL)
		return args_wrong("--out says where files go, --server whom to "
		    "ask", NULL);
	w->dir = a->opt[OPT_OUT];
	if ((bad = url_parse(a->opt[OPT_SERVER], &w->url)) != NULL)
		return args_wrong(bad, a->opt[OPT_SERVER]);
	if (args_number(a->opt[OPT_TIMEOUT], TIMEOUT_MAX, &s) == -1)
		return -1;
	if (s == 0)
		return args_wrong("there is no answer in no time", NULL);
	w->timeout = s * 1000;
	if (a->opt[OPT_RENEW] != NULL && a->opt[OPT_DAEMON] != NULL)
		return args_wrong("--daemon renews by itself", NULL);
	if (a->opt[OPT_RENEW] == NULL && (a->opt[OPT_NOW] != NULL ||
	    (a->opt[OPT_SAME_KEY] != NULL && a->opt[OPT_DAEMON] == NULL)))
		return args_wrong("this goes with --renew", NULL);
	if (take_key(w) == -1)
		return -1;
	return take_name(w);
}

/* ---- the ticket --------------------------------------------------------- */

static int
take_ticket(struct work *w, const char *s)
{
	size_t	n = 0;

	for (; *s != '\0'; s++) {
		if (strchr(" \t\r\n-:", *s) != NULL)
			continue;
		if (!isxdigit((unsigned char)*s) || n == TICKET_LEN)
			break;
		w->ticket[n++] = (char)tolower((unsigned char)*s);
	}
	w->ticket[n] = '\0';
	if (*s == '\0' && (n == 0 || n == TICKET_LEN))
		return 0;
	explicit_bzero(w->ticket, sizeof(w->ticket));
	return args_wrong("a ticket has 32 hexadecimal digits", NULL);
}

static int
ticket_file(struct work *w, const char *path)
{
	char	*text;
	size_t	 len;
	int	 r;

	if (path == NULL)
		return 0;
	if ((text = file_get(path, 256, &len)) == NULL)
		return -1;
	r = take_ticket(w, text);
	freezero(text, len);
	return r;
}

/* Typed on a terminal, if there is one; there need not be one. */
static int
ticket_typed(struct work *w)
{
	const struct args	*a = w->args;
	char			 line[256];
	int			 r;

	if (w->renew || w->asked || a->opt[OPT_TICKET_FILE] != NULL ||
	    a->opt[OPT_CLIENT] != NULL || !isatty(STDIN_FILENO))
		return 0;
	w->asked = true;
	if (terminal_ask(STDIN_FILENO, "Ticket (empty: none): ", line,
	    sizeof(line)) == -1)
		return args_wrong("no ticket was typed", NULL);
	r = take_ticket(w, line);
	explicit_bzero(line, sizeof(line));
	return r;
}

/* ---- whom to trust ------------------------------------------------------ */

static int
anchors_file(struct work *w, const char *path)
{
	char	*pem;
	size_t	 len;

	if ((pem = file_get(path, 65536, &len)) == NULL)
		return -1;
	if ((w->anchors = pem_certs(pem, len)) == NULL)
		args_wrong("has no certificates in PEM:", path);
	free(pem);
	return w->anchors != NULL ? 0 : -1;
}

static bool
has_fingerprint(const X509 *x, const char *want)
{
	unsigned char	 md[32];
	unsigned	 n;
	char		 got[HEX_SIZE(32)];
	const char	*g = got;

	if (X509_digest(x, EVP_sha256(), md, &n) != 1 || n != sizeof(md))
		return false;
	hex(md, sizeof(md), got);
	for (; *want != '\0'; want++)
		if (*want != ':' && tolower((unsigned char)*want) != *g++)
			return false;
	return *g == '\0';
}

static SSL_CTX *
tls_context(bool tpm)
{
	SSL_CTX	*t = tpm ? tpm_tls() : SSL_CTX_new(TLS_client_method());

	if (t == NULL || SSL_CTX_set_min_proto_version(t, TLS1_3_VERSION) != 1)
		abort();
	return t;
}

/*
 * Of what a stranger sends, the one certificate whose digest the operator
 * knows; nothing of ours has been said to the stranger yet.
 */
static int
anchors_pinned(struct work *w, const char *fingerprint)
{
	struct ask	 q = { .url = &w->url, .est =
			     w->args->opt[OPT_EST] != NULL };
	STACK_OF(X509)	*all = NULL;
	char		 text[WHY_MAX];
	int		 i;

	q.tls = tls_context(false);
	q.deadline = clock_mono_ms() + (w->timeout < ATTEMPT ? w->timeout :
	    ATTEMPT);
	if (ask_chain(&q, &all, text) != DONE) {
		SSL_CTX_free(q.tls);
		fail(w, text);
		return -1;
	}
	SSL_CTX_free(q.tls);
	for (i = 0; i < sk_X509_num(all) && w->anchors == NULL; i++)
		if (has_fingerprint(sk_X509_value(all, i), fingerprint) &&
		    X509_check_ca(sk_X509_value(all, i)) == 1) {
			w->anchors = sk_X509_new_null();
			if (w->anchors == NULL ||
			    sk_X509_push(w->anchors,
			    X509_dup(sk_X509_value(all, i))) <= 0)
				abort();
		}
	sk_X509_pop_free(all, X509_free);
	if (w->anchors == NULL) {
		fail(w, "the server has no CA certificate with this "
		    "fingerprint");
		return -1;
	}
	return 0;
}

static int
get_anchors(struct work *w)
{
	const struct args	*a = w->args;

	if (a->opt[OPT_CA] != NULL)
		return anchors_file(w, a->opt[OPT_CA]);
	if (w->old.anchors != NULL) {
		w->anchors = X509_chain_up_ref(w->old.anchors);
		return w->anchors != NULL ? 0 : -1;
	}
	if (a->opt[OPT_FINGERPRINT] != NULL)
		return anchors_pinned(w, a->opt[OPT_FINGERPRINT]);
	fprintf(stderr, "provctl: who the server is is not known: give the "
	    "root with --ca FILE (provctl ca show --pem, on the server), or "
	    "its SHA-256 with --fingerprint\n");
	return -1;
}

/* ---- TLS ---------------------------------------------------------------- */

/* As what the server knows us: the certificate that is renewed, or a maker's. */
static int
tls_client(struct work *w)
{
	const char	*path = w->args->opt[OPT_CLIENT];
	int		 i;

	if (w->renew) {
		if (w->old.key.tpm != NULL ? tpm_tls_use(w->tls, w->old.cert,
		    w->old.key.tpm) == -1 : (SSL_CTX_use_certificate(w->tls,
		    w->old.cert) != 1 || SSL_CTX_use_PrivateKey(w->tls,
		    w->old.key.key) != 1)) {
			fail(w, "the old certificate and its key cannot be "
			    "used");
			return -1;
		}
		/* not the root: the server has it, or does not want it */
		for (i = 0; i + 1 < sk_X509_num(w->old.chain); i++)
			if (SSL_CTX_add1_chain_cert(w->tls,
			    sk_X509_value(w->old.chain, i)) != 1)
				return -1;
		return 0;
	}
	if (path != NULL && (SSL_CTX_use_certificate_chain_file(w->tls,
	    path) != 1 || SSL_CTX_use_PrivateKey_file(w->tls, path,
	    SSL_FILETYPE_PEM) != 1)) {
		fprintf(stderr, "provctl: %s: no certificate with its key, in "
		    "PEM\n", path);
		return -1;
	}
	return 0;
}

static int
tls_begin(struct work *w)
{
	X509_STORE	*store;
	int		 i;

	w->tls = tls_context(w->renew && w->old.key.tpm != NULL);
	store = SSL_CTX_get_cert_store(w->tls);
	for (i = 0; i < sk_X509_num(w->anchors); i++)
		X509_STORE_add_cert(store, sk_X509_value(w->anchors, i));
	i = tls_client(w);
	ERR_clear_error();
	return i;
}

/* ---- the key and its request -------------------------------------------- */

static int
take_up(struct work *w, bool same, const X509 *old)
{
	if (store_take(w->dir, &w->key, &w->csr, &w->csr_len) == -1)
		return -1;
	if (csr_fits(w->csr, w->csr_len, w->key.key, w->name, old) &&
	    (same ? EVP_PKEY_eq(w->key.key, w->old.key.key) == 1 :
	    key_is(&w->key, w->kind)))
		return 0;
	key_free(&w->key);
	free(w->csr);
	w->csr = NULL;
	return -1;
}

static int
get_key(struct work *w)
{
	bool		 same = w->renew && w->args->opt[OPT_SAME_KEY] != NULL;
	const X509	*old = w->renew && w->args->opt[OPT_EST] != NULL ?
			     w->old.cert : NULL;

	if (take_up(w, same, old) == 0)
		return 0;
	if (!same && key_make(&w->key, w->kind) == -1) {
		fputs("provctl: no key can be made\n", stderr);
		return -1;
	}
	w->csr = csr_make(same ? &w->old.key : &w->key, w->name, old,
	    &w->csr_len);
	ERR_clear_error();
	if (w->csr == NULL) {
		fputs("provctl: no request can be made\n", stderr);
		return -1;
	}
	return store_pending(w->dir, same ? &w->old.key : &w->key, w->csr,
	    w->csr_len);
}

/* ---- what came of it ---------------------------------------------------- */

static void
time_text(uint64_t t, char out[32])
{
	time_t		s = (time_t)t;
	struct tm	tm;

	if (gmtime_r(&s, &tm) == NULL ||
	    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

static uint64_t
renewal(const X509 *x, uint64_t renew_after)
{
	uint64_t	due = check_renewal(x);

	/* the server's word, if it lets us renew only later */
	return renew_after > due && renew_after <
	    x509_time(X509_get0_notAfter(x)) ? renew_after : due;
}

static void
show(const struct work *w, const X509 *x, uint64_t renew_after, bool fresh)
{
	const ASN1_INTEGER	*serial = X509_get0_serialNumber(x);
	char			 digits[HEX_SIZE(20)], from[32], until[32],
				 due[32];
	struct printer		 p;
	json_t			*row;

	digits[0] = '\0';
	if (serial->length <= 20)
		hex(serial->data, (size_t)serial->length, digits);
	time_text(x509_time(X509_get0_notBefore(x)), from);
	time_text(x509_time(X509_get0_notAfter(x)), until);
	time_text(renewal(x, renew_after), due);
	row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "row",
	    "enrolled", "name", w->name, "serial", digits, "not_before", from,
	    "not_after", until, "renewal", due, "directory", w->dir, "fresh",
	    fresh);
	if (row == NULL)
		abort();
	row_begin(&p, stdout, w->args->json, false, false);
	row_print(&p, row);
	row_end(&p);
	json_decref(row);
}

static void
say_member(const char *head, const json_t *o, const char *name)
{
	const char	*s = json_string_value(json_object_get(o, name));

	if (s == NULL || *s == '\0')
		return;
	fputs(head, stderr);
	row_text(stderr, s);
	fputc('\n', stderr);
}

/* As a refusal of policyd's is said, though a stranger worded it. */
static int
say_refused(const struct work *w, const struct answer *a, const char *text)
{
	json_t	*row;

	fail(w, text);
	if (a->refused == NULL)
		return EX_REFUSED;
	say_member("  field     ", a->refused, "field");
	say_member("  expected  ", a->refused, "expected");
	say_member("  seen      ", a->refused, "seen");
	say_member("  remedy    ", a->refused, "remedy");
	if (w->args->json) {
		row = json_pack("{s:s, s:O}", "row", "refused", "reason",
		    a->refused);
		json_dumpf(row, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		fputc('\n', stdout);
		json_decref(row);
	}
	return EX_REFUSED;
}

/* ---- asking, and asking again ------------------------------------------- */

/* A quarter to either side: many devices must not come at once. */
static uint64_t
jitter(uint64_t ms)
{
	uint32_t	r = 0;

	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return ms;
	return ms - ms / 4 + r % (ms / 2 + 1);
}

static void
pause_ms(uint64_t ms)
{
	struct timespec	ts = { .tv_sec = (time_t)(ms / 1000),
			    .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) == -1 && errno == EINTR)
		continue;
}

static enum outcome
attempt(struct work *w, struct answer *a, char text[WHY_MAX])
{
	struct ask	 q = { .url = &w->url, .tls = w->tls,
			     .est = w->args->opt[OPT_EST] != NULL,
			     .renew = w->renew,
			     .profile = w->args->opt[OPT_PROFILE],
			     .name = w->name, .csr = w->csr,
			     .csr_len = w->csr_len };
	STACK_OF(X509)	*path = NULL;
	enum outcome	 r;

	q.deadline = clock_mono_ms() + ATTEMPT;
	if (q.deadline > w->deadline)
		q.deadline = w->deadline;
	if (!w->renew && w->ticket[0] != '\0')
		q.ticket = w->ticket;
	if ((r = ask_cert(&q, a, text)) != DONE)
		return r;
	r = check_cert(a->cert, a->chain, w->anchors, w->key.key != NULL ?
	    w->key.key : w->old.key.key, w->name, &path, text);
	if (r == DONE && store_commit(w->dir, path, w->anchors,
	    a->renew_after) == -1)
		r = why(text, NEVER, "the certificate cannot be stored");
	sk_X509_pop_free(path, X509_free);
	return r;
}

static int
attempts(struct work *w)
{
	uint64_t	 wait = WAIT_MIN, ms;
	struct answer	 a;
	enum outcome	 r;
	char		 text[WHY_MAX];
	int		 status;

	w->deadline = clock_mono_ms() + w->timeout;
	for (;;) {
		r = attempt(w, &a, text);
		if (r == DONE)
			show(w, a.cert, a.renew_after, true);
		status = r == DONE ? EX_GOOD : EX_REFUSED;
		if (r == NEVER)
			say_refused(w, &a, text);
		ms = jitter(wait);
		if (a.retry_after * UINT64_C(1000) > ms)
			ms = a.retry_after * UINT64_C(1000);
		if (r == AGAIN && clock_mono_ms() + ms >= w->deadline) {
			say_refused(w, &a, text);
			fputs("provctl: giving up; the same key and request "
			    "are used the next time\n", stderr);
			status = a.refused != NULL ? EX_REFUSED :
			    EX_UNREACHABLE;
			r = NEVER;
		}
		answer_free(&a);
		if (r != AGAIN)
			return status;
		fail(w, text);
		fprintf(stderr, "provctl: again in %llu.%llu s\n",
		    (unsigned long long)ms / 1000,
		    (unsigned long long)ms % 1000 / 100);
		pause_ms(ms);
		wait = wait < WAIT_MAX / 2 ? wait * 2 : WAIT_MAX;
	}
}

/* ---- one round ---------------------------------------------------------- */

static void
round_over(struct work *w)
{
	stored_free(&w->old);
	sk_X509_pop_free(w->anchors, X509_free);
	SSL_CTX_free(w->tls);
	key_free(&w->key);
	free(w->csr);
	w->anchors = NULL;
	w->tls = NULL;
	w->csr = NULL;
}

/* What is in the directory decides what is to be done. 1: nothing is. */
static int
round_kind(struct work *w)
{
	bool	 daemon = w->args->opt[OPT_DAEMON] != NULL;
	bool	 wanted = w->args->opt[OPT_RENEW] != NULL;
	bool	 alive;
	char	*cn;

	if (store_load(w->dir, &w->old) == -1)
		return -1;
	alive = w->old.cert != NULL &&
	    x509_time(X509_get0_notAfter(w->old.cert)) > now_s();
	w->renew = alive && (wanted || daemon);
	if (alive && !w->renew)
		return args_wrong("there is a certificate already, --renew "
		    "renews it, in", w->dir);
	if (wanted && !alive)
		return args_wrong(w->old.cert == NULL ? "there is no "
		    "certificate to renew; enrol without --renew first, in" :
		    "the certificate has expired; enrol again without --renew, "
		    "in", w->dir);
	if (w->old.cert != NULL && w->name[0] == '\0' &&
	    (cn = name_of(X509_get_subject_name(w->old.cert))) != NULL) {
		snprintf(w->name, sizeof(w->name), "%s", cn);
		free(cn);
	}
	if (w->name[0] == '\0')
		return args_wrong("--mac, --interface or --name says what the "
		    "device is called", NULL);
	if (w->renew && !w->url.tls)
		return args_wrong("a certificate is renewed over https, not",
		    w->args->opt[OPT_SERVER]);
	return w->renew && w->args->opt[OPT_NOW] == NULL &&
	    now_s() < renewal(w->old.cert, w->old.renew_after);
}

static int
one_round(struct work *w)
{
	int	r, status = EX_REFUSED;

	if ((r = round_kind(w)) == 1) {
		show(w, w->old.cert, w->old.renew_after, false);
		status = EX_GOOD;
	}
	if (r != 0)
		goto out;
	if (ticket_typed(w) == -1 || get_anchors(w) == -1 ||
	    tls_begin(w) == -1 || get_key(w) == -1)
		goto out;
	status = attempts(w);
 out:
	round_over(w);
	return status;
}

/* ---- for ever ----------------------------------------------------------- */

/* Until it is due; the wall clock is read again, since it may be set. */
static int
until_due(struct work *w)
{
	uint64_t	due, now;

	if (store_load(w->dir, &w->old) == -1 || w->old.cert == NULL) {
		stored_free(&w->old);
		return -1;
	}
	due = renewal(w->old.cert, w->old.renew_after);
	stored_free(&w->old);
	/* a server that gives old certificates is not asked without a pause */
	if (due < now_s() + ROUND_MIN / 1000)
		due = now_s() + ROUND_MIN / 1000;
	while ((now = now_s()) < due)
		pause_ms((due - now < NAP ? due - now : NAP) * 1000);
	return 0;
}

/*
 * The first enrolment must succeed; what is refused later is tried until the
 * certificate has expired, since the operator may mend it meanwhile.
 */
static int
for_ever(struct work *w)
{
	uint64_t	wait = ROUND_MIN;
	int		status;

	for (;;) {
		status = one_round(w);
		fflush(stdout);
		if (status == EX_GOOD) {
			explicit_bzero(w->ticket, sizeof(w->ticket));
			wait = ROUND_MIN;
			if (until_due(w) == -1)
				return EX_REFUSED;
			continue;
		}
		if (!w->renew && status != EX_UNREACHABLE)
			return status;
		pause_ms(jitter(wait));
		wait = wait < ROUND_MAX / 2 ? wait * 2 : ROUND_MAX;
	}
}

int
enrol_run(const struct args *a)
{
	struct work	w = { .args = a };
	int		lock, status = EX_WRONG;

	signal(SIGPIPE, SIG_IGN);
	if (options(&w) == -1 ||
	    ticket_file(&w, a->opt[OPT_TICKET_FILE]) == -1)
		goto out;
	if (!w.url.tls)
		fputs("provctl: without TLS everybody on the way can read the "
		    "ticket\n", stderr);
	status = EX_REFUSED;
	if ((lock = store_open(w.dir)) == -1)
		goto out;
	if (a->opt[OPT_TPM] == NULL || tpm_open(a->opt[OPT_TPM]) == 0)
		status = a->opt[OPT_DAEMON] != NULL ? for_ever(&w) :
		    one_round(&w);
	tpm_close();
	close(lock);
 out:
	explicit_bzero(w.ticket, sizeof(w.ticket));
	return status;
}
