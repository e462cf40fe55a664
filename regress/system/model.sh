#!/bin/bash
# The states of a peer as a model: whatever happens in whatever order, who is
# trusted has all the evidence. And the model finds it when a row needs less.
. "$(dirname "$0")/lib.sh"
need spin cc

T=$(mktemp -d /tmp/provd-model.XXXXXX)
trap 'rm -rf "$T"' EXIT

# errors FILE: how many spin finds against the rule 'evidence'
errors() {
	(cd "$T" && spin -a "$1" >/dev/null && cc -O1 -w -o pan pan.c &&
	    ./pan -a -m200000 2>/dev/null) |
	    sed -n 's/.*errors: \([0-9]*\).*/\1/p'
}

"$O/tools/fsmdoc" promela >"$T/peer.pml"
is "nobody is trusted without evidence" "$(errors peer.pml)" 0
sed '/Attesting, verdict-good/s/(have & [0-9]*) == [0-9]*/(have \& 0) == 0/' \
    "$T/peer.pml" >"$T/weak.pml"
nok "a row was weakened" cmp -s "$T/peer.pml" "$T/weak.pml"
is "a row that needs less is found" "$(errors weak.pml)" 1
done_testing
