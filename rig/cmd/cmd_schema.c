/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdio.h>

#include "rig/cmd/rig.h"
#include "rig/scenario/schema.h"
#include "rig/verbs/verb.h"

int cmd_schema(const struct verbs_args *args, void *userdata)
{
    CLEANUP_JSON json_t *schema = scenario_schema(verb_table, verb_table_len);

    (void)args;
    (void)userdata;
    if (json_dumpf(schema, stdout, JSON_INDENT(2)) < 0 || printf("\n") < 0 || fflush(stdout) != 0) {
        perror("writing the schema");
        return RIG_FAILED;
    }
    return RIG_PASSED;
}
