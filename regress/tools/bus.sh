# shellcheck shell=bash
# What tests of the D-Bus face share. Sourced after world.sh.

# shellcheck disable=SC2034
{
NAME=xyz.openbmc_project.Provisioning
OBJECT=/xyz/openbmc_project/Provisioning
FACE=$NAME.Provisioning
PEER=$NAME.Peer
WORD=$FACE.PeerConnectionStatus.
ERROR=xyz.openbmc_project.Common.Error
}

main() {	# main NODE call|get-property ARGUMENT...: at the main object
	local n=$1 verb=$2
	shift 2
	on "$n" "$verb" "$NAME" "$OBJECT" "$FACE" "$@"
}

prop() {	# prop NODE PROPERTY: of the main object, as busctl shows it
	main "$1" get-property "$2" 2>&1
}

prop_is() {
	[ "$(prop "$1" "$2")" = "$3" ]
}

# encoded NAME: as sd_bus_path_encode(3) does
encoded() {
	printf '%s' "$1" | od -An -v -tx1 | tr -s ' ' '\n' | sed '/^$/d' | while read -r x; do
		case $x in
		3[0-9]|4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a]) printf '%b' "\\x$x" ;;
		*) printf '_%s' "$x" ;;
		esac
	done
}

at() {	# at NODE PEER VERB ARGUMENT...: at a peer's object
	local n=$1 p=$2 verb=$3
	shift 3
	on "$n" "$verb" "$NAME" "$OBJECT/peers/$(encoded "$p")" "$PEER" "$@"
}

peer_prop() {	# peer_prop NODE PEER PROPERTY
	at "$1" "$2" get-property "$3" 2>&1
}

peer_prop_is() {
	[ "$(peer_prop "$1" "$2" "$3")" = "$4" ]
}

owned() {	# owned NODE: busd has its name
	on "$1" call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \
	    NameHasOwner s "${2:-$NAME}" 2>/dev/null | grep -q true
}

# watch NODE: what goes over its bus, a JSON object each, in $W/NODE/seen
watch() {
	command busctl --address="unix:path=$W/$1/bus/socket" monitor --json=short \
	    >"$W/$1/seen" 2>"$W/$1/watch" &
	WORLD_PIDS="$WORLD_PIDS $!"
	await 10 grep -q Monitoring "$W/$1/watch"
}

# signals NODE FILTER: the signals of busd since mark, a line each:
#   microseconds path interface.member argument...
signals() {
	tail -n +"$(($(cat "$W/$1/mark" 2>/dev/null || echo 0) + 1))" "$W/$1/seen" |
	    grep '"type":"signal"' | grep -vF '"interface":"org.freedesktop.DBus"' |
	    jq -r '"\(."timestamp-realtime") \(.path) \(.interface).\(.member) \(
	    if .member == "PropertiesChanged" then (.payload.data[1] | to_entries |
		sort_by(.key) | map("\(.key)=\(.value.data)") | join(" "))
	    elif .member == "InterfacesAdded" or .member == "InterfacesRemoved" then .payload.data[0]
	    else (.payload.data | join(" ")) end)"' 2>/dev/null
}

mark() {
	wc -l <"$W/$1/seen" >"$W/$1/mark"
}

# told NODE PROPERTY: the values that the main object said since mark, in order
told() {
	signals "$1" | awk -v o="$OBJECT" -v p="$2" '$2 == o && /PropertiesChanged/ {
	    for (i = 4; i <= NF; i++) if (index($i, p "=") == 1) {
		v = substr($i, length(p) + 2); sub(/.*\./, "", v); print v } }' |
	    paste -s -d ' '
}

# told_of NODE PEER PROPERTY: the same of a peer
told_of() {
	signals "$1" | awk -v o="$OBJECT/peers/$(encoded "$2")" -v p="$3" '$2 == o && /PropertiesChanged/ {
	    for (i = 4; i <= NF; i++) if (index($i, p "=") == 1) {
		v = substr($i, length(p) + 2); sub(/.*\./, "", v); print v } }' |
	    paste -s -d ' '
}

told_has() {	# told_has NODE PROPERTY VALUE
	told "$1" "$2" | grep -qw "$3"
}

told_of_has() {	# told_of_has NODE PEER PROPERTY VALUE
	told_of "$1" "$2" "$3" | grep -qw "$4"
}

outcomes() {	# outcomes NODE: what PeerProvisioned said since mark
	signals "$1" | awk '$3 ~ /\.PeerProvisioned$/ { print $4 }' | paste -s -d ' '
}

outcomes_are() {
	[ "$(outcomes "$1")" = "$2" ]
}

# bus_reload NODE [open]: another policy, for whoever calls from now on
bus_reload() {
	bus_policy "$@" && kill -HUP "$(pid_of "$1" dbus)"
}
