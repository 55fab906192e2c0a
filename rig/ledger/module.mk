# SPDX-License-Identifier: AGPL-3.0-only

$(call library,rig/ledger,rig/ledger/*.c,base)
$(call tests,rig/ledger/*_test.c,rig/ledger)
$(call fuzzers,rig/ledger/*_fuzz.c,rig/ledger)
