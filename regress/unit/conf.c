/*
 * provd.conf: every sample NAME.conf parses to what NAME.ok says, settings or
 * errors. 'unit/conf write' makes the .ok files anew, to be read in the diff.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"

#define DATA	"regress/data/conf"

static bool	rewrite;

static int
slurp(const char *path, char **buf, size_t *len)
{
	FILE	*f;

	if ((f = fopen(path, "r")) == NULL)
		return -1;
	*buf = calloc(1, 65536);
	assert_non_null(*buf);
	*len = fread(*buf, 1, 65535, f);
	fclose(f);
	return 0;
}

/* What a sample includes as /json/FILE stands beside it. */
static int
load(const char *path, char **buf, size_t *len)
{
	char	local[256];

	if (strncmp(path, "/json/", 6) != 0) {
		errno = ENOENT;
		return -1;
	}
	snprintf(local, sizeof(local), DATA "/%s", path + 6);
	return slurp(local, buf, len);
}

static const char *
str(const char *s)
{
	return s == NULL ? "-" : s;
}

static void
dump_lists(FILE *f, const struct conf *c)
{
	const struct conf_accept	*a;
	const struct conf_path		*m;
	const struct conf_peer		*p;
	const struct conf_component	*k;

	for (m = c->measure; m != NULL; m = m->next)
		fprintf(f, "measure file %s\n", m->path);
	for (a = c->accepts; a != NULL; a = a->next)
		fprintf(f, "accept root %s serial %s\n", a->root,
		    str(a->serial));
	for (p = c->peers; p != NULL; p = p->next)
		fprintf(f, "peer %s line %d identity %s serial %s address %s "
		    "reference %s ports %u %u keepalive %u silence %u\n",
		    p->name, p->line, str(p->identity), str(p->serial),
		    str(p->address), str(p->reference), p->mtls_port,
		    p->spdm_port, p->keepalive, p->silence);
	for (p = c->peers; p != NULL; p = p->next)
		if (p->mctp != NULL)
			fprintf(f, "peer %s mctp %s\n", p->name, p->mctp);
	if (c->spdm_mctp != NULL)
		fprintf(f, "spdm mctp %s\n", c->spdm_mctp);
	if (c->dbus != NULL)
		fprintf(f, "dbus %s%s\n", c->dbus, c->dbus_neighbours ?
		    " neighbours" : "");
	if (c->code_lifetime != 300000)
		fprintf(f, "code lifetime %u\n", c->code_lifetime);
	for (k = c->components; k != NULL; k = k->next)
		fprintf(f, "component %s line %d identity %s serial %s root "
		    "%s address %s port %u slot %u validity %llu\n", k->name,
		    k->line, str(k->identity), str(k->serial), str(k->root),
		    str(k->address), k->spdm_port, k->slot,
		    (unsigned long long)k->validity);
}

static void
dump_names(FILE *f, const char *what, const struct conf_name *n)
{
	for (; n != NULL; n = n->next)
		fprintf(f, "%s %s\n", what, n->name);
}

/* The certificate service, where there is something of it. */
static void
dump_ca(FILE *f, const struct conf *c)
{
	const struct conf_listener	*l;
	const struct conf_profile	*p;
	const struct conf_path		*m;

	if (c->ca.name == NULL)
		return;
	fprintf(f, "ca %s line %d curve %d root %llu issuing %llu crl %llu "
	    "url %s\n", c->ca.name, c->ca.line, c->ca.curve,
	    (unsigned long long)c->ca.root_validity,
	    (unsigned long long)c->ca.issuing_validity,
	    (unsigned long long)c->ca.crl_every, str(c->ca.url));
	dump_names(f, "server", c->ca.server);
	dump_names(f, "permitted dns", c->ca.permitted);
	fprintf(f, "limit enrol %u request timeout %u\n", c->max_enrol,
	    c->request_timeout);
	for (l = c->listeners; l != NULL; l = l->next)
		fprintf(f, "listener door %u port %u key %u line %d\n",
		    l->door, l->port, l->key, l->line);
	for (p = c->profiles; p != NULL; p = p->next) {
		fprintf(f, "profile %s line %d keys %#x valid %llu renew %llu "
		    "usage %u names %d open %d keygen %d operators %d\n",
		    p->name, p->line, p->keys,
		    (unsigned long long)p->validity,
		    (unsigned long long)p->renew, p->usage, p->names, p->open,
		    p->server_keygen, p->operators);
		for (m = p->makers; m != NULL; m = m->next)
			fprintf(f, "manufacturer root %s\n", m->path);
	}
}

static void
dump(FILE *f, const struct conf *c)
{
	fprintf(f, "node %s interface %s\n", c->node, str(c->interface));
	fprintf(f, "run %s state %s\n", c->run_dir, c->state_dir);
	fprintf(f, "backend %d tpm %s curve %d pcrs %d\n", c->backend,
	    str(c->tpm), c->spdm_curve, c->seal_pcrs);
	fprintf(f, "listen %s ports %u %u\n", c->listen_address, c->mtls_port,
	    c->spdm_port);
	if (c->spdm_mutual)
		fprintf(f, "spdm mutual\n");
	fprintf(f, "limits %u %u %u handshake %u\n", c->max_connections,
	    c->max_per_address, c->max_half_open, c->handshake_timeout);
	fprintf(f, "spdm versions %#x algorithms %#x\n", c->versions,
	    c->algorithms);
	fprintf(f, "boot id %s reference %s\n", c->boot_id, str(c->reference));
	fprintf(f, "keepalive %u silence %u retry %u %u\n", c->keepalive,
	    c->silence, c->retry_min, c->retry_max);
	fprintf(f, "attest %u reattest %llu evidence %llu checkpoint %llu\n",
	    c->attest_timeout, (unsigned long long)c->reattest,
	    (unsigned long long)c->evidence_lifetime,
	    (unsigned long long)c->checkpoint);
	fprintf(f, "lldp %u hold %u leaf %llu cert_root %s\n",
	    c->lldp_interval, c->lldp_hold,
	    (unsigned long long)c->leaf_lifetime, str(c->cert_root));
	dump_lists(f, c);
	dump_ca(f, c);
}

/* Parse a sample; what came of it, in text. */
static char *
outcome(const char *path, const char *name)
{
	struct conf	*c;
	FILE		*f;
	char		*buf, *out;
	size_t		 len, size;

	assert_int_equal(slurp(path, &buf, &len), 0);
	assert_non_null(f = open_memstream(&out, &size));
	if ((c = conf_parse_buf(buf, len, name, load, f)) != NULL)
		dump(f, c);
	conf_free(c);
	fclose(f);
	free(buf);
	return out;
}

static void
check_sample(const char *name)
{
	char	 path[512], ok[512], *got, *want;
	size_t	 len;
	FILE	*f;

	snprintf(path, sizeof(path), DATA "/%s", name);
	snprintf(ok, sizeof(ok), DATA "/%.*s.ok",
	    (int)(strlen(name) - strlen(".conf")), name);
	got = outcome(path, name);
	if (rewrite) {
		assert_non_null(f = fopen(ok, "w"));
		fputs(got, f);
		fclose(f);
	} else if (slurp(ok, &want, &len) == -1)
		fail_msg("%s is missing", ok);
	else {
		if (strcmp(got, want) != 0)
			fail_msg("%s: got\n%s\nwanted\n%s", name, got, want);
		free(want);
	}
	free(got);
}

static void
test_samples(void **state)
{
	struct dirent	*e;
	const char	*dot;
	DIR		*d;
	int		 n = 0;

	(void)state;
	assert_non_null(d = opendir(DATA));
	while ((e = readdir(d)) != NULL)
		if ((dot = strrchr(e->d_name, '.')) != NULL &&
		    strcmp(dot, ".conf") == 0) {
			check_sample(e->d_name);
			n++;
		}
	closedir(d);
	assert_true(n >= 12);
}

/* The name of the node that OpenBMC's file alone makes here, or the error. */
static char *
host_node(const char *host)
{
	static const char	text[] = "include json \"/json/openbmc.json\"\n";
	struct conf		*c;
	FILE			*f;
	char			*out;
	size_t			 size;

	assert_int_equal(sethostname(host, strlen(host)), 0);
	assert_non_null(f = open_memstream(&out, &size));
	c = conf_parse_buf(text, sizeof(text) - 1, "x", load, f);
	if (c != NULL)
		fprintf(f, "node %s interface %s port %u", c->node,
		    c->interface, c->mtls_port);
	conf_free(c);
	fclose(f);
	return out;
}

/* A file that names no node is enough, if the host has a name. */
static void
test_host(void **state)
{
	static const char *const bad[] = { "localhost", "(none)", "", "b c" };
	char	*out;
	size_t	 i;

	(void)state;
	if (unshare(CLONE_NEWUTS) == -1)
		skip();
	out = host_node("bmc0.example");
	assert_string_equal(out, "node bmc0.example interface eth2 port 8091");
	free(out);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		out = host_node(bad[i]);
		assert_non_null(strstr(out, "no node, and the host name \""));
		assert_non_null(strstr(out, bad[i]));
		free(out);
	}
}

/* However often something is wrong, the output has an end. */
static void
test_many_errors(void **state)
{
	FILE	*f;
	char	*buf, *out, *p;
	size_t	 size, i;
	int	 lines = 0;

	(void)state;
	assert_non_null(buf = malloc(20000));
	for (i = 0; i < 20000; i += 2)
		memcpy(buf + i, "$\n", 2);
	assert_non_null(f = open_memstream(&out, &size));
	assert_null(conf_parse_buf(buf, 20000, "x", NULL, f));
	fclose(f);
	for (p = out; *p != '\0'; p++)
		lines += *p == '\n';
	assert_true(lines >= 50 && lines <= 52);
	free(out);
	free(buf);
}

static void
test_file(void **state)
{
	FILE	*f;
	char	*out, dir[] = "/tmp/conf.XXXXXX", path[64];
	size_t	 size;

	(void)state;
	assert_non_null(f = open_memstream(&out, &size));
	assert_null(conf_parse("/nonexistent/provd.conf", f));
	fclose(f);
	assert_string_equal(out,
	    "/nonexistent/provd.conf: No such file or directory\n");
	free(out);
	/* too large, and neither a directory nor endless */
	assert_non_null(mkdtemp(dir));
	assert_non_null(f = open_memstream(&out, &size));
	assert_null(conf_parse(dir, f));
	snprintf(path, sizeof(path), "%s/big", dir);
	assert_int_equal(truncate(path, 0), -1);
	fclose(fopen(path, "w"));
	assert_int_equal(truncate(path, 2 << 20), 0);
	assert_null(conf_parse(path, f));
	assert_null(conf_parse("/dev/zero", f));
	/* what anybody could have written */
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(chmod(path, 0646), 0);
	assert_null(conf_parse(path, f));
	fclose(f);
	assert_non_null(strstr(out, "Is a directory"));
	assert_non_null(strstr(out, "/dev/zero: File too large"));
	assert_non_null(strstr(out, "/big: everybody may write to it"));
	free(out);
	unlink(path);
	rmdir(dir);
}

/* The example that is installed is one that parses. */
static void
test_example(void **state)
{
	struct conf	*c;

	(void)state;
	c = conf_parse("etc/provd.conf", stderr);
	assert_non_null(c);
	conf_free(c);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_many_errors),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_example),
	};

	rewrite = argc == 2 && strcmp(argv[1], "write") == 0;
	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
