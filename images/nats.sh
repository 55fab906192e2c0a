#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-only
#
# nats-server as Debian sid has it, because the one of Debian 13 (2.10) is older than
# its advisories ask for.  It needs only libc.  Leaves bin/nats-server.

. "$(dirname "$0")/lib.sh"

KIND=nats
WHAT='nats-server from Debian sid, or the installed one where sid cannot be reached.'
ARCH=$(dpkg --print-architecture)
PARAMS=("$ARCH")
MAX_AGE_S=86400

resolve() {
	local own
	if package_index sid "$ARCH" && package_versions nats-server | grep .; then
		return
	fi
	own=$(nats-server --version) || return 1
	say "Debian sid offers no nats-server: taking the installed one, $own. Advisories ask for 2.11.16, 2.12.7 or 2.14.0 at least"
	echo "installed=$own"
}

build() {
	local work=$1 out=$2 package
	package=$(cat "$VERSIONS")
	mkdir "$out/bin"
	case $package in
	installed=*)
		install "$(command -v nats-server)" "$out/bin/nats-server"
		;;
	*)
		phase downloading
		package_index sid "$ARCH"
		(cd "$work" && apt-get -q download "$package")
		dpkg-deb -x "$work"/nats-server_*.deb "$work/root"
		install "$work"/root/usr/*bin/nats-server "$out/bin/nats-server"
		;;
	esac
	install -m 644 "$VERSIONS" "$out/packages"
	"$out/bin/nats-server" --version
}

artefact "$@"
