#!/bin/bash
# The units, under a systemd that really boots: an overlay of this machine's
# root in a container with no network. What systemd-analyze promises is looked
# at in the running processes.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/machine.sh"
need_root
need systemd-nspawn nsenter jq systemd-sysusers mount
workdir
users
finish() {
	trap - EXIT
	machines_end
	rm -rf "$W"
}
trap finish EXIT
inside() {
	in_machine boot "$@"
}

ROLES="policyd keyd netd attestd-q attestd-r enrold busd"
machines_new
machine_new boot
R=$W/boot.vm/root
cat >"$R/etc/provd.conf" <<-EOF
node "boot" interface "host0"
key backend soft
EOF

machine_start boot
machine_up boot >/dev/null ||
    skip_all "systemd does not boot in a container here: $(tail -n 3 "$W/boot.vm/console")"

ok "five services come up" await 60 units_active boot 5
idle() {
	[ "$(unit boot "$1" ActiveState),$(unit boot "$1" Result)" = inactive,success ]
}
ok "enrold has no listener: it has ended, and nothing failed" await 30 idle enrold
ok "and says why" eval 'inside journalctl -b --no-pager -u provd-enrold | grep -q "no listener"'
ok "busd has no bus: it has ended, and nothing failed" await 30 idle busd
ok "and says why" eval 'inside journalctl -b --no-pager -u provd-busd | grep -q "no dbus"'
cat >>"$R/etc/provd.conf" <<-EOF
ca "boot" { server "127.0.0.1" }
profile "iot" { key ecdsa-p256  valid 1 d }
listen enrol port 8443
dbus
EOF
inside systemctl restart provd.target
ok "with a listener and a bus all seven come up" await 60 units_active boot 7
state() {	# state ROLE FIELD of /proc/PID/status
	inside awk -v "f=$2:" '$1 == f { print $2; exit }' "/proc/$(unit boot "$1" MainPID)/status"
}
for r in $ROLES; do
	user=$(unit boot "$r" User)
	is "$r: runs as $user" "$(state $r Uid)" "$(inside id -u "$user")"
	is "$r: no capability is left" "$(state $r CapEff)$(state $r CapPrm)$(state $r CapAmb)" \
	    000000000000000000000000000000000000000000000000
	is "$r: no new privileges" "$(state $r NoNewPrivs)" 1
	ok "$r: two filters, systemd's and its own" test "$(state $r Seccomp_filters)" -ge 2
	is "$r: one thread" "$(state $r Threads)" 1
	unlike "$r: its root is its own" \
	    "$(inside readlink "/proc/$(unit boot "$r" MainPID)/root")" '^/$'
done
ok "provctl check finds nothing amiss" inside provctl check
for r in $ROLES; do
	old=$(unit boot $r MainPID)
	inside kill -9 "$old"
	ok "$r: comes back after SIGKILL" await 30 unit_anew boot $r "$old"
done
ready() {
	[ "$(inside provctl --json status | jq -rs '[.[] | select(.row == "daemon" and .role != "policyd" and .state == "ready")] | length')" = 6 ]
}
ok "and all of them greet policyd again" await 30 ready
# Behind both filters a device enrols, and is revoked.
ok "an authority is made" inside provctl ca init
inside provctl --json device add 02:00:00:00:00:01 --ticket |
    jq -r 'select(.row == "device").ticket' >"$R/root/ticket"
inside provctl --json ca show --pem |
    jq -r 'select(.row == "ca" and .kind == "root").pem' >"$R/root/root.pem"
enrols() {
	inside provctl enrol --mac 02:00:00:00:00:01 --out /root/dev --key p256 --ca /root/root.pem \
	    --server https://127.0.0.1:8443 --ticket-file /root/ticket
}
ok "a device enrols" enrols
ok "and is revoked, in a CRL that is published" inside provctl cert revoke --name 02:00:00:00:00:01
ok "the certificate is in its file" \
    test -n "$(find "$R/var/lib/provd/policyd/issued" -name '*.pem' 2>/dev/null)"
inside systemctl stop provd.target	# its parts stop after it
ended() {
	local now
	now=$(unit boot "$r" ActiveState),$(unit boot "$r" Result)
	echo "$now"
	[ "$now" = inactive,success ]
}
for r in $ROLES; do
	ok "$r: stops with the target, in good order" await 60 ended
done
[ "$TAP_FAILED" -eq 0 ] || diag "$(inside journalctl -b --no-pager -u 'provd-*' | tail -n 40)"
done_testing
