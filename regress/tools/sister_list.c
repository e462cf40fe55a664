/*
 * The attempts, generated from messages.def by the preprocessor: who may say
 * what is taken from the catalogue anew here, so that this and libipc/codec.c
 * must come to the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "sister.h"

#define BIT(x)		(1U << (x))
#define MAY_POLICYD	BIT(IPC_POLICYD)
#define MAY_KEYD	BIT(IPC_KEYD)
#define MAY_NETD	BIT(IPC_NETD)
#define MAY_ATTESTQ	BIT(IPC_ATTESTQ)
#define MAY_ATTESTR	BIT(IPC_ATTESTR)
#define MAY_ENROLD	BIT(IPC_ENROLD)
#define MAY_BUSD	BIT(IPC_BUSD)
#define MAY_PROVCTL	BIT(IPC_PROVCTL)
#define MAY_ATTESTDS	(MAY_ATTESTQ | MAY_ATTESTR)
#define MAY_TLSDS	(MAY_NETD | MAY_ENROLD)
#define MAY_HEARERS	(MAY_NETD | MAY_BUSD)
#define MAY_DAEMONS	(MAY_KEYD | MAY_TLSDS | MAY_ATTESTDS | MAY_BUSD)
#define MAY_ANYONE	(MAY_POLICYD | MAY_DAEMONS | MAY_PROVCTL)
#define IN_START	BIT(IPC_START)
#define IN_RUN		BIT(IPC_RUN)
#define IN_ANYTIME	(IN_START | IN_RUN)
#define WITH_FD		true
#define WITH_NOFD	false

static const struct word {
	unsigned	 from, to, phases;
	enum ipc_kind	 kind;
	bool		 fd;
} words[] = {
	{ 0, 0, 0, IPC_EVENT, false },		/* MSG_NONE */
#define LINK(a, b, window)
#define FIELD(name, kind, field, bound)
#define END(name)
#define ANSWER(call, reply)
#define MSG(NAME, name, kind, from, to, phase, fd, text)		\
	{ MAY_##from, MAY_##to, IN_##phase, IPC_##kind, WITH_##fd },
#include "messages.def"
#undef LINK
#undef MSG
#undef FIELD
#undef END
#undef ANSWER
};

static const char *const hows[] = {
	"plain", "with a descriptor", "without its descriptor",
	"with two descriptors", "cut short", "with a byte more",
	"with a field less", "with a field more", "not in the shortest form",
	"numbered wrongly", "out of bound", "of another kind", "no UTF-8",
	"a NUL inside", "no msgpack", "no type of the catalogue",
	"longer than a record", "no array"
};

/* ---- what must come of each ---- */

/* R_OK: it may be said, and its handler decides. */
static enum reason
expected(const struct attempt *a)
{
	const struct word	*w = &words[a->type];

	if (a->how >= HOW_GARBAGE)
		return R_IPC_FORM;
	if ((w->from & BIT(a->from)) == 0 || (w->to & BIT(a->to)) == 0)
		return R_IPC_ROUTE;
	if ((w->phases & BIT(a->phase)) == 0)
		return R_IPC_PHASE;
	switch (a->how) {
	case HOW_PLAIN:
		/* Nobody called: an answer answers nothing. */
		return w->kind == IPC_REPLY ? R_IPC_REPLY : R_OK;
	case HOW_FD:
	case HOW_NO_FD:
	case HOW_TWO_FDS:
		return R_IPC_DESCRIPTOR;
	default:
		return R_IPC_FORM;
	}
}

/* The receiver can name the type once it has read so far. */
static unsigned
blamed(const struct attempt *a, size_t nfields)
{
	if (a->how >= HOW_GARBAGE || a->how == HOW_WIDE || a->how == HOW_NUMBER)
		return MSG_NONE;
	return a->how == HOW_SHORT && nfields == 0 ? MSG_NONE : a->type;
}

struct list {
	struct attempt	*a;
	size_t		 n, size;
};

static void
add(struct list *l, struct attempt a, size_t nfields)
{
	if ((a.reason = expected(&a)) == R_OK)
		return;
	a.blame = blamed(&a, nfields);
	if (l->n == l->size) {
		l->size = l->size * 2 + 64;
		l->a = reallocarray(l->a, l->size, sizeof(*l->a));
		if (l->a == NULL)
			abort();
	}
	l->a[l->n++] = a;
}

/* Of a field, what can be beyond its bound at all. */
static bool
has_bound(const struct field *f)
{
	return f->kind != F_FLAG && f->bound < UINT64_MAX &&
	    !(f->kind == F_I64 && f->bound == INT64_MAX);
}

/* A message that its sender may say, in every way that is wrong. */
static void
add_wrong(struct list *l, struct attempt a)
{
	static const enum how	always[] = { HOW_SHORT, HOW_LONG, HOW_FEWER,
	    HOW_MORE, HOW_WIDE, HOW_NUMBER };
	const struct field	*f;
	size_t			 i, n;

	f = ipc_fields(a.type, &n);
	for (i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
		a.how = always[i];
		add(l, a, n);
	}
	a.how = words[a.type].fd ? HOW_NO_FD : HOW_FD;
	add(l, a, n);
	a.how = HOW_TWO_FDS;
	add(l, a, n);
	for (i = 0; i < n; i++) {
		a.field = (unsigned)i;
		a.how = HOW_KIND;
		add(l, a, n);
		a.how = HOW_BOUND;
		if (has_bound(&f[i]))
			add(l, a, n);
		if (f[i].kind != F_STR)
			continue;
		a.how = HOW_UTF8;
		add(l, a, n);
		a.how = HOW_NUL;
		add(l, a, n);
	}
}

struct attempt *
attempts(enum ipc_role from, enum ipc_role to, enum ipc_phase phase, size_t *n)
{
	struct attempt	a = { .from = from, .to = to, .phase = phase };
	struct list	l = { 0 };
	int		h;

	for (a.type = MSG_NONE + 1; a.type < MSG_COUNT; a.type++) {
		a.how = HOW_PLAIN;
		add(&l, a, 0);
		/* Plain, it would have been heard. */
		if ((words[a.type].from & BIT(from)) != 0 &&
		    (words[a.type].to & BIT(to)) != 0 &&
		    (words[a.type].phases & BIT(phase)) != 0)
			add_wrong(&l, a);
	}
	a.type = MSG_NONE;
	for (h = HOW_GARBAGE; h <= HOW_NOT_ARRAY; h++) {
		a.how = (enum how)h;
		add(&l, a, 0);
	}
	*n = l.n;
	return l.a;
}

/* ---- the records ---- */

struct out {
	uint8_t	*p;
	size_t	 n;
};

static void
put(struct out *o, unsigned byte)
{
	o->p[o->n++] = (uint8_t)byte;
}

/* A lead byte and a big-endian number of so many bytes. */
static void
put_wide(struct out *o, unsigned lead, uint64_t v, unsigned bytes)
{
	put(o, lead);
	while (bytes-- > 0)
		put(o, (unsigned)(v >> (8 * bytes)) & 0xff);
}

static void
put_uint(struct out *o, uint64_t v)
{
	if (v < 0x80)
		put(o, (unsigned)v);
	else if (v < 0x100)
		put_wide(o, 0xcc, v, 1);
	else if (v < 0x10000)
		put_wide(o, 0xcd, v, 2);
	else if (v < 0x100000000)
		put_wide(o, 0xce, v, 4);
	else
		put_wide(o, 0xcf, v, 8);
}

static void
put_bytes(struct out *o, bool str, size_t n, int fill)
{
	if (str && n < 32)
		put(o, 0xa0 | (unsigned)n);
	else if (n < 0x100)
		put_wide(o, str ? 0xd9 : 0xc4, n, 1);
	else if (n < 0x10000)
		put_wide(o, str ? 0xda : 0xc5, n, 2);
	else
		put_wide(o, str ? 0xdb : 0xc6, n, 4);
	memset(o->p + o->n, fill, n);
	o->n += n;
}

/* Zero, or nothing. */
static void
put_least(struct out *o, const struct field *f)
{
	switch (f->kind) {
	case F_FLAG:
		put(o, 0xc2);
		break;
	case F_STR:
		put(o, 0xa0);
		break;
	case F_BLOB:
		put_bytes(o, false, 0, 0);
		break;
	case F_U32:
	case F_U64:
	case F_I64:
		put(o, 0);
		break;
	}
}

static void
put_wrong(struct out *o, const struct field *f, enum how how)
{
	if (how == HOW_KIND)
		put(o, 0xc0);			/* nil */
	else if (how == HOW_UTF8)
		put_bytes(o, true, 1, 0xff);
	else if (how == HOW_NUL)
		put_bytes(o, true, 1, 0);
	else if (f->kind == F_STR || f->kind == F_BLOB)
		put_bytes(o, f->kind == F_STR, f->bound + 1, 'x');
	else
		put_uint(o, f->bound + 1);
}

static void
put_head(struct out *o, const struct attempt *a, size_t count)
{
	bool	number = words[a->type].kind == IPC_CALL ||
	    words[a->type].kind == IPC_REPLY;

	if (a->how == HOW_WIDE || count > 15)
		put_wide(o, 0xdc, count, 2);
	else
		put(o, 0x90 | (unsigned)count);
	/* ... of a count that needs those two bytes: the type is too wide. */
	if (a->how == HOW_WIDE && count > 15)
		put_wide(o, 0xce, a->type, 4);
	else
		put_uint(o, a->type);
	put_uint(o, number != (a->how == HOW_NUMBER) ? 1 : 0);
}

/* What is no message. */
static size_t
nothing(const struct attempt *a, struct out *o)
{
	switch (a->how) {
	case HOW_UNKNOWN:
		put(o, 0x92);
		put_uint(o, MSG_COUNT);
		put(o, 0);
		break;
	case HOW_HUGE:
		memset(o->p, 0x92, IPC_MAX_RECORD + 1);
		o->n = IPC_MAX_RECORD + 1;
		break;
	case HOW_NOT_ARRAY:
		put(o, 1);
		break;
	default:
		put(o, 0xc1);		/* never used in msgpack */
		break;
	}
	return o->n;
}

size_t
attempt_record(const struct attempt *a, uint8_t *buf)
{
	struct out		 o = { buf, 0 };
	const struct field	*f;
	size_t			 i, n;

	if (a->how >= HOW_GARBAGE)
		return nothing(a, &o);
	f = ipc_fields(a->type, &n);
	put_head(&o, a, n + 2 + (a->how == HOW_MORE) - (a->how == HOW_FEWER));
	for (i = 0; i < n; i++) {
		if (a->how >= HOW_BOUND && a->field == i)
			put_wrong(&o, &f[i], a->how);
		else
			put_least(&o, &f[i]);
	}
	if (a->how == HOW_MORE || a->how == HOW_LONG)
		put(&o, 0);
	return a->how == HOW_SHORT ? o.n - 1 : o.n;
}

unsigned
attempt_fds(const struct attempt *a)
{
	switch (a->how) {
	case HOW_FD:
		return 1;
	case HOW_NO_FD:
		return 0;
	case HOW_TWO_FDS:
		return 2;
	default:
		return words[a->type].fd ? 1 : 0;
	}
}

const char *
attempt_name(const struct attempt *a)
{
	static char	s[160];

	snprintf(s, sizeof(s), "%s > %s, %s: %s %s", ipc_role_name(a->from),
	    ipc_role_name(a->to), a->phase == IPC_RUN ? "run" : "start",
	    a->type == MSG_NONE ? "a record" : ipc_name(a->type), hows[a->how]);
	return s;
}

const char *
attempt_blame(const struct attempt *a)
{
	return a->blame == MSG_NONE ? "a record" :
	    ipc_name((enum ipc_type)a->blame);
}
