/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/scenario/scenario.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/scenario/reader.h"

const char *const scenario_needs[] = { "kvm", "podman", "k3d", "aarch64", "root", "fuse", NULL };

#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

/* The text of what is the same for all variants. */
static const char *plain_text(struct reader *r, const struct yaml_node *node, const char *what)
{
    if (!node || node->kind != YAML_SCALAR || !variables_in(node->text))
        return reader_text(r, node, what);
    reader_mistake(r, node, "%s takes no variables", what);
    return NULL;
}

/* Names of scenarios become names of folders and of test suites, tags stand on the command line. */
static const char *word_read(struct reader *r, const struct yaml_node *node, const char *what)
{
    const char *text = plain_text(r, node, what);

    if (!text)
        return NULL;
    if (strlen(text) <= 63 && text[0] != '.' && text[0] != '-' && !text[strspn(text, WORD)])
        return text;
    reader_mistake(r, node,
                   "%s is at most 63 letters, digits, '-', '_' and '.', beginning with neither "
                   "'.' nor '-': '%.80s' is not",
                   what, text);
    return NULL;
}

/* The texts of a list; one may stand without brackets. */
static void each_text(struct reader *r, const struct yaml_node *node,
                      void (*read)(struct reader *r, const struct yaml_node *item))
{
    if (node->kind != YAML_LIST) {
        read(r, node);
        return;
    }
    for (size_t i = 0; i < node->n_items; i++)
        read(r, node->items[i]);
}

static void tag_read(struct reader *r, const struct yaml_node *node)
{
    const char *tag = word_read(r, node, "a tag");

    if (tag)
        strv_add(&r->s->tags, tag);
}

static void need_read(struct reader *r, const struct yaml_node *node)
{
    CLEANUP_FREE char *all = strv_join((char *const *)scenario_needs, ", ");
    const char *need = plain_text(r, node, "what it needs");

    if (need && !strv_has((char *const *)scenario_needs, need))
        reader_mistake(r, node, "'needs' knows %s, not '%.80s'", all, need);
    else if (need && !strv_has(r->s->needs, need))
        strv_add(&r->s->needs, need);
}

/* "hello[arch=x86_64,count=4]", and for folders "hello-arch=x86_64-count=4.2": what is cut off and
 * replaced there may leave two alike, so it is numbered. */
static void variant_name(struct reader *r, const char *name, const char *choice)
{
    CLEANUP_BUF struct buf slug = BUF_INIT(40);

    if (!*choice) {
        replace_str(&r->s->name, name);
        replace_str(&r->s->slug, name);
        return;
    }
    for (const char *c = choice; *c; c++)
        buf_addc(&slug, *c == ',' ? '-' : strchr(WORD "=", *c) ? *c : '_');
    r->s->name = xasprintf("%s[%s]", name, choice);
    r->s->slug = xasprintf("%s-%s.%zu", name, buf_str(&slug), r->variant);
}

static void root_read(struct reader *r, const struct yaml_node *root, const char *choice)
{
    const struct yaml_node *node;
    const char *name;

    if ((name = word_read(r, yaml_get(root, "scenario"), "'scenario'")))
        variant_name(r, name, choice);
    replace_str(&r->s->arch, variables_get(r->s->variables, "arch"));
    replace_str(&r->s->story, reader_text(r, yaml_get(root, "story"), "'story'"));
    if ((node = yaml_get(root, "tags")))
        each_text(r, node, tag_read);
    if ((node = yaml_get(root, "needs")))
        each_text(r, node, need_read);
    if ((node = yaml_get(root, "topology")))
        topology_read(r, node);
    if ((node = yaml_get(root, "deploy")))
        deploy_read(r, node);
    if ((node = yaml_get(root, "always")))
        sentences_read(r, node, VERB_EXPECT, &r->s->always, &r->s->n_always);
    if ((node = yaml_get(root, "steps")))
        steps_read(r, node, &r->s->steps, &r->s->n_steps);
    if ((node = yaml_get(root, "finally")))
        steps_read(r, node, &r->s->finally, &r->s->n_finally);
    references_check(r);
}

static void variants_read(struct reader *r, const struct yaml_node *root, char *const *overrides)
{
    __attribute__((cleanup(plan_done))) struct plan plan = { 0 };

    if (!reader_keys(r, root, "a scenario", format_scenario))
        return;
    plan_read(r, root, overrides, &plan);
    for (size_t i = 0; i < plan.n_variants && r->n_mistakes < SCENARIO_MAX_MISTAKES; i++) {
        CLEANUP_FREE char *choice = plan_text(&plan, i);

        reader_begin(r, plan_variables(&plan, i), choice);
        root_read(r, root, choice);
    }
}

static void text_read(struct reader *r, const char *text, size_t len, char *const *overrides)
{
    CLEANUP_ERR struct err *err = NULL;
    struct yaml_node **docs = NULL;
    size_t n = 0;

    if (yaml_parse(r->path, text, len, &docs, &n, &err) < 0) {
        reader_syntax_mistake(r, r->path, err_text(err));
        return;
    }
    if (n == 1)
        variants_read(r, docs[0], overrides);
    else
        reader_mistake_at(r, n > 1 ? docs[1]->line : 1, 1,
                          "a scenario file holds one document, this one has %zu", n);
    yaml_free_all(docs, n);
}

/* What was read is added to the list, unless it has mistakes. */
static int finish(struct reader *r, const char *what, struct scenarios *list, struct buf *mistakes,
                  struct err **err)
{
    size_t n = reader_report(r, mistakes);

    for (size_t i = 0; i < r->done.n && n == 0; i++)
        scenarios_add(list, steal_ptr(r->done.items[i]));
    if (n == 0)
        scenarios_add(list, steal_ptr(r->s));
    reader_done(r);
    if (n > 0)
        return err_new(err, EINVAL, "%s: %zu mistake%s", what, n, n == 1 ? "" : "s");
    return 0;
}

int scenario_parse(const char *path, const char *text, size_t len, char *const *overrides,
                   const struct verb *verbs, size_t n_verbs, struct scenarios *list,
                   struct buf *mistakes, struct err **err)
{
    struct reader r = { .path = path, .verbs = verbs, .n_verbs = n_verbs };

    text_read(&r, text, len, overrides);
    return finish(&r, path, list, mistakes, err);
}

int scenario_sentence(const struct scenario_request *request, const struct verb *verbs,
                      size_t n_verbs, struct scenario **ret, struct buf *mistakes, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/", request->folder);
    struct reader r = { .path = path, .running = true, .verbs = verbs, .n_verbs = n_verbs };
    size_t n_devices = strv_len(request->devices);
    const struct yaml_node place = { .line = 1, .column = 1 };
    struct scenario *s = r.s = xcalloc(1, sizeof(*r.s));
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    struct step *step;
    int e;

    s->path = xstrdup(request->folder);
    s->name = xstrdup(verb_kind_text(request->kinds & VERB_EXPECT ? VERB_EXPECT : VERB_DO));
    s->slug = xstrdup(s->name);
    s->story = xstrdup(request->text);
    s->devices = xcalloc(n_devices + 1, sizeof(*s->devices));
    for (; s->n_devices < n_devices; s->n_devices++)
        s->devices[s->n_devices].name = xstrdup(request->devices[s->n_devices]);
    step = step_new(&s->steps, &s->n_steps, request->text, 1);
    step->within_ms = request->within_ms;
    step->holds_ms = request->holds_ms;
    if (request->kinds & VERB_EXPECT)
        sentence_add(&r, &place, request->kinds, request->text, &step->expects, &step->n_expects);
    else
        sentence_add(&r, &place, request->kinds, request->text, &step->actions, &step->n_actions);
    references_check(&r);
    e = finish(&r, request->text, &list, mistakes, err);
    if (e >= 0)
        *ret = steal_ptr(list.items[0]);
    return e;
}

int scenario_load(const char *path, char *const *overrides, const struct verb *verbs,
                  size_t n_verbs, struct scenarios *list, struct buf *mistakes, struct err **err)
{
    CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    int r;

    r = file_read(path, SCENARIO_MAX, &text, &len, err);
    if (r < 0)
        return r;
    return scenario_parse(path, text, len, overrides, verbs, n_verbs, list, mistakes, err);
}

void scenarios_add(struct scenarios *list, struct scenario *s)
{
    list->items = xreallocarray(list->items, list->n + 1, sizeof(*list->items));
    list->items[list->n++] = s;
}

void scenarios_done(struct scenarios *list)
{
    for (size_t i = 0; i < list->n; i++)
        scenario_free(list->items[i]);
    free(list->items);
    *list = (struct scenarios){ 0 };
}

const struct manifest *scenario_deployment(const struct scenario *s, const char *name)
{
    for (size_t i = s->n_manifests; i > 0; i--)
        if (str_eq(s->manifests[i - 1].deployment, name))
            return &s->manifests[i - 1];
    return NULL;
}

static void sentences_free(struct sentence *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sentence_done(&list[i]);
    free(list);
}

static void step_done(struct step *step)
{
    free(step->name);
    sentences_free(step->actions, step->n_actions);
    sentences_free(step->expects, step->n_expects);
}

static void device_done(struct device_decl *d)
{
    free(d->name);
    free(d->arch);
    strv_free(d->labels);
}

static void manifest_done(struct manifest *m)
{
    free(m->path);
    free(m->deployment);
    json_decref(m->object);
}

void scenario_free(struct scenario *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_devices; i++)
        device_done(&s->devices[i]);
    for (size_t i = 0; i < s->n_manifests; i++)
        manifest_done(&s->manifests[i]);
    for (size_t i = 0; i < s->n_steps; i++)
        step_done(&s->steps[i]);
    for (size_t i = 0; i < s->n_finally; i++)
        step_done(&s->finally[i]);
    free(s->devices);
    free(s->manifests);
    free(s->steps);
    free(s->finally);
    sentences_free(s->always, s->n_always);
    strv_free(s->tags);
    strv_free(s->needs);
    strv_free(s->variables);
    free(s->path);
    free(s->name);
    free(s->slug);
    free(s->arch);
    free(s->story);
    free(s);
}
