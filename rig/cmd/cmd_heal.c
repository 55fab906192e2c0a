/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdio.h>

#include "base/mem.h"
#include "rig/cmd/fleet_heal.h"
#include "rig/cmd/options.h"
#include "rig/cmd/rig.h"
#include "rig/cmd/runs.h"

const struct verbs_option cmd_heal_options[] = {
    { "dry-run", 'n', NULL, "say what is left; take nothing back", NULL },
    { "report-dir", 0, "DIR", "only this folder of runs, and no fleets", NULL },
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
    bool dry = verbs_flag(args, "dry-run"), good;
    size_t n = 0, n_fleets = 0;

    (void)userdata;
    if (place_new(&place, &err) < 0) {
        CLEANUP_FREE char *text = err_text_full(err);

        fprintf(stderr, "%s\n", text);
        return RIG_USAGE;
    }
    runs_dir = options_runs_dir(args, place);
    good = run_folders_heal(runs_dir, dry, say, NULL, &n) >= 0;
    /* What went wrong was said. */
    if (!verbs_value(args, "report-dir"))
        good &= fleets_heal(place, dry, say, NULL, &n_fleets, &err) >= 0;
    if (good && n + n_fleets == 0)
        puts("nothing is left to take back");
    return good ? RIG_PASSED : RIG_FAILED;
}
