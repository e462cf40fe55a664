/* Whatever decodes is canonical: encoding it again gives the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "ipc.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static union ipc_any	m;
	static uint8_t		again[IPC_MAX_RECORD];
	enum ipc_type		type;
	uint32_t		id;
	size_t			len;

	if (ipc_peek(data, size, &type, &id) == -1 ||
	    ipc_decode(type, data, size, &m) == -1)
		return 0;
	if (ipc_encode(type, id, &m, again, sizeof(again), &len) == -1 ||
	    len != size || memcmp(again, data, size) != 0)
		abort();
	return 0;
}
