/*
 * A TCTI over a descriptor that was opened before confinement: a TPM device
 * or a software TPM's socket. Nothing here waits; the caller polls.
 *
 * One command is outstanding at a time (TCG TSS 2.0 TCTI, 3.2.4), so one
 * buffer each way is enough.
 */
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tss2/tss2_tcti.h>

#include "tcti.h"

#define TCTI_MAGIC	0x70726f766474706dULL
#define TPM_HEADER	10	/* tag, size, code: TPM 2.0 part 1, 18 */

struct tcti {
	TSS2_TCTI_CONTEXT_COMMON_V2 common;	/* first: the cast of the TSS */
	int		 fd;
	bool		 device;	/* read() of 0 is no end of file */
	bool		 sent;		/* a response is due */
	size_t		 outlen, outpos;
	size_t		 inlen;
	uint8_t		 out[TPM2_MAX_COMMAND_SIZE];
	uint8_t		 in[TPM2_MAX_RESPONSE_SIZE];
};

static struct tcti *
tcti_of(TSS2_TCTI_CONTEXT *ctx)
{
	struct tcti	*t = (struct tcti *)ctx;

	if (t == NULL || t->common.v1.magic != TCTI_MAGIC)
		return NULL;
	return t;
}

static uint32_t
tcti_size(const uint8_t *header)
{
	return (uint32_t)header[2] << 24 | (uint32_t)header[3] << 16 |
	    (uint32_t)header[4] << 8 | header[5];
}

static TSS2_RC
tcti_push(struct tcti *t)
{
	ssize_t	 n;

	while (t->outpos < t->outlen) {
		n = write(t->fd, t->out + t->outpos, t->outlen - t->outpos);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return TSS2_RC_SUCCESS;	/* the loop sends the rest */
		if (n <= 0)
			return TSS2_TCTI_RC_IO_ERROR;
		t->outpos += (size_t)n;
	}
	return TSS2_RC_SUCCESS;
}

static TSS2_RC
tcti_transmit(TSS2_TCTI_CONTEXT *ctx, size_t size, const uint8_t *command)
{
	struct tcti	*t = tcti_of(ctx);

	if (t == NULL || command == NULL)
		return TSS2_TCTI_RC_BAD_REFERENCE;
	if (t->sent)
		return TSS2_TCTI_RC_BAD_SEQUENCE;
	if (size < TPM_HEADER || size > sizeof(t->out))
		return TSS2_TCTI_RC_BAD_VALUE;
	memcpy(t->out, command, size);
	t->outlen = size;
	t->outpos = 0;
	t->inlen = 0;
	t->sent = true;
	return tcti_push(t);
}

/* SUCCESS if there may be more bytes now than before. */
static TSS2_RC
tcti_pull(struct tcti *t)
{
	ssize_t	 n;

	do
		n = read(t->fd, t->in + t->inlen, sizeof(t->in) - t->inlen);
	while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return TSS2_TCTI_RC_TRY_AGAIN;
	if (n == 0 && t->device)
		return TSS2_TCTI_RC_TRY_AGAIN;
	if (n <= 0)
		return TSS2_TCTI_RC_IO_ERROR;
	t->inlen += (size_t)n;
	return TSS2_RC_SUCCESS;
}

static TSS2_RC
tcti_receive(TSS2_TCTI_CONTEXT *ctx, size_t *size, uint8_t *response,
    int32_t timeout)
{
	struct tcti	*t = tcti_of(ctx);
	uint32_t	 want;
	TSS2_RC		 rc;

	if (t == NULL || size == NULL)
		return TSS2_TCTI_RC_BAD_REFERENCE;
	if (!t->sent)
		return TSS2_TCTI_RC_BAD_SEQUENCE;
	for (;;) {
		want = TPM_HEADER;
		if (t->inlen >= TPM_HEADER)
			want = tcti_size(t->in);
		if (want < TPM_HEADER || want > sizeof(t->in) ||
		    t->inlen > want)
			return TSS2_TCTI_RC_MALFORMED_RESPONSE;
		if (t->inlen >= TPM_HEADER && t->inlen == want)
			break;
		if ((rc = tcti_pull(t)) != TSS2_RC_SUCCESS)
			return rc;
	}
	if (response == NULL) {
		*size = t->inlen;
		return TSS2_RC_SUCCESS;
	}
	if (*size < t->inlen)
		return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
	memcpy(response, t->in, t->inlen);
	*size = t->inlen;
	/* Parameters may be secret: what a TPM unseals is in the clear here. */
	explicit_bzero(t->in, t->inlen);
	t->inlen = 0;
	t->sent = false;
	return TSS2_RC_SUCCESS;
}

static void
tcti_finalize(TSS2_TCTI_CONTEXT *ctx)
{
	struct tcti	*t = tcti_of(ctx);

	if (t == NULL || t->fd == -1)
		return;
	close(t->fd);
	t->fd = -1;
}

static TSS2_RC
tcti_cancel(TSS2_TCTI_CONTEXT *ctx)
{
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC
tcti_poll_handles(TSS2_TCTI_CONTEXT *ctx, TSS2_TCTI_POLL_HANDLE *handles,
    size_t *n)
{
	struct tcti	*t = tcti_of(ctx);

	if (t == NULL || n == NULL)
		return TSS2_TCTI_RC_BAD_REFERENCE;
	if (handles != NULL) {
		if (*n < 1)
			return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
		handles[0].fd = t->fd;
		handles[0].events = POLLIN;
		handles[0].revents = 0;
	}
	*n = 1;
	return TSS2_RC_SUCCESS;
}

static TSS2_RC
tcti_locality(TSS2_TCTI_CONTEXT *ctx, uint8_t locality)
{
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC
tcti_sticky(TSS2_TCTI_CONTEXT *ctx, TPM2_HANDLE *handle, uint8_t sticky)
{
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

TSS2_TCTI_CONTEXT *
tcti_new(int fd)
{
	struct tcti	*t;
	struct stat	 st;
	int		 flags;

	if (fstat(fd, &st) == -1 || (flags = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return NULL;
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->common.v1.magic = TCTI_MAGIC;
	t->common.v1.version = 2;
	t->common.v1.transmit = tcti_transmit;
	t->common.v1.receive = tcti_receive;
	t->common.v1.finalize = tcti_finalize;
	t->common.v1.cancel = tcti_cancel;
	t->common.v1.getPollHandles = tcti_poll_handles;
	t->common.v1.setLocality = tcti_locality;
	t->common.makeSticky = tcti_sticky;
	t->device = S_ISCHR(st.st_mode);
	t->fd = fd;
	return (TSS2_TCTI_CONTEXT *)t;
}

void
tcti_free(TSS2_TCTI_CONTEXT *ctx)
{
	struct tcti	*t = tcti_of(ctx);

	if (t == NULL)
		return;
	tcti_finalize(ctx);
	explicit_bzero(t, sizeof(*t));
	free(t);
}

int
tcti_fd(const TSS2_TCTI_CONTEXT *ctx)
{
	return ((const struct tcti *)ctx)->fd;
}

bool
tcti_wants_output(const TSS2_TCTI_CONTEXT *ctx)
{
	const struct tcti	*t = (const struct tcti *)ctx;

	return t->sent && t->outpos < t->outlen;
}

/* An error shows again, and is reported, when the response is received. */
void
tcti_output(TSS2_TCTI_CONTEXT *ctx)
{
	struct tcti	*t = tcti_of(ctx);

	if (t != NULL && t->sent)
		(void)tcti_push(t);
}

bool
tcti_idle_lost(TSS2_TCTI_CONTEXT *ctx)
{
	struct tcti	*t = tcti_of(ctx);
	ssize_t		 n;
	uint8_t		 b;

	if (t == NULL || t->device)
		return false;
	n = recv(t->fd, &b, 1, MSG_PEEK | MSG_DONTWAIT);
	return !(n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK ||
	    errno == EINTR));
}
