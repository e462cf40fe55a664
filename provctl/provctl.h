#ifndef PROVCTL_H
#define PROVCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "conf.h"
#include "ipc.h"

/* Exit codes; provctl(8) promises them. */
enum {
	EX_GOOD = 0,
	EX_REFUSED = 1,		/* refused or failed, with a reason */
	EX_WRONG = 2,		/* wrong usage */
	EX_UNREACHABLE = 3	/* policyd cannot be reached */
};

/* ---- command.c --------------------------------------------------------- */

enum opt {
	OPT_IDENTITY, OPT_SERIAL, OPT_ADDRESS, OPT_FROM, OPT_LAST, OPT_OUTPUT,
	OPT_NO_WAIT, OPT_CODE,
	OPT_COUNT
};

/* One invocation, taken apart. */
struct args {
	const struct command *cmd;
	const char	*sock, *conf_path;	/* -s, -f, or NULL */
	bool		 json, help;
	const char	*pos[2];
	int		 npos;
	const char	*opt[OPT_COUNT];	/* a flag's is "" */
};

struct command {
	const char	*name;		/* "peer add" */
	const char	*usage;		/* its arguments */
	const char	*text;		/* what it does */
	int		 min, max;	/* positional arguments */
	unsigned	 opts;		/* 1 << OPT_x: those it takes */
	enum ipc_type	 type;		/* what it sends, or MSG_NONE: */
	int		(*local)(const struct args *);	/* exit code */
	/* Fields of the message from the arguments; 0, or -1 after a word
	 * on the standard error. NULL: it has none. */
	int		(*fill)(const struct args *, union ipc_any *);
	bool		 stream;	/* rows come as things happen */
	/* Takes a row from the printer; true if it did. May be NULL. */
	bool		(*row)(const struct args *, const json_t *, int *status);
};
extern const struct command commands[];
extern const size_t ncommands;

/* 0, or EX_WRONG after a word on the standard error. */
int	command_parse(int argc, char **argv, struct args *);
void	command_usage(FILE *);
void	command_help(FILE *, const struct command *);
int	command_run(const struct args *);	/* exit code */

/* ---- fill.c ------------------------------------------------------------ */

/* Say what is wrong, with the word in quotes if there is one; -1. */
int	args_wrong(const char *what, const char *arg);
/* A field of a message from a word; NULL leaves it. 0, or -1 after a word. */
int	args_set(char *field, size_t size, const char *s, const char *what);
#define ARGS_SET(field, s, what)	args_set(field, sizeof(field), s, what)
int	args_number(const char *s, uint64_t max, uint64_t *);

int	fill_peer_show(const struct args *, union ipc_any *);
int	fill_peer_add(const struct args *, union ipc_any *);
int	fill_peer_remove(const struct args *, union ipc_any *);
int	fill_provision(const struct args *, union ipc_any *);
int	fill_unprovision(const struct args *, union ipc_any *);
int	fill_revoke(const struct args *, union ipc_any *);
int	fill_csr(const struct args *, union ipc_any *);
int	fill_install(const struct args *, union ipc_any *);
int	fill_component(const struct args *, union ipc_any *);
int	fill_enrol(const struct args *, union ipc_any *);
int	fill_learn(const struct args *, union ipc_any *);
int	fill_reference(const struct args *, union ipc_any *);
int	fill_accept(const struct args *, union ipc_any *);
int	fill_audit(const struct args *, union ipc_any *);
int	fill_explain(const struct args *, union ipc_any *);
int	fill_log(const struct args *, union ipc_any *);

/* ---- client.c ---------------------------------------------------------- */

/* Called for each row; the client frees it. Returns 0, or -1 to stop. */
typedef int (*row_fn)(const json_t *, void *arg);

/* Path of the control socket for these arguments. */
void	client_path(const struct args *, char *, size_t);
/* Connected and greeted: a descriptor; or -1 and *status, after a word. */
int	client_open(const char *path, FILE *err, int *status);
/*
 * Send a call and read rows until its answer. An exit code; what was refused
 * has been said on the standard error (and with json as a row on out).
 */
int	client_call(int fd, enum ipc_type, const union ipc_any *, bool patient,
	    row_fn, void *arg, struct msg_refused *refused);
void	client_refused(FILE *, const struct msg_refused *);

/* ---- row.c ------------------------------------------------------------- */

struct printer {
	FILE		*out;
	bool		 json, stream, detail;
	json_t		*list;		/* rows of one table, not printed yet */
	unsigned	 blocks;	/* printed; an empty line between them */
};

void	row_begin(struct printer *, FILE *, bool json, bool stream,
	    bool detail);
void	row_print(struct printer *, const json_t *);
void	row_end(struct printer *);
/* A reason as a row has it. */
json_t	*row_why(enum reason, const char *field, const char *expected,
	    const char *seen);
/* Printable, whoever sent it: no control characters reach the terminal. */
void	row_text(FILE *, const char *);

/* ---- code.c ------------------------------------------------------------ */

#define CODE_LEN	16
#define CODE_TEXT	35	/* 28 characters in groups of four, and NUL */

void	code_text(const uint8_t code[CODE_LEN], char text[CODE_TEXT]);
/* NULL, or what is wrong with it: "the code has ...". */
const char *code_parse(const char *text, uint8_t code[CODE_LEN]);
/*
 * Ask the operator, without echo on a terminal; an empty answer makes one
 * and shows it. 0, or -1 after a word on the standard error.
 */
int	code_ask(const struct args *, uint8_t code[CODE_LEN]);

/* ---- check.c ----------------------------------------------------------- */

int	check_run(const struct args *);

#endif
