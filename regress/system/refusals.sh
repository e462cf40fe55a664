#!/bin/bash
# Confinement is real, part two: every daemon is made to attempt what
# SECURITY.md says it is refused, inside the running process, under its real
# filter, user and root. The filter kills it; runsv starts it again.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need ip runsv jq dbus-daemon
case $O in *-san) skip_all "sanitizers add calls to the filters; the plain build is what is tested" ;; esac

world_new
authority "$W/acme" ACME
wire a b
address a 192.0.2.1/24
NODE_BACKEND=soft node_new a "$W/acme/root.pem"
printf '%s\n' 'ca "ACME"' 'listen enrol port 8443' >>"$W/a/conf"
service a enrold "$O/bin/enrold -d -v -f $W/a/conf"
bus a
node_start a
ok "the node is ready" await_ready a 120

# What every daemon is killed for.
COMMON="socket-packet socket-netlink bind exec fork clone thread ptrace
 read-memory kill setuid setresuid setgid dumpable chroot mount unshare mknod
 bpf io_uring mmap-exec keyctl perf"
# and beside it
NETD="open-keys open-passwd"
PARSER="open-keys open-passwd open-root socket-inet socket-inet6 socket-unix"
KEYD="socket-inet socket-inet6 socket-unix"
POLICYD="socket-inet socket-inet6"

# attempt ROLE CALL WANT: in a process that serves
attempt() {
	local r=$1 call=$2 want=$3 victim=policyd got old
	[ "$r" != policyd ] || victim=keyd
	await 60 running a "$r" || {
		result 1 "$r: $call (the daemon does not come back)"
		return
	}
	old=$(pid_of a "$r")
	got=$("$O/tools/inject" "$old" "$call" "$(pid_of a "$victim")" 2>&1)
	like "$r: $call" "$got" "$want"
}

running() {
	ctl "$1" --json status | jq -es "flatten |
	    any(.row == \"daemon\" and .role == \"$2\" and .state == \"ready\")" >/dev/null
}

# These six beside each other; each waits for its own restarts only.
attempts() {	# attempts ROLE CALL...
	local r=$1 c
	shift
	for c; do
		attempt "$r" "$c" '^killed SIGSYS$'
	done
}
# shellcheck disable=SC2086
{
attempts netd $COMMON $NETD >"$W/1.tap" & beside=($!)
attempts attestd-q $COMMON $PARSER >"$W/2.tap" & beside+=($!)
attempts attestd-r $COMMON $PARSER >"$W/3.tap" & beside+=($!)
attempts keyd $COMMON $KEYD >"$W/4.tap" & beside+=($!)
attempts enrold $COMMON $PARSER >"$W/5.tap" & beside+=($!)
attempts busd $COMMON $PARSER >"$W/6.tap" & beside+=($!)
wait "${beside[@]}"
}
merge "$W"/[1-6].tap
# These two may open files, below their own root only.
for r in keyd policyd; do
	attempt $r open-passwd '^(errno ENOENT|killed SIGSYS)$'
	attempt $r open-up '^(errno ENOENT|killed SIGSYS)$'
done
# shellcheck disable=SC2086
attempts policyd $COMMON $POLICYD
ok "after all of it the node is ready" await_ready a 120
ok "and its audit log is whole" ctl a audit verify
node_stop a
done_testing
