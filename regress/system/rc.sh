#!/bin/bash
# The rc scripts, as installed, on a system of their own that has no systemd:
# any order, in the background, found again without pid files. What it is
# configured with is the file of OpenBMC's provisioning daemon. In namespaces,
# so that daemons of other tests are not seen.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need unshare jq setpriv systemd-sysusers dbus-daemon busctl ip
if [ "${1:-}" != inside ]; then
	users
	exec unshare --net --uts --pid --fork --mount-proc --kill-child -- "$0" inside
fi

workdir
trap 'rm -rf "$W"' EXIT
ip link set lo up
ip link add eth2 type veth peer name there
ip link set eth2 up
echo bmc0 >/proc/sys/kernel/hostname
ok "make install" make -s -C "$TOP" O="$O" PREFIX="$W/usr" SYSCONFDIR="$W/etc" install
# Its sample has the port in quotes, on which the original itself fails.
cat >"$W/provisioning.json" <<-EOF
{
	"port": "8090",
	"cert_root": "/",
	"interface_id": "eth2",
	"retry_count": 3,
	"retry_timer": 30
}
EOF
cat >"$W/provd.conf" <<-EOF
include json "$W/provisioning.json"
dbus socket "$W/bmc/bus/socket"
run directory "$W/run"
state directory "$W/state"
key backend soft
ca "rc" { server "bmc0" }
listen enrol port 8443
EOF
export provd_conf=$W/provd.conf
ctl() {
	"$W/usr/bin/provctl" -f "$provd_conf" "$@"
}
rc() {
	"$W/etc/rc.d/provd_$1" "$2"
}
ready() {
	[ "$(ctl --json status | jq -rs '[.[] | select(.row == "daemon" and .role != "policyd" and .state == "ready")] | length')" = "$1" ]
}

out=$(rc netd configtest 2>&1)
is "the port in quotes is an error" "$?" 1
is "which says what to write" "$out" \
    "$W/provisioning.json:1: port is a number in quotes: write \"port\": 8090 without them"
out=$(rc netd start 2>&1)
is "and nothing starts with it" "$?" 1
sed -i 's/"8090"/8090/' "$W/provisioning.json"

# policyd last, the others wait for it; and the bus is not there yet
for r in busd attestd_r enrold netd keyd attestd_q policyd; do
	ok "$r: configtest" rc $r configtest
	nok "$r: check says that it is down" rc $r check
	ok "$r: start returns once it is confined" rc $r start
	ok "$r: check" rc $r check
	like "$r: status" "$(rc $r status)" 'up, pid [0-9]+'
done
ok "all of them find each other" await 60 ready 5
like "the node has the name of its host" "$(ctl status)" 'bmc0'
ok "netd has the port of that file" grep -q ':1F9A ' /proc/net/tcp6
like "busd waits for the bus" "$(rc busd status)" 'up, pid [0-9]+'
is "as nobody else than its user" \
    "$(awk '/^Uid:/ { print $2, $3, $4 }' "/proc/$(rc busd status | sed 's/.*pid //; s/ .*//')/status")" \
    "$(id -u _busd) $(id -u _busd) $(id -u _busd)"
out=$(ctl check)
is "provctl check is not content without a bus" "$?" 1
like "and says why" "$out" "fail +dbus +$W/bmc/bus/socket: No such file"
like "and who is not ready" "$out" 'fail +daemon +busd is '
mkdir -p "$W/bmc/bus"
bus_policy bmc
dbus-daemon --fork --nopidfile --nosyslog --config-file="$W/bmc/bus/conf" --print-pid >"$W/dbus.pid"
ok "and is ready once there is one" await 60 ready 6
asks() {	# asks USER ARGUMENT...: over the bus
	setpriv --reuid="$1" --regid="$1" --clear-groups -- busctl --address="unix:path=$W/bmc/bus/socket" "${@:2}"
}
P=xyz.openbmc_project.Provisioning
like "and shows the node there" \
    "$(asks 0 get-property $P /xyz/openbmc_project/Provisioning $P.Provisioning PeerConnected 2>&1)" \
    'PeerConnectionStatus.NotDetermined'
kill "$(cat "$W/dbus.pid")"
down() {
	! rc busd check
}
ok "it ends with the bus" await 30 down
ok "and is started again before there is another one" rc busd start
dbus-daemon --fork --nopidfile --nosyslog --config-file="$W/bmc/bus/conf" --print-pid >"$W/dbus.pid"
ok "for which it waits" await 60 ready 6
like "start again starts nothing" "$(rc keyd start)" 'runs already'
old=$(rc keyd status)
ok "restart" rc keyd restart
ok "the new one is found" rc keyd check
is "and it is another one" "$([ "$old" != "$(rc keyd status)" ] && echo yes)" yes
ok "and greets policyd" await 60 ready 6
old=$(rc busd status)
ok "busd: restart" rc busd restart
is "and it is another one" "$([ "$old" != "$(rc busd status)" ] && echo yes)" yes
ok "and greets policyd" await 60 ready 6
out=$(ctl check)
is "provctl check finds nothing amiss" "$?" 0
for what in 'node +bmc0' 'interface +eth2' 'user +_busd' "dbus +$W/bmc/bus/socket" \
    "directory +$W/run/busd" "socket +$W/run/busd/hub.sock" 'daemon +busd is ready'; do
	like "and has seen: $what" "$out" "ok +$what"
done
like "what is not used of that file is a warning" "$out" 'warn +cert_root '

# An operator needs the group, and nothing else.
as_nobody() {
	local groups=$1
	shift
	setpriv --reuid=nobody --regid=nogroup "$groups" -- "$W/usr/bin/provctl" -f "$provd_conf" "$@"
}
ok "a member of provd may look" as_nobody --groups=provd status
ok "and command" as_nobody --groups=provd peer add other --serial X-1
like "and is named in the audit log" "$(ctl audit show)" "uid $(id -u nobody): peer add"
out=$(as_nobody --clear-groups status 2>&1)
is "others may not" "$?" 3
like "and are told why" "$out" 'not permitted: operators are members of group provd'
for r in policyd busd attestd_r enrold netd keyd attestd_q; do
	ok "$r: stop" rc $r stop
	nok "$r: is down" rc $r check
done
like "status says so" "$(rc netd status)" 'netd: down'

# The errors of a start are seen where it was started.
echo 'nonsense' >>"$W/provd.conf"
out=$(rc keyd start 2>&1)
is "a bad configuration: start fails" "$?" 1
like "and says where" "$out" "provd.conf:8: "
sed -i '$d' "$W/provd.conf"
sed '/^listen enrol/d' "$W/provd.conf" >"$W/without.conf"
ok "without a listener enrold has nothing to do: no failure" env provd_conf="$W/without.conf" "$W/etc/rc.d/provd_enrold" start
nok "and does not run" rc enrold check
sed '/^dbus/d' "$W/provd.conf" >"$W/without.conf"
ok "without dbus busd has nothing to do: no failure" env provd_conf="$W/without.conf" "$W/etc/rc.d/provd_busd" start
nok "and does not run" rc busd check
out=$(ulimit -n 500 && "$W/usr/sbin/enrold" -d -f "$provd_conf" 2>&1)
is "fewer open files than limit enrol: enrold does not start" "$?" 1
like "and says how many it needs" "$out" 'limit enrol 512 needs 576'
rm -rf "$W/run" && echo >"$W/run"
out=$(rc netd start 2>&1)
is "no directory to live in: start fails" "$?" 1
like "and says which" "$out" "$W/run"
done_testing
