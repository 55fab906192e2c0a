/* SPDX-License-Identifier: AGPL-3.0-only */

/* The devices of a scenario. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/labels.h"
#include "fleet/wire/names.h"
#include "rig/scenario/reader.h"

static void label_read(struct reader *r, const struct yaml_node *label, char ***labels)
{
    CLEANUP_ERR struct err *err = NULL;
    const char *value;

    if (!reader_is(r, label, YAML_SCALAR, "a label's value"))
        return;
    value = reader_expand(r, label);
    if (!value)
        return;
    if (label_check(label->key, value, &err) < 0)
        reader_mistake_at(r, label->key_line, label->key_column, "%s", err_text(err));
    strv_addf(labels, "%s=%s", label->key, value);
}

static void labels_read(struct reader *r, const struct yaml_node *node, char ***labels)
{
    if (node && reader_is(r, node, YAML_MAP, "'labels'"))
        for (size_t i = 0; i < node->n_items; i++)
            label_read(r, node->items[i], labels);
}

/* NULL after a mistake, and when there is none. */
static const char *arch_read(struct reader *r, const struct yaml_node *node)
{
    const char *arch = reader_text(r, node, "'arch'");

    if (!arch || strv_has((char *const *)format_archs, arch))
        return arch;
    reader_mistake(r, node, "'arch' is x86_64 or aarch64, not '%s'", arch);
    return NULL;
}

/* 0 after a mistake, and when there is none. */
static size_t count_read(struct reader *r, const struct yaml_node *node)
{
    const char *text = reader_text(r, node, "'count'");
    size_t digits = text ? strspn(text, "0123456789") : 0;
    long n = digits > 0 && digits < 4 && !text[digits] ? strtol(text, NULL, 10) : 0;

    if (!text || (n >= 1 && n <= SCENARIO_MAX_DEVICES))
        return (size_t)n;
    reader_mistake(r, node, "'count' is a number from 1 to %d, not '%.80s'", SCENARIO_MAX_DEVICES,
                   text);
    return 0;
}

static void name_check(struct reader *r, const struct yaml_node *node, const char *name)
{
    CLEANUP_ERR struct err *err = NULL;

    if (device_id_check(name, &err) < 0)
        reader_mistake(r, node, "%s", err_text(err));
    for (size_t i = 0; i < r->s->n_devices; i++)
        if (str_eq(r->s->devices[i].name, name))
            reader_mistake(r, node, "device '%s' is declared twice, first on line %u", name,
                           r->s->devices[i].line);
}

static void device_add(struct reader *r, const struct yaml_node *node,
                       const struct device_decl *like, const char *name)
{
    struct device_decl *device;

    name_check(r, node, name);
    if (r->s->n_devices == SCENARIO_MAX_DEVICES)
        return;
    device = &r->s->devices[r->s->n_devices++];
    *device = *like;
    device->name = xstrdup(name);
    device->arch = xstrdup(like->arch);
    device->labels = strv_copy(like->labels);
}

/* Adds what a declaration stands for and returns how many devices that are. */
static size_t device_read(struct reader *r, const struct yaml_node *node)
{
    const struct yaml_node *name_node = yaml_get(node, "name"), *count_node;
    struct device_decl like = { .line = node->line, .column = node->column };
    CLEANUP_STRV char **labels = NULL;
    CLEANUP_FREE char *arch = NULL;
    const char *name;
    size_t count;

    if (!reader_keys(r, node, "a device", format_device))
        return 1;
    name = reader_text(r, name_node, "'name'");
    count_node = yaml_get(node, "count");
    count = count_read(r, count_node);
    labels_read(r, yaml_get(node, "labels"), &labels);
    like.arch = arch = xstrdup(arch_read(r, yaml_get(node, "arch")));
    like.labels = labels;
    if (name && !count_node)
        device_add(r, name_node, &like, name);
    for (size_t i = 1; name && i <= count; i++) {
        CLEANUP_FREE char *numbered = xasprintf("%s-%zu", name, i);

        device_add(r, name_node, &like, numbered);
    }
    return count_node ? count : 1;
}

void topology_read(struct reader *r, const struct yaml_node *node)
{
    const struct yaml_node *devices;
    size_t n = 0;

    if (!reader_keys(r, node, "'topology'", format_topology))
        return;
    devices = yaml_get(node, "devices");
    if (!devices || !reader_is(r, devices, YAML_LIST, "'devices'"))
        return;
    if (devices->n_items == 0)
        reader_mistake(r, devices, "'devices' is empty");
    r->s->devices = xcalloc(SCENARIO_MAX_DEVICES, sizeof(*r->s->devices));
    for (size_t i = 0; i < devices->n_items && n <= SCENARIO_MAX_DEVICES; i++)
        n += device_read(r, devices->items[i]);
    if (n > SCENARIO_MAX_DEVICES)
        reader_mistake(r, devices, "a topology has at most %d devices", SCENARIO_MAX_DEVICES);
}
