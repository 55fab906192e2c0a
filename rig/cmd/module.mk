# SPDX-License-Identifier: AGPL-3.0-only

$(call library,rig/cmd,rig/cmd/*.c,rig/run rig/verbs rig/scenario rig/lab rig/ledger base,libcyaml)
$(call program,rig,rig/cmd/main.c,rig/cmd)
$(call tests,rig/cmd/*_test.c,rig/cmd,,rig)
$(call tests,rig/cmd/*_test.sh)
$(out)/test/rig/cmd/bad_days_test: | $(out)/bin/rig
$(call fuzzers,rig/cmd/*_fuzz.c,rig/cmd)
