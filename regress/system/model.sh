#!/bin/bash
# The rules of pairing as models for spin(1), made from policyd/peer_fsm.def
# and written in regress/model. Each rule holds, and each is shown to fail
# where the model is weakened.
. "$(dirname "$0")/lib.sh"
need spin cc
plain_only "a model has no memory to look at"

T=$(mktemp -d /tmp/provd-model.XXXXXX)
trap 'rm -rf "$T"' EXIT
cp "$TOP"/regress/model/*.pml "$T"
"$O/tools/fsmdoc" promela >"$T/peer.pml"

# model NAME FILE [-DNAME...]: the verifier $T/NAME. Rendezvous and fairness
# go together without partial order reduction only.
model() {
	local name=$1 file=$2
	shift 2
	(mkdir -p "$T/$name.d" && cd "$T/$name.d" && cp ../*.pml . &&
	    spin "$@" -a "$file" >spin.log &&
	    cc -O0 -w -DNOREDUCE -DNFAIR=3 -o "../$name" pan.c)
}

# errors NAME RULE [OPTION...]: how many spin finds; nothing if it did not end
errors() {
	local name=$1 rule=$2 out
	shift 2
	out=$(cd "$T/$name.d" &&
	    timeout 300 "../$name" -a -m500000 "$@" -N "$rule" 2>&1)
	# A search that was cut short proves nothing.
	if printf '%s\n' "$out" | grep -q 'max search depth too small\|out of memory'; then
		return
	fi
	printf '%s\n' "$out" | sed -n 's/.*errors: \([0-9]*\).*/\1/p'
}

holds() {	# holds DESC NAME RULE [OPTION...]
	local desc=$1
	shift
	is "$desc" "$(errors "$@")" 0
}

# fails DESC FILE SED-EXPRESSION MODEL RULE [OPTION...]: in a weakened model
fails() {
	local desc=$1 file=$2 edit=$3 top=$4 rule=$5
	shift 5
	cp "$T/$file" "$T/keep"
	sed -i "$edit" "$T/$file"
	if cmp -s "$T/keep" "$T/$file"; then
		result 1 "$desc: nothing was weakened"
	elif model weak "$top" ${LIFE:+-DLIFE}; then
		is "$desc: found" "$(errors weak "$rule" "$@")" 1
	else
		result 1 "$desc: no model"
	fi
	cp "$T/keep" "$T/$file"
}

# ---- whatever happens, in whatever order
model any peer.pml
holds "nobody is trusted without evidence" any evidence
fails "a row that needs less" peer.pml \
    '/Attesting, verdict-good/s/(have & [0-9]*) == [0-9]*/(have \& 0) == 0/' \
    peer.pml evidence

# ---- a peer's life: kills, losses, somebody else on the cable
LIFE=1
model life peer.pml -DLIFE
holds "Connected only by our own verdict and a TLS identity that matches" \
    life connected
holds "whoever is wanted has a timer or an attestation; netd knows whom we trust" \
    life no_retry_lost
holds "from every state there is a way back to Connected" life comes_back -f
fails "a certificate that nobody looks at" life.pml \
    's/:: with_peer ->.*its certificate matches.*/:: true ->/' \
    peer.pml connected
fails "Connected without a verdict" peer.pml \
    '/Attesting, link-down/{n;s/state = [0-9]*/state = S_CONNECTED/}' \
    peer.pml connected
fails "a retry that is forgotten" peer.pml \
    '/Attesting, unreachable/{n;s/act_retry/act_none/}' \
    peer.pml no_retry_lost
fails "an anchor that netd keeps" acts.pml \
    '/inline act_distrust/,/^}/s/told = 0/skip/' peer.pml no_retry_lost
fails "a state that nothing leaves" peer.pml \
    '/NotConnected, link-up/{n;s/state = [0-9]*/state = S_NOTCONNECTED/}' \
    peer.pml comes_back -f

# ---- two nodes that dial each other
LIFE=
model dial dial.pml
holds "two that dial each other settle on one connection" dial settles
holds "of two that meet, the one that the lower id dialled stays" \
    dial lower_stays
fails "each prefers the newer one" dial.pml \
    's/^\(#define wins(c)\).*/\1 (true)/' dial.pml settles
fails "the second one is refused, whether the first one lives or not" dial.pml \
    's/say(live\[n\], n, PING)$/link_end(c, n)/' dial.pml settles
done_testing
