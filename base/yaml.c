/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. libyaml's event stream becomes a tree by recursive descent; the depth is
 * capped, so recursion is safe. A key is read as a scalar event and travels with its value. Whatever
 * yaml_to_json() could not turn into JSON is refused while reading, where the position is known.
 */

#include "base/yaml.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/strv.h"

#define MAX_BYTES (1 << 20)
#define MAX_DEPTH 64
#define MAX_NODES 100000

DEFINE_CLEANUP(struct yaml_node *, yaml_free)
#define CLEANUP_YAML CLEANUP(yaml_free)
#define CLEANUP_EVENT __attribute__((cleanup(yaml_event_delete)))

struct reader {
    yaml_parser_t parser;
    const char *name;
    const char *text;
    size_t n_nodes;
    unsigned depth;
};

/* --- plain scalars ------------------------------------------------------------------------- */

enum plain { PLAIN_STRING, PLAIN_NULL, PLAIN_TRUE, PLAIN_FALSE, PLAIN_INT, PLAIN_FLOAT, PLAIN_BAD };

#define DIGITS "0123456789"

/* [-+]? ( \.[0-9]+ | [0-9]+ ( \.[0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool looks_like_float(const char *s)
{
    size_t before, after = 0;

    s += *s == '-' || *s == '+';
    before = strspn(s, DIGITS);
    s += before;
    if (*s == '.') {
        after = strspn(++s, DIGITS);
        s += after;
    }
    if (before + after == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        if (!*s)
            return false;
        s += strspn(s, DIGITS);
    }
    return !*s;
}

static bool is_infinite_or_nan(const char *s)
{
    const char *unsigned_part = s + (*s == '-' || *s == '+');

    return strv_has(ARGV(".nan", ".NaN", ".NAN"), s) ||
           strv_has(ARGV(".inf", ".Inf", ".INF"), unsigned_part);
}

/* All of `s` behind the prefix consists of `allowed`, of which there is at least one. */
static bool is_based(const char *s, const char *prefix, const char *allowed)
{
    if (!str_starts(s, prefix))
        return false;
    s += strlen(prefix);
    return *s && !s[strspn(s, allowed)];
}

/* What a plain scalar is by the core schema, YAML 1.2.2 section 10.3.2. *ret_why is set for
 * PLAIN_BAD. */
static enum plain plain_kind(const char *s, const char **ret_why)
{
    const char *unsigned_part = s + (*s == '-' || *s == '+');

    if (!*s || strv_has(ARGV("~", "null", "Null", "NULL"), s))
        return PLAIN_NULL;
    if (strv_has(ARGV("true", "True", "TRUE"), s))
        return PLAIN_TRUE;
    if (strv_has(ARGV("false", "False", "FALSE"), s))
        return PLAIN_FALSE;
    if (is_based(s, "0o", "01234567") || is_based(s, "0x", DIGITS "abcdefABCDEF"))
        return PLAIN_INT;
    if (is_based(unsigned_part, "", DIGITS)) {
        if (unsigned_part[0] != '0' || !unsigned_part[1])
            return PLAIN_INT;
        *ret_why = "starts with a zero, which is octal to some readers: write 0o..., or quote it";
        return PLAIN_BAD;
    }
    if (is_infinite_or_nan(s) || (looks_like_float(s) && !isfinite(strtod(s, NULL)))) {
        *ret_why = "is no number that JSON can hold: quote it if it is a text";
        return PLAIN_BAD;
    }
    return looks_like_float(s) ? PLAIN_FLOAT : PLAIN_STRING;
}

/* --- reading ------------------------------------------------------------------------------- */

static int __attribute__((format(printf, 4, 5))) refuse(const struct reader *r,
                                                        const yaml_mark_t *mark, struct err **err,
                                                        const char *fmt, ...)
{
    CLEANUP_FREE char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&what, fmt, ap) < 0)
        abort();
    va_end(ap);
    return err_new(err, EINVAL, "%s:%zu:%zu: %s", r->name, mark->line + 1, mark->column + 1, what);
}

/* Where the byte at `offset` stands. The reader of libyaml tells no line. */
static yaml_mark_t mark_at(const char *text, size_t offset)
{
    yaml_mark_t mark = { .index = offset };

    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            mark.column++; /* not in the middle of a UTF-8 character */
        }
    }
    return mark;
}

static int next_event(struct reader *r, yaml_event_t *ret, struct err **err)
{
    const yaml_parser_t *p = &r->parser;
    yaml_mark_t mark;

    if (yaml_parser_parse(&r->parser, ret))
        return 0;
    switch (p->error) {
    case YAML_MEMORY_ERROR:
        abort();
    case YAML_READER_ERROR:
        mark = mark_at(r->text, p->problem_offset);
        return refuse(r, &mark, err, "%s", p->problem);
    default:
        if (!p->context)
            return refuse(r, &p->problem_mark, err, "%s", p->problem);
        return refuse(r, &p->problem_mark, err, "%s %s", p->problem, p->context);
    }
}

static int check_props(const struct reader *r, const yaml_event_t *e, const yaml_char_t *anchor,
                       const yaml_char_t *tag, struct err **err)
{
    if (anchor)
        return refuse(r, &e->start_mark, err, "anchors and aliases are not supported");
    if (tag)
        return refuse(r, &e->start_mark, err, "tags like \"%s\" are not supported", tag);
    return 0;
}

static int check_scalar(const struct reader *r, const yaml_event_t *e, struct err **err)
{
    int n = check_props(r, e, e->data.scalar.anchor, e->data.scalar.tag, err);

    if (n < 0)
        return n;
    if (strlen((const char *)e->data.scalar.value) != e->data.scalar.length)
        return refuse(r, &e->start_mark, err, "a text must not contain NUL");
    return 0;
}

static bool is_quoted(const yaml_event_t *e)
{
    return e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
}

static int by_key(const void *a, const void *b)
{
    const struct yaml_node *x = *(struct yaml_node *const *)a, *y = *(struct yaml_node *const *)b;
    int order = strcmp(x->key, y->key);

    if (order)
        return order;
    return x->key_line != y->key_line
                   ? (x->key_line > y->key_line ? 1 : -1)
                   : (x->key_column > y->key_column) - (x->key_column < y->key_column);
}

/* Sorting keeps this fast for a hostile map of 100,000 keys. */
static int check_duplicates(const struct reader *r, const struct yaml_node *map, struct err **err)
{
    CLEANUP_FREE struct yaml_node **sorted = xcalloc(map->n_items, sizeof(struct yaml_node *));

    if (map->n_items < 2)
        return 0;
    memcpy(sorted, map->items, map->n_items * sizeof(struct yaml_node *));
    qsort(sorted, map->n_items, sizeof(struct yaml_node *), by_key);
    for (size_t i = 1; i < map->n_items; i++) {
        const struct yaml_node *first = sorted[i - 1], *again = sorted[i];
        yaml_mark_t mark = { .line = again->key_line - 1, .column = again->key_column - 1 };

        if (strcmp(first->key, again->key) == 0)
            return refuse(r, &mark, err, "key \"%s\" stands there twice, first in line %u",
                          again->key, first->key_line);
    }
    return 0;
}

static int read_node(struct reader *r, yaml_event_t *e, struct yaml_node **ret, struct err **err);

static int read_scalar(const struct reader *r, const yaml_event_t *e, struct yaml_node *node,
                       struct err **err)
{
    int n = check_scalar(r, e, err);
    const char *why = NULL;

    if (n < 0)
        return n;
    node->kind = YAML_SCALAR;
    node->text = xstrdup((const char *)e->data.scalar.value);
    node->quoted = is_quoted(e);
    if (!node->quoted && plain_kind(node->text, &why) == PLAIN_BAD)
        return refuse(r, &e->start_mark, err, "%.60s %s", node->text, why);
    return 0;
}

/* The items up to the `end` event. In a map each starts with a key event. */
static int read_items(struct reader *r, struct yaml_node *node, yaml_event_type_t end,
                      struct err **err)
{
    size_t cap = 0;
    int n;

    for (;;) {
        CLEANUP_EVENT yaml_event_t first = { 0 }, second = { 0 };
        CLEANUP_YAML struct yaml_node *item = NULL;
        bool keyed = node->kind == YAML_MAP;

        n = next_event(r, &first, err);
        if (n < 0)
            return n;
        if (first.type == end)
            return keyed ? check_duplicates(r, node, err) : 0;
        if (keyed && first.type == YAML_ALIAS_EVENT)
            return refuse(r, &first.start_mark, err, "anchors and aliases are not supported");
        if (keyed && first.type != YAML_SCALAR_EVENT)
            return refuse(r, &first.start_mark, err, "a key must be a text, not a list or a map");
        if (keyed) {
            n = check_scalar(r, &first, err);
            if (n >= 0)
                n = next_event(r, &second, err);
        }
        if (n >= 0)
            n = read_node(r, keyed ? &second : &first, &item, err);
        if (n < 0)
            return n;
        if (keyed) {
            item->key = xstrdup((const char *)first.data.scalar.value);
            item->key_line = (unsigned)first.start_mark.line + 1;
            item->key_column = (unsigned)first.start_mark.column + 1;
        }
        node->items = grow(node->items, node->n_items, &cap, sizeof(*node->items));
        node->items[node->n_items++] = steal_ptr(item);
    }
}

/* The node that starts with the event `e`. */
static int read_node(struct reader *r, yaml_event_t *e, struct yaml_node **ret, struct err **err)
{
    CLEANUP_YAML struct yaml_node *node = xcalloc(1, sizeof(*node));
    int n;

    if (++r->n_nodes > MAX_NODES)
        return refuse(r, &e->start_mark, err, "more than %d nodes", MAX_NODES);
    if (r->depth >= MAX_DEPTH)
        return refuse(r, &e->start_mark, err, "nested more than %d levels deep", MAX_DEPTH);
    node->line = (unsigned)e->start_mark.line + 1;
    node->column = (unsigned)e->start_mark.column + 1;

    r->depth++;
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        n = read_scalar(r, e, node, err);
        break;
    case YAML_SEQUENCE_START_EVENT:
        node->kind = YAML_LIST;
        n = check_props(r, e, e->data.sequence_start.anchor, e->data.sequence_start.tag, err);
        if (n >= 0)
            n = read_items(r, node, YAML_SEQUENCE_END_EVENT, err);
        break;
    case YAML_MAPPING_START_EVENT:
        node->kind = YAML_MAP;
        n = check_props(r, e, e->data.mapping_start.anchor, e->data.mapping_start.tag, err);
        if (n >= 0)
            n = read_items(r, node, YAML_MAPPING_END_EVENT, err);
        break;
    default:
        n = refuse(r, &e->start_mark, err, "anchors and aliases are not supported");
    }
    r->depth--;
    if (n < 0)
        return n;
    *ret = steal_ptr(node);
    return 0;
}

/* The documents of the stream, as items of `list`. */
static int read_stream(struct reader *r, struct yaml_node *list, struct err **err)
{
    size_t cap = 0;
    int n;

    for (;;) {
        CLEANUP_EVENT yaml_event_t e = { 0 }, root = { 0 };

        n = next_event(r, &e, err);
        if (n < 0)
            return n;
        if (e.type == YAML_STREAM_END_EVENT)
            return 0;
        if (e.type != YAML_DOCUMENT_START_EVENT)
            continue;
        n = next_event(r, &root, err);
        if (n < 0)
            return n;
        list->items = grow(list->items, list->n_items, &cap, sizeof(*list->items));
        n = read_node(r, &root, &list->items[list->n_items], err);
        if (n < 0)
            return n;
        list->n_items++;
    }
}

int yaml_parse(const char *name, const char *text, size_t len, struct yaml_node ***ret,
               size_t *ret_n, struct err **err)
{
    CLEANUP_YAML struct yaml_node *list = xcalloc(1, sizeof(*list));
    struct reader r = { .name = name, .text = text };
    int n;

    if (len > MAX_BYTES)
        return err_new(err, EFBIG, "%s: larger than %d bytes", name, MAX_BYTES);
    if (!yaml_parser_initialize(&r.parser))
        abort();
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    n = read_stream(&r, list, err);
    yaml_parser_delete(&r.parser);
    if (n < 0)
        return n;
    *ret_n = list->n_items;
    *ret = steal_ptr(list->items);
    list->n_items = 0;
    return 0;
}

/* --- the tree ------------------------------------------------------------------------------ */

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->n_items; i++)
        if (strcmp(map->items[i]->key, key) == 0)
            return map->items[i];
    return NULL;
}

static json_t *integer(const char *text)
{
    int base = 10;
    const char *digits = text;
    long long value;

    if (str_starts(text, "0o") || str_starts(text, "0x")) {
        base = text[1] == 'o' ? 8 : 16;
        digits = text + 2;
    }
    errno = 0;
    value = strtoll(digits, NULL, base);
    if (errno != ERANGE)
        return json_integer(value);
    /* Only a decimal one is read back by strtod as what it is. */
    return base == 10 ? json_real(strtod(text, NULL)) : json_string(text);
}

static json_t *scalar(const struct yaml_node *node)
{
    const char *why = NULL;

    switch (node->quoted ? PLAIN_STRING : plain_kind(node->text, &why)) {
    case PLAIN_NULL:
        return json_null();
    case PLAIN_TRUE:
        return json_true();
    case PLAIN_FALSE:
        return json_false();
    case PLAIN_INT:
        return integer(node->text);
    case PLAIN_FLOAT:
        return json_real(strtod(node->text, NULL));
    default:
        return json_string(node->text);
    }
}

json_t *yaml_to_json(const struct yaml_node *node)
{
    json_t *value = node->kind == YAML_MAP    ? json_object()
                    : node->kind == YAML_LIST ? json_array()
                                              : scalar(node);

    if (!value)
        abort(); /* texts are UTF-8 and floats finite since yaml_parse(): it is memory */
    for (size_t i = 0; i < node->n_items; i++) {
        json_t *item = yaml_to_json(node->items[i]);
        int r = node->kind == YAML_MAP ? json_object_set_new(value, node->items[i]->key, item)
                                       : json_array_append_new(value, item);

        if (r < 0)
            abort();
    }
    return value;
}

void yaml_free(struct yaml_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->n_items; i++)
        yaml_free(node->items[i]);
    free(node->items);
    free(node->text);
    free(node->key);
    free(node);
}

void yaml_free_all(struct yaml_node **nodes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        yaml_free(nodes[i]);
    free(nodes);
}
