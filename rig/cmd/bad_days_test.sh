#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-only
#
# Bad days of the rig: each ends in a clear message that says what to do, with exit status 3 where the host
# is at fault, and leaves nothing behind. Prints TAP. What needs machines runs with FLEETRIG_SLOW_TESTS=1.
set -uo pipefail

rig=${FLEETRIG_BIN:?}/rig
work=$(mktemp -d /tmp/check.XXXXXX)
scenario=scenarios/power-cycle-one.yml
count=0 failed=0

finish()
{
    umount -l "$work/small" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT

# Processes whose command line or folder has to do with the runs of this test.
left()
{
    local pid
    for pid in /proc/[0-9]*; do
        [ "${pid#/proc/}" != $$ ] || continue
        { tr '\0' ' ' <"$pid/cmdline"; readlink "$pid/cwd"; } 2>/dev/null | grep -q "$work/runs" && echo "$pid"
    done
}

# None within 10 s, and no lab.
nothing_left()
{
    local i labs
    for i in $(seq 100); do
        [ -n "$(left)" ] || break
        read -rt 0.1 <> <(:)
    done
    [ "$i" != 100 ] || { echo "# left: $(left)"; return 1; }
    labs=$(find "$work" -maxdepth 3 -name lab)
    [ -z "$labs" ] || { echo "# left: $labs"; return 1; }
}

result() # NAME STATUS
{
    count=$((count + 1))
    if [ "$2" = 0 ]; then
        echo "ok $count - $1"
    else
        failed=$((failed + 1))
        sed 's/^/# /' "$work/out"
        echo "not ok $count - $1"
    fi
}

# NAME STATUS TEXT COMMAND...: the command ends so, says that, and leaves nothing.
expect()
{
    local name=$1 want=$2 text=$3 status=0
    shift 3
    timeout 300 "$@" >"$work/out" 2>&1 </dev/null || status=$?
    if [ $status = "$want" ] && grep -qF -- "$text" "$work/out" && nothing_left >>"$work/out"; then
        result "$name" 0
    else
        echo "exit status $status, want $want and: $text" >>"$work/out"
        result "$name" 1
    fi
}

skip()
{
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

: >"$work/file"
expect cache_is_no_folder 3 "file/fleetrig: Not a directory" \
    env XDG_CACHE_HOME="$work/file" "$rig" run "$scenario"
expect cache_says_what_to_do 3 "--report-dir" \
    env XDG_CACHE_HOME="$work/file" "$rig" run "$scenario"
expect report_dir_is_no_folder 3 "$work/file" "$rig" run --report-dir "$work/file" "$scenario"
expect two_gib_of_memory 3 "2 devices of 1024 MiB and what runs beside need 3260 MiB" \
    env FLEETRIG_MEMORY_MB=1800 "$rig" run --report-dir "$work/runs" scenarios/hello.yml
expect two_gib_of_memory_for_a_fleet 3 "4 devices of 1024 MiB and what runs beside need 5608 MiB" \
    env FLEETRIG_MEMORY_MB=1800 XDG_CACHE_HOME="$work" "$rig" up --name bad --devices 4
[ ! -e "$work/fleetrig/fleets/bad" ]
result no_folder_of_a_fleet_is_left $?

if [ -z "${FLEETRIG_SLOW_TESTS:-}" ]; then
    for name in libvirt_refuses qemu_is_missing libvirtd_is_missing disk_is_full tiny_disk_is_full \
                folder_vanishes two_at_once; do
        skip $name "makes labs: FLEETRIG_SLOW_TESTS=1 runs it"
    done
else
    expect libvirt_refuses 3 "'rig doctor' says which libvirt daemons can be used here" \
        "$rig" run --libvirt "qemu+unix:///system?socket=$work/none" --report-dir "$work/runs" "$scenario"

    # All programs but those: everything of PATH, without QEMU, then without libvirtd.
    mkdir "$work/no-qemu" "$work/no-libvirtd"
    for dir in ${PATH//:/ }; do
        for program in "$dir"/*; do
            case ${program##*/} in qemu-*) ;; *) ln -sf "$program" "$work/no-qemu/" ;; esac
            case ${program##*/} in libvirtd) ;; *) ln -sf "$program" "$work/no-libvirtd/" ;; esac
        done
    done
    expect qemu_is_missing 3 "QEMU is missing: qemu-img is not found in PATH" \
        env PATH="$work/no-qemu" "$rig" run --libvirt private --report-dir "$work/runs" "$scenario"
    expect libvirtd_is_missing 3 "libvirtd is not found in PATH" \
        env PATH="$work/no-libvirtd" "$rig" run --libvirt private --report-dir "$work/runs" "$scenario"

    mkdir "$work/small"
    if mount -t tmpfs -o size=64m none "$work/small" 2>/dev/null; then
        expect disk_is_full 3 "no room for the disk" "$rig" run --report-dir "$work/small/runs" "$scenario"
        head -c 64M /dev/zero >"$work/small/fill" 2>/dev/null
        expect tiny_disk_is_full 3 "No space left on device" "$rig" run --report-dir "$work/small/runs" "$scenario"
        umount -l "$work/small"
    else
        skip disk_is_full "may not mount"
        skip tiny_disk_is_full "may not mount"
    fi

    # The folder goes while the lab comes up.
    vanish()
    {
        "$rig" run --report-dir "$work/runs" "$scenario" &
        local pid=$! i status=0
        for i in $(seq 600); do
            ls "$work"/runs/*/lab/machines/*/console.log >/dev/null 2>&1 && break
            read -rt 0.1 <> <(:)
        done
        rm -rf "$work/runs"
        wait $pid || status=$?
        return $status
    }
    export -f vanish
    export rig work scenario
    timeout 300 bash -c vanish >"$work/out" 2>&1 </dev/null
    status=$?
    nothing_left >>"$work/out"
    [ $? = 0 ] && [ $status != 0 ] && [ $status != 124 ] && [ $status -lt 128 ]
    result folder_vanishes $?

    "$rig" run --report-dir "$work/runs" "$scenario" >"$work/out" 2>&1 </dev/null &
    first=$!
    "$rig" run --report-dir "$work/runs" "$scenario" >"$work/out2" 2>&1 </dev/null
    second=$?
    wait $first
    first=$?
    cat "$work/out2" >>"$work/out"
    [ $first = 0 ] && [ $second = 0 ] && nothing_left >>"$work/out"
    result two_at_once $?
fi

echo "1..$count"
[ $failed = 0 ]
