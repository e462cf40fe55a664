#!/bin/bash
# The D-Bus face of two running nodes, each with a message bus of its own: what
# OpenBMC's operators type and its tools read, from nothing to Connected and
# back; who may ask for what; one signal a change and none that is not; the
# examples of busd(8) as they stand there; neighbours from an LLDP service.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/bus.sh"
need_root
need ip runsv jq openssl ss busctl dbus-daemon python3 mandoc

world_new
export NODE_BACKEND=soft NODE_VERBOSE=' '
authority "$W/acme" ACME
wire bmc-a bmc-b
wire bmc-a bmc-c eth2
address bmc-a 192.0.2.1/24
address bmc-b 192.0.2.2/24
address bmc-a 198.51.100.1/24 eth2
address bmc-c 198.51.100.3/24
for n in bmc-a bmc-b bmc-c; do
	node_new $n "$W/acme/root.pem"
	sed -i 's/^retry .*/retry 50 ms to 200 ms/' "$W/$n/conf"
	echo "accept root \"$W/acme/root.pem\" serial \"SN-bmc-?\"" >>"$W/$n/conf"
done
for n in bmc-a bmc-b; do
	bus $n
	members $n
done
echo 'peer "bmc-b" { }' >>"$W/bmc-a/conf"
echo 'peer "bmc-a" { }' >>"$W/bmc-b/conf"
echo 'peer "bmc-a" { address "198.51.100.1" }' >>"$W/bmc-c/conf"
for n in bmc-a bmc-b bmc-c; do
	node_start $n
done
for n in bmc-a bmc-b bmc-c; do
	ok "$n is ready" await_ready $n 120
done
for n in bmc-a bmc-b; do
	ok "$n has its names" owned $n
	ok "$n: and that of the attestation service" owned $n xyz.openbmc_project.attestation
	watch $n
done

# steady NODE WORD: since mark it said of PeerConnected what its one peer allows,
# which was WORD then
steady() {
	local peer=bmc_2db
	[ "$1" = bmc-a ] || peer=bmc_2da
	{ echo "peer $peer $2"; signals "$1"; } >"$W/$1/flap"
	"$TOP/regress/tools/busflap.py" "$W/$1/flap"
}

# ---- before there is an identity ---------------------------------------------

is "nobody is provisioned" "$(prop bmc-a Provisioned)" 'b false'
is "nor determined" "$(prop bmc-a PeerConnected)" "s \"${WORD}NotDetermined\""
mark bmc-a
ok "'self' may be asked for" main bmc-a call ProvisionPeer s self
ok "and is not, without a certificate of its maker" await 60 outcomes_are bmc-a false
is "which nothing changes" "$(told bmc-a Provisioned)" ''
for n in bmc-a bmc-b bmc-c; do
	ok "$n: identity" node_identity $n "$W/acme"
done

# ---- the original's four lines --------------------------------------------------

mark bmc-a
mark bmc-b
ok "busctl call ... ProvisionPeer s self" main bmc-a call ProvisionPeer s self
ok "PeerProvisioned: true" await 60 outcomes_are bmc-a true
ok "busctl call ... ProvisionPeer s bmc-b" main bmc-a call ProvisionPeer s bmc-b
ok "PeerProvisioned: true again" await 60 outcomes_are bmc-a 'true true'
for n in bmc-a bmc-b; do
	ok "$n: get-property Provisioned" await 60 prop_is $n Provisioned 'b true'
	ok "$n: get-property PeerConnected" await 60 prop_is $n PeerConnected "s \"${WORD}Connected\""
	is "$n: as the README of the original spelt it" "$(prop $n provisioned)" 'b true'
	is "$n: both of them" "$(prop $n peerConnected)" "s \"${WORD}Connected\""
	is "$n: Provisioned was said once" "$(told $n Provisioned)" true
	ok "$n: PeerConnected went up steadily" steady $n NotDetermined
done
is "provctl says the same" "$(peer_field bmc-a bmc-b connected)" Connected
for n in bmc-a bmc-b; do
	o=bmc-b
	[ $n = bmc-a ] || o=bmc-a
	is "$n: the peer's object, State" "$(peer_prop $n $o State)" 's "Connected"'
	is "$n: Name" "$(peer_prop $n $o Name)" "s \"$o\""
	is "$n: Node, what it proved" "$(peer_prop $n $o Node)" "s \"$(node_id $o)\""
	is "$n: no reason" "$(peer_prop $n $o ReasonCode)" 's ""'
	like "$n: measurements" "$(peer_prop $n $o Measurements)" '^a\{su\} [0-9]+ .*"Equal" [1-9]'
done

# ---- what there is -----------------------------------------------------------

# What libsystemd adds is its own.
ours() {
	sed -e '/^<!DOCTYPE/,/dtd">$/d' -e '/<interface name="org.freedesktop.DBus/,/<\/interface>/d' \
	    -e '/^ <node name=/d; /^$/d'
}

objects() {
	local o
	on bmc-a tree --list "$NAME"
	for o in "$OBJECT" /xyz/openbmc_project/Debug "$OBJECT/peers/bmc_2db" \
	    "$OBJECT/progress/bmc_2db"; do
		echo "$o"
		on bmc-a introspect --xml-interface "$NAME" "$o" | ours
	done
	for o in /xyz/openbmc_project/attestation_requester/devices/tcp/bmc_2db \
	    /xyz/openbmc_project/attestation_responder/tcp/responder1; do
		echo "$o"
		on bmc-a introspect --xml-interface xyz.openbmc_project.attestation "$o" | ours
	done
}
objects >"$W/objects" 2>&1
ok "the objects are those of bus.ok" diff "$W/objects" "$TOP/regress/system/bus.ok"

# ---- a cable that is cut -------------------------------------------------------

cut_begins() {
	mark bmc-a
	cable bmc-b down
	await 60 told_of_has bmc-a bmc-b PeerConnected NotConnected
}
cut_ends() {
	cable bmc-b up
	await 60 peer_prop_is bmc-a bmc-b PeerConnected "s \"${WORD}Connected\"" &&
	    await 60 prop_is bmc-a PeerConnected "s \"${WORD}Connected\"" &&
	    await 60 peer_is bmc-b bmc-a connected Connected
}
ok "the cable is cut: the peer's object says so" cut_begins
ok "and put back at once" cut_ends
ok "the node says what its peer is, steadily" steady bmc-a Connected
diag "a short cut: of the peer: $(told_of bmc-a bmc-b PeerConnected); of the node: $(told bmc-a PeerConnected)"
ok "it is cut again" cut_begins
ok "until the node says NotConnected" await 60 prop_is bmc-a PeerConnected "s \"${WORD}NotConnected\""
ok "and put back" cut_ends
ok "the node says what its peer is, steadily" steady bmc-a Connected
like "from NotConnected to Connected" "$(told bmc-a PeerConnected)" '^NotConnected (.* )?Connected$'
is "and was Provisioned all the time" "$(told bmc-a Provisioned)" ''

# ---- several peers -----------------------------------------------------------------

mark bmc-a
ok "an operator adds a peer" ctl bmc-a peer add bmc-c --serial SN-bmc-c --address 198.51.100.3
ok "Provisioned is false with it" await 60 prop_is bmc-a Provisioned 'b false'
added() {
	signals bmc-a | grep -q 'InterfacesAdded .*/peers/bmc_2dc$'
}
ok "its object was announced" await 60 added
like "and is managed" "$(on bmc-a call "$NAME" "$OBJECT" org.freedesktop.DBus.ObjectManager GetManagedObjects)" 'peers/bmc_2dc'
ok "ProvisionPeer for both at once" eval 'main bmc-a call ProvisionPeer s bmc-c && main bmc-a call ProvisionPeer s bmc-b'
ok "PeerProvisioned for both" await 60 outcomes_are bmc-a 'true true'
ok "all are provisioned" await 60 prop_is bmc-a Provisioned 'b true'
ok "and connected" await 60 prop_is bmc-a PeerConnected "s \"${WORD}Connected\""
is "bmc-c too" "$(peer_prop bmc-a bmc-c State)" 's "Connected"'
like "a progress object says how it ended" \
    "$(on bmc-a get-property "$NAME" "$OBJECT/progress/bmc_2dc" xyz.openbmc_project.Common.Progress Status)" \
    'OperationStatus\.Completed"$'
is "the attestation service names the device" "$(on bmc-a get-property xyz.openbmc_project.attestation \
    /xyz/openbmc_project/attestation_requester/devices/tcp/bmc_2dc xyz.openbmc_project.AttestationDevice remote_ip 2>&1)" \
    's "198.51.100.3"'
attested() {
	signals bmc-a | grep -q '/devices/tcp/bmc_2dc .*\.Attested true$'
}
ok "and signals that it is attested" await 60 attested

mark bmc-a
ok "bmc-c is listed a second time" ctl bmc-a peer add other \
    --identity 00112233445566778899aabbccddeeff00112233 --address 198.51.100.3
ok "ProvisionPeer for it is accepted" main bmc-a call ProvisionPeer s other
ok "and PeerProvisioned false" await 60 outcomes_are bmc-a false
is "its object says why" "$(peer_prop bmc-a other ReasonCode)" 's "POL-007"'
is "what was proved" "$(peer_prop bmc-a other ReasonExpected)" "s \"$(node_id bmc-c)\""
is "and whose that is" "$(peer_prop bmc-a other ReasonSeen)" 's "bmc-c"'
progress() {
	on bmc-a get-property "$NAME" "$OBJECT/progress/$1" xyz.openbmc_project.Common.Progress Status 2>&1 |
	    sed 's/.*\.//; s/"//'
}
is "its progress, too" "$(progress other)" Failed
ok "nobody is where another peer is" ctl bmc-a peer add ghost --serial SN-none --address 192.0.2.99
ok "ProvisionPeer for it is accepted" main bmc-a call ProvisionPeer s ghost
is "it is under way" "$(progress ghost)" InProgress
for p in other ghost; do
	ok "$p is removed" ctl bmc-a peer remove $p
done
ok "what was under way has failed" await 30 eval '[ "$(progress ghost)" = Failed ]'
ok "the node is what its peers are" await 60 prop_is bmc-a Provisioned 'b true'
ok "Connected, too" await 60 prop_is bmc-a PeerConnected "s \"${WORD}Connected\""

# ---- who may ask for what ------------------------------------------------------------

like "a user outside the group: the bus refuses" "$(AS='as out' main bmc-a call ProvisionPeer s self 2>&1)" 'Access denied|AccessDenied|rejected'
like "to read, too" "$(AS='as out' prop bmc-a Provisioned)" 'Access denied|AccessDenied|rejected'
is "a member may read" "$(AS='as in' prop bmc-a Provisioned)" 'b true'
ok "and ask" eval 'AS="as in" main bmc-a call ProvisionPeer s bmc-b'
bus_reload bmc-a open
open() {
	[ "$(AS='as out' prop bmc-a Provisioned)" = 'b true' ]
}
ok "now the bus lets everybody" await 30 open
for m in 'call ProvisionPeer s bmc-b' 'call ProvisionPeer s self'; do
	# shellcheck disable=SC2086
	like "policyd refuses: $m" "$(AS='as out' main bmc-a $m 2>&1)" 'BUS-004 '
done
for m in Unprovision Revoke Provision; do
	like "policyd refuses: $m" "$(AS='as out' at bmc-a bmc-b call $m 2>&1)" 'BUS-004 '
done
level() {	# level AS WORD
	AS="as $1" on bmc-a call "$NAME" /xyz/openbmc_project/Debug "$NAME.DebugControl" SetLogLevel s "$2" 2>&1
}
like "policyd refuses: SetLogLevel" "$(level out DEBUG)" 'BUS-004 '
is "and nothing came of any of it" "$(peer_prop bmc-a bmc-b State)" 's "Connected"'
audit() {
	ctl bmc-a --json audit show | jq -rs 'flatten | map(select(.row == "audit"))[] |
	    "\(.kind) \(.subject) \(.reason.code // "-") \(.text)"'
}
is "each is on record with the uid that busd claims" \
    "$(audit | grep -c 'BUS-004 .*claimed by busd: uid 64902')" 6
bus_reload bmc-a
ok "the bus is strict again" await 30 eval '! open'

mark bmc-a
is "a member sets the log level" "$(level in debug)" 'b true'
gets() {
	on bmc-a call "$NAME" /xyz/openbmc_project/Debug "$NAME.DebugControl" GetLogLevel 2>&1
}
is "which is what it is" "$(gets)" 's "DEBUG"'
for l in WARNING CRITICAL info; do
	is "$l, too" "$(level in $l)" 'b true'
	is "as it was said" "$(gets)" "s \"${l^^}\""
done
ok "provctl changes it" ctl bmc-a log level debug
ok "and D-Bus knows" await 30 eval '[ "$(gets)" = "s \"DEBUG\"" ]'
like "no other is known" "$(level in LOUD)" 'BUS-007 '

ok "a member ends the trust in a peer" eval 'AS="as in" at bmc-a bmc-c call Unprovision'
ok "it is NotDetermined" await 30 peer_prop_is bmc-a bmc-c State 's "NotDetermined"'
ok "and the node not Provisioned" await 30 prop_is bmc-a Provisioned 'b false'
ok "who may begin it again" eval 'AS="as in" at bmc-a bmc-c call Provision'
ok "Provisioned" await 60 prop_is bmc-a Provisioned 'b true'
ok "a member revokes one" eval 'AS="as in" at bmc-a bmc-c call Revoke'
ok "it is Revoked" await 30 peer_prop_is bmc-a bmc-c State 's "Revoked"'
like "which is not lifted here" "$(AS='as in' at bmc-a bmc-c call Unprovision 2>&1)" 'BUS-009 '
is "his uid is on record each time" \
    "$(audit | grep -cE '(unprovision|revoke).*claimed by busd: uid 64901|claimed by busd: uid 64901.*(unprovision|revoke)')" 3
ok "provctl lifts it" ctl bmc-a unprovision bmc-c
mark bmc-a
ok "provctl removes the peer" ctl bmc-a peer remove bmc-c
removed() {
	signals bmc-a | grep -q 'InterfacesRemoved .*/peers/bmc_2dc$'
}
ok "its object goes" await 30 removed
ok "and the node is Provisioned without it" await 30 prop_is bmc-a Provisioned 'b true'
like "nobody has this object" "$(peer_prop bmc-a bmc-c State)" 'Unknown|No such'

# ---- evidence is not what somebody signals ------------------------------------------

ok "bmc-b is not trusted" at bmc-a bmc-b call Unprovision
ok "and said so" await 30 peer_prop_is bmc-a bmc-b Provisioned 'b false'
on bmc-a emit /xyz/openbmc_project/attestation_requester/devices/tcp/bmc_2db \
    xyz.openbmc_project.AttestationDevice Attested b true
on bmc-a emit "$OBJECT" "$FACE" PeerProvisioned b true
is "a signal that it is attested changes nothing" "$(peer_prop bmc-a bmc-b Provisioned)" 'b false'
ok "'attest' of the attestation service is ProvisionPeer" on bmc-a call xyz.openbmc_project.attestation \
    /xyz/openbmc_project/attestation_requester/devices/tcp/bmc_2db xyz.openbmc_project.AttestationDevice attest
ok "Connected again" await 60 prop_is bmc-a PeerConnected "s \"${WORD}Connected\""

# ---- busd(8) --------------------------------------------------------------------------

examples() {	# as a reader sees them; a line that ends in \ goes on
	mandoc -T ascii -O width=200 "$TOP/man/busd.8" | col -bx | sed -e :a -e '/\\$/N; s/\\\n */ /; ta' |
	    sed -nE 's/^ *[$#]? *(busctl .*)/\1/p'
}
ok "busd(8) has examples" test "$(examples | wc -l)" -ge 6
while read -r line; do
	case $line in
	*' monitor'*) line="timeout 1 $line; [ \$? -eq 124 ]" ;;
	esac
	ok "$line" env DBUS_SYSTEM_BUS_ADDRESS="unix:path=$W/bmc-a/bus/socket" sh -c "$line"
done < <(examples)
ok "after them Connected again" await 60 prop_is bmc-a PeerConnected "s \"${WORD}Connected\""

# ---- neighbours from the bus --------------------------------------------------------------

heard() {	# heard NODE NEIGHBOUR ADDRESS
	ctl "$1" --json neighbours | jq -es "flatten | any(.name == \"$2\" and .address4 == \"$3\")" >/dev/null
}
hears_nobody() {
	! ctl "$1" --json neighbours | jq -es 'flatten | any(.row == "neighbour")' >/dev/null
}
ok "bmc-b hears bmc-a" await 30 heard bmc-b bmc-a 192.0.2.1
node_stop bmc-a
ok "until it stops, which its last frame says" await 30 hears_nobody bmc-b
sed -i 's/^lldp interval.*/neighbours from dbus/' "$W/bmc-a/conf"
cat >"$W/bmc-a/bus/more" <<-EOF
	<busconfig><policy user="root"><allow own="xyz.openbmc_project.LLDP"/></policy></busconfig>
EOF
node_start bmc-a
mkfifo "$W/lldp"
ok "bmc-a is ready, with neighbours from dbus" await_ready bmc-a 120
"$O/tools/busplay" "$W/bmc-a/bus/socket" lldp <"$W/lldp" >"$W/lldp.out" 2>&1 &
WORLD_PIDS="$WORLD_PIDS $!"
exec 3<>"$W/lldp"
ok "a service that speaks LLDP" await 10 grep -q owns "$W/lldp.out"
is "its netd has no packet socket" "$(in_ns bmc-a ss -0nH | wc -l)" 0
ok "it hears nobody yet" hears_nobody bmc-a
echo "heard eth1 bmc-b 192.0.2.2" >&3
ok "a service on the bus names bmc-b" await 30 heard bmc-a bmc-b 192.0.2.2
echo "moved eth1 192.0.2.22" >&3
ok "then another address of it" await 30 heard bmc-a bmc-b 192.0.2.22
echo "moved eth1 192.0.2.999" >&3
counted() {
	ctl bmc-a --json status | jq -es "flatten | any(.row == \"counter\" and .role == \"busd\" and .reason.code == \"$1\")" >/dev/null
}
ok "what is no address is counted" await 30 counted BUS-011
echo "heard eth1 self 192.0.2.2" >&3
echo "gone eth1" >&3
ok "and gone it is" await 30 hears_nobody bmc-a
ok "bmc-b has not heard bmc-a since" hears_nobody bmc-b
exec 3>&-

for n in bmc-a bmc-b; do
	ok "$n: every signal said something new" "$TOP/regress/tools/bussaid.py" "$W/$n/seen"
	ok "$n: the audit log is whole" ctl $n audit verify
done
for n in bmc-a bmc-b bmc-c; do
	node_stop $n
done
ok "no sanitizer spoke" world_sanitized_clean
done_testing
