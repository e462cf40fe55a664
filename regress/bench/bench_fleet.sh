#!/bin/bash
# What a peer costs a node: memory of each daemon, idle and with PEERS (500
# 5000) that one program plays, and time and processor time until all of them
# attested the node, were attested by it and are connected. Soft keys.
. "$(dirname "$0")/lib.sh"

PEERS=${PEERS:-500 5000}
[ "$(id -u)" -eq 0 ] || die "needs root"

# memory PREFIX: sets sum to the proportional size of all
memory() {
	local r pss
	sum=0
	for r in $ROLES; do
		pss=$(size_of "$r" Pss)
		line "$1_${r/-/_}_rss" "$(size_of "$r" Rss)" KiB
		line "$1_${r/-/_}_pss" "$pss" KiB
		sum=$((sum + pss))
	done
	line "$1_all_pss" "$sum" KiB "$([ "$1" != idle ] || awk "BEGIN { printf \"%.2f\", $sum / 24576 }")"
}

# cost PREFIX PEERS FROM TICKS
cost() {
	local r i=0 us all=0 ms=$(($(clock) - $3))
	local -a before after
	read -ra before <<<"$4"
	read -ra after <<<"$(ticks_all)"
	line "$1_connected" $ms ms
	line "$1_connected_per_peer" $((ms * 1000 / $2)) us
	for r in $ROLES; do
		us=$(((${after[i]#*:} - ${before[i]#*:}) * 10000 / $2))
		line "$1_${r/-/_}_cpu_per_peer" $us us
		all=$((all + us))
		i=$((i + 1))
	done
	line "$1_all_cpu_per_peer" $all us "$(awk -v a="$all" -v b="${first:-$all}" 'BEGIN { printf "%.2f", a / b }')"
	first=${first:-$all}
}

fleet() {
	local n=$1 idle from ticks
	world_new
	fleet_world "$n"
	node_start a
	until_is 60 node_ready a
	node_identity a "$W/acme" >/dev/null || die "no identity"
	memory "fleet_${n}_before" >"$W/before"
	idle=$sum
	from=$(clock)
	ticks=$(ticks_all)
	fleet_go "$n" -N 192.0.2.1 -D || die "no fleet"
	await $((60 + n / 10)) milestone connected >/dev/null || die "not connected"
	await $((60 + n / 10)) all_connected "$n" >/dev/null || die "not connected"
	cost "fleet_$n" "$n" "$from" "$ticks"
	memory "fleet_$n"
	line "fleet_${n}_bytes_per_peer" $(((sum - idle) * 1024 / n)) bytes
	fleet_end >/dev/null
	world_end
}

world_new
authority "$W/acme" ACME
wire a f
address a 192.0.2.1/24
NODE_BACKEND=soft NODE_VERBOSE=' ' node_new a "$W/acme/root.pem"
node_start a
until_is 60 node_ready a
memory idle
world_end
first=
for n in $PEERS; do
	fleet "$n"
done
