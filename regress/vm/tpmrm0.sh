#!/bin/bash
# keyd and a kernel's /dev/tpmrm0: a virtual machine boots a kernel with a TPM
# behind tpm-tis, and nothing else than keyd runs in it, confined, as its own
# user.
# shellcheck source=regress/system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
. "$TOP/regress/vm/qemu.sh"

need_root
need qemu-system-x86_64 swtpm cpio gzip ldd
workdir
users
trap vm_end EXIT
vm_kernel

# ---- what is in the machine -----------------------------------------------

R=$W/root
mkdir -p "$R"/{bin,proc,sys,dev,etc,run/provd,var/lib/provd,var/lib/sealed}
vm_copy "$R" bash mount mkfifo timeout "$O/bin/keyd" "$O/tools/keydhub"
getent passwd root _keyd _policyd _netd _attestq _attestr >"$R/etc/passwd"
getent group root _keyd _policyd _netd _attestq _attestr provd >"$R/etc/group"
cat >"$R/etc/tpm.conf" <<'EOF'
node "vm" interface "lo"
key backend tpm "/dev/tpmrm0"
EOF
cat >"$R/etc/sealed.conf" <<'EOF'
node "vm" interface "lo"
state directory "/var/lib/sealed"
key backend sealed "/dev/tpmrm0" pcrs
EOF
cat >"$R/init" <<'EOF'
#!/bin/bash
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkfifo /run/never
run() {
	local c=$1 d=$2
	shift 2
	keyd -d -f "/etc/$c.conf" &
	until [ -d "$d" ]; do read -r -t 0.1 <>/run/never; done
	timeout 60 keydhub "$d/hub.sock" "$@"
	wait $!
	echo "exit $?"
}
T="tpm /var/lib/provd/keyd"
S="sealed /var/lib/sealed/keyd"
echo "A first"
run $T status make ca ca p256 make spdm spdm p384 make tls tls p256 \
    make audit audit p256 tls 2 pcrs counter 0
echo "B again"
run $T make ca ca p256 make tls tls p256 make two tls p384 flood 2 60 answers \
    tls 4 tls 2
echo "C killed"
run $T make tls tls p256 flood 2 40 kill gone
run $T make tls tls p256 tls 2
echo "D sealed"
run $S make tls tls p256 tls 0
run $S make tls tls p256 flood 0 60 answers
echo "E end"
echo o >/proc/sysrq-trigger
read -r -t 30 <>/run/never
EOF
chmod 755 "$R/init"
vm_pack "$R" "$W/initrd"

# ---- boot, and what it said -------------------------------------------------

vm_run keyd 240 -initrd "$W/initrd" -append "rdinit=/init console=ttyS0 quiet panic=-1"

# part LETTER: what was said under it
part() {
	sed -n "/^$1 /,/^[A-Z] /p" "$W/keyd.console"
}
like "the machine came to its end" "$(cat "$W/keyd.console")" "^E end"
like "status" "$(part A)" "^status tpm OK keys 0 counter 1 "
like "keys are made and sign" "$(part A)" "^signed$"
like "the kernel has measured into the registers" "$(part A)" "^pcrs [0-9a-f]*[1-9a-f]"
like "the counter" "$(part A)" "^counter 1$"
like "the next keyd has the keys" "$(part B)" "^key 2 old "
like "sixty signatures" "$(part B)" "^answers 60 OK 0$"
is "both curves" "$(part B | grep -c '^signed$')" 2
like "killed while it signs" "$(part C)" "^exit 137$"
like "... and the next one signs" "$(part C)" "^signed$"
like "sealed to the registers: signs" "$(part D)" "^signed$"
like "... and the next keyd opens the seal" "$(part D)" "^answers 60 OK 0$"
[ "$TAP_FAILED" -eq 0 ] || diag "$(tail -n 60 "$W/keyd.console")"
done_testing
