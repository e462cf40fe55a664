/*
 * One row a request: who has it, when it may come, inside which part of a
 * session, how long it is, who serves it. What has no handler is refused by
 * the table.
 */
#include "spdm.h"
#include "spdm_handlers.h"

#define READY	SPDM_S_READY
#define SESS	SPDM_F_SESSION
#define HAND	SPDM_F_HAND
#define DATA	SPDM_F_DATA
#define BOTH	SPDM_F_BOTH
#define RST	(SPDM_RESET_B | SPDM_RESET_M)

static const struct spdm_row rows[] = {
/* code			name				since	caps
 * states	flags					min	max	1.3	rsp	handlers */
{ SPDM_GET_VERSION,	"GET_VERSION",			SPDM_V10, 0,
  SPDM_S_ANY,	SPDM_F_OWN_VER | RST,			4,	4,	0,	6,
  serve_version, ask_version, take_version },
{ SPDM_GET_CAPABILITIES, "GET_CAPABILITIES",		SPDM_V10, 0,
  SPDM_S_VERSION, SPDM_F_OWN_VER | RST,			4,	20,	0,	12,
  serve_capabilities, ask_capabilities, take_capabilities },
{ SPDM_NEGOTIATE_ALGORITHMS, "NEGOTIATE_ALGORITHMS",	SPDM_V10, 0,
  SPDM_S_CAPS,	RST,					32,	128,	0,	36,
  serve_algorithms, ask_algorithms, take_algorithms },
{ SPDM_GET_DIGESTS,	"GET_DIGESTS",			SPDM_V10, SPDM_CAP_CERT,
  READY,	DATA | RST,				4,	4,	0,	4,
  serve_digests, ask_digests, take_digests },
{ SPDM_GET_CERTIFICATE,	"GET_CERTIFICATE",		SPDM_V10, SPDM_CAP_CERT,
  READY,	DATA | SPDM_RESET_M,			8,	8,	0,	8,
  serve_certificate, ask_certificate, take_certificate },
{ SPDM_CHALLENGE,	"CHALLENGE",			SPDM_V10, SPDM_CAP_CHAL,
  READY,	SPDM_RESET_M,				36,	36,	8,	38,
  serve_challenge, ask_challenge, take_challenge },
{ SPDM_GET_MEASUREMENTS, "GET_MEASUREMENTS",		SPDM_V10, SPDM_CAP_MEAS_SIG,
  READY,	DATA | SPDM_RESET_B,			4,	37,	8,	42,
  serve_measurements, ask_measurements, take_measurements },
{ SPDM_RESPOND_IF_READY, "RESPOND_IF_READY",		SPDM_V10, 0,
  READY,	HAND | DATA,				4,	4,	0,	4,
  serve_if_ready, NULL, NULL },
{ SPDM_CHUNK_SEND,	"CHUNK_SEND",			SPDM_V12, SPDM_CAP_CHUNK,
  READY,	0,					12,	UINT16_MAX, 0,	8,
  NULL, NULL, NULL },
{ SPDM_CHUNK_GET,	"CHUNK_GET",			SPDM_V12, SPDM_CAP_CHUNK,
  READY,	0,					6,	8,	0,	12,
  NULL, NULL, NULL },
{ SPDM_KEY_EXCHANGE,	"KEY_EXCHANGE",			0x11, SPDM_CAP_KEY_EX,
  READY,	BOTH | RST,				42,	UINT16_MAX, 0,	42,
  serve_key_exchange, ask_key_exchange, take_key_exchange },
{ SPDM_FINISH,		"FINISH",			0x11, SPDM_CAP_KEY_EX,
  READY,	BOTH | SESS | HAND | RST,		36,	UINT16_MAX, 0,	4,
  serve_finish, ask_finish, take_finish },
{ SPDM_PSK_EXCHANGE,	"PSK_EXCHANGE",			0x11, SPDM_CAP_PSK,
  READY,	BOTH | RST,				16,	UINT16_MAX, 0,	12,
  serve_psk_exchange, ask_psk_exchange, take_psk_exchange },
{ SPDM_PSK_FINISH,	"PSK_FINISH",			0x11, SPDM_CAP_PSK,
  READY,	BOTH | SESS | HAND | RST,			36,	UINT16_MAX, 0,	4,
  serve_psk_finish, ask_psk_finish, take_psk_finish },
{ SPDM_HEARTBEAT,	"HEARTBEAT",			0x11, SPDM_CAP_HBEAT,
  READY,	BOTH | SESS | DATA | RST,		4,	4,	0,	4,
  serve_heartbeat, ask_plain, take_heartbeat },
{ SPDM_KEY_UPDATE,	"KEY_UPDATE",			0x11, SPDM_CAP_KEY_UPD,
  READY,	BOTH | SESS | DATA | RST,		4,	4,	0,	4,
  serve_key_update, ask_key_update, take_key_update },
{ SPDM_GET_ENCAPSULATED, "GET_ENCAPSULATED_REQUEST",	0x11, SPDM_CAP_ENCAP,
  READY,	BOTH | HAND | DATA | RST,		4,	4,	0,	4,
  serve_get_encapsulated, ask_plain, take_encapsulated },
{ SPDM_DELIVER_ENCAPSULATED, "DELIVER_ENCAPSULATED_RESPONSE", 0x11, SPDM_CAP_ENCAP,
  READY,	BOTH | HAND | DATA | RST,		4,	UINT16_MAX, 0,	4,
  serve_deliver, ask_deliver, take_delivered },
/* A responder that has any kind of session knows its end. */
{ SPDM_END_SESSION,	"END_SESSION",			0x11, SPDM_CAP_KEY_EX | SPDM_CAP_PSK,
  READY,	BOTH | SESS | DATA | RST,		4,	4,	0,	4,
  serve_end_session, ask_end_session, take_end_session },
/* Slots 1 to 7 are filled inside of a session only, and 0 not by us. */
{ SPDM_GET_CSR,		"GET_CSR",			SPDM_V12, SPDM_CAP_CSR,
  READY,	SESS | DATA | RST,			8,	UINT16_MAX, 0,	9,
  serve_csr, ask_csr, take_csr },
{ SPDM_SET_CERTIFICATE,	"SET_CERTIFICATE",		SPDM_V12, SPDM_CAP_SET_CERT,
  READY,	SESS | DATA | RST,			4,	UINT16_MAX, 0,	4,
  serve_set_certificate, ask_set_certificate, take_set_certificate },
};

#define NROWS	(sizeof(rows) / sizeof(rows[0]))

const struct spdm_row *
spdm_row(uint8_t code)
{
	size_t	i;

	for (i = 0; i < NROWS; i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

const char *
spdm_code_name(uint8_t code)
{
	const struct spdm_row	*r = spdm_row(code);

	return r == NULL ? "unknown request" : r->name;
}

static const struct {
	uint8_t		 code;
	const char	*name;
} errors[] = {
	{ 0x01, "InvalidRequest" }, { 0x03, "Busy" },
	{ 0x04, "UnexpectedRequest" }, { 0x05, "Unspecified" },
	{ 0x06, "DecryptError" }, { 0x07, "UnsupportedRequest" },
	{ 0x08, "RequestInFlight" }, { 0x09, "InvalidResponseCode" },
	{ 0x0a, "SessionLimitExceeded" }, { 0x0b, "SessionRequired" },
	{ 0x0c, "ResetRequired" }, { 0x0d, "ResponseTooLarge" },
	{ 0x0e, "RequestTooLarge" }, { 0x0f, "LargeResponse" },
	{ 0x10, "MessageLost" }, { 0x11, "InvalidPolicy" },
	{ 0x41, "VersionMismatch" }, { 0x42, "ResponseNotReady" },
	{ 0x43, "RequestResynch" }, { 0x44, "OperationFailed" },
	{ 0x45, "NoPendingRequests" }, { 0xff, "vendor defined" },
};

const char *
spdm_error_name(uint8_t code)
{
	size_t	i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].code == code)
			return errors[i].name;
	return "reserved error code";
}

uint32_t
spdm_allow(uint8_t version)
{
	switch (version) {
	case SPDM_V11:
		return SPDM_ALLOW_11;
	case SPDM_V12:
		return SPDM_ALLOW_12;
	case SPDM_V13:
		return SPDM_ALLOW_13;
	}
	return 0;
}

const char *
spdm_versions_text(uint32_t allowed)
{
	static const char *const	text[SPDM_ALLOW_ALL + 1] = {
		"none", "1.2", "1.3", "1.2 or 1.3",
		"1.1", "1.1 or 1.2", "1.1 or 1.3", "1.1, 1.2 or 1.3"
	};

	return text[allowed & SPDM_ALLOW_ALL];
}

uint32_t
spdm_caps_known(uint8_t version)
{
	if (version >= SPDM_V13)
		return 0x3fffffffu;
	return version == SPDM_V12 ? 0x003fffffu : 0x0001ffffu;
}

/* If any bit of have is set, one bit of need must be. */
static const struct {
	bool		 request, response;
	uint32_t	 have, need;
	const char	*what;
} caps_rules[] = {
	{ true, true, SPDM_CAP_KEY_EX | SPDM_CAP_PSK,
	  SPDM_CAP_ENCRYPT | SPDM_CAP_MAC, "KEY_EX or PSK without ENCRYPT or MAC" },
	{ true, true, SPDM_CAP_ENCRYPT | SPDM_CAP_MAC | SPDM_CAP_HBEAT |
	  SPDM_CAP_KEY_UPD | SPDM_CAP_CLEAR, SPDM_CAP_KEY_EX | SPDM_CAP_PSK,
	  "a session capability without KEY_EX or PSK" },
	{ true, true, SPDM_CAP_MUT_AUTH, SPDM_CAP_CERT | SPDM_CAP_PUB_KEY_ID,
	  "MUT_AUTH without CERT or PUB_KEY_ID" },
	{ true, true, SPDM_CAP_CHAL, SPDM_CAP_CERT | SPDM_CAP_PUB_KEY_ID,
	  "CHAL without CERT or PUB_KEY_ID" },
	{ false, true, SPDM_CAP_MEAS_SIG, SPDM_CAP_CERT | SPDM_CAP_PUB_KEY_ID,
	  "MEAS with signature without CERT or PUB_KEY_ID" },
	{ false, true, SPDM_CAP_MEAS_FRESH, SPDM_CAP_MEAS, "MEAS_FRESH without MEAS" },
};

const char *
spdm_caps_illegal(const struct spdm_caps *c, bool request)
{
	uint32_t	f = c->flags & spdm_caps_known(c->version);
	size_t		i;

	if (c->data_transfer < SPDM_MIN_TRANSFER)
		return "DataTransferSize below 42";
	if (c->max_msg < c->data_transfer)
		return "MaxSPDMmsgSize below DataTransferSize";
	if ((f & SPDM_CAP_CERT) && (f & SPDM_CAP_PUB_KEY_ID))
		return "CERT with PUB_KEY_ID";
	if (c->version < SPDM_V12 && (f & SPDM_CAP_MUT_AUTH) &&
	    (f & SPDM_CAP_ENCAP) == 0)
		return "MUT_AUTH without ENCAP";
	if (!request && (f & SPDM_CAP_MEAS) == SPDM_CAP_MEAS)
		return "MEAS of a reserved kind";
	if ((f & SPDM_CAP_PSK) == SPDM_CAP_PSK || (request && f & 0x800u))
		return "PSK of a reserved kind";
	for (i = 0; i < sizeof(caps_rules) / sizeof(caps_rules[0]); i++)
		if ((request ? caps_rules[i].request : caps_rules[i].response)
		    && (f & caps_rules[i].have) &&
		    (f & caps_rules[i].need) == 0)
			return caps_rules[i].what;
	return NULL;
}
