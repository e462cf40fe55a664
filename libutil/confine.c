/*
 * Confinement, in one order. There is no step that may fail quietly: what
 * cannot be had is fatal, and what was done is tried again as an attacker
 * would, before the daemon goes on.
 */
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/securebits.h>

#include "confine.h"
#include "log.h"

/*
 * The setgid bit lets policyd, without root, bind a hub.sock that has the
 * group of its role; nobody else may write in these directories.
 */
const struct confine_dir confine_dirs[] = {
	{ false, "",		"_policyd", "provd",	02751 },
	{ false, "netd",	"_policyd", "_netd",	02750 },
	{ false, "attestd-q",	"_policyd", "_attestq",	02750 },
	{ false, "attestd-r",	"_policyd", "_attestr",	02750 },
	{ false, "enrold",	"_policyd", "_enrold",	02750 },
	{ false, "busd",	"_policyd", "_busd",	02750 },
	{ true,  "",		"root",	    "root",	0755 },
	{ true,  "keyd",	"_policyd", "_keyd",	02750 },
	{ true,  "keyd/keys",	"_keyd",    "_keyd",	0700 },
	{ true,  "policyd",	"_policyd", "_policyd",	0700 },
};
const size_t confine_ndirs = sizeof(confine_dirs) / sizeof(confine_dirs[0]);

static const struct {
	const char	*role, *user;
	bool		 state;
} roles[] = {
	{ "policyd",   "_policyd", true },
	{ "keyd",      "_keyd",	   true },
	{ "netd",      "_netd",	   false },
	{ "attestd-q", "_attestq", false },
	{ "attestd-r", "_attestr", false },
	{ "enrold",    "_enrold",  false },
	{ "busd",      "_busd",	   false },
};

static bool	developer;

static int
fits(int n, size_t size)
{
	return n >= 0 && (size_t)n < size ? 0 : -1;
}

int
confine_dir_path(const struct confine_dir *d, const struct conf *conf,
    char *buf, size_t size)
{
	return fits(snprintf(buf, size, "%s%s%s",
	    d->state ? conf->state_dir : conf->run_dir,
	    d->path[0] == '\0' ? "" : "/", d->path), size);
}

bool
confine_dir_needed(const struct confine_dir *d, const struct conf *conf)
{
	if (strcmp(d->path, "enrold") == 0)
		return conf->listeners != NULL;
	return conf->dbus != NULL || strcmp(d->path, "busd") != 0;
}

static int
role_find(const char *role)
{
	size_t	i;

	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].role, role) == 0)
			return (int)i;
	return -1;
}

int
confine_root_path(const struct conf *conf, const char *role, char *buf,
    size_t size)
{
	int	i = role_find(role);

	if (i == -1)
		return -1;
	return fits(snprintf(buf, size, "%s/%s", roles[i].state ?
	    conf->state_dir : conf->run_dir, role), size);
}

int
confine_hub_path(const struct conf *conf, const char *role, char *buf,
    size_t size)
{
	char	root[PATH_MAX];

	if (confine_root_path(conf, role, root, sizeof(root)) == -1)
		return -1;
	return fits(snprintf(buf, size, "%s/hub.sock", root), size);
}

const char *
confine_role_user(const char *role)
{
	int	i = role_find(role);

	return i == -1 ? NULL : roles[i].user;
}

bool
confine_developer(void)
{
	return developer;
}

/* ---- directories ------------------------------------------------------- */

static const struct passwd *
user(const char *name)
{
	const struct passwd	*pw;

	if ((pw = getpwnam(name)) == NULL)
		fatalx("there is no user %s: make it with systemd-sysusers or "
		    "adduser --system; sysusers.d/provd.conf lists it", name);
	return pw;
}

static gid_t
group_id(const char *name)
{
	const struct group	*gr;

	if ((gr = getgrnam(name)) == NULL)
		fatalx("there is no group %s: make it with systemd-sysusers or "
		    "addgroup --system; sysusers.d/provd.conf lists it", name);
	return gr->gr_gid;
}

/* Never through a symbolic link: _policyd may write in some parents. */
static void
dir_as_root(const struct confine_dir *d, const char *path)
{
	struct stat	 st;
	uid_t		 uid = user(d->owner)->pw_uid;
	gid_t		 gid = group_id(d->group);
	int		 fd;
	bool		 given;

	if (mkdir(path, 0700) == -1 && errno != EEXIST)
		fatal("mkdir %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		fatal("%s", path);
	/* What is right is left alone: the file system may be read-only.
	   chown clears the setgid bit: mode last. */
	given = st.st_uid != uid || st.st_gid != gid;
	if (given && fchown(fd, uid, gid) == -1)
		fatal("chown %s", path);
	if ((given || (st.st_mode & 07777) != d->mode) &&
	    fchmod(fd, d->mode) == -1)
		fatal("chmod %s", path);
	close(fd);
}

void
start_dirs(const struct confine *c, const struct conf *conf)
{
	char	path[PATH_MAX];
	size_t	i;

	(void)c;
	for (i = 0; i < confine_ndirs; i++) {
		if (!confine_dir_needed(&confine_dirs[i], conf))
			continue;
		if (confine_dir_path(&confine_dirs[i], conf, path,
		    sizeof(path)) == -1)
			fatalx("path of a directory is too long");
		if (geteuid() == 0)
			dir_as_root(&confine_dirs[i], path);
		else if (mkdir(path, 0700) == -1 && errno != EEXIST &&
		    errno != EACCES && errno != EROFS)
			fatal("mkdir %s", path);
	}
}

/* ---- the steps --------------------------------------------------------- */

/* start_options() lowered the limit, so that this sees every descriptor. */
static void
no_directories(void)
{
	struct rlimit	rl;
	struct stat	st;
	int		fd;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		fatal("getrlimit");
	for (fd = 0; fd < (int)rl.rlim_cur; fd++)
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
			fatalx("descriptor %d is a directory: it would lead "
			    "out of the chroot", fd);
}

/*
 * A unit lends what start needs and no more; what it lends too much was at
 * hand while the configuration was read.
 */
static void
only_lent(const struct confine *c)
{
	cap_flag_value_t	has;
	cap_value_t		cap;
	cap_t			have;
	char			*name;

	if ((have = cap_get_proc()) == NULL)
		fatal("capabilities");
	for (cap = 0; cap_get_bound(cap) >= 0; cap++) {
		if (cap == CAP_SYS_CHROOT || c->caps & 1ULL << cap ||
		    cap_get_flag(have, cap, CAP_PERMITTED, &has) == -1 ||
		    has == CAP_CLEAR)
			continue;
		name = cap_to_name(cap);
		fatalx("started with the capability %s, which it has no use "
		    "for: see its unit", name != NULL ? name : "?");
	}
	cap_free(have);
}

/*
 * policyd owns the roots of the others. Should it be taken over, it must not
 * be able to put a link to / there, or a directory that the daemon can fill.
 */
static void
enter_root(const char *root, uid_t self, struct stat *st)
{
	int	fd;

	fd = open(root, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, st) == -1)
		fatal("%s", root);
	if (st->st_uid != 0 && st->st_uid != user("_policyd")->pw_uid)
		fatalx("%s belongs to uid %u, not to _policyd", root,
		    st->st_uid);
	if (st->st_uid != self && st->st_mode & (S_IWGRP | S_IWOTH))
		fatalx("%s is writable for others than its owner", root);
	if (fchdir(fd) == -1)
		fatal("chdir %s", root);
	if (chroot(".") == -1) {
		if (errno == EPERM)
			fatalx("chroot %s: not permitted: start as root, or "
			    "through the service, or with -D", root);
		fatal("chroot %s", root);
	}
	close(fd);
	if (chdir("/") == -1)
		fatal("chdir");
}

/* While we are root: after the change of user it is too late for these. */
static void
drop_bounds(void)
{
	cap_value_t	cap;

	if (cap_set_secbits(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
	    SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
	    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED) == -1)
		fatal("securebits");
	for (cap = 0; cap_get_bound(cap) >= 0; cap++)
		if (cap_drop_bound(cap) == -1)
			fatal("capability bounding set");
}

static void
become(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) == -1)
		fatal("setgroups");
	if (setresgid(gid, gid, gid) == -1)
		fatal("setresgid");
	if (setresuid(uid, uid, uid) == -1)
		fatal("setresuid");
}

static void
drop_caps(void)
{
	cap_t	none;

	if ((none = cap_init()) == NULL || cap_set_proc(none) == -1)
		fatal("capabilities");
	if (cap_reset_ambient() == -1)
		fatal("ambient capabilities");
	cap_free(none);
}

static void
limit(__rlimit_resource_t resource, rlim_t n, const char *what)
{
	struct rlimit	rl = { n, n };

	if (setrlimit(resource, &rl) == -1)
		fatal("setrlimit: %s", what);
}

/*
 * While we are root: some init gives fewer descriptors than a daemon with
 * many peers needs. A unit says LimitNOFILE=.
 */
static void
raise_files(const struct confine *c)
{
	struct rlimit	rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		fatal("getrlimit");
	if (rl.rlim_max >= c->nofile)
		return;
	rl.rlim_max = c->nofile;
	(void)setrlimit(RLIMIT_NOFILE, &rl);	/* limits() says if not */
}

/* As many as the row says, or as there are: fewer lower no protection. */
static void
limit_files(const struct confine *c)
{
	struct rlimit	rl;
	rlim_t		n = c->nofile;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		fatal("getrlimit");
	if (n > rl.rlim_max) {
		n = rl.rlim_max;
		log_warnx("open files: %llu at most, %u are wanted",
		    (unsigned long long)n, c->nofile);
	}
	limit(RLIMIT_NOFILE, n, "open files");
}

static void
limits(const struct confine *c)
{
	struct stat	st;
	bool		to_file;

	/* With -d somebody may have sent the log into a file. */
	to_file = fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode);
	limit(RLIMIT_CORE, 0, "core");
	limit_files(c);
	if (!c->writes && !to_file)
		limit(RLIMIT_FSIZE, 0, "file size");
	if (!developer)
		limit(RLIMIT_NPROC, 0, "processes");
}

/* ---- proof ------------------------------------------------------------- */

/*
 * Started as root we have given every group away. A unit gives its user's
 * groups (the TPM's, the operators') and without root they stay; they name
 * files, of which the root directory has none.
 */
static void
prove_groups(uid_t started)
{
	gid_t	groups[NGROUPS_MAX];
	int	i, n;

	if ((n = getgroups(NGROUPS_MAX, groups)) == -1)
		fatal("getgroups");
	if (started == 0 && n != 0)
		fatalx("proof: supplementary groups are left");
	for (i = 0; i < n; i++)
		if (groups[i] == 0 && !developer)
			fatalx("proof: the group of root is left");
}

static void
prove_user(uid_t uid, gid_t gid, uid_t started)
{
	uid_t	r, e, s;
	gid_t	rg, eg, sg;

	if (getresuid(&r, &e, &s) == -1 || r != uid || e != uid || s != uid ||
	    getresgid(&rg, &eg, &sg) == -1 || rg != gid || eg != gid ||
	    sg != gid || uid == 0 || gid == 0)
		fatalx("proof: not the user and group that it should be");
	if (setuid(0) != -1 || seteuid(0) != -1 ||
	    setreuid((uid_t)-1, 0) != -1 || setgid(0) != -1 ||
	    setegid(0) != -1)
		fatalx("proof: root can be had again");
	prove_groups(started);
}

static void
prove_caps(void)
{
	cap_t		none, have;
	cap_value_t	cap;

	if ((none = cap_init()) == NULL || (have = cap_get_proc()) == NULL)
		fatal("capabilities");
	if (cap_compare(none, have) != 0)
		fatalx("proof: capabilities are left");
	for (cap = 0; cap_get_ambient(cap) >= 0; cap++)
		if (cap_get_ambient(cap) != 0)
			fatalx("proof: ambient capabilities are left");
	cap_free(none);
	cap_free(have);
}

static void
prove_root(const struct stat *root)
{
	static const char *const	ways[] = { "/", ".", "..", "../../.." };
	struct stat			st;
	size_t				i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (stat(ways[i], &st) == -1 || st.st_dev != root->st_dev ||
		    st.st_ino != root->st_ino)
			fatalx("proof: \"%s\" leads out of the root", ways[i]);
	if (chroot(".") != -1)
		fatalx("proof: chroot is still permitted");
}

static void
prove_process(void)
{
	if (prctl(PR_GET_DUMPABLE) != 0)
		fatalx("proof: the process is dumpable");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		fatalx("proof: new privileges are possible");
}

static void
keep_caps(const cap_value_t *list, int n)
{
	cap_t	caps;

	if ((caps = cap_init()) == NULL ||
	    cap_set_flag(caps, CAP_PERMITTED, n, list, CAP_SET) == -1 ||
	    cap_set_flag(caps, CAP_EFFECTIVE, n, list, CAP_SET) == -1 ||
	    cap_set_proc(caps) == -1)
		fatal("capabilities");
	cap_free(caps);
}

void
confine_become(const struct confine *c, const struct start_opts *o)
{
	static const cap_value_t	kept[] = { CAP_SYS_CHROOT, CAP_SETPCAP };
	const struct passwd		*pw;

	if (geteuid() != 0 || o->developer)
		return;
	pw = user(c->user);
	raise_files(c);
	if (prctl(PR_SET_KEEPCAPS, 1) == -1)
		fatal("keep capabilities");
	become(pw->pw_uid, pw->pw_gid);
	keep_caps(kept, 2);
	drop_bounds();		/* takes the keeping back, for good */
	keep_caps(kept, 1);
}

void
confine_user(const struct confine *c, const struct conf *conf,
    const struct start_opts *o, char *hub_path, size_t hub_size)
{
	const struct passwd *pw;
	struct stat	 st;
	char		 root[PATH_MAX];
	uid_t		 started = getuid(), uid = started;
	gid_t		 gid = getgid();

	developer = o->developer;
	no_directories();
	if (confine_root_path(conf, c->role, root, sizeof(root)) == -1)
		fatalx("%s: no such role", c->role);
	if (!developer) {
		pw = user(c->user);
		if (uid != 0 && uid != pw->pw_uid)
			fatalx("started as a user that is neither root nor %s",
			    c->user);
		if (uid != 0)
			only_lent(c);
		uid = pw->pw_uid;
		gid = pw->pw_gid;
		enter_root(root, uid, &st);
		if (geteuid() == 0) {
			raise_files(c);
			drop_bounds();
			become(uid, gid);
		}
	}
	drop_caps();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("no new privileges");
	if (prctl(PR_SET_DUMPABLE, 0) == -1)
		fatal("not dumpable");
	limits(c);
	prove_user(uid, gid, started);
	prove_caps();
	prove_process();
	if (!developer)
		prove_root(&st);
	if (developer ? confine_hub_path(conf, c->role, hub_path, hub_size) :
	    fits(snprintf(hub_path, hub_size, "/hub.sock"), hub_size))
		fatalx("path of the hub socket is too long");
	if (developer)
		log_warnx("developer mode: no chroot, no user of its own");
	start_detach();
	start_status("confined");
}
