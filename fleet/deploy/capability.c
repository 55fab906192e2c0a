/* SPDX-License-Identifier: AGPL-3.0-only */
#include "fleet/deploy/capability.h"

#include <errno.h>

#include "base/buf.h"

int device_run(const struct device_host *host, const char *const *argv, int64_t timeout_ms,
               char **ret_out, struct err **err)
{
    CLEANUP_FREE char *out = NULL;
    int status = -1;

    if (host->run(host->impl, argv, timeout_ms, &status, &out, err) < 0)
        return err_wrap(err, "running %s", argv[0]);
    if (status != 0) {
        CLEANUP_BUF struct buf command = BUF_INIT(300);

        for (size_t i = 0; argv[i]; i++)
            buf_addf(&command, "%s%s", i ? " " : "", argv[i]);
        return err_new(err, EREMOTEIO, "%s: exited with status %d: %s", buf_str(&command), status,
                       out ? out : "");
    }
    if (ret_out)
        *ret_out = steal_ptr(out);
    return 0;
}
