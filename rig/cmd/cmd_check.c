/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdio.h>

#include "base/strv.h"
#include "rig/cmd/rig.h"

const struct verbs_option cmd_check_options[] = {
    { "set", 0, "NAME=VALUE", "another value for a variable; may be given again", NULL },
    { 0 },
};

int cmd_check(const struct verbs_args *args, void *userdata)
{
    CLEANUP_STRV char **overrides = verbs_values(args, "set");
    struct scenarios_wanted wanted = { .paths = args->positional, .overrides = overrides };
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    struct scenarios_count count;

    (void)userdata;
    if (!scenarios_load(&wanted, &list, &count))
        return RIG_USAGE;
    printf("%zu file%s", count.files, count.files == 1 ? "" : "s");
    if (count.scenarios > count.files)
        printf(" with %zu scenarios", count.scenarios);
    printf(", no mistakes\n");
    return RIG_PASSED;
}
