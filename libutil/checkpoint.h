/*
 * The bytes of an audit checkpoint that keyd signs (ECDSA with SHA-256, as
 * they are: keyd hashes them) and policyd verifies.
 */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include <stdint.h>

#define CHECKPOINT_CONTEXT	"provd audit checkpoint 1"	/* 24 bytes */
#define CHECKPOINT_LEN		(24 + 8 + 32 + 8 + 8)

/* context || sequence || chain hash || time || counter, integers big-endian */
void	checkpoint_bytes(uint64_t sequence, const uint8_t chain[32],
	    uint64_t time, uint64_t counter, uint8_t out[CHECKPOINT_LEN]);

#endif
