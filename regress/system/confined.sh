#!/bin/bash
# Confinement is real, part one: what the kernel says of each daemon.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need ip runsv swtpm jq ss dbus-daemon

world_new
authority "$W/acme" ACME
wire a b
address a 192.0.2.1/24
node_new a "$W/acme/root.pem"
printf '%s\n' 'ca "ACME"' 'listen enrol port 8443' >>"$W/a/conf"
service a enrold "$O/bin/enrold -d -v -f $W/a/conf"
bus a
node_start a
ok "the node is ready" await_ready a 120

user_of() {
	case $1 in
	attestd-q) echo _attestq ;;
	attestd-r) echo _attestr ;;
	*) echo "_$1" ;;
	esac
}

root_of() {
	case $1 in
	keyd|policyd) echo "$W/a/state/$1" ;;
	*) echo "$W/a/run/$1" ;;
	esac
}

field() {	# field PID NAME: of /proc/PID/status
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

directories() {	# descriptors of PID that are directories
	local f
	for f in "/proc/$1/fd"/*; do
		[ ! -d "$f" ] || readlink "$f"
	done
}

for r in $(daemons a); do
	p=$(pid_of a "$r")
	u=$(id -u "$(user_of "$r")")
	is "$r: every uid is its own user's" "$(field "$p" Uid | tr '\t' ' ')" "$u $u $u $u"
	unlike "$r: no gid is root's" "$(field "$p" Gid)" '(^|[[:space:]])0([[:space:]]|$)'
	unlike "$r: no supplementary group is root's" "$(field "$p" Groups)" '(^| )0( |$)'
	for c in CapInh CapPrm CapEff CapBnd CapAmb; do
		is "$r: $c is empty" "$(field "$p" "$c")" 0000000000000000
	done
	is "$r: no new privileges" "$(field "$p" NoNewPrivs)" 1
	is "$r: under a system call filter" "$(field "$p" Seccomp)" 2
	is "$r: one thread" "$(field "$p" Threads)" 1
	is "$r: its root is its own directory" "$(readlink "/proc/$p/root")" "$(root_of "$r")"
	is "$r: it stands in its root" "$(readlink "/proc/$p/cwd")" "$(root_of "$r")"
	is "$r: no directory is open" "$(directories "$p")" ""
	is "$r: no core file" "$(awk '/core file size/ { print $5, $6 }' "/proc/$p/limits")" "0 0"
	is "$r: the environment and memory belong to root (not dumpable)" \
	    "$(stat -c %U "/proc/$p/environ")" root
	sockets=$(in_ns a ss -tulnpw -0 2>/dev/null | grep -c "pid=$p,")
	if [ "$r" = netd ]; then
		ok "netd: it has network sockets" test "$sockets" -ge 3
	else
		is "$r: no network socket" "$sockets" 0
	fi
done

is "the keys are readable by _keyd alone" "$(stat -c '%U %a' "$W/a/state/keyd/keys")" "_keyd 700"
is "the store is readable by _policyd alone" "$(stat -c '%U %a' "$W/a/state/policyd")" "_policyd 700"
is "the control socket is for the group provd" \
    "$(stat -c '%G %a' "$W/a/run/control.sock")" "provd 660"
is "each hub socket belongs to the group of its role" \
    "$(stat -c '%G %a' "$W/a/run/netd/hub.sock" "$W/a/run/attestd-q/hub.sock" \
    "$W/a/run/attestd-r/hub.sock" "$W/a/run/enrold/hub.sock" "$W/a/run/busd/hub.sock" \
    "$W/a/state/keyd/hub.sock" | tr '\n' ';')" \
    "_netd 660;_attestq 660;_attestr 660;_enrold 660;_busd 660;_keyd 660;"

# Two daemons that were started twice, and one by the wrong user.
refused() {	# refused USER ROLE-DIRECTORY: may this user reach the hub socket?
	! setpriv --reuid="$1" --regid="$1" --clear-groups \
	    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])' "$W/a/$2/hub.sock"
}
ok "_netd cannot reach attestd -Q's hub socket" refused _netd run/attestd-q
ok "_netd cannot reach keyd's hub socket" refused _netd state/keyd
ok "_enrold cannot reach keyd's hub socket" refused _enrold state/keyd
ok "_busd cannot reach keyd's hub socket" refused _busd state/keyd
ok "_netd cannot reach busd's hub socket" refused _netd run/busd
ok "_busd cannot reach the control socket" eval '! setpriv --reuid=_busd --regid=_busd --clear-groups '"$O"'/bin/provctl -s '"$W"'/a/run/control.sock status'
ok "_netd cannot reach enrold's hub socket" refused _netd run/enrold
ok "_attestr cannot reach netd's hub socket" refused _attestr run/netd
ok "nobody cannot reach the control socket" eval '! setpriv --reuid=65534 --regid=65534 --clear-groups '"$O"'/bin/provctl -s '"$W"'/a/run/control.sock status'
node_stop a
ok "no sanitizer spoke" world_sanitized_clean
done_testing
