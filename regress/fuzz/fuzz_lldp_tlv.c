/*
 * What an LLDP service may show on the bus: lines "s PROPERTY VALUE" and
 * "n PROPERTY NUMBER", and "p PATH" for an object's path. Whatever it is, what
 * comes of it is a message that policyd takes, and says only what has a form.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../busd/lldp_tlv.h"
#include "claim.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
line(struct tlvs *t, char *s)
{
	char	*value;

	if (s[0] == 'p' && s[1] == ' ') {
		(void)tlv_path(s + 2, "eth0.5");
		(void)tlv_path(s + 2, "");
		return;
	}
	if (s[0] == '\0' || s[1] != ' ' ||
	    (value = strchr(s + 2, ' ')) == NULL)
		return;
	*value++ = '\0';
	if (s[0] == 's')
		(void)tlv_text(t, s + 2, value);
	else if (s[0] == 'n')
		(void)tlv_number(t, s + 2, strtoull(value, NULL, 0));
}

static void
check(const struct msg_neighbour *m)
{
	static uint8_t		buf[IPC_MAX_RECORD];
	struct msg_neighbour	again;
	struct in6_addr		a;
	size_t			len;

	if (m->chassis_subtype > 7 || m->port_subtype > 7 ||
	    !claim_text(m->system_name, strlen(m->system_name), false) ||
	    (*m->address4 != '\0' && inet_pton(AF_INET, m->address4, &a) != 1) ||
	    (*m->address6 != '\0' && inet_pton(AF_INET6, m->address6, &a) != 1))
		abort();
	if (ipc_encode(MSG_NEIGHBOUR, 0, m, buf, sizeof(buf), &len) == -1 ||
	    ipc_decode(MSG_NEIGHBOUR, buf, len, &again) == -1 ||
	    strcmp(again.system_name, m->system_name) != 0 ||
	    again.chassis.len != m->chassis.len)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg_neighbour	 m;
	struct tlvs		 t;
	char			*text, *s, *next;
	bool			 there;

	if ((text = malloc(size + 1)) == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	memset(&t, 0, sizeof(t));
	for (s = text; s != NULL; s = next) {
		if ((next = strchr(s, '\n')) != NULL)
			*next++ = '\0';
		line(&t, s);
	}
	(void)tlv_neighbour(&t, &m, &there);
	check(&m);
	free(text);
	return 0;
}
