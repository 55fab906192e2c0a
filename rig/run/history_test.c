/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/history.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/report.h"

static const struct history_run a_run = {
    .scenario = (char[]){ "power-cycle" },
    .story = (char[]){ "A device loses power." },
    .path = (char[]){ "scenarios/power-cycle.yml" },
    .control_plane = (char[]){ "embedded" },
    .arch = (char[]){ "x86_64" },
    .host = (char[]){ "2 cores, 23 GiB" },
    .version = (char[]){ "0.1.0" },
    .began_wall_ms = INT64_C(1776795342000),
    .devices = (char *[]){ (char[]){ "edge-1" }, (char[]){ "edge-2" }, NULL },
    .components = (char *[]){ (char[]){ "nats" }, NULL },
    .variables = (char *[]){ (char[]){ "count=3" }, NULL },
};

static struct check_result a_check = {
    .sentence = (char[]){ "device edge-1 is reachable" },
    .verdict = VERDICT_NO,
    .asked = true,
    .last = "Reachable=False, key 0123456789abcdef",
    .asked_ms_ago = 20,
    .same_ms = 900,
    .seen = { { .for_ms = 300, .blind = true, .text = (char[]){ "no answer" } },
              { .at_ms = 300, .for_ms = 900, .text = (char[]){ "Reachable=False" } } },
    .n_seen = 2,
};

static struct step_result a_step = {
    .name = (char[]){ "power returns" },
    .number = 1,
    .result = RESULT_FAILED,
    .took_ms = 1300,
    .within_ms = 1200,
    .factor = 1.5,
    .failure = (char[]){ "the deadline has passed" },
    .checks = &a_check,
    .n_checks = 1,
    .closest_held = 1,
    .closest_ms = 700,
    .closest_missed = (char *[]){ (char[]){ "that: this" }, NULL },
};

static struct history_writer *begun(const char *path)
{
    CLEANUP_ERR struct err *err = NULL;
    struct history_writer *w = NULL;

    need_ok(history_begin(path, &a_run, &w, &err), err);
    return w;
}

/* A short failing run, as the engine tells it; the caller ends it. */
static void tell(struct history_writer *w, struct run_result *ret)
{
    struct sentence cut = { .text = (char[]){ "cut power of edge-1" } };
    struct watcher watcher = { 0 };

    history_watch(w, &watcher);
    history_redact(w, "0123456789abcdef");
    history_add(w, HISTORY_PHASE, NULL, "begin", "artefacts", NULL);
    history_add(w, HISTORY_PHASE, NULL, "end", "artefacts", NULL);
    history_learnt(w, "tcg", 1.5);
    run_result_add(ret, "lab", RESULT_PASSED, 3000, NULL);
    history_step_begin(w, &ret->steps[0]);
    history_add(w, HISTORY_LANE, "edge-1", "start", "power on", NULL);
    history_step_end(w, &ret->steps[0]);
    watcher.step(&a_step, 1, 1, watcher.userdata);
    watcher.acted(&cut, "fault", "it is off\xff", watcher.userdata);
    for (int i = 0; i < 3; i++)
        watcher.looked(&a_check, watcher.userdata);
    watcher.done(&a_step, watcher.userdata);
    history_add(w, HISTORY_NOTE, NULL, "evidence", "/runs/1/evidence", NULL);
    ret->result = RESULT_FAILED;
}

/* Everything in it but times of events. The caller frees it. */
static char *dump(const struct history *h)
{
    CLEANUP_JSON json_t *result = run_result_json(&h->result);
    CLEANUP_FREE char *steps = json_text(result);
    CLEANUP_FREE char *devices = strv_join(h->run.devices, ","),
                      *components = strv_join(h->run.components, ","),
                      *variables = strv_join(h->run.variables, ",");
    struct buf b = BUF_INIT(1 << 20);

    buf_addf(&b, "%s|%s|%s|%s|%s|%s|%s|%s|%.1f|%lld|%s|%s|%s\n", h->run.scenario, h->run.story,
             h->run.path, h->run.control_plane, h->run.arch, h->run.accel, h->run.host,
             h->run.version, h->run.factor, (long long)h->run.began_wall_ms, devices, components,
             variables);
    for (size_t i = 0; i < h->n_events; i++)
        buf_addf(&b, "%d|%s|%s|%s|%s|%zu\n", (int)h->events[i].kind, h->events[i].lane,
                 h->events[i].what, h->events[i].text, h->events[i].detail, h->events[i].step);
    buf_addf(&b, "%s\n%d|%lld|%lld|%lld|%s\n", steps, h->ended, (long long)h->total_ms,
             (long long)h->down_ms, (long long)h->cpu_ms, h->evidence ? h->evidence : "-");
    return buf_steal(&b);
}

TEST(what_was_written_is_read)
{
    CLEANUP_FREE char *path = xasprintf("%s/history.jsonl", check_tmpdir());
    CLEANUP_FREE char *written = NULL, *read = NULL, *file = NULL;
    CLEANUP(history_free) struct history *h = NULL, *again = NULL;
    struct history_writer *w = begun(path);
    CLEANUP_ERR struct err *err = NULL;
    struct run_result result = { 0 };

    tell(w, &result);
    /* The last step stands in its event, too: at the end the whole result counts. */
    result.steps = xreallocarray(result.steps, 2, sizeof(*result.steps));
    result.steps[1] = a_step;
    result.n_steps = 2;
    history_result(w, &result);
    result.n_steps = 1;
    run_result_done(&result);
    need_ok(history_end(w, RESULT_FAILED, 9000, 800, 70, &h, &err), err);
    need_ok(history_read(path, &again, &err), err);
    written = dump(h);
    read = dump(again);
    check_str(read, written);
    check_golden(read, "rig/run/testdata/history.dump");
    need_ok(file_read(path, 1 << 20, &file, NULL, &err), err);
    check_true(!strstr(file, "0123456789abcdef"));
    check_has(file, "key ***");
}

TEST(a_run_that_died_has_a_history_as_far_as_it_came)
{
    CLEANUP(history_free) struct history *h = NULL;
    CLEANUP_BUF struct buf tap = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(history_read("rig/run/testdata/died.jsonl", &h, &err), err);
    check_true(!h->ended);
    check_int(h->result.result, RESULT_INTERRUPTED);
    check_int((int64_t)h->result.n_steps, 2);
    check_int(h->result.steps[0].result, RESULT_PASSED);
    check_str(h->result.steps[1].name, "power fails");
    check_int((int64_t)h->result.steps[1].number, 1);
    check_int(h->result.steps[1].result, RESULT_INTERRUPTED);
    check_int(h->result.steps[1].took_ms, 198);
    check_str(h->run.accel, "tcg");
    check_true(h->run.factor == 1.5);
    check_str(h->events[h->n_events - 1].detail, "Reachable=True");
    report_tap((const struct history *const[]){ h }, 1, &tap);
    check_has(buf_str(&tap), "not ok 2 - power-cycle: power fails");
}

TEST(a_failed_step_fails_a_run_that_died_later)
{
    CLEANUP_FREE char *path = xasprintf("%s/history.jsonl", check_tmpdir());
    CLEANUP(history_free) struct history *h = NULL;
    struct history_writer *w = begun(path);
    CLEANUP_ERR struct err *err = NULL;
    struct run_result result = { 0 };

    tell(w, &result);
    run_result_done(&result);
    need_ok(history_read(path, &h, &err), err);
    check_true(!h->ended);
    check_int(h->result.result, RESULT_FAILED);
    check_str(h->result.steps[1].checks[0].seen[0].text, "no answer");
    check_str(h->evidence, "/runs/1/evidence");
    history_end(w, RESULT_FAILED, 0, 0, 0, NULL, NULL);
}

TEST(a_full_disk_is_told_and_loses_nothing_in_memory)
{
    CLEANUP_FREE char *path = xasprintf("%s/history.jsonl", check_tmpdir());
    CLEANUP(history_free) struct history *h = NULL, *read = NULL;
    struct history_writer *w = begun(path);
    CLEANUP_ERR struct err *err = NULL;
    struct run_result result = { 0 };
    struct rlimit old, small;
    int r;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){ .rlim_cur = 500, .rlim_max = old.rlim_max };
    setrlimit(RLIMIT_FSIZE, &small);
    tell(w, &result);
    r = history_end(w, RESULT_FAILED, 9000, 800, 70, &h, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    run_result_done(&result);
    check_true(r < 0);
    check_has(err_text(err), "could not be written");
    check_int((int64_t)h->result.n_steps, 2);
    check_true(h->ended);
    /* And what is there can be read. */
    need_ok(history_read(path, &read, NULL), NULL);
    check_str(read->run.scenario, "power-cycle");
    check_true(!read->ended);
}

TEST(a_history_needs_no_file)
{
    CLEANUP(history_free) struct history *h = NULL;
    struct history_writer *w = begun(/* path= */ NULL);
    CLEANUP_ERR struct err *err = NULL;

    history_add(w, HISTORY_NOTE, NULL, "warning", "the disk is full", NULL);
    check_ok(history_end(w, RESULT_PASSED, 1, 1, 1, &h, &err), err);
    check_str(h->events[0].text, "the disk is full");
}

TEST(a_history_that_is_there_is_not_overwritten)
{
    CLEANUP_FREE char *path = xasprintf("%s/history.jsonl", check_tmpdir());
    CLEANUP_ERR struct err *err = NULL;
    struct history_writer *w = begun(path), *other = NULL;

    check_int(history_begin(path, &a_run, &other, &err), -EEXIST);
    history_end(w, RESULT_PASSED, 0, 0, 0, NULL, NULL);
}

#define THREADS 4
#define EVENTS 200

static void *tell_many(void *userdata)
{
    for (int i = 0; i < EVENTS; i++)
        history_add(userdata, HISTORY_LANE, "edge-1", "log", "a line", NULL);
    return NULL;
}

TEST(events_come_from_any_thread)
{
    CLEANUP_FREE char *path = xasprintf("%s/history.jsonl", check_tmpdir());
    CLEANUP(history_free) struct history *h = NULL;
    struct history_writer *w = begun(path);
    struct run_result result = { 0 };
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        need_true(pthread_create(&threads[i], NULL, tell_many, w) == 0);
    tell(w, &result);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    run_result_done(&result);
    check_int(history_end(w, RESULT_PASSED, 1, 1, 1, NULL, NULL), 0);
    need_true(history_read(path, &h, NULL) == 0);
    check_int((int64_t)h->n_events, THREADS * EVENTS + 10);
}

static const struct {
    const char *name, *says;
} bad[] = {
    { "empty", "no history of a run" },
    { "no-run", "no history of a run" },
    { "no-json", "no history of a run" },
    { "newer", "a history of version 2, this rig knows version 1" },
    { "no-version", "no history of a run" },
    { "devices-numbers", ":1: damaged" },
    { "factor-negative", ":1: damaged" },
    { "torn-middle", ":2: damaged" },
    { "ev-number", ":2: damaged" },
    { "t-negative", ":2: damaged" },
    { "result-unknown", ":2: damaged" },
    { "result-absent", ":2: damaged" },
    { "step-no-result", ":2: damaged" },
    { "check-unknown", ":2: damaged" },
    { "check-seen-too-many", ":2: damaged" },
    { "end-number", ":2: damaged" },
};

TEST(what_is_no_history_is_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP_FREE char *path = xasprintf("rig/run/testdata/bad/%s.jsonl", bad[i].name);
        CLEANUP_ERR struct err *err = NULL;
        struct history *h = NULL;

        check_case("%s", bad[i].name);
        check_int(history_read(path, &h, &err), -EPROTO);
        check_has(err_text(err), bad[i].says);
        check_true(h == NULL);
    }
}

CHECK_MAIN()
