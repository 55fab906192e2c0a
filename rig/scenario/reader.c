/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/scenario/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"

#define MISTAKE_TEXT_MAX 1000

void reader_mistake_at(struct reader *r, unsigned line, unsigned column, const char *fmt, ...)
{
    struct buf text = BUF_INIT(MISTAKE_TEXT_MAX);
    struct mistake *m;
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    r->mistakes = grow(r->mistakes, r->n_mistakes, &r->cap_mistakes, sizeof(*r->mistakes));
    m = &r->mistakes[r->n_mistakes++];
    *m = (struct mistake){ .line = line, .column = column, .text = buf_steal(&text) };
    if (r->file)
        *m = (struct mistake){ .line = r->named_at->line,
                               .column = r->named_at->column,
                               .file = r->file,
                               .file_line = line,
                               .file_column = column,
                               .text = m->text };
}

void reader_syntax_mistake(struct reader *r, const char *name, const char *text)
{
    unsigned line = 1, column = 1;
    int at = 0;

    if (str_starts(text, name)) {
        text += strlen(name);
        if (sscanf(text, ":%u:%u: %n", &line, &column, &at) == 2)
            text += at;
    }
    reader_mistake_at(r, line, column, "%s", text);
}

static int compare(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

static int by_place(const void *a, const void *b)
{
    const struct mistake *x = a, *y = b;
    int c = compare(x->line, y->line);

    if (c == 0)
        c = compare(x->column, y->column);
    if (c == 0)
        c = compare(x->file_line, y->file_line);
    if (c == 0)
        c = compare(x->file_column, y->file_column);
    return c ? c : strcmp(x->text, y->text);
}

size_t reader_report(struct reader *r, struct buf *out)
{
    int folder = strrchr(r->path, '/') ? (int)(strrchr(r->path, '/') + 1 - r->path) : 0;

    if (r->n_mistakes > 0)
        qsort(r->mistakes, r->n_mistakes, sizeof(*r->mistakes), by_place);
    for (size_t i = 0; i < r->n_mistakes && i < SCENARIO_MAX_MISTAKES; i++) {
        const struct mistake *m = &r->mistakes[i];

        if (m->file)
            buf_addf(out, "%.*s%s:%u:%u: %s\n", m->file[0] == '/' ? 0 : folder, r->path, m->file,
                     m->file_line, m->file_column, m->text);
        else if (r->running)
            buf_addf(out, "%s\n", m->text);
        else
            buf_addf(out, "%s:%u:%u: %s\n", r->path, m->line, m->column, m->text);
    }
    return r->n_mistakes;
}

void reader_done(struct reader *r)
{
    for (size_t i = 0; i < r->n_mistakes; i++)
        free(r->mistakes[i].text);
    free(r->mistakes);
    strv_free(r->files);
    scenario_free(r->s);
}

static const char *kind_text(enum yaml_kind kind)
{
    switch (kind) {
    case YAML_SCALAR:
        return "text";
    case YAML_LIST:
        return "a list";
    case YAML_MAP:
        return "keys with values";
    }
    abort();
}

bool reader_is(struct reader *r, const struct yaml_node *node, enum yaml_kind kind,
               const char *what)
{
    if (node->kind == kind)
        return true;
    reader_mistake(r, node, "%s must be %s, not %s", what, kind_text(kind),
                   node->kind == YAML_SCALAR && !*node->text ? "empty" : kind_text(node->kind));
    return false;
}

bool reader_keys(struct reader *r, const struct yaml_node *map, const char *what,
                 const char *const *known)
{
    if (!reader_is(r, map, YAML_MAP, what))
        return false;
    for (size_t i = 0; i < map->n_items; i++) {
        const struct yaml_node *v = map->items[i];
        const char *nearest;

        if (strv_has((char *const *)known, v->key))
            continue;
        nearest = str_nearest(v->key, (char *const *)known);
        reader_mistake_at(r, v->key_line, v->key_column, "%s has no key '%s'%s%s%s", what, v->key,
                          nearest ? "; did you mean '" : "", nearest ? nearest : "",
                          nearest ? "'?" : "");
    }
    return true;
}

const struct yaml_node *reader_need(struct reader *r, const struct yaml_node *map, const char *what,
                                    const char *key)
{
    const struct yaml_node *node = yaml_get(map, key);

    if (!node)
        reader_mistake(r, map, "%s lacks '%s'", what, key);
    return node;
}

const char *reader_text(struct reader *r, const struct yaml_node *node, const char *what)
{
    if (!node || !reader_is(r, node, YAML_SCALAR, what))
        return NULL;
    if (*node->text)
        return node->text;
    reader_mistake(r, node, "%s is empty", what);
    return NULL;
}
