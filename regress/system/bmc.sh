#!/bin/bash
# Two BMCs with a real systemd each, on one virtual wire, with provd installed
# and started by its units: a with keys in a software TPM, b with soft ones.
# From the maker's certificate to Connected; what systemd does to a unit; what
# it is told by one.
# shellcheck source=regress/system/lib.sh
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/system/machine.sh"
need_root
need systemd-nspawn nsenter jq systemd-sysusers mount ip openssl swtpm python3 dpkg-buildpackage dh
INSTALL=
plain_only "a package has no sanitizers"
ROLES_UP="policyd keyd netd attestd-q attestd-r busd"

world_new
finish() {
	trap - EXIT
	machines_end
	world_end
}
trap finish EXIT
pair_wire
machines_new deb

# vctl NAME ARGUMENT...: provctl in the machine
vctl() {
	local n=$1
	shift
	in_machine "$n" provctl "$@"
}
# world.sh's peer_is, await_peer, node_ready and node_id then ask the machine.
ctl() {
	vctl "$@"
}

bmc_new() {	# bmc_new NAME PEER KEY-BACKEND
	local r=$W/$1.vm/root
	machine_new "$1"
	cp "$W/acme/root.pem" "$r/etc/acme.pem"
	cat >"$r/etc/provd.conf" <<-EOT
	node "$1" interface "eth1"
	key backend $3
	accept root "/etc/acme.pem" serial "SN-?"
	peer "$2" { }
	lldp interval 1 s hold 100
	keepalive 1 s
	silence 10 s
	retry 100 ms to 1 s
	dbus
	EOT
}
bmc_new a b 'tpm "unix:/run/tpm/sock"'
bmc_new b a soft
# a's TPM is there before keyd is, as a device would be.
cat >"$W/a.vm/root/etc/systemd/system/tpm.service" <<'EOT'
[Unit]
Before=provd-keyd.service
[Service]
Type=exec
RuntimeDirectory=tpm
StateDirectory=tpm
ExecStart=/usr/bin/swtpm socket --tpm2 --tpmstate dir=/var/lib/tpm \
  --server type=unixio,path=/run/tpm/sock --flags startup-clear,not-need-init
ExecStartPost=/bin/sh -c 'until [ -S /run/tpm/sock ]; do :; done; chgrp tss /run/tpm/sock; chmod 660 /run/tpm/sock'
EOT
ln -s /etc/systemd/system/tpm.service "$W/a.vm/root/etc/systemd/system/multi-user.target.wants/"
for n in a b; do
	machine_start $n "$(ns_of $n)"
done
for n in a b; do
	machine_up $n >/dev/null ||
	    skip_all "systemd does not boot in a container here: $(tail -n 3 "$W/$n.vm/console")"
done
for n in a b; do
	ok "$n: the package is installed" machine_install $n >"$W/$n.installed" &
	INSTALL="$INSTALL $!"
done
# shellcheck disable=SC2086
wait $INSTALL
merge "$W"/{a,b}.installed
# ready NODE: are all its units active, and say they so to policyd?
ready() {
	local say
	units_active "$1" "$(wc -w <<<"$ROLES_UP")" || return
	say=$(ctl "$1" --json status | jq -r 'select(.row == "daemon") | "\(.role) \(.state)"')
	echo "$say"
	[ "$(grep -c ' ready$' <<<"$say")" -ge 5 ]
}
connected() {
	await_peer a b connected Connected 90 && await_peer b a connected Connected 90
}
both() {	# both are up, and the pair is Connected
	await 90 ready a && await 90 ready b && connected
}

for n in a b; do
	ok "$n: its units are up" await 60 ready $n
	# policyd has read the group by now
	in_machine $n useradd -M -G provd op
	in_machine $n useradd -M joe
done
is "a: keys are in its TPM" "$(ctl a --json status | jq -r 'select(.row == "keyd").backend')" tpm
identity() {	# identity NODE: CSR out, chain in
	local r=$W/$1.vm/root/root
	ctl "$1" identity csr --serial "SN-$1" -o /root/csr.pem &&
	    device_certificate "$W/acme" "$r/csr.pem" "$r/chain.pem" &&
	    ctl "$1" identity install /root/chain.pem
}
for n in a b; do
	ok "$n: the maker's certificate is installed" identity $n
done
heard() {
	ctl "$1" --json neighbours | jq -es "flatten | any(.name == \"$2\")" >/dev/null
}
ok "a hears b over LLDP" await 60 heard a b
ok "b hears a over LLDP" await 60 heard b a

# ---- D-Bus, from inside ------------------------------------------------------

BUS=xyz.openbmc_project.Provisioning
THERE="$BUS /xyz/openbmc_project/Provisioning $BUS.Provisioning"
bus() {		# bus NODE USER VERB [ARGUMENT...]: busctl on our main object
	local n=$1 u=$2 v=$3
	shift 3
	# shellcheck disable=SC2086
	in_machine "$n" runuser -u "$u" -- busctl --no-pager "$v" $THERE "$@"
}
property() {	# property NODE NAME VALUE
	local now
	now=$(bus "$1" root get-property "$2")
	echo "$now"
	[ "$now" = "$3" ]
}
STATUS=$BUS.Provisioning.PeerConnectionStatus
ok "Provisioned is false" property a Provisioned "b false"
ok "PeerConnected is NotDetermined" property a PeerConnected "s \"$STATUS.NotDetermined\""
out=$(bus a joe call ProvisionPeer s b 2>&1)
is "a user outside of the group may not call" $? 1
like "the bus says so" "$out" 'denied|not allowed'
nok "nor read" bus a joe get-property Provisioned
ok "a member of the group may read" bus a op get-property Provisioned
like "and call, but policyd has not heard of a new member" "$(bus a op call ProvisionPeer s b 2>&1)" BUS-004
in_machine a systemctl restart provd-policyd.service
ok "until it starts again" await 60 ready a
ok "then ProvisionPeer is accepted" await 30 bus a op call ProvisionPeer s b
ok "the pair is Connected" connected
ok "root sees it: Provisioned" await 30 property a Provisioned "b true"
ok "PeerConnected" await 30 property a PeerConnected "s \"$STATUS.Connected\""
ok "the other one says the same" await 30 property b PeerConnected "s \"$STATUS.Connected\""
ok "root may call, too" bus b root call ProvisionPeer s a
like "who asked is in the audit log" "$(ctl a --json audit show)" "claimed by busd: uid $(in_machine a id -u op)"

# ---- the journal ---------------------------------------------------------------

journal() {	# journal NODE MATCH...: how many entries
	local n=$1
	shift
	in_machine "$n" journalctl -b -o json --no-pager "$@" | jq -rs length
}
ctl a provision b --identity "$(printf '0%.0s' {1..40})" >/dev/null 2>&1
ok "entries say which peer they are about" test "$(journal a PROVD_PEER=b)" -gt 0
is "and no other one" "$(journal a PROVD_PEER=c)" 0
reasoned() {
	in_machine a journalctl -b -o json --no-pager PROVD_PEER=b |
	    jq -es 'any(.PROVD_REASON != null and (.MESSAGE | contains("b")))'
}
ok "and the reason, where something is refused" await 30 reasoned
ok "provision again" ctl a provision b --identity "$(node_id b)"

# ---- systemctl restart, kill -9 --------------------------------------------------

for r in $ROLES_UP; do
	old_a=$(unit a $r MainPID)
	old_b=$(unit b $r MainPID)
	in_machine a kill -9 "$old_a"
	in_machine b systemctl restart "provd-$r.service"
	ok "$r: a's is started anew after SIGKILL" await 60 unit_anew a $r "$old_a"
	ok "$r: b's is another one after 'systemctl restart'" await 60 unit_anew b $r "$old_b"
	ok "$r: the pair is Connected" both
done
ok "and on the bus" await 30 property a PeerConnected "s \"$STATUS.Connected\""

# ---- any order ---------------------------------------------------------------------

started() {
	[ "$(unit b "$1" MainPID)" != 0 ]
}
in_order() {	# in_order ROLE...: b's units are started one after the other
	local r
	in_machine b systemctl stop provd.target 'provd-*.service'
	for r; do
		in_machine b systemctl start --no-block "provd-$r.service"
		await 30 started "$r" || return
	done
}
# The service manager waits for each that is started; none waits for a later one.
SEED=${SEED:-$RANDOM}
diag "SEED=$SEED"
orders() {
	tr ' ' '\n' <<<"$ROLES_UP" | tac | xargs
	tr ' ' '\n' <<<"$ROLES_UP" | shuf --random-source=<(yes "$SEED") | xargs
}
while read -r order; do
	# shellcheck disable=SC2086
	ok "$order: all start" in_order $order
	ok "$order: the pair is Connected" both
done < <(orders)

# ---- ready, and not before -----------------------------------------------------------

in_machine b systemctl stop provd.target 'provd-*.service'
in_machine b systemctl mask provd-policyd.service >/dev/null 2>&1
OTHERS=${ROLES_UP#policyd }
for r in $OTHERS; do
	in_machine b systemctl start --no-block "provd-$r.service"
done
waits() {	# waits ROLE: it has said so
	in_machine b journalctl -b --no-pager "_PID=$(unit b "$1" MainPID)" | grep -q 'waiting for policyd'
}
for r in $OTHERS; do
	ok "$r: waits for policyd" await 30 waits "$r"
	is "$r: is not ready without it" "$(unit b "$r" ActiveState)" activating
done
in_machine b systemctl unmask provd-policyd.service >/dev/null 2>&1
in_machine b systemctl start --no-block provd-policyd.service
ok "with policyd all are ready, and Connected" both

# One that cannot confine itself is not ready either: it ends.
before=$(unit b attestd-r ActiveEnterTimestampMonotonic)
machine_dropin b bare $'AmbientCapabilities=\nCapabilityBoundingSet=' provd-attestd-r
in_machine b systemctl daemon-reload
in_machine b systemctl restart --no-block provd-attestd-r.service
gives_up() {
	[ "$(unit b attestd-r NRestarts)" -gt 0 ]
}
ok "attestd-r may not chroot: it ends" await 30 gives_up
is "and was never ready" "$(unit b attestd-r ActiveEnterTimestampMonotonic)" "$before"
rm -r "$W/b.vm/root/etc/systemd/system/provd-attestd-r.service.d"
in_machine b systemctl daemon-reload
in_machine b systemctl restart --no-block provd-attestd-r.service
ok "when it may, the pair is Connected" both

# ---- the package, again -----------------------------------------------------------------

id=$(node_id b)
old=$(unit b keyd MainPID)
ok "b: the package is installed over itself" machine_install b
ok "the pair is Connected" both
ok "by other processes" unit_anew b keyd "$old"
is "b is who it was" "$(node_id b)" "$id"

# ---- the watchdog ---------------------------------------------------------------------

machine_dropin b watchdog WatchdogSec=4s
in_machine b systemctl daemon-reload
in_machine b systemctl restart provd.target
ok "with a watchdog of 4 s the pair is Connected" both
declare -A OLD FED
for r in $ROLES_UP; do
	OLD[$r]=$(unit b $r MainPID)
done
in_machine b kill -STOP "${OLD[@]}"
barked() {
	in_machine b journalctl -b --no-pager _PID=1 "UNIT=provd-$1.service" | grep -q 'Watchdog timeout'
}
for r in $ROLES_UP; do
	ok "$r: stopped, it is ended by its watchdog" await 60 barked $r
	ok "$r: and started anew" await 60 unit_anew b $r "${OLD[$r]}"
done
ok "and the pair is Connected" both
fed() {		# fed ROLE SINCE
	[ "$(unit b "$1" WatchdogTimestampMonotonic)" -gt "$2" ]
}
for r in $ROLES_UP; do
	OLD[$r]=$(unit b $r MainPID)
	FED[$r]=$(unit b $r WatchdogTimestampMonotonic)
done
for r in $ROLES_UP; do
	ok "$r: feeds it" await 30 fed $r "${FED[$r]}"
	is "$r: and lives" "$(unit b $r MainPID)" "${OLD[$r]}"
done

# ---- a boot with no clock, and the last frame before it --------------------------------

# last_frame: until an LLDPDU with a time to live of 0 comes to a, that is
# until b says good bye
last_frame() {
	exec nsenter --net="/run/netns/$(ns_of a)" python3 -c '
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88cc))
s.bind(("eth1", 0x88cc))
s.setsockopt(263, 1, socket.if_nametoindex("eth1").to_bytes(4, "little") +
    b"\0\0\6\0" + bytes.fromhex("0180c200000e0000"))
print("listening", flush=True)
while True:
    f, a = s.recvfrom(2048)
    if a[2] != socket.PACKET_OUTGOING and b"\x06\x02\0\0" in f[14:]:
        print("good bye", f.hex(), flush=True)
        break' >"$W/frame" 2>&1
}
last_frame &
WORLD_PIDS="$WORLD_PIDS $!"
await 30 grep -q listening "$W/frame"
install -D -m 644 "$O/tools/clockshim.so" "$W/b.vm/root/usr/lib/provd-test/clockshim.so"
python3 -c 'import struct, sys, time
open(sys.argv[1], "wb").write(struct.pack("=q", 60 - int(time.time())))' \
    "$W/b.vm/root/usr/lib/provd-test/shift"
machine_dropin b clock "Environment=LD_PRELOAD=/usr/lib/provd-test/clockshim.so
Environment=CLOCKSHIM=/usr/lib/provd-test/shift"
rm "$W/b.vm/root/etc/systemd/system/provd-.service.d/watchdog.conf"
forgotten() {
	! heard a b
}
nok "b has not said good bye yet" grep -q 'good bye' "$W/frame"
machine_off b
ok "b goes down: it says so with an LLDP frame" await 30 grep -q 'good bye' "$W/frame"
ok "and a forgets it at once, not after 100 s" await 30 forgotten
machine_start b "$(ns_of b)"
ok "b boots again" machine_up b
clock_unset() {
	[ "$(ctl b --json status | jq -rs 'flatten | map(select(.row == "clock"))[0].unset')" = true ]
}
ok "in 1970" await 60 clock_unset
ok "and the pair is Connected" both
ok "a hears b again" await 30 heard a b

# The same package, of a later version: dpkg does not wait for a TPM, each
# daemon is started anew, and what was trusted is.
upgrade() {
	dpkg-deb -R "$W/a.vm/root$PACKAGE" "$W/newer" &&
	    sed -i 's/^Version: .*/Version: 99/' "$W/newer/DEBIAN/control" &&
	    dpkg-deb -b "$W/newer" "$W/a.vm/root/usr/src/newer.deb" &&
	    in_machine a env DEBIAN_FRONTEND=noninteractive LC_ALL=C dpkg -i /usr/src/newer.deb
}
pids() {
	in_machine a systemctl show -P MainPID provd-{policyd,keyd,netd,attestd-q,attestd-r,busd}.service |
	    grep '[0-9]' | sort
}
before=$(pids)
anew() {
	[ "$(pids | grep -vxF -e "$before" | grep -cvx 0)" = 6 ]
}
ok "a: the package is upgraded" upgrade
ok "and all six daemons are others than before" await 60 anew
ok "and the pair is Connected" both

for n in a b; do
	ok "$n's audit log is whole" ctl $n audit verify
	is "$n: no daemon was killed by its filter" \
	    "$(in_machine $n journalctl -b --no-pager -u 'provd-*' | grep -c 'SIGSYS\|status=31')" 0
done
if [ "$TAP_FAILED" -ne 0 ]; then
	for n in a b; do
		diag "$n: $(in_machine $n journalctl -b --no-pager -u 'provd-*' | tail -n 60)"
	done
fi
ok "a: the package is removed" in_machine a dpkg -r provd
nok "none of its daemons runs" in_machine a pgrep -u _policyd,_keyd,_netd,_attestq,_attestr,_busd
ok "its state is kept" test -s "$W/a.vm/root/var/lib/provd/policyd/store.db"
for n in a b; do
	machine_off $n
	ok "$n shuts down" test ! -e "$W/$n.vm/nspawn"
done
done_testing
