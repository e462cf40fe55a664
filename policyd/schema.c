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
	"	counter INTEGER PRIMARY KEY,"
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

	/* peer.c, evidence.c, reference.c */
	"CREATE TABLE peer ("
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"	name TEXT NOT NULL UNIQUE,"
	"	source TEXT NOT NULL,"
	"	identity TEXT,"
	"	serial TEXT,"
	"	address TEXT,"
	"	state TEXT NOT NULL,"
	"	reason TEXT NOT NULL DEFAULT 'OK',"
	"	field TEXT NOT NULL DEFAULT '',"
	"	expected TEXT NOT NULL DEFAULT '',"
	"	seen TEXT NOT NULL DEFAULT '',"
	"	node TEXT,"
	"	anchor BLOB,"
	"	anchor2 BLOB,"
	"	shift INTEGER NOT NULL DEFAULT 0,"
	"	attested_at INTEGER"
	");"
	"CREATE TABLE measurement ("
	"	peer INTEGER NOT NULL REFERENCES peer(id) ON DELETE CASCADE,"
	"	idx INTEGER NOT NULL,"
	"	type INTEGER NOT NULL,"
	"	raw INTEGER NOT NULL,"
	"	value BLOB NOT NULL,"
	"	PRIMARY KEY (peer, idx)"
	") WITHOUT ROWID;"
	"CREATE TABLE reference ("
	"	peer INTEGER NOT NULL REFERENCES peer(id) ON DELETE CASCADE,"
	"	idx INTEGER NOT NULL,"
	"	type INTEGER NOT NULL,"
	"	raw INTEGER NOT NULL,"
	"	value BLOB NOT NULL,"
	"	accepted INTEGER NOT NULL,"
	"	learnt INTEGER NOT NULL,"
	"	PRIMARY KEY (peer, accepted, idx)"
	") WITHOUT ROWID;",
	NULL
};
