/* SPDX-License-Identifier: AGPL-3.0-only */

/* Theory of operation: see rig/run/wait.c for a step's checks, rig/run/faults.c for what is open. */

#include "rig/run/session.h"

#include <errno.h>
#include <string.h>

#include "rig/run/engine.h"

void session_init(struct session *s, const struct run_config *config)
{
    *s = (struct session){ .config = config,
                           .run = { .lab = config->lab, .memory = json_object() } };
}

void session_done(struct session *s)
{
    looks_close(&s->always);
    for (size_t i = 0; i < s->n_kept; i++)
        scenario_free(s->kept[i]);
    free(s->kept);
    free(s->faults);
    json_decref(s->run.memory);
}

struct session *session_new(const struct run_config *config)
{
    struct session *s = xmalloc(sizeof(*s));

    session_init(s, config);
    return s;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    session_done(s);
    free(s);
}

void fail_step(struct session *s, const char *fmt, ...)
{
    struct buf text = BUF_INIT(8192);
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    free(s->step->failure);
    s->step->failure = buf_steal(&text);
}

void tell_acted(const struct session *s, const struct sentence *sentence, const char *what,
                const char *note)
{
    for (const struct watcher *w = s->config->watcher; w; w = w->also)
        if (w->acted)
            w->acted(sentence, what, note, w->userdata);
}

void tell_done(const struct session *s)
{
    for (const struct watcher *w = s->config->watcher; w; w = w->also)
        if (w->done)
            w->done(s->step, w->userdata);
}

/* --- A step ---------------------------------------------------------------------------------- */

static enum state prepare(struct session *s, const struct step *step)
{
    for (size_t i = 0; i < step->n_expects; i++) {
        const struct sentence *check = &step->expects[i];
        CLEANUP_ERR struct err *err = NULL;

        if (interrupted(s))
            return INTERRUPTED;
        if (!check->verb->impl->prepare || check->verb->impl->prepare(&s->run, check, &err) >= 0)
            continue;
        fail_step(s, "before the step, looking at what is to be compared failed: %s\n%s",
                  check->text, err_text(err));
        return interrupted(s) ? INTERRUPTED : FAILED;
    }
    return GOING;
}

static int act_one(struct session *s, const struct sentence *action, char note[static SAMPLE_MAX],
                   struct err **err)
{
    bool fault = action->verb->kind == VERB_FAULT;
    int r;

    for (const struct watcher *w = s->config->watcher; w; w = w->also)
        if (w->acting)
            w->acting(action, w->userdata);
    if ((fault && (r = fault_open(s, action, err)) < 0) ||
        (r = action->verb->impl->act(&s->run, action, note, err)) < 0)
        return r;
    if (fault)
        s->run.fault_wall_ms = clock_wall_ms();
    return 0;
}

static enum state act(struct session *s, const struct step *step)
{
    for (size_t i = 0; i < step->n_actions; i++) {
        const struct sentence *action = &step->actions[i];
        CLEANUP_ERR struct err *err = NULL;
        char note[SAMPLE_MAX] = "";

        if (interrupted(s))
            return INTERRUPTED;
        if (act_one(s, action, note, &err) < 0) {
            CLEANUP_FREE char *why = err_text_full(err);

            fail_step(s, "%s: %s", action->text, why);
            tell_acted(s, action, "failed", why);
            return interrupted(s) ? INTERRUPTED : FAILED;
        }
        tell_acted(s, action, verb_kind_text(action->verb->kind), note);
        faults_healed_by(s, action);
    }
    return GOING;
}

static enum state step_states(struct session *s, const struct step *step)
{
    enum state state = look_for_trouble(s);

    if (state == GOING)
        state = prepare(s, step);
    if (state == GOING)
        state = act(s, step);
    if (state == GOING && step->n_expects > 0)
        return wait_checks(s, step);
    return state == GOING ? PASSED : state;
}

static enum result result_of(enum state state)
{
    return state == PASSED ? RESULT_PASSED : state == FAILED ? RESULT_FAILED : RESULT_INTERRUPTED;
}

static void begin_step(struct session *s, const struct step *step, size_t number,
                       struct step_result *ret)
{
    ret->name = xstrdup(step->name);
    ret->number = number;
    ret->within_ms = step->within_ms;
    ret->holds_ms = step->holds_ms;
    ret->factor = step->within_ms && s->config->factor > 1 ? s->config->factor : 0;
    ret->checks = results_new(step->expects, step->n_expects);
    ret->n_checks = step->n_expects;
    s->step = ret;
    s->checks = looks_new(step->expects, ret->checks, step->n_expects, /* zero_ms= */ 0);
    s->run.step_wall_ms = clock_wall_ms();
    s->run.round++;
}

enum result session_step(struct session *s, const struct scenario *scenario,
                         const struct step *step, size_t number, size_t of, struct step_result *ret)
{
    int64_t began = clock_mono_ms();
    enum state state;

    s->run.scenario = scenario;
    begin_step(s, step, number, ret);
    for (const struct watcher *w = s->config->watcher; w; w = w->also)
        if (w->step)
            w->step(ret, number, of, w->userdata);
    state = step_states(s, step);
    ret->result = result_of(state);
    ret->took_ms = clock_mono_ms() - began;
    if (state == PASSED && step->within_ms > 0)
        ret->late_ms = clock_mono_ms() - s->last_no_ms;
    looks_close(&s->checks);
    tell_done(s);
    return ret->result;
}

/* --- Sentences in a lab that stays up -------------------------------------------------------- */

/* Frees the scenarios none of whose faults is open. */
static void let_go(struct session *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_kept; i++) {
        bool used = false;

        for (size_t j = 0; j < s->n_faults; j++)
            used |= s->faults[j].scenario == s->kept[i];
        if (used)
            s->kept[n++] = s->kept[i];
        else
            scenario_free(s->kept[i]);
    }
    s->n_kept = n;
    s->run.scenario = NULL;
}

enum result session_run(struct session *s, struct scenario *scenario, struct step_result *ret)
{
    enum result result;

    s->kept = grow(s->kept, s->n_kept, &s->cap_kept, sizeof(struct scenario *));
    s->kept[s->n_kept++] = scenario;
    *ret = (struct step_result){ 0 };
    result = session_step(s, scenario, &scenario->steps[0], 1, 1, ret);
    s->step = NULL;
    let_go(s);
    return result;
}

size_t session_faults(const struct session *s, struct open_fault **ret)
{
    *ret = xcalloc(s->n_faults + 1, sizeof(**ret));
    for (size_t i = 0; i < s->n_faults; i++)
        (*ret)[i] = (struct open_fault){ .sentence = s->faults[i].sentence->text,
                                         .wall_ms = s->faults[i].wall_ms };
    return s->n_faults;
}

int session_heal(struct session *s, struct err **err)
{
    CLEANUP_BUF struct buf failed = BUF_INIT(8192);

    for (size_t i = s->n_faults; i-- > 0;) {
        CLEANUP_ERR struct err *why = NULL;

        if (fault_undo(s, i, &why) < 0)
            buf_addf(&failed, "%s%s", failed.len ? "\n" : "", err_text(why));
    }
    let_go(s);
    return failed.len ? err_new(err, EIO, "%s", buf_str(&failed)) : 0;
}
