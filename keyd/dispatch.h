/*
 * What the handlers of dispatch.c and dispatch_ca.c share: finding the key,
 * refusing, and what is kept of a request whose answer waits for the TPM.
 */
#ifndef DISPATCH_H
#define DISPATCH_H

#include "keyd.h"

struct asked {
	struct ipc_call		 call;
	const struct key	*key;
	size_t			 len;		/* of what was signed */
	uint8_t			 tbs[DER_MAX];
};

int	dispatch_refuse(struct chan *, const struct ipc_call *,
	    const struct why *);
int	dispatch_refuse_for(struct chan *, const struct ipc_call *,
	    enum reason, const char *field, const char *expected,
	    const char *seen);
/* What is wrong with all of keyd; R_OK if nothing. */
enum reason dispatch_condition(void);
/* The key of this number if it serves the purpose; else refused, NULL. */
const struct key *dispatch_find(struct chan *, const struct ipc_call *,
	    uint32_t id, enum key_purpose);
struct asked *asked_new(const struct ipc_call *, const struct key *);
/*
 * The channel to answer on once a job is over, or NULL: whoever asked has
 * gone since, or it failed and was refused.
 */
struct chan *asked_chan(const struct asked *, const struct why *);

/* ---- dispatch_ca.c: for policyd, the certificate service ---- */

int	keyd_ca_cert(struct chan *, const struct ipc_call *, const void *);
int	keyd_crl(struct chan *, const struct ipc_call *, const void *);
int	keyd_ocsp(struct chan *, const struct ipc_call *, const void *);
int	keyd_device_cert(struct chan *, const struct ipc_call *, const void *);

#endif
