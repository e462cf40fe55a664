/*
 * provctl check: is this installation sane? It looks for itself, so that it
 * works when nothing runs; a row each, with what to do about it.
 */
#include <sys/stat.h>

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <net/if.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "clock.h"
#include "confine.h"
#include "provctl.h"

enum result { GOOD, WARN, FAIL };

struct check {
	struct printer	 printer;
	const struct args *args;
	struct conf	*conf;
	unsigned	 count[FAIL + 1];
};

static const char *const role_names[] = {
	"policyd", "keyd", "netd", "attestd-q", "attestd-r", "enrold", "busd"
};
#define NROLES		(sizeof(role_names) / sizeof(role_names[0]))

/* Two are there only where the configuration wants them. */
static bool
wanted(const struct check *c, const char *role)
{
	if (strcmp(role, "enrold") == 0)
		return c->conf != NULL && c->conf->listeners != NULL;
	if (strcmp(role, "busd") == 0)
		return c->conf != NULL && c->conf->dbus != NULL;
	return true;
}

static void
say_row(struct check *c, const char *result, const char *what,
    const char *found, const char *remedy)
{
	json_t	*row;

	row = json_pack("{s:s, s:s, s:s, s:s, s:s?}", "row", "check",
	    "result", result, "what", what, "found", found, "remedy", remedy);
	if (row == NULL)	/* a path that is not UTF-8 */
		row = json_pack("{s:s, s:s, s:s, s:s, s:s?}", "row", "check",
		    "result", result, "what", what, "found", "?", "remedy",
		    remedy);
	row_print(&c->printer, row);
	json_decref(row);
}

/* One row. The remedy is for what is not good; found is a format. */
static void __attribute__((format(printf, 5, 6)))
say(struct check *c, enum result r, const char *what, const char *remedy,
    const char *fmt, ...)
{
	static const char *const	words[] = { "ok", "warn", "fail" };
	char				found[512];
	va_list				ap;

	va_start(ap, fmt);
	vsnprintf(found, sizeof(found), fmt, ap);
	va_end(ap);
	c->count[r]++;
	if (c->args->json)
		say_row(c, words[r], what, found, r == GOOD ? NULL : remedy);
	else {
		printf("%-5s %-14s ", words[r], what);
		row_text(stdout, found);
		if (r != GOOD)
			printf("\n%21sremedy: %s", "", remedy);
		putchar('\n');
	}
}

static const char *
user_name(uid_t uid)
{
	const struct passwd	*pw = getpwuid(uid);

	return pw != NULL ? pw->pw_name : "?";
}

static const char *
group_name(gid_t gid)
{
	const struct group	*gr = getgrgid(gid);

	return gr != NULL ? gr->gr_name : "?";
}

/* ---- configuration and users ------------------------------------------- */

static void
check_conf(struct check *c)
{
	const char	*path = c->args->conf_path;
	char		*text, *nl;
	size_t		 len;
	FILE		*f;

	if (path == NULL)
		path = CONF_PATH;
	if ((f = open_memstream(&text, &len)) == NULL)
		abort();
	c->conf = conf_parse(path, f);
	fclose(f);
	if ((nl = strchr(text, '\n')) != NULL)
		*nl = '\0';
	if (c->conf != NULL)
		say(c, GOOD, "configuration", NULL, "%s", path);
	else
		say(c, FAIL, "configuration", "mend it; 'policyd -n' shows "
		    "every error", "%s", text);
	free(text);
}

static void
check_users(struct check *c)
{
	const char	*user;
	size_t		 i;

	for (i = 0; i < NROLES; i++) {
		if (!wanted(c, role_names[i]))
			continue;
		user = confine_role_user(role_names[i]);
		if (getpwnam(user) == NULL)
			say(c, FAIL, "user", "systemd-sysusers, or adduser "
			    "--system --group", "%s does not exist", user);
		else
			say(c, GOOD, "user", NULL, "%s", user);
	}
	if (getgrnam("provd") == NULL)
		say(c, FAIL, "group", "systemd-sysusers, or addgroup --system",
		    "provd does not exist");
	else
		say(c, GOOD, "group", NULL, "provd");
}

/* ---- directories and sockets ------------------------------------------- */

/* A stat that failed; true if that was all there is to say. */
static bool
unseen(struct check *c, const char *what, const char *path,
    const char *remedy)
{
	if (errno == EACCES)
		say(c, WARN, what, "run this check as root", "%s cannot be "
		    "seen from here", path);
	else
		say(c, FAIL, what, remedy, "%s: %s", path, strerror(errno));
	return true;
}

static void
check_owner(struct check *c, const char *what, const char *path,
    const struct stat *st, const char *user, const char *group, mode_t mode,
    const char *remedy)
{
	const struct passwd	*pw = getpwnam(user);
	const struct group	*gr = getgrnam(group);

	if (pw == NULL || gr == NULL)
		return;		/* said already */
	if (st->st_uid == pw->pw_uid && st->st_gid == gr->gr_gid &&
	    (st->st_mode & 07777) == mode)
		say(c, GOOD, what, NULL, "%s", path);
	else
		say(c, FAIL, what, remedy, "%s is %s:%s %04o, not %s:%s %04o",
		    path, user_name(st->st_uid), group_name(st->st_gid),
		    st->st_mode & 07777, user, group, mode);
}

static void
check_dirs(struct check *c)
{
	static const char	 remedy[] =
	    "systemd-tmpfiles --create, or start policyd as root";
	const struct confine_dir *d;
	struct stat		 st;
	char			 path[PATH_MAX];
	size_t			 i;

	for (i = 0; i < confine_ndirs; i++) {
		d = &confine_dirs[i];
		if (!confine_dir_needed(d, c->conf) ||
		    confine_dir_path(d, c->conf, path, sizeof(path)) == -1)
			continue;
		if (lstat(path, &st) == -1)
			unseen(c, "directory", path, remedy);
		else if (!S_ISDIR(st.st_mode))
			say(c, FAIL, "directory", remedy, "%s is something "
			    "else", path);
		else
			check_owner(c, "directory", path, &st, d->owner,
			    d->group, d->mode, remedy);
	}
}

static void
check_socket(struct check *c, const char *path, const char *group)
{
	struct stat	st;

	if (lstat(path, &st) == -1)
		unseen(c, "socket", path, "start policyd: it makes them");
	else if (!S_ISSOCK(st.st_mode))
		say(c, FAIL, "socket", "remove it and start policyd anew",
		    "%s is no socket", path);
	else	/* bound before policyd gave up root, or without it */
		check_owner(c, "socket", path, &st, st.st_uid == 0 ? "root" :
		    "_policyd", group, 0660, "start policyd anew");
}

static void
check_sockets(struct check *c)
{
	char	path[PATH_MAX];
	size_t	i;

	for (i = 0; i < NROLES; i++)
		if (strcmp(role_names[i], "policyd") != 0 &&
		    wanted(c, role_names[i]) && confine_hub_path(c->conf, role_names[i], path,
		    sizeof(path)) == 0)
			check_socket(c, path, confine_role_user(role_names[i]));
	client_path(c->args, path, sizeof(path));
	check_socket(c, path, "provd");
}

/* ---- TPM, clock, interface --------------------------------------------- */

/* May this user read and write what stat found? */
static bool
usable(const struct stat *st, const struct passwd *pw)
{
	gid_t	groups[64];
	int	i, n = 64;

	if (st->st_uid == pw->pw_uid)
		return (st->st_mode & 0600) == 0600;
	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &n) == -1)
		n = 0;
	for (i = 0; i < n; i++)
		if (st->st_gid == groups[i])
			return (st->st_mode & 060) == 060;
	return (st->st_mode & 06) == 06;
}

static void
check_tpm(struct check *c)
{
	const struct passwd	*pw = getpwnam("_keyd");
	const char		*path = c->conf->tpm;
	bool			 sock;
	struct stat		 st;

	if (c->conf->backend == BACKEND_SOFT) {
		say(c, WARN, "TPM", "with a TPM: key backend tpm", "none: keys "
		    "are in a file (key backend soft)");
		return;
	}
	if ((sock = strncmp(path, "unix:", 5) == 0))
		path += 5;
	if (stat(path, &st) == -1)
		unseen(c, "TPM", path, sock ? "start the software TPM" :
		    "is its driver loaded? see dmesg; or name another in key "
		    "backend");
	else if (sock ? !S_ISSOCK(st.st_mode) : !S_ISCHR(st.st_mode))
		say(c, FAIL, "TPM", "name the right one in key backend",
		    "%s is no %s", path, sock ? "socket" : "device");
	else if (pw != NULL && !usable(&st, pw) &&
	    !(st.st_gid != 0 && (st.st_mode & 060) == 060))
		/* a keyd that root starts opens it first */
		say(c, st.st_uid == 0 ? WARN : FAIL, "TPM", "give it to a "
		    "group, and the group to keyd's service; or let root "
		    "start keyd", "%s cannot be used by _keyd", path);
	else if (pw != NULL && !usable(&st, pw))
		/* as in Debian, where the unit names the group */
		say(c, GOOD, "TPM", NULL, "%s, by group %s", path,
		    group_name(st.st_gid));
	else
		say(c, GOOD, "TPM", NULL, "%s", path);
}

static void
check_clock(struct check *c)
{
	time_t	now = time(NULL);

	if ((uint64_t)now < clock_build_time())
		say(c, WARN, "clock", "set it; until then the last known time "
		    "counts", "%s", "it is before the build of this program");
	else
		say(c, GOOD, "clock", NULL, "%s", "not before the build");
}

static void
check_node(struct check *c)
{
	const char	*ifname = c->conf->interface;

	say(c, GOOD, "node", NULL, "%s", c->conf->node);
	if (c->conf->dbus_neighbours)
		say(c, GOOD, "neighbours", NULL, "from D-Bus, with no LLDP of "
		    "our own");
	else if (ifname == NULL)
		say(c, WARN, "interface", "node \"NAME\" interface \"IF\"",
		    "none: nobody is heard over LLDP");
	else if (if_nametoindex(ifname) == 0)
		say(c, WARN, "interface", "netd waits for it; is the name "
		    "right?", "%s is not there", ifname);
	else
		say(c, GOOD, "interface", NULL, "%s", ifname);
	if (access(c->conf->boot_id, R_OK) == -1)
		say(c, FAIL, "boot id", "see boot id in provd.conf(5)",
		    "%s: %s", c->conf->boot_id, strerror(errno));
	else
		say(c, GOOD, "boot id", NULL, "%s", c->conf->boot_id);
	if (c->conf->cert_root != NULL)
		say(c, WARN, "cert_root", "name accepted roots with accept "
		    "root", "%s of OpenBMC's file is not used: what was "
		    "exchanged there was not attested", c->conf->cert_root);
}

#define BUS_POLICY	"xyz.openbmc_project.Provisioning.conf"

/* Of a bus that is not the system's nobody knows where it looks for them. */
static void
check_bus_policy(struct check *c)
{
	static const char *const	places[] = {
		"/usr/share/dbus-1/system.d/" BUS_POLICY,
		"/etc/dbus-1/system.d/" BUS_POLICY,
	};
	size_t				i, n = sizeof(places) / sizeof(*places);

	if (strcmp(c->conf->dbus, CONF_DBUS) != 0)
		return;
	for (i = 0; i < n; i++)
		if (access(places[i], F_OK) == 0) {
			say(c, GOOD, "bus policy", NULL, "%s", places[i]);
			return;
		}
	say(c, FAIL, "bus policy", "copy it there from etc/dbus of the "
	    "sources, and reload dbus", "%s is not there: the bus gives busd "
	    "no name", places[0]);
}

static void
check_bus(struct check *c)
{
	const char	*path = c->conf->dbus;
	struct stat	 st;

	if (path == NULL)
		return;
	if (stat(path, &st) == -1)
		unseen(c, "dbus", path, "start dbus: busd waits for it");
	else if (!S_ISSOCK(st.st_mode))
		say(c, FAIL, "dbus", "name the socket of the bus: dbus socket "
		    "\"FILE\"", "%s is no socket", path);
	else
		say(c, GOOD, "dbus", NULL, "%s", path);
	check_bus_policy(c);
}

/* ---- roots and references ---------------------------------------------- */

/* What is wrong with it as an accepted root, or NULL. */
static const char *
root_fault(FILE *f, bool *expired)
{
	const char	*fault = NULL;
	X509		*x;

	if ((x = PEM_read_X509(f, NULL, NULL, NULL)) == NULL)
		return "no PEM certificate";
	if (X509_check_ca(x) != 1)
		fault = "no CA certificate (basicConstraints)";
	else if (!(X509_get_key_usage(x) & KU_KEY_CERT_SIGN))
		fault = "may not sign certificates (keyUsage)";
	else if (!(X509_get_extension_flags(x) & EXFLAG_SS))
		fault = "not a root: somebody else issued it";
	*expired = X509_cmp_current_time(X509_get0_notAfter(x)) < 0 ||
	    X509_cmp_current_time(X509_get0_notBefore(x)) > 0;
	X509_free(x);
	return fault;
}

static void
check_root(struct check *c, const char *what, const char *path)
{
	const struct passwd	*pw = getpwnam("_policyd");
	const char		*fault;
	struct stat		 st;
	bool			 expired = false;
	FILE			*f;

	if ((f = fopen(path, "re")) == NULL) {
		unseen(c, what, path, "name a file that exists");
		return;
	}
	fault = root_fault(f, &expired);
	if (fstat(fileno(f), &st) == 0 && fault == NULL && pw != NULL &&
	    !(st.st_mode & 04) && st.st_uid != pw->pw_uid &&
	    st.st_gid != pw->pw_gid)
		fault = "not readable by _policyd";
	fclose(f);
	if (fault != NULL)
		say(c, FAIL, what, "put the maker's root "
		    "certificate there, mode 0644", "%s: %s", path, fault);
	else if (expired)
		say(c, WARN, what, "ask the maker for its "
		    "successor; look at the clock", "%s: outside of its "
		    "validity now", path);
	else
		say(c, GOOD, what, NULL, "%s", path);
}

static void
check_roots(struct check *c)
{
	const struct conf_accept	*a, *b;
	const struct conf_component	*k;

	if (c->conf->accepts == NULL)
		say(c, WARN, "accepted root", "accept root \"FILE\"",
		    "none: no peer can be attested");
	for (a = c->conf->accepts; a != NULL; a = a->next) {
		for (b = c->conf->accepts; b != a; b = b->next)
			if (strcmp(a->root, b->root) == 0)
				break;
		if (b == a)
			check_root(c, "accepted root", a->root);
	}
	for (k = c->conf->components; k != NULL; k = k->next)
		if (k->root != NULL)
			check_root(c, "accepted root", k->root);
}

static void
check_reference(struct check *c, const char *path)
{
	json_error_t	 e;
	json_t		*j;

	if (path == NULL)
		return;
	if (access(path, R_OK) == -1)
		unseen(c, "reference", path, "name a file that exists");
	else if ((j = json_load_file(path, JSON_REJECT_DUPLICATES, &e)) == NULL)
		say(c, FAIL, "reference", "mend it", "%s:%d: %s", path, e.line,
		    e.text);
	else {
		say(c, GOOD, "reference", NULL, "%s", path);
		json_decref(j);
	}
}

static void
check_references(struct check *c)
{
	const struct conf_peer	*p;

	check_reference(c, c->conf->reference);
	for (p = c->conf->peers; p != NULL; p = p->next)
		check_reference(c, p->reference);
}

/* ---- the certificate service -------------------------------------------- */

static void
check_listener(struct check *c, const struct conf_listener *l)
{
	static const char *const	doors[] = {
		[DOOR_TLS] = "JSON and EST over TLS",
		[DOOR_MUTUAL] = "JSON and EST for whoever has a certificate",
		[DOOR_PLAIN] = "JSON without TLS",
		[DOOR_STATUS] = "OCSP and CRLs",
	};
	unsigned			door = l->door < DOOR_NDOORS ?
					    l->door : DOOR_PLAIN;

	if (door == DOOR_PLAIN)
		say(c, WARN, "listener", "listen enrol port, where its clients "
		    "can do TLS", "port %u: %s: who is between reads tickets "
		    "and may use them first", l->port, doors[door]);
	else if (l->key == KEY_RSA2048 && c->conf->backend == BACKEND_TPM)
		say(c, FAIL, "listener", "key ecdsa-p256; or key backend "
		    "sealed", "port %u: the backend tpm has no rsa-2048",
		    l->port);
	else
		say(c, GOOD, "listener", NULL, "port %u: %s", l->port,
		    doors[door]);
}

static void
check_profile(struct check *c, const struct conf_profile *p)
{
	const struct conf_path	*m;

	if (p->open)
		say(c, WARN, "profile", "take open from it, and give devices "
		    "tickets: provctl device add NAME --ticket", "%s is open: "
		    "whoever asks gets a certificate", p->name);
	else
		say(c, GOOD, "profile", NULL, "%s", p->name);
	for (m = p->makers; m != NULL; m = m->next)
		check_root(c, "maker's root", m->path);
}

static bool
has_door(const struct conf *conf, enum enrol_door door)
{
	const struct conf_listener	*l;

	for (l = conf->listeners; l != NULL; l = l->next)
		if (l->door == door)
			return true;
	return false;
}

static void
check_service(struct check *c)
{
	const struct conf_listener	*l;
	const struct conf_profile	*p;

	if (c->conf->ca.name == NULL)
		return;
	if (c->conf->ca.url != NULL && !has_door(c->conf, DOOR_STATUS))
		say(c, WARN, "ca", "listen status port NUMBER, unless another "
		    "machine serves it", "%s is in every certificate, and "
		    "nothing here serves it", c->conf->ca.url);
	else
		say(c, GOOD, "ca", NULL, "%s", c->conf->ca.name);
	for (l = c->conf->listeners; l != NULL; l = l->next)
		check_listener(c, l);
	if (c->conf->profiles == NULL)
		say(c, WARN, "profile", "profile \"NAME\" { key ecdsa-p256  "
		    "valid 30 d }", "none: no device gets a certificate");
	for (p = c->conf->profiles; p != NULL; p = p->next)
		check_profile(c, p);
}

/* ---- what runs --------------------------------------------------------- */

static int
daemon_row(const json_t *row, void *arg)
{
	struct check	*c = arg;
	const char	*name, *role, *state;

	name = json_string_value(json_object_get(row, "row"));
	if (name == NULL || strcmp(name, "daemon") != 0)
		return 0;
	role = json_string_value(json_object_get(row, "role"));
	state = json_string_value(json_object_get(row, "state"));
	if (role == NULL || state == NULL)
		return 0;
	if (strcmp(state, "ready") == 0)
		say(c, GOOD, "daemon", NULL, "%s is ready", role);
	else
		say(c, FAIL, "daemon", "start it; its log says why it is not",
		    "%s is %s", role, state);
	return 0;
}

static void
check_daemons(struct check *c)
{
	struct msg_refused	 refused;
	union ipc_any		*m;
	char			 path[PATH_MAX], *text, *nl;
	size_t			 len;
	FILE			*f;
	int			 fd, status;

	client_path(c->args, path, sizeof(path));
	if ((f = open_memstream(&text, &len)) == NULL)
		abort();
	fd = client_open(path, f, &status);
	fclose(f);
	if ((nl = strchr(text, '\n')) != NULL)
		*nl = '\0';
	if (fd == -1)
		say(c, FAIL, "daemon", "start policyd, then the others",
		    "%s", strncmp(text, "provctl: ", 9) == 0 ? text + 9 : text);
	free(text);
	if (fd == -1)
		return;
	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	status = client_call(fd, MSG_CTL_STATUS, m, -1, false, daemon_row, c,
	    &refused);
	if (status != EX_GOOD)
		say(c, FAIL, "daemon", "see policyd's log", "policyd did not "
		    "say its status");
	free(m);
	close(fd);
}

int
check_run(const struct args *a)
{
	struct check	c = { .args = a };

	row_begin(&c.printer, stdout, a->json, false, false);
	check_conf(&c);
	check_users(&c);
	check_clock(&c);
	if (c.conf != NULL) {
		check_node(&c);
		check_bus(&c);
		check_tpm(&c);
		check_roots(&c);
		check_references(&c);
		check_service(&c);
		check_dirs(&c);
		check_sockets(&c);
	}
	check_daemons(&c);
	row_end(&c.printer);
	if (!a->json)
		printf("\n%u ok, %u warnings, %u failures\n", c.count[GOOD],
		    c.count[WARN], c.count[FAIL]);
	conf_free(c.conf);
	return c.count[FAIL] == 0 ? EX_GOOD : EX_REFUSED;
}
