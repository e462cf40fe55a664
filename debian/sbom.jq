# The facts that sbom found, a line each, as a CycloneDX 1.6 document.

# Debian's short names that mean one licence of SPDX's list.
def spdx: {
	"Apache-2.0": "Apache-2.0", "BSD-2-clause": "BSD-2-Clause",
	"BSD-2-Clause": "BSD-2-Clause", "BSD-3-clause": "BSD-3-Clause",
	"BSD-3-Clause": "BSD-3-Clause", "BSL-1.0": "BSL-1.0", "CC0-1.0": "CC0-1.0",
	"Expat": "MIT", "MIT": "MIT", "ISC": "ISC", "Zlib": "Zlib",
	"GPL-2": "GPL-2.0-only", "GPL-2+": "GPL-2.0-or-later",
	"GPL-3": "GPL-3.0-only", "GPL-3+": "GPL-3.0-or-later",
	"LGPL-2": "LGPL-2.0-only", "LGPL-2+": "LGPL-2.0-or-later",
	"LGPL-2.1": "LGPL-2.1-only", "LGPL-2.1+": "LGPL-2.1-or-later",
	"LGPL-3": "LGPL-3.0-only", "LGPL-3+": "LGPL-3.0-or-later"
};
def licence: { license: (if spdx[.] then { id: spdx[.] } else { name: . } end
	+ { acknowledgement: "declared" }) };
def sha256: [{ alg: "SHA-256", content: . }];
def purl: "pkg:deb/\($distro)/\(.[1])@\(.[2] | @uri)?arch=\(.[5])"
	+ (if $release == "" then "" else "&distro=\($distro)-\($release)" end)
	+ "&upstream=\(.[3])" + (if .[4] == .[2] then "" else "%40\(.[4] | @uri)" end);

[inputs | split("\t")] as $facts |
def rows(kind): $facts | map(select(.[0] == kind));
"provd@\($version)" as $whole |
(rows("library") | map({ (.[1]): .[4] }) | add) as $owner |
(rows("package") | map({ (.[1]): purl }) | add) as $ref |
# The packages that these files need, but not one itself.
def needs($files; $self): [rows("needs")[] | select(.[1] as $f | $files | index($f))
	| $owner[.[2]] | select(. != null and . != $self) | $ref[.]] | unique;
{
	"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
	bomFormat: "CycloneDX",
	specVersion: "1.6",
	version: 1,
	metadata: {
		timestamp: $date,
		lifecycles: [{ phase: "build" }],
		component: {
			type: "application", "bom-ref": $whole, name: "provd", version: $version,
			licenses: [{ license: { id: "ISC", acknowledgement: "declared" } }],
			purl: "pkg:generic/provd@\($version)"
		}
	},
	components: ([rows("program")[] | {
		type: "application", "bom-ref": "\($whole)#\(.[1])", name: .[1], version: $version,
		hashes: (.[2] | sha256),
		licenses: [{ license: { id: "ISC", acknowledgement: "declared" } }]
	}] + [rows("package")[] | . as $p | {
		type: "library", "bom-ref": purl, name: .[1], version: .[2],
		licenses: ((.[6] // "") | split("|") | map(select(. != "") | licence)),
		purl: purl,
		components: [rows("library")[] | select(.[4] == $p[1]) | {
			type: "file", "bom-ref": "\($p | purl)#\(.[1])", name: .[2],
			hashes: (.[3] | sha256)
		}]
	} | if .licenses == [] then del(.licenses) else . end]),
	dependencies: ([{ ref: $whole, dependsOn: [rows("program")[] | "\($whole)#\(.[1])"] }]
	+ [rows("program")[] | { ref: "\($whole)#\(.[1])", dependsOn: needs([.[1]]; null) }]
	+ [rows("package")[] | . as $p | {
		ref: purl,
		dependsOn: needs([rows("library")[] | select(.[4] == $p[1])[1]]; $p[1])
	}])
}
