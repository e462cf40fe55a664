/*
 * A request for a certificate, from whichever door: its fields for policyd.
 * The same request by the same authority has the same hash, so that whoever
 * did not get the answer may ask again.
 */
#include <openssl/evp.h>
#include <string.h>

#include "enrold.h"
#include "log.h"

static void
add(EVP_MD_CTX *ctx, const void *p, size_t len)
{
	uint8_t	head[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16),
	    (uint8_t)(len >> 8), (uint8_t)len };

	if (EVP_DigestUpdate(ctx, head, sizeof(head)) != 1 ||
	    EVP_DigestUpdate(ctx, p, len) != 1)
		fatalx("enrol: SHA-256");
}

/*
 * What is asked for, and by what right. A key that was made here is new each
 * time, and so is the request.
 */
static void
request_hash(const struct enrol_ask *a, const struct client *who,
    uint8_t out[32])
{
	EVP_MD_CTX	*ctx = tls_sha256();
	uint8_t		 kind[3] = { a->renew, a->keygen, a->ticket != NULL };

	add(ctx, kind, sizeof(kind));
	add(ctx, a->profile, strlen(a->profile));
	add(ctx, a->csr->der.p, a->csr->der.len);
	if (a->keygen)
		add(ctx, a->csr->public, a->csr->public_len);
	if (a->ticket != NULL)
		add(ctx, a->ticket, TICKET_LEN);
	else {
		add(ctx, who->serial, who->serial_len);
		add(ctx, who->root, sizeof(who->root));
	}
	if (EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		fatalx("enrol: SHA-256");
}

void
enrol_message(const struct conn *c, const struct enrol_ask *a,
    struct msg_enrol_req *m)
{
	const struct csr	*csr = a->csr;
	const struct client	*who = conn_client(c);
	uint8_t			 hash[32];

	memset(m, 0, sizeof(*m));
	request_hash(a, who, hash);
	IPC_SET_BLOB(m->request, hash, sizeof(hash));
	m->renew = a->renew;
	m->est = a->est;
	m->server_keygen = a->keygen;
	IPC_SET_STR(m->profile, a->profile);
	IPC_SET_STR(m->name, csr->name);
	m->san_kind = csr->san_kind;
	IPC_SET_STR(m->san, csr->san);
	m->key_type = csr->key_type;
	IPC_SET_BLOB(m->public, csr->public, csr->public_len);
	m->exponent = csr->exponent;
	if (a->ticket != NULL)
		IPC_SET_BLOB(m->ticket, a->ticket, TICKET_LEN);
	IPC_SET_STR(m->address, conn_address(c));
	m->client = who->kind;
	if (who->kind == CLIENT_NONE)
		return;
	IPC_SET_BLOB(m->client_serial, who->serial, who->serial_len);
	IPC_SET_BLOB(m->client_key, who->key, sizeof(who->key));
	IPC_SET_STR(m->client_name, who->name);
	IPC_SET_STR(m->client_unit, who->unit);
	if (who->kind == CLIENT_MAKER)
		IPC_SET_BLOB(m->client_root, who->root, sizeof(who->root));
}
