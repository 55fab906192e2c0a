/* SPDX-License-Identifier: AGPL-3.0-only */

/* Verbs of components and of what the platform keeps, on a lab without devices: real servers, which are
 * killed and paused for real. */

#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/names.h"
#include "fleet/wire/resource.h"
#include "rig/verbs/look.h"

#define WAIT_MS 5000

struct bench {
    struct lab *lab;
    struct verb_run run;
};

/* The programs of the variant under test stand beside the tests: build/VARIANT/{test,bin}. */
static char *programs(void)
{
    CLEANUP_FREE char *self = realpath("/proc/self/exe", NULL);
    char *test = self ? strstr(self, "/test/") : NULL;

    need_true(test != NULL);
    return xasprintf("%.*s/bin", (int)(test - self), self);
}

static void bench_up(struct bench *b)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    CLEANUP_FREE char *cache =
            xdg ? xasprintf("%s/fleetrig", xdg) : xasprintf("%s/.cache/fleetrig", home ? home : "");
    CLEANUP_FREE char *bin = programs();
    CLEANUP_ERR struct err *err = NULL;
    struct lab_config config = { .dir = check_tmpdir(),
                                 .cache_dir = cache,
                                 .root = ".",
                                 .programs = bin,
                                 .arch = "x86_64",
                                 .libvirt_uri = "private",
                                 .accel = "tcg",
                                 .heartbeat_ms = 2000,
                                 .unreachable_after_ms = 6000,
                                 .tick_ms = 5000 };

    check_timeout(180);
    need_ok(lab_new(&config, &b->lab, &err), err);
    need_ok(lab_up(b->lab, &err), err);
    b->run = (struct verb_run){ .lab = b->lab, .memory = json_object() };
}

static void bench_down(struct bench *b)
{
    lab_free(b->lab);
    json_decref(b->run.memory);
}

static void parse(const char *text, struct sentence *s)
{
    CLEANUP_ERR struct err *err = NULL;

    need_ok(sentence_parse(verb_table, verb_table_len, VERB_DO | VERB_FAULT | VERB_EXPECT, text, s,
                           &err),
            err);
}

static void does(struct bench *b, const char *text, const char *want_note)
{
    CLEANUP_ERR struct err *err = NULL;
    char note[SAMPLE_MAX] = "";
    struct sentence s = { 0 };

    check_case("%s", text);
    parse(text, &s);
    if (check_ok(s.verb->impl->act(&b->run, &s, note, &err), err))
        check_has(note, want_note);
    sentence_done(&s);
}

static void fails(struct bench *b, const char *text, const char *want)
{
    CLEANUP_ERR struct err *err = NULL;
    char note[SAMPLE_MAX] = "";
    struct sentence s = { 0 };

    check_case("%s", text);
    parse(text, &s);
    if (check_true(s.verb->impl->act(&b->run, &s, note, &err) < 0))
        check_has(err_text(err), want);
    sentence_done(&s);
}

static void is_undone(struct bench *b, const char *text)
{
    CLEANUP_ERR struct err *err = NULL;
    struct sentence s = { 0 };

    check_case("undo: %s", text);
    parse(text, &s);
    check_ok(s.verb->impl->undo(&b->run, &s, &err), err);
    check_ok(s.verb->impl->undo(&b->run, &s, &err), err);
    sentence_done(&s);
}

static void step_begins(struct bench *b, const char *text)
{
    CLEANUP_ERR struct err *err = NULL;
    struct sentence s = { 0 };

    parse(text, &s);
    check_case("before: %s", text);
    check_ok(s.verb->impl->prepare(&b->run, &s, &err), err);
    sentence_done(&s);
}

static enum verdict verdict(struct bench *b, const char *text)
{
    CLEANUP_ERR struct err *err = NULL;
    struct sample sample = { .verdict = VERDICT_NO };
    struct sentence s = { 0 };

    parse(text, &s);
    check_case("%s", text);
    check_ok(s.verb->impl->check(&b->run, &s, &sample, &err), err);
    printf("# %s: %s\n", text, sample.text);
    sentence_done(&s);
    return sample.verdict;
}

#define is_so(b, text) check_int(verdict(b, text), VERDICT_YES)
#define is_not_so(b, text) check_int(verdict(b, text), VERDICT_NO)

TEST(components_are_killed_stopped_paused_and_come_back)
{
    static const char *const names[] = { "operator", "nats", "apiserver", "etcd" };
    struct bench b = { 0 };

    bench_up(&b);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *kill = xasprintf("kill %s", names[i]);
        CLEANUP_FREE char *stop = xasprintf("stop %s", names[i]);
        CLEANUP_FREE char *start = xasprintf("start %s", names[i]);
        CLEANUP_FREE char *pause = xasprintf("pause %s", names[i]);
        CLEANUP_FREE char *resume = xasprintf("resume %s", names[i]);
        CLEANUP_FREE char *restart = xasprintf("restart %s 2 times", names[i]);
        CLEANUP_FREE char *runs = xasprintf("%s runs", names[i]);
        CLEANUP_FREE char *runs_not = xasprintf("%s does not run", names[i]);
        CLEANUP_FREE char *new_process = xasprintf("%s has a new process", names[i]);
        CLEANUP_ERR struct err *err = NULL;

        step_begins(&b, new_process);
        is_so(&b, runs);
        is_not_so(&b, new_process);
        does(&b, pause, "is in state T");
        is_so(&b, runs_not);
        does(&b, resume, "is in state");
        is_so(&b, runs);
        is_not_so(&b, new_process);
        does(&b, pause, "is in state T");
        is_undone(&b, pause);
        is_so(&b, runs);
        does(&b, kill, "was killed");
        is_so(&b, runs_not);
        is_not_so(&b, runs);
        fails(&b, kill, "does not run");
        fails(&b, pause, "does not run");
        check_ok(lab_check(b.lab, &err), err);
        is_undone(&b, kill);
        is_so(&b, new_process);
        does(&b, pause, "is in state T");
        does(&b, stop, "has ended"); /* also one that stands still */
        does(&b, start, "process");
        does(&b, start, "it runs already");
        does(&b, restart, "->");
        is_so(&b, runs);
        check_ok(lab_check(b.lab, &err), err);
    }
    fails(&b, "restart nats 0 times", "no restart");
    bench_down(&b);
}

static void put(struct bench *b, const char *key, const char *value)
{
    CLEANUP_ERR struct err *err = NULL;

    check_ok(bus_put(lab_bus(b->lab), BUCKET_DESIRED_STATE, key, value, strlen(value), WAIT_MS,
                     &err),
             err);
}

/* Keys that no Deployment wants: the operator stands still, so that it does not clear them away. */
TEST(writes_to_desired_state_are_seen)
{
    static const char as_before[] = "desired state is as before";
    static const char unwritten[] = "nothing was written to desired state";
    struct bench b = { 0 };

    bench_up(&b);
    does(&b, "pause operator", "");
    put(&b, "edge-1.one", "{}");
    step_begins(&b, as_before);
    step_begins(&b, unwritten);
    is_so(&b, as_before);
    is_so(&b, unwritten);
    does(&b, "kill nats", "");
    does(&b, "start nats", "");
    is_so(&b, as_before);
    is_so(&b, unwritten);
    put(&b, "edge-1.one", "{}"); /* the same bytes are a write, too */
    is_not_so(&b, as_before);
    check_int(verdict(&b, unwritten), VERDICT_NEVER);

    step_begins(&b, as_before);
    put(&b, "edge-2.two", "{}");
    is_not_so(&b, as_before);
    bus_delete(lab_bus(b.lab), BUCKET_DESIRED_STATE, "edge-2.two", WAIT_MS, NULL);
    is_so(&b, as_before);
    bus_delete(lab_bus(b.lab), BUCKET_DESIRED_STATE, "edge-1.one", WAIT_MS, NULL);
    is_not_so(&b, as_before);
    is_so(&b, "device edge-1 has 0 consumers");
    is_not_so(&b, "device edge-1 has 1 consumers");
    bench_down(&b);
}

static json_t *object_of(const char *name, const char *image)
{
    json_t *object =
            json_pack("{s:s, s:s, s:{s:s}, s:{s:{s:{s:s}}, s:{s:s, s:{s:[{s:s, s:s}]}}}}",
                      "apiVersion", FLEET_API_VERSION, "kind", "Deployment", "metadata", "name",
                      name, "spec", "targetSelector", "matchLabels", "group", "none", "score",
                      "type", "PodmanV0", "data", "services", "name", "web", "image", image);

    need_true(object != NULL);
    return object;
}

static void apply(struct bench *b, const char *name, const char *image)
{
    CLEANUP_JSON json_t *object = object_of(name, image);
    CLEANUP_ERR struct err *err = NULL;

    check_ok(kube_apply(lab_kube(b->lab), object, "rig", NULL, &err), err);
}

static bool observed(struct bench *b, const char *name, int64_t generation)
{
    CLEANUP_JSON json_t *like = object_of(name, "localhost/a:1"), *object = NULL;

    return look_object(&b->run, like, &object, NULL) >= 0 &&
           json_path_int(object, "status.observedGeneration", 0) == generation;
}

TEST(writes_to_deployments_are_seen)
{
    static const char aggregates[] = "aggregates are as before";
    static const char unwritten[] = "nothing was written to deployments";
    struct bench b = { 0 };

    bench_up(&b);
    apply(&b, "one", "localhost/a:1");
    check_within(WAIT_MS, observed(&b, "one", 1));
    step_begins(&b, aggregates);
    step_begins(&b, unwritten);
    does(&b, "restart operator", "->");
    is_so(&b, aggregates);
    is_so(&b, unwritten);
    apply(&b, "one", "localhost/a:2");
    check_within(WAIT_MS, observed(&b, "one", 2));
    is_not_so(&b, aggregates);
    check_int(verdict(&b, unwritten), VERDICT_NEVER);
    step_begins(&b, aggregates);
    apply(&b, "two", "localhost/a:1");
    is_not_so(&b, aggregates);
    bench_down(&b);
}

CHECK_MAIN()
