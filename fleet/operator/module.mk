# SPDX-License-Identifier: AGPL-3.0-only

$(call library,fleet/operator,fleet/operator/*.c,base fleet/wire fleet/link)
$(call program,fleet-operator,fleet/operator/main.c,fleet/operator)
$(call tests,fleet/operator/*_test.c,fleet/operator fleet/testing,,fleet-operator)
