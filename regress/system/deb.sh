#!/bin/bash
# The Debian package, of the programs that are tested: what is in it; that it
# is the same wherever it is packed; and its life in a root of its own:
# installed, upgraded, removed, purged. What Debian's own compiler flags and
# lintian say takes longer: regress/deb.sh, which is 'make check-deb'.
. "$(dirname "$0")/lib.sh"
need_root
need dpkg-buildpackage dh dpkg-deb unshare chroot mount setpriv systemd-sysusers
plain_only "a package has no sanitizers"
workdir
finish() {
	trap - EXIT
	umount "$W/mem" 2>/dev/null
	rm -rf "$W"
}
trap finish EXIT
VERSION=$(sed -n 's/^#define PROVD_VERSION[^"]*"\(.*\)"/\1/p' "$TOP/libutil/confine.h")
like "the programs have a version" "$VERSION" '^[0-9]+\.[0-9.]+$'
is "which is the package's" "$(cd "$TOP" && dpkg-parsechangelog -S Version)" "$VERSION"
is "make deb" "$(make -s -C "$TOP" O="$O" BUILT=1 deb 2>&1 | grep -v '/provd_.*\.deb$')" ""
DEB=$O/deb/provd_${VERSION}_$(dpkg --print-architecture).deb

# ---- what is in it
dpkg-deb -x "$DEB" "$W/tree" && dpkg-deb -e "$DEB" "$W/control"
is "it has what make install has" "$(cd "$W/tree" && find . -type f |
    grep -vE '/(changelog|copyright|README.Debian|README.md|SECURITY.md|provd|provd.cdx.json)(\.gz)?$' | sed 's/\.gz$//' | sort)" \
    "$(make -s -C "$TOP" O="$O" BUILT=1 DESTDIR="$W/made" UNITDIR=/lib/systemd/system \
	RCDIR=/usr/share/doc/provd/examples/rc.d RUNITDIR=/usr/share/doc/provd/examples/runit \
	install >/dev/null && cd "$W/made" && find . -type f | sort)"
nok "nothing below /etc, which is the operator's" test -e "$W/tree/etc"
nok "so there is no conffile" test -e "$W/control/conffiles"
for p in "$W"/tree/usr/sbin/* "$W"/tree/usr/bin/*; do
	n=$(basename "$p")
	elf=$(readelf -hldW "$p")
	like "$n: position independent" "$elf" 'Flags: .*PIE'
	like "$n: bound at once" "$elf" 'FLAGS.* BIND_NOW'
	like "$n: relocations are read-only" "$elf" 'GNU_RELRO'
	unlike "$n: no executable stack" "$elf" 'GNU_STACK.* RWE'
	unlike "$n: no path of libraries" "$elf" '\((RPATH|RUNPATH)\)'
	like "$n: stripped" "$(file -b "$p")" ', stripped$'
done
depends=$(sed -n 's/^Depends: //p' "$W/control/control")
missing=
for l in $(readelf -dW "$W"/tree/usr/sbin/* "$W"/tree/usr/bin/* | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | sort -u); do
	owner=$(dpkg -S "*/$l" | sed -n '1s/:.*//p')
	case ", $depends," in
	*", $owner "*|*", $owner,"*) ;;
	*) missing="$missing $l($owner)" ;;
	esac
done
is "it depends on the package of each library that its programs need" "$missing" ""
like "and on what makes its users" "$depends" 'systemd \| systemd-standalone-sysusers'
unlike "and not on adduser" "$depends" adduser

if command -v lintian >/dev/null; then
	is "lintian: no error, no warning" "$(lintian --allow-root --fail-on error,warning "$DEB" 2>&1)" ""
else
	diag "no lintian here: make check-deb has it"
fi

# ---- packed again: elsewhere, by somebody else, with other dates and umask
again() {
	local d=$W/else/where
	# shellcheck disable=SC2046
	mkdir -p "$d/src" && mkdir "$d/tree" && cp -r "$O/bin" "$d/tree/bin" && cd "$TOP" &&
	    tar cf - $(make -s sources) | tar xf - --no-same-owner -C "$d/src" &&
	    find "$d" -exec touch -d @1000000000 {} + && chown -R nobody:nogroup "$d" &&
	    cd "$d/src" && setpriv --reuid=nobody --regid=nogroup --clear-groups \
	    env -i PATH="$PATH" TZ=Asia/Tokyo LC_ALL=C HOME=/nonexistent BUILT="$d/tree" \
	    DEB_BUILD_OPTIONS=noautodbgsym sh -c 'umask 027; exec dpkg-buildpackage -us -uc -b'
}
ok "packed again by nobody, elsewhere, of files of 2001" again
ok "it is the same package, byte for byte" cmp "$DEB" "$W/else/where/$(basename "$DEB")"

# ---- its life, on an overlay of this machine where nobody has heard of it
mkdir "$W/mem" "$W/root"
mount -t tmpfs -o mode=755 deb "$W/mem" || skip_all "no tmpfs here"
mkdir "$W/mem/up" "$W/mem/work" "$W/old"
# The same, older, with a file that is gone since.
dpkg-deb -R "$DEB" "$W/old" && sed -i 's/^Version: .*/Version: 0.1/' "$W/old/DEBIAN/control" &&
    echo '# old' >"$W/old/lib/systemd/system/provd-old.service" &&
    dpkg-deb -b "$W/old" "$W/old.deb" >/dev/null
is "an older version to begin with" "$(dpkg-deb -f "$W/old.deb" Version)" 0.1

# life DIR: what dpkg and the maintainer scripts do, seen from within the root.
cat >"$W/life" <<'EOF'
cd "$1" || exit 1
. "$2/regress/system/lib.sh"
PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
export PATH DEBIAN_FRONTEND
left() {	# what in this root bears our name
	find /etc /lib/systemd /run/provd /usr /var -xdev -path /usr/src -prune -o \
	    \( -name '*provd*' -o -name policyd -o -name keyd -o -name netd \) -print 2>/dev/null | sort
}
state() {	# names, owners, modes, contents of all that it keeps
	(cd /var/lib/provd && find . -printf '%p %u %g %m %y\n' -type f -exec sha256sum {} + | sort)
}
running() {	# the daemons, in this namespace
	ps -o pid= -C policyd,keyd,netd,attestd,enrold,busd
}
stopped() {
	! running
}
ours='_policyd _keyd _netd _attestq _attestr _enrold _busd'
for u in $ours; do
	userdel "$u" 2>/dev/null
	groupdel "$u" 2>/dev/null
done
groupdel provd 2>/dev/null
rm -rf /etc/provd* /run/provd /var/lib/provd* /etc/systemd/system/*/provd*
mkdir -p /tmp && chmod 1777 /tmp
strange=$(left)	# what is none of ours
nok "nothing of it is here" grep -qE 'bin/|keyd$|systemd/system' <<<"$strange"

ok "the older version is installed" dpkg -i old.deb
for u in $ours; do
	like "there is a user $u" "$(getent passwd "$u")" "^$u:x:[0-9]*:[0-9]*:provd, .*:/usr/sbin/nologin\$"
done
like "a group for operators" "$(getent group provd)" '^provd:x:'
is "their directories are theirs" "$(stat -c '%U:%G %a' /var/lib/provd/keyd /var/lib/provd/keyd/keys \
    /var/lib/provd/policyd /run/provd)" "_policyd:_keyd 2750
_keyd:_keyd 700
_policyd:_policyd 700
_policyd:provd 2751"
ok "the target is enabled" test -L /etc/systemd/system/multi-user.target.wants/provd.target
ok "and its services" test -L /etc/systemd/system/provd.target.wants/provd-keyd.service
nok "the client's timer is not" test -e /etc/systemd/system/timers.target.wants/provd-enrol.timer
is "dpkg -V" "$(dpkg -V provd 2>&1)" ""
nok "no daemon was started" running
nok "nobody made a configuration" test -e /etc/provd.conf

# A node that has lived: an identity key, a store with an audit log.
printf 'node "pkg" interface "lo"\nkey backend soft\n' >/etc/provd.conf
start() {
	policyd && keyd && netd && attestd -Q && attestd -R && await 60 ready
}
ready() {
	[ "$(provctl --json status | jq -rs '[.[] | select(.row == "daemon" and .state == "ready")] | length')" -ge 5 ]
}
stop() {
	# shellcheck disable=SC2046
	kill $(running) && await 20 stopped
}
ok "with one, the daemons of the package run" start
ok "and do something worth keeping" provctl peer add other --serial X-1
id=$(provctl identity show)
like "such as an identity" "$id" '[0-9a-f]{40}'
ok "they stop" stop
before=$(state)
like "there is state" "$before" 'policyd/store.db _policyd _policyd 600'

ok "upgrade" dpkg -i new.deb
is "the state is as it was" "$(state)" "$before"
is "dpkg -V" "$(dpkg -V provd 2>&1)" ""
nok "what the new version has not is gone" test -e /lib/systemd/system/provd-old.service
ok "the new daemons run on the old state" start
is "the node is who it was" "$(provctl identity show)" "$id"
like "and knows whom it knew" "$(provctl peer list)" other
ok "they stop" stop
before=$(state)

out=$(dpkg -r provd 2>&1)
is "remove" "$?" 0
is "the state stays" "$(state)" "$before"
ok "the configuration stays" test -s /etc/provd.conf
nok "no program stays" test -e /usr/sbin/keyd
ok "installed again" dpkg -i new.deb
is "the state is as it was" "$(state)" "$before"

mkdir -p /etc/default && echo 'SERVER=https://ca.example.org' >/etc/default/provd-enrol
out=$(dpkg -P provd 2>&1)
is "purge" "$?" 0
like "it says what it takes away" "$out" '^provd: removing /var/lib/provd, with the keys'
like "and what it leaves" "$out" '^provd: /etc/provd.conf is yours and stays'
is "which is all that is left" "$(comm -13 <(echo "$strange") <(left))" "/etc/default/provd-enrol
/etc/provd.conf"
ok "the users stay, as no uid may come to another's files" getent passwd _keyd
is "dpkg knows nothing of it" "$(dpkg-query -W -f '${Status}' provd 2>&1 | grep -c installed)" 0
done_testing
EOF
life() {
	mount -t overlay -o "lowerdir=/,upperdir=$W/mem/up,workdir=$W/mem/work" deb "$W/root" &&
	    mount -t proc proc "$W/root/proc" && mount -t tmpfs -o mode=755 dev "$W/root/dev" &&
	    for n in null zero random urandom; do
		touch "$W/root/dev/$n" && mount --bind "/dev/$n" "$W/root/dev/$n" || return
	    done &&
	    ln -s /proc/self/fd "$W/root/dev/fd" && mkdir -p "$W/root/deb/life" "$W/root/deb/src" &&
	    mount --bind "$W/root/deb/life" "$W/root/deb/life" && cp "$W/life" "$W/old.deb" "$W/root/deb/life" &&
	    cp "$DEB" "$W/root/deb/life/new.deb" && mount --bind "$TOP" "$W/root/deb/src" &&
	    exec chroot "$W/root" bash /deb/life/life /deb/life /deb/src
}
export -f life
export W DEB TOP
unshare --mount --pid --net --ipc --fork --kill-child bash -c 'ip link set lo up; life' >"$W/tap" 2>&1
merge <(grep -vE '^1\.\.' "$W/tap")
like "it lived to its end" "$(cat "$W/tap")" '^1\.\.[0-9]+$'
done_testing
