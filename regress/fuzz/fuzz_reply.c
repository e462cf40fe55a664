/*
 * What a server answers to "provctl enrol": read in two pieces or in one it
 * says the same, and no bytes of a stranger are a certificate for us.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../provctl/enrol.h"

static struct device_key	ours;
static STACK_OF(X509)		*anchors;

/* A root whose key nobody has any more. */
static void
setup(void)
{
	struct device_key	root;
	X509			*x = X509_new();

	anchors = sk_X509_new_null();
	if (x == NULL || anchors == NULL ||
	    key_make(&ours, KEYS_P256) == -1 ||
	    key_make(&root, KEYS_P256) == -1 ||
	    X509_set_version(x, X509_VERSION_3) != 1 ||
	    X509_set_pubkey(x, root.key) != 1 ||
	    X509_sign(x, root.key, EVP_sha256()) <= 0 ||
	    sk_X509_push(anchors, x) <= 0)
		abort();
	key_free(&root);
}

static enum reply_step
pieces(struct http_reply *r, const char *p, size_t len, size_t first)
{
	struct reply_reader	*reader = reply_begin(r);
	enum reply_step		 step = REPLY_MORE;

	if (first > 0)
		step = reply_feed(reader, p, first);
	if (step == REPLY_MORE && len > first)
		step = reply_feed(reader, p + first, len - first);
	if (step == REPLY_MORE)
		step = reply_feed(reader, p, 0);
	reply_end(reader);
	return step;
}

static void
judge(const struct http_reply *r)
{
	struct answer	 a = { 0 };
	STACK_OF(X509)	*certs = NULL, *path = NULL;
	char		 text[WHY_MAX] = "";

	if (answer_json(r, &a, text) == DONE && check_cert(a.cert, a.chain,
	    anchors, ours.key, "24:0a:c4:12:34:56", &path, text) == DONE)
		abort();
	answer_free(&a);
	if (answer_p7(r, &a, &certs, text) == DONE &&
	    check_cert(sk_X509_value(certs, 0), certs, anchors, ours.key,
	    "24:0a:c4:12:34:56", &path, text) == DONE)
		abort();
	answer_free(&a);
	sk_X509_pop_free(certs, X509_free);
	if (memchr(text, '\0', sizeof(text)) == NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct http_reply	 one = { 0 }, two = { 0 };
	enum reply_step		 step;
	size_t			 first;

	if (anchors == NULL)
		setup();
	if (len < 2)
		return 0;
	first = (size_t)(p[0] | p[1] << 8);
	p += 2;
	len -= 2;
	if (first > len)
		first = len / 2;
	step = pieces(&one, (const char *)p, len, 0);
	if (pieces(&two, (const char *)p, len, first) != step ||
	    (step == REPLY_WHOLE && (one.len != two.len ||
	    memcmp(one.body, two.body, one.len) != 0 ||
	    strcmp(one.type, two.type) != 0)))
		abort();
	if (step == REPLY_WHOLE)
		judge(&one);
	free(one.body);
	free(two.body);
	return 0;
}
