/*
 * What a TPM's response code means to an operator (TPM 2.0 part 2, 6.6).
 */
#include "keyd.h"

#define RC_LAYER(rc)	((rc) & TSS2_RC_LAYER_MASK)
#define RC_FMT1		0x080U
/* A format-one code without the number of the parameter, handle, session. */
#define RC_FMT1_MASK	0x0bfU

static const struct {
	TSS2_RC		rc;
	enum reason	reason;
} meanings[] = {
	{ TPM2_RC_LOCKOUT,	    R_TPM_LOCKOUT },
	{ TPM2_RC_RETRY,	    R_TPM_BUSY },
	{ TPM2_RC_YIELDED,	    R_TPM_BUSY },
	{ TPM2_RC_TESTING,	    R_TPM_BUSY },
	{ TPM2_RC_CANCELED,	    R_TPM_BUSY },
	{ TPM2_RC_NV_RATE,	    R_TPM_BUSY },
	{ TPM2_RC_NV_UNAVAILABLE,   R_TPM_BUSY },
	{ TPM2_RC_OBJECT_MEMORY,    R_TPM_FULL },
	{ TPM2_RC_SESSION_MEMORY,   R_TPM_FULL },
	{ TPM2_RC_MEMORY,	    R_TPM_FULL },
	{ TPM2_RC_OBJECT_HANDLES,   R_TPM_FULL },
	{ TPM2_RC_SESSION_HANDLES,  R_TPM_FULL },
	{ TPM2_RC_NV_SPACE,	    R_TPM_FULL },
	{ TPM2_RC_FAILURE,	    R_TPM_FAILURE },
	{ TPM2_RC_AUTH_MISSING,	    R_TPM_AUTH },
	{ TPM2_RC_AUTH_UNAVAILABLE, R_TPM_AUTH },
	{ TPM2_RC_NV_AUTHORIZATION, R_TPM_AUTH },
	{ TPM2_RC_AUTH_FAIL,	    R_TPM_AUTH },
	{ TPM2_RC_BAD_AUTH,	    R_TPM_AUTH },
	{ TPM2_RC_POLICY_FAIL,	    R_TPM_POLICY },
	{ TPM2_RC_PCR_CHANGED,	    R_TPM_POLICY },
	{ TPM2_RC_INTEGRITY,	    R_TPM_CLEARED },
	{ TPM2_RC_CURVE,	    R_TPM_ALGORITHM },
	{ TPM2_RC_HASH,		    R_TPM_ALGORITHM },
};

/* The TPM's own code, or 0 if another layer speaks. */
static TSS2_RC
rc_tpm(TSS2_RC rc)
{
	TSS2_RC	 layer = RC_LAYER(rc);

	if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER)
		return 0;
	rc &= ~TSS2_RC_LAYER_MASK;
	return rc & RC_FMT1 ? rc & RC_FMT1_MASK : rc;
}

enum reason
tpm_reason(TSS2_RC rc)
{
	TSS2_RC	 code;
	size_t	 i;

	if (rc == TSS2_RC_SUCCESS)
		return R_OK;
	if (rc == TSS2_TCTI_RC_IO_ERROR)
		return R_TPM_GONE;
	if ((code = rc_tpm(rc)) == 0)
		return R_TPM_FORM;
	for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].rc == code)
			return meanings[i].reason;
	return R_TPM_ERROR;
}

/* ESYS cannot go on after an error of its own, or of the layers below it. */
bool
tpm_rc_fatal(TSS2_RC rc)
{
	return rc != TSS2_RC_SUCCESS && rc_tpm(rc) == 0;
}

bool
tpm_rc_slots(TSS2_RC rc)
{
	TSS2_RC	 code = rc_tpm(rc);

	return code == TPM2_RC_OBJECT_MEMORY || code == TPM2_RC_OBJECT_HANDLES;
}

/* The handles of a command are numbered, warnings from 0x910, FMT1 by bits. */
bool
tpm_rc_handle(TSS2_RC rc)
{
	TSS2_RC	 code = rc_tpm(rc);

	return (code >= TPM2_RC_REFERENCE_H0 && code <= TPM2_RC_REFERENCE_H6) ||
	    code == TPM2_RC_HANDLE;
}
