# provd: the only build description. GNU make, pkg-config.
#
#   make            build everything into O (default build)
#   make check      install what is missing, build with sanitizers and plainly, run every test
#   make demo       two BMCs find, attest and trust each other
#   make install    DESTDIR= PREFIX=/usr
#
# A second tree beside the first: make O=build-asan SAN=1 CC=clang

O	?= build
PREFIX	?= /usr
ifeq ($(origin CC),default)
CC	 = gcc
endif
SAN	?= 0

# Its name since version 6.
MSGPACK	:= $(shell pkg-config --exists msgpack-c && echo msgpack-c || echo msgpack)
PKGS	 = libcrypto libssl libseccomp libcap libuv $(MSGPACK) tss2-esys tss2-sys tss2-mu \
	   tss2-rc sqlite3 jansson libsystemd

# WERROR= where a compiler that nobody here has seen may know a new warning.
WERROR	?= -Werror
# A distribution may ask for more of it.
FORTIFY	:= $(if $(findstring _FORTIFY_SOURCE,$(CC) $(CFLAGS) $(CPPFLAGS)),,-D_FORTIFY_SOURCE=2)
WARN	 = -Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	   -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla \
	   -Wno-unused-parameter
# Not for tests, nor for what bison made.
WARN_OWN = -Wconversion -Wsign-conversion
override CPPFLAGS += -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 \
	   -DOPENSSL_API_COMPAT=30000 -DOPENSSL_NO_DEPRECATED \
	   -Ilibipc -Ilibutil -I$(O)/gen $(shell pkg-config --cflags $(PKGS))
CFLAGS	?= -O2 -g
override CFLAGS	+= -std=gnu17 $(WARN) -fno-common -fstack-protector-strong -fPIE
# The same bytes wherever it is built.
override CFLAGS	+= -ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(O)=build
override LDFLAGS	+= -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
# Not every machine has it.
CF	:= $(shell $(CC) -fcf-protection -Werror -S -o /dev/null -x c /dev/null 2>/dev/null && echo -fcf-protection)
ifeq ($(SAN),1)
override CFLAGS	+= -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
override LDFLAGS	+= -fsanitize=address,undefined
override CPPFLAGS += -DPROVD_SANITIZED
else
override CPPFLAGS += $(FORTIFY)
override CFLAGS	+= -fstack-clash-protection $(CF)
endif
# Debian 12 has http_parser, which brings no file for pkg-config.
ifeq ($(shell pkg-config --exists libllhttp && echo yes),yes)
override CPPFLAGS += -DHAVE_LLHTTP $(shell pkg-config --cflags libllhttp)
HTTP	 = $(shell pkg-config --libs libllhttp)
else
HTTP	 = -lhttp_parser
endif
LIBS	 = $(shell pkg-config --libs $(PKGS)) $(HTTP)

# ---- sources: one list a program -------------------------------------------------

SRC_libipc  = codec.c chan.c queue.c wire.c hub.c ipc_uv.c
SRC_libutil = log.c reason.c refusal.c clock.c secret.c sieve.c confine.c filter.c start.c loop.c conf.y conf_value.c conf_check.c conf_ca.c conf_mctp.c conf_index.c conf_json.c checkpoint.c hex.c tcti.c der.c pkcs10.c spki.c x509time.c weakkey.c claim.c provider.c tlsconn.c tlswarm.c
SRC_keyd    = keyd.c dispatch.c filter.c key.c store.c curve.c local.c wrap.c seal.c tpm.c tpm_cmd.c tpm_rc.c tpm_start.c \
	     tls13.c spdm.c code.c profile.c csr.c checkpoint.c why.c rsa.c asn1.c extension.c authority.c tbs.c ca_cert.c device_cert.c dispatch_ca.c crl.c ocsp.c
SRC_netd    = netd.c addr.c limit.c door.c listen.c dial.c mctp.c netlink.c lldp.c lldp_io.c neighbour.c dispatch.c filter.c \
	     tls.c warm.c verify.c token.c backoff.c peer.c peers.c peerlink.c
SRC_attestd = attestd.c spdm_msg.c spdm_chunk.c requester_chunk.c requester_keys.c responder_chunk.c spdm_alg.c spdm_lib.c spdm_cert.c spdm_csr.c spdm_tcp.c spdm_tables.c transcript.c \
	     spdm_sched.c spdm_record.c spdm_dhe.c spdm_opaque.c \
	     measure.c requester.c requester_auth.c requester_csr.c responder_csr.c requester_session.c requester_psk.c responder_psk.c requester_encap.c responder.c responder_auth.c responder_session.c responder_encap.c conn.c spdm_mctp.c slotset.c roots.c job.c session.c random.c dispatch.c filter.c
SRC_enrold  = enrold.c dispatch.c filter.c http.c json.c status.c auth.c cert.c blob.c tls.c warm.c client.c settings.c conn.c ask.c router.c enrol.c door_json.c door_est.c door_ocsp.c door_status.c der_out.c csr.c csr_verify.c base64.c pkcs7.c est.c ocsp.c
SRC_busd    = busd.c bus.c call.c face.c debug.c error.c view.c changed.c peer.c progress.c attestation.c lldp.c lldp_tlv.c dispatch.c filter.c
SRC_policyd = policyd.c why.c ack.c dispatch.c filter.c hubd.c schema.c store.c audit.c audit_walk.c clockd.c identity.c cert.c settings.c \
	      peer_fsm.c peer.c peer_index.c peer_act.c peer_ask.c job.c peer_job.c peer_net.c peer_store.c policy.c evidence.c code.c \
	      reference.c neighbour.c inbound.c self.c bus.c bus_node.c bus_outcome.c bus_ask.c component.c component_job.c component_store.c control_component.c control_self.c control.c control_row.c control_peer.c control_node.c \
	      control_trail.c service.c ca.c ca_job.c ca_rollover.c ca_cert.c ca_store.c ca_tell.c ca_wait.c crl.c crl_file.c crl_form.c ocsp.c control_ca.c \
	      attempt.c device.c cert_form.c cert_store.c cert_file.c enrol_decide.c enrol.c revoke.c control_cert.c
SRC_provctl = provctl.c command.c fill.c run.c client.c row.c code.c terminal.c file.c ca.c offline.c cert.c device.c http.c http_reply.c enrol.c enrol_key.c enrol_tpm.c enrol_ask.c enrol_check.c enrol_store.c check.c

PROGRAMS = keyd netd attestd enrold busd policyd provctl

# ---- unit tests: regress/unit/NAME.c, linked with the component it tests ----------

UNIT_libipc  = codec channel offence sisters queue events hub routes msgdoc
UNIT_libutil = reason clock secret log conf confine start spki tcti x509time weakkey
UNIT_keyd    = keyd_tpm keyd_faults keyd_store keyd_profile keyd_authority keyd_crl keyd_ocsp tls13_content keyd_spdm keyd_code keyd_checkpoint keyd_dispatch keyd_service
UNIT_netd    = token backoff provider verify tls lldp neighbour addr limit door dial mctp netd_filter
UNIT_attestd = measure spdm_session spdm_replay_req spdm_session_talk spdm_session_hostile spdm_tcp spdm_chunk spdm_chunk_replay spdm_keys spdm_mctp spdm_psk spdm_replay spdm_rsp_replay spdm_session_rsp spdm_session_mut spdm_errors spdm_hostile spdm_delay spdm_chain spdm_csr spdm_component attestd_proc attestd_component attestd_session attestd_code
UNIT_enrold  = enrol_http enrol_json enrol_openapi provider_rsa enrold_proc csr csr_signed est ocsp
UNIT_busd    = busd_proc busd_objects busd_progress busd_lldp lldp_tlv
UNIT_policyd = policyd_store policyd_schema policyd_upgrade policyd_audit policyd_tamper policyd_clock policyd_cert policyd_identity policyd_hub policyd_offence policyd_settings policyd_ca policyd_ca_install policyd_crl policyd_filter peer_fsm peer peer_life evidence policy policyd_code reference inbound peer_many policyd_bus policyd_bus_ask policyd_self component control control_ca control_cert policyd_enrol policyd_issued
UNIT_provctl = provctl provctl_code provctl_service provctl_enrol

# ---- fuzzers: regress/fuzz/fuzz_NAME.c, seeds in regress/fuzz/seeds/NAME ----------

FUZZ_libipc  = codec chan
FUZZ_libutil = conf
FUZZ_keyd    = keyfile
FUZZ_netd    = token verify lldp
FUZZ_attestd = spdm_req spdm_rsp spdm_chunk spdm_record spdm_session spdm_chain spdm_csr spdm_psk spdm_component
FUZZ_enrold  = http json csr est ocsp
FUZZ_busd    = lldp_tlv
FUZZ_policyd = pem_chain ca_install crl_form reference control
FUZZ_provctl = reply

# ---- benches and tools --------------------------------------------------------------

BENCH_libipc = bench_ipc
BENCH_keyd   = bench_keyd
BENCH_netd   = bench_tls bench_nginx
BENCH_attestd = bench_attest
BENCH_enrold =
BENCH_busd =
BENCH_policyd = bench_store bench_issue
TOOLS_libipc = msgdoc
TOOLS_libutil = reaper inject reasondoc relay enrolload
TOOLS_keyd   = keydhub
TOOLS_netd   = netdhub bmcpeer flood mctpbridge
TOOLS_attestd = fleet spdmdev spdmreq
TOOLS_enrold =
TOOLS_busd   = busload busplay
TOOLS_policyd = fsmdoc

# ---- rules ------------------------------------------------------------------------------

COMPONENTS = libipc libutil $(PROGRAMS)
all: programs
programs: $(PROGRAMS:%=$(O)/bin/%)
units: $(foreach c,$(COMPONENTS),$(UNIT_$(c):%=$(O)/unit/%))
fuzzers: $(foreach c,$(COMPONENTS),$(FUZZ_$(c):%=$(O)/fuzz/fuzz_%))
benches: $(foreach c,$(COMPONENTS),$(BENCH_$(c):%=$(O)/bench/%))
tools: $(foreach c,$(COMPONENTS),$(TOOLS_$(c):%=$(O)/tools/%)) $(O)/tools/sister $(O)/tools/clockshim.so

obj = $(patsubst %.y,$(O)/$(1)/%.o,$(patsubst %.c,$(O)/$(1)/%.o,$(SRC_$(1))))
GEN = $(O)/gen/ipc_catalogue.h $(O)/gen/build_time.h
BASE = $(O)/libipc.a $(O)/libutil.a

$(O)/gen/ipc_catalogue.h: libipc/messages.def libutil/reason.def
	@mkdir -p $(@D)
	@cat $^ | sha256sum | sed 's/ .*//; s/../0x&,/g; s/^/#define IPC_CATALOGUE /' >$@
# The date of the last commit, or of the build where there is no repository.
$(O)/gen/build_time.h: Makefile
	@mkdir -p $(@D)
	@t=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || date +%s)}; \
	    echo "#define BUILD_TIME $${t}ULL" >$@

$(O)/%.o: %.c $(GEN)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -I$(<D) $(CFLAGS) $(WARN_OWN) -MMD -MP -c -o $@ $<
$(O)/regress/%: WARN_OWN =
$(O)/%.o: $(O)/%.c $(GEN)
	$(CC) $(CPPFLAGS) -I$(*D) -I$(O)/$(*D) $(CFLAGS) -Wno-undef -MMD -MP -c -o $@ $<
# (make's own rule would write conf.c beside its source)
%.c: %.y
$(O)/%.c: %.y
	@mkdir -p $(@D)
	bison -Wall -Werror -d -o $@ $<

# Fuzzers replay the files that they are given; make O=build-fuzz FUZZER=1
# CC=clang SAN=1 fuzzers makes real ones.
ifeq ($(FUZZER),1)
override CFLAGS	+= -fsanitize=fuzzer-no-link
FUZZ_LDFLAGS = -fsanitize=fuzzer
FUZZ_MAIN =
else
FUZZ_LDFLAGS =
FUZZ_MAIN = $(O)/regress/fuzz/replay.o
endif

define component
$(O)/$(1).a: $(filter-out $(O)/$(1)/$(1).o,$(call obj,$(1)))
	@rm -f $$@
	$$(AR) rcs $$@ $$^
$(UNIT_$(1):%=$(O)/unit/%): $(O)/unit/%: $(O)/regress/unit/%.o $(O)/$(1).a $(BASE)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$< $(O)/$(1).a $(BASE) $(BASE) $$(LIBS) -lcmocka
$(FUZZ_$(1):%=$(O)/fuzz/fuzz_%): $(O)/fuzz/fuzz_%: $(O)/regress/fuzz/fuzz_%.o $(FUZZ_MAIN) $(O)/$(1).a $(BASE)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) $(FUZZ_LDFLAGS) -o $$@ $$< $(FUZZ_MAIN) $(O)/$(1).a $(BASE) $(BASE) $$(LIBS)
$(BENCH_$(1):%=$(O)/bench/%): $(O)/bench/%: $(O)/regress/bench/%.o $(O)/$(1).a $(BASE)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$< $(O)/$(1).a $(BASE) $(BASE) $$(LIBS)
$(TOOLS_$(1):%=$(O)/tools/%): $(O)/tools/%: $(O)/regress/tools/%.o $(O)/$(1).a $(BASE)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$< $(O)/$(1).a $(BASE) $(BASE) $$(LIBS)
endef
$(foreach c,$(COMPONENTS),$(eval $(call component,$(c))))

# The hostile sisters share files.
SISTER	 = $(patsubst %,$(O)/regress/tools/sister_%.o,list wire keyd cases enrol bus)
$(O)/tools/sister: $(O)/regress/tools/sister.o $(SISTER) $(O)/libipc.a $(BASE)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(SISTER) $(BASE) $(BASE) $(LIBS)

# A preload for tests; never sanitized, since it comes before the sanitizer.
$(O)/tools/clockshim.so: regress/tools/clockshim.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -fPIC -shared -o $@ $< -ldl

define program
$(O)/bin/$(1): $(O)/$(1)/$(1).o $(O)/$(1).a $(BASE)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $(O)/$(1)/$(1).o $(O)/$(1).a $(BASE) $(BASE) $$(LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

-include $(wildcard $(O)/*/*.d $(O)/regress/*/*.d)

# ---- what people type --------------------------------------------------------------------

check:
	regress/deps.sh check
	MORE="$(MORE)" regress/run.sh

# What tools find that do not run the daemons, and valgrind in the unit tests.
analyze:
	regress/deps.sh analyze
	@O=$(O) regress/analyze.sh

# The same sources for 32-bit ARM, their unit tests under qemu-user.
armhf:
	regress/deps.sh armhf
	@O=$(O) regress/armhf.sh

demo:
	regress/deps.sh demo
	@$(MAKE) -s --no-print-directory -j$$(nproc) programs tools
	@O=$(O) KEEP=$(KEEP) $(if $(KEEP),,$(O)/tools/reaper) regress/demo.sh

# make bench BENCH="tls pair" JSON=1: see provd_performance(7)
bench:
	regress/deps.sh bench
	@$(MAKE) -s --no-print-directory -j$$(nproc) programs tools benches
	@O=$(O) JSON=$(JSON) regress/bench/run.sh $(BENCH)

# Units and scripts follow PREFIX. provd.conf is an example: the one in use,
# /etc/provd.conf, is the operator's.
SYSCONFDIR ?= /etc
UNITDIR	?= $(PREFIX)/lib/systemd/system
RCDIR	?= $(SYSCONFDIR)/rc.d
RUNITDIR ?= $(PREFIX)/share/provd/runit
SHARE	 = $(DESTDIR)$(PREFIX)/share
PUT	 = set -e; put() { mkdir -p "$${3%/*}"; \
	   sed 's,/usr/sbin,$(PREFIX)/sbin,g; s,/usr/bin/provctl,$(PREFIX)/bin/provctl,' \
	   "$$2" >"$$3"; \
	   chmod "$$1" "$$3"; }
install: $(if $(BUILT),,programs)
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(patsubst %,$(O)/bin/%,$(filter-out provctl,$(PROGRAMS))) $(DESTDIR)$(PREFIX)/sbin
	install -m 755 $(O)/bin/provctl $(DESTDIR)$(PREFIX)/bin
	@set -e; for f in man/*.[1-9]; do \
	    install -D -m 644 "$$f" "$(SHARE)/man/man$${f##*.}/$${f#man/}"; done
	@$(PUT); for f in systemd/*; do \
	    put 644 "$$f" "$(DESTDIR)$(UNITDIR)/$${f#systemd/}"; done
	@$(PUT); for d in sysusers tmpfiles; do \
	    put 644 etc/$$d/provd.conf "$(DESTDIR)$(PREFIX)/lib/$$d.d/provd.conf"; done
	@$(PUT); for f in rc.d/*; do \
	    m=755; [ "$$f" != rc.d/rc.provd ] || m=644; \
	    put $$m "$$f" "$(DESTDIR)$(RCDIR)/$${f#rc.d/}"; done
	@$(PUT); for f in etc/runit/*/run etc/runit/*/finish etc/runit/*/log/run; do \
	    put 755 "$$f" "$(DESTDIR)$(RUNITDIR)/$${f#etc/runit/}"; done
	@$(PUT); for f in etc/dbus/*.conf; do [ ! -e "$$f" ] || \
	    put 644 "$$f" "$(SHARE)/dbus-1/system.d/$${f##*/}"; done
	@$(PUT); put 644 etc/provctl.bash-completion "$(SHARE)/bash-completion/completions/provctl"
	@$(PUT); put 644 etc/provd.conf "$(SHARE)/doc/provd/examples/provd.conf"; \
	    put 644 etc/openapi.json "$(SHARE)/doc/provd/openapi.json"

# The Debian packages, in O/deb. For tests, make deb BUILT=1 packs the programs
# of O as they are.
SOURCES	 = Makefile LICENSE README.md SECURITY.md debian etc libipc libutil $(PROGRAMS) \
	   man rc.d regress systemd
deb: $(if $(BUILT),programs)
	regress/deps.sh deb
	@SOURCES="$(SOURCES)" debian/build $(O)/deb $(if $(BUILT),$(O))
	@ls $(O)/deb/*.deb
sources:
	@echo $(SOURCES)
# Compiled twice with Debian's flags, lintian, blhc.
check-deb:
	regress/deps.sh check-deb
	@$(MAKE) -s --no-print-directory tools
	@O=$(O) $(O)/tools/reaper regress/deb.sh

# In a virtual machine, slowly: what a kernel's TPM and control groups do.
check-vm:
	regress/deps.sh check-vm
	@$(MAKE) -s --no-print-directory -j$$(nproc) programs tools
	@O=$(O) regress/vm.sh

# What it all takes on flash, stripped.
sizes: programs
	@rm -rf $(O)/sizes
	@$(MAKE) -s --no-print-directory DESTDIR=$(O)/sizes install >/dev/null
	@debian/sizes $(O)/sizes

# What is in the programs, as CycloneDX.
sbom: programs
	regress/deps.sh deb
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(sed -n 's/.*BUILD_TIME \([0-9]*\)ULL/\1/p' \
	    $(O)/gen/build_time.h)} debian/sbom $(PROGRAMS:%=$(O)/bin/%) >$(O)/provd.cdx.json.new
	@mv $(O)/provd.cdx.json.new $(O)/provd.cdx.json
	@echo $(O)/provd.cdx.json

# Files in the tree that are made from a table; a unit test compares each.
generated: $(O)/tools/reasondoc $(O)/tools/msgdoc $(O)/tools/fsmdoc
	$(O)/tools/reasondoc >man/provd_reasons.7
	$(O)/tools/fsmdoc man man/policyd.8 >$(O)/policyd.8 && cp $(O)/policyd.8 man/policyd.8
	$(O)/tools/msgdoc man >man/ipc_messages.7
	$(O)/tools/msgdoc dict >regress/fuzz/ipc.dict
	@rm -rf regress/fuzz/seeds/codec && mkdir -p regress/fuzz/seeds/codec
	$(O)/tools/msgdoc seeds regress/fuzz/seeds/codec

# make fuzz T=60: each fuzzer for T seconds, from its seeds; what it finds is
# kept in O/fuzz/found and fails.
T	?= 60
fuzz:
	@$(MAKE) -s -j$$(nproc) O=$(O)/fuzz FUZZER=1 SAN=1 CC=clang fuzzers
	@O=$(O)/fuzz T=$(T) regress/fuzz.sh

# Line coverage of what parses foreign bytes, held to regress/coverage.list.
coverage:
	regress/deps.sh coverage
	@O=$(O) regress/coverage.sh

# make soak PART="kills ..." N=1000 SEED=1: what takes longer; see regress/soak.sh
soak:
	regress/deps.sh check
	@$(MAKE) -s --no-print-directory -j$$(nproc) programs tools
	@O=$(O) PART="$(PART)" N=$(N) SEED=$(SEED) HOLD=$(HOLD) regress/soak.sh

clean:
	rm -rf $(O)

.PHONY: all programs units fuzzers benches tools check analyze armhf demo bench fuzz coverage soak install deb check-deb check-vm sources sbom sizes generated clean
.SECONDARY:
