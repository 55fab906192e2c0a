# SPDX-License-Identifier: AGPL-3.0-only
# shellcheck shell=bash
#
# What ci/run and ci/nightly share: stages with their times, and the sum of what they counted.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
export CI=true
mkdir -p build
passed=0 failed=0 skipped=0 times=() began=$SECONDS

# Counts in a file that a stage has left: its last line `N passed, N failed, N skipped`.
counts() # FILE
{
    awk '/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped/ { line = $1 " " $3 " " $5 } END { print line }' "$1" 2>/dev/null
}

# Runs a stage that was asked for. Without a LOG-OF-COUNTS (-) it counts as one.
stage() # NAME LOG-OF-COUNTS COMMAND...
{
    local name=$1 log=$2 start=$SECONDS status=0 p='' f s
    shift 2
    [[ " $stages " == *" $name "* ]] || return 0
    printf '\n==== %s: %s\n' "$name" "$*"
    [ "$log" = - ] || rm -f "$log"
    "$@" </dev/null || status=$?
    read -r p f s < <(counts "$log")
    # A stage that did not get as far as counting, or failed beyond what it counted, is a failure.
    [ -n "$p" ] || { p=0 f=0 s=0; [ $status != 0 ] || p=1; }
    [ $status = 0 ] || [ "$f" != 0 ] || f=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    times+=("$(printf '%-22s %4d s   %d passed, %d failed, %d skipped' "$name" $((SECONDS - start)) "$p" "$f" "$s")")
}

# rig run. What it printed is left in build/NAME.log, and JUnit in build/NAME.xml. A scenario that it
# skipped and ci/expected-skips does not list ("scenario NAME") is a failure.
run_scenarios() # NAME RIG-RUN-ARGUMENT...
{
    local name=$1 status=0 skip
    shift
    make --no-print-directory || return
    bin/rig run --junit "build/$name.xml" "$@" 2>&1 | tee "build/$name.log" || status=$?
    while IFS= read -r skip; do
        sed 's/[[:space:]]*#.*//' ci/expected-skips | grep -qxF "scenario $skip" ||
            { echo "FAIL  $skip was skipped, and ci/expected-skips does not say so"; status=1; }
    done < <(sed -n 's/^skip  \([^: ]*\): .*/\1/p' "build/$name.log")
    return "$status"
}

# The last lines, and whether all went well.
finish()
{
    printf '\n==== %d s in all\n' $((SECONDS - began))
    printf '%s\n' "${times[@]}"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ $failed = 0 ]
}
