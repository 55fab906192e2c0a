# SPDX-License-Identifier: AGPL-3.0-only

$(call library,fleet/wire,fleet/wire/*.c,base,jansson)
$(call tests,fleet/wire/*_test.c,fleet/wire base)
$(call fuzzers,fleet/wire/*_fuzz.c,fleet/wire base)
