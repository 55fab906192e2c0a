/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/fuzz.h"
#include "fleet/wire/score.h"

static void check_service(const struct service *s)
{
    PROPERTY(s->name && *s->name && s->image && *s->image);
    PROPERTY(restart_policy_text(s->restart_policy));
    for (size_t i = 0; i < s->n_ports; i++)
        PROPERTY(s->ports[i].host > 0 && s->ports[i].container > 0 &&
                 strlen(s->ports[i].protocol) == 3);
    for (size_t i = 0; i < s->n_env; i++)
        PROPERTY(*s->env[i].name && !strchr(s->env[i].name, '=') && s->env[i].value);
    for (size_t i = 0; i < s->n_volumes; i++)
        PROPERTY(s->volumes[i].host_path[0] == '/' && s->volumes[i].container_path[0] == '/' &&
                 s->volumes[i].container_path[1]);
}

/* What is accepted keeps all that the header promises. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_ERR struct err *err = NULL;
    struct score s = { 0 };

    if (score_decode((const char *)data, size, &s, &err) == 0) {
        PROPERTY(s.n_services > 0);
        for (size_t i = 0; i < s.n_services; i++)
            check_service(&s.services[i]);
    } else {
        PROPERTY(err && !s.services);
    }
    score_done(&s);
    return 0;
}
