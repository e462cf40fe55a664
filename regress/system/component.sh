#!/bin/bash
# A node fills the slots of its devices: only on the operator's command, only
# those that are listed, and it believes what it reads back. Devices that lie
# get nothing, or a reason.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/storecheck.sh"
need_root
need ip runsv jq openssl sqlite3

world_new
authority "$W/acme" ACME
wire a b
NODE_BACKEND=soft node_new a "$W/acme/root.pem"

# device NAME PORT SLOT [ARGUMENT...]: it runs, and is listed under its root
device() {
	local name=$1 port=$2 slot=$3
	shift 3
	mkdir -p "$W/$name"
	nsenter --net="/run/netns/$(ns_of a)" "$O/tools/spdmdev" "$@" "$W/$name" 127.0.0.1 "$port" \
	    >"$W/$name/said" 2>&1 &
	echo $! >"$W/$name/pid"
	WORLD_PIDS="$WORLD_PIDS $!"
	cat >>"$W/a/conf" <<-EOF
	component "$name" {
		address 127.0.0.1 spdm port $port slot $slot
		serial "ACME-77*" $([ "$name" = stranger ] ||
		    echo "root \"$W/$name/root.pem\"")
	}
	EOF
	ok "$name listens" await 20 grep -q listening "$W/$name/said"
}

# One on a bus, behind a bridge's socket in the root of netd.
bridged() {
	local name=$1 slot=$2
	mkdir -p "$W/$name"
	cat >>"$W/a/conf" <<-EOF
	component "$name" {
		transport mctp "$W/a/run/netd/$name.sock" slot $slot
		serial "ACME-77*" root "$W/$name/root.pem"
	}
	EOF
	# Its maker's root is there before policyd starts, the socket after.
	"$O/tools/spdmdev" "$W/$name" "$W/$name/sock" >"$W/$name/said" 2>&1 &
	WORLD_PIDS="$WORLD_PIDS $!"
	ok "$name listens" await 20 grep -q listening "$W/$name/said"
}

# What 'component show' says of one.
field() {
	ctl a --json component show "$1" |
	    jq -rs "map(select(.row == \"component\"))[0].$2"
}
field_is() {
	[ "$(field "$1" "$2")" = "$3" ]
}

device nic0 4201 2
device mutual 4202 1 -c p256 -m -A "$W/acme/root.pem"
device other 4203 1 -x other
device clear 4204 1 -x clear
device session 4205 1 -x session
device refuse 4206 1 -x refuse
device lie 4207 1 -x lie
device stranger 4208 1
device reset-csr 4209 3 -c p256 -r csr
device reset-set 4210 4 -r set
bridged bus 5
node_start a
ok "a is ready" await_ready a 60
ok "a has its maker's chain" await 60 node_identity a "$W/acme"

ln "$W/bus/sock" "$W/a/run/netd/bus.sock"

# ---- the straight way ------------------------------------------------------

is "nobody is enrolled by itself" "$(ctl a --json component list |
    jq -rs '[.[].state] | unique | join(" ")')" NotEnrolled
ok "enrol" ctl a component enrol nic0
is "Enrolled" "$(field nic0 state)" Enrolled
ctl a --json identity show | jq -rs \
    'map(select(.use == "node-ca"))[0].pem' >"$W/ca.pem"
ok "the device holds a certificate of our CA" \
    openssl verify -x509_strict -CAfile "$W/ca.pem" -no-CApath -no-CAstore \
    <(openssl x509 -in <(sed '1,/END/d' "$W/nic0/slot2.pem"))
like "in the component's name" "$(sed '1,/END/d' "$W/nic0/slot2.pem" |
    openssl x509 -noout -ext subjectAltName)" \
    "URI:urn:provd:component:$(node_id a):nic0"
is "and shown is what it holds" "$(ctl a --json component show nic0 |
    jq -rs 'map(select(.use == "component"))[0].pem')" \
    "$(sed '1,/END/d' "$W/nic0/slot2.pem")"
like "component list" "$(ctl a component list)" \
    'nic0 +Enrolled +yes +2 +127.0.0.1'
like "the record names device and key" "$(ctl a audit show)" \
    'slot 2 of [0-9a-f]{40}, over key [0-9a-f]{40}, asked for as "a device", serial ACME-7712'
first=$(field nic0 certificate)
ok "enrolled again" ctl a component enrol nic0
nok "with another certificate" field_is nic0 certificate "$first"
ok "a device that wants to know us" ctl a component enrol mutual
is "is enrolled" "$(field mutual state)" Enrolled

ok "one on a bus, over MCTP" ctl a component enrol bus
ok "holds a certificate, too" openssl verify -CAfile "$W/ca.pem" -no-CApath \
    -no-CAstore <(sed '1,/END/d' "$W/bus/slot5.pem")

# ---- hostile devices -------------------------------------------------------

# refused NAME CODE [STATE]
refused() {
	nok "$1: enrol" ctl a component enrol "$1"
	is "$1: ${3:-Failed}" "$(field "$1" state)" "${3:-Failed}"
	is "$1: reason" "$(field "$1" reason.code)" "$2"
	is "$1: no certificate counts" "$(field "$1" certificate)" null
}
refused other ATT-082		# does not hold the key
refused clear ATT-059		# not in the session
refused session ATT-062		# of another session
refused refuse ATT-085		# the slot is not set
refused lie ATT-086		# the slot holds something else
refused stranger POL-004	# a root that nobody accepted
like "the refusals are on record" "$(ctl a audit show)" \
    'component refused: node [0-9a-f]{40}: root'

# ---- a reset ---------------------------------------------------------------

for n in csr set; do
	nok "reset-$n: enrol" ctl a component enrol reset-$n
	is "reset-$n: a reset first" "$(field reset-$n reason.code)" ATT-084
done
like "and the status tells the operator" "$(ctl a status)" \
    'reset-set +ATT-084'
kill9 a policyd
ok "a is ready again" await_ready a 60
for n in csr set; do
	kill -HUP "$(cat "$W/reset-$n/pid")"
	ok "reset-$n: goes on by itself" await 60 field_is reset-$n state Enrolled
done
ok "reset-set: holds it" openssl verify -CAfile "$W/ca.pem" -no-CApath \
    -no-CAstore <(sed '1,/END/d' "$W/reset-set/slot4.pem")

# ---- kills -------------------------------------------------------------------

# settled NAME: nothing is under way
settled() {
	case $(field "$1" state) in
	Enrolled | Unfinished) return 0 ;;
	*) return 1 ;;
	esac
}
for r in policyd keyd attestd-q netd; do
	ctl a component enrol nic0 --no-wait >/dev/null
	kill9 a $r
	ok "$r killed: a is ready again" await_ready a 60
	ok "enrolled, or shown as unfinished" await 60 settled nic0
	ok "and it can be run again" ctl a component enrol nic0
done

# ---- what lasts ------------------------------------------------------------

is "enrolled still, after a kill" "$(field nic0 state)" Enrolled
ok "the audit log is whole" ctl a audit verify
ok "no certificate without its record, no record twice" store_whole a
is "no offence" "$(ctl a --json status |
    jq -s 'map(select(.row == "daemon").offences) | add')" 0
ok "nothing a sanitizer would say" world_sanitized_clean
[ "$TAP_FAILED" -eq 0 ] || node_logs a 40
done_testing
