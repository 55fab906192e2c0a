/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * What happens inside a device: its clock, disk, memory, files and containers. The clock of a machine
 * is set by its host when it boots, and memory is empty then: nothing is to be taken back in one that
 * is off. A full disk and a damaged file stay; to take them back a machine that is off is switched on.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/podman.h"
#include "rig/verbs/look.h"

#define SCRIPT_MS 120000

static bool is_on(struct verb_run *run, const char *device)
{
    return machine_powered(lab_machines(run->lab), device);
}

/* For what has to be taken back on the disk itself. */
static int switch_on(struct verb_run *run, const char *device, struct err **err)
{
    const struct device_host *host = NULL;

    if (is_on(run, device))
        return 0;
    if (machine_power_on(lab_machines(run->lab), device, err) < 0)
        return err_wrap(err, "switching it on to repair its disk");
    return lab_reach(run->lab, device, TAKE_BACK_MS, &host, err);
}

/* --- Clock ----------------------------------------------------------------------------------- */

/* MICROSECONDS, added to the clock. How far it jumped is its way beyond that of the uptime. */
static const char jump_script[] =
        "now() { echo ${EPOCHREALTIME/./}; }\n"
        "uptime() { read -r up _ </proc/uptime; echo $(( 10#${up/./} * 10000 )); }\n"
        "before=$(now); up=$(uptime)\n"
        "to=$(( $(now) + $1 ))\n"
        "date --set=@$((to / 1000000)).$(printf %06d $((to % 1000000))) >/dev/null\n"
        "moved=$(( $(now) - before - ($(uptime) - up) ))\n"
        "off=$(( moved - $1 ))\n"
        "[ ${off#-} -lt 2000000 ] || { echo \"its clock moved by $((moved / 1000)) ms\"; exit 1; }\n"
        "echo \"its clock moved by $((moved / 1000)) ms to $(date --utc +%FT%TZ)\"\n";

/* SECONDS since 1970. */
static const char set_script[] = "date --set=@$1 >/dev/null\necho \"$(date --utc +%FT%TZ)\"\n";

static int jump(struct verb_run *run, const struct sentence *s, int64_t ms,
                char note[static SAMPLE_MAX], struct err **err)
{
    CLEANUP_FREE char *us = xasprintf("%lld000", (long long)ms);
    const char *device = sentence_value(s, "DEVICE");

    return script_on_device(run, device, jump_script, ARGV(us), SCRIPT_MS, note, err) < 0
                   ? err_wrap(err, "%s", device)
                   : 0;
}

static int jump_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                    struct err **err)
{
    return jump(run, s, sentence_ms(s, "DURATION"), note, err);
}

static int jump_back_act(struct verb_run *run, const struct sentence *s,
                         char note[static SAMPLE_MAX], struct err **err)
{
    return jump(run, s, -sentence_ms(s, "DURATION"), note, err);
}

static int set_clock_one(struct verb_run *run, const struct sentence *s, const char *device,
                         char note[static SAMPLE_MAX], struct err **err)
{
    int64_t now = clock_wall_ms();
    CLEANUP_FREE char *text = xasprintf("%lld.%03d", (long long)(now / 1000), (int)(now % 1000));

    (void)s;
    return is_on(run, device)
                   ? script_on_device(run, device, set_script, ARGV(text), TAKE_BACK_MS, note, err)
                   : 0;
}

ACT_ON_EACH(set_clock_act, set_clock_one)
UNDO_ON_EACH(set_clock_undo, set_clock_one)

/* The device's clock is read at some moment between two of ours. */
static int clock_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                       struct err **err)
{
    const char *device = sentence_value(s, "DEVICE");
    CLEANUP_FREE char *text = NULL;
    int64_t before = clock_wall_ms(), after, theirs, off;
    int r;

    if (look_is_off(run, device, ret))
        return 0;
    r = on_device(run, device, ARGV("date", "+%s%3N"), LOOK_MS, &text, err);
    if (r < 0)
        return err_wrap(err, "%s", device);
    after = clock_wall_ms();
    theirs = strtoll(text, NULL, 10);
    off = theirs < before ? theirs - before : theirs > after ? theirs - after : 0;
    return seen(ret, llabs(off) <= sentence_ms(s, "DURATION") ? VERDICT_YES : VERDICT_NO,
                "its clock is %.1f s %s", (double)llabs(off) / 1000, off < 0 ? "behind" : "ahead");
}

/* --- Disk ------------------------------------------------------------------------------------ */

/* Space is taken without writing it, in ever smaller pieces; root's reserve, too. */
static const char fill_script[] =
        "dir=/var/lib/fleetrig/filler\n"
        "mkdir -p $dir\n"
        "free() { stat --file-system --format='%f %S' / | { read -r n size; echo $((n * size)); }; }\n"
        "before=$(free); piece=$before; i=0\n"
        "while [ $piece -ge 4096 ] && [ $i -lt 100 ]; do\n"
        "    fallocate --length $piece $dir/$((i++)) 2>/dev/null || piece=$((piece / 2))\n"
        "    [ $piece -le $(free) ] || piece=$(free)\n"
        "done\n"
        "sync -f $dir\n"
        "! head -c 65536 /dev/zero 2>/dev/null >$dir/probe || { echo \"$(free) bytes are still free\"; exit 1; }\n"
        "echo \"$((before >> 20)) MiB were free, writing 64 KiB more fails\"\n";

static const char unfill_script[] =
        "rm -rf /var/lib/fleetrig/filler\n"
        "sync -f /var/lib\n"
        "stat --file-system --format='%f %S' / | { read -r n size; echo \"$((n * size >> 20)) MiB are free\"; }\n";

static int fill_one(struct verb_run *run, const struct sentence *s, const char *device,
                    char note[static SAMPLE_MAX], struct err **err)
{
    (void)s;
    return script_on_device(run, device, fill_script, ARGV(NULL), SCRIPT_MS, note, err);
}

ACT_ON_EACH(fill_act, fill_one)

static int unfill_one(struct verb_run *run, const struct sentence *s, const char *device,
                      char note[static SAMPLE_MAX], struct err **err)
{
    int r = switch_on(run, device, err);

    (void)s;
    return r < 0 ? r
                 : script_on_device(run, device, unfill_script, ARGV(NULL), TAKE_BACK_MS, note,
                                    err);
}

ACT_ON_EACH(unfill_act, unfill_one)
UNDO_ON_EACH(unfill_undo, unfill_one)

/* --- Memory ---------------------------------------------------------------------------------- */

/* What lies in a file system of memory cannot be reclaimed: there is no swap. */
#define MEMORY                                                                                     \
    "dir=/run/fleetrig-memory\n"                                                                   \
    "kib() { sed -n \"s/^$1: *\\([0-9]*\\) kB/\\1/p\" /proc/meminfo; }\n"                          \
    "used() { echo $(( ($(kib MemTotal) - $(kib MemAvailable)) * 100 / $(kib MemTotal) )); }\n"    \
    "drop() { ! mountpoint -q $dir || umount $dir; }\n"

/* PERCENT of the memory to be in use. */
static const char press_script[] = MEMORY
        "drop; mkdir -p $dir\n"
        "mount -t tmpfs -o size=100%,mode=700 fleetrig $dir\n"
        "before=$(used)\n"
        "[ $before -lt $1 ] || { echo \"$before % are in use already\"; exit 1; }\n"
        "more=$(( $(kib MemTotal) * $1 / 100 - ($(kib MemTotal) - $(kib MemAvailable)) ))\n"
        "fallocate --length ${more}KiB $dir/filler\n"
        "after=$(used)\n"
        "[ $after -ge $(( $1 - 3 )) ] || { drop; echo \"only $after % are in use\"; exit 1; }\n"
        "echo \"$before % were in use, now $after %\"\n";

static const char release_script[] = MEMORY "drop\necho \"$(used) % are in use\"\n";

static int press_one(struct verb_run *run, const struct sentence *s, const char *device,
                     char note[static SAMPLE_MAX], struct err **err)
{
    CLEANUP_FREE char *percent = xasprintf("%lld", (long long)sentence_number(s, "PERCENT"));

    return script_on_device(run, device, press_script, ARGV(percent), SCRIPT_MS, note, err);
}

ACT_ON_EACH(press_act, press_one)

static int release_one(struct verb_run *run, const struct sentence *s, const char *device,
                       char note[static SAMPLE_MAX], struct err **err)
{
    (void)s;
    return is_on(run, device) ? script_on_device(run, device, release_script, ARGV(NULL),
                                                 TAKE_BACK_MS, note, err)
                              : 0;
}

ACT_ON_EACH(release_act, release_one)
UNDO_ON_EACH(release_undo, release_one)

/* --- Files ----------------------------------------------------------------------------------- */

/* PATH. The copy and the sum of what was made of it tell at the end whether anybody has written the
 * file since: what somebody repaired is left alone. */
#define KEPT                                                                                       \
    "file=$(readlink -f \"$1\")\n"                                                                 \
    "dir=/var/lib/fleetrig/intact/$(printf %s \"$file\" | sha256sum | cut -c 1-16)\n"

static const char corrupt_script[] = KEPT
        "[ -f \"$file\" ] && [ -s \"$file\" ] || { echo 'there is no such file, or it is empty'; exit 1; }\n"
        "mkdir -p $dir\n"
        "[ -e $dir/copy ] || cp --preserve=all \"$file\" $dir/copy\n"
        "size=$(stat --format=%s \"$file\"); n=$(( size < 16 ? size : 16 )); at=$(( (size - n) / 2 ))\n"
        "bytes=$(dd if=\"$file\" bs=1 skip=$at count=$n status=none | od -An -v -tu1)\n"
        "for b in $bytes; do printf \"\\\\x$(printf %02x $((b ^ 255)))\"; done |\n"
        "    dd of=\"$file\" bs=1 seek=$at conv=notrunc,fsync status=none\n"
        "sha256sum <\"$file\" >$dir/sum\n"
        "sync -f $dir\n"
        "differ=$(cmp -l $dir/copy \"$file\" | wc -l) || :\n"
        "[ $differ -gt 0 ] || { echo 'it is as before'; exit 1; }\n"
        "echo \"$differ of $size bytes differ, at byte $at and behind it\"\n";

static const char mend_script[] =
        KEPT "[ -e $dir/copy ] || { echo 'nothing to take back'; exit; }\n"
             "if [ -f \"$file\" ] && [ \"$(sha256sum <\"$file\")\" = \"$(cat $dir/sum)\" ]; then\n"
             "    cat $dir/copy >\"$file\"\n"
             "    echo 'as it was'\n"
             "else\n"
             "    echo 'somebody has written it since: left alone'\n"
             "fi\n"
             "rm -r $dir\n"
             "sync -f /var/lib\n";

static int corrupt_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                       struct err **err)
{
    const char *device = sentence_value(s, "DEVICE");

    return script_on_device(run, device, corrupt_script, ARGV(sentence_value(s, "PATH")), SCRIPT_MS,
                            note, err) < 0
                   ? err_wrap(err, "%s", device)
                   : 0;
}

static int mend_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                    struct err **err)
{
    const char *device = sentence_value(s, "DEVICE");

    if (switch_on(run, device, err) < 0 ||
        script_on_device(run, device, mend_script, ARGV(sentence_value(s, "PATH")), TAKE_BACK_MS,
                         note, err) < 0)
        return err_wrap(err, "%s", device);
    return 0;
}

static int mend_undo(struct verb_run *run, const struct sentence *s, struct err **err)
{
    char note[SAMPLE_MAX];

    return mend_act(run, s, note, err);
}

/* --- Containers ------------------------------------------------------------------------------ */

/* LABEL=DEPLOYMENT */
static const char remove_script[] =
        "ids=$(podman --log-level=error ps --all --quiet --no-trunc --filter \"label=$1\")\n"
        "[ -n \"$ids\" ] || { echo 'there is no container of it'; exit 1; }\n"
        "podman --log-level=error rm --force --time 0 $ids >/dev/null\n"
        "for id in $ids; do\n"
        "    ! podman container exists $id || { echo \"container ${id:0:12} is still there\"; exit 1; }\n"
        "    echo \"container ${id:0:12} is gone\"\n"
        "done\n";

static int remove_one(struct verb_run *run, const struct sentence *s, const char *device,
                      char note[static SAMPLE_MAX], struct err **err)
{
    CLEANUP_FREE char *label =
            xasprintf(PODMAN_LABEL_DEPLOYMENT "=%s", sentence_value(s, "DEPLOYMENT"));

    return script_on_device(run, device, remove_script, ARGV(label), SCRIPT_MS, note, err);
}

ACT_ON_EACH(remove_act, remove_one)

const struct verb_impl verb_jump_clock = { .act = jump_act, .undo = set_clock_undo };
const struct verb_impl verb_jump_clock_back = { .act = jump_back_act, .undo = set_clock_undo };
static const struct verb_impl *const jumps[] = { &verb_jump_clock, &verb_jump_clock_back, NULL };
const struct verb_impl verb_set_clock = { .act = set_clock_act, .heals = jumps };
const struct verb_impl verb_clock_within = { .check = clock_check };
const struct verb_impl verb_fill_disk = { .act = fill_act, .undo = unfill_undo };
static const struct verb_impl *const fillings[] = { &verb_fill_disk, NULL };
const struct verb_impl verb_free_disk = { .act = unfill_act, .heals = fillings };
const struct verb_impl verb_press_memory = { .act = press_act, .undo = release_undo };
static const struct verb_impl *const pressures[] = { &verb_press_memory, NULL };
const struct verb_impl verb_free_memory = { .act = release_act, .heals = pressures };
const struct verb_impl verb_corrupt = { .act = corrupt_act, .undo = mend_undo };
static const struct verb_impl *const damages[] = { &verb_corrupt, NULL };
const struct verb_impl verb_mend = { .act = mend_act, .heals = damages };
const struct verb_impl verb_remove_containers = { .act = remove_act };
