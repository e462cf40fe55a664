#!/bin/bash
# soak.sh: what takes too long for make check. make soak PART="kills stopped"
# runs the parts named, in that order; all of them unless named.
#
#   kills    kill -9 of each daemon at random moments: N (1000) of them
#   stopped  SIGSTOP of each daemon for HOLD (60) seconds
#   relay    a wire that loses, delays, reorders and duplicates: HOLD seconds
#            of each
#   fleet    500 peers, then 5,000, that one program plays
#   enrol    kills while N (10000) devices enrol, with sealed keys
#   bus      N (1000000) calls on D-Bus, 20,000 changes of state that busd
#            is stopped for
#
# SEED repeats a sequence. What a part says is shown as it goes on and kept in
# O/soak; the last lines are the sums. Exits 0 if nothing failed.
set -u
cd "$(dirname "$0")/.." || exit 2
O=${O:-build}
case $O in /*) ;; *) O=$PWD/$O ;; esac
export O
mkdir -p "$O/soak"
SUMS=()
BAD=0

# run PART SCRIPT [VARIABLE=VALUE...]
run() {
	local part=$1 script=$2 log=$O/soak/$1.tap rc t=$SECONDS p f seed
	shift 2
	printf '== %s: %s %s\n' "$part" "$(date -u +%H:%M:%S)" "$*"
	env "$@" "$O/tools/reaper" "$script" </dev/null 2>&1 | tee "$log"
	rc=${PIPESTATUS[0]}
	p=$(grep -c '^ok ' "$log")
	f=$(grep -c '^not ok ' "$log")
	[ "$rc" -eq 0 ] || [ "$f" -gt 0 ] || f=1
	[ "$p" -gt 0 ] || [ "$f" -gt 0 ] || f=1
	seed=$(sed -n 's/^# .*\(SEED=[0-9]*\).*/, \1/p' "$log" | head -n 1)
	SUMS+=("$(printf '%-8s %d passed, %d failed, %d s%s' "$part" "$p" "$f" \
	    $((SECONDS - t)) "$seed")")
	[ "$f" -eq 0 ] || BAD=1
}

for part in ${PART:-kills stopped relay fleet enrol bus}; do
	case $part in
	kills) run kills regress/system/kills.sh "N=${N:-1000}" ${SEED:+"SEED=$SEED"} ;;
	stopped) run stopped regress/system/stopped.sh "HOLD=${HOLD:-60}" ;;
	relay) run relay regress/system/relay.sh "HOLD=${HOLD:-60}" ${SEED:+"SEED=$SEED"} ;;
	fleet)
		run fleet500 regress/system/fleet.sh FLEET=500
		run fleet5000 regress/system/fleet.sh FLEET=5000 ;;
	enrol) run enrol regress/system/enrol_kills.sh "N=${N:-10000}" RATE=150 NODE_BACKEND=sealed ${SEED:+"SEED=$SEED"} ;;
	bus) run bus regress/system/bus_faults.sh "CALLS=${N:-1000000}" CHANGES=20000 ;;
	*) echo "no part '$part'" >&2; exit 2 ;;
	esac
done
echo "== sums"
printf '%s\n' "${SUMS[@]}"
exit $BAD
