/*
 * fsmdoc: what is made from policyd/peer_fsm.def.
 *
 *   fsmdoc man FILE    FILE with its section on the states made anew, to the
 *                      standard output: between the lines that say so
 *   fsmdoc promela     the rows for spin(1); what the acts do, what may
 *                      happen and what must hold is in regress/model
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../policyd/peer.h"

#define BEGIN	".\\\" made from peer_fsm.def: begin\n"
#define END	".\\\" made from peer_fsm.def: end\n"

/* ---- the manual --------------------------------------------------------- */

/* The events that lead from one state to another, in lines that fit. */
static void
edge(FILE *f, enum peer_state from, enum peer_state to, bool *first)
{
	const struct trans	*t;
	const char		*sep = "";
	int			 e, at;

	if (from == to)
		return;
	for (e = 0, at = 0; e < EV_N; e++) {
		t = fsm_find(from, (enum peer_event)e);
		if (t == NULL || t->next != to)
			continue;
		if (*sep == '\0') {
			fprintf(f, "%-17s --> %-17s  ",
			    *first ? fsm_state_name(from) : "",
			    fsm_state_name(to));
			*first = false;
			at = 41;
		} else if (at + 2 + strlen(fsm_event_name(e)) > 76) {
			fprintf(f, ",\n%-41s", "");
			at = 41;
			sep = "";
		}
		at += fprintf(f, "%s%s", sep, fsm_event_name(e));
		sep = ", ";
	}
	if (*sep != '\0')
		fprintf(f, "\n");
}

static void
man_edges(FILE *f)
{
	bool	first;
	int	s, n;

	fprintf(f, ".Bd -literal\n");
	for (s = 0; s < P_NSTATES; s++) {
		first = true;
		for (n = 0; n < P_NSTATES; n++)
			edge(f, s, n, &first);
	}
	fprintf(f, ".Ed\n");
}

/* Does the event in this state do this act and no move? */
static bool
stays(int s, int e, int act)
{
	const struct trans	*t = fsm_find(s, e);

	return t != NULL && (int)t->next == s && (int)t->act == act;
}

static void
man_states(FILE *f, int e, int act)
{
	const char	*sep = "";
	bool		 all = true;
	int		 s;

	for (s = 0; s < P_NSTATES; s++)
		if (fsm_trusted(s) && !stays(s, e, act))
			all = false;
	for (s = 0; s < P_NSTATES; s++) {
		if (!stays(s, e, act) || (all && fsm_trusted(s)))
			continue;
		fprintf(f, "%s%s", sep, fsm_state_name(s));
		sep = ", ";
	}
	if (all)
		fprintf(f, "%severy trusted state", sep);
}

/* What an event does where it does not move the peer. */
static void
man_stays(FILE *f)
{
	int	s, e, act;

	for (e = 0; e < EV_N; e++)
		for (act = 0; act < ACT_N; act++) {
			for (s = 0; s < P_NSTATES && !stays(s, e, act); s++)
				;
			if (s == P_NSTATES || act == ACT_none)
				continue;
			fprintf(f, "%-19s%s:\n%-21s", fsm_event_name(e),
			    fsm_act_text(act), "");
			man_states(f, e, act);
			fprintf(f, "\n");
		}
}

static void
man_section(FILE *f)
{
	int	i;

	fprintf(f, BEGIN);
	fprintf(f, "Who moves, and for what event:\n");
	man_edges(f);
	fprintf(f, ".Pp\nWhat an event does to a peer that stays in its "
	    "state:\n.Bd -literal\n");
	man_stays(f);
	fprintf(f, ".Ed\n.Pp\nThe events:\n"
	    ".Bl -tag -width restored-attesting -compact\n");
	for (i = 0; i < EV_N; i++)
		fprintf(f, ".It Dv %s\n%s\n", fsm_event_name(i),
		    fsm_event_text(i));
	fprintf(f, ".El\n.Pp\nThe evidence, of which "
	    "trust needs all but the last:\n"
	    ".Bl -tag -width measured -compact\n");
	for (i = 0; i < BIT_N; i++)
		fprintf(f, ".It Dv %s\n%s\n", fsm_bit_name(i), fsm_bit_text(i));
	fprintf(f, ".El\n");
	fprintf(f, END);
}

/* Copy in to out, with the section made anew. 0, or -1 without the marks. */
static int
man_replace(FILE *in, FILE *out)
{
	char	*line = NULL;
	size_t	 size = 0;
	int	 inside = 0, done = 0;

	while (getline(&line, &size, in) != -1) {
		if (strcmp(line, BEGIN) == 0) {
			inside = 1;
			man_section(out);
		} else if (strcmp(line, END) == 0) {
			inside = 0;
			done = 1;
		} else if (!inside)
			fputs(line, out);
	}
	free(line);
	return done && !inside ? 0 : -1;
}

/* ---- the model ---------------------------------------------------------- */

static void
promela_rows(FILE *f)
{
	const struct trans	*t;
	int			 s, e;

	for (s = 0; s < P_NSTATES; s++)
		for (e = 0; e < EV_N; e++) {
			if ((t = fsm_find(s, e)) == NULL)
				continue;
			fprintf(f, "\t:: state == %d && event == %d && "
			    "(have & %u) == %u ->\t/* %s, %s */\n"
			    "\t\tstate = %d; act_%s()\n", s, e, t->needs,
			    t->needs, fsm_state_name(s), fsm_event_name(e),
			    t->next, fsm_act_name(t->act));
		}
}

/* The names of the table, as the hand-written part uses them. */
static void
promela_names(FILE *f)
{
	static const char *const names[] = {
#define STATE(name, word, provisioned, connected)	"S_" #name,
#include "../../policyd/peer_fsm.def"
#define EVENT(name, word, text)				"E_" #name,
#include "../../policyd/peer_fsm.def"
	};
	int	i;

	for (i = 0; i < P_NSTATES + EV_N; i++)
		fprintf(f, "#define %s %d\n", names[i],
		    i < P_NSTATES ? i : i - P_NSTATES);
	fprintf(f, "#define EVENTS %d\n#define BITS %u\n", EV_N,
	    (1u << BIT_N) - 1);
	fprintf(f, "#define TRUST %u\n#define LEAVE %u\n#define trusted (",
	    (unsigned)TRUST, (unsigned)HAVE_LEAVE);
	for (i = 0; i < P_NSTATES; i++)
		if (fsm_trusted(i))
			fprintf(f, "state == %d || ", i);
	fprintf(f, "false)\n\n");
}

/* What the acts do, and what happens to a peer, is in regress/model. */
static void
promela(FILE *f)
{
	fprintf(f, "/* Made from peer_fsm.def by fsmdoc. */\n");
	promela_names(f);
	fprintf(f, "byte state = S_NOTDETERMINED, have = 0, event;\n"
	    "#include \"acts.pml\"\n\ninline step() {\n\tif\n");
	promela_rows(f);
	fprintf(f, "\t:: else -> skip\t/* refused */\n\tfi\n}\n\n"
	    "#ifdef LIFE\n#include \"life.pml\"\n#else\n"
	    "#include \"any.pml\"\n#endif\n");
}

#ifndef FSMDOC_TEST
const struct conf	*conf;

int
main(int argc, char **argv)
{
	FILE	*f;

	if (argc == 2 && strcmp(argv[1], "promela") == 0) {
		promela(stdout);
		return 0;
	}
	if (argc != 3 || strcmp(argv[1], "man") != 0) {
		fprintf(stderr, "usage: fsmdoc man file | fsmdoc promela\n");
		return 2;
	}
	if ((f = fopen(argv[2], "r")) == NULL) {
		perror(argv[2]);
		return 1;
	}
	if (man_replace(f, stdout) == -1) {
		fprintf(stderr, "%s: no lines to put the section between\n",
		    argv[2]);
		return 1;
	}
	fclose(f);
	return 0;
}
#endif
