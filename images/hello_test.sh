#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-only
#
# The workload's program, taken out of its archives.  That podman loads and runs them is
# seen on a device.

. "$(dirname "$0")/testing/tap.sh"

artefact=$("$IMAGES/hello.sh" --cached 2>/dev/null) || skip_all 'there are no hello images: run images/hello.sh'

# unpack VERSION: the layer that the archive's manifest names.
unpack() {
	mkdir -p "$1/layer"
	tar -xf "$artefact/hello-$1.tar" -C "$1" &&
		tar -xf "$1/$(sed 's/.*"Layers":\["\([^"]*\)"\].*/\1/' "$1/manifest.json")" -C "$1/layer"
}

digests_match() {
	local file
	for file in "$1"/*.tar "$1"/????????*.json; do
		[ "${file##*/}" = manifest.json ] || [ "$(sha256sum <"$file")" = "$(basename "${file%.*}")  -" ] || return 1
	done
	grep -q "$(basename "$1"/*.tar .tar)" "$1"/*.json
}

get() {
	curl -sS --max-time 4 "$@" "http://127.0.0.1:$port/any/path"
}

start() {
	port=$(free_port)
	"$work/$1/layer/hello" "$port" >/dev/null &
	pid=$!
	pids+=($pid)
	until_ok 5 get >/dev/null 2>&1
}

head_has_no_body() {
	get --head | tee answer && grep -q '^Content-Length: 9' answer && [ "$(tail -n 1 answer)" = $'\r' ]
}

# Clients that say nothing take all slots; the next one is served all the same.
idle_clients() {
	local i fd
	for ((i = 0; i < 80; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/$port" || return 1
	done
	says 'hello v1' get
}

stops_at_once() {
	local start=${EPOCHREALTIME/./}
	kill -TERM $pid && wait $pid && [ $((${EPOCHREALTIME/./} - start)) -lt 500000 ]
}

for version in v1 v2; do
	check "the archive of $version unpacks" unpack $version
	check "its names are the digests of what they name" digests_match $version
	check "it is tagged localhost/hello:$version" grep -q "\"localhost/hello:$version\"" $version/manifest.json
done
check 'v2 starts' start v2
check 'it says that it is v2' says 'hello v2' get
check 'TERM stops it at once' stops_at_once
check 'v1 starts' start v1
check 'it says that it is v1' says 'hello v1' get
check 'the answer is 200' says ' 200 ' get -o /dev/null -w ' %{http_code} '
check 'HEAD has no body' head_has_no_body
check 'POST is refused' says ' 405 ' get -o /dev/null -w ' %{http_code} ' --data x
check 'a request without end is refused' says ' 431 ' get -o /dev/null -w ' %{http_code} ' -H "X-Long: $(printf '%05000d' 0)"
check 'silent clients do not keep others waiting' idle_clients
check 'TERM stops it all the same' stops_at_once
done_testing
