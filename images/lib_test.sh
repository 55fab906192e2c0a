#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-only
#
# The cache of artefacts, with a recipe whose artefact is two small files.

. "$(dirname "$0")/testing/tap.sh"

export XDG_CACHE_HOME=$work/cache
kind=$XDG_CACHE_HOME/fleetrig/toy
mkdir recipes
cp "$IMAGES/lib.sh" recipes/

# recipe [SECONDS]: one that takes that long, in a child of a child.
recipe() {
	cat >recipes/toy.sh <<-END
		#!/bin/bash
		. "\$(dirname "\$0")/lib.sh"
		KIND=toy WHAT='A toy.' INPUTS=(input) MAX_AGE_S=\${TOY_MAX_AGE:-86400}
		resolve() { echo asked >>"$work/asked"; cat "$work/index"; }
		build() {
			phase playing
			cp "$work/recipes/input" "\$2/file"
			mkdir "\$2/folder"
			cp "\$VERSIONS" "\$2/folder/packages"
			echo built >>"$work/built"
			bash -c 'sleep $1 & echo \$! >"$work/sleeper"; wait'
		}
		artefact "\$@"
	END
	chmod +x recipes/toy.sh
}

toy() {
	recipes/toy.sh "$@"
}

builds() {
	local n
	n=$(wc -l 2>/dev/null <built) || n=0
	echo "built $n times, expected $1"
	[ "$n" = "$1" ]
}

prints_only_the_folder() {
	toy >stdout && [ "$(wc -l <stdout)" = 1 ] && [ -f "$(cat stdout)/file" ]
}

is_fast() {
	local start=${EPOCHREALTIME/./}
	toy && builds 1 && [ $((${EPOCHREALTIME/./} - start)) -lt 300000 ]
}

other_folder() {
	local before
	before=$(cat stdout)
	toy >stdout && [ "$(cat stdout)" != "$before" ]
}

damaged() {
	printf 'x' | dd of="$(cat stdout)/file" conv=notrunc 2>/dev/null
	toy "$@"
}

# Sizes and times as before, contents not: what --verify is for.
forged() {
	local file
	file=$(cat stdout)/file
	cp -p "$file" saved
	printf 'x' | dd of="$file" conv=notrunc 2>/dev/null
	touch -r saved "$file"
	toy "$@"
}

two_at_once() {
	toy >first 2>first.err &
	until_ok 5 test -e built
	toy >second 2>second.err
	wait $!
	cat second.err
	[ -s first ] && diff first second && grep -q waiting second.err
}

# start_slow: a build that would take for ever; its pid in `slow`.
start_slow() {
	rm -f built sleeper
	recipe 4321
	# bash starts background commands with INT ignored, which is not what a terminal does
	env --default-signal=INT recipes/toy.sh 2>err &
	slow=$!
	pids+=("$slow")
	until_ok 5 test -s sleeper
}

no_temporary_folder() {
	[ -z "$(find "$kind" -name '.build.*')" ]
}

stopped() {
	local status=0
	start_slow
	kill "-$1" "$slow"
	wait "$slow" || status=$?
	echo "status $status"
	[ $status -gt 128 ] && ! kill -0 "$(cat sleeper)" && no_temporary_folder
}

killed() {
	start_slow
	kill -KILL "$slow"
	wait "$slow"
	kill "$(cat sleeper)"
	echo killed >recipes/input
	rm built
	recipe 0
	says "$kind" toy && no_temporary_folder
}

few_remain() {
	local i
	for i in 1 2 3 4; do
		echo "$i" >recipes/input
		toy >stdout || return 1
	done
	[ "$(find "$kind" -mindepth 1 -maxdepth 1 -type d | wc -l)" = 2 ] && [ -d "$(cat stdout)" ]
}

broken_build() {
	sed 's/phase playing/false/' -i recipes/toy.sh
	refuses 'the whole log is' toy
}

echo one >recipes/input
echo package=1 >index
recipe 0
check 'what is not built is not built when told so' refuses 'not built yet' toy --cached
check 'it is built at first' prints_only_the_folder
check 'and found from then on, fast' is_fast
check 'also when told to build nothing' says "$kind" toy --cached
check 'another version is not noticed at once' eval 'echo package=2 >index; toy && builds 1'
check 'but on --refresh' eval 'toy --refresh >stdout && builds 2 && grep -q package=2 "$(cat stdout)/folder/packages"'
check 'and when some time has passed' eval 'echo package=3 >index; TOY_MAX_AGE=0 toy && builds 3'
check 'the same versions again build nothing' eval 'TOY_MAX_AGE=0 toy >stdout && builds 3'
check 'without an index the last known versions stand' eval ': >index; says "staying with" toy --refresh && builds 3'
check 'and are not asked for again at once' eval 'rm -f asked; toy && [ ! -e asked ]'
check 'without any known versions it says what to do' eval 'rm "$kind"/*.versions; refuses FLEETRIG_MIRROR toy'
echo package=3 >index
check 'other input is another artefact' eval 'echo two >recipes/input; other_folder && builds 4'
check 'a damaged file is noticed' says 'will be built again' damaged
check 'a copy with other times is read, not built' eval 'find "$(cat stdout)" -exec touch -d yesterday {} +; toy && builds 5'
check '--verify notices what looks right' says 'will be built again' forged --verify
check 'half an artefact is built again' eval 'rm "$(cat stdout)/folder/packages"; toy && builds 7'
check 'the two last used stay' few_remain
check 'two at once build once' eval 'rm built; recipe 1; two_at_once && builds 1'
check 'INT leaves nothing' stopped INT
check 'TERM leaves nothing' stopped TERM
check 'the next build clears up after KILL' killed
check 'a failed build shows its log' broken_build
check 'an unknown option is refused' refuses usage toy --frobnicate
done_testing
