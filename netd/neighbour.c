/*
 * Who was heard over LLDP: a bounded table, one row for each chassis and
 * port, aged by the time to live that its sender gave (IEEE 802.1AB-2016,
 * 9.1 and 9.2). All of it is claims of whoever is on the cable. A full table
 * refuses the newcomer, unless a row was not heard of for long: else a burst
 * of strangers with a great time to live would shut the others out for hours.
 * Whoever claims the address of a trusted peer takes a stranger's row, up to
 * half of the table: strangers who keep theirs fresh cannot shut him out.
 * News is let through no faster than policyd can be expected to follow.
 */
#include <stdlib.h>
#include <string.h>

#include "lldp.h"

/*
 * News are rows that come or change. A burst is a whole table; after that,
 * one a second. A repeated LLDPDU that changes nothing is free.
 */
#define NEWS_BURST	NEIGHBOUR_MAX
#define KNOWN_BURST	16	/* the same, of known ones */
#define KNOWN_MAX	(NEIGHBOUR_MAX / 2)
#define NEWS_EVERY	1000	/* ms for each */
#define REPORT_EVERY	1000	/* ms between two reports of one row */
#define STALE		120000	/* ms; four intervals of 30 s, the default */

static const struct neighbour_ops	*ops;
static struct neighbour			*table;	/* NEIGHBOUR_MAX rows */
static unsigned				 nused;	/* the first nused are in use */
static uint32_t				 last_id;
static struct news {
	unsigned	left;		/* that may still come now */
	unsigned	burst;
	uint64_t	at;		/* ms; last refill */
} of_strangers, of_known;

static struct neighbour *
find(const struct lldpdu *p)
{
	unsigned	i;

	for (i = 0; i < nused; i++)
		if (lldp_id_same(&table[i].pdu.chassis, &p->chassis) &&
		    lldp_id_same(&table[i].pdu.port, &p->port))
			return &table[i];
	return NULL;
}

static bool
known(const struct lldpdu *p)
{
	return ops->known != NULL && ops->known(p);
}

static void
refill(struct news *w, uint64_t now)
{
	uint64_t	n = (now - w->at) / NEWS_EVERY;

	if (n >= w->burst - w->left) {
		w->left = w->burst;
		w->at = now;
		return;
	}
	w->left += (unsigned)n;
	w->at += n * NEWS_EVERY;
}

/* Strangers use up their own. */
static bool
take_news(const struct lldpdu *p, uint64_t now)
{
	struct news	*w = known(p) ? &of_known : &of_strangers;

	refill(w, now);
	if (w->left == 0)
		return false;
	w->left--;
	return true;
}

static void
report(struct neighbour *n, uint64_t now)
{
	n->reported = now;
	n->dirty = false;
	ops->heard(n);
}

/* The last row takes the place of the one that goes. */
static void
drop(struct neighbour *n)
{
	uint32_t	id = n->id;

	nused--;
	if (n != &table[nused])
		*n = table[nused];
	ops->gone(id);
}

/* Would policyd be told anything else than before? */
static bool
same(const struct lldpdu *a, const struct lldpdu *b)
{
	return a->ttl == b->ttl &&
	    strcmp(a->system_name, b->system_name) == 0 &&
	    a->naddr4 == b->naddr4 && a->naddr6 == b->naddr6 &&
	    memcmp(a->addr4, b->addr4, a->naddr4 * sizeof(a->addr4[0])) == 0 &&
	    memcmp(a->addr6, b->addr6, a->naddr6 * sizeof(a->addr6[0])) == 0;
}

static void
set(struct neighbour *n, const struct lldpdu *p, uint64_t now)
{
	n->pdu = *p;
	n->heard = now;
	n->expires = now + p->ttl * 1000ULL;
}

/* The row that was heard of longest ago, if that is too long; or NULL. */
static struct neighbour *
stale(uint64_t now)
{
	struct neighbour	*n = &table[0];
	unsigned		 i;

	for (i = 1; i < nused; i++)
		if (table[i].heard < n->heard)
			n = &table[i];
	return now - n->heard >= STALE ? n : NULL;
}

/* The stranger heard of longest ago, if less than half are known; or NULL. */
static struct neighbour *
stranger(void)
{
	struct neighbour	*n = NULL;
	unsigned		 i, nknown = 0;

	for (i = 0; i < nused; i++) {
		if (known(&table[i].pdu))
			nknown++;
		else if (n == NULL || table[i].heard < n->heard)
			n = &table[i];
	}
	return nknown < KNOWN_MAX ? n : NULL;
}

static enum reason
enter(const struct lldpdu *p, uint64_t now)
{
	struct neighbour	*n = NULL;

	if (nused == NEIGHBOUR_MAX && (n = stale(now)) == NULL &&
	    (!known(p) || (n = stranger()) == NULL))
		return R_LLD_TABLE;
	if (!take_news(p, now))
		return R_LLD_RATE;
	if (n != NULL)
		drop(n);
	n = &table[nused++];
	memset(n, 0, sizeof(*n));
	n->id = ++last_id;
	set(n, p, now);
	report(n, now);
	ops->fresh();
	return R_OK;
}

int
neighbour_init(const struct neighbour_ops *o)
{
	neighbour_free();
	if ((table = calloc(NEIGHBOUR_MAX, sizeof(*table))) == NULL)
		return -1;
	ops = o;
	of_strangers = (struct news){ NEWS_BURST, NEWS_BURST, 0 };
	of_known = (struct news){ KNOWN_BURST, KNOWN_BURST, 0 };
	return 0;
}

enum reason
neighbour_heard(const struct lldpdu *p, uint64_t now)
{
	struct neighbour	*n = find(p);

	if (n == NULL)
		return p->ttl == 0 ? R_OK : enter(p, now);
	if (p->ttl == 0) {
		drop(n);
		return R_OK;
	}
	if (!same(&n->pdu, p))
		n->dirty = true;
	set(n, p, now);
	if (n->dirty && now - n->reported >= REPORT_EVERY &&
	    take_news(&n->pdu, now))
		report(n, now);
	return R_OK;
}

void
neighbour_sweep(uint64_t now)
{
	unsigned	i = 0;

	while (i < nused) {
		if (table[i].expires <= now) {
			drop(&table[i]);
			continue;
		}
		if (table[i].dirty && now - table[i].reported >= REPORT_EVERY &&
		    take_news(&table[i].pdu, now))
			report(&table[i], now);
		i++;
	}
}

void
neighbour_each(void (*fn)(const struct neighbour *))
{
	unsigned	i;

	for (i = 0; i < nused; i++)
		fn(&table[i]);
}

unsigned
neighbour_count(void)
{
	return nused;
}

void
neighbour_free(void)
{
	free(table);
	table = NULL;
	nused = 0;
}
