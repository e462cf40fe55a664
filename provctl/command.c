/*
 * The commands: one row each. What a row does not name does not exist; the
 * usage, --help and the completion's test are all made from this table.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confine.h"
#include "enrol.h"
#include "service.h"

#define O(x)	(UINT64_C(1) << OPT_##x)

static int	explain_code(const struct args *);
static bool	take_csr(const struct args *, const json_t *, int *);
static bool	take_verify(const struct args *, const json_t *, int *);

const struct command commands[] = {
	{ "status", "", "the node, its daemons, keys, clock and counters",
	    0, 0, 0, MSG_CTL_STATUS, NULL, NULL, 0, NULL },
	{ "neighbours", "", "who was heard over LLDP",
	    0, 0, 0, MSG_CTL_NEIGHBOURS, NULL, NULL, 0, NULL },
	{ "peer list", "", "every peer, a line each",
	    0, 0, 0, MSG_CTL_PEER_LIST, NULL, NULL, 0, NULL },
	{ "peer show", "NAME", "one peer whole: state, evidence, steps, "
	    "measurements",
	    1, 1, 0, MSG_CTL_PEER_SHOW, NULL, fill_peer_show, DETAIL, NULL },
	{ "peer add", "NAME [--identity ID] [--serial SERIAL] "
	    "[--address ADDRESS]", "list a peer, and what identifies it",
	    1, 1, O(IDENTITY) | O(SERIAL) | O(ADDRESS), MSG_CTL_PEER_ADD,
	    NULL, fill_peer_add, 0, NULL },
	{ "peer remove", "NAME", "forget a peer that was added so",
	    1, 1, 0, MSG_CTL_PEER_REMOVE, NULL, fill_peer_remove, 0, NULL },
	{ "provision", "NAME [--identity ID | --code] [--no-wait]",
	    "attest a peer and, on our verdict, trust it",
	    1, 1, O(IDENTITY) | O(CODE) | O(NO_WAIT), MSG_CTL_PROVISION, NULL,
	    fill_provision, STREAM, NULL },
	{ "unprovision", "NAME", "stop trusting a peer; its connection closes",
	    1, 1, 0, MSG_CTL_UNPROVISION, NULL, fill_unprovision, 0, NULL },
	{ "revoke", "NAME", "never trust this identity again, until "
	    "unprovisioned",
	    1, 1, 0, MSG_CTL_REVOKE, NULL, fill_revoke, 0, NULL },
	{ "identity show", "", "this node's id, keys and certificates",
	    0, 0, 0, MSG_CTL_IDENTITY_SHOW, NULL, NULL, 0, NULL },
	{ "identity csr", "[--serial SERIAL] [-o FILE]",
	    "a request for the maker's certificate, PEM",
	    0, 0, O(SERIAL) | O(OUTPUT), MSG_CTL_IDENTITY_CSR, NULL, fill_csr,
	    0, take_csr },
	{ "identity install", "FILE", "the maker's chain, PEM in any order; - "
	    "is the standard input",
	    1, 1, 0, MSG_CTL_IDENTITY_INSTALL, NULL, fill_install, 0,
	    NULL },
	{ "component list", "", "every component, a line each",
	    0, 0, 0, MSG_CTL_COMPONENT_LIST, NULL, NULL, 0, NULL },
	{ "component show", "NAME", "one component whole: state, certificate, "
	    "steps",
	    1, 1, 0, MSG_CTL_COMPONENT_SHOW, NULL, fill_component, DETAIL,
	    NULL },
	{ "component enrol", "NAME [--no-wait]", "attest a component and give "
	    "it a certificate for its slot",
	    1, 1, O(NO_WAIT), MSG_CTL_COMPONENT_ENROL, NULL, fill_enrol, STREAM,
	    NULL },
	{ "reference learn", "NAME", "propose what our last attestation of a "
	    "peer saw",
	    1, 1, 0, MSG_CTL_REFERENCE_LEARN, NULL, fill_learn, 0, NULL },
	{ "reference show", "NAME", "reference values, accepted and proposed",
	    1, 1, 0, MSG_CTL_REFERENCE_SHOW, NULL, fill_reference, 0,
	    NULL },
	{ "reference accept", "NAME", "accept the proposal",
	    1, 1, 0, MSG_CTL_REFERENCE_ACCEPT, NULL, fill_accept, 0,
	    NULL },
	{ "audit show", "[--from N] [--last N]", "audit records, oldest first",
	    0, 0, O(FROM) | O(LAST), MSG_CTL_AUDIT_SHOW, NULL, fill_audit,
	    0, NULL },
	{ "audit verify", "", "walk the chain, its checkpoints and the TPM's "
	    "counter",
	    0, 0, 0, MSG_CTL_AUDIT_VERIFY, NULL, NULL, 0, take_verify },
	{ "explain peer", "NAME", "why a peer is in its state, and what to do",
	    1, 1, 0, MSG_CTL_EXPLAIN_PEER, NULL, fill_explain, 0, NULL },
	{ "explain", "CODE", "a reason; needs no daemon",
	    1, 1, 0, MSG_NONE, explain_code, NULL, 0, NULL },
	{ "ca init", "[--offline DIR|- [--permitted NAME,...] "
	    "[--passphrase-fd N] [-o FILE]]",
	    "make the root and the issuing CA of the certificate service",
	    0, 0, O(OFFLINE) | O(PERMITTED) | O(PASSPHRASE_FD) | O(OUTPUT),
	    MSG_CTL_CA_INIT, ca_init, NULL, 0, NULL },
	{ "ca show", "[--pem]", "the root, the issuing CAs, their signers and "
	    "CRLs",
	    0, 0, O(PEM), MSG_CTL_CA_SHOW, NULL, NULL, GROUP, take_ca },
	{ "ca csr", "[-o FILE]", "the request of the issuing CA that waits for "
	    "its certificate, PEM",
	    0, 0, O(OUTPUT), MSG_CTL_CA_CSR, NULL, NULL, 0, take_csr },
	{ "ca sign", "--offline DIR [--new-root] [--permitted NAME,...] "
	    "[--passphrase-fd N] [-o FILE] CSR",
	    "sign such a request where the root is; needs no daemon",
	    1, 1, O(OFFLINE) | O(NEW_ROOT) | O(PERMITTED) | O(PASSPHRASE_FD) |
	    O(OUTPUT), MSG_NONE, ca_sign, NULL, 0, NULL },
	{ "ca install", "FILE", "the certificates that came of it, PEM in any "
	    "order; - is the standard input",
	    1, 1, 0, MSG_CTL_CA_INSTALL, NULL, fill_ca_install, 0, NULL },
	{ "ca rollover", "[--root] [--offline DIR|- [--permitted NAME,...] "
	    "[--passphrase-fd N] [-o FILE]]",
	    "a new issuing CA, or a new root and a new issuing CA",
	    0, 0, O(ROOT) | O(OFFLINE) | O(PERMITTED) | O(PASSPHRASE_FD) |
	    O(OUTPUT), MSG_CTL_CA_ROLLOVER, ca_rollover, NULL, 0, NULL },
	{ "ca crl", "[--publish] [--generation N] [-o FILE]",
	    "the CRL of an issuing CA, DER",
	    0, 0, O(PUBLISH) | O(GENERATION) | O(OUTPUT), MSG_CTL_CA_CRL,
	    ca_crl, NULL, 0, NULL },
	{ "cert list", "[--name NAME] [--profile PROFILE] [--status STATUS]",
	    "certificates that were issued, oldest first",
	    0, 0, O(NAME) | O(PROFILE) | O(STATUS), MSG_CTL_CERT_LIST, NULL,
	    fill_cert_list, 0, NULL },
	{ "cert show", "SERIAL [--pem]", "one certificate whole",
	    1, 1, O(PEM), MSG_CTL_CERT_SHOW, NULL, fill_cert_show, DETAIL,
	    take_pem },
	{ "cert revoke", "SERIAL | --name NAME [--reason REASON]",
	    "revoke a certificate, or all of a device; published when it "
	    "returns",
	    0, 1, O(NAME) | O(REASON), MSG_CTL_CERT_REVOKE, NULL,
	    fill_cert_revoke, 0, NULL },
	{ "cert export", "[--name NAME] [--profile PROFILE] [--status STATUS] "
	    "[-o FILE]", "the same as a list, PEM",
	    0, 0, O(NAME) | O(PROFILE) | O(STATUS) | O(OUTPUT),
	    MSG_CTL_CERT_LIST, cert_export, NULL, 0, NULL },
	{ "cert stats", "", "how many certificates, by profile and status",
	    0, 0, 0, MSG_CTL_CERT_STATS, NULL, NULL, 0, NULL },
	{ "device add", "NAME [--profile PROFILE] [--ticket [LIFETIME]] "
	    "[-o FILE]", "list a device; a ticket lets it enrol once",
	    1, 1, O(PROFILE) | O(TICKET) | O(OUTPUT), MSG_CTL_DEVICE_ADD,
	    device_add, NULL, DETAIL, NULL },
	{ "device remove", "NAME", "forget a device and its tickets",
	    1, 1, 0, MSG_CTL_DEVICE_REMOVE, NULL, fill_device_remove, 0,
	    NULL },
	{ "device list", "[--name NAME] [--profile PROFILE]",
	    "devices that are listed, a line each",
	    0, 0, O(NAME) | O(PROFILE), MSG_CTL_DEVICE_LIST, NULL,
	    fill_device_list, 0, NULL },
	{ "device import", "FILE [--profile PROFILE] [--ticket [LIFETIME]] "
	    "[-o FILE]", "add devices from CSV, NAME or NAME,PROFILE a line; - "
	    "is the standard input",
	    1, 1, O(PROFILE) | O(TICKET) | O(OUTPUT), MSG_CTL_DEVICE_ADD,
	    device_import, NULL, 0, NULL },
	{ "device export", "[--name NAME] [--profile PROFILE] [-o FILE]",
	    "devices that are listed, CSV",
	    0, 0, O(NAME) | O(PROFILE) | O(OUTPUT), MSG_CTL_DEVICE_LIST,
	    device_export, NULL, 0, NULL },
	{ "enrol", "--out DIR --server URL [--mac MAC | --interface IFACE | "
	    "--name NAME] [--ca FILE | --fingerprint SHA256] "
	    "[--ticket-file FILE] [--client FILE] [--profile PROFILE] "
	    "[--key rsa-2048|p256] [--tpm DEVICE|unix:PATH] [--est] [--timeout SECONDS] "
	    "[--renew [--now] [--same-key] | --daemon]",
	    "get a certificate from a provd elsewhere, or renew it; needs no "
	    "daemon",
	    0, 0, O(OUT) | O(SERVER) | O(MAC) | O(INTERFACE) | O(NAME) |
	    O(CA) | O(FINGERPRINT) | O(TICKET_FILE) | O(CLIENT) | O(PROFILE) |
	    O(KEY) | O(TPM) | O(EST) | O(TIMEOUT) | O(RENEW) | O(SAME_KEY) |
	    O(NOW) | O(DAEMON),
	    MSG_NONE, enrol_run, NULL, 0, NULL },
	{ "monitor", "", "every event from now on, until interrupted",
	    0, 0, 0, MSG_CTL_MONITOR, NULL, NULL, STREAM, NULL },
	{ "log level", "warn|info|debug|trace [DAEMON]",
	    "how much one daemon, or all, log",
	    1, 2, 0, MSG_CTL_LOG_LEVEL, NULL, fill_log, 0, NULL },
	{ "check", "", "is this installation sane; best as root",
	    0, 0, 0, MSG_NONE, check_run, NULL, 0, NULL },
};
const size_t ncommands = sizeof(commands) / sizeof(commands[0]);

static const struct {
	const char	*name;
	enum opt	 opt;
	enum { NO, YES, MAYBE } value;	/* MAYBE: a duration after it is */
} options[] = {
	{ "--identity",	OPT_IDENTITY,	YES },
	{ "--serial",	OPT_SERIAL,	YES },
	{ "--address",	OPT_ADDRESS,	YES },
	{ "--from",	OPT_FROM,	YES },
	{ "--last",	OPT_LAST,	YES },
	{ "-o",		OPT_OUTPUT,	YES },
	{ "--output",	OPT_OUTPUT,	YES },
	{ "--no-wait",	OPT_NO_WAIT,	NO },
	{ "--code",	OPT_CODE,	NO },
	{ "--name",	OPT_NAME,	YES },
	{ "--profile",	OPT_PROFILE,	YES },
	{ "--status",	OPT_STATUS,	YES },
	{ "--reason",	OPT_REASON,	YES },
	{ "--pem",	OPT_PEM,	NO },
	{ "--ticket",	OPT_TICKET,	MAYBE },
	{ "--offline",	OPT_OFFLINE,	YES },
	{ "--new-root",	OPT_NEW_ROOT,	NO },
	{ "--passphrase-fd", OPT_PASSPHRASE_FD, YES },
	{ "--permitted", OPT_PERMITTED,	YES },
	{ "--root",	OPT_ROOT,	NO },
	{ "--publish",	OPT_PUBLISH,	NO },
	{ "--generation", OPT_GENERATION, YES },
	{ "--mac",	OPT_MAC,	YES },
	{ "--interface", OPT_INTERFACE,	YES },
	{ "--out",	OPT_OUT,	YES },
	{ "--server",	OPT_SERVER,	YES },
	{ "--ticket-file", OPT_TICKET_FILE, YES },
	{ "--client",	OPT_CLIENT,	YES },
	{ "--key",	OPT_KEY,	YES },
	{ "--tpm",	OPT_TPM,	YES },
	{ "--est",	OPT_EST,	NO },
	{ "--ca",	OPT_CA,		YES },
	{ "--fingerprint", OPT_FINGERPRINT, YES },
	{ "--daemon",	OPT_DAEMON,	NO },
	{ "--renew",	OPT_RENEW,	NO },
	{ "--same-key",	OPT_SAME_KEY,	NO },
	{ "--now",	OPT_NOW,	NO },
	{ "--timeout",	OPT_TIMEOUT,	YES },
};

/* ---- rows that are not only shown -------------------------------------- */

/* The request itself, for a file or a pipe; with --json it is a row. */
static bool
take_csr(const struct args *a, const json_t *row, int *status)
{
	const char	*pem = json_string_value(json_object_get(row, "pem"));
	const char	*path = a->opt[OPT_OUTPUT];
	FILE		*f = stdout;

	if (pem == NULL || (a->json && path == NULL))
		return false;
	if (path != NULL && (f = fopen(path, "we")) == NULL) {
		fprintf(stderr, "provctl: %s: %s\n", path, strerror(errno));
		*status = EX_REFUSED;
		return true;
	}
	fputs(pem, f);
	if (fflush(f) != 0) {
		fprintf(stderr, "provctl: %s: %s\n", path != NULL ? path :
		    "standard output", strerror(errno));
		*status = EX_REFUSED;
	}
	if (path != NULL)
		fclose(f);
	return !a->json;
}

/* A chain that is not whole is a failure, and is shown all the same. */
static bool
take_verify(const struct args *a, const json_t *row, int *status)
{
	if (json_is_object(json_object_get(row, "reason")))
		*status = EX_REFUSED;
	return false;
}

/* ---- local ------------------------------------------------------------- */

static int
explain_code(const struct args *a)
{
	struct printer	 p;
	json_t		*row, *why;
	int		 r = reason_find(a->pos[0]);

	if (r == -1) {
		args_wrong("provd_reasons(7) lists them all: no reason has the code",
		    a->pos[0]);
		return EX_REFUSED;
	}
	why = row_why((enum reason)r, NULL, NULL, NULL);
	row = json_pack("{s:s, s:o*, s:o*, s:o*}", "row", "reason",
	    "code", json_incref(json_object_get(why, "code")),
	    "text", json_incref(json_object_get(why, "text")),
	    "remedy", json_incref(json_object_get(why, "remedy")));
	json_decref(why);
	row_begin(&p, stdout, a->json, false, false);
	row_print(&p, row);
	row_end(&p);
	json_decref(row);
	return EX_GOOD;
}

/* ---- the command line -------------------------------------------------- */

void
command_usage(FILE *f)
{
	size_t	i;

	fputs("usage: provctl [--json] [-s socket] [-f file] command "
	    "[argument ...]\n\n", f);
	for (i = 0; i < ncommands; i++) {
		fprintf(f, "  %s%s%s\n", commands[i].name,
		    commands[i].usage[0] != '\0' ? " " : "",
		    commands[i].usage);
		fprintf(f, "        %s\n", commands[i].text);
	}
	fputs("\nprovctl command --help says it for one; provctl(8) has it "
	    "all.\n", f);
}

void
command_help(FILE *f, const struct command *c)
{
	fprintf(f, "usage: provctl [--json] [-s socket] [-f file] %s%s%s\n"
	    "%s\n", c->name, c->usage[0] != '\0' ? " " : "", c->usage,
	    c->text);
}

/* How many of the words at argv name this command; 0 if they do not. */
static int
matches(const struct command *c, int argc, char **argv)
{
	const char	*space = strchr(c->name, ' ');
	size_t		 len;

	if (space == NULL)
		return argc > 0 && strcmp(argv[0], c->name) == 0;
	len = (size_t)(space - c->name);
	return argc > 1 && strlen(argv[0]) == len &&
	    strncmp(argv[0], c->name, len) == 0 &&
	    strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

static int
no_command(int argc, char **argv)
{
	size_t	i, len;
	bool	group = false;

	if (argc == 0) {
		command_usage(stderr);
		return EX_WRONG;
	}
	len = strlen(argv[0]);
	for (i = 0; i < ncommands; i++)
		if (strncmp(commands[i].name, argv[0], len) == 0 &&
		    commands[i].name[len] == ' ') {
			if (!group)
				fprintf(stderr, "provctl: %s what? One of:\n",
				    argv[0]);
			group = true;
			fprintf(stderr, "  %s %s\n", commands[i].name,
			    commands[i].usage);
		}
	if (!group)
		fprintf(stderr, "provctl: there is no command \"%s\"; provctl "
		    "--help lists them\n", argv[0]);
	return EX_WRONG;
}

/* Options that are good before and after the command. 1 if it was one. */
static int
general_option(char **argv, int argc, int *i, struct args *a)
{
	const char	**value = NULL;

	if (strcmp(argv[*i], "--json") == 0)
		a->json = true;
	else if (strcmp(argv[*i], "--help") == 0 || strcmp(argv[*i], "-h") == 0)
		a->help = true;
	else if (strcmp(argv[*i], "-s") == 0)
		value = &a->sock;
	else if (strcmp(argv[*i], "-f") == 0)
		value = &a->conf_path;
	else
		return 0;
	if (value == NULL)
		return 1;
	if (*i + 1 == argc)
		return args_wrong("this option has a value:", argv[*i]);
	*value = argv[++*i];
	return 1;
}

/* "90" or "12h": neither a MAC nor an option. */
static bool
is_duration(const char *s)
{
	size_t	n = strspn(s, "0123456789");

	return n > 0 && (s[n] == '\0' || (strchr("smhd", s[n]) != NULL &&
	    s[n + 1] == '\0'));
}

static int
command_option(char **argv, int argc, int *i, struct args *a)
{
	const char	*name = argv[*i];
	size_t		 o, n = sizeof(options) / sizeof(options[0]);

	for (o = 0; o < n; o++)
		if (strcmp(name, options[o].name) == 0)
			break;
	if (o == n || !(a->cmd->opts & UINT64_C(1) << options[o].opt))
		return args_wrong("unknown option", name);
	if (a->opt[options[o].opt] != NULL)
		return args_wrong("given twice:", name);
	if (options[o].value == NO || (options[o].value == MAYBE &&
	    (*i + 1 == argc || !is_duration(argv[*i + 1]))))
		a->opt[options[o].opt] = "";
	else if (*i + 1 == argc)
		return args_wrong("this option has a value:", name);
	else
		a->opt[options[o].opt] = argv[++*i];
	return 0;
}

static int
parse_rest(char **argv, int argc, int i, struct args *a)
{
	bool	plain = false;
	int	r;

	for (; i < argc; i++) {
		if (!plain && strcmp(argv[i], "--") == 0)
			plain = true;
		else if (plain || argv[i][0] != '-' || argv[i][1] == '\0') {
			if (a->npos == a->cmd->max)
				return args_wrong("too much:", argv[i]);
			a->pos[a->npos++] = argv[i];
		} else if ((r = general_option(argv, argc, &i, a)) == -1 ||
		    (r == 0 && command_option(argv, argc, &i, a) == -1))
			return -1;
	}
	if (!a->help && a->npos < a->cmd->min)
		return args_wrong("something is missing", NULL);
	return 0;
}

int
command_parse(int argc, char **argv, struct args *a)
{
	int	i, r, words = 0;
	size_t	c;

	memset(a, 0, sizeof(*a));
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--version") == 0) {
			printf("provctl %s\n", PROVD_VERSION);
			exit(EX_GOOD);
		}
		if ((r = general_option(argv, argc, &i, a)) == 1)
			continue;
		if (r == 0)
			args_wrong("unknown option", argv[i]);
		return EX_WRONG;
	}
	for (c = 0; c < ncommands && words == 0; c++)
		if ((words = matches(&commands[c], argc - i, argv + i)) > 0)
			a->cmd = &commands[c];
	if (a->cmd == NULL)
		return a->help && i == argc ? 0 :
		    no_command(argc - i, argv + i);
	if (parse_rest(argv, argc, i + words, a) == 0)
		return 0;
	command_help(stderr, a->cmd);
	return EX_WRONG;
}
