#!/bin/bash
# The units, under a systemd that really boots: an overlay of this machine's
# root in a container with no network. What systemd-analyze promises is looked
# at in the running processes.
. "$(dirname "$0")/lib.sh"
need_root
need systemd-nspawn nsenter jq systemd-sysusers mount
workdir
users
NSPAWN=
finish() {
	trap - EXIT
	[ -z "$NSPAWN" ] || {
		inside systemctl poweroff --no-block
		wait "$NSPAWN"
	} >/dev/null 2>&1
	# what nspawn leaves behind, in both hierarchies
	find /sys/fs/cgroup -depth -type d \( -path '*/payload*' -o -path '*/supervisor*' \) \
	    -exec rmdir {} + 2>/dev/null
	umount "$W/root" 2>/dev/null
	umount "$W/mem" 2>/dev/null
	rm -rf "$W"
}
trap finish EXIT

# The container's PID 1: nspawn's newest child, looked up each time.
leader() {
	ps -o pid= --ppid "$NSPAWN" --sort=-start_time | awk 'NR == 1 { print $1 }'
}
inside() {
	local l
	l=$(leader)
	[ -n "$l" ] && nsenter -t "$l" -m -u -i -n -p -C -r -w -- "$@"
}

mkdir "$W/mem" "$W/root"
mount -t tmpfs -o mode=755 boot "$W/mem" || skip_all "no tmpfs here"
mkdir "$W/mem/up" "$W/mem/work"
mount -t overlay -o "lowerdir=/,upperdir=$W/mem/up,workdir=$W/mem/work" boot "$W/root" ||
    skip_all "no overlayfs here"
make -s -C "$TOP" O="$O" DESTDIR="$W/root" install || exit 1
# Nothing of this machine but systemd and ours.
rm -rf "$W/root"/etc/systemd/system/*.wants "$W/root"/etc/rc?.d "$W/root/etc/machine-id"
for s in lldpd mosquitto nginx postgresql cron exim4 ssh runit; do
	ln -sf /dev/null "$W/root/etc/systemd/system/$s.service"
done
mkdir -p "$W/root"/etc/systemd/system/{multi-user,provd}.target.wants
ln -s /lib/systemd/system/provd.target "$W/root/etc/systemd/system/multi-user.target.wants/"
for r in policyd keyd netd attestd-q attestd-r enrold; do
	ln -s "/lib/systemd/system/provd-$r.service" "$W/root/etc/systemd/system/provd.target.wants/"
done
# At its end a sanitized program would trace itself to look for leaks; no unit
# lets it, and it would fail.
[ "${SAN:-0}" = 0 ] || {
	mkdir "$W/root/etc/systemd/system/provd-enrold.service.d"
	printf '[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0\n' \
	    >"$W/root/etc/systemd/system/provd-enrold.service.d/leaks.conf"
}
cat >"$W/root/etc/provd.conf" <<-EOF
node "boot" interface "host0"
key backend soft
EOF

systemd-nspawn -q -D "$W/root" --register=no --keep-unit --private-network \
    --rlimit=MEMLOCK=8M --system-call-filter='@memlock memfd_secret' \
    --console=pipe -b </dev/null >"$W/console" 2>&1 &
NSPAWN=$!
if ! await 60 inside systemctl is-active multi-user.target; then
	NSPAWN_SAID=$(tail -n 3 "$W/console")
	skip_all "systemd does not boot in a container here: $NSPAWN_SAID"
fi

service() {	# service ROLE PROPERTY
	inside systemctl show -P "$2" "provd-$1.service"
}
active() {	# active N: so many of the services are
	[ "$(inside systemctl is-active provd-{policyd,keyd,netd,attestd-q,attestd-r,enrold}.service |
	    grep -c '^active')" = "$1" ]
}
ok "five services come up" await 60 active 5
idle() {
	[ "$(service enrold ActiveState),$(service enrold Result)" = inactive,success ]
}
ok "enrold has no listener: it has ended, and nothing failed" await 30 idle
ok "and says why" eval 'inside journalctl -b --no-pager -u provd-enrold | grep -q "no listener"'
cat >>"$W/root/etc/provd.conf" <<-EOF
ca "boot" { server "127.0.0.1" }
profile "iot" { key ecdsa-p256  valid 1 d }
listen enrol port 8443
EOF
inside systemctl restart provd.target
ok "with a listener all six come up" await 60 active 6
state() {	# state ROLE FIELD of /proc/PID/status
	inside awk -v "f=$2:" '$1 == f { print $2; exit }' "/proc/$(service "$1" MainPID)/status"
}
for r in policyd keyd netd attestd-q attestd-r enrold; do
	user=$(service "$r" User)
	is "$r: runs as $user" "$(state $r Uid)" "$(inside id -u "$user")"
	is "$r: no capability is left" "$(state $r CapEff)$(state $r CapPrm)$(state $r CapAmb)" \
	    000000000000000000000000000000000000000000000000
	is "$r: no new privileges" "$(state $r NoNewPrivs)" 1
	ok "$r: two filters, systemd's and its own" test "$(state $r Seccomp_filters)" -ge 2
	is "$r: one thread" "$(state $r Threads)" 1
	unlike "$r: its root is its own" \
	    "$(inside readlink "/proc/$(service "$r" MainPID)/root")" '^/$'
done
ok "provctl check finds nothing amiss" inside provctl check
for r in policyd keyd netd attestd-q attestd-r enrold; do
	old=$(service $r MainPID)
	inside kill -9 "$old"
	other() {
		[ "$(service "$r" ActiveState)" = active ] && [ "$(service "$r" MainPID)" != "$old" ]
	}
	ok "$r: comes back after SIGKILL" await 30 other
done
ready() {
	[ "$(inside provctl --json status | jq -rs '[.[] | select(.row == "daemon" and .role != "policyd" and .state == "ready")] | length')" = 5 ]
}
ok "and all of them greet policyd again" await 30 ready
# Behind both filters a device enrols, and is revoked.
ok "an authority is made" inside provctl ca init
inside provctl --json device add 02:00:00:00:00:01 --ticket |
    jq -r 'select(.row == "device").ticket' >"$W/root/root/ticket"
inside provctl --json ca show --pem |
    jq -r 'select(.row == "ca" and .kind == "root").pem' >"$W/root/root/root.pem"
enrols() {
	inside provctl enrol --mac 02:00:00:00:00:01 --out /root/dev --key p256 --ca /root/root.pem \
	    --server https://127.0.0.1:8443 --ticket-file /root/ticket
}
ok "a device enrols" enrols
ok "and is revoked, in a CRL that is published" inside provctl cert revoke --name 02:00:00:00:00:01
ok "the certificate is in its file" \
    test -n "$(find "$W/root/var/lib/provd/policyd/issued" -name '*.pem' 2>/dev/null)"
inside systemctl stop provd.target	# its parts stop after it
ended() {
	local now
	now=$(service "$r" ActiveState),$(service "$r" Result)
	echo "$now"
	[ "$now" = inactive,success ]
}
for r in policyd keyd netd attestd-q attestd-r enrold; do
	ok "$r: stops with the target, in good order" await 60 ended
done
[ "$TAP_FAILED" -eq 0 ] || diag "$(inside journalctl -b --no-pager -u 'provd-*' | tail -n 40)"
done_testing
