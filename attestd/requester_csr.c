/*
 * GET_CSR and SET_CERTIFICATE as requester (DSP0274 1.2 and 1.3), inside of
 * the session that the component's own key opened: what it asks for goes to
 * whoever issues, the chain that comes back is set in the same session.
 */
#include <stdlib.h>
#include <string.h>

#include "spdm_handlers.h"
#include "spdm_requester.h"

/* In these the slot is filled in. */
#define SLOT_N	0xff

static const struct spdm_step enrol[] = {
	{ SPDM_GET_VERSION, 0 },
	{ SPDM_GET_CAPABILITIES, 0 },
	{ SPDM_NEGOTIATE_ALGORITHMS, 0 },
	{ SPDM_GET_DIGESTS, 0 },
	{ SPDM_GET_CERTIFICATE, 0 },
	{ SPDM_CHALLENGE, 0 },
	{ SPDM_GET_MEASUREMENTS, 0 },
	{ SPDM_KEY_EXCHANGE, 0 },
	{ SPDM_FINISH, 0 },
	{ SPDM_GET_CSR, SLOT_N },
	{ SPDM_SET_CERTIFICATE, SLOT_N },
	{ SPDM_GET_DIGESTS, 0 },
	{ SPDM_GET_CERTIFICATE, SLOT_N },
	{ SPDM_END_SESSION, 0 },
};

static const struct spdm_step look[] = {
	{ SPDM_GET_VERSION, 0 },
	{ SPDM_GET_CAPABILITIES, 0 },
	{ SPDM_NEGOTIATE_ALGORITHMS, 0 },
	{ SPDM_GET_DIGESTS, 0 },
	{ SPDM_GET_CERTIFICATE, 0 },
	{ SPDM_GET_CERTIFICATE, SLOT_N },
	{ SPDM_CHALLENGE, 0 },
	{ SPDM_GET_MEASUREMENTS, 0 },
};

static const struct {
	uint8_t		 code;
	uint32_t	 cap;
	const char	*name;
} needs[] = {
	{ SPDM_GET_CSR,		SPDM_CAP_CSR,		"CSR" },
	{ SPDM_SET_CERTIFICATE,	SPDM_CAP_SET_CERT,	"SET_CERT" },
};

void
requester_offer_component(struct requester_conf *c,
    struct spdm_step steps[REQUESTER_STEPS], uint8_t slot, uint8_t tag,
    bool readback)
{
	size_t	i;

	c->anchor = 0;			/* it is no node */
	c->steps = steps;
	c->nsteps = readback ? sizeof(look) / sizeof(look[0]) :
	    sizeof(enrol) / sizeof(enrol[0]);
	c->csr_tag = tag;
	for (i = 0; i < c->nsteps; i++) {
		steps[i] = readback ? look[i] : enrol[i];
		if (steps[i].slot == SLOT_N)
			steps[i].slot = slot;
	}
	if (!readback)
		requester_offer_session(c, c->slots != NULL &&
		    c->slots[0].content != NULL);
}

enum spdm_take
requester_csr_caps(struct requester *r, uint32_t flags)
{
	size_t	i;

	for (i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (requester_asks(r, needs[i].code) &&
		    (flags & needs[i].cap) == 0)
			return requester_bad(r, R_ATT_CSR_CAPABILITY,
			    "Flags", "CSR and SET_CERT", "no %s",
			    needs[i].name);
	return TAKE_NEXT;
}

void
requester_csr_free(struct requester *r)
{
	free(r->csr.chain);
	r->csr.chain = NULL;
}

void
ask_csr(struct requester *r)
{
	struct spdm_get_csr	g = { .tag = r->conf.csr_tag };

	if (r->multi_key) {
		g.key_pair = r->csr.key_pair;
		g.model = SPDM_MODEL_GENERIC;
	}
	spdm_get_csr_put(&r->req, r->version, &g);
}

enum spdm_take
take_csr(struct requester *r, const uint8_t *msg, size_t len)
{
	struct spdm_csr_rsp	c;
	struct spdm_csr		*q = &r->csr.asked;

	if (spdm_csr_get(msg, len, &c) == -1)
		return requester_bad(r, R_ATT_FORM, "CSR",
		    "a request that fills the message", "%zu bytes", len);
	if (spdm_csr_read(c.csr, c.len, r->alg == spdm_alg(KEY_P384) ?
	    KEY_P384 : KEY_P256, q, &r->why) == -1)
		return TAKE_FAIL;
	requester_say(r, "it asks as \"%s\"%s%s and holds the key", q->name,
	    q->device[0] != '\0' ? ", serial " : "", q->device);
	r->csr.waiting = true;
	return TAKE_NEXT;
}

const struct spdm_csr *
requester_csr(const struct requester *r)
{
	return &r->csr.asked;
}

/* The content of the slot, for the request that sets it. */
bool
requester_csr_chain(struct requester *r, const uint8_t *ders, size_t len)
{
	requester_csr_free(r);
	if ((r->csr.chain = malloc(SPDM_SET_MAX)) == NULL ||
	    (r->csr.len = spdm_slot_content(r->alg, ders, len, r->csr.chain,
	    SPDM_SET_MAX)) == 0) {
		requester_bad(r, R_ATT_SET_CERTIFICATE, "chain",
		    "certificates that fit a slot", "%zu bytes", len);
		return false;
	}
	return true;
}

void
ask_set_certificate(struct requester *r)
{
	struct spdm_set_certificate	s = {
		.slot = requester_step(r)->slot,
		.len = r->csr.len,
		.chain = r->csr.chain,
	};

	if (r->csr.chain == NULL) {
		requester_bad(r, R_ATT_SET_CERTIFICATE, "chain",
		    "one that was given", "none");
		return;
	}
	if (r->multi_key) {
		s.key_pair = r->csr.key_pair;
		s.model = SPDM_MODEL_GENERIC;
	}
	spdm_set_certificate_put(&r->req, r->version, &s);
}

enum spdm_take
take_set_certificate(struct requester *r, const uint8_t *msg, size_t len)
{
	uint8_t	slot = requester_step(r)->slot;

	if (spdm_set_certificate_rsp_get(msg, len) != slot)
		return requester_bad(r, R_ATT_SET_CERTIFICATE,
		    "SET_CERTIFICATE_RSP", "our slot", "slot %d of %zu bytes",
		    spdm_set_certificate_rsp_get(msg, len), len);
	requester_say(r, "slot %u was set", slot);
	return TAKE_NEXT;
}

/*
 * An ERROR to either of them. ResetRequired is no refusal: what was asked for
 * is done once the device has been reset, a request for a CSR under the tag.
 */
bool
requester_csr_error(struct requester *r, const struct spdm_error *e)
{
	if (r->asked != SPDM_GET_CSR && r->asked != SPDM_SET_CERTIFICATE)
		return false;
	if (e->code == SPDM_E_RESET_REQUIRED) {
		r->csr.tag = r->asked == SPDM_GET_CSR &&
		    r->version >= SPDM_V13 ? e->data & 0x07 : 0;
		requester_finish(r);	/* it is attested already */
		requester_bad(r, R_ATT_RESET_REQUIRED, spdm_code_name(
		    r->asked), "an answer", "ERROR ResetRequired, data %#04x",
		    e->data);
		return true;
	}
	if (r->asked != SPDM_SET_CERTIFICATE || e->code == SPDM_E_BUSY)
		return false;
	requester_bad(r, R_ATT_SET_CERTIFICATE, "SET_CERTIFICATE",
	    "SET_CERTIFICATE_RSP", "ERROR %s (%#04x), data %#04x",
	    spdm_error_name(e->code), e->code, e->data);
	return true;
}

bool
requester_reset(const struct requester *r, bool *set, uint8_t *tag)
{
	*set = r->asked == SPDM_SET_CERTIFICATE;
	*tag = r->csr.tag;
	return r->why.reason == R_ATT_RESET_REQUIRED;
}

const uint8_t *
requester_slot_ders(const struct requester *r, uint8_t slot, size_t *len)
{
	const struct requester_slot	*s = &r->slot[slot];
	size_t				 hdr = 4 + r->alg->hash_len;

	if (!s->whole || s->len <= hdr)
		return NULL;
	*len = s->len - hdr;
	return s->buf + hdr;
}
