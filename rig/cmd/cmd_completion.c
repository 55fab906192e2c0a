/* SPDX-License-Identifier: AGPL-3.0-only */

/* What is made from the table of commands: completion of shells and the man page. */

#include "rig/cmd/rig.h"

int cmd_completion(const struct verbs_args *args, void *userdata)
{
    return verbs_print(userdata, args->positional[0]) ? RIG_PASSED : RIG_FAILED;
}

int cmd_man(const struct verbs_args *args, void *userdata)
{
    (void)args;
    return verbs_print(userdata, "man") ? RIG_PASSED : RIG_FAILED;
}
