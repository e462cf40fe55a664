/*
 * A component, and the node that fills its slot, each of them hostile: one
 * message of the session is the input. The first byte says which:
 *
 *   0 CSR  1 SET_CERTIFICATE_RSP  2 DIGESTS  3 CERTIFICATE, to the node;
 *   4 GET_CSR  5 SET_CERTIFICATE, to the component
 *
 * and with bit 7, version, code and parameters are left as they were.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/spdm_talk.h"
#include "../../attestd/spdm_csr.h"

#define SLOT	2
#define LONGEST	4096

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct soft		 soft;
static struct talk		 t;
static struct spdm_step		 steps[REQUESTER_STEPS];
static uint8_t			 csr[1024], chain[4096];
static size_t			 csr_len, chain_len;
static const uint8_t		*input;
static size_t			 input_len;
static uint8_t			 which;
static bool			 used;

static uint8_t
give_csr(void *arg, uint8_t *tag, uint8_t *out, size_t *len)
{
	if (csr_len > *len)
		abort();
	memcpy(out, csr, csr_len);
	*len = csr_len;
	return 0;
}

static uint8_t
take_chain(void *arg, uint8_t slot, const uint8_t *ders, size_t len)
{
	if (slot == 0 || slot >= SPDM_SLOTS)
		abort();
	if (ders == NULL) {
		spdm_slot_clear(&t.slots[slot]);
		return 0;
	}
	return spdm_slot_set(&t.slots[slot], 5, soft.algorithm, ders, len) ==
	    -1 ? SPDM_E_INVALID_REQUEST : 0;
}

static void
prepare(void)
{
	X509_REQ	*q = X509_REQ_new();
	uint8_t		*p = csr;
	X509		*leaf;

	soft_new(&soft, KEY_P256);
	X509_REQ_set_pubkey(q, soft.key);
	NEED(X509_REQ_sign(q, soft.key, EVP_sha256()) > 0);
	csr_len = (size_t)i2d_X509_REQ(q, &p);
	X509_REQ_free(q);
	leaf = soft_issue(&soft_node_leaf, soft.key, soft.node_ca,
	    soft.ca_key);
	chain_len = soft_der(soft.node_ca, chain);
	chain_len += soft_der(leaf, chain + chain_len);
	X509_free(leaf);
}

static void
put_input(uint8_t *msg, size_t *len, bool head)
{
	size_t	at = head ? 4 : 0;

	memcpy(msg + at, input, input_len);
	*len = at + input_len;
	used = true;
}

static void
inside(struct talk *talk, uint8_t *msg, size_t *len)
{
	static const uint8_t	codes[] = { SPDM_CSR, SPDM_SET_CERTIFICATE_RSP,
	    SPDM_DIGESTS, SPDM_CERTIFICATE };

	if (!used && (which & 0x7f) < sizeof(codes) &&
	    msg[1] == codes[which & 0x7f])
		put_input(msg, len, which & 0x80);
}

/* Straight to the component, once the session stands. */
static void
ask_component(void)
{
	static uint8_t	msg[LONGEST + 4], rec[TALK_MSG];
	size_t		len = 4, n;

	msg[0] = SPDM_V13;
	msg[1] = which & 1 ? SPDM_SET_CERTIFICATE : SPDM_GET_CSR;
	msg[2] = which & 1 ? SLOT : 0;
	msg[3] = 0;
	put_input(msg, &len, which & 0x80);
	n = spdm_record_seal(t.requester->ses.s, SPDM_SIDE_REQ, &t.binding,
	    talk_random, &t, msg, len, rec, sizeof(rec));
	if (n > 0)
		(void)responder_feed(t.responder, true, rec, n);
}

static enum spdm_act
issue(struct talk *talk)
{
	if (requester_csr(talk->requester)->point_len != 65)
		abort();
	return requester_chain(talk->requester, chain, chain_len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum reason	r;

	if (soft.key == NULL) {
		if (spdm_init() == -1)
			abort();
		prepare();
	}
	if (size < 1 || size > LONGEST)
		return 0;
	which = data[0] % 6 | (data[0] & 0x80);
	input = data + 1;
	input_len = size - 1;
	used = false;
	talk_init(&t, &soft);
	t.seed = 7;
	t.issue = issue;
	t.inside = inside;
	t.rc.caps.flags |= SPDM_CAP_CSR | SPDM_CAP_SET_CERT |
	    SPDM_CAP_INSTALL_RESET;
	t.rc.csr = give_csr;
	t.rc.set_certificate = take_chain;
	requester_offer_component(&t.qc, steps, SLOT, 0, false);
	if ((which & 0x7f) >= 4)
		t.qc.nsteps = 9;	/* as far as FINISH */
	r = talk_run(&t);
	if (r == R_OK && (which & 0x7f) >= 4)
		ask_component();
	if (r != R_OK && !t.silent &&
	    requester_why(t.requester)->field[0] == '\0')
		abort();
	talk_free(&t);
	return 0;
}
