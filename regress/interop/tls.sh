#!/bin/bash
# openssl s_client and gnutls-cli connect to netd with a proper identity and
# get their alive; with a wrong one they are refused. A session cannot be
# resumed, TLS 1.2 is not spoken.
. "$(dirname "$0")/../system/lib.sh"
. "$(dirname "$0")/../system/world.sh"
. "$(dirname "$0")/../tools/netdhub.sh"
. "$(dirname "$0")/../tools/certs.sh"
need_root
need ip nsenter openssl gnutls-cli
cd "$TOP" || exit 1

ID_A=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
ID_B=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb

world_new
wire a b
address a 192.0.2.1/24
address b 192.0.2.2/24
certs_new
cert_ca A; cert_ca B; cert_ca X
cert_leaf A a "$(urn $ID_A)"
cert_leaf B b "$(urn $ID_B)"
cert_leaf X b-by-x "$(urn $ID_B)"
cert_leaf B none 'DNS:bmc-b'
netd_new a 'lldp interval 60 s hold 4'
hub_start a
netd_start a
hub identity $ID_A "$W/c/a.key" "$W/c/a.pem"
hub peer 1 $ID_B - 0 0 10000 30000 "$W/c/B.pem"
hub_says a '^peer 1 state 0 TLS-033 '

CLIENT=
# client COMMAND...: in B's place, its words through $W/say, what it hears in
# $W/heard
client() {
	rm -f "$W/say"
	mkfifo "$W/say"
	: >"$W/heard"
	nsenter --net="/run/netns/$(ns_of b)" "$@" <"$W/say" >"$W/heard" 2>&1 &
	CLIENT=$!
	exec {SAY}>"$W/say"
}

client_end() {
	exec {SAY}>&-
	wait "$CLIENT" 2>/dev/null
}

hears() {
	await 30 grep -qaE -- "$1" "$W/heard"
}

s_client() {	# s_client LEAF [OPTION...]
	local leaf=$1
	shift
	client openssl s_client -connect 192.0.2.1:8090 -cert "$W/c/$leaf.pem" \
	    -key "$W/c/$leaf.key" -CAfile "$W/c/A.pem" -verify_return_error \
	    "$@"
}

gnutls() {	# gnutls LEAF [OPTION...]
	local leaf=$1
	shift
	client gnutls-cli --x509cafile "$W/c/A.pem" \
	    --x509certfile "$W/c/$leaf.pem" --x509keyfile "$W/c/$leaf.key" \
	    --no-ca-verification --disable-sni -p 8090 "$@" 192.0.2.1
}

both() {	# both NAME: the client that runs now is B
	printf Hello >&"$SAY"
	ok "$1: Hello is answered" hears 'alive'
	ok "$1: connected" hub_says a '^peer 1 state 2 OK dialled 0'
	: >"$W/heard"
	printf 'any message' >&"$SAY"
	ok "$1: so is any message" hears 'alive'
}

refused() {	# refused NAME CODE
	{ printf Hello >&"$SAY"; } 2>/dev/null
	ok "$1: refused with $2" hub_says a "^counter $2 "
	ok "$1: it sees an alert" hears '[Aa]lert'
	client_end
	nok "$1: no alive" grep -qa '^alive' "$W/heard"
}

trap '' PIPE
# ---- a proper identity
s_client b
both 's_client'
client_end
ok 's_client: gone' hub_says a '^peer 1 state 0 TLS-020 '
s_client b -brief
ok 's_client: our certificate verifies' hears 'Verification: OK'
ok 's_client: TLS 1.3' hears 'Protocol version: TLSv1.3'
ok 's_client: ECDSA only is asked for' hears \
    'Requested Signature Algorithms: ECDSA\+SHA256:ECDSA\+SHA384$'
nok 's_client: no CA is named' grep -q 'Acceptable client' "$W/heard"
client_end
: >"$W/a/out"
gnutls b
both 'gnutls-cli'
client_end
ok 'gnutls-cli: gone' hub_says a '^peer 1 state 0 TLS-020 '

# ---- a wrong one
s_client none
refused 's_client, no identity' TLS-001
s_client b-by-x
refused "s_client, a stranger's CA" TLS-006
: >"$W/a/out"
gnutls none
refused 'gnutls-cli, no identity' TLS-001
gnutls b-by-x
refused "gnutls-cli, a stranger's CA" TLS-006
: >"$W/a/out"
client openssl s_client -connect 192.0.2.1:8090
refused 's_client, no certificate' TLS-014

# ---- other ways in
s_client b -tls1_2
refused 's_client, TLS 1.2' TLS-016
s_client b -sigalgs RSA-PSS+SHA256
refused 's_client, RSA' TLS-015
s_client b -sess_out "$W/session" -brief
hears 'Verification: OK'
printf Hello >&"$SAY"
hears alive
client_end
nok 'no ticket is given' test -s "$W/session"
s_client b -groups P-521
refused 's_client, a curve that we do not take' TLS-015

netd_done a
