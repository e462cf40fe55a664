#!/bin/bash
# fuzz.sh: each fuzzer of $O/fuzz (built with FUZZER=1) for T seconds, from its
# seeds, as many at a time as there are processors. TAP, one line a fuzzer.
#
# What it finds stays in $O/found/NAME-*, as it was found, and fails; mend it,
# then make a seed of it: regress/fuzz/seeds/NAME/. The corpus that grew stays
# in $O/corpus/NAME, and the next run goes on from there.
set -u
cd "$(dirname "$0")/.." || exit 2
export O=${O:-build/fuzz}
export T=${T:-3}
mkdir -p "$O/found" "$O/corpus"

one() {	# one NAME
	local n=$1 dict=() rc
	case $n in
	codec|chan) dict=(-dict=regress/fuzz/ipc.dict) ;;
	esac
	mkdir -p "$O/corpus/$n"
	ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
	    "$O/fuzz/fuzz_$n" -max_total_time="$T" -timeout=30 \
	    -print_final_stats=1 -verbosity=0 -artifact_prefix="$O/found/$n-" \
	    "${dict[@]}" "$O/corpus/$n" "regress/fuzz/seeds/$n" \
	    </dev/null >"$O/found/$n.log" 2>&1
	rc=$?
	echo "$rc" >"$O/found/$n.rc"
}
export -f one

names=()
for f in "$O"/fuzz/fuzz_*; do
	[ -x "$f" ] && names+=("${f##*/fuzz_}")
done
[ ${#names[@]} -gt 0 ] || { echo "1..0 # SKIP no fuzzers in $O/fuzz"; exit 1; }
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I{} bash -c 'one "$1"' _ {}

i=0
failed=0
for n in "${names[@]}"; do
	i=$((i + 1))
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$O/found/$n.log")
	if [ "$(cat "$O/found/$n.rc")" = 0 ] && [ "${runs:-0}" -gt 0 ]; then
		echo "ok $i - $n: $runs inputs in $T s"
		rm -f "$O/found/$n.log" "$O/found/$n.rc"
	else
		echo "not ok $i - $n: see $O/found/$n.log"
		tail -n 30 "$O/found/$n.log" | sed 's/^/# /'
		failed=1
	fi
done
echo "1..$i"
exit $failed
