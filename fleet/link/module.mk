# SPDX-License-Identifier: AGPL-3.0-only

$(call library,fleet/link,fleet/link/*.c,base fleet/wire,libcurl libnats libsystemd)
$(call tests,fleet/link/*_test.c,fleet/link fleet/testing fleet/wire base)
$(call fuzzers,fleet/link/*_fuzz.c,fleet/link base)
