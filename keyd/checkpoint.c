/*
 * What an `audit' key signs: a checkpoint, which keyd builds from its fields
 * (libutil/checkpoint.h has the bytes, policyd verifies the same).
 */
#include "keyd.h"

int
checkpoint_build(const struct msg_checkpoint_req *req, uint8_t *out,
    struct why *w)
{
	if (req->chain.len != 32)
		return why_num(w, R_KEY_CHECKPOINT, "chain", 32,
		    req->chain.len);
	checkpoint_bytes(req->sequence, req->chain.data, req->time,
	    req->counter, out);
	return 0;
}
