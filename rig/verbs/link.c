/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * The network of a device. The cable is the machine's, and is pulled from outside. What goes over it is
 * delayed, lost or held back inside the device, by its kernel: netem on what it sends to the servers,
 * so the time of a round trip grows once; the rig's own SSH goes beside it. These end with a reboot of
 * the device, as all that lies in its /run does: there the parts are kept of which netem has to be told
 * together.
 *
 * Sources: tc-netem(8), tc-prio(8), tc-u32(8).
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/machine_faults.h"
#include "rig/verbs/look.h"

#define HEALED_MS 120000 /* for the device to have an address again; it may boot meanwhile */
#define FLAP_MS 250      /* each of down and up */
#define FLAP_ROUNDS 4
#define SCRIPT_MS 60000

/* --- The cable ------------------------------------------------------------------------------- */

static int cut_one(struct verb_run *run, const struct sentence *s, const char *device,
                   char note[static SAMPLE_MAX], struct err **err)
{
    int64_t greeting = look_greeting(run, device);
    int r = machine_link(lab_machines(run->lab), device, false, err);

    (void)s;
    return r < 0 ? r : need_silence(run, device, greeting, "cut off", note, err);
}

ACT_ON_EACH(cut_act, cut_one)

static int link_up(struct verb_run *run, const struct sentence *s, const char *device,
                   char note[static SAMPLE_MAX], struct err **err)
{
    (void)s, (void)note;
    return machine_link(lab_machines(run->lab), device, true, err);
}

UNDO_ON_EACH(cut_undo, link_up)

/* One that is off cannot show it. */
static int await_greeting(struct verb_run *run, const char *device, char note[static SAMPLE_MAX],
                          struct err **err)
{
    struct machines *m = lab_machines(run->lab);
    int64_t start = clock_mono_ms();
    int r;

    if (!machine_powered(m, device))
        return noted(note, "the machine is off");
    while (look_greeting(run, device) < 0) {
        if ((r = supervisor_interrupted(lab_supervisor(run->lab), err)) < 0 ||
            (r = lab_check(run->lab, err)) < 0)
            return r;
        if (clock_mono_ms() - start > HEALED_MS)
            return err_new(err, ETIMEDOUT, "SSH does not answer within %d s", HEALED_MS / 1000);
        poll(NULL, 0, 20);
    }
    return noted(note, "SSH answers after %.1f s", (double)(clock_mono_ms() - start) / 1000);
}

/* --- Delay, loss and rate -------------------------------------------------------------------- */

/* Keeps "$1" (delay, loss or rate) as the arguments "$2" of netem, or drops it, and builds what the
 * parts make together: band 1 for all else and for SSH, band 2 with netem for what goes to $3. */
#define SHAPE                                                                                         \
    "parts=/run/fleetrig-link\n"                                                                      \
    "mkdir -p $parts\n"                                                                               \
    "if [ -n \"$2\" ]; then echo \"$2\" >$parts/$1; else rm -f $parts/$1; fi\n"                       \
    "netem=$(cat $parts/* 2>/dev/null || :)\n"                                                        \
    "tc qdisc del dev eth0 root 2>/dev/null || :\n"                                                   \
    "if [ -n \"$netem\" ]; then\n"                                                                    \
    "    tc qdisc add dev eth0 root handle 1: prio bands 2 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n" \
    "    tc qdisc add dev eth0 parent 1:2 handle 20: netem limit 100000 $netem\n"                     \
    "    tc filter add dev eth0 parent 1: protocol ip prio 1 u32 match ip protocol 6 0xff"            \
    " match ip sport 22 0xffff flowid 1:1\n"                                                          \
    "    tc filter add dev eth0 parent 1: protocol ip prio 2 u32 match ip dst $3/32 flowid 1:2\n"     \
    "fi\n"
/* Milliseconds of a round trip: being refused by a port where nobody listens takes one, whichever
 * component is down. */
#define ROUND_TRIP                                                                                 \
    "round_trip() {\n"                                                                             \
    "    local before=$EPOCHREALTIME\n"                                                            \
    "    : 2>/dev/null <>/dev/tcp/$1/9 || :\n"                                                     \
    "    local after=$EPOCHREALTIME\n"                                                             \
    "    echo $(( (${after/./} - ${before/./}) / 1000 ))\n"                                        \
    "}\n"
/* A number of netem's statistics: packets dropped, bytes waiting. */
#define STATISTICS                                                                                 \
    "of_netem() { tc -s qdisc show dev eth0 | sed -n '/netem/,$p' | grep -o \"$1 [0-9]*\" |"       \
    " head -n 1 | cut -d ' ' -f 2; }\n"
/* Datagrams for a port where nobody listens. */
#define SEND "send() { printf \"%${1}s\" x 2>/dev/null >&4 || :; }\nexec 4>/dev/udp/$3/9\n"

/* delay ARGUMENTS HOST LEAST-MS */
static const char delay_script[] = ROUND_TRIP
        "before=$(round_trip $3)\n" SHAPE "after=$(round_trip $3)\n"
        "[ $after -ge $4 ] || { echo \"a round trip took $before ms and now $after ms\"; exit 1; }\n"
        "echo \"a round trip took $before ms, now $after ms\"\n";

/* loss ARGUMENTS HOST PACKETS */
static const char loss_script[] = SHAPE STATISTICS SEND
        "for ((i = 0; i < $4; i++)); do send 1; done\n"
        "dropped=$(of_netem dropped)\n"
        "[ $dropped -gt 0 ] || { echo \"none of $4 packets was lost\"; exit 1; }\n"
        "echo \"$dropped of $4 packets were lost\"\n";

/* rate ARGUMENTS HOST KBIT: sends half a second's worth and looks how long that takes. */
static const char rate_script[] = SHAPE STATISTICS SEND
        "n=$(( $4 * 1000 / 8 / 2 / 1442 )); [ $n -ge 4 ] || n=4\n"
        "start=$EPOCHREALTIME\n"
        "for ((i = 0; i < n; i++)); do send 1400; done\n"
        "held=$(of_netem backlog)\n"
        "[ $held -gt 0 ] || { echo \"it does not send so fast that this would hold it back\"; exit 1; }\n"
        "while [ $(of_netem backlog) -gt 0 ]; do :; done\n"
        "end=$EPOCHREALTIME\n"
        "kbit=$(( n * 1442 * 8 * 1000 / (${end/./} - ${start/./}) ))\n"
        "[ $kbit -le $(( $4 * 5 / 4 )) ] || { echo \"it still sends $kbit kbit/s\"; exit 1; }\n"
        "echo \"it sends $kbit kbit/s\"\n";

static const char drop_script[] = SHAPE;
static const char clear_script[] =
        "tc qdisc del dev eth0 root 2>/dev/null || :\n"
        "rm -rf /run/fleetrig-link\n"
        "! tc qdisc show dev eth0 | grep -q netem || { echo 'netem is still there'; exit 1; }\n";

static int shape(struct verb_run *run, const char *device, const char *script, const char *part,
                 const char *netem, int64_t number, int64_t timeout_ms,
                 char note[static SAMPLE_MAX], struct err **err)
{
    CLEANUP_FREE char *text = xasprintf("%lld", (long long)number);

    return script_on_device(run, device, script, ARGV(part, netem, DEVICES_SEE, text), timeout_ms,
                            note, err);
}

/* What ends with a boot is not there when the machine is off. */
static int drop_part(struct verb_run *run, const char *device, const char *part, struct err **err)
{
    char note[SAMPLE_MAX];

    return machine_powered(lab_machines(run->lab), device)
                   ? shape(run, device, drop_script, part, "", 0, TAKE_BACK_MS, note, err)
                   : 0;
}

static int slow_one(struct verb_run *run, const struct sentence *s, const char *device,
                    char note[static SAMPLE_MAX], struct err **err)
{
    int64_t delay = sentence_ms(s, "DURATION");
    CLEANUP_FREE char *netem = xasprintf("delay %lldms", (long long)delay);

    return shape(run, device, delay_script, "delay", netem, delay, SCRIPT_MS, note, err);
}

ACT_ON_EACH(slow_act, slow_one)

static int jitter_one(struct verb_run *run, const struct sentence *s, const char *device,
                      char note[static SAMPLE_MAX], struct err **err)
{
    int64_t delay = sentence_ms(s, "DURATION"), jitter = sentence_ms(s, "DURATION_2");
    CLEANUP_FREE char *netem =
            xasprintf("delay %lldms %lldms", (long long)delay, (long long)jitter);

    if (jitter >= delay)
        return err_new(err, EINVAL, "the jitter is to be less than the delay");
    return shape(run, device, delay_script, "delay", netem, delay - jitter, SCRIPT_MS, note, err);
}

ACT_ON_EACH(jitter_act, jitter_one)

static int slow_undo_one(struct verb_run *run, const struct sentence *s, const char *device,
                         char note[static SAMPLE_MAX], struct err **err)
{
    (void)s, (void)note;
    return drop_part(run, device, "delay", err);
}

UNDO_ON_EACH(slow_undo, slow_undo_one)

/* So many packets that not one of them being lost would be a wonder: once in e^20. */
#define LOSS_SURE 20

static int lose_one(struct verb_run *run, const struct sentence *s, const char *device,
                    char note[static SAMPLE_MAX], struct err **err)
{
    int64_t percent = sentence_number(s, "PERCENT");
    CLEANUP_FREE char *netem = xasprintf("loss %lld%%", (long long)percent);

    if (percent == 0)
        return err_new(err, EINVAL, "0 percent is no loss");
    return shape(run, device, loss_script, "loss", netem, LOSS_SURE * 100 / percent, SCRIPT_MS,
                 note, err);
}

ACT_ON_EACH(lose_act, lose_one)

static int lose_undo_one(struct verb_run *run, const struct sentence *s, const char *device,
                         char note[static SAMPLE_MAX], struct err **err)
{
    (void)s, (void)note;
    return drop_part(run, device, "loss", err);
}

UNDO_ON_EACH(lose_undo, lose_undo_one)

static int limit_one(struct verb_run *run, const struct sentence *s, const char *device,
                     char note[static SAMPLE_MAX], struct err **err)
{
    int64_t kbit = sentence_number(s, "RATE");
    CLEANUP_FREE char *netem = xasprintf("rate %lldkbit", (long long)kbit);

    return shape(run, device, rate_script, "rate", netem, kbit, SCRIPT_MS, note, err);
}

ACT_ON_EACH(limit_act, limit_one)

static int limit_undo_one(struct verb_run *run, const struct sentence *s, const char *device,
                          char note[static SAMPLE_MAX], struct err **err)
{
    (void)s, (void)note;
    return drop_part(run, device, "rate", err);
}

UNDO_ON_EACH(limit_undo, limit_undo_one)

/* --- Healing and flapping -------------------------------------------------------------------- */

static int heal_one(struct verb_run *run, const struct sentence *s, const char *device,
                    char note[static SAMPLE_MAX], struct err **err)
{
    char nothing[SAMPLE_MAX];
    int r;

    if (machine_paused(lab_machines(run->lab), device))
        return err_new(err, EBUSY, "the machine is paused: resume it first");
    if ((r = link_up(run, s, device, note, err)) < 0 ||
        (r = await_greeting(run, device, note, err)) < 0 ||
        !machine_powered(lab_machines(run->lab), device))
        return r;
    return script_on_device(run, device, clear_script, ARGV(NULL), SCRIPT_MS, nothing, err);
}

ACT_ON_EACH(heal_act, heal_one)

/* How often the device's kernel saw its link go or come. */
static int carrier_changes(struct verb_run *run, const char *device, long *ret, struct err **err)
{
    CLEANUP_FREE char *text = NULL;
    int r = on_device(run, device, ARGV("cat", "/sys/class/net/eth0/carrier_changes"), SCRIPT_MS,
                      &text, err);

    if (r >= 0)
        *ret = strtol(text, NULL, 10);
    return r;
}

static int flap(struct verb_run *run, const char *device, int64_t times, struct err **err)
{
    struct machines *m = lab_machines(run->lab);
    int r = 0;

    for (int64_t i = 0; i < 2 * times && r >= 0; i++) {
        if ((r = machine_link(m, device, i % 2, err)) >= 0)
            r = supervisor_interrupted(lab_supervisor(run->lab), err);
        poll(NULL, 0, FLAP_MS); /* the shape of the fault, not a wait */
    }
    return r;
}

/* A busy machine may oversleep a change: then there are more, until its kernel has seen as many as are
 * asked for. */
static int flap_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                    struct err **err)
{
    const char *device = sentence_value(s, "DEVICE");
    long before = 0, now = 0, wanted = 2 * (long)sentence_number(s, "COUNT");
    char greeting[SAMPLE_MAX];
    int r;

    if (wanted == 0)
        return err_new(err, EINVAL, "0 times is no flapping");
    r = carrier_changes(run, device, &before, err);
    now = before;
    for (int round = 0; r >= 0 && now - before < wanted && round < FLAP_ROUNDS; round++) {
        r = flap(run, device, (wanted - (now - before) + 1) / 2, err);
        if (r >= 0)
            r = await_greeting(run, device, greeting, err);
        if (r >= 0)
            r = carrier_changes(run, device, &now, err);
    }
    if (r < 0)
        return err_wrap(err, "%s", device);
    if (now - before < wanted)
        return err_new(err, EBUSY, "%s: its kernel saw only %ld of %ld changes", device,
                       now - before, wanted);
    return noted(note, "its kernel saw the link change %ld times; %s", now - before, greeting);
}

const struct verb_impl verb_cut_link = { .act = cut_act, .undo = cut_undo };
const struct verb_impl verb_flap_link = { .act = flap_act, .undo = cut_undo };
const struct verb_impl verb_slow_link = { .act = slow_act, .undo = slow_undo };
const struct verb_impl verb_jitter_link = { .act = jitter_act, .undo = slow_undo };
const struct verb_impl verb_lose_packets = { .act = lose_act, .undo = lose_undo };
const struct verb_impl verb_limit_link = { .act = limit_act, .undo = limit_undo };
static const struct verb_impl *const links[] = { &verb_cut_link,
                                                 &verb_flap_link,
                                                 &verb_slow_link,
                                                 &verb_jitter_link,
                                                 &verb_lose_packets,
                                                 &verb_limit_link,
                                                 NULL };
const struct verb_impl verb_heal_link = { .act = heal_act, .heals = links };
