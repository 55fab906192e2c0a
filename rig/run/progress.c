/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/progress.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/report.h"

#define CHANGE_MS 5000
#define STILL_MS 60000
#define LINE_MAX (64 * 1024)

struct progress {
    FILE *out;
    int width;       /* 0: plain lines */
    bool shown;      /* there is a status line */
    size_t step, of; /* the running step */
    char *told;      /* the last sample told, plain lines only */
    int64_t told_ms; /* when, since the step began */
};

struct progress *progress_new(FILE *out, int width)
{
    struct progress *p = xcalloc(1, sizeof(*p));

    p->out = out;
    p->width = width;
    return p;
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    progress_clear(p);
    free(p->told);
    free(p);
}

void progress_clear(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", p->out);
    p->shown = false;
    fflush(p->out);
}

/* Whole lines; the last one is ended. */
static void put(struct progress *p, const char *text)
{
    CLEANUP_BUF struct buf clean = BUF_INIT(LINE_MAX);

    report_clean(&clean, text);
    if (!str_ends(buf_str(&clean), "\n"))
        buf_addc(&clean, '\n');
    progress_clear(p);
    fputs(buf_str(&clean), p->out);
    fflush(p->out);
}

void progress_line(struct progress *p, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT(LINE_MAX);
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    put(p, buf_str(&text));
}

/* The longest piece of `text` that fits into `columns`, cut between characters. */
static size_t fitting(const char *text, int columns)
{
    size_t len = 0;

    for (; text[len] && text[len] != '\n'; len++)
        if (((unsigned char)text[len] & 0xc0) != 0x80 && columns-- == 0)
            break;
    return len;
}

static void rewrite(struct progress *p, const char *text)
{
    CLEANUP_BUF struct buf clean = BUF_INIT(LINE_MAX);

    report_clean(&clean, text);
    for (size_t i = 0; i < clean.len; i++)
        if (clean.data[i] == '\t')
            clean.data[i] = ' ';
    /* The last column stays free: some terminals wrap when it is written. */
    fprintf(p->out, "\r\033[K%.*s", (int)fitting(buf_str(&clean), p->width - 1), buf_str(&clean));
    p->shown = true;
    fflush(p->out);
}

void progress_status(struct progress *p, const char *text)
{
    if (p->width)
        rewrite(p, text);
    else
        progress_line(p, "  %s", text);
}

bool progress_live(const struct progress *p)
{
    return p->width > 0;
}

static void on_step(const struct step_result *step, size_t number, size_t of, void *userdata)
{
    struct progress *p = userdata;
    char limit[LIMIT_TEXT_MAX];

    p->step = number;
    p->of = of;
    replace_str(&p->told, NULL);
    p->told_ms = -CHANGE_MS;
    step_result_limit(step, limit);
    progress_line(p, "step %zu/%zu  %s%s%s", number, of, step->name, *limit ? ", " : "", limit);
}

static void on_acting(const struct sentence *s, void *userdata)
{
    struct progress *p = userdata;
    CLEANUP_FREE char *text = NULL;

    if (!p->width)
        return;
    text = xasprintf("  %zu/%zu doing: %s", p->step, p->of, s->text);
    rewrite(p, text);
}

static void on_acted(const struct sentence *s, const char *what, const char *note, void *userdata)
{
    struct progress *p = userdata;
    bool undo;

    if (str_eq(what, "failed")) /* the step says it */
        return;
    undo = str_eq(what, "undo");
    progress_line(p, "  %s: %s%s%s", undo ? "undone" : "done", s->text,
                  !*note ? ""
                  : undo ? ", "
                         : ": ",
                  note);
}

static void on_waiting(const struct check_result *check, int64_t waited_ms, int64_t limit_ms,
                       void *userdata)
{
    struct progress *p = userdata;
    CLEANUP_FREE char *text = NULL;
    char waited[DURATION_TEXT_MAX], limit[DURATION_TEXT_MAX];
    bool same;

    duration_format(waited_ms, waited);
    duration_format(limit_ms, limit);
    if (p->width) {
        text = xasprintf("  %zu/%zu %s of %s  %s: %s", p->step, p->of, waited, limit,
                         check->sentence, check->last);
        rewrite(p, text);
        return;
    }
    same = str_eq(p->told, check->last);
    if (waited_ms - p->told_ms < (same ? STILL_MS : CHANGE_MS) || check->verdict == VERDICT_YES)
        return;
    replace_str(&p->told, check->last);
    p->told_ms = waited_ms;
    progress_line(p, "  %s  waiting: %s\n      seen: %s", waited, check->sentence, check->last);
}

static void on_done(const struct step_result *step, void *userdata)
{
    static const char *const marks[] = { "ok  ", "FAIL", "skip", "stop" };
    CLEANUP_BUF struct buf why = BUF_INIT(LINE_MAX);
    struct progress *p = userdata;
    char took[DURATION_TEXT_MAX];

    progress_line(p, "%s  %s (%s)", marks[step->result], step->name,
                  duration_format(step->took_ms, took));
    step_result_explain(step, &why);
    if (why.len > 0)
        put(p, buf_str(&why));
}

void progress_watch(struct progress *p, struct watcher *ret)
{
    ret->step = on_step;
    ret->acting = on_acting;
    ret->acted = on_acted;
    ret->waiting = on_waiting;
    ret->done = on_done;
    ret->userdata = p;
}
