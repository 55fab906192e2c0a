/* SPDX-License-Identifier: AGPL-3.0-only */

/* Machines: power, reset, standing still, and the boots of their systems. */

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/machine_faults.h"
#include "rig/verbs/look.h"

#define BOOT_MS 300000
#define SHUT_DOWN_MS 120000
#define POLL_MS 200
#define SAY_MS 15000 /* to tell the system to reboot, not for it to do so */

static struct machines *machines(struct verb_run *run)
{
    return lab_machines(run->lab);
}

/* --- Power ----------------------------------------------------------------------------------- */

static int cut_one(struct verb_run *run, const struct sentence *s, const char *device,
                   char note[static SAMPLE_MAX], struct err **err)
{
    bool was_on = machine_powered(machines(run), device);
    int r = machine_power_cut(machines(run), device, err);

    (void)s;
    if (r < 0)
        return r;
    if (machine_powered(machines(run), device))
        return err_new(err, EBUSY, "the machine still runs");
    return noted(note, was_on ? "off" : "it was off already");
}

ACT_ON_EACH(cut_act, cut_one)

static int restore_one(struct verb_run *run, const struct sentence *s, const char *device,
                       char note[static SAMPLE_MAX], struct err **err)
{
    bool was_on = machine_powered(machines(run), device);
    int r = machine_power_on(machines(run), device, err);

    (void)s;
    return r < 0 ? r : noted(note, was_on ? "it was on already" : "on");
}

ACT_ON_EACH(restore_act, restore_one)

UNDO_ON_EACH(restore_undo, restore_one)

static int kill_one(struct verb_run *run, const struct sentence *s, const char *device,
                    char note[static SAMPLE_MAX], struct err **err)
{
    pid_t pid = 0;
    int r = machine_kill(machines(run), device, &pid, err);

    (void)s;
    if (r < 0)
        return r;
    return pid > 0 ? noted(note, "emulator killed, process %d", (int)pid)
                   : err_new(err, ESRCH, "the machine is off already");
}

ACT_ON_EACH(kill_act, kill_one)

static int shut_down_one(struct verb_run *run, const struct sentence *s, const char *device,
                         char note[static SAMPLE_MAX], struct err **err)
{
    int64_t start = clock_mono_ms();
    int r = machine_shut_down(machines(run), device, SHUT_DOWN_MS, err);

    (void)s;
    return r < 0 ? r : noted(note, "off after %.1f s", (double)(clock_mono_ms() - start) / 1000);
}

ACT_ON_EACH(shut_down_act, shut_down_one)

/* --- Reset and pause ------------------------------------------------------------------------- */

static int reset_one(struct verb_run *run, const struct sentence *s, const char *device,
                     char note[static SAMPLE_MAX], struct err **err)
{
    int64_t greeting = look_greeting(run, device);
    int r = machine_reset(machines(run), device, err);

    (void)s;
    return r < 0 ? r : need_silence(run, device, greeting, "reset", note, err);
}

ACT_ON_EACH(reset_act, reset_one)

static int pause_one(struct verb_run *run, const struct sentence *s, const char *device,
                     char note[static SAMPLE_MAX], struct err **err)
{
    int64_t greeting = look_greeting(run, device);
    int r = machine_pause(machines(run), device, err);

    (void)s;
    return r < 0 ? r : need_silence(run, device, greeting, "paused", note, err);
}

ACT_ON_EACH(pause_act, pause_one)

static int resume_one(struct verb_run *run, const struct sentence *s, const char *device,
                      char note[static SAMPLE_MAX], struct err **err)
{
    bool was = machine_paused(machines(run), device);
    int r = machine_resume(machines(run), device, err);

    (void)s;
    if (r < 0)
        return r;
    if (machine_paused(machines(run), device))
        return err_new(err, EBUSY, "it still stands still");
    return noted(note, was ? "it goes on" : "it was not paused");
}

ACT_ON_EACH(resume_act, resume_one)

static int resume_undo_one(struct verb_run *run, const struct sentence *s, const char *device,
                           char note[static SAMPLE_MAX], struct err **err)
{
    return machine_paused(machines(run), device) ? resume_one(run, s, device, note, err) : 0;
}

UNDO_ON_EACH(resume_undo, resume_undo_one)

/* --- Boots ----------------------------------------------------------------------------------- */

/* Looking fails while the system goes down and comes up; that is no error before the deadline. */
static int wait_booted(struct verb_run *run, const char *device, const char *before, char **ret,
                       struct err **err)
{
    int64_t deadline = clock_mono_ms() + BOOT_MS;

    for (;;) {
        CLEANUP_ERR struct err *last = NULL;
        CLEANUP_FREE char *now = NULL;
        int r = supervisor_interrupted(lab_supervisor(run->lab), err);

        if (r < 0 || (r = lab_check(run->lab, err)) < 0)
            return r;
        if (look_boot_id(run, device, LOOK_MS, &now, &last) >= 0 && !str_eq(now, before)) {
            *ret = steal_ptr(now);
            return 0;
        }
        if (clock_left_ms(deadline) == 0)
            return err_new(err, ETIMEDOUT, "it has not booted after %d s: %s", BOOT_MS / 1000,
                           now ? "the old system still runs" : err_text(last));
        poll(NULL, 0, POLL_MS);
    }
}

static int reboot_times(struct verb_run *run, const char *device, int64_t times,
                        char note[static SAMPLE_MAX], struct err **err)
{
    CLEANUP_FREE char *first = NULL, *id = NULL;
    int64_t start = clock_mono_ms();
    int r = look_boot_id(run, device, BOOT_MS, &id, err);

    if (r < 0)
        return r;
    first = xstrdup(id);
    for (int64_t i = 0; i < times; i++) {
        CLEANUP_ERR struct err *broken = NULL; /* the connection may end before the answer */
        CLEANUP_FREE char *before = steal_ptr(id);

        on_device(run, device, ARGV("systemctl", "reboot"), SAY_MS, NULL, &broken);
        if ((r = wait_booted(run, device, before, &id, err)) < 0)
            return r;
    }
    return noted(note, "boot %.8s -> %.8s after %.1f s", first, id,
                 (double)(clock_mono_ms() - start) / 1000);
}

static int reboot_one(struct verb_run *run, const struct sentence *s, const char *device,
                      char note[static SAMPLE_MAX], struct err **err)
{
    (void)s;
    return reboot_times(run, device, 1, note, err);
}

ACT_ON_EACH(reboot_act, reboot_one)

static int reboot_times_act(struct verb_run *run, const struct sentence *s,
                            char note[static SAMPLE_MAX], struct err **err)
{
    const char *device = sentence_value(s, "DEVICE");
    int64_t times = sentence_number(s, "COUNT");

    if (times == 0)
        return err_new(err, EINVAL, "0 times is no reboot");
    return reboot_times(run, device, times, note, err) < 0 ? err_wrap(err, "%s", device) : 0;
}

static char *memory_key(const char *device)
{
    return xasprintf("boot of %s", device);
}

/* One that is off has no boot: any later one is new. */
static int remember_boot(struct verb_run *run, const struct sentence *s, struct err **err)
{
    for (char *const *d = sentence_values(s, "DEVICE"); *d; d++) {
        CLEANUP_FREE char *key = memory_key(*d), *id = NULL;
        int r = machine_powered(machines(run), *d) ? look_boot_id(run, *d, BOOT_MS, &id, err) : 0;

        if (r < 0)
            return err_wrap(err, "%s", *d);
        json_object_set_new(run->memory, key, json_string(id ? id : ""));
    }
    return 0;
}

/* 1 when it runs the system of then, 0 when another; the sample says which. */
static int look_same_boot(struct verb_run *run, const char *device, struct sample *ret,
                          struct err **err)
{
    CLEANUP_FREE char *key = memory_key(device), *now = NULL;
    const char *then = json_string_value(json_object_get(run->memory, key));
    int r = look_boot_id(run, device, LOOK_MS, &now, err);

    if (r < 0)
        return r;
    seen(ret, VERDICT_NO, "boot %.8s, when the step began %.8s", now, *then ? then : "none");
    return str_eq(then, now);
}

static int look_rebooted(struct verb_run *run, const struct sentence *s, const char *device,
                         struct sample *ret, struct err **err)
{
    int r;

    (void)s;
    if (look_is_off(run, device, ret))
        return 0;
    if ((r = look_same_boot(run, device, ret, err)) < 0)
        return r;
    ret->verdict = r == 0 ? VERDICT_YES : VERDICT_NO;
    return 0;
}

static int look_not_rebooted(struct verb_run *run, const struct sentence *s, const char *device,
                             struct sample *ret, struct err **err)
{
    int r;

    (void)s;
    if (look_is_off(run, device, ret))
        return 0;
    if ((r = look_same_boot(run, device, ret, err)) < 0)
        return r;
    ret->verdict = r == 1 ? VERDICT_YES : VERDICT_NEVER;
    return 0;
}

static int rebooted_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                          struct err **err)
{
    return look_at_each(run, s, look_rebooted, ret, err);
}

static int not_rebooted_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                              struct err **err)
{
    return look_at_each(run, s, look_not_rebooted, ret, err);
}

const struct verb_impl verb_cut_power = { .act = cut_act, .undo = restore_undo };
const struct verb_impl verb_kill_machine = { .act = kill_act, .undo = restore_undo };
const struct verb_impl verb_shut_down = { .act = shut_down_act, .undo = restore_undo };
static const struct verb_impl *const off[] = { &verb_cut_power, &verb_kill_machine, &verb_shut_down,
                                               NULL };
const struct verb_impl verb_restore_power = { .act = restore_act, .heals = off };
const struct verb_impl verb_reset = { .act = reset_act };
const struct verb_impl verb_pause_machine = { .act = pause_act, .undo = resume_undo };
static const struct verb_impl *const paused[] = { &verb_pause_machine, NULL };
const struct verb_impl verb_resume_machine = { .act = resume_act, .heals = paused };
const struct verb_impl verb_reboot = { .act = reboot_act };
const struct verb_impl verb_reboot_times = { .act = reboot_times_act };
const struct verb_impl verb_rebooted = { .prepare = remember_boot, .check = rebooted_check };
const struct verb_impl verb_not_rebooted = { .prepare = remember_boot,
                                             .check = not_rebooted_check };
