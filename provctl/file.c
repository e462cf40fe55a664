/*
 * Files of the operator: what is written is on disk and whole before its name
 * is there, so that neither a crash nor a full disk leaves half a key.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "provctl.h"
#include "secret.h"

static int
failed(const char *path)
{
	fprintf(stderr, "provctl: %s: %s\n", path, strerror(errno));
	return -1;
}

int
file_sync_dir(const char *path)
{
	char	*copy;
	int	 fd, r;

	if ((copy = strdup(path)) == NULL)
		abort();
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd == -1)
		return -1;
	r = fsync(fd);
	close(fd);
	return r;
}

int
out_open(struct outfile *o, const char *path, mode_t mode)
{
	struct stat	st;
	int		fd;

	memset(o, 0, sizeof(*o));
	o->path = path;
	if (path == NULL || strcmp(path, "-") == 0) {
		o->path = "standard output";
		o->f = stdout;
		return 0;
	}
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		if ((o->f = fopen(path, "we")) == NULL)
			return failed(path);
		return 0;
	}
	if (asprintf(&o->tmp, "%s.XX" "XX" "XX", path) == -1)
		abort();
	if ((fd = mkostemp(o->tmp, O_CLOEXEC)) == -1) {
		failed(path);
		free(o->tmp);
		o->tmp = NULL;
		return -1;
	}
	if (fchmod(fd, mode) == -1 || (o->f = fdopen(fd, "w")) == NULL) {
		failed(path);
		close(fd);
		unlink(o->tmp);
		free(o->tmp);
		o->tmp = NULL;
		return -1;
	}
	if ((mode & 077) == 0)	/* a secret: no buffer that nobody wipes */
		setvbuf(o->f, NULL, _IONBF, 0);
	return 0;
}

int
out_close(struct outfile *o, bool keep)
{
	int	r = 0;

	if (fflush(o->f) != 0 || ferror(o->f) ||
	    (o->tmp != NULL && keep && fsync(fileno(o->f)) == -1))
		r = failed(o->path);
	if (o->f != stdout && fclose(o->f) != 0 && r == 0)
		r = failed(o->path);
	if (o->tmp == NULL)
		return r;
	if (!keep || r == -1)
		unlink(o->tmp);
	else if (rename(o->tmp, o->path) == -1) {
		r = failed(o->path);
		unlink(o->tmp);
	} else if (file_sync_dir(o->path) == -1)
		r = failed(o->path);
	free(o->tmp);
	o->tmp = NULL;
	return r;
}

int
file_put(const char *path, mode_t mode, const void *data, size_t len)
{
	struct outfile	o;

	if (out_open(&o, path, mode) == -1)
		return -1;
	fwrite(data, 1, len, o.f);
	return out_close(&o, true);
}

char *
file_get(const char *path, size_t max, size_t *len)
{
	bool	 in = strcmp(path, "-") == 0;
	char	*buf;
	ssize_t	 n = 0;
	int	 fd;

	if ((fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)) == -1) {
		failed(path);
		return NULL;
	}
	if ((buf = malloc(max + 2)) == NULL)
		abort();
	*len = 0;
	while (*len <= max && (n = read(fd, buf + *len, max + 1 - *len)) > 0)
		*len += (size_t)n;
	if (n == -1)
		failed(path);
	else if (*len > max)
		fprintf(stderr, "provctl: %s: longer than %zu bytes\n", path,
		    max);
	if (!in)
		close(fd);
	if (n == -1 || *len > max) {
		freezero(buf, max + 2);
		return NULL;
	}
	buf[*len] = '\0';
	return buf;
}
