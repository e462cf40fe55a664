#!/bin/bash
# What a reader would trip over: man pages, scripts, calls and words that we
# do not use.
. "$(dirname "$0")/system/lib.sh"
cd "$TOP" || exit 1
need mandoc shellcheck

SRC=$(find libipc libutil keyd netd attestd enrold busd policyd provctl -name '*.[chy]')

none() {	# none DESC PATTERN FILE...: no line matches
	local desc=$1 re=$2
	shift 2
	nok "$desc" grep -nE -- "$re" "$@"
}

for m in man/*.[1-9]; do
	is "$m is clean mdoc" "$(mandoc -Tlint -Wwarning "$m" 2>&1)" ""
done
# shellcheck disable=SC2046
ok "shell scripts" shellcheck -x -S warning $(find .ci regress rc.d etc -name '*.sh' -o -path .ci/run)
# shellcheck disable=SC2086
{
none "no words that hurry leaves behind" \
    '(for now|[Ss]implif|placeholder|in production|TODO|FIXME|XXX|HACK)' $SRC
none "no banned calls" \
    '\b(strcpy|strcat|sprintf|vsprintf|atoi|atol|strtok|gets|system|popen|alloca|rand|srand)[[:space:]]*\(' $SRC
none "nothing blocks or starts threads inside a loop" \
    '\b(uv_fs_[a-z]+|uv_queue_work|uv_getaddrinfo|uv_spawn|sleep|usleep)[[:space:]]*\(' $SRC
none "no function is longer than 100 lines" 'over' <(awk '
    FNR == 1 { s = 0 } /^\{/ { s = FNR }
    /^\}/ { if (s && FNR - s > 101) print FILENAME ": over 100 lines at " s; s = 0 }' $SRC)
none "no file is longer than 800 lines" 'over' <(wc -l $SRC |
    awk '$2 != "total" && $1 > 800 { print $2 " is over 800 lines: " $1 }')
none "no line ends in white space" '[[:space:]]+$' $SRC
}
none "messages are dispatched by tables" 'case MSG_' \
    keyd/*.c netd/*.c attestd/*.c enrold/*.c busd/*.c policyd/*.c provctl/*.c
nok "msgpack stays inside libipc" grep -l msgpack libutil/*.[ch] keyd/*.[ch] \
    netd/*.[ch] attestd/*.[ch] enrold/*.[ch] busd/*.[ch] policyd/*.[ch] provctl/*.[ch]
# shellcheck disable=SC2046
none "tests do not sleep" '(^|[^a-z_])(u?sleep|nanosleep)[ (]' \
    $(find regress -name '*.[ch]' -o -name '*.sh' ! -name lint.sh)
# SECURITY.md repeats what each main file says, and names tests that exist.
for f in policyd keyd netd attestd enrold busd provctl; do
	said=$(sed -n '2,/\*\//p' $f/$f.c | sed -e '/\*\//d' -e 's/^ \*//' -e 's/^ //' -e '/^$/d')
	missing=
	while IFS= read -r line; do
		grep -qxF -- "    $line" SECURITY.md || missing="$missing|$line"
	done <<<"$said"
	is "SECURITY.md has the words of $f/$f.c" "$missing" ""
done
missing=
for t in $(grep -o '`regress/[^`]*`' SECURITY.md | tr -d '`' | sort -u); do
	[ -f "$t" ] || missing="$missing $t"
done
is "every test that SECURITY.md names exists" "$missing" ""
done_testing
