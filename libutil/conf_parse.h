/* Shared by the grammar (conf.y), the values and OpenBMC's JSON. */
#ifndef CONF_PARSE_H
#define CONF_PARSE_H

#include "conf.h"

#define CONF_MAX_STRING	1023
#define CONF_MAX_FILE	(1 << 20)
#define CONF_MAX_ERRORS	50	/* then the rest of the file is not read */

/* Settings that may be given once. */
enum conf_set {
	SET_NODE, SET_INTERFACE, SET_RUN, SET_STATE, SET_BACKEND,
	SET_LISTEN_ADDRESS, SET_MTLS_PORT, SET_SPDM_PORT, SET_SPDM_MCTP,
	SET_MUTUAL,
	SET_MAX_CONNECTIONS, SET_MAX_PER_ADDRESS, SET_MAX_HALF_OPEN,
	SET_HANDSHAKE, SET_CURVE, SET_VERSIONS, SET_ALGORITHMS, SET_BOOT_ID,
	SET_REFERENCE, SET_KEEPALIVE, SET_SILENCE, SET_RETRY, SET_ATTEST,
	SET_REATTEST, SET_EVIDENCE, SET_CODE, SET_CHECKPOINT, SET_LLDP_INTERVAL,
	SET_LLDP_HOLD, SET_LEAF, SET_CERT_ROOT,
	/* of one peer */
	SET_PEER_IDENTITY, SET_PEER_SERIAL, SET_PEER_ADDRESS, SET_PEER_MTLS,
	SET_PEER_SPDM, SET_PEER_MCTP, SET_PEER_KEEPALIVE, SET_PEER_SILENCE,
	SET_PEER_REFERENCE,
	/* of one component */
	SET_COMP_IDENTITY, SET_COMP_SERIAL, SET_COMP_ROOT, SET_COMP_ADDRESS,
	SET_COMP_SPDM, SET_COMP_MCTP, SET_COMP_SLOT, SET_COMP_VALIDITY,
	SET_COUNT
};

/* Where the parser is. */
/* ---- conf_index.c: peers by one of their values ------------------------- */

struct conf_index {
	const struct conf_peer **slot;
	size_t		 size, n;
	size_t		 offset;	/* of the value in struct conf_peer */
};

/* The peer that has this value already, or NULL: then peer is the one. */
const struct conf_peer *conf_index_add(struct conf_index *, size_t offset,
	    const struct conf_peer *peer);
void	conf_index_free(struct conf_index *);

struct parse {
	struct conf	*conf;
	struct conf_index names, identities, serials;
	struct conf_peer **last;	/* where the next peer goes, or NULL */
	struct conf_peer *peer;		/* inside of peer { } */
	struct conf_component *component;	/* inside of component { } */
	int		 peer_line;	/* where either begins */
	const char	*name, *at, *end;	/* file, next byte */
	int		 line;		/* of the token just read */
	int		 next;		/* of the byte that comes next */
	const char	*text;		/* of the last string, for messages */
	bool		 ended;		/* the newline at the end was given */
	FILE		*err;
	unsigned	 errors;
	int		 seen[SET_COUNT];	/* line, or 0 */
	const char	*seen_in[SET_COUNT];	/* file */
	conf_load_fn	 load;
	char		*included;	/* OpenBMC's file, once read */
	struct conf_peer *json_peer;	/* made for its rip and rport */
};

void	conf_error(struct parse *, int line, const char *, ...)
	    __attribute__((format(printf, 3, 4)));

/* What conf_load_fn's errno means. */
const char *conf_fault(int error);

/* conf_value.c: each reports its own errors; strings are taken over. */
struct conf *conf_new(void);
bool	conf_once(struct parse *, enum conf_set);
void	conf_number(struct parse *, enum conf_set, int64_t);
void	conf_time(struct parse *, enum conf_set, int64_t ms);
void	conf_string(struct parse *, enum conf_set, char *);
/* An endpoint of the kernel's MCTP; to listen, eid is 0. */
void	conf_mctp(struct parse *, enum conf_set, int64_t net, int64_t eid);
void	conf_key(struct parse *, enum conf_backend, char *tpm, bool pcrs);
void	conf_retry(struct parse *, int64_t min, int64_t max);
void	conf_choice(struct parse *, enum conf_set, char *word);
void	conf_accept(struct parse *, char *root, char *serial);
void	conf_measure(struct parse *, char *path);
void	conf_peer_begin(struct parse *, char *name);
void	conf_peer_end(struct parse *);
void	conf_component_begin(struct parse *, char *name);
void	conf_component_end(struct parse *);
void	conf_finish(struct parse *);
/* Milliseconds of one unit, or 0. */
int64_t	conf_unit(const char *);

/* conf_mctp.c: every bridge is within reach */
void	conf_bridges(struct parse *);

/* conf_json.c: OpenBMC's file */
void	conf_json(struct parse *, const char *path);

#endif
