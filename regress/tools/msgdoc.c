/*
 * What is made from libipc/messages.def for people and for fuzzers:
 *
 *   msgdoc man           man/ipc_messages.7
 *   msgdoc dict          a dictionary for libFuzzer
 *   msgdoc seeds DIR     one canonical record of each message
 */
#include <ctype.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/sample.h"

#define NITEMS(a)	(sizeof(a) / sizeof((a)[0]))

/* ---- the catalogue as words ---- */

struct words {
	const char	*kind, *from, *to, *phase, *fd;
};

static const struct words words[MSG_COUNT] = {
#define LINK(a, b, window)
#define MSG(NAME, name, kind, from, to, phase, fd, text)		\
	[MSG_##NAME] = { #kind, #from, #to, #phase, #fd },
#define FIELD(name, kind, field, bound)
#define END(name)
#define ANSWER(call, reply)
#include "messages.def"
#undef LINK
#undef MSG
#undef FIELD
#undef END
#undef ANSWER
};

static const struct {
	enum ipc_role	a, b;
	unsigned	window;
} links[] = {
#define LINK(A, B, w)	{ IPC_##A, IPC_##B, w },
#define MSG(NAME, name, kind, from, to, phase, fd, text)
#define FIELD(name, kind, field, bound)
#define END(name)
#define ANSWER(call, reply)
#include "messages.def"
#undef LINK
#undef MSG
#undef FIELD
#undef END
#undef ANSWER
};

static const struct {
	const char	*word, *name;
} roles[] = {
	{ "POLICYD", "policyd" }, { "KEYD", "keyd" }, { "NETD", "netd" },
	{ "ATTESTQ", "attestd-q" }, { "ATTESTR", "attestd-r" },
	{ "PROVCTL", "provctl" }, { "DAEMONS", "every other daemon" },
	{ "ATTESTDS", "attestd" }, { "ENROLD", "enrold" },
	{ "BUSD", "busd" },
	{ "TLSDS", "netd or enrold" }, { "HEARERS", "netd or busd" },
	{ "ANYONE", "anyone" },
};

static const char *
role_phrase(const char *word)
{
	size_t	i;

	for (i = 0; i < NITEMS(roles); i++) {
		if (strcmp(roles[i].word, word) == 0)
			return roles[i].name;
	}
	errx(1, "no role %s", word);
}

/* ---- the manual page ---- */

static const char	intro[] =
".\\\" Made from libipc/messages.def by 'make generated'.\n"
".Dd November 26, 2026\n"
".Dt IPC_MESSAGES 7\n"
".Os\n"
".Sh NAME\n"
".Nm ipc_messages\n"
".Nd what the daemons of provd say to each other\n"
".Sh DESCRIPTION\n"
"Every message between the daemons of\n"
".Xr provd 7\n"
"is on this page; there is no other.\n"
"A message is one record of a\n"
".Dv SOCK_SEQPACKET\n"
"socket, at most 65536 bytes long: one msgpack array\n"
".Pp\n"
".Dl [type, id, field, ...]\n"
".Pp\n"
"in its one canonical form: every number, length and count in its shortest\n"
"spelling, exactly the fields listed here in this order, each within its\n"
"bound, and nothing after the last.\n"
"Calls and replies are numbered from 1; a reply has the number of its call.\n"
"For what wants no answer the number is 0.\n"
"A descriptor travels with a record only where it says so below.\n"
".Pp\n"
"The kinds of messages:\n"
".Bl -tag -width REPLYX\n"
".It CALL\n"
"wants one reply: the one that is named, DONE where none is, or REFUSED.\n"
"The window of the link is how many calls each side may have unanswered.\n"
".It REPLY\n"
"answers a call.\n"
"One that comes after the caller's deadline is dropped.\n"
".It EVENT\n"
"wants no answer and keeps its order.\n"
".It STATE\n"
"is an event of which only the newest counts: while it waits to be sent, a\n"
"newer one with the same first field takes its place, at the end of the queue.\n"
".El\n"
".Pp\n"
"The kinds of fields:\n"
".Bl -tag -width REPLYX -compact\n"
".It U32, U64\n"
"unsigned number from 0 to its bound\n"
".It I64\n"
"signed number from minus its bound to its bound\n"
".It FLAG\n"
"true or false\n"
".It STR\n"
"UTF-8 without NUL, at most so many bytes\n"
".It BLOB\n"
"at most so many bytes\n"
".El\n"
".Pp\n"
"Every record is checked in this order: may this peer send this type in this\n"
"direction, may it now, is its form canonical and within bounds, was exactly\n"
"the right number of descriptors sent, is there a call that it answers or a\n"
"place in the window that it takes, is there a handler, and does the handler\n"
"accept it.\n"
"The first check that fails closes the link and is reported to\n"
".Xr policyd 8\n"
"with a reason of the IPC group of\n"
".Xr provd_reasons 7 .\n"
".Pp\n"
"The greeting carries the checksum of this catalogue.\n"
"Programs of two builds refuse each other.\n";

static const char	outro[] =
".Sh SEE ALSO\n"
".Xr provd 7 ,\n"
".Xr provd_reasons 7 ,\n"
".Xr attestd 8 ,\n"
".Xr keyd 8 ,\n"
".Xr netd 8 ,\n"
".Xr policyd 8\n";

/* Lines of at most 72 columns, from a capital letter to a full stop. */
static void
sentence(FILE *f, const char *s)
{
	size_t	column = 0, word;
	bool	first = true;

	while (*s != '\0') {
		s += strspn(s, " ");
		word = strcspn(s, " ");
		if (column > 0 && column + 1 + word > 72) {
			fputc('\n', f);
			column = 0;
		}
		if (column > 0) {
			fputc(' ', f);
			column++;
		}
		for (; word > 0; word--, column++, s++) {
			fputc(first ? toupper((unsigned char)*s) : *s, f);
			first = false;
		}
	}
	fputs(".\n", f);
}

static void
man_links(FILE *f)
{
	size_t	i;

	fputs(".Sh LINKS\n"
	    "Who is connected with whom, and the window of the link:\n"
	    ".Bl -column \"attestd-qXX\" \"attestd-rXX\" \"window\"\n", f);
	for (i = 0; i < NITEMS(links); i++)
		fprintf(f, ".It %s Ta %s Ta %u\n", ipc_role_name(links[i].a),
		    ipc_role_name(links[i].b), links[i].window);
	fputs(".El\n", f);
}

static void
man_answer(FILE *f, enum ipc_type call)
{
	enum ipc_type	t;

	for (t = MSG_NONE + 1; t < MSG_COUNT; t++) {
		if (t != MSG_REFUSED && ipc_answers(call, t))
			fprintf(f, ", answered by %s", ipc_name(t));
	}
}

static void
man_bound(FILE *f, const struct field *v)
{
	switch (v->kind) {
	case F_U32:
	case F_U64:
		if (v->bound == REASON_MAX)
			fputs("a reason's number", f);
		else
			fprintf(f, "0 to %llu",
			    (unsigned long long)v->bound);
		break;
	case F_I64:
		fprintf(f, "\\-%llu to %llu", (unsigned long long)v->bound,
		    (unsigned long long)v->bound);
		break;
	case F_FLAG:
		fputs("true or false", f);
		break;
	case F_STR:
	case F_BLOB:
		fprintf(f, "at most %llu bytes", (unsigned long long)v->bound);
		break;
	}
}

/* Kind, direction and conditions. */
static void
man_head(FILE *f, enum ipc_type t)
{
	const struct words	*w = &words[t];
	char			*text;
	size_t			 size;
	FILE			*m;

	if ((m = open_memstream(&text, &size)) == NULL)
		err(1, "open_memstream");
	fprintf(m, "%s, from %s to %s", w->kind, role_phrase(w->from),
	    role_phrase(w->to));
	if (ipc_kind(t) == IPC_CALL)
		man_answer(m, t);
	if (strcmp(w->phase, "START") == 0)
		fputs(", before the greeting is complete", m);
	if (ipc_takes_fd(t))
		fputs(", with one descriptor", m);
	fclose(m);
	sentence(f, text);
	free(text);
}

static void
man_message(FILE *f, enum ipc_type t)
{
	static const char *const kinds[] = {
		"U32", "U64", "I64", "FLAG", "STR", "BLOB"
	};
	const struct field	*v;
	size_t			 i, n;

	fprintf(f, ".It Sy %s Pq %u\n", ipc_name(t), t);
	man_head(f, t);
	fputs(".br\n", f);
	sentence(f, ipc_text(t));
	v = ipc_fields(t, &n);
	if (n == 0)
		return;
	fputs(".Bl -column \"chassis_subtype\" \"BLOB\" "
	    "\"at most 65536 bytes\" -compact\n", f);
	for (i = 0; i < n; i++) {
		fprintf(f, ".It Va %s Ta %s Ta ", v[i].name, kinds[v[i].kind]);
		man_bound(f, &v[i]);
		fputc('\n', f);
	}
	fputs(".El\n", f);
}

void	msgdoc_man(FILE *);
void
msgdoc_man(FILE *f)
{
	enum ipc_type	t;

	fputs(intro, f);
	man_links(f);
	fputs(".Sh MESSAGES\n.Bl -tag -width Ds\n", f);
	for (t = MSG_NONE + 1; t < MSG_COUNT; t++)
		man_message(f, t);
	fputs(".El\n", f);
	fputs(outro, f);
}

/* ---- the dictionary ---- */

static void
dict_bytes(FILE *f, const char *name, const uint8_t *p, size_t len)
{
	fprintf(f, "%s=\"", name);
	for (; len > 0; len--)
		fprintf(f, "\\x%02x", *p++);
	fputs("\"\n", f);
}

/* The beginning of each message, and the leads of the forms with a size. */
void	msgdoc_dict(FILE *);
void
msgdoc_dict(FILE *f)
{
	static union ipc_any	 m;
	static uint8_t		 buf[IPC_MAX_RECORD];
	enum ipc_type		 t;
	size_t			 len;
	uint8_t			 lead;
	char			 name[16];

	fputs("# Made from libipc/messages.def by 'make generated'.\n", f);
	for (t = MSG_NONE + 1; t < MSG_COUNT; t++) {
		sample_fill(t, &m, SAMPLE_LEAST);
		if (ipc_encode(t, sample_id(t), &m, buf, sizeof(buf),
		    &len) == -1)
			errx(1, "%s", ipc_name(t));
		/* the count and the type, which take two bytes up to 0x7f */
		dict_bytes(f, ipc_name(t), buf, t < 0x80 ? 2 : 3);
	}
	for (lead = 0xc0; lead < 0xe0; lead++) {
		snprintf(name, sizeof(name), "lead_%02x", lead);
		dict_bytes(f, name, &lead, 1);
	}
}

/* ---- seeds ---- */

/* The seed of a message; its length. */
size_t	msgdoc_seed(enum ipc_type, uint8_t *, size_t);
size_t
msgdoc_seed(enum ipc_type t, uint8_t *buf, size_t size)
{
	static union ipc_any	m;
	size_t			len;

	sample_fill(t, &m, SAMPLE_TYPICAL);
	if (ipc_encode(t, sample_id(t), &m, buf, size, &len) == -1)
		errx(1, "%s", ipc_name(t));
	return len;
}

/* "DIR/tls_sign_req" */
void	msgdoc_seed_path(enum ipc_type, const char *, char *, size_t);
void
msgdoc_seed_path(enum ipc_type t, const char *dir, char *path, size_t size)
{
	char	*p;

	if (snprintf(path, size, "%s/%s", dir, ipc_name(t)) >= (int)size)
		errx(1, "%s: name too long", dir);
	for (p = path + strlen(dir); *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
}

#ifndef MSGDOC_TEST

static void
write_seeds(const char *dir)
{
	static uint8_t	 buf[IPC_MAX_RECORD];
	char		 path[4096];
	enum ipc_type	 t;
	size_t		 len;
	FILE		*f;

	for (t = MSG_NONE + 1; t < MSG_COUNT; t++) {
		len = msgdoc_seed(t, buf, sizeof(buf));
		msgdoc_seed_path(t, dir, path, sizeof(path));
		if ((f = fopen(path, "w")) == NULL ||
		    fwrite(buf, 1, len, f) != len || fclose(f) != 0)
			err(1, "%s", path);
	}
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "man") == 0)
		msgdoc_man(stdout);
	else if (argc == 2 && strcmp(argv[1], "dict") == 0)
		msgdoc_dict(stdout);
	else if (argc == 3 && strcmp(argv[1], "seeds") == 0)
		write_seeds(argv[2]);
	else
		errx(2, "usage: msgdoc man | dict | seeds directory");
	return fflush(stdout) != 0;
}

#endif
