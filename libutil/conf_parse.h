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
	SET_CA, SET_CA_CURVE, SET_CA_ROOT, SET_CA_ISSUING, SET_CA_CRL,
	SET_CA_URL, SET_CA_SERVER, SET_CA_PERMITTED, SET_DOOR_KEY,
	SET_MAX_ENROL, SET_REQUEST, SET_DBUS, SET_NEIGHBOURS,
	/* of one peer */
	SET_PEER_IDENTITY, SET_PEER_SERIAL, SET_PEER_ADDRESS, SET_PEER_MTLS,
	SET_PEER_SPDM, SET_PEER_MCTP, SET_PEER_KEEPALIVE, SET_PEER_SILENCE,
	SET_PEER_REFERENCE,
	/* of one component */
	SET_COMP_IDENTITY, SET_COMP_SERIAL, SET_COMP_ROOT, SET_COMP_ADDRESS,
	SET_COMP_SPDM, SET_COMP_MCTP, SET_COMP_SLOT, SET_COMP_VALIDITY,
	/* of one profile */
	SET_PROFILE_KEY, SET_PROFILE_VALID, SET_PROFILE_RENEW,
	SET_PROFILE_USAGE, SET_PROFILE_NAME, SET_PROFILE_OPEN,
	SET_PROFILE_KEYGEN, SET_PROFILE_OPERATORS,
	SET_COUNT
};

/* Blocks with words of their own. */
enum conf_block { NO_BLOCK, IN_CA, IN_PROFILE };

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

/* Where the parser is. */
struct parse {
	struct conf	*conf;
	struct conf_index names, identities, serials;
	struct conf_peer **last;	/* where the next peer goes, or NULL */
	struct conf_peer *peer;		/* inside of peer { } */
	struct conf_component *component;	/* inside of component { } */
	struct conf_profile *profile;	/* inside of profile { } */
	enum conf_block	 block;
	int		 peer_line;	/* where any of them begins */
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
char	*conf_copy(const char *);	/* neither of the two returns NULL */
void	*conf_zalloc(size_t);
bool	conf_once(struct parse *, enum conf_set);
void	conf_number(struct parse *, enum conf_set, int64_t);
void	conf_time(struct parse *, enum conf_set, int64_t ms);
void	conf_string(struct parse *, enum conf_set, char *);
/* An endpoint of the kernel's MCTP; to listen, eid is 0. */
void	conf_mctp(struct parse *, enum conf_set, int64_t net, int64_t eid);
void	conf_key(struct parse *, enum conf_backend, char *tpm, bool pcrs);
void	conf_retry(struct parse *, int64_t min, int64_t max);
void	conf_choice(struct parse *, enum conf_set, char *word);
/* The value of a word of this setting, or -1. */
int64_t	conf_word(enum conf_set, const char *word);
void	conf_flag(struct parse *, enum conf_set);
void	conf_accept(struct parse *, char *root, char *serial);
void	conf_measure(struct parse *, char *path);
void	conf_peer_begin(struct parse *, char *name);
void	conf_peer_end(struct parse *);
void	conf_component_begin(struct parse *, char *name);
void	conf_component_end(struct parse *);
void	conf_finish(struct parse *);
/* Where the later one of two settings stands, or the end of the file. */
int	conf_later(const struct parse *, enum conf_set, enum conf_set);
/* Where its settings are counted from: none of them was seen yet. */
void	conf_fresh(struct parse *, enum conf_set first);
/* Milliseconds of one unit, or 0. */
int64_t	conf_unit(const char *);

/* conf_check.c: NULL, or what is wrong with a string */
const char *conf_check_name(const char *);
const char *conf_check_peer(const char *);	/* a name, and not "self" */
const char *conf_check_interface(const char *);
const char *conf_check_path(const char *);
const char *conf_check_directory(const char *);
const char *conf_check_address(const char *);	/* an IP literal */
const char *conf_check_socket(const char *);
const char *conf_check_identity(const char *);
const char *conf_check_serial(const char *);
const char *conf_check_dns(const char *);	/* a DNS name, absolute or not */
const char *conf_check_server(const char *);	/* that, or an IP literal */
const char *conf_check_url(const char *);	/* http:// and a host */
const char *conf_check_ca(const char *);	/* a word of X.501 names */

/* conf_ca.c: the certificate service; strings are taken over */
void	conf_ca_begin(struct parse *, char *name);
void	conf_server(struct parse *, char *name);
void	conf_permitted(struct parse *, char *name);
/* key: its word, or NULL: the default. */
void	conf_listener(struct parse *, unsigned door, int64_t port, char *key);
void	conf_profile_begin(struct parse *, char *name);
void	conf_maker(struct parse *, char *path);
void	conf_profile_end(struct parse *);
void	conf_ca_finish(struct parse *);
void	conf_ca_free(struct conf *);

/* conf_mctp.c: every bridge is within reach */
void	conf_bridges(struct parse *);

/* conf_json.c: OpenBMC's file */
void	conf_json(struct parse *, const char *path);
void	conf_host(struct parse *);	/* the node has the name of its host */

#endif
