#!/bin/bash
# The recipes for OpenBMC, which no bitbake builds here: each line is one that
# bitbake knows, each variable is one that it or the recipe sets, the install
# step runs, each installed file is in one package, and what they repeat of the
# sources is true. The samples start the suite.
. "$(dirname "$0")/lib.sh"
need make md5sum
plain_only "a recipe has no sanitizers"
workdir
trap 'rm -rf "$W"' EXIT
cd "$TOP" || exit 1
L=etc/openbmc/meta-provd
R=$L/recipes-phosphor/provd
VERSION=$(sed -n 's/^#define PROVD_VERSION[^"]*"\(.*\)"/\1/p' libutil/confine.h)
# What bitbake and the classes that are inherited set.
KNOWN=' WORKDIR THISDIR LAYERDIR S B D PN PV prefix sysconfdir sbindir libdir datadir docdir nonarch_libdir '
KNOWN="$KNOWN systemd_system_unitdir "

# recipe FILE: its lines, continued ones joined, required files put in
recipe() {
	local line
	sed -e ':a' -e '/\\$/{N;s/\\\n[ \t]*//;ba}' -e '/^[ \t]*#/d' "$1" | while IFS= read -r line; do
		case $line in
		"require "*) recipe "$(dirname "$1")/${line#require }" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
}
# What is neither an assignment, an inherit nor a line of a shell function.
strange() {
	awk '/^[a-z_]+\(\) \{$/ { fn = 1; next } fn && /^\}$/ { fn = 0; next } fn && /^\t/ { next }
	    /^$/ { next }
	    /^[A-Za-z_][A-Za-z0-9_${}:.+-]*(\[[a-z0-9]+\])? (=|\?=|\+=|\.=|:=) ".*"$/ { next }
	    /^inherit [a-z_ -]+$/ { next }
	    { print } END { if (fn) print "a function does not end" }'
}
unset_vars() {	# unset_vars TEXT: variables that nobody sets
	local v
	for v in $(grep -o '\${[A-Za-z_]*}' <<<"$1" | tr -d '${}' | sort -u); do
		grep -qE "^$v (=|\?=)" <<<"$1" || case $KNOWN in
		*" $v "*) ;;
		*) echo "$v" ;;
		esac
	done
}
for f in "$L"/conf/layer.conf "$L"/*/*/*.bb; do
	text=$(recipe "$f")
	is "${f#"$L"/}: each line is one of bitbake" "$(strange <<<"$text")" ""
	is "${f#"$L"/}: each variable is set" "$(unset_vars "$text")" ""
done
text=$(recipe "$R/provd_$VERSION.bb")
like "there is a recipe of this version" "$text" '^SRC_URI = '
like "a line that is none would be seen" "$(echo 'FILES_${PN} "x"' | strange)" 'FILES'
is "a variable that nobody sets, too" "$(unset_vars 'X = "${sysconfidr}"')" sysconfidr
like "the development recipe is of this version" "$(recipe $R/provd_git.bb)" "^PV = \"$VERSION\+git\"\$"
is "it builds the tree that it stands in" "$(realpath "$R/../../../../..")" "$(realpath .)"
like "layer: recipes are where it looks" "$(echo "$L"/recipes-*/*/*.bb)" 'provd_git.bb'

# value VAR: as bitbake would expand it
value() {
	local v n
	v=$(sed -n "s|^$1 += \"\(.*\)\"\$|\1|p; s|^$1 = \"\(.*\)\"\$|\1|p" <<<"$text" | tr '\n' ' ')
	while n=$(grep -o '\${[A-Za-z_]*}' <<<"$v" | head -n 1) && [ -n "$n" ]; do
		v=${v//"$n"/$(dir "${n:2:-1}")}
	done
	echo "$v"
}
dir() {
	case $1 in
	prefix) echo /usr ;; sysconfdir) echo /etc ;; bindir) echo /usr/bin ;; sbindir) echo /usr/sbin ;;
	datadir) echo /usr/share ;; docdir) echo /usr/share/doc ;; mandir) echo /usr/share/man ;;
	nonarch_libdir) echo /usr/lib ;; systemd_system_unitdir) echo /lib/systemd/system ;;
	PN) echo provd ;; S) echo "$TOP" ;; B) echo "$O" ;; D) echo "$W/D" ;;
	*) value "$1" ;;
	esac
}
is "the licence is the one in the tree" "$(value LIC_FILES_CHKSUM | sed 's/.*md5=//; s/ *$//')" "$(md5sum <LICENSE | cut -c1-32)"

# Libraries: Yocto's name of each that the Makefile links.
for l in $(make -s -p -n clean 2>/dev/null | sed -n 's/^PKGS = //p'); do
	case $l in
	libcrypto|libssl) d=openssl ;; tss2-*) d=tpm2-tss ;; libsystemd) d=systemd ;;
	'$(MSGPACK)'|msgpack*) d=msgpack-c ;; *) d=$l ;;
	esac
	like "it depends on $d, for $l" " $(value DEPENDS) " " $d "
done
like "and on a parser of HTTP" "$(value DEPENDS)" 'http-parser'

# do_install, as it stands.
body=$(sed -n '/^do_install() {$/,/^}$/p' <<<"$text" | sed '1d;$d')
for v in $(grep -o '\${[A-Za-z_]*}' <<<"$body" | tr -d '${}' | sort -u); do
	body=${body//"\${$v}"/$(dir "$v")}
done
oe_runmake() {
	# shellcheck disable=SC2046
	make -s BUILT=1 $(value EXTRA_OEMAKE) "$@"
}
install_step() {
	eval "$body"
}
ok "its install step" install_step
packages=$(value PACKAGE_BEFORE_PN)
# bitbake's own FILES of a package and its companions, as far as they matter
own='/usr/bin/*|/usr/sbin/*|/etc/*'
companions='/usr/share/doc/*|/usr/share/man/*|/usr/share/bash-completion/*'
covered() {	# covered PACKAGE FILE
	local p
	for p in $(value "FILES:\${PN}${1#provd}"); do
		case $2 in
		"$p"|"$p"/*) return 0 ;;
		esac
	done
	return 1
}
lost=
while IFS= read -r f; do
	for p in $packages provd; do
		covered "$p" "$f" && continue 2
	done
	eval "case \$f in $own|$companions) ;; *) lost=\"\$lost \$f\" ;; esac"
done < <(cd "$W/D" && find . -type f | sed 's/^\.//')
is "each file is in a package" "$lost" ""
ok "enrold is in one of its own" covered provd-enrold /usr/sbin/enrold
nok "keyd is not" covered provd-enrold /usr/sbin/keyd
for p in $packages provd; do
	for f in $(value "FILES:\${PN}${p#provd}") $(value "CONFFILES:\${PN}${p#provd}"); do
		ok "$p: $f was installed" test -e "$W/D$f"
	done
done
nok "no rc.d" test -e "$W/D/etc/rc.d"
ok "the bus policy is the one in etc/dbus" cmp etc/dbus/xyz.openbmc_project.Provisioning.conf \
    "$W/D/usr/share/dbus-1/system.d/xyz.openbmc_project.Provisioning.conf"
is "each unit that is enabled somewhere is in a package" \
    "$(for p in $packages provd; do value "SYSTEMD_SERVICE:\${PN}${p#provd}"; done | tr ' ' '\n' | grep . | sort)" \
    "$(grep -l '^\[Install\]' systemd/* | sed 's|.*/||' | sort)"
is "its users are those of sysusers" \
    "$(value 'USERADD_PARAM:\${PN}' | tr ';' '\n' | grep -o '_[a-z]* *$' | tr -d ' ' | sort)" \
    "$(awk '$1 == "u" { print $2 }' etc/sysusers/provd.conf | sort)"
is "its groups, too" "$(value 'GROUPADD_PARAM:\${PN}' | tr ';' '\n' | sed 's/.* \([a-z]\)/\1/; s/ *$//' | sort)" \
    "$(awk '$1 == "g" { print $2 }' etc/sysusers/provd.conf | sort)"
is "and who is in the operators' group" "$(value 'USERADD_PARAM:\${PN}' | tr ';' '\n' | sed -n 's/.*--groups provd \(_[a-z]*\).*/\1/p')" \
    "$(awk '$1 == "m" { print $2 }' etc/sysusers/provd.conf)"

# What it takes; the sum is that of its parts.
sizes=$(debian/sizes "$W/D")
for p in $(make -s -p -n clean 2>/dev/null | sed -n 's/^PROGRAMS = //p'); do
	like "sizes has $p" "$sizes" "^$p  *[1-9][0-9]{4,}  *[1-9][0-9]{4,}\$"
done
is "all programs are the sum of each" "$(awk '$1 == "all" { print $3 - sum } NR > 1 { sum += $2 }' <<<"$sizes")" 0
ok "what a BMC needs is less than a megabyte of its flash" \
    test "$(awk '/^what a BMC needs/ { print $NF }' <<<"$sizes")" -lt 1048576

# The samples, and the configuration in provd-openbmc(7).
cp etc/openbmc/provisioning.json "$W/provisioning.json"
for c in sample page; do
	if [ $c = sample ]; then
		cat etc/openbmc/provd.conf
	else
		sed -n '/^node "bmc0"/,/^\.Ed/p' man/provd-openbmc.7 | grep -v '^\.Ed'
	fi | sed "s|/etc/provisioning|$W|; s|/etc/provd/roots/maker.pem|$TOP/$(cd "$TOP" && find regress -name '*.pem' | sort | head -n 1)|" >"$W/$c.conf"
	like "$c: it is a configuration with D-Bus" "$(cat "$W/$c.conf")" '^dbus$'
	ok "$c: policyd takes it" "$O/bin/policyd" -n -f "$W/$c.conf"
done
is "the original's file says what it always said" "$(tr -d ' \t\n' <etc/openbmc/provisioning.json)" \
    '{"port":8090,"cert_root":"/","interface_id":"eth2","retry_count":3,"retry_timer":30}'
done_testing
