/*
 * The key directory: one file a key. A file appears whole or not at all,
 * whenever keyd is killed.
 *
 *	"PROVDKEY" version id purpose algorithm backend
 *	length label  length public  length(2) blob  SHA-256 of all before
 *
 * where the length of a modulus takes two bytes, that of a point one.
 *
 * The digest finds what a broken disk did, not what an enemy did: nobody
 * else can write here, and the backend binds the private half to the rest.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keyd.h"
#include "store.h"

#define MAGIC		"PROVDKEY"
#define VERSION		1
#define SUFFIX		".key"
#define TMP_SUFFIX	".tmp"

/* ---- bytes ----------------------------------------------------------- */

void
put_bytes(struct put *p, const void *data, size_t len)
{
	if (p->bad || len > p->size - p->len) {
		p->bad = true;
		return;
	}
	memcpy(p->buf + p->len, data, len);
	p->len += len;
}

void
put_uint(struct put *p, uint32_t v, unsigned bytes)
{
	uint8_t	 b[4];
	unsigned i;

	for (i = 0; i < bytes; i++)
		b[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
	put_bytes(p, b, bytes);
}

int
put_digest(struct put *p, size_t *len)
{
	uint8_t	 md[32];

	if (p->bad || curve_digest(curve_get(KEY_P256), p->buf, p->len,
	    md) == -1)
		return -1;
	put_bytes(p, md, sizeof(md));
	*len = p->len;
	return p->bad ? -1 : 0;
}

void
get_bytes(struct get *g, void *out, size_t len)
{
	if (g->bad || len > g->len) {
		g->bad = true;
		memset(out, 0, len);
		return;
	}
	memcpy(out, g->p, len);
	g->p += len;
	g->len -= len;
}

uint32_t
get_uint(struct get *g, unsigned bytes, uint32_t max)
{
	uint8_t	 b[4] = { 0 };
	uint32_t v = 0;
	unsigned i;

	get_bytes(g, b, bytes);
	for (i = 0; i < bytes; i++)
		v = v << 8 | b[i];
	if (v > max) {
		g->bad = true;
		v = 0;
	}
	return v;
}

int
get_open(struct get *g, const uint8_t *buf, size_t len, const char *magic,
    uint32_t version)
{
	uint8_t	 md[32];

	if (len < 8 + 1 + sizeof(md) || memcmp(buf, magic, 8) != 0 ||
	    buf[8] != version)
		return -1;
	len -= sizeof(md);
	if (curve_digest(curve_get(KEY_P256), buf, len, md) == -1 ||
	    memcmp(md, buf + len, sizeof(md)) != 0)
		return -1;
	g->p = buf + 9;
	g->len = len - 9;
	g->bad = false;
	return 0;
}

bool
store_label_ok(const char *label)
{
	size_t	 n = strlen(label);

	return n > 0 && n <= KEY_LABEL_MAX && label[0] != '-' &&
	    strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* Bytes of the public half's length: a modulus of 256 bytes needs two. */
static unsigned
store_public_size(const struct key_file *f)
{
	return f->algorithm == KEY_RSA2048 ? 2 : 1;
}

static bool
store_public_ok(const struct key_file *f)
{
	if (f->algorithm == KEY_RSA2048)
		return rsa_has(f->public, f->public_len);
	return curve_has(curve_get(f->algorithm), f->public, f->public_len);
}

static void
store_put_header(struct put *p, const struct key_file *f)
{
	put_bytes(p, MAGIC, 8);
	put_uint(p, VERSION, 1);
	put_uint(p, f->id, 1);
	put_uint(p, f->purpose, 1);
	put_uint(p, f->algorithm, 1);
	put_uint(p, f->backend, 1);
	put_uint(p, (uint32_t)strlen(f->label), 1);
	put_bytes(p, f->label, strlen(f->label));
	put_uint(p, f->public_len, store_public_size(f));
	put_bytes(p, f->public, f->public_len);
}

int
store_header(const struct key_file *f, uint8_t *buf, size_t size, size_t *len)
{
	struct put	 p = { .buf = buf, .size = size };

	store_put_header(&p, f);
	*len = p.len;
	return p.bad ? -1 : 0;
}

int
store_format(const struct key_file *f, uint8_t *buf, size_t size, size_t *len)
{
	struct put	 p = { .buf = buf, .size = size };

	store_put_header(&p, f);
	put_uint(&p, f->blob_len, 2);
	put_bytes(&p, f->blob, f->blob_len);
	return put_digest(&p, len);
}

int
store_parse(const uint8_t *buf, size_t len, struct key_file *f)
{
	struct get	 g;
	uint32_t	 n;

	memset(f, 0, sizeof(*f));
	if (get_open(&g, buf, len, MAGIC, VERSION) == -1)
		return -1;
	f->id = (uint8_t)get_uint(&g, 1, KEY_MAX - 1);
	f->purpose = (uint8_t)get_uint(&g, 1, KEY_NPURPOSES - 1);
	f->algorithm = (uint8_t)get_uint(&g, 1, KEY_NALGORITHMS - 1);
	f->backend = (uint8_t)get_uint(&g, 1, KEY_BACKEND_SOFT);
	n = get_uint(&g, 1, KEY_LABEL_MAX);
	get_bytes(&g, f->label, n);
	f->public_len = get_uint(&g, store_public_size(f), KEY_PUBLIC_MAX);
	get_bytes(&g, f->public, f->public_len);
	f->blob_len = get_uint(&g, 2, KEY_BLOB_MAX);
	get_bytes(&g, f->blob, f->blob_len);
	if (g.bad || g.len != 0)
		return -1;
	if (strlen(f->label) != n || !store_label_ok(f->label) ||
	    !store_public_ok(f))
		return -1;
	return 0;
}

/* ---- files ----------------------------------------------------------- */

static int
store_path(char *buf, size_t size, const char *dir, const char *name,
    const char *suffix)
{
	int	 n = snprintf(buf, size, "%s/%s%s", dir, name, suffix);

	if (n < 0 || (size_t)n >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

static int
store_write_all(int fd, const uint8_t *buf, size_t len)
{
	ssize_t	 n;

	while (len > 0) {
		if ((n = write(fd, buf, len)) == -1) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
store_sync_dir(const char *dir)
{
	int	 fd, ret, save;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	ret = fsync(fd);
	save = errno;
	close(fd);
	errno = save;
	return ret;
}

int
store_write(const char *dir, const char *name, const void *data, size_t len)
{
	char	 path[512], tmp[512];
	int	 fd, save;

	if (store_path(path, sizeof(path), dir, name, "") == -1 ||
	    store_path(tmp, sizeof(tmp), dir, name, TMP_SUFFIX) == -1)
		return -1;
	if (unlink(tmp) == -1 && errno != ENOENT)
		return -1;
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd == -1)
		return -1;
	if (store_write_all(fd, data, len) == -1 || fsync(fd) == -1)
		goto fail;
	if (close(fd) == -1) {
		fd = -1;
		goto fail;
	}
	fd = -1;
	if (rename(tmp, path) == -1)
		goto fail;
	return store_sync_dir(dir);
 fail:
	save = errno;
	if (fd != -1)
		close(fd);
	unlink(tmp);
	errno = save;
	return -1;
}

ssize_t
store_read(const char *dir, const char *name, void *buf, size_t size)
{
	struct stat	 st;
	char		 path[512];
	ssize_t		 n = -1;
	int		 fd, save;

	if (store_path(path, sizeof(path), dir, name, "") == -1)
		return -1;
	/* A FIFO must not hang us. */
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) == -1)
		goto out;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    (uint64_t)st.st_size > size || (st.st_mode & 077) != 0) {
		errno = EINVAL;
		goto out;
	}
	n = read(fd, buf, size);
	if (n != -1 && n != st.st_size) {
		errno = EIO;
		n = -1;
	}
 out:
	save = errno;
	close(fd);
	errno = save;
	return n;
}

static bool
store_ends(const char *name, const char *suffix)
{
	size_t	 n = strlen(name), m = strlen(suffix);

	return n > m && strcmp(name + n - m, suffix) == 0;
}

int
store_sweep(const char *dir)
{
	struct dirent	*e;
	char		 path[512];
	DIR		*d;

	if ((d = opendir(dir)) == NULL)
		return -1;
	while ((e = readdir(d)) != NULL)
		if (store_ends(e->d_name, TMP_SUFFIX) &&
		    store_path(path, sizeof(path), dir, e->d_name, "") == 0)
			unlink(path);
	closedir(d);
	return 0;
}

bool
store_any(const char *dir)
{
	struct dirent	*e;
	DIR		*d;
	bool		 any = false;

	if ((d = opendir(dir)) == NULL)
		return false;
	while (!any && (e = readdir(d)) != NULL)
		any = store_ends(e->d_name, SUFFIX);
	closedir(d);
	return any;
}

static int
store_one(const char *dir, const char *name,
    int (*fn)(const struct key_file *, void *, struct why *), void *arg,
    struct why *w)
{
	struct key_file	 f;
	uint8_t		 buf[KEY_FILE_MAX];
	ssize_t		 n;
	int		 ret = -1;

	if ((n = store_read(dir, name, buf, sizeof(buf))) <= 0)
		why_set(w, R_KEY_FILE, name, "a file of mode 0600, at most "
		    "2048 bytes", strerror(errno));
	else if (store_parse(buf, (size_t)n, &f) == -1)
		why_set(w, R_KEY_FILE, name, "a key file of version 1", NULL);
	else if (strncmp(name, f.label, strlen(f.label)) != 0 ||
	    strcmp(name + strlen(f.label), SUFFIX) != 0)
		why_set(w, R_KEY_FILE, name, "the file's label", f.label);
	else
		ret = fn(&f, arg, w);
	explicit_bzero(buf, sizeof(buf));
	explicit_bzero(&f, sizeof(f));
	return ret;
}

int
store_each(const char *dir,
    int (*fn)(const struct key_file *, void *, struct why *), void *arg,
    struct why *w)
{
	struct dirent	*e;
	DIR		*d;
	int		 ret = 0;

	if ((d = opendir(dir)) == NULL)
		return why_set(w, R_KEY_FILE, dir, "a directory",
		    strerror(errno));
	while (ret == 0 && (e = readdir(d)) != NULL)
		if (store_ends(e->d_name, SUFFIX))
			ret = store_one(dir, e->d_name, fn, arg, w);
	closedir(d);
	return ret;
}
