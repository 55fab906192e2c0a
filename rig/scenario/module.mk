# SPDX-License-Identifier: AGPL-3.0-only

$(call library,rig/scenario,rig/scenario/*.c,fleet/wire base)
$(call tests,rig/scenario/*_test.c,rig/scenario)
$(call fuzzers,rig/scenario/*_fuzz.c,rig/scenario)
