/*
 * What enrold must know: its listeners, the CAs, the makers' roots, the
 * profiles. All of it at its greeting, then what changes.
 */
#include <string.h>

#include "ca.h"
#include "clock.h"

/* ---- listeners ---- */

static const struct ca_leaf *
leaf_of(const struct conf_listener *l)
{
	const struct ca_leaf	*leafs = ca_leafs();
	unsigned		 i;

	if (l->door != DOOR_TLS && l->door != DOOR_MUTUAL)
		return NULL;
	for (i = 0; i < CA_LEAFS; i++)
		if (leafs[i].algorithm == l->key)
			return &leafs[i];
	return NULL;
}

/* With an empty leaf as long as there is none. */
static void
tell_listener(unsigned number, const struct conf_listener *l)
{
	struct msg_enrol_listener	 m = { .listener = number,
	    .door = l->door };
	const struct ca_leaf		*leaf = leaf_of(l);
	const struct ca			*c;

	if (leaf != NULL && leaf->key.have && leaf->cert.len > 0 &&
	    (c = ca_bygeneration(leaf->generation)) != NULL) {
		m.key = leaf->key.key;
		m.algorithm = leaf->algorithm;
		IPC_SET_BLOB(m.leaf, leaf->cert.der, leaf->cert.len);
		IPC_SET_BLOB(m.issuing, c->der, c->der_len);
	}
	(void)chan_send(hubd_link(IPC_ENROLD), MSG_ENROL_LISTENER, &m, -1);
}

static void
tell_listeners(bool all)
{
	const struct conf_listener	*l;
	const struct ca_leaf		*leaf;
	unsigned			 n = 0;

	for (l = conf->listeners; l != NULL && n < ENROL_LISTENERS;
	    l = l->next, n++) {
		leaf = leaf_of(l);
		if (all || (leaf != NULL && !leaf->told))
			tell_listener(n, l);
	}
	ca_leafs_told();
}

/* ---- issuing CAs ---- */

void
ca_tell_gone(unsigned slot)
{
	struct msg_enrol_ca	m = { .ca = slot };

	(void)chan_send(hubd_link(IPC_ENROLD), MSG_ENROL_CA, &m, -1);
}

static void
tell_ca(const struct ca *c)
{
	struct msg_enrol_ca	m = { .ca = c->slot,
	    .current = c->state == CA_CURRENT };

	IPC_SET_BLOB(m.root, c->root, c->root_len);
	IPC_SET_BLOB(m.issuing, c->der, c->der_len);
	IPC_SET_BLOB(m.ocsp, c->ocsp, c->ocsp_len);
	if (c->cross_not_after > clock_trusted())
		IPC_SET_BLOB(m.cross, c->cross, c->cross_len);
	(void)chan_send(hubd_link(IPC_ENROLD), MSG_ENROL_CA, &m, -1);
}

/* The current one first: there is always one that issues. */
static void
tell_cas(bool all)
{
	const struct ca	*c;
	unsigned	 i, pass;

	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < ENROL_CAS; i++) {
			if ((c = ca_byslot(i)) == NULL ||
			    c->state == CA_WAITING || (!all && c->told) ||
			    (c->state == CA_CURRENT) != (pass == 0))
				continue;
			tell_ca(c);
		}
	}
	ca_all_told();
}

/* ---- what the configuration says ---- */

static void
tell_makers(void)
{
	const struct root	*r;
	struct msg_enrol_maker	 m = { 0 };

	for (r = settings_roots(); r != NULL; r = r->next) {
		if (!r->maker)
			continue;
		IPC_SET_BLOB(m.certificate, r->der, r->len);
		(void)chan_send(hubd_link(IPC_ENROLD), MSG_ENROL_MAKER, &m,
		    -1);
		m.root++;
	}
}

static void
tell_profiles(void)
{
	const struct conf_profile	*p;
	struct msg_enrol_profile	 m = { 0 };

	for (p = conf->profiles; p != NULL && m.profile < ENROL_PROFILES;
	    p = p->next, m.profile++) {
		IPC_SET_STR(m.name, p->name);
		m.keys = p->keys;
		m.server_keygen = p->server_keygen;
		(void)chan_send(hubd_link(IPC_ENROLD), MSG_ENROL_PROFILE, &m,
		    -1);
	}
}

void
ca_tell(bool all)
{
	if (hubd_link(IPC_ENROLD) == NULL)
		return;
	if (all) {
		tell_profiles();
		tell_makers();
	}
	tell_cas(all);
	tell_listeners(all);
}
