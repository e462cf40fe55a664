/*
 * Values for every field of every message: the codec's test walks them, and
 * regress/tools/msgdoc writes the fuzzers' seeds from them.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <string.h>

#include "field.h"

enum sample { SAMPLE_LEAST, SAMPLE_TYPICAL, SAMPLE_MOST, SAMPLE_KINDS };

static inline void
sample_bytes(uint8_t *p, size_t len)
{
	size_t	i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 37 + len);
}

static inline void
sample_text(char *s, size_t len)
{
	size_t	i;

	for (i = 0; i < len; i++)
		s[i] = "0123456789abcdef"[i % 16];
	s[len] = '\0';
}

static inline uint64_t
sample_number(uint64_t bound, enum sample how)
{
	if (how == SAMPLE_MOST)
		return bound;
	if (how == SAMPLE_LEAST)
		return 0;
	/* the same when a list that a bound counts grows */
	return bound < 7 ? bound : bound < 300 ? 7 : 300;
}

static inline void
sample_field(const struct field *f, void *msg, enum sample how)
{
	char			*p = (char *)msg + f->offset;
	struct field_blob	*b = (struct field_blob *)p;
	uint64_t		 v = sample_number(f->bound, how);

	switch (f->kind) {
	case F_U32:
		*(uint32_t *)p = (uint32_t)v;
		break;
	case F_U64:
		*(uint64_t *)p = v;
		break;
	case F_I64:
		*(int64_t *)p = -(int64_t)v;
		break;
	case F_FLAG:
		*(bool *)p = how != SAMPLE_LEAST;
		break;
	case F_STR:
		sample_text(p, how == SAMPLE_TYPICAL && v > 40 ? 40 : v);
		break;
	case F_BLOB:
		b->len = (uint32_t)v;
		sample_bytes(b->data, b->len);
		break;
	}
}

static inline void
sample_fill(enum ipc_type type, void *msg, enum sample how)
{
	const struct field	*f;
	size_t			 i, n;

	memset(msg, 0, ipc_size(type));
	f = ipc_fields(type, &n);
	for (i = 0; i < n; i++)
		sample_field(&f[i], msg, how);
}

/* A number that records of this type may carry. */
static inline uint32_t
sample_id(enum ipc_type type)
{
	return ipc_kind(type) == IPC_CALL || ipc_kind(type) == IPC_REPLY ?
	    300 : 0;
}

#endif
