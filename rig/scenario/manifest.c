/* SPDX-License-Identifier: AGPL-3.0-only */

/* Manifests: what kubectl would apply. Their shape is checked here (an apiVersion, a kind, a name,
 * and of our Deployments the rule for names); what they mean is the API server's to judge. */

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/names.h"
#include "fleet/wire/resource.h"
#include "rig/scenario/reader.h"

/* A path that stays in the scenario's folder. */
static bool is_below(const char *path)
{
    CLEANUP_STRV char **parts = strv_split(path, "/");

    return path[0] != '/' && !strv_has(parts, "..");
}

static char *beside(const char *scenario_path, const char *path)
{
    const char *slash = strrchr(scenario_path, '/');

    if (!slash || path[0] == '/')
        return xstrdup(path);
    return xasprintf("%.*s/%s", (int)(slash - scenario_path), scenario_path, path);
}

static void document_read(struct reader *r, const char *path, const struct yaml_node *doc)
{
    CLEANUP_ERR struct err *err = NULL;
    const struct yaml_node *meta, *name_node = NULL;
    const char *api, *kind, *name = NULL;
    struct manifest *m;

    if (!reader_is(r, doc, YAML_MAP, "a manifest"))
        return;
    api = reader_text(r, reader_need(r, doc, "a manifest", "apiVersion"), "'apiVersion'");
    kind = reader_text(r, reader_need(r, doc, "a manifest", "kind"), "'kind'");
    meta = reader_need(r, doc, "a manifest", "metadata");
    if (meta && reader_is(r, meta, YAML_MAP, "'metadata'"))
        name_node = reader_need(r, meta, "'metadata'", "name");
    if (name_node)
        name = reader_text(r, name_node, "'name'");
    if (!api || !kind || !name)
        return;
    r->s->manifests =
            xreallocarray(r->s->manifests, r->s->n_manifests + 1, sizeof(*r->s->manifests));
    m = &r->s->manifests[r->s->n_manifests++];
    *m = (struct manifest){ .path = xstrdup(path), .object = yaml_to_json(doc) };
    if (!str_eq(api, FLEET_API_VERSION) || !str_eq(kind, "Deployment"))
        return;
    m->deployment = xstrdup(name);
    if (deployment_name_check(name, &err) < 0)
        reader_mistake(r, name_node, "%s", err_text(err));
}

static void documents_read(struct reader *r, const char *path, const char *text, size_t len)
{
    CLEANUP_ERR struct err *err = NULL;
    struct yaml_node **docs = NULL;
    size_t n = 0;

    if (yaml_parse(path, text, len, &docs, &n, &err) < 0) {
        reader_syntax_mistake(r, path, err_text(err));
        return;
    }
    if (n == 0)
        reader_mistake_at(r, 1, 1, "the manifest is empty");
    for (size_t i = 0; i < n; i++)
        document_read(r, path, docs[i]);
    yaml_free_all(docs, n);
}

void manifest_read(struct reader *r, const struct yaml_node *at, const char *path)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *file = beside(r->path, path), *text = NULL;
    size_t len = 0;

    if (strv_has(r->files, path))
        return;
    strv_add(&r->files, path);
    if (!r->running && !is_below(path)) {
        reader_mistake(r, at, "manifest '%s' must stand in the scenario's folder or below it",
                       path);
        return;
    }
    if (file_read(file, SCENARIO_MAX, &text, &len, &err) < 0) {
        reader_mistake(r, at, "manifest '%s': %s", path, err_text(err));
        return;
    }
    r->named_at = at;
    r->file = r->files[strv_len(r->files) - 1];
    documents_read(r, path, text, len);
    r->file = NULL;
}
