require provd.inc

# The sources that this layer is part of, as they are: for development.
inherit externalsrc
EXTERNALSRC = "${@os.path.abspath(d.getVar('THISDIR') + '/../../../../..')}"
EXTERNALSRC_BUILD = "${WORKDIR}/build"
PV = "1.0+git"
DEFAULT_PREFERENCE = "-1"
