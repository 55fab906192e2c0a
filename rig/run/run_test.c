/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * The engine's decisions, with verbs that play a script: a check's k-th look gives the k-th letter
 * (the last one again and again): y yes, n no, x never, e an error of looking. What happened, in
 * order, is written down in `story`.
 */

#include "rig/run/run.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"

#define MAX_CHECKS 4

static struct {
    struct buf story;
    const char *scripts[26]; /* by the check's name, a to z */
    size_t asked[26];
    volatile sig_atomic_t stop;
    bool dead, act_fails, undo_fails, stop_in_act;
    int64_t fault_wall_ms; /* as the last check saw it */
} world;

static void told(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void told(const char *fmt, ...)
{
    va_list ap;

    if (world.story.len)
        buf_addc(&world.story, ' ');
    va_start(ap, fmt);
    buf_vaddf(&world.story, fmt, ap);
    va_end(ap);
}

static int play_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                    struct err **err)
{
    (void)run;
    told("%s", s->text);
    if (world.stop_in_act)
        world.stop = 1;
    if (world.act_fails || world.stop_in_act)
        return err_new(err, EIO, "it broke");
    snprintf(note, SAMPLE_MAX, "done");
    return 0;
}

static int play_undo(struct verb_run *run, const struct sentence *s, struct err **err)
{
    (void)run;
    told("undo-%s", s->text);
    return world.undo_fails ? err_new(err, EIO, "stuck") : 0;
}

static int play_prepare(struct verb_run *run, const struct sentence *s, struct err **err)
{
    json_object_set_new(run->memory, s->text, json_integer(1));
    told("prepare-%s", s->text);
    return str_eq(s->text, "p") ? err_new(err, EIO, "nothing to compare with") : 0;
}

static int play_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                      struct err **err)
{
    size_t which = (size_t)(s->text[0] - 'a'), k = world.asked[which]++;
    const char *script = world.scripts[which];
    char letter = script[k < strlen(script) ? k : strlen(script) - 1];

    told("%s%c", s->text, letter);
    world.fault_wall_ms = run->fault_wall_ms;
    if (letter == 'e')
        return err_new(err, ETIMEDOUT, "no answer");
    ret->verdict = letter == 'y' ? VERDICT_YES : letter == 'x' ? VERDICT_NEVER : VERDICT_NO;
    snprintf(ret->text, sizeof(ret->text), "%s was %c", s->text, letter);
    return 0;
}

static const struct verb_impl act_impl = { .act = play_act };
static const struct verb_impl fault_impl = { .act = play_act, .undo = play_undo };
static const struct verb_impl check_impl = { .check = play_check };
static const struct verb_impl prepared_impl = { .check = play_check, .prepare = play_prepare };
static const struct verb act_verb = { VERB_DO, "act", "", &act_impl };
static const struct verb fault_verb = { VERB_FAULT, "fault", "", &fault_impl };
static const struct verb check_verb = { VERB_EXPECT, "check", "", &check_impl };
static const struct verb prepared_verb = { VERB_EXPECT, "prepared", "", &prepared_impl };

static const struct verb *verb_of(const char *word)
{
    if (str_starts(word, "do-"))
        return &act_verb;
    if (str_starts(word, "cut-"))
        return &fault_verb;
    return str_eq(word, "p") || str_eq(word, "q") ? &prepared_verb : &check_verb;
}

/* "do-it cut-1" or "a b" as sentences. */
static size_t sentences(const char *words, struct sentence *list)
{
    CLEANUP_STRV char **v = strv_split(words, " ");
    size_t n = strv_len(v);

    for (size_t i = 0; i < n; i++)
        list[i] = (struct sentence){ .text = xstrdup(v[i]), .verb = verb_of(v[i]) };
    return n;
}

struct play {
    struct sentence actions[3][MAX_CHECKS], expects[3][MAX_CHECKS], always[MAX_CHECKS];
    struct step steps[3];
    struct scenario scenario;
    struct run_result result;
};

static void play_begin(struct play *p)
{
    *p = (struct play){ 0 };
    buf_done(&world.story);
    memset(&world, 0, sizeof(world));
    world.story = BUF_INIT(1 << 16);
    p->scenario = (struct scenario){ .name = xstrdup("play"), .steps = p->steps };
}

static void play_step(struct play *p, const char *actions, const char *expects, int64_t within_ms,
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

static void play_always(struct play *p, const char *words)
{
    p->scenario.always = p->always;
    p->scenario.n_always = sentences(words, p->always);
}

static int health(struct lab *lab, struct err **err)
{
    (void)lab;
    return world.dead ? err_new(err, EIO, "nats exited with status 1") : 0;
}

static void gather(void *userdata)
{
    (void)userdata;
    told("evidence");
}

static void play_run(struct play *p)
{
    struct run_config config = {
        .scenario = &p->scenario,
        .stop = &world.stop,
        .health = health,
        .failed = gather,
        .poll_ms = 1,
        .always_ms = 1,
    };

    run_scenario(&config, &p->result);
}

static void play_end(struct play *p)
{
    run_result_done(&p->result);
    for (size_t i = 0; i < p->scenario.n_steps; i++) {
        free(p->steps[i].name);
        for (size_t j = 0; j < p->steps[i].n_actions; j++)
            free(p->actions[i][j].text);
        for (size_t j = 0; j < p->steps[i].n_expects; j++)
            free(p->expects[i][j].text);
    }
    for (size_t j = 0; j < p->scenario.n_always; j++)
        free(p->always[j].text);
    free(p->scenario.name);
    buf_done(&world.story);
}

static char *explained(const struct step_result *step)
{
    struct buf b = BUF_INIT(1 << 16);

    step_result_explain(step, &b);
    return buf_steal(&b);
}

/* A play of one step whose checks a, b and c have these scripts. */
static const struct {
    const char *name, *checks, *scripts[3];
    int64_t within_ms, holds_ms;
    enum result result;
    const char *story, *failure;
} one_step[] = {
    { "all at once", "a b", { "y", "y" }, 5000, 0, RESULT_PASSED, "ay by", NULL },
    { "a round ends at the first no",
      "a b",
      { "nny", "y" },
      5000,
      0,
      RESULT_PASSED,
      "an an ay by",
      NULL },
    { "all must say yes in one round",
      "a b",
      { "y", "nny" },
      5000,
      0,
      RESULT_PASSED,
      "ay bn bn by ay",
      NULL },
    { "one that changes its mind is waited for again",
      "a b c",
      { "yny", "nny", "y" },
      5000,
      0,
      RESULT_PASSED,
      "ay bn bn by cy an ay by cy",
      NULL },
    { "an error of looking is a no", "a", { "eey" }, 5000, 0, RESULT_PASSED, "ae ae ay", NULL },
    { "never ends it at once",
      "a b",
      { "y", "nx" },
      5000,
      0,
      RESULT_FAILED,
      "ay bn bx ay evidence",
      "can no longer become so: b" },
    { "the last round asks all",
      "a b c",
      { "n", "y", "n" },
      1,
      0,
      RESULT_FAILED,
      NULL,
      "the deadline has passed" },
    { "holds: a no ends it",
      "a b",
      { "y", "yyn" },
      0,
      5000,
      RESULT_FAILED,
      "ay by ay by ay bn evidence",
      "it did not hold" },
    { "holds: the first round counts",
      "a",
      { "n" },
      0,
      5000,
      RESULT_FAILED,
      "an evidence",
      "it did not hold" },
    { "holds: never ends it",
      "a",
      { "x" },
      0,
      5000,
      RESULT_FAILED,
      "ax evidence",
      "can no longer become so: a" },
};

TEST(one_step_by_one)
{
    for (size_t i = 0; i < ARRAY_LEN(one_step); i++) {
        struct play p;

        check_case("%s", one_step[i].name);
        play_begin(&p);
        memcpy(world.scripts, one_step[i].scripts, sizeof(one_step[i].scripts));
        play_step(&p, "", one_step[i].checks, one_step[i].within_ms, one_step[i].holds_ms);
        play_run(&p);
        check_int(p.result.result, one_step[i].result);
        check_int(p.result.steps[0].result, one_step[i].result);
        check_str(p.result.steps[0].failure, one_step[i].failure);
        if (one_step[i].story)
            check_str(buf_str(&world.story), one_step[i].story);
        play_end(&p);
    }
}

TEST(a_failure_names_every_mismatch_with_what_was_last_seen)
{
    CLEANUP_FREE char *text = NULL;
    struct play p;

    play_begin(&p);
    world.scripts[0] = "n";
    world.scripts[1] = "y";
    world.scripts[2] = "e";
    play_step(&p, "", "a b c", /* within_ms= */ 1, 0);
    play_run(&p);
    text = explained(&p.result.steps[0]);
    check_has(text, "  the deadline has passed\n");
    check_has(text, "  not so: a\n          last seen: a was n\n          looked ");
    check_has(text, "  so:     b\n");
    check_has(text, "  not so: c\n          could not look: no answer\n");
    play_end(&p);
}

TEST(holds_lasts_as_long_as_it_says)
{
    struct play p;

    play_begin(&p);
    world.scripts[0] = "y";
    play_step(&p, "", "a", 0, /* holds_ms= */ 60);
    play_run(&p);
    check_int(p.result.result, RESULT_PASSED);
    check_true(p.result.steps[0].took_ms >= 60);
    check_true(world.asked[0] >= 3);
    play_end(&p);
}

TEST(holds_forgives_a_failed_look_but_not_a_last_one)
{
    struct play p;

    play_begin(&p);
    world.scripts[0] =
            "yeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeey";
    play_step(&p, "", "a", 0, /* holds_ms= */ 10);
    play_run(&p);
    check_int(p.result.result, RESULT_PASSED);
    check_int((int64_t)world.asked[0], (int64_t)strlen(world.scripts[0]));
    play_end(&p);
}

TEST(checks_prepare_before_actions_and_look_after_them)
{
    struct play p;

    play_begin(&p);
    world.scripts['q' - 'a'] = "y";
    play_step(&p, "do-1 cut-2 do-3", "q", 1000, 0);
    play_run(&p);
    check_str(buf_str(&world.story), "prepare-q do-1 cut-2 do-3 qy undo-cut-2");
    check_true(world.fault_wall_ms > 0);
    play_end(&p);
}

TEST(what_cannot_be_prepared_is_not_begun)
{
    struct play p;

    play_begin(&p);
    play_step(&p, "do-1", "p", 1000, 0);
    play_run(&p);
    check_int(p.result.result, RESULT_FAILED);
    check_str(buf_str(&world.story), "prepare-p evidence");
    check_has(p.result.steps[0].failure, "nothing to compare with");
    play_end(&p);
}

TEST(faults_are_taken_back_newest_first_after_the_evidence)
{
    struct play p;

    play_begin(&p);
    world.scripts[0] = "x";
    play_step(&p, "cut-1 cut-2", "", 0, 0);
    play_step(&p, "cut-3", "a", 1000, 0);
    play_step(&p, "do-never", "", 0, 0);
    play_run(&p);
    check_str(buf_str(&world.story),
              "cut-1 cut-2 cut-3 ax evidence undo-cut-3 undo-cut-2 undo-cut-1");
    check_int(p.result.steps[0].result, RESULT_PASSED);
    check_int(p.result.steps[1].result, RESULT_FAILED);
    check_int(p.result.steps[2].result, RESULT_SKIPPED);
    play_end(&p);
}

TEST(a_fault_that_failed_halfway_is_taken_back)
{
    struct play p;

    play_begin(&p);
    world.act_fails = true;
    play_step(&p, "cut-1", "", 0, 0);
    play_run(&p);
    check_str(buf_str(&world.story), "cut-1 evidence undo-cut-1");
    check_str(p.result.steps[0].failure, "cut-1: it broke");
    play_end(&p);
}

TEST(a_fault_that_cannot_be_taken_back_fails_the_run)
{
    struct play p;

    play_begin(&p);
    world.undo_fails = true;
    play_step(&p, "cut-1", "", 0, 0);
    play_run(&p);
    check_int(p.result.result, RESULT_FAILED);
    check_int((int64_t)p.result.n_steps, 2);
    check_str(p.result.steps[1].failure, "cut-1: stuck");
    play_end(&p);
}

TEST(an_interrupt_ends_the_run_and_takes_faults_back)
{
    struct play p;

    play_begin(&p);
    world.stop_in_act = true;
    play_step(&p, "cut-1 do-2", "", 0, 0);
    play_step(&p, "do-3", "", 0, 0);
    play_run(&p);
    check_int(p.result.result, RESULT_INTERRUPTED);
    check_int(p.result.steps[0].result, RESULT_INTERRUPTED);
    check_int(p.result.steps[1].result, RESULT_SKIPPED);
    check_str(buf_str(&world.story), "cut-1 undo-cut-1");
    play_end(&p);
}

TEST(the_death_of_a_component_fails_the_step_at_once)
{
    struct play p;

    play_begin(&p);
    world.dead = true;
    world.scripts[0] = "n";
    play_step(&p, "", "a", 60000, 0);
    play_run(&p);
    check_int(p.result.result, RESULT_FAILED);
    check_str(p.result.steps[0].failure, "nats exited with status 1");
    play_end(&p);
}

static const struct {
    const char *name, *script;
    enum result result, last;
    const char *failure;
} invariants[] = {
    { "kept", "y", RESULT_PASSED, RESULT_PASSED, NULL },
    { "kept, and not always visible", "eyeee", RESULT_PASSED, RESULT_PASSED, NULL },
    { "broken", "yn", RESULT_FAILED, RESULT_FAILED, "what must always be so was not" },
    { "never seen", "e", RESULT_FAILED, RESULT_FAILED, "never conclusively probed: z" },
};

TEST(invariants_are_probed_while_a_step_waits)
{
    for (size_t i = 0; i < ARRAY_LEN(invariants); i++) {
        const struct step_result *last;
        struct play p;

        check_case("%s", invariants[i].name);
        play_begin(&p);
        world.scripts[0] = "y";
        world.scripts['z' - 'a'] = invariants[i].script;
        play_step(&p, "", "a", 0, /* holds_ms= */ 30);
        play_always(&p, "z");
        play_run(&p);
        check_int(p.result.result, invariants[i].result);
        check_int((int64_t)p.result.n_steps, 2);
        last = &p.result.steps[1];
        check_str(last->name, "always");
        check_int(last->result, invariants[i].last);
        check_str(last->failure, invariants[i].failure);
        play_end(&p);
    }
}

CHECK_MAIN()
