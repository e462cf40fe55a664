/* What is made from messages.def is in the tree as it would be made now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MSGDOC_TEST
#include "../tools/msgdoc.c"

#define SEEDS	"regress/fuzz/seeds/codec"

static void
compare(const char *path, const void *made, size_t size)
{
	char	*have;
	FILE	*f;
	size_t	 n;

	if ((f = fopen(path, "r")) == NULL)
		fail_msg("%s is missing: make generated", path);
	assert_non_null(have = calloc(1, size + 1));
	n = fread(have, 1, size + 1, f);
	fclose(f);
	if (n != size || memcmp(have, made, size) != 0)
		fail_msg("%s is old: make generated", path);
	free(have);
}

static void
compare_made(const char *path, void (*make)(FILE *))
{
	FILE	*f;
	char	*made;
	size_t	 size;

	assert_non_null(f = open_memstream(&made, &size));
	make(f);
	fclose(f);
	compare(path, made, size);
	free(made);
}

static void
test_man_page(void **state)
{
	compare_made("man/ipc_messages.7", msgdoc_man);
}

static void
test_dictionary(void **state)
{
	compare_made("regress/fuzz/ipc.dict", msgdoc_dict);
}

static void
test_seeds(void **state)
{
	static uint8_t	 buf[IPC_MAX_RECORD];
	char		 path[256];
	enum ipc_type	 t;

	for (t = MSG_NONE + 1; t < MSG_COUNT; t++) {
		msgdoc_seed_path(t, SEEDS, path, sizeof(path));
		compare(path, buf, msgdoc_seed(t, buf, sizeof(buf)));
	}
}

/* What is said about a message is one clause that begins like a sentence. */
static void
test_texts(void **state)
{
	enum ipc_type	t;
	const char	*s;

	for (t = MSG_NONE + 1; t < MSG_COUNT; t++) {
		s = ipc_text(t);
		if (strlen(s) < 10 || s[strlen(s) - 1] == '.' ||
		    strchr(s, '\\') != NULL)
			fail_msg("%s: \"%s\"", ipc_name(t), s);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_man_page),
		cmocka_unit_test(test_dictionary),
		cmocka_unit_test(test_seeds),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests_name("msgdoc", tests, NULL, NULL);
}
