# SPDX-License-Identifier: AGPL-3.0-only

$(call library,fleet/agent,fleet/agent/*.c,fleet/wire fleet/link base,libsystemd libsodium)
$(call program,fleet-agent,fleet/agent/main.c,fleet/agent)
$(call tests,fleet/agent/*_test.c,fleet/agent fleet/testing fleet/link fleet/wire base,,fleet-agent)
