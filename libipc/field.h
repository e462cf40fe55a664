/*
 * The field tables, for the codec and for the tools and tests that walk the
 * whole catalogue. A daemon has no use for them.
 */
#ifndef FIELD_H
#define FIELD_H

#include "ipc.h"

enum field_kind { F_U32, F_U64, F_I64, F_FLAG, F_STR, F_BLOB };

struct field {
	const char	*name;
	enum field_kind	 kind;
	uint64_t	 bound;
	size_t		 offset;	/* in struct msg_X */
};

/* What a BLOB field looks like in every struct. */
struct field_blob {
	uint32_t	 len;
	uint8_t		 data[];
};

bool	ipc_known(uint32_t type);
/* The fields of a message; *n may become 0. */
const struct field *ipc_fields(enum ipc_type, size_t *n);
const char *ipc_text(enum ipc_type);	/* what it says, for a person */
/* The key of a STATE: its first field. */
uint32_t ipc_state_key(enum ipc_type, const void *msg);
/* Valid UTF-8 (RFC 3629) without NUL. */
bool	ipc_utf8(const char *, size_t len);

#endif
