/*
 * The bytes of an audit checkpoint that keyd signs (ECDSA with SHA-256, as
 * they are: keyd hashes them) and policyd verifies.
 */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include <stdint.h>

#define CHECKPOINT_LEN	82

/*
 * "provd audit checkpoint v1" NUL || sequence || chain hash || time ||
 * counter, integers big-endian. The text is no prefix of anything else that
 * keyd signs.
 */
void	checkpoint_bytes(uint64_t sequence, const uint8_t chain[32],
	    uint64_t time, uint64_t counter, uint8_t out[CHECKPOINT_LEN]);

#endif
