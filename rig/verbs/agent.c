/* SPDX-License-Identifier: AGPL-3.0-only */

/* The agent of a device: a service of its systemd, which starts it again when it ends by itself. */

#include <errno.h>

#include "base/strv.h"
#include "rig/lab/machines.h"
#include "rig/verbs/look.h"

#define AGENT_MS 120000 /* for it to be ready again, on a slow machine */

#define PRELUDE                                                                                    \
    "unit=fleet-agent.service\n"                                                                   \
    "pid() { systemctl show --property MainPID --value $unit; }\n"                                 \
    "old=$(pid)\n"

/* Systemd's restart comes after a pause of its own, and ready it is when systemd says active. */
static const char kill_script[] = PRELUDE
        "[ \"$old\" -gt 0 ] || { echo 'the agent does not run'; exit 1; }\n"
        "systemctl kill --kill-whom=main --signal=KILL $unit\n"
        "while new=$(pid); [ \"$new\" = 0 ] || [ \"$new\" = \"$old\" ] ||\n"
        "      ! systemctl --quiet is-active $unit; do sleep 0.1; done\n"
        "restarts=$(systemctl show --property NRestarts --value $unit)\n"
        "echo \"process $old was killed, process $new took its place, restarts: $restarts\"\n";

static const char stop_script[] =
        PRELUDE "systemctl stop $unit\n"
                "new=$(pid)\n"
                "[ \"$new\" = 0 ] || { echo \"process $new still runs\"; exit 1; }\n"
                "echo \"process $old has ended\"\n";

/* The unit is active when the agent said that it is ready. */
static const char start_script[] = PRELUDE
        "systemctl start $unit\n"
        "new=$(pid)\n"
        "[ \"$new\" -gt 0 ] || { echo 'the agent does not run'; exit 1; }\n"
        "[ \"$new\" = \"$old\" ] && echo \"it runs already, process $new\" || echo \"process $new\"\n";

static const char restart_script[] = PRELUDE
        "first=$old\n"
        "for ((i = 0; i < $1; i++)); do\n"
        "    systemctl restart $unit\n"
        "    new=$(pid)\n"
        "    [ \"$new\" -gt 0 ] && [ \"$new\" != \"$old\" ] || { echo \"process $new is not new\"; exit 1; }\n"
        "    old=$new\n"
        "done\n"
        "echo \"process $first -> $new\"\n";

static int kill_one(struct verb_run *run, const struct sentence *s, const char *device,
                    char note[static SAMPLE_MAX], struct err **err)
{
    (void)s;
    return script_on_device(run, device, kill_script, ARGV(NULL), AGENT_MS, note, err);
}

ACT_ON_EACH(kill_act, kill_one)

static int stop_one(struct verb_run *run, const struct sentence *s, const char *device,
                    char note[static SAMPLE_MAX], struct err **err)
{
    (void)s;
    return script_on_device(run, device, stop_script, ARGV(NULL), AGENT_MS, note, err);
}

ACT_ON_EACH(stop_act, stop_one)

static int start_one(struct verb_run *run, const struct sentence *s, const char *device,
                     char note[static SAMPLE_MAX], struct err **err)
{
    (void)s;
    return script_on_device(run, device, start_script, ARGV(NULL), AGENT_MS, note, err);
}

ACT_ON_EACH(start_act, start_one)

/* A device that is off starts its agent when it boots. */
static int stop_undo_one(struct verb_run *run, const struct sentence *s, const char *device,
                         char note[static SAMPLE_MAX], struct err **err)
{
    (void)s;
    return machine_powered(lab_machines(run->lab), device)
                   ? script_on_device(run, device, start_script, ARGV(NULL), TAKE_BACK_MS, note,
                                      err)
                   : 0;
}

UNDO_ON_EACH(stop_undo, stop_undo_one)

static int restart_one(struct verb_run *run, const struct sentence *s, const char *device,
                       char note[static SAMPLE_MAX], struct err **err)
{
    (void)s;
    return script_on_device(run, device, restart_script, ARGV("1"), AGENT_MS, note, err);
}

ACT_ON_EACH(restart_act, restart_one)

static int restart_times_act(struct verb_run *run, const struct sentence *s,
                             char note[static SAMPLE_MAX], struct err **err)
{
    const char *device = sentence_value(s, "DEVICE");
    int64_t times = sentence_number(s, "COUNT");
    int r;

    if (times == 0)
        return err_new(err, EINVAL, "0 times is no restart");
    r = script_on_device(run, device, restart_script, ARGV(sentence_value(s, "COUNT")),
                         times * AGENT_MS, note, err);
    return r < 0 ? err_wrap(err, "%s", device) : 0;
}

const struct verb_impl verb_kill_agent = { .act = kill_act };
const struct verb_impl verb_stop_agent = { .act = stop_act, .undo = stop_undo };
static const struct verb_impl *const stopped[] = { &verb_stop_agent, NULL };
const struct verb_impl verb_start_agent = { .act = start_act, .heals = stopped };
const struct verb_impl verb_restart_agent = { .act = restart_act, .heals = stopped };
const struct verb_impl verb_restart_agent_times = { .act = restart_times_act, .heals = stopped };
