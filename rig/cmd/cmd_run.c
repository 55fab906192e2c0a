/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/one_run.h"
#include "rig/cmd/options.h"
#include "rig/cmd/rig.h"
#include "rig/cmd/signals.h"
#include "rig/run/report.h"

#define REPORT_MAX (64 * 1024 * 1024)

const struct verbs_option cmd_run_options[] = {
    { "tag", 0, "TAG", "only scenarios that bear it; given again, one of them", NULL },
    { "set", 0, "NAME=VALUE", "another value for a variable; may be given again", NULL },
    { "arch", 0, "ARCH", "machine type of devices that name none", "x86_64|aarch64" },
    { "control-plane", 0, "KIND", "what the fleet is run from", "embedded" },
    { "libvirt", 0, "URI", "a libvirt daemon, or 'private' for one of the rig's own", NULL },
    { "accel", 0, "ACCEL", "how machines are run; otherwise a boot probe decides", "kvm|tcg" },
    { "keep", 'k', NULL, "leave the lab up after a failure, until Ctrl-C", NULL },
    { "report-dir", 0, "DIR", "make the folders of runs there", NULL },
    { "junit", 0, "FILE", "write JUnit XML of all scenarios there", NULL },
    { "tap", 0, NULL, "print TAP to stdout, and progress to stderr", NULL },
    { "config", 'c', "FILE", "settings file, instead of ~/.config/fleetrig/rig.yml", NULL },
    { 0 },
};

/* --- What to run, and how -------------------------------------------------------------------- */

static char *runs_dir_of(const struct verbs_args *args, const struct place *place)
{
    const char *dir = verbs_value(args, "report-dir");
    CLEANUP_FREE char *here = NULL;

    if (!dir)
        return xasprintf("%s/runs", place->cache);
    if (dir[0] == '/')
        return xstrdup(dir);
    here = getcwd(NULL, 0);
    return xasprintf("%s/%s", here ? here : ".", dir);
}

/* --- Reports of all -------------------------------------------------------------------------- */

static const struct history **histories_of(const struct one_run *runs, size_t n)
{
    const struct history **histories = xcalloc(n + 1, sizeof(struct history *));

    for (size_t i = 0; i < n; i++)
        histories[i] = runs[i].history;
    return histories;
}

static bool write_junit(const char *path, const struct history *const *histories, size_t n)
{
    CLEANUP_BUF struct buf text = BUF_INIT(REPORT_MAX);
    CLEANUP_ERR struct err *err = NULL;

    report_junit(histories, n, &text);
    if (file_write(path, buf_str(&text), text.len, 0644, &err) >= 0)
        return true;
    fprintf(stderr, "%s\n", err_text(err));
    return false;
}

static bool write_reports(const struct verbs_args *args, const struct one_run *runs, size_t n)
{
    CLEANUP_FREE const struct history **histories = histories_of(runs, n);
    CLEANUP_BUF struct buf tap = BUF_INIT(REPORT_MAX);
    const char *junit = verbs_value(args, "junit");
    bool good = !junit || write_junit(junit, histories, n);

    if (!verbs_flag(args, "tap"))
        return good;
    report_tap(histories, n, &tap);
    fputs(buf_str(&tap), stdout);
    return good && fflush(stdout) == 0;
}

static size_t count(const struct one_run *runs, size_t n, enum result result)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += runs[i].result.result == result;
    return found;
}

static int exit_code(const struct one_run *runs, size_t n)
{
    if (signals_first())
        return signals_first() == SIGINT ? RIG_INT : RIG_TERM;
    for (size_t i = 0; i < n; i++)
        if (runs[i].no_lab)
            return RIG_NO_LAB;
    if (n == 0)
        return RIG_NOTHING;
    return count(runs, n, RESULT_PASSED) == n ? RIG_PASSED : RIG_FAILED;
}

/* --- The command ----------------------------------------------------------------------------- */

/* Runs what is to be run into `runs` and returns how many that were. */
static size_t run_all(struct one_run_config *config, const struct scenarios *list,
                      struct one_run *runs)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n && !*config->stop; i++) {
        config->scenario = list->items[i];
        one_run(config, &runs[n]);
        if (runs[n++].no_lab)
            break;
    }
    return n;
}

static void tell_totals(struct progress *p, const struct one_run *runs, size_t n, size_t of)
{
    progress_line(p, "%zu passed, %zu failed, %zu skipped%s", count(runs, n, RESULT_PASSED),
                  count(runs, n, RESULT_FAILED), of - n,
                  count(runs, n, RESULT_INTERRUPTED) ? ", 1 interrupted" : "");
}

static int run_listed(const struct verbs_args *args, const struct scenarios *list,
                      size_t n_left_out, const struct place *place, const struct settings *settings)
{
    CLEANUP_FREE struct one_run *runs = xcalloc(list->n + 1, sizeof(*runs));
    CLEANUP_FREE char *runs_dir = runs_dir_of(args, place);
    FILE *out = verbs_flag(args, "tap") ? stderr : stdout;
    struct one_run_config config = {
        .place = place,
        .settings = settings,
        .runs_dir = runs_dir,
        /* A folder that somebody chose is theirs to tidy. */
        .keep_runs = verbs_value(args, "report-dir") ? SIZE_MAX : (size_t)settings->keep_runs - 1,
        .progress = progress_new(out, options_width(out)),
        .stop = signals_catch(),
        .keep = verbs_flag(args, "keep"),
    };
    size_t n;
    int code;

    n = run_all(&config, list, runs);
    tell_totals(config.progress, runs, n, list->n + n_left_out);
    progress_free(config.progress);
    code = exit_code(runs, n);
    if (!write_reports(args, runs, n) && code == RIG_PASSED)
        code = RIG_FAILED;
    for (size_t i = 0; i < n; i++)
        one_run_done(&runs[i]);
    return code;
}

int cmd_run(const struct verbs_args *args, void *userdata)
{
    CLEANUP(settings_free) struct settings *settings = NULL;
    CLEANUP(place_free) struct place *place = NULL;
    CLEANUP_STRV char **tags = verbs_values(args, "tag"), **overrides = verbs_values(args, "set");
    struct scenarios_wanted wanted = { .paths = args->positional,
                                       .tags = tags,
                                       .overrides = overrides };
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    struct scenarios_count count;
    CLEANUP_ERR struct err *err = NULL;

    (void)userdata;
    if (!scenarios_load(&wanted, &list, &count))
        return RIG_USAGE;
    if (place_new(&place, &err) < 0 || options_settings(args, place, &settings, &err) < 0) {
        CLEANUP_FREE char *text = err_text_full(err);

        fprintf(stderr, "%s\n", text);
        return RIG_USAGE;
    }
    return run_listed(args, &list, count.without_tag, place, settings);
}
