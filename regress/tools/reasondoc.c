/*
 * Print man/provd_reasons.7 from libutil/reason.def.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reason.h"

/* What the letters before the number mean. */
static const struct {
	const char	*prefix, *title;
} groups[] = {
	{ "IPC", "Channels between the daemons" },
	{ "KEY", "Keys and what may be signed" },
	{ "TPM", "The TPM" },
	{ "NET", "The network" },
	{ "TLS", "TLS of the peer channel" },
	{ "LLD", "LLDP" },
	{ "ATT", "Attestation" },
	{ "POL", "Policy" },
	{ "CRT", "The certificate service: what policyd decides" },
	{ "ENR", "The certificate service: what enrold reads" },
	{ "BUS", "The D-Bus face" },
	{ "CTL", "The operator's commands" },
	{ "AUD", "The audit log" },
	{ "CFG", "Configuration" },
	{ "SYS", "The system" },
};

/*
 * Lines of at most 72 columns, a new one for each sentence; a backslash is
 * written as mdoc wants it.
 */
static void
text(FILE *f, const char *s)
{
	size_t	column = 0, word;
	bool	end = false;

	while (*s != '\0') {
		s += strspn(s, " ");
		word = strcspn(s, " ");
		if (column > 0 && (end || column + 1 + word > 72)) {
			fputc('\n', f);
			column = 0;
		}
		if (column > 0)
			fputc(' ', f), column++;
		else if (*s == '.' || *s == '\'')
			fputs("\\&", f);
		end = word > 0 && strchr(".!?", s[word - 1]) != NULL;
		for (; word > 0; word--, column++, s++)
			if (*s == '\\')
				fputs("\\e", f);
			else
				fputc(*s, f);
	}
	fputc('\n', f);
}

static void
group(FILE *f, const char *prefix, const char *title)
{
	int	r, n = 0;

	for (r = 0; r < R_COUNT; r++) {
		if (strncmp(reason_code(r), prefix, strlen(prefix)) != 0 ||
		    reason_code(r)[strlen(prefix)] != '-')
			continue;
		if (n++ == 0)
			fprintf(f, ".Ss %s\n.Bl -tag -width Ds\n", title);
		fprintf(f, ".It Sy %s\n", reason_code(r));
		text(f, reason_text(r));
		fputs(".Pp\n", f);
		text(f, reason_remedy(r));
	}
	if (n > 0)
		fputs(".El\n", f);
}

void	reasondoc(FILE *);
void
reasondoc(FILE *f)
{
	size_t	i;

	fputs(".\\\" Made from libutil/reason.def by 'make generated'.\n"
	    ".Dd November 26, 2026\n"
	    ".Dt PROVD_REASONS 7\n"
	    ".Os\n"
	    ".Sh NAME\n"
	    ".Nm provd_reasons\n"
	    ".Nd why provd refused something, and what to do\n"
	    ".Sh DESCRIPTION\n"
	    "Whatever a daemon of\n"
	    ".Xr provd 7\n"
	    "refuses or fails to do has a reason with a code that never "
	    "changes.\n"
	    "It stands in the log, in the audit records and in what\n"
	    ".Xr provctl 8\n"
	    "prints; the check that failed comes with it as a field, what was\n"
	    "expected and what was seen.\n"
	    ".Pp\n"
	    ".Dl provctl explain CODE\n"
	    ".Pp\n"
	    "prints one of them, and\n"
	    ".Pp\n"
	    ".Dl provctl explain peer NAME\n"
	    ".Pp\n"
	    "the one that explains the state of a peer.\n"
	    "The sentence says what is wrong; the second paragraph what the\n"
	    "operator can do.\n"
	    ".Sh REASONS\n", f);
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		group(f, groups[i].prefix, groups[i].title);
	fputs(".Sh SEE ALSO\n"
	    ".Xr provd 7 ,\n"
	    ".Xr provctl 8\n", f);
}

#ifndef REASONDOC_TEST
int
main(void)
{
	reasondoc(stdout);
	return fflush(stdout) != 0;
}
#endif
