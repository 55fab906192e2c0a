/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/lab_redeploy.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/lab_internal.h"

#define REACH_MS 60000
#define OPERATOR "operator" /* the service's name */

void lab_programs(struct lab *lab, const char *dir)
{
    replace_str(&lab->programs, dir);
}

int lab_redeploy_agent(struct lab *lab, const char *device, struct err **err)
{
    for (size_t i = 0; i < lab->n_members; i++) {
        const struct device_host *host = NULL;
        int r;

        if (!str_eq(lab->members[i].name, device))
            continue;
        r = lab_reach(lab, device, REACH_MS, &host, err);
        return r < 0 ? r : lab_deploy_agent(lab, &lab->members[i], host, lab->bus, err);
    }
    return err_new(err, ENOENT, "there is no device %s", device);
}

/* Whether the file that runs is no longer the one in its place. A linker makes a new file. */
static bool outdated(struct lab *lab)
{
    CLEANUP_FREE char *place = xasprintf("%s/fleet-operator", lab->programs);
    CLEANUP_FREE char *running =
            xasprintf("/proc/%d/exe", (int)supervisor_pid(lab->supervisor, OPERATOR));
    struct stat there, here;

    return stat(running, &there) < 0 || stat(place, &here) < 0 || there.st_ino != here.st_ino ||
           there.st_dev != here.st_dev;
}

int lab_redeploy_operator(struct lab *lab, struct err **err)
{
    int r = 0;

    if (!lab->control)
        return err_new(err, ENOENT, "there is no control plane yet");
    if (supervisor_running(lab->supervisor, OPERATOR) && outdated(lab))
        r = supervisor_stop(lab->supervisor, OPERATOR, err);
    return r < 0 ? r : lab_deploy_operator(lab, err);
}

int lab_nats(struct lab *lab, char **ret_url, const char **ret_user, const char **ret_password,
             struct err **err)
{
    const struct service_host *host = supervisor_service_host(lab->supervisor, NULL);
    CLEANUP_FREE char *endpoint = NULL;
    int r = host->endpoint(host->impl, "nats", "client", FOR_SERVERS, &endpoint, err);

    if (r < 0)
        return r;
    *ret_url = xasprintf("nats://%s", endpoint);
    *ret_user = NATS_USER;
    *ret_password = lab->password;
    return 0;
}
