#!/bin/bash
# Instructions of one attestation (P-256, both sides in one process) and of one
# full handshake (both ends, key here), counted by valgrind: the same on a
# loaded machine. What is more than TOLERANCE percent (5) above the file
# beside this one fails. "instructions.sh -u" writes the file anew.
#
# The file is of the compiler, OpenSSL and CFLAGS that it names.
. "$(dirname "$0")/lib.sh"

TOLERANCE=${TOLERANCE:-5}
KNOWN=$(dirname "$0")/instructions
need valgrind
workdir
trap 'rm -rf "$W"' EXIT

total() {	# total PROGRAM N
	valgrind --tool=callgrind \
	    --callgrind-out-file="$W/out" "$O/bench/$1" --only "$2" >"$W/said" 2>&1 ||
	    die "$1: $(tail -n 3 "$W/said")"
	sed -n 's/^summary: //p; s/^totals: //p' "$W/out" | tail -n 1
}

# What is done once costs the same in both runs.
each() {	# each PROGRAM
	local few many
	few=$(total "$1" 20)
	many=$(total "$1" 60)
	echo $(((many - few) / 40))
}

here() {
	printf '# %s; OpenSSL %s; valgrind %s; %s\n' "$(gcc --version | head -n 1)" \
	    "$(pkg-config --modversion libcrypto)" "$(valgrind --version)" "$(uname -m)"
}

declare -A got
got[attestation]=$(each bench_attest) || exit 1
got[handshake]=$(each bench_tls) || exit 1
if [ "${1:-}" = -u ]; then
	here >"$KNOWN"
	for n in attestation handshake; do
		echo "$n ${got[$n]}" >>"$KNOWN"
	done
	exit 0
fi
rc=0
for n in attestation handshake; do
	was=$(sed -n "s/^$n //p" "$KNOWN")
	line "instructions_$n" "${got[$n]}" instructions "$(awk "BEGIN { printf \"%.3f\", ${got[$n]} / $was }")"
	if [ "${got[$n]}" -gt $((was + was * TOLERANCE / 100)) ]; then
		echo "instructions.sh: one $n took $was, now ${got[$n]}: more than $TOLERANCE % more" >&2
		rc=1
	fi
done
[ "$(here)" = "$(head -n 1 "$KNOWN")" ] ||
    echo "instructions.sh: the file is of another machine: $(head -n 1 "$KNOWN")" >&2
exit $rc
