# SPDX-License-Identifier: AGPL-3.0-only
$(call library,fleet/deploy,fleet/deploy/*.c,fleet/link fleet/wire base,libsodium)
