/*
 * The key-wrapping key of the backends `sealed' and `soft'.
 *
 * sealed: 32 random bytes, sealed to the TPM under the SRK. They cross the bus
 * to the TPM twice, when made and at each start, both times encrypted by a
 * session that is salted to the SRK, whose name was compared before: a
 * listener on the bus learns nothing. With `pcrs' the TPM releases them only
 * while the registers 0 to 7 are what they were.
 *
 * Sessions cost milliseconds each in tpm2-tss (a library context for every
 * hash), so they are used here, once, before confinement, and never for a
 * signature.
 */
#include <errno.h>
#include <string.h>

#include <openssl/rand.h>
#include <tss2/tss2_mu.h>

#include "keyd.h"
#include "store.h"
#include "tpm.h"

#define SEAL_FILE	"seal"
#define SEAL_MAGIC	"PROVDSEA"
#define SOFT_FILE	"soft.secret"
#define SOFT_MAGIC	"PROVDSOF"
#define VERSION		1
#define NO_OBJECT	0x7fffffffU	/* a number that ESYS never gives */

static const TPMT_SYM_DEF aes_cfb = {
	.algorithm = TPM2_ALG_AES,
	.keyBits = { .aes = 128 },
	.mode = { .aes = TPM2_ALG_CFB },
};

static const TPML_PCR_SELECTION boot_pcrs = {
	.count = 1,
	.pcrSelections[0] = {
		.hash = TPM2_ALG_SHA256, .sizeofSelect = 3,
		.pcrSelect = { 0xff, 0, 0 },
	},
};

struct sealed {
	bool		 pcrs;
	TPM2B_PUBLIC	 public;
	TPM2B_PRIVATE	 private;
};

/* ---- sessions -------------------------------------------------------- */

static enum reason
session_start(struct tpm *t, TPM2_SE type, TPMA_SESSION attributes,
    ESYS_TR *session, struct why *w)
{
	/* A trial session keeps no secret: no salt. */
	ESYS_TR	 salt = type == TPM2_SE_TRIAL ? ESYS_TR_NONE : t->srk;
	TSS2_RC	 rc;

	TPM_RUN(t, rc,
	    Esys_StartAuthSession_Async(t->esys, salt, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL, type, &aes_cfb,
	    TPM2_ALG_SHA256),
	    Esys_StartAuthSession_Finish(t->esys, session));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_StartAuthSession", rc, w);
	if (Esys_TRSess_SetAttributes(t->esys, *session, attributes,
	    0xff) != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "session attributes",
		    TSS2_ESYS_RC_GENERAL_FAILURE, w);
	return R_OK;
}

static void
session_end(struct tpm *t, ESYS_TR session)
{
	TSS2_RC	 rc;

	if (session == ESYS_TR_NONE || t->state != R_OK)
		return;
	TPM_RUN(t, rc, Esys_FlushContext_Async(t->esys, session),
	    Esys_FlushContext_Finish(t->esys));
	/* A session that ended with its command is gone already. */
	if (tpm_rc_fatal(rc))
		t->state = tpm_reason(rc);
}

static enum reason
session_pcrs(struct tpm *t, ESYS_TR session, struct why *w)
{
	const TPM2B_DIGEST	 now = { .size = 0 };
	TSS2_RC			 rc;

	TPM_RUN(t, rc,
	    Esys_PolicyPCR_Async(t->esys, session, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, &now, &boot_pcrs),
	    Esys_PolicyPCR_Finish(t->esys));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_PolicyPCR", rc, w);
	return R_OK;
}

/* The digest of "registers 0 to 7 are what they are now". */
static enum reason
policy_digest(struct tpm *t, TPM2B_DIGEST *out, struct why *w)
{
	TPM2B_DIGEST	*digest = NULL;
	ESYS_TR		 trial = ESYS_TR_NONE;
	TSS2_RC		 rc;

	if (session_start(t, TPM2_SE_TRIAL, 0, &trial, w) != R_OK)
		return w->reason;
	if (session_pcrs(t, trial, w) == R_OK) {
		TPM_RUN(t, rc,
		    Esys_PolicyGetDigest_Async(t->esys, trial, ESYS_TR_NONE,
		    ESYS_TR_NONE, ESYS_TR_NONE),
		    Esys_PolicyGetDigest_Finish(t->esys, &digest));
		if (rc != TSS2_RC_SUCCESS)
			tpm_start_failed(t, "TPM2_PolicyGetDigest", rc, w);
		else
			*out = *digest;
		Esys_Free(digest);
	}
	session_end(t, trial);
	return w->reason;
}

/* ---- the sealed object ----------------------------------------------- */

/*
 * ESYS keeps what was last given to Esys_Create(), the secret included. It
 * takes this and refuses it, since no object has this number: nothing is
 * sent. (regress/unit/keyd_tpm looks for copies.)
 */
static void
seal_scrub_input(struct tpm *t)
{
	const TPM2B_SENSITIVE_CREATE	 nothing = { .size = 0 };
	const TPM2B_PUBLIC		 public = { .size = 0 };
	const TPM2B_DATA		 outside = { .size = 0 };
	const TPML_PCR_SELECTION	 pcrs = { .count = 0 };

	(void)Esys_Create_Async(t->esys, NO_OBJECT,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &nothing, &public,
	    &outside, &pcrs);
}

static enum reason
seal_create(struct tpm *t, ESYS_TR session, const TPM2B_PUBLIC *in,
    const uint8_t *kek, struct sealed *s, struct why *w)
{
	const TPM2B_DATA		 outside = { .size = 0 };
	const TPML_PCR_SELECTION	 pcrs = { .count = 0 };
	TPM2B_SENSITIVE_CREATE		 sensitive = { .size = 0 };
	TPM2B_PUBLIC			*public = NULL;
	TPM2B_PRIVATE			*private = NULL;
	TPM2B_CREATION_DATA		*data = NULL;
	TPM2B_DIGEST			*hash = NULL;
	TPMT_TK_CREATION		*ticket = NULL;
	TSS2_RC				 rc;

	sensitive.sensitive.data.size = KEK_LEN;
	memcpy(sensitive.sensitive.data.buffer, kek, KEK_LEN);
	TPM_RUN_FOR(t, rc, TPM_SLOW,
	    Esys_Create_Async(t->esys, t->srk, session, ESYS_TR_NONE,
	    ESYS_TR_NONE, &sensitive, in, &outside, &pcrs),
	    Esys_Create_Finish(t->esys, &private, &public, &data, &hash,
	    &ticket));
	explicit_bzero(&sensitive, sizeof(sensitive));
	seal_scrub_input(t);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_Create", rc, w);
	s->public = *public;
	s->private = *private;
	Esys_Free(public);
	Esys_Free(private);
	Esys_Free(data);
	Esys_Free(hash);
	Esys_Free(ticket);
	return R_OK;
}

static enum reason
seal_make(struct tpm *t, const uint8_t *kek, struct sealed *s, struct why *w)
{
	TPM2B_PUBLIC	 in = { .size = 0 };
	TPMT_PUBLIC	*p = &in.publicArea;
	ESYS_TR		 session = ESYS_TR_NONE;

	p->type = TPM2_ALG_KEYEDHASH;
	p->nameAlg = TPM2_ALG_SHA256;
	p->objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
	    TPMA_OBJECT_NODA;
	p->parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
	/* Bound to the registers, the policy is the only way in. */
	if (!s->pcrs)
		p->objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
	else if (policy_digest(t, &p->authPolicy, w) != R_OK)
		return w->reason;
	if (session_start(t, TPM2_SE_HMAC, TPMA_SESSION_DECRYPT |
	    TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION, &session,
	    w) == R_OK)
		seal_create(t, session, &in, kek, s, w);
	session_end(t, session);
	return w->reason;
}

static enum reason
seal_load(struct tpm *t, const struct sealed *s, ESYS_TR *object,
    struct why *w)
{
	TSS2_RC	 rc;

	TPM_RUN(t, rc,
	    Esys_Load_Async(t->esys, t->srk, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	    ESYS_TR_NONE, &s->private, &s->public),
	    Esys_Load_Finish(t->esys, object));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_Load", rc, w);
	return R_OK;
}

static enum reason
seal_unseal(struct tpm *t, ESYS_TR object, ESYS_TR session, uint8_t *kek,
    struct why *w)
{
	TPM2B_SENSITIVE_DATA	*data = NULL;
	TSS2_RC			 rc;

	TPM_RUN(t, rc,
	    Esys_Unseal_Async(t->esys, object, session, ESYS_TR_NONE,
	    ESYS_TR_NONE),
	    Esys_Unseal_Finish(t->esys, &data));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_Unseal", rc, w);
	if (data->size == KEK_LEN)
		memcpy(kek, data->buffer, KEK_LEN);
	else
		tpm_start_failed(t, "TPM2_Unseal",
		    TSS2_ESYS_RC_MALFORMED_RESPONSE, w);
	explicit_bzero(data, sizeof(*data));
	Esys_Free(data);
	return w->reason;
}

/*
 * The libraries keep the last response in their buffer, a secret that was
 * unsealed included: a long answer that is none writes over it.
 */
static void
seal_scrub(struct tpm *t)
{
	TPMS_CAPABILITY_DATA	*data = NULL;
	TPMI_YES_NO		 more;
	TSS2_RC			 rc;

	if (t->state != R_OK)
		return;
	TPM_RUN(t, rc,
	    Esys_GetCapability_Async(t->esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FAMILY_INDICATOR,
	    32),
	    Esys_GetCapability_Finish(t->esys, &more, &data));
	Esys_Free(data);
	if (tpm_rc_fatal(rc))
		t->state = tpm_reason(rc);
}

static enum reason
seal_release(struct tpm *t, const struct sealed *s, uint8_t *kek,
    struct why *w)
{
	ESYS_TR	 object = ESYS_TR_NONE, session = ESYS_TR_NONE;

	if (seal_load(t, s, &object, w) != R_OK)
		return w->reason;
	if (session_start(t, s->pcrs ? TPM2_SE_POLICY : TPM2_SE_HMAC,
	    TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION, &session,
	    w) == R_OK && (!s->pcrs || session_pcrs(t, session, w) == R_OK))
		seal_unseal(t, object, session, kek, w);
	session_end(t, session);
	session_end(t, object);
	seal_scrub(t);
	return w->reason;
}

/* ---- the files ------------------------------------------------------- */

static enum reason
seal_save(const char *dir, const struct sealed *s, struct why *w)
{
	uint8_t		 buf[KEY_FILE_MAX], blob[KEY_BLOB_MAX];
	struct put	 p = { .buf = buf, .size = sizeof(buf) };
	size_t		 n = 0, len;

	if (Tss2_MU_TPM2B_PUBLIC_Marshal(&s->public, blob, sizeof(blob),
	    &n) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Marshal(&s->private, blob, sizeof(blob),
	    &n) != TSS2_RC_SUCCESS) {
		why_set(w, R_TPM_FORM, SEAL_FILE, NULL, NULL);
		return w->reason;
	}
	put_bytes(&p, SEAL_MAGIC, 8);
	put_uint(&p, VERSION, 1);
	put_uint(&p, s->pcrs, 1);
	put_uint(&p, (uint32_t)n, 2);
	put_bytes(&p, blob, n);
	if (put_digest(&p, &len) == -1 ||
	    store_write(dir, SEAL_FILE, buf, len) == -1)
		why_set(w, R_KEY_STORE, SEAL_FILE, NULL, strerror(errno));
	return w->reason;
}

/* 1 if there is one, 0 if not, -1 with why. */
static int
seal_read(const char *dir, struct sealed *s, struct why *w)
{
	uint8_t		 buf[KEY_FILE_MAX], blob[KEY_BLOB_MAX];
	struct get	 g;
	ssize_t		 len;
	size_t		 n, at = 0;

	if ((len = store_read(dir, SEAL_FILE, buf, sizeof(buf))) == 0)
		return 0;
	if (len == -1 || get_open(&g, buf, (size_t)len, SEAL_MAGIC,
	    VERSION) == -1)
		return why_set(w, R_KEY_FILE, SEAL_FILE, "a sealed key",
		    len == -1 ? strerror(errno) : NULL);
	s->pcrs = get_uint(&g, 1, 1) != 0;
	n = get_uint(&g, 2, sizeof(blob));
	get_bytes(&g, blob, n);
	if (g.bad || g.len != 0 ||
	    Tss2_MU_TPM2B_PUBLIC_Unmarshal(blob, n, &at,
	    &s->public) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Unmarshal(blob, n, &at,
	    &s->private) != TSS2_RC_SUCCESS || at != n)
		return why_set(w, R_KEY_FILE, SEAL_FILE, "a sealed key", NULL);
	return 1;
}

/*
 * A fresh key-wrapping key, but only for an empty directory: beside key
 * files that it does not open it would hide that the right one was lost.
 */
static enum reason
kek_make(const char *dir, const char *name, uint8_t *kek, struct why *w)
{
	if (store_any(dir))
		why_set(w, R_KEY_FILE, name, "the key of the key files",
		    "none");
	else if (RAND_priv_bytes(kek, KEK_LEN) != 1)
		why_set(w, R_KEY_LIBRARY, "RAND_priv_bytes", NULL, NULL);
	return w->reason;
}

enum reason
seal_open(struct tpm *t, const char *dir, bool pcrs, uint8_t *kek,
    struct why *w)
{
	struct sealed	 s = { .pcrs = pcrs };
	int		 found;

	memset(w, 0, sizeof(*w));
	if ((found = seal_read(dir, &s, w)) == -1)
		return w->reason;
	if (found)
		return seal_release(t, &s, kek, w);
	if (kek_make(dir, SEAL_FILE, kek, w) != R_OK)
		return w->reason;
	if (seal_make(t, kek, &s, w) == R_OK)
		seal_save(dir, &s, w);
	if (w->reason != R_OK)
		explicit_bzero(kek, KEK_LEN);
	return w->reason;
}

enum reason
seal_soft(const char *dir, uint8_t *kek, struct why *w)
{
	uint8_t		 buf[128];
	struct put	 p = { .buf = buf, .size = sizeof(buf) };
	struct get	 g;
	ssize_t		 n;
	size_t		 len;

	memset(w, 0, sizeof(*w));
	if ((n = store_read(dir, SOFT_FILE, buf, sizeof(buf))) > 0) {
		if (get_open(&g, buf, (size_t)n, SOFT_MAGIC, VERSION) == 0)
			get_bytes(&g, kek, KEK_LEN);
		else
			g.bad = true;
		if (g.bad || g.len != 0)
			why_set(w, R_KEY_FILE, SOFT_FILE, "a key", NULL);
		goto out;
	}
	if (n == -1) {
		why_set(w, R_KEY_FILE, SOFT_FILE, "a file of mode 0600",
		    strerror(errno));
		goto out;
	}
	if (kek_make(dir, SOFT_FILE, kek, w) != R_OK)
		goto out;
	put_bytes(&p, SOFT_MAGIC, 8);
	put_uint(&p, VERSION, 1);
	put_bytes(&p, kek, KEK_LEN);
	if (put_digest(&p, &len) == -1 ||
	    store_write(dir, SOFT_FILE, buf, len) == -1)
		why_set(w, R_KEY_STORE, SOFT_FILE, NULL, strerror(errno));
 out:
	explicit_bzero(buf, sizeof(buf));
	return w->reason;
}
