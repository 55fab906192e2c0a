/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * A device cut off from one component: its own kernel drops what goes there and what comes from there,
 * in a table of nftables of our own. Connections that stand stall, nobody tells either end. All else
 * goes on, the rig's SSH too. It ends with a reboot of the device.
 */

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/verbs/look.h"

#define SCRIPT_MS 60000

/* TABLE HOST PORT. A drop shows as a time-out, never as a refusal. */
static const char cut_script[] =
        "nft \"add table inet $1; delete table inet $1; table inet $1 {\n"
        "    counter dropped { }\n"
        "    chain there { type filter hook output priority -10;\n"
        "        ip daddr $2 tcp dport $3 counter name dropped drop; }\n"
        "    chain back { type filter hook input priority -10;\n"
        "        ip saddr $2 tcp sport $3 counter name dropped drop; }\n"
        "}\"\n"
        "timeout 1 bash -c \": </dev/tcp/$2/$3\" 2>/dev/null && status=0 || status=$?\n"
        "packets=$(nft list counter inet $1 dropped | grep -o 'packets [0-9]*' | cut -d ' ' -f 2)\n"
        "[ $status = 124 ] && [ $packets -gt 0 ] ||\n"
        "    { echo \"connecting there ends with status $status, $packets packets were dropped\"; exit 1; }\n"
        "echo \"connecting to $2:$3 times out, $packets packets were dropped\"\n";

static const char heal_script[] =
        "nft \"add table inet $1; delete table inet $1\"\n"
        "timeout 5 bash -c \": </dev/tcp/$2/$3\" 2>/dev/null && status=0 || status=$?\n"
        "[ $status != 124 ] || { echo \"connecting to $2:$3 still times out\"; exit 1; }\n"
        "echo \"$2:$3 answers\"\n";

static const char remove_script[] = "nft \"add table inet $1; delete table inet $1\"\n";

static int with_component(struct verb_run *run, const struct sentence *s, const char *device,
                          const char *script, int64_t timeout_ms, char note[static SAMPLE_MAX],
                          struct err **err)
{
    const char *component = sentence_value(s, "COMPONENT");
    CLEANUP_FREE char *table = xasprintf("fleetrig_%s", component), *address = NULL;
    char *colon;

    if (lab_address(run->lab, component, &address, err) < 0)
        return err_wrap(err, "devices have no way to %s anyhow", component);
    colon = strrchr(address, ':');
    *colon = '\0';
    return script_on_device(run, device, script, ARGV(table, address, colon + 1), timeout_ms, note,
                            err);
}

static int cut_one(struct verb_run *run, const struct sentence *s, const char *device,
                   char note[static SAMPLE_MAX], struct err **err)
{
    return with_component(run, s, device, cut_script, SCRIPT_MS, note, err);
}

ACT_ON_EACH(cut_act, cut_one)

static int heal_one(struct verb_run *run, const struct sentence *s, const char *device,
                    char note[static SAMPLE_MAX], struct err **err)
{
    return with_component(run, s, device, heal_script, SCRIPT_MS, note, err);
}

ACT_ON_EACH(heal_act, heal_one)

static int undo_one(struct verb_run *run, const struct sentence *s, const char *device,
                    char note[static SAMPLE_MAX], struct err **err)
{
    return machine_powered(lab_machines(run->lab), device)
                   ? with_component(run, s, device, remove_script, TAKE_BACK_MS, note, err)
                   : 0;
}

UNDO_ON_EACH(cut_undo, undo_one)

const struct verb_impl verb_partition = { .act = cut_act, .undo = cut_undo };
static const struct verb_impl *const partitions[] = { &verb_partition, NULL };
const struct verb_impl verb_heal_partition = { .act = heal_act, .heals = partitions };
