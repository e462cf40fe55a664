#!/bin/bash
# A BMC as a virtual machine: Debian with the package of provd, started by its
# units, its keys in the TPM behind the kernel's /dev/tpmrm0. Booted twice, the
# second time by a clock that says 1970. What is looked at in the machine is in
# inside.sh.
# shellcheck source=regress/system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/vm/qemu.sh"
need_root
export PATH=/usr/sbin:/sbin:$PATH
need qemu-system-x86_64 swtpm cpio gzip ldd insmod debootstrap mke2fs chroot dpkg-buildpackage dh
workdir
trap vm_end EXIT
vm_kernel
make -s -C "$TOP" O="$O" BUILT=1 deb >/dev/null || exit 1
DEB=$(echo "$O"/deb/provd_*.deb)
ok "a Debian for the machine" vm_base "$DEB"

R=$W/root
cp -a "$VM/base" "$R"
cp "$DEB" "$R/provd.deb"
ok "the package is installed in it" chroot "$R" env DEBIAN_FRONTEND=noninteractive LC_ALL=C \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin dpkg -i /provd.deb
mkdir -p "$R"/usr/lib/provd-test/regress/{system,vm}
cp "$TOP"/regress/system/{lib,world}.sh "$R/usr/lib/provd-test/regress/system/"
cp "$TOP/regress/vm/inside.sh" "$R/usr/lib/provd-test/regress/vm/"
authority "$R/usr/lib/provd-test/acme" ACME
cp "$R/usr/lib/provd-test/acme/root.pem" "$R/etc/acme.pem"
cat >"$R/etc/provd.conf" <<-EOF
node "vm"
listen address "127.0.0.1"
key backend tpm "/dev/tpmrm0"
accept root "/etc/acme.pem"
retry 100 ms to 1 s
limit connections 4096
limit per-address 4096
limit half-open 4096
handshake timeout 1 m
dbus
EOF
cat >"$R/etc/systemd/system/provd-test.service" <<-EOF
[Unit]
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
TimeoutStartSec=300
ExecStart=/usr/lib/provd-test/regress/vm/inside.sh
EOF
ln -s /etc/systemd/system/provd-test.service "$R/etc/systemd/system/multi-user.target.wants/"
ok "its disk" mke2fs -q -t ext4 -d "$R" "$W/disk" 1500M
vm_initrd "$W/initrd"

boot() {	# boot NAME QEMU-ARGUMENT...
	local name=$1
	shift
	ok "$name: the machine boots, and shuts down" vm_run "$name" 400 -initrd "$W/initrd" \
	    -drive "file=$W/disk,if=virtio,format=raw,cache=unsafe" \
	    -append "root=/dev/vda rw console=ttyS0 quiet panic=-1 provd-test=$name" "$@"
	merge "$W/$name.tap"
	like "$name: all was looked at" "$(cat "$W/$name.tap")" '^end$'
}
boot first
boot 1970 -rtc base=1970-01-02T00:00:00
[ "$TAP_FAILED" -eq 0 ] || diag "$(tail -n 40 "$W"/*.console)"
done_testing
