/* SPDX-License-Identifier: AGPL-3.0-only */
#include <string.h>

#include "fleet/deploy/outcome.h"

#define COMMAND_TIMEOUT_MS 30000

int vm_score_deploy(const struct machine_spec *score, const struct machine_host *host,
                    int64_t timeout_ms, const struct device_host **ret_device, struct outcome *ret,
                    struct err **err)
{
    static const char *const release[] = { "uname", "-r", NULL };
    const struct device_host *device = NULL;
    CLEANUP_FREE char *kernel = NULL;
    bool changed = false;

    if (host->ensure(host->impl, score, &changed, err) < 0 ||
        host->reach(host->impl, score->name, timeout_ms, &device, err) < 0)
        return err_wrap(err, "machine %s", score->name);
    if (device_run(device, release, COMMAND_TIMEOUT_MS, &kernel, err) < 0)
        return err_wrap(err, "machine %s: smoke test", score->name);
    outcome_set(ret, changed, "%s runs kernel %.*s", score->name, (int)strcspn(kernel, "\n"),
                kernel);
    *ret_device = device;
    return 0;
}
