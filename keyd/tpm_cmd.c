/*
 * The commands of the jobs, and for each job which command it misses.
 */
#include <string.h>

#include "keyd.h"
#include "tpm.h"

/* ---- the cache of loaded keys ---------------------------------------- */

static void
cache_drop(struct tpm *t, unsigned i)
{
	t->cache[i]->handle = ESYS_TR_NONE;
	t->cache[i] = t->cache[--t->ncache];
}

/* The TPM has forgotten what was loaded: so do we. */
void
cache_forget(struct tpm *t)
{
	while (t->ncache > 0) {
		(void)Esys_TR_Close(t->esys, &t->cache[0]->handle);
		cache_drop(t, 0);
	}
}

/* It stays in its slot until the next keyd flushes it. */
void
tpm_forget(struct tpm *t, struct tpm_object *o)
{
	unsigned	 i;

	for (i = 0; i < t->ncache; i++)
		if (t->cache[i] == o) {
			(void)Esys_TR_Close(t->esys, &o->handle);
			cache_drop(t, i);
			return;
		}
}

static unsigned
cache_oldest(const struct tpm *t)
{
	unsigned	 i, old = 0;

	for (i = 1; i < t->ncache; i++)
		if (t->cache[i]->used < t->cache[old]->used)
			old = i;
	return old;
}

/* ---- commands -------------------------------------------------------- */

static TSS2_RC
flush_start(struct tpm *t, struct job *j)
{
	return Esys_FlushContext_Async(t->esys,
	    t->cache[cache_oldest(t)]->handle);
}

static TSS2_RC
flush_finish(struct tpm *t, struct job *j)
{
	TSS2_RC	 rc;

	if ((rc = Esys_FlushContext_Finish(t->esys)) == TSS2_RC_SUCCESS) {
		cache_drop(t, cache_oldest(t));
		j->evict = false;
	}
	return rc;
}

static TSS2_RC
load_start(struct tpm *t, struct job *j)
{
	return Esys_Load_Async(t->esys, t->srk, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	    ESYS_TR_NONE, &j->object->private, &j->object->public);
}

static TSS2_RC
load_finish(struct tpm *t, struct job *j)
{
	ESYS_TR	 handle;
	TSS2_RC	 rc;

	if ((rc = Esys_Load_Finish(t->esys, &handle)) == TSS2_RC_SUCCESS) {
		j->object->handle = handle;
		t->cache[t->ncache++] = j->object;
	}
	return rc;
}

static TSS2_RC
sign_start(struct tpm *t, struct job *j)
{
	const TPMT_TK_HASHCHECK	 ticket = {
		.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL,
	};
	const TPMT_SIG_SCHEME	 scheme = { .scheme = TPM2_ALG_NULL };
	TPM2B_DIGEST		 digest = { .size = (UINT16)j->curve->hash };

	memcpy(digest.buffer, j->digest, j->curve->hash);
	j->object->used = ++t->uses;
	return Esys_Sign_Async(t->esys, j->object->handle, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE, ESYS_TR_NONE, &digest, &scheme, &ticket);
}

/* A coordinate of the TPM may be shorter than the curve: pad it. */
static int
sign_pad(const TPM2B_ECC_PARAMETER *in, size_t width, uint8_t *out)
{
	if (in->size > width)
		return -1;
	memset(out, 0, width - in->size);
	memcpy(out + width - in->size, in->buffer, in->size);
	return 0;
}

static TSS2_RC
sign_finish(struct tpm *t, struct job *j)
{
	TPMT_SIGNATURE	*sig = NULL;
	size_t		 n = j->curve->coord;
	TSS2_RC		 rc;

	if ((rc = Esys_Sign_Finish(t->esys, &sig)) != TSS2_RC_SUCCESS)
		return rc;
	if (sig->sigAlg != TPM2_ALG_ECDSA ||
	    sign_pad(&sig->signature.ecdsa.signatureR, n,
	    j->result.data) == -1 ||
	    sign_pad(&sig->signature.ecdsa.signatureS, n,
	    j->result.data + n) == -1)
		rc = TSS2_ESYS_RC_MALFORMED_RESPONSE;
	else {
		j->result.len = 2 * n;
		j->complete = true;
	}
	Esys_Free(sig);
	return rc;
}

/*
 * The policy is never satisfied nor used: it is a value that the TPM keeps
 * in the key's name and so binds the key to its label, purpose and algorithm.
 */
static TSS2_RC
create_start(struct tpm *t, struct job *j)
{
	const TPM2B_SENSITIVE_CREATE	 sensitive = { .size = 0 };
	const TPM2B_DATA		 outside = { .size = 0 };
	const TPML_PCR_SELECTION	 pcrs = { .count = 0 };
	TPM2B_PUBLIC			 in = { .size = 0 };
	TPMS_ECC_PARMS			*ecc;

	ecc = &in.publicArea.parameters.eccDetail;
	in.publicArea.type = TPM2_ALG_ECC;
	in.publicArea.nameAlg = TPM2_ALG_SHA256;
	in.publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM |
	    TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
	    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
	    TPMA_OBJECT_SIGN_ENCRYPT;
	in.publicArea.authPolicy.size = sizeof(j->binding);
	memcpy(in.publicArea.authPolicy.buffer, j->binding, sizeof(j->binding));
	ecc->symmetric.algorithm = TPM2_ALG_NULL;
	ecc->scheme.scheme = TPM2_ALG_ECDSA;
	ecc->scheme.details.ecdsa.hashAlg = j->curve->tpm_hash;
	ecc->curveID = j->curve->tpm_curve;
	ecc->kdf.scheme = TPM2_ALG_NULL;
	return Esys_Create_Async(t->esys, t->srk, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &in, &outside, &pcrs);
}

static TSS2_RC
create_finish(struct tpm *t, struct job *j)
{
	TPM2B_CREATION_DATA	*data = NULL;
	TPM2B_DIGEST		*hash = NULL;
	TPMT_TK_CREATION	*ticket = NULL;
	TSS2_RC			 rc;

	rc = Esys_Create_Finish(t->esys, &j->private, &j->public, &data, &hash,
	    &ticket);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	Esys_Free(data);
	Esys_Free(hash);
	Esys_Free(ticket);
	j->complete = true;
	return rc;
}

static TSS2_RC
nvread_start(struct tpm *t, struct job *j)
{
	return Esys_NV_Read_Async(t->esys, t->counter, t->counter,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, 8, 0);
}

static TSS2_RC
nvread_finish(struct tpm *t, struct job *j)
{
	TPM2B_MAX_NV_BUFFER	*data = NULL;
	TSS2_RC			 rc;
	unsigned		 i;

	if ((rc = Esys_NV_Read_Finish(t->esys, &data)) != TSS2_RC_SUCCESS)
		return rc;
	if (data->size != 8)
		rc = TSS2_ESYS_RC_MALFORMED_RESPONSE;
	for (i = 0, j->result.counter = 0; rc == TSS2_RC_SUCCESS && i < 8; i++)
		j->result.counter = j->result.counter << 8 | data->buffer[i];
	Esys_Free(data);
	j->known = true;
	return rc;
}

static TSS2_RC
nvinc_start(struct tpm *t, struct job *j)
{
	return Esys_NV_Increment_Async(t->esys, t->counter, t->counter,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE);
}

static TSS2_RC
nvinc_finish(struct tpm *t, struct job *j)
{
	TSS2_RC	 rc;

	if ((rc = Esys_NV_Increment_Finish(t->esys)) == TSS2_RC_SUCCESS)
		j->known = false;	/* look where it stands now */
	return rc;
}

static TSS2_RC
pcr_start(struct tpm *t, struct job *j)
{
	const TPML_PCR_SELECTION	 sel = {
		.count = 1,
		.pcrSelections[0] = {
			.hash = TPM2_ALG_SHA256, .sizeofSelect = 3,
			.pcrSelect = { 0xff, 0, 0 },
		},
	};

	return Esys_PCR_Read_Async(t->esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, &sel);
}

static TSS2_RC
pcr_finish(struct tpm *t, struct job *j)
{
	TPML_PCR_SELECTION	*sel = NULL;
	TPML_DIGEST		*values = NULL;
	UINT32			 update, i;
	TSS2_RC			 rc;

	rc = Esys_PCR_Read_Finish(t->esys, &update, &sel, &values);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	for (i = 0; i < values->count && i < 8; i++) {
		if (values->digests[i].size != 32)
			break;
		memcpy(j->result.data + (size_t)32 * i,
		    values->digests[i].buffer, 32);
	}
	if (i == 8)
		j->result.len = PCR_LEN;
	else
		j->result.reason = R_TPM_PCR;
	j->complete = true;
	Esys_Free(sel);
	Esys_Free(values);
	return rc;
}

static const struct command cmd_flush = {
	"TPM2_FlushContext", 1, true, flush_start, flush_finish
};
static const struct command cmd_load = {
	"TPM2_Load", 1, false, load_start, load_finish
};
static const struct command cmd_sign = {
	"TPM2_Sign", 1, true, sign_start, sign_finish
};
static const struct command cmd_create = {
	"TPM2_Create", TPM_SLOW, false, create_start, create_finish
};
static const struct command cmd_nvread = {
	"TPM2_NV_Read", 1, false, nvread_start, nvread_finish
};
static const struct command cmd_nvinc = {
	"TPM2_NV_Increment", 1, false, nvinc_start, nvinc_finish
};
static const struct command cmd_pcr = {
	"TPM2_PCR_Read", 1, false, pcr_start, pcr_finish
};

/* ---- jobs: which command is missing ---------------------------------- */

static const struct command *
next_sign(struct tpm *t, struct job *j)
{
	if (j->evict && t->ncache > 0)
		return &cmd_flush;
	if (j->object->handle == ESYS_TR_NONE)
		return t->ncache < t->cache_max ? &cmd_load : &cmd_flush;
	return j->complete ? NULL : &cmd_sign;
}

static const struct command *
next_make(struct tpm *t, struct job *j)
{
	if (j->evict && t->ncache > 0)
		return &cmd_flush;
	return j->complete ? NULL : &cmd_create;
}

static const struct command *
next_counter(struct tpm *t, struct job *j)
{
	if (!j->known)
		return &cmd_nvread;
	if (j->advance == 0 || j->result.counter == j->advance)
		return NULL;
	if (j->result.counter + 1 == j->advance)
		return &cmd_nvinc;
	j->result.reason = R_KEY_COUNTER;
	j->result.wanted = j->advance;
	return NULL;
}

static const struct command *
next_pcrs(struct tpm *t, struct job *j)
{
	return j->complete ? NULL : &cmd_pcr;
}

enum reason
tpm_sign(struct tpm *t, enum key_purpose lane, struct tpm_object *o,
    const struct curve *c, const uint8_t *digest, tpm_done_fn done, void *arg)
{
	enum reason	 reason;
	struct job	*j;

	j = job_new(t, lane, R_TPM_CLEARED, done, arg, &reason);
	if (j == NULL)
		return reason;
	j->next = next_sign;
	j->object = o;
	j->curve = c;
	memcpy(j->digest, digest, c->hash);
	return job_queue(t, j);
}

enum reason
tpm_make(struct tpm *t, const struct curve *c, const uint8_t binding[32],
    tpm_done_fn done, void *arg)
{
	enum reason	 reason;
	struct job	*j;

	j = job_new(t, KEY_CA, R_TPM_CLEARED, done, arg, &reason);
	if (j == NULL)
		return reason;
	j->next = next_make;
	j->curve = c;
	memcpy(j->binding, binding, sizeof(j->binding));
	return job_queue(t, j);
}

enum reason
tpm_counter(struct tpm *t, uint64_t advance, tpm_done_fn done, void *arg)
{
	enum reason	 reason;
	struct job	*j;

	if (t->counter_state != R_OK)
		return t->state != R_OK ? t->state : t->counter_state;
	j = job_new(t, KEY_AUDIT, R_TPM_COUNTER, done, arg, &reason);
	if (j == NULL)
		return reason;
	j->next = next_counter;
	j->advance = advance;
	return job_queue(t, j);
}

enum reason
tpm_pcrs(struct tpm *t, tpm_done_fn done, void *arg)
{
	enum reason	 reason;
	struct job	*j;

	j = job_new(t, KEY_SPDM, R_TPM_CLEARED, done, arg, &reason);
	if (j == NULL)
		return reason;
	j->next = next_pcrs;
	return job_queue(t, j);
}
