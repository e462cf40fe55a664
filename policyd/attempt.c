/*
 * How often an address was refused, and how often somebody was who asked for
 * a device: buckets that drain, in a table that cannot grow. What shares a
 * place with another takes it, the one that was quiet the longest first.
 */
#include <sys/random.h>

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "enrol.h"

#define SETS	1024
#define WAYS	4

/* Refusals in a row, and ms until one of them is forgotten. */
static const struct {
	unsigned	burst, drain;
} limits[ATTEMPT_N] = {
	[ATTEMPT_ADDRESS] = { 60, 1000 },	/* many devices behind one */
	[ATTEMPT_DEVICE] = { 10, 6000 },
};

struct bucket {
	uint64_t	id;	/* of the name, 0: free */
	uint64_t	full;	/* mono ms at which it is empty again */
};

static struct bucket	buckets[SETS][WAYS];
static uint8_t		seed[16];

void
attempt_start(void)
{
	memset(buckets, 0, sizeof(buckets));
	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		fatal("getrandom");
}

/* Nobody owns one IPv6 address: the /64 counts. */
static void
attempt_key(enum attempt kind, const char *who, uint8_t hash[HASH_LEN])
{
	uint8_t		in[sizeof(seed) + 1 + 80];
	struct in6_addr	a;
	size_t		n = strlen(who);

	memset(in, 0, sizeof(in));
	memcpy(in, seed, sizeof(seed));
	in[sizeof(seed)] = (uint8_t)kind;
	if (kind == ATTEMPT_ADDRESS && inet_pton(AF_INET6, who, &a) == 1 &&
	    !IN6_IS_ADDR_V4MAPPED(&a))
		memcpy(in + sizeof(seed) + 1, a.s6_addr, 8);
	else
		memcpy(in + sizeof(seed) + 1, who, n < 80 ? n : 80);
	if (EVP_Q_digest(NULL, "SHA256", NULL, in, sizeof(in), hash,
	    NULL) != 1)
		fatalx("attempt: SHA-256");
}

/* Its bucket; else the one to take, if it is to be made. */
static struct bucket *
bucket_find(enum attempt kind, const char *who, bool make)
{
	uint8_t		 hash[HASH_LEN];
	struct bucket	*set, *b, *old;
	uint64_t	 id;
	unsigned	 n;

	attempt_key(kind, who, hash);
	memcpy(&id, hash, sizeof(id));
	id |= 1;
	memcpy(&n, hash + sizeof(id), sizeof(n));
	set = buckets[n % SETS];
	for (b = old = set; b < set + WAYS; b++) {
		if (b->id == id)
			return b;
		if (b->full < old->full)
			old = b;
	}
	if (!make)
		return NULL;
	*old = (struct bucket){ id, 0 };
	return old;
}

bool
attempt_over(enum attempt kind, const char *who, uint64_t now)
{
	const struct bucket	*b = bucket_find(kind, who, false);

	return b != NULL && b->full > now && b->full - now >
	    (uint64_t)(limits[kind].burst - 1) * limits[kind].drain;
}

void
attempt_refused(enum attempt kind, const char *who, uint64_t now)
{
	struct bucket	*b = bucket_find(kind, who, true);
	uint64_t	 most = now + (uint64_t)limits[kind].burst *
			    limits[kind].drain;

	if (b->full < now)
		b->full = now;
	b->full += limits[kind].drain;
	if (b->full > most)
		b->full = most;
}
