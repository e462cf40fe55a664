# shellcheck shell=bash
# TAP for shell tests: source it, call ok/is/like, end with done_testing.
# A test that cannot run here says why with skip_all before its first check.

set -u
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
O=${O:-$TOP/build}
case $O in /*) ;; *) O=$TOP/$O ;; esac
W=
TAP_N=0
TAP_FAILED=0

# result STATUS DESC: one line of TAP
result() {
	TAP_N=$((TAP_N + 1))
	if [ "$1" -eq 0 ]; then
		printf 'ok %d - %s\n' "$TAP_N" "$2"
	else
		TAP_FAILED=$((TAP_FAILED + 1))
		printf 'not ok %d - %s\n' "$TAP_N" "$2"
	fi
}

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

# ok DESC CMD...: passes if the command succeeds
ok() {
	local desc=$1 out
	shift
	if out=$("$@" 2>&1); then
		result 0 "$desc"
	else
		result 1 "$desc"
		diag "failed: $*"
		[ -z "$out" ] || diag "$out"
	fi
}

# nok DESC CMD...: passes if the command fails
nok() {
	local desc=$1 out
	shift
	if out=$("$@" 2>&1); then
		result 1 "$desc"
		diag "succeeded: $*"
		[ -z "$out" ] || diag "$out"
	else
		result 0 "$desc"
	fi
}

# is DESC GOT WANTED
is() {
	[ "$2" = "$3" ]
	result $? "$1"
	[ "$2" = "$3" ] || diag "got '$2', wanted '$3'"
}

# like DESC TEXT REGEX (extended)
like() {
	if printf '%s\n' "$2" | grep -qE -- "$3"; then
		result 0 "$1"
	else
		result 1 "$1"
		diag "no match for '$3' in:"
		diag "$2"
	fi
}

# unlike DESC TEXT REGEX
unlike() {
	if printf '%s\n' "$2" | grep -qE -- "$3"; then
		result 1 "$1"
		diag "match for '$3' in:"
		diag "$2"
	else
		result 0 "$1"
	fi
}

# merge FILE...: the results of subshells that ran beside each other
merge() {
	local line
	while IFS= read -r line; do
		case $line in
		"ok "*) result 0 "${line#ok * - }" ;;
		"not ok "*) result 1 "${line#not ok * - }" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done < <(cat "$@")
}

skip_all() {
	printf '1..0 # SKIP %s\n' "$*"
	exit 0
}

need_root() {
	[ "$(id -u)" -eq 0 ] || skip_all "needs root"
}

need() {
	local p
	for p; do
		command -v "$p" >/dev/null || skip_all "needs $p"
	done
}

# plain_only WHY: what a sanitizer adds nothing to runs in the plain tree only
plain_only() {
	case $O in
	*-san) skip_all "$1: the plain tree runs it" ;;
	esac
}

# workdir: a directory $W, which the daemons may enter, and a clean end
workdir() {
	W=$(mktemp -d /tmp/provd.XXXXXX) || exit 1
	chmod 755 "$W"
	mkfifo "$W/never"
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

pause() {
	read -r -t 0.05 <>"$W/never"
}

# await SECONDS CMD...: again and again until it succeeds; its last output
await() {
	local out rc=0 end=$((SECONDS + $1))
	shift
	until out=$("$@" 2>&1); do
		if [ "$SECONDS" -ge "$end" ]; then
			rc=1
			break
		fi
		pause
	done
	[ -z "$out" ] || printf '%s\n' "$out"
	return $rc
}

# The users and group of etc/sysusers, made if they are missing.
users() {
	getent group provd >/dev/null && getent passwd _busd >/dev/null ||
	    systemd-sysusers "$TOP/etc/sysusers/provd.conf" >/dev/null
}

done_testing() {
	printf '1..%d\n' "$TAP_N"
	[ "$TAP_FAILED" -eq 0 ]
}
