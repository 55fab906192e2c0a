/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdio.h>

#include "rig/cmd/rig.h"

int cmd_check(const struct verbs_args *args, void *userdata)
{
    CLEANUP_SCENARIOS struct scenarios list = { 0 };

    (void)userdata;
    if (!scenarios_load(args->positional, &list))
        return RIG_USAGE;
    printf("%zu file%s, no mistakes\n", list.n, list.n == 1 ? "" : "s");
    return RIG_PASSED;
}
