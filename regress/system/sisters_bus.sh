#!/bin/bash
# A hostile busd on a node that is paired: whatever it may not say ends it and
# is on record; what it asks in good form is refused for its reason, on record
# as its claim, and so many times a minute; one that reads nothing delays
# nobody. The peer stays trusted, and on the same connection all the time.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/sisters.sh"
need_root
need ip runsv jq openssl ss dbus-daemon

world_new
pair_wire
for n in a b; do
	NODE_BACKEND=soft NODE_VERBOSE=-d node_new $n "$W/acme/root.pem"
	sed -i 's/^retry .*/retry 50 ms to 100 ms/' "$W/$n/conf"
done
{
	echo 'peer "b" { address "192.0.2.2" }'
	# The same device under a name for which nobody listed anything.
	echo 'peer "unlisted" { address "192.0.2.2" }'
	echo 'peer "revoked" { identity "00112233445566778899aabbccddeeff00112233" }'
} >>"$W/a/conf"
echo "accept root \"$W/acme/root.pem\" serial \"*\"" >>"$W/b/conf"
bus a
node_start a
node_start b
ok "a is ready" await_ready a 60
ok "b is ready" await_ready b 60
ctl a --json status >"$W/status"
is "status shows busd" "$(jq -rs 'flatten | .[] | select(.row == "daemon" and .role == "busd").state' "$W/status")" ready
for n in a b; do
	ok "$n: identity installed" node_identity $n "$W/acme"
done
ok "a trusts b" ctl a provision b --identity "$(node_id b)"
ok "b trusts a" await_peer b a provisioned true
ok "a: Connected" await_peer a b connected Connected
ok "one peer is revoked" ctl a revoke revoked
ROLES="$ROLES busd"
: >"$W/said"

cables() {
	in_ns a ss -tnH state established '( sport = :8090 or dport = :8090 )' |
	    awk '{ print $3, $4 }'
}
settled() {
	[ "$(cables | wc -l)" -eq 1 ]
}
await 30 settled
cables=$(cables)
node_stop a busd
was=$(pids busd)

counted busd start
sister busd b revoked unlisted
is "nobody became trusted" "$(peer_field a unlisted provisioned)" false
is "who is revoked is so" "$(peer_field a revoked state)" Revoked
is "b is connected" "$(peer_field a b connected)" Connected
is "no peer was made of a claim" "$(ctl a --json peer list | jq -rs 'flatten | map(.name) | sort | join(" ")')" "b revoked unlisted"
is "and no neighbour" "$(ctl a --json neighbours | jq -rs 'flatten | map(.name) | map(select(startswith("made-up"))) | length')" 0
count() {	# count CODE: as policyd counted it
	ctl a --json status | jq -rs --arg c "$1" 'flatten | map(select(.row == "counter" and
	    .role == "policyd" and .reason.code == $c).count) | add // 0'
}
ok "each of them is counted" test "$(count BUS-012)" -ge 600

ctl a --json audit show | jq -s flatten >"$W/audit"
claims() {	# records of this kind that tell of a claim, and have this text
	jq -r --arg k "$1" --arg t "$2" 'map(select(.kind == $k and (.text |
	    startswith("claimed by busd: ") and contains($t)))) | length' "$W/audit"
}
is "what was accepted is its claim" "$(claims operator "uid 0: provision")" 1
is "so is what was refused" "$(claims refusal "uid 64999:")" 4
ok "a flood is no flood of records" test "$(claims refusal '')" -le 45

# ---- one that reads nothing ------------------------------------------------------

anew
"$O/tools/sister" "$W/a" deaf b >"$W/deaf" 2>&1 &
deaf=$!
ok "one that reads nothing is there" await 15 grep -q deaf "$W/deaf"
for _ in 1 2 3; do
	ok "b is attested anew" ctl a provision b
	ok "and this one revoked anew" ctl a revoke revoked
done
is "its link stands" "$(ctl a --json status | jq -rs 'flatten | .[] | select(.row == "daemon" and .role == "busd").state')" greeted
kill "$deaf"
wait "$deaf" 2>/dev/null

# ---- what it may not say at all ---------------------------------------------------

anew
was=$(pids busd)
tries 0 policyd busd
is "the others lived on" "$(pids busd)" "$was"
is "and the peer is on the same connection" "$(cables)" "$cables"
node_start a busd
ok "a is ready again" await_ready a 60 || diag "$(ctl a status)"

ctl a --json audit show | jq -s flatten >"$W/audit"
is "each is on record with its offender, who saw it, its reason and its message" \
    "$(recorded | md5sum)" "$(did | md5sum)" || diag "$(diff <(recorded) <(did))"
ok "the audit log is whole" ctl a audit verify
ok "no sanitizer spoke" world_sanitized_clean
done_testing || diag "$(node_logs a)"
[ "$TAP_FAILED" -eq 0 ]
