#!/bin/bash
# make demo shows the main job, exits 0 and leaves nothing behind; so it does
# when it is interrupted, or fails.
. "$(dirname "$0")/lib.sh"
need_root
need ip runsv swtpm jq openssl
cd "$TOP" || exit 1

left() {	# namespaces and directories that a demo left
	ip netns list 2>/dev/null | grep '^provd-' | grep -v "^provd-$$-"
}

before=$(left)
export O
out=$("$O/tools/reaper" regress/demo.sh 2>&1)
is "the demo exits 0 and leaves no process" $? 0
unlike "no step failed" "$out" 'FAILED'
for s in 'hears bmc-b' 'Provisioned on bmc-a' 'Connected on both sides' 'NotConnected on bmc-a' \
    'policyd killed' 'netd killed' 'what was measured has changed' 'root is not accepted' 'audit verify'; do
	like "it shows: $s" "$out" "ok +.*$s"
done
is "no namespace is left" "$(left)" "$before"
[ "$TAP_FAILED" -eq 0 ] || diag "$out"
done_testing
