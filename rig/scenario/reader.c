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
    *m = (struct mistake){
        .line = line, .column = column, .variant = r->variant, .text = buf_steal(&text)
    };
    if (r->file)
        *m = (struct mistake){ .line = r->named_at->line,
                               .column = r->named_at->column,
                               .file = xstrdup(r->file),
                               .file_line = line,
                               .file_column = column,
                               .variant = r->variant,
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

static int compare_place(const struct mistake *x, const struct mistake *y)
{
    int c = compare(x->line, y->line);

    if (c == 0)
        c = compare(x->column, y->column);
    if (c == 0)
        c = compare(x->file_line, y->file_line);
    if (c == 0)
        c = compare(x->file_column, y->file_column);
    return c;
}

static int by_place(const void *a, const void *b)
{
    const struct mistake *x = a, *y = b;
    int c = compare_place(x, y);

    if (c == 0)
        c = (x->variant > y->variant) - (x->variant < y->variant);
    return c ? c : strcmp(x->text, y->text);
}

static void tell(const struct reader *r, const struct mistake *m, bool only, struct buf *out)
{
    int folder = strrchr(r->path, '/') ? (int)(strrchr(r->path, '/') + 1 - r->path) : 0;

    if (m->file)
        buf_addf(out, "%.*s%s:%u:%u: ", m->file[0] == '/' ? 0 : folder, r->path, m->file,
                 m->file_line, m->file_column);
    else if (!r->running)
        buf_addf(out, "%s:%u:%u: ", r->path, m->line, m->column);
    buf_addf(out, only ? "%s (with %s)\n" : "%s\n", m->text,
             only ? r->choices[m->variant - 1] : NULL);
}

/* The mistakes at one place. Of several variants those of the first are told, and which one it is
 * unless all have some. */
static size_t report_place(const struct reader *r, const struct mistake *list, size_t n,
                           size_t room, struct buf *out)
{
    size_t first = 0, variants = 0, told = 0;

    for (size_t i = 0; i < n; i++) {
        if (list[i].variant > 0 && first == 0)
            first = list[i].variant;
        variants += list[i].variant > 0 && (i == 0 || list[i].variant != list[i - 1].variant);
    }
    for (size_t i = 0; i < n; i++) {
        if (list[i].variant != 0 && list[i].variant != first)
            continue;
        if (told++ < room)
            tell(r, &list[i], list[i].variant > 0 && variants < strv_len(r->choices), out);
    }
    return told;
}

size_t reader_report(struct reader *r, struct buf *out)
{
    size_t told = 0;

    if (r->n_mistakes > 0)
        qsort(r->mistakes, r->n_mistakes, sizeof(*r->mistakes), by_place);
    for (size_t from = 0, to; from < r->n_mistakes; from = to) {
        for (to = from + 1; to < r->n_mistakes; to++)
            if (compare_place(&r->mistakes[from], &r->mistakes[to]) != 0)
                break;
        told += report_place(r, &r->mistakes[from], to - from,
                             told < SCENARIO_MAX_MISTAKES ? SCENARIO_MAX_MISTAKES - told : 0, out);
    }
    return told;
}

struct expanded {
    struct expanded *next;
    char *text;
};

static void expanded_free(struct reader *r)
{
    while (r->expanded) {
        struct expanded *e = r->expanded;

        r->expanded = e->next;
        free(e->text);
        free(e);
    }
}

void reader_begin(struct reader *r, char **variables, const char *choice)
{
    expanded_free(r);
    if (r->s)
        scenarios_add(&r->done, r->s);
    r->s = xcalloc(1, sizeof(*r->s));
    r->s->path = xstrdup(r->path);
    r->s->variables = variables;
    r->variant = r->done.n + 1;
    strv_add(&r->choices, choice);
    strv_free(r->files);
    r->files = NULL;
}

void reader_done(struct reader *r)
{
    for (size_t i = 0; i < r->n_mistakes; i++) {
        free(r->mistakes[i].text);
        free(r->mistakes[i].file);
    }
    free(r->mistakes);
    strv_free(r->files);
    strv_free(r->choices);
    expanded_free(r);
    scenarios_done(&r->done);
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

static void unknown_key(struct reader *r, const struct yaml_node *value, const char *what,
                        const struct format_key *keys)
{
    CLEANUP_STRV char **names = NULL;
    const char *nearest;

    for (; keys->name; keys++)
        strv_add(&names, keys->name);
    nearest = str_nearest(value->key, names);
    reader_mistake_at(r, value->key_line, value->key_column, "%s has no key '%s'%s%s%s", what,
                      value->key, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                      nearest ? "'?" : "");
}

static bool knows(const struct format_key *keys, const char *name)
{
    for (; keys->name; keys++)
        if (str_eq(keys->name, name))
            return true;
    return false;
}

bool reader_keys(struct reader *r, const struct yaml_node *map, const char *what,
                 const struct format_key *keys)
{
    if (!reader_is(r, map, YAML_MAP, what))
        return false;
    for (size_t i = 0; i < map->n_items; i++)
        if (!knows(keys, map->items[i]->key))
            unknown_key(r, map->items[i], what, keys);
    for (; keys->name; keys++)
        if (keys->required)
            reader_need(r, map, what, keys->name);
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

const char *reader_expand(struct reader *r, const struct yaml_node *node)
{
    struct expanded *e;
    char *text;

    if (!variables_in(node->text))
        return node->text;
    text = variables_expand(r, node, node->text);
    if (!text)
        return NULL;
    e = xcalloc(1, sizeof(*e));
    *e = (struct expanded){ .next = r->expanded, .text = text };
    r->expanded = e;
    return text;
}

const char *reader_text(struct reader *r, const struct yaml_node *node, const char *what)
{
    const char *text;

    if (!node || !reader_is(r, node, YAML_SCALAR, what))
        return NULL;
    text = reader_expand(r, node);
    if (!text || *text)
        return text;
    reader_mistake(r, node, "%s is empty", what);
    return NULL;
}
