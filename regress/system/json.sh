#!/bin/bash
# Every command with --json prints the rows and members that provctl(8)
# documents, no other and none less; and its exit status is the one said there.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need ip runsv jq openssl

world_new
pair_wire
for n in a b; do
	NODE_BACKEND=soft node_new $n "$W/acme/root.pem"
	echo "accept root \"$W/acme/root.pem\" serial \"SN-?\"" >>"$W/$n/conf"
done
echo 'component "nic" { address 192.0.2.9 slot 1 serial "NIC-*" }' >>"$W/a/conf"
cat >>"$W/a/conf" <<-EOF
ca "ACME" { server "192.0.2.1" }
profile "iot" { key ecdsa-p256  valid 1 d  name mac }
listen enrol port 8443
EOF
echo 'ca "ACME"' >>"$W/b/conf"
service a enrold "$O/bin/enrold -d -v -f $W/a/conf"
echo 'peer "b" { }' >>"$W/a/conf"
echo 'peer "a" { }' >>"$W/b/conf"
node_start a
node_start b
ok "a is ready" await_ready a 120
ok "b is ready" await_ready b 120

# What provctl(8) documents: a line "ROW MEMBER" each.
awk '/^\.Sh / { in_json = /JSON/ }
    in_json && /^\.It Sy / { row = $3 }
    in_json && /^\.El/ { row = "" }
    in_json && row != "" && /^\.Va / {
	gsub(/,/, " ")
	for (i = 2; i <= NF; i++)
		if ($i ~ /^[a-z_0-9]+$/)
			print row, $i
    }' "$TOP/man/provctl.8" | sort -u >"$W/documented"
ok "provctl(8) has a table of rows" test "$(wc -l <"$W/documented")" -gt 100

# said STATUS ARGUMENT...: a command whose rows are kept
said() {
	said_by a "$@"
}

said_by() {
	local n=$1 want=$2 rc
	shift 2
	ctl "$n" --json "$@" >"$W/rows" 2>/dev/null
	rc=$?
	is "$*: exit status" "$rc" "$want"
	ok "$*: one JSON object a line" jq -es 'all(type == "object" and has("row"))' "$W/rows"
	cat "$W/rows" >>"$W/all"
}

ctl a --json monitor >"$W/monitor" 2>/dev/null &
WORLD_PIDS="$WORLD_PIDS $!"
watched() {	# has the monitor this row, complete?
	jq -R 'fromjson? // empty' "$W/monitor" | jq -es "any(.row == \"$1\")" >/dev/null
}
begun() {
	ctl a log level info && watched audit
}
ok "the monitor has begun" await 60 begun
said 0 log level info
said 1 provision b --identity 00112233445566778899aabbccddeeff00112233
for n in a b; do
	ok "$n: identity" node_identity $n "$W/acme"
done
said 0 identity csr
said 0 identity install "$W/a/chain.pem"
said 0 identity show
id=$(node_id b)
said 1 provision b --identity 00112233445566778899aabbccddeeff00112233
said 0 provision b --identity "$id"
ok "Connected" await_peer a b connected Connected
# Somebody without a certificate, so that there is something to count.
in_ns b openssl s_client -connect 192.0.2.1:8090 </dev/null >/dev/null 2>&1
counted() {
	ctl a --json status | jq -es 'any(.row == "counter")' >/dev/null
}
ok "a refusal is counted" await 60 counted
said 0 provision self
said 0 explain peer self
said 0 status
said 0 neighbours
said 0 peer list
said 0 peer show b
said 0 explain peer b
said 0 component list
said 0 component enrol nic --no-wait
said 0 component show nic
said 1 component enrol gpu
said 0 peer add x --serial S-1 --address 192.0.2.9
like "the audit log tells what was added" "$(ctl a audit show --last 1)" \
    'uid 0: peer add serial S-1 address 192.0.2.9$'
said 0 peer remove x
# An address where nobody is.
said 0 peer add y --serial S-2 --address 192.0.2.77
said 0 provision y --no-wait
said 0 provision y --code --no-wait <<<''
ok "the monitor has a failed attempt" await 60 watched attempt
said 0 reference learn b
said 0 reference show b
said 0 reference accept b
said 0 audit show --last 5
said 0 audit verify
said 0 explain POL-001
said 0 unprovision b
said 0 revoke b

# ---- the certificate service: an authority in a, an offline root in b
said 0 ca init
said 0 ca show --pem
said 0 device add 02:00:00:00:00:01 --ticket
jq -r 'select(.row == "device").ticket' "$W/rows" >"$W/ticket"
ctl a --json ca show --pem | jq -r 'select(.row == "ca" and .kind == "root").pem' >"$W/root.pem"
in_ns a "$O/bin/provctl" --json enrol --mac 02:00:00:00:00:01 --out "$W/dev" \
    --key p256 --ca "$W/root.pem" --server https://192.0.2.1:8443 --ticket-file "$W/ticket" >"$W/rows" 2>"$W/enrol.err"
rc=$?
is "provctl enrol: exit status" $rc 0
[ $rc -eq 0 ] || diag "$(cat "$W/enrol.err")"
cat "$W/rows" >>"$W/all"
said 0 device list
said 0 cert list
serial=$(jq -r 'select(.row == "cert").serial' "$W/rows")
said 0 cert show "$serial" --pem
said 0 cert stats
said 0 cert export
said 0 cert revoke "$serial"
said 0 ca crl
said 0 device remove 02:00:00:00:00:01
said 1 cert show 00112233445566778899aabbccddeeff
said 1 device add nonsense
said_by b 0 ca init --offline - -o "$W/issuing.csr"
said_by b 0 ca csr
ctl a --json check -f "$W/a/conf" >>"$W/all"
ok "the monitor has a transition" await 60 watched transition
# Refused, wrong, unreachable.
said 1 peer show nobody
said 1 explain peer nobody
said 1 peer remove b
said 1 reference accept b
said 2 peer show
said 2 log level loud
said 2 peer list --nonsense
said 2 frobnicate
said 3 -s "$W/none" status
jq -cR 'fromjson? // empty' "$W/monitor" >>"$W/all"
jq -r '.row as $r | keys[] | select(. != "row") | "\($r) \(.)"' "$W/all" |
    sort -u >"$W/seen"
is "no member that provctl(8) does not document" \
    "$(comm -13 "$W/documented" "$W/seen")" ""
# Of the rows that were seen each has all its members.
is "no documented member is missing" \
    "$(comm -23 "$W/documented" "$W/seen" | while read -r row member; do
	! grep -q "^$row " "$W/seen" || echo "$row $member"
    done)" ""
is "no row is documented and never seen, but the one of a slow reader" \
    "$(cut -d' ' -f1 "$W/documented" | sort -u | while read -r row; do
	grep -q "^$row " "$W/seen" || echo "$row"
    done)" lost
node_stop a
node_stop b
ok "no sanitizer spoke" world_sanitized_clean
done_testing
