/*
 * What an attestation costs, requester and responder together in one
 * process, beside the bare sum of its signatures and verifications, in
 * turns; then with the signatures of a TPM, asked of keyd, beside the bare
 * rate of that TPM. The difference is certificates (OpenSSL parses each
 * once), hashes and ours. "--only N" does N attestations and nothing else.
 */
#include <poll.h>

#include "bench.h"
#include "keyd_run.h"
#include "ipc.h"
#include "../unit/spdm_talk.h"

#define ROUNDS	11
#define TURNS	20	/* attestations in a round */

static struct soft	soft;
static struct talk	talk;

static double
attestations(void)
{
	double	t = seconds();
	int	i;

	for (i = 0; i < TURNS; i++)
		NEED(talk_run(&talk) == R_OK);
	return seconds() - t;
}

/* CHALLENGE_AUTH and MEASUREMENTS: signed, then verified. */
static void
sign_verify(void)
{
	uint8_t	sig[SPDM_SIG_MAX], hash[SPDM_HASH_MAX] = { 1 };
	int	i;

	for (i = 0; i < 2; i++) {
		soft_sign(soft.key, soft.alg, SPDM_V13, SPDM_CTX_CHALLENGE,
		    hash, sig);
		NEED(spdm_verify(soft.key, soft.alg, SPDM_V13,
		    SPDM_CTX_CHALLENGE, hash, sig) == 0);
	}
}

/* Slot 0's leaf; slot 1's CA, signed by itself, and its leaf. */
static void
verify_links(void)
{
	NEED(X509_verify(soft.leaf, soft.root_key) == 1);
	NEED(X509_verify(soft.node_ca, soft.ca_key) == 1);
	NEED(X509_verify(soft.node_leaf, soft.ca_key) == 1);
}

static double
bare(void)
{
	double	t = seconds();
	int	i;

	for (i = 0; i < TURNS; i++) {
		sign_verify();
		verify_links();
	}
	return seconds() - t;
}

static void
curve(const char *which, enum key_algorithm a)
{
	double	whole[ROUNDS], sum[ROUNDS], ratio[ROUNDS];
	char	name[64];
	int	i;

	soft_new(&soft, a);
	talk_init(&talk, &soft);
	attestations();
	bare();
	for (i = 0; i < ROUNDS; i++) {
		whole[i] = attestations();
		sum[i] = bare();
		ratio[i] = whole[i] / sum[i];
	}
	snprintf(name, sizeof(name), "attest_%s_crypto", which);
	bench_line(name, 1e3 * median(sum, ROUNDS) / TURNS, "ms", 1);
	snprintf(name, sizeof(name), "attest_%s", which);
	bench_line(name, 1e3 * median(whole, ROUNDS) / TURNS, "ms",
	    median(ratio, ROUNDS));
	talk_free(&talk);
	soft_free(&soft);
}

/* ---- with a TPM ---------------------------------------------------------- */

static struct chan	*keyd;
static bool		 signed_it;

static void
closed(struct chan *c, enum reason why, unsigned type)
{
	errx(1, "keyd went away");
}

static void
key_signed(const struct ipc_reply *r, void *arg)
{
	const struct msg_spdm_sign_rep	*m = r->msg;

	if (r->reason != R_OK)
		errx(1, "keyd: %s", reason_text(r->reason));
	memcpy(arg, m->signature.data, m->signature.len);
	signed_it = true;
}

static void
keyd_sign(const struct responder_sign *sg, uint8_t *sig)
{
	struct msg_spdm_sign_req	m = { .version = sg->version };
	struct pollfd			p = { chan_fd(keyd), POLLIN, 0 };

	IPC_SET_STR(m.context, sg->context);
	IPC_SET_BLOB(m.hash, sg->hash, sg->hash_len);
	signed_it = false;
	NEED(chan_call(keyd, MSG_SPDM_SIGN_REQ, &m, -1, 60000, key_signed, sig)
	    == 0);
	while (!signed_it) {
		p.events = chan_wants_output(keyd) ? POLLIN | POLLOUT : POLLIN;
		NEED(poll(&p, 1, -1) == 1);
		if (p.revents & POLLOUT)
			chan_output(keyd);
		if (p.revents & POLLIN)
			chan_input(keyd);
	}
}

static void
attest_by_keyd(void)
{
	const uint8_t	*p;
	uint8_t		 sig[SPDM_SIG_MAX];
	enum spdm_act	 act;
	bool		 secured;
	size_t		 len;

	talk_over(&talk);
	talk.responder = responder_new(&talk.rc);
	talk.requester = requester_new(&talk.qc, talk.nonce);
	NEED(talk.responder != NULL && talk.requester != NULL);
	act = requester_start(talk.requester);
	while (act == SPDM_SEND) {
		p = requester_out(talk.requester, &secured, &len);
		if (responder_feed(talk.responder, secured, p, len) ==
		    RESPONDER_SIGN) {
			keyd_sign(responder_sign(talk.responder), sig);
			responder_signed(talk.responder,
			    responder_sign(talk.responder)->serial, sig);
		}
		p = responder_out(talk.responder, &secured, &len);
		act = requester_feed(talk.requester, secured, p, len);
	}
	NEED(act == SPDM_DONE);
}

/* The certificates are made anew over keyd's key. */
static void
soft_rekey(const uint8_t point[KEYD_POINT])
{
	EVP_PKEY	*key = EVP_EC_gen("prime256v1");

	NEED(key != NULL && EVP_PKEY_set1_encoded_public_key(key, point,
	    KEYD_POINT) == 1);
	X509_free(soft.leaf);
	X509_free(soft.node_leaf);
	soft.leaf = soft_issue(&soft_leaf, key, soft.root, soft.root_key);
	soft.node_leaf = soft_issue(&soft_node_leaf, key, soft.node_ca,
	    soft.ca_key);
	soft_chains(&soft);
	EVP_PKEY_free(key);
}

/* Two signatures of the TPM, and the verifications that are ours. */
static double
bare_tpm(const char *argv0)
{
	double	sum = 2 / keyd_bare(argv0, "tpm"), t = seconds();
	int	i;

	for (i = 0; i < TURNS; i++)
		verify_links();
	return sum + (seconds() - t) / TURNS;
}

/* With keyd's key, sealed to a software TPM or in it. */
static void
by_keyd(const char *argv0, const char *backend)
{
	struct keyd_run	 run;
	struct chan_conf cc = { .self = IPC_ATTESTR, .peer = IPC_KEYD,
	    .closed = closed };
	double		 t, whole[ROUNDS], ratio[ROUNDS], sum[ROUNDS];
	char		 name[64];
	int		 i, n;

	soft_new(&soft, KEY_P256);
	keyd_run(&run, argv0, "spdm", backend);
	soft_rekey(run.point);
	talk_init(&talk, &soft);
	NEED((keyd = chan_new(run.fd, &cc)) != NULL);
	chan_set_phase(keyd, IPC_RUN);
	attest_by_keyd();
	for (i = 0; i < ROUNDS; i++) {
		t = seconds();
		for (n = 0; n < TURNS; n++)
			attest_by_keyd();
		whole[i] = (seconds() - t) / TURNS;
		sum[i] = strcmp(backend, "tpm") == 0 ? bare_tpm(argv0) :
		    bare() / TURNS;
		ratio[i] = whole[i] / sum[i];
	}
	snprintf(name, sizeof(name), "attest_%s_crypto", backend);
	bench_line(name, 1e3 * median(sum, ROUNDS), "ms", 1);
	snprintf(name, sizeof(name), "attest_%s", backend);
	bench_line(name, 1e3 * median(whole, ROUNDS), "ms",
	    median(ratio, ROUNDS));
	talk_free(&talk);
	soft_free(&soft);
	close(run.fd);
	keyd_run_end(&run);
}

static void
only(unsigned n)
{
	soft_new(&soft, KEY_P256);
	talk_init(&talk, &soft);
	while (n-- > 0)
		NEED(talk_run(&talk) == R_OK);
	talk_free(&talk);
	soft_free(&soft);
}

int
main(int argc, char **argv)
{
	NEED(spdm_init() == 0);
	if (argc == 3 && strcmp(argv[1], "--only") == 0) {
		only((unsigned)strtoul(argv[2], NULL, 10));
		return 0;
	}
	bench_start(argc, argv);
	curve("p256", KEY_P256);
	curve("p384", KEY_P384);
	by_keyd(argv[0], "sealed");
	by_keyd(argv[0], "tpm");
	return 0;
}
