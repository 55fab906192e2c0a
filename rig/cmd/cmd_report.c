/* SPDX-License-Identifier: AGPL-3.0-only */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "rig/cmd/options.h"
#include "rig/cmd/rig.h"
#include "rig/cmd/run_page.h"
#include "rig/cmd/runs.h"
#include "rig/cmd/summary.h"
#include "rig/run/report.h"

#define TEXT_MAX (4 * 1024 * 1024)
#define JUNIT_MAX (64 * 1024 * 1024)
#define OPEN_MS 10000

const struct verbs_option cmd_report_options[] = {
    { "text", 't', NULL, "print what is known as text, and write nothing", NULL },
    { "html", 0, "FILE", "write the HTML page there", NULL },
    { "junit", 0, "FILE", "write JUnit XML there", NULL },
    { "list", 'l', NULL, "list the runs, the last one first", NULL },
    { "report-dir", 0, "DIR", "where the folders of runs are", NULL },
    { 0 },
};

static int complain(const struct err *err, int code)
{
    CLEANUP_FREE char *text = err_text_full(err);

    fprintf(stderr, "%s\n", text);
    return code;
}

/* --- Which run ------------------------------------------------------------------------------- */

static int read_history(const char *folder, struct history **ret, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/" RUN_HISTORY, folder);

    if (file_exists(path))
        return history_read(path, ret, err);
    err_new(err, ENOENT, "%s has no history of the run", folder);
    return err_hint(err, "an older rig made it: look at what else is in the folder");
}

/* "passed", "failed", ...; of a run without an end, what may have become of it. */
static const char *verdict(const struct history *h, const char *folder)
{
    if (h->ended)
        return result_text(h->result.result);
    return run_folder_lives(folder) ? "goes on" : "died";
}

/* --- What is printed ------------------------------------------------------------------------- */

static void list_one(const char *dir, const char *name)
{
    CLEANUP_FREE char *folder = xasprintf("%s/%s", dir, name);
    CLEANUP(history_free) struct history *h = NULL;
    char began[CLOCK_RFC3339_MAX], took[DURATION_TEXT_MAX] = "";

    if (read_history(folder, &h, NULL) < 0) {
        printf("%-12s %20s  %8s  %s\n", "no history", "", "", name);
        return;
    }
    if (h->ended)
        duration_format(h->total_ms, took);
    printf("%-12s %20s  %8s  %s\n", verdict(h, folder), clock_rfc3339(h->run.began_wall_ms, began),
           took, name);
}

static int list_all(const char *dir)
{
    CLEANUP_STRV char **names = run_folders_list(dir);

    for (size_t i = strv_len(names); i > 0; i--)
        list_one(dir, names[i - 1]);
    if (!names)
        fprintf(stderr, "There are no runs in %s.\n", dir);
    return names ? RIG_PASSED : RIG_NOTHING;
}

static void print_text(const struct history *h, const char *folder)
{
    CLEANUP_BUF struct buf text = BUF_INIT(TEXT_MAX), clean = BUF_INIT(TEXT_MAX);
    char began[CLOCK_RFC3339_MAX];

    buf_addf(&text, "%s, begun %s: %s\n", h->run.scenario,
             clock_rfc3339(h->run.began_wall_ms, began), verdict(h, folder));
    if (!h->ended)
        buf_addf(&text, "Its history has no end: this is what was written.%s\n",
                 run_folder_lives(folder) ? "" : " 'rig heal' takes back what a dead run left.");
    summary_text(h, &text);
    for (size_t i = 0; i < h->result.n_steps; i++) {
        const struct step_result *step = &h->result.steps[i];

        if (step->result == RESULT_PASSED || step->result == RESULT_SKIPPED)
            continue;
        buf_addf(&text, "%s: %s\n", step->name, result_text(step->result));
        step_result_explain(step, &text);
    }
    report_clean(&clean, buf_str(&text));
    fputs(buf_str(&clean), stdout);
}

/* --- What is written ------------------------------------------------------------------------- */

static int write_junit(const struct history *h, const char *path, struct err **err)
{
    CLEANUP_BUF struct buf text = BUF_INIT(JUNIT_MAX);

    report_junit(&h, 1, &text);
    return file_replace(path, buf_str(&text), text.len, 0644, err);
}

static bool can_show(void)
{
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");

    return isatty(STDOUT_FILENO) && ((x && *x) || (wayland && *wayland));
}

/* Where nothing can open it, its path has been printed. */
static void show(const char *page)
{
    if (can_show())
        proc_run(ARGV("xdg-open", page), NULL, OPEN_MS, NULL, NULL, NULL);
}

static int make_page(const struct history *h, const char *folder, bool text_only)
{
    CLEANUP_FREE char *page = xasprintf("%s/" RUN_PAGE, folder);
    CLEANUP_ERR struct err *err = NULL;

    print_text(h, folder);
    if (text_only)
        return RIG_PASSED;
    if (run_page_write(folder, h, NULL, page, &err) < 0)
        return complain(err, RIG_NO_LAB);
    printf("report: %s\n", page);
    fflush(stdout);
    show(page);
    return RIG_PASSED;
}

static int report(const struct verbs_args *args, const char *folder)
{
    const char *html = verbs_value(args, "html"), *junit = verbs_value(args, "junit");
    CLEANUP(history_free) struct history *h = NULL;
    CLEANUP_ERR struct err *err = NULL;

    if (read_history(folder, &h, &err) < 0)
        return complain(err, RIG_USAGE);
    if ((html && run_page_write(folder, h, NULL, html, &err) < 0) ||
        (junit && write_junit(h, junit, &err) < 0))
        return complain(err, RIG_NO_LAB);
    if ((html || junit) && !verbs_flag(args, "text"))
        return RIG_PASSED;
    return make_page(h, folder, verbs_flag(args, "text"));
}

int cmd_report(const struct verbs_args *args, void *userdata)
{
    CLEANUP(place_free) struct place *place = NULL;
    CLEANUP_FREE char *dir = NULL, *folder = NULL;
    CLEANUP_ERR struct err *err = NULL;
    int r;

    (void)userdata;
    if (place_new(&place, &err) < 0)
        return complain(err, RIG_USAGE);
    dir = options_runs_dir(args, place);
    if (verbs_flag(args, "list"))
        return list_all(dir);
    r = run_folder_find(dir, args->positional[0], &folder, &err);
    if (r < 0)
        return complain(err, r == -ENOENT && !args->positional[0] ? RIG_NOTHING : RIG_USAGE);
    return report(args, folder);
}
