/* The TPM at the other end of a descriptor. */
#ifndef TCTI_H
#define TCTI_H

#include <stdbool.h>

#include <tss2/tss2_tcti.h>

/*
 * A TCTI over a non-blocking descriptor, which it owns from now on: receive
 * says TRY_AGAIN until a whole response is there. NULL if no memory.
 */
TSS2_TCTI_CONTEXT *tcti_new(int fd);
void	tcti_free(TSS2_TCTI_CONTEXT *);
int	tcti_fd(const TSS2_TCTI_CONTEXT *);
/* Part of a command still waits for the descriptor to be writable. */
bool	tcti_wants_output(const TSS2_TCTI_CONTEXT *);
void	tcti_output(TSS2_TCTI_CONTEXT *);
/* Readable with no command sent: true if the other end is gone or babbles. */
bool	tcti_idle_lost(TSS2_TCTI_CONTEXT *);

#endif
