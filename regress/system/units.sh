#!/bin/bash
# Units, rc and runit scripts, users and directories, as 'make install' lays
# them out: they parse, they are as tight as promised, they agree.
. "$(dirname "$0")/lib.sh"
need systemd-analyze systemd-tmpfiles systemd-sysusers
W=$(mktemp -d /tmp/units.XXXXXX) || exit 1
trap 'rm -rf "$W"' EXIT

ok "make install" make -s -C "$TOP" O="$O" DESTDIR="$W" install
UNITS=$W/usr/lib/systemd/system
# provd-enrol is a client of another machine's
DAEMONS=$(find "$UNITS" -name '*.service' ! -name provd-enrol.service | sort)

# threshold in tenths
exposure() {
	systemd-analyze security --offline=true --threshold="$2" "$1" >/dev/null
}

for u in policyd keyd attestd-q attestd-r enrold busd; do
	ok "provd-$u.service: exposure at most 1.5" exposure "$UNITS/provd-$u.service" 15
done
ok "provd-enrol.service: exposure at most 2.5" exposure "$UNITS/provd-enrol.service" 25
ok "its program was installed" test -x "$W$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$UNITS/provd-enrol.service")"
nok "provd.target does not start it" grep -q 'provd-enrol[. ]' "$UNITS/provd.target"
ok "provd-netd.service: exposure at most 2.5" exposure "$UNITS/provd-netd.service" 25
sed '/^Protect/d; /^SystemCall/d' "$UNITS/provd-keyd.service" >"$W/loose.service"
nok "a unit with less would not pass" exposure "$W/loose.service" 15

# An unknown key is a warning only: any word about our units is a failure. The
# programs and pages are looked for in the installed tree below.
for u in "$UNITS"/*; do
	out=$(systemd-analyze verify --man=no --recursive-errors=yes "$u" 2>&1 |
	    grep "^[^ ]*$(basename "$u")" | grep -v 'is not executable')
	is "$(basename "$u"): systemd-analyze verify" "$out" ""
done
cp "$UNITS/provd-keyd.service" "$W/wrong.service"
sed -i 's/^Restart=/Restrat=/' "$W/wrong.service"
like "a misspelt key would be seen" \
    "$(systemd-analyze verify --man=no "$W/wrong.service" 2>&1)" 'Unknown key'

for u in $DAEMONS; do
	n=$(basename "$u")
	text=$(cat "$u")
	prog=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$u")
	user=$(sed -n 's/^User=//p' "$u")
	ok "$n: $prog was installed" test -x "$W$prog"
	# enrold and busd end in good order where they have nothing to do, and stay down
	case $n in
	provd-enrold.service|provd-busd.service)
		back=on-failure ;;
	*)
		back=always ;;
	esac
	like "$n: comes back whatever ends it" "$text" "^Restart=$back"
	like "$n: says when it is ready" "$text" '^Type=notify'
	like "$n: and that it turns" "$text" '^WatchdogSec=30s'
	like "$n: itself, and nobody else" "$text" '^NotifyAccess=main'
	like "$n: provd.target wants it" "$(cat "$UNITS/provd.target")" "^Wants=(.* )?$n( |$)"
	like "$n: nothing to start without a configuration" "$text" '^ConditionPathExists=/etc/provd.conf$'
	like "$n: argues what is left" "$text" '^#   PrivateUsers'
	like "$n: $user is in sysusers.d" "$(cat "$W/usr/lib/sysusers.d/provd.conf")" "^u	$user"
done
is "only netd may have CAP_NET_RAW" \
    "$(grep -l '^[^#].*CAP_NET_RAW' $DAEMONS)" "$UNITS/provd-netd.service"
is "only netd has a network" \
    "$(grep -L '^PrivateNetwork=yes' $DAEMONS)" "$UNITS/provd-netd.service"

ok "sysusers.d is well formed" systemd-sysusers --dry-run "$W/usr/lib/sysusers.d/provd.conf"
# The same table as in the code: state or run, path, owner, group, mode.
table=$(sed -n '/confine_dirs\[\] = {/,/^};/p' "$TOP/libutil/confine.c" |
    tr '\t' ' ' | sed -n 's/[{},"]/ /g; s/  *0\([0-7]*\) *$/ \1/p')
is "tmpfiles.d and libutil/confine.c agree" \
    "$(awk '$1 == "d" { print $2, $3 + 0, $4, $5 }' "$W/usr/lib/tmpfiles.d/provd.conf" | sort)" \
    "$(printf '%s\n' "$table" | awk 'NF == 4 { print ($1 == "true" ? "/var/lib/provd" : "/run/provd"), $4 + 0, $2, $3 }
	NF == 5 { print ($1 == "true" ? "/var/lib/provd/" : "/run/provd/") $2, $5 + 0, $3, $4 }' | sort)"
like "and there is something to agree about" "$table" 'attestd-r'

for f in "$W"/etc/rc.d/provd_*; do
	n=$(basename "$f")
	prog=$(sed -n 's/^daemon=//p' "$f")
	ok "$n: $prog was installed" test -x "$W$prog"
	ok "$n parses" sh -n "$f"
	out=$("$f" nonsense 2>&1)
	is "$n: an unknown word is refused" "$?" 2
	like "$n: with its usage" "$out" '^usage: .*start'
done
for f in "$W"/usr/share/provd/runit/*/{run,log/run} "$W"/usr/share/provd/runit/*/finish; do
	n=${f#"$W"/usr/share/provd/}
	ok "$n is executable" test -x "$f"
	ok "$n parses" sh -n "$f"
done
if command -v shellcheck >/dev/null; then
	cd "$TOP" || exit 1
	ok "shellcheck of the scripts" \
	    shellcheck -e SC2034,SC1091 rc.d/* etc/runit/*/run etc/runit/*/finish etc/runit/*/log/run
	ok "shellcheck of the completion" shellcheck -s bash etc/provctl.bash-completion
fi
complete_at() {	# the words that may follow
	bash -c 'source "$0/etc/provctl.bash-completion"
	COMP_WORDS=(provctl "$@" ""); COMP_CWORD=$(($# + 1)); _provctl
	echo " ${COMPREPLY[*]} "' "$TOP" "$@" 2>/dev/null
}
like "completion: commands" "$(complete_at)" ' provision .* monitor '
like "completion: of a group" "$(complete_at peer)" ' list show add remove '
like "completion: options" "$(complete_at -s /x provision b)" ' --identity --code --no-wait '
like "completion: levels" "$(complete_at log level)" ' warn info debug trace '
like "completion: daemons" "$(complete_at log level warn)" ' policyd .* busd '
unlike "completion: nothing after a value" "$(complete_at peer add b --identity)" 'serial'
# The finish scripts of runit: down for good only where there is nothing to do.
finish() {	# finish STATUS LINE...: with these lines in provd.conf
	local status=$1
	shift
	printf '%s\n' "$@" >"$W/conf"
	sed "s,/etc/provd.conf,$W/conf," "$TOP/etc/runit/provd-$of/finish" >"$W/finish"
	PATH=$W/fake:$PATH sh "$W/finish" "$status"
}
mkdir "$W/fake"
printf '#!/bin/sh\necho "sv $*"\n' >"$W/fake/sv"
chmod +x "$W/fake/sv"
of=enrold
is "runit: enrold stays down without a listener" "$(finish 0 'node a' '# listen enrol port 1')" 'sv down .'
is "runit: not with one" "$(finish 0 'node a' '	listen enrol port 8443')" ''
is "runit: nor with that of status" "$(finish 0 'listen status port 8080')" ''
is "runit: nor after a failure" "$(finish 1 'node a')" ''
of=busd
is "runit: busd stays down without dbus" "$(finish 0 'node a' '# dbus' 'neighbours from dbus' 'node dbusbmc')" 'sv down .'
is "runit: not with it" "$(finish 0 'node a' '	dbus	# of the system')" ''
is "runit: nor with a socket of its own" "$(finish 0 'dbus socket "/run/b"')" ''
is "runit: nor after a failure" "$(finish 1 'node a')" ''
for p in sbin/policyd sbin/enrold sbin/busd bin/provctl lib/systemd/system/provd.target \
    share/bash-completion/completions/provctl \
    share/dbus-1/system.d/xyz.openbmc_project.Provisioning.conf \
    share/doc/provd/examples/provd.conf share/man/man8/provctl.8 \
    share/man/man5/provd.conf.5 share/man/man7/provd_reasons.7; do
	ok "$p was installed" test -s "$W/usr/$p"
done
make -s -C "$TOP" O="$O" DESTDIR="$W/local" PREFIX=/usr/local SYSCONFDIR=/usr/local/etc install
like "and so does the client" \
    "$(cat "$W/local/usr/local/lib/systemd/system/provd-enrol.service")" '^ExecStart=/usr/local/bin/provctl '
like "with another PREFIX the units follow" \
    "$(cat "$W/local/usr/local/lib/systemd/system/provd-keyd.service")" '^ExecStart=/usr/local/sbin/keyd '
done_testing
