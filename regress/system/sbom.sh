#!/bin/bash
# The bill of materials against what the programs say themselves: nothing that
# they need is missing, nothing is in it that they do not need, and the rules
# of CycloneDX 1.6 that a reader relies on.
. "$(dirname "$0")/lib.sh"
need dpkg-query jq readelf ldd
plain_only "sanitizers are not shipped"
workdir
trap 'rm -rf "$W"' EXIT
B=$W/a.json
ok "made" eval 'SOURCE_DATE_EPOCH=1700000000 "$TOP/debian/sbom" "$O"/bin/* >"$B"'
mkdir "$W/bin" && cp "$O"/bin/* "$W/bin" && touch "$W/bin"/*
ok "made again, of copies, with a library preloaded" eval 'cd / && LD_PRELOAD="$O/tools/clockshim.so" SOURCE_DATE_EPOCH=1700000000 TZ=Asia/Tokyo "$TOP/debian/sbom" "$W"/bin/* >"$W/b.json"'
ok "it is the same, byte for byte" cmp "$B" "$W/b.json"
printf x >>"$W/bin/keyd"
SOURCE_DATE_EPOCH=1700000000 "$TOP/debian/sbom" "$W"/bin/* >"$W/c.json"
nok "another program: another number" test "$(jq -r .serialNumber "$B")" = "$(jq -r .serialNumber "$W/c.json")"

holds() {	# holds DESC FILTER: true for the document
	is "$1" "$(jq "$2" "$B" 2>&1)" true
}
holds "it says what it is" '.bomFormat == "CycloneDX" and .specVersion == "1.6" and .version == 1'
holds "its number is a UUID" '.serialNumber | test("^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")'
holds "its date is that of the sources" '.metadata.timestamp == "2023-11-14T22:13:20Z"'
holds "it has no member that the standard does not have" \
    '(keys - ["$schema","bomFormat","components","dependencies","metadata","serialNumber","specVersion","version"]) == []
    and ([.. | objects | select(has("type")) | keys[]] | unique) - ["bom-ref","components","hashes","licenses","name","purl","type","version"] == []'
holds "types of components are the standard's" \
    '[.. | objects | .type? // empty] - ["application","library","file"] == []'
holds "each component has a name and a reference" \
    '[.metadata.component, .components[], (.components[].components // [])[] | select((.name | length) == 0 or (.["bom-ref"] | length) == 0)] == []'
refs='[.. | objects | .["bom-ref"]? // empty]'
holds "references are unique" "$refs | length == (unique | length)"
holds "dependencies name what is there" "($refs) as \$r | [.dependencies[] | .ref, .dependsOn[]] - \$r == []"
holds "and say each thing once" '(.dependencies | length == (unique_by(.ref) | length)) and all(.dependencies[].dependsOn; length == (unique | length))'
holds "everything is reached from the whole" '. as $b | def closure: . as $s | ([$b.dependencies[] | select(.ref as $x | $s | index($x)) | .dependsOn[]] + $s | unique) | if . == $s then . else closure end;
    [.components[]["bom-ref"]] - ([.metadata.component["bom-ref"]] | closure) == []'
holds "hashes are SHA-256" '[.. | objects | .hashes? // empty | .[] | select(.alg != "SHA-256" or (.content | test("^[0-9a-f]{64}$") | not))] == []'
holds "a licence has an id or a name, not both" '[.. | objects | .license? // empty | select(has("id") == has("name"))] == []'
holds "purls are Debian's" '[.components[] | select(.type == "library") | .purl | select(test("^pkg:deb/debian/[a-z0-9.+-]+@[^@ :+]+\\?arch=[a-z0-9]+&distro=debian-[0-9]+&upstream=") | not)] == []'

for p in "$O"/bin/*; do
	n=$(basename "$p")
	is "$n: its hash" "$(jq -r --arg n "$n" '.components[] | select(.name == $n).hashes[0].content' "$B")" \
	    "$(sha256sum "$p" | cut -c1-64)"
	is "$n: the libraries that it needs are of packages that it depends on" "$(jq -r --arg n "$n" '
	    (.components[] | select(.name == $n)["bom-ref"]) as $r | [.dependencies[] | select(.ref == $r).dependsOn[]] as $d |
	    .components[] | select(.["bom-ref"] as $x | $d | index($x)) | .components[]["bom-ref"] | sub(".*#"; "")' "$B" |
	    grep -xF -f <(readelf -dW "$p" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p') | sort)" \
	    "$(readelf -dW "$p" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | sort)"
done
# What the loader maps, of all programs, is all that is in it.
is "files: those that the loader maps" "$(jq -r '.components[].components[]?.name' "$B" | sort)" \
    "$(for p in "$O"/bin/*; do ldd "$p"; done | grep -o '/[^ ]*' | sort -u)"
is "their hashes" "$(jq -r '.components[].components[]? | .hashes[0].content + "  " + .name' "$B" | sha256sum -c --quiet 2>&1)" ""
is "versions: those that dpkg has" "$(jq -r '.components[] | select(.type == "library") | .name + " " + .version' "$B" | sort)" \
    "$(jq -r '.components[] | select(.type == "library").name' "$B" | xargs dpkg-query -W -f '${Package} ${Version}\n' | sort -u)"
like "libssl3 is under the Apache licence" "$(jq -c '.components[] | select(.name == "libssl3").licenses' "$B")" '"id":"Apache-2.0"'
for w in '.components[0]["bom-ref"] = .components[1]["bom-ref"]' '.dependencies[1].dependsOn += ["nobody"]'; do
	is "a test would see $w" "$(jq "$w" "$B" | jq "($refs | length == (unique | length)) and
	    (($refs) as \$r | [.dependencies[] | .ref, .dependsOn[]] - \$r == [])")" false
done
done_testing
