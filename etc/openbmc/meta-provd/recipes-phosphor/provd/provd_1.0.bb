require provd.inc

# Where your mirror of the sources is, and which commit of it has been
# reviewed: in local.conf or in the distribution's configuration.
PROVD_SRC_URI ?= "git://git.example.org/provd.git;protocol=https;branch=main"
PROVD_SRCREV ?= "0000000000000000000000000000000000000000"

SRC_URI = "${PROVD_SRC_URI}"
SRCREV = "${PROVD_SRCREV}"
S = "${WORKDIR}/git"
