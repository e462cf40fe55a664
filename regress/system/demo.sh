#!/bin/bash
# make demo shows the main job, exits 0 and leaves nothing behind; so it does
# when it is interrupted, or fails.
. "$(dirname "$0")/lib.sh"
need_root
need ip runsv swtpm jq openssl unshare curl busctl dbus-daemon
# /run/netns of our own, so that what others make or remove is not seen.
if [ -z "${PRIVATE_MOUNTS:-}" ]; then
	PRIVATE_MOUNTS=1 exec unshare -m --propagation private "$0"
fi
cd "$TOP" || exit 1
mkdir -p /run/netns && mount -t tmpfs netns /run/netns || exit 1

export O
out=$("$O/tools/reaper" regress/demo.sh 2>&1)
is "the demo exits 0 and leaves no process" $? 0
unlike "no step failed" "$out" 'FAILED'
for s in 'hears bmc-b' 'Provisioned on bmc-a' 'Connected on both sides' 'NotConnected on bmc-a' \
    'policyd killed' 'netd killed' 'what was measured has changed' 'root is not accepted' 'audit verify' \
    'bmc-b is attested by itself' 'a signal, PeerProvisioned' 'not in the group provd is refused' \
    'busd killed' 'provctl ca init' 'the lamp: JSON' 'the door: EST' 'a certificate of its maker' 'the door renews' \
    "refuses the lamp's next" 'CRL says so' 'OCSP says so'; do
	like "it shows: $s" "$out" "ok +.*$s"
done
is "no namespace is left" "$(ls /run/netns)" ""
[ "$TAP_FAILED" -eq 0 ] || diag "$out"
done_testing
