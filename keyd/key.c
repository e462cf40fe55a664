/*
 * The table of keys: at most 64, each with one purpose for ever. A key is in
 * the table once its file is on the disk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tss2/tss2_mu.h>

#include "keyd.h"
#include "log.h"
#include "secret.h"

struct key {
	uint32_t		 id;
	enum key_purpose	 purpose;
	enum key_algorithm	 algorithm;
	char			 label[KEY_LABEL_MAX + 1];
	uint8_t			 public[KEY_PUBLIC_MAX];	/* point, modulus */
	size_t			 public_len;
	struct tpm_object	*object;	/* backend tpm, else NULL */
	struct local		*local;		/* the others, else NULL */
};

/* The keys of this process, and what the backend needs. */
static struct {
	struct key_conf	 conf;
	struct key	*keys[KEY_MAX];		/* by number */
} ring;

static const char *const purpose_names[KEY_NPURPOSES] = {
	[KEY_TLS] = "tls", [KEY_SPDM] = "spdm", [KEY_CA] = "ca",
	[KEY_AUDIT] = "audit", [KEY_ENROL] = "enrol", [KEY_ROOT] = "root",
	[KEY_ISSUING] = "issuing", [KEY_OCSP] = "ocsp",
};

const char *
key_purpose_name(enum key_purpose p)
{
	return purpose_names[p];
}

const struct key *
key_byid(uint32_t id)
{
	return id < KEY_MAX ? ring.keys[id] : NULL;
}

const struct key *
key_bylabel(const char *label)
{
	unsigned	 i;

	for (i = 0; i < KEY_MAX; i++)
		if (ring.keys[i] != NULL &&
		    strcmp(ring.keys[i]->label, label) == 0)
			return ring.keys[i];
	return NULL;
}

const struct key *
key_bypurpose(enum key_purpose p, unsigned n)
{
	unsigned	 i;

	for (i = 0; i < KEY_MAX; i++)
		if (ring.keys[i] != NULL && ring.keys[i]->purpose == p &&
		    n-- == 0)
			return ring.keys[i];
	return NULL;
}

const struct key *
key_bypoint(enum key_purpose p, const uint8_t *point, size_t len)
{
	const struct key	*k;
	unsigned		 n;

	for (n = 0; (k = key_bypurpose(p, n)) != NULL; n++)
		if (len == k->public_len && memcmp(k->public, point, len) == 0)
			return k;
	return NULL;
}

const struct key *
key_over(const uint8_t *public, size_t len)
{
	unsigned	 i;

	for (i = 0; i < KEY_MAX; i++)
		if (ring.keys[i] != NULL && len == ring.keys[i]->public_len &&
		    memcmp(ring.keys[i]->public, public, len) == 0)
			return ring.keys[i];
	return NULL;
}

unsigned
key_count(void)
{
	unsigned	 i, n = 0;

	for (i = 0; i < KEY_MAX; i++)
		if (ring.keys[i] != NULL)
			n++;
	return n;
}

uint32_t
key_id(const struct key *k)
{
	return k->id;
}

enum key_purpose
key_purpose(const struct key *k)
{
	return k->purpose;
}

enum key_algorithm
key_algorithm(const struct key *k)
{
	return k->algorithm;
}

const char *
key_label(const struct key *k)
{
	return k->label;
}

const struct curve *
key_curve(const struct key *k)
{
	return k->algorithm == KEY_RSA2048 ? NULL : curve_get(k->algorithm);
}

const uint8_t *
key_point(const struct key *k)
{
	return k->public;
}

size_t
key_point_len(const struct key *k)
{
	return k->public_len;
}

struct subject
subject_of(const struct key *k)
{
	return (struct subject){ k->public, k->public_len,
	    k->algorithm == KEY_RSA2048 ? RSA_EXPONENT : 0 };
}

static void
key_free(struct key *k)
{
	if (k == NULL)
		return;
	local_free(k->local);
	if (k->object != NULL && k->object->handle != ESYS_TR_NONE)
		tpm_forget(ring.conf.tpm, k->object);
	free(k->object);
	free(k);
}

/*
 * What binds a TPM's key to its place in the table: the TPM keeps it as the
 * object's policy, which is part of the object's name.
 */
static int
key_binding(const struct key_file *f, uint8_t out[32])
{
	uint8_t	 buf[16 + KEY_LABEL_MAX] = "provd key";
	size_t	 n = strlen(f->label);

	buf[10] = f->purpose;
	buf[11] = f->algorithm;
	memcpy(buf + 12, f->label, n);
	return curve_digest(curve_get(KEY_P256), buf, 12 + n, out);
}

/* ---- from file to key ------------------------------------------------ */

static bool
point_is(const TPM2B_PUBLIC *p, const struct curve *c, const uint8_t *point)
{
	const TPMS_ECC_POINT	*q = &p->publicArea.unique.ecc;
	size_t			 n = c->coord;
	uint8_t			 xy[2 * SCALAR_MAX] = { 0 };

	if (p->publicArea.type != TPM2_ALG_ECC ||
	    p->publicArea.parameters.eccDetail.curveID != c->tpm_curve ||
	    q->x.size > n || q->y.size > n)
		return false;
	memcpy(xy + n - q->x.size, q->x.buffer, q->x.size);
	memcpy(xy + 2 * n - q->y.size, q->y.buffer, q->y.size);
	return memcmp(xy, point + 1, 2 * n) == 0;
}

static struct tpm_object *
object_open(const struct key_file *f)
{
	struct tpm_object	*o = calloc(1, sizeof(*o));
	uint8_t			 binding[32];
	size_t			 at = 0;

	if (o == NULL)
		fatal("calloc");
	o->handle = ESYS_TR_NONE;
	if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(f->blob, f->blob_len, &at,
	    &o->public) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Unmarshal(f->blob, f->blob_len, &at,
	    &o->private) != TSS2_RC_SUCCESS || at != f->blob_len ||
	    key_binding(f, binding) == -1 ||
	    o->public.publicArea.authPolicy.size != sizeof(binding) ||
	    memcmp(o->public.publicArea.authPolicy.buffer, binding,
	    sizeof(binding)) != 0 ||
	    !point_is(&o->public, curve_get(f->algorithm), f->public)) {
		free(o);
		return NULL;
	}
	return o;
}

/* Bytes of the private half, before it is encrypted. */
static size_t
secret_len(const struct key_file *f)
{
	return f->algorithm == KEY_RSA2048 ? RSA_SECRET_LEN :
	    curve_get(f->algorithm)->coord;
}

static struct local *
local_open(const struct key_file *f)
{
	struct local	*l = NULL;
	uint8_t		 secret[RSA_SECRET_LEN], aad[KEY_HEADER_MAX];
	size_t		 n;

	if (f->blob_len == secret_len(f) + WRAP_EXTRA &&
	    store_header(f, aad, sizeof(aad), &n) == 0 &&
	    wrap_open(ring.conf.kek, aad, n, f->blob, f->blob_len,
	    secret) == 0)
		l = f->algorithm == KEY_RSA2048 ?
		    local_rsa(secret, f->public) :
		    local_new(curve_get(f->algorithm), secret, f->public);
	explicit_bzero(secret, sizeof(secret));
	return l;
}

static int
key_load(const struct key_file *f, void *arg, struct why *w)
{
	struct key	*k;

	if (f->backend != ring.conf.backend)
		return why_set(w, R_KEY_FILE, f->label,
		    "a key of the configured backend", "one of another");
	if (ring.keys[f->id] != NULL)
		return why_set(w, R_KEY_FILE, f->label,
		    "a number of its own", ring.keys[f->id]->label);
	if ((k = calloc(1, sizeof(*k))) == NULL)
		fatal("calloc");
	k->id = f->id;
	k->purpose = f->purpose;
	k->algorithm = f->algorithm;
	memcpy(k->label, f->label, sizeof(k->label));
	memcpy(k->public, f->public, f->public_len);
	k->public_len = f->public_len;
	if (f->backend == KEY_BACKEND_TPM && f->algorithm != KEY_RSA2048)
		k->object = object_open(f);
	else if (f->backend != KEY_BACKEND_TPM)
		k->local = local_open(f);
	if (k->object == NULL && k->local == NULL) {
		key_free(k);
		return why_set(w, R_KEY_FILE, f->label,
		    "the private half of this key", "something else");
	}
	ring.keys[k->id] = k;
	return 0;
}

int
key_open(const struct key_conf *conf, struct why *w)
{
	memset(w, 0, sizeof(*w));
	ring.conf = *conf;
	if (store_sweep(conf->dir) == -1)
		return why_set(w, R_KEY_FILE, conf->dir, "a directory",
		    strerror(errno));
	return store_each(conf->dir, key_load, NULL, w);
}

void
key_close(void)
{
	unsigned	 i;

	for (i = 0; i < KEY_MAX; i++)
		key_free(ring.keys[i]);
	memset(&ring, 0, sizeof(ring));
}

/* ---- a new key ------------------------------------------------------- */

struct making {
	struct key_file	 file;
	key_made_fn	 cb;
	void		*arg;
};

static void
making_end(struct making *m, const struct key *k, bool made,
    const struct why *w)
{
	m->cb(k, made, w, m->arg);
	freezero(m, sizeof(*m));
}

/* Once the private half is there: write the file, then enter the table. */
static void
making_store(struct making *m)
{
	struct key_file	*f = &m->file;
	struct why	 w = { .reason = R_OK };
	char		 name[KEY_LABEL_MAX + 8];
	uint8_t		 buf[KEY_FILE_MAX];
	size_t		 len;

	memcpy(name, f->label, strlen(f->label));
	memcpy(name + strlen(f->label), ".key", 5);
	if (store_format(f, buf, sizeof(buf), &len) == -1)
		fatalx("key %s: does not fit its file", f->label);
	if (store_write(ring.conf.dir, name, buf, len) == -1) {
		log_warn("key %s", f->label);
		why_set(&w, R_KEY_STORE, name, NULL, strerror(errno));
	} else if (key_load(f, NULL, &w) == 0)
		log_info("key %s: made, number %u, for %s", f->label, f->id,
		    purpose_names[f->purpose]);
	explicit_bzero(buf, sizeof(buf));
	making_end(m, w.reason == R_OK ? key_byid(f->id) : NULL, true, &w);
}

/*
 * The table may have changed while the TPM worked: the number is chosen
 * now, and a key of this label that came first is the one that counts.
 */
static const struct key *
making_place(struct making *m, struct why *w)
{
	const struct key	*k = key_bylabel(m->file.label);
	uint8_t			 i;

	w->reason = R_OK;
	if (k != NULL) {
		if (k->purpose != m->file.purpose ||
		    k->algorithm != m->file.algorithm)
			why_set(w, R_KEY_OTHER, "label",
			    purpose_names[m->file.purpose],
			    purpose_names[k->purpose]);
		return k;
	}
	for (i = 0; i < KEY_MAX; i++)
		if (ring.keys[i] == NULL) {
			m->file.id = i;
			return NULL;
		}
	why_num(w, R_KEY_TABLE, "keys", KEY_MAX, KEY_MAX);
	return NULL;
}

static void
making_tpm(const struct tpm_result *r, void *arg)
{
	struct making		*m = arg;
	struct key_file		*f = &m->file;
	const struct curve	*c = curve_get(f->algorithm);
	const TPMS_ECC_POINT	*q;
	const struct key	*k;
	struct why		 w;
	size_t			 n = 0;

	why_tpm(&w, r);
	if (r->reason != R_OK) {
		making_end(m, NULL, false, &w);
		return;
	}
	if ((k = making_place(m, &w)) != NULL || w.reason != R_OK) {
		making_end(m, w.reason == R_OK ? k : NULL, false, &w);
		return;
	}
	q = &r->public->publicArea.unique.ecc;
	if (q->x.size > c->coord || q->y.size > c->coord ||
	    Tss2_MU_TPM2B_PUBLIC_Marshal(r->public, f->blob, sizeof(f->blob),
	    &n) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Marshal(r->private, f->blob,
	    sizeof(f->blob), &n) != TSS2_RC_SUCCESS) {
		why_set(&w, R_TPM_FORM, "TPM2_Create", NULL, NULL);
		making_end(m, NULL, false, &w);
		return;
	}
	f->blob_len = (uint32_t)n;
	memset(f->public, 0, sizeof(f->public));
	f->public[0] = 4;
	memcpy(f->public + 1 + c->coord - q->x.size, q->x.buffer, q->x.size);
	memcpy(f->public + 1 + 2 * c->coord - q->y.size, q->y.buffer,
	    q->y.size);
	f->public_len = (uint32_t)c->point;
	making_store(m);
}

/* Both halves. 0, or -1 and nothing secret is left. */
static int
secret_make(struct key_file *f, uint8_t secret[RSA_SECRET_LEN])
{
	const struct curve	*c;

	if (f->algorithm == KEY_RSA2048) {
		f->public_len = RSA_BYTES;
		return rsa_make(secret, f->public);
	}
	c = curve_get(f->algorithm);
	f->public_len = (uint32_t)c->point;
	return local_make(c, secret, f->public);
}

static void
making_local(struct making *m)
{
	struct key_file		*f = &m->file;
	struct why		 w;
	uint8_t			 secret[RSA_SECRET_LEN], aad[KEY_HEADER_MAX];
	size_t			 n;
	int			 r = -1;

	f->blob_len = (uint32_t)(secret_len(f) + WRAP_EXTRA);
	if (secret_make(f, secret) == 0 &&
	    store_header(f, aad, sizeof(aad), &n) == 0 &&
	    wrap_seal(ring.conf.kek, aad, n, secret, secret_len(f),
	    f->blob) == 0)
		r = 0;
	explicit_bzero(secret, sizeof(secret));
	if (r == 0) {
		making_store(m);
		return;
	}
	why_set(&w, R_KEY_LIBRARY, "key", NULL, NULL);
	making_end(m, NULL, false, &w);
}

static int
key_make_check(const char *label, enum key_purpose purpose,
    enum key_algorithm algorithm, struct why *w)
{
	if (!store_label_ok(label))
		return why_set(w, R_KEY_LABEL, "label", "a-z 0-9 -", NULL);
	if (algorithm == KEY_RSA2048 && purpose != KEY_ENROL)
		return why_set(w, R_KEY_ALGORITHM, "algorithm",
		    "P-256 or P-384", "RSA-2048");
	if (algorithm == KEY_RSA2048 && ring.conf.backend == KEY_BACKEND_TPM)
		return why_set(w, R_KEY_ALGORITHM, "backend",
		    "sealed or soft", "tpm");
	return 0;
}

void
key_make(const char *label, enum key_purpose purpose,
    enum key_algorithm algorithm, key_made_fn cb, void *arg)
{
	struct making		*m;
	const struct key	*k;
	struct why		 w;
	uint8_t			 binding[32];
	enum reason		 reason;

	if (key_make_check(label, purpose, algorithm, &w) == -1) {
		cb(NULL, false, &w, arg);
		return;
	}
	if ((m = calloc(1, sizeof(*m))) == NULL)
		fatal("calloc");
	m->cb = cb;
	m->arg = arg;
	memcpy(m->file.label, label, strlen(label));
	m->file.purpose = (uint8_t)purpose;
	m->file.algorithm = (uint8_t)algorithm;
	m->file.backend = (uint8_t)ring.conf.backend;
	if ((k = making_place(m, &w)) != NULL || w.reason != R_OK) {
		making_end(m, w.reason == R_OK ? k : NULL, false, &w);
		return;
	}
	if (ring.conf.backend != KEY_BACKEND_TPM) {
		making_local(m);
		return;
	}
	if (key_binding(&m->file, binding) == -1)
		reason = R_KEY_LIBRARY;
	else
		reason = tpm_make(ring.conf.tpm, curve_get(algorithm), binding,
		    making_tpm, m);
	if (reason != R_OK) {
		why_set(&w, reason, NULL, NULL, NULL);
		making_end(m, NULL, false, &w);
	}
}

/* ---- signatures ------------------------------------------------------ */

struct signing {
	const struct curve *curve;
	key_signed_fn	 cb;
	void		*arg;
};

static void
signing_fail(enum reason reason, key_signed_fn cb, void *arg)
{
	struct signature	 s;

	why_set(&s.why, reason, NULL, NULL, NULL);
	s.len = 0;
	cb(&s, arg);
}

static void
signing_tpm(const struct tpm_result *r, void *arg)
{
	struct signing		*g = arg;
	struct signature	 s = { .len = 0 };

	why_tpm(&s.why, r);
	if (r->reason == R_OK && ecdsa_to_der(g->curve, r->data, s.der,
	    sizeof(s.der), &s.len) == -1)
		why_set(&s.why, R_KEY_LIBRARY, "signature", NULL, NULL);
	g->cb(&s, g->arg);
	free(g);
}

/* RSA signs SHA-256, as P-256 does. */
static const struct curve *
key_digest_curve(const struct key *k)
{
	return k->algorithm == KEY_RSA2048 ? curve_get(KEY_P256) :
	    curve_get(k->algorithm);
}

static void
signing_local(const struct key *k, const uint8_t *digest, key_signed_fn cb,
    void *arg)
{
	struct signature	 s = { .why = { .reason = R_OK } };

	if (local_sign(k->local, digest, key_digest_curve(k)->hash, s.der,
	    &s.len) == -1) {
		signing_fail(R_KEY_LIBRARY, cb, arg);
		return;
	}
	cb(&s, arg);
}

void
key_sign(const struct key *k, const void *msg, size_t len, key_signed_fn cb,
    void *arg)
{
	struct signing	*g;
	uint8_t		 digest[48];
	enum reason	 reason;

	if (curve_digest(key_digest_curve(k), msg, len, digest) == -1) {
		signing_fail(R_KEY_LIBRARY, cb, arg);
		return;
	}
	if (k->local != NULL) {
		signing_local(k, digest, cb, arg);
		return;
	}
	if ((g = calloc(1, sizeof(*g))) == NULL)
		fatal("calloc");
	g->curve = key_curve(k);
	g->cb = cb;
	g->arg = arg;
	reason = tpm_sign(ring.conf.tpm, k->purpose, k->object, g->curve,
	    digest, signing_tpm, g);
	if (reason != R_OK) {
		free(g);
		signing_fail(reason, cb, arg);
	}
}
