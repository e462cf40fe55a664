/* The table of a peer's transitions, made from peer_fsm.def. */
#include <string.h>

#include "peer.h"

static const struct trans trans[] = {
#define ROW(state, event, needs, act, next) \
	{ P_##state, EV_##event, needs, ACT_##act, P_##next },
#include "peer_fsm.def"
};

static const struct {
	const char	*name;
	bool		 trusted;
	const char	*connected;
} states[] = {
#define STATE(name, word, provisioned, connected) \
	{ word, provisioned, connected },
#include "peer_fsm.def"
};

static const struct {
	const char	*name, *text;
} events[] = {
#define EVENT(name, word, text)	{ word, text },
#include "peer_fsm.def"
}, bits[] = {
#define BIT(name, word, text)	{ word, text },
#include "peer_fsm.def"
}, acts[] = {
#define ACT(name, text)		{ #name, text },
#include "peer_fsm.def"
};

const struct trans *
fsm_find(enum peer_state state, enum peer_event event)
{
	size_t	i;

	for (i = 0; i < sizeof(trans) / sizeof(trans[0]); i++)
		if (trans[i].state == state && trans[i].event == event)
			return &trans[i];
	return NULL;
}

bool
fsm_trusted(enum peer_state state)
{
	return states[state].trusted;
}

const char *
fsm_state_name(enum peer_state state)
{
	return states[state].name;
}

const char *
fsm_connected(enum peer_state state)
{
	return states[state].connected;
}

const char *
fsm_event_name(enum peer_event event)
{
	return events[event].name;
}

const char *
fsm_event_text(enum peer_event event)
{
	return events[event].text;
}

const char *
fsm_act_name(enum peer_act act)
{
	return acts[act].name;
}

const char *
fsm_act_text(enum peer_act act)
{
	return acts[act].text;
}

const char *
fsm_bit_name(enum peer_bit bit)
{
	return bits[bit].name;
}

const char *
fsm_bit_text(enum peer_bit bit)
{
	return bits[bit].text;
}

int
fsm_state_find(const char *name)
{
	int	i;

	for (i = 0; i < P_NSTATES; i++)
		if (strcmp(states[i].name, name) == 0)
			return i;
	return -1;
}
