#!/bin/bash
# Secured sessions with a node that runs as it always runs, confined: whoever
# asks gets one, or, with 'listen spdm mutual', whoever shows who it is.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need ip runsv jq openssl

world_new
pair_wire
NODE_BACKEND=soft node_new a "$W/acme/root.pem"
NODE_BACKEND=soft node_new b "$W/acme/root.pem"

# requester NAME NODE ADDRESS: it waits to be told to connect
requester() {
	mkdir -p "$W/$1"
	mkfifo "$W/$1/tell"
	nsenter --net="/run/netns/$(ns_of "$2")" "$O/tools/spdmreq" "$W/$1" \
	    "$3" 4194 <>"$W/$1/tell" >"$W/$1/said" 2>&1 &
	WORLD_PIDS="$WORLD_PIDS $!"
	ok "$1 is there" await 20 grep -q ready "$W/$1/said"
}

# connect NAME: one connection; what came of it
connect() {
	local before
	before=$(wc -l <"$W/$1/said")
	echo >"$W/$1/tell"
	await 30 eval "[ \"\$(wc -l <'$W/$1/said')\" -gt $before ]"
	tail -n 1 "$W/$1/said"
}

requester anybody b 192.0.2.1
requester known a 192.0.2.2
requester unknown a 192.0.2.2
echo 'peer "b" { address 192.0.2.2 }' >>"$W/a/conf"
cat >>"$W/b/conf" <<EOF
listen spdm mutual
accept root "$W/known/root.pem"
EOF
pair_start

like "anybody has a session with a" "$(connect anybody)" '^session [0-9]+$'
like "and another one" "$(connect anybody)" '^session [0-9]+$'
like "who shows a chain of an accepted root has one with b" "$(connect known)" \
    '^session [0-9]+$'
like "who shows another has none" "$(connect unknown)" '^ATT-008 .*Unspecified'
like "who is known has one again" "$(connect known)" '^session [0-9]+$'
like "b says why" "$(cat "$W"/b/log/attestd-r*)" 'requester root: expected an accepted root'
# Without a session b is attested as ever.
ok "a trusts b" ctl a provision b --identity "$(node_id b)"
# What leaked is told at the end.
node_stop a
node_stop b
ok "no sanitizer spoke" world_sanitized_clean
done_testing
