/*
 * fsmdoc: what is made from policyd/peer_fsm.def.
 *
 *   fsmdoc man FILE    FILE with its section on the states made anew, to the
 *                      standard output: between the lines that say so
 *   fsmdoc promela     a model for spin(1): every row, an environment that
 *                      may do anything, and the rule that must hold
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

static void
promela(FILE *f)
{
	const unsigned	trust = TRUST;
	int		i;

	fprintf(f, "/* Made from peer_fsm.def by fsmdoc. */\n"
	    "byte state = %d, have = 0, event;\n\n", P_NOTDETERMINED);
	fprintf(f, "#define TRUST %u\n#define LEAVE %u\n", trust, HAVE_LEAVE);
	fprintf(f, "#define trusted (");
	for (i = 0; i < P_NSTATES; i++)
		if (fsm_trusted(i))
			fprintf(f, "state == %d || ", i);
	fprintf(f, "false)\n\n");
	for (i = 0; i < ACT_N; i++)
		fprintf(f, "inline act_%s() {\t/* %s */\n\t%s\n}\n",
		    fsm_act_name(i), fsm_act_text(i),
		    i == ACT_refuse || i == ACT_distrust || i == ACT_forget ||
		    i == ACT_revoke ? "have = have & LEAVE" : "skip");
	/* Evidence comes before its verdict, and from the store at start;
	   any part of it may be missing. Without trust it does not stay. */
	fprintf(f, "\ninline step() {\n\tif\n");
	promela_rows(f);
	fprintf(f, "\t:: else -> skip\t/* refused */\n\tfi\n}\n\n"
	    "active proctype peer() {\n\tbyte bits;\n\tdo\n\t:: true ->\n"
	    "\t\tselect(event : 0 .. %d);\n\t\tselect(bits : 0 .. %u);\n"
	    "\t\tif\n\t\t:: !trusted && (event == %d || event == %d) -> "
	    "have = bits\n"
	    "\t\t:: else -> skip\n\t\tfi;\n\t\tatomic { step();\n"
	    "\t\tif\n\t\t:: !trusted -> have = have & LEAVE\n"
	    "\t\t:: else -> skip\n\t\tfi }\n\tod\n}\n\n"
	    "ltl evidence { [] (trusted -> (have & TRUST) == TRUST) }\n",
	    EV_N - 1, (1u << BIT_N) - 1, EV_GOOD, EV_RESTORE_TRUST);
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
