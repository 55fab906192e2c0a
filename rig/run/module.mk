# SPDX-License-Identifier: AGPL-3.0-only

$(call library,rig/run,rig/run/*.c,rig/scenario rig/ledger base)
$(call tests,rig/run/*_test.c,rig/run)
$(call fuzzers,rig/run/*_fuzz.c,rig/run)
