/* SPDX-License-Identifier: AGPL-3.0-only */

/* Components of the control plane as processes of this host. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/verbs/look.h"

#define STAT_MAX 4096
#define STATE_MS 2000 /* for a signal to have its effect */
#define POLL_MS 5

static const char *component(const struct sentence *s)
{
    return sentence_value(s, "COMPONENT");
}

/* The state of a process as proc(5) has it, 'T' for one that was stopped; '?' when it is gone. */
static char process_state(pid_t pid)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/stat", (int)pid), *text = NULL;
    const char *name_end;

    if (pid <= 0 || file_read(path, STAT_MAX, &text, NULL, NULL) < 0)
        return '?';
    name_end = strrchr(text, ')');
    return name_end && name_end[1] == ' ' ? name_end[2] : '?';
}

static bool is_paused(struct verb_run *run, const char *name)
{
    return process_state(supervisor_pid(lab_supervisor(run->lab), name)) == 'T';
}

/* The pid of one that runs. */
static int need_pid(struct verb_run *run, const char *name, pid_t *ret, struct err **err)
{
    *ret = supervisor_pid(lab_supervisor(run->lab), name);
    return *ret > 0 ? 0 : err_new(err, ESRCH, "%s does not run", name);
}

/* --- Ending and starting --------------------------------------------------------------------- */

static int end_it(struct verb_run *run, const struct sentence *s, const char *how,
                  int (*end)(struct supervisor *s, const char *name, struct err **err),
                  char note[static SAMPLE_MAX], struct err **err)
{
    struct supervisor *all = lab_supervisor(run->lab);
    pid_t pid = 0;
    int r = need_pid(run, component(s), &pid, err);

    if (r < 0 || (r = end(all, component(s), err)) < 0)
        return r;
    if (supervisor_running(all, component(s)) || process_state(pid) != '?')
        return err_new(err, EBUSY, "process %d still runs", (int)pid);
    return noted(note, "process %d %s", (int)pid, how);
}

static int killed(struct supervisor *s, const char *name, struct err **err)
{
    return supervisor_kill(s, name, SIGKILL, err);
}

static int kill_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                    struct err **err)
{
    return end_it(run, s, "was killed", killed, note, err);
}

static int stop_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                    struct err **err)
{
    return end_it(run, s, "has ended", supervisor_stop, note, err);
}

static int restart(struct verb_run *run, const struct sentence *s, long times,
                   char note[static SAMPLE_MAX], struct err **err)
{
    pid_t before = supervisor_pid(lab_supervisor(run->lab), component(s)), now = 0;
    int r = 0;

    for (long i = 0; i < times && r >= 0; i++)
        r = lab_restart(run->lab, component(s), err);
    if (r < 0 || (r = need_pid(run, component(s), &now, err)) < 0)
        return r;
    if (now == before)
        return err_new(err, EBUSY, "it is still process %d", (int)now);
    if (before == 0)
        return noted(note, "process %d", (int)now);
    return noted(note, "process %d -> %d", (int)before, (int)now);
}

static int start_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                     struct err **err)
{
    pid_t pid = supervisor_pid(lab_supervisor(run->lab), component(s));

    return pid > 0 ? noted(note, "it runs already, process %d", (int)pid)
                   : restart(run, s, 1, note, err);
}

static int start_undo(struct verb_run *run, const struct sentence *s, struct err **err)
{
    char note[SAMPLE_MAX];

    return start_act(run, s, note, err);
}

static int restart_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                       struct err **err)
{
    return restart(run, s, 1, note, err);
}

static int restart_times_act(struct verb_run *run, const struct sentence *s,
                             char note[static SAMPLE_MAX], struct err **err)
{
    long times = (long)sentence_number(s, "COUNT");

    return times > 0 ? restart(run, s, times, note, err)
                     : err_new(err, EINVAL, "0 times is no restart");
}

/* --- Pausing --------------------------------------------------------------------------------- */

static int set_paused(struct verb_run *run, const char *name, bool paused,
                      char note[static SAMPLE_MAX], struct err **err)
{
    int64_t deadline = clock_mono_ms() + STATE_MS;
    pid_t pid = 0;
    int r = need_pid(run, name, &pid, err);

    if (r >= 0)
        r = supervisor_kill(lab_supervisor(run->lab), name, paused ? SIGSTOP : SIGCONT, err);
    if (r < 0)
        return r;
    while (is_paused(run, name) != paused) {
        if (clock_left_ms(deadline) == 0)
            return err_new(err, ETIMEDOUT, "process %d is still in state %c", (int)pid,
                           process_state(pid));
        poll(NULL, 0, POLL_MS);
    }
    return noted(note, "process %d is in state %c", (int)pid, process_state(pid));
}

static int pause_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                     struct err **err)
{
    return set_paused(run, component(s), true, note, err);
}

static int resume_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                      struct err **err)
{
    return set_paused(run, component(s), false, note, err);
}

/* One that was ended meanwhile is another fault's to take back. */
static int pause_undo(struct verb_run *run, const struct sentence *s, struct err **err)
{
    char note[SAMPLE_MAX];

    return is_paused(run, component(s)) ? set_paused(run, component(s), false, note, err) : 0;
}

/* --- Looking --------------------------------------------------------------------------------- */

static int runs_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                      struct err **err)
{
    pid_t pid = supervisor_pid(lab_supervisor(run->lab), component(s));

    (void)err;
    if (pid == 0)
        return seen(ret, VERDICT_NO, "it does not run");
    if (process_state(pid) == 'T')
        return seen(ret, VERDICT_NO, "process %d is paused", (int)pid);
    return seen(ret, VERDICT_YES, "process %d", (int)pid);
}

static int runs_not_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                          struct err **err)
{
    int r = runs_check(run, s, ret, err);

    ret->verdict = ret->verdict == VERDICT_YES ? VERDICT_NO : VERDICT_YES;
    return r;
}

static char *memory_key(const struct sentence *s)
{
    return xasprintf("process of %s", component(s));
}

static int remember_process(struct verb_run *run, const struct sentence *s, struct err **err)
{
    CLEANUP_FREE char *key = memory_key(s);

    (void)err;
    json_object_set_new(run->memory, key,
                        json_integer(supervisor_pid(lab_supervisor(run->lab), component(s))));
    return 0;
}

static int new_process_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                             struct err **err)
{
    CLEANUP_FREE char *key = memory_key(s);
    pid_t then = (pid_t)json_integer_value(json_object_get(run->memory, key));
    int r = runs_check(run, s, ret, err);

    if (r < 0 || ret->verdict != VERDICT_YES)
        return r;
    if (supervisor_pid(lab_supervisor(run->lab), component(s)) == then)
        return seen(ret, VERDICT_NO, "it is still process %d", (int)then);
    return 0;
}

const struct verb_impl verb_kill_component = { .act = kill_act, .undo = start_undo };
const struct verb_impl verb_stop_component = { .act = stop_act, .undo = start_undo };
const struct verb_impl verb_pause_component = { .act = pause_act, .undo = pause_undo };
static const struct verb_impl *const ended[] = { &verb_kill_component, &verb_stop_component, NULL };
static const struct verb_impl *const paused[] = { &verb_pause_component, NULL };
static const struct verb_impl *const ended_or_paused[] = { &verb_kill_component,
                                                           &verb_stop_component,
                                                           &verb_pause_component, NULL };
const struct verb_impl verb_start_component = { .act = start_act, .heals = ended };
const struct verb_impl verb_resume_component = { .act = resume_act, .heals = paused };
const struct verb_impl verb_restart_component = { .act = restart_act, .heals = ended_or_paused };
const struct verb_impl verb_restart_component_times = { .act = restart_times_act,
                                                        .heals = ended_or_paused };
const struct verb_impl verb_component_runs = { .check = runs_check };
const struct verb_impl verb_component_runs_not = { .check = runs_not_check };
const struct verb_impl verb_component_new_process = { .prepare = remember_process,
                                                      .check = new_process_check };
