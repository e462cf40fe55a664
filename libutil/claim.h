/*
 * What a neighbour says of itself, and we show or use: text that goes to a
 * terminal and the log, addresses that we may dial. Form only: whether it is
 * true, nobody can say here.
 */
#ifndef CLAIM_H
#define CLAIM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * UTF-8 (RFC 3629) without control characters and what turns the direction
 * of the text around it; lines: tabs and ends of lines are let through.
 */
bool	claim_text(const void *, size_t len, bool lines);
/* An address that somebody could be asked at: of a unicast host. */
bool	claim_address4(struct in_addr);
bool	claim_address6(const struct in6_addr *);

#endif
