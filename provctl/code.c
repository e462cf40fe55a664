/*
 * One-time codes as people write them: 128 bits in 26 characters of
 * Crockford's base 32, two more that check them, in seven groups of four.
 * The check is the code, as a number, modulo 1021: it finds every wrong
 * character and every two that changed places.
 */
#include <sys/random.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "provctl.h"

#define DIGITS		26	/* the first holds three bits */
#define CHARS		28	/* and two that check */
#define CHECK		1021	/* the largest prime that fits two characters */
#define LINE_LEN	512	/* more than anybody types, or a row has */

static const char	alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* 0 to 31, or -1; letters that are easily misread are what they look like. */
static int
value(char c)
{
	const char	*p;

	c = (char)toupper((unsigned char)c);
	if (c == 'O')
		c = '0';
	else if (c == 'I' || c == 'L')
		c = '1';
	if (c == '\0' || (p = strchr(alphabet, c)) == NULL)
		return -1;
	return (int)(p - alphabet);
}

static unsigned
check_of(const uint8_t *v)
{
	unsigned	sum = 0, i;

	for (i = 0; i < DIGITS; i++)
		sum = (sum * 32 + v[i]) % CHECK;
	return sum;
}

void
code_text(const uint8_t code[CODE_LEN], char text[CODE_TEXT])
{
	uint8_t		 v[CHARS];
	unsigned	 i, bit, byte, sum;
	char		*p = text;

	/* 130 bits, of which the first two are zero. */
	for (i = 0; i < DIGITS; i++) {
		v[i] = 0;
		for (bit = i * 5; bit < i * 5 + 5; bit++) {
			byte = 0;
			if (bit >= 2)
				byte = (unsigned)code[(bit - 2) / 8] >>
				    (7 - (bit - 2) % 8);
			v[i] = (uint8_t)((unsigned)v[i] << 1 | (byte & 1));
		}
	}
	sum = check_of(v);
	v[DIGITS] = (uint8_t)(sum / 32);
	v[DIGITS + 1] = (uint8_t)(sum % 32);
	for (i = 0; i < CHARS; i++) {
		if (i > 0 && i % 4 == 0)
			*p++ = '-';
		*p++ = alphabet[v[i]];
	}
	*p = '\0';
	explicit_bzero(v, sizeof(v));
}

const char *
code_parse(const char *text, uint8_t code[CODE_LEN])
{
	const char	*bad = NULL;
	uint8_t		 v[CHARS] = { 0 };
	unsigned	 n = 0, i, bit;
	int		 d;

	for (; *text != '\0' && bad == NULL; text++) {
		if (*text == '-' || isspace((unsigned char)*text))
			continue;
		if ((d = value(*text)) == -1)
			bad = "a character that no code has";
		else if (n == CHARS)
			bad = "more than the 28 characters of a code";
		else
			v[n++] = (uint8_t)d;
	}
	if (bad == NULL && n < CHARS)
		bad = "fewer than the 28 characters of a code";
	if (bad == NULL && (v[0] > 7 ||
	    check_of(v) != v[DIGITS] * 32U + v[DIGITS + 1]))
		bad = "a typing error: the check characters do not fit";
	memset(code, 0, CODE_LEN);
	for (bit = 2; bad == NULL && bit < DIGITS * 5; bit++) {
		i = v[bit / 5] >> (4 - bit % 5) & 1;
		code[(bit - 2) / 8] |= (uint8_t)(i << (7 - (bit - 2) % 8));
	}
	explicit_bzero(v, sizeof(v));
	return bad;
}

/* ---- asking for one ---------------------------------------------------- */

/* From the terminal without echo, or a line of the standard input. */
static int
ask(const char *name, char *buf, size_t size)
{
	char	prompt[LINE_LEN];

	if (!isatty(STDIN_FILENO))
		return terminal_line(STDIN_FILENO, buf, size);
	snprintf(prompt, sizeof(prompt),
	    "One-time code for %s (empty: make one): ", name);
	return terminal_ask(STDIN_FILENO, prompt, buf, size);
}

/* As a row, past stdio and jansson, whose buffers nobody wipes. */
static int
show(const struct args *a, const char *text)
{
	json_t	*name = json_string(a->pos[0]);
	char	 line[LINE_LEN], *quoted;
	int	 n;

	if (name == NULL ||
	    (quoted = json_dumps(name, JSON_ENCODE_ANY)) == NULL)
		abort();
	if (a->json)
		n = snprintf(line, sizeof(line),
		    "{\"row\":\"code\",\"peer\":%s,\"code\":\"%s\"}\n", quoted,
		    text);
	else
		n = snprintf(line, sizeof(line), "One-time code: %s\n", text);
	free(quoted);
	json_decref(name);
	fflush(stdout);
	n = write(STDOUT_FILENO, line, (size_t)n) == n ? 0 : -1;
	explicit_bzero(line, sizeof(line));
	return n;
}

static int
make(const struct args *a, uint8_t code[CODE_LEN])
{
	char	text[CODE_TEXT];
	int	r;

	if (getrandom(code, CODE_LEN, 0) != CODE_LEN) {
		fprintf(stderr, "provctl: getrandom: %s\n", strerror(errno));
		return -1;
	}
	code_text(code, text);
	if ((r = show(a, text)) == -1)
		fprintf(stderr, "provctl: standard output: %s\n",
		    strerror(errno));
	else if (!a->json)
		fputs("Type it on the other node: provctl provision NAME "
		    "--code\n", stderr);
	explicit_bzero(text, sizeof(text));
	return r;
}

int
code_ask(const struct args *a, uint8_t code[CODE_LEN])
{
	char		 line[LINE_LEN];
	const char	*bad;
	int		 r = -1;

	if (ask(a->pos[0], line, sizeof(line)) == -1)
		fputs("provctl: no code was typed; an empty line makes one\n",
		    stderr);
	else if (line[strspn(line, " \t\r")] == '\0')
		r = make(a, code);
	else if ((bad = code_parse(line, code)) != NULL)
		fprintf(stderr, "provctl: the code has %s\n", bad);
	else
		r = 0;
	explicit_bzero(line, sizeof(line));
	return r;
}
