/*
 * What an LLDP service shows on the bus, taken for claims of whoever is on
 * the cable, through the hands of a service that need not have looked: every
 * string has a bound and a form, and what has not is left out alone, as
 * netd does with a malformed TLV (IEEE 802.1AB-2016, 9.2.7.7).
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "claim.h"
#include "hex.h"
#include "lldp_tlv.h"

/* IANA address family numbers, 8.5.2.3 */
#define AFN_IPV4	1
#define AFN_IPV6	2

/* 8.5.2.2 and 8.5.3.2 */
#define CHASSIS_MAC	4
#define CHASSIS_NETWORK	5
#define PORT_MAC	3
#define PORT_NETWORK	4
#define LOCAL		7	/* of both */

#define MAC_TEXT	17

/* The words of the service; those of Redfish, which it had before, too. */
static const struct {
	const char	*word;
	uint8_t		 chassis, port;		/* 0: none can have it */
} subtypes[] = {
	{ "AgentId",		0, 6 },
	{ "ChassisComp",	1, 0 },
	{ "ChassisComponent",	1, 0 },
	{ "IfAlias",		2, 1 },
	{ "IfName",		6, 5 },
	{ "LocalAssign",	7, 7 },
	{ "LocalAssigned",	7, 7 },
	{ "MacAddr",		4, 3 },
	{ "MacAddress",		4, 3 },
	{ "NetworkAddr",	5, 4 },
	{ "PortComp",		3, 2 },
	{ "PortComponent",	3, 2 },
};

/* ---- values ---------------------------------------------------------------- */

/* "xyz....IdSubtype.MacAddr" is MacAddr. */
static const char *
last_word(const char *s)
{
	const char	*dot = strrchr(s, '.');

	return dot == NULL ? s : dot + 1;
}

static enum reason
set_subtype(uint8_t *subtype, bool chassis, const char *value)
{
	const char	*word = last_word(value);
	size_t		 i;

	*subtype = 0;
	if (*word == '\0' || strcmp(word, "NotTransmitted") == 0)
		return R_OK;
	for (i = 0; i < sizeof(subtypes) / sizeof(subtypes[0]); i++)
		if (strcmp(word, subtypes[i].word) == 0)
			*subtype = chassis ? subtypes[i].chassis :
			    subtypes[i].port;
	return *subtype == 0 ? R_BUS_NEIGHBOUR : R_OK;
}

static enum reason
set_string(char *out, const char *value, bool shown)
{
	size_t	len = strnlen(value, TLV_MAX + 1);

	memset(out, 0, TLV_MAX + 1);
	if (len > TLV_MAX || (shown && !claim_text(value, len, false)))
		return R_BUS_NEIGHBOUR;
	memcpy(out, value, len);
	return R_OK;
}

/* Both are written again, so that one address has one text. */
static enum reason
set_address4(char out[INET_ADDRSTRLEN], const char *value)
{
	struct in_addr	a;

	memset(out, 0, INET_ADDRSTRLEN);
	if (*value == '\0')
		return R_OK;
	if (inet_pton(AF_INET, value, &a) != 1 || !claim_address4(a))
		return R_BUS_NEIGHBOUR;
	inet_ntop(AF_INET, &a, out, INET_ADDRSTRLEN);
	return R_OK;
}

/* The zone of a link-local address names an interface that we know. */
static enum reason
set_address6(char out[INET6_ADDRSTRLEN], const char *value)
{
	char		buf[INET6_ADDRSTRLEN];
	size_t		n = strcspn(value, "%");
	struct in6_addr	a;

	memset(out, 0, INET6_ADDRSTRLEN);
	if (*value == '\0')
		return R_OK;
	if (n >= sizeof(buf))
		return R_BUS_NEIGHBOUR;
	memcpy(buf, value, n);
	buf[n] = '\0';
	if (inet_pton(AF_INET6, buf, &a) != 1 || !claim_address6(&a) ||
	    (value[n] == '%' && !IN6_IS_ADDR_LINKLOCAL(&a)))
		return R_BUS_NEIGHBOUR;
	inet_ntop(AF_INET6, &a, out, INET6_ADDRSTRLEN);
	return R_OK;
}

static bool
octet(const char *s, uint8_t *out)
{
	int	hi = hex_digit(s[0]), lo = hi == -1 ? -1 : hex_digit(s[1]);

	if (lo == -1)
		return false;
	*out = (uint8_t)(hi << 4 | lo);
	return true;
}

/* Six octets with one kind of separator. */
static bool
parse_mac(const char *s, uint8_t out[6])
{
	size_t	i;

	if (strnlen(s, MAC_TEXT + 1) != MAC_TEXT ||
	    (s[2] != ':' && s[2] != '-'))
		return false;
	for (i = 0; i < 6; i++)
		if (!octet(s + 3 * i, &out[i]) || (i < 5 &&
		    s[3 * i + 2] != s[2]))
			return false;
	return true;
}

/* A station's own address: no group, not zero. */
static enum reason
set_mac(struct tlvs *t, const char *value)
{
	static const uint8_t	none[6];

	memset(t->mac, 0, sizeof(t->mac));
	t->has_mac = false;
	if (*value == '\0')
		return R_OK;
	if (!parse_mac(value, t->mac) || (t->mac[0] & 1) != 0 ||
	    memcmp(t->mac, none, sizeof(none)) == 0) {
		memset(t->mac, 0, sizeof(t->mac));
		return R_BUS_NEIGHBOUR;
	}
	t->has_mac = true;
	return R_OK;
}

static enum reason
set_direction(struct tlvs *t, const char *value)
{
	const char	*word = last_word(value);

	t->ours = strcmp(word, "Transmitted") == 0;
	return t->ours || *word == '\0' || strcmp(word, "Received") == 0 ?
	    R_OK : R_BUS_NEIGHBOUR;
}

enum reason
tlv_text(struct tlvs *t, const char *property, const char *value)
{
	if (strcmp(property, "SystemName") == 0)
		return set_string(t->name, value, true);
	if (strcmp(property, "ChassisId") == 0)
		return set_string(t->chassis.text, value, false);
	if (strcmp(property, "PortId") == 0)
		return set_string(t->port.text, value, false);
	if (strcmp(property, "ChassisIdSubtype") == 0)
		return set_subtype(&t->chassis.subtype, true, value);
	if (strcmp(property, "PortIdSubtype") == 0)
		return set_subtype(&t->port.subtype, false, value);
	if (strcmp(property, "ManagementAddressIPv4") == 0)
		return set_address4(t->address4, value);
	if (strcmp(property, "ManagementAddressIPv6") == 0)
		return set_address6(t->address6, value);
	if (strcmp(property, "ManagementAddressMAC") == 0)
		return set_mac(t, value);
	if (strcmp(property, "Direction") == 0)
		return set_direction(t, value);
	return R_OK;
}

enum reason
tlv_number(struct tlvs *t, const char *property, uint64_t value)
{
	uint8_t	*subtype;

	if (strcmp(property, "ChassisIdSubtype") == 0)
		subtype = &t->chassis.subtype;
	else if (strcmp(property, "PortIdSubtype") == 0)
		subtype = &t->port.subtype;
	else
		return R_OK;
	*subtype = 0;
	if (value > LOCAL)
		return R_BUS_NEIGHBOUR;
	*subtype = (uint8_t)value;
	return R_OK;
}

/* ---- as LLDP has it ----------------------------------------------------------- */

/* 8.5.2.3: the address family, then the address. */
static size_t
network(const char *text, uint8_t out[17])
{
	if (inet_pton(AF_INET, text, out + 1) == 1) {
		out[0] = AFN_IPV4;
		return 5;
	}
	if (inet_pton(AF_INET6, text, out + 1) == 1) {
		out[0] = AFN_IPV6;
		return 17;
	}
	return 0;
}

/* The bytes of an id; 0 if its text is not of its subtype. */
static size_t
id_bytes(const struct tlv_id *id, bool chassis, uint32_t *subtype,
    uint8_t out[TLV_MAX])
{
	uint8_t	mac = chassis ? CHASSIS_MAC : PORT_MAC;
	uint8_t	net = chassis ? CHASSIS_NETWORK : PORT_NETWORK;
	size_t	len = strlen(id->text);

	*subtype = id->subtype;
	if (*subtype == 0)	/* not said: a MAC address is known by its form */
		*subtype = parse_mac(id->text, out) ? mac : LOCAL;
	if (*subtype == mac)
		return parse_mac(id->text, out) ? 6 : 0;
	if (*subtype == net)
		return network(id->text, out);
	memcpy(out, id->text, len);
	return len;
}

/* How the id is written in the message; nothing for one that is empty. */
static enum reason
put_id(const struct tlv_id *id, bool chassis, uint32_t *subtype,
    uint32_t *len, uint8_t data[TLV_MAX])
{
	size_t	n;

	if (*id->text == '\0')
		return R_OK;
	if ((n = id_bytes(id, chassis, subtype, data)) == 0) {
		*subtype = 0;
		memset(data, 0, TLV_MAX);
		return R_BUS_NEIGHBOUR;
	}
	*len = (uint32_t)n;
	return R_OK;
}

enum reason
tlv_neighbour(const struct tlvs *t, struct msg_neighbour *m, bool *there)
{
	enum reason	c, p;

	memset(m, 0, sizeof(*m));
	c = put_id(&t->chassis, true, &m->chassis_subtype, &m->chassis.len,
	    m->chassis.data);
	p = put_id(&t->port, false, &m->port_subtype, &m->port.len,
	    m->port.data);
	if (m->chassis.len == 0 && t->has_mac) {
		m->chassis_subtype = CHASSIS_MAC;
		m->chassis.len = sizeof(t->mac);
		memcpy(m->chassis.data, t->mac, sizeof(t->mac));
	}
	IPC_SET_STR(m->system_name, t->name);
	IPC_SET_STR(m->address4, t->address4);
	IPC_SET_STR(m->address6, t->address6);
	*there = !t->ours && (m->chassis.len != 0 || *t->name != '\0' ||
	    *t->address4 != '\0' || *t->address6 != '\0');
	return c != R_OK ? c : p;
}

/* ---- paths -------------------------------------------------------------------- */

/* What follows the interface's name, or NULL. */
static const char *
after_interface(const char *path, const char *interface)
{
	uint8_t	c;

	if (*interface == '\0')
		return path + strcspn(path, "/");
	for (; *interface != '\0'; interface++) {
		if (path[0] == '_' && path[1] != '\0' &&
		    octet(path + 1, &c) && c == (uint8_t)*interface)
			path += 3;
		else if (path[0] == *interface ||
		    (path[0] == '_' && *interface == '.'))
			path++;
		else
			return NULL;
	}
	return path;
}

/* "receive" in OpenBMC's design, "received" in what was built. */
bool
tlv_path(const char *path, const char *interface)
{
	size_t	n = strlen(TLV_ROOT "/");

	if (strncmp(path, TLV_ROOT "/", n) != 0 ||
	    (path = after_interface(path + n, interface)) == NULL)
		return false;
	return strncasecmp(path, "/receive", strlen("/receive")) == 0;
}
