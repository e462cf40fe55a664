#!/bin/bash
# Two operators type one code: two nodes that list each other nowhere attest
# each other and are Connected. Whoever types another one, or the same one
# twice, or too late, gains nothing.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need ip runsv jq openssl python3

world_new
pair_wire
for n in a b; do
	NODE_BACKEND=soft node_new $n "$W/acme/root.pem"
done
echo 'peer "b" { address 192.0.2.2 }' >>"$W/a/conf"
echo 'peer "a" { address 192.0.2.1 }' >>"$W/b/conf"
sed 's/^code lifetime.*//' "$W/a/conf" >"$W/a/conf.long"
echo 'code lifetime 4 s' >>"$W/a/conf"
pair_start

type_code() {	# type_code NODE PEER CODE [OPTION...]
	local n=$1 p=$2 c=$3
	shift 3
	printf '%s\n' "$c" | ctl "$n" provision "$p" --code "$@"
}
make_code() {	# make_code NODE PEER: types nothing, prints the code, goes on
	type_code "$1" "$2" "" --json >"$W/$1.out" 2>"$W/$1.err" &
	MAKER=$!
	await 20 grep -q '"row":"code"' "$W/$1.out"
	CODE=$(jq -r 'select(.row == "code").code' "$W/$1.out" | head -n 1)
}
counted() {	# counted NODE CODE: a refusal of this reason was counted
	ctl "$1" --json status | jq -es --arg c "$2" \
	    'flatten | any(.row == "counter" and .reason.code == $c)' >/dev/null
}
# A stranger's PSK_EXCHANGE to a's port, twice on one connection: the answers'
# codes, 0 for PSK_EXCHANGE_RSP. The id is that of a code, or one as good.
cat >"$W/stranger.py" <<'PY'
import hashlib, os, socket, struct, sys
AB = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
def code_id(text):
    n = 0
    for c in text.replace("-", "")[:26]:
        n = n * 32 + AB.index(c)
    return hashlib.sha256(b"provd code id" + n.to_bytes(16, "big")).digest()[:16]
s = socket.create_connection((sys.argv[1], 4194))
def ask(m):
    s.sendall(struct.pack("<HBB", len(m) + 2, 1, 5) + m)
    n = struct.unpack("<H", s.recv(2, socket.MSG_WAITALL))[0]
    return s.recv(n, socket.MSG_WAITALL)[2:]
ask(bytes([0x10, 0x84, 0, 0]))
ask(bytes([0x13, 0xe1, 0, 0, 0, 0, 0, 0]) + struct.pack("<III", 0x4c6, 0x1200, 0x1200))
tables = b"".join(struct.pack("<BBH", t, 0x20, v) for t, v in ((3, 2), (5, 1)))
ask(bytes([0x13, 0xe3, 2, 0]) + struct.pack("<HBBII", 40, 1, 2, 0x10, 1) + bytes(12) + bytes(4) + tables)
hint = code_id(sys.argv[2]) if len(sys.argv) > 2 else os.urandom(16)
opaque = bytes.fromhex("0100000000000900010103001000110012000000")
m = bytes([0x13, 0xe6, 0xff, 1]) + struct.pack("<HHHH", 9, 16, 32, len(opaque)) + hint + os.urandom(32) + opaque
for i in range(2):
    a = ask(m)
    print(a[2] if a[1] == 0x7f else 0)
PY
stranger() {	# stranger [CODE]
	in_ns b python3 "$W/stranger.py" 192.0.2.1 "$@" | tr '\n' ' '
}
bare() {
	printf '%s' "$1" | tr -d -
}

out=$(ctl a provision b 2>&1)
like "without a code each is a stranger to the other" "$out" 'POL-001'

# Typing errors are told before anything is asked of anybody.
out=$(type_code a b 0000-0000-0000-0000-0000-0000-0001 2>&1)
is "a code whose check characters do not fit is refused at once" $? 2
like "and says that it is a typing error" "$out" 'typing error'
out=$(type_code a b 0000-0000-0000 2>&1)
is "and so is one that is too short" $? 2
out=$(ctl a provision b --code --identity "$(printf '0%.0s' {1..40})" 2>&1 </dev/null)
is "a code and an identity are not both said" $? 2

# Two codes that are not one: both wait, and the time of one is over.
make_code a b
like "an empty answer makes a code in seven groups" "$CODE" \
    '^([0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{4}$'
is "a waits for it meanwhile" "$(peer_field a b state)" Attesting
unlike "the process that waits has it not in its arguments" \
    "$(tr '\0' ' ' <"/proc/$MAKER/cmdline" 2>/dev/null)" "$(bare "$CODE")"
ok "b types another one" type_code b a "" --no-wait
wait $MAKER
is "a code that is not the other's ends in a refusal" $? 1
like "that says that its time is over" "$(cat "$W/a.err")" 'POL-040'
is "a: AttestationFailed" "$(peer_field a b state)" AttestationFailed
ok "b has counted a code that it does not hold" await 10 counted b KEY-030
is "b goes on waiting for its own" "$(peer_field b a state)" Attesting
ok "until its operator has enough" ctl b unprovision a
is "and then it is forgotten" "$(peer_field b a code)" null
out=$(type_code a b "$CODE" 2>&1)
is "a code is not taken twice" $? 1
like "with its reason" "$out" 'KEY-033'
ok "another one" type_code a b "" --no-wait
ok "keyd is killed, and has nothing on a disk" kill9 a keyd
ok "so that the code is gone" await_peer a b code null
like "which is the reason why" "$(ctl a explain peer b)" 'POL-041'

# From now on as long as people need.
node_stop a
cp "$W/a/conf.long" "$W/a/conf"
node_start a
ok "a is ready" await_ready a
make_code a b
is "a guess is no code, and there is one a connection" "$(stranger)" "1 4 "
ok "which is counted" await 10 counted a ATT-075
LOWER=$(bare "$CODE" | tr 'A-Z' 'a-z')
ok "the other operator types it, in another spelling" type_code b a "$LOWER"
wait $MAKER
is "the first one waited for that" $? 0
is "a: Provisioned" "$(peer_field a b provisioned)" true
is "b: Provisioned" "$(peer_field b a provisioned)" true
ok "a: Connected" await_peer a b connected Connected
ok "b: Connected" await_peer b a connected Connected
id_b=$(node_id b)
is "the identity that the code confirmed is listed" "$(peer_field a b identity)" "$id_b"
is "and by what" "$(peer_field a b identity_from)" code
like "a's audit log tells it" "$(ctl a audit show)" "identity $id_b confirmed by one-time code"
ok "a's audit log is whole" ctl a audit verify
out=$(type_code b a "$CODE" 2>&1)
is "the same code a second time is refused" $? 1
like "with its reason" "$out" 'KEY-033'
is "nor does its id open anything any more" "$(stranger "$CODE")" "5 4 "
ok "provision again needs no code" ctl a provision b

ok "b revokes a" ctl b revoke a
like "a code does not take that back" "$(type_code b a "" 2>&1)" 'POL-005'

# Nothing of any code is on a disk, nor in a log.
found=$(grep -rlaiE "$CODE|$(bare "$CODE")" "$W/a" "$W/b" 2>/dev/null)
is "no file and no log has it" "$found" ""
found=$(python3 - "$CODE" "$W/a" "$W/b" <<'PY'
import os, sys
n = 0
for c in sys.argv[1].replace("-", "")[:26]:
    n = n * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(c)
raw = n.to_bytes(16, "big")
for top in sys.argv[2:]:
    for d, _, files in os.walk(top):
        for f in (os.path.join(d, f) for f in files):
            if os.path.isfile(f):
                b = open(f, "rb").read()
                if raw in b or raw.hex().encode() in b.lower():
                    print(f)
PY
)
is "nor its bytes" "$found" ""
node_stop a
node_stop b
ok "no sanitizer spoke" world_sanitized_clean
done_testing
