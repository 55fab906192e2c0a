# SPDX-License-Identifier: AGPL-3.0-only
#
# Plain, non-recursive make: this file says how things are built, each folder's module.mk says what.
# Everything is compiled in the devbox (a Debian 13 root; tools/devbox --help), which every target
# enters by itself.
#
# A module.mk says what its folder offers, with these four calls. Paths are from the root and may be
# patterns. LIBRARIES are names of our own libraries: give those that you use yourself, what they
# need in turn is found by make. PACKAGES are pkg-config names of libraries from outside.
#
#   $(call library,NAME,SOURCES,LIBRARIES,PACKAGES)    *_test.c, *_fuzz.c and main.c in SOURCES are
#                                                      passed over. NAME is the folder.
#   $(call program,NAME,SOURCES,LIBRARIES,PACKAGES)    build/VARIANT/bin/NAME, and bin/NAME to run it
#   $(call tests,SOURCES,LIBRARIES,PACKAGES,PROGRAMS)  a program for each file, run by `make check`;
#                                                      PROGRAMS of ours that it runs are built first.
#                                                      A script, thing_test.sh, prints TAP, too
#   $(call fuzzers,SOURCES,LIBRARIES,PACKAGES)         a libFuzzer target for each file, run by
#                                                      `make fuzz`; seeds: testdata/ beside the file
#
# For example, all of fleet/agent/module.mk:
#
#   $(call library,fleet/agent,fleet/agent/*.c,fleet/wire fleet/link base)
#   $(call program,fleet-agent,fleet/agent/main.c,fleet/agent)
#   $(call tests,fleet/agent/*_test.c,fleet/agent)
#
# What people set: VARIANT=debug|release|san|tsan, V=1 (show commands), T='fleet/wire base' (only the
# tests and fuzzers below these paths), FUZZ_SECONDS=60, CI=true (warnings are errors, and so are skips
# that ci/expected-skips does not list).

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
SHELL := /bin/sh
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

VARIANT ?= debug
VERSION := 0.1.0

#
# Outside the devbox: do the same inside.
#
goals := $(or $(MAKECMDGOALS),all)
at_home := help clean

ifeq ($(FLEETRIG_BOX)$(if $(filter-out $(at_home),$(goals)),,at-home),)

.PHONY: $(goals) enter
$(goals): enter ; @:
enter: ; @+tools/devbox run make --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc)) $(MAKECMDGOALS)
Makefile: ;

else

#
# Flags
#
out := build/$(VARIANT)

WARNINGS := -Wall -Wextra -Wshadow -Wformat=2 -Wmissing-prototypes -Wstrict-prototypes -Wvla \
            -Wwrite-strings -Wimplicit-fallthrough $(if $(CI),-Werror)
HARDEN   := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection

cc.debug   := gcc
cc.release := gcc
cc.san     := gcc
cc.tsan    := gcc
cc.fuzz    := clang

flags.debug   := -Og -g
flags.release := -O2 -g $(HARDEN)
flags.san     := -Og -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
flags.tsan    := -Og -g -fsanitize=thread
flags.fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

ldflags.release := -Wl,-z,relro,-z,now
ldflags.fuzz    := -fsanitize=fuzzer

CC := $(or $(cc.$(VARIANT)),$(error VARIANT=$(VARIANT): there are debug, release, san, tsan and fuzz))
CFLAGS   := -std=gnu11 $(WARNINGS) -fPIE -pthread $(flags.$(VARIANT))
CPPFLAGS := -I. -D_GNU_SOURCE -DFLEETRIG_VERSION='"$(VERSION)"'
LDFLAGS  := -pie -pthread $(filter -fsanitize=%,$(flags.$(VARIANT))) -Wl,--as-needed $(ldflags.$(VARIANT))

ifeq ($(V),1)
say :=
else
say = @printf '%-5s %s\n' $1 $2;
endif

#
# The four calls
#
obj   = $(patsubst %.c,$(out)/obj/%.o,$1)
lib   = $(patsubst %,$(out)/lib/%.a,$1)
files = $(foreach p,$1,$(if $(findstring *,$p),$(sort $(wildcard $p)),$p))
# These libraries and all that they need in turn.
with  = $(sort $(foreach l,$1,$l $(call with,$(libraries.$l))))

library = $(eval $(call library_,$(strip $1),$(filter-out %_test.c %_fuzz.c %/main.c,$(call files,$2)),$3,$4))
program = $(eval $(call linked_,programs,$(out)/bin/$(strip $1),$(call files,$2),$3,$4))
tests   = $(foreach f,$(filter %.c,$(call files,$1)),$(eval \
          $(call linked_,tests_,$(f:%.c=$(out)/test/%),$f,$2,$3,$4)))$(eval \
          scripts += $(patsubst %.sh,$(out)/test/%,$(filter %.sh,$(call files,$1))))
fuzzers = $(foreach f,$(call files,$1),$(eval $(call linked_,fuzzers_,$(f:%.c=$(out)/fuzz/%),$f,$2,$3)))

define library_
libraries.$1 := $3
packages.$1 := $4
sources += $2
$(call lib,$1): $(call obj,$2)
endef

# $1 the list that it joins, $2 the file, $3 sources, $4 libraries, $5 packages, $6 programs
define linked_
$1 += $2
libraries.$2 := $4
packages.$2 := $5
sources += $3
$2: $(call obj,$3) | $(patsubst %,$(out)/bin/%,$6)
endef

include $(wildcard base/module.mk fleet/*/module.mk rig/*/module.mk images/module.mk tools/module.mk)

#
# Rules
#
.SECONDEXPANSION:

$(out)/obj/%.o: %.c Makefile tools/devbox-packages
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(out)/lib/%.a:
	@mkdir -p $(@D)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

needed  = $(call with,$(libraries.$@))
outside = $(sort $(packages.$@) $(foreach l,$(needed),$(packages.$l)))

$(programs) $(tests_) $(fuzzers_): $$(call lib,$$(needed))
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(if $(outside),$$(pkg-config --libs $(outside)))

$(scripts): $(out)/test/%: %.sh
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s "$$@"\n' $< >$@ && chmod +x $@

# Started from anywhere, bin/NAME finds its way into the devbox.
bin/%: $(out)/bin/% always
	@mkdir -p $(@D)
	@sed 's|@PROGRAM@|$<|' tools/run-in-devbox >$@.new && chmod +x $@.new && mv $@.new $@

-include $(patsubst %.o,%.d,$(call obj,$(sort $(sources))))

#
# What people say
#
.PHONY: all check test images demo lint format fuzz fuzz-here bench clean help always
chosen = $(if $T,$(filter $(foreach t,$T,$(out)/test/$t% $(out)/fuzz/$t%),$1),$1)
# Scripts are the same under every variant: once is enough.
these  = $(call chosen,$(tests_) $(if $(filter debug,$(VARIANT)),$(scripts)))
recipes := $(patsubst images/%.sh,image-%,$(filter-out %_test.sh %/lib.sh,$(wildcard images/*.sh)))

all: $(programs:$(out)/%=%) ## build the programs: bin/NAME (the default)

check: $(if $T,,$(programs)) $(these) ## run the tests of this VARIANT; T=PATH: only those below it
	@tools/run-tests $(out) $(these)

test: images ## run all tests, plain and under the sanitizers, against real servers
	@+tools/run-variants debug san tsan:fleet/link

images: $(recipes) ## build what scenarios and tests run on: servers, device, containers; cached

.PHONY: $(recipes)
$(recipes): image-%:
	@images/$*.sh

demo: all ## run the power-cycle scenario on a machine of its own
	bin/rig run scenarios/power-cycle.yml

lint: ## layers, style and layout of the code; tests of the tools that check them
	@tools/lint

format: ## lay out all C with clang-format
	@git ls-files -co --exclude-standard '*.[ch]' | grep -v /testdata/ | xargs -r clang-format -i

fuzz: ## run every fuzzer for FUZZ_SECONDS (60), two at a time
	@+$(MAKE) --no-print-directory VARIANT=fuzz fuzz-here

fuzz-here: $(call chosen,$(fuzzers_))
	@tools/run-fuzzers $(out) $(call chosen,$(fuzzers_))

bench: all images ## measure what people feel, beside a plain virsh and ssh script; one table
	@tools/bench $(PARTS)

clean: ## remove what make made; tools/devbox clean removes the devbox
	rm -rf build bin

endif

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' Makefile
