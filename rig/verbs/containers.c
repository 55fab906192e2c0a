/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/verbs/containers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/podman.h"
#include "rig/verbs/look.h"

#define PODMAN_MS 15000
#define PODMAN_MAX (1024 * 1024)

static char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return xstrdup(text ? text : "");
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct seen_container *)a)->id, ((const struct seen_container *)b)->id);
}

int containers_decode(const char *json, struct seen_containers *ret, struct err **err)
{
    CLEANUP_JSON json_t *list = NULL;
    struct seen_containers found = { 0 };
    const json_t *item;
    size_t i;
    int r;

    r = json_parse(json, strlen(json), PODMAN_MAX, &list, err);
    if (r < 0)
        return err_wrap(err, "answer of podman ps");
    if (!json_is_array(list) && !json_is_null(list))
        return err_new(err, EPROTO, "answer of podman ps: no list");
    found.items = xcalloc(json_array_size(list) + 1, sizeof(*found.items));
    json_array_foreach(list, i, item)
    {
        const json_t *labels = json_object_get(item, "Labels");

        found.items[found.n++] = (struct seen_container){
            .id = text_of(item, "Id"),
            .service = text_of(labels, PODMAN_LABEL_SERVICE),
            .image = text_of(item, "Image"),
            .state = text_of(item, "State"),
            .started = json_integer_value(json_object_get(item, "StartedAt")),
        };
    }
    qsort(found.items, found.n, sizeof(*found.items), by_id);
    *ret = found;
    return 0;
}

/* Looking costs a second on an emulated machine, so the looks of one round share one: the answer is
 * remembered with the round. */
static const char *remembered(const struct verb_run *run, const char *key)
{
    const json_t *seen = json_object_get(run->memory, key);

    if (json_integer_value(json_object_get(seen, "round")) != (json_int_t)run->round)
        return NULL;
    return json_string_value(json_object_get(seen, "answer"));
}

int containers_look(struct verb_run *run, const char *device, const char *deployment,
                    struct seen_containers *ret, struct err **err)
{
    CLEANUP_FREE char *filter = xasprintf("label=" PODMAN_LABEL_DEPLOYMENT "=%s", deployment);
    CLEANUP_FREE char *key = xasprintf("podman of %s on %s", deployment, device);
    CLEANUP_FREE char *answer = xstrdup(remembered(run, key));
    int r;

    if (!answer) {
        r = on_device(run, device,
                      ARGV("podman", "--log-level=error", "ps", "--all", "--format", "json",
                           "--filter", filter),
                      PODMAN_MS, &answer, err);
        if (r < 0)
            return r;
        json_object_set_new(
                run->memory, key,
                json_pack("{s:I, s:s}", "round", (json_int_t)run->round, "answer", answer));
    }
    return containers_decode(answer, ret, err);
}

void seen_containers_done(struct seen_containers *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].id);
        free(list->items[i].service);
        free(list->items[i].image);
        free(list->items[i].state);
    }
    free(list->items);
    *list = (struct seen_containers){ 0 };
}

char *containers_text(const struct seen_containers *list)
{
    struct buf b = BUF_INIT(SAMPLE_MAX);

    if (list->n == 0)
        buf_adds(&b, "no container");
    for (size_t i = 0; i < list->n; i++) {
        const struct seen_container *c = &list->items[i];

        buf_addf(&b, "%s%s %.12s %s %s", i ? ", " : "", c->service, c->id, c->image, c->state);
    }
    return buf_steal(&b);
}
