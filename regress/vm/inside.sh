#!/bin/bash
# What is looked at in the virtual machine of systemd.sh, as its root; the
# results go to ttyS1. The kernel's command line says which boot this is.
# shellcheck source=regress/system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
. "$TOP/regress/system/world.sh"
exec </dev/null >/dev/ttyS1 2>&1
cd /root || exit 1
BOOT=$(sed 's/.*provd-test=\([^ ]*\).*/\1/' /proc/cmdline)
W=$(mktemp -d)
mkfifo "$W/never"
ctl() {
	shift
	provctl "$@"
}
UP="policyd keyd netd attestd-q attestd-r busd"
unit() {	# unit ROLE PROPERTY
	systemctl show -P "$2" "provd-$1.service"
}
ready() {
	local r
	for r in $UP; do
		echo "$r: $(systemctl is-active "provd-$r.service")"
		systemctl -q is-active "provd-$r.service" || return
	done
}
status() {	# status ROW FIELD
	provctl --json status | jq -rs "flatten | map(select(.row == \"$1\"))[0].$2"
}
group() {	# group ROLE: its control group
	echo "/sys/fs/cgroup$(unit "$1" ControlGroup)"
}
# within ROLE CMD...: where the unit's limits hold
within() {
	(
		echo "$BASHPID" >"$(group "$1")/cgroup.procs" || exit 1
		shift
		"$@"
	)
}

ok "$BOOT: the units are up" await 120 ready
is "$BOOT: keys are in the TPM" "$(status keyd backend)" tpm
like "$BOOT: keyd has the kernel's device" \
    "$(find "/proc/$(unit keyd MainPID)/fd" -printf '%l\n')" '^/dev/tpmrm0$'
is "$BOOT: which is of the group tss" "$(stat -c %G:%a /dev/tpmrm0)" tss:660

first() {
	local cur
	ok "first: a request is signed in the TPM" provctl identity csr --serial SN-vm -o "$W/csr.pem"
	device_certificate "$TOP/acme" "$W/csr.pem" "$W/chain.pem"
	ok "first: the maker's certificate is installed" provctl identity install "$W/chain.pem"
	node_id vm >/var/lib/provd-test.id
	ok "first: the node attests itself: the TPM signs for SPDM" provctl provision self
	old=$(unit keyd MainPID)
	kill -9 "$old"
	anew() {
		[ "$(unit keyd MainPID)" != "$old" ] && ready
	}
	ok "first: keyd is back after SIGKILL" await 120 anew
	ok "first: and the TPM signs" provctl provision self
	ok "first: the audit log is whole" provctl audit verify

	# What control groups enforce, which no container of the tests has.
	ok "first: the bare TPM can be opened" sh -c ': <>/dev/tpm0'
	nok "first: not by what runs as keyd's unit" within keyd sh -c ': <>/dev/tpm0'
	nok "first: nor the disk" within keyd sh -c ': </dev/vda'
	ok "first: but the resource manager can" within keyd sh -c ': <>/dev/tpmrm0'
	is "first: a unit has four tasks" "$(cat "$(group policyd)/pids.max")" 4
	ok "first: which is room for a program" within policyd sh -c ':'
	nok "first: and not for more" within policyd sh -c ': | cat | cat | cat'
	for r in $UP; do
		diag "$r: $(($(cat "$(group "$r")/memory.current") / 1024)) KiB, at most" \
		    "$(($(cat "$(group "$r")/memory.peak" 2>/dev/null || echo 0) / 1024)) KiB"
	done
	# netd grows with its connections: it gets what it has and 2 MiB.
	old=$(unit netd MainPID)
	cur=$(awk '/^(anon|kernel) / { s += $2 } END { print s }' "$(group netd)/memory.stat")
	ok "first: netd may have 2 MiB more than $((cur / 1024)) KiB" \
	    systemctl set-property --runtime provd-netd.service MemoryMax=$((cur + 2097152))
	ok "first: it lives with that" test "$(unit netd MainPID)" = "$old"
	grow() {
		local n
		for ((n = 0; n < 3000; n++)); do
			# shellcheck disable=SC2034
			exec {fd}<>/dev/tcp/127.0.0.1/8090 || return 0
		done 2>/dev/null
	}
	(ulimit -n 4096; grow)
	killed() {
		journalctl -b --no-pager _PID=1 UNIT=provd-netd.service | grep -q 'oom-kill'
	}
	ok "first: too many connections, and the kernel kills it" await 60 killed
	again() {
		[ "$(unit netd MainPID)" != "$old" ] && ready
	}
	ok "first: it is started anew" await 60 again
	ok "first: and works" provctl provision self
}

1970() {
	diag "the clock says $(date -u)"
	ok "1970: no clock is set" test "$(status clock unset)" = true
	is "1970: it is the same node" "$(node_id vm)" "$(cat /var/lib/provd-test.id)"
	ok "1970: the node attests itself" provctl provision self
	ok "1970: the audit log is whole" provctl audit verify
}
"$BOOT"
[ "$TAP_FAILED" -eq 0 ] || diag "$(journalctl -b --no-pager -u 'provd-*' | tail -n 60)"
echo end
