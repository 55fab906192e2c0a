/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. For each service there are at most two containers: the current one and, while
 * it is being replaced, the next one. What they are decides what to do (W: has the wanted spec):
 *
 *   current     next      do
 *   ---------   -------   -----------------------------------------------------------------------
 *   W           any       remove next; then start current unless it runs or may rest
 *   none        W         rename next to current (a crash came before that)
 *   none        other     remove next
 *   none        none      look for the image, create current
 *   other       none      look for the image, create next
 *   other       other     remove next
 *   other       W, new    stop current, start next
 *   other       W, ran    remove current
 *
 * One that is broken beyond starting is removed. Removing stops first. A failure blocks the service's
 * goal until its next attempt is due; meanwhile whatever is there is kept going: next goes, and a
 * current one with another spec is started again. An image is looked for before anything is touched,
 * so one that does not exist costs nothing.
 *
 * Of a deployment that is doomed, all containers are removed, then it is forgotten. An orphan's are
 * left alone; once they are gone, it is forgotten, too.
 */

#include "fleet/agent/decide.h"

#include <string.h>

#include "base/mem.h"
#include "base/strv.h"

#define RECREATE_AFTER 3 /* failed starts in a row: then the container itself may be broken */
#define PODMAN_PATIENCE_MS 60000 /* podman is restarted now and then; longer is a failure */

const char *action_text(enum action_kind kind)
{
    static const char *const texts[] = { "none", "check-image", "pull",   "create", "start",
                                         "stop", "remove",      "rename", "forget" };

    return texts[kind];
}

static struct action none(void)
{
    return (struct action){ ACTION_NONE, NULL, NULL };
}

static struct action act(enum action_kind kind, const struct task *t, const char *container)
{
    return (struct action){ kind, (struct task *)t, container };
}

static bool has_spec(const struct observed *o, const struct task *t)
{
    return o && str_eq(o->spec, t->spec);
}

/* Ended, and its restart policy lets it be. */
static bool rests(const struct observed *o, const struct task *t)
{
    if (o->state != RUN_EXITED || o->interrupted)
        return false;
    if (t->service->restart_policy == RESTART_NO)
        return true;
    return t->service->restart_policy == RESTART_ON_FAILURE && o->exit_code == 0;
}

static struct action take_away(const struct task *t, const struct observed *o)
{
    return act(o->state == RUN_RUNNING ? ACTION_STOP : ACTION_REMOVE, t, o->name);
}

/* Starting it is in vain. A power cut damages containers more than anything else does. */
static bool is_broken(const struct observed *o, const struct task *t)
{
    return o->state == RUN_BROKEN || t->failed_starts >= (o->interrupted ? 1 : RECREATE_AFTER);
}

static struct action keep_going(const struct task *t, const struct observed *o)
{
    if (o->state == RUN_CREATED || o->state == RUN_EXITED)
        return act(ACTION_START, t, o->name);
    return none();
}

static bool is_settled(const struct world *w, const struct task *t)
{
    const struct observed *current = world_container(w, t->current);

    return has_spec(current, t) && !world_container(w, t->next) &&
           (current->state == RUN_RUNNING || rests(current, t));
}

static bool needs_image(const struct world *w, const struct task *t)
{
    return !has_spec(world_container(w, t->current), t) &&
           !has_spec(world_container(w, t->next), t);
}

/* The goal is not tried now. */
static bool is_blocked(const struct task *t, int64_t now_ms)
{
    return t->failure && now_ms < t->retry_ms;
}

/* The goal is blocked: whatever is there goes on. */
static struct action hold_on(const struct world *w, const struct task *t)
{
    const struct observed *current = world_container(w, t->current);
    const struct observed *next = world_container(w, t->next);

    if (!current)
        return none();
    if (next)
        return take_away(t, next);
    return rests(current, t) ? none() : keep_going(t, current);
}

static struct action pursue(const struct world *w, const struct task *t)
{
    const struct observed *current = world_container(w, t->current);
    const struct observed *next = world_container(w, t->next);

    if (has_spec(current, t)) {
        if (next)
            return take_away(t, next);
        if (current->state == RUN_RUNNING || rests(current, t))
            return none();
        if (is_broken(current, t))
            return take_away(t, current);
        return keep_going(t, current);
    }
    if (next && (!has_spec(next, t) || next->state == RUN_BROKEN))
        return take_away(t, next);
    if (next && !current)
        return act(ACTION_RENAME, t, next->name);
    if (!next)
        return t->image_present ? act(ACTION_CREATE, t, current ? t->next : t->current) : none();
    if (next->state == RUN_CHANGING)
        return none();
    if (next->state != RUN_CREATED)
        return take_away(t, current);
    if (current->state == RUN_RUNNING)
        return act(ACTION_STOP, t, current->name);
    return act(ACTION_START, t, next->name);
}

/* First of all the images of all services that need one. `*ret_missing`: not all are there. */
static struct action look_for_images(const struct world *w, const struct workload *l,
                                     int64_t now_ms, bool *ret_missing)
{
    struct action a = none();

    *ret_missing = false;
    for (size_t i = 0; i < l->n_tasks; i++) {
        const struct task *t = &l->tasks[i];

        if (t->image_present || !needs_image(w, t))
            continue;
        *ret_missing = true;
        if (a.kind == ACTION_NONE && !is_blocked(t, now_ms))
            a = act(t->image_missing ? ACTION_PULL : ACTION_CHECK_IMAGE, t, t->service->image);
    }
    return a;
}

static bool is_ours(const struct workload *l, const char *container)
{
    for (size_t i = 0; i < l->n_tasks; i++)
        if (str_eq(l->tasks[i].current, container) || str_eq(l->tasks[i].next, container))
            return true;
    return false;
}

/* A container of this deployment that no service wants. */
static struct action take_away_leftovers(const struct world *w, const struct workload *l)
{
    for (size_t i = 0; i < w->n_observed; i++)
        if (str_eq(w->observed[i].deployment, l->name) && !is_ours(l, w->observed[i].name))
            return take_away(NULL, &w->observed[i]);
    return none();
}

struct action decide_next(const struct world *w, const struct workload *l, int64_t now_ms)
{
    struct action a;
    bool missing;

    if (l->busy || l->bad || w->podman_failure || !w->listed || w->listed < l->fresh_from)
        return none();
    if (!l->wanted) {
        if (now_ms < l->pause_ms)
            return none();
        a = take_away_leftovers(w, l);
        if (a.kind == ACTION_NONE)
            return act(ACTION_FORGET, NULL, NULL);
        return l->orphan ? none() : a;
    }
    a = look_for_images(w, l, now_ms, &missing);
    if (a.kind == ACTION_NONE && !missing && now_ms >= l->pause_ms)
        a = take_away_leftovers(w, l);
    for (size_t i = 0; a.kind == ACTION_NONE && i < l->n_tasks; i++) {
        const struct task *t = &l->tasks[i];

        if (now_ms >= t->pause_ms)
            a = is_blocked(t, now_ms) ? hold_on(w, t) : pursue(w, t);
    }
    return a;
}

/* --- how an action went --------------------------------------------------------------------- */

void decide_begin(struct workload *l, const struct action *action)
{
    l->busy = true;
    l->acting = *action;
    free(l->acting_on);
    l->acting_on = xstrdup(action->container);
    l->acting.container = l->acting_on;
}

static void workload_failed(const struct world *w, struct workload *l, const char *reason,
                            int64_t now_ms)
{
    replace_str(&l->failure, reason);
    l->pause_ms = now_ms + world_backoff_ms(w, l->attempts++);
}

static void workload_done(struct workload *l)
{
    replace_str(&l->failure, NULL);
    l->attempts = 0;
    l->pause_ms = 0;
}

static void task_failed(const struct world *w, const struct workload *l, struct task *t,
                        const char *reason, int64_t now_ms)
{
    const struct action *a = &l->acting;
    const struct observed *current = world_container(w, t->current);
    bool of_goal = a->kind == ACTION_CHECK_IMAGE || a->kind == ACTION_PULL ||
                   a->kind == ACTION_CREATE || str_eq(a->container, t->next);
    bool keeping_old = a->kind == ACTION_START && !of_goal && current && !has_spec(current, t);
    int64_t again = now_ms + world_backoff_ms(w, t->attempts);

    if (a->kind == ACTION_START && str_eq(a->container, t->current) && t->failed_starts++ == 0 &&
        current && current->interrupted)
        again = now_ms; /* it is made anew at once */
    /* Why the wanted one does not run is the news, not what its stand-in suffers from. */
    if (!keeping_old || !t->failure) {
        replace_str(&t->failure, reason);
        t->attempts++;
        t->retry_ms = again;
    }
    /* After a failed attempt at the goal the old one is seen to at once. */
    if (!of_goal)
        t->pause_ms = again;
}

static void task_done(struct task *t, const struct action *a)
{
    switch (a->kind) {
    case ACTION_CHECK_IMAGE:
    case ACTION_PULL:
        t->image_present = true;
        t->image_missing = false;
        break;
    case ACTION_CREATE:
        t->image_present = false;
        break;
    case ACTION_START:
    case ACTION_REMOVE:
        if (str_eq(a->container, t->current))
            t->failed_starts = 0;
        break;
    default:
        break;
    }
}

static void image_is_absent(const struct world *w, const struct workload *l, struct task *t,
                            int64_t now_ms)
{
    CLEANUP_FREE char *reason = xasprintf("image %s: not found", t->service->image);

    /* An image of this device's own cannot be had from anywhere. */
    if (str_starts(t->service->image, "localhost/"))
        task_failed(w, l, t, reason, now_ms);
    else
        t->image_missing = true;
}

void decide_end(struct world *w, struct workload *l, enum outcome outcome, const char *reason,
                int64_t now_ms)
{
    struct task *t = l->acting.task;

    l->busy = false;
    if (l->acting.kind != ACTION_CHECK_IMAGE && l->acting.kind != ACTION_PULL)
        l->fresh_from = w->listings + 1;
    if (t && outcome == OUTCOME_DONE)
        task_done(t, &l->acting);
    else if (t && outcome == OUTCOME_ABSENT)
        image_is_absent(w, l, t, now_ms);
    else if (t)
        task_failed(w, l, t, reason, now_ms);
    else if (outcome == OUTCOME_FAILED)
        workload_failed(w, l, reason, now_ms);
    else
        workload_done(l);
    if (t && l->acting.kind == ACTION_PULL && outcome != OUTCOME_DONE)
        t->image_missing = false; /* look again first: it may have been loaded by hand */
}

/* --- what to report ------------------------------------------------------------------------- */

/* Failures of one service among several bear its name. */
static char *task_error(const struct workload *l, const struct task *t, const char *text)
{
    return l->n_tasks > 1 ? xasprintf("%s: %s", t->service->name, text) : xstrdup(text);
}

static char *error_of(const struct world *w, const struct workload *l)
{
    if (l->orphan)
        return xstrdup("no desired state is known; its containers are left alone");
    if (l->bad)
        return xstrdup(l->bad);
    if (l->unstored)
        return xstrdup(l->unstored);
    if (l->failure)
        return xstrdup(l->failure);
    for (size_t i = 0; i < l->n_tasks; i++) {
        const struct task *t = &l->tasks[i];
        const struct observed *current = world_container(w, t->current);
        CLEANUP_FREE char *text = NULL;

        if (t->failure)
            return task_error(l, t, t->failure);
        if (!has_spec(current, t))
            continue;
        if (current->state == RUN_PAUSED)
            text = xasprintf("container %s is paused", t->current);
        else if (rests(current, t) && current->exit_code)
            text = xasprintf("container %s exited with status %d", t->current, current->exit_code);
        if (text)
            return task_error(l, t, text);
    }
    return NULL;
}

/* What is as wanted has no failures. */
static void clear_settled(const struct world *w, struct workload *l)
{
    if (l->failure && take_away_leftovers(w, l).kind == ACTION_NONE)
        workload_done(l);
    for (size_t i = 0; i < l->n_tasks; i++) {
        struct task *t = &l->tasks[i];

        if (t->failure && is_settled(w, t)) {
            replace_str(&t->failure, NULL);
            t->attempts = 0;
            t->retry_ms = t->pause_ms = 0;
        }
    }
}

bool decide_state(const struct world *w, struct workload *l, int64_t now_ms)
{
    CLEANUP_FREE char *error = NULL;
    enum phase phase = PHASE_PENDING;
    bool fresh = w->listed && w->listed >= l->fresh_from && !l->busy;

    if (!l->wanted && !l->orphan)
        return false;
    if (w->podman_failure && now_ms - w->podman_failed_ms >= PODMAN_PATIENCE_MS) {
        error = xstrdup(w->podman_failure);
    } else if (!l->bad && !fresh && l->has_state && l->phase != PHASE_RUNNING) {
        return false; /* in the middle of it: the next listing tells */
    } else {
        if (fresh)
            clear_settled(w, l);
        error = error_of(w, l);
    }
    if (error)
        phase = PHASE_FAILED;
    else if (!w->listed)
        return false; /* nothing is known yet */
    else if (fresh) {
        phase = PHASE_RUNNING;
        for (size_t i = 0; i < l->n_tasks; i++)
            if (!is_settled(w, &l->tasks[i]))
                phase = PHASE_PENDING;
    }
    if (l->has_state && l->phase == phase && str_eq(l->error, error))
        return false;
    l->has_state = true;
    l->phase = phase;
    replace_str(&l->error, error);
    /* On the wire it counts seconds, and a later state must be seen to be later. */
    if (now_ms / 1000 <= l->event_ms / 1000)
        now_ms = (l->event_ms / 1000 + 1) * 1000;
    l->event_ms = now_ms;
    return true;
}
