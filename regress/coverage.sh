#!/bin/bash
# coverage.sh: line coverage of the files that parse foreign bytes, from every
# fuzzing seed and the unit tests of those files.
#
# Prints 'file lines covered percent floor' for each file of coverage.list, and
# fails if one is below its floor: 95, or what the list argues. The tree is
# $O/cov (clang). The whole picture is left in $O/cov/report.txt.
set -u
cd "$(dirname "$0")/.." || exit 2
BASE=${O:-build}/cov
LIST=regress/coverage.list
PROFDATA=llvm-profdata-14
COV=llvm-cov-14

mkdir -p "$BASE"
BASE=$(cd "$BASE" && pwd)
units=$(sed -n 's/^#!unit //p' "$LIST")
# shellcheck disable=SC2086,SC2046
make -s -j"$(nproc)" O="$BASE" CC=clang \
    CFLAGS="-O1 -g -fprofile-instr-generate -fcoverage-mapping" \
    fuzzers $(printf "$BASE/unit/%s " $units) >"$BASE/build.log" 2>&1 || {
	tail -n 40 "$BASE/build.log"
	echo "not ok - build for coverage: see $BASE/build.log"
	exit 1
}

rm -rf "$BASE/raw"
mkdir -p "$BASE/raw"
# run NAME COMMAND...: its counts go to a file of its own
run() {
	local n=$1
	shift
	LLVM_PROFILE_FILE="$BASE/raw/$n-%p.profraw" "$@" </dev/null \
	    >"$BASE/raw/$n.log" 2>&1 || {
		echo "# $n failed: see $BASE/raw/$n.log"
		return 1
	}
}
export -f run
export BASE
bad=0
binaries=()
for u in $units; do
	binaries+=("$BASE/unit/$u")
done
for f in "$BASE"/fuzz/fuzz_*; do
	binaries+=("$f")
done
printf '%s\n' "${binaries[@]}" | xargs -P "$(nproc)" -I{} bash -c '
    n=$(basename "$1")
    case $n in
    fuzz_*) run "$n" "$1" "regress/fuzz/seeds/${n#fuzz_}" ;;
    *) run "$n" "$1" ;;
    esac' _ {} || bad=1
$PROFDATA merge -sparse -o "$BASE/all.profdata" "$BASE"/raw/*.profraw || exit 2

objects=()
for f in "${binaries[@]:1}"; do
	objects+=(-object "$f")
done
$COV report "${binaries[0]}" "${objects[@]}" -instr-profile "$BASE/all.profdata" \
    >"$BASE/report.txt" 2>"$BASE/report.err"
$COV export -summary-only "${binaries[0]}" "${objects[@]}" \
    -instr-profile "$BASE/all.profdata" 2>/dev/null |
    jq -r '.data[0].files[] | "\(.filename) \(.summary.lines.count) \(.summary.lines.covered)"' \
    >"$BASE/lines.txt"

# A file of bison's is measured where it was written: its rules count.
printf '%-28s %6s %8s %8s %6s\n' file lines covered percent floor
while read -r file floor _; do
	case $file in ''|'#'*) continue ;; esac
	awk -v f="$file" -v floor="$floor" '
	    substr($1, length($1) - length(f)) == "/" f {
		n = $2; c = $3; seen = 1
	    }
	    END {
		if (!seen) { print "not ok - " f ": not measured"; exit 1 }
		p = n > 0 ? 100 * c / n : 0
		low = p + 0.005 < floor
		printf "%-28s %6d %8d %7.1f%% %5s%%%s\n", f, n, c, p, floor,
		    low ? "  below its floor" : ""
		exit low
	    }' "$BASE/lines.txt" || bad=1
done <"$LIST"
exit $bad
