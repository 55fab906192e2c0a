/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/scenario/scenario.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/labels.h"
#include "fleet/wire/names.h"
#include "rig/scenario/reader.h"

const char *const scenario_needs[] = { "kvm", "podman", "k3d", "aarch64", "root", NULL };

/* Names of scenarios become names of folders and of test suites, tags stand on the command line. */
static const char *word_read(struct reader *r, const struct yaml_node *node, const char *what)
{
    const char *text = reader_text(r, node, what);

    if (!text)
        return NULL;
    if (strlen(text) <= 63 && text[0] != '.' && text[0] != '-' &&
        !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")])
        return text;
    reader_mistake(r, node,
                   "%s is at most 63 letters, digits, '-', '_' and '.', beginning with neither "
                   "'.' nor '-': '%.80s' is not",
                   what, text);
    return NULL;
}

static void labels_read(struct reader *r, const struct yaml_node *node, struct device_decl *device)
{
    if (!reader_is(r, node, YAML_MAP, "'labels'"))
        return;
    for (size_t i = 0; i < node->n_items; i++) {
        const struct yaml_node *label = node->items[i];
        CLEANUP_ERR struct err *err = NULL;

        if (!reader_is(r, label, YAML_SCALAR, "a label's value"))
            continue;
        if (label_check(label->key, label->text, &err) < 0)
            reader_mistake_at(r, label->key_line, label->key_column, "%s", err_text(err));
        strv_addf(&device->labels, "%s=%s", label->key, label->text);
    }
}

static void arch_read(struct reader *r, const struct yaml_node *node, struct device_decl *device)
{
    const char *arch = reader_text(r, node, "'arch'");

    if (!arch)
        return;
    if (str_eq(arch, "x86_64") || str_eq(arch, "aarch64"))
        replace_str(&device->arch, arch);
    else
        reader_mistake(r, node, "'arch' is x86_64 or aarch64, not '%s'", arch);
}

static void device_name_read(struct reader *r, const struct yaml_node *node,
                             struct device_decl *device)
{
    CLEANUP_ERR struct err *err = NULL;
    const char *name = reader_text(r, node, "'name'");

    if (!name)
        return;
    if (device_id_check(name, &err) < 0)
        reader_mistake(r, node, "%s", err_text(err));
    for (const struct device_decl *d = r->s->devices; d < device; d++)
        if (str_eq(d->name, name))
            reader_mistake(r, node, "device '%s' is declared twice, first on line %u", name,
                           d->line);
    replace_str(&device->name, name);
}

static void device_read(struct reader *r, const struct yaml_node *node)
{
    static const char *const keys[] = { "name", "labels", "arch", NULL };
    const struct yaml_node *labels;
    struct device_decl *device;

    if (!reader_keys(r, node, "a device", keys))
        return;
    device = &r->s->devices[r->s->n_devices++];
    *device = (struct device_decl){ .line = node->line, .column = node->column };
    device_name_read(r, reader_need(r, node, "a device", "name"), device);
    arch_read(r, yaml_get(node, "arch"), device);
    labels = yaml_get(node, "labels");
    if (labels)
        labels_read(r, labels, device);
}

static void topology_read(struct reader *r, const struct yaml_node *node)
{
    static const char *const keys[] = { "devices", NULL };
    const struct yaml_node *devices;

    if (!reader_keys(r, node, "'topology'", keys))
        return;
    devices = reader_need(r, node, "'topology'", "devices");
    if (!devices || !reader_is(r, devices, YAML_LIST, "'devices'"))
        return;
    if (devices->n_items == 0)
        reader_mistake(r, devices, "'devices' is empty");
    if (devices->n_items > SCENARIO_MAX_DEVICES)
        reader_mistake(r, devices, "a topology has at most %d devices", SCENARIO_MAX_DEVICES);
    r->s->devices = xcalloc(SCENARIO_MAX_DEVICES, sizeof(*r->s->devices));
    for (size_t i = 0; i < devices->n_items && i < SCENARIO_MAX_DEVICES; i++)
        device_read(r, devices->items[i]);
}

static void tags_read(struct reader *r, const struct yaml_node *node)
{
    if (!reader_is(r, node, YAML_LIST, "'tags'"))
        return;
    for (size_t i = 0; i < node->n_items; i++) {
        const char *tag = word_read(r, node->items[i], "a tag");

        if (tag)
            strv_add(&r->s->tags, tag);
    }
}

static void root_read(struct reader *r, const struct yaml_node *root)
{
    static const char *const keys[] = { "scenario", "story",  "tags",  "topology",
                                        "deploy",   "always", "steps", NULL };
    const struct yaml_node *node;

    if (!reader_keys(r, root, "a scenario", keys))
        return;
    replace_str(&r->s->name,
                word_read(r, reader_need(r, root, "a scenario", "scenario"), "'scenario'"));
    replace_str(&r->s->slug, r->s->name);
    replace_str(&r->s->story,
                reader_text(r, reader_need(r, root, "a scenario", "story"), "'story'"));
    if ((node = yaml_get(root, "tags")))
        tags_read(r, node);
    if ((node = reader_need(r, root, "a scenario", "topology")))
        topology_read(r, node);
    if ((node = yaml_get(root, "deploy")))
        deploy_read(r, node);
    if ((node = yaml_get(root, "always")))
        sentences_read(r, node, VERB_EXPECT, &r->s->always, &r->s->n_always);
    if ((node = reader_need(r, root, "a scenario", "steps")))
        steps_read(r, node);
    references_check(r);
}

static void text_read(struct reader *r, const char *text, size_t len)
{
    CLEANUP_ERR struct err *err = NULL;
    struct yaml_node **docs = NULL;
    size_t n = 0;

    if (yaml_parse(r->path, text, len, &docs, &n, &err) < 0) {
        reader_syntax_mistake(r, r->path, err_text(err));
        return;
    }
    if (n == 1)
        root_read(r, docs[0]);
    else
        reader_mistake_at(r, n > 1 ? docs[1]->line : 1, 1,
                          "a scenario file holds one document, this one has %zu", n);
    yaml_free_all(docs, n);
}

/* What was read, or how many mistakes it has. */
static int finish(struct reader *r, const char *what, struct scenario **ret, struct buf *mistakes,
                  struct err **err)
{
    size_t n = reader_report(r, mistakes);

    if (n == 0)
        *ret = steal_ptr(r->s);
    reader_done(r);
    if (n > 0)
        return err_new(err, EINVAL, "%s: %zu mistake%s", what, n, n == 1 ? "" : "s");
    return 0;
}

int scenario_parse(const char *path, const char *text, size_t len, const struct verb *verbs,
                   size_t n_verbs, struct scenario **ret, struct buf *mistakes, struct err **err)
{
    struct reader r = { .path = path, .verbs = verbs, .n_verbs = n_verbs };

    r.s = xcalloc(1, sizeof(*r.s));
    r.s->path = xstrdup(path);
    text_read(&r, text, len);
    return finish(&r, path, ret, mistakes, err);
}

int scenario_sentence(const struct scenario_request *request, const struct verb *verbs,
                      size_t n_verbs, struct scenario **ret, struct buf *mistakes, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/", request->folder);
    struct reader r = { .path = path, .running = true, .verbs = verbs, .n_verbs = n_verbs };
    size_t n_devices = strv_len(request->devices);
    const struct yaml_node place = { .line = 1, .column = 1 };
    struct scenario *s = r.s = xcalloc(1, sizeof(*r.s));
    struct step *step;

    s->path = xstrdup(request->folder);
    s->name = xstrdup(verb_kind_text(request->kinds & VERB_EXPECT ? VERB_EXPECT : VERB_DO));
    s->slug = xstrdup(s->name);
    s->story = xstrdup(request->text);
    s->devices = xcalloc(n_devices + 1, sizeof(*s->devices));
    for (; s->n_devices < n_devices; s->n_devices++)
        s->devices[s->n_devices].name = xstrdup(request->devices[s->n_devices]);
    step = step_new(s, request->text, 1);
    step->within_ms = request->within_ms;
    step->holds_ms = request->holds_ms;
    if (request->kinds & VERB_EXPECT)
        sentence_add(&r, &place, request->kinds, request->text, &step->expects, &step->n_expects);
    else
        sentence_add(&r, &place, request->kinds, request->text, &step->actions, &step->n_actions);
    references_check(&r);
    return finish(&r, request->text, ret, mistakes, err);
}

int scenario_load(const char *path, const struct verb *verbs, size_t n_verbs, struct scenario **ret,
                  struct buf *mistakes, struct err **err)
{
    CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    int r;

    r = file_read(path, SCENARIO_MAX, &text, &len, err);
    if (r < 0)
        return r;
    return scenario_parse(path, text, len, verbs, n_verbs, ret, mistakes, err);
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
