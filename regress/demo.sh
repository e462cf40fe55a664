#!/bin/bash
# Two BMCs find, attest and trust each other, over D-Bus too, then devices enrol
# with a registrar, live. Run by 'make demo', as root: network namespaces, a software
# TPM each, every daemon under runsv as its own user, confined. KEEP=1 leaves
# all of it running.
. "$(dirname "$0")/system/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/bus.sh"

KEEP=${KEEP:-}
START=$SECONDS
STEPS=()
BAD=0

bold=; red=; green=; off=
if [ -t 1 ]; then
	bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' off=$'\e[0m'
fi

title() {
	printf '\n%s== %s%s\n' "$bold" "$1" "$off"
}

# step DESC CMD...: do it; its verdict goes to the table at the end
step() {
	local desc=$1 out from=$EPOCHREALTIME ms
	shift
	if out=$("$@" 2>&1); then
		ms=$(((${EPOCHREALTIME/./} - ${from/./}) / 1000))
		printf '   %sok%s   %s (%d.%d s)\n' "$green" "$off" "$desc" $((ms / 1000)) $((ms % 1000 / 100))
		STEPS+=("ok      $desc")
	else
		printf '   %sFAIL%s %s\n' "$red" "$off" "$desc"
		printf '%s\n' "$out" | sed 's/^/        /'
		STEPS+=("FAILED  $desc")
		BAD=1
	fi
}

show() {	# show CMD...: what a person would type, and what it says
	printf '   $ %s\n' "$*"
	"$@" 2>&1 | sed 's/^/     /'
}

provctl() {	# provctl on NODE ...: reads like the command itself
	local n=$2
	shift 2
	ctl "$n" "$@"
}

busctl() {	# busctl on NODE ...: the same
	local n=$2
	shift 2
	on "$n" "$@"
}

monitored() {	# monitored NODE: what busctl monitor shows since mark, less wide
	signals "$1" | sed "s,^[0-9]* $OBJECT,.,; s,org.freedesktop.DBus.Properties.,,; s,$WORD,...,"
}

connected() {
	await_peer bmc-a bmc-b connected Connected "${1:-60}" &&
	    await_peer bmc-b bmc-a connected Connected "${1:-60}"
}

heard() {	# heard NODE NEIGHBOUR
	ctl "$1" --json neighbours | jq -es "flatten | any(.name == \"$2\")" >/dev/null
}

refused_because() {	# refused_because TEXT CMD...: it fails and says so
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then
		echo "was not refused: $out"
		return 1
	fi
	printf '%s\n' "$out"
	printf '%s\n' "$out" | grep -qiE -- "$text"
}

peers_of_a() {
	echo 'peer "bmc-b" { }' >>"$W/bmc-a/conf"
	# bmc-b's operator lists bmc-a by the serial number in its certificate.
	cat >>"$W/bmc-b/conf" <<-EOF
	accept root "$W/acme/root.pem" serial "SN-bmc-a"
	peer "bmc-a" { }
	EOF
}

wait_for_operator() {
	cat <<-EOF

	Everything still runs. Talk to the two BMCs:

	  $O/bin/provctl -s $W/bmc-a/run/control.sock status
	  $O/bin/provctl -s $W/bmc-a/run/control.sock peer show bmc-b
	  $O/bin/provctl -s $W/bmc-b/run/control.sock monitor
	  busctl --address=unix:path=$W/bmc-a/bus/socket introspect $NAME $OBJECT
	  busctl --address=unix:path=$W/bmc-a/bus/socket monitor $NAME
	  ip -n $(ns_of bmc-a) link set eth1 down        # pull the cable
	  tail -f $W/bmc-a/log/*

	Stop it with:  kill $$
	EOF
	trap 'exit 0' TERM INT
	while :; do
		read -r -t 3600 <>"$W/never"
	done
}

[ "$(id -u)" -eq 0 ] || {
	echo "make demo makes network namespaces and users: run it as root" >&2
	exit 1
}
world_new

title "A maker's root, two BMCs, a cable"
step "ACME, the maker of both BMCs" authority "$W/acme" ACME
step "Mallory, another maker" authority "$W/mallory" Mallory
wire bmc-a bmc-b && address bmc-a 192.0.2.1/24 && address bmc-b 192.0.2.2/24 || {
	echo "no network namespaces or no veth here: nothing to show" >&2
	exit 1
}
node_new bmc-a "$W/acme/root.pem"
node_new bmc-b "$W/acme/root.pem"
peers_of_a
for n in bmc-a bmc-b; do
	bus $n
	members $n
done
node_start bmc-a
node_start bmc-b
step "bmc-a: six daemons confined and linked, keys made in its TPM" await_ready bmc-a
step "bmc-b: the same" await_ready bmc-b
step "bmc-a: identity certificate from ACME" node_identity bmc-a "$W/acme"
step "bmc-b: identity certificate from ACME" node_identity bmc-b "$W/acme"
ID_B=$(node_id bmc-b)

title "They hear each other over LLDP"
step "bmc-a hears bmc-b" await 30 heard bmc-a bmc-b
step "bmc-b hears bmc-a" await 30 heard bmc-b bmc-a
show provctl on bmc-a neighbours

title "Provision: attest, judge, trust"
step "without a listed identity it is refused, and the id to confirm is shown" \
    refused_because "$ID_B" ctl bmc-a provision bmc-b
step "provctl provision bmc-b --identity $ID_B" \
    ctl bmc-a provision bmc-b --identity "$ID_B"
show provctl on bmc-a peer show bmc-b
step "Provisioned on bmc-a" await_peer bmc-a bmc-b provisioned true
step "Provisioned on bmc-b, which attested in its turn" await_peer bmc-b bmc-a provisioned true
step "Connected on both sides" connected

title "The same pair on D-Bus, as OpenBMC's tools see it"
for n in bmc-a bmc-b; do
	step "$n has its name on its bus" await 30 owned $n
done
show busctl on bmc-a tree "$NAME"
for n in bmc-a bmc-b; do
	show busctl on $n get-property "$NAME" "$OBJECT" "$FACE" PeerConnected
	step "$n is attested by itself as it would a peer, and Provisioned" \
	    await 60 prop_is $n Provisioned 'b true'
	show busctl on $n get-property "$NAME" "$OBJECT" "$FACE" Provisioned
done
show busctl on bmc-b introspect "$NAME" "$OBJECT" "$FACE"
show busctl on bmc-b introspect "$NAME" "$OBJECT/peers/bmc_2da" "$PEER"
watch bmc-a
mark bmc-a
step "busctl call ... ProvisionPeer s bmc-b: attested anew" main bmc-a call ProvisionPeer s bmc-b
step "the result is a signal, PeerProvisioned" await 60 outcomes_are bmc-a true
step "a user who is not in the group provd is refused" \
    refused_because 'access denied' eval "AS='as out' main bmc-a call ProvisionPeer s bmc-b"

title "Pull the cable, put it back"
mark bmc-a
cable bmc-b down
step "NotConnected on bmc-a" await_peer bmc-a bmc-b connected NotConnected
step "NotConnected on bmc-b" await_peer bmc-b bmc-a connected NotConnected
step "and on the bus of bmc-a, once it has held for two seconds" await 30 told_has bmc-a PeerConnected NotConnected
cable bmc-b up
step "Connected again by itself" connected
step "and on the bus" await 30 told_has bmc-a PeerConnected Connected
printf '   $ busctl on bmc-a monitor %s\n' "$NAME"
monitored bmc-a | sed 's/^/     /'

title "Kill each daemon of bmc-b with SIGKILL"
for r in $(daemons bmc-b); do
	kill9 bmc-b "$r"
	step "$r killed; every daemon is back, the pair is Connected" \
	    eval 'await_ready bmc-b && connected'
done

title "bmc-b's firmware changes"
echo "firmware of bmc-b, with a back door" >"$W/bmc-b/firmware"
kill9 bmc-b attestd-r		# files are measured when it starts
await_ready bmc-b >/dev/null
step "bmc-a attests anew and refuses: what was measured has changed" \
    refused_because 'ATT-|POL-' ctl bmc-a provision bmc-b
show provctl on bmc-a explain peer bmc-b
step "bmc-a has ended the connection" await_peer bmc-a bmc-b state AttestationFailed

title "bmc-b gets its firmware back"
echo "firmware of bmc-b, version 1" >"$W/bmc-b/firmware"
kill9 bmc-b attestd-r
await_ready bmc-b >/dev/null
step "provision again: Provisioned" ctl bmc-a provision bmc-b
step "Connected on both sides" connected

title "A stranger with another root"
wire bmc-a stranger eth2
address bmc-a 198.51.100.1/24 eth2
address stranger 198.51.100.3/24
NODE_BACKEND=soft node_new stranger "$W/mallory/root.pem"
node_start stranger
step "the stranger starts" await_ready stranger
step "with an identity from Mallory" node_identity stranger "$W/mallory"
step "an operator of bmc-a lists it all the same" \
    ctl bmc-a peer add stranger --identity "$(node_id stranger)" --address 198.51.100.3
step "bmc-a refuses it: the root is not accepted" \
    refused_because 'root' ctl bmc-a provision stranger

title "The audit log of bmc-a"
step "provctl audit verify" ctl bmc-a audit verify
show provctl on bmc-a audit show --last 5

. "$TOP/regress/demo_enrol.sh"

title "Result"
printf '   %s\n' "${STEPS[@]}"
printf '\n   %d steps in %d s\n' "${#STEPS[@]}" $((SECONDS - START))
if [ -n "$KEEP" ]; then
	wait_for_operator
fi
if [ "$BAD" -ne 0 ]; then
	for n in bmc-a bmc-b registrar; do
		node_logs "$n" 25
	done
fi
exit "$BAD"
