# SPDX-License-Identifier: AGPL-3.0-only

$(call library,base,base/*.c,,jansson yaml-0.1 libcyaml)
$(call tests,base/*_test.c,base)
$(call fuzzers,base/*_fuzz.c,base)
