# SPDX-License-Identifier: AGPL-3.0-only

$(call library,rig/lab,rig/lab/*.c,rig/ledger fleet/deploy fleet/link fleet/wire base,libvirt libvirt-qemu libssh libsodium libsystemd)
$(call tests,rig/lab/*_test.c,rig/lab fleet/testing,,fleet-operator rig-lossyfs)
$(call fuzzers,rig/lab/*_fuzz.c,rig/lab)
