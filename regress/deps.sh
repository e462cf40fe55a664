#!/bin/bash
# deps.sh build|demo|check|bench|coverage|analyze|armhf|deb|check-deb|check-vm: install the Debian packages that are missing.
# Says what and why; asks nothing; does nothing when all are there.
set -eu

BUILD="gcc make pkg-config bison libc6-dev libssl-dev libseccomp-dev libcap-dev
 libuv1-dev libmsgpack-dev libtss2-dev libsqlite3-dev libjansson-dev libhttp-parser-dev libsystemd-dev"
DEMO="$BUILD openssl swtpm runit iproute2 jq util-linux procps systemd curl dbus"
DEB="$BUILD debhelper dpkg-dev jq"
CHECK="$DEMO $DEB clang libclang-rt-14-dev libcmocka-dev lldpd spin gnutls-bin tpm2-tools
 mandoc bsdextrautils shellcheck git sqlite3 python3 systemd-container strongswan-pki"

COVERAGE="$CHECK llvm-14"
BENCH="$DEMO nginx-light valgrind sqlite3"
ANALYZE="$CHECK clang-tidy cppcheck valgrind"
ARMHF="$CHECK gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user-static"

case ${1:-} in
build) want=$BUILD ;;
demo) want=$DEMO ;;
check) want=$CHECK ;;
coverage) want=$COVERAGE ;;
bench) want=$BENCH ;;
analyze) want=$ANALYZE ;;
armhf) want=$ARMHF ;;
deb) want=$DEB ;;
check-deb) want="$DEB lintian blhc faketime" ;;
check-vm) want="$DEMO $DEB qemu-system-x86 swtpm debootstrap e2fsprogs kmod cpio gzip" ;;
*) echo "usage: deps.sh build|demo|check|bench|coverage|analyze|armhf|deb|check-deb|check-vm" >&2; exit 2 ;;
esac

missing=
for p in $want; do
	case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
	"install ok installed") ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "missing Debian packages; as root: apt-get install$missing" >&2
	exit 1
fi
echo "installing the Debian packages that make $1 needs and that are missing:$missing"
case " $missing " in
*" lldpd "*)
	# The tests run lldpd in a namespace of theirs. It must not start to
	# announce this machine on its network only because it was installed.
	if [ -d /etc/systemd/system ] && [ ! -e /etc/systemd/system/lldpd.service ]; then
		ln -s /dev/null /etc/systemd/system/lldpd.service
		echo "lldpd.service is masked, so that lldpd does not start here;" \
		    "'systemctl unmask lldpd' gives it back"
	fi ;;
esac
case " $missing " in
*" nginx-light "*)
	# The bench starts one of its own, with its own configuration.
	if [ -d /etc/systemd/system ] && [ ! -e /etc/systemd/system/nginx.service ]; then
		ln -s /dev/null /etc/systemd/system/nginx.service
		echo "nginx.service is masked, so that nginx does not start here;" \
		    "'systemctl unmask nginx' gives it back"
	fi ;;
esac
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; echo "apt-get failed" >&2; exit 1; }
