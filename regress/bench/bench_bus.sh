#!/bin/bash
# What a call costs on D-Bus: a property of ours, and a ProvisionPeer that busd
# refuses (too often) or policyd (not in the group), beside the same calls of a
# service that does nothing, on the same bus and in turns. One caller, one call
# at a time, all of it on one core, since it is chance otherwise how often a
# message wakes the other one. Then busd's size.
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
cat >"$W/a/bus/more" <<-EOF
	<busconfig><policy user="root"><allow own="xyz.openbmc_project.Echo"/>
	<allow send_destination="xyz.openbmc_project.Echo"/></policy></busconfig>
EOF
node_start a
until_is 60 node_ready a
until_is 60 owned a

# Those here before, and what this shell starts from now on.
for p in $$ "$(pid_of a dbus)" "$(pid_of a busd)"; do
	taskset -pc 0 "$p" >/dev/null || die "taskset"
done

us() {	# us WHAT: of a call, in the output of busload
	awk -v w="$1" '$1 == w { print $3 }' "$W/out"
}
load() {
	"$O/tools/busload" "$W/a/bus/socket" "$@" >"$W/out" || die "busload $*"
}

# The first of each pays for what is not there yet.
load echo 200
load get 200
# Somebody whom the bus lets call and policyd does not: as often as a user may.
setpriv --reuid=1 --regid=65534 --groups="$(getent group provd | cut -d: -f3)" \
    "$O/tools/busload" "$W/a/bus/socket" method 20 b >"$W/out"
grep -q 'InsufficientPermission=20' "$W/out" || die "not refused: $(cat "$W/out")"
asked=$(us method)
load method 200 nobody
spent=0 bare_cpu=() bare_get=() get=() bare_method=() method=()
for ((i = 0; i < ROUNDS; i++)); do
	load echo "$N"
	bare_get+=("$(us get)")
	bare_method+=("$(us method)")
	bare_cpu+=("$(us cpu)")
	ticks=$(ticks_of busd)
	load get "$N"
	get+=("$(us get)")
	spent=$((spent + $(ticks_of busd) - ticks))
	load method "$N" nobody
	method+=("$(us method)")
done

cpu() {	# cpu NAME MICROSECONDS
	line "$1" "$(awk "BEGIN { printf \"%.0f\", $2 }")" us/call "$(awk "BEGIN { printf \"%.2f\", $bc / $2 }")"
}
call() {	# call NAME MICROSECONDS BARE
	line "$1" "$(awk "BEGIN { printf \"%.1f\", $2 }")" us/call "$(awk "BEGIN { printf \"%.2f\", $3 / $2 }")"
	line "$1_rate" "$(awk "BEGIN { printf \"%.0f\", 1e6 / $2 }")" calls/s
}
bg=$(middle "${bare_get[@]}")
bm=$(middle "${bare_method[@]}")
bc=$(middle "${bare_cpu[@]}")
call bus_bare_get "$bg" "$bg"
call bus_get "$(middle "${get[@]}")" "$bg"
cpu bus_bare_cpu "$bc"
cpu bus_get_cpu "$(awk "BEGIN { print $spent * 10000 / ($N * $ROUNDS) }")"
call bus_bare_method "$bm" "$bm"
call bus_provision_busd "$(middle "${method[@]}")" "$bm"
call bus_provision_policyd "$asked" "$bm"
line bus_rss "$(size_of busd Rss)" KiB
line bus_pss "$(size_of busd Pss)" KiB
