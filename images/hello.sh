#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-only
#
# The container images localhost/hello:v1 and :v2, one static program each, as archives
# that `podman load` reads.  They are written here, file by file, without a container
# engine: the same source gives the same image id.  Leaves hello-v1.tar and hello-v2.tar.

. "$(dirname "$0")/lib.sh"

USAGE='[amd64|arm64]'
WHAT='The lab workload as container images of two versions.'
ARCH=amd64
take_arch "$@" && set -- "${@:1:$#-1}"
KIND=hello-$ARCH
INPUTS=(hello/hello.c)
PARAMS=("$ARCH")

compiler() {
	local cc=x86_64-linux-gnu-gcc
	[ "$ARCH" = amd64 ] || cc=aarch64-linux-gnu-gcc
	command -v "$cc" || { echo "$cc is missing: install gcc, or gcc-aarch64-linux-gnu and libc6-dev-arm64-cross"; return 1; }
}

# plain_tar FILE FOLDER: the same bytes for the same content.
plain_tar() {
	tar -cf "$1" -C "$2" --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX .
}

make_image() {
	local version=$1 work=$2/$1 out=$3 cc layer config
	mkdir -p "$work/layer" "$work/image"
	cc=$(compiler) || { echo "$cc"; return 1; }
	"$cc" -std=gnu11 -D_GNU_SOURCE -Os -static -Wall -Wextra -Wshadow -Werror -Wl,-s,--build-id=none -DVERSION="\"$version\"" \
		-o "$work/layer/hello" "$IMAGES/hello/hello.c"
	plain_tar "$work/layer.tar" "$work/layer"
	layer=$(sha256sum <"$work/layer.tar" | cut -d' ' -f1)
	mv "$work/layer.tar" "$work/image/$layer.tar"
	cat >"$work/config" <<-END
		{"architecture":"$ARCH","os":"linux","created":"1970-01-01T00:00:00Z",
		"config":{"Entrypoint":["/hello"],"ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGTERM"},
		"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},
		"history":[{"created":"1970-01-01T00:00:00Z","created_by":"hello $version"}]}
	END
	config=$(sha256sum <"$work/config" | cut -d' ' -f1)
	mv "$work/config" "$work/image/$config.json"
	echo "[{\"Config\":\"$config.json\",\"RepoTags\":[\"localhost/hello:$version\"],\"Layers\":[\"$layer.tar\"]}]" >"$work/image/manifest.json"
	plain_tar "$out/hello-$version.tar" "$work/image"
}

build() {
	phase compiling
	make_image v1 "$@"
	make_image v2 "$@"
}

artefact "$@"
