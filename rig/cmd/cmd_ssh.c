/* SPDX-License-Identifier: AGPL-3.0-only */

/* Commands that become another program, with what a fleet's folder says: ssh and kubectl. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/cmd_fleet.h"
#include "rig/cmd/fleet_programs.h"

const struct verbs_option cmd_ssh_options[] = { FLEET_OPTION, { 0 } };
const struct verbs_option cmd_kubectl_options[] = { FLEET_OPTION, { 0 } };

/* Returns only when it cannot be started. */
static int become(char **argv, const char *package)
{
    fflush(NULL);
    execvp(argv[0], argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    if (errno == ENOENT)
        fprintf(stderr, "install the package %s\n", package);
    return RIG_NO_LAB;
}

int cmd_ssh(const struct verbs_args *args, void *userdata)
{
    CLEANUP_FLEET_CMD struct fleet_cmd c = { 0 };
    char **command = args->positional + 1;
    const struct fleet_device *device;
    CLEANUP_STRV char **argv = NULL;
    int code = fleet_cmd_need(args, &c);

    (void)userdata;
    if (code)
        return code;
    device = fleet_cmd_device(&c, args->positional[0]);
    if (!device)
        return RIG_USAGE;
    if (*command && str_eq(*command, "--"))
        command++;
    argv = fleet_ssh_argv(&c.state, device, isatty(STDIN_FILENO) && isatty(STDOUT_FILENO), command);
    return become(argv, "openssh-client");
}

int cmd_kubectl(const struct verbs_args *args, void *userdata)
{
    CLEANUP_FLEET_CMD struct fleet_cmd c = { 0 };
    CLEANUP_FREE char *cache = NULL;
    CLEANUP_STRV char **argv = NULL;
    int code = fleet_cmd_need(args, &c);

    (void)userdata;
    if (code)
        return code;
    strv_add(&argv, "kubectl");
    for (char **word = args->positional; *word; word++)
        strv_add(&argv, *word);
    cache = fleet_path(c.fleet, "kubectl-cache");
    setenv("KUBECONFIG", c.state.kubeconfig, 1);
    setenv("KUBECACHEDIR", cache, 1); /* not in the home: it goes with the fleet */
    return become(argv, "kubernetes-client");
}
