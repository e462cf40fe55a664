/*
 * Sessions of our requester with our responder, which turns hostile: it holds
 * the keys, and its answers are changed before they are sealed. What is changed
 * in the clear is changed on the way.
 *
 *   byte 0	1 the responder wants to know us, 2 MCTP, 4 SPDM 1.2 alone,
 *		8 the keys are updated, 16 keyd is slow, 32 answers in chunks,
 *		64 GET_DIGESTS begin the encapsulated flow, 128 it updates one key
 *   then, six bytes each: which answer, what to do, where (two bytes,
 *   little-endian), a byte, and how many
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/spdm_talk.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define EDIT	6	/* bytes of one */

static struct soft		soft;
static struct talk		t;
static struct spdm_root		root;
static const uint8_t		*edits;
static size_t			nedits;

static const struct spdm_step	update_one[] = {
	{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },
	{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },
	{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_KEY_EXCHANGE, 0 },
	{ SPDM_FINISH, 0 }, { SPDM_HEARTBEAT, 0 },
	{ SPDM_KEY_UPDATE, SPDM_UPDATE_KEY },
	{ SPDM_KEY_UPDATE, SPDM_VERIFY_NEW }, { SPDM_GET_MEASUREMENTS, 0 },
	{ SPDM_GET_DIGESTS, 0 }, { SPDM_GET_CERTIFICATE, 1 },
	{ SPDM_END_SESSION, 0 },
};
static const struct spdm_step	update_all[] = {
	{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },
	{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },
	{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_KEY_EXCHANGE, 0 },
	{ SPDM_FINISH, 0 }, { SPDM_KEY_UPDATE, SPDM_UPDATE_ALL },
	{ SPDM_KEY_UPDATE, SPDM_VERIFY_NEW }, { SPDM_GET_MEASUREMENTS, 0 },
	{ SPDM_END_SESSION, 1 },
};

static void
edit(struct talk *talk, uint8_t *msg, size_t *len)
{
	const uint8_t	*e;
	size_t		 i, at, n;

	for (i = 0; i < nedits; i++) {
		e = edits + i * EDIT;
		if (e[0] % 32 != talk->messages % 32 || *len == 0)
			continue;
		at = (e[2] | (size_t)e[3] << 8) % *len;
		n = e[5];
		switch (e[1] % 6) {
		case 0:
			msg[at] = e[4];
			break;
		case 1:
			msg[at] ^= e[4] | 1;
			break;
		case 2:
			*len = at + 1;
			break;
		case 3:
			memset(msg + *len, e[4], n);
			*len += n;
			break;
		case 4:		/* an ERROR in its place */
			if (*len < 4)
				break;
			msg[1] = SPDM_ERROR;
			msg[2] = e[4];
			msg[3] = e[5];
			*len = 4 + at % 4 * 4 <= *len ? 4 + at % 4 * 4 : 4;
			break;
		case 5:		/* a run of one byte */
			memset(msg + at, e[4], n < *len - at ? n : *len - at);
			break;
		}
	}
}

static void
inside(struct talk *talk, uint8_t *msg, size_t *len)
{
	edit(talk, msg, len);
}

/* In the clear, or what the records look like: those have been changed. */
static void
outside(struct talk *talk, uint8_t *msg, size_t *len)
{
	if (!talk->requester->secured)
		edit(talk, msg, len);
}

static void
mutual(uint8_t how)
{
	static uint8_t	der[2048];
	size_t		n = soft_der(soft.root, der);

	spdm_hash(spdm_sha256(), der, n, root.sha256);
	root.cert = soft.root;
	t.rc.roots = &root;
	t.rc.nroots = 1;
	t.rc.mutual = how;
	t.rc.caps.flags |= SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;
	t.rc.known = &t.slots[0];
	t.qc.slots = t.slots;
	t.own_key = soft.key;
}

static void
configure(uint8_t how)
{
	talk_init(&t, &soft);
	t.seed = 7;
	memset(t.nonce, 5, sizeof(t.nonce));
	if (how & 1)
		mutual(how & 64 ? SPDM_MUT_DIGESTS : SPDM_MUT_ENCAP);
	if (how & 2)
		t.binding = (struct spdm_binding){ .seq_len = 2, .pad_max = 8,
		    .mctp = true };
	if (how & 4)
		t.qc.versions = SPDM_ALLOW_12;
	if (how & 16)
		t.defer = 1;
	if (how & 32)
		t.rc.caps.data_transfer = t.qc.caps.data_transfer = 330;
	requester_offer_session(&t.qc, t.qc.slots != NULL);
	t.qc.steps = how & 128 ? update_one : update_all;
	t.qc.nsteps = how & 128 ? sizeof(update_one) / sizeof(update_one[0]) :
	    sizeof(update_all) / sizeof(update_all[0]);
	t.inside = inside;
	t.response = outside;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum reason	r;

	if (soft.key == NULL) {
		if (spdm_init() == -1)
			abort();
		soft_new(&soft, KEY_P256);
	}
	if (size < 1)
		return 0;
	edits = data + 1;
	nedits = (size - 1) / EDIT;
	configure(data[0]);
	r = talk_run(&t);
	/* What was not touched works; else there is a reason with a name. */
	if (nedits == 0 && r != R_OK)
		abort();
	if (r != R_OK && !t.silent &&
	    requester_why(t.requester)->field[0] == '\0')
		abort();
	talk_free(&t);
	return 0;
}
