/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/cmd_fleet.h"

#include <errno.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/options.h"
#include "rig/cmd/signals.h"

int fleet_cmd_error(int code, const struct err *err)
{
    CLEANUP_FREE char *text = err_text_full(err);

    fprintf(stderr, "%s\n", text);
    return code;
}

int fleet_cmd_open(const struct verbs_args *args, struct fleet_cmd *ret)
{
    const char *name = verbs_value(args, "name");
    CLEANUP_ERR struct err *err = NULL;

    if (place_new(&ret->place, &err) < 0 ||
        fleet_new(ret->place, name ? name : FLEET_NAME, &ret->fleet, &err) < 0)
        return fleet_cmd_error(RIG_USAGE, err);
    return 0;
}

int fleet_cmd_need(const struct verbs_args *args, struct fleet_cmd *ret)
{
    CLEANUP_ERR struct err *err = NULL;
    int code = fleet_cmd_open(args, ret);

    if (code == 0 && fleet_need(ret->fleet, &ret->state, &err) < 0)
        code = fleet_cmd_error(RIG_USAGE, err);
    return code;
}

void fleet_cmd_done(struct fleet_cmd *c)
{
    fleet_state_done(&c->state);
    fleet_free(c->fleet);
    place_free(c->place);
    *c = (struct fleet_cmd){ 0 };
}

const struct fleet_device *fleet_cmd_device(const struct fleet_cmd *c, const char *name)
{
    const struct fleet_device *device = fleet_state_device(&c->state, name);
    CLEANUP_STRV char **names = NULL;
    CLEANUP_FREE char *all = NULL;

    if (device)
        return device;
    for (size_t i = 0; i < c->state.n_devices; i++)
        strv_add(&names, c->state.devices[i].name);
    all = strv_join(names, ", ");
    fprintf(stderr, "the fleet %s has no device '%s', only %s\n", c->fleet->name, name, all);
    return NULL;
}

int fleet_cmd_ask(const struct fleet_cmd *c, const struct request *request, FILE *out,
                  json_t **ret_data)
{
    CLEANUP(progress_free) struct progress *progress = progress_new(out, options_width(out));
    const volatile sig_atomic_t *stop = signals_catch();
    CLEANUP_ERR struct err *err = NULL;
    struct answer answer = { 0 };
    int code;

    if (fleet_ask(c->fleet, request, /* timeout_ms= */ 0, progress, stop, &answer, &err) < 0)
        return fleet_cmd_error(err_code(err) == ECANCELED ? RIG_INT : RIG_FAILED, err);
    if (*answer.text)
        fprintf(stderr, "%s\n", answer.text);
    if (ret_data)
        *ret_data = json_incref(answer.data);
    code = answer.exit;
    answer_done(&answer);
    return code;
}
