/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: a scenario that is alone runs in this process. Of several each runs in a child
 * (rig/cmd/many.h), which is this command again with the hidden options `only`, `folder` and `width`.
 * What became of a run is read from its folder in either case.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/forecast.h"
#include "rig/cmd/inside.h"
#include "rig/cmd/many.h"
#include "rig/cmd/one_run.h"
#include "rig/cmd/options.h"
#include "rig/cmd/past.h"
#include "rig/cmd/rig.h"
#include "rig/cmd/runs.h"
#include "rig/cmd/signals.h"
#include "rig/lab/host.h"
#include "rig/run/report.h"

#define REPORT_MAX (64 * 1024 * 1024)
#define ROUNDS_MAX 100000
#define JOBS_MAX 1000

const struct verbs_option cmd_run_options[] = {
    { "tag", 0, "TAG", "only scenarios that bear it; given again, one of them", NULL },
    { "set", 0, "NAME=VALUE", "another value for a variable; may be given again", NULL },
    { "jobs", 'j', "N", "run N at a time; otherwise what cores and memory allow", NULL },
    { "repeat", 0, "N", "run each N times", NULL },
    { "until-fail", 0, NULL, "repeat until one fails", NULL },
    { "dry-run", 'n', NULL, "print the plan with estimated times; start nothing", NULL },
    { "arch", 0, "ARCH", "machine type of devices that name none", "x86_64|aarch64" },
    { "control-plane", 0, "KIND", "what the fleet is run from", "embedded" },
    { "libvirt", 0, "URI", "a libvirt daemon, or 'private' for one of the rig's own", NULL },
    { "accel", 0, "ACCEL", "how machines are run; otherwise a boot probe decides", "kvm|tcg" },
    { "cold", 0, NULL, "boot each device, in place of restoring it from a snapshot", NULL },
    { "keep", 'k', NULL, "leave the lab up after a failure, until Ctrl-C", NULL },
    { "pause-on-failure", 0, NULL, "open a shell when a step fails, before anything is undone",
      NULL },
    { "report-dir", 0, "DIR", "make the folders of runs there", NULL },
    { "junit", 0, "FILE", "write JUnit XML of all scenarios there", NULL },
    { "tap", 0, NULL, "print TAP to stdout, and progress to stderr", NULL },
    { "config", 'c', "FILE", "settings file, instead of ~/.config/fleetrig/rig.yml", NULL },
    /* From this program to its children. */
    { "only", 0, "NAME", NULL, NULL },
    { "folder", 0, "DIR", NULL, NULL },
    { "width", 0, "COLUMNS", NULL, NULL },
    { 0 },
};

/* Those that a child is not given: they are about all of them, or have been followed. */
static const char *const not_for_children[] = { "tag",     "jobs",       "repeat", "until-fail",
                                                "dry-run", "report-dir", "junit",  "tap" };

/* All that the parts of the command need. */
struct all {
    const struct verbs_args *args;
    struct place *place;
    struct settings *settings;
    struct scenarios list;
    struct scenarios_count count;
    char *runs_dir;
    struct past *past;
    FILE *out;
    const volatile sig_atomic_t *stop;
    struct schedule_host host;
    size_t rounds; /* 0: for ever */
    struct many_job *jobs;
    size_t n_jobs;
    struct outcomes outcomes;
};

/* --- What to run, and how -------------------------------------------------------------------- */

/* A whole number from 1 on; `otherwise` when the option was not given. */
static int number_of(const struct verbs_args *args, const char *option, long max, size_t otherwise,
                     size_t *ret, struct err **err)
{
    const char *text = verbs_value(args, option);
    char *end = NULL;
    long value;

    *ret = otherwise;
    if (!text)
        return 0;
    errno = 0;
    value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < 1 || value > max)
        return err_new(err, EINVAL, "--%s must be a number from 1 to %ld, not '%s'", option, max,
                       text);
    *ret = (size_t)value;
    return 0;
}

static int read_options(struct all *all, struct err **err)
{
    const struct verbs_args *args = all->args;
    int r;

    if ((r = place_new(&all->place, err)) < 0 ||
        (r = options_settings(args, all->place, &all->settings, err)) < 0 ||
        (r = number_of(args, "jobs", JOBS_MAX, 0, &all->host.jobs, err)) < 0 ||
        (r = number_of(args, "repeat", ROUNDS_MAX, verbs_flag(args, "until-fail") ? 0 : 1,
                       &all->rounds, err)) < 0)
        return r;
    if (verbs_flag(args, "pause-on-failure") && !inside_has_terminal())
        return err_new(err, ENOTTY, "--pause-on-failure needs a terminal for its shell");
    all->runs_dir = options_runs_dir(args, all->place);
    all->out = verbs_flag(args, "tap") ? stderr : stdout;
    all->host.cores = host_cores();
    all->host.memory_mb = host_memory_mb();
    return 0;
}

/* Without files: the scenarios of this checkout. */
static bool load(struct all *all)
{
    CLEANUP_STRV char **tags = verbs_values(all->args, "tag");
    CLEANUP_STRV char **overrides = verbs_values(all->args, "set");
    CLEANUP_FREE char *ours = xasprintf("%s/scenarios", all->place->root);
    struct scenarios_wanted wanted = {
        .paths = all->args->n_positional > 0 ? all->args->positional : ARGV(ours),
        .tags = tags,
        .overrides = overrides,
    };

    return scenarios_load(&wanted, &all->list, &all->count);
}

/* NULL when this host has it; else why it does not. The caller frees it. */
static char *unmet(const struct all *all, const char *need)
{
    const struct host_places places = { .root = all->place->root, .cache = all->place->cache };
    CLEANUP_FREE char *why = NULL;

    return host_has(&places, need, &why) ? NULL : xasprintf("needs %s: %s", need, why);
}

/* Why this host cannot run it; NULL when it can. The caller frees it. */
static char *unmet_need(const struct all *all, const struct scenario *s)
{
    char *why = NULL;

    for (char **need = s->needs; need && *need && !why; need++)
        why = unmet(all, *need);
    /* Nobody asked for this machine type but a matrix. */
    if (!why && str_eq(s->arch, "aarch64"))
        why = unmet(all, s->arch);
    return why;
}

/* Chooses what is run; what is not is an outcome already. */
static void choose(struct all *all)
{
    all->jobs = xcalloc(all->list.n + 1, sizeof(*all->jobs));
    for (size_t i = 0; i < all->list.n; i++) {
        const struct scenario *s = all->list.items[i];
        CLEANUP_FREE char *why = NULL;
        CLEANUP_ERR struct err *err = NULL;

        if ((why = unmet_need(all, s)))
            outcome_skip(outcomes_add(&all->outcomes), s->name, why);
        else if (schedule_check(&all->host, s->n_devices, all->settings->memory_mb, &err) < 0)
            outcome_refuse(outcomes_add(&all->outcomes), s->name, err);
        else
            all->jobs[all->n_jobs++] =
                    (struct many_job){ .scenario = s,
                                       .expected_ms = past_run_ms(all->past, s->name) };
    }
}

/* --- Reports of all -------------------------------------------------------------------------- */

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

static bool write_reports(const struct all *all)
{
    size_t n = all->outcomes.n;
    CLEANUP_FREE const struct history **histories = xcalloc(n + 1, sizeof(struct history *));
    CLEANUP_BUF struct buf tap = BUF_INIT(REPORT_MAX);
    const char *junit = verbs_value(all->args, "junit");
    bool good;

    for (size_t i = 0; i < n; i++)
        histories[i] = all->outcomes.items[i].history;
    good = !junit || write_junit(junit, histories, n);
    if (!verbs_flag(all->args, "tap"))
        return good;
    report_tap(histories, n, &tap);
    fputs(buf_str(&tap), stdout);
    return good && fflush(stdout) == 0;
}

static void tell_unrun(const struct all *all)
{
    for (size_t i = 0; i < all->outcomes.n; i++) {
        const struct outcome *o = &all->outcomes.items[i];

        if (o->unrun)
            fprintf(all->out, "%s  %s: %s\n", o->result == RESULT_SKIPPED ? "skip" : "FAIL",
                    o->scenario, o->unrun);
    }
}

static void tell_totals(const struct all *all)
{
    const struct outcomes *o = &all->outcomes;
    size_t interrupted = outcomes_count(o, RESULT_INTERRUPTED);
    CLEANUP_FREE char *stopped = xasprintf(", %zu interrupted", interrupted);

    for (size_t i = 0; o->n > 1 && i < o->n; i++)
        if (o->items[i].result == RESULT_FAILED && o->items[i].folder)
            fprintf(all->out, "FAIL  %s: %s\n", o->items[i].scenario, o->items[i].folder);
    fprintf(all->out, "%zu passed, %zu failed, %zu skipped%s\n", outcomes_count(o, RESULT_PASSED),
            outcomes_count(o, RESULT_FAILED),
            outcomes_count(o, RESULT_SKIPPED) + all->count.without_tag, interrupted ? stopped : "");
    fflush(all->out);
}

static int interrupted_code(void)
{
    return signals_first() == SIGINT ? RIG_INT : RIG_TERM;
}

/* --- Running --------------------------------------------------------------------------------- */

static int code_of(const struct one_run *run)
{
    if (run->result.result == RESULT_INTERRUPTED)
        return interrupted_code();
    if (run->no_lab)
        return RIG_NO_LAB;
    return run->result.result == RESULT_PASSED ? RIG_PASSED : RIG_FAILED;
}

/* One run in this process and a folder that was made for it. */
static void run_here(const struct all *all, const struct scenario *s, const char *folder, int width,
                     struct one_run *ret)
{
    CLEANUP(progress_free) struct progress *progress = progress_new(all->out, width);
    struct one_run_config config = {
        .place = all->place,
        .settings = all->settings,
        .scenario = s,
        .folder = folder,
        .progress = progress,
        .stop = all->stop,
        .keep = verbs_flag(all->args, "keep"),
        .pause = verbs_flag(all->args, "pause-on-failure"),
    };

    one_run(&config, ret);
}

/* In this process one after the other. */
static int run_in_order(struct all *all, struct err **err)
{
    bool until_fail = verbs_flag(all->args, "until-fail"), over = false;
    int r;

    for (size_t i = 0; !over && !*all->stop; i++) {
        const struct scenario *s = all->jobs[i % all->n_jobs].scenario;
        CLEANUP_FREE char *folder = NULL;
        struct one_run run = { 0 };
        struct outcome *o;

        if ((r = run_folder_make(all->runs_dir, s->slug, &folder, err)) < 0)
            return r;
        run_here(all, s, folder, options_width(all->out), &run);
        o = outcomes_add(&all->outcomes);
        outcome_take(o, &run);
        one_run_done(&run);
        over = o->no_lab || (until_fail && o->result != RESULT_PASSED) ||
               (all->rounds && i + 1 == all->rounds * all->n_jobs);
    }
    return 0;
}

static bool is_for_children(const struct verbs_option *option)
{
    for (size_t i = 0; i < ARRAY_LEN(not_for_children); i++)
        if (str_eq(option->name, not_for_children[i]))
            return false;
    return true;
}

static char **children_argv(const struct verbs_args *args)
{
    char **argv = NULL;

    strv_add(&argv, args->command);
    for (size_t i = 0; i < args->n_given; i++) {
        const struct verbs_option *o = args->given[i].option;

        if (!is_for_children(o))
            continue;
        if (o->value)
            strv_addf(&argv, "--%s=%s", o->name, args->given[i].value);
        else
            strv_addf(&argv, "--%s", o->name);
    }
    return argv;
}

static int run_together(struct all *all, struct err **err)
{
    CLEANUP_STRV char **argv = children_argv(all->args);
    CLEANUP(board_free) struct board *board = NULL;
    int widest = 0;

    for (size_t i = 0; i < all->n_jobs; i++)
        if ((int)strlen(all->jobs[i].scenario->name) > widest)
            widest = (int)strlen(all->jobs[i].scenario->name);
    board = board_new(all->out, options_width(all->out), widest);
    return many_run(&(struct many_config){ .jobs = all->jobs,
                                           .n_jobs = all->n_jobs,
                                           .rounds = all->rounds,
                                           .until_fail = verbs_flag(all->args, "until-fail"),
                                           .argv = argv,
                                           .runs_dir = all->runs_dir,
                                           .host = all->host,
                                           .memory_mb = all->settings->memory_mb,
                                           .board = board,
                                           .stop = all->stop },
                    &all->outcomes, err);
}

static bool in_order(const struct all *all)
{
    return (all->n_jobs == 1 && all->rounds == 1) || verbs_flag(all->args, "pause-on-failure");
}

static void say_healed(const char *line, void *userdata)
{
    fprintf(userdata, "healed: %s\n", line);
}

/* A folder that somebody chose is theirs to tidy. */
static void make_room(const struct all *all)
{
    size_t n = 0;

    run_folders_heal(all->runs_dir, /* dry= */ false, say_healed, all->out, &n);
    if (!verbs_value(all->args, "report-dir"))
        run_folders_prune(all->runs_dir, (size_t)all->settings->keep_runs - 1);
}

static int run_chosen(struct all *all)
{
    CLEANUP_ERR struct err *err = NULL;
    int r = 0, code;

    all->stop = signals_catch();
    tell_unrun(all);
    make_room(all);
    if (all->n_jobs > 0)
        r = in_order(all) ? run_in_order(all, &err) : run_together(all, &err);
    if (r < 0) {
        CLEANUP_FREE char *text = err_text_full(err);

        fprintf(stderr, "%s\n", text);
    }
    tell_totals(all);
    code = signals_first() ? interrupted_code()
           : r < 0         ? RIG_NO_LAB
                           : outcomes_code(&all->outcomes);
    if (!write_reports(all) && code == RIG_PASSED)
        code = RIG_FAILED;
    return code;
}

static void tell_plan(const struct all *all)
{
    CLEANUP_BUF struct buf text = BUF_INIT(REPORT_MAX);

    forecast_text(&(struct forecast){ .jobs = all->jobs,
                                      .n_jobs = all->n_jobs,
                                      .rounds = all->rounds,
                                      .host = all->host,
                                      .arch = all->settings->arch,
                                      .memory_mb = all->settings->memory_mb,
                                      .past = all->past },
                  &text);
    fputs(buf_str(&text), stdout);
}

/* The child's part: the scenario that it was told, in the folder that it was told. */
static int run_only(struct all *all)
{
    const char *only = verbs_value(all->args, "only"), *folder = verbs_value(all->args, "folder");
    const char *width = verbs_value(all->args, "width");
    struct one_run run = { 0 };
    int code;

    all->stop = signals_catch();
    for (size_t i = 0; folder && i < all->list.n; i++) {
        if (!str_eq(all->list.items[i]->name, only))
            continue;
        run_here(all, all->list.items[i], folder, width ? (int)strtol(width, NULL, 10) : 0, &run);
        code = code_of(&run);
        one_run_done(&run);
        return code;
    }
    fprintf(stderr, "there is no scenario %s any more\n", only);
    return RIG_USAGE;
}

static void all_done(struct all *all)
{
    outcomes_done(&all->outcomes);
    free(all->jobs);
    past_free(all->past);
    free(all->runs_dir);
    scenarios_done(&all->list);
    settings_free(all->settings);
    place_free(all->place);
}

static int run_all(struct all *all)
{
    CLEANUP_ERR struct err *err = NULL;

    if (all->args->n_positional == 0 && !verbs_flag(all->args, "tag")) {
        fprintf(stderr, "rig run: FILE... or --tag TAG is missing\nTry 'rig run --help'.\n");
        return RIG_USAGE;
    }
    if (read_options(all, &err) < 0) {
        CLEANUP_FREE char *text = err_text_full(err);

        fprintf(stderr, "%s\n", text);
        return RIG_USAGE;
    }
    if (!load(all))
        return RIG_USAGE;
    if (verbs_value(all->args, "only"))
        return run_only(all);
    all->past = past_read(all->runs_dir);
    choose(all);
    if (!verbs_flag(all->args, "dry-run"))
        return run_chosen(all);
    tell_unrun(all);
    tell_plan(all);
    return all->n_jobs > 0 ? RIG_PASSED : outcomes_code(&all->outcomes);
}

int cmd_run(const struct verbs_args *args, void *userdata)
{
    struct all all = { .args = args };
    int code;

    (void)userdata;
    code = run_all(&all);
    all_done(&all);
    return code;
}
