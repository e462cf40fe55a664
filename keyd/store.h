/*
 * How keyd's files are written and read: store.c, and tpm_start.c and seal.c,
 * which keep a file of their own beside the keys.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes going out; bad once something did not fit. */
struct put {
	uint8_t		*buf;
	size_t		 size, len;
	bool		 bad;
};

/* Bytes coming in; bad once something was missing or out of bound. */
struct get {
	const uint8_t	*p;
	size_t		 len;
	bool		 bad;
};

void	put_bytes(struct put *, const void *, size_t);
void	put_uint(struct put *, uint32_t, unsigned bytes);
/* The closing SHA-256. 0 and the whole length, or -1. */
int	put_digest(struct put *, size_t *len);
void	get_bytes(struct get *, void *, size_t);
uint32_t get_uint(struct get *, unsigned bytes, uint32_t max);
/* Check magic (8 bytes), version and closing digest. 0 or -1. */
int	get_open(struct get *, const uint8_t *buf, size_t len,
	    const char *magic, uint32_t version);

#endif
