# shellcheck shell=bash
# Hostile sisters on node a: what their tests share. Sourced after world.sh.

# sister ARGUMENT...: its lines of TAP are ours, what it did is kept
sister() {
	local rc=0
	"$O/tools/sister" "$W/a" "$@" >"$W/out" 2>&1 || rc=$?
	grep -E '^# (offence|counted) ' "$W/out" >>"$W/said"
	grep -vE '^# (offence|counted) ' "$W/out" >"$W/tap"
	merge "$W/tap"
	[ $rc -eq 0 ] || grep -q '^not ok' "$W/tap" || result 1 "sister $*: exit $rc"
}

CODES="IPC-003 IPC-004 IPC-005 IPC-007 IPC-008"
counters() {	# as often as policyd counted each of CODES
	ctl a --json status | jq -rs --arg codes "$CODES" 'flatten |
	    map(select(.row == "counter" and .role == "policyd") |
	    {(.reason.code): .count}) | add as $c | $codes | split(" ") |
	    map("\(.) \($c[.] // 0)") | .[]'
}

# counted ROLE PHASE: what is not recorded each time, policyd counts
counted() {
	local before
	before=$(counters)
	sister try "$1" policyd "$2" 7 0 1000
	is "$1: each is counted with its reason" \
	    "$(paste -d ' ' <(echo "$before") <(counters) | awk '{ print $1, $4 - $2 }')" \
	    "$(for c in $CODES; do echo "$c $(grep -c "^# counted $1 $c\$" "$W/out")"; done)"
}

pids() {	# of the daemons but these
	local r
	for r in $ROLES; do
		case " $* " in *" $r "*) ;; *) echo "$r $(pid_of a "$r")" ;; esac
	done
}

# The budget of greetings of a role is policyd's; a new one has it whole.
anew() {
	local old
	old=$(pid_of a policyd)
	kill "$old"
	await 30 started_anew a policyd "$old"
	await 30 keyd_ready >"$W/ready"
}

# tries FIRST PEER ROLE...: the next of what each may not say to this peer. The
# rest, each batch in the life of another policyd.
BATCH=44
tries() {
	local first=$1 peer=$2 r
	shift 2
	for r; do
		[ "$first" -ge "$(many "$r" "$peer")" ] ||
		    sister try "$r" "$peer" run 7 "$first" $BATCH
	done
}
the_rest() {
	local peer=$1 first=$BATCH n r
	shift
	n=$(for r; do many "$r" "$peer"; done | sort -n | tail -n 1)
	while [ "$first" -lt "$n" ]; do
		anew
		tries "$first" "$peer" "$@"
		first=$((first + BATCH))
	done
}
many() {	# many ROLE PEER: attempts that there are
	"$O/tools/sister" "$W/a" list "$1" "$2" run 7
}

keyd_ready() {
	ctl a --json status | jq -es 'flatten | any(.row == "daemon" and .role == "keyd" and .state == "ready")'
}

recorded() {
	jq -r '.[] | select(.row == "audit" and .kind == "offence") |
	    "\(.subject) \(.text | split(", seen by ")[1]) \(.reason.code) \(.text |
	    split(", seen by ")[0] | .[3:])"' "$W/audit" | sort | uniq -c
}
did() {
	sed -n 's/^# offence //p' "$W/said" | sort | uniq -c
}
