/*
 * DebugControl: how much all daemons of the suite log, in OpenBMC's words.
 * provd has no level above warnings, so three words mean the same; the one
 * that was said last is repeated while it fits.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "busd.h"
#include "log.h"

static const struct word {
	const char	*word;
	uint32_t	 level;
} words[] = {
	{ "DEBUG",	LOG_LVL_DEBUG },
	{ "INFO",	LOG_LVL_INFO },
	{ "WARNING",	LOG_LVL_WARN },
	{ "ERROR",	LOG_LVL_WARN },
	{ "CRITICAL",	LOG_LVL_WARN },
};
#define NWORDS	(sizeof(words) / sizeof(words[0]))

static const struct word	*last;

static const struct word *
word_find(const char *s)
{
	size_t	i;

	for (i = 0; i < NWORDS; i++)
		if (strcasecmp(words[i].word, s) == 0)
			return &words[i];
	return NULL;
}

void
debug_accepted(const char *word)
{
	last = word_find(word);
}

static int
set_level(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const struct word	*w;
	const char		*s;
	int			 r;

	if ((r = sd_bus_message_read(m, "s", &s)) < 0)
		return r;
	if ((w = word_find(s)) == NULL)
		return error_reply(m, R_BUS_ARGUMENT, "level",
		    "DEBUG, INFO, WARNING, ERROR or CRITICAL", NULL);
	return call_forward(m, MSG_BUS_LOG_LEVEL, w->word, w->level);
}

static int
get_level(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	uint32_t	level = view_node()->log_level;
	size_t		i;

	if (level > LOG_LVL_DEBUG)
		level = LOG_LVL_DEBUG;
	if (last != NULL && last->level == level)
		return sd_bus_reply_method_return(m, "s", last->word);
	for (i = 0; words[i].level != level; i++)
		continue;
	return sd_bus_reply_method_return(m, "s", words[i].word);
}

static const sd_bus_vtable	debug[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("SetLogLevel", SD_BUS_ARGS("s", level),
	    SD_BUS_RESULT("b", success), set_level, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetLogLevel", SD_BUS_NO_ARGS,
	    SD_BUS_RESULT("s", level), get_level, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END
};

void
debug_add(sd_bus *bus)
{
	int	r;

	if ((r = sd_bus_add_object_vtable(bus, NULL, BUS_DEBUG, BUS_IFACE_DEBUG,
	    debug, NULL)) < 0) {
		errno = -r;
		fatal("bus: %s", BUS_DEBUG);
	}
}
