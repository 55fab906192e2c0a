/* SPDX-License-Identifier: AGPL-3.0-only */

/* Open faults and their ledger, in a run and in a lab that stays up; verbs of rig/run/play.h. */

#include "rig/run/session.h"

#include "rig/run/play.h"

/* A play whose faults are journalled. */
struct journal {
    struct play play;
    struct ledger *ledger;
    char *path;
};

static void journal_begin(struct journal *j)
{
    const char *dir = check_tmpdir();

    play_begin(&j->play);
    need_true(ledger_new(dir, &j->ledger, NULL) == 0);
    j->path = xasprintf("%s/" LEDGER_NAME, dir);
    world.ledger = j->path;
    j->play.config.ledger = j->ledger;
}

/* The subjects of its open entries. The caller frees it. */
static char *open_entries(const struct journal *j)
{
    CLEANUP_STRV char **subjects = NULL;
    struct ledger_page page = { 0 };

    need_true(ledger_read(j->path, &page, NULL) == 0);
    for (size_t i = 0; i < page.n_open; i++)
        strv_add(&subjects, page.open[i].subject);
    ledger_page_done(&page);
    return strv_join(subjects, " ");
}

static void journal_end(struct journal *j)
{
    play_end(&j->play);
    ledger_free(j->ledger);
    free(j->path);
}

static const struct {
    const char *name, *first, *second, *story, *open;
    bool act_fails, undo_fails, stop;
} runs[] = {
    { .name = "journalled before it is done, crossed out after it was undone",
      .first = "cut-1",
      .second = "cut-2 do-3",
      .story = "cut-1/1 cut-2/2 do-3/2 undo-cut-2/2 undo-cut-1/1",
      .open = "" },
    { .name = "one that fails halfway",
      .first = "cut-1",
      .second = "",
      .act_fails = true,
      .story = "cut-1/1 evidence undo-cut-1/1",
      .open = "" },
    { .name = "one that cannot be undone stays",
      .first = "cut-1",
      .second = "cut-2",
      .undo_fails = true,
      .story = "cut-1/1 cut-2/2 undo-cut-2/2 undo-cut-1/2",
      .open = "cut-1 cut-2" },
    { .name = "an interrupt leaves it to the end of the lab",
      .first = "cut-1",
      .second = "",
      .stop = true,
      .story = "cut-1/1",
      .open = "cut-1" },
    { .name = "an action that heals it crosses it out",
      .first = "cut-1 cut-2",
      .second = "fix-1",
      .story = "cut-1/1 cut-2/2 fix-1/2 undo-cut-2/1",
      .open = "" },
    { .name = "an action heals all that it names",
      .first = "cut-1 cut-2 cut-1,2",
      .second = "fix-2,1",
      .story = "cut-1/1 cut-2/2 cut-1,2/3 fix-2,1/3",
      .open = "" },
    { .name = "but not what it names only in part",
      .first = "cut-1,2",
      .second = "fix-2",
      .story = "cut-1,2/1 fix-2/1 undo-cut-1,2/1",
      .open = "" },
    { .name = "nor what another action did",
      .first = "do-1 cut-1",
      .second = "do-1",
      .story = "do-1/0 cut-1/1 do-1/1 undo-cut-1/1",
      .open = "" },
};

TEST(the_ledger_covers_what_is_open)
{
    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        CLEANUP_FREE char *open = NULL;
        struct journal j;

        check_case("%s", runs[i].name);
        journal_begin(&j);
        world.act_fails = runs[i].act_fails;
        world.undo_fails = runs[i].undo_fails;
        world.stop_in_act = runs[i].stop;
        play_step(&j.play, runs[i].first, "", 0, 0);
        play_step(&j.play, runs[i].second, "", 0, 0);
        play_run(&j.play);
        check_str(buf_str(&world.story), runs[i].story);
        open = open_entries(&j);
        check_str(open, runs[i].open);
        journal_end(&j);
    }
}

static void on_acted(const struct sentence *s, const char *what, const char *note, void *userdata)
{
    buf_addf(userdata, "%s %s [%s]; ", what, s->text, note);
}

TEST(a_fault_that_an_action_heals_has_ended_for_those_who_watch)
{
    struct buf told = BUF_INIT(1 << 16);
    struct watcher watcher = { .acted = on_acted, .userdata = &told };
    struct journal j;

    journal_begin(&j);
    j.play.config.watcher = &watcher;
    play_step(&j.play, "cut-1", "", 0, 0);
    play_step(&j.play, "fix-1", "", 0, 0);
    play_run(&j.play);
    check_str(buf_str(&told), "fault cut-1 [done]; do fix-1 [done]; undo cut-1 [by: fix-1]; ");
    journal_end(&j);
    buf_done(&told);
}

TEST(what_cannot_be_journalled_is_not_done)
{
    struct journal j;

    journal_begin(&j);
    j.play.config.ledger = j.ledger;
    /* Text that no ledger can hold. */
    play_step(&j.play, "cut-1", "", 0, 0);
    j.play.actions[0][0].text[4] = '\xff';
    play_run(&j.play);
    check_int(j.play.result.result, RESULT_FAILED);
    check_has(j.play.result.steps[0].failure, "not done: the ledger");
    check_str(buf_str(&world.story), "evidence");
    journal_end(&j);
}

/* --- A lab that stays up --------------------------------------------------------------------- */

/* As scenario_sentence() makes it: owned, one step. */
static struct scenario *one_sentence(const char *words, int64_t within_ms)
{
    struct scenario *s = xcalloc(1, sizeof(*s));
    struct step *step = s->steps = xcalloc(1, sizeof(*s->steps));
    struct sentence *list = xcalloc(MAX_CHECKS, sizeof(*list));
    size_t n = sentences(words, list);

    s->n_steps = 1;
    step->name = xstrdup(words);
    step->within_ms = within_ms;
    step->actions = within_ms ? NULL : list;
    step->n_actions = within_ms ? 0 : n;
    step->expects = within_ms ? list : NULL;
    step->n_expects = within_ms ? n : 0;
    return s;
}

static enum result say(struct session *s, const char *words, int64_t within_ms)
{
    struct step_result result;
    enum result r = session_run(s, one_sentence(words, within_ms), &result);

    check_str(result.name, words);
    check_int(result.result, r);
    step_result_done(&result);
    return r;
}

/* "cut-1 cut-2"; the caller frees it. */
static char *faults_of(const struct session *s)
{
    CLEANUP_FREE struct open_fault *faults = NULL;
    CLEANUP_STRV char **texts = NULL;
    size_t n = session_faults(s, &faults);

    for (size_t i = 0; i < n; i++) {
        strv_add(&texts, faults[i].sentence);
        check_true(faults[i].wall_ms > 0);
    }
    return strv_join(texts, " ");
}

TEST(faults_of_a_session_stay_open_until_it_is_healed)
{
    CLEANUP_FREE char *open = NULL, *rest = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct journal j;
    struct session *s;

    journal_begin(&j);
    s = session_new(&j.play.config);
    world.scripts[0] = "nny";
    check_int(say(s, "cut-1", 0), RESULT_PASSED);
    check_int(say(s, "cut-2", 0), RESULT_PASSED);
    check_int(say(s, "a", 5000), RESULT_PASSED);
    check_true(world.fault_wall_ms > 0);
    check_int(say(s, "cut-3", 0), RESULT_PASSED);
    check_int(say(s, "fix-1", 0), RESULT_PASSED);
    open = faults_of(s);
    check_str(open, "cut-2 cut-3");
    check_ok(session_heal(s, &err), err);
    check_ok(session_heal(s, &err), err);
    rest = faults_of(s);
    check_str(rest, "");
    check_str(buf_str(&world.story), "cut-1/1 cut-2/2 an an ay cut-3/3 fix-1/3 undo-cut-3/2 "
                                     "undo-cut-2/1");
    session_free(s);
    journal_end(&j);
}

TEST(healing_goes_on_after_what_cannot_be_undone)
{
    CLEANUP_FREE char *open = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct journal j;
    struct session *s;

    journal_begin(&j);
    s = session_new(&j.play.config);
    say(s, "cut-1 cut-2", 0);
    world.undo_fails = true;
    check_true(session_heal(s, &err) < 0);
    check_str(err_text(err), "cut-2: stuck\ncut-1: stuck");
    open = faults_of(s);
    check_str(open, "cut-1 cut-2");
    world.undo_fails = false;
    check_true(session_heal(s, NULL) == 0);
    session_free(s);
    journal_end(&j);
}

TEST(a_failed_sentence_does_not_end_a_session)
{
    struct journal j;
    struct session *s;

    journal_begin(&j);
    s = session_new(&j.play.config);
    world.scripts[0] = "x";
    world.scripts[1] = "y";
    check_int(say(s, "a", 1000), RESULT_FAILED);
    check_int(say(s, "b", 1000), RESULT_PASSED);
    session_free(s);
    journal_end(&j);
}

CHECK_MAIN()
