# shellcheck shell=bash
# What must be true of a node's store whatever happened to it. Sourced after
# world.sh.

# store_copy NODE: $W/NODE/copy.db, as the disk has it. A policyd that runs is
# held meanwhile, so that file and log are of one moment, as a crash has them.
store_copy() {
	local d=$W/$1 p rc=0
	p=$(pid_of "$1" policyd)
	rm -f "$d/copy.db" "$d/copy.db-wal"
	[ -z "$p" ] || kill -STOP "$p" 2>/dev/null
	cp "$d/state/policyd/store.db" "$d/copy.db" || rc=1
	[ ! -e "$d/state/policyd/store.db-wal" ] ||
	    cp "$d/state/policyd/store.db-wal" "$d/copy.db-wal" || rc=1
	[ -z "$p" ] || kill -CONT "$p" 2>/dev/null
	return $rc
}

# store_sql NODE SQL: on the copy
store_sql() {
	sqlite3 "$W/$1/copy.db" "$2" 2>&1
}

# Lines of what is wrong; none if all is well.
STORE_RULES="
SELECT 'integrity: ' || integrity_check FROM pragma_integrity_check
    WHERE integrity_check <> 'ok';
SELECT 'a row without its parent: ' || \"table\" FROM pragma_foreign_key_check;
SELECT 'certificate ' || id || ' is not that of its row' FROM issued
    WHERE certificate IS NOT NULL AND
    (instr(certificate, serial) = 0 OR instr(certificate, public) = 0);
SELECT 'one certificate, ' || count(*) || ' rows' FROM issued
    WHERE certificate IS NOT NULL GROUP BY certificate HAVING count(*) > 1;
SELECT 'certificate ' || i.id || ' has ' || count(a.sequence) || ' records'
    FROM issued i LEFT JOIN audit a ON a.kind = 'certificate' AND
    instr(a.text, 'serial ' || lower(hex(substr(i.serial, 1, 4)))) > 0
    WHERE i.certificate IS NOT NULL GROUP BY i.id HAVING count(a.sequence) <> 1;
SELECT 'record ' || sequence || ' names no certificate' FROM audit a
    WHERE kind = 'certificate' AND subject = 'keyd' AND NOT EXISTS
    (SELECT 1 FROM issued i WHERE i.certificate IS NOT NULL AND
    instr(a.text, 'serial ' || lower(hex(substr(i.serial, 1, 4)))) > 0);
SELECT count(*) || ' records, numbers ' || min(sequence) || ' to ' ||
    max(sequence) FROM audit HAVING count(*) <> max(sequence) - min(sequence) + 1;
WITH step AS (SELECT sequence, subject,
    substr(text, 1, instr(text, ' -> ') - 1) AS was,
    substr(text, instr(text, ' -> ') + 4,
	instr(text, ': ') - instr(text, ' -> ') - 4) AS next,
    text LIKE '%: restored-%' AS restored FROM audit WHERE kind = 'transition'),
    chain AS (SELECT *, lag(next) OVER (PARTITION BY subject ORDER BY sequence)
    AS before FROM step)
SELECT 'transition ' || sequence || ' of ' || subject || ' leaves ' || was ||
    ' after ' || before FROM chain
    WHERE before IS NOT NULL AND was <> before AND NOT restored AND
    NOT (subject = 'self' AND was = 'Unknown');
"

store_whole() {	# store_whole NODE
	local out
	out=$(store_copy "$1" 2>&1 && store_sql "$1" "$STORE_RULES")
	[ -z "$out" ] && return
	printf '%s: %s\n' "$1" "$out"
	return 1
}

# The serial number of the TLS leaf that NODE shows at ADDRESS to its PEER.
shown_serial() {	# shown_serial PEER ADDRESS
	in_ns "$1" openssl s_client -connect "$2:8090" </dev/null 2>/dev/null |
	    openssl x509 -noout -serial 2>/dev/null | sed 's/^serial=0*//'
}

# certificates_recorded NODE PEER ADDRESS: of what others have of NODE, the
# TLS leaf on the wire and the CA in PEER's evidence, its store has a row each.
certificates_recorded() {
	local serial ca
	store_copy "$1" && store_copy "$2" || return 1
	serial=$(shown_serial "$2" "$3")
	[ -n "$serial" ] || { echo "$1 showed no certificate"; return 1; }
	[ "$(store_sql "$1" "SELECT count(*) FROM issued WHERE certificate IS
	    NOT NULL AND ltrim(hex(serial), '0') = '$serial'")" = 1 ] ||
	    { echo "$1 has no record of its TLS leaf $serial"; return 1; }
	ca=$(store_sql "$2" "SELECT hex(e.anchor) FROM evidence e, peer p
	    WHERE e.peer = p.id AND p.name = '$1'")
	[ -n "$ca" ] || { echo "$2 has no evidence of $1"; return 1; }
	[ "$(store_sql "$1" "SELECT count(*) FROM issued
	    WHERE hex(certificate) = '$ca'")" = 1 ] ||
	    { echo "$1 has no record of the CA that $2 saw"; return 1; }
}

# How a daemon of NODE may have ended: by itself, by us, or killed by us.
ended_well() {
	! grep -vE '^([01] 0|-1 (9|15))$' "$W/$1"/exits/*
}
