/*
 * Every table of the store. Entry n is run in one transaction and takes a
 * store from user_version n to n + 1: a published entry never changes, what
 * comes later is a new entry.
 */
#include "policyd.h"

const char *const store_schema[] = {
	/* 0 -> 1 */
	"CREATE TABLE meta ("
	"	name TEXT PRIMARY KEY,"
	"	value BLOB NOT NULL"
	") WITHOUT ROWID;"

	/* audit.c: hash = SHA-256(hash of the one before, the other columns) */
	"CREATE TABLE audit ("
	"	sequence INTEGER PRIMARY KEY,"
	"	time INTEGER NOT NULL,"
	"	kind TEXT NOT NULL,"
	"	subject TEXT NOT NULL,"
	"	reason TEXT NOT NULL,"
	"	text TEXT NOT NULL,"
	"	hash BLOB NOT NULL"
	");"
	"CREATE TABLE checkpoint ("
	"	id INTEGER PRIMARY KEY,"
	"	counter INTEGER NOT NULL,"
	"	sequence INTEGER NOT NULL,"
	"	chain BLOB NOT NULL,"
	"	time INTEGER NOT NULL,"
	"	signature BLOB NOT NULL"
	");"

	/* identity.c: a row before keyd is asked (certificate NULL), filled
	 * with its answer; the newest with a certificate is in use */
	"CREATE TABLE issued ("
	"	id INTEGER PRIMARY KEY,"
	"	serial BLOB NOT NULL UNIQUE,"
	"	profile INTEGER NOT NULL,"
	"	public BLOB NOT NULL,"
	"	not_before INTEGER NOT NULL,"
	"	not_after INTEGER NOT NULL,"
	"	requested INTEGER NOT NULL,"
	"	certificate BLOB"
	");"
	/* identity.c: an SPDM slot's chain, DER, root first */
	"CREATE TABLE slot ("
	"	slot INTEGER PRIMARY KEY,"
	"	chain BLOB NOT NULL,"
	"	installed INTEGER NOT NULL"
	");"

	/* peer_store.c: what the operator said of a peer, its state and why,
	 * and the evidence that it was last trusted for */
	"CREATE TABLE peer ("
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"	name TEXT NOT NULL UNIQUE,"
	"	origin INTEGER NOT NULL,"
	"	identity TEXT NOT NULL,"
	"	serial TEXT NOT NULL,"
	"	address TEXT NOT NULL,"
	"	held INTEGER NOT NULL DEFAULT 0,"
	"	state TEXT NOT NULL DEFAULT 'NotDetermined',"
	"	since INTEGER NOT NULL DEFAULT 0,"
	"	reason TEXT NOT NULL DEFAULT 'OK',"
	"	field TEXT NOT NULL DEFAULT '',"
	"	expected TEXT NOT NULL DEFAULT '',"
	"	seen TEXT NOT NULL DEFAULT ''"
	");"
	"CREATE TABLE evidence ("
	"	peer INTEGER PRIMARY KEY REFERENCES peer(id) ON DELETE CASCADE,"
	"	node TEXT NOT NULL,"
	"	serial TEXT NOT NULL,"
	"	device TEXT NOT NULL,"
	"	subject TEXT NOT NULL,"
	"	root BLOB NOT NULL,"
	"	version INTEGER NOT NULL,"
	"	algorithm INTEGER NOT NULL,"
	"	not_before INTEGER NOT NULL,"
	"	not_after INTEGER NOT NULL,"
	"	anchor BLOB NOT NULL,"
	"	anchor_before INTEGER NOT NULL,"
	"	anchor_after INTEGER NOT NULL,"
	"	anchor2 BLOB,"
	"	time INTEGER NOT NULL,"
	"	run INTEGER NOT NULL"
	");"
	/* reference.c: list is 0 seen, 1 baseline, 2 proposed, 3 accepted */
	"CREATE TABLE measures ("
	"	peer INTEGER NOT NULL REFERENCES peer(id) ON DELETE CASCADE,"
	"	list INTEGER NOT NULL,"
	"	time INTEGER NOT NULL,"
	"	ignored BLOB NOT NULL,"
	"	PRIMARY KEY (peer, list)"
	") WITHOUT ROWID;"
	"CREATE TABLE measurement ("
	"	peer INTEGER NOT NULL,"
	"	list INTEGER NOT NULL,"
	"	idx INTEGER NOT NULL,"
	"	type INTEGER NOT NULL,"
	"	raw INTEGER NOT NULL,"
	"	size INTEGER NOT NULL,"
	"	digest BLOB NOT NULL,"
	"	value BLOB NOT NULL,"
	"	PRIMARY KEY (peer, list, idx),"
	"	FOREIGN KEY (peer, list) REFERENCES measures ON DELETE CASCADE"
	") WITHOUT ROWID;"
	"CREATE TABLE revoked ("
	"	node TEXT PRIMARY KEY,"
	"	name TEXT NOT NULL,"
	"	time INTEGER NOT NULL"
	") WITHOUT ROWID;",

	/* 1 -> 2: where the evidence was proved */
	"ALTER TABLE evidence ADD COLUMN address TEXT NOT NULL DEFAULT '';",

	/* 2 -> 3: component_store.c: certificates for components, whose rows
	 * in `issued' name them and the CA above (SHA-256); cert is the row of
	 * the one that the slot holds, next of one that it may hold, 0: none */
	"ALTER TABLE issued ADD COLUMN component TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE issued ADD COLUMN ca BLOB NOT NULL DEFAULT x'';"
	"CREATE TABLE component ("
	"	name TEXT PRIMARY KEY,"
	"	state TEXT NOT NULL,"
	"	since INTEGER NOT NULL,"
	"	slot INTEGER NOT NULL,"
	"	node TEXT NOT NULL,"
	"	device TEXT NOT NULL,"
	"	attested INTEGER NOT NULL,"
	"	cert INTEGER NOT NULL,"
	"	next INTEGER NOT NULL,"
	"	reset_set INTEGER NOT NULL,"
	"	tag INTEGER NOT NULL,"
	"	reason TEXT NOT NULL,"
	"	field TEXT NOT NULL,"
	"	expected TEXT NOT NULL,"
	"	seen TEXT NOT NULL"
	") WITHOUT ROWID;",

	/* 3 -> 4: who confirmed the identity: 0 an operator, 1 a code */
	"ALTER TABLE peer ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;",

	/* 4 -> 5: which device it was (component_rules()); x'': not known */
	"ALTER TABLE component ADD COLUMN rules BLOB NOT NULL DEFAULT x'';",

	/* 5 -> 6: ca_store.c: a generation of issuing CA: its number for
	 * enrold, its kind of key, the root above it (0: not known yet),
	 * enum ca_state */
	"CREATE TABLE authority ("
	"	generation INTEGER PRIMARY KEY,"
	"	slot INTEGER NOT NULL,"
	"	algorithm INTEGER NOT NULL,"
	"	root INTEGER NOT NULL,"
	"	offline INTEGER NOT NULL,"
	"	state INTEGER NOT NULL,"
	"	since INTEGER NOT NULL"
	");"
	/* as `issued': a row before keyd is asked (certificate NULL); profile
	 * is enum ca_profile, generation that of a root, or of the issuing CA
	 * that it is or that issued it; names: SHA-256 of a listener's */
	"CREATE TABLE ca ("
	"	id INTEGER PRIMARY KEY,"
	"	profile INTEGER NOT NULL,"
	"	generation INTEGER NOT NULL,"
	"	algorithm INTEGER NOT NULL,"
	"	names BLOB NOT NULL,"
	"	serial BLOB NOT NULL,"
	"	public BLOB NOT NULL,"
	"	not_before INTEGER NOT NULL,"
	"	not_after INTEGER NOT NULL,"
	"	requested INTEGER NOT NULL,"
	"	certificate BLOB"
	");"
	"CREATE INDEX ca_use ON ca (profile, generation);"
	"CREATE INDEX ca_serial ON ca (serial);"	/* an installed one may
							   have that of another */
	/* crl.c: asked is the highest number that keyd may have signed, the
	 * others are of the CRL in der, which is NULL before the first */
	"CREATE TABLE crl ("
	"	generation INTEGER PRIMARY KEY,"
	"	asked INTEGER NOT NULL,"
	"	number INTEGER NOT NULL,"
	"	this_update INTEGER NOT NULL,"
	"	next_update INTEGER NOT NULL,"
	"	entries INTEGER NOT NULL,"
	"	der BLOB"
	");",

	/* 6 -> 7: device.c: whom an operator listed; a ticket is only hashed,
	 * used is when, 0: not yet */
	"CREATE TABLE device ("
	"	id INTEGER PRIMARY KEY,"
	"	name TEXT NOT NULL UNIQUE,"
	"	profile TEXT NOT NULL,"
	"	added INTEGER NOT NULL"
	");"
	"CREATE TABLE ticket ("
	"	hash BLOB PRIMARY KEY,"
	"	device INTEGER NOT NULL REFERENCES device(id)"
	"	    ON DELETE CASCADE,"
	"	profile TEXT NOT NULL,"
	"	made INTEGER NOT NULL,"
	"	expires INTEGER NOT NULL,"
	"	used INTEGER NOT NULL"
	") WITHOUT ROWID;"
	"CREATE INDEX ticket_device ON ticket (device);"
	/* cert_store.c: a row before keyd is asked (state 0), its certificate
	 * in cert_der (1), a client has it (2); request and authority: who
	 * asks the same again gets the same */
	"CREATE TABLE cert ("
	"	id INTEGER PRIMARY KEY,"
	"	serial BLOB NOT NULL UNIQUE,"
	"	generation INTEGER NOT NULL,"
	"	name TEXT NOT NULL,"
	"	profile TEXT NOT NULL,"
	"	address TEXT NOT NULL,"
	"	not_before INTEGER NOT NULL,"
	"	not_after INTEGER NOT NULL,"
	"	requested INTEGER NOT NULL,"
	"	revoked INTEGER NOT NULL,"
	"	reason INTEGER NOT NULL,"
	"	auth INTEGER NOT NULL,"
	"	est INTEGER NOT NULL,"
	"	state INTEGER NOT NULL,"
	"	key BLOB NOT NULL,"
	"	request BLOB NOT NULL,"
	"	authority BLOB NOT NULL"
	");"
	"CREATE TABLE cert_der ("
	"	id INTEGER PRIMARY KEY,"
	"	der BLOB NOT NULL"
	");"
	"CREATE INDEX cert_name ON cert (name);"
	"CREATE INDEX cert_key ON cert (key);"
	"CREATE INDEX cert_until ON cert (generation, not_after);"
	"CREATE INDEX cert_orphan ON cert (id) WHERE state < 2;"
	/* all that a CRL says, so that 100,000 rows are one walk */
	"CREATE INDEX cert_revoked ON cert (generation, revoked, serial,"
	"	reason) WHERE revoked > 0;",
	NULL
};
