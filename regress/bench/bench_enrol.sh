#!/bin/bash
# Certificates a second through the whole of the certificate service: CSR of
# P-256, a ticket each, CA key sealed, durable and audited, file and log line
# written; as JSON and EST over TLS 1.3, on connections that are kept and on one
# each. The client is on the same cores. In turns with what OpenSSL takes at
# least, one signature and one verification on one core, and with 'openssl ca'
# and 'openssl x509 -req' in a loop. Then with SIZES (1000 1000000) certificates
# in the store; a CRL of CRL_ENTRIES (100000); answers of OCSP.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/tools/enrol.sh"

N=${N:-2000}		# certificates of one mode in one round
ROUNDS=${ROUNDS:-3}
CONNS=${CONNS:-32}
SIZES=${SIZES:-1000 1000000}
CRL_ENTRIES=${CRL_ENTRIES:-100000}
[ "$(id -u)" -eq 0 ] || die "needs root"

# load NAME ARGUMENT...: sets rate, p50 and p99 (us)
load() {
	in_ns ca "$O/tools/enrolload" load -A $CA_AT -c "$CONNS" "$@" >"$W/load" 2>&1 ||
	    die "$(tail -n 3 "$W/load")"
	grep -qx 'refused 0' "$W/load" || die "refused: $(tr '\n' ' ' <"$W/load")"
	rate=$(awk '/^rate/ { print $2 }' "$W/load")
	p50=$(awk '/^p50/ { print $2 }' "$W/load")
	p99=$(awk '/^p99/ { print $2 }' "$W/load")
}

# run_ns ROLE: processor time that this daemon has had
run_ns() {
	cut -d ' ' -f 1 "/proc/$(pid_of ca "$1")/schedstat"
}

CPU="enrold policyd keyd netd"
declare -A cpu
cpu_from() {
	local r
	for r in $CPU; do
		cpu[$r]=$(run_ns "$r")
	done
}

# cpu_lines PREFIX N: what each of them took for one, since cpu_from
cpu_lines() {
	local r us all=0
	for r in $CPU; do
		us=$((($(run_ns "$r") - cpu[$r]) / 1000 / $2))
		line "$1_cpu_$r" $us us
		all=$((all + us))
	done
	line "$1_cpu_all" $all us "$(awk "BEGIN { printf \"%.2f\", 1000000 / $all / $b }")"
}

# A CA as 'openssl ca' wants it, and one request
openssl_ca() {
	local d=$W/openssl
	mkdir -p "$d/new"
	: >"$d/index.txt"
	echo 1000 >"$d/serial"
	authority "$d/ca" Bench
	key_csr "$d/one" "$(mac 1)"
	cat >"$d/conf" <<-EOF2
	[ca]
	default_ca = d
	[d]
	new_certs_dir = $d/new
	database = $d/index.txt
	serial = $d/serial
	certificate = $d/ca/root.pem
	private_key = $d/ca/key.pem
	default_md = sha256
	default_days = 30
	policy = p
	unique_subject = no
	[p]
	commonName = supplied
	EOF2
}

# looped SECONDS CMD...: how often a second it is done
looped() {
	local n=0 s=$1 from=$EPOCHREALTIME us
	shift
	from=${from/./}
	while us=$((${EPOCHREALTIME/./} - from)) && [ $us -lt $((s * 1000000)) ]; do
		"$@" >/dev/null 2>&1 || die "$1"
		n=$((n + 1))
	done
	awk "BEGIN { printf \"%.1f\", $n * 1000000 / $us }"
}

# fill N: the store of a node that rests has so many certificates
fill() {
	local now
	now=$(date +%s)
	sqlite3 "$W/ca/state/policyd/store.db" >"$W/fill" <<-EOF2 || die "fill: $(cat "$W/fill")"
	PRAGMA synchronous = OFF;
	PRAGMA cache_size = -400000;
	BEGIN;
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
	INSERT INTO cert (serial, generation, name, profile, address, not_before,
	    not_after, requested, revoked, reason, auth, est, state, key, request,
	    authority)
	    SELECT x'41' || randomblob(15), 1, printf('06:%02x:%02x:%02x:%02x:00',
	    i >> 24 & 255, i >> 16 & 255, i >> 8 & 255, i & 255), 'iot', '192.0.2.1',
	    $now - 60, $now + 2000000, $now, 0, 0, 0, 0, 2, randomblob(32),
	    randomblob(32), randomblob(32) FROM n;
	INSERT INTO cert_der SELECT id, randomblob(700) FROM cert
	    WHERE id NOT IN (SELECT id FROM cert_der);
	COMMIT;
	PRAGMA wal_checkpoint(TRUNCATE);
	EOF2
}

up() {
	node_start ca
	until_is 300 node_ready ca
}

world_new
NODE_BACKEND=sealed NODE_VERBOSE=' ' ca_node ca "limit enrol 1024"
openssl_ca
up
ca_up ca >/dev/null || die "ca init"
NEXT=1
fresh() {	# so many tickets, in $W/tickets
	tickets ca $NEXT "$N" >"$W/tickets" || die "tickets"
	NEXT=$((NEXT + N))
}

# ---- the rates --------------------------------------------------------------

MODES="json_kept est_kept json_each est_each"
declare -A args=([json_kept]="" [est_kept]="-e" [json_each]="-1" [est_each]="-1 -e")
declare -A rates p50s p99s ratios
bare=() ca=() x509=()
for ((i = 0; i < ROUNDS; i++)); do
	bare+=("$("$O/tools/enrolload" bare 1)")
	ca+=("$(looped 2 openssl ca -batch -config "$W/openssl/conf" -in "$W/openssl/one.csr" -out /dev/null)")
	x509+=("$(looped 2 openssl x509 -req -in "$W/openssl/one.csr" -CA "$W/openssl/ca/root.pem" \
	    -CAkey "$W/openssl/ca/key.pem" -days 30 -out /dev/null)")
	for m in $MODES; do
		fresh
		# shellcheck disable=SC2086
		load ${args[$m]} -t "$W/tickets"
		rates[$m]+="$rate "
		p50s[$m]+="$p50 "
		p99s[$m]+="$p99 "
		ratios[$m]+="$(awk "BEGIN { print $rate / ${bare[i]} }") "
	done
done
b=$(middle "${bare[@]}")
line enrol_bare_sign_verify "$b" /s
c=$(middle "${ca[@]}")
line enrol_openssl_ca "$c" /s
x=$(middle "${x509[@]}")
line enrol_openssl_x509 "$x" /s
for m in $MODES; do
	# shellcheck disable=SC2086
	{
		r=$(middle ${rates[$m]})
		line "enrol_$m" "$r" /s "$(printf %.2f "$(middle ${ratios[$m]})")"
		line "enrol_${m}_p50" "$(awk "BEGIN { printf \"%.1f\", $(middle ${p50s[$m]}) / 1000 }")" ms
		line "enrol_${m}_p99" "$(awk "BEGIN { printf \"%.1f\", $(middle ${p99s[$m]}) / 1000 }")" ms
	}
	[ "$m" != json_kept ] || first=$r
done
for m in json_kept json_each; do
	fresh
	cpu_from
	# shellcheck disable=SC2086
	load ${args[$m]} -t "$W/tickets"
	cpu_lines "enrol_$m" "$N"
done
line enrol_to_openssl_ca "$(awk "BEGIN { printf \"%.1f\", $first / $c }")" times
line enrol_to_openssl_x509 "$(awk "BEGIN { printf \"%.1f\", $first / $x }")" times

# ---- OCSP ---------------------------------------------------------------------

key_csr "$W/one" "$(mac 4000000)"
enrol_json ca "$W/one" "$(ticket ca "$(mac 4000000)")" >/dev/null || die "one"
openssl ocsp -issuer "$W/ca/issuing.pem" -cert "$W/one.crt" -reqout "$W/ocsp.req" 2>/dev/null
cpu_from
load -p -P 8080 -u /ocsp -T application/ocsp-request -b "$W/ocsp.req" -n $((N * 2))
line enrol_ocsp_kept "$rate" /s "$(awk "BEGIN { printf \"%.2f\", $rate / $b }")"
cpu_lines enrol_ocsp $((N * 2))
line enrol_ocsp_kept_p99 "$(awk "BEGIN { printf \"%.1f\", $p99 / 1000 }")" ms

# ---- a large store ----------------------------------------------------------------

first=
for size in $SIZES; do
	node_stop ca
	fill "$size"
	up
	r=()
	for ((i = 0; i < ROUNDS; i++)); do
		fresh
		load -t "$W/tickets"
		r+=("$rate")
	done
	m=$(middle "${r[@]}")
	first=${first:-$m}
	line "enrol_of_$size" "$m" /s "$(awk "BEGIN { printf \"%.2f\", $m / $first }")"
done

# ---- a large CRL -------------------------------------------------------------------

node_stop ca
have=$(sqlite3 "$W/ca/state/policyd/store.db" "SELECT count(*) FROM cert WHERE name LIKE '06:%'")
[ "$have" -ge "$CRL_ENTRIES" ] || fill $((CRL_ENTRIES - have))
sqlite3 "$W/ca/state/policyd/store.db" "UPDATE cert SET revoked = $(date +%s), reason = 1
    WHERE id IN (SELECT id FROM cert WHERE name LIKE '06:%' LIMIT $CRL_ENTRIES)"
up
t=()
for ((i = 0; i < ROUNDS; i++)); do
	from=$(clock)
	ctl ca ca crl --publish -o "$W/crl.der" >/dev/null || die "crl"
	t+=($(($(clock) - from)))
done
line enrol_crl_entries "$(openssl crl -inform DER -in "$W/crl.der" -noout -text 2>/dev/null | grep -c 'Serial Number')" ""
line enrol_crl_published "$(middle "${t[@]}")" ms
line enrol_crl_size "$(stat -c %s "$W/crl.der")" bytes
