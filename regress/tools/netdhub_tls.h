/*
 * The part of netdhub that knows the peer channel: policyd's messages about
 * peers, and keyd's signatures with a key from a file. Included by netdhub.c.
 *
 *   identity NODE KEY.pem LEAF.pem		NET_IDENTITY; the key signs from now on
 *   peer N NODE ADDRESS PORT SHIFT KEEPALIVE SILENCE ANCHOR.pem [ANCHOR2.pem]
 *					PEER_SET; "-" for an empty address or anchor
 *   forget N				PEER_DROP
 *   end				PEERS_END
 *   sign go|hold|refuse		what becomes of signatures; go answers the held
 */
#include <openssl/evp.h>
#include <openssl/pem.h>

#define HELD_MAX	128

static EVP_PKEY	*sign_key;
static enum { SIGN_GO, SIGN_HOLD, SIGN_REFUSE } sign_mode;
static struct { struct ipc_call call; struct msg_tls_sign_req req; }
	held[HELD_MAX];
static unsigned	 nheld;

static void
answer_sign(const struct ipc_call *call, const struct msg_tls_sign_req *q)
{
	struct msg_tls_sign_rep	 rep = { 0 };
	struct chan		*c = chan_find(call);
	EVP_MD_CTX		*ctx = EVP_MD_CTX_new();
	uint8_t			 sig[112];
	size_t			 len = sizeof(sig);

	if (c != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL,
	    sign_key) == 1 && EVP_DigestSign(ctx, sig, &len, q->content.data,
	    q->content.len) == 1) {
		IPC_SET_BLOB(rep.signature, sig, len);
		chan_reply(c, call, MSG_TLS_SIGN_REP, &rep);
	}
	EVP_MD_CTX_free(ctx);
}

static int
on_tls_sign(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_tls_sign_req *q = arg;

	say("sign %u %04x %u", q->key, q->scheme, q->content.len);
	if (sign_key == NULL || sign_mode == SIGN_REFUSE)
		return chan_refuse(c, call, R_IPC_UNHANDLED);
	if (sign_mode == SIGN_HOLD && nheld < HELD_MAX) {
		held[nheld].call = *call;
		held[nheld++].req = *q;
	} else
		answer_sign(call, q);
	return 0;
}

static void
sign_set(const char *mode)
{
	unsigned i;

	sign_mode = strcmp(mode, "hold") == 0 ? SIGN_HOLD :
	    strcmp(mode, "refuse") == 0 ? SIGN_REFUSE : SIGN_GO;
	if (sign_mode != SIGN_GO)
		return;
	for (i = 0; i < nheld; i++)
		answer_sign(&held[i].call, &held[i].req);
	nheld = 0;
}

/* The certificate of a PEM file as DER; the caller's to free. */
static int
pem_der(const char *path, uint8_t **der)
{
	FILE	*f = fopen(path, "r");
	X509	*x = f == NULL ? NULL : PEM_read_X509(f, NULL, NULL, NULL);
	int	 len = x == NULL ? -1 : i2d_X509(x, der);

	if (len < 0)
		fatal("%s", path);
	X509_free(x);
	fclose(f);
	return len;
}

#define SET_PEM(field, path)	do {					\
	uint8_t	*der_ = NULL;						\
	int	 len_ = pem_der((path), &der_);				\
	if (IPC_SET_BLOB(field, der_, (size_t)len_) == -1)		\
		fatalx("%s: too long", (path));				\
	OPENSSL_free(der_);						\
} while (0)

static void
identity(const char *node, const char *key, const char *leaf)
{
	static struct msg_net_identity	 m;
	FILE				*f = fopen(key, "r");

	EVP_PKEY_free(sign_key);
	sign_key = f == NULL ? NULL : PEM_read_PrivateKey(f, NULL, NULL, NULL);
	if (sign_key == NULL)
		fatal("%s", key);
	fclose(f);
	memset(&m, 0, sizeof(m));
	IPC_SET_STR(m.node, node);
	IPC_SET_STR(m.system_name, "netdhub");
	m.key = 3;
	m.algorithm = KEY_P256;
	SET_PEM(m.leaf, leaf);
	chan_send(links[IPC_POLICYD], MSG_NET_IDENTITY, &m, -1);
}

static bool
peer_command(const char *line)
{
	static struct msg_peer_set	m;
	char				a[256] = "-", b[256] = "-";
	long long			shift;

	memset(&m, 0, sizeof(m));
	if (sscanf(line, "peer %u %40s %64s %u %lld %u %u %255s %255s",
	    &m.peer, m.node, m.address, &m.port, &shift, &m.keepalive,
	    &m.silence, a, b) < 8)
		return false;
	m.shift = shift;
	snprintf(m.name, sizeof(m.name), "peer-%u", m.peer);
	if (strcmp(m.address, "-") == 0)
		m.address[0] = '\0';
	if (strcmp(a, "-") != 0)
		SET_PEM(m.anchor, a);
	if (strcmp(b, "-") != 0)
		SET_PEM(m.anchor2, b);
	chan_send(links[IPC_POLICYD], MSG_PEER_SET, &m, -1);
	return true;
}

static bool
tls_command(const char *line)
{
	char			node[41], key[256], leaf[256];
	struct msg_peer_drop	drop = { 0 };

	if (sscanf(line, "identity %40s %255s %255s", node, key, leaf) == 3)
		identity(node, key, leaf);
	else if (sscanf(line, "forget %u", &drop.peer) == 1)
		chan_send(links[IPC_POLICYD], MSG_PEER_DROP, &drop, -1);
	else if (strcmp(line, "end") == 0)
		chan_send(links[IPC_POLICYD], MSG_PEERS_END, NULL, -1);
	else if (sscanf(line, "sign %255s", key) == 1)
		sign_set(key);
	else
		return peer_command(line);
	return true;
}
