/*
 * GET_CSR and SET_CERTIFICATE (DSP0274 1.2 and 1.3): how a node that owns a
 * slot of another device fills it. Pure as spdm.h. What a device asks for
 * leaves attestd as fields, once it has proved that it holds the key.
 */
#ifndef SPDM_CSR_H
#define SPDM_CSR_H

#include "spdm.h"

#define SPDM_CSR_MAX	4096	/* bytes of a request that we read */
/* What the requester sends fits its own DataTransferSize. */
#define SPDM_SET_MAX	8192	/* bytes of a SET_CERTIFICATE */

/* SetCertModel and ReqCertModel, from 1.3 on and for several keys only. */
#define SPDM_MODEL_NONE		0
#define SPDM_MODEL_DEVICE	1
#define SPDM_MODEL_ALIAS	2
#define SPDM_MODEL_GENERIC	3

struct spdm_get_csr {
	uint8_t		 key_pair, model;	/* from 1.3 on, several keys */
	uint8_t		 tag;		/* CSRTrackingTag, from 1.3 on */
	bool		 overwrite;	/* from 1.3 on */
	size_t		 info_len, opaque_len;
	const uint8_t	*info, *opaque;
};

struct spdm_csr_rsp {
	size_t		 len;
	const uint8_t	*csr;
};

struct spdm_set_certificate {
	uint8_t		 slot;
	uint8_t		 key_pair, model;	/* from 1.3 on, several keys */
	bool		 erase;		/* from 1.3 on; then no chain */
	size_t		 len;
	const uint8_t	*chain;		/* Length, root hash, certificates */
};

/* As the _get and _put of spdm.h. */
int	spdm_get_csr_get(const uint8_t *, size_t, struct spdm_get_csr *);
int	spdm_csr_get(const uint8_t *, size_t, struct spdm_csr_rsp *);
int	spdm_set_certificate_get(const uint8_t *, size_t,
	    struct spdm_set_certificate *);
/* The slot of a SET_CERTIFICATE_RSP, or -1. */
int	spdm_set_certificate_rsp_get(const uint8_t *, size_t);
void	spdm_get_csr_put(struct spdm_buf *, uint8_t version,
	    const struct spdm_get_csr *);
void	spdm_csr_put(struct spdm_buf *, uint8_t version,
	    const struct spdm_csr_rsp *);
void	spdm_set_certificate_put(struct spdm_buf *, uint8_t version,
	    const struct spdm_set_certificate *);

/* A certificate request in fields. */
struct spdm_csr {
	enum key_algorithm algorithm;
	uint8_t		 point[97];	/* 04 || X || Y */
	size_t		 point_len;
	char		 name[65];	/* commonName of its subject, or "" */
	char		 device[65];	/* serialNumber of it, or "" */
};

/*
 * Read a PKCS#10 request (RFC 2986) in strict DER over a key of the curve,
 * and verify its own signature: who sent it holds the key. Attributes,
 * requested extensions among them, are passed over: what a certificate holds
 * is the issuer's decision. 0, or -1 with *why.
 */
int	spdm_csr_read(const uint8_t *, size_t, enum key_algorithm,
	    struct spdm_csr *, struct spdm_why *);

/*
 * Content of a slot from DERs, root first, into out: what SET_CERTIFICATE
 * carries and GET_CERTIFICATE reads. Its length, or 0 if it does not fit.
 */
size_t	spdm_slot_content(const struct spdm_alg *, const uint8_t *ders,
	    size_t, uint8_t *out, size_t size);

/*
 * struct responder_conf: each returns 0 or an error code. csr fills in a
 * request of at most *len bytes; *tag is that of the request, or with
 * ResetRequired a new one. set_certificate takes certificates, root first;
 * NULL erases the slot.
 */

/* ---- requester_csr.c ----------------------------------------------------- */

#define REQUESTER_STEPS	16
/*
 * Fill the slot of a component in a session, or only read it, under the
 * challenge. The steps are the caller's, and as long there as the conf is
 * used; c->slots and c->algorithms are set.
 */
void	requester_offer_component(struct requester_conf *,
	    struct spdm_step steps[REQUESTER_STEPS], uint8_t slot, uint8_t tag,
	    bool readback);
/* What a component asks for (spdm_csr.h), for SPDM_ISSUE; the evidence is
 * complete then. The certificates for its slot, root first. */
const struct spdm_csr *requester_csr(const struct requester *);
enum spdm_act requester_chain(struct requester *, const uint8_t *ders,
	    size_t);
/* If it does not come for so many milliseconds (0: for ever), the peer wants
 * a sign of life. SPDM_ISSUE follows again when it has been answered; no
 * requester_chain() until then. */
uint32_t requester_beat_after(const struct requester *);
enum spdm_act requester_beat(struct requester *);
/* After SPDM_FAIL: the component wants a reset first, for the chain that was
 * set or for its request, which then has a tag. */
bool	requester_reset(const struct requester *, bool *set, uint8_t *tag);
/* The certificates of a slot that was read, or NULL. */
const uint8_t *requester_slot_ders(const struct requester *, uint8_t slot,
	    size_t *len);

#endif
