/*
 * How much may come from outside: each class has a bound in all and a bound
 * for one address; a part of the bound in all is kept for those that are no
 * strangers, whatever the strangers do. An IPv6 address counts whole, not by
 * its /64: several BMCs share the prefix of one management network, and the
 * bound in all holds whatever addresses a stranger makes up.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "netd.h"

/* Kept of each bound for the addresses of trusted peers: a quarter. */
#define KEPT(total)	((total) / 4)

/*
 * Devices come from behind one address translator, or from one laptop that
 * programs them: more than limit per-address if that is little.
 */
#define HTTP_ADDRESS(total)	((total) / 4)

/* SPDM sessions are calls on the link to attestd -R; its window is 64. */
#define SPDM_MAX	48

struct limit {
	struct sockaddr_storage	from;
	unsigned		count[LIMIT_NCLASSES];
};

static struct {
	unsigned	total, address;
} bounds[LIMIT_NCLASSES];

static struct limit	*table;		/* one row an address that holds some */
static size_t		 nused, nrows;
static unsigned		 totals[LIMIT_NCLASSES];

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned
most(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

void
limit_init(const struct conf *conf)
{
	unsigned	i;

	limit_free();
	bounds[LIMIT_TLS].total = conf->max_connections;
	bounds[LIMIT_TLS].address = conf->max_per_address;
	bounds[LIMIT_HALF].total = conf->max_half_open;
	bounds[LIMIT_HALF].address = conf->max_per_address;
	bounds[LIMIT_SPDM].total = least(conf->max_half_open, SPDM_MAX);
	bounds[LIMIT_SPDM].address = conf->max_per_address;
	bounds[LIMIT_HTTP].total = conf->listeners == NULL ? 0 :
	    conf->max_enrol;
	bounds[LIMIT_HTTP].address = most(conf->max_per_address,
	    HTTP_ADDRESS(bounds[LIMIT_HTTP].total));
	for (i = 0; i < LIMIT_NCLASSES; i++)
		bounds[i].address = least(bounds[i].address, bounds[i].total);
	/* Whoever is HALF is also TLS, so this many addresses at most. */
	nrows = bounds[LIMIT_TLS].total + bounds[LIMIT_SPDM].total +
	    bounds[LIMIT_HTTP].total;
	if ((table = calloc(nrows == 0 ? 1 : nrows, sizeof(*table))) == NULL)
		fatal("limit");
}

static struct limit *
find(const struct sockaddr_storage *from)
{
	size_t	i;

	for (i = 0; i < nused; i++)
		if (addr_same(&table[i].from, from))
			return &table[i];
	return NULL;
}

enum reason
limit_take(const struct sockaddr_storage *from, enum limit_class class,
    bool known)
{
	struct limit	*l = find(from);
	unsigned	 total = bounds[class].total;

	if (totals[class] >= (known ? total : total - KEPT(total)))
		return R_NET_TOTAL;
	if (l == NULL) {
		if (nused == nrows || bounds[class].address == 0)
			return R_NET_TOTAL;
		l = &table[nused++];
		memset(l, 0, sizeof(*l));
		l->from = *from;
	}
	if (l->count[class] >= bounds[class].address)
		return R_NET_PER_ADDRESS;
	l->count[class]++;
	totals[class]++;
	return R_OK;
}

void
limit_release(const struct sockaddr_storage *from, enum limit_class class)
{
	struct limit	*l = find(from);
	unsigned	 i;

	if (l == NULL || l->count[class] == 0)
		fatalx("limit: released what was not taken");
	l->count[class]--;
	totals[class]--;
	for (i = 0; i < LIMIT_NCLASSES; i++)
		if (l->count[i] != 0)
			return;
	nused--;
	if (l != &table[nused])
		*l = table[nused];
}

unsigned
limit_total(enum limit_class class)
{
	return totals[class];
}

void
limit_free(void)
{
	free(table);
	table = NULL;
	nused = nrows = 0;
	memset(totals, 0, sizeof(totals));
}
