#!/bin/bash
# What a call costs on D-Bus: a property of ours, and a ProvisionPeer that is
# refused, beside the same calls of a service that does nothing, on the same
# bus and in turns. One caller, one call at a time. Then busd's size.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/tools/bus.sh"

ROUNDS=${ROUNDS:-5}
N=${N:-4000}
[ "$(id -u)" -eq 0 ] || die "needs root"

world_new
authority "$W/acme" ACME
wire a b
address a 192.0.2.1/24
NODE_BACKEND=soft NODE_VERBOSE=' ' node_new a "$W/acme/root.pem"
echo 'peer "b" { address "192.0.2.2" }' >>"$W/a/conf"
NODE_VERBOSE=' ' bus a
node_start a
until_is 60 node_ready a
until_is 60 owned a

us() {	# us WHAT: of a call, in the output of busload
	awk -v w="$1" '$1 == w { print $3 }' "$W/out"
}
load() {
	"$O/tools/busload" "$W/a/bus/socket" "$@" >"$W/out" || die "busload $*"
}

# The first of each pays for what is not there yet.
load echo 200
load get 200
load method 200 nobody
bare_get=() get=() bare_method=() method=()
for ((i = 0; i < ROUNDS; i++)); do
	load echo "$N"
	bare_get+=("$(us get)")
	bare_method+=("$(us method)")
	load get "$N"
	get+=("$(us get)")
	load method "$N" nobody
	method+=("$(us method)")
done

call() {	# call NAME MICROSECONDS BARE
	line "$1" "$(awk "BEGIN { printf \"%.1f\", $2 }")" us/call "$(awk "BEGIN { printf \"%.2f\", $3 / $2 }")"
	line "$1_rate" "$(awk "BEGIN { printf \"%.0f\", 1e6 / $2 }")" calls/s
}
bg=$(middle "${bare_get[@]}")
bm=$(middle "${bare_method[@]}")
call bus_bare_get "$bg" "$bg"
call bus_get "$(middle "${get[@]}")" "$bg"
call bus_bare_method "$bm" "$bm"
call bus_provision_refused "$(middle "${method[@]}")" "$bm"
line bus_rss "$(size_of busd Rss)" KiB
line bus_pss "$(size_of busd Pss)" KiB
