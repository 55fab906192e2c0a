/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdio.h>

#include "base/mem.h"
#include "rig/cmd/options.h"
#include "rig/cmd/rig.h"
#include "rig/cmd/runs.h"

const struct verbs_option cmd_heal_options[] = {
    { "dry-run", 'n', NULL, "say what is left; take nothing back", NULL },
    { "report-dir", 0, "DIR", "folder of runs, instead of the usual one", NULL },
    { 0 },
};

static void say(const char *line, void *userdata)
{
    (void)userdata;
    puts(line);
}

int cmd_heal(const struct verbs_args *args, void *userdata)
{
    CLEANUP(place_free) struct place *place = NULL;
    CLEANUP_FREE char *runs_dir = NULL;
    CLEANUP_ERR struct err *err = NULL;
    size_t n = 0;
    int r;

    (void)userdata;
    if (place_new(&place, &err) < 0) {
        CLEANUP_FREE char *text = err_text_full(err);

        fprintf(stderr, "%s\n", text);
        return RIG_USAGE;
    }
    runs_dir = options_runs_dir(args, place);
    r = run_folders_heal(runs_dir, verbs_flag(args, "dry-run"), say, NULL, &n);
    if (r >= 0 && n == 0)
        puts("nothing is left of dead runs");
    return r < 0 ? RIG_FAILED : RIG_PASSED;
}
