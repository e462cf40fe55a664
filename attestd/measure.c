/*
 * What this node measures of itself. This table is the only place where an
 * index of ours is given a meaning; attestd(8) repeats it.
 *
 *   index      DMTF value type          what
 *   01 to 08   see pcr_type             PCR 0 to 7 of the TPM, SHA-256 bank
 *   20 to 3f   1 mutable firmware       SHA-256 of the files of "measure", in
 *                                       the order of the configuration
 *   f0         3 firmware configuration boot id: SHA-256, or raw if asked for
 *   fe         5 device mode, raw       DSP0274, device mode structure
 */
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "spdm.h"

#define INDEX_PCR	0x01
#define INDEX_FILE	0x20
#define INDEX_BOOT_ID	0xf0
#define INDEX_MODE	0xfe

#define TYPE_FIRMWARE	1
#define TYPE_HW_CONFIG	2
#define TYPE_FW_CONFIG	3
#define TYPE_MODE	5

/* TCG PC Client Platform Firmware Profile, 3.3.4: what goes where. */
static const uint8_t pcr_type[MEASURE_PCRS] = {
	TYPE_FIRMWARE, TYPE_HW_CONFIG, TYPE_FIRMWARE, TYPE_FW_CONFIG,
	TYPE_FIRMWARE, TYPE_FW_CONFIG, TYPE_HW_CONFIG, TYPE_FW_CONFIG
};

/* DSP0274, device mode: operational modes normal; debug when in developer
 * mode, where a debugger may be attached. */
#define MODE_NORMAL		0x04
#define MODE_INVASIVE_DEBUG	0x02

static int
hash_file(const char *path, uint8_t out[32])
{
	uint8_t		 buf[8192];
	EVP_MD_CTX	*ctx = NULL;
	FILE		*f;
	size_t		 n;
	int		 rv = -1;

	if ((f = fopen(path, "rbe")) == NULL)
		return -1;
	if ((ctx = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestInit_ex2(ctx, spdm_sha256(), NULL) != 1)
		goto out;
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		if (EVP_DigestUpdate(ctx, buf, n) != 1)
			goto out;
	if (!ferror(f) && EVP_DigestFinal_ex(ctx, out, NULL) == 1)
		rv = 0;
 out:
	EVP_MD_CTX_free(ctx);
	fclose(f);
	return rv;
}

static struct measure *
add(struct measure_set *s, uint8_t index, uint8_t type)
{
	struct measure	*m = &s->m[s->n++];

	*m = (struct measure){ .index = index, .type = type,
	    .tcb = type <= TYPE_FIRMWARE };
	return m;
}

static int
add_boot_id(struct measure_set *s, const char *path)
{
	struct measure	*m;
	FILE		*f;
	size_t		 n;

	if ((f = fopen(path, "rbe")) == NULL)
		return -1;
	m = add(s, INDEX_BOOT_ID, TYPE_FW_CONFIG);
	n = fread(m->raw, 1, sizeof(m->raw), f);
	fclose(f);
	while (n > 0 && m->raw[n - 1] == '\n')
		n--;
	m->raw_len = n;
	m->has_raw = true;
	m->digest_len = 32;
	spdm_hash(spdm_sha256(), m->raw, n, m->digest);
	return n > 0 ? 0 : -1;
}

int
measure_files(struct measure_set *s, const struct conf_path *files,
    const char *boot_id, bool developer, const char **bad)
{
	struct measure	*m;
	uint8_t		 i = 0;

	s->n = 0;
	for (; files != NULL; files = files->next) {
		*bad = files->path;
		if (i == MEASURE_FILES_MAX)
			return -1;
		m = add(s, INDEX_FILE + i++, TYPE_FIRMWARE);
		m->digest_len = 32;
		if (hash_file(files->path, m->digest) == -1)
			return -1;
	}
	*bad = boot_id;
	if (boot_id != NULL && add_boot_id(s, boot_id) == -1)
		return -1;
	m = add(s, INDEX_MODE, TYPE_MODE);
	m->raw_only = m->has_raw = true;
	m->raw_len = 16;
	m->raw[0] = m->raw[4] = MODE_NORMAL;
	m->raw[8] = MODE_INVASIVE_DEBUG;
	m->raw[12] = developer ? MODE_INVASIVE_DEBUG : 0;
	return 0;
}

/* Rows stay in ascending order: PCRs come before everything else. */
void
measure_pcrs(struct measure_set *s, const uint8_t *values)
{
	struct measure_set	old = *s;
	struct measure		*m;
	size_t			 i;

	s->n = 0;
	for (i = 0; values != NULL && i < MEASURE_PCRS; i++) {
		m = add(s, (uint8_t)(INDEX_PCR + i), pcr_type[i]);
		m->digest_len = 32;
		memcpy(m->digest, values + 32 * i, 32);
	}
	for (i = 0; i < old.n; i++)
		if (old.m[i].index >= INDEX_PCR + MEASURE_PCRS)
			s->m[s->n++] = old.m[i];
}

const struct measure *
measure_find(const struct measure_set *s, uint8_t index)
{
	size_t	i;

	for (i = 0; i < s->n; i++)
		if (s->m[i].index == index)
			return &s->m[i];
	return NULL;
}

void
measure_block(const struct measure *m, bool raw, struct spdm_buf *b)
{
	struct spdm_block	k = { .index = m->index,
				    .spec = SPDM_MEAS_DMTF, .type = m->type };

	k.raw = m->raw_only || (raw && m->has_raw);
	k.value = k.raw ? m->raw : m->digest;
	k.len = k.raw ? m->raw_len : m->digest_len;
	spdm_block_put(b, &k);
}

void
measure_summary(const struct measure_set *s, bool all, const EVP_MD *md,
    uint8_t *out)
{
	/* Too large for a stack; there is one thread. */
	static uint8_t	 buf[sizeof(((struct measure_set *)0)->m) /
			    sizeof(struct measure) * (7 + MEASURE_RAW_MAX)];
	struct spdm_buf	 b;
	size_t		 i;

	spdm_buf_init(&b, buf, sizeof(buf));
	for (i = 0; i < s->n; i++)
		if (all || s->m[i].tcb)
			measure_block(&s->m[i], false, &b);
	spdm_hash(md, buf, b.len, out);
}
