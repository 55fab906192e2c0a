/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. A step is a small state machine: it is GOING until something decides it.
 * Everything that can decide it (interrupt, death of a component, a broken invariant, a verdict, a
 * deadline) is looked at between two looks, never during one, so verbs need not know of any. Looks
 * are short, hence the reaction is.
 *
 * Every look leaves its sample in the result of its check, which keeps the last different ones. At
 * the end of each round the checks that hold are counted: the best round is the closest miss.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/strv.h"
#include "rig/run/engine.h"

#define POLL_MS 200
#define POLL_MAX_MS 1000 /* rounds that take long are followed by a pause as long, up to this */
#define ALWAYS_MS 1000
/* How long a `holds` may go on beyond its time because nothing can be seen. */
#define BLIND_GRACE_MS 15000

struct looks looks_new(const struct sentence *list, struct check_result *results, size_t n,
                       int64_t zero_ms)
{
    struct looks l = { .items = xcalloc(n ? n : 1, sizeof(*l.items)), .n = n };

    for (size_t i = 0; i < n; i++)
        l.items[i] =
                (struct look){ .sentence = &list[i], .result = &results[i], .zero_ms = zero_ms };
    return l;
}

struct check_result *results_new(const struct sentence *list, size_t n)
{
    struct check_result *results = xcalloc(n ? n : 1, sizeof(*results));

    for (size_t i = 0; i < n; i++)
        results[i].sentence = xstrdup(list[i].text);
    return results;
}

void looks_close(struct looks *l)
{
    int64_t now = clock_mono_ms();

    for (size_t i = 0; i < l->n; i++) {
        if (!l->items[i].result->asked)
            continue;
        l->items[i].result->asked_ms_ago = now - l->items[i].asked_at_ms;
        l->items[i].result->same_ms = now - l->items[i].same_at_ms;
    }
    free(l->items);
    *l = (struct looks){ 0 };
}

/* --- Looking --------------------------------------------------------------------------------- */

/* Another sample than the last one. */
static void add_seen(struct look *look, const struct sample *sample, bool blind)
{
    struct check_result *c = look->result;

    if (c->n_seen == CHECK_SEEN_MAX) {
        free(c->seen[0].text);
        memmove(&c->seen[0], &c->seen[1], (CHECK_SEEN_MAX - 1) * sizeof(c->seen[0]));
        c->n_seen--;
    }
    c->seen[c->n_seen++] = (struct check_seen){
        .at_ms = look->asked_at_ms - look->zero_ms,
        .verdict = sample->verdict,
        .blind = blind,
        .text = xstrdup(sample->text),
    };
    look->same_at_ms = look->asked_at_ms;
}

static void remember(struct look *look, const struct sample *sample, bool blind)
{
    struct check_result *c = look->result;
    int64_t at_ms = look->asked_at_ms - look->zero_ms;
    struct check_seen *last = c->n_seen ? &c->seen[c->n_seen - 1] : NULL;

    if (last)
        last->for_ms = at_ms - last->at_ms;
    if (!last || last->blind != blind || last->verdict != sample->verdict ||
        !str_eq(last->text, sample->text))
        add_seen(look, sample, blind);
    c->asked = true;
    c->blind = blind;
    c->verdict = sample->verdict;
    memcpy(c->last, sample->text, sizeof(c->last));
}

/* `actions_done`: nobody switches on any more what is switched off. */
static void ask(struct session *s, struct look *look, bool actions_done)
{
    const struct verb_impl *impl = look->sentence->verb->impl;
    CLEANUP_ERR struct err *err = NULL;
    struct sample sample = { 0 };
    int r = impl->check(&s->run, look->sentence, &sample, &err);
    bool down = r == -EHOSTDOWN && actions_done, blind = r < 0 && !down;

    if (r < 0) {
        sample.verdict = down ? VERDICT_NEVER : VERDICT_NO;
        snprintf(sample.text, sizeof(sample.text), "%s", err_text(err));
    }
    look->asked_at_ms = clock_mono_ms();
    look->round = s->run.round;
    look->conclusive |= !blind;
    remember(look, &sample, blind);
    for (const struct watcher *w = s->config->watcher; w; w = w->also)
        if (w->looked)
            w->looked(look->result, w->userdata);
}

static void ask_check(struct session *s, struct look *look)
{
    int64_t waited;

    ask(s, look, /* actions_done= */ true);
    if (look->result->verdict != VERDICT_YES)
        s->last_no_ms = look->asked_at_ms;
    waited = clock_mono_ms() - s->began_ms;
    for (const struct watcher *w = s->config->watcher; w; w = w->also)
        if (w->waiting)
            w->waiting(look->result, waited, s->limit_ms, w->userdata);
}

/* --- What ends a step whatever its checks say ------------------------------------------------ */

static enum state look_at_always(struct session *s)
{
    if (clock_mono_ms() < s->always_due_ms)
        return GOING;
    s->run.round++;
    for (size_t i = 0; i < s->always.n; i++) {
        struct look *look = &s->always.items[i];

        ask(s, look, /* actions_done= */ false);
        if (look->result->verdict == VERDICT_YES || look->result->blind)
            continue;
        fail_step(s, "what must always be so was not: %s\nlast seen: %s", look->result->sentence,
                  look->result->last);
        s->broken = true;
        return FAILED;
    }
    s->always_due_ms = clock_mono_ms() + (s->config->always_ms ? s->config->always_ms : ALWAYS_MS);
    return GOING;
}

enum state look_for_trouble(struct session *s)
{
    CLEANUP_ERR struct err *err = NULL;

    if (interrupted(s))
        return INTERRUPTED;
    if (s->config->health && s->config->health(s->run.lab, &err) < 0) {
        CLEANUP_FREE char *text = err_text_full(err);

        if (interrupted(s))
            return INTERRUPTED;
        fail_step(s, "%s", text);
        return FAILED;
    }
    return GOING;
}

/* --- Rounds ---------------------------------------------------------------------------------- */

static size_t holding(const struct looks *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        n += l->items[i].result->verdict == VERDICT_YES;
    return n;
}

/* Asks, in order, those that were not asked in this round; ends at one that does not say yes unless
 * all are to be asked. */
static enum state ask_rest(struct session *s, bool pending_only, bool all)
{
    for (size_t i = 0; i < s->checks.n; i++) {
        struct look *look = &s->checks.items[i];

        if (look->round == s->run.round || (pending_only && look->result->verdict == VERDICT_YES))
            continue;
        if (interrupted(s))
            return INTERRUPTED;
        ask_check(s, look);
        if (look->result->verdict == VERDICT_NEVER) {
            fail_step(s, "can no longer become so: %s", look->result->sentence);
            return FAILED;
        }
        if (look->result->verdict == VERDICT_NO && !all)
            return GOING;
    }
    return holding(&s->checks) < s->checks.n ? GOING : PASSED;
}

/* Those not yet so; once all are, those that said so in an earlier round are asked again. */
static enum state round_within(struct session *s, bool last)
{
    enum state state;

    s->run.round++;
    state = ask_rest(s, /* pending_only= */ !last, /* all= */ last);
    if (state == PASSED)
        state = ask_rest(s, /* pending_only= */ false, /* all= */ last);
    if (state == GOING && last) {
        fail_step(s, "the deadline has passed");
        return FAILED;
    }
    return state;
}

static enum state round_holds(struct session *s, bool last)
{
    enum state state;

    s->run.round++;
    state = ask_rest(s, /* pending_only= */ false, /* all= */ true);
    if (state == FAILED || state == INTERRUPTED)
        return state;
    for (size_t i = 0; i < s->checks.n; i++) {
        const struct check_result *c = s->checks.items[i].result;

        if (c->verdict == VERDICT_YES || c->blind)
            continue;
        fail_step(s, "it did not hold");
        return FAILED;
    }
    return state == PASSED && !last ? GOING : state;
}

/* The step has failed; how do the others stand that have not been asked since? */
static void look_at_the_rest(struct session *s)
{
    for (size_t i = 0; i < s->checks.n; i++)
        if (s->checks.items[i].round != s->run.round && !interrupted(s))
            ask_check(s, &s->checks.items[i]);
}

/* --- The closest miss ------------------------------------------------------------------------ */

/* After a round: each check as it was seen last. The latest of equally good rounds counts. */
static void note_closest(struct session *s)
{
    struct step_result *step = s->step;
    size_t held = holding(&s->checks);

    if (held == 0 || held < step->closest_held)
        return;
    step->closest_held = held;
    step->closest_ms = clock_mono_ms() - s->began_ms;
    strv_free(step->closest_missed);
    step->closest_missed = NULL;
    for (size_t i = 0; i < s->checks.n; i++) {
        const struct check_result *c = s->checks.items[i].result;

        if (c->verdict != VERDICT_YES)
            strv_addf(&step->closest_missed, "%s: %s", c->sentence,
                      c->asked ? c->last : "not looked at");
    }
}

/* It is told of a step that missed its deadline and was better once. */
static void settle_closest(struct session *s, enum state state)
{
    struct step_result *step = s->step;

    if (state == FAILED && step->within_ms && step->closest_held > holding(&s->checks))
        return;
    step->closest_held = 0;
    step->closest_ms = 0;
    strv_free(step->closest_missed);
    step->closest_missed = NULL;
}

/* --- All of it ------------------------------------------------------------------------------- */

static int64_t pause_after(const struct session *s, int64_t round_ms)
{
    int64_t least = s->config->poll_ms ? s->config->poll_ms : POLL_MS;
    int64_t most = least > POLL_MAX_MS ? least : POLL_MAX_MS;

    return round_ms < least ? least : round_ms > most ? most : round_ms;
}

static void pause_ms(int64_t ms)
{
    poll(NULL, 0, (int)ms); /* a signal ends it early */
}

static enum state wait_rounds(struct session *s, bool holds)
{
    enum state state;

    for (;;) {
        int64_t round_began = clock_mono_ms(), pause, left;
        bool last = round_began - s->began_ms >= s->limit_ms;

        state = look_for_trouble(s);
        if (state != GOING)
            return state;
        state = look_at_always(s);
        if (state == GOING)
            state = holds ? round_holds(s, last) : round_within(s, last);
        if (state != GOING)
            return state;
        if (last && round_began - s->began_ms >= s->limit_ms + BLIND_GRACE_MS) {
            fail_step(s, "it could not be seen to hold");
            return FAILED;
        }
        note_closest(s);
        pause = pause_after(s, clock_mono_ms() - round_began);
        left = s->began_ms + s->limit_ms - clock_mono_ms();
        pause_ms(last || left > pause ? pause : left > 0 ? left : 0);
    }
}

enum state wait_checks(struct session *s, const struct step *step)
{
    double factor = s->config->factor > 1 ? s->config->factor : 1;
    enum state state;

    s->step->factor = factor > 1 && step->within_ms ? factor : 0;
    s->limit_ms = step->holds_ms ? step->holds_ms : (int64_t)((double)step->within_ms * factor);
    s->began_ms = s->last_no_ms = clock_mono_ms();
    s->always_due_ms = 0;
    for (size_t i = 0; i < s->checks.n; i++)
        s->checks.items[i].zero_ms = s->began_ms;
    state = wait_rounds(s, step->holds_ms > 0);
    if (state == FAILED)
        look_at_the_rest(s);
    settle_closest(s, state);
    return state;
}
