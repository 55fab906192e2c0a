/* SPDX-License-Identifier: AGPL-3.0-only */

/* What may stand next in a command line: for completion in shells. */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/cmd_fleet.h"
#include "rig/cmd/log_tail.h"
#include "rig/cmd/next_words.h"
#include "rig/verbs/verb.h"

/* Those of the commands that it completes, so that they may stand in the words. */
const struct verbs_option cmd_names_options[] = {
    FLEET_OPTION,
    { "within", 0, "DURATION", "", NULL },
    { "holds", 0, "DURATION", "", NULL },
    { "follow", 'f', NULL, "", NULL },
    { "lines", 'n', "N", "", NULL },
    { "no-build", 0, NULL, "", NULL },
    { 0 },
};

/* The devices of a fleet that is up; none otherwise. */
static char **devices(const struct verbs_args *args, char **ret_logs)
{
    CLEANUP_FLEET_CMD struct fleet_cmd c = { 0 };
    char **names = NULL;

    if (fleet_cmd_open(args, &c) != 0 || fleet_need(c.fleet, &c.state, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < c.state.n_devices; i++)
        strv_add(&names, c.state.devices[i].name);
    *ret_logs = xstrdup(c.state.logs);
    return names;
}

static void print_all(char *const *words)
{
    for (; words && *words; words++)
        printf("%s\n", *words);
}

static void print_next(char *const *given, unsigned kinds, char *const *names)
{
    CLEANUP_STRV char **next = next_words(verb_table, verb_table_len, kinds, given, names);

    print_all(next);
}

int cmd_names(const struct verbs_args *args, void *userdata)
{
    const char *command = args->positional[0];
    char *const *given = args->positional + 1;
    CLEANUP_FREE char *logs = NULL;
    CLEANUP_STRV char **names = devices(args, &logs), **components = NULL;

    (void)userdata;
    if (str_eq(command, "do"))
        print_next(given, VERB_DO | VERB_FAULT, names);
    else if (str_eq(command, "expect"))
        print_next(given, VERB_EXPECT, names);
    else if (str_eq(command, "redeploy"))
        print_all(*given ? names : ARGV("agent", "operator"));
    else if (!*given)
        print_all(names);
    if (str_eq(command, "logs") && !*given && logs && log_names(logs, &components, NULL) >= 0)
        print_all(components);
    return RIG_PASSED;
}
