/*
 * For keyd's tests: a directory of its own, removed with what is in it, and
 * a ring of soft keys in it.
 */
#ifndef KEYD_DIR_H
#define KEYD_DIR_H

#include <sys/mman.h>
#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../keyd/keyd.h"
#include "log.h"

static char	test_dir[64];

static inline void
test_dir_empty(const char *dir)
{
	struct dirent	*e;
	char		 path[400];
	DIR		*d = opendir(dir);

	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlink(path);
	}
	if (d != NULL)
		closedir(d);
}

static inline int
test_dir_make(void **state)
{
	setenv("TSS2_LOG", "all+none", 1);
	log_init("keyd", true);
	snprintf(test_dir, sizeof(test_dir), "/tmp/keyd.XXXXXX");
	return mkdtemp(test_dir) == NULL || curve_init() == -1 ? -1 : 0;
}

static inline int
test_dir_remove(void **state)
{
	key_close();
	test_dir_empty(test_dir);
	return rmdir(test_dir);
}

static inline bool
test_has(const char *name)
{
	struct stat	 st;
	char		 path[400];

	snprintf(path, sizeof(path), "%s/%s", test_dir, name);
	return stat(path, &st) == 0;
}

static uint8_t	test_kek[KEK_LEN] = { 1, 2, 3 };

static inline int
test_ring_open(struct why *w)
{
	const struct key_conf	 conf = {
		.backend = KEY_BACKEND_SOFT, .dir = test_dir, .kek = test_kek,
	};

	return key_open(&conf, w);
}

struct test_made {
	const struct key *key;
	bool		 made;
	unsigned	 calls;
	struct why	 why;
};

static inline void
test_made_cb(const struct key *k, bool made, const struct why *w, void *arg)
{
	struct test_made	*m = arg;

	m->key = k;
	m->made = made;
	m->why = *w;
	m->calls++;
}

static inline const struct key *
test_key(const char *label, enum key_purpose p, enum key_algorithm a)
{
	struct test_made	 m = { .calls = 0 };

	key_make(label, p, a, test_made_cb, &m);
	return m.calls == 1 && m.why.reason == R_OK ? m.key : NULL;
}

struct test_signed {
	struct signature sig;
	unsigned	 calls;
};

static inline void
test_signed_cb(const struct signature *s, void *arg)
{
	struct test_signed	*t = arg;

	t->sig = *s;
	t->calls++;
}

static inline EVP_PKEY *
test_pkey(const struct curve *c, const uint8_t *point)
{
	X509_PUBKEY	*pub = curve_spki(c, point);
	EVP_PKEY	*pkey = NULL;
	uint8_t		*spki = NULL;
	const uint8_t	*p;
	int		 n = i2d_X509_PUBKEY(pub, &spki);

	p = spki;
	if (n > 0)
		pkey = d2i_PUBKEY(NULL, &p, n);
	OPENSSL_free(spki);
	X509_PUBKEY_free(pub);
	return pkey;
}

/* Does the DER signature verify under the point? */
static inline bool
test_verify(const struct curve *c, const uint8_t *point, const void *msg,
    size_t len, const uint8_t *der, size_t derlen)
{
	EVP_PKEY	*pkey = test_pkey(c, point);
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();
	bool		 ok;

	ok = pkey != NULL && EVP_DigestVerifyInit_ex(ctx, NULL, c->md_name,
	    NULL, NULL, pkey, NULL) == 1 &&
	    EVP_DigestVerify(ctx, der, derlen, msg, len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

/*
 * Copies of a secret on the heap, where no secret belongs. (The stack is
 * ours and changes; not with a sanitizer, which keeps what was freed.)
 */
static inline unsigned
test_copies(const uint8_t *secret, size_t len)
{
	char		 line[256];
	uint8_t		*buf, *p;
	FILE		*maps = fopen("/proc/self/maps", "r");
	int		 mem = open("/proc/self/mem", O_RDONLY);
	unsigned long	 a, b;
	unsigned	 n = 0;

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		if (strstr(line, "[heap]") == NULL ||
		    sscanf(line, "%lx-%lx", &a, &b) != 2)
			continue;
		buf = mmap(NULL, b - a, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (buf == MAP_FAILED ||
		    pread(mem, buf, b - a, (off_t)a) != (ssize_t)(b - a))
			break;
		for (p = buf; (p = memmem(p, (size_t)(buf + (b - a) - p),
		    secret, len)) != NULL; p++)
			n++;
		munmap(buf, b - a);
	}
	fclose(maps);
	close(mem);
	return n;
}

#endif
