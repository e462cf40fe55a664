/*
 * What was issued, once more as files for those who read no store: a PEM file
 * a certificate, and a text log of serial numbers. The store is the truth:
 * what is missing here is written again from it.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "enrol.h"
#include "hex.h"
#include "peer.h"

#define AT_ONCE		32	/* files that are open at once */
#define PEM_MAX		PEM_SIZE(CERT_MAX)
#define LOG_LINE	192	/* of the log */
#define BACK		INT64_C(10000) /* rows behind the mark that are looked at: what
				   was put back from a copy may be older */
#define PIECE		500	/* rows a turn, where there are more than BACK */
#define TAIL		(4 << 20)	/* bytes of the log that hold their lines */
#define MARK		"cert_files"
#define MARK_EVERY	512	/* rows */

static struct {
	bool		 broken;	/* the last write failed */
	bool		 turning;	/* files_turn() is to run */
	int64_t		 at, end;	/* rows that are looked at again */
	int64_t		 known;		/* of the mark in the store */
	uint8_t		*lines;		/* serials in the log's tail, sorted */
	size_t		 nlines;
	struct issued	*failed;	/* to be written first */
	size_t		 nfailed, sfailed;
} files;

/* ---- directories ---- */

static enum reason
files_trouble(const char *what, const char *path)
{
	if (!files.broken)
		log_warn("%s: %s", path, what);
	files.broken = true;
	return R_CRT_FILES;
}

static void
dirs_make(void)
{
	char	path[4200], name[16];
	int	i;

	for (i = 0x3f; i < 0x80; i++) {
		snprintf(name, sizeof(name), i == 0x3f ? "issued" :
		    "issued/%02x", i);
		if (store_path(name, path, sizeof(path)) == -1)
			fatalx("path of the store is too long");
		if (mkdir(path, 0755) == -1 && errno != EEXIST) {
			(void)files_trouble("mkdir", path);
			return;
		}
	}
}

/* ---- one file ---- */

static void
file_path(const struct issued *i, char *buf, size_t size)
{
	char	serial[HEX_SIZE(SERIAL_LEN)], name[64];

	hex(i->serial, SERIAL_LEN, serial);
	snprintf(name, sizeof(name), "issued/%.2s/%s.pem", serial, serial);
	if (store_path(name, buf, size) == -1)
		fatalx("path of the store is too long");
}

static int
write_all(int fd, const char *p, size_t n)
{
	ssize_t	w;

	for (; n > 0; p += w, n -= (size_t)w)
		if ((w = write(fd, p, n)) == -1)
			return -1;
	return 0;
}

static int
file_open(const char *path)
{
	int	fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd != -1 || errno != ENOENT)
		return fd;
	dirs_make();		/* somebody took them away */
	return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

/* Written, and on its way to the disk. Its descriptor, or -1. */
static int
file_begin(const struct issued *i)
{
	char	path[4200], pem[PEM_MAX];
	size_t	n = pem_text(pem, sizeof(pem), "CERTIFICATE", i->der, i->len);
	int	fd;

	file_path(i, path, sizeof(path));
	if ((fd = file_open(path)) == -1) {
		(void)files_trouble("open", path);
		return -1;
	}
	if (n == 0 || write_all(fd, pem, n) == -1) {
		(void)files_trouble("write", path);
		close(fd);
		return -1;
	}
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return fd;
}

/*
 * Its bytes are on the disk. That it exists is known there as well once the
 * log is synced, which comes after it: one journal, one flush for all of
 * them, where an fdatasync(2) each would take as many. A file system without
 * that order loses nothing: the next start looks.
 */
static bool
file_finish(int fd)
{
	bool	ok;

	ok = sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE |
	    SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0 ||
	    fdatasync(fd) == 0;
	return close(fd) == 0 && ok;
}

static enum reason
files_put(const struct issued *const *list, size_t n)
{
	int	fds[AT_ONCE];
	size_t	i, at, m;
	bool	ok = true;

	for (at = 0; ok && at < n; at += AT_ONCE) {
		m = n - at < AT_ONCE ? n - at : AT_ONCE;
		for (i = 0; i < m; i++)
			if ((fds[i] = file_begin(list[at + i])) == -1)
				break;
		ok = i == m;
		while (i-- > 0)
			ok = file_finish(fds[i]) && ok;
	}
	return ok ? R_OK : files_trouble("sync", "issued");
}

/* Is it there, as long as it must be? */
static bool
file_there(const struct issued *i)
{
	char		path[4200], pem[PEM_MAX];
	struct stat	st;

	file_path(i, path, sizeof(path));
	return stat(path, &st) == 0 && (size_t)st.st_size == pem_text(pem,
	    sizeof(pem), "CERTIFICATE", i->der, i->len);
}

/* ---- the log ---- */

static int
log_open(char *path, size_t size)
{
	if (store_path("issued/serials.txt", path, size) == -1)
		fatalx("path of the store is too long");
	return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static size_t
log_line(const struct issued *i, char *buf, size_t size)
{
	char	serial[HEX_SIZE(SERIAL_LEN)], until[32];

	hex(i->serial, SERIAL_LEN, serial);
	time_text(i->not_after, until, sizeof(until));
	return (size_t)snprintf(buf, size, "%s %s %s %s\n", serial, i->name,
	    i->profile, until);
}

/* Lines of all of them in one write, and everything of this group synced. */
static enum reason
log_write(const struct issued *const *list, size_t n)
{
	char		 path[4200], *text;
	size_t		 len = 0, k;
	struct stat	 st;
	int		 fd;

	if ((text = malloc(n * LOG_LINE + 1)) == NULL)
		fatal("files");
	for (k = 0; k < n; k++)
		len += log_line(list[k], text + len, LOG_LINE);
	if ((fd = log_open(path, sizeof(path))) == -1 || fstat(fd, &st) == -1) {
		free(text);
		if (fd != -1)
			close(fd);
		return files_trouble("open", path);
	}
	if (write_all(fd, text, len) == -1 || fdatasync(fd) == -1) {
		(void)files_trouble("write", path);
		/* All lines or none: they are written again. */
		if (ftruncate(fd, st.st_size) == -1)
			log_warn("%s: ftruncate", path);
	} else if (files.broken) {
		log_info("%s: can be written again", path);
		files.broken = false;
	}
	close(fd);
	free(text);
	return files.broken ? R_CRT_FILES : R_OK;
}

/* ---- a group ---- */

static void
failed_keep(const struct issued *i)
{
	struct issued	*p;
	size_t		 n;

	if (files.nfailed == files.sfailed) {
		n = files.sfailed == 0 ? 16 : files.sfailed * 2;
		if ((p = reallocarray(files.failed, n, sizeof(*p))) == NULL)
			fatal("files");
		files.failed = p;
		files.sfailed = n;
	}
	files.failed[files.nfailed++] = *i;
}

static enum reason
group_write(const struct issued *const *list, size_t n)
{
	enum reason	r;

	if (n == 0)
		return R_OK;
	if ((r = files_put(list, n)) == R_OK)
		r = log_write(list, n);
	return r;
}

enum reason
files_retry(void)
{
	const struct issued	**list;
	enum reason		 r;
	size_t			 i;

	if (files.nfailed == 0)
		return R_OK;
	if ((list = reallocarray(NULL, files.nfailed, sizeof(void *))) == NULL)
		fatal("files");
	for (i = 0; i < files.nfailed; i++)
		list[i] = &files.failed[i];
	r = group_write(list, files.nfailed);
	free(list);
	if (r == R_OK)
		files.nfailed = 0;
	return r;
}

enum reason
files_write(const struct issued *const *list, size_t n)
{
	enum reason	r;
	size_t		i;

	if ((r = files_retry()) == R_OK)
		r = group_write(list, n);
	for (i = 0; r != R_OK && i < n; i++)
		failed_keep(list[i]);
	return r;
}

enum reason
files_ensure(const struct issued *i)
{
	enum reason	r;

	if ((r = files_retry()) != R_OK)
		return r;
	return file_there(i) ? R_OK : files_put(&i, 1);
}

/* ---- what the store has beyond ---- */

static int
serial_compare(const void *a, const void *b)
{
	return memcmp(a, b, SERIAL_LEN);
}

static bool
line_there(const struct issued *i)
{
	return files.nlines > 0 && bsearch(i->serial, files.lines,
	    files.nlines, SERIAL_LEN, serial_compare) != NULL;
}

static bool
line_read(const char *p, size_t n, uint8_t serial[SERIAL_LEN])
{
	return n > SERIAL_DIGITS && p[SERIAL_DIGITS] == ' ' &&
	    memchr(p, '\0', n) == NULL && serial_read(p, serial) == 0;
}

/* Serials of whole lines of n bytes; where the first broken one begins. */
static size_t
lines_read(const char *p, size_t n)
{
	const char	*nl;
	size_t		 at = 0, len, count = 0;

	if ((files.lines = calloc(n / SERIAL_DIGITS + 1,
	    SERIAL_LEN)) == NULL)
		fatal("files");
	while (at < n && (nl = memchr(p + at, '\n', n - at)) != NULL) {
		len = (size_t)(nl - (p + at));
		if (!line_read(p + at, len, files.lines + count *
		    SERIAL_LEN))
			break;
		count++;
		at += len + 1;
	}
	files.nlines = count;
	qsort(files.lines, count, SERIAL_LEN, serial_compare);
	return at;
}

/* The tail of the log, from the beginning of a line on. */
static off_t
tail_read(int fd, off_t size, char *buf, size_t *len)
{
	off_t	 from = size > TAIL ? size - TAIL : 0;
	size_t	 skip = 0;
	ssize_t	 n;
	char	*nl;

	if ((n = pread(fd, buf, TAIL, from)) < 0)
		return -1;
	*len = (size_t)n;
	if (from > 0) {
		nl = memchr(buf, '\n', *len);
		skip = nl == NULL ? *len : (size_t)(nl - buf) + 1;
	}
	if (skip > 0)
		memmove(buf, buf + skip, *len - skip);
	*len -= skip;
	return from + (off_t)skip;
}

/* A torn last line is cut off. False: there is no log, or it is empty. */
static bool
log_read(void)
{
	char		 path[4200], *buf;
	struct stat	 st;
	size_t		 len = 0, good;
	off_t		 from;
	int		 fd;

	if ((fd = log_open(path, sizeof(path))) == -1 ||
	    fstat(fd, &st) == -1) {
		(void)files_trouble("open", path);
		if (fd != -1)
			close(fd);
		return true;		/* not known: later */
	}
	if ((buf = malloc(TAIL)) == NULL)
		fatal("files");
	if ((from = tail_read(fd, st.st_size, buf, &len)) == -1)
		fatal("%s", path);
	good = lines_read(buf, len);
	if (good < len) {
		log_info("%s: a torn line is cut off", path);
		if (ftruncate(fd, from + (off_t)good) == -1)
			(void)files_trouble("ftruncate", path);
	}
	free(buf);
	close(fd);
	return st.st_size > 0;
}

struct piece {
	struct issued	*rows;
	size_t		 n;
};

/* Those that have a certificate and miss file or line. */
static void
piece_add(const struct issued *i, void *arg)
{
	struct piece	*p = arg;

	if (i->len > 0 && (!line_there(i) || !file_there(i)))
		p->rows[p->n++] = *i;
}

/* Files first; then the lines of those that have none. */
static enum reason
piece_write(const struct piece *p)
{
	const struct issued	*list[PIECE];
	enum reason		 r;
	size_t			 i, n = 0;

	for (i = 0; i < p->n; i++)
		if (!file_there(&p->rows[i]))
			list[n++] = &p->rows[i];
	if ((r = files_put(list, n)) != R_OK)
		return r;
	for (i = n = 0; i < p->n; i++)
		if (!line_there(&p->rows[i]))
			list[n++] = &p->rows[i];
	return n == 0 ? R_OK : log_write(list, n);
}

static void
mark(int64_t id)
{
	if (id > files.known && store_meta_set_int(MARK, id) == R_OK)
		files.known = id;
}

/* False: nothing more can, or need be done now. */
static bool
files_piece(void)
{
	struct issued_filter	 all = { .status = ST_ALL };
	struct piece		 p = { .n = 0 };
	int64_t			 at = files.at;
	enum reason		 r;

	if (files.at >= files.end)
		return false;
	if ((p.rows = calloc(PIECE, sizeof(*p.rows))) == NULL)
		fatal("files");
	(void)issued_page(&all, &at, PIECE, piece_add, &p);
	if (p.n > 0)
		log_info("issued: %zu certificates are written again", p.n);
	r = piece_write(&p);
	free(p.rows);
	if (r != R_OK)
		return false;
	files.at = at;
	mark(at);
	if (files.at < files.end)
		return true;
	free(files.lines);
	files.lines = NULL;
	files.nlines = 0;
	return false;
}

static void
files_turn(enum reason r, void *arg)
{
	files.turning = r == R_OK && files_piece();
	if (files.turning)
		store_after_commit(files_turn, NULL);
}

bool
files_broken(void)
{
	return files.broken;
}

/* Again, where it could not be written. */
void
files_tick(void)
{
	if (files.at < files.end && !files.turning) {
		files.turning = true;
		store_after_commit(files_turn, NULL);
	}
	if (files.nfailed > 0)
		(void)files_retry();
}

/*
 * The mark is behind, never ahead: it costs a write, so not for each. What is
 * between is looked at again.
 */
void
files_known(int64_t id)
{
	if (files.at >= files.end && files.nfailed == 0 &&
	    id >= files.known + MARK_EVERY)
		mark(id);
}

void
files_start(void)
{
	int64_t	last = issued_last();

	free(files.lines);
	free(files.failed);
	memset(&files, 0, sizeof(files));
	dirs_make();
	files.known = store_meta_int(MARK, 0);
	files.end = last;
	files.at = files.known > BACK ? files.known - BACK : 0;
	if (!log_read() && files.known > 0) {
		files.at = files.known = 0;
		(void)store_meta_set_int(MARK, 0);
	}
	if (files.end - files.at <= 2 * BACK) {
		while (files_piece())
			;
	} else
		files_tick();
}
