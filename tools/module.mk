# SPDX-License-Identifier: AGPL-3.0-only

$(call tests,tools/*_test.sh)
