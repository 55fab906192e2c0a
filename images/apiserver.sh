#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-only
#
# The embedded lab's Kubernetes API: upstream's apiextensions-apiserver with a main of
# our own (apiserver/*.go), built from the Kubernetes library packages of Debian sid,
# which unpack on any Debian.  Leaves bin/crd-apiserver and bin/kubectl.

. "$(dirname "$0")/lib.sh"

KIND=apiserver
WHAT='The CRD API server and kubectl, built from Debian packages.'
INPUTS=(apiserver/packages apiserver/main.go apiserver/discovery.go apiserver/core.go)
ARCH=$(dpkg --print-architecture)
PARAMS=("$ARCH")

list_packages() {
	local go
	go=$(apt-cache show --no-all-versions golang-go | sed -nE 's/^Depends:.*(golang-1\.[0-9]+)-go.*/\1/p')
	[ -n "$go" ] || return 1
	printf '%s\n' "$go-go" "$go-src" kubectl
	grep -v '^#' "$IMAGES/apiserver/packages"
}

resolve() {
	local packages
	package_index sid "$ARCH" || return 1
	mapfile -t packages < <(list_packages)
	package_versions "${packages[@]}"
}

unpack() {
	dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --exclude='*_test.go' --exclude='*/testdata/*' \
		--exclude='./usr/share/doc/*' --exclude='./usr/share/man/*'
}
export -f unpack

build() {
	local work=$1 out=$2 packages goroot version total
	mkdir -p "$work"/{debs,root,src/crd-apiserver} "$out/bin"
	mapfile -t packages <"$VERSIONS"

	phase downloading "echo downloading \$(ls $work/debs | wc -l)/${#packages[@]} packages"
	package_index sid "$ARCH"
	(cd "$work/debs" && apt-get -q download "${packages[@]}")

	phase unpacking
	printf '%s\0' "$work"/debs/*.deb | xargs -0 -P 2 -I{} bash -c 'unpack {} "$0"' "$work/root"
	goroot=$(echo "$work"/root/usr/lib/go-1.*)
	version=$(sed -n 's/^golang-k8s-apiextensions-apiserver-dev=0\.\([0-9.]*\)-.*/v1.\1/p' "$VERSIONS")
	cp "$IMAGES"/apiserver/*.go "$work/src/crd-apiserver/"

	go() {
		env -i PATH=/usr/bin:/bin HOME="$work" GOROOT="$goroot" GOPATH="$work:$work/root/usr/share/gocode" GO111MODULE=off \
			GOTOOLCHAIN=local GOTELEMETRY=off GOCACHE="$work/cache" GOTMPDIR="$work" CGO_ENABLED=0 GOFLAGS=-p=2 "$goroot/bin/go" "$@"
	}
	phase 'reading imports'
	total=$(go list -deps crd-apiserver | wc -l)
	phase compiling "echo compiling \$(wc -l <$work/compiled)/$total packages"
	go build -v -trimpath -o "$out/bin/crd-apiserver" \
		-ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" crd-apiserver 2>&1 | tee "$work/compiled"

	install "$work/root/usr/bin/kubectl" "$out/bin/"
	install -m 644 "$VERSIONS" "$out/packages"
	"$out/bin/crd-apiserver" --help >/dev/null
	"$out/bin/kubectl" version --client
}

artefact "$@"
