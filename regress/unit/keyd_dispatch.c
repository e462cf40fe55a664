/*
 * keyd's own tables and handlers over channels, with soft keys: who may ask
 * for what, what comes back, and what is refused for which reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "keyd_links.h"

#define NOW	1790000000ULL

static struct link	 netd, attestq, attestr;
static uint32_t		 ca, spdm, tls, audit;

static int
setup(void **state)
{
	const struct keyd_conf	 conf = { .backend = KEY_BACKEND_SOFT };
	struct why		 w;

	if (test_dir_make(state) == -1 || test_ring_open(&w) == -1 ||
	    code_open() == -1)
		return -1;
	keyd_serve(&conf);
	link_new(&policyd, IPC_POLICYD);
	link_new(&netd, IPC_NETD);
	link_new(&attestq, IPC_ATTESTQ);
	link_new(&attestr, IPC_ATTESTR);
	ca = make("ca", KEY_CA, KEY_P256);
	spdm = make("spdm", KEY_SPDM, KEY_P384);
	tls = make("tls", KEY_TLS, KEY_P256);
	audit = make("audit", KEY_AUDIT, KEY_P256);
	return 0;
}

static int
teardown(void **state)
{
	link_end(&policyd);
	link_end(&netd);
	link_end(&attestq);
	link_end(&attestr);
	code_close();
	return test_dir_remove(state);
}

/* ---- what each may have ---------------------------------------------- */

static void
tls_request(struct msg_tls_sign_req *m)
{
	memset(m, 0, sizeof(*m));
	m->key = tls;
	m->scheme = 0x0403;
	m->content.len = 130;
	memset(m->content.data, ' ', 64);
	memcpy(m->content.data + 64, "TLS 1.3, client CertificateVerify", 34);
}

static void
spdm_request(struct msg_spdm_sign_req *m)
{
	memset(m, 0, sizeof(*m));
	m->key = spdm;
	m->version = 0x13;
	IPC_SET_STR(m->context, "responder-measurements signing");
	m->hash.len = 48;
}

static void
test_status(void **state)
{

	assert_int_equal(call(&policyd, MSG_KEYD_STATUS_REQ, NULL), R_OK);
	assert_int_equal(got.type, MSG_KEYD_STATUS);
	assert_int_equal(got.msg.keyd_status.backend, KEY_BACKEND_SOFT);
	assert_int_equal(got.msg.keyd_status.reason, R_OK);
	assert_int_equal(got.msg.keyd_status.keys, 4);
	assert_false(got.msg.keyd_status.counter);
}

static void
test_key_make_again(void **state)
{
	struct msg_key_make_req	 m = { .purpose = KEY_TLS };

	assert_int_equal(make("tls", KEY_TLS, KEY_P256), tls);
	assert_false(got.msg.key_info.made);
	make("new", KEY_TLS, KEY_P256);
	assert_true(got.msg.key_info.made);
	IPC_SET_STR(m.label, "ca");
	assert_int_equal(call(&policyd, MSG_KEY_MAKE_REQ, &m), R_KEY_OTHER);
	assert_string_equal(got.field, "label");
	IPC_SET_STR(m.label, "../ca");
	assert_int_equal(call(&policyd, MSG_KEY_MAKE_REQ, &m), R_KEY_LABEL);
}

static void
test_tls(void **state)
{
	struct msg_tls_sign_req	 m;

	tls_request(&m);
	assert_int_equal(call(&netd, MSG_TLS_SIGN_REQ, &m), R_OK);
	assert_int_equal(got.type, MSG_TLS_SIGN_REP);
	assert_true(test_verify(curve_get(KEY_P256), key_point(key_byid(tls)),
	    m.content.data, m.content.len, got.msg.tls_sign_rep.signature.data,
	    got.msg.tls_sign_rep.signature.len));
	m.content.data[3] = 'x';
	assert_int_equal(call(&netd, MSG_TLS_SIGN_REQ, &m),
	    R_KEY_TLS_PADDING);
	tls_request(&m);
	m.scheme = 0x0804;
	assert_int_equal(call(&netd, MSG_TLS_SIGN_REQ, &m),
	    R_KEY_TLS_SCHEME);
}

static void
test_spdm(void **state)
{
	struct msg_spdm_sign_req m;
	const struct key	*k = key_byid(spdm);
	uint8_t			 bytes[SPDM_SIGNED_MAX], der[SIG_DER_MAX];
	size_t			 n, len;
	struct why		 w;

	spdm_request(&m);
	assert_int_equal(call(&attestr, MSG_SPDM_SIGN_REQ, &m), R_OK);
	assert_int_equal(got.type, MSG_SPDM_SIGN_REP);
	assert_int_equal(got.msg.spdm_sign_rep.signature.len, 96);
	assert_int_equal(spdm_build(key_curve(k), IPC_ATTESTR, 0x13, m.context,
	    m.hash.data, 48, bytes, &n, &w), 0);
	assert_int_equal(ecdsa_to_der(key_curve(k),
	    got.msg.spdm_sign_rep.signature.data, der, sizeof(der), &len), 0);
	assert_true(test_verify(key_curve(k), key_point(k), bytes, n, der,
	    len));
	m.version = 0x11;
	assert_int_equal(call(&attestr, MSG_SPDM_SIGN_REQ, &m),
	    R_KEY_SPDM_VERSION);
	spdm_request(&m);
	m.hash.len = 32;
	assert_int_equal(call(&attestr, MSG_SPDM_SIGN_REQ, &m),
	    R_KEY_SPDM_HASH);
}

/* The one that asks and the one that answers cannot speak for each other. */
static void
test_spdm_contexts(void **state)
{
	static const struct {
		const char	*context;
		bool		 q, r;
	} rows[] = {
		{ "responder-challenge_auth signing",	false,	true },
		{ "responder-measurements signing",	false,	true },
		{ "responder-key_exchange_rsp signing",	false,	true },
		{ "requester-finish signing",		true,	false },
		{ "requester-challenge_auth signing",	false,	false },
	};
	struct msg_spdm_sign_req	 m;
	uint64_t			 n = hub_count(R_KEY_SPDM_CONTEXT);
	size_t				 i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		spdm_request(&m);
		IPC_SET_STR(m.context, rows[i].context);
		assert_int_equal(call(&attestq, MSG_SPDM_SIGN_REQ, &m),
		    rows[i].q ? R_OK : R_KEY_SPDM_CONTEXT);
		assert_int_equal(call(&attestr, MSG_SPDM_SIGN_REQ, &m),
		    rows[i].r ? R_OK : R_KEY_SPDM_CONTEXT);
	}
	assert_int_equal(hub_count(R_KEY_SPDM_CONTEXT), n + 7);
}

/*
 * A code goes in and never comes out; what comes out for -Q and -R is that
 * of one session each, and -R answers as this node, whatever it says.
 */
static void
test_code(void **state)
{
	struct msg_code_put	 p = { .lifetime = 60000 };
	struct msg_psk_req	 m = { .key = spdm, .version = 0x13,
	    .algorithm = KEY_P384 };
	struct msg_psk_rep	 q;
	struct msg_code_drop	 d = { .code = { .len = 16 } };
	struct code_secrets	 s;
	struct code_ask		 a = { .idlen = 16, .dir = CODE_REQUESTER,
	    .version = 0x13, .algorithm = KEY_P384, .th1len = 48 };
	struct why		 w;
	size_t			 i;

	memset(p.code.data, 0x42, 16);
	p.code.len = 16;
	assert_int_equal(call(&policyd, MSG_CODE_PUT, &p), R_OK);
	assert_int_equal(got.type, MSG_CODE_HELD);
	assert_int_equal(got.msg.code_held.code.len, 16);
	IPC_SET_BLOB(m.code, got.msg.code_held.code.data, 16);
	assert_memory_not_equal(m.code.data, p.code.data, 16);
	assert_int_equal(call(&policyd, MSG_CODE_PUT, &p), R_KEY_CODE_AGAIN);
	m.th1.len = 48;
	m.key = tls;
	assert_int_equal(call(&attestr, MSG_PSK_REQ, &m), R_KEY_PURPOSE);
	m.key = spdm;
	memset(m.node, 'a', 40);	/* -R says so, and is not heard */
	assert_int_equal(call(&attestr, MSG_PSK_REQ, &m), R_OK);
	assert_int_equal(got.type, MSG_PSK_REP);
	q = got.msg.psk_rep;
	assert_int_equal(q.master.len, 48);
	/* The channel that brought it has nothing left of it. */
	for (i = 0; i < sizeof(q); i++)
		assert_int_equal(got.where[i], 0);
	assert_int_equal(call(&attestr, MSG_PSK_REQ, &m), R_KEY_CODE_USED);
	assert_int_equal(call(&attestq, MSG_PSK_REQ, &m), R_OK);
	assert_memory_not_equal(q.master.data, got.msg.psk_rep.master.data,
	    48);
	assert_int_equal(call(&attestq, MSG_PSK_REQ, &m), R_KEY_CODE_USED);

	/* The same secrets are not for -Q to have, which names this node. */
	p.code.data[0] ^= 1;
	assert_int_equal(call(&policyd, MSG_CODE_PUT, &p), R_OK);
	IPC_SET_BLOB(m.code, got.msg.code_held.code.data, 16);
	assert_int_equal(call(&attestr, MSG_PSK_REQ, &m), R_OK);
	q = got.msg.psk_rep;
	assert_int_equal(curve_node_id(curve_get(KEY_P384),
	    key_point(key_byid(spdm)), m.node), 0);
	assert_int_equal(call(&attestq, MSG_PSK_REQ, &m), R_KEY_CODE_FORM);
	assert_string_equal(got.field, "node");
	a.id = m.code.data;
	a.node = m.node;
	a.th1 = m.th1.data;
	assert_int_equal(code_use(&a, clock_mono_ms(), &s, &w), 0);
	assert_memory_equal(s.master, q.master.data, 48);

	p.code.data[0] ^= 3;
	assert_int_equal(call(&policyd, MSG_CODE_PUT, &p), R_OK);
	IPC_SET_BLOB(d.code, got.msg.code_held.code.data, 16);
	assert_int_equal(chan_send(policyd.peer, MSG_CODE_DROP, &d, -1), 0);
	IPC_SET_BLOB(m.code, d.code.data, 16);
	assert_int_equal(chan_input(policyd.keyd), 0);
	assert_int_equal(call(&attestr, MSG_PSK_REQ, &m), R_KEY_CODE_USED);
	m.code.data[0] ^= 1;
	assert_int_equal(call(&attestr, MSG_PSK_REQ, &m),
	    R_KEY_CODE_UNKNOWN);
}

static void
test_certificate(void **state)
{
	struct msg_cert_req	 m = { .issuer = ca, .profile = CERT_TLS_LEAF };
	const struct key	*k = key_byid(tls);
	const uint8_t		*p;
	EVP_PKEY		*pub;
	X509			*x;

	IPC_SET_BLOB(m.public, key_point(k), 65);
	assert_int_equal(curve_node_id(curve_get(KEY_P384),
	    key_point(key_byid(spdm)), m.node), 0);
	m.serial.len = 16;
	m.serial.data[0] = 0x41;
	m.not_before = NOW;
	m.not_after = NOW + 90 * 86400;
	assert_int_equal(call(&policyd, MSG_CERT_REQ, &m), R_OK);
	assert_int_equal(got.type, MSG_CERT_REP);
	p = got.msg.cert_rep.certificate.data;
	x = d2i_X509(NULL, &p, got.msg.cert_rep.certificate.len);
	assert_non_null(x);
	pub = test_pkey(curve_get(KEY_P256), key_point(key_byid(ca)));
	assert_int_equal(X509_verify(x, pub), 1);
	EVP_PKEY_free(pub);
	X509_free(x);
	m.not_after++;
	m.not_after += 3600;
	assert_int_equal(call(&policyd, MSG_CERT_REQ, &m),
	    R_KEY_CERT_VALIDITY);
	assert_string_equal(got.field, "validity");
}

static void
test_csr(void **state)
{
	struct msg_csr_req	 m = { .key = spdm };
	const uint8_t		*p;
	X509_REQ		*r;

	IPC_SET_STR(m.name, "bmc-a");
	IPC_SET_STR(m.serial, "ACME-1");
	assert_int_equal(call(&policyd, MSG_CSR_REQ, &m), R_OK);
	p = got.msg.csr_rep.csr.data;
	r = d2i_X509_REQ(NULL, &p, got.msg.csr_rep.csr.len);
	assert_non_null(r);
	assert_int_equal(X509_REQ_verify(r, X509_REQ_get0_pubkey(r)), 1);
	X509_REQ_free(r);
	IPC_SET_STR(m.name, "");
	assert_int_equal(call(&policyd, MSG_CSR_REQ, &m), R_KEY_CSR_NAME);
}

static void
test_checkpoint(void **state)
{
	struct msg_checkpoint_req m = { .key = audit, .sequence = 5,
	    .time = NOW, .counter = 3 };
	uint8_t			 bytes[CHECKPOINT_LEN];

	m.chain.len = 32;
	assert_int_equal(call(&policyd, MSG_CHECKPOINT_REQ, &m), R_OK);
	checkpoint_bytes(5, m.chain.data, NOW, 3, bytes);
	assert_true(test_verify(curve_get(KEY_P256),
	    key_point(key_byid(audit)), bytes, sizeof(bytes),
	    got.msg.checkpoint_rep.signature.data,
	    got.msg.checkpoint_rep.signature.len));
	m.chain.len = 31;
	assert_int_equal(call(&policyd, MSG_CHECKPOINT_REQ, &m),
	    R_KEY_CHECKPOINT);
}

/* ---- one purpose a key ----------------------------------------------- */

static void
test_every_key_for_every_request(void **state)
{
	const uint32_t			 keys[] = { ca, spdm, tls, audit, 4,
					    63 };
	struct msg_tls_sign_req		 t;
	struct msg_spdm_sign_req	 s;
	struct msg_cert_req		 c = { .profile = CERT_NODE_CA };
	struct msg_csr_req		 r = { .name = "x" };
	struct msg_checkpoint_req	 p = { .sequence = 1 };
	enum reason			 wrong;
	size_t				 i;

	p.chain.len = 32;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		wrong = keys[i] > audit ? R_KEY_UNKNOWN : R_KEY_PURPOSE;
		tls_request(&t);
		t.key = keys[i];
		assert_int_equal(call(&netd, MSG_TLS_SIGN_REQ, &t),
		    keys[i] == tls ? R_OK : wrong);
		spdm_request(&s);
		s.key = keys[i];
		assert_int_equal(call(&attestr, MSG_SPDM_SIGN_REQ, &s),
		    keys[i] == spdm ? R_OK : wrong);
		c.issuer = keys[i];
		assert_int_equal(call(&policyd, MSG_CERT_REQ, &c),
		    keys[i] == ca ? R_KEY_CERT_POINT : wrong);
		r.key = keys[i];
		assert_int_equal(call(&policyd, MSG_CSR_REQ, &r),
		    keys[i] == spdm || keys[i] == tls ? R_OK : wrong);
		p.key = keys[i];
		assert_int_equal(call(&policyd, MSG_CHECKPOINT_REQ, &p),
		    keys[i] == audit ? R_OK : wrong);
	}
}

static void
test_no_tpm(void **state)
{
	struct msg_counter_req	 c = { 0 };

	assert_int_equal(call(&policyd, MSG_COUNTER_REQ, &c), R_KEY_NO_TPM);
	assert_int_equal(call(&attestr, MSG_PCR_REQ, NULL), R_KEY_NO_TPM);
}

/* With something wrong from the start, everything says what, status too. */
static void
test_condition(void **state)
{
	const struct keyd_conf		 bad = {
		.backend = KEY_BACKEND_SEALED, .state = R_TPM_POLICY,
	};
	struct msg_key_make_req		 k = { .label = "tls" };
	struct msg_tls_sign_req		 t;

	keyd_serve(&bad);
	assert_int_equal(call(&policyd, MSG_KEYD_STATUS_REQ, NULL), R_OK);
	assert_int_equal(got.msg.keyd_status.reason, R_TPM_POLICY);
	assert_int_equal(call(&policyd, MSG_KEY_MAKE_REQ, &k), R_TPM_POLICY);
	tls_request(&t);
	assert_int_equal(call(&netd, MSG_TLS_SIGN_REQ, &t), R_TPM_POLICY);
}

/* ---- who may ask ----------------------------------------------------- */

/* What a daemon that was taken over sends anyway: its link ends. */
static void
forbidden(enum ipc_role role, enum ipc_type type)
{
	const struct hub_peer	*t = table(role);
	struct ending		 e;
	struct chan		*c;
	union ipc_any		 m;
	int			 fds[2];

	memset(&m, 0, sizeof(m));
	socket_pair(fds);
	c = end_new(fds[0], IPC_KEYD, role, t->handlers, t->nhandlers, &e);
	raw_msg(fds[1], type, ipc_kind(type) == IPC_CALL, &m);
	assert_int_equal(chan_input(c), -1);
	assert_int_equal(e.times, 1);
	assert_int_equal(e.reason, R_IPC_ROUTE);
	assert_int_equal(e.type, type);
	close(fds[1]);
}

static void
test_routes(void **state)
{
	static const enum ipc_type	 for_policyd[] = {
		MSG_KEY_MAKE_REQ, MSG_CERT_REQ, MSG_CSR_REQ,
		MSG_CHECKPOINT_REQ, MSG_COUNTER_REQ, MSG_KEYD_STATUS_REQ,
		MSG_CODE_PUT, MSG_CODE_DROP,
	};
	size_t				 i;

	for (i = 0; i < sizeof(for_policyd) / sizeof(for_policyd[0]); i++) {
		forbidden(IPC_NETD, for_policyd[i]);
		forbidden(IPC_ENROLD, for_policyd[i]);
		forbidden(IPC_ATTESTQ, for_policyd[i]);
		forbidden(IPC_ATTESTR, for_policyd[i]);
	}
	forbidden(IPC_NETD, MSG_SPDM_SIGN_REQ);
	forbidden(IPC_NETD, MSG_PCR_REQ);
	forbidden(IPC_NETD, MSG_PSK_REQ);
	forbidden(IPC_POLICYD, MSG_PSK_REQ);
	forbidden(IPC_ATTESTQ, MSG_TLS_SIGN_REQ);
	forbidden(IPC_ATTESTQ, MSG_PCR_REQ);
	forbidden(IPC_ATTESTR, MSG_TLS_SIGN_REQ);
	forbidden(IPC_POLICYD, MSG_TLS_SIGN_REQ);
	forbidden(IPC_POLICYD, MSG_SPDM_SIGN_REQ);
	assert_int_equal(keyd_npeers, 5);
}

static void
test_every_refusal_is_counted(void **state)
{
	struct msg_counter_req	 c = { 0 };
	uint64_t		 n = hub_count(R_KEY_NO_TPM);

	assert_int_equal(call(&policyd, MSG_COUNTER_REQ, &c), R_KEY_NO_TPM);
	assert_int_equal(hub_count(R_KEY_NO_TPM), n + 2);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_status),
		T(test_key_make_again),
		T(test_tls),
		T(test_spdm),
		T(test_spdm_contexts),
		T(test_code),
		T(test_certificate),
		T(test_csr),
		T(test_checkpoint),
		T(test_every_key_for_every_request),
		T(test_no_tpm),
		T(test_condition),
		T(test_routes),
		T(test_every_refusal_is_counted),
	};

	return cmocka_run_group_tests_name("keyd_dispatch", tests, NULL, NULL);
}
