#!/bin/bash
# deb.sh: the Debian packages as they are shipped, compiled twice with Debian's
# flags: by somebody else, elsewhere, at another time. What takes seconds only
# is in system/deb.sh.
set -u
cd "$(dirname "$0")/.." || exit 2
. regress/system/lib.sh
need_root
need dpkg-buildpackage dh lintian blhc faketime setpriv
workdir
trap 'rm -rf "$W"' EXIT
ARCH=$(dpkg --print-architecture)
VERSION=$(dpkg-parsechangelog -S Version)
D=$O/deb
before=$(find . -path './build*' -prune -o -path ./.git -prune -o -print | sort)
rm -rf "$D"
ok "make deb" make -s O="$O" deb
is "the source tree is as it was" \
    "$(find . -path './build*' -prune -o -path ./.git -prune -o -print | sort)" "$before"
is "blhc: every compiler call has Debian's flags" "$(blhc --all "$D/log" 2>&1)" ""
nok "blhc would see one that has not" blhc --all <(sed 's/-D_FORTIFY_SOURCE=2//g' "$D/log")
is "lintian: no error, no warning" "$(lintian --allow-root --fail-on error,warning "$D"/*.changes 2>&1)" ""
is "each override is argued" "$(awk '/^#/ { why = 1; next } !why { print } { why = 0 }' debian/*.lintian-overrides)" ""
ok "it can be installed here" apt-get -s install -y --no-install-recommends "$D/provd_${VERSION}_$ARCH.deb"

# The source package is all that it takes.
mkdir "$W/else"
ok "unpack the source package" dpkg-source --no-check -x "$D/provd_$VERSION.dsc" "$W/else/where"
# shellcheck disable=SC2046
is "it has every source file" "$(cd "$W/else/where" && find . -type f | sed 's|^\./||' | sort)" \
    "$(find $(make -s sources) -type f | sort)"
find "$W/else/where" -exec touch -d @1000000000 {} +
chown -R nobody:nogroup "$W/else"
again() {
	cd "$W/else/where" && setpriv --reuid=nobody --regid=nogroup --clear-groups \
	    env -i PATH="$PATH" TZ=Asia/Tokyo LC_ALL=C HOME=/nonexistent DEB_BUILD_OPTIONS="parallel=$(nproc)" \
	    sh -c 'umask 027; exec faketime -f +200d dpkg-buildpackage -us -uc -b'
}
ok "built from it: by nobody, elsewhere, 200 days later" again
for p in provd provd-dbgsym; do
	ok "$p is the same, byte for byte" cmp "$D/${p}_${VERSION}_$ARCH.deb" "$W/else/${p}_${VERSION}_$ARCH.deb"
done
clean() {
	cd "$W/else/where" && setpriv --reuid=nobody --regid=nogroup --clear-groups debian/rules clean
}
ok "clean" clean
# shellcheck disable=SC2046
is "leaves the sources" "$(cd "$W/else/where" && find . -type f | sed 's|^\./||' | sort)" \
    "$(find $(make -s sources) -type f | sort)"
done_testing
