# SPDX-License-Identifier: AGPL-3.0-only
# shellcheck shell=bash
#
# TAP for tests in shell: check NAME COMMAND... is one test, and done_testing ends them.
# A test runs in an empty folder that goes when it ends, with the processes in `pids`.

set -uo pipefail

IMAGES=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
pids=() count=0 failures=0

finish() {
	kill "${pids[@]}" 2>/dev/null
	wait
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work" || exit 1

# What the command printed is shown when it fails.
check() {
	local name=$1 start=${EPOCHREALTIME/./} verdict=ok
	shift
	count=$((count + 1))
	if ! "$@" >out 2>&1; then
		verdict='not ok'
		failures=$((failures + 1))
		tail -n 20 out | sed 's/^/# /'
	fi
	printf '%s %d - %s # time=%dms\n' "$verdict" $count "$name" $(((${EPOCHREALTIME/./} - start) / 1000))
}

done_testing() {
	echo "1..$count"
	[ $failures = 0 ]
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 77
}

# says TEXT COMMAND...: succeeds and prints TEXT somewhere; refuses: fails and prints TEXT.
says() {
	local text=$1 answer
	shift
	answer=$("$@" 2>&1) || { echo "$answer"; return 1; }
	echo "$answer"
	[[ $answer == *"$text"* ]]
}

refuses() {
	local text=$1 answer
	shift
	answer=$("$@" 2>&1) && { echo "accepted: $answer"; return 1; }
	echo "$answer"
	[[ $answer == *"$text"* ]]
}

# until_ok SECONDS COMMAND...: until it succeeds.
until_ok() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

free_port() {
	local port
	while :; do
		port=$((RANDOM % 10000 + 20000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo $port
}
