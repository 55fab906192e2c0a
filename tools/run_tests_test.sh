#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-only
#
# What tools/run-tests makes of programs that pass, fail, skip, die, hang, lie and say nothing; and
# tools/run-fuzzers of one that finds something. TAP on stdout.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
mkdir -p out/test out/fuzz ci
n=0

program() # NAME LINES...: a test program that does what the lines say
{
    name=$1
    shift
    { echo '#!/bin/sh'; printf '%s\n' "$@"; } >"out/test/$name"
    chmod +x "out/test/$name"
}

says() # TEST-NAME STATUS TEXT PROGRAM...: the runner ends with STATUS and its output has TEXT
{
    n=$((n + 1)) test=$1 want=$2 text=$3
    shift 3
    got=0
    out=$(cd "$work" && "$root/tools/run-tests" out "$@" 2>&1) || got=$?
    if [ $got = "$want" ] && printf '%s\n' "$out" | grep -qF -- "$text"; then
        echo "ok $n - $test"
    else
        printf '%s\n' "$out" | sed 's/^/# /'
        echo "# wanted status $want and: $text"
        echo "not ok $n - $test"
    fi
}

CI=
export CI
program good 'echo "ok 1 - a # time=3ms"; echo "ok 2 - b # time=0ms"; echo 1..2'
program bad 'echo "ok 1 - a"; echo "# x.c:3: got 1, want 2"; echo "not ok 2 - b # time=1ms"; echo 1..2; exit 1'
program skips 'echo "ok 1 - a # SKIP no such server"; echo 1..1; exit 77'
program dies 'echo "ok 1 - a"; kill -SEGV $$'
program hangs 'sleep 30'
program short 'echo "ok 1 - a"; echo 1..2'
program silent 'exit 0'
program leaks 'echo "ok 1 - a"; echo 1..1; echo "# leaked 4 bytes"; exit 23'

says passes_are_counted 0 '2 passed, 0 failed, 0 skipped' out/test/good
says a_failure_shows_what_the_test_said 1 'x.c:3: got 1, want 2' out/test/bad
says programs_are_summed_up 1 '4 passed, 2 failed, 0 skipped' out/test/good out/test/bad out/test/dies
says a_skip_is_listed_with_its_reason 0 'skips a: no such server' out/test/skips
CI=true
says a_skip_that_ci_does_not_expect_fails 1 '0 passed, 1 failed, 0 skipped' out/test/skips
echo 'skips a  # here only' >ci/expected-skips
says a_skip_that_ci_expects_is_a_skip 0 '0 passed, 0 failed, 1 skipped' out/test/skips
CI=
says a_signal_is_a_failure 1 'died of signal 11' out/test/dies
TEST_TIMEOUT=1
export TEST_TIMEOUT
says a_hang_is_ended 1 'took too long' out/test/hangs
says fewer_tests_than_planned_fail 1 'planned 2 tests and ran 1' out/test/short
says no_test_at_all_fails 1 'ran no test' out/test/silent
says a_bad_status_fails_though_all_tests_passed 1 'ended with status 23' out/test/leaks
says a_program_that_is_not_there_fails 1 '0 passed, 1 failed' out/test/absent

printf '%s\n' '#!/bin/sh' 'echo "==1== ERROR: AddressSanitizer: heap-use-after-free"; exit 77' >out/fuzz/finds
printf '%s\n' '#!/bin/sh' 'echo "#9 DONE cov: 12 ft: 3"; echo "stat::number_of_executed_units: 500"' >out/fuzz/quiet
chmod +x out/fuzz/*
n=$((n + 1))
if out=$("$root/tools/run-fuzzers" out out/fuzz/finds out/fuzz/quiet); then
    echo "not ok $n - a_finding_fails"
elif printf '%s\n' "$out" | grep -q heap-use-after-free && printf '%s\n' "$out" | grep -q '500 inputs, 12 edges' &&
    [ "$(printf '%s\n' "$out" | tail -n 1)" = '1 passed, 1 failed, 0 skipped' ]; then
    echo "ok $n - a_finding_fails"
else
    printf '%s\n' "$out" | sed 's/^/# /'
    echo "not ok $n - a_finding_fails"
fi
echo "1..$n"
