#!/bin/bash
# Two builds of the same sources, in two places, are the same bytes.
. "$(dirname "$0")/lib.sh"
need make tar cmp
[ "${SAN:-0}" = 0 ] || skip_all "sanitizers know their paths"
: "${CC:=gcc}" "${CFLAGS:=-O2 -g}"

T=$(mktemp -d /tmp/provd-repro.XXXXXX)
trap 'rm -rf "$T"' EXIT

# Sources, but nothing that was built
mkdir "$T/elsewhere"
(cd "$TOP" && tar cf - Makefile libipc libutil keyd netd attestd enrold busd policyd provctl) |
    tar xf - -C "$T/elsewhere"
SOURCE_DATE_EPOCH=$(sed -n 's/.*BUILD_TIME \([0-9]*\)ULL/\1/p' "$O/gen/build_time.h")
like "the build says of when it is" "$SOURCE_DATE_EPOCH" '^[0-9]{10}$'
export SOURCE_DATE_EPOCH
is "built again, elsewhere" "$(make -s -C "$T/elsewhere" -j"$(nproc)" O="$T/b" CC="$CC" \
    SAN=0 CFLAGS="$CFLAGS" programs 2>&1)" ""
for p in policyd keyd netd attestd enrold busd provctl; do
	ok "$p is the same, byte for byte" cmp "$O/bin/$p" "$T/b/bin/$p"
done
done_testing
