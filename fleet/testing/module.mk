# SPDX-License-Identifier: AGPL-3.0-only

$(call library,fleet/testing,fleet/testing/*.c,base fleet/link)
$(call tests,fleet/testing/*_test.c,fleet/testing fleet/link base)
