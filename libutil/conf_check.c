/*
 * What a string of provd.conf may be. Nothing is looked up and no file is
 * touched.
 */
#include <arpa/inet.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "conf_parse.h"

const char *
conf_check_name(const char *s)
{
	size_t	len = strlen(s);

	if (len == 0 || len > 64)
		return "a name has 1 to 64 characters";
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("-_.", *s) == NULL)
			return "a name is made of letters, digits, '-', '_' "
			    "and '.'";
	return NULL;
}

/* "self" is this node: to those who ask for it, over D-Bus too. */
const char *
conf_check_peer(const char *s)
{
	return strcmp(s, "self") != 0 ? conf_check_name(s) :
	    "this node itself has that name";
}

const char *
conf_check_interface(const char *s)
{
	size_t	len = strlen(s);

	if (len == 0 || len > 15 || strpbrk(s, "/ ") != NULL)
		return "not the name of an interface";
	return NULL;
}

const char *
conf_check_path(const char *s)
{
	return s[0] == '/' ? NULL : "a path starts with '/'";
}

/* It becomes part of a UNIX socket's address: 107 bytes, with our suffix. */
const char *
conf_check_directory(const char *s)
{
	size_t	len = strlen(s);

	if (s[0] != '/' || len < 2 || s[len - 1] == '/')
		return "a directory starts with '/' and does not end with it";
	if (len > 80)
		return "longer than 80 characters, sockets in it could not be "
		    "named";
	return NULL;
}

const char *
conf_check_address(const char *s)
{
	char		 buf[64];
	struct in6_addr	 in6;
	char		*scope;

	if (strlen(s) >= sizeof(buf))
		return "not an IPv4 or IPv6 address";
	memcpy(buf, s, strlen(s) + 1);
	if (inet_pton(AF_INET, buf, &in6) == 1)
		return NULL;
	if ((scope = strchr(buf, '%')) != NULL) {
		*scope++ = '\0';
		if (conf_check_interface(scope) != NULL)
			return "not an interface after the '%'";
	}
	if (inet_pton(AF_INET6, buf, &in6) != 1)
		return "not an IPv4 or IPv6 address; a name is not looked up";
	if (scope != NULL && !IN6_IS_ADDR_LINKLOCAL(&in6))
		return "only a link-local address has a '%'";
	return NULL;
}

/* sun_path has 108 bytes, its NUL among them. */
const char *
conf_check_socket(const char *s)
{
	if (strlen(s) > 107)
		return "longer than a socket's path may be";
	return conf_check_path(s);
}

const char *
conf_check_identity(const char *s)
{
	if (strlen(s) != 40 || strspn(s, "0123456789abcdef") != 40)
		return "a node id is 40 lower-case hexadecimal digits";
	return NULL;
}

const char *
conf_check_serial(const char *s)
{
	size_t	len = strlen(s);

	if (len == 0 || len > 64)
		return "a serial number has 1 to 64 characters";
	return NULL;
}

/* LDH labels (RFC 5890, 2.3.1); all digits at the end would be an address. */
const char *
conf_check_dns(const char *s)
{
	size_t	len = strlen(s), label = 0;
	bool	digits = true;

	if (len == 0 || len > 253)
		return "a DNS name has 1 to 253 characters";
	for (; *s != '\0'; s++) {
		if (*s == '.' && label > 0 && s[-1] != '-' && s[1] != '\0') {
			label = 0;
			digits = true;
			continue;
		}
		if (!isalnum((unsigned char)*s) &&
		    (*s != '-' || label == 0 || s[1] == '\0'))
			return "not a DNS name";
		if (++label > 63)
			return "a label of a DNS name has at most 63 "
			    "characters";
		digits = digits && isdigit((unsigned char)*s);
	}
	return digits ? "not a DNS name" : NULL;
}

const char *
conf_check_server(const char *s)
{
	if (strchr(s, ':') != NULL || strspn(s, "0123456789.") == strlen(s))
		return strchr(s, '%') == NULL && conf_check_address(s) == NULL ?
		    NULL : "not an IPv4 or IPv6 address";
	return conf_check_dns(s);
}

/* HOST, HOST:PORT; an IPv6 address stands in brackets (RFC 3986, 3.2.2). */
static bool
authority_ok(char *s)
{
	char	*end, *port;
	size_t	 digits;
	bool	 ok;

	if (*s == '[') {
		if ((end = strchr(++s, ']')) == NULL)
			return false;
		*end++ = '\0';
		ok = strchr(s, ':') != NULL;
	} else {
		end = s + strcspn(s, ":");
		ok = true;
	}
	if (*end != '\0' && *end != ':')
		return false;
	port = *end == ':' ? end + 1 : NULL;
	*end = '\0';
	if (!ok || conf_check_server(s) != NULL)
		return false;
	if (port == NULL)
		return true;
	digits = strspn(port, "0123456789");
	return digits >= 1 && digits <= 5 && port[digits] == '\0' &&
	    strtol(port, NULL, 10) >= 1 && strtol(port, NULL, 10) <= 65535;
}

/* It goes into every certificate, with "/ocsp" and the like behind it. */
const char *
conf_check_url(const char *s)
{
	char	 buf[129];
	size_t	 len = strlen(s), host;

	if (strncmp(s, "http://", 7) != 0)
		return "it starts with http://: what is fetched there is "
		    "signed, and TLS would need it first (RFC 5280, 8)";
	if (len >= sizeof(buf))
		return "longer than 128 characters";
	if (s[len - 1] == '/' || strpbrk(s, " \"<>\\^`{|}?#%") != NULL)
		return "not a URL, without '/' at its end, that a path can be "
		    "added to";
	host = strcspn(s + 7, "/");
	memcpy(buf, s + 7, host);
	buf[host] = '\0';
	return authority_ok(buf) ? NULL : "no host, or no port, after http://";
}

/* It stands in the subject of each CA: "ACME Issuing CA 1". */
const char *
conf_check_ca(const char *s)
{
	size_t	len = strlen(s), i;

	if (len == 0 || len > 40)
		return "the name of a CA has 1 to 40 characters";
	if (s[0] == ' ' || s[len - 1] == ' ')
		return "a blank at its begin or end";
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) &&
		    strchr(" -_.&", s[i]) == NULL)
			return "the name of a CA is made of letters, digits, "
			    "blanks, '-', '_', '.' and '&'";
	return NULL;
}
