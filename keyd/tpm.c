/*
 * The queue of TPM commands.
 *
 * A job is one thing that somebody wants from the TPM (sign, make a key, move
 * the counter); it is made of commands, which `next' chooses one after the
 * other from what is still missing. One command is outstanding at a time,
 * jobs are done in order, and every command has a deadline: a TPM that is
 * gone, silent or answers nonsense ends every job with its reason. ESYS sends
 * a command again by itself if the TPM asks for it, five times at most.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "keyd.h"
#include "log.h"
#include "tpm.h"

#define LANE_MAX	64	/* jobs that wait in a lane */
#define STEPS_MAX	12	/* commands of one job, repetitions included */

bool
tpm_again(TSS2_RC rc)
{
	return (rc & ~TSS2_RC_LAYER_MASK) == TSS2_BASE_RC_TRY_AGAIN &&
	    (rc & TSS2_RC_LAYER_MASK) != 0;
}

/* ---- the queue ------------------------------------------------------- */

static void
job_end(struct tpm *t, struct job *j)
{
	TAILQ_REMOVE(&t->lanes[j->lane], j, entry);
	t->waiting[j->lane]--;
	if (t->current == j)
		t->current = NULL;
	j->result.public = j->public;
	j->result.private = j->private;
	j->done(&j->result, j->arg);
	Esys_Free(j->public);
	Esys_Free(j->private);
	free(j);
}

static void
job_fail(struct tpm *t, struct job *j, enum reason reason, const char *command,
    TSS2_RC rc)
{
	j->result.reason = reason;
	j->result.command = command;
	j->result.rc = rc;
	job_end(t, j);
}

/*
 * Give the TPM up: nothing can be known about what it does from now on, and
 * a confined keyd cannot open it anew. The owner ends the process.
 */
static void
tpm_lose(struct tpm *t, enum reason reason, TSS2_RC rc)
{
	const char	*command = t->running != NULL ? t->running->name : NULL;
	void		(*lost)(void *) = t->lost;
	struct job	*j;
	unsigned	 i;

	t->state = reason;
	t->running = NULL;
	t->lost = NULL;
	for (i = 0; i < KEY_NPURPOSES; i++)
		while ((j = TAILQ_FIRST(&t->lanes[i])) != NULL)
			job_fail(t, j, reason, command, rc);
	if (lost != NULL)
		lost(t->lost_arg);
}

/* The job that goes on, or the first one of the lane whose turn it is. */
static struct job *
job_choose(struct tpm *t)
{
	unsigned	 i, lane;

	for (i = 1; t->current == NULL && i <= KEY_NPURPOSES; i++) {
		lane = (t->turn + i) % KEY_NPURPOSES;
		if ((t->current = TAILQ_FIRST(&t->lanes[lane])) != NULL) {
			t->turn = lane;
			break;
		}
	}
	return t->current;
}

/* Start the command that the current job misses; end jobs that miss none. */
static void
tpm_next(struct tpm *t)
{
	const struct command	*c;
	struct job		*j;
	TSS2_RC			 rc;

	while (t->running == NULL && (j = job_choose(t)) != NULL) {
		if ((c = j->next(t, j)) == NULL) {
			job_end(t, j);
			continue;
		}
		if (++j->steps > STEPS_MAX) {
			job_fail(t, j, R_TPM_FULL, c->name, 0);
			continue;
		}
		t->running = c;
		if ((rc = c->start(t, j)) == TSS2_RC_SUCCESS) {
			t->deadline = clock_mono_ms() +
			    (uint64_t)t->patience * c->patience;
			return;
		}
		tpm_lose(t, tpm_reason(rc), rc);
	}
}

/*
 * No slot was free, although we thought so: remember how many this TPM
 * holds, and make room. True if the job goes on.
 */
static bool
tpm_make_room(struct tpm *t, struct job *j)
{
	if (t->ncache == 0)
		return false;
	t->cache_max = t->ncache > 1 ? t->ncache : 1;
	j->evict = true;
	return true;
}

/* A command of the current job came to its end. */
static void
tpm_finished(struct tpm *t, struct job *j, TSS2_RC rc)
{
	const struct command	*c = t->running;

	if (tpm_rc_fatal(rc)) {
		tpm_lose(t, tpm_reason(rc), rc);
		return;
	}
	t->running = NULL;
	if (rc == TSS2_RC_SUCCESS)
		return;
	if (tpm_rc_slots(rc) && tpm_make_room(t, j))
		return;
	if (tpm_rc_handle(rc) && c->loaded && t->ncache > 0) {
		/* The TPM was reset: what was loaded is loaded again. */
		cache_forget(t);
		return;
	}
	job_fail(t, j, tpm_rc_handle(rc) ? j->missing : tpm_reason(rc),
	    c->name, rc);
}

void
tpm_ready(struct tpm *t)
{
	TSS2_RC	 rc;

	tcti_output(t->tcti);
	if (t->running == NULL) {
		if (t->lost != NULL && tcti_idle_lost(t->tcti))
			tpm_lose(t, R_TPM_GONE, TSS2_TCTI_RC_IO_ERROR);
		return;
	}
	while (t->running != NULL) {
		rc = t->running->finish(t, t->current);
		if (tpm_again(rc))
			return;
		tpm_finished(t, t->current, rc);
		tpm_next(t);
	}
}

void
tpm_tick(struct tpm *t, uint64_t now)
{
	if (t->running != NULL && now >= t->deadline)
		tpm_lose(t, R_TPM_SILENT, 0);
}

int64_t
tpm_timeout(const struct tpm *t, uint64_t now)
{
	if (t->running == NULL)
		return -1;
	return now >= t->deadline ? 0 : (int64_t)(t->deadline - now);
}

struct job *
job_new(struct tpm *t, enum key_purpose lane, enum reason missing,
    tpm_done_fn done, void *arg, enum reason *reason)
{
	struct job	*j;

	if ((*reason = t->state) != R_OK)
		return NULL;
	if (t->waiting[lane] >= LANE_MAX) {
		*reason = R_TPM_QUEUE;
		return NULL;
	}
	if ((j = calloc(1, sizeof(*j))) == NULL)
		fatal("calloc");
	j->lane = lane;
	j->missing = missing;
	j->done = done;
	j->arg = arg;
	return j;
}

enum reason
job_queue(struct tpm *t, struct job *j)
{
	TAILQ_INSERT_TAIL(&t->lanes[j->lane], j, entry);
	t->waiting[j->lane]++;
	tpm_next(t);
	return R_OK;
}

/* ---- setup ----------------------------------------------------------- */

int
tpm_connect(const char *path)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	int			 fd, save;

	if (strncmp(path, "unix:", 5) != 0)
		return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	path += 5;
	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) == -1) {
		save = errno;
		close(fd);
		errno = save;
		return -1;
	}
	return fd;
}

struct tpm *
tpm_new(int fd, uint32_t patience)
{
	struct tpm	*t;
	unsigned	 i;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	for (i = 0; i < KEY_NPURPOSES; i++)
		TAILQ_INIT(&t->lanes[i]);
	t->srk = t->counter = ESYS_TR_NONE;
	t->counter_state = R_TPM_COUNTER;
	t->cache_max = CACHE_MAX;
	t->patience = patience;
	if ((t->tcti = tcti_new(fd)) == NULL) {
		free(t);
		return NULL;
	}
	if (Esys_Initialize(&t->esys, t->tcti, NULL) != TSS2_RC_SUCCESS) {
		tcti_free(t->tcti);
		free(t);
		return NULL;
	}
	return t;
}

void
tpm_free(struct tpm *t)
{
	if (t == NULL)
		return;
	t->lost = NULL;
	tpm_lose(t, R_TPM_GONE, 0);
	cache_forget(t);
	Esys_Finalize(&t->esys);
	tcti_free(t->tcti);
	free(t);
}

void
tpm_on_lost(struct tpm *t, void (*lost)(void *), void *arg)
{
	t->lost = lost;
	t->lost_arg = arg;
}

enum reason
tpm_state(const struct tpm *t)
{
	return t->state;
}

const struct tpm_info *
tpm_info(const struct tpm *t)
{
	return &t->info;
}

enum reason
tpm_counter_state(const struct tpm *t)
{
	return t->state != R_OK ? t->state : t->counter_state;
}

int
tpm_fd(const struct tpm *t)
{
	return tcti_fd(t->tcti);
}

bool
tpm_wants_output(const struct tpm *t)
{
	return tcti_wants_output(t->tcti);
}

void
tpm_begin(struct tpm *t, unsigned slow)
{
	t->deadline = clock_mono_ms() + (uint64_t)t->patience * slow;
}

TSS2_RC
tpm_wait(struct tpm *t)
{
	struct pollfd	 pfd = { .fd = tcti_fd(t->tcti), .events = POLLIN };
	uint64_t	 now;
	int		 n;

	for (;;) {
		tcti_output(t->tcti);
		pfd.events = POLLIN |
		    (tcti_wants_output(t->tcti) ? POLLOUT : 0);
		if ((now = clock_mono_ms()) >= t->deadline) {
			t->state = R_TPM_SILENT;
			return TSS2_TCTI_RC_IO_ERROR;
		}
		n = poll(&pfd, 1, (int)(t->deadline - now));
		if (n == -1 && errno != EINTR)
			return TSS2_TCTI_RC_IO_ERROR;
		if (n == 1 && pfd.revents & ~POLLOUT)
			return TSS2_RC_SUCCESS;
	}
}
