/*
 * What an attestation costs, requester and responder together in one
 * process, beside the bare sum of its signatures and verifications, in
 * turns. Prints
 *
 *     curve  median of each in milliseconds  ratio
 *
 * The difference is certificates (OpenSSL parses each once), hashes and ours.
 */
#include <time.h>

#include "bench.h"
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
curve(enum key_algorithm a)
{
	double	whole[ROUNDS], sum[ROUNDS], ratio[ROUNDS];
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
	printf("%-26s  attestation %7.3f ms  crypto %7.3f ms  ratio %.2f\n",
	    soft.alg->name, 1e3 * median(whole, ROUNDS) / TURNS,
	    1e3 * median(sum, ROUNDS) / TURNS, median(ratio, ROUNDS));
	talk_free(&talk);
	soft_free(&soft);
}

int
main(void)
{
	NEED(spdm_init() == 0);
	curve(KEY_P256);
	curve(KEY_P384);
	return 0;
}
