/*
 * Reasons as D-Bus errors: the names that OpenBMC's tools know, and a text
 * that says what provd says everywhere.
 */
#include "busd.h"
#include "log.h"

#define ERROR(name)	"xyz.openbmc_project.Common.Error." name

static const struct {
	enum reason	 reason;
	const char	*name;
} errors[] = {
	{ R_BUS_CALLER,		ERROR("InsufficientPermission") },
	{ R_BUS_CREDENTIALS,	ERROR("InsufficientPermission") },
	{ R_BUS_BUSY,		ERROR("TooManyResources") },
	{ R_BUS_OFTEN,		ERROR("TooManyResources") },
	{ R_BUS_RATE,		ERROR("TooManyResources") },
	{ R_BUS_ARGUMENT,	ERROR("InvalidArgument") },
	{ R_POL_NAME,		ERROR("InvalidArgument") },
	{ R_CTL_VALUE,		ERROR("InvalidArgument") },
	{ R_POL_NO_PEER,	ERROR("ResourceNotFound") },
	{ R_BUS_POLICYD,	ERROR("Unavailable") },
	{ R_IPC_CLOSED,		ERROR("Unavailable") },
	{ R_IPC_DEADLINE,	ERROR("Unavailable") },
	{ R_IPC_NOLINK,		ERROR("Unavailable") },
	{ R_BUS_BUILTIN,	SD_BUS_ERROR_NOT_SUPPORTED },
};

const char *
error_name(enum reason reason)
{
	size_t	i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].reason == reason)
			return errors[i].name;
	return ERROR("NotAllowed");
}

/* The check that failed is left out where there is none. */
static const char *
part(const char *before, const char *text, const char **value)
{
	*value = text == NULL ? "" : text;
	return **value == '\0' ? "" : before;
}

int
error_relay(sd_bus_message *m, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	const char	*f, *e, *s, *pf, *pe, *ps;
	int		 r;

	pf = part(" ", field, &f);
	pe = part(" expected ", expected, &e);
	ps = part(" seen ", seen, &s);
	r = sd_bus_reply_method_errorf(m, error_name(reason),
	    "%s %s%s%s%s%s%s%s %s", reason_code(reason), reason_text(reason),
	    pf, f, pe, e, ps, s, reason_remedy(reason));
	return r < 0 ? r : 1;
}

int
error_reply(sd_bus_message *m, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	const char	*who = sd_bus_message_get_sender(m);

	if (hub_count(reason) == 1)
		log_about(LOG_LVL_WARN, reason_code(reason), NULL,
		    "%s %s (a call by %s)", reason_code(reason),
		    reason_text(reason), who == NULL ? "nobody" : who);
	return error_relay(m, reason, field, expected, seen);
}
