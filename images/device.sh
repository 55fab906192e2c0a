#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-only
#
# The device: Debian 13 with systemd, sshd and podman on one ext4 file system, booted
# directly with the kernel and the initrd beside it.  Leaves disk.qcow2 (overlays are
# put on it, it is never written), vmlinuz, initrd.img, cmdline (what the kernel needs
# to be told) and packages (names and versions).
#
# device/packages, device/presets and device/masked say what is installed, enabled and
# kept from running; device/root/ is laid over the installed system.  A lab boots its
# devices under emulation, so what a device can do without is left out.

. "$(dirname "$0")/lib.sh"

USAGE='[amd64|arm64]'
WHAT='The disk, kernel and initrd of a lab device.'
ARCH=amd64
take_arch "$@" && set -- "${@:1:$#-1}"
KIND=device-$ARCH
PARAMS=("$ARCH")
MAX_AGE_S=86400
SUITE=trixie
SIZE=4G
mapfile -t INPUTS < <(cd "$IMAGES" && find device -type f | LC_ALL=C sort)

list_packages() {
	sed -e '/^#/d; /^$/d' -e "s/^KERNEL$/linux-image-cloud-$ARCH/" "$IMAGES/device/packages"
}

resolve() {
	package_index "$SUITE" "$ARCH" || return 1
	# shellcheck disable=SC2046
	apt-get -q --simulate install '?essential' '?priority(required)' apt $(list_packages) |
		sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' | LC_ALL=C sort
}

# installed: how far mmdebstrap is, read from its log.
installed() {
	local total unpacked ready
	total=$(wc -l <"$VERSIONS")
	unpacked=$(grep -c '^Unpacking ' "$log") || true
	ready=$(grep -c '^Setting up ' "$log") || true
	if [ "$ready" -gt 0 ] && [ "$unpacked" -ge "$total" ]; then
		echo "setting up $ready/$total packages"
	elif [ "$unpacked" -gt 0 ]; then
		echo "unpacking $unpacked/$total packages"
	else
		echo "downloading $total packages"
	fi
}

# make_disk WORK OUT: run as root, if only of a user namespace.
make_disk() {
	local work=$1 out=$2 packages
	packages=$(list_packages | paste -sd, -)
	phase installing installed
	TMPDIR=$work mmdebstrap --mode=root --variant=minbase --architectures="$ARCH" --verbose --format=directory --include="$packages" \
		--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
		--aptopt='Acquire::Check-Valid-Until "false"' --dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/lib/udev/hwdb.d/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--setup-hook="mkdir -p \"\$1/etc\" && cp -r '$IMAGES/device/root/etc/tiny-initramfs' \"\$1/etc/\"" \
		--customize-hook="'$IMAGES/device/customize' \"\$1\" '$out'" \
		"$SUITE" "$work/root" "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) $SUITE main"

	phase 'making the file system'
	truncate -s "$SIZE" "$work/disk.raw"
	mke2fs -q -t ext4 -L device -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 -d "$work/root" "$work/disk.raw"
	rm -rf --one-file-system "$work/root"
}

build() {
	local work=$1 out=$2 console=ttyS0
	local namespaces=(unshare --mount --pid --fork --kill-child)
	unset APT_CONFIG
	# the root of a chroot is no mount point whose propagation could change; it is private there
	unshare --mount true 2>/dev/null || namespaces+=(--propagation unchanged)
	[ "$ARCH" = amd64 ] || console=ttyAMA0
	[ "$(id -u)" = 0 ] || namespaces+=(--map-root-user --map-auto)
	export -f make_disk list_packages phase debian_mirror die say
	export IMAGES ARCH SUITE SIZE NAME temp terminal
	"${namespaces[@]}" bash -euo pipefail -c 'make_disk "$@"' make_disk "$work" "$out"

	phase 'converting the disk'
	qemu-img convert -f raw -O qcow2 "$work/disk.raw" "$out/disk.qcow2"
	echo "root=/dev/vda rootfstype=ext4 ro console=$console net.ifnames=0 lsm=landlock,yama rcupdate.rcu_expedited=1 mitigations=off" >"$out/cmdline"
	if ! diff "$VERSIONS" "$out/packages"; then
		echo "the package index moved while the image was made: run it again"
		return 1
	fi
}

artefact "$@"
