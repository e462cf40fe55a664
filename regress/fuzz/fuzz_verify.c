/*
 * A stranger's certificate, as it comes before any key has signed: parsed,
 * read and judged without harm, and never accepted.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/certs.h"

static struct ca ca;

static void
setup(void)
{
	static struct msg_peer_set	m;
	struct refusal			why;

	if (tls_init(NULL) == -1)
		abort();
	ca = certs_ca("provd node CA B");	/* the seeds' issuer by name */
	peer_table_init();
	m.peer = 1;
	IPC_SET_STR(m.node, NODE_B);
	CERTS_BLOB(m.anchor, ca.cert);
	if (peer_enter(&m, &why) == NULL || why.reason != R_OK)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct refusal	why = { 0 };
	X509		*x;

	if (ca.cert == NULL)
		setup();
	if ((x = tls_parse(p, len)) == NULL)
		return 0;
	if (peer_verify(x, true, NULL, clock_trusted(), &why) != NULL ||
	    why.reason == R_OK || memchr(why.seen, '\0',
	    sizeof(why.seen)) == NULL)
		abort();
	(void)verify_anchor(x);
	X509_free(x);
	return 0;
}
