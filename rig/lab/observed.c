/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/observed.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/podman.h"
#include "fleet/wire/device.h"
#include "fleet/wire/names.h"
#include "fleet/wire/score.h"

#define ANSWER_MAX (4 * 1024 * 1024)
#define TEXT_MAX 4000

struct observed_row {
    char *device, *deployment;
    char *desired, *reported; /* for people; NULL: there is none */
    char **wanted;            /* strv "service image"; NULL when not desired, or no score of ours */
    char **there;             /* strv "service image" of containers that run */
    char **others;            /* strv "service image state" of those that do not */
    bool running;             /* the agent says so */
};

static struct observed_row *row_of(struct observed *o, const char *device, const char *deployment)
{
    CLEANUP_FREE char *key = xasprintf("%s %s", device, deployment);
    struct observed_row *row = map_get(&o->rows, key);

    if (row)
        return row;
    row = xcalloc(1, sizeof(*row));
    row->device = xstrdup(device);
    row->deployment = xstrdup(deployment);
    map_put(&o->rows, key, row);
    return row;
}

void observed_desired(struct observed *o, const char *key, const char *value, size_t len)
{
    struct score score = { 0 };
    struct observed_row *row;
    struct device_key parts;

    if (key_parse_desired(key, &parts, NULL) < 0)
        return;
    row = row_of(o, parts.device, parts.deployment);
    if (score_decode(value, len, &score, NULL) < 0) {
        replace_str(&row->desired, "a score that this rig cannot read");
        return;
    }
    for (size_t i = 0; i < score.n_services; i++)
        strv_addf(&row->wanted, "%s %s", score.services[i].name, score.services[i].image);
    strv_sort(row->wanted);
    free(row->desired);
    row->desired = strv_join(row->wanted, ", ");
    score_done(&score);
}

void observed_state(struct observed *o, const char *key, const char *value, size_t len)
{
    struct deployment_state state = { 0 };
    struct observed_row *row;
    struct device_key parts;

    if (key_parse_state(key, &parts, NULL) < 0)
        return;
    row = row_of(o, parts.device, parts.deployment);
    if (deployment_state_decode(value, len, &state, NULL) < 0) {
        replace_str(&row->reported, "a state that this rig cannot read");
        return;
    }
    row->running = state.phase == PHASE_RUNNING;
    free(row->reported);
    row->reported = xasprintf("%s%s%s", phase_text(state.phase), state.last_error ? ": " : "",
                              state.last_error ? state.last_error : "");
    deployment_state_done(&state);
}

static void take_container(struct observed *o, const char *device, const json_t *item)
{
    const json_t *labels = json_object_get(item, "Labels");
    const char *deployment = json_string_value(json_object_get(labels, PODMAN_LABEL_DEPLOYMENT));
    const char *service = json_string_value(json_object_get(labels, PODMAN_LABEL_SERVICE));
    const char *image = json_string_value(json_object_get(item, "Image"));
    const char *state = json_string_value(json_object_get(item, "State"));
    struct observed_row *row;

    if (!deployment)
        return; /* none of ours */
    row = row_of(o, device, deployment);
    if (str_eq(state, "running"))
        strv_addf(&row->there, "%s %s", service ? service : "?", image ? image : "?");
    else
        strv_addf(&row->others, "%s %s %s", service ? service : "?", image ? image : "?",
                  state ? state : "?");
}

void observed_containers(struct observed *o, const char *device, const char *json)
{
    CLEANUP_JSON json_t *list = NULL;
    const json_t *item;
    size_t i;

    if (json_parse_wide(json, strlen(json), ANSWER_MAX, &list, NULL) < 0 || json_is_object(list))
        return;
    map_put(&o->answered, device, o);
    json_array_foreach(list, i, item) take_container(o, device, item);
}

/* --- Comparing ------------------------------------------------------------------------------- */

static bool same(char *const *a, char *const *b)
{
    size_t n = strv_len(a);

    if (n != strv_len(b))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!str_eq(a[i], b[i]))
            return false;
    return true;
}

__attribute__((format(printf, 2, 3))) static void differ(struct buf *out, const char *fmt, ...)
{
    va_list ap;

    if (out->len)
        buf_adds(out, "; ");
    va_start(ap, fmt);
    buf_vaddf(out, fmt, ap);
    va_end(ap);
}

static void compare(const struct observed_row *row, bool answered, struct buf *out)
{
    if (!row->desired && row->reported)
        differ(out, "a state is left of what is not desired");
    if (!row->desired && (row->there || row->others))
        differ(out, "a container is left of what is not desired");
    if (row->desired && !row->reported)
        differ(out, "the agent reports nothing");
    if (row->reported && row->desired && !row->running)
        differ(out, "the agent does not say Running");
    if (!row->desired || !answered)
        return;
    if (!row->there)
        differ(out, "nothing runs");
    else if (row->wanted && !same(row->wanted, row->there))
        differ(out, "something else runs");
    if (row->others)
        differ(out, "a container does not run");
}

static char *containers_text(const struct observed_row *row, bool answered)
{
    CLEANUP_FREE char *there = strv_join(row->there, ", "), *others = strv_join(row->others, ", ");

    if (!answered)
        return xstrdup("not asked");
    if (!row->there && !row->others)
        return xstrdup("none");
    return xasprintf("%s%s%s%s", there, row->there ? " running" : "",
                     row->there && row->others ? "; " : "", others);
}

static json_t *row_json(const struct observed *o, struct observed_row *row)
{
    bool answered = map_get(&o->answered, row->device) != NULL;
    CLEANUP_BUF struct buf differs = BUF_INIT(TEXT_MAX);
    CLEANUP_FREE char *containers = NULL;
    json_t *json;

    strv_sort(row->there);
    strv_sort(row->others);
    containers = containers_text(row, answered);
    compare(row, answered, &differs);
    json = json_pack("{s:s, s:s, s:s, s:s, s:s}", "device", row->device, "deployment",
                     row->deployment, "desired", row->desired ? row->desired : "nothing",
                     "reported", row->reported ? row->reported : "nothing", "containers",
                     containers);
    if (json && differs.len)
        json_object_set_new(json, "differs", json_string(buf_str(&differs)));
    return json;
}

char *observed_text(const struct observed *o)
{
    CLEANUP_JSON json_t *list = json_array();
    CLEANUP_STRV char **keys = NULL;

    MAP_EACH(e, &o->rows) strv_add(&keys, e->key);
    strv_sort(keys);
    for (size_t i = 0; keys && keys[i]; i++) {
        json_t *row = row_json(o, map_get(&o->rows, keys[i]));

        if (row) /* else a text is no UTF-8 */
            json_array_append_new(list, row);
    }
    return json_dumps(list, JSON_INDENT(1));
}

void observed_done(struct observed *o)
{
    MAP_EACH(e, &o->rows)
    {
        struct observed_row *row = e->value;

        free(row->device);
        free(row->deployment);
        free(row->desired);
        free(row->reported);
        strv_free(row->wanted);
        strv_free(row->there);
        strv_free(row->others);
        free(row);
    }
    map_done(&o->rows);
    map_done(&o->answered);
}
