/*
 * Where a device's key and certificates lie. At no moment is there a key
 * without its certificate in what others read, and a key that was asked about
 * is on disk before the question leaves.
 */
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "enrol.h"
#include "hex.h"
#include "secret.h"

#define FILE_MAX	65536
#define SET_PREFIX	"set-"

/* What is found at the top, through "live". */
static const char *const	names[] = {
	"key.pem", "key.der", "key.tpm", "cert.pem", "cert.der", "chain.pem",
	"ca.pem"
};

static int
failed(const char *path)
{
	fprintf(stderr, "provctl: %s: %s\n", path, strerror(errno));
	return -1;
}

static char *
in(const char *dir, const char *name, char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		path[0] = '\0';	/* ENOENT */
	return path;
}

/* Where a link leads, "" if nowhere. */
static void
target(const char *dir, const char *name, char out[NAME_MAX + 1])
{
	char	path[PATH_MAX];
	ssize_t	n;

	n = readlink(in(dir, name, path), out, NAME_MAX);
	out[n < 0 ? 0 : n] = '\0';
}

/* ---- the directory ----------------------------------------------------- */

static void
remove_set(int fd, const char *set)
{
	DIR		*d;
	struct dirent	*e;
	int		 sub;

	sub = openat(fd, set, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub == -1 || (d = fdopendir(sub)) == NULL) {
		if (sub != -1)
			close(sub);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(sub, e->d_name, 0);
	closedir(d);
	unlinkat(fd, set, AT_REMOVEDIR);
}

/* Sets that no link leads to: an earlier run ended in between. */
static void
clear_away(const char *dir)
{
	char		 live[NAME_MAX + 1], next[NAME_MAX + 1];
	DIR		*d;
	struct dirent	*e;

	target(dir, "live", live);
	target(dir, "next", next);
	if ((d = opendir(dir)) == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, SET_PREFIX, sizeof(SET_PREFIX) - 1) ==
		    0 && strcmp(e->d_name, live) != 0 &&
		    strcmp(e->d_name, next) != 0)
			remove_set(dirfd(d), e->d_name);
	closedir(d);
}

/* Others' files of the same names are not ours to replace. */
static int
look_at_names(const char *dir)
{
	struct stat	st;
	char		path[PATH_MAX];
	size_t		i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (lstat(in(dir, names[i], path), &st) == 0 &&
		    !S_ISLNK(st.st_mode)) {
			fprintf(stderr, "provctl: %s: is there already and "
			    "not from an earlier enrolment; move it away\n",
			    path);
			return -1;
		}
	return 0;
}

int
store_open(const char *dir)
{
	struct stat	st;
	int		fd;

	if (mkdir(dir, 0700) == 0)
		file_sync_dir(dir);
	else if (errno != EEXIST)
		return failed(dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		return failed(dir);
	if ((st.st_mode & 022) != 0)
		fprintf(stderr, "provctl: %s: others can write in it; chmod "
		    "go-w\n", dir);
	else if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		fprintf(stderr, "provctl: %s: another provctl is at work "
		    "there\n", dir);
	else if (look_at_names(dir) == 0) {
		clear_away(dir);
		return fd;
	}
	close(fd);
	return -1;
}

/* ---- reading ----------------------------------------------------------- */

static char *
get(const char *dir, const char *name, size_t *len)
{
	char	path[PATH_MAX];

	return file_get(in(dir, name, path), FILE_MAX, len);
}

/* Under DIR/set: in a file, or of the TPM. */
static int
get_key(const char *dir, const char *set, struct device_key *k)
{
	char	 name[64], path[PATH_MAX], *text;
	size_t	 len;
	BIO	*b;
	bool	 tpm;

	memset(k, 0, sizeof(*k));
	snprintf(name, sizeof(name), "%s/key.tpm", set);
	tpm = access(in(dir, name, path), F_OK) == 0;
	if (tpm && !tpm_is_open()) {
		fprintf(stderr, "provctl: %s: the key is in a TPM; --tpm says "
		    "where that is\n", path);
		return -1;
	}
	if (!tpm)
		snprintf(name, sizeof(name), "%s/key.pem", set);
	if ((text = get(dir, name, &len)) == NULL)
		return -1;
	if (tpm) {
		if ((k->tpm = tpm_load((uint8_t *)text, len)) != NULL)
			k->key = tpm_public(k->tpm);
	} else if ((b = BIO_new_mem_buf(text, (int)len)) != NULL) {
		k->key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
		BIO_free(b);
	}
	freezero(text, len);
	if (k->key != NULL)
		return 0;
	fprintf(stderr, "provctl: %s/%s: no private key\n", dir, name);
	key_free(k);
	return -1;
}

static STACK_OF(X509) *
get_certs(const char *dir, const char *name)
{
	STACK_OF(X509)	*s;
	char		*pem;
	size_t		 len;

	if ((pem = get(dir, name, &len)) == NULL)
		return NULL;
	if ((s = pem_certs(pem, len)) == NULL)
		fprintf(stderr, "provctl: %s/%s: no certificates\n", dir,
		    name);
	free(pem);
	return s;
}

int
store_load(const char *dir, struct stored *s)
{
	char		 path[PATH_MAX], *text;
	STACK_OF(X509)	*one;
	struct stat	 st;
	size_t		 len;

	memset(s, 0, sizeof(*s));
	if (lstat(in(dir, "live", path), &st) == -1)
		return errno == ENOENT ? 0 : failed(path);
	if (get_key(dir, "live", &s->key) == -1 ||
	    (one = get_certs(dir, "live/cert.pem")) == NULL)
		return -1;
	s->cert = sk_X509_shift(one);
	sk_X509_pop_free(one, X509_free);
	if ((s->chain = get_certs(dir, "live/chain.pem")) == NULL ||
	    (s->anchors = get_certs(dir, "live/ca.pem")) == NULL ||
	    (text = get(dir, "live/renew", &len)) == NULL)
		return -1;
	s->renew_after = strtoull(text, NULL, 10);
	free(text);
	return 0;
}

void
stored_free(struct stored *s)
{
	key_free(&s->key);
	X509_free(s->cert);
	sk_X509_pop_free(s->chain, X509_free);
	sk_X509_pop_free(s->anchors, X509_free);
	memset(s, 0, sizeof(*s));
}

/* ---- writing ----------------------------------------------------------- */

static int
put(const char *dir, const char *name, mode_t mode, const void *p, size_t len)
{
	char	path[PATH_MAX];

	return file_put(in(dir, name, path), mode, p, len);
}

static int
put_bio(const char *dir, const char *name, mode_t mode, BIO *b)
{
	char	*p;
	long	 len = BIO_get_mem_data(b, &p);
	int	 r;

	r = len > 0 ? put(dir, name, mode, p, (size_t)len) : -1;
	if (len > 0)
		explicit_bzero(p, (size_t)len);
	BIO_free(b);
	return r;
}

static int
put_key(const char *dir, const struct device_key *k)
{
	BIO		*pem, *der;
	const uint8_t	*blob;
	size_t		 len;

	if (k->tpm != NULL) {
		blob = tpm_blob(k->tpm, &len);
		return put(dir, "key.tpm", 0600, blob, len);
	}
	pem = BIO_new(BIO_s_mem());
	der = BIO_new(BIO_s_mem());
	if (pem == NULL || der == NULL)
		abort();
	if (PEM_write_bio_PrivateKey(pem, k->key, NULL, NULL, 0, NULL, NULL) !=
	    1 || i2d_PKCS8PrivateKey_bio(der, k->key, NULL, NULL, 0, NULL,
	    NULL) != 1) {
		BIO_free(pem);
		BIO_free(der);
		fprintf(stderr, "provctl: the key cannot be written\n");
		return -1;
	}
	if (put_bio(dir, "key.pem", 0600, pem) == -1) {
		BIO_free(der);
		return -1;
	}
	return put_bio(dir, "key.der", 0600, der);
}

static int
put_certs(const char *dir, const char *name, STACK_OF(X509) *s, int from,
    int to)
{
	BIO	*b = BIO_new(BIO_s_mem());
	int	 i;

	if (b == NULL)
		abort();
	for (i = from; i < to; i++)
		PEM_write_bio_X509(b, sk_X509_value(s, i));
	return put_bio(dir, name, 0644, b);
}

int
store_pending(const char *dir, const struct device_key *key,
    const uint8_t *csr, size_t len)
{
	unsigned char	raw[8];
	char		digits[HEX_SIZE(8)], set[32], path[PATH_MAX],
			link[PATH_MAX];

	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		return failed("getrandom");
	hex(raw, sizeof(raw), digits);
	snprintf(set, sizeof(set), SET_PREFIX "%s", digits);
	if (mkdir(in(dir, set, path), 0700) == -1)
		return failed(path);
	if (put_key(path, key) == -1 ||
	    put(path, "request.der", 0600, csr, len) == -1)
		return -1;
	unlink(in(dir, "next", link));
	if (symlink(set, link) == -1 || file_sync_dir(link) == -1)
		return failed(link);
	clear_away(dir);
	return 0;
}

int
store_take(const char *dir, struct device_key *key, uint8_t **csr, size_t *len)
{
	struct stat	 st;
	char		 path[PATH_MAX];

	memset(key, 0, sizeof(*key));
	if (stat(in(dir, "next/request.der", path), &st) == -1 ||
	    get_key(dir, "next", key) == -1)
		return -1;
	if ((*csr = (uint8_t *)get(dir, "next/request.der", len)) != NULL)
		return 0;
	key_free(key);
	return -1;
}

/* Through "live", as far as this enrolment has them. */
static int
make_links(const char *dir)
{
	char	path[PATH_MAX], to[64];
	size_t	i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(to, sizeof(to), "next/%s", names[i]);
		if (access(in(dir, to, path), F_OK) == -1) {
			unlink(in(dir, names[i], path));
			continue;
		}
		snprintf(to, sizeof(to), "live/%s", names[i]);
		if (symlink(to, in(dir, names[i], path)) == -1 &&
		    errno != EEXIST)
			return failed(path);
	}
	return 0;
}

int
store_commit(const char *dir, STACK_OF(X509) *path, STACK_OF(X509) *anchors,
    uint64_t renew_after)
{
	char	 next[PATH_MAX], live[PATH_MAX], text[32];
	uint8_t	*der = NULL;
	int	 n, r;

	in(dir, "next", next);
	in(dir, "live", live);
	n = i2d_X509(sk_X509_value(path, 0), &der);
	r = n > 0 ? put(next, "cert.der", 0644, der, (size_t)n) : -1;
	OPENSSL_free(der);
	snprintf(text, sizeof(text), "%llu\n",
	    (unsigned long long)renew_after);
	if (r == -1 || put_certs(next, "cert.pem", path, 0, 1) == -1 ||
	    put_certs(next, "chain.pem", path, 1, sk_X509_num(path)) == -1 ||
	    put_certs(next, "ca.pem", anchors, 0, sk_X509_num(anchors)) ==
	    -1 || put(next, "renew", 0644, text, strlen(text)) == -1)
		return -1;
	if (make_links(dir) == -1)
		return -1;
	if (rename(next, live) == -1 || file_sync_dir(live) == -1)
		return failed(live);
	clear_away(dir);
	return 0;
}
