/*
 * lldp: what is read from an LLDPDU, and what is refused (IEEE 802.1AB-2016).
 * regress/data/lldp/NAME.hex are LLDPDUs, NAME.ok what they say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/lldp.h"

#define DATA	"regress/data/lldp"
#define TEXT	8192

static void
add(char *out, const char *fmt, ...)
{
	size_t	used = strlen(out);
	va_list	ap;

	va_start(ap, fmt);
	assert_true(vsnprintf(out + used, TEXT - used, fmt, ap) <
	    (int)(TEXT - used));
	va_end(ap);
}

static void
add_id(char *out, const char *name, const struct lldp_id *id)
{
	size_t	i;

	add(out, "%s %u ", name, id->subtype);
	for (i = 0; i < id->len; i++)
		add(out, "%02x", id->data[i]);
	add(out, "\n");
}

/* What an LLDPDU says, a line a field, as in the .ok files. */
static void
describe(const uint8_t *buf, size_t len, char *out)
{
	struct lldpdu	p;
	enum reason	r;
	char		a[INET6_ADDRSTRLEN];
	size_t		i;

	out[0] = '\0';
	if ((r = lldp_decode(buf, len, &p)) != R_OK) {
		add(out, "refused %s\n", reason_code(r));
		return;
	}
	add_id(out, "chassis", &p.chassis);
	add_id(out, "port", &p.port);
	add(out, "ttl %u\n", p.ttl);
	if (p.port_description[0] != '\0')
		add(out, "port-description %s\n", p.port_description);
	if (p.system_name[0] != '\0')
		add(out, "system-name %s\n", p.system_name);
	if (p.system_description[0] != '\0')
		add(out, "system-description %s\n", p.system_description);
	if (p.has_caps)
		add(out, "capabilities %04x %04x\n", p.caps, p.enabled);
	for (i = 0; i < p.naddr4; i++)
		add(out, "address %s\n", inet_ntop(AF_INET, &p.addr4[i], a,
		    sizeof(a)));
	for (i = 0; i < p.naddr6; i++)
		add(out, "address %s\n", inet_ntop(AF_INET6, &p.addr6[i], a,
		    sizeof(a)));
	if (p.ifindex != 0)
		add(out, "ifindex %u\n", p.ifindex);
	if (p.ndiscarded != 0)
		add(out, "discarded %u %s\n", p.ndiscarded,
		    reason_code(p.discarded));
}

static size_t
slurp(const char *name, const char *suffix, char *buf, size_t size)
{
	char	 path[512];
	FILE	*f;
	size_t	 n;

	snprintf(path, sizeof(path), DATA "/%s%s", name, suffix);
	if ((f = fopen(path, "r")) == NULL)
		fail_msg("%s: cannot open", path);
	n = fread(buf, 1, size - 1, f);
	fclose(f);
	buf[n] = '\0';
	return n;
}

static unsigned
nibble(char c)
{
	return isdigit((unsigned char)c) ? (unsigned)(c - '0') :
	    (unsigned)(c - 'a' + 10);
}

/* The bytes of a .hex file: hex digits, and blanks between them. */
static size_t
sample(const char *name, uint8_t *buf, size_t size)
{
	char	 text[TEXT];
	size_t	 n = 0, i, len;

	len = slurp(name, ".hex", text, sizeof(text));
	for (i = 0; i < len;) {
		if (isspace((unsigned char)text[i])) {
			i++;
			continue;
		}
		assert_true(isxdigit((unsigned char)text[i]) &&
		    isxdigit((unsigned char)text[i + 1]) && n < size);
		buf[n++] = (uint8_t)(nibble(text[i]) << 4 |
		    nibble(text[i + 1]));
		i += 2;
	}
	return n;
}

/* Calls fn for every sample; there must be some. */
static void
each_sample(void (*fn)(const char *name, const uint8_t *, size_t))
{
	struct dirent	**list;
	uint8_t		  buf[2048];
	char		 *dot;
	int		  n, i, ran = 0;

	if ((n = scandir(DATA, &list, NULL, alphasort)) == -1)
		fail_msg(DATA ": cannot read");
	for (i = 0; i < n; i++) {
		dot = strrchr(list[i]->d_name, '.');
		if (dot != NULL && strcmp(dot, ".hex") == 0) {
			*dot = '\0';
			fn(list[i]->d_name, buf, sample(list[i]->d_name, buf,
			    sizeof(buf)));
			ran++;
		}
		free(list[i]);
	}
	free(list);
	assert_true(ran >= 20);
}

/* Decodes from memory of exactly this size, so that ASan sees any byte more. */
static void
describe_exact(const uint8_t *buf, size_t len, char *out)
{
	uint8_t	*copy = malloc(len == 0 ? 1 : len);

	assert_non_null(copy);
	memcpy(copy, buf, len);
	describe(len == 0 ? copy + 1 : copy, len, out);
	free(copy);
}

static void
one_says(const char *name, const uint8_t *buf, size_t len)
{
	char	got[TEXT], want[TEXT];

	describe_exact(buf, len, got);
	slurp(name, ".ok", want, sizeof(want));
	if (strcmp(got, want) != 0)
		print_message("# sample %s\n", name);
	assert_string_equal(got, want);
}

static void
test_samples(void **state)
{
	each_sample(one_says);
}

static void
one_truncated(const char *name, const uint8_t *buf, size_t len)
{
	char	got[TEXT], want[TEXT];
	size_t	n;

	describe(buf, len, want);
	for (n = 0; n < len; n++) {
		describe_exact(buf, n, got);
		if (strncmp(got, "refused ", 8) != 0 && strcmp(got, want) != 0)
			fail_msg("%s cut to %zu of %zu: %s", name, n, len, got);
	}
}

/* A cut LLDPDU is refused, unless what was cut is padding. */
static void
test_truncations(void **state)
{
	each_sample(one_truncated);
}

static void
one_round(const char *name, const uint8_t *buf, size_t len)
{
	struct lldpdu	a, b;
	uint8_t		out[LLDP_MAX];
	size_t		n;

	if (lldp_decode(buf, len, &a) != R_OK || a.ttl == 0)
		return;
	assert_int_equal(lldp_encode(&a, out, sizeof(out), &n), 0);
	assert_int_equal(lldp_decode(out, n, &b), R_OK);
	assert_int_equal(b.ndiscarded, 0);
	b.ndiscarded = a.ndiscarded;
	b.discarded = a.discarded;
	if (a.naddr4 + a.naddr6 == 0)
		b.ifindex = a.ifindex;
	if (memcmp(&a, &b, sizeof(a)) != 0)
		fail_msg("%s: changed by the round trip", name);
}

static void
test_round_trip(void **state)
{
	each_sample(one_round);
}

static void
one_flipped(const char *name, const uint8_t *buf, size_t len)
{
	char	out[TEXT];
	uint8_t	copy[2048];
	size_t	i;
	int	v;

	for (i = 0; i < len; i++) {
		memcpy(copy, buf, len);
		for (v = 0; v < 8; v++) {
			copy[i] = buf[i] ^ (uint8_t)(1 << v);
			describe_exact(copy, len, out);
		}
	}
}

/* Every flipped bit is either refused or read inside the bounds. */
static void
test_flipped_bits(void **state)
{
	each_sample(one_flipped);
}

static void
ours(struct lldpdu *p)
{
	static const uint8_t	mac[] = { 2, 0, 0, 0, 0, 1 };

	memset(p, 0, sizeof(*p));
	p->chassis.subtype = LLDP_CHASSIS_MAC;
	p->chassis.len = 6;
	memcpy(p->chassis.data, mac, 6);
	p->port.subtype = LLDP_PORT_IFNAME;
	p->port.len = 4;
	memcpy(p->port.data, "eth1", 4);
	p->ttl = 121;
}

/* The bytes of 8.2 to 8.5, written down by hand. */
static void
test_encode_bytes(void **state)
{
	static const uint8_t	want[] = {
		0x02, 7, 4, 2, 0, 0, 0, 0, 1,
		0x04, 5, 5, 'e', 't', 'h', '1',
		0x06, 2, 0, 121,
		0x0a, 5, 'b', 'm', 'c', '-', 'a',
		0x0e, 4, 0, 0x80, 0, 0x80,
		0x10, 12, 5, 1, 192, 0, 2, 1, 2, 0, 0, 0, 3, 0,
		0, 0
	};
	struct lldpdu	p;
	uint8_t		buf[LLDP_MAX];
	size_t		len;

	ours(&p);
	memcpy(p.system_name, "bmc-a", 6);
	p.has_caps = true;
	p.caps = p.enabled = LLDP_CAP_STATION;
	p.ifindex = 3;
	p.naddr4 = 1;
	p.addr4[0].s_addr = htonl(0xc0000201);
	assert_int_equal(lldp_encode(&p, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, sizeof(want));
	assert_memory_equal(buf, want, len);
	/* no shorter buffer holds it */
	assert_int_equal(lldp_encode(&p, buf, sizeof(want), &len), 0);
	assert_int_equal(lldp_encode(&p, buf, sizeof(want) - 1, &len), -1);
}

/* 8.2.1: the shutdown LLDPDU holds the three mandatory TLVs and the end. */
static void
test_shutdown_is_short(void **state)
{
	struct lldpdu	p;
	uint8_t		buf[LLDP_MAX];
	size_t		len;

	ours(&p);
	memcpy(p.system_name, "bmc-a", 6);
	p.ttl = 0;
	assert_int_equal(lldp_encode(&p, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, 9 + 7 + 4 + 2);
	assert_int_equal(lldp_decode(buf, len, &p), R_OK);
	assert_int_equal(p.ttl, 0);
}

static void
test_encode_refuses(void **state)
{
	struct lldpdu	p;
	uint8_t		buf[LLDP_MAX];
	size_t		len;

	ours(&p);
	p.chassis.len = 0;
	assert_int_equal(lldp_encode(&p, buf, sizeof(buf), &len), -1);
	ours(&p);
	p.port.len = 0;
	assert_int_equal(lldp_encode(&p, buf, sizeof(buf), &len), -1);
	ours(&p);
	p.naddr6 = LLDP_ADDRS + 1;
	assert_int_equal(lldp_encode(&p, buf, sizeof(buf), &len), -1);
}

/* Every field at its largest still fits in one frame. */
static void
test_largest_fits(void **state)
{
	struct lldpdu	p, q;
	uint8_t		buf[LLDP_MAX];
	size_t		len, i;

	ours(&p);
	p.chassis.len = p.port.len = 255;
	memset(p.chassis.data, 'c', 255);
	memset(p.port.data, 'p', 255);
	memset(p.port_description, 'd', 255);
	memset(p.system_name, 'n', 255);
	memset(p.system_description, 's', 255);
	p.has_caps = true;
	p.ttl = UINT16_MAX;
	p.caps = p.enabled = UINT16_MAX;
	p.ifindex = UINT32_MAX;
	p.naddr4 = p.naddr6 = LLDP_ADDRS;
	for (i = 0; i < LLDP_ADDRS; i++) {
		p.addr4[i].s_addr = htonl(0xc0000201 + (uint32_t)i);
		p.addr6[i].s6_addr[0] = 0x20;
		p.addr6[i].s6_addr[15] = (uint8_t)i;
	}
	assert_int_equal(lldp_encode(&p, buf, sizeof(buf), &len), 0);
	assert_int_equal(lldp_decode(buf, len, &q), R_OK);
	assert_memory_equal(&p, &q, sizeof(p));
}

static void
test_id_same(void **state)
{
	struct lldpdu	a, b;

	ours(&a);
	ours(&b);
	assert_true(lldp_id_same(&a.chassis, &b.chassis));
	b.chassis.subtype++;
	assert_false(lldp_id_same(&a.chassis, &b.chassis));
	ours(&b);
	b.chassis.len--;
	assert_false(lldp_id_same(&a.chassis, &b.chassis));
	ours(&b);
	b.chassis.data[5]++;
	assert_false(lldp_id_same(&a.chassis, &b.chassis));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_truncations),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_encode_bytes),
		cmocka_unit_test(test_shutdown_is_short),
		cmocka_unit_test(test_encode_refuses),
		cmocka_unit_test(test_largest_fits),
		cmocka_unit_test(test_id_same),
	};

	return cmocka_run_group_tests_name("lldp", tests, NULL, NULL);
}
