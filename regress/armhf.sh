#!/bin/bash
# armhf.sh [build]: build the suite for 32-bit ARM, which is what BMCs are, against
# Debian's libraries for it, and run the unit tests under qemu-user; with
# "build" do no more than that.
#
# The libraries are unpacked below $O/armhf, nothing is installed. Tests that
# cannot run there, because the emulator has no seccomp(2) and no ptrace(2),
# stand in regress/armhf.skip with the number that may fail and the reason.
set -u
cd "$(dirname "$0")/.." || exit 2
. regress/system/lib.sh
need arm-linux-gnueabihf-gcc qemu-arm-static apt-get dpkg
JOBS=$(nproc)
A=${O:-build}/armhf
LIBS="libc6-dev libssl-dev libseccomp-dev libcap-dev libuv1-dev libmsgpack-dev
 libtss2-dev libsqlite3-dev libjansson-dev libhttp-parser-dev libsystemd-dev libcmocka-dev"
mkdir -p "$A"
A=$(cd "$A" && pwd)
S=$A/sysroot

# apt with a root of its own, for another machine
apt_for() {
	apt-get -qq -o Dir::State="$A/apt" -o Dir::State::status="$A/apt/status" \
	    -o Dir::Cache="$A/apt" -o Dir::Etc::sourcelist="$A/apt/sources.list" \
	    -o Dir::Etc::sourceparts=/dev/null -o APT::Architecture=armhf \
	    -o APT::Architectures=armhf -o APT::Sandbox::User=root "$@"
}

# This machine's archive of Debian: its address and the release
archive() {
	apt-get indextargets 'Created-By: Packages' 'Component: main' 'Origin: Debian' \
	    --format "\$(REPO_URI) \$(RELEASE)" | awk '$2 !~ /-/ { print; exit }'
}

# Only Debian's main archive: its security archive may be ahead for one
# architecture and not for the other.
sysroot() {
	local uri d
	[ "$(cat "$S/complete" 2>/dev/null)" != "$LIBS" ] || return 0
	rm -rf "$A/apt" "$S"
	mkdir -p "$A/apt/lists/partial" "$A/apt/archives/partial" "$S"
	: >"$A/apt/status"
	uri=$(archive)
	[ -n "$uri" ] || { apt-get -qq update && uri=$(archive); }
	[ -n "$uri" ] || return
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri main" \
	    >"$A/apt/sources.list"
	# shellcheck disable=SC2086
	apt_for update && apt_for -y --no-install-recommends --download-only install $LIBS || return
	for d in "$A"/apt/archives/*.deb; do
		dpkg -x "$d" "$S" || return
	done
	printf '%s\n' "$LIBS" >"$S/complete"
}

build() {
	local l=$S/usr/lib/arm-linux-gnueabihf
	PKG_CONFIG_LIBDIR=$l/pkgconfig:$S/usr/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=$S \
	    make -s -j"$JOBS" O="$A/tree" CC="arm-linux-gnueabihf-gcc --sysroot=$S" \
	    AR=arm-linux-gnueabihf-ar CFLAGS="-O1 -g" \
	    LDFLAGS="-Wl,-rpath-link,$l:$S/lib/arm-linux-gnueabihf" programs units
}

# unit FILE: 'NAME passed failed' of one test
unit() {
	local tap
	tap=$A/tap/$(basename "$1").tap
	O=$A/tree CMOCKA_MESSAGE_OUTPUT=TAP timeout 900 qemu-arm-static -L "$S" "$1" \
	    >"$tap" 2>&1 </dev/null
	echo "exit $?" >>"$tap"
	echo "$(basename "$1") $(grep -c '^ok ' "$tap") $(grep -E '^not ok ' "$tap" |
	    grep -cvE '^not ok [0-9]+ # SKIP')"
}
export -f unit
export A S

# What differs from what may fail, 'NAME: N failed, M argued' a line.
judge() {
	awk 'FILENAME == ARGV[1] { if ($1 !~ /^#/ && NF) argued[$1] = $2; next }
	{ run[$1] = 1; if ($3 != argued[$1] + 0 || $2 + $3 == 0)
		print $1 ": " $2 " passed, " $3 " failed, " argued[$1] + 0 " argued" }
	END { for (n in argued) if (!(n in run)) print n ": argued, but not there" }' \
	    regress/armhf.skip "$1"
}

sysroot >"$A/sysroot.log" 2>&1 ||
    skip_all "Debian's libraries for armhf cannot be fetched: $(tail -n 1 "$A/sysroot.log")"
ok "programs and unit tests are built for armhf" build
[ "${1:-}" != build ] || { done_testing; exit; }
like "keyd is a program of 32-bit ARM" "$(od -An -tx1 -N20 "$A/tree/bin/keyd" | tr -d ' \n')" \
    '^7f454c4601.{26}2800$'
mkdir -p "$A/tap"
find "$A/tree/unit" -type f -perm -u+x | sort |
    xargs -P "$JOBS" -I{} bash -c 'unit "$@"' _ {} | sort >"$A/results"
nok "there are unit tests" test "$(wc -l <"$A/results")" -lt 50
is "unit tests pass there, but those that the emulator cannot run" "$(judge "$A/results")" ""
diag "$(awk '{ p += $2; f += $3 } END { print NR " tests, " p " cases passed, " f " argued away" }' "$A/results")"
done_testing
