/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Golden traces: testdata/NAME.trace holds what happens, a line each (play.h has the list),
 * and below each line, marked with "> ", what the operator does about it. CHECK_REGEN=1 writes the
 * answers anew: look at the difference.
 */

#include "fleet/operator/play.h"

/* --- the tests ---------------------------------------------------------------------------- */

static void play_trace(const char *name)
{
    CLEANUP_FREE char *path = xasprintf("fleet/operator/testdata/%s.trace", name);
    CLEANUP_FREE char *text = check_read(path, NULL);
    struct play p;

    check_case("%s", name);
    play_init(&p);
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        if (*line == '>')
            continue;
        buf_addf(&p.out, "%s\n", line);
        play_line(&p, line);
    }
    check_golden(buf_str(&p.out), path);
    play_done(&p);
}

static const char *const traces[] = { "start",        "restart", "select",  "delete",
                                      "names",        "reach",   "corrupt", "broken",
                                      "broken-start", "lost",    "report",  "marker" };

TEST(decisions_are_as_their_traces_say)
{
    for (size_t i = 0; i < ARRAY_LEN(traces); i++)
        play_trace(traces[i]);
}

/* Acknowledges and shows everything, without keeping text. */
static size_t drive(struct play *p)
{
    size_t n = 0;
    struct list_link *first;

    while ((first = list_first(&p->pending))) {
        struct pending *pending = LIST_ITEM(first, struct pending, link);
        CLEANUP_FREE char *target = xstrdup(pending->target);
        bool is_key = !pending->body;

        n++;
        finish(p, pending, true);
        if (is_key)
            echo(p, target);
        buf_reset(&p->out);
    }
    return n;
}

#define DEVICES 10000
#define DEPLOYMENTS 1000
#define GROUPS 1000

/* Each deployment matches ten devices, each device runs ten. */
TEST(ten_thousand_devices_and_a_thousand_deployments_are_no_burden)
{
    static const char *const all[] = { "deployments", "devices",      "desired-state",
                                       "device-info", "device-state", "device-heartbeat" };
    int64_t start = check_now_ms(), seeded, reported;
    size_t done, right = 0;
    struct play p;

    check_timeout(180); /* the sanitizers take ten times as long */
    play_init(&p);
    play_line(&p, "up");
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        feed(&p, (struct event){ .type = EVENT_BEGIN, .source = source_of(all[i]) });
    for (int i = 0; i < DEVICES; i++) {
        CLEANUP_FREE char *line = xasprintf("info d%d group=g%d", i, i % GROUPS);
        CLEANUP_FREE char *beat = xasprintf("beat d%d", i);

        play_line(&p, line);
        play_line(&p, beat);
    }
    for (int i = 0; i < DEPLOYMENTS; i++) {
        CLEANUP_FREE char *line = xasprintf("dep load/a%d group=g%d", i, i % GROUPS);
        play_line(&p, line);
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        feed(&p, (struct event){ .type = EVENT_END, .source = source_of(all[i]) });
    done = drive(&p);
    pass(&p, "2");
    done += drive(&p);
    seeded = check_now_ms();
    check_int((int64_t)p.w.cells.n, DEVICES * DEPLOYMENTS / GROUPS);

    for (int i = 0; i < DEVICES; i++) {
        CLEANUP_FREE char *line = xasprintf("state d%d a%d Running", i, i % GROUPS);
        play_line(&p, line);
    }
    pass(&p, "2");
    done += drive(&p);
    reported = check_now_ms();
    MAP_EACH(e, &p.w.names)
    right += ((struct name *)e->value)->counts[TALLY_SUCCEEDED] == DEVICES / GROUPS;
    check_int((int64_t)right, DEPLOYMENTS);
    check_true(list_empty(&p.w.dirty));
    printf("# %d devices, %d deployments: seeded in %jd ms, %d reports in %jd ms, %zu actions\n",
           DEVICES, DEPLOYMENTS, (intmax_t)(seeded - start), DEVICES, (intmax_t)(reported - seeded),
           done);

    /* One device that changes costs a look at each deployment, no more. */
    start = check_now_ms();
    for (int i = 0; i < 100; i++) {
        CLEANUP_FREE char *line = xasprintf("info d%d group=g%d", i, i + 1);
        play_line(&p, line);
    }
    drive(&p);
    printf("# 100 devices change their labels: %jd ms\n", (intmax_t)(check_now_ms() - start));
    check_true(check_now_ms() - start < 20000);
    play_done(&p);
}

CHECK_MAIN()
