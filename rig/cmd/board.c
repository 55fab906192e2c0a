/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/board.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/report.h"

#define LINE_MAX (64 * 1024)
#define NAME_MAX_WIDTH 24
#define LAST_WORDS 12
#define GAP " | "

struct row {
    char *name; /* NULL: the slot is free */
    struct buf partial;
    size_t matched; /* bytes of the status mark seen */
    char *words[LAST_WORDS];
    size_t n_words; /* ever */
    char *last_words;
};

struct board {
    FILE *out;
    int width, names_width;
    struct row *rows;
    size_t n, cap;
    size_t shown; /* status lines on the terminal */
};

static const char mark[] = "\r\033[K";

struct board *board_new(FILE *out, int width, int names_width)
{
    struct board *b = xcalloc(1, sizeof(*b));

    b->out = out;
    b->width = width;
    b->names_width = names_width < NAME_MAX_WIDTH ? names_width : NAME_MAX_WIDTH;
    return b;
}

int board_width(const struct board *b)
{
    int left = b->width - b->names_width - (int)strlen(GAP);

    return b->width == 0 ? 0 : left > 20 ? left : 20;
}

static void row_reset(struct row *r)
{
    for (size_t i = 0; i < LAST_WORDS; i++)
        free(r->words[i]);
    free(r->name);
    free(r->last_words);
    buf_done(&r->partial);
    *r = (struct row){ .partial = BUF_INIT(LINE_MAX) };
}

/* --- The terminal ---------------------------------------------------------------------------- */

static void clear(struct board *b)
{
    if (b->shown)
        fprintf(b->out, "\r\033[%zuA\033[J", b->shown);
    b->shown = 0;
}

static void put(struct board *b, const char *name, const char *text)
{
    CLEANUP_BUF struct buf clean = BUF_INIT(LINE_MAX);

    report_clean(&clean, text);
    fprintf(b->out, "%-*.*s" GAP "%s\n", b->names_width, b->names_width, name, buf_str(&clean));
}

static void show(struct board *b)
{
    for (size_t i = 0; b->width && i < b->n; i++) {
        if (!b->rows[i].name)
            continue;
        put(b, b->rows[i].name, buf_str(&b->rows[i].partial));
        b->shown++;
    }
    fflush(b->out);
}

void board_line(struct board *b, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT(LINE_MAX), clean = BUF_INIT(LINE_MAX);
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    report_clean(&clean, buf_str(&text));
    clear(b);
    fprintf(b->out, "%s\n", buf_str(&clean));
    show(b);
}

/* --- Scenarios ------------------------------------------------------------------------------- */

size_t board_begin(struct board *b, const char *name)
{
    size_t slot = 0;

    while (slot < b->n && b->rows[slot].name)
        slot++;
    if (slot == b->n) {
        b->rows = grow(b->rows, b->n, &b->cap, sizeof(*b->rows));
        b->rows[b->n++] = (struct row){ 0 };
        row_reset(&b->rows[slot]);
    }
    b->rows[slot].name = xstrdup(name);
    clear(b);
    show(b);
    return slot;
}

static void end_line(struct board *b, struct row *r)
{
    const char *text = buf_str(&r->partial);

    replace_str(&r->words[r->n_words++ % LAST_WORDS], text);
    /* An empty line between others would only be a name. */
    if (*text)
        put(b, r->name, text);
    buf_reset(&r->partial);
}

void board_feed(struct board *b, size_t slot, const char *data, size_t len)
{
    struct row *r = &b->rows[slot];

    clear(b);
    for (size_t i = 0; i < len; i++) {
        if (data[i] == mark[r->matched]) {
            if (!mark[++r->matched]) {
                buf_reset(&r->partial);
                r->matched = 0;
            }
            continue;
        }
        buf_add(&r->partial, mark, r->matched);
        r->matched = 0;
        if (data[i] == '\n')
            end_line(b, r);
        else
            buf_addc(&r->partial, data[i]);
    }
    show(b);
}

const char *board_last_words(const struct board *b, size_t slot)
{
    struct row *r = &b->rows[slot];
    CLEANUP_STRV char **lines = NULL;

    for (size_t i = r->n_words > LAST_WORDS ? r->n_words - LAST_WORDS : 0; i < r->n_words; i++)
        strv_add(&lines, r->words[i % LAST_WORDS]);
    if (r->partial.len > 0)
        strv_add(&lines, buf_str(&r->partial));
    free(r->last_words);
    return r->last_words = strv_join(lines, "\n");
}

void board_end(struct board *b, size_t slot)
{
    struct row *r = &b->rows[slot];

    clear(b);
    if (r->partial.len > 0)
        end_line(b, r);
    row_reset(r);
    show(b);
}

void board_free(struct board *b)
{
    if (!b)
        return;
    clear(b);
    fflush(b->out);
    for (size_t i = 0; i < b->n; i++)
        row_reset(&b->rows[i]);
    free(b->rows);
    free(b);
}
