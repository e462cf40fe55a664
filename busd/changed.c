/* Which properties of an object changed, for the one signal that says it. */
#include <string.h>

#include "busd.h"

static bool
differs(const struct member *m, const void *a, const void *b)
{
	const char	*x = (const char *)a + m->offset;
	const char	*y = (const char *)b + m->offset;

	switch (m->kind) {
	case MEMBER_TEXT:
		return strcmp(x, y) != 0;
	case MEMBER_FLAG:
		return *(const bool *)x != *(const bool *)y;
	case MEMBER_U32:
		return memcmp(x, y, sizeof(uint32_t)) != 0;
	case MEMBER_U64:
		return memcmp(x, y, sizeof(uint64_t)) != 0;
	}
	return false;
}

void
changed_emit(const char *path, const char *iface, const struct member *list,
    size_t n, const void *before, const void *now)
{
	char	*names[MEMBERS_MAX + 1], **at = names;
	size_t	 i;

	for (i = 0; i < n && i < MEMBERS_MAX; i++) {
		if (!differs(&list[i], before, now))
			continue;
		/* A property of several members is named once. */
		if (at == names || strcmp(at[-1], list[i].name) != 0)
			*at++ = (char *)(uintptr_t)list[i].name;
	}
	*at = NULL;
	face_emit(path, iface, names);
}
