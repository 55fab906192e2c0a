# SPDX-License-Identifier: AGPL-3.0-only

$(call library,rig/verbs,rig/verbs/*.c,rig/scenario rig/lab fleet/link fleet/wire base)
$(call tests,rig/verbs/*_test.c,rig/verbs,,fleet-operator)
