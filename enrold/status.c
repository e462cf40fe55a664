/* The status of HTTP (RFC 9110, 15) that goes with each reason. */
#include "wire.h"

#define N(a)	(sizeof(a) / sizeof((a)[0]))

static const struct {
	enum reason	reason;
	unsigned	status;
} statuses[] = {
	{ R_ENR_HTTP,		400 },
	{ R_ENR_AMBIGUOUS,	400 },
	{ R_ENR_JSON,		400 },
	{ R_ENR_JSON_DEEP,	400 },
	{ R_ENR_JSON_DUPLICATE,	400 },
	{ R_ENR_FIELD,		400 },
	{ R_ENR_OPERATION,	400 },
	{ R_ENR_BASE64,		400 },
	{ R_ENR_CSR,		400 },
	{ R_ENR_CSR_SIGNATURE,	400 },
	{ R_ENR_CSR_KEY,	400 },
	{ R_ENR_CSR_NAME,	400 },
	{ R_ENR_CSR_EXTENSION,	400 },
	{ R_ENR_CSR_BINDING,	400 },
	{ R_ENR_OCSP,		400 },
	{ R_CRT_KEY_TYPE,	400 },
	{ R_CRT_KEY_WEAK,	400 },
	{ R_CRT_SAN,		400 },
	{ R_CRT_NAME_FORM,	400 },
	{ R_ENR_AUTH,		401 },
	{ R_CRT_NO_AUTH,	401 },
	{ R_CRT_TICKET,		401 },
	{ R_CRT_TICKET_USED,	401 },
	{ R_CRT_TICKET_EXPIRED,	401 },
	{ R_CRT_NAME,		403 },
	{ R_CRT_DEVICE,		403 },
	{ R_CRT_PROFILE,	403 },
	{ R_CRT_CLIENT_REVOKED,	403 },
	{ R_CRT_CLIENT_EXPIRED,	403 },
	{ R_CRT_NOT_YOURS,	403 },
	{ R_CRT_MAKER,		403 },
	{ R_ENR_CLIENT,		403 },
	{ R_ENR_DOOR,		403 },
	{ R_ENR_NO_KEYGEN,	403 },
	{ R_ENR_PATH,		404 },
	{ R_CRT_SERIAL,		404 },
	{ R_ENR_METHOD,		405 },
	{ R_ENR_SLOW,		408 },
	{ R_CRT_KEY_REVOKED,	409 },
	{ R_CRT_RENEW_EARLY,	409 },
	{ R_CRT_REVOKED,	409 },
	{ R_ENR_BODY,		413 },
	{ R_ENR_TYPE,		415 },
	{ R_CRT_ATTEMPTS_DEVICE, 429 },
	{ R_CRT_ATTEMPTS_ADDRESS, 429 },
	{ R_ENR_HEADER,		431 },
};

static const struct {
	unsigned	 status;
	const char	*phrase;
} phrases[] = {
	{ 200, "OK" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 304, "Not Modified" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 413, "Content Too Large" },
	{ 415, "Unsupported Media Type" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 503, "Service Unavailable" },
};

unsigned
http_status(enum reason reason)
{
	size_t i;

	for (i = 0; i < N(statuses); i++)
		if (statuses[i].reason == reason)
			return statuses[i].status;
	return 503;
}

const char *
http_phrase(unsigned status)
{
	size_t i;

	for (i = 0; i < N(phrases); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}
