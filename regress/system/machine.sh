# shellcheck shell=bash
# Machines that really boot: systemd-nspawn on an overlay of this machine's
# root with provd installed, with no network or with that of a namespace of
# the test. Sourced by system tests, after lib.sh and workdir.
#
# A machine NAME lives in $W/NAME.vm:
#   root     its root filesystem, nothing of which is this machine's to lose
#   console  what it and nspawn said
#   nspawn   the pid of its nspawn     leader  that of its own PID 1, once found

MACHINES=
UNITS="provd-policyd provd-keyd provd-netd provd-attestd-q provd-attestd-r provd-enrold provd-busd"
CGROUPS="/sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified"

# machines_new [deb]: one tmpfs for all of them, and what 'make install' puts
# into place below them; or the package, which machine_install then installs
machines_new() {
	mkdir "$W/mem"
	mount -t tmpfs -o mode=755 machines "$W/mem" || skip_all "no tmpfs here"
	PACKAGE=
	if [ "${1:-}" = deb ]; then
		make -s -C "$TOP" O="$O" BUILT=1 deb >/dev/null || exit 1
		PACKAGE=/usr/src/provd.deb
		mkdir -p "$W/mem/package/usr/src"
		cp "$O"/deb/provd_*.deb "$W/mem/package$PACKAGE"
	else
		make -s -C "$TOP" O="$O" DESTDIR="$W/mem/package" install || exit 1
	fi
}

# machine_new NAME: its root, with nothing of this machine's services enabled
machine_new() {
	local d=$W/$1.vm m=$W/mem/$1 s
	mkdir -p "$d/root" "$m/up" "$m/work"
	mount -t overlay -o "lowerdir=$W/mem/package:/,upperdir=$m/up,workdir=$m/work" \
	    machine "$d/root" || skip_all "no overlayfs here"
	MACHINES="$MACHINES $1"
	d=$d/root
	rm -rf "$d"/etc/systemd/system/*.wants "$d"/etc/rc?.d "$d/etc/machine-id" "$d/etc/provd.conf"
	for s in lldpd mosquitto nginx postgresql cron exim4 ssh runit; do
		ln -sf /dev/null "$d/etc/systemd/system/$s.service"
	done
	# Its maintainer scripts may start what they install: it is a machine of
	# its own, on a wire of its own. Nobody reads all the manuals in it.
	[ -z "$PACKAGE" ] || rm -f "$d/usr/sbin/policy-rc.d" "$d/var/lib/man-db/auto-update"
	machine_users "$d"
	mkdir -p "$d"/etc/systemd/system/{multi-user,provd}.target.wants
	if [ -z "$PACKAGE" ]; then
		systemd-sysusers --root="$d" "$d/usr/lib/sysusers.d/provd.conf" 2>/dev/null
		ln -s /lib/systemd/system/provd.target "$d/etc/systemd/system/multi-user.target.wants/"
		for s in $UNITS; do
			ln -s "/lib/systemd/system/$s.service" "$d/etc/systemd/system/provd.target.wants/"
		done
	fi
	# At its end a sanitized program would trace itself to look for leaks; no
	# unit lets it, and it would fail.
	[ "${SAN:-0}" = 0 ] || machine_dropin "$1" leaks 'Environment=ASAN_OPTIONS=detect_leaks=0'
}

# machine_users ROOT: nobody there has heard of ours
machine_users() {
	sed -i '/^_\(policyd\|keyd\|netd\|attestq\|attestr\|enrold\|busd\):/d; /^provd:/d' \
	    "$1"/etc/{passwd,group,shadow,gshadow}
	rm -rf "$1/etc"/{passwd,group,shadow,gshadow}- "$1/var/lib/provd"
}

# machine_install NAME: dpkg -i, in the machine that runs
machine_install() {
	in_machine "$1" env DEBIAN_FRONTEND=noninteractive LC_ALL=C dpkg -i "$PACKAGE"
}

# machine_dropin NAME DROPIN LINE [UNIT]: for every service of ours but of UNIT
machine_dropin() {
	local d=$W/$1.vm/root/etc/systemd/system/${4:-provd-}.service.d
	mkdir -p "$d"
	printf '[Service]\n%s\n' "$3" >"$d/$2.conf"
}

# machine_start NAME [NAMESPACE]: boots; machine_up waits for it
machine_start() {
	local d=$W/$1.vm net=--private-network c
	[ $# -lt 2 ] || net=--network-namespace-path=/run/netns/$2
	(
		# Two systemds in one group would take each other's services
		# for their own.
		for c in $CGROUPS; do
			[ -e "$c/cgroup.procs" ] && mkdir -p "$c/provd-$$-$1" &&
			    echo "$BASHPID" >"$c/provd-$$-$1/cgroup.procs"
		done 2>/dev/null
		exec systemd-nspawn -q -D "$d/root" -M "provd-$$-$1" --register=no --keep-unit \
		    "$net" --link-journal=no --rlimit=MEMLOCK=8M \
		    --system-call-filter='@memlock memfd_secret' --console=pipe -b
	) </dev/null >"$d/console" 2>&1 &
	echo $! >"$d/nspawn"
}

machine_up() {	# machine_up NAME: has it booted?
	await 60 in_machine "$1" systemctl is-active multi-user.target
}

# leader NAME: the pid of the machine's PID 1, a child of nspawn's
leader() {
	local d=$W/$1.vm n l
	l=$(cat "$d/leader" 2>/dev/null)
	if [ -z "$l" ] || [ ! -e "/proc/$l/ns/pid" ]; then
		n=$(cat "$d/nspawn" 2>/dev/null)
		for l in $(ps -o pid= --ppid "${n:-0}"); do
			awk '$1 == "NSpid:" { exit !(NF == 3 && $3 == 1) }' "/proc/$l/status" 2>/dev/null ||
			    continue
			echo "$l" | tee "$d/leader"
			return
		done
		return 1
	fi
	echo "$l"
}

# in_machine NAME CMD...: in the machine, as its root
in_machine() {
	local l
	l=$(leader "$1") || return
	shift
	nsenter -t "$l" -m -u -i -n -p -C -r -w -- "$@"
}

# machine_off NAME: the machine shuts down in good order
machine_off() {
	local d=$W/$1.vm n l
	n=$(cat "$d/nspawn" 2>/dev/null)
	[ -n "$n" ] || return 0
	l=$(leader "$1")
	in_machine "$1" systemctl poweroff --no-block >/dev/null 2>&1 || kill "$n" 2>/dev/null
	# One that does not come to its end: its PID 1 takes all of it along.
	if ! await 40 machine_gone "$n" >/dev/null; then
		diag "$1 did not shut down: $(tail -n 3 "$d/console")"
		[ -z "$l" ] || kill -9 "$l" 2>/dev/null
	fi
	wait "$n" 2>/dev/null
	rm -f "$d/nspawn" "$d/leader"
}

machine_gone() {
	[ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

machines_end() {
	local m c
	for m in $MACHINES; do
		machine_off "$m"
		umount "$W/$m.vm/root" 2>/dev/null
		# what nspawn leaves behind, in both hierarchies
		for c in $CGROUPS; do
			[ ! -d "$c/provd-$$-$m" ] ||
			    find "$c/provd-$$-$m" -depth -type d -exec rmdir {} + 2>/dev/null
		done
		rm -rf "/run/systemd/nspawn/propagate/provd-$$-$m"
	done
	umount "$W/mem" 2>/dev/null
}

# unit NAME ROLE PROPERTY
unit() {
	in_machine "$1" systemctl show -P "$3" "provd-$2.service"
}

# unit_anew NAME ROLE PID: is it active, and another process than PID?
unit_anew() {
	local now
	now=$(in_machine "$1" systemctl show -p ActiveState -p MainPID "provd-$2.service")
	echo "$now"
	[[ $now == *ActiveState=active* && $now != *MainPID=0* && $now != *MainPID=$3 &&
	    $now != *MainPID=$3$'\n'* ]]
}

# units_active NAME N: so many of the services are
units_active() {
	local now
	# shellcheck disable=SC2086
	now=$(in_machine "$1" systemctl is-active $UNITS | grep -c '^active')
	echo "$now"
	[ "$now" = "$2" ]
}
