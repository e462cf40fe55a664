/*
 * GET_CSR and SET_CERTIFICATE as responder (DSP0274 1.2 and 1.3), inside of a
 * session only. attestd -R offers neither: nobody else owns our slots. A
 * device that does is played by regress/tools/spdmdev.c.
 */
#include "spdm_csr.h"
#include "spdm_handlers.h"
#include "spdm_responder.h"

/* With several keys both must be named, else neither (DSP0274 1.3). */
static bool
key_ok(const struct responder *r, uint8_t key_pair, uint8_t model)
{
	if (r->multi_key)
		return key_pair != 0 && model >= SPDM_MODEL_DEVICE &&
		    model <= SPDM_MODEL_GENERIC;
	return key_pair == 0 && model == SPDM_MODEL_NONE;
}

/* RESET_REQUIRED carries a tag, which responder_put_error() has no room for. */
static uint8_t
answer(struct responder *r, uint8_t e, uint8_t tag)
{
	if (e != SPDM_E_RESET_REQUIRED)
		return e;
	if ((r->conf->caps.flags & SPDM_CAP_INSTALL_RESET) == 0)
		return SPDM_E_UNSPECIFIED;
	r->out.len = 0;
	r->error = e;
	spdm_error_put(&r->out, r->version, e, tag);
	return 0;
}

uint8_t
serve_csr(struct responder *r, const uint8_t *msg, size_t len)
{
	static uint8_t		csr[SPDM_CSR_MAX];	/* one thread */
	struct spdm_get_csr	g;
	struct spdm_csr_rsp	c = { .csr = csr };
	uint8_t			e, tag;

	if (r->conf->csr == NULL)
		return SPDM_E_UNSUPPORTED;
	if (spdm_get_csr_get(msg, len, &g) == -1 ||
	    !key_ok(r, g.key_pair, g.model) ||
	    (g.tag != 0 && (g.overwrite || (r->conf->caps.flags &
	    SPDM_CAP_INSTALL_RESET) == 0)))
		return SPDM_E_INVALID_REQUEST;
	tag = g.tag;
	c.len = sizeof(csr);
	if ((e = r->conf->csr(r->conf->csr_arg, &tag, csr, &c.len)) != 0)
		return answer(r, e, tag);
	spdm_csr_put(&r->out, r->version, &c);
	return r->out.full ? SPDM_E_RESPONSE_TOO_LARGE : 0;
}

uint8_t
serve_set_certificate(struct responder *r, const uint8_t *msg, size_t len)
{
	struct spdm_set_certificate	s;
	uint8_t				e;

	if (r->conf->set_certificate == NULL)
		return SPDM_E_UNSUPPORTED;
	/* Slot 0 is the manufacturer's, and set where that one sits. */
	if (spdm_set_certificate_get(msg, len, &s) == -1 || s.slot == 0 ||
	    !(s.erase ? (s.key_pair != 0) == r->multi_key :
	    key_ok(r, s.key_pair, s.model)))
		return SPDM_E_INVALID_REQUEST;
	if (!s.erase && s.len <= 4 + r->alg->hash_len)
		return SPDM_E_INVALID_REQUEST;
	e = r->conf->set_certificate(r->conf->csr_arg, s.slot,
	    s.erase ? NULL : s.chain + 4 + r->alg->hash_len,
	    s.erase ? 0 : s.len - 4 - r->alg->hash_len);
	if (e != 0)
		return answer(r, e, 0);
	spdm_put_hdr(&r->out, r->version, SPDM_SET_CERTIFICATE_RSP, s.slot, 0);
	return 0;
}
