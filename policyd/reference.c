/*
 * Lists of measurements: what was last seen of a peer, the baseline that it
 * was trusted with, what an operator proposed and what an operator accepted.
 */
#include <string.h>

#include "peer.h"

static void
measures_delete(const struct peer *p, enum measures_list list)
{
	static struct store_sql	 sql = STORE_SQL("DELETE FROM measures "
	    "WHERE peer = ? AND list = ?");
	sqlite3_stmt		*st = store_stmt(&sql);

	store_bind(st, "ii", (int64_t)p->id, (int64_t)list);
	store_write(st);
}

static void
measurement_insert(const struct peer *p, enum measures_list list,
    const struct measurement *m)
{
	static struct store_sql	 sql = STORE_SQL("INSERT INTO measurement "
	    "(peer, list, idx, type, raw, size, digest, value) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
	sqlite3_stmt		*st = store_stmt(&sql);

	store_bind(st, "iiiiiibb", (int64_t)p->id, (int64_t)list,
	    (int64_t)m->index, (int64_t)m->type, (int64_t)m->raw,
	    (int64_t)m->size, m->digest, (size_t)m->dlen, m->value,
	    (size_t)m->vlen);
	store_write(st);
}

/* Replace a list; an empty one is taken out. */
void
reference_save(const struct peer *p, enum measures_list list,
    const struct measures *l)
{
	static struct store_sql	 sql = STORE_SQL("INSERT INTO measures "
	    "(peer, list, time, ignored) VALUES (?, ?, ?, ?)");
	sqlite3_stmt		*st;
	unsigned		 i;

	measures_delete(p, list);
	if (l->n == 0)
		return;
	st = store_stmt(&sql);
	store_bind(st, "iiib", (int64_t)p->id, (int64_t)list,
	    (int64_t)l->time, l->ignored, sizeof(l->ignored));
	if (store_write(st) != R_OK)
		return;
	for (i = 0; i < l->n; i++)
		measurement_insert(p, list, &l->m[i]);
}

static struct measures *
list_of(struct peer *p, int64_t list)
{
	switch (list) {
	case LIST_SEEN:
		return &p->seen;
	case LIST_BASELINE:
		return p->ev != NULL ? &p->ev->measures : NULL;
	case LIST_PROPOSED:
		return &p->proposed;
	case LIST_ACCEPTED:
		return &p->accepted;
	}
	return NULL;
}

static void
load_measurements(void)
{
	static struct store_sql	 sql = STORE_SQL("SELECT peer, list, idx, "
	    "type, raw, size, digest, value FROM measurement");
	sqlite3_stmt		*st = store_stmt(&sql);
	struct measurement	*m;
	struct measures		*l;
	struct peer		*p;

	while (store_row(st) == 1) {
		p = peer_byid((uint32_t)sqlite3_column_int64(st, 0));
		if (p == NULL ||
		    (l = list_of(p, sqlite3_column_int64(st, 1))) == NULL)
			continue;
		m = measures_add(l, (unsigned)sqlite3_column_int(st, 2));
		if (m == NULL)
			continue;
		m->type = (uint8_t)sqlite3_column_int(st, 3);
		m->raw = sqlite3_column_int(st, 4) != 0;
		m->size = (uint16_t)sqlite3_column_int(st, 5);
		m->dlen = (uint8_t)store_blob(st, 6, m->digest,
		    sizeof(m->digest));
		m->vlen = (uint8_t)store_blob(st, 7, m->value,
		    sizeof(m->value));
		if (l == (p->ev != NULL ? &p->ev->measures : NULL))
			p->ev->have |= HAVE_MEASURED;
	}
}

void
reference_load(void)
{
	static struct store_sql	 sql = STORE_SQL("SELECT peer, list, time, "
	    "ignored FROM measures");
	sqlite3_stmt		*st = store_stmt(&sql);
	struct measures		*l;
	struct peer		*p;

	while (store_row(st) == 1) {
		p = peer_byid((uint32_t)sqlite3_column_int64(st, 0));
		if (p == NULL ||
		    (l = list_of(p, sqlite3_column_int64(st, 1))) == NULL)
			continue;
		l->time = (uint64_t)sqlite3_column_int64(st, 2);
		store_blob(st, 3, l->ignored, sizeof(l->ignored));
	}
	load_measurements();
}

/* ---- what the operator does --------------------------------------------- */

enum reason
reference_learn(struct peer *p)
{
	if (p->seen.n == 0)
		return R_POL_NOT_ATTESTED;
	measures_copy(&p->proposed, &p->seen);
	reference_save(p, LIST_PROPOSED, &p->proposed);
	return R_OK;
}

static bool
measures_equal(const struct measures *a, const struct measures *b)
{
	unsigned	i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (a->m[i].index != b->m[i].index ||
		    measurement_judge(&a->m[i], b) == J_DIFFERS)
			return false;
	return true;
}

/*
 * The operator accepts what was shown: a proposal that a later attestation
 * contradicts is not accepted in passing.
 */
enum reason
reference_accept(struct peer *p)
{
	static const struct measures none;

	if (p->proposed.n == 0)
		return R_POL_NO_PROPOSAL;
	if (p->seen.n > 0 && !measures_equal(&p->proposed, &p->seen))
		return R_POL_SEEN_CHANGED;
	measures_copy(&p->accepted, &p->proposed);
	measures_clear(&p->proposed);
	reference_save(p, LIST_ACCEPTED, &p->accepted);
	reference_save(p, LIST_PROPOSED, &none);
	return R_OK;
}
