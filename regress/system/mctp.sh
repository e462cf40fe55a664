#!/bin/bash
# SPDM over MCTP: a attests b through a bridge of MCTP, a SEQPACKET socket at
# either end, with the verdict of its policyd; b has no other way to be
# attested by it. What cannot be reached says why.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need ip runsv jq openssl

NODE_BACKEND=soft
world_new
pair_wire
for n in a b; do
	node_new $n "$W/acme/root.pem"
done
mkdir -p "$W/bridge"
echo "listen spdm mctp \"$W/bridge/b.sock\"" >>"$W/b/conf"
echo 'peer "a" { }' >>"$W/b/conf"
# Nobody listens for SPDM on TCP where a would look.
cat >>"$W/a/conf" <<EOF
peer "b" {
	address 192.0.2.2
	spdm port 9
	transport mctp "$W/a/run/netd/b.sock"
}
peer "nobody" { transport mctp "$W/a/run/netd/nobody.sock" }
peer "kernel" { transport mctp network 1 eid 9 }
EOF
ok "the configuration is understood" "$O/bin/netd" -n -f "$W/a/conf"
node_start a
node_start b
ok "a starts" await_ready a 120
ok "b starts" await_ready b 120
ok "b: identity installed" node_identity b "$W/acme"
id_b=$(node_id b)
ok "b's socket for bridges is there" test -S "$W/bridge/b.sock"
is "and not everybody's" "$(stat -c %a "$W/bridge/b.sock")" 660

told() {	# told PEER REGEX
	ctl a explain peer "$1" | grep -E "$2"
}
ctl a provision b --identity "$id_b" --no-wait >/dev/null
ok "without the bridge the reason is told" await 20 told b 'NET-041'
is "and b is not trusted" "$(peer_field a b provisioned)" false

"$O/tools/mctpbridge" "$W/a/run/netd/b.sock" "$W/bridge/b.sock" \
    >"$W/bridge/log" 2>"$W/bridge/err" &
WORLD_PIDS="$WORLD_PIDS $!"
ok "the bridge listens" await 10 test -S "$W/a/run/netd/b.sock"
ok "provctl provision b: attested over MCTP" \
    ctl a provision b --identity "$id_b"
is "a: Provisioned" "$(peer_field a b provisioned)" true
is "the proved id is b's" "$(peer_field a b node)" "$id_b"
like "questions went over the bridge, as SPDM" "$(cat "$W/bridge/log")" '^> 05 5$'
like "answers too" "$(cat "$W/bridge/log")" '^< 05 [0-9]+$'
unlike "and nothing of another type" "$(cat "$W/bridge/log")" '^. (0[^5]|[^0])'
is "the bridge has nothing to complain about" "$(cat "$W/bridge/err")" ''

ctl a provision nobody --no-wait >/dev/null
ok "a bridge that is not there is told" await 20 told nobody 'NET-041'
ctl a provision kernel --no-wait >/dev/null
ok "a kernel without MCTP, or an endpoint that nobody is" \
    await 60 told kernel 'NET-040|ATT-00[12]'

# Whoever sends what is no MCTP is dropped, and b lives on.
ok "a stranger who sends rubbish is dropped" python3 - "$W/bridge/b.sock" <<'EOF'
import socket, sys
for m in (b"\x85\x10\x84\0\0", b"\x7e", b"\x05" + b"x" * 60000):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(20)
    s.connect(sys.argv[1])
    try:
        s.send(m)
        r = s.recv(100)
    except ConnectionError:
        r = b""
    assert r == b"" or r[1:3] == b"\x10\x7f", r
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(20)
s.connect(sys.argv[1])
s.send(b"\x05\x10\x84\0\0")
assert s.recv(100)[:3] == b"\x05\x10\x04"
EOF
node_stop a
node_stop b
ok "no sanitizer spoke" world_sanitized_clean
done_testing
