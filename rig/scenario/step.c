/* SPDX-License-Identifier: AGPL-3.0-only */

/* Sentences and steps of a scenario file, and what they refer to. */

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/names.h"
#include "rig/scenario/reader.h"

void sentence_add(struct reader *r, const struct yaml_node *node, unsigned kinds, const char *text,
                  struct sentence **list, size_t *n)
{
    CLEANUP_ERR struct err *err = NULL;
    struct sentence s;

    if (sentence_parse(r->verbs, r->n_verbs, kinds, text, &s, &err) < 0) {
        reader_mistake(r, node, "%s", err_text(err));
        return;
    }
    s.line = node->line;
    s.column = node->column;
    *list = xreallocarray(*list, *n + 1, sizeof(**list));
    (*list)[(*n)++] = s;
    for (size_t i = 0; i < s.n_params; i++)
        if (str_eq(s.params[i].name, "FILE"))
            manifest_read(r, node, s.params[i].values[0]);
}

static void sentence_read(struct reader *r, const struct yaml_node *node, enum verb_kind kind,
                          struct sentence **list, size_t *n)
{
    const char *text;

    if (node->kind == YAML_MAP)
        reader_mistake(r, node, "a sentence is one line of text; quote it when it contains ': '");
    else if ((text = reader_text(r, node, "a sentence")))
        sentence_add(r, node, kind, text, list, n);
}

void sentences_read(struct reader *r, const struct yaml_node *node, enum verb_kind kind,
                    struct sentence **list, size_t *n)
{
    if (node->kind != YAML_LIST) {
        sentence_read(r, node, kind, list, n);
        return;
    }
    if (node->n_items == 0)
        reader_mistake(r, node, "'%s' is empty", node->key);
    for (size_t i = 0; i < node->n_items; i++)
        sentence_read(r, node->items[i], kind, list, n);
}

static int64_t duration_read(struct reader *r, const struct yaml_node *node)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *what = xasprintf("'%s'", node->key);
    const char *text = reader_text(r, node, what);
    int64_t ms = 0;

    if (!text)
        return 0;
    if (duration_parse(text, &ms, &err) < 0)
        reader_mistake(r, node, "%s: %s", what, err_text(err));
    else if (ms <= 0 || ms > SCENARIO_MAX_MS)
        reader_mistake(r, node, "%s must be longer than 0s and at most 24h", what);
    return ms;
}

static void limits_read(struct reader *r, const struct yaml_node *node, struct step *step)
{
    const struct yaml_node *within = yaml_get(node, "within"), *holds = yaml_get(node, "holds");
    const struct yaml_node *expect = yaml_get(node, "expect");

    if (within)
        step->within_ms = duration_read(r, within);
    if (holds)
        step->holds_ms = duration_read(r, holds);
    if (expect && !within && !holds)
        reader_mistake_at(r, expect->key_line, expect->key_column,
                          "'expect' needs 'within' (a deadline) or 'holds' (how long)");
    if (within && holds)
        reader_mistake_at(r, holds->key_line, holds->key_column,
                          "'expect' takes either 'within' or 'holds', not both");
    if (!expect && (within || holds))
        reader_mistake_at(r, (within ? within : holds)->key_line,
                          (within ? within : holds)->key_column, "'%s' without 'expect'",
                          (within ? within : holds)->key);
}

static void parts_read(struct reader *r, const struct yaml_node *node, struct step *step)
{
    bool expected = false;

    for (size_t i = 0; i < node->n_items; i++) {
        const struct yaml_node *part = node->items[i];
        bool doing = str_eq(part->key, "do"), faulting = str_eq(part->key, "fault");

        if (str_eq(part->key, "expect")) {
            sentences_read(r, part, VERB_EXPECT, &step->expects, &step->n_expects);
            expected = true;
        }
        if (!doing && !faulting)
            continue;
        sentences_read(r, part, doing ? VERB_DO : VERB_FAULT, &step->actions, &step->n_actions);
        if (expected)
            reader_mistake_at(r, part->key_line, part->key_column,
                              "'%s' stands behind 'expect' but happens before it", part->key);
    }
}

struct step *step_new(struct step **list, size_t *n, const char *name, unsigned line)
{
    *list = xreallocarray(*list, *n + 1, sizeof(**list));
    (*list)[*n] = (struct step){ .name = xstrdup(name), .line = line };
    return &(*list)[(*n)++];
}

static void step_read(struct reader *r, const struct yaml_node *node, struct step **list, size_t *n)
{
    const char *name;
    struct step *step;

    if (!reader_keys(r, node, "a step", format_step))
        return;
    name = reader_text(r, yaml_get(node, "name"), "'name'");
    step = step_new(list, n, name ? name : "", node->line);
    parts_read(r, node, step);
    limits_read(r, node, step);
    if (!yaml_get(node, "do") && !yaml_get(node, "fault") && !yaml_get(node, "expect"))
        reader_mistake(r, node, "a step needs at least one of 'do', 'fault' and 'expect'");
}

void steps_read(struct reader *r, const struct yaml_node *node, struct step **list, size_t *n)
{
    CLEANUP_FREE char *what = xasprintf("'%s'", node->key);

    if (!reader_is(r, node, YAML_LIST, what))
        return;
    if (node->n_items == 0)
        reader_mistake(r, node, "%s is empty", what);
    if (node->n_items > SCENARIO_MAX_STEPS)
        reader_mistake(r, node, "%s has at most %d steps", what, SCENARIO_MAX_STEPS);
    for (size_t i = 0; i < node->n_items && i < SCENARIO_MAX_STEPS; i++)
        step_read(r, node->items[i], list, n);
}

static void deploy_one(struct reader *r, const struct yaml_node *node, struct step *step)
{
    const char *path = reader_text(r, node, "a manifest's path");
    CLEANUP_FREE char *text = path ? xasprintf("apply \"%s\"", path) : NULL;

    if (text)
        sentence_add(r, node, VERB_DO, text, &step->actions, &step->n_actions);
}

void deploy_read(struct reader *r, const struct yaml_node *node)
{
    struct step *step = step_new(&r->s->steps, &r->s->n_steps, "deploy", node->key_line);

    if (node->kind != YAML_LIST)
        deploy_one(r, node, step);
    else if (node->n_items == 0)
        reader_mistake(r, node, "'deploy' is empty");
    else
        for (size_t i = 0; i < node->n_items; i++)
            deploy_one(r, node->items[i], step);
}

static bool is_device(const struct scenario *s, const char *name)
{
    for (size_t i = 0; i < s->n_devices; i++)
        if (str_eq(s->devices[i].name, name))
            return true;
    return false;
}

/* "; did you mean 'edge-1'?" from the names that there are. */
static char *suggestion(const char *name, char *const *names)
{
    const char *nearest = str_nearest(name, names);

    return nearest ? xasprintf("; did you mean '%s'?", nearest) : xstrdup("");
}

static char *suggested_device(const struct scenario *s, const char *name)
{
    CLEANUP_STRV char **names = NULL;

    for (size_t i = 0; i < s->n_devices; i++)
        if (s->devices[i].name)
            strv_add(&names, s->devices[i].name);
    return suggestion(name, names);
}

static char *suggested_deployment(const struct scenario *s, const char *name)
{
    CLEANUP_STRV char **names = NULL;

    for (size_t i = 0; i < s->n_manifests; i++)
        if (s->manifests[i].deployment)
            strv_add(&names, s->manifests[i].deployment);
    return suggestion(name, names);
}

static void value_check(struct reader *r, const struct sentence *s, const char *type,
                        const char *value)
{
    bool device = str_eq(type, "DEVICE") && !is_device(r->s, value);
    bool deployment = str_eq(type, "DEPLOYMENT") && !scenario_deployment(r->s, value);
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *hint = NULL;

    if (device) {
        hint = suggested_device(r->s, value);
        reader_mistake(r, s, "the %s has no device '%s'%s", r->running ? "fleet" : "topology",
                       value, hint);
    } else if (deployment && r->running) {
        if (deployment_name_check(value, &err) < 0)
            reader_mistake(r, s, "%s", err_text(err));
    } else if (deployment) {
        hint = suggested_deployment(r->s, value);
        reader_mistake(r, s, "no manifest of this scenario has a Deployment '%s'%s", value, hint);
    }
}

static bool is_glob(const char *value)
{
    return strpbrk(value, "*?[") != NULL;
}

/* Adds the devices that a glob matches, without those that stand there already. */
static void glob_expand(struct reader *r, const struct sentence *s, const char *glob, char ***names)
{
    bool found = false;

    for (size_t i = 0; i < r->s->n_devices; i++) {
        const char *name = r->s->devices[i].name;

        if (fnmatch(glob, name, 0) != 0)
            continue;
        found = true;
        if (!strv_has(*names, name))
            strv_add(names, name);
    }
    if (!found)
        reader_mistake(r, s, "'%s' fits no device", glob);
}

/* The names in place of globs. */
static void devices_expand(struct reader *r, const struct sentence *s, struct binding *b)
{
    char **names = NULL;

    for (char **v = b->values; *v; v++) {
        if (!is_glob(*v))
            strv_add(&names, *v);
        else if (b->list)
            glob_expand(r, s, *v, &names);
        else
            reader_mistake(r, s, "'%s' may be several devices, this sentence takes one here", *v);
    }
    if (!names)
        names = xcalloc(1, sizeof(*names));
    strv_free(b->values);
    b->values = names;
}

static void sentence_check(struct reader *r, struct sentence *s)
{
    for (size_t p = 0; p < s->n_params; p++) {
        struct binding *b = &s->params[p];

        if (str_eq(b->name, "DEVICE"))
            devices_expand(r, s, b);
        for (char **v = b->values; *v; v++)
            value_check(r, s, b->name, *v);
    }
}

static void sentences_check(struct reader *r, struct sentence *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sentence_check(r, &list[i]);
}

static void steps_check(struct reader *r, struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sentences_check(r, steps[i].actions, steps[i].n_actions);
        sentences_check(r, steps[i].expects, steps[i].n_expects);
    }
}

void references_check(struct reader *r)
{
    sentences_check(r, r->s->always, r->s->n_always);
    steps_check(r, r->s->steps, r->s->n_steps);
    steps_check(r, r->s->finally, r->s->n_finally);
}
