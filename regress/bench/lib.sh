# shellcheck shell=bash
# For benches that are scripts: lines as those of bench.h, from real nodes.
# Sourced first; JSON=1 is --json.
. "$(dirname "${BASH_SOURCE[0]}")/../system/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/load.sh"

line() {	# line NAME VALUE UNIT [RATIO]
	if [ -n "${JSON:-}" ]; then
		printf '{"name": "%s", "value": %s, "unit": "%s", "ratio": %s}\n' "$1" "$2" "$3" "${4:-null}"
	else
		printf '%s %s %s %s\n' "$1" "$2" "$3" "${4:--}"
	fi
}

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

middle() {	# of the numbers
	printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"
}

clock() {	# milliseconds
	echo $((${EPOCHREALTIME/./} / 1000))
}

# until_is SECONDS CMD...: again and again, without a pause
until_is() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || die "not in time: $*"
	done
}
