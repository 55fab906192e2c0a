# SPDX-License-Identifier: AGPL-3.0-only

$(call library,rig/cmd,rig/cmd/*.c,rig/run rig/verbs rig/scenario rig/lab rig/ledger base,libcyaml)
$(call program,rig,rig/cmd/main.c,rig/cmd)
$(call tests,rig/cmd/*_test.c,rig/cmd,,rig fleet-operator fleet-agent rig-lossyfs)
$(call tests,rig/cmd/*_test.sh)
$(out)/test/rig/cmd/bad_days_test: | $(addprefix $(out)/bin/,rig fleet-operator fleet-agent)
$(call fuzzers,rig/cmd/*_fuzz.c,rig/cmd)
