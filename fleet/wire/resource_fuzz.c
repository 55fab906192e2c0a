/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/fuzz.h"
#include "fleet/wire/resource.h"
#include "fleet/wire/score.h"

/* The bytes of the desired state, parsed and written again, are the same bytes; and two readings of
 * one object agree. */
static void check_deployment(const json_t *object, const struct deployment *d)
{
    CLEANUP_JSON json_t *score = NULL;
    CLEANUP_FREE char *again = NULL;
    struct deployment second;

    PROPERTY(json_parse(d->score, strlen(d->score), SCORE_MAX, &score, NULL) == 0);
    again = json_text_sorted(score);
    PROPERTY(strcmp(d->score, again) == 0);
    PROPERTY(deployment_decode(object, &second, NULL) == 0);
    PROPERTY(selector_equal(&d->selector, &second.selector));
    deployment_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_JSON json_t *object = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct deployment d;
    struct labels l = { 0 };
    int r;

    if (json_parse((const char *)data, size, SCORE_MAX * 2, &object, NULL) < 0)
        return 0;
    labels_decode(json_path(object, "spec.targetSelector.matchLabels"), &l, NULL);
    r = deployment_decode(object, &d, &err);
    PROPERTY((r == 0) == (err == NULL));
    if (r == 0) {
        check_deployment(object, &d);
        (void)selector_matches(&d.selector, &l);
    } else {
        PROPERTY(!d.score);
    }
    deployment_done(&d);
    labels_done(&l);
    return 0;
}
