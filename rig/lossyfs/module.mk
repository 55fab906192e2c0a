# SPDX-License-Identifier: AGPL-3.0-only

$(call library,rig/lossyfs,rig/lossyfs/*.c,base,fuse3)
$(call program,rig-lossyfs,rig/lossyfs/main.c,rig/lossyfs)
$(call tests,rig/lossyfs/*_test.c,base,,rig-lossyfs)
