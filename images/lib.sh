# SPDX-License-Identifier: AGPL-3.0-only
# shellcheck shell=bash
#
# What the artefact recipes share: the cache, its lock, progress, clean-up and
# a private apt.
#
# Theory of operation.  A recipe is a script that says what it makes (KIND), from
# which files (INPUTS) and how (build), then calls artefact "$@".  The artefact
# lives in CACHE/KIND/DIGEST/, where DIGEST covers the recipe, its inputs and,
# for a recipe with a resolve function, the package versions that it found last.
# A lookup only hashes the recipe and compares sizes and times with those noted
# when the sums were last right, so it takes milliseconds and no network.  A
# build runs under the kind's lock, in a folder beside the final one, and is
# renamed into place when its SHA256SUMS is written: a folder with the final
# name is whole, whatever was killed meanwhile.
#
# The build is a job of its own process group with its output in a log; this
# shell only watches it, says how far it is, and kills the group when told to
# stop.  Nothing but the artefact's path goes to stdout.

set -euo pipefail
shopt -s inherit_errexit

IMAGES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/fleetrig
FORMAT=1	# raise it when a change in this file changes what recipes make
PROGRESS_S=8	# silence on the terminal lasts no longer
KEEP=2		# artefacts of one kind that stay in the cache
OFFLINE_S=3600	# after a failed look at the package index, rest for this long
INDEX_S=600	# a package index of this age is fresh

NAME=images/$(basename "$0" .sh)
INPUTS=() PARAMS=() MAX_AGE_S=$((10 * 365 * 86400)) VERSIONS=''
build_pid='' temp='' log=''

exec {terminal}>&2	# where say reaches the caller also from within a build

say() {
	printf '%s: %s\n' "$NAME" "$*" >&"$terminal"
}

die() {
	say "$@"
	exit 1
}

# --- digests and manifests ---------------------------------------------------

recipe_digest() {
	local sums
	sums=$(cd "$IMAGES" && sha256sum -- "$(basename "$0")" "${INPUTS[@]}")
	sha256sum <<<"$FORMAT $KIND ${PARAMS[*]} $sums" | cut -c1-16
}

stat_files() {
	(cd "$1" && sed 's/^[^ ]*  //' SHA256SUMS | tr '\n' '\0' | xargs -0 stat -c '%s %.9Y %n' --)
}

seal() {
	(cd "$1" && find . -type f ! -name SHA256SUMS ! -name .stat -printf '%P\0' | sort -z | xargs -0 sha256sum -- >SHA256SUMS)
	stat_files "$1" >"$1/.stat"
}

# usable DIR: the artefact is there and whole.  Times that differ (a cache that was
# copied) cost one full reading; wrong sums do not pass.
usable() {
	[ -s "$1/SHA256SUMS" ] || return 1
	if [ -z "$opt_verify" ] && [ "$(stat_files "$1" 2>/dev/null)" = "$(cat "$1/.stat" 2>/dev/null)" ]; then
		return 0
	fi
	if ! (cd "$1" && sha256sum --quiet --check SHA256SUMS) >/dev/null 2>&1; then
		say "$1 is damaged: it will be built again"
		return 1
	fi
	stat_files "$1" >"$1/.stat"
}

# --- package versions --------------------------------------------------------

# The versions that a recipe's packages resolve to are kept beside the artefacts, so
# that a lookup works offline.  They are looked up again when older than max_age
# seconds; without an answer the last known ones stand.
versions() {
	local known=$VERSIONS age fresh
	[ "$(type -t resolve)" = function ] || return 0
	[ -z "$opt_cached" ] || { cat "$known" 2>/dev/null || true; return; }
	if [ -s "$known" ]; then
		age=$(($(date +%s) - $(stat -c %Y "$known")))
		if [ "$age" -lt "$max_age" ]; then
			cat "$known"
			return
		fi
	fi
	say "looking up package versions"
	fresh=$(mktemp "$CACHE/$KIND/.versions.XXXXXX")
	if (resolve) >"$fresh" 2>"$CACHE/$KIND/resolve.log" && [ -s "$fresh" ]; then
		mv "$fresh" "$known"
	else
		rm -f "$fresh"
		if [ ! -s "$known" ]; then
			tail -n 5 "$CACHE/$KIND/resolve.log" | sed 's/^/  /' >&2
			die "the package index cannot be read and no earlier one is known: check the network and apt's configuration, or name a mirror with FLEETRIG_MIRROR"
		fi
		say "the package index cannot be read: staying with the versions of $(date -Idate -r "$known")"
		touch -d "@$(($(date +%s) - max_age + OFFLINE_S))" "$known"
	fi
	cat "$known"
}

# artefact_dir: where the artefact of this recipe and these package versions lives.
artefact_dir() {
	local digest=$1 resolved
	resolved=$(versions)
	if [ -n "$resolved" ]; then
		digest=$(sha256sum <<<"$digest $resolved" | cut -c1-16)
	fi
	echo "$CACHE/$KIND/$digest"
}

# --- private apt -------------------------------------------------------------

debian_mirror() {
	local site=${FLEETRIG_MIRROR:-}
	if [ -z "$site" ]; then
		site=$(env -u APT_CONFIG apt-get update --print-uris 2>/dev/null |
			sed -nE "s,^'(.*)/dists/(bookworm|trixie|forky|duke|sid|(old)?stable|testing|unstable)/InRelease'.*,\1,p" | head -n 1)
	fi
	[ -n "$site" ] || die "apt's configuration names no Debian mirror: set FLEETRIG_MIRROR to one"
	echo "$site"
}

# package_index SUITE ARCH: point apt at an index of its own, with an empty status, so that
# neither what this system has installed nor what it is pinned to has a say.
package_index() {
	local dir=$CACHE/apt/$1-$2 keys=/usr/share/keyrings/debian-archive-keyring.gpg mirror guard
	[ -r "$keys" ] || die "$keys is missing: install debian-archive-keyring"
	mirror=$(debian_mirror) || return 1
	mkdir -p "$dir"/etc/{apt.conf.d,preferences.d,sources.list.d,trusted.gpg.d} "$dir"/{state/lists/partial,cache/archives/partial}
	: >"$dir/status"
	echo "deb [signed-by=$keys] $mirror $1 main" >"$dir/etc/sources.list"
	{
		cat <<-END
			Dir::Etc "$dir/etc";
			Dir::State "$dir/state";
			Dir::State::status "$dir/status";
			Dir::Cache "$dir/cache";
			Dir::Cache::pkgcache "";
			Dir::Cache::srcpkgcache "";
			APT::Architecture "$2";
			APT::Architectures { "$2"; };
			APT::Sandbox::User "";
			APT::Install-Recommends "false";
			Acquire::Languages "none";
			Acquire::GzipIndexes "true";
			Acquire::Check-Valid-Until "false";
			Acquire::Retries "2";
			Acquire::http::Timeout "15";
		END
		# a proxy is a property of this network, so it stays
		env -u APT_CONFIG apt-config dump | grep -E '^Acquire::https?::Proxy' || true
	} >"$dir/apt.conf.$BASHPID"
	mv "$dir/apt.conf.$BASHPID" "$dir/apt.conf"
	export APT_CONFIG=$dir/apt.conf
	exec {guard}>"$dir/.lock"
	flock "$guard"
	if [ -z "$(find "$dir/.fresh" -newermt "-$INDEX_S seconds" 2>/dev/null)" ]; then
		timeout 120 apt-get -q --error-on=any update >&2 || return 1
		touch "$dir/.fresh"
	fi
	exec {guard}>&-
}

# package_versions PACKAGE...: the versions that the index offers.
package_versions() {
	apt-cache show --no-all-versions -- "$@" | awk '/^Package:/ { p = $2 } /^Version:/ { print p "=" $2 }' | sort -u
}

# --- building ----------------------------------------------------------------

# phase TEXT [COMMAND]: what the build is doing; COMMAND, run by the watching shell, prints
# the same with how far it is.
phase() {
	printf '%s\n' "$1" "${2:-}" >"$temp/.phase.new"
	mv "$temp/.phase.new" "$temp/.phase"
}

show_phase() {
	local text command detail=''
	{ read -r text; read -r command; } <"$temp/.phase" 2>/dev/null || return 0
	if [ -n "$command" ]; then
		detail=$(eval "$command" 2>/dev/null) || detail=''
	fi
	say "${detail:-$text} ($SECONDS s)"
}

watch_build() {
	local shown='' shown_s=0 now idle
	exec {idle}<> <(:)
	while kill -0 "$build_pid" 2>/dev/null; do
		now=$(head -n 1 "$temp/.phase" 2>/dev/null || true)
		if [ -n "$now" ] && { [ "$now" != "$shown" ] || [ $((SECONDS - shown_s)) -ge "$PROGRESS_S" ]; }; then
			show_phase
			shown=$now shown_s=$SECONDS
		fi
		read -rt 0.5 -u "$idle" || true
	done
	exec {idle}>&-
}

# Everything of a build is in its process group or, where the recipe made one, in a
# process namespace that dies with its first process.
cleanup() {
	local i
	trap '' INT TERM HUP
	if [ -n "$build_pid" ]; then
		kill -TERM -- "-$build_pid" 2>/dev/null || true
		wait "$build_pid" 2>/dev/null || true
		for ((i = 0; i < 50; i++)); do
			kill -0 -- "-$build_pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL -- "-$build_pid" 2>/dev/null || true
	fi
	if [ -n "$temp" ]; then
		rm -rf --one-file-system "$temp"
	fi
}

take_lock() {
	exec {lock}>"$CACHE/$KIND/.lock"
	if ! flock -n "$lock"; then
		say "another build of $KIND is running: waiting for it"
		until flock -w "$PROGRESS_S" "$lock"; do
			say "still waiting for the other build ($SECONDS s)"
		done
	fi
}

build_into() {
	local dir=$1 status=0
	log=$CACHE/$KIND/build.log
	rm -rf --one-file-system "$CACHE/$KIND"/.build.*	# of a build that was killed: we hold the lock
	temp=$(mktemp -d "$CACHE/$KIND/.build.XXXXXX")
	chmod 755 "$temp"
	mkdir "$temp/out" "$temp/work"
	set -m
	(
		set -euo pipefail
		renice -n 5 -p "$BASHPID" >/dev/null 2>&1 || true
		build "$temp/work" "$temp/out"
		phase 'writing checksums'
		seal "$temp/out"
	) </dev/null >"$log" 2>&1 &
	build_pid=$!
	set +m
	watch_build
	wait "$build_pid" || status=$?
	if [ "$status" != 0 ]; then
		tail -n 20 "$log" | sed 's/^/  /' >&2
		say "failed after $SECONDS s, status $status; the whole log is $log"
		say "a network error: run it again; a missing tool: run it in tools/devbox, or add its package to tools/devbox-packages"
		exit 1
	fi
	build_pid=''
	rm -rf --one-file-system "$dir"
	mv "$temp/out" "$dir"
	rm -rf --one-file-system "$temp"
	temp=''
	say "built $(du -sh "$dir" | cut -f1) in $SECONDS s"
}

# Least recently used go first; a lookup counts as use, so a running lab keeps its own.
remove_old() {
	local dir
	find "$CACHE/$KIND" -maxdepth 1 -name '*.versions' -mtime +30 -delete
	find "$CACHE/$KIND" -mindepth 1 -maxdepth 1 -type d ! -name '.*' -printf '%T@ %p\n' |
		sort -rn | tail -n "+$((KEEP + 1))" | cut -d' ' -f2- |
		while read -r dir; do rm -rf --one-file-system "$dir"; done
}

usage() {
	cat <<-END
		usage: images/$(basename "$0") [--verify] [--refresh] [--cached] ${USAGE:-}

		$WHAT

		Prints the artefact's folder; builds it first where the cache has none.

		  --verify   read every file and compare it with SHA256SUMS
		  --refresh  look up package versions now; build when they changed
		  --cached   build nothing: fail where the cache has none
		  --help     this text

		Cache: $CACHE/${KIND:-KIND}/DIGEST
		Mirror: apt's own, or FLEETRIG_MIRROR
	END
}

# take_arch ARG...: true where the last argument names an architecture; it is then ARCH.
take_arch() {
	case ${*: -1} in
	amd64 | arm64) ARCH=${*: -1} ;;
	*) return 1 ;;
	esac
}

artefact() {
	local dir digest arg
	opt_verify='' opt_cached='' max_age=$MAX_AGE_S
	for arg; do
		case $arg in
		--verify) opt_verify=1 ;;
		--refresh) max_age=0 ;;
		--cached) opt_cached=1 ;;
		--help) usage; exit 0 ;;
		*) usage >&2; exit 2 ;;
		esac
	done
	mkdir -p "$CACHE/$KIND" || die "the cache folder cannot be made: set XDG_CACHE_HOME to a folder that you own"
	digest=$(recipe_digest)
	VERSIONS=$CACHE/$KIND/$digest.versions
	dir=$(artefact_dir "$digest")
	if ! usable "$dir"; then
		[ -z "$opt_cached" ] || die "not built yet: run images/$(basename "$0")"
		trap cleanup EXIT
		trap 'exit 130' INT
		trap 'exit 143' TERM HUP
		take_lock
		max_age=$INDEX_S # what is built now is built from what is current
		dir=$(artefact_dir "$digest")
		if ! usable "$dir"; then
			build_into "$dir"
			remove_old
		fi
	fi
	touch "$dir"
	echo "$dir"
}
