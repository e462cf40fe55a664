#!/bin/bash
# run.sh [BENCH...]: every bench, or those named ("tls", "pair"); lines of
# "name value unit ratio", or with JSON=1 objects. See provd_performance(7).
# What the programs log is kept in O/bench.log. Ends what it starts.
set -u
cd "$(dirname "$0")/../.." || exit 2
O=${O:-build}
case $O in /*) ;; *) O=$PWD/$O ;; esac
export O JSON=${JSON:-}
: >"$O/bench.log"
rc=0
[ $# -gt 0 ] || set -- ipc keyd store issue attest tls nginx instructions pair fleet enrol bus
for b; do
	case $b in
	pair|fleet|enrol|bus)
		if [ "$(id -u)" -ne 0 ]; then
			echo "$b: needs root" >&2
			continue
		fi
		"$O/tools/reaper" "regress/bench/bench_$b.sh" ;;
	instructions) regress/bench/instructions.sh ;;
	*) "$O/bench/bench_$b" ${JSON:+--json} ;;
	esac 2>>"$O/bench.log" </dev/null || {
		echo "$b failed: $(tail -n 1 "$O/bench.log")" >&2
		rc=1
	}
done
exit $rc
