/* SPDX-License-Identifier: AGPL-3.0-only */

/* The engine's decisions, with the verbs of rig/run/play.h. */

#include "rig/run/play.h"

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
    { "who is asked does not run",
      "a b",
      { "y", "nd" },
      5000,
      0,
      RESULT_FAILED,
      "ay bn bd ay evidence",
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

TEST(an_interrupt_ends_the_run_and_leaves_the_rest_to_the_end_of_the_lab)
{
    struct play p;

    play_begin(&p);
    world.stop_in_act = true;
    play_step(&p, "cut-1 do-2", "", 0, 0);
    play_step(&p, "do-3", "", 0, 0);
    play_step(&p, "do-4", "", 0, 0);
    play_finally(&p);
    play_run(&p);
    check_int(p.result.result, RESULT_INTERRUPTED);
    check_int(p.result.steps[0].result, RESULT_INTERRUPTED);
    check_int(p.result.steps[1].result, RESULT_SKIPPED);
    check_int(p.result.steps[2].result, RESULT_SKIPPED);
    check_str(buf_str(&world.story), "cut-1");
    play_end(&p);
}

/* --- finally --------------------------------------------------------------------------------- */

static const struct {
    const char *name, *script, *finally_script;
    enum result result, finally;
    const char *story;
} finals[] = {
    { "after all passed", "y", "y", RESULT_PASSED, RESULT_PASSED, "cut-1 ay do-9 by undo-cut-1" },
    { "after a failure", "x", "y", RESULT_FAILED, RESULT_PASSED,
      "cut-1 ax evidence do-9 by undo-cut-1" },
    { "it fails", "y", "x", RESULT_FAILED, RESULT_FAILED, "cut-1 ay do-9 bx evidence undo-cut-1" },
    { "both fail", "x", "x", RESULT_FAILED, RESULT_FAILED, "cut-1 ax evidence do-9 bx undo-cut-1" },
};

TEST(finally_runs_whatever_happened_before_faults_are_taken_back)
{
    for (size_t i = 0; i < ARRAY_LEN(finals); i++) {
        struct play p;

        check_case("%s", finals[i].name);
        play_begin(&p);
        world.scripts[0] = finals[i].script;
        world.scripts[1] = finals[i].finally_script;
        play_step(&p, "cut-1", "a", 1000, 0);
        play_step(&p, "do-9", "b", 1000, 0);
        play_finally(&p);
        play_run(&p);
        check_int(p.result.result, finals[i].result);
        check_int((int64_t)p.result.n_steps, 2);
        check_int((int64_t)p.result.steps[1].number, 2);
        check_int(p.result.steps[1].result, finals[i].finally);
        check_str(buf_str(&world.story), finals[i].story);
        play_end(&p);
    }
}

/* --- What a failed wait tells ---------------------------------------------------------------- */

TEST(the_last_different_samples_are_kept)
{
    const struct check_result *c;
    struct play p;

    play_begin(&p);
    world.scripts[0] = "nneeey";
    play_step(&p, "", "a", 5000, 0);
    play_run(&p);
    c = &p.result.steps[0].checks[0];
    check_int(p.result.result, RESULT_PASSED);
    check_int((int64_t)c->n_seen, 3);
    check_str(c->seen[0].text, "a was n");
    check_true(c->seen[1].blind);
    check_str(c->seen[1].text, "no answer");
    check_int(c->seen[2].verdict, VERDICT_YES);
    check_int(c->seen[1].at_ms, c->seen[0].at_ms + c->seen[0].for_ms);
    check_int(c->seen[2].at_ms, c->seen[1].at_ms + c->seen[1].for_ms);
    play_end(&p);
}

TEST(of_many_samples_the_newest_are_kept)
{
    const struct check_result *c;
    struct play p;

    play_begin(&p);
    world.scripts[0] = "nenenenenenenenenex";
    play_step(&p, "", "a", 5000, 0);
    play_run(&p);
    c = &p.result.steps[0].checks[0];
    check_int((int64_t)c->n_seen, CHECK_SEEN_MAX);
    check_int(c->seen[CHECK_SEEN_MAX - 1].verdict, VERDICT_NEVER);
    check_true(c->seen[CHECK_SEEN_MAX - 2].blind);
    check_true(c->seen[0].at_ms > 0);
    play_end(&p);
}

static const struct {
    const char *name, *scripts[3];
    int64_t closest_held;
    const char *says; /* NULL: nothing */
} misses[] = {
    { "two held, then none",
      { "yn", "yn", "n" },
      2,
      ": 2 of 3 held, but not\n          c: c was n\n" },
    { "as close as at the end", { "y", "y", "n" }, 0, NULL },
    { "nothing ever held", { "n", "n", "n" }, 0, NULL },
    { "those that had no turn", { "yn", "n", "n" }, 1, "          c: not looked at\n" },
};

TEST(the_closest_miss_is_told)
{
    for (size_t i = 0; i < ARRAY_LEN(misses); i++) {
        CLEANUP_FREE char *text = NULL;
        struct play p;

        check_case("%s", misses[i].name);
        play_begin(&p);
        memcpy(world.scripts, misses[i].scripts, sizeof(misses[i].scripts));
        play_step(&p, "", "a b c", /* within_ms= */ 1, 0);
        play_run(&p);
        text = explained(&p.result.steps[0]);
        check_int(p.result.result, RESULT_FAILED);
        check_int((int64_t)p.result.steps[0].closest_held, misses[i].closest_held);
        if (misses[i].says)
            check_has(text, misses[i].says);
        else
            check_true(!strstr(text, "closest"));
        play_end(&p);
    }
}

static const struct {
    const char *name;
    double factor;
    int64_t within_ms, holds_ms, least_ms, most_ms;
    const char *limit;
} stretched[] = {
    { "as written", 0, 100, 0, 100, 190, "within 100ms" },
    { "twice as long", 2, 100, 0, 200, 500, "within 100ms (x2.0)" },
    { "never shorter", 0.5, 100, 0, 100, 190, "within 100ms" },
    { "holds is not stretched", 4, 0, 100, 100, 390, "holds 100ms" },
};

TEST(deadlines_are_stretched_by_the_factor)
{
    for (size_t i = 0; i < ARRAY_LEN(stretched); i++) {
        char limit[LIMIT_TEXT_MAX];
        struct play p;

        check_case("%s", stretched[i].name);
        play_begin(&p);
        world.scripts[0] = stretched[i].holds_ms ? "y" : "n";
        play_step(&p, "", "a", stretched[i].within_ms, stretched[i].holds_ms);
        p.config.factor = stretched[i].factor;
        play_run(&p);
        check_true(p.result.steps[0].took_ms >= stretched[i].least_ms);
        check_true(p.result.steps[0].took_ms <= stretched[i].most_ms);
        check_str(step_result_limit(&p.result.steps[0], limit), stretched[i].limit);
        play_end(&p);
    }
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
    { "kept while who is asked does not run", "yddd", RESULT_PASSED, RESULT_PASSED, NULL },
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
