#ifndef PROVCTL_H
#define PROVCTL_H

#include <sys/types.h>

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
	/* the certificate service */
	OPT_NAME, OPT_PROFILE, OPT_STATUS, OPT_REASON, OPT_PEM, OPT_TICKET,
	OPT_OFFLINE, OPT_NEW_ROOT, OPT_PASSPHRASE_FD, OPT_PERMITTED, OPT_ROOT,
	OPT_PUBLISH, OPT_GENERATION,
	/* enrol */
	OPT_MAC, OPT_INTERFACE, OPT_OUT, OPT_SERVER, OPT_TICKET_FILE,
	OPT_CLIENT, OPT_KEY,
	OPT_EST, OPT_CA, OPT_FINGERPRINT, OPT_TPM, OPT_DAEMON, OPT_RENEW,
	OPT_SAME_KEY, OPT_NOW, OPT_TIMEOUT,
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

#define STREAM	1	/* rows come as things happen */
#define DETAIL	2	/* one thing is shown whole */
#define GROUP	4	/* a table of each kind of row */

struct command {
	const char	*name;		/* "peer add" */
	const char	*usage;		/* its arguments */
	const char	*text;		/* what it does */
	int		 min, max;	/* positional arguments */
	uint64_t	 opts;		/* 1 << OPT_x: those it takes */
	enum ipc_type	 type;		/* what it sends, or MSG_NONE */
	/* Not one call: none or several, or one that is not only shown; an
	 * exit code. NULL: send and show. */
	int		(*local)(const struct args *);
	/* Fields of the message from the arguments; 0, or -1 after a word
	 * on the standard error. NULL: it has none. */
	int		(*fill)(const struct args *, union ipc_any *);
	unsigned	 show;		/* STREAM, DETAIL, GROUP */
	/* Takes a row from the printer; true if it did. May be NULL. */
	bool		(*row)(const struct args *, const json_t *, int *status);
};
extern const struct command commands[];
extern const size_t ncommands;

/* 0, or EX_WRONG after a word on the standard error. */
int	command_parse(int argc, char **argv, struct args *);
void	command_usage(FILE *);
void	command_help(FILE *, const struct command *);

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
 * Send a call and read rows until its answer. An exit code; a refusal is
 * in refused for the caller to say. sendfd goes with the call, or is -1.
 */
int	client_call(int fd, enum ipc_type, const union ipc_any *, int sendfd,
	    bool patient, row_fn, void *arg, struct msg_refused *refused);
void	client_refused(FILE *, const struct msg_refused *);

/* ---- row.c ------------------------------------------------------------- */

struct printer {
	FILE		*out;
	bool		 json, stream, detail;
	bool		 group;		/* rows of other tables wait in: */
	json_t		*others;
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

/* ---- run.c ------------------------------------------------------------- */

int	command_run(const struct args *);	/* exit code */

/* A connection to policyd and the rows that come over it. */
struct run {
	const struct args	*args;
	struct printer		 printer;
	int			 fd;
	int			 status;	/* what a row made of EX_GOOD */
};

/* EX_GOOD, or an exit code after a word; then run_end() is not due. */
int	run_begin(struct run *, const struct args *);
/*
 * One call with its rows; a refusal is said. fn NULL prints them, arg is for
 * fn. fd goes with the call, or is -1. An exit code.
 */
int	run_call(struct run *, enum ipc_type, const union ipc_any *, int fd,
	    row_fn fn, void *arg);
/* The same, but a refusal is not said: run_say() may. */
int	run_try(struct run *, enum ipc_type, const union ipc_any *, int fd,
	    row_fn fn, void *arg, struct msg_refused *);
void	run_say(struct run *, const struct msg_refused *);
int	run_print(const json_t *row, void *run);	/* a row_fn */
int	run_end(struct run *, int status);

/* ---- terminal.c -------------------------------------------------------- */

/*
 * One line without its end from a descriptor, no byte more; 0, or -1 if there
 * is none or it does not fit.
 */
int	terminal_line(int fd, char *buf, size_t size);
/* The same from a terminal, after a prompt and without echo. */
int	terminal_ask(int fd, const char *prompt, char *buf, size_t size);

/* ---- file.c ------------------------------------------------------------ */

/* A file that is whole and on disk, or not there; or the standard output. */
struct outfile {
	FILE		*f;
	const char	*path;
	char		*tmp;		/* what becomes path, or NULL */
};

/*
 * path NULL or "-" is the standard output; what is there and no regular file
 * is written as it is. These return 0, or -1 after a word.
 */
int	out_open(struct outfile *, const char *path, mode_t);
int	out_close(struct outfile *, bool keep);
int	file_put(const char *path, mode_t, const void *, size_t);
/* All of a file, or of the standard input for "-"; NUL-terminated, freezero. */
char	*file_get(const char *path, size_t max, size_t *len);
int	file_sync_dir(const char *path);	/* of a file, to disk */

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
