/*
 * provd.conf(5). A daemon takes from it what it must open before it is
 * confined; policyd takes everything and gives settings to the others.
 */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONF_PATH	"/etc/provd.conf"
#define CONF_DBUS	"/run/dbus/system_bus_socket"

enum conf_backend { BACKEND_TPM, BACKEND_SEALED, BACKEND_SOFT };
enum conf_curve { CURVE_P256, CURVE_P384 };

struct conf_peer {
	struct conf_peer *next;
	char		*name;		/* local label; also the LLDP system name */
	char		*identity;	/* node id, 40 hex digits, or NULL */
	char		*serial;	/* serial number of the slot-0 leaf, hex, or NULL */
	char		*address;	/* IP literal, or NULL: from LLDP */
	char		*mctp;		/* where SPDM is spoken with it: a
					   bridge's socket, "mctp:NET:EID",
					   or NULL: TCP */
	char		*reference;	/* file of reference values, or NULL */
	uint16_t	 mtls_port, spdm_port;
	uint32_t	 keepalive, silence;	/* ms */
	int		 line;		/* where it stands */
};

struct conf_component {			/* a device whose slot this node fills */
	struct conf_component *next;
	char		*name;		/* stands in its certificate */
	char		*identity;	/* of its slot 0, as of a peer, or NULL */
	char		*serial;	/* pattern, as of an accepted root, or NULL */
	char		*root;		/* path of its maker's root, or NULL: any
					   that is accepted */
	char		*address;	/* or as mctp of a peer */
	uint16_t	 spdm_port;
	uint8_t		 slot;		/* 1 to 7 */
	uint64_t	 validity;	/* SECONDS */
	int		 line;
};

struct conf_accept {			/* accept root R serial "ACME-77*" */
	struct conf_accept *next;
	char		*root;		/* path of a PEM certificate */
	char		*serial;	/* glob over the leaf's subject serialNumber or
					   hex serial, or NULL: the root only makes
					   chains acceptable, it lists nobody */
};

struct conf_path {
	struct conf_path *next;
	char		*path;
};

struct conf_name {			/* a DNS name, or an address for a SAN */
	struct conf_name *next;
	char		*name;
};

struct conf_listener {			/* a door of the certificate service */
	struct conf_listener *next;
	unsigned	 door;		/* enum enrol_door */
	uint16_t	 port;
	unsigned	 key;		/* KEY_P256 or KEY_RSA2048; not of a plain one */
	int		 line;
};

struct conf_ca {			/* the certificate service's authority */
	char		*name;		/* "ACME": first word of its CAs' names;
					   NULL: there is no certificate service */
	enum conf_curve	 curve;		/* of root, issuing CAs, OCSP signers */
	uint64_t	 root_validity, issuing_validity;	/* SECONDS */
	uint64_t	 crl_every;	/* SECONDS from thisUpdate to nextUpdate */
	char		*url;		/* "http://ca.example.org:8080", of the status
					   door, for AIA and CRL distribution points,
					   or NULL: certificates have neither */
	struct conf_name *server;	/* names and addresses in the SAN of enrold */
	struct conf_name *permitted;	/* dNSName constraints of issuing CAs */
	int		 line;
};

enum conf_usage { USAGE_CLIENT = 1, USAGE_SERVER = 2 };	/* EKU, a mask */
enum conf_name_kind {			/* what a profile's names are */
	NAME_MAC,			/* "24:0a:c4:12:34:56" */
	NAME_DNS,			/* a host name, also as dNSName */
	NAME_TEXT,			/* a label: letters, digits, -_. */
	NAME_SERIAL			/* the serialNumber in its maker's certificate */
};

struct conf_profile {			/* profile "iot" { ... } */
	struct conf_profile *next;
	char		*name;		/* at most 32 characters */
	uint32_t	 keys;		/* mask of 1 << enum subject_key */
	uint64_t	 validity;	/* SECONDS */
	uint64_t	 renew;		/* SECONDS before its end from which a
					   certificate may be renewed */
	uint32_t	 usage;		/* mask of enum conf_usage */
	enum conf_name_kind names;
	struct conf_path *makers;	/* roots whose certificates let in */
	bool		 open;		/* whoever asks is let in: a warning */
	bool		 server_keygen;	/* EST's /serverkeygen is served */
	bool		 operators;	/* its certificates may revoke others' */
	int		 line;
};

struct conf {
	char		*node;		/* name this node announces */
	char		*interface;	/* for LLDP */
	char		*run_dir;	/* "/run/provd" */
	char		*state_dir;	/* "/var/lib/provd" */
	enum conf_backend backend;
	char		*tpm;		/* "/dev/tpmrm0", or "unix:PATH" of swtpm */
	enum conf_curve	 spdm_curve;	/* P-256; of the SPDM identity key */
	bool		 seal_pcrs;	/* sealed: bind to PCRs 0-7 */
	char		*listen_address;	/* default "::" and IPv4 */
	uint16_t	 mtls_port;	/* 8090 */
	uint16_t	 spdm_port;	/* 4194 */
	char		*spdm_mctp;	/* socket for MCTP bridges, "mctp:NET",
					   or NULL */
	bool		 spdm_mutual;	/* sessions only for known makers */
	char		*boot_id;	/* file measured as boot id */
	struct conf_path *measure;	/* files whose digests are measured */
	struct conf_accept *accepts;
	struct conf_peer *peers;
	struct conf_component *components;
	struct conf_ca	 ca;
	struct conf_listener *listeners;	/* in the order of the file: their number */
	struct conf_profile *profiles;
	uint32_t	 max_enrol;		/* connections to enrold, of all doors */
	uint32_t	 request_timeout;	/* ms; for one whole HTTP request */
	char		*reference;	/* default reference file, or NULL */
	uint32_t	 versions;	/* SPDM: bit 0: 1.2, 1: 1.3, 2: 1.1 */
	uint32_t	 algorithms;	/* bit KEY_P256, bit KEY_P384 */
	uint32_t	 keepalive, silence;	/* ms; defaults for peers */
	uint32_t	 retry_min, retry_max;	/* ms; reconnect and re-attempt backoff */
	uint32_t	 attest_timeout;	/* ms; one attestation */
	uint64_t	 reattest;		/* ms; 24 h */
	uint64_t	 evidence_lifetime;	/* ms; 7 d */
	uint32_t	 code_lifetime;		/* ms; 5 min; of a one-time code */
	uint64_t	 checkpoint;		/* ms; 10 min */
	uint32_t	 lldp_interval;		/* ms; 30 s */
	uint32_t	 lldp_hold;		/* multiplier, 4: TTL = interval * hold */
	uint32_t	 max_connections, max_per_address, max_half_open;
	uint32_t	 handshake_timeout;	/* ms */
	uint64_t	 leaf_lifetime;		/* 90 d; validity of our leafs, SECONDS */
	char		*dbus;		/* socket of the system bus: busd serves it;
					   NULL: there is no busd */
	bool		 dbus_neighbours;	/* they come from an LLDP service
					   on the bus; netd has no LLDP */
	char		*cert_root;		/* of OpenBMC's JSON; not used */
};

/* Read a whole file for "include"; 0, or -1 with errno. The caller frees. */
typedef int (*conf_load_fn)(const char *path, char **buf, size_t *len);

/*
 * Parse the file. NULL on error; every error has been written to err as
 * "file:line: what". The caller frees with conf_free().
 */
struct conf *conf_parse(const char *path, FILE *err);
/* The same over a buffer; name is for messages, load reads what it includes. */
struct conf *conf_parse_buf(const char *buf, size_t len, const char *name,
	    conf_load_fn load, FILE *err);
void	conf_free(struct conf *);

#endif
