/*
 * The grammar of provd.conf(5), and its lexer. Values are checked in
 * conf_value.c; nothing here opens a file but conf_parse().
 */
%{
#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf_parse.h"
#include "ipc.h"
%}

%code requires {
#include "conf_parse.h"
}
%code {
static int	yylex(YYSTYPE *, struct parse *);
static void	yyerror(struct parse *, const char *);
static char	*lex_copy(struct parse *, const char *, size_t);
}

%define api.pure full
%define parse.error custom
%param { struct parse *p }
%initial-action { $<string>$ = NULL; }

%union {
	int64_t	 number;
	char	*string;
}

%token ACCEPT ADDRESS ALGORITHMS ATTEST AUDIT BACKEND BOOT CHECKPOINT
%token CODE COMPONENT CONNECTIONS CURVE DIRECTORY EVERY EVIDENCE FILE_ HALFOPEN HANDSHAKE
%token HOLD ID IDENTITY INCLUDE INTERFACE INTERVAL JSON KEEPALIVE KEY LEAF
%token LIFETIME LIMIT LISTEN LLDP MEASURE MTLS MUTUAL NODE PCRS PEER PERADDRESS PORT
%token REATTEST REFERENCE RETRY ROOT RUN SEALED SERIAL SILENCE SLOT SOFT SPDM
%token STATE TIMEOUT TO TPM VALIDITY VERSIONS
%token EID MCTP NETWORK TRANSPORT
%token DBUS FROM NEIGHBOURS SOCKET
%token CA CRL DNS ENROL ISSUING PERMITTED PLAIN REQUEST SERVER STATUS URL
%token MANUFACTURER NAME OPEN OPERATORS PROFILE RENEW SERVERKEYGEN USAGE VALID
%token NEWLINE "end of line"
%token <string> STRING "string"
%token <number> NUMBER "number"
%token <number> UNIT "unit of time"
%type <string> serial doorkey bus
%type <number> interval pcrs
%destructor { free($$); } <string>

%%

file		: %empty
		| file NEWLINE
		| file setting NEWLINE
		| file peer NEWLINE
		| file component NEWLINE
		| file ca NEWLINE
		| file profile NEWLINE
		| file error NEWLINE {
			yyerrok;
			p->peer = NULL;
			p->component = NULL;
			p->profile = NULL;
			p->block = NO_BLOCK;
		}
		;

setting		: NODE STRING			{ conf_string(p, SET_NODE, $2); $2 = NULL; }
		  interface
		| RUN DIRECTORY STRING		{ conf_string(p, SET_RUN, $3); }
		| STATE DIRECTORY STRING	{ conf_string(p, SET_STATE, $3); }
		| KEY BACKEND TPM STRING {
			conf_key(p, BACKEND_TPM, $4, false);
		}
		| KEY BACKEND SEALED STRING pcrs {
			conf_key(p, BACKEND_SEALED, $4, $5 != 0);
		}
		| KEY BACKEND SOFT		{ conf_key(p, BACKEND_SOFT, NULL, false); }
		| LISTEN ADDRESS STRING		{ conf_string(p, SET_LISTEN_ADDRESS, $3); }
		| LISTEN MTLS PORT NUMBER	{ conf_number(p, SET_MTLS_PORT, $4); }
		| LISTEN SPDM PORT NUMBER	{ conf_number(p, SET_SPDM_PORT, $4); }
		| LISTEN SPDM MUTUAL		{ p->conf->spdm_mutual = conf_once(p, SET_MUTUAL); }
		| LISTEN SPDM MCTP STRING	{ conf_string(p, SET_SPDM_MCTP, $4); }
		| LISTEN SPDM MCTP NETWORK NUMBER {
			conf_mctp(p, SET_SPDM_MCTP, $5, 0);
		}
		| LISTEN ENROL PORT NUMBER doorkey {
			conf_listener(p, DOOR_TLS, $4, $5);
		}
		| LISTEN ENROL MUTUAL PORT NUMBER doorkey {
			conf_listener(p, DOOR_MUTUAL, $5, $6);
		}
		| LISTEN ENROL PLAIN PORT NUMBER {
			conf_listener(p, DOOR_PLAIN, $5, NULL);
		}
		| LISTEN STATUS PORT NUMBER	{ conf_listener(p, DOOR_STATUS, $4, NULL); }
		| LIMIT ENROL NUMBER		{ conf_number(p, SET_MAX_ENROL, $3); }
		| REQUEST TIMEOUT interval	{ conf_time(p, SET_REQUEST, $3); }
		| LIMIT CONNECTIONS NUMBER	{ conf_number(p, SET_MAX_CONNECTIONS, $3); }
		| LIMIT PERADDRESS NUMBER	{ conf_number(p, SET_MAX_PER_ADDRESS, $3); }
		| LIMIT HALFOPEN NUMBER		{ conf_number(p, SET_MAX_HALF_OPEN, $3); }
		| HANDSHAKE TIMEOUT interval	{ conf_time(p, SET_HANDSHAKE, $3); }
		| SPDM CURVE STRING {
			conf_once(p, SET_CURVE);
			conf_choice(p, SET_CURVE, $3);
		}
		| SPDM VERSIONS			{ conf_once(p, SET_VERSIONS); p->conf->versions = 0; }
		  versions
		| SPDM ALGORITHMS		{ conf_once(p, SET_ALGORITHMS); p->conf->algorithms = 0; }
		  algorithms
		| BOOT ID STRING		{ conf_string(p, SET_BOOT_ID, $3); }
		| MEASURE FILE_ STRING		{ conf_measure(p, $3); }
		| ACCEPT ROOT STRING serial	{ conf_accept(p, $3, $4); }
		| REFERENCE STRING		{ conf_string(p, SET_REFERENCE, $2); }
		| KEEPALIVE interval		{ conf_time(p, SET_KEEPALIVE, $2); }
		| SILENCE interval		{ conf_time(p, SET_SILENCE, $2); }
		| RETRY interval TO interval	{ conf_retry(p, $2, $4); }
		| ATTEST TIMEOUT interval	{ conf_time(p, SET_ATTEST, $3); }
		| REATTEST EVERY interval	{ conf_time(p, SET_REATTEST, $3); }
		| EVIDENCE LIFETIME interval	{ conf_time(p, SET_EVIDENCE, $3); }
		| CODE LIFETIME interval	{ conf_time(p, SET_CODE, $3); }
		| AUDIT CHECKPOINT EVERY interval {
			conf_time(p, SET_CHECKPOINT, $4);
		}
		| LLDP INTERVAL interval	{ conf_time(p, SET_LLDP_INTERVAL, $3); }
		  hold
		| LEAF LIFETIME interval	{ conf_time(p, SET_LEAF, $3); }
		| DBUS bus			{ conf_string(p, SET_DBUS, $2); $2 = NULL; }
		| NEIGHBOURS FROM DBUS		{ conf_flag(p, SET_NEIGHBOURS); }
		| INCLUDE JSON STRING		{ conf_json(p, $3); free($3); }
		;

interface	: %empty
		| INTERFACE STRING		{ conf_string(p, SET_INTERFACE, $2); }
		;
pcrs		: %empty			{ $$ = 0; }
		| PCRS				{ $$ = 1; }
		;
hold		: %empty
		| HOLD NUMBER			{ conf_number(p, SET_LLDP_HOLD, $2); }
		;
bus		: %empty			{ $$ = conf_copy(CONF_DBUS); }
		| SOCKET STRING			{ $$ = $2; }
		;
doorkey		: %empty			{ $$ = NULL; }
		| KEY STRING			{ $$ = $2; }
		;
serial		: %empty			{ $$ = NULL; }
		| SERIAL STRING			{ $$ = $2; }
		;
versions	: STRING			{ conf_choice(p, SET_VERSIONS, $1); }
		| versions STRING		{ conf_choice(p, SET_VERSIONS, $2); }
		;
algorithms	: STRING			{ conf_choice(p, SET_ALGORITHMS, $1); }
		| algorithms STRING		{ conf_choice(p, SET_ALGORITHMS, $2); }
		;
interval	: NUMBER UNIT {
			/* 0 is refused by whoever takes it */
			$$ = $1 > INT64_MAX / $2 ? 0 : $1 * $2;
		}
		;

peer		: PEER STRING			{ conf_peer_begin(p, $2); $2 = NULL; }
		  peerbody			{ conf_peer_end(p); }
		;
peerbody	: %empty
		| '{' peeropts '}'
		| '{' error '}'			{ yyerrok; }
		;
peeropts	: %empty
		| peeropts NEWLINE
		| peeropts peeropt
		;
peeropt		: IDENTITY STRING		{ conf_string(p, SET_PEER_IDENTITY, $2); }
		| SERIAL STRING			{ conf_string(p, SET_PEER_SERIAL, $2); }
		| ADDRESS STRING		{ conf_string(p, SET_PEER_ADDRESS, $2); }
		| MTLS PORT NUMBER		{ conf_number(p, SET_PEER_MTLS, $3); }
		| SPDM PORT NUMBER		{ conf_number(p, SET_PEER_SPDM, $3); }
		| TRANSPORT MCTP STRING		{ conf_string(p, SET_PEER_MCTP, $3); }
		| TRANSPORT MCTP NETWORK NUMBER EID NUMBER {
			conf_mctp(p, SET_PEER_MCTP, $4, $6);
		}
		| KEEPALIVE interval		{ conf_time(p, SET_PEER_KEEPALIVE, $2); }
		| SILENCE interval		{ conf_time(p, SET_PEER_SILENCE, $2); }
		| REFERENCE STRING		{ conf_string(p, SET_PEER_REFERENCE, $2); }
		;

component	: COMPONENT STRING		{ conf_component_begin(p, $2); $2 = NULL; }
		  componentbody			{ conf_component_end(p); }
		;
componentbody	: '{' componentopts '}'
		| '{' error '}'			{ yyerrok; }
		;
componentopts	: %empty
		| componentopts NEWLINE
		| componentopts componentopt
		;
componentopt	: IDENTITY STRING		{ conf_string(p, SET_COMP_IDENTITY, $2); }
		| SERIAL STRING			{ conf_string(p, SET_COMP_SERIAL, $2); }
		| ROOT STRING			{ conf_string(p, SET_COMP_ROOT, $2); }
		| ADDRESS STRING		{ conf_string(p, SET_COMP_ADDRESS, $2); }
		| SPDM PORT NUMBER		{ conf_number(p, SET_COMP_SPDM, $3); }
		| TRANSPORT MCTP STRING		{ conf_string(p, SET_COMP_MCTP, $3); }
		| TRANSPORT MCTP NETWORK NUMBER EID NUMBER {
			conf_mctp(p, SET_COMP_MCTP, $4, $6);
		}
		| SLOT NUMBER			{ conf_number(p, SET_COMP_SLOT, $2); }
		| VALIDITY interval		{ conf_time(p, SET_COMP_VALIDITY, $2); }
		;

ca		: CA STRING			{ conf_ca_begin(p, $2); $2 = NULL; }
		  cabody			{ p->block = NO_BLOCK; }
		;
cabody		: %empty
		| '{' caopts '}'
		| '{' error '}'			{ yyerrok; }
		;
caopts		: %empty
		| caopts NEWLINE
		| caopts caopt
		;
caopt		: CURVE STRING {
			conf_once(p, SET_CA_CURVE);
			conf_choice(p, SET_CA_CURVE, $2);
		}
		| ROOT VALIDITY interval	{ conf_time(p, SET_CA_ROOT, $3); }
		| ISSUING VALIDITY interval	{ conf_time(p, SET_CA_ISSUING, $3); }
		| CRL EVERY interval		{ conf_time(p, SET_CA_CRL, $3); }
		| URL STRING			{ conf_string(p, SET_CA_URL, $2); }
		| SERVER			{ conf_once(p, SET_CA_SERVER); }
		  servers
		| PERMITTED DNS			{ conf_once(p, SET_CA_PERMITTED); }
		  permitted
		;
servers		: STRING			{ conf_server(p, $1); }
		| servers STRING		{ conf_server(p, $2); }
		;
permitted	: STRING			{ conf_permitted(p, $1); }
		| permitted STRING		{ conf_permitted(p, $2); }
		;

profile		: PROFILE STRING		{ conf_profile_begin(p, $2); $2 = NULL; }
		  profilebody			{ conf_profile_end(p); }
		;
profilebody	: '{' profileopts '}'
		| '{' error '}'			{ yyerrok; }
		;
profileopts	: %empty
		| profileopts NEWLINE
		| profileopts profileopt
		;
profileopt	: KEY				{ conf_once(p, SET_PROFILE_KEY); }
		  keys
		| VALID interval		{ conf_time(p, SET_PROFILE_VALID, $2); }
		| RENEW interval		{ conf_time(p, SET_PROFILE_RENEW, $2); }
		| USAGE STRING {
			conf_once(p, SET_PROFILE_USAGE);
			conf_choice(p, SET_PROFILE_USAGE, $2);
		}
		| NAME STRING {
			conf_once(p, SET_PROFILE_NAME);
			conf_choice(p, SET_PROFILE_NAME, $2);
		}
		| NAME SERIAL {
			conf_once(p, SET_PROFILE_NAME);
			conf_choice(p, SET_PROFILE_NAME, lex_copy(p, "serial", 6));
		}
		| MANUFACTURER ROOT STRING	{ conf_maker(p, $3); }
		| OPEN				{ conf_flag(p, SET_PROFILE_OPEN); }
		| SERVERKEYGEN			{ conf_flag(p, SET_PROFILE_KEYGEN); }
		| OPERATORS			{ conf_flag(p, SET_PROFILE_OPERATORS); }
		;
keys		: STRING			{ conf_choice(p, SET_PROFILE_KEY, $1); }
		| keys STRING			{ conf_choice(p, SET_PROFILE_KEY, $2); }
		;

%%


static const struct {
	const char	*word;
	int		 token;
} keywords[] = {
	{ "accept", ACCEPT }, { "address", ADDRESS },
	{ "algorithms", ALGORITHMS }, { "attest", ATTEST },
	{ "audit", AUDIT }, { "backend", BACKEND }, { "boot", BOOT },
	{ "checkpoint", CHECKPOINT }, { "code", CODE },
	{ "component", COMPONENT },
	{ "connections", CONNECTIONS },
	{ "curve", CURVE }, { "directory", DIRECTORY }, { "eid", EID }, { "every", EVERY },
	{ "evidence", EVIDENCE }, { "file", FILE_ }, { "half-open", HALFOPEN },
	{ "handshake", HANDSHAKE }, { "hold", HOLD }, { "id", ID }, { "identity", IDENTITY },
	{ "include", INCLUDE }, { "interface", INTERFACE },
	{ "interval", INTERVAL }, { "json", JSON }, { "keepalive", KEEPALIVE },
	{ "key", KEY }, { "leaf", LEAF }, { "lifetime", LIFETIME },
	{ "limit", LIMIT }, { "listen", LISTEN }, { "lldp", LLDP },
	{ "mctp", MCTP }, { "measure", MEASURE }, { "mtls", MTLS }, { "mutual", MUTUAL }, { "network", NETWORK }, { "node", NODE },
	{ "pcrs", PCRS }, { "peer", PEER }, { "per-address", PERADDRESS },
	{ "port", PORT }, { "reattest", REATTEST }, { "reference", REFERENCE },
	{ "retry", RETRY }, { "root", ROOT }, { "run", RUN },
	{ "sealed", SEALED }, { "serial", SERIAL }, { "silence", SILENCE },
	{ "slot", SLOT }, { "soft", SOFT }, { "spdm", SPDM }, { "state", STATE },
	{ "timeout", TIMEOUT }, { "to", TO }, { "tpm", TPM },
	{ "transport", TRANSPORT },
	{ "validity", VALIDITY }, { "versions", VERSIONS },
	{ "ca", CA }, { "enrol", ENROL }, { "plain", PLAIN },
	{ "profile", PROFILE }, { "request", REQUEST }, { "status", STATUS },
	{ "dbus", DBUS }, { "from", FROM }, { "neighbours", NEIGHBOURS },
	{ "socket", SOCKET },
};

/* No keywords elsewhere: a peer may be called "server". */
static const struct {
	const char	*word;
	int		 token;
	enum conf_block	 block;
} block_words[] = {
	{ "crl", CRL, IN_CA }, { "dns", DNS, IN_CA },
	{ "issuing", ISSUING, IN_CA }, { "permitted", PERMITTED, IN_CA },
	{ "server", SERVER, IN_CA }, { "url", URL, IN_CA },
	{ "manufacturer", MANUFACTURER, IN_PROFILE },
	{ "name", NAME, IN_PROFILE }, { "open", OPEN, IN_PROFILE },
	{ "operators", OPERATORS, IN_PROFILE },
	{ "renew", RENEW, IN_PROFILE },
	{ "server-keygen", SERVERKEYGEN, IN_PROFILE },
	{ "usage", USAGE, IN_PROFILE }, { "valid", VALID, IN_PROFILE },
};

void
conf_error(struct parse *p, int line, const char *fmt, ...)
{
	va_list	ap;

	if (p->errors++ >= CONF_MAX_ERRORS)
		return;
	fprintf(p->err, "%s:%d: ", p->name, line);
	va_start(ap, fmt);
	vfprintf(p->err, fmt, ap);
	va_end(ap);
	fputc('\n', p->err);
}

static void
yyerror(struct parse *p, const char *what)
{
	conf_error(p, p->line, "%s", what);
}

/* As it is written in the file. */
static const char *
token_name(yysymbol_kind_t kind)
{
	size_t	i;

	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (YYTRANSLATE(keywords[i].token) == kind)
			return keywords[i].word;
	for (i = 0; i < sizeof(block_words) / sizeof(block_words[0]); i++)
		if (YYTRANSLATE(block_words[i].token) == kind)
			return block_words[i].word;
	return yysymbol_name(kind);
}

static int
yyreport_syntax_error(const yypcontext_t *ctx, struct parse *p)
{
	yysymbol_kind_t	want[4], got = yypcontext_token(ctx);
	char		text[160];
	int		i, n, len = 0;

	/* the lexer has said what is wrong */
	if (got == YYSYMBOL_YYerror)
		return 0;
	n = yypcontext_expected_tokens(ctx, want, 4);
	for (i = 0; i < n && len < (int)sizeof(text); i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%s",
		    i == 0 ? "; wanted: " : ", ", token_name(want[i]));
	if (got == YYSYMBOL_STRING)
		conf_error(p, p->line, "\"%.60s\" is not expected here%s",
		    p->text, len > 0 ? text : "");
	else
		conf_error(p, p->line, "%s is not expected here%s",
		    token_name(got), len > 0 ? text : "");
	return 0;
}

static char *
lex_copy(struct parse *p, const char *s, size_t len)
{
	char	*copy;

	if ((copy = malloc(len + 1)) == NULL)
		abort();
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

/* A string ends on its line; \" and \\ are its only escapes. */
static int
lex_string(YYSTYPE *v, struct parse *p)
{
	char	 buf[CONF_MAX_STRING];
	size_t	 len = 0;
	bool	 bad = false;
	char	 c;

	while (p->at < p->end && *p->at != '\n') {
		if ((c = *p->at++) == '"') {
			if (bad)
				return YYerror;
			p->text = v->string = lex_copy(p, buf, len);
			return STRING;
		}
		if (c == '\\' && p->at < p->end &&
		    (*p->at == '"' || *p->at == '\\'))
			c = *p->at++;
		if (bad)
			continue;
		if (c < ' ' || c > '~') {
			conf_error(p, p->line, "byte 0x%02x in a string: only "
			    "printable ASCII has a place there",
			    (unsigned char)c);
			bad = true;
		} else if (len == sizeof(buf)) {
			conf_error(p, p->line, "string longer than %d bytes",
			    CONF_MAX_STRING);
			bad = true;
		} else
			buf[len++] = c;
	}
	conf_error(p, p->line, "string without its closing quote");
	return YYerror;
}

static bool
lex_wordchar(char c)
{
	return isalnum((unsigned char)c) ||
	    (c != '\0' && strchr("-_.:/%*+@?", c) != NULL);
}

/* "30s" is the number 30 and the unit s. */
static bool
lex_number(YYSTYPE *v, struct parse *p)
{
	const char	*s = p->at;
	int64_t		 n = 0;

	while (s < p->end && isdigit((unsigned char)*s)) {
		if (n > (INT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (*s++ - '0');
	}
	if (s == p->at || (s < p->end && !isalpha((unsigned char)*s) &&
	    lex_wordchar(*s)))
		return false;
	p->at = s;
	v->number = n;
	return true;
}

/* The token of a keyword where we are, or 0. */
static int
lex_keyword(const struct parse *p, const char *word)
{
	size_t	i;

	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (strcmp(word, keywords[i].word) == 0)
			return keywords[i].token;
	for (i = 0; i < sizeof(block_words) / sizeof(block_words[0]); i++)
		if (block_words[i].block == p->block &&
		    strcmp(word, block_words[i].word) == 0)
			return block_words[i].token;
	return 0;
}

static int
lex_word(YYSTYPE *v, struct parse *p)
{
	const char	*start = p->at;
	char		*word;
	int		 token;

	if (lex_number(v, p))
		return NUMBER;
	while (p->at < p->end && lex_wordchar(*p->at))
		p->at++;
	word = lex_copy(p, start, (size_t)(p->at - start));
	if ((token = lex_keyword(p, word)) != 0) {
		free(word);
		return token;
	}
	if ((v->number = conf_unit(word)) != 0) {
		free(word);
		return UNIT;
	}
	p->text = v->string = word;
	return STRING;
}

static void
lex_blank(struct parse *p)
{
	while (p->at < p->end) {
		if (*p->at == ' ' || *p->at == '\t' || *p->at == '\r')
			p->at++;
		else if (*p->at == '\\' && p->at + 1 < p->end &&
		    p->at[1] == '\n') {
			p->at += 2;
			p->next++;
		} else if (*p->at == '#')
			while (p->at < p->end && *p->at != '\n')
				p->at++;
		else
			break;
	}
}

static int
yylex(YYSTYPE *v, struct parse *p)
{
	lex_blank(p);
	p->line = p->next;
	if (p->errors >= CONF_MAX_ERRORS)
		p->at = p->end;
	if (p->at == p->end) {
		/* The last line may lack its newline. */
		if (p->ended)
			return YYEOF;
		p->ended = true;
		return NEWLINE;
	}
	switch (*p->at) {
	case '\n':
		p->at++;
		p->next++;
		return NEWLINE;
	case '{':
	case '}':
		return *p->at++;
	case '"':
		p->at++;
		return lex_string(v, p);
	}
	if (lex_wordchar(*p->at))
		return lex_word(v, p);
	if (*p->at > ' ' && *p->at < 0x7f)
		conf_error(p, p->line, "character '%c' has no place here",
		    *p->at);
	else
		conf_error(p, p->line, "byte 0x%02x has no place here",
		    (unsigned char)*p->at);
	p->at++;
	return YYerror;
}

struct conf *
conf_parse_buf(const char *buf, size_t len, const char *name,
    conf_load_fn load, FILE *err)
{
	struct parse	 p = {
		.name = name, .at = buf, .end = buf + len, .line = 1,
		.next = 1, .err = err, .load = load
	};

	p.conf = conf_new();
	if (yyparse(&p) == 2)
		conf_error(&p, p.line, "nested too deeply");
	conf_finish(&p);
	if (p.errors > CONF_MAX_ERRORS)
		fprintf(err, "%s: %u more errors\n", name,
		    p.errors - CONF_MAX_ERRORS);
	free(p.included);
	conf_index_free(&p.names);
	conf_index_free(&p.identities);
	conf_index_free(&p.serials);
	if (p.errors == 0)
		return p.conf;
	conf_free(p.conf);
	return NULL;
}

const char *
conf_fault(int error)
{
	return error == EPERM ? "everybody may write to it" : strerror(error);
}

static int
conf_load(const char *path, char **buf, size_t *len)
{
	size_t		 size = CONF_MAX_FILE + 1;
	ssize_t		 n;
	struct stat	 st;
	int		 fd, saved;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd == -1)
		return -1;
	/* whoever writes it decides whom this machine trusts */
	if (fstat(fd, &st) == -1 ||
	    (S_ISREG(st.st_mode) && st.st_mode & S_IWOTH)) {
		close(fd);
		errno = EPERM;
		return -1;
	}
	if ((*buf = malloc(size)) == NULL)
		abort();
	for (*len = 0; *len < size; *len += (size_t)n)
		if ((n = read(fd, *buf + *len, size - *len)) <= 0)
			break;
	saved = *len == size ? EFBIG : n == -1 ? errno : 0;
	close(fd);
	if (saved == 0)
		return 0;
	free(*buf);
	errno = saved;
	return -1;
}

struct conf *
conf_parse(const char *path, FILE *err)
{
	struct conf	*conf;
	char		*buf;
	size_t		 len;

	if (conf_load(path, &buf, &len) == -1) {
		fprintf(err, "%s: %s\n", path, conf_fault(errno));
		return NULL;
	}
	conf = conf_parse_buf(buf, len, path, conf_load, err);
	free(buf);
	return conf;
}
