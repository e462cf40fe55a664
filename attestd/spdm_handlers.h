/* The handlers of spdm_tables.c: one of each kind a request. */
#ifndef SPDM_HANDLERS_H
#define SPDM_HANDLERS_H

#include "spdm.h"

/* responder.c, responder_auth.c */
uint8_t	serve_version(struct responder *, const uint8_t *, size_t);
uint8_t	serve_capabilities(struct responder *, const uint8_t *, size_t);
uint8_t	serve_algorithms(struct responder *, const uint8_t *, size_t);
uint8_t	serve_digests(struct responder *, const uint8_t *, size_t);
uint8_t	serve_certificate(struct responder *, const uint8_t *, size_t);
uint8_t	serve_challenge(struct responder *, const uint8_t *, size_t);
uint8_t	serve_measurements(struct responder *, const uint8_t *, size_t);
uint8_t	serve_if_ready(struct responder *, const uint8_t *, size_t);

/* responder_session.c, responder_encap.c */
uint8_t	serve_key_exchange(struct responder *, const uint8_t *, size_t);
uint8_t	serve_finish(struct responder *, const uint8_t *, size_t);
uint8_t	serve_heartbeat(struct responder *, const uint8_t *, size_t);
uint8_t	serve_key_update(struct responder *, const uint8_t *, size_t);
uint8_t	serve_end_session(struct responder *, const uint8_t *, size_t);
uint8_t	serve_get_encapsulated(struct responder *, const uint8_t *, size_t);
uint8_t	serve_deliver(struct responder *, const uint8_t *, size_t);

/* responder_psk.c, requester_psk.c */
uint8_t	serve_psk_exchange(struct responder *, const uint8_t *, size_t);
uint8_t	serve_psk_finish(struct responder *, const uint8_t *, size_t);
void	ask_psk_exchange(struct requester *);
void	ask_psk_finish(struct requester *);
enum spdm_take take_psk_exchange(struct requester *, const uint8_t *, size_t);
enum spdm_take take_psk_finish(struct requester *, const uint8_t *, size_t);

/* responder_csr.c */
uint8_t	serve_csr(struct responder *, const uint8_t *, size_t);
uint8_t	serve_set_certificate(struct responder *, const uint8_t *, size_t);

/* requester_csr.c */
void	ask_csr(struct requester *);
void	ask_set_certificate(struct requester *);
enum spdm_take take_csr(struct requester *, const uint8_t *, size_t);
enum spdm_take take_set_certificate(struct requester *, const uint8_t *,
	    size_t);

/* requester.c, requester_auth.c, requester_session.c, requester_encap.c */
void	ask_version(struct requester *);
void	ask_capabilities(struct requester *);
void	ask_algorithms(struct requester *);
void	ask_digests(struct requester *);
void	ask_certificate(struct requester *);
void	ask_challenge(struct requester *);
void	ask_measurements(struct requester *);
void	ask_key_exchange(struct requester *);
void	ask_finish(struct requester *);
void	ask_plain(struct requester *);		/* nothing but the header */
void	ask_key_update(struct requester *);
void	ask_end_session(struct requester *);
void	ask_deliver(struct requester *);
enum spdm_take take_version(struct requester *, const uint8_t *, size_t);
enum spdm_take take_capabilities(struct requester *, const uint8_t *, size_t);
enum spdm_take take_algorithms(struct requester *, const uint8_t *, size_t);
enum spdm_take take_digests(struct requester *, const uint8_t *, size_t);
enum spdm_take take_certificate(struct requester *, const uint8_t *, size_t);
enum spdm_take take_challenge(struct requester *, const uint8_t *, size_t);
enum spdm_take take_measurements(struct requester *, const uint8_t *, size_t);
enum spdm_take take_key_exchange(struct requester *, const uint8_t *, size_t);
enum spdm_take take_finish(struct requester *, const uint8_t *, size_t);
enum spdm_take take_heartbeat(struct requester *, const uint8_t *, size_t);
enum spdm_take take_key_update(struct requester *, const uint8_t *, size_t);
enum spdm_take take_end_session(struct requester *, const uint8_t *, size_t);
enum spdm_take take_encapsulated(struct requester *, const uint8_t *, size_t);
enum spdm_take take_delivered(struct requester *, const uint8_t *, size_t);

#endif
