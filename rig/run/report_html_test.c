/* SPDX-License-Identifier: AGPL-3.0-only */

/* FLEETRIG_REPORTS=DIR writes the pages of these tests there, for looking at them. */

#include "rig/run/report_html.h"

#include <string.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/report_html_test.h"

TEST(the_checker_of_well_formed_text_finds_mistakes)
{
    static const struct {
        const char *text, *complaint;
    } table[] = {
        { "<a b=\"c\">d &amp; e<br/></a>", NULL },
        { "<a><b></a></b>", "</a> closes <b>" },
        { "<a>", "<a> is not closed" },
        { "a & b", "a stray &: & b" },
        { "a > b", "a stray >: > b" },
        { "<a b=c></a>", "in a tag: <a b=c></a>" },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_FREE char *found = complaint(table[i].text);

        check_case("%s", table[i].text);
        check_str(found, table[i].complaint);
    }
}

/* --- Histories ------------------------------------------------------------------------------- */

#define EV(t, k, l, w, x, d, n)                                                                    \
    { .at_ms = (t),                                                                                \
      .kind = HISTORY_##k,                                                                         \
      .lane = (char *)(l),                                                                         \
      .what = (char *)(w),                                                                         \
      .text = (char *)(x),                                                                         \
      .detail = (char *)(d),                                                                       \
      .step = (n) }

static char so[] = "device edge-2 is reachable";
static char not_so[] = "http 8080 of edge-1 says \"hello v2\"";
static char gone[] = "deployment hello is running on edge-2";

static struct check_result checks[] = {
    { .sentence = so, .verdict = VERDICT_YES, .asked = true, .last = "edge-2: Reachable=True" },
    { .sentence = not_so,
      .asked = true,
      .last = "200: hello v1 <b>&\xff",
      .asked_ms_ago = 1,
      .same_ms = 40000,
      .seen = { { .at_ms = 8, .for_ms = 900, .blind = true, .text = (char[]){ "no answer" } },
                { .at_ms = 908, .for_ms = 40000, .text = (char[]){ "200: hello v1 <b>&\xff" } } },
      .n_seen = 2 },
    { .sentence = gone,
      .asked = true,
      .blind = true,
      .last = "edge-2: no answer",
      .same_ms = 38000,
      .asked_ms_ago = 20 },
};

static char *closest_missed[] = {
    (char[]){ "http 8080 of edge-1 says \"hello v2\": 200: hello v1" }, NULL
};

static struct step_result steps[] = {
    { .name = (char[]){ "lab" }, .took_ms = 36400 },
    { .name = (char[]){ "applied, it runs on the matching device only" },
      .took_ms = 2600,
      .within_ms = 180000 },
    { .name = (char[]){ "an image that does not exist is told" },
      .took_ms = 212,
      .within_ms = 60000 },
    { .name = (char[]){ "power returns" },
      .result = RESULT_FAILED,
      .took_ms = 41800,
      .within_ms = 40000,
      .failure = (char[]){ "the deadline has passed" },
      .checks = checks,
      .n_checks = ARRAY_LEN(checks),
      .closest_held = 2,
      .closest_ms = 12000,
      .closest_missed = closest_missed },
    { .name = (char[]){ "and nothing moves afterwards" },
      .result = RESULT_SKIPPED,
      .holds_ms = 20000 },
};

static struct history_event events[] = {
    EV(10, PHASE, "", "begin", "artefacts", "", 0),
    EV(370, PHASE, "", "end", "artefacts", "", 0),
    EV(371, PHASE, "", "begin", "machines: defining and switching on", "", 0),
    EV(900, LANE, "edge-1", "start", "switched on", "", 0),
    EV(1500, LANE, "edge-2", "start", "switched on", "", 0),
    EV(1600, PHASE, "", "end", "machines: defining and switching on", "", 0),
    EV(1610, PHASE, "", "begin", "Kubernetes API", "", 0),
    EV(1700, LANE, "etcd", "start", "", "", 0),
    EV(2100, LANE, "etcd", "ready", "", "", 0),
    EV(2110, LANE, "apiserver", "start", "", "", 0),
    EV(3050, LANE, "apiserver", "ready", "", "", 0),
    EV(3060, LANE, "apiserver", "log",
       "warning: No authorization-kubeconfig provided, so SubjectAccessReview won't work", "", 0),
    EV(3110, PHASE, "", "end", "Kubernetes API", "", 0),
    EV(5500, LANE, "nats", "start", "", "", 0),
    EV(5560, LANE, "nats", "ready", "", "", 0),
    EV(5700, LANE, "operator", "start", "", "", 0),
    EV(6600, LANE, "operator", "ready", "", "", 0),
    EV(6700, PHASE, "", "begin", "machine edge-1: waiting for SSH", "", 0),
    EV(13100, LANE, "edge-1", "ready", "logged in", "", 0),
    EV(13900, LANE, "edge-2", "ready", "logged in", "", 0),
    EV(19100, PHASE, "", "end", "machine edge-1: waiting for SSH", "", 0),
    EV(20000, LANE, "edge-1", "state", "Reachable=True", "", 0),
    EV(21000, LANE, "edge-2", "state", "Reachable=True", "", 0),
    EV(36410, STEP, "", "begin", "applied, it runs on the matching device only", "", 1),
    EV(36500, ACTION, "", "do", "apply manifests/hello-v1.yml", "Deployment hello changed", 1),
    EV(36600, SAMPLE, "", "no", "deployment hello is running on edge-1",
       "edge-1: no state is reported", 1),
    EV(37000, LANE, "operator", "state", "hello: 0 of 1 succeeded", "", 1),
    EV(37200, LANE, "edge-1", "state", "hello: Pending", "", 1),
    EV(38600, LANE, "edge-1", "state", "hello: Running", "", 1),
    EV(38900, SAMPLE, "", "yes", "deployment hello is running on edge-1", "edge-1: Running", 1),
    EV(39000, STEP, "", "passed", "applied, it runs on the matching device only", "", 1),
    EV(39001, STEP, "", "begin", "an image that does not exist is told", "", 2),
    EV(39100, ACTION, "", "do", "apply manifests/hello-bad-image.yml", "", 2),
    EV(39180, LANE, "edge-1", "state", "hello: Failed", "localhost/hello:v9: no such image", 2),
    EV(39213, STEP, "", "passed", "an image that does not exist is told", "", 2),
    EV(39214, STEP, "", "begin", "power returns", "", 3),
    EV(39300, ACTION, "", "fault", "cut power of edge-2", "domain destroyed", 3),
    EV(39301, LANE, "edge-2", "stop", "power cut", "", 3),
    EV(39400, SAMPLE, "", "yes", "device edge-2 is reachable", "edge-2: Reachable=True", 3),
    EV(40200, ACTION, "", "undo", "cut power of edge-2", "", 3),
    EV(40210, ACTION, "", "fault", "restore power of edge-2", "", 3),
    EV(40300, LANE, "edge-2", "start", "switched on", "", 3),
    EV(40900, SAMPLE, "", "no", "http 8080 of edge-1 says \"hello v2\"", "200: hello v1", 3),
    EV(46000, LANE, "edge-2", "state", "Reachable=False", "no heartbeat for 6 s", 3),
    EV(52000, LANE, "edge-2", "ready", "logged in", "", 3),
    EV(54000, LANE, "edge-2", "state", "Reachable=True", "", 3),
    EV(60000, LANE, "nats", "log", "error: slow consumer \xff<script>alert(1)</script>", "", 3),
    EV(66000, LANE, "operator", "died", "exited with status 1", "password=hunter22", 3),
    EV(81000, STEP, "", "failed", "power returns", "", 3),
    EV(81100, NOTE, "", "evidence", "/runs/x/evidence", "", 0),
    EV(86000, NOTE, "", "warning", "the API server did not answer", "", 0),
    EV(87000, NOTE, "", "down", "", "", 0),
};

static char *devices[] = { (char *)"edge-1", (char *)"edge-2", NULL };
static char *components[] = { (char *)"etcd", (char *)"apiserver", (char *)"nats",
                              (char *)"operator", NULL };
static char *variables[] = { (char *)"image=v1", NULL };
static char *secrets[] = { (char *)"s3cr3t-known", NULL };

static struct history failed_history(void)
{
    return (struct history){
        .run = { .scenario = (char *)"report-fail",
                 .story = (char *)"A device loses power while it runs a workload. It comes back.",
                 .path = (char *)"scenarios/report-fail.yml",
                 .control_plane = (char *)"embedded",
                 .arch = (char *)"x86_64",
                 .accel = (char *)"tcg",
                 .host = (char *)"2 cores, 23 GiB, Linux 6.1; QEMU 10.0.2",
                 .version = (char *)"0.1.0",
                 .factor = 1.25,
                 .began_wall_ms = INT64_C(1795258552000),
                 .devices = devices,
                 .components = components,
                 .variables = variables },
        .events = events,
        .n_events = ARRAY_LEN(events),
        .result = { .result = RESULT_FAILED, .steps = steps, .n_steps = ARRAY_LEN(steps) },
        .ended = true,
        .total_ms = 91000,
        .down_ms = 4000,
        .cpu_ms = 346,
        .evidence = (char *)"/runs/x/evidence",
    };
}

static const char observed[] =
        "[{\"device\":\"edge-1\",\"deployment\":\"hello\",\"desired\":\"hello localhost/hello:v9\","
        "\"reported\":\"Failed: no such image\",\"containers\":\"hello localhost/hello:v1 running\","
        "\"differs\":\"runs another image\"},"
        "{\"device\":\"edge-2\",\"deployment\":\"web\",\"desired\":\"web localhost/web:v1\","
        "\"reported\":\"Running\",\"containers\":\"web localhost/web:v1 running\"}]";
static const char nats_log[] = "[1] 2026/11/21 10:55:58.296499 [WRN] Plaintext passwords detected\n"
                               "[1] 2026/11/21 10:56:10.000000 [WRN] slow consumer\n"
                               "CONNECT {\"user\":\"u\",\"pass\":\"x1y2z3\"}\n";
static const char console[] = "\033[31mred\033[0m & \"quoted\" <tag>\xff\xfe\n]]>\n";

static const struct report_text texts[] = {
    { REPORT_OBSERVED, observed, sizeof(observed) - 1, sizeof(observed) - 1 },
    { "logs/nats.log", nats_log, sizeof(nats_log) - 1, 4096 },
    { "machines/edge-1/console.log", console, sizeof(console) - 1, sizeof(console) - 1 },
    { "missing.txt", "machines/edge-2: no answer\n", 27, 27 },
};

/* The page; also kept for looking at. */
static char *page(const char *name, const struct history *h, const struct report_text *list,
                  size_t n)
{
    struct report_html in = {
        .history = h, .folder = "/runs/x", .texts = list, .n_texts = n, .secrets = secrets
    };
    const char *dir = getenv("FLEETRIG_REPORTS");
    struct buf out = BUF_INIT(REPORT_HTML_MAX);
    char *wrong;

    report_html(&in, &out);
    check_true(!out.overflow);
    wrong = complaint(buf_str(&out));
    check_str(wrong, NULL);
    free(wrong);
    if (dir) {
        CLEANUP_FREE char *path = xasprintf("%s/%s.html", dir, name);

        file_write(path, buf_str(&out), out.len, 0644, NULL);
    }
    return buf_steal(&out);
}

TEST(a_failed_run)
{
    struct history h = failed_history();
    CLEANUP_FREE char *text = page("failed", &h, texts, ARRAY_LEN(texts));
    const char *body = strstr(text, "<body>");

    need_true(body);
    check_golden(body, "rig/run/testdata/report.html");
}

TEST(nothing_of_what_it_shows_becomes_markup)
{
    struct history h = failed_history();
    CLEANUP_FREE char *text = page("failed", &h, texts, ARRAY_LEN(texts));

    check_has(text, "hello v1 &lt;b&gt;&amp;?");
    check_true(!strstr(text, "<script"));
    check_has(text, "?[31mred?[0m &amp; &quot;quoted&quot; &lt;tag&gt;??\n]]&gt;");
}

TEST(secrets_are_hidden)
{
    struct history h = failed_history();
    CLEANUP_FREE char *text = NULL;

    h.run.story = (char *)"It knows s3cr3t-known.";
    text = page("secrets", &h, texts, ARRAY_LEN(texts));
    check_has(text, "It knows ***.");
    check_has(text, "password=***");
    check_has(text, "&quot;pass&quot;:&quot;***&quot;");
    check_true(!strstr(text, "hunter22") && !strstr(text, "x1y2z3"));
}

TEST(a_failure_says_what_was_expected_and_what_was_seen)
{
    struct history h = failed_history();
    CLEANUP_FREE char *text = page("failed", &h, texts, ARRAY_LEN(texts));

    check_has(text, "What failed: power returns");
    check_has(text, "<dt>last seen</dt><dd>200: hello v1");
    check_has(text, "<dt>unchanged for</dt><dd>40.0s; looked at 1ms before");
    check_has(text, "<dt>could not look</dt><dd>edge-2: no answer");
    check_has(text, "After 12.0s of waiting 2 of 3 held at the same time, but not");
    check_has(text, "blind</td><td>no answer <span class=\"muted\">for 900ms");
    check_has(text, "nats</td><td class=\"key\">log</td><td>warning: slow consumer");
    check_has(text, "<b>operator</b> at 1m06s: exited with status 1");
    check_has(text, "\u2260 runs another image");
    check_has(text, "of 4.0 KiB; the whole is in <code>/runs/x/evidence/logs/nats.log</code>");
}

TEST(a_passed_run)
{
    struct history h = failed_history();
    struct step_result good[3];
    CLEANUP_FREE char *text = NULL;

    memcpy(good, steps, sizeof(good));
    h.result = (struct run_result){ .result = RESULT_PASSED, .steps = good, .n_steps = 3 };
    h.n_events = 35;
    h.total_ms = 42000;
    h.evidence = NULL;
    text = page("passed", &h, texts + 1, 1);
    check_has(text, "<div class=\"verdict passed\">\u2713 passed</div>");
    check_true(!strstr(text, "What failed"));
}

TEST(a_run_that_died)
{
    struct history h = failed_history();
    struct step_result some[4];
    CLEANUP_FREE char *text = NULL;

    memcpy(some, steps, sizeof(some));
    some[3].result = RESULT_INTERRUPTED;
    some[3].n_checks = 0;
    h.result = (struct run_result){ .result = RESULT_INTERRUPTED, .steps = some, .n_steps = 4 };
    h.n_events = 45;
    h.ended = false;
    h.total_ms = h.down_ms = h.cpu_ms = 0;
    h.evidence = NULL;
    text = page("died", &h, NULL, 0);
    check_has(text, "? the run died, or still goes on");
    check_has(text, "Where it ended: power returns");
    check_has(text, "<td>http 8080 of edge-1 says &quot;hello v2&quot;<br/><span "
                    "class=\"muted\">200: hello v1</span>");
    check_has(text, "<dt>last heard of after</dt><dd>52.0s</dd>");
}

TEST(the_command_to_run_it_again_can_be_pasted)
{
    struct history h = failed_history();
    char *odd[] = { (char[]){ "image=v1" }, (char[]){ "say=it's <b> $HOME" }, NULL };
    CLEANUP_FREE char *text = NULL;

    h.run.path = (char[]){ "my scenarios/a.yml" };
    h.run.variables = odd;
    text = page("again", &h, NULL, 0);
    check_has(text, "<pre>rig run 'my scenarios/a.yml' --set image=v1 --set "
                    "'say=it'\\''s &lt;b&gt; $HOME'</pre>");
}

TEST(a_run_of_which_nothing_is_known)
{
    struct history h = { .run = { .scenario = (char *)"x" } };
    CLEANUP_FREE char *text = page("empty", &h, NULL, 0);

    check_has(text, "<h1>x</h1>");
}

/* --- A large one ----------------------------------------------------------------------------- */

#define DEVICES 12
#define FAULTS 30
#define BIG_EVENTS 6000

struct big {
    struct history h;
    char *names[DEVICES + 1];
    struct step_result steps[FAULTS + 1];
    char *texts[3 * FAULTS];
    size_t n_texts;
};

static void big_event(struct big *b, int64_t at, enum history_kind kind, const char *lane,
                      const char *what, const char *text, size_t step)
{
    if (b->h.n_events < BIG_EVENTS)
        b->h.events[b->h.n_events++] =
                (struct history_event)EV(at, NOTE, lane, what, text, "", step);
    b->h.events[b->h.n_events - 1].kind = kind;
}

static char *big_text(struct big *b, char *text)
{
    return b->texts[b->n_texts++] = text;
}

static void big_fault(struct big *b, size_t i)
{
    int64_t at = 60000 + (int64_t)i * 14000;
    const char *device = b->names[i % DEVICES];
    char *name = big_text(b, xasprintf("link of %s goes down for the %zuth time", device, i + 1));
    char *fault = big_text(b, xasprintf("cut the link of %s", device));

    b->steps[i + 1] = (struct step_result){ .name = name, .took_ms = 13000, .within_ms = 60000 };
    big_event(b, at, HISTORY_STEP, "", "begin", name, i + 1);
    big_event(b, at + 100, HISTORY_ACTION, "", "fault", fault, i + 1);
    big_event(b, at + 110, HISTORY_LANE, device, "link", "cut", i + 1);
    big_event(b, at + 4000, HISTORY_LANE, device, "state", "Reachable=False", i + 1);
    for (int s = 0; s < 100; s++)
        big_event(b, at + 5000 + s, HISTORY_SAMPLE, "", s % 2 ? "no" : "yes",
                  "device edge-1 is reachable", i + 1);
    big_event(b, at + 9000, HISTORY_ACTION, "", "undo", fault, i + 1);
    big_event(b, at + 11000, HISTORY_LANE, device, "state", "Reachable=True", i + 1);
    big_event(b, at + 13000, HISTORY_STEP, "", "passed", name, i + 1);
}

static void big_init(struct big *b)
{
    *b = (struct big){ .h = failed_history() };
    b->h.events = xcalloc(BIG_EVENTS, sizeof(*b->h.events));
    b->h.n_events = 0;
    for (size_t i = 0; i < DEVICES; i++) {
        b->names[i] = xasprintf("edge-%zu", i + 1);
        big_event(b, 1000 + 300 * (int64_t)i, HISTORY_LANE, b->names[i], "start", "", 0);
        big_event(b, 20000 + 2500 * (int64_t)i, HISTORY_LANE, b->names[i], "ready", "", 0);
        big_event(b, 30000 + 2500 * (int64_t)i, HISTORY_LANE, b->names[i], "state",
                  "hello: Running", 0);
    }
    for (size_t i = 0; i < 4; i++)
        for (size_t n = 0; n < 200; n++)
            big_event(b, 4000 + (int64_t)n * 2000, HISTORY_LANE, components[i], n ? "log" : "ready",
                      "warning: slow disk, it took 1.2s", 0);
    b->steps[0] = (struct step_result){ .name = (char *)"lab", .took_ms = 59000 };
    for (size_t i = 0; i < FAULTS; i++)
        big_fault(b, i);
    b->h.run.scenario = (char *)"flap";
    b->h.run.devices = b->names;
    b->h.run.components = components;
    b->h.result = (struct run_result){ .steps = b->steps, .n_steps = FAULTS + 1 };
    b->h.total_ms = 490000;
}

static void big_done(struct big *b)
{
    for (size_t i = 0; i < DEVICES; i++)
        free(b->names[i]);
    for (size_t i = 0; i < b->n_texts; i++)
        free(b->texts[i]);
    free(b->h.events);
}

TEST(many_devices_faults_and_long_logs_stay_within_bounds)
{
    CLEANUP_FREE char *log = xmalloc(2 << 20);
    struct report_text many[60];
    CLEANUP_FREE char *text = NULL;
    struct big b;

    memset(log, '<', 2 << 20); /* escaped it is four times as long */
    for (size_t i = 0; i < (2 << 20); i += 80)
        log[i] = '\n';
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = (struct report_text){ "machines/edge-1/journal.txt", log, 2 << 20, 64 << 20 };
    big_init(&b);
    text = page("big", &b.h, many, ARRAY_LEN(many));
    check_true(strlen(text) < REPORT_HTML_MAX * 3 / 4);
    check_has(text, "of 64.0 MiB; the whole is in");
    check_has(text, "more stand in history.jsonl");
    big_done(&b);
}

/* As large as a scenario may be, and larger. */
TEST(however_much_there_is_to_say_every_part_is_there)
{
    struct history h = failed_history();
    CLEANUP_FREE struct step_result *many = xcalloc(2000, sizeof(*many));
    CLEANUP_FREE struct history_event *all = xcalloc(40000, sizeof(*all));
    CLEANUP_FREE char *long_name = xmalloc(3000), *text = NULL;

    memset(long_name, '"', 2999);
    long_name[2999] = '\0';
    for (size_t i = 0; i < 2000; i++)
        many[i] = (struct step_result){ .name = long_name, .number = i + 1 };
    for (size_t i = 0; i < 40000; i++)
        all[i] = (struct history_event)EV((int64_t)i, ACTION, "", i % 2 ? "fault" : "do", long_name,
                                          long_name, i / 20 + 1);
    h.result = (struct run_result){ .result = RESULT_FAILED, .steps = many, .n_steps = 2000 };
    h.events = all;
    h.n_events = 40000;
    text = page("huge", &h, texts, ARRAY_LEN(texts));
    check_has(text, "There was more to draw than a page holds");
    check_has(text, "more steps stand in history.jsonl");
    check_has(text, "\u2260 runs another image");
    check_has(text, "slow consumer");
    check_has(text, "</footer>");
}

CHECK_MAIN()
