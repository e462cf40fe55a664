/*
 * The authority of the certificate service: made, shown, rolled over; and the
 * calls between which a root that no daemon holds signs.
 */
#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "secret.h"
#include "service.h"

#define CSR_MAX	8192		/* PEM */
#define CRL_MAX	268435456L	/* as in ENROL_CRL */

int
fill_ca_install(const struct args *a, union ipc_any *m)
{
	struct msg_ctl_ca_install	*p = &m->ctl_ca_install;
	char				*pem;
	size_t				 len;

	pem = file_get(a->pos[0], sizeof(p->chain.data), &len);
	if (pem == NULL)
		return -1;
	memcpy(p->chain.data, pem, len);
	p->chain.len = (uint32_t)len;
	free(pem);
	return 0;
}

/* With --pem what verifies: the roots and the issuing CAs. */
bool
take_ca(const struct args *a, const json_t *row, int *status)
{
	const char	*kind, *pem;

	if (a->opt[OPT_PEM] == NULL || a->json)
		return false;
	kind = json_string_value(json_object_get(row, "kind"));
	pem = json_string_value(json_object_get(row, "pem"));
	if (kind != NULL && pem != NULL && (strcmp(kind, "root") == 0 ||
	    strcmp(kind, "issuing") == 0))
		fputs(pem, stdout);
	return true;
}

/* ---- with an offline root ---------------------------------------------- */

/* The request's row; its text is kept. */
static int
keep_csr(const json_t *row, void *arg)
{
	const char	*pem = json_string_value(json_object_get(row, "pem"));
	char		**csr = arg;

	if (pem == NULL || strlen(pem) > CSR_MAX || *csr != NULL)
		return -1;
	if ((*csr = strdup(pem)) == NULL)
		abort();
	return 0;
}

static int
get_csr(struct run *r, char **csr)
{
	union ipc_any	*m;
	int		 status;

	*csr = NULL;
	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	status = run_call(r, MSG_CTL_CA_CSR, m, -1, keep_csr, csr);
	free(m);
	if (status == EX_GOOD && *csr == NULL) {
		fputs("provctl: policyd gave no request\n", stderr);
		status = EX_REFUSED;
	}
	return status;
}

static int
install(struct run *r, const char *chain)
{
	union ipc_any	*m;
	int		 status;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	IPC_SET_BLOB(m->ctl_ca_install.chain, chain, strlen(chain));
	status = run_call(r, MSG_CTL_CA_INSTALL, m, -1, NULL, NULL);
	free(m);
	return status;
}

/*
 * The call that makes an issuing key, unless one waits already: an earlier
 * run of this command may have ended here.
 */
static int
make_issuing(struct run *r, enum ipc_type type, const union ipc_any *m,
    bool offline)
{
	struct msg_refused	refused;
	int			status;

	status = run_try(r, type, m, -1, NULL, NULL, &refused);
	if (status != EX_REFUSED)
		return status;
	if (offline && refused.reason == R_CRT_CA_WAITS) {
		fputs("provctl: an issuing CA waits already; going on with "
		    "it\n", stderr);
		return EX_GOOD;
	}
	run_say(r, &refused);
	return status;
}

/* The passphrase first: nothing is begun that cannot be ended. */
static int
with_root(const struct args *a, enum ipc_type type, const union ipc_any *m,
    bool create)
{
	struct offline	 o;
	struct run	 r;
	char		*csr = NULL, *chain = NULL;
	int		 status = EX_REFUSED;

	if (offline_open(&o, a, a->opt[OPT_OFFLINE], create) == -1 ||
	    (status = run_begin(&r, a)) != EX_GOOD)
		goto out;
	status = make_issuing(&r, type, m, true);
	if (status == EX_GOOD)
		status = get_csr(&r, &csr);
	if (status == EX_GOOD && (chain = offline_sign(&o, a, csr)) == NULL)
		status = EX_REFUSED;
	if (status == EX_GOOD)
		status = install(&r, chain);
	status = run_end(&r, status);
	if (status == EX_GOOD)
		fprintf(stderr, "provctl: put %s away now: who has it and its "
		    "passphrase can issue anything\n", o.dir);
 out:
	offline_close(&o);
	free(csr);
	free(chain);
	return status;
}

/* "-": only the key and its request; the root is elsewhere. */
static int
without_root(const struct args *a, enum ipc_type type, const union ipc_any *m)
{
	struct run	 r;
	struct outfile	 o;
	char		*csr = NULL;
	int		 status;

	if ((status = run_begin(&r, a)) != EX_GOOD)
		return status;
	status = make_issuing(&r, type, m, a->opt[OPT_OFFLINE] != NULL);
	if (status == EX_GOOD && a->opt[OPT_OFFLINE] != NULL &&
	    (status = get_csr(&r, &csr)) == EX_GOOD) {
		if (out_open(&o, a->opt[OPT_OUTPUT], 0644) == -1)
			status = EX_REFUSED;
		else {
			fputs(csr, o.f);
			if (out_close(&o, true) == -1)
				status = EX_REFUSED;
		}
	}
	free(csr);
	return run_end(&r, status);
}

static int
ca_make(const struct args *a, enum ipc_type type, const union ipc_any *m,
    bool create)
{
	const char	*dir = a->opt[OPT_OFFLINE];

	if (dir != NULL && strcmp(dir, "-") != 0)
		return with_root(a, type, m, create);
	if (a->opt[OPT_PASSPHRASE_FD] != NULL || (dir == NULL &&
	    (a->opt[OPT_PERMITTED] != NULL || a->opt[OPT_OUTPUT] != NULL))) {
		args_wrong("this goes with --offline DIR", NULL);
		return EX_WRONG;
	}
	return without_root(a, type, m);
}

int
ca_init(const struct args *a)
{
	union ipc_any	*m;
	int		 status;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	m->ctl_ca_init.offline = a->opt[OPT_OFFLINE] != NULL;
	status = ca_make(a, MSG_CTL_CA_INIT, m, true);
	free(m);
	return status;
}

int
ca_rollover(const struct args *a)
{
	union ipc_any	*m;
	int		 status;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	m->ctl_ca_rollover.root = a->opt[OPT_ROOT] != NULL;
	status = ca_make(a, MSG_CTL_CA_ROLLOVER, m, a->opt[OPT_ROOT] != NULL);
	free(m);
	return status;
}

/* ---- on the machine that has the root ---------------------------------- */

int
ca_sign(const struct args *a)
{
	struct offline	 o;
	struct outfile	 f;
	char		*csr, *chain = NULL;
	size_t		 len;
	int		 status = EX_REFUSED;

	if (a->opt[OPT_OFFLINE] == NULL) {
		args_wrong("--offline DIR says where the root is", NULL);
		return EX_WRONG;
	}
	if ((csr = file_get(a->pos[0], CSR_MAX, &len)) == NULL)
		return EX_WRONG;
	if (offline_open(&o, a, a->opt[OPT_OFFLINE],
	    a->opt[OPT_NEW_ROOT] != NULL) == -1 ||
	    (chain = offline_sign(&o, a, csr)) == NULL ||
	    out_open(&f, a->opt[OPT_OUTPUT], 0644) == -1)
		goto out;
	fputs(chain, f.f);
	if (out_close(&f, true) == 0)
		status = EX_GOOD;
 out:
	offline_close(&o);
	free(csr);
	free(chain);
	return status;
}

/* ---- the CRL ----------------------------------------------------------- */

static int
write_crl(int fd, const char *path)
{
	struct outfile	 o;
	void		*p;
	off_t		 len;
	int		 r;

	if ((len = lseek(fd, 0, SEEK_END)) <= 0 || len > CRL_MAX) {
		fputs("provctl: policyd wrote no CRL\n", stderr);
		return -1;
	}
	p = mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		fprintf(stderr, "provctl: CRL: %s\n", strerror(errno));
		return -1;
	}
	if ((r = out_open(&o, path, 0644)) == 0) {
		fwrite(p, 1, (size_t)len, o.f);
		r = out_close(&o, true);
	}
	munmap(p, (size_t)len);
	return r;
}

static int
no_row(const json_t *row, void *arg)
{
	return 0;
}

int
ca_crl(const struct args *a)
{
	const char	*path = a->opt[OPT_OUTPUT];
	union ipc_any	*m;
	struct run	 r;
	uint64_t	 generation = 0;
	int		 fd, status = EX_WRONG;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	m->ctl_ca_crl.publish = a->opt[OPT_PUBLISH] != NULL;
	if (args_number(a->opt[OPT_GENERATION], 999, &generation) == -1)
		goto out;
	m->ctl_ca_crl.generation = (uint32_t)generation;
	if ((fd = memfd_create("crl", MFD_CLOEXEC)) == -1) {
		fprintf(stderr, "provctl: memfd: %s\n", strerror(errno));
		status = EX_REFUSED;
		goto out;
	}
	if ((status = run_begin(&r, a)) == EX_GOOD) {
		/* the standard output has the CRL, or the row */
		status = run_call(&r, MSG_CTL_CA_CRL, m, fd,
		    path != NULL && strcmp(path, "-") == 0 ? no_row : NULL,
		    NULL);
		if (status == EX_GOOD && path != NULL &&
		    write_crl(fd, path) == -1)
			status = EX_REFUSED;
		status = run_end(&r, status);
	}
	close(fd);
 out:
	free(m);
	return status;
}
