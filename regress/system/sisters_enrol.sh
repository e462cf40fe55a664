#!/bin/bash
# Hostile sisters on a node with the certificate service: in the place of
# enrold, and of netd towards it. Whatever else they say ends them and is on
# record; what they make up in good form is refused for its reason; keyd signs
# nothing for enrold but the TLS of its listeners; no certificate comes of it.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/enrol.sh"
. "$TOP/regress/tools/sisters.sh"
need_root
need ip runsv jq openssl curl

world_new
NODE_VERBOSE=-d ca_node a
node_start a
ok "a is ready" await_ready a 60
ok "ca init" ca_up a
mkdir "$W/d"
ROLES="$ROLES enrold"
HAS=24:0a:c4:00:00:01 OTHER=24:0a:c4:00:00:02
key_csr "$W/d/one" $HAS
ok "a device has a certificate" enrol_json a "$W/d/one" "$(ticket a $HAS)"
S=$(serial_of "$W/d/one.crt")
T=$(ticket a $OTHER)
KEY=$(openssl x509 -in "$W/d/one.crt" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d ' ' -f 1)
: >"$W/said"
certs() {
	ctl a --json cert list | jq -s 'flatten | map(select(.row == "cert")) | length'
}

was=$(pids enrold)
node_stop a enrold
counted enrold start
sister enrold "$S" $HAS "$KEY" $OTHER "$T"
tries 0 policyd enrold
is "the others lived on" "$(pids enrold)" "$was"
anew
was=$(pids enrold)
sister written enrold
tries 0 keyd enrold
sister hello enrold keyd old
sister hello enrold keyd build
sister try enrold netd run 7 0 3
sister hello enrold netd old
is "the others lived on" "$(pids enrold)" "$was"
node_start a enrold
ok "a is ready again" await_ready a 60

anew
await_ready a 60 >/dev/null
was=$(pids netd)
node_stop a netd
sister doors
# With the one of doors, three: those are believed.
sister try netd enrold run 7 0 2
is "enrold and the others lived on" "$(pids netd)" "$was"
node_start a netd
ok "a is ready again" await_ready a 60

ctl a --json audit show | jq -s flatten >"$W/audit"
diag "$(grep -c '^# offence' "$W/said") offences after a greeting, $(grep -c '^# counted' "$W/said") others"
is "each is on record with its offender, who saw it, its reason and its message" \
    "$(recorded | md5sum)" "$(did | md5sum)" || diag "$(diff <(recorded) <(did))"
is "no certificate came of it" "$(certs)" 1
is "and none was revoked" "$(cert_field a "$S" status)" valid
key_csr "$W/d/two" $OTHER
ok "an honest device is served" enrol_json a "$W/d/two" "$T"
ok "the audit log is whole" ctl a audit verify
node_stop a
ok "no sanitizer spoke" world_sanitized_clean
done_testing || diag "$(node_logs a)"
[ "$TAP_FAILED" -eq 0 ]
