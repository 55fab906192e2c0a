# SPDX-License-Identifier: AGPL-3.0-only

$(call tests,images/*_test.sh)
