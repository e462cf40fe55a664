/*
 * The operator's half of the certificate service, grouped by file: fields of
 * its calls, the offline root, lists of certificates and devices.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "provctl.h"

/* ---- ca.c -------------------------------------------------------------- */

int	ca_init(const struct args *);
int	ca_rollover(const struct args *);
int	ca_sign(const struct args *);
int	ca_crl(const struct args *);
int	fill_ca_install(const struct args *, union ipc_any *);
bool	take_ca(const struct args *, const json_t *, int *status);

/* ---- offline.c: a root that no daemon holds ---------------------------- */

#define PASSPHRASE_MAX	256
#define CHAIN_MAX	16384	/* as in CTL_CA_INSTALL */

struct offline {
	const char	*dir;
	bool		 create;	/* there is no root yet */
	EVP_PKEY	*key;
	X509		*root;
	char		 passphrase[PASSPHRASE_MAX + 1];
};

/*
 * Ask for the passphrase and open the root in dir, or with create get ready
 * to make one. 0, or -1 after a word; offline_close() is due in either case.
 */
int	offline_open(struct offline *, const struct args *, const char *dir,
	    bool create);
/*
 * Sign a request for an issuing CA, PEM; the root is made now if it is to be.
 * What it signed is in the directory, on disk. The chain as PEM: the issuing
 * CA's certificate, then the root's; NULL after a word. The caller frees.
 */
char	*offline_sign(struct offline *, const struct args *, const char *csr);
void	offline_close(struct offline *);

/* ---- cert.c ------------------------------------------------------------ */

int	fill_cert_list(const struct args *, union ipc_any *);
int	fill_cert_show(const struct args *, union ipc_any *);
int	fill_cert_revoke(const struct args *, union ipc_any *);
int	cert_export(const struct args *);
bool	take_pem(const struct args *, const json_t *, int *status);

/* ---- device.c ---------------------------------------------------------- */

int	device_add(const struct args *);
int	device_import(const struct args *);
int	device_export(const struct args *);
int	fill_device_remove(const struct args *, union ipc_any *);
int	fill_device_list(const struct args *, union ipc_any *);

#endif
