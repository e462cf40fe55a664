/*
 * This node, attested by itself.
 */
#include "self.h"

static struct {
	enum self_state	 state;
	struct why	 why, trouble;
	uint64_t	 since, attested;
	enum reason	 warning;
	bool		 asked;
} self;

bool
self_runs(void)
{
	return conf->dbus != NULL || self.asked;
}

enum self_state
self_state(void)
{
	return self.state;
}

const struct why *
self_why(void)
{
	return &self.why;
}

const struct why *
self_trouble(void)
{
	return &self.trouble;
}

enum reason
self_warning(void)
{
	return self.warning;
}

uint64_t
self_since(void)
{
	return self.since;
}

uint64_t
self_attested(void)
{
	return self.attested;
}

void
self_provision(void)
{
	self.asked = true;
}
