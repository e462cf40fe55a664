/*
 * Running a command: one call and its rows, or several over one connection.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "provctl.h"
#include "secret.h"

int
run_print(const json_t *row, void *arg)
{
	struct run	*r = arg;

	row_print(&r->printer, row);
	return 0;
}

static int
each_row(const json_t *row, void *arg)
{
	struct run	*r = arg;

	if (r->args->cmd->row == NULL ||
	    !r->args->cmd->row(r->args, row, &r->status))
		row_print(&r->printer, row);
	return 0;
}

void
run_say(struct run *r, const struct msg_refused *m)
{
	json_t	*row;

	row_end(&r->printer);
	if (r->args->json) {
		row = json_pack("{s:s, s:o}", "row", "refused", "reason",
		    row_why((enum reason)m->reason, m->field, m->expected,
		    m->seen));
		row_print(&r->printer, row);
		json_decref(row);
	}
	client_refused(stderr, m);
}

int
run_begin(struct run *r, const struct args *a)
{
	char	path[PATH_MAX];
	int	status;

	memset(r, 0, sizeof(*r));
	r->args = a;
	client_path(a, path, sizeof(path));
	if ((r->fd = client_open(path, stderr, &status)) == -1)
		return status;
	row_begin(&r->printer, stdout, a->json, a->cmd->show & STREAM,
	    a->cmd->show & DETAIL);
	if (a->cmd->show & GROUP && !a->json) {
		r->printer.group = true;
		if ((r->printer.others = json_array()) == NULL)
			abort();
	}
	return EX_GOOD;
}

int
run_try(struct run *r, enum ipc_type type, const union ipc_any *m, int fd,
    row_fn fn, void *arg, struct msg_refused *refused)
{
	memset(refused, 0, sizeof(*refused));
	return client_call(r->fd, type, m, fd, r->args->cmd->show & STREAM,
	    fn != NULL ? fn : each_row, fn != NULL ? arg : r, refused);
}

int
run_call(struct run *r, enum ipc_type type, const union ipc_any *m, int fd,
    row_fn fn, void *arg)
{
	struct msg_refused	 refused;
	int			 status;

	status = run_try(r, type, m, fd, fn, arg, &refused);
	if (status == EX_REFUSED)
		run_say(r, &refused);
	return status;
}

int
run_end(struct run *r, int status)
{
	row_end(&r->printer);
	close(r->fd);
	return status == EX_GOOD ? r->status : status;
}

int
command_run(const struct args *a)
{
	struct run	 run;
	union ipc_any	*m;
	int		 status;

	if (a->cmd->local != NULL)
		return a->cmd->local(a);
	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	if (a->cmd->fill != NULL && a->cmd->fill(a, m) == -1)
		status = EX_WRONG;
	else if ((status = run_begin(&run, a)) == EX_GOOD)
		status = run_end(&run, run_call(&run, a->cmd->type, m, -1,
		    NULL, NULL));
	freezero(m, sizeof(*m));
	return status;
}
