/*
 * The types that the preprocessor makes from messages.def: enum ipc_type
 * (MSG_HELLO, ...), struct msg_hello, ..., and a union that holds any of them.
 * Only ipc.h includes this file.
 */
#ifndef IPC_TYPES_H
#define IPC_TYPES_H

#define LINK(a, b, window)
#define FIELD(name, kind, field, bound)
#define END(name)
#define ANSWER(call, reply)

enum ipc_type {
	MSG_NONE,		/* no message has the number 0 */
#define MSG(NAME, name, kind, from, to, phase, fd, text)	MSG_##NAME,
#include "messages.def"
#undef MSG
	MSG_COUNT
};

#undef FIELD
#undef END

#define IPC_DECL_U32(field, bound)	uint32_t field;
#define IPC_DECL_U64(field, bound)	uint64_t field;
#define IPC_DECL_I64(field, bound)	int64_t field;
#define IPC_DECL_FLAG(field, bound)	bool field;
#define IPC_DECL_STR(field, bound)	char field[(bound) + 1];
#define IPC_DECL_BLOB(field, bound)					\
	struct { uint32_t len; uint8_t data[bound]; } field;

#define MSG(NAME, name, kind, from, to, phase, fd, text)	struct msg_##name {
#define FIELD(name, kind, field, bound)	IPC_DECL_##kind(field, bound)
#define END(name)			};
#include "messages.def"
#undef MSG
#undef FIELD
#undef END

#define FIELD(name, kind, field, bound)
#define END(name)

union ipc_any {
#define MSG(NAME, name, kind, from, to, phase, fd, text)	struct msg_##name name;
#include "messages.def"
#undef MSG
};

#undef LINK
#undef FIELD
#undef END
#undef ANSWER

#endif
