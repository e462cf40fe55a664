/* Which door serves what: a request without a row here is refused. */
#include <string.h>

#include "enrold.h"

#define N(a)	(sizeof(a) / sizeof((a)[0]))

#define TLS	(1U << DOOR_TLS | 1U << DOOR_MUTUAL)
#define PLAIN	(1U << DOOR_PLAIN)
#define STATUS	(1U << DOOR_STATUS)
#define GET	(1U << VERB_GET | 1U << VERB_HEAD)
#define POST	(1U << VERB_POST)

static const struct route {
	unsigned	 doors, verbs;
	const char	*path;
	bool		 prefix;	/* and what is below it */
	void		(*serve)(struct conn *);
} routes[] = {
	{ TLS | PLAIN,		POST,		"/", false, json_serve },
	{ TLS | PLAIN,		POST,		"/req_client_cert", false,
	    json_serve },
	{ TLS | PLAIN,		POST,		"/renew_client_cert", false,
	    json_serve },
	/* Who may revoke is known by a certificate. */
	{ TLS,			POST,		"/revoke_client_cert", false,
	    json_serve },
	{ TLS | PLAIN,		GET | POST,	"/get_ca_chain", false,
	    json_serve },
	{ TLS | PLAIN,		GET | POST,	"/get_crl", false,
	    json_serve },
	{ TLS | PLAIN,		POST,		"/status", false, json_serve },
	{ TLS,			GET | POST,	"/.well-known/est/", true,
	    est_serve },
	{ TLS | PLAIN | STATUS,	POST,		"/ocsp", false, ocsp_serve },
	{ TLS | PLAIN | STATUS,	GET | POST,	"/ocsp/", true, ocsp_serve },
	{ TLS | PLAIN | STATUS,	GET,		"/crl/", true, crl_serve },
	{ TLS | PLAIN | STATUS,	GET,		"/ca/", true, ca_serve },
};

static bool
matches(const struct route *r, const char *path)
{
	return r->prefix ? strncmp(path, r->path, strlen(r->path)) == 0 :
	    strcmp(path, r->path) == 0;
}

void
route(struct conn *c)
{
	const struct http_request	*q = conn_request(c);
	const struct route		*r;
	struct refusal			 why;
	char				 seen[81];

	for (r = routes; r < routes + N(routes); r++)
		if (matches(r, q->path))
			break;
	refusal_text(seen, sizeof(seen), q->path, strlen(q->path));
	if (r == routes + N(routes))
		refusal_set(&why, R_ENR_PATH, "path", NULL, seen);
	else if (!(r->doors & 1U << conn_door(c)))
		refusal_set(&why, R_ENR_DOOR, "path", "another listener",
		    seen);
	else if (!(r->verbs & 1U << q->verb))
		refusal_set(&why, R_ENR_METHOD, "method",
		    r->verbs == POST ? "POST" :
		    r->verbs == GET ? "GET" : "GET or POST", NULL);
	else {
		r->serve(c);
		return;
	}
	conn_refuse(c, &why);
}
