/*
 * What keyd does with a TPM before it serves: who is it, flush what others
 * left in its slots, the storage root key (SRK), the audit counter.
 *
 * The name of the SRK is recorded in the key directory. A TPM that holds
 * another one, or none, was cleared or exchanged: that is a reason, and
 * nothing is made anew in silence. The same goes for the counter.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tss2/tss2_sys.h>

#include "keyd.h"
#include "log.h"
#include "store.h"
#include "tpm.h"

#define RECORD		"tpm"
#define RECORD_MAGIC	"PROVDTPM"
#define RECORD_VERSION	1
#define HANDLES_MAX	64
/* TPM 2.0 part 2, 7.2 (tss2's own constants shift into a sign bit) */
#define TRANSIENT_FIRST	0x80000000U
#define SESSION_FIRST	0x02000000U

static const TPMA_NV counter_attributes = TPMA_NV_AUTHREAD |
    TPMA_NV_AUTHWRITE | TPMA_NV_OWNERREAD | TPMA_NV_NO_DA |
    (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT);

/* ---- the record ------------------------------------------------------ */

int
tpm_record_format(const struct tpm_record *r, uint8_t *buf, size_t size,
    size_t *len)
{
	struct put	 p = { .buf = buf, .size = size };

	put_bytes(&p, RECORD_MAGIC, 8);
	put_uint(&p, RECORD_VERSION, 1);
	put_uint(&p, r->srk_len, 1);
	put_bytes(&p, r->srk_name, r->srk_len);
	put_uint(&p, r->counter, 1);
	return put_digest(&p, len);
}

int
tpm_record_parse(const uint8_t *buf, size_t len, struct tpm_record *r)
{
	struct get	 g;

	memset(r, 0, sizeof(*r));
	if (get_open(&g, buf, len, RECORD_MAGIC, RECORD_VERSION) == -1)
		return -1;
	r->srk_len = (uint16_t)get_uint(&g, 1, sizeof(r->srk_name));
	get_bytes(&g, r->srk_name, r->srk_len);
	r->counter = get_uint(&g, 1, 1) != 0;
	return g.bad || g.len != 0 || r->srk_len == 0 ? -1 : 0;
}

static enum reason
record_load(const char *dir, struct tpm_record *r, struct why *w)
{
	uint8_t	 buf[256];
	ssize_t	 n;

	memset(r, 0, sizeof(*r));
	if ((n = store_read(dir, RECORD, buf, sizeof(buf))) == 0)
		return R_OK;
	if (n == -1 || tpm_record_parse(buf, (size_t)n, r) == -1)
		why_set(w, R_KEY_FILE, RECORD, "the record of a TPM",
		    n == -1 ? strerror(errno) : NULL);
	else
		w->reason = R_OK;
	return w->reason;
}

static enum reason
record_save(const char *dir, const struct tpm_record *r, struct why *w)
{
	uint8_t	 buf[256];
	size_t	 len;

	w->reason = R_OK;
	if (tpm_record_format(r, buf, sizeof(buf), &len) == -1 ||
	    store_write(dir, RECORD, buf, len) == -1)
		why_set(w, R_KEY_STORE, RECORD, NULL, strerror(errno));
	return w->reason;
}

/* ---- the TPM --------------------------------------------------------- */

enum reason
tpm_start_failed(struct tpm *t, const char *command, TSS2_RC rc, struct why *w)
{
	struct tpm_result	 r = { .command = command, .rc = rc };

	r.reason = t->state != R_OK ? t->state : tpm_reason(rc);
	if (tpm_rc_fatal(rc))
		t->state = r.reason;
	why_tpm(w, &r);
	return w->reason;
}

static void
info_set(struct tpm_info *info, const TPML_TAGGED_TPM_PROPERTY *p)
{
	char		 text[21] = { 0 };
	uint32_t	 v, f1 = 0, f2 = 0;
	size_t		 at = 0;
	UINT32		 i, k;

	for (i = 0; i < p->count && i < TPM2_MAX_TPM_PROPERTIES; i++) {
		v = p->tpmProperty[i].value;
		if (p->tpmProperty[i].property == TPM2_PT_FIRMWARE_VERSION_1)
			f1 = v;
		if (p->tpmProperty[i].property == TPM2_PT_FIRMWARE_VERSION_2)
			f2 = v;
		if (p->tpmProperty[i].property < TPM2_PT_MANUFACTURER ||
		    p->tpmProperty[i].property > TPM2_PT_VENDOR_STRING_4)
			continue;
		/* Four characters each, padded with zero bytes or spaces. */
		for (k = 0; k < 4 && at < sizeof(text) - 1; k++, v <<= 8)
			if (v >> 24 > ' ' && v >> 24 < 127)
				text[at++] = (char)(v >> 24);
		if (p->tpmProperty[i].property == TPM2_PT_MANUFACTURER &&
		    at < sizeof(text) - 1)
			text[at++] = ' ';
	}
	snprintf(info->manufacturer, sizeof(info->manufacturer), "%s", text);
	snprintf(info->firmware, sizeof(info->firmware), "%" PRIx32 ".%" PRIx32,
	    f1, f2);
}

static enum reason
tpm_capability(struct tpm *t, TPM2_CAP cap, UINT32 property, UINT32 count,
    TPMS_CAPABILITY_DATA **data, struct why *w)
{
	TPMI_YES_NO	 more;
	TSS2_RC		 rc;

	TPM_RUN(t, rc,
	    Esys_GetCapability_Async(t->esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, cap, property, count),
	    Esys_GetCapability_Finish(t->esys, &more, data));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_GetCapability", rc, w);
	return R_OK;
}

/*
 * A software TPM may not have been started; a kernel starts its own, and
 * refuses. Whatever the refusal is, the next command tells what is wrong.
 */
static enum reason
tpm_identify(struct tpm *t, struct why *w)
{
	TPMS_CAPABILITY_DATA	*data = NULL;
	TSS2_RC			 rc;

	TPM_RUN(t, rc, Esys_Startup_Async(t->esys, TPM2_SU_CLEAR),
	    Esys_Startup_Finish(t->esys));
	if (tpm_rc_fatal(rc))
		return tpm_start_failed(t, "TPM2_Startup", rc, w);
	if (tpm_capability(t, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER, 8,
	    &data, w) != R_OK)
		return w->reason;
	info_set(&t->info, &data->data.tpmProperties);
	Esys_Free(data);
	log_info("tpm: %s, firmware %s", t->info.manufacturer,
	    t->info.firmware);
	return R_OK;
}

/* By its number, whatever it is: ESYS would want to read it first. */
static TSS2_RC
flush_async(TSS2_SYS_CONTEXT *sys, TPM2_HANDLE handle)
{
	TSS2_RC	 rc;

	rc = Tss2_Sys_FlushContext_Prepare(sys, handle);
	return rc == TSS2_RC_SUCCESS ? Tss2_Sys_ExecuteAsync(sys) : rc;
}

/* keyd is the TPM's one user: whatever is loaded was left by a killed one. */
static enum reason
tpm_flush(struct tpm *t, UINT32 first, struct why *w)
{
	TPMS_CAPABILITY_DATA	*data = NULL;
	TSS2_SYS_CONTEXT	*sys;
	TPML_HANDLE		*list;
	TSS2_RC			 rc;
	UINT32			 i;

	if (tpm_capability(t, TPM2_CAP_HANDLES, first, HANDLES_MAX, &data,
	    w) != R_OK)
		return w->reason;
	list = &data->data.handles;
	rc = Esys_GetSysContext(t->esys, &sys);
	for (i = 0; rc == TSS2_RC_SUCCESS && i < list->count; i++)
		TPM_RUN(t, rc, flush_async(sys, list->handle[i]),
		    Tss2_Sys_ExecuteFinish(sys, 0));
	Esys_Free(data);
	return rc == TSS2_RC_SUCCESS ? R_OK :
	    tpm_start_failed(t, "TPM2_FlushContext", rc, w);
}

/* ---- storage root key ------------------------------------------------ */

/* TCG EK Credential Profile, template H-2 without policy: an ECC P-256 SRK. */
static void
srk_template(TPM2B_PUBLIC *p)
{
	TPMS_ECC_PARMS	*ecc = &p->publicArea.parameters.eccDetail;

	memset(p, 0, sizeof(*p));
	p->publicArea.type = TPM2_ALG_ECC;
	p->publicArea.nameAlg = TPM2_ALG_SHA256;
	p->publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM |
	    TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
	    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
	    TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
	ecc->symmetric.algorithm = TPM2_ALG_AES;
	ecc->symmetric.keyBits.aes = 128;
	ecc->symmetric.mode.aes = TPM2_ALG_CFB;
	ecc->scheme.scheme = TPM2_ALG_NULL;
	ecc->curveID = TPM2_ECC_NIST_P256;
	ecc->kdf.scheme = TPM2_ALG_NULL;
	p->publicArea.unique.ecc.x.size = 32;
	p->publicArea.unique.ecc.y.size = 32;
}

static enum reason
srk_make(struct tpm *t, struct why *w)
{
	const TPM2B_SENSITIVE_CREATE	 sensitive = { .size = 0 };
	const TPM2B_DATA		 outside = { .size = 0 };
	const TPML_PCR_SELECTION	 pcrs = { .count = 0 };
	TPM2B_PUBLIC			 in, *public = NULL;
	TPM2B_CREATION_DATA		*data = NULL;
	TPM2B_DIGEST			*hash = NULL;
	TPMT_TK_CREATION		*ticket = NULL;
	ESYS_TR				 key = ESYS_TR_NONE;
	TSS2_RC				 rc;

	srk_template(&in);
	TPM_RUN_FOR(t, rc, TPM_SLOW,
	    Esys_CreatePrimary_Async(t->esys, ESYS_TR_RH_OWNER,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &in,
	    &outside, &pcrs),
	    Esys_CreatePrimary_Finish(t->esys, &key, &public, &data, &hash,
	    &ticket));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_CreatePrimary", rc, w);
	Esys_Free(public);
	Esys_Free(data);
	Esys_Free(hash);
	Esys_Free(ticket);
	TPM_RUN(t, rc,
	    Esys_EvictControl_Async(t->esys, ESYS_TR_RH_OWNER, key,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, SRK_HANDLE),
	    Esys_EvictControl_Finish(t->esys, &t->srk));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_EvictControl", rc, w);
	TPM_RUN(t, rc, Esys_FlushContext_Async(t->esys, key),
	    Esys_FlushContext_Finish(t->esys));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_FlushContext", rc, w);
	log_info("tpm: made the storage root key at 0x%08x", SRK_HANDLE);
	return R_OK;
}

/* R_TPM_CLEARED if there is nothing at the handle. */
static enum reason
srk_find(struct tpm *t, struct why *w)
{
	TSS2_RC	 rc;

	TPM_RUN(t, rc,
	    Esys_TR_FromTPMPublic_Async(t->esys, SRK_HANDLE, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE),
	    Esys_TR_FromTPMPublic_Finish(t->esys, &t->srk));
	if (rc == TSS2_RC_SUCCESS)
		return R_OK;
	t->srk = ESYS_TR_NONE;
	if (!tpm_rc_handle(rc))
		return tpm_start_failed(t, "TPM2_ReadPublic", rc, w);
	why_set(w, R_TPM_CLEARED, "storage root key", "the one recorded",
	    "none");
	return w->reason;
}

/* Is what stands at the handle a storage key of this TPM alone? */
static enum reason
srk_check(struct tpm *t, struct why *w)
{
	const TPMA_OBJECT	 need = TPMA_OBJECT_FIXEDTPM |
	    TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_RESTRICTED |
	    TPMA_OBJECT_DECRYPT | TPMA_OBJECT_USERWITHAUTH;
	TPM2B_PUBLIC		*public = NULL;
	TPM2B_NAME		*name = NULL, *qualified = NULL;
	TSS2_RC			 rc;
	bool			 ok;

	TPM_RUN(t, rc,
	    Esys_ReadPublic_Async(t->esys, t->srk, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE),
	    Esys_ReadPublic_Finish(t->esys, &public, &name, &qualified));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_ReadPublic", rc, w);
	ok = (public->publicArea.objectAttributes & need) == need &&
	    public->publicArea.type == TPM2_ALG_ECC;
	Esys_Free(public);
	Esys_Free(name);
	Esys_Free(qualified);
	if (ok)
		return R_OK;
	why_set(w, R_TPM_HANDLE, "0x81000001", "an elliptic storage root key",
	    "another object");
	return w->reason;
}

static enum reason
srk_open(struct tpm *t, const char *dir, struct tpm_record *r, struct why *w)
{
	TPM2B_NAME	*name = NULL;
	bool		 same;

	if (srk_find(t, w) != R_OK) {
		if (w->reason != R_TPM_CLEARED || r->srk_len != 0)
			return w->reason;
		if (srk_make(t, w) != R_OK)
			return w->reason;
	}
	if (Esys_TR_GetName(t->esys, t->srk, &name) != TSS2_RC_SUCCESS)
		fatalx("tpm: no name of the storage root key");
	same = r->srk_len == name->size &&
	    memcmp(r->srk_name, name->name, name->size) == 0;
	if (r->srk_len == 0 && srk_check(t, w) == R_OK) {
		r->srk_len = name->size;
		memcpy(r->srk_name, name->name, name->size);
		record_save(dir, r, w);
	} else if (r->srk_len != 0 && !same)
		why_set(w, R_TPM_CLEARED, "storage root key",
		    "the one recorded", "another");
	else if (same)
		w->reason = R_OK;
	Esys_Free(name);
	return w->reason;
}

/* ---- audit counter --------------------------------------------------- */

static enum reason
counter_make(struct tpm *t, struct why *w)
{
	const TPM2B_AUTH	 auth = { .size = 0 };
	const TPM2B_NV_PUBLIC	 public = {
		.nvPublic = {
			.nvIndex = COUNTER_INDEX,
			.nameAlg = TPM2_ALG_SHA256,
			.attributes = counter_attributes,
			.dataSize = 8,
		},
	};
	TSS2_RC			 rc;

	TPM_RUN(t, rc,
	    Esys_NV_DefineSpace_Async(t->esys, ESYS_TR_RH_OWNER,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &auth, &public),
	    Esys_NV_DefineSpace_Finish(t->esys, &t->counter));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_NV_DefineSpace", rc, w);
	log_info("tpm: made the audit counter at 0x%08x", COUNTER_INDEX);
	return R_OK;
}

/* A counter has no value before it was incremented for the first time. */
static enum reason
counter_init(struct tpm *t, struct why *w)
{
	TPM2B_NV_PUBLIC	*public = NULL;
	TPM2B_NAME	*name = NULL;
	TPMA_NV		 a;
	TSS2_RC		 rc;

	TPM_RUN(t, rc,
	    Esys_NV_ReadPublic_Async(t->esys, t->counter, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE),
	    Esys_NV_ReadPublic_Finish(t->esys, &public, &name));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_NV_ReadPublic", rc, w);
	a = public->nvPublic.attributes;
	Esys_Free(public);
	Esys_Free(name);
	if ((a & ~TPMA_NV_WRITTEN) != counter_attributes) {
		why_set(w, R_TPM_HANDLE, "0x01850001", "keyd's counter",
		    "another index");
		return w->reason;
	}
	if (a & TPMA_NV_WRITTEN)
		return R_OK;
	TPM_RUN(t, rc,
	    Esys_NV_Increment_Async(t->esys, t->counter, t->counter,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE),
	    Esys_NV_Increment_Finish(t->esys));
	if (rc != TSS2_RC_SUCCESS)
		return tpm_start_failed(t, "TPM2_NV_Increment", rc, w);
	return R_OK;
}

static enum reason
counter_open(struct tpm *t, const char *dir, struct tpm_record *r,
    struct why *w)
{
	TSS2_RC	 rc;

	TPM_RUN(t, rc,
	    Esys_TR_FromTPMPublic_Async(t->esys, COUNTER_INDEX, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE),
	    Esys_TR_FromTPMPublic_Finish(t->esys, &t->counter));
	if (rc != TSS2_RC_SUCCESS && !tpm_rc_handle(rc))
		return tpm_start_failed(t, "TPM2_NV_ReadPublic", rc, w);
	if (rc != TSS2_RC_SUCCESS) {
		if (r->counter) {
			why_set(w, R_TPM_COUNTER, "0x01850001",
			    "the audit counter", "nothing");
			return w->reason;
		}
		if (counter_make(t, w) != R_OK)
			return w->reason;
	}
	if (counter_init(t, w) != R_OK)
		return w->reason;
	if (r->counter)
		return R_OK;
	r->counter = true;
	return record_save(dir, r, w);
}

enum reason
tpm_start(struct tpm *t, const char *dir, struct why *w)
{
	struct tpm_record	 r;

	memset(w, 0, sizeof(*w));
	if (record_load(dir, &r, w) != R_OK)
		return w->reason;
	if (tpm_identify(t, w) != R_OK ||
	    tpm_flush(t, TRANSIENT_FIRST, w) != R_OK ||
	    tpm_flush(t, SESSION_FIRST, w) != R_OK ||
	    srk_open(t, dir, &r, w) != R_OK) {
		t->state = w->reason;
		return w->reason;
	}
	/* Without its counter keyd still signs. */
	if ((t->counter_state = counter_open(t, dir, &r, w)) != R_OK) {
		if (t->state != R_OK)
			return t->state;
		log_warnx("tpm: no audit counter: %s", why_text(w));
	}
	return R_OK;
}
