/*
 * The codec: one walk over a message's field table. Writing is msgpack-c's
 * packer, which emits shortest forms only; reading is strict, because
 * msgpack-c accepts what no peer of ours may send.
 */
#include <sys/types.h>

#include <msgpack.h>
#include <string.h>

#include "field.h"
#include "ipc_catalogue.h"

#define NITEMS(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(role)	(1U << (role))

#define ROLES_POLICYD	BIT(IPC_POLICYD)
#define ROLES_KEYD	BIT(IPC_KEYD)
#define ROLES_NETD	BIT(IPC_NETD)
#define ROLES_ATTESTQ	BIT(IPC_ATTESTQ)
#define ROLES_ATTESTR	BIT(IPC_ATTESTR)
#define ROLES_ENROLD	BIT(IPC_ENROLD)
#define ROLES_BUSD	BIT(IPC_BUSD)
#define ROLES_PROVCTL	BIT(IPC_PROVCTL)
#define ROLES_ATTESTDS	(ROLES_ATTESTQ | ROLES_ATTESTR)
/* Those whose TLS is signed by keyd. */
#define ROLES_TLSDS	(ROLES_NETD | ROLES_ENROLD)
/* Those who may have heard of a neighbour; the configuration names one. */
#define ROLES_HEARERS	(ROLES_NETD | ROLES_BUSD)
/* Those who greet policyd; links among them begin with LINK_HELLO. */
#define ROLES_DAEMONS	(ROLES_KEYD | ROLES_TLSDS | ROLES_ATTESTDS | \
			 ROLES_BUSD)
#define ROLES_ANYONE	(BIT(IPC_NROLES) - 1)

#define PHASES_START	BIT(IPC_START)
#define PHASES_RUN	BIT(IPC_RUN)
#define PHASES_ANYTIME	(PHASES_START | PHASES_RUN)

#define TAKES_FD	true
#define TAKES_NOFD	false

#define LINK(a, b, window)
#define ANSWER(call, reply)

/* ---- fields: one table a message ---- */

#define MSG(NAME, name, kind, from, to, phase, fd, text)		\
	static const struct field fields_##name[] = {
#define FIELD(name, kind, field, bound)					\
	{ #field, F_##kind, bound, offsetof(struct msg_##name, field) },
#define END(name)	};
#include "messages.def"
#undef MSG
#undef FIELD
#undef END

#define FIELD(name, kind, field, bound)
#define END(name)

/* ---- messages ---- */

struct message {
	const char	*name;
	const char	*text;
	const struct field *fields;
	size_t		 nfields;
	size_t		 size;
	enum ipc_kind	 kind;
	unsigned	 from, to;	/* role masks */
	unsigned	 phases;
	bool		 fd;
};

static const struct message messages[MSG_COUNT] = {
#define MSG(NAME, mname, mkind, mfrom, mto, mphase, mfd, mtext)		\
	[MSG_##NAME] = { #NAME, mtext, fields_##mname,			\
	    NITEMS(fields_##mname), sizeof(struct msg_##mname),		\
	    IPC_##mkind, ROLES_##mfrom, ROLES_##mto, PHASES_##mphase,	\
	    TAKES_##mfd },
#include "messages.def"
#undef MSG
};

#undef LINK
#undef ANSWER

static const struct {
	enum ipc_type	call, reply;
} answers[] = {
#define LINK(a, b, window)
#define MSG(NAME, name, kind, from, to, phase, fd, text)
#define ANSWER(C, R)	{ MSG_##C, MSG_##R },
#include "messages.def"
#undef LINK
#undef ANSWER
};

static const struct {
	enum ipc_role	a, b;
	unsigned	window;
} links[] = {
#define LINK(A, B, w)	{ IPC_##A, IPC_##B, w },
#define ANSWER(call, reply)
#include "messages.def"
#undef LINK
#undef MSG
#undef FIELD
#undef END
#undef ANSWER
};

static const uint8_t catalogue[] = { IPC_CATALOGUE };

static const char *const role_names[IPC_NROLES] = {
	"policyd", "keyd", "netd", "attestd-q", "attestd-r",
	"enrold", "busd", "provctl"
};

/* ---- what the catalogue says ---- */

bool
ipc_known(uint32_t type)
{
	return type > MSG_NONE && type < MSG_COUNT;
}

const struct field *
ipc_fields(enum ipc_type type, size_t *n)
{
	*n = messages[type].nfields;
	return messages[type].fields;
}

size_t
ipc_size(enum ipc_type type)
{
	return messages[type].size;
}

const char *
ipc_name(enum ipc_type type)
{
	return ipc_known(type) ? messages[type].name : "unknown";
}

const char *
ipc_text(enum ipc_type type)
{
	return messages[type].text;
}

const char *
ipc_role_name(enum ipc_role role)
{
	return (unsigned)role < IPC_NROLES ? role_names[role] : "unknown";
}

enum ipc_kind
ipc_kind(enum ipc_type type)
{
	return messages[type].kind;
}

bool
ipc_takes_fd(enum ipc_type type)
{
	return messages[type].fd;
}

unsigned
ipc_window(enum ipc_role x, enum ipc_role y)
{
	size_t	i;

	for (i = 0; i < NITEMS(links); i++) {
		if ((links[i].a == x && links[i].b == y) ||
		    (links[i].a == y && links[i].b == x))
			return links[i].window;
	}
	return 0;
}

bool
ipc_route(enum ipc_type type, enum ipc_role from, enum ipc_role to,
    enum ipc_phase phase)
{
	const struct message	*m;

	if (!ipc_known(type))
		return false;
	m = &messages[type];
	return (m->from & BIT(from)) != 0 && (m->to & BIT(to)) != 0 &&
	    (m->phases & BIT(phase)) != 0 && ipc_window(from, to) != 0;
}

bool
ipc_answers(enum ipc_type call, enum ipc_type reply)
{
	size_t	i;

	if (!ipc_known(call) || messages[call].kind != IPC_CALL)
		return false;
	if (reply == MSG_REFUSED)
		return true;
	for (i = 0; i < NITEMS(answers); i++) {
		if (answers[i].call == call)
			return answers[i].reply == reply;
	}
	return reply == MSG_DONE;
}

const uint8_t *
ipc_catalogue(void)
{
	return catalogue;
}

uint32_t
ipc_state_key(enum ipc_type type, const void *msg)
{
	const struct field	*f = &messages[type].fields[0];

	return *(const uint32_t *)((const char *)msg + f->offset);
}

/* ---- filling fields ---- */

bool
ipc_utf8(const char *s, size_t len)
{
	const uint8_t	*p = (const uint8_t *)s, *end = p + len;
	uint32_t	 c, least;
	int		 more;

	while (p < end) {
		c = *p++;
		if (c == 0)
			return false;
		if (c < 0x80)
			continue;
		if (c >= 0xc2 && c <= 0xdf) {
			more = 1;
			least = 0x80;
			c &= 0x1f;
		} else if (c >= 0xe0 && c <= 0xef) {
			more = 2;
			least = 0x800;
			c &= 0x0f;
		} else if (c >= 0xf0 && c <= 0xf4) {
			more = 3;
			least = 0x10000;
			c &= 0x07;
		} else
			return false;
		for (; more > 0; more--) {
			if (p == end || (*p & 0xc0) != 0x80)
				return false;
			c = c << 6 | (*p++ & 0x3f);
		}
		if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
	}
	return true;
}

int
ipc_set_str(char *field, size_t size, const char *s)
{
	size_t	len = strlen(s);

	memset(field, 0, size);
	if (len >= size || !ipc_utf8(s, len))
		return -1;
	memcpy(field, s, len);
	return 0;
}

int
ipc_set_blob(uint32_t *len, uint8_t *data, size_t size, const void *p, size_t n)
{
	*len = 0;
	if (n > size)
		return -1;
	if (n > 0)
		memcpy(data, p, n);
	*len = (uint32_t)n;
	return 0;
}

/* ---- writing ---- */

struct writer {
	uint8_t	*buf;
	size_t	 size, len;
};

static int
writer_put(void *arg, const char *p, size_t n)
{
	struct writer	*w = arg;

	if (n > w->size - w->len)
		return -1;
	memcpy(w->buf + w->len, p, n);
	w->len += n;
	return 0;
}

static int
put_str(msgpack_packer *pk, const char *s, uint64_t bound)
{
	size_t	len = strnlen(s, (size_t)bound + 1);

	if (len > bound || !ipc_utf8(s, len))
		return -1;
	if (msgpack_pack_str(pk, len) != 0)
		return -1;
	return len == 0 ? 0 : msgpack_pack_str_body(pk, s, len);
}

static int
put_blob(msgpack_packer *pk, const struct field_blob *b, uint64_t bound)
{
	if (b->len > bound)
		return -1;
	if (msgpack_pack_bin(pk, b->len) != 0)
		return -1;
	return b->len == 0 ? 0 : msgpack_pack_bin_body(pk, b->data, b->len);
}

static int
put_u64(msgpack_packer *pk, uint64_t v, uint64_t bound)
{
	return v > bound ? -1 : msgpack_pack_uint64(pk, v);
}

static int
put_i64(msgpack_packer *pk, int64_t v, uint64_t bound)
{
	if (v > (int64_t)bound || v < -(int64_t)bound)
		return -1;
	return msgpack_pack_int64(pk, v);
}

static int
put_field(msgpack_packer *pk, const struct field *f, const void *p)
{
	switch (f->kind) {
	case F_U32:
		return put_u64(pk, *(const uint32_t *)p, f->bound);
	case F_U64:
		return put_u64(pk, *(const uint64_t *)p, f->bound);
	case F_I64:
		return put_i64(pk, *(const int64_t *)p, f->bound);
	case F_FLAG:
		return *(const bool *)p ? msgpack_pack_true(pk) :
		    msgpack_pack_false(pk);
	case F_STR:
		return put_str(pk, p, f->bound);
	case F_BLOB:
		return put_blob(pk, p, f->bound);
	}
	return -1;
}

/* Calls and replies are numbered from 1; what wants no answer has no number. */
static bool
id_ok(enum ipc_type type, uint32_t id)
{
	return (id != 0) == (messages[type].kind == IPC_CALL ||
	    messages[type].kind == IPC_REPLY);
}

int
ipc_encode(enum ipc_type type, uint32_t id, const void *msg, uint8_t *buf,
    size_t size, size_t *len)
{
	const struct message	*m;
	struct writer		 w = { buf, size, 0 };
	msgpack_packer		 pk;
	size_t			 i;

	if (!ipc_known(type) || !id_ok(type, id))
		return -1;
	m = &messages[type];
	msgpack_packer_init(&pk, &w, writer_put);
	if (msgpack_pack_array(&pk, m->nfields + 2) != 0 ||
	    msgpack_pack_uint32(&pk, type) != 0 ||
	    msgpack_pack_uint32(&pk, id) != 0)
		return -1;
	for (i = 0; i < m->nfields; i++) {
		if (put_field(&pk, &m->fields[i],
		    (const char *)msg + m->fields[i].offset) != 0)
			return -1;
	}
	*len = w.len;
	return 0;
}

/* ---- reading ---- */

enum form { IS_UINT, IS_NEGATIVE, IS_BOOL, IS_STR, IS_BIN, IS_ARRAY };

struct reader {
	const uint8_t	*p, *end;
};

/* An object's first bytes: its form, and its value, length or count. */
struct head {
	enum form	form;
	uint64_t	v;		/* two's complement if IS_NEGATIVE */
};

/* How the forms with a size of their own are spelled (msgpack, "Formats"). */
static const struct {
	uint8_t		lead;
	enum form	form;
	uint8_t		bytes;
	uint64_t	least;		/* smaller values have a shorter form */
} wide[] = {
	{ 0xc4, IS_BIN,   1, 0 },
	{ 0xc5, IS_BIN,   2, 0x100 },
	{ 0xc6, IS_BIN,   4, 0x10000 },
	{ 0xcc, IS_UINT,  1, 0x80 },
	{ 0xcd, IS_UINT,  2, 0x100 },
	{ 0xce, IS_UINT,  4, 0x10000 },
	{ 0xcf, IS_UINT,  8, 0x100000000 },
	{ 0xd0, IS_NEGATIVE, 1, 0x21 },
	{ 0xd1, IS_NEGATIVE, 2, 0x81 },
	{ 0xd2, IS_NEGATIVE, 4, 0x8001 },
	{ 0xd3, IS_NEGATIVE, 8, 0x80000001 },
	{ 0xd9, IS_STR,   1, 0x20 },
	{ 0xda, IS_STR,   2, 0x100 },
	{ 0xdb, IS_STR,   4, 0x10000 },
	{ 0xdc, IS_ARRAY, 2, 0x10 },
	{ 0xdd, IS_ARRAY, 4, 0x10000 },
};

static int
read_wide(struct reader *r, uint8_t lead, struct head *h)
{
	uint64_t	v = 0, magnitude;
	size_t		i;
	unsigned	b;

	for (i = 0; i < NITEMS(wide); i++) {
		if (wide[i].lead == lead)
			break;
	}
	if (i == NITEMS(wide) || r->end - r->p < wide[i].bytes)
		return -1;
	for (b = 0; b < wide[i].bytes; b++)
		v = v << 8 | *r->p++;
	h->form = wide[i].form;
	magnitude = v;
	if (h->form == IS_NEGATIVE) {
		/* A signed form is canonical for negative numbers only. */
		if ((v >> (8 * wide[i].bytes - 1)) == 0)
			return -1;
		if (wide[i].bytes < 8)
			v |= UINT64_MAX << (8 * wide[i].bytes);
		magnitude = -v;
	}
	h->v = v;
	return magnitude < wide[i].least ? -1 : 0;
}

static int
read_head(struct reader *r, struct head *h)
{
	uint8_t	lead;

	if (r->p == r->end)
		return -1;
	lead = *r->p++;
	if (lead <= 0x7f) {
		h->form = IS_UINT;
		h->v = lead;
	} else if (lead >= 0x90 && lead <= 0x9f) {
		h->form = IS_ARRAY;
		h->v = lead & 0x0f;
	} else if (lead >= 0xa0 && lead <= 0xbf) {
		h->form = IS_STR;
		h->v = lead & 0x1f;
	} else if (lead == 0xc2 || lead == 0xc3) {
		h->form = IS_BOOL;
		h->v = lead & 1;
	} else if (lead >= 0xe0) {
		h->form = IS_NEGATIVE;
		h->v = UINT64_MAX << 8 | lead;
	} else
		return read_wide(r, lead, h);
	return 0;
}

/* The head of an object of this form with a value within the bound. */
static int
get(struct reader *r, enum form form, uint64_t bound, uint64_t *v)
{
	struct head	h;

	if (read_head(r, &h) == -1 || h.form != form || h.v > bound)
		return -1;
	*v = h.v;
	return 0;
}

static int
get_i64(struct reader *r, uint64_t bound, int64_t *v)
{
	struct head	h;

	if (read_head(r, &h) == -1)
		return -1;
	if (h.form == IS_UINT && h.v <= bound && h.v <= INT64_MAX)
		*v = (int64_t)h.v;
	else if (h.form == IS_NEGATIVE && -h.v <= bound)
		*v = (int64_t)h.v;
	else
		return -1;
	return 0;
}

/* The bytes of a string or a blob, bounded; NULL if they are not there. */
static const uint8_t *
get_bytes(struct reader *r, enum form form, uint64_t bound, size_t *len)
{
	const uint8_t	*p;
	uint64_t	 n;

	if (get(r, form, bound, &n) == -1 || n > (size_t)(r->end - r->p))
		return NULL;
	p = r->p;
	r->p += n;
	*len = (size_t)n;
	return p;
}

static int
get_str(struct reader *r, uint64_t bound, char *s)
{
	const uint8_t	*p;
	size_t		 len;

	if ((p = get_bytes(r, IS_STR, bound, &len)) == NULL ||
	    !ipc_utf8((const char *)p, len))
		return -1;
	memcpy(s, p, len);
	s[len] = '\0';
	return 0;
}

static int
get_blob(struct reader *r, uint64_t bound, struct field_blob *b)
{
	const uint8_t	*p;
	size_t		 len;

	if ((p = get_bytes(r, IS_BIN, bound, &len)) == NULL)
		return -1;
	memcpy(b->data, p, len);
	b->len = (uint32_t)len;
	return 0;
}

static int
get_field(struct reader *r, const struct field *f, void *p)
{
	uint64_t	v;

	switch (f->kind) {
	case F_U32:
		if (get(r, IS_UINT, f->bound, &v) == -1)
			return -1;
		*(uint32_t *)p = (uint32_t)v;
		return 0;
	case F_U64:
		return get(r, IS_UINT, f->bound, p);
	case F_I64:
		return get_i64(r, f->bound, p);
	case F_FLAG:
		if (get(r, IS_BOOL, 1, &v) == -1)
			return -1;
		*(bool *)p = v != 0;
		return 0;
	case F_STR:
		return get_str(r, f->bound, p);
	case F_BLOB:
		return get_blob(r, f->bound, p);
	}
	return -1;
}

/* [type, id ...: the part that every record has. */
static int
read_start(struct reader *r, uint64_t *count, enum ipc_type *type, uint32_t *id)
{
	uint64_t	t, n;

	if (get(r, IS_ARRAY, UINT16_MAX, count) == -1 ||
	    get(r, IS_UINT, UINT16_MAX, &t) == -1 || !ipc_known((uint32_t)t) ||
	    get(r, IS_UINT, UINT32_MAX, &n) == -1 ||
	    !id_ok((enum ipc_type)t, (uint32_t)n))
		return -1;
	*type = (enum ipc_type)t;
	*id = (uint32_t)n;
	return 0;
}

int
ipc_peek(const uint8_t *buf, size_t len, enum ipc_type *type, uint32_t *id)
{
	struct reader	r = { buf, buf + len };
	uint64_t	count;

	return read_start(&r, &count, type, id);
}

int
ipc_decode(enum ipc_type type, const uint8_t *buf, size_t len, void *msg)
{
	struct reader		 r = { buf, buf + len };
	const struct message	*m;
	enum ipc_type		 seen;
	uint64_t		 count;
	uint32_t		 id;
	size_t			 i;

	if (read_start(&r, &count, &seen, &id) == -1 || seen != type)
		return -1;
	m = &messages[type];
	if (count != m->nfields + 2)
		return -1;
	if (m->size > 0)
		memset(msg, 0, m->size);
	for (i = 0; i < m->nfields; i++) {
		if (get_field(&r, &m->fields[i],
		    (char *)msg + m->fields[i].offset) == -1)
			return -1;
	}
	return r.p == r.end ? 0 : -1;
}
