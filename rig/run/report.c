/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/report.h"

#include <string.h>

#include "base/clock.h"

#define TEXT_MAX (256 * 1024)

/* Bytes of the UTF-8 character at `s`, of which `left` are there; 0 when there is none (RFC 3629,
 * without surrogates and without the two that XML forbids). */
static size_t utf8_len(const unsigned char *s, size_t left)
{
    size_t len = s[0] < 0x80                   ? 1
                 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                               : 0;

    if (len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90) ||
        (s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe))
        return 0;
    return len;
}

void report_clean_bytes(struct buf *out, const char *text, size_t n)
{
    for (const char *end = text + n; text < end;) {
        size_t len = utf8_len((const unsigned char *)text, (size_t)(end - text));
        bool control = len == 1 && ((unsigned char)*text < 0x20 || *text == 0x7f) &&
                       *text != '\n' && *text != '\t';

        if (len == 0 || control)
            buf_addc(out, '?');
        else
            buf_add(out, text, len);
        text += len ? len : 1;
    }
}

void report_clean(struct buf *out, const char *text)
{
    report_clean_bytes(out, text, strlen(text));
}

/* In an attribute line ends and tabs would be read as spaces. */
void report_xml(struct buf *out, const char *text, size_t len, bool attribute)
{
    CLEANUP_BUF struct buf clean = BUF_INIT(TEXT_MAX);

    report_clean_bytes(&clean, text, len);
    for (const char *c = buf_str(&clean); *c; c++) {
        if (*c == '&')
            buf_adds(out, "&amp;");
        else if (*c == '<')
            buf_adds(out, "&lt;");
        else if (*c == '>')
            buf_adds(out, "&gt;");
        else if (*c == '"')
            buf_adds(out, "&quot;");
        else if (attribute && (*c == '\n' || *c == '\t'))
            buf_addf(out, "&#%d;", *c);
        else
            buf_addc(out, *c);
    }
}

static void add_xml(struct buf *out, const char *text, bool attribute)
{
    report_xml(out, text, strlen(text), attribute);
}

static void add_attribute(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, " %s=\"", name);
    add_xml(out, value, /* attribute= */ true);
    buf_addc(out, '"');
}

static size_t count(const struct run_result *r, enum result result)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_steps; i++)
        n += r->steps[i].result == result;
    return n;
}

static int64_t steps_ms(const struct run_result *r)
{
    int64_t ms = 0;

    for (size_t i = 0; i < r->n_steps; i++)
        ms += r->steps[i].took_ms;
    return ms;
}

static void add_totals(struct buf *out, size_t tests, size_t failures, size_t errors,
                       size_t skipped, int64_t ms)
{
    buf_addf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\"",
             tests, failures, errors, skipped, (double)ms / 1000);
}

/* A step says itself why it was skipped, unless it stood behind another. */
static const char *skip_text(const struct step_result *step)
{
    return step->failure ? step->failure : "an earlier step did not pass";
}

static void add_case(struct buf *out, const char *suite, const struct step_result *step)
{
    CLEANUP_BUF struct buf why = BUF_INIT(TEXT_MAX);

    buf_adds(out, "    <testcase");
    add_attribute(out, "classname", suite);
    add_attribute(out, "name", step->name);
    buf_addf(out, " time=\"%.3f\"", (double)step->took_ms / 1000);
    if (step->result == RESULT_PASSED) {
        buf_adds(out, "/>\n");
        return;
    }
    buf_adds(out, ">\n      ");
    if (step->result == RESULT_SKIPPED) {
        buf_adds(out, "<skipped");
        add_attribute(out, "message", skip_text(step));
        buf_adds(out, "/>");
    } else {
        const char *element = step->result == RESULT_FAILED ? "failure" : "error";

        step_result_explain(step, &why);
        buf_addf(out, "<%s", element);
        add_attribute(out, "message", step->failure ? step->failure : result_text(step->result));
        buf_addc(out, '>');
        add_xml(out, buf_str(&why), /* attribute= */ false);
        buf_addf(out, "</%s>", element);
    }
    buf_adds(out, "\n    </testcase>\n");
}

static void add_suite(struct buf *out, const struct history *run)
{
    const struct run_result *r = &run->result;
    char at[CLOCK_RFC3339_MAX];

    buf_adds(out, "  <testsuite");
    add_attribute(out, "name", run->run.scenario);
    add_totals(out, r->n_steps, count(r, RESULT_FAILED), count(r, RESULT_INTERRUPTED),
               count(r, RESULT_SKIPPED), steps_ms(r));
    add_attribute(out, "timestamp", clock_rfc3339(run->run.began_wall_ms, at));
    buf_adds(out, ">\n");
    for (size_t i = 0; i < r->n_steps; i++)
        add_case(out, run->run.scenario, &r->steps[i]);
    if (run->evidence) {
        buf_adds(out, "    <system-out>evidence: ");
        add_xml(out, run->evidence, /* attribute= */ false);
        buf_adds(out, "</system-out>\n");
    }
    buf_adds(out, "  </testsuite>\n");
}

void report_junit(const struct history *const *runs, size_t n, struct buf *out)
{
    size_t tests = 0, failures = 0, errors = 0, skipped = 0;
    int64_t ms = 0;

    for (size_t i = 0; i < n; i++) {
        tests += runs[i]->result.n_steps;
        failures += count(&runs[i]->result, RESULT_FAILED);
        errors += count(&runs[i]->result, RESULT_INTERRUPTED);
        skipped += count(&runs[i]->result, RESULT_SKIPPED);
        ms += steps_ms(&runs[i]->result);
    }
    buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"rig\"");
    add_totals(out, tests, failures, errors, skipped, ms);
    buf_adds(out, ">\n");
    for (size_t i = 0; i < n; i++)
        add_suite(out, runs[i]);
    buf_adds(out, "</testsuites>\n");
}

/* A description stands on one line; '#' would begin a directive. */
static void add_description(struct buf *out, const char *text)
{
    CLEANUP_BUF struct buf clean = BUF_INIT(TEXT_MAX);

    report_clean(&clean, text);
    for (const char *c = buf_str(&clean); *c; c++) {
        if (*c == '#' || *c == '\\')
            buf_addc(out, '\\');
        buf_addc(out, *c == '\n' || *c == '\t' ? ' ' : *c);
    }
}

/* A YAML block scalar: every line indented. */
static void add_diagnostic(struct buf *out, const char *text)
{
    CLEANUP_BUF struct buf clean = BUF_INIT(TEXT_MAX);
    const char *line;

    report_clean(&clean, text);
    buf_adds(out, "  ---\n  message: |2\n");
    line = buf_str(&clean);
    while (*line) {
        size_t len = strcspn(line, "\n");

        buf_addf(out, "    %.*s\n", (int)len, line);
        line += line[len] ? len + 1 : len;
    }
    buf_adds(out, "  ...\n");
}

static void add_test(struct buf *out, const char *suite, const struct step_result *step,
                     size_t number)
{
    CLEANUP_BUF struct buf why = BUF_INIT(TEXT_MAX);
    bool ok = step->result == RESULT_PASSED || step->result == RESULT_SKIPPED;

    buf_addf(out, "%sok %zu - ", ok ? "" : "not ", number);
    add_description(out, suite);
    buf_adds(out, ": ");
    add_description(out, step->name);
    if (step->result == RESULT_SKIPPED) {
        buf_adds(out, " # SKIP ");
        add_description(out, skip_text(step));
        buf_addc(out, '\n');
    } else {
        buf_addf(out, " # time=%lldms\n", (long long)step->took_ms);
    }
    if (ok)
        return;
    step_result_explain(step, &why);
    add_diagnostic(out, why.len ? buf_str(&why) : result_text(step->result));
}

void report_tap(const struct history *const *runs, size_t n, struct buf *out)
{
    size_t total = 0, number = 0;

    for (size_t i = 0; i < n; i++)
        total += runs[i]->result.n_steps;
    buf_addf(out, "TAP version 14\n1..%zu\n", total);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < runs[i]->result.n_steps; j++)
            add_test(out, runs[i]->run.scenario, &runs[i]->result.steps[j], ++number);
        if (runs[i]->evidence) {
            buf_adds(out, "# evidence: ");
            add_description(out, runs[i]->evidence);
            buf_addc(out, '\n');
        }
    }
}
