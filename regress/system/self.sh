#!/bin/bash
# One node attests itself: by the real daemons, through the port that peers
# come to. A changed file, a root that is not accepted, no chain at all: each
# with its reason; nobody else is told that somebody attested us.
# shellcheck source=regress/system/lib.sh
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
need_root
need ip nsenter openssl jq runsv

world_new
authority "$W/acme" ACME
authority "$W/other" Other
wire a b
address a 192.0.2.1/24
NODE_BACKEND=soft node_new a "$W/acme/root.pem"
# Whoever attests us from here would be a peer that policy lists.
echo 'peer "here" { identity "0123456789abcdef0123456789abcdef01234567" address 127.0.0.1 }' >>"$W/a/conf"
node_start a
ok "the node is ready" await_ready a 120

row() {		# row FIELD: of the row self in the status
	ctl a --json status | jq -r "select(.row == \"self\") | .$1"
}
row_is() {	# row_is FIELD VALUE
	[ "$(row "$1")" = "$2" ]
}
# asked STATUS DESC: 'provision self' until it is judged
asked() {
	local rc
	SAID=$(ctl a provision self 2>&1)
	rc=$?
	is "$2" "$rc" "$1"
	[ "$rc" = "$1" ] || diag "$SAID"
}
greeted() {	# greeted ROLE OLD-PID
	[ "$(ctl a --json status | jq -r "select(.row == \"daemon\" and .role == \"$1\" and .ready) | .pid")" != "$2" ] &&
	    ctl a --json status | jq -es "any(.row == \"daemon\" and .role == \"$1\" and .ready)" >/dev/null
}
anew() {	# anew ROLE...: ends and is started by its service manager
	local r old
	for r; do
		old=$(pid_of a "$r")
		kill -TERM "$old"
		await 60 greeted "$r" "$old" >/dev/null
	done
	await_ready a 60 >/dev/null
}

# ---- nobody asked
is "without D-Bus nothing of it runs" "$(row state)" ""
nok "nor is anything recorded" grep -q . <(ctl a --json audit show --last 200 | jq -r 'select(.subject == "self").text')

# ---- no chain of its maker
asked 1 "without a chain in slot 0 it is refused"
like "with the reason" "$SAID" 'ATT-[0-9]+'
is "and the state" "$(row state)" Failed
ok "identity" node_identity a "$W/acme"
ok "once the chain is there it is looked at again, and good" await 60 row_is state Provisioned
is "without reference values: a warning" "$(row warning.code)" POL-015
is "and no reason" "$(row reason)" null
is "it is this node" "$(row node)" "$(node_id a)"
asked 0 "asked again"
like "its steps are shown" "$SAID" 'self: MEASUREMENTS'
like "and how it stands" "$SAID" 'self: Provisioned, provisioned yes'
like "explained" "$(ctl a explain peer self)" 'attested itself'
like "listed with the rest" "$(ctl a status)" '^this node +Provisioned'

# ---- nobody else takes part
is "the peer on this machine was not woken" "$(peer_field a here state)" NotDetermined
is "no peer is made of it" "$(ctl a --json peer list | jq -r .name)" here
nok "a peer of that name is refused" ctl a peer add self --serial S-1
like "with the reason" "$(ctl a peer add self --serial S-1 2>&1)" POL-022
echo 'peer "self" { serial "S-1" }' >"$W/bad"
cat "$W/a/conf" >>"$W/bad"
nok "in provd.conf, too" "$O/bin/policyd" -n -f "$W/bad"

# ---- reference values
cat >"$W/reference.json" <<-EOR
{ "measurements": [ { "index": 32, "type": 1,
    "digest": "$(sha256sum <"$W/a/firmware" | cut -c1-64)" } ],
  "ignore": [ 254 ] }
EOR
cp "$W/a/conf" "$W/plain"
echo "reference \"$W/reference.json\"" >>"$W/a/conf"
anew policyd
asked 0 "with reference values"
is "there is no warning" "$(row warning)" null
echo "firmware of a, version 666" >"$W/a/firmware"
anew attestd-r
ok "a measured file that changed is found at once" await 60 row_is state Failed
is "with the reason" "$(row reason.code)" POL-011
like "and the check" "$(row reason.field)" '^measurement 32 \(mutable firmware\)$'
is "what was expected" "$(row reason.expected)" "$(jq -r '.measurements[0].digest' "$W/reference.json")"
is "what was seen" "$(row reason.seen)" "$(sha256sum <"$W/a/firmware" | cut -c1-64)"
asked 1 "whoever asks hears it"
like "the same" "$SAID" 'POL-011'
echo "firmware of a, version 1" >"$W/a/firmware"
anew attestd-r
ok "and when it is back" await 60 row_is state Provisioned

# ---- another root
sed "s,$W/acme/root.pem,$W/other/root.pem," "$W/plain" >"$W/a/conf"
anew policyd
asked 1 "under another root it is refused"
like "with the reason" "$SAID" 'POL-004'
is "and the check" "$(row reason.field)" root

# ---- with D-Bus nobody has to ask
cp "$W/plain" "$W/a/conf"
echo "dbus socket \"$W/none\"" >>"$W/a/conf"
anew_policyd() {
	local old
	old=$(pid_of a policyd)
	kill -TERM "$old"
	await 60 started_anew a policyd "$old" >/dev/null
}
anew_policyd
ok "with D-Bus it runs by itself" await 60 row_is state Provisioned
anew keyd
is "a keyd that restarts does not take it away" "$(row state)" Provisioned

# ---- records
T=$(ctl a --json audit show --last 500 | jq -r 'select(.subject == "self") | "\(.kind) \(.reason.code) \(.text)"')
like "a verdict is a record" "$T" '^verdict POL-015 this node accepted: node [0-9a-f]{40}'
like "a refusal, too" "$T" '^verdict POL-011 this node refused: node [0-9a-f]{40}: measurement 32'
like "and each move" "$T" '^transition POL-011 Provisioned -> Failed'
ok "the log is whole" ctl a audit verify
nok "no offence of anybody" grep -q . <(ctl a --json status | jq -r 'select(.row == "daemon" and .offences > 0).role')

done_testing || diag "$(tail -n 5 "$W"/a/log/*)"
