/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/forecast.h"

#include <stdlib.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/strv.h"

#define NAME_WIDTH 52
#define SECOND INT64_C(1000)

/* Nobody wants to know expected times to the millisecond. */
static const char *about(int64_t ms, char text[static DURATION_TEXT_MAX])
{
    return duration_format(ms < SECOND ? ms : (ms + SECOND / 2) / SECOND * SECOND, text);
}

static int64_t deadlines_ms(const struct scenario *s)
{
    int64_t ms = 0;

    for (size_t i = 0; i < s->n_steps; i++)
        ms += s->steps[i].within_ms + s->steps[i].holds_ms;
    return ms;
}

static int64_t expected_ms(const struct many_job *job)
{
    return job->expected_ms > 0 ? job->expected_ms : deadlines_ms(job->scenario);
}

static void add_step(const struct forecast *forecast, const struct scenario *s, size_t i,
                     struct buf *out)
{
    const struct step *step = &s->steps[i];
    int64_t before = past_step_ms(forecast->past, s->name, step->name);
    char limit[DURATION_TEXT_MAX], took[DURATION_TEXT_MAX];

    buf_addf(out, "  %2zu. %-*s", i + 1, NAME_WIDTH, step->name);
    if (step->n_expects)
        buf_addf(out, " %s %s", step->holds_ms ? "holds" : "within",
                 duration_format(step->holds_ms ? step->holds_ms : step->within_ms, limit));
    if (before >= 0)
        buf_addf(out, "%s about %s", step->n_expects ? "," : "", about(before, took));
    buf_addc(out, '\n');
}

static void add_job(const struct forecast *forecast, const struct many_job *job, struct buf *out)
{
    const struct scenario *s = job->scenario;
    const char *arch = s->arch ? s->arch : forecast->arch;
    char text[DURATION_TEXT_MAX];

    buf_addf(out, "%s: %zu device%s (%s, %lld MiB), %s\n", s->name, s->n_devices,
             s->n_devices == 1 ? "" : "s", arch, (long long)forecast->memory_mb, s->path);
    for (size_t i = 0; i < s->n_devices; i++) {
        CLEANUP_FREE char *labels = strv_join(s->devices[i].labels, " ");

        buf_addf(out, "   %s %s%s%s\n", s->devices[i].name, labels, s->devices[i].arch ? " " : "",
                 s->devices[i].arch ? s->devices[i].arch : "");
    }
    for (size_t i = 0; i < s->n_steps; i++)
        add_step(forecast, s, i, out);
    if (job->expected_ms > 0)
        buf_addf(out, "  takes about %s, as before\n\n", about(job->expected_ms, text));
    else
        buf_addf(out, "  takes at most %s after the fleet is up, by its deadlines\n\n",
                 about(deadlines_ms(s), text));
}

/* --- Time ------------------------------------------------------------------------------------ */

/* The running job that ends first. */
static size_t first_to_end(const struct schedule_job *jobs, const int64_t *ends, size_t n)
{
    size_t first = n;

    for (size_t i = 0; i < n; i++)
        if (jobs[i].state == SCHEDULE_RUNNING && (first == n || ends[i] < ends[first]))
            first = i;
    return first;
}

int64_t forecast_total_ms(const struct forecast *forecast)
{
    CLEANUP_FREE struct schedule_job *jobs = xcalloc(forecast->n_jobs + 1, sizeof(*jobs));
    CLEANUP_FREE int64_t *ends = xcalloc(forecast->n_jobs + 1, sizeof(*ends));
    struct schedule_host host = forecast->host;
    size_t n = forecast->n_jobs, next;
    int64_t now = 0;

    host.free_mb = host.memory_mb;
    for (size_t i = 0; i < n; i++)
        jobs[i] = (struct schedule_job){
            .need = schedule_need(forecast->jobs[i].scenario->n_devices, forecast->memory_mb),
            .expected_ms = forecast->jobs[i].expected_ms,
        };
    for (;;) {
        while ((next = schedule_next(&host, jobs, n)) < n) {
            jobs[next].state = SCHEDULE_RUNNING;
            ends[next] = now + expected_ms(&forecast->jobs[next]);
        }
        if ((next = first_to_end(jobs, ends, n)) == n)
            return now;
        jobs[next].state = SCHEDULE_OVER;
        now = ends[next];
    }
}

void forecast_text(const struct forecast *forecast, struct buf *out)
{
    int64_t total = forecast_total_ms(forecast);
    bool known = true;
    char text[DURATION_TEXT_MAX];

    for (size_t i = 0; i < forecast->n_jobs; i++) {
        add_job(forecast, &forecast->jobs[i], out);
        known &= forecast->jobs[i].expected_ms > 0;
    }
    buf_addf(out, "%zu scenario%s", forecast->n_jobs, forecast->n_jobs == 1 ? "" : "s");
    if (forecast->rounds > 1)
        buf_addf(out, ", %zu times each", forecast->rounds);
    if (forecast->rounds == 0)
        buf_adds(out, ", until one fails; a round takes");
    buf_addf(out, "%s %s %s\n", forecast->rounds == 0 ? "" : ":", known ? "about" : "at most",
             about(forecast->rounds > 1 ? total * (int64_t)forecast->rounds : total, text));
}
