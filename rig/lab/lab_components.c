/* SPDX-License-Identifier: AGPL-3.0-only */

/* Components of the control plane by name, as faults and repairs mean them. */

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/lab_internal.h"

int lab_restart(struct lab *lab, const char *component, struct err **err)
{
    int r = supervisor_restart(lab->supervisor, component, err);

    if (r < 0)
        return r;
    /* The API server is no service of the host's, and it is not ready before its store is. */
    if ((str_eq(component, "apiserver") || str_eq(component, "etcd")) &&
        supervisor_running(lab->supervisor, "apiserver"))
        return control_plane_wait(lab->supervisor, lab->control, err);
    return 0;
}

int lab_address(struct lab *lab, const char *component, char **ret, struct err **err)
{
    const struct service_host *host = supervisor_service_host(lab->supervisor, DEVICES_SEE);
    const char *port;

    if (!str_eq(component, "apiserver"))
        return host->endpoint(host->impl, component, "client", FOR_DEVICES, ret, err);
    port = strrchr(control_plane_api(lab->control)->kube->peer.base_url, ':');
    if (!port)
        return err_new(err, EINVAL, "the API server's URL has no port");
    *ret = xasprintf(DEVICES_SEE "%s", port);
    return 0;
}
