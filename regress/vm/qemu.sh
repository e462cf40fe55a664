# shellcheck shell=bash
# Virtual machines of qemu's (no KVM): Debian's cloud kernel with a TPM behind
# tpm-tis, for what a container cannot show. Sourced after lib.sh and workdir.
#
# What is fetched is kept in $O/vm: the kernel's package, unpacked (kernel/),
# and a small Debian (base/). KERNEL names another kernel; its virtio must then
# be built in.

VM=$O/vm
VM_PIDS=
# What provd needs, and what the tests in the machine do.
VM_PACKAGES=systemd,systemd-sysv,dbus,udev,jq,openssl,iproute2,procps

# vm_kernel: KERNEL, fetched if it must be
vm_kernel() {
	local p
	[ -z "${KERNEL:-}" ] || return 0
	mkdir -p "$VM"
	if [ ! -e "$VM/kernel/complete" ]; then
		p=$(vm_kernel_package)
		[ -n "$p" ] || { apt-get -qq update && p=$(vm_kernel_package); }
		[ -n "$p" ] || skip_all "apt knows no linux-image-cloud-amd64: set KERNEL"
		rm -rf "$VM/kernel" && mkdir "$VM/kernel" &&
		    (cd "$VM/kernel" && apt-get -qq -o APT::Sandbox::User=root download "$p" &&
			dpkg-deb -x "$p"_*.deb . && rm "$p"_*.deb && touch complete) || exit 1
	fi
	KERNEL=$(echo "$VM"/kernel/boot/vmlinuz-*)
}

vm_kernel_package() {
	apt-cache depends linux-image-cloud-amd64 2>/dev/null |
	    awk '$1 == "Depends:" { print $2; exit }'
}

# vm_base PROVD.DEB: a Debian of the release of this machine, with
# the libraries that the package needs
vm_base() {
	local libs
	[ ! -e "$VM/base/complete" ] || return 0
	libs=$(dpkg-deb -f "$1" Depends | tr ',' '\n' |
	    sed -n 's/^ *\(lib[^ ]*\).*/\1/p' | paste -sd,)
	rm -rf "$VM/base"
	debootstrap --variant=minbase --include="$VM_PACKAGES,$libs" \
	    "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$VM/base" >"$VM/debootstrap.log" 2>&1 || {
		tail -n 5 "$VM/debootstrap.log"
		return 1
	}
	rm -rf "$VM"/base/var/cache/apt/archives/*.deb
	touch "$VM/base/complete"
}

# vm_copy ROOT PROGRAM...: each with its libraries
vm_copy() {
	local root=$1 b f l
	shift
	mkdir -p "$root/bin"
	for b; do
		f=$(command -v "$b")
		cp -L "$f" "$root/bin/"
		ldd "$f" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^\t\(\/[^ ]*\).*/\1/p' |
		    while read -r l; do
			mkdir -p "$root${l%/*}"
			cp -Lu "$l" "$root$l"
		    done
	done
}

vm_pack() {	# vm_pack ROOT INITRD
	(cd "$1" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$2"
}

# vm_initrd INITRD: one that starts the systemd of /dev/vda
vm_initrd() {
	local r=$W/initrd.d m
	mkdir -p "$r"/{dev,new,m}
	vm_copy "$r" bash mount insmod switch_root mkfifo
	for m in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk; do
		find "$VM/kernel/lib/modules" -name "$m.ko" -exec cp {} "$r/m/" \;
	done
	cat >"$r/init" <<-'EOT'
	#!/bin/bash
	export PATH=/bin
	mount -t devtmpfs dev /dev
	for m in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk; do
		[ ! -e "/m/$m.ko" ] || insmod "/m/$m.ko" || exit
	done
	mkfifo /never
	for i in {1..200}; do
		[ ! -b /dev/vda ] || break
		read -r -t 0.1 <>/never
	done
	mount -t ext4 /dev/vda /new
	exec switch_root /new /lib/systemd/systemd
	EOT
	chmod 755 "$r/init"
	vm_pack "$r" "$1"
}

# vm_run NAME SECONDS QEMU-ARGUMENT...: boots with the TPM in $W/tpm, until it
# is off. What it said is in $W/NAME.console, and in $W/NAME.tap of its ttyS1.
vm_run() {
	local name=$1 limit=$2 rc
	shift 2
	mkdir -p "$W/tpm"
	rm -f "$W/ctrl"
	swtpm socket --tpm2 --tpmstate "dir=$W/tpm" --ctrl "type=unixio,path=$W/ctrl" \
	    >>"$W/swtpm.log" 2>&1 &
	VM_PIDS=$!
	await 10 test -S "$W/ctrl"
	timeout "$limit" qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 \
	    -display none -monitor none -no-reboot -nic none -kernel "$KERNEL" \
	    -serial "file:$W/$name.console" -serial "file:$W/$name.tap" \
	    -chardev "socket,id=c,path=$W/ctrl" -tpmdev emulator,id=t,chardev=c \
	    -device tpm-tis,tpmdev=t "$@" </dev/null >"$W/$name.qemu" 2>&1
	rc=$?
	kill "$VM_PIDS" 2>/dev/null
	wait "$VM_PIDS" 2>/dev/null
	VM_PIDS=
	sed -i 's/\r//' "$W/$name.console" "$W/$name.tap"
	return $rc
}

vm_end() {
	trap - EXIT
	[ -z "$VM_PIDS" ] || kill "$VM_PIDS" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$W"
}
