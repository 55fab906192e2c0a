/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/resource.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/fields.h"
#include "fleet/wire/names.h"
#include "fleet/wire/score.h"

const char *object_name(const json_t *object)
{
    return json_path_str(object, "metadata.name");
}

static bool has_finalizer(const json_t *metadata)
{
    const json_t *finalizers = json_object_get(metadata, "finalizers");
    json_t *item = NULL;
    size_t i;

    json_array_foreach(finalizers, i, item)
    {
        if (str_eq(json_string_value(item), FLEET_FINALIZER))
            return true;
    }
    return false;
}

/* Whatever can be read: what is broken about an object must not keep it from being deleted. */
static void read_metadata(const json_t *object, struct deployment *d)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const json_t *status = json_object_get(object, "status");
    const json_t *deleted = json_object_get(metadata, "deletionTimestamp");

    replace_str(&d->namespace, json_path_str(metadata, "namespace"));
    replace_str(&d->name, json_path_str(metadata, "name"));
    replace_str(&d->uid, json_path_str(metadata, "uid"));
    replace_str(&d->created, json_path_str(metadata, "creationTimestamp"));
    d->generation = json_path_int(metadata, "generation", 0);
    d->observed_generation = json_path_int(status, "observedGeneration", 0);
    d->deleting = deleted && !json_is_null(deleted);
    d->has_finalizer = has_finalizer(metadata);
    d->status = json_is_object(status) ? json_deep_copy(status) : NULL;
}

/* As the API server's schema has it, for objects that it let in before it knew the schema. */
static bool identifier_ok(const char *s)
{
    size_t n = 0;

    if (!(isalpha((unsigned char)*s) || *s == '_'))
        return false;
    while (isalnum((unsigned char)s[n]) || s[n] == '_')
        n++;
    return !s[n] && n <= SCORE_TYPE_MAX;
}

static int decode_score(const json_t *score, char **ret, struct err **err)
{
    CLEANUP_FREE char *text = NULL;
    const char *type = NULL;

    if (!json_is_object(score))
        return type_error(score, "an object", err);
    if (string_member(score, "type", &type, err) < 0)
        return -EINVAL;
    if (!identifier_ok(type))
        return err_new(err, EINVAL, "type %s is not an identifier, such as PodmanV0", QUOTE(type));
    text = json_text_sorted(score);
    if (strlen(text) > SCORE_MAX)
        return err_new(err, E2BIG, "is %zu bytes long, at most %d are accepted", strlen(text),
                       SCORE_MAX);
    *ret = steal_ptr(text);
    return 0;
}

static int decode_spec(const json_t *spec, struct deployment *d, struct err **err)
{
    if (!json_is_object(spec))
        return type_error(spec, "an object", err);
    if (selector_decode(json_object_get(spec, "targetSelector"), &d->selector, err) < 0)
        return err_wrap(err, "targetSelector");
    if (decode_score(json_object_get(spec, "score"), &d->score, err) < 0)
        return err_wrap(err, "score");
    return 0;
}

int deployment_decode(const json_t *object, struct deployment *ret, struct err **err)
{
    *ret = (struct deployment){ .selector.absent = true };
    read_metadata(object, ret);
    if (!ret->namespace || !ret->uid)
        return err_new(err, EINVAL, "metadata: namespace or uid is missing");
    if (deployment_name_check(ret->name, err) < 0)
        return -EINVAL;
    if (decode_spec(json_object_get(object, "spec"), ret, err) < 0)
        return err_wrap(err, "spec");
    return 0;
}

void deployment_done(struct deployment *d)
{
    free(d->namespace);
    free(d->name);
    free(d->uid);
    free(d->created);
    selector_done(&d->selector);
    free(d->score);
    json_decref(d->status);
    *d = (struct deployment){ 0 };
}
