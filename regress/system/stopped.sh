#!/bin/bash
# Daemons that hang: each is stopped (SIGSTOP) for HOLD seconds, then the TPM,
# then a whole node. Somebody says what is wrong meanwhile, nobody else stops,
# and all is well by itself when it goes on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
need_root
need ip runsv swtpm jq openssl

plain_only "time is tested, which a sanitizer stretches"
HOLD=${HOLD:-5}
DEADLINE=120
diag "HOLD=$HOLD"

world_new
pair_wire
NODE_BACKEND=soft node_new a "$W/acme/root.pem"
node_new b "$W/acme/root.pem"
for n in a b; do
	cat >>"$W/$n/conf" <<-EOF2
	accept root "$W/acme/root.pem" serial "SN-?"
	attest timeout 2 s
	reattest every 3 s
	EOF2
done
echo 'peer "b" { keepalive 500 ms  silence 2 s }' >>"$W/a/conf"
echo 'peer "a" { keepalive 500 ms  silence 2 s }' >>"$W/b/conf"
pair_start

together() {
	peer_is a b connected Connected && peer_is b a connected Connected &&
	    node_ready a && node_ready b
}
ok "provision" await 60 ctl a provision b
ok "Connected" await $DEADLINE together

past() {
	[ "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \> "$1" ]
}
attested() {	# when, and it is later than that now
	local t
	t=$(peer_field a b attested)
	await 30 past "$t"
	echo "$t"
}
attested_since() {
	[ "$(peer_field a b attested)" \> "$1" ]
}

# ---- what shows it

silent() {	# silent NODE PEER: not connected, for that reason
	[ "$(peer_field "$1" "$2" connected)" != Connected ] &&
	    ctl "$1" explain peer "$2" | grep -q TLS-019
}
# unattested NODE PEER: an attestation has failed, and that is all
unattested() {
	[ "$(peer_field "$1" "$2" attempts)" -ge 1 ] &&
	    peer_is "$1" "$2" provisioned true &&
	    peer_is "$1" "$2" connected Connected &&
	    ctl "$1" explain peer "$2" | grep -qE '(ATT|NET|IPC|POL)-[0-9]{3}'
}
dumb() {	# policyd answers no operator; the connection stays
	timeout 1 "$O/bin/provctl" -s "$W/b/run/control.sock" status >/dev/null 2>&1
	[ $? -eq 124 ] && peer_is a b connected Connected
}

# stop DESC "EVENT[, EVENT]" PID...: for HOLD seconds, and until each shows
stop() {
	local desc=$1 t=$SECONDS since e events
	IFS=, read -r -a events <<<"$2"
	shift 2
	since=$(attested)
	kill -STOP "$@"
	for e in "${events[@]}"; do
		# shellcheck disable=SC2086
		ok "$desc stopped: $e" await $DEADLINE $e
	done
	t=$((HOLD - SECONDS + t))
	[ $t -le 0 ] || read -r -t $t <>"$W/never"
	kill -CONT "$@" 2>/dev/null
	ok "$desc: Connected" await $DEADLINE together
	ok "$desc: attested" await $DEADLINE attested_since "$since"
}

stop "netd of b" "silent a b" "$(pid_of b netd)"
stop "keyd of b, attestd -Q of b" "unattested a b,unattested b a" \
    "$(pid_of b keyd)" "$(pid_of b attestd-q)"
stop "attestd -R of b, policyd of b" "unattested a b,dumb" \
    "$(pid_of b attestd-r)" "$(pid_of b policyd)"
stop "the TPM of b" "unattested a b" "$(pid_of b tpm)"
pids=()
for r in $ROLES; do
	pids+=("$(pid_of b "$r")")
done
stop "all of b" "silent a b" "${pids[@]}"
for n in a b; do
	ok "$n: the audit log is whole" await 60 ctl $n audit verify
	node_stop $n
done
ok "no sanitizer spoke" world_sanitized_clean
done_testing || diag "$(node_logs a; node_logs b)"
[ "$TAP_FAILED" -eq 0 ]
