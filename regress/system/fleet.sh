#!/bin/bash
# One node and a fleet that one program plays: FLEET peers (50) attest it, and
# it attests, connects with and keeps each. Each has a line in the
# configuration; none is listed by identity, the rule takes their maker's
# serial numbers. Prints what each daemon spent; nothing of that is a check.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/load.sh"
need_root
need ip runsv jq openssl

N=${FLEET:-50}
T=$((60 + N / 10))	# s; what must happen, on a loaded machine
world_new
fleet_world "$N"
node_start a
ok "the node starts" await_ready a $T || node_logs a
ok "identity installed" node_identity a "$W/acme"
sizes idle
from=$EPOCHREALTIME
ticks=$(ticks_all)
fleet_go "$N" -N 192.0.2.1 -D
ok "all $N have attested the node" await $T milestone attested
ok "all $N were attested by it" await $T milestone served
ok "all $N have connected" await $T milestone connected
ok "and the node says so" await $T all_connected "$N"
spent "cold start" "$N" "$from" "$ticks"
sizes "$N peers"
from=$EPOCHREALTIME
ticks=$(ticks_all)
kill9 a netd
ok "netd killed: all $N are connected again" await $T all_connected "$N"
spent "netd killed" "$N" "$from" "$ticks"
from=$EPOCHREALTIME
ticks=$(ticks_all)
kill9 a policyd
ok "policyd killed: all $N are connected" await $T all_connected "$N"
spent "policyd killed" "$N" "$from" "$ticks"
ok "the audit log is whole" ctl a audit verify
fleet_end
like "the fleet lost what netd's end closed, and nothing else" "$(tail -n 1 "$W/f/out")" " connected $N lost $N "
node_stop a
ok "no sanitizer spoke" world_sanitized_clean
done_testing
