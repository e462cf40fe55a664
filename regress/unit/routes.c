/*
 * Who may say what to whom: messages.def agrees with the picture of
 * man/provd.7, whose section LINKS lists its arrows, and nothing else
 * passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "field.h"

#define PICTURE	"man/provd.7"
#define EACH_TYPE(t)	for (t = MSG_NONE + 1; t < MSG_COUNT; t++)

static bool	drawn[IPC_NROLES][IPC_NROLES];
static unsigned	ndrawn;

static int
role_find(const char *name)
{
	int	r;

	for (r = 0; r < IPC_NROLES; r++) {
		if (strcmp(ipc_role_name((enum ipc_role)r), name) == 0)
			return r;
	}
	return -1;
}

/* The lines of the section that are two names of daemons. */
static int
read_picture(void **state)
{
	char	 line[256], a[128], b[128], more[128];
	bool	 in = false;
	int	 x, y;
	FILE	*f;

	if ((f = fopen(PICTURE, "r")) == NULL)
		return -1;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, ".Sh ", 4) == 0)
			in = strcmp(line, ".Sh LINKS\n") == 0;
		if (!in || sscanf(line, "%127s %127s %127s", a, b, more) != 2 ||
		    (x = role_find(a)) == -1 || (y = role_find(b)) == -1)
			continue;
		drawn[x][y] = drawn[y][x] = true;
		ndrawn++;
	}
	fclose(f);
	return 0;
}

static bool
speaks(enum ipc_type t, int a, int b)
{
	return ipc_route(t, (enum ipc_role)a, (enum ipc_role)b, IPC_START) ||
	    ipc_route(t, (enum ipc_role)a, (enum ipc_role)b, IPC_RUN);
}

static void
test_picture(void **state)
{
	unsigned	nlinks = 0;
	int		a, b;

	assert_true(ndrawn > 0);
	for (a = 0; a < IPC_NROLES; a++) {
		for (b = 0; b < a; b++) {
			nlinks += ipc_window((enum ipc_role)a,
			    (enum ipc_role)b) != 0;
			if (drawn[a][b] != (ipc_window((enum ipc_role)a,
			    (enum ipc_role)b) != 0))
				fail_msg("%s and %s: in one of messages.def "
				    "and " PICTURE " only",
				    ipc_role_name((enum ipc_role)a),
				    ipc_role_name((enum ipc_role)b));
		}
	}
	assert_int_equal(nlinks, ndrawn);
}

/* No message travels where the picture has no line. */
static void
test_messages_in_picture(void **state)
{
	enum ipc_type	t;
	int		a, b;

	EACH_TYPE(t) {
		for (a = 0; a < IPC_NROLES; a++) {
			for (b = 0; b < IPC_NROLES; b++) {
				if (speaks(t, a, b) && !drawn[a][b])
					fail_msg("%s", ipc_name(t));
			}
		}
	}
}

/* A message that nobody could send, or a link without one, is a mistake. */
static void
test_no_dead_rows(void **state)
{
	enum ipc_type	t;
	int		a, b;
	unsigned	n;

	EACH_TYPE(t) {
		for (a = n = 0; a < IPC_NROLES; a++) {
			for (b = 0; b < IPC_NROLES; b++)
				n += speaks(t, a, b);
		}
		if (n == 0)
			fail_msg("%s has no route", ipc_name(t));
	}
	for (a = 0; a < IPC_NROLES; a++) {
		for (b = 0; b < IPC_NROLES; b++) {
			n = 0;
			EACH_TYPE(t) {
				n += speaks(t, a, b) && t != MSG_DONE &&
				    t != MSG_REFUSED && t != MSG_LINK_HELLO;
			}
			if (drawn[a][b] && n == 0) {
				EACH_TYPE(t)
					n += speaks(t, b, a);
				assert_true(n > 3);
			}
		}
	}
}

/* Nobody talks to itself. */
static void
test_no_self(void **state)
{
	enum ipc_type	t;
	int		a;

	EACH_TYPE(t) {
		for (a = 0; a < IPC_NROLES; a++)
			assert_false(speaks(t, a, a));
	}
}

/* A call can be answered: its reply goes the other way in the same phase. */
static void
test_replies_return(void **state)
{
	enum ipc_type	t, u;
	enum ipc_phase	p;
	int		a, b;
	unsigned	n;

	EACH_TYPE(t) {
		if (ipc_kind(t) != IPC_CALL)
			continue;
		n = 0;
		EACH_TYPE(u) {
			if (!ipc_answers(t, u))
				continue;
			assert_int_equal(ipc_kind(u), IPC_REPLY);
			n++;
			for (a = 0; a < IPC_NROLES; a++) {
				for (b = 0; b < IPC_NROLES; b++) {
					p = IPC_START;
					if (!ipc_route(t, a, b, p))
						p = IPC_RUN;
					if (speaks(t, a, b) &&
					    !ipc_route(u, b, a, p))
						fail_msg("%s to %s",
						    ipc_name(u), ipc_name(t));
				}
			}
		}
		assert_int_equal(n, 2);
	}
}

/* The lines that must not be. */
static void
test_absent(void **state)
{
	assert_int_equal(ipc_window(IPC_ATTESTQ, IPC_ATTESTR), 0);
	assert_int_equal(ipc_window(IPC_PROVCTL, IPC_KEYD), 0);
	assert_int_equal(ipc_window(IPC_PROVCTL, IPC_NETD), 0);
	assert_false(speaks(MSG_SPDM_SIGN_REQ, IPC_NETD, IPC_KEYD));
	assert_false(speaks(MSG_TLS_SIGN_REQ, IPC_ATTESTR, IPC_KEYD));
	assert_false(speaks(MSG_TLS_SIGN_REQ, IPC_ATTESTQ, IPC_KEYD));
	assert_false(speaks(MSG_CERT_REQ, IPC_ATTESTQ, IPC_KEYD));
	assert_false(speaks(MSG_EVID_END, IPC_ATTESTR, IPC_POLICYD));
	assert_false(speaks(MSG_CERT_REQ, IPC_NETD, IPC_KEYD));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_picture),
		cmocka_unit_test(test_messages_in_picture),
		cmocka_unit_test(test_no_dead_rows),
		cmocka_unit_test(test_no_self),
		cmocka_unit_test(test_replies_return),
		cmocka_unit_test(test_absent),
	};

	return cmocka_run_group_tests_name("routes", tests, read_picture, NULL);
}
