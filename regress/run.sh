#!/bin/bash
# run.sh [STAGE...]: build and run every test, or the stages named.
#
# While tests wait, what later stages need is built, at a lower priority.
#
#   lint             what a reader would trip over, man pages, scripts
#   unit-gcc, unit-gcc-san, unit-clang, unit-clang-san
#                    unit tests and the replay of every fuzzing seed
#   fuzz             each fuzzer for some seconds, in the tree clang-san
#   system           real processes, gcc, plain
#   system-san       the same with clang, ASan and UBSan
#   armhf            unit tests on 32-bit ARM, under qemu-user
#   deb              the Debian packages compiled twice, lintian
#   analyze          gcc -fanalyzer, clang-tidy, cppcheck, valgrind
#
# Without names, all but the last three, which MORE= can add.
# A tree each below $O (build/): gcc, gcc-san, clang, clang-san. What a test
# said is kept in TREE/tap/NAME.tap. The last line is 'N passed, N failed'.
# Only 'N passed, 0 failed' exits 0.
set -u
cd "$(dirname "$0")/.." || exit 2
BASE=${O:-build}
JOBS=$(nproc)
LIMIT=420	# seconds that one test may take
export FLAGS="-O1 -g"
PASSED=0
FAILED=0
STAGES=${*:-lint unit-gcc system unit-gcc-san unit-clang unit-clang-san fuzz system-san ${MORE:-}}

# Variables of a tree: O CC SAN
tree() {
	case $1 in
	gcc) echo "O=$BASE/gcc CC=gcc SAN=0" ;;
	gcc-san) echo "O=$BASE/gcc-san CC=gcc SAN=1" ;;
	clang) echo "O=$BASE/clang CC=clang SAN=0" ;;
	clang-san) echo "O=$BASE/clang-san CC=clang SAN=1 FUZZER=1" ;;
	esac
}

build() {	# build TREE TARGET...
	local t=$1
	shift
	printf '== build %s\n' "$t"
	# shellcheck disable=SC2046
	if ! flock "$BASE/$t.lock" make -s -j"$JOBS" $(tree "$t") CFLAGS="$FLAGS" "$@" >"$BASE/$t.log" 2>&1; then
		tail -n 40 "$BASE/$t.log"
		echo "not ok - build of $t: see $BASE/$t.log"
		FAILED=$((FAILED + 1))
		return 1
	fi
}

# name FILE: unit-tls of TREE/unit/tls, interop-tls of regress/interop/tls.sh
name() {
	echo "$(basename "$(dirname "$1")")-$(basename "$1" .sh)"
}

# score TAP: passed, failed, and "skipped" if there was a reason not to run
score() {
	local p f rc
	if grep -qE '^1\.\.0 # SKIP' "$1"; then
		echo 0 0 skipped
		return
	fi
	# cmocka says "not ok 3 # SKIP name" of a test that was skipped
	p=$(grep -cE '^ok ' "$1")
	f=$(grep -E '^not ok ' "$1" | grep -cvE '^not ok [0-9]+ # SKIP')
	rc=$(sed -n 's/^exit //p' "$1" | tail -n 1)
	# A crash, a timeout or no test at all is a failure of its own.
	if [ "$f" -eq 0 ] && { [ "$rc" != 0 ] || [ "$p" -eq 0 ]; }; then
		f=1
	fi
	echo "$p" "$f"
}

# one TREE FILE: run a test; its TAP goes to a file, its status to the end.
one() {
	local t=$1 f=$2 tap rc p failed skipped began=$SECONDS
	tap=$BASE/$t/tap/$(name "$f").tap
	# shellcheck disable=SC2046
	env $(tree "$t") CFLAGS="$FLAGS" CMOCKA_MESSAGE_OUTPUT=TAP ASAN_OPTIONS=detect_leaks=1 \
	    UBSAN_OPTIONS=print_stacktrace=1 \
	    timeout -k 10 "$LIMIT" "$BASE/gcc/tools/reaper" "$f" </dev/null >"$tap" 2>&1
	rc=$?
	echo "exit $rc" >>"$tap"
	read -r p failed skipped < <(score "$tap")
	if [ -n "$skipped" ]; then
		printf '%-10s %-24s skipped: %s\n' "$t" "$(name "$f")" \
		    "$(sed -n 's/^1\.\.0 # SKIP //p' "$tap")"
		return
	fi
	printf '%-10s %-24s %d passed, %d failed, %d s\n' "$t" "$(name "$f")" "$p" "$failed" \
	    $((SECONDS - began))
}
export -f one name score tree

# tests TREE JOBS FILE...: run them, count, show what failed
tests() {
	local t=$1 jobs=$2 f
	shift 2
	mkdir -p "$BASE/$t/tap"
	printf '%s\n' "$@" | xargs -P "$jobs" -I{} bash -c 'one "$@"' _ "$t" {}
	for f; do
		count "$t" "$(name "$f")"
	done
}

count() {
	local tap=$BASE/$1/tap/$2.tap p f
	read -r p f _ < <(score "$tap")
	PASSED=$((PASSED + p))
	FAILED=$((FAILED + f))
	if [ "$f" -gt 0 ]; then
		printf '%s %s:\n' "$1" "$2"
		grep -nE -A20 '^not ok ' "$tap" | head -n 80 | sed 's/^/    /'
		tail -n 40 "$tap" | sed 's/^/    /'
	fi
}

units() {	# units TREE
	local t
	build "$1" units fuzzers programs tools || return
	mapfile -t t < <(find "$BASE/$1/unit" -type f -perm -u+x | sort)
	tests "$1" "$JOBS" "${t[@]}"
	seeds "$1"
}

seeds() {	# seeds TREE: each fuzzer over its seeds
	local f n runs=
	# These are libFuzzer's own: they would go on from the seeds.
	[ "$1" != clang-san ] || runs=-runs=0
	for f in "$BASE/$1"/fuzz/fuzz_*; do
		n=$(basename "$f")
		# shellcheck disable=SC2086
		if "$f" $runs "regress/fuzz/seeds/${n#fuzz_}" >"$BASE/$1/tap/$n.tap" 2>&1 </dev/null; then
			PASSED=$((PASSED + 1))
		else
			FAILED=$((FAILED + 1))
			echo "not ok - $n over its seeds"
			tail -n 40 "$BASE/$1/tap/$n.tap"
		fi
	done
}

system() {	# system TREE
	local t
	build "$1" programs tools || return
	# What is not executable is sourced. Every test has namespaces and
	# directories of its own, and waits most of the time.
	mapfile -t t < <(find regress/system regress/interop -name '*.sh' -perm -u+x | sort)
	tests "$1" $((JOBS + 1)) "${t[@]}"
}

# What later stages need. Nothing runs here: an emulated test beside others may
# take longer than it waits.
ahead() {
	local s
	renice -n 10 -p "$BASHPID" >/dev/null
	for s in $STAGES; do
		case $s in
		unit-*) build "${s#unit-}" units fuzzers programs tools ;;
		esac
	done
	case " $STAGES " in
	*" armhf "*) O=$BASE/gcc regress/armhf.sh build ;;
	esac
}

# The users of the suite, which unit tests of confinement need, too.
if [ "$(id -u)" -eq 0 ] && ! getent passwd _busd >/dev/null; then
	systemd-sysusers "$PWD/etc/sysusers/provd.conf" || exit 2
fi
mkdir -p "$BASE"
BASE=$(cd "$BASE" && pwd)
build gcc programs tools || { echo "$PASSED passed, $FAILED failed"; exit 1; }
mkdir -p "$BASE/gcc/tap"
export BASE LIMIT
ahead >/dev/null 2>&1 &
AHEAD=$!
for s in $STAGES; do
	began=$SECONDS
	case $s in
	lint) tests gcc 1 regress/lint.sh ;;
	unit-*) units "${s#unit-}" ;;
	fuzz) build clang-san fuzzers && T=${T:-3} tests clang-san 1 regress/fuzz.sh ;;
	system) system gcc ;;
	system-san) system clang-san ;;
	armhf) wait "$AHEAD"; LIMIT=1800 tests gcc 1 regress/armhf.sh ;;
	deb) tests gcc 1 regress/deb.sh ;;
	analyze) LIMIT=3600 tests gcc 1 regress/analyze.sh ;;
	*) echo "no stage '$s'" >&2; exit 2 ;;
	esac
	printf '== stage %s: %d s\n' "$s" $((SECONDS - began))
done
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" -eq 0 ] && [ "$PASSED" -gt 0 ]
