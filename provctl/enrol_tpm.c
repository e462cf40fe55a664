/*
 * A device's key that its TPM made and never gives away: P-256, below a
 * storage root key of TCG's template (EK Credential Profile, H-2) that is
 * made anew whenever it is needed, so that nothing is kept in the TPM.
 *
 * What is kept in a file is what the TPM gives for it, TPM2B_PUBLIC and then
 * TPM2B_PRIVATE as in TPM 2.0 part 2, 12.2.5 and 12.3.7, which is of use to
 * this TPM alone. The key has no password: whoever may use the TPM may use it.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/provider.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>

#include "clock.h"
#include "enrol.h"
#include "tcti.h"
#include "tlsconn.h"

#define PATIENCE	60000	/* ms; some TPMs take long to make a key */
#define KEYS_MAX	4	/* the one in use, the next one, and room */
#define COORD		32

struct tpm_key {
	uint32_t	 id;		/* for the provider */
	ESYS_TR		 handle;
	uint8_t		 point[1 + 2 * COORD];
	uint8_t		*blob;
	size_t		 len;
};

/* One TPM, as there is one provider. */
static struct {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT	*esys;
	ESYS_TR		 srk;
	uint64_t	 deadline;
	OSSL_LIB_CTX	*lib;
	struct tpm_key	*keys[KEYS_MAX];
} tpm;

/* ---- commands ----------------------------------------------------------- */

static TSS2_RC
tpm_wait(void)
{
	struct pollfd	 p = { .fd = tcti_fd(tpm.tcti) };
	uint64_t	 now;

	tcti_output(tpm.tcti);
	p.events = POLLIN | (tcti_wants_output(tpm.tcti) ? POLLOUT : 0);
	if ((now = clock_mono_ms()) >= tpm.deadline)
		return TSS2_TCTI_RC_IO_ERROR;
	if (poll(&p, 1, (int)(tpm.deadline - now)) == -1 && errno != EINTR)
		return TSS2_TCTI_RC_IO_ERROR;
	return TSS2_RC_SUCCESS;
}

/* The layer that reports it does not matter (TSS 2.0 overview, 5). */
static bool
tpm_again(TSS2_RC rc)
{
	return (rc & ~TSS2_RC_LAYER_MASK) == TSS2_BASE_RC_TRY_AGAIN;
}

/* Our TCTI does not wait; ESYS' own synchronous calls would spin on it. */
#define RUN(rc, async, finish) do {					\
	tpm.deadline = clock_mono_ms() + PATIENCE;			\
	if (((rc) = (async)) == TSS2_RC_SUCCESS)			\
		do							\
			(rc) = (finish);				\
		while (tpm_again(rc) && ((rc) = tpm_wait()) ==		\
		    TSS2_RC_SUCCESS);					\
} while (0)

static int
tpm_failed(const char *command, TSS2_RC rc)
{
	fprintf(stderr, "provctl: %s: %s\n", command, Tss2_RC_Decode(rc));
	return -1;
}

static void
template(TPM2B_PUBLIC *p, bool storage)
{
	TPMS_ECC_PARMS	*ecc = &p->publicArea.parameters.eccDetail;

	memset(p, 0, sizeof(*p));
	p->publicArea.type = TPM2_ALG_ECC;
	p->publicArea.nameAlg = TPM2_ALG_SHA256;
	p->publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM |
	    TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
	    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
	    (storage ? TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT :
	    TPMA_OBJECT_SIGN_ENCRYPT);
	ecc->curveID = TPM2_ECC_NIST_P256;
	ecc->kdf.scheme = TPM2_ALG_NULL;
	if (storage) {
		ecc->symmetric.algorithm = TPM2_ALG_AES;
		ecc->symmetric.keyBits.aes = 128;
		ecc->symmetric.mode.aes = TPM2_ALG_CFB;
		ecc->scheme.scheme = TPM2_ALG_NULL;
		p->publicArea.unique.ecc.x.size = COORD;
		p->publicArea.unique.ecc.y.size = COORD;
	} else {
		ecc->symmetric.algorithm = TPM2_ALG_NULL;
		ecc->scheme.scheme = TPM2_ALG_ECDSA;
		ecc->scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
	}
}

static int
make_srk(void)
{
	const TPM2B_SENSITIVE_CREATE	 sensitive = { .size = 0 };
	const TPM2B_DATA		 outside = { .size = 0 };
	const TPML_PCR_SELECTION	 pcrs = { .count = 0 };
	TPM2B_PUBLIC			 in, *public = NULL;
	TPM2B_CREATION_DATA		*data = NULL;
	TPM2B_DIGEST			*hash = NULL;
	TPMT_TK_CREATION		*ticket = NULL;
	TSS2_RC				 rc;

	template(&in, true);
	RUN(rc, Esys_CreatePrimary_Async(tpm.esys, ESYS_TR_RH_OWNER,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &in,
	    &outside, &pcrs), Esys_CreatePrimary_Finish(tpm.esys, &tpm.srk,
	    &public, &data, &hash, &ticket));
	Esys_Free(public);
	Esys_Free(data);
	Esys_Free(hash);
	Esys_Free(ticket);
	return rc == TSS2_RC_SUCCESS ? 0 :
	    tpm_failed("TPM2_CreatePrimary", rc);
}

static void
flush(ESYS_TR handle)
{
	TSS2_RC	 rc;

	RUN(rc, Esys_FlushContext_Async(tpm.esys, handle),
	    Esys_FlushContext_Finish(tpm.esys));
	(void)rc;		/* it is of no use to anybody else */
}

/* ---- the TPM ------------------------------------------------------------ */

static int
open_fd(const char *where)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	int			fd;

	if (strncmp(where, "unix:", 5) != 0)
		return open(where, O_RDWR | O_CLOEXEC);
	where += 5;
	if (strlen(where) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, where, strlen(where));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) != -1 &&
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int
tpm_open(const char *where)
{
	int	fd;

	if ((fd = open_fd(where)) == -1 ||
	    (tpm.tcti = tcti_new(fd)) == NULL) {
		fprintf(stderr, "provctl: %s: %s\n", where, strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (Esys_Initialize(&tpm.esys, tpm.tcti, NULL) != TSS2_RC_SUCCESS) {
		fprintf(stderr, "provctl: %s: no TPM\n", where);
		tcti_free(tpm.tcti);
		tpm.tcti = NULL;
		return -1;
	}
	tpm.srk = ESYS_TR_NONE;
	return make_srk();
}

bool
tpm_is_open(void)
{
	return tpm.tcti != NULL;
}

void
tpm_close(void)
{
	if (tpm.tcti == NULL)
		return;
	if (tpm.srk != ESYS_TR_NONE)
		flush(tpm.srk);
	Esys_Finalize(&tpm.esys);
	tcti_free(tpm.tcti);
	tpm.tcti = NULL;
}

/* ---- keys --------------------------------------------------------------- */

/* A coordinate may be shorter than the curve's. */
static int
pad(const TPM2B_ECC_PARAMETER *in, uint8_t *out)
{
	if (in->size > COORD)
		return -1;
	memset(out, 0, COORD);
	memcpy(out + COORD - in->size, in->buffer, in->size);
	return 0;
}

static struct tpm_key *
load(const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private)
{
	const TPMS_ECC_POINT	*p = &public->publicArea.unique.ecc;
	struct tpm_key		*k;
	uint32_t		 i;
	TSS2_RC			 rc;

	for (i = 0; i < KEYS_MAX && tpm.keys[i] != NULL; i++)
		continue;
	if (i == KEYS_MAX || public->publicArea.type != TPM2_ALG_ECC ||
	    public->publicArea.parameters.eccDetail.curveID !=
	    TPM2_ECC_NIST_P256) {
		fputs("provctl: the file has no P-256 key of a TPM\n", stderr);
		return NULL;
	}
	if ((k = calloc(1, sizeof(*k))) == NULL)
		abort();
	k->id = i;
	k->point[0] = 4;
	RUN(rc, Esys_Load_Async(tpm.esys, tpm.srk, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE, ESYS_TR_NONE, private, public),
	    Esys_Load_Finish(tpm.esys, &k->handle));
	if (rc != TSS2_RC_SUCCESS || pad(&p->x, k->point + 1) == -1 ||
	    pad(&p->y, k->point + 1 + COORD) == -1) {
		tpm_failed("TPM2_Load: this key is of another TPM, or broken",
		    rc);
		free(k);
		return NULL;
	}
	tpm.keys[i] = k;
	return k;
}

static struct tpm_key *
keep_blob(struct tpm_key *k, const uint8_t *blob, size_t len)
{
	if (k == NULL)
		return NULL;
	if ((k->blob = malloc(len)) == NULL)
		abort();
	memcpy(k->blob, blob, len);
	k->len = len;
	return k;
}

struct tpm_key *
tpm_make(void)
{
	const TPM2B_SENSITIVE_CREATE	 sensitive = { .size = 0 };
	const TPM2B_DATA		 outside = { .size = 0 };
	const TPML_PCR_SELECTION	 pcrs = { .count = 0 };
	TPM2B_PUBLIC			 in, *public = NULL;
	TPM2B_PRIVATE			*private = NULL;
	TPM2B_CREATION_DATA		*data = NULL;
	TPM2B_DIGEST			*hash = NULL;
	TPMT_TK_CREATION		*ticket = NULL;
	struct tpm_key			*k = NULL;
	uint8_t				 blob[2048];
	size_t				 len = 0;
	TSS2_RC				 rc;

	template(&in, false);
	RUN(rc, Esys_Create_Async(tpm.esys, tpm.srk, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &in, &outside, &pcrs),
	    Esys_Create_Finish(tpm.esys, &private, &public, &data, &hash,
	    &ticket));
	if (rc != TSS2_RC_SUCCESS)
		tpm_failed("TPM2_Create", rc);
	else if (Tss2_MU_TPM2B_PUBLIC_Marshal(public, blob, sizeof(blob),
	    &len) == TSS2_RC_SUCCESS && Tss2_MU_TPM2B_PRIVATE_Marshal(private,
	    blob, sizeof(blob), &len) == TSS2_RC_SUCCESS)
		k = keep_blob(load(public, private), blob, len);
	Esys_Free(public);
	Esys_Free(private);
	Esys_Free(data);
	Esys_Free(hash);
	Esys_Free(ticket);
	return k;
}

struct tpm_key *
tpm_load(const uint8_t *blob, size_t len)
{
	TPM2B_PUBLIC	public = { 0 };
	TPM2B_PRIVATE	private = { 0 };
	size_t		at = 0;

	if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(blob, len, &at, &public) !=
	    TSS2_RC_SUCCESS || Tss2_MU_TPM2B_PRIVATE_Unmarshal(blob, len, &at,
	    &private) != TSS2_RC_SUCCESS || at != len) {
		fputs("provctl: the file has no key of a TPM\n", stderr);
		return NULL;
	}
	return keep_blob(load(&public, &private), blob, len);
}

void
tpm_key_free(struct tpm_key *k)
{
	if (k == NULL)
		return;
	tpm.keys[k->id] = NULL;
	flush(k->handle);
	free(k->blob);
	free(k);
}

const uint8_t *
tpm_blob(const struct tpm_key *k, size_t *len)
{
	*len = k->len;
	return k->blob;
}

EVP_PKEY *
tpm_public(const struct tpm_key *k)
{
	EVP_PKEY_CTX	*ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY	*key = NULL;
	char		 group[] = "P-256";
	uint8_t		 point[sizeof(k->point)];
	OSSL_PARAM	 params[3];

	memcpy(point, k->point, sizeof(point));
	params[0] = OSSL_PARAM_construct_utf8_string(
	    OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
	    point, sizeof(point));
	params[2] = OSSL_PARAM_construct_end();
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* ---- signatures --------------------------------------------------------- */

static int
to_der(const TPMS_SIGNATURE_ECC *s, uint8_t *sig, size_t size, size_t *len)
{
	ECDSA_SIG	*e = ECDSA_SIG_new();
	BIGNUM		*r = BN_bin2bn(s->signatureR.buffer,
			     s->signatureR.size, NULL);
	BIGNUM		*v = BN_bin2bn(s->signatureS.buffer,
			     s->signatureS.size, NULL);
	int		 n;

	if (e == NULL || r == NULL || v == NULL)
		abort();
	ECDSA_SIG_set0(e, r, v);
	n = i2d_ECDSA_SIG(e, NULL);
	if (n > 0 && (size_t)n <= size)
		*len = (size_t)i2d_ECDSA_SIG(e, &sig);
	ECDSA_SIG_free(e);
	return n > 0 && (size_t)n <= size ? 0 : -1;
}

int
tpm_sign(const struct tpm_key *k, const void *message, size_t len,
    uint8_t sig[TPM_SIG_MAX], size_t *siglen)
{
	const TPMT_TK_HASHCHECK	 ticket = {
		.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL,
	};
	const TPMT_SIG_SCHEME	 scheme = { TPM2_ALG_NULL, { .any = { 0 } } };
	TPM2B_DIGEST		 digest = { .size = 32 };
	TPMT_SIGNATURE		*out = NULL;
	TSS2_RC			 rc;
	int			 r;

	if (EVP_Digest(message, len, digest.buffer, NULL, EVP_sha256(),
	    NULL) != 1)
		return -1;
	RUN(rc, Esys_Sign_Async(tpm.esys, k->handle, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE, ESYS_TR_NONE, &digest, &scheme, &ticket),
	    Esys_Sign_Finish(tpm.esys, &out));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_failed("TPM2_Sign", rc);
	r = out->sigAlg == TPM2_ALG_ECDSA ? to_der(&out->signature.ecdsa, sig,
	    TPM_SIG_MAX, siglen) : -1;
	Esys_Free(out);
	return r;
}

/* What libssl asks of the provider: the content of a CertificateVerify. */
static enum reason
sign_tls(const struct sign_request *req)
{
	uint8_t	sig[TPM_SIG_MAX];
	size_t	len;

	if (req->key >= KEYS_MAX || tpm.keys[req->key] == NULL ||
	    tpm_sign(tpm.keys[req->key], req->content, req->len, sig, &len) ==
	    -1)
		return R_TPM_SILENT;
	provider_done(req->id, R_OK, sig, len);
	return R_OK;
}

SSL_CTX *
tpm_tls(void)
{
	if (tpm.lib == NULL) {
		tpm.lib = OSSL_LIB_CTX_new();
		if (tpm.lib == NULL ||
		    OSSL_PROVIDER_load(tpm.lib, "default") == NULL ||
		    provider_init(tpm.lib, false) == -1)
			abort();
		provider_signer(sign_tls);
	}
	return SSL_CTX_new_ex(tpm.lib, TLS_PROPQ, TLS_client_method());
}

int
tpm_tls_use(SSL_CTX *ctx, const X509 *cert, const struct tpm_key *k)
{
	X509			*x = X509_new_ex(tpm.lib, TLS_PROPQ);
	EVP_PKEY		*key = provider_key(k->id, KEY_P256, k->point,
				     sizeof(k->point));
	uint8_t			*der = NULL;
	const unsigned char	*p;
	int			 n, r = -1;

	n = i2d_X509(cert, &der);
	p = der;
	if (n > 0 && x != NULL && key != NULL && d2i_X509(&x, &p, n) != NULL &&
	    SSL_CTX_use_certificate(ctx, x) == 1 &&
	    SSL_CTX_use_PrivateKey(ctx, key) == 1)
		r = 0;
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	X509_free(x);
	return r;
}
