/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. What is desired is compared with a listing of our containers. A listing is
 * made at each tick and after each action that changed a container; while one is under way, further
 * wishes for one are merged. An action is a job that remembers the deployment by name, since the
 * workload's score may change meanwhile.
 */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/agent/act_state.h"

#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS 15000

/* --- listing -------------------------------------------------------------------------------- */

static enum run_state run_state_of(const char *state)
{
    static const struct {
        const char *text;
        enum run_state state;
    } table[] = {
        { "running", RUN_RUNNING },     { "created", RUN_CREATED }, { "configured", RUN_CREATED },
        { "initialized", RUN_CREATED }, { "exited", RUN_EXITED },   { "stopped", RUN_EXITED },
        { "paused", RUN_PAUSED },       { "broken", RUN_BROKEN },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_eq(table[i].text, state))
            return table[i].state;
    return RUN_CHANGING;
}

static void observe(struct agent *a, const struct containers *list)
{
    struct observed *items = xcalloc(list->n + 1, sizeof(*items));

    for (size_t i = 0; i < list->n; i++) {
        const struct container *c = &list->items[i];

        items[i] = (struct observed){ .name = xstrdup(c->name),
                                      .deployment = xstrdup(c->deployment),
                                      .service = xstrdup(c->service),
                                      .spec = xstrdup(c->spec),
                                      .state = run_state_of(c->state),
                                      .exit_code = c->exit_code,
                                      .interrupted = c->interrupted };
    }
    world_observe(&a->world, a->listing, items, list->n);
}

static int on_list_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    agent_list(userdata);
    return 0;
}

static void list_failed(struct agent *a, const struct err *failure)
{
    int64_t ms = RETRY_FIRST_MS << (a->list_failures < 4 ? a->list_failures : 4);

    if (!str_eq(a->world.podman_failure, err_text(failure)))
        log_warning("%s; will try again", err_text(failure));
    world_podman_failed(&a->world, err_text(failure), clock_wall_ms());
    a->list_failures++;
    agent_timer(a, &a->list_retry, ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS, on_list_retry);
}

static void on_listed(const struct containers *list, const struct err *failure, void *userdata)
{
    struct agent *a = userdata;
    bool again = a->list_again;

    a->list_again = false;
    if (failure) {
        list_failed(a, failure);
    } else {
        if (a->list_failures)
            log_info("podman answers again");
        a->list_failures = 0;
        observe(a, list);
    }
    a->listing = 0;
    if (again && !failure)
        agent_list(a);
    agent_reconsider(a);
}

void agent_list(struct agent *a)
{
    CLEANUP_ERR struct err *failure = NULL;

    if (a->listing) {
        a->list_again = true;
        return;
    }
    a->listing = world_listing(&a->world);
    if (podman_list(a->podman, on_listed, a, &failure) < 0) {
        a->listing = 0;
        list_failed(a, failure);
    }
}

/* --- actions -------------------------------------------------------------------------------- */

struct job {
    LIST_ENTRY(job) next;
    struct agent *agent;
    char *deployment;
};

static void job_free(struct job *job)
{
    LIST_REMOVE(job, next);
    job->agent->n_jobs--;
    free(job->deployment);
    free(job);
}

static struct job *job_new(struct agent *a, const struct workload *l)
{
    struct job *job = xcalloc(1, sizeof(*job));

    job->agent = a;
    job->deployment = xstrdup(l->name);
    LIST_INSERT_HEAD(&a->jobs, job, next);
    a->n_jobs++;
    return job;
}

void agent_drop_jobs(struct agent *a)
{
    while (!LIST_EMPTY(&a->jobs))
        job_free(LIST_FIRST(&a->jobs));
}

static void log_done(const struct workload *l)
{
    const struct action *action = &l->acting;
    static const char *const past[] = {
        [ACTION_PULL] = "pulled image",        [ACTION_CREATE] = "created container",
        [ACTION_START] = "started container",  [ACTION_STOP] = "stopped container",
        [ACTION_REMOVE] = "removed container", [ACTION_RENAME] = "put in place container",
        [ACTION_FORGET] = "forgotten",
    };

    if (action->container && past[action->kind])
        log_info("%s: %s %s", l->name, past[action->kind], action->container);
}

void agent_action_ended(struct agent *a, struct workload *l, enum outcome outcome,
                        const struct err *failure)
{
    bool about_image = l->acting.kind == ACTION_CHECK_IMAGE || l->acting.kind == ACTION_PULL;

    if (failure)
        log_warning("%s: %s", l->name, err_text(failure));
    else if (outcome == OUTCOME_DONE)
        log_done(l);
    decide_end(&a->world, l, outcome, failure ? err_text(failure) : NULL, clock_wall_ms());
    if (!about_image)
        agent_list(a);
}

static void job_ended(struct job *job, enum outcome outcome, const struct err *failure)
{
    struct agent *a = job->agent;
    struct workload *l = world_find(&a->world, job->deployment);

    job_free(job);
    if (l) /* it is: a workload that acts is not forgotten */
        agent_action_ended(a, l, outcome, failure);
    agent_reconsider(a);
}

static void on_done(const struct err *failure, void *userdata)
{
    job_ended(userdata, failure ? OUTCOME_FAILED : OUTCOME_DONE, failure);
}

static void on_exists(bool exists, const struct err *failure, void *userdata)
{
    job_ended(userdata, failure ? OUTCOME_FAILED : exists ? OUTCOME_DONE : OUTCOME_ABSENT, failure);
}

static int start_job(struct job *job, const struct workload *l, struct err **err)
{
    struct podman *p = job->agent->podman;
    const struct action *action = &l->acting;
    const char *name = action->container;

    switch (action->kind) {
    case ACTION_CHECK_IMAGE:
        return podman_image_exists(p, name, on_exists, job, err);
    case ACTION_PULL:
        log_info("%s: pulling image %s", l->name, name);
        return podman_pull(p, name, on_done, job, err);
    case ACTION_CREATE:
        return podman_create(p, name, l->name, action->task->service, action->task->spec, on_done,
                             job, err);
    case ACTION_START:
        return podman_start(p, name, on_done, job, err);
    case ACTION_STOP:
        return podman_stop(p, name, PODMAN_STOP_S, on_done, job, err);
    case ACTION_REMOVE:
        return podman_remove(p, name, on_done, job, err);
    case ACTION_RENAME:
        return podman_rename(p, name, action->task->current, on_done, job, err);
    case ACTION_NONE:
    case ACTION_FORGET:
        break;
    }
    return err_new(err, EINVAL, "%s is nothing for podman", action_text(action->kind));
}

void agent_carry_out(struct agent *a, struct workload *l, const struct action *action)
{
    CLEANUP_ERR struct err *failure = NULL;
    struct job *job;

    decide_begin(l, action);
    log_debug("%s: %s %s", l->name, action_text(action->kind),
              action->container ? action->container : "");
    if (action->kind == ACTION_FORGET) {
        agent_report_forget(a, l);
        return;
    }
    job = job_new(a, l);
    if (start_job(job, l, &failure) < 0) {
        job_free(job);
        agent_action_ended(a, l, OUTCOME_FAILED, failure);
    }
}
