#!/bin/bash
# vm.sh: the tests that need a virtual machine, as 'make check-vm'. The last
# line is 'N passed, N failed'; only 'N passed, 0 failed' exits 0.
set -u
cd "$(dirname "$0")/.." || exit 2
O=${O:-build}
mkdir -p "$O"
O=$(cd "$O" && pwd)
export O
passed=0
failed=0
for t in tpmrm0 systemd; do
	began=$SECONDS
	tap=$O/vm-$t.tap
	"$O/tools/reaper" "regress/vm/$t.sh" </dev/null | tee "$tap"
	rc=${PIPESTATUS[0]}
	p=$(grep -c '^ok ' "$tap")
	f=$(grep -c '^not ok ' "$tap")
	# A crash, a timeout or no test at all is a failure of its own.
	if [ "$f" -eq 0 ] && { [ "$rc" -ne 0 ] || [ "$p" -eq 0 ]; }; then
		f=1
	fi
	passed=$((passed + p))
	failed=$((failed + f))
	printf '# %s: %d s\n' "$t" $((SECONDS - began))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
