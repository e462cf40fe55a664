#!/bin/bash
# analyze.sh [PART...]: what tools find in the daemons without running them,
# and valgrind in the unit tests.
#
#   gcc       gcc -fanalyzer
#   cppcheck  cppcheck: warnings, portability, performance
#   tidy      clang-tidy with regress/clang-tidy.yaml
#   valgrind  every unit test under memcheck
#
# A finding fails unless regress/analyze.allow argues it away, and so does a
# line there that nothing needs any more. TAP, as every test.
set -u
cd "$(dirname "$0")/.." || exit 2
. regress/system/lib.sh
need gcc clang-tidy cppcheck valgrind pkg-config
PARTS=${*:-gcc cppcheck tidy valgrind}
A=${O:-build}/analyze
ALLOW=regress/analyze.allow
JOBS=$(nproc)
mkdir -p "$A"
# bison's parser is made from a table that no tool here can follow.
mapfile -t SOURCES < <(ls libipc/*.c libutil/*.c keyd/*.c netd/*.c attestd/*.c enrold/*.c policyd/*.c provctl/*.c)
CPP="-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -DOPENSSL_API_COMPAT=30000 \
    -DOPENSSL_NO_DEPRECATED -Ilibipc -Ilibutil -I$A/gen"
PKGS="libcrypto libssl libseccomp libcap libuv msgpack tss2-esys tss2-sys tss2-mu sqlite3 jansson"

# run TOOL FILE: what the tool says of the file, one 'FILE CHECK line' a line
run() {
	local t=$1 f=$2
	case $t in
	gcc)
		# shellcheck disable=SC2046,SC2086
		gcc -std=gnu17 -O1 -fanalyzer -fdiagnostics-plain-output -c -o /dev/null $CPP \
		    "-I${f%/*}" -I"$A/libutil" $(pkg-config --cflags $PKGS) "$f" 2>&1 |
		    sed -n 's/^\([^:]*\):\([0-9]*\):[0-9]*: warning: .*\[-W\([a-z-]*\)\]$/\1 \3 line \2/p' ;;
	tidy)
		# shellcheck disable=SC2046,SC2086
		clang-tidy --quiet --config-file=regress/clang-tidy.yaml "$f" -- -std=gnu17 $CPP \
		    "-I${f%/*}" -I"$A/libutil" $(pkg-config --cflags $PKGS) 2>/dev/null |
		    sed -n "s,^$PWD/\([^:]*\):\([0-9]*\):[0-9]*: warning: .*\[\([^],]*\)[^]]*\]\$,\1 \3 line \2,p" ;;
	cppcheck)
		# shellcheck disable=SC2086
		cppcheck -q --std=c11 --enable=warning,portability,performance --suppress=invalidPrintfArgType_uint \
		    --include=/usr/include/x86_64-linux-gnu/sys/queue.h \
		    --suppress='*:/usr/include/*' --template='{file} {id} line {line}' $CPP "-I${f%/*}" "$f" 2>&1 |
		    sed -n '/^[a-z]*\/[a-z0-9_]*\.[ch] /p' ;;
	esac
}
export -f run
export A CPP PKGS

# static TOOL: compare what it finds with what is argued away
static() {
	printf '%s\n' "${SOURCES[@]}" | xargs -P "$JOBS" -I{} bash -c 'run "$@"' _ "$1" {} |
	    sort -u >"$A/$1.found"
	awk -v tool="$1" '
	FILENAME == ARGV[1] { if ($1 == tool) { allowed[$2 " " $3] = $4 } next }
	{ n[$1 " " $2]++; at[$1 " " $2] = at[$1 " " $2] " " $4 }
	END {
		for (k in n) if (n[k] != allowed[k] + 0)
			print k ": " n[k] " found," at[k] "; " allowed[k] + 0 " argued"
		for (k in allowed) if (!(k in n))
			print k ": argued, but not found any more"
	}' "$ALLOW" "$A/$1.found" | sort >"$A/$1.new"
	is "$1 finds nothing that is not argued" "$(cat "$A/$1.new")" ""
}

# memcheck TEST: its name if memory was misused, or if the test failed and
# analyze.allow does not say why it may under valgrind
memcheck() {
	local n
	n=$(basename "$1")
	O=$A/tree timeout 900 valgrind -q --error-exitcode=99 --leak-check=full \
	    --errors-for-leak-kinds=definite --child-silent-after-fork=yes \
	    "$1" >"$A/$n.valgrind" 2>&1 </dev/null
	case $? in
	0) ;;
	99 | 124) echo "$n" ;;
	*) grep -q "^valgrind $n " "$ALLOW" || echo "$n" ;;
	esac
}
export -f memcheck
export ALLOW

dynamic() {
	local failed t
	ok "unit tests are built" make -s -j"$JOBS" O="$A/tree" CFLAGS="-O1 -g" units programs tools
	mapfile -t t < <(find "$A/tree/unit" -type f -perm -u+x | sort)
	failed=$(printf '%s\n' "${t[@]}" | xargs -P "$JOBS" -I{} bash -c 'memcheck "$@"' _ {})
	is "valgrind finds nothing in ${#t[@]} unit tests" "$failed" ""
}

make -s O="$A" "$A/gen/ipc_catalogue.h" "$A/gen/build_time.h" "$A/libutil/conf.c" || exit 1
for p in $PARTS; do
	case $p in
	gcc | tidy | cppcheck) static "$p" ;;
	valgrind) dynamic ;;
	*) echo "analyze.sh: no part '$p'" >&2; exit 2 ;;
	esac
done
done_testing
