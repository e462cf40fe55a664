/*
 * What the files that speak to the TPM share: tpm.c tpm_cmd.c tpm_start.c
 * seal.c. Nobody else looks inside.
 */
#ifndef TPM_H
#define TPM_H

#include <sys/queue.h>

#include "keyd.h"

#define CACHE_MAX	3	/* slots of a TPM without resource manager */

struct job;

struct command {
	const char	*name;
	unsigned	 patience;	/* times that of the configuration */
	bool		 loaded;	/* its handle is a loaded key's */
	TSS2_RC		(*start)(struct tpm *, struct job *);
	TSS2_RC		(*finish)(struct tpm *, struct job *);
};

struct job {
	TAILQ_ENTRY(job)  entry;
	enum key_purpose lane;
	/* The command that is missing, or NULL: the job is done. */
	const struct command *(*next)(struct tpm *, struct job *);
	enum reason	 missing;	/* what a missing handle means */
	unsigned	 steps;
	bool		 evict;		/* a slot is needed */
	bool		 complete;
	struct tpm_object *object;
	const struct curve *curve;
	uint8_t		 digest[48];
	uint8_t		 binding[32];
	uint64_t	 advance;
	bool		 known;		/* the counter was read */
	TPM2B_PUBLIC	*public;	/* of a key just made; the library's */
	TPM2B_PRIVATE	*private;
	struct tpm_result result;
	tpm_done_fn	 done;
	void		*arg;
};

struct tpm {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT	*esys;
	ESYS_TR		 srk, counter;
	enum reason	 state;		/* what is wrong with all of it */
	enum reason	 counter_state;
	struct tpm_info	 info;
	uint32_t	 patience;	/* ms */

	/* A lane a purpose, which take turns. */
	TAILQ_HEAD(, job) lanes[KEY_NPURPOSES];
	unsigned	 waiting[KEY_NPURPOSES];
	unsigned	 turn;		/* the lane that was served last */
	struct job	*current;	/* the first of that lane, or NULL */
	const struct command *running;	/* of the current job */
	uint64_t	 deadline;	/* of the running command, ms */

	struct tpm_object *cache[CACHE_MAX];	/* what is loaded */
	unsigned	 ncache;
	unsigned	 cache_max;	/* as many as this TPM holds */
	uint64_t	 uses;

	void		(*lost)(void *);
	void		*lost_arg;
};

/* tpm.c: NULL and the reason if no job is taken. */
struct job *job_new(struct tpm *, enum key_purpose lane, enum reason missing,
	    tpm_done_fn, void *arg, enum reason *);
enum reason job_queue(struct tpm *, struct job *);
/* tpm_cmd.c */
void	cache_forget(struct tpm *);

/* tpm_start.c: fill why after a command; its reason. */
enum reason tpm_start_failed(struct tpm *, const char *command, TSS2_RC,
	    struct why *);

/*
 * For start only. tpm_begin() sets the deadline, tpm_wait() blocks until
 * there is something to read; TPM_RUN runs one ESYS command to its end.
 */
void	tpm_begin(struct tpm *, unsigned slow);
TSS2_RC	tpm_wait(struct tpm *);
bool	tpm_again(TSS2_RC);
#define TPM_SLOW	6	/* times the patience: keys are made */
#define TPM_RUN(t, rc, async, finish)	TPM_RUN_FOR(t, rc, 1, async, finish)
#define TPM_RUN_FOR(t, rc, patience, async, finish) do {		\
	(rc) = (async);							\
	if ((rc) != TSS2_RC_SUCCESS)					\
		break;							\
	tpm_begin((t), (patience));					\
	do								\
		(rc) = (finish);					\
	while (tpm_again(rc) && ((rc) = tpm_wait(t)) == TSS2_RC_SUCCESS); \
} while (0)

#endif
