/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. A step is a small state machine: it is GOING until something decides it.
 * Everything that can decide it (interrupt, death of a component, a broken invariant, a verdict, a
 * deadline) is looked at between two looks, never during one, so verbs need not know of any. Looks
 * are short, hence the reaction is.
 */

#include "rig/run/run.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define POLL_MS 200
#define POLL_MAX_MS 1000 /* rounds that take long are followed by a pause as long, up to this */
#define ALWAYS_MS 1000

enum state { GOING, PASSED, FAILED, INTERRUPTED };

/* A check with what the engine needs of its past. */
struct look {
    const struct sentence *sentence;
    struct check_result *result;
    uint64_t round;      /* in which it was last asked */
    int64_t asked_at_ms; /* when the last look ended */
    int64_t same_at_ms;  /* when the sample last changed */
    bool conclusive;     /* it was seen at least once, with an answer */
};

struct looks {
    struct look *items;
    size_t n;
};

struct engine {
    const struct run_config *config;
    struct verb_run run;
    struct run_result *result;

    struct looks always;
    struct check_result *always_results;
    int64_t always_due_ms;
    bool broken; /* an invariant was */

    const struct sentence **faults; /* done, in order */
    size_t n_faults, cap_faults;

    /* Of the running step. */
    struct step_result *step;
    struct looks checks;
    int64_t began_ms, limit_ms;
    int64_t last_no_ms; /* end of the last look that did not say yes */
};

#define EACH_WATCHER(w, e) for (const struct watcher *w = (e)->config->watcher; w; w = w->also)

static bool interrupted(const struct engine *e)
{
    return e->config->stop && *e->config->stop;
}

static void pause_ms(int64_t ms)
{
    poll(NULL, 0, (int)ms); /* a signal ends it early */
}

static struct looks looks_new(const struct sentence *list, struct check_result *results, size_t n)
{
    struct looks l = { .items = xcalloc(n ? n : 1, sizeof(*l.items)), .n = n };

    for (size_t i = 0; i < n; i++)
        l.items[i] = (struct look){ .sentence = &list[i], .result = &results[i] };
    return l;
}

static struct check_result *results_new(const struct sentence *list, size_t n)
{
    struct check_result *results = xcalloc(n ? n : 1, sizeof(*results));

    for (size_t i = 0; i < n; i++)
        results[i].sentence = xstrdup(list[i].text);
    return results;
}

static void fail_step(struct engine *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail_step(struct engine *e, const char *fmt, ...)
{
    struct buf text = BUF_INIT(8192);
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    free(e->step->failure);
    e->step->failure = buf_steal(&text);
}

/* --- Looking --------------------------------------------------------------------------------- */

static void tell_waiting(const struct engine *e, const struct look *look)
{
    int64_t waited = clock_mono_ms() - e->began_ms;

    EACH_WATCHER(w, e)
    if (w->waiting)
        w->waiting(look->result, waited, e->limit_ms, w->userdata);
}

static void ask(struct engine *e, struct look *look)
{
    const struct sentence *s = look->sentence;
    CLEANUP_ERR struct err *err = NULL;
    struct sample sample = { 0 };

    look->result->blind = s->verb->impl->check(&e->run, s, &sample, &err) < 0;
    if (look->result->blind)
        sample.verdict = VERDICT_NO;
    if (look->result->blind)
        snprintf(sample.text, sizeof(sample.text), "%s", err_text(err));
    look->asked_at_ms = clock_mono_ms();
    look->round = e->run.round;
    look->conclusive |= !look->result->blind;
    if (!look->result->asked || strcmp(look->result->last, sample.text) != 0)
        look->same_at_ms = look->asked_at_ms;
    look->result->asked = true;
    look->result->verdict = sample.verdict;
    memcpy(look->result->last, sample.text, sizeof(sample.text));
    EACH_WATCHER(w, e)
    if (w->looked)
        w->looked(look->result, w->userdata);
}

static void ask_check(struct engine *e, struct look *look)
{
    ask(e, look);
    if (look->result->verdict != VERDICT_YES)
        e->last_no_ms = look->asked_at_ms;
    tell_waiting(e, look);
}

static void looks_close(struct looks *l)
{
    int64_t now = clock_mono_ms();

    for (size_t i = 0; i < l->n; i++) {
        l->items[i].result->asked_ms_ago = now - l->items[i].asked_at_ms;
        l->items[i].result->same_ms = now - l->items[i].same_at_ms;
    }
    free(l->items);
    *l = (struct looks){ 0 };
}

/* --- What ends a step whatever its checks say ------------------------------------------------ */

static enum state look_at_always(struct engine *e)
{
    if (clock_mono_ms() < e->always_due_ms)
        return GOING;
    e->run.round++;
    for (size_t i = 0; i < e->always.n; i++) {
        struct look *look = &e->always.items[i];

        ask(e, look);
        if (look->result->verdict == VERDICT_YES || look->result->blind)
            continue;
        fail_step(e, "what must always be so was not: %s\nlast seen: %s", look->result->sentence,
                  look->result->last);
        e->broken = true;
        return FAILED;
    }
    e->always_due_ms = clock_mono_ms() + (e->config->always_ms ? e->config->always_ms : ALWAYS_MS);
    return GOING;
}

static enum state look_for_trouble(struct engine *e)
{
    CLEANUP_ERR struct err *err = NULL;

    if (interrupted(e))
        return INTERRUPTED;
    if (e->config->health && e->config->health(e->run.lab, &err) < 0) {
        if (interrupted(e))
            return INTERRUPTED;
        fail_step(e, "%s", err_text(err));
        return FAILED;
    }
    return GOING;
}

/* --- Rounds ---------------------------------------------------------------------------------- */

static struct look *first_not_yes(const struct looks *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i].result->verdict != VERDICT_YES)
            return &l->items[i];
    return NULL;
}

/* Asks, in order, those that were not asked in this round; ends at one that does not say yes unless
 * all are to be asked. */
static enum state ask_rest(struct engine *e, bool pending_only, bool all)
{
    for (size_t i = 0; i < e->checks.n; i++) {
        struct look *look = &e->checks.items[i];

        if (look->round == e->run.round || (pending_only && look->result->verdict == VERDICT_YES))
            continue;
        if (interrupted(e))
            return INTERRUPTED;
        ask_check(e, look);
        if (look->result->verdict == VERDICT_NEVER) {
            fail_step(e, "can no longer become so: %s", look->result->sentence);
            return FAILED;
        }
        if (look->result->verdict == VERDICT_NO && !all)
            return GOING;
    }
    return first_not_yes(&e->checks) ? GOING : PASSED;
}

/* Those not yet so; once all are, those that said so in an earlier round are asked again. */
static enum state round_within(struct engine *e, bool last)
{
    enum state state;

    e->run.round++;
    state = ask_rest(e, /* pending_only= */ !last, /* all= */ last);
    if (state == PASSED)
        state = ask_rest(e, /* pending_only= */ false, /* all= */ last);
    if (state == GOING && last) {
        fail_step(e, "the deadline has passed");
        return FAILED;
    }
    return state;
}

static enum state round_holds(struct engine *e, bool last)
{
    enum state state;

    e->run.round++;
    state = ask_rest(e, /* pending_only= */ false, /* all= */ true);
    if (state == FAILED || state == INTERRUPTED)
        return state;
    for (size_t i = 0; i < e->checks.n; i++) {
        const struct check_result *c = e->checks.items[i].result;

        if (c->verdict == VERDICT_YES || c->blind)
            continue;
        fail_step(e, "it did not hold");
        return FAILED;
    }
    return state == PASSED && !last ? GOING : state;
}

/* The step has failed; how do the others stand that have not been asked since? */
static void look_at_the_rest(struct engine *e)
{
    for (size_t i = 0; i < e->checks.n; i++)
        if (e->checks.items[i].round != e->run.round && !interrupted(e))
            ask_check(e, &e->checks.items[i]);
}

/* How long a `holds` may go on beyond its time because nothing can be seen. */
#define BLIND_GRACE_MS 15000

static int64_t pause_after(const struct engine *e, int64_t round_ms)
{
    int64_t least = e->config->poll_ms ? e->config->poll_ms : POLL_MS;
    int64_t most = least > POLL_MAX_MS ? least : POLL_MAX_MS;

    return round_ms < least ? least : round_ms > most ? most : round_ms;
}

static enum state wait_checks(struct engine *e, const struct step *step)
{
    int64_t began = clock_mono_ms(), limit = step->holds_ms ? step->holds_ms : step->within_ms;
    enum state state;

    e->limit_ms = limit;
    e->began_ms = e->last_no_ms = began;
    e->always_due_ms = 0;
    for (;;) {
        int64_t round_began = clock_mono_ms(), pause, left;
        bool last = round_began - began >= limit;

        state = look_for_trouble(e);
        if (state != GOING)
            return state;
        state = look_at_always(e);
        if (state == GOING)
            state = step->holds_ms ? round_holds(e, last) : round_within(e, last);
        if (state == FAILED)
            look_at_the_rest(e);
        if (state != GOING)
            return state;
        if (last && round_began - began >= limit + BLIND_GRACE_MS) {
            fail_step(e, "it could not be seen to hold");
            return FAILED;
        }
        pause = pause_after(e, clock_mono_ms() - round_began);
        left = began + limit - clock_mono_ms();
        pause_ms(last || left > pause ? pause : left > 0 ? left : 0);
    }
}

/* --- Steps ----------------------------------------------------------------------------------- */

static enum state prepare(struct engine *e, const struct step *step)
{
    for (size_t i = 0; i < step->n_expects; i++) {
        const struct sentence *s = &step->expects[i];
        CLEANUP_ERR struct err *err = NULL;

        if (interrupted(e))
            return INTERRUPTED;
        if (!s->verb->impl->prepare || s->verb->impl->prepare(&e->run, s, &err) >= 0)
            continue;
        fail_step(e, "before the step, looking at what is to be compared failed: %s\n%s", s->text,
                  err_text(err));
        return interrupted(e) ? INTERRUPTED : FAILED;
    }
    return GOING;
}

static void remember_fault(struct engine *e, const struct sentence *s)
{
    e->faults = grow(e->faults, e->n_faults, &e->cap_faults, sizeof(*e->faults));
    e->faults[e->n_faults++] = s;
}

static void tell_acted(const struct engine *e, const struct sentence *s, const char *what,
                       const char *note)
{
    EACH_WATCHER(w, e)
    if (w->acted)
        w->acted(s, what, note, w->userdata);
}

static enum state act(struct engine *e, const struct step *step)
{
    for (size_t i = 0; i < step->n_actions; i++) {
        const struct sentence *s = &step->actions[i];
        CLEANUP_ERR struct err *err = NULL;
        char note[SAMPLE_MAX] = "";
        bool fault = s->verb->kind == VERB_FAULT;

        if (interrupted(e))
            return INTERRUPTED;
        if (fault) /* before it is done: one that fails halfway is taken back, too */
            remember_fault(e, s);
        if (s->verb->impl->act(&e->run, s, note, &err) < 0) {
            fail_step(e, "%s: %s", s->text, err_text(err));
            tell_acted(e, s, "failed", err_text(err));
            return interrupted(e) ? INTERRUPTED : FAILED;
        }
        if (fault)
            e->run.fault_wall_ms = clock_wall_ms();
        tell_acted(e, s, verb_kind_text(s->verb->kind), note);
    }
    return GOING;
}

static enum state step_states(struct engine *e, const struct step *step)
{
    enum state state = look_for_trouble(e);

    if (state == GOING)
        state = prepare(e, step);
    if (state == GOING)
        state = act(e, step);
    if (state == GOING && step->n_expects > 0)
        return wait_checks(e, step);
    return state == GOING ? PASSED : state;
}

static enum result result_of(enum state state)
{
    return state == PASSED ? RESULT_PASSED : state == FAILED ? RESULT_FAILED : RESULT_INTERRUPTED;
}

static struct step_result *result_step(struct run_result *r, const char *name)
{
    run_result_add(r, name, RESULT_PASSED, 0, NULL);
    return &r->steps[r->n_steps - 1];
}

static void tell_done(const struct engine *e)
{
    EACH_WATCHER(w, e)
    if (w->done)
        w->done(e->step, w->userdata);
}

static enum result run_step(struct engine *e, const struct step *step, size_t number)
{
    int64_t began = clock_mono_ms();
    enum state state;

    e->step = result_step(e->result, step->name);
    e->step->number = number;
    e->step->within_ms = step->within_ms;
    e->step->holds_ms = step->holds_ms;
    e->step->checks = results_new(step->expects, step->n_expects);
    e->step->n_checks = step->n_expects;
    e->checks = looks_new(step->expects, e->step->checks, step->n_expects);
    e->run.step_wall_ms = clock_wall_ms();
    e->run.round++;
    EACH_WATCHER(w, e)
    if (w->step)
        w->step(e->step, number, e->config->scenario->n_steps, w->userdata);
    state = step_states(e, step);
    e->step->result = result_of(state);
    e->step->took_ms = clock_mono_ms() - began;
    if (state == PASSED && step->within_ms > 0)
        e->step->late_ms = clock_mono_ms() - e->last_no_ms;
    looks_close(&e->checks);
    e->result->took_ms += e->step->took_ms;
    tell_done(e);
    return e->step->result;
}

/* --- The whole run --------------------------------------------------------------------------- */

/* The invariants as a step of their own at the end. */
static void judge_always(struct engine *e)
{
    if (e->always.n == 0)
        return;
    e->step = result_step(e->result, "always");
    e->step->checks = e->always_results;
    e->step->n_checks = e->always.n;
    e->always_results = NULL;
    e->step->result = e->broken ? RESULT_FAILED : RESULT_PASSED;
    for (size_t i = 0; i < e->always.n; i++) {
        if (e->always.items[i].conclusive || e->result->result != RESULT_PASSED)
            continue;
        fail_step(e, "never conclusively probed: %s", e->always.items[i].result->sentence);
        e->step->result = RESULT_FAILED;
    }
    if (e->broken)
        fail_step(e, "what must always be so was not");
    if (e->step->result == RESULT_FAILED && e->result->result == RESULT_PASSED)
        e->result->result = RESULT_FAILED;
    looks_close(&e->always);
    tell_done(e);
}

static void undo_faults(struct engine *e)
{
    for (; e->n_faults > 0; e->n_faults--) {
        const struct sentence *s = e->faults[e->n_faults - 1];
        CLEANUP_ERR struct err *err = NULL;

        if (!s->verb->impl->undo)
            continue;
        if (s->verb->impl->undo(&e->run, s, &err) >= 0) {
            tell_acted(e, s, "undo", "");
            continue;
        }
        if (interrupted(e))
            continue; /* the lab goes down anyhow */
        e->step = result_step(e->result, "taking faults back");
        e->step->result = e->result->result = RESULT_FAILED;
        fail_step(e, "%s: %s", s->text, err_text(err));
        tell_done(e);
    }
}

static void skip_step(struct run_result *r, const struct step *step, size_t number)
{
    struct step_result *skipped = result_step(r, step->name);

    skipped->result = RESULT_SKIPPED;
    skipped->number = number;
}

void run_scenario(const struct run_config *config, struct run_result *ret)
{
    const struct scenario *s = config->scenario;
    struct engine e = {
        .config = config,
        .run = { .lab = config->lab, .scenario = s, .memory = json_object() },
        .result = ret,
    };

    e.always_results = results_new(s->always, s->n_always);
    e.always = looks_new(s->always, e.always_results, s->n_always);
    for (size_t i = 0; i < s->n_steps; i++) {
        if (ret->result == RESULT_PASSED)
            ret->result = run_step(&e, &s->steps[i], i + 1);
        else
            skip_step(ret, &s->steps[i], i + 1);
    }
    judge_always(&e);
    if (ret->result == RESULT_FAILED && config->failed)
        config->failed(config->userdata);
    undo_faults(&e);
    looks_close(&e.always);
    free(e.always_results); /* NULL once they are a step's */
    free(e.faults);
    json_decref(e.run.memory);
}
