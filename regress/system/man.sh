#!/bin/bash
# The man pages: clean, complete, and true where a table can tell.
. "$(dirname "$0")/lib.sh"
need mandoc col
cd "$TOP" || exit 1

for f in man/*.[1-9]; do
	ok "$f: mandoc -Tlint" mandoc -Tlint -Wwarning "$f"
done
for p in provd.7 provd.conf.5 provctl.8 keyd.8 netd.8 attestd.8 enrold.8 policyd.8 provd-enrol.7 provd-openbmc.7 \
    ipc_messages.7 provd_performance.7 provd_reasons.7; do
	ok "$p exists" test -s "man/$p"
done

for f in man/*.[1-9]; do
	missing=
	for r in $(sed -n 's/^\.Xr \([a-z_.-]*\) \([0-9]\).*/\1.\2/p' "$f" |
	    grep -E '^(prov|keyd|netd|attestd|enrold|policyd|ipc_)' | sort -u); do
		[ -s "man/$r" ] || missing="$missing $r"
	done
	is "$f: its references exist" "$missing" ""
done

# Every command of the table is in the page, and in the completion.
text=$(mandoc -Tascii man/provctl.8 | col -b | tr -s ' \n' ' ')
"$O/bin/provctl" --help | sed -n 's/^  \([a-z].*\)/\1/p' >"${TMPDIR:-/tmp}/commands.$$"
while read -r line; do
	c=$(printf '%s' "$line" | sed 's/ [^a-z].*//; s/ warn|.*//; s/ level$/ level/')
	like "provctl.8 has '$c'" "$text" "$c"
	for w in $c; do
		like "the completion has '$w' of '$c'" \
		    "$(cat etc/provctl.bash-completion)" "(^|[^a-z-])$w([^a-z-]|\$)"
	done
	for o in $(printf '%s' "$line" | grep -oE -- '--?[a-z-]+' | grep '^-'); do
		like "provctl.8 has $o of '$c'" "$text" "$o"
		like "the completion has $o of '$c'" \
		    "$(cat etc/provctl.bash-completion)" "$o"
	done
done <"${TMPDIR:-/tmp}/commands.$$"
rm -f "${TMPDIR:-/tmp}/commands.$$"

# Every row that policyd sends, and every member of one, is in provctl.8.
doc=$(sed -n '/^.Sh JSON/,/^.Sh FILES/p' man/provctl.8)
for r in $(grep -ohE 'row_new\("[a-z]+"' policyd/*.c | sed 's/.*"\(.*\)"/\1/' | sort -u); do
	like "provctl.8 has the row $r" "$doc" "^\.It Sy $r No"
	like "provctl knows how to show $r" "$(cat provctl/row.c)" "\{ \"$r\", "
done
for m in $(sed '/\*\//,$d' policyd/control.c |
    grep -oE '[ ,][a-z_0-9]+ (str|num|bool|time|hex|id|why)[|, ]' | tr -d , | cut -d' ' -f2 | sort -u); do
	like "provctl.8 has the member $m" "$doc" "^\.Va.* $m( |\$)"
done

# Every keyword of the grammar is in provd.conf(5).
text=$(mandoc -Tascii man/provd.conf.5 | col -b)
for w in $(sed -n '/\(keywords\|block_words\)\[\]/,/^};/p' libutil/conf.y |
    grep -oE '"[a-z-]+"' | tr -d '"'); do
	like "provd.conf.5 has '$w'" "$text" "(^|[^a-z-])$w([^a-z-]|\$)"
done
# And every word that a setting may have.
for w in $(sed -n '/choices\[\] = {/,/^};/p' libutil/conf_value.c |
    grep -oE '"[a-z0-9.-]+"' | tr -d '"' | sort -u); do
	like "provd.conf.5 has the value '$w'" "$text" "(^|[^a-z0-9-])$w([^a-z0-9-]|\$)"
done
done_testing
