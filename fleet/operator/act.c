/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/operator/act.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* An action under way. */
struct errand {
    struct act *act;
    struct list_link link;
    enum action_type type;
    char target[];
};

static struct errand *errand_new(struct act *a, const struct action *action)
{
    size_t size = strlen(action->target) + 1;
    struct errand *e = xmalloc(sizeof(*e) + size);

    *e = (struct errand){ .act = a, .type = action->type };
    memcpy(e->target, action->target, size);
    list_add(&a->errands, &e->link);
    return e;
}

static void errand_free(struct errand *e)
{
    list_remove(&e->link);
    free(e);
}
DEFINE_CLEANUP(struct errand *, errand_free)

void act_init(struct act *a)
{
    *a = (struct act){ 0 };
    list_init(&a->errands);
}

void act_done(struct act *a)
{
    bus_free(a->bus);
    http_free(a->http);
    kube_free(a->kube);
    LIST_EACH(link, &a->errands)
    errand_free(LIST_ITEM(link, struct errand, link));
}

static void report(const struct errand *e, const json_t *object, const struct err *failure)
{
    struct event done = { .type = EVENT_DONE,
                          .action = e->type,
                          .target = e->target,
                          .object = object,
                          .failure = failure };

    e->act->report(&done, e->act->userdata);
}

/* --- the bus ------------------------------------------------------------------------------ */

static void on_written(const struct err *failure, void *userdata)
{
    CLEANUP(errand_free) struct errand *e = userdata;

    if (!failure)
        log_debug("desired state %s: %s", e->target,
                  e->type == ACTION_WRITE ? "written" : "deleted");
    report(e, NULL, failure);
}

static int start_write(struct act *a, const struct action *action, struct err **err)
{
    CLEANUP(errand_free) struct errand *e = errand_new(a, action);
    int r;

    r = bus_write(a->bus, BUCKET_DESIRED_STATE, action->target, action->value,
                  action->value ? strlen(action->value) : 0, on_written, e, err);
    if (r < 0)
        return r;
    steal_ptr(e);
    return 0;
}

/* --- the API server ----------------------------------------------------------------------- */

static void on_answer(const json_t *object, const struct err *failure, void *userdata)
{
    CLEANUP(errand_free) struct errand *e = userdata;

    report(e, object, failure);
}

/* "namespace/name" to its path; both come from the API server and need no escaping. */
static char *deployment_path(const char *target)
{
    const char *slash = strchr(target, '/');

    return xasprintf("/apis/" FLEET_API_VERSION "/namespaces/%.*s/deployments/%s",
                     (int)(slash - target), target, slash + 1);
}

static int start_call(struct act *a, const struct action *action, struct err **err)
{
    CLEANUP(errand_free) struct errand *e = errand_new(a, action);
    CLEANUP_FREE char *path = NULL, *deployment = NULL;
    const char *type = KUBE_MERGE;
    int r;

    switch (action->type) {
    case ACTION_DEPLOYMENT:
        path = deployment_path(action->target);
        break;
    case ACTION_STATUS:
        deployment = deployment_path(action->target);
        path = xasprintf("%s/status?fieldManager=%s", deployment, FLEET_FIELD_MANAGER);
        break;
    case ACTION_DEVICE_STATUS:
        path = xasprintf("%s/%s/status?fieldManager=%s", PATH_DEVICES, action->target,
                         FLEET_FIELD_MANAGER);
        break;
    default:
        path = xasprintf("%s/%s?fieldManager=%s&force=true", PATH_DEVICES, action->target,
                         FLEET_FIELD_MANAGER);
        type = KUBE_APPLY;
        break;
    }
    r = kube_start(a->http, a->kube, "PATCH", path, type, action->body, on_answer, e, NULL, err);
    if (r < 0)
        return r;
    steal_ptr(e);
    return 0;
}

int act_start(struct act *a, const struct action *action, struct err **err)
{
    switch (action->type) {
    case ACTION_LOG:
        log_line(action->is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s", action->text);
        return 0;
    case ACTION_WRITE:
    case ACTION_DELETE:
        return start_write(a, action, err);
    default:
        return start_call(a, action, err);
    }
}
