/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * For tests of the engine: verbs that play a script. A check's k-th look gives the k-th letter (the
 * last one again and again): y yes, n no, x never, e an error of looking, d what is asked does not
 * run. What happened, in order,
 * is written down in `story`. "do-" and "cut-" begin actions and faults, "fix-" an action that
 * heals faults; what follows is their DEVICE, a list: "cut-1,2".
 */

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/session.h"

#define PLAY static __attribute__((unused))

#define MAX_CHECKS 4

PLAY struct {
    struct buf story;
    const char *scripts[26]; /* by the check's name, a to z */
    size_t asked[26];
    volatile sig_atomic_t stop;
    bool dead, act_fails, undo_fails, stop_in_act;
    const char *ledger;    /* its path: how many entries are open is told with each action */
    int64_t fault_wall_ms; /* as the last check saw it */
} world;

PLAY void told(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
PLAY void told(const char *fmt, ...)
{
    va_list ap;

    if (world.story.len)
        buf_addc(&world.story, ' ');
    va_start(ap, fmt);
    buf_vaddf(&world.story, fmt, ap);
    va_end(ap);
}

/* "cut-1" or, with a ledger, "cut-1/1". */
PLAY void told_action(const char *text)
{
    struct ledger_page page = { 0 };

    if (!world.ledger) {
        told("%s", text);
        return;
    }
    need_true(ledger_read(world.ledger, &page, NULL) == 0);
    told("%s/%zu", text, page.n_open);
    ledger_page_done(&page);
}

PLAY int play_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                  struct err **err)
{
    (void)run;
    told_action(s->text);
    if (world.stop_in_act)
        world.stop = 1;
    if (world.act_fails || world.stop_in_act)
        return err_new(err, EIO, "it broke");
    snprintf(note, SAMPLE_MAX, "done");
    return 0;
}

PLAY int play_undo(struct verb_run *run, const struct sentence *s, struct err **err)
{
    CLEANUP_FREE char *text = xasprintf("undo-%s", s->text);

    (void)run;
    told_action(text);
    return world.undo_fails ? err_new(err, EIO, "stuck") : 0;
}

PLAY int play_prepare(struct verb_run *run, const struct sentence *s, struct err **err)
{
    json_object_set_new(run->memory, s->text, json_integer(1));
    told("prepare-%s", s->text);
    return str_eq(s->text, "p") ? err_new(err, EIO, "nothing to compare with") : 0;
}

PLAY int play_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                    struct err **err)
{
    size_t which = (size_t)(s->text[0] - 'a'), k = world.asked[which]++;
    const char *script = world.scripts[which];
    char letter = script[k < strlen(script) ? k : strlen(script) - 1];

    told("%s%c", s->text, letter);
    world.fault_wall_ms = run->fault_wall_ms;
    if (letter == 'd')
        return err_new(err, EHOSTDOWN, "nats does not run");
    if (letter == 'e')
        return err_new(err, ETIMEDOUT, "no answer");
    ret->verdict = letter == 'y' ? VERDICT_YES : letter == 'x' ? VERDICT_NEVER : VERDICT_NO;
    snprintf(ret->text, sizeof(ret->text), "%s was %c", s->text, letter);
    return 0;
}

PLAY const struct verb_impl act_impl = { .act = play_act };
PLAY const struct verb_impl fault_impl = { .act = play_act, .undo = play_undo };
PLAY const struct verb_impl *const fixed[] = { &fault_impl, NULL };
PLAY const struct verb_impl fix_impl = { .act = play_act, .heals = fixed };
PLAY const struct verb_impl check_impl = { .check = play_check };
PLAY const struct verb_impl prepared_impl = { .check = play_check, .prepare = play_prepare };
PLAY const struct verb act_verb = { VERB_DO, "act", "", &act_impl };
PLAY const struct verb fault_verb = { VERB_FAULT, "fault", "", &fault_impl };
PLAY const struct verb fix_verb = { VERB_DO, "fix", "", &fix_impl };
PLAY const struct verb check_verb = { VERB_EXPECT, "check", "", &check_impl };
PLAY const struct verb prepared_verb = { VERB_EXPECT, "prepared", "", &prepared_impl };

PLAY const struct verb *verb_of(const char *word)
{
    if (str_starts(word, "do-"))
        return &act_verb;
    if (str_starts(word, "cut-"))
        return &fault_verb;
    if (str_starts(word, "fix-"))
        return &fix_verb;
    return str_eq(word, "p") || str_eq(word, "q") ? &prepared_verb : &check_verb;
}

/* "do-it cut-1" or "a b" as sentences. */
PLAY size_t sentences(const char *words, struct sentence *list)
{
    CLEANUP_STRV char **v = strv_split(words, " ");
    size_t n = strv_len(v);

    for (size_t i = 0; i < n; i++) {
        const char *dash = strchr(v[i], '-');

        list[i] = (struct sentence){ .text = xstrdup(v[i]), .verb = verb_of(v[i]) };
        if (!dash)
            continue;
        list[i].params[list[i].n_params++] =
                (struct binding){ .name = "DEVICE", .values = strv_split(dash + 1, ",") };
        /* How much of it: another number in each sentence. */
        list[i].params[list[i].n_params++] =
                (struct binding){ .name = "COUNT", .values = strv_split(&"123456789"[i], "") };
    }
    return n;
}

#define MAX_STEPS 4

struct play {
    struct sentence actions[MAX_STEPS][MAX_CHECKS], expects[MAX_STEPS][MAX_CHECKS];
    struct sentence always[MAX_CHECKS];
    struct step steps[MAX_STEPS];
    struct run_config config;
    struct scenario scenario;
    struct run_result result;
};

PLAY int health(struct lab *lab, struct err **err)
{
    (void)lab;
    return world.dead ? err_new(err, EIO, "nats exited with status 1") : 0;
}

PLAY void gather(void *userdata)
{
    (void)userdata;
    told("evidence");
}

PLAY void play_begin(struct play *p)
{
    *p = (struct play){ 0 };
    buf_done(&world.story);
    memset(&world, 0, sizeof(world));
    world.story = BUF_INIT(1 << 16);
    p->scenario = (struct scenario){ .name = xstrdup("play"), .steps = p->steps };
    p->config = (struct run_config){
        .scenario = &p->scenario,
        .stop = &world.stop,
        .health = health,
        .failed = gather,
        .poll_ms = 1,
        .always_ms = 1,
    };
}

PLAY void play_step(struct play *p, const char *actions, const char *expects, int64_t within_ms,
                    int64_t holds_ms)
{
    size_t i = p->scenario.n_steps++;

    p->steps[i] = (struct step){ .name = xasprintf("step %zu", i + 1),
                                 .within_ms = within_ms,
                                 .holds_ms = holds_ms };
    p->steps[i].actions = p->actions[i];
    p->steps[i].n_actions = sentences(actions, p->actions[i]);
    p->steps[i].expects = p->expects[i];
    p->steps[i].n_expects = sentences(expects, p->expects[i]);
}

/* The last step becomes one of `finally`. */
PLAY void play_finally(struct play *p)
{
    p->scenario.finally = &p->steps[--p->scenario.n_steps];
    p->scenario.n_finally = 1;
}

PLAY void play_always(struct play *p, const char *words)
{
    p->scenario.always = p->always;
    p->scenario.n_always = sentences(words, p->always);
}

PLAY void play_run(struct play *p)
{
    run_scenario(&p->config, &p->result);
}

PLAY void play_end(struct play *p)
{
    run_result_done(&p->result);
    for (size_t i = 0; i < p->scenario.n_steps + p->scenario.n_finally; i++) {
        free(p->steps[i].name);
        for (size_t j = 0; j < p->steps[i].n_actions; j++)
            sentence_done(&p->actions[i][j]);
        for (size_t j = 0; j < p->steps[i].n_expects; j++)
            sentence_done(&p->expects[i][j]);
    }
    for (size_t j = 0; j < p->scenario.n_always; j++)
        sentence_done(&p->always[j]);
    free(p->scenario.name);
    buf_done(&world.story);
}

PLAY char *explained(const struct step_result *step)
{
    struct buf b = BUF_INIT(1 << 16);

    step_result_explain(step, &b);
    return buf_steal(&b);
}
