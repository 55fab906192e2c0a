/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/one_run.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/inside.h"
#include "rig/cmd/options.h"
#include "rig/cmd/run_page.h"
#include "rig/cmd/runs.h"
#include "rig/cmd/summary.h"
#include "rig/lab/lab.h"
#include "rig/run/report.h"
#include "rig/verbs/disk.h"

#define REPORT_MAX (16 * 1024 * 1024)

struct session {
    const struct one_run_config *config;
    struct one_run *ret;
    struct run_folder *folder;
    struct history_writer *history;
    struct ledger *ledger;
    struct lab *lab;
    char **secrets; /* strv: the lab's, which outlive it here */
};

static void on_phase(const char *name, bool end, void *userdata)
{
    const struct session *s = userdata;

    history_add(s->history, HISTORY_PHASE, NULL, end ? "end" : "begin", name, NULL);
}

static void on_event(enum lab_event_kind kind, const char *lane, const char *text, void *userdata)
{
    const struct session *s = userdata;

    history_add(s->history, HISTORY_LANE, lane, lab_event_text(kind), text, NULL);
}

static void on_progress(const char *line, void *userdata)
{
    const struct session *s = userdata;

    progress_status(s->config->progress, line);
}

static bool interrupted(const struct session *s)
{
    return *s->config->stop != 0;
}

static int64_t cpu_ms(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000) +
           (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* --- The lab --------------------------------------------------------------------------------- */

static struct lab_device *lab_devices(const struct scenario *scenario)
{
    struct lab_device *devices = xcalloc(scenario->n_devices, sizeof(*devices));
    static const char *const none[] = { NULL };

    for (size_t i = 0; i < scenario->n_devices; i++) {
        const struct device_decl *d = &scenario->devices[i];

        devices[i] = (struct lab_device){
            .name = d->name,
            .labels = d->labels ? (const char *const *)d->labels : none,
            .arch = d->arch,
        };
    }
    return devices;
}

/* That of devices that name none. */
static const char *arch_of(const struct one_run_config *c)
{
    return c->scenario->arch ? c->scenario->arch : c->settings->arch;
}

static int lab_make(struct session *s, struct err **err)
{
    const struct one_run_config *c = s->config;
    CLEANUP_FREE char *dir = xasprintf("%s/lab", s->folder->path);
    CLEANUP_FREE struct lab_device *devices = lab_devices(c->scenario);
    CLEANUP_STRV char **lossy = disk_lossy(c->scenario);
    struct lab_config config = options_lab(c->place, c->settings);
    int r = dir_make(dir, 0711, err);

    config.dir = dir;
    config.arch = arch_of(c);
    config.devices = devices;
    config.n_devices = c->scenario->n_devices;
    config.lossy = (const char *const *)lossy;
    config.stop = c->stop;
    config.progress = on_progress;
    config.phase = on_phase;
    config.event = on_event;
    config.userdata = s;
    if (r < 0 || (r = ledger_new(dir, &s->ledger, err)) < 0)
        return r;
    config.ledger = s->ledger;
    if ((r = lab_new(&config, &s->lab, err)) < 0)
        return r;
    s->secrets = strv_copy(lab_secrets(s->lab));
    for (char *const *secret = s->secrets; *secret; secret++)
        history_redact(s->history, *secret);
    return lab_up(s->lab, err);
}

static void gather_evidence(struct session *s)
{
    if (s->ret->evidence || interrupted(s))
        return;
    s->ret->evidence = xasprintf("%s/evidence", s->folder->path);
    progress_status(s->config->progress, "gathering evidence");
    if (s->lab)
        lab_evidence(s->lab, s->ret->evidence);
    history_add(s->history, HISTORY_NOTE, NULL, "evidence", s->ret->evidence, NULL);
}

static struct inside inside_of(const struct session *s)
{
    return (struct inside){ .lab = s->lab,
                            .folder = s->folder->path,
                            .scenario = s->config->scenario,
                            .progress = s->config->progress };
}

/* A failed lab stands until the person has seen enough. */
static void keep_up(struct session *s)
{
    struct inside in = inside_of(s);

    progress_line(s->config->progress, "The lab is kept. Ctrl-C takes it down.");
    inside_tell(&in);
    while (!interrupted(s))
        poll(NULL, 0, 200);
}

/* Something failed, and nothing was taken back yet. */
static void on_failed(void *userdata)
{
    struct session *s = userdata;
    struct inside in = inside_of(s);

    gather_evidence(s);
    if (!s->config->pause || interrupted(s))
        return;
    progress_line(s->config->progress, "It stands as it failed. Leaving the shell goes on with the "
                                       "clean-up.");
    inside_tell(&in);
    inside_shell(&in, s->config->stop);
}

static void tell_lab_up(const struct session *s, int64_t took_ms)
{
    const struct machines *machines = lab_machines(s->lab);
    char text[DURATION_TEXT_MAX];

    history_learnt(s->history, machines_accel(machines), lab_factor(s->lab));
    progress_line(s->config->progress, "ok    lab (%s): %s, %s", duration_format(took_ms, text),
                  machines_accel(machines), machines_uri(machines));
}

/* The first step of the run. */
static void bring_up(struct session *s)
{
    struct run_result *result = &s->ret->result;
    struct progress *p = s->config->progress;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *why = NULL;
    int64_t began = clock_mono_ms(), took;
    char text[DURATION_TEXT_MAX];
    bool up;

    history_step_begin(s->history, &(struct step_result){ .name = (char[]){ "lab" } });
    up = lab_make(s, &err) >= 0;
    took = clock_mono_ms() - began;
    why = up ? NULL : err_text_full(err);
    run_result_add(result, "lab",
                   up               ? RESULT_PASSED
                   : interrupted(s) ? RESULT_INTERRUPTED
                                    : RESULT_FAILED,
                   took, why);
    history_step_end(s->history, &result->steps[0]);
    if (up) {
        tell_lab_up(s, took);
        return;
    }
    run_result_skip(result, s->config->scenario);
    s->ret->no_lab = !interrupted(s) && !(s->lab && lab_component_failed(s->lab));
    if (!interrupted(s))
        progress_line(p, "FAIL  lab (%s)\n  %s", duration_format(took, text), why);
    on_failed(s);
}

/* --- The scenario in it ---------------------------------------------------------------------- */

static void run_steps(struct session *s)
{
    struct watcher history = { 0 }, progress = { .also = &history };
    struct run_config config = {
        .lab = s->lab,
        .factor = lab_factor(s->lab),
        .scenario = s->config->scenario,
        .watcher = &progress,
        .stop = s->config->stop,
        .health = lab_check,
        .failed = on_failed,
        .ledger = s->ledger,
        .userdata = s,
    };

    progress_watch(s->config->progress, &progress);
    history_watch(s->history, &history);
    run_scenario(&config, &s->ret->result);
}

/* --- Reports --------------------------------------------------------------------------------- */

static void write_file(struct session *s, const char *name, const struct buf *text)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", s->folder->path, name);
    CLEANUP_ERR struct err *err = NULL;

    /* As a whole or not at all: half a JUnit file misleads who collects it. */
    if (file_replace(path, buf_str(text), text->len, 0644, &err) < 0)
        progress_line(s->config->progress, "%s", err_text(err));
}

/* Its path; NULL when it could not be written, which changes no verdict. The caller frees it. */
static char *write_page(struct session *s)
{
    CLEANUP_FREE char *path = xasprintf("%s/" RUN_PAGE, s->folder->path);
    CLEANUP_ERR struct err *err = NULL;

    if (run_page_write(s->folder->path, s->ret->history, s->secrets, path, &err) >= 0)
        return steal_ptr(path);
    progress_line(s->config->progress, "%s\n  'rig report' makes it again once there is room.",
                  err_text(err));
    return NULL;
}

static void write_reports(struct session *s)
{
    CLEANUP_BUF struct buf junit = BUF_INIT(REPORT_MAX), tap = BUF_INIT(REPORT_MAX);
    CLEANUP_BUF struct buf summary = BUF_INIT(REPORT_MAX);
    const struct history *const runs[] = { s->ret->history };

    report_junit(runs, 1, &junit);
    report_tap(runs, 1, &tap);
    summary_text(runs[0], &summary);
    if (s->folder) {
        write_file(s, "junit.xml", &junit);
        write_file(s, "result.tap", &tap);
        write_file(s, "summary.txt", &summary);
    }
    progress_line(s->config->progress, "\n%s", buf_str(&summary));
    if (s->folder) {
        CLEANUP_FREE char *page = write_page(s);

        if (s->ret->evidence)
            progress_line(s->config->progress, "evidence: %s", s->ret->evidence);
        progress_line(s->config->progress, "report: %s", page ? page : s->folder->path);
    }
}

/* --- All of it ------------------------------------------------------------------------------- */

/* "2 cores, 23 GiB, Linux 6.12.43": what figures of this run depend on. The caller frees it. */
static char *host_text(void)
{
    struct utsname u;

    uname(&u);
    return xasprintf("%ld cores, %.0f GiB, %s %s", sysconf(_SC_NPROCESSORS_ONLN),
                     (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1 << 30),
                     u.sysname, u.release);
}

static void begin_history(struct session *s)
{
    const struct scenario *sc = s->config->scenario;
    CLEANUP_FREE char *host = host_text(), *path = NULL;
    CLEANUP_STRV char **devices = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct history_run run = {
        .scenario = sc->name,
        .story = sc->story,
        .path = sc->path,
        .control_plane = (char[]){ "embedded" },
        .arch = (char *)arch_of(s->config),
        .host = host,
        .version = (char[]){ FLEETRIG_VERSION },
        .variables = sc->variables,
        .began_wall_ms = clock_wall_ms(),
        .components = (char *[]){ (char[]){ "etcd" }, (char[]){ "apiserver" }, (char[]){ "nats" },
                                  (char[]){ "operator" }, NULL },
    };

    for (size_t i = 0; i < sc->n_devices; i++)
        strv_add(&devices, sc->devices[i].name);
    run.devices = devices;
    if (s->folder)
        path = xasprintf("%s/" RUN_HISTORY, s->folder->path);
    if (history_begin(path, &run, &s->history, &err) >= 0)
        return;
    progress_line(s->config->progress, "%s", err_text(err));
    history_begin(/* path= */ NULL, &run, &s->history, NULL);
}

/* The folder, and the history in it. */
static int begin(struct session *s, struct err **err)
{
    const struct scenario *sc = s->config->scenario;
    int r;

    progress_line(s->config->progress,
                  "%s: %zu device%s (%s, %d cpus, %d MiB), embedded control plane", sc->name,
                  sc->n_devices, sc->n_devices == 1 ? "" : "s", arch_of(s->config),
                  s->config->settings->cpus, s->config->settings->memory_mb);
    r = run_folder_take(s->config->folder, &s->folder, err);
    if (r >= 0)
        s->ret->folder = xstrdup(s->folder->path);
    begin_history(s);
    return r;
}

static void no_folder(struct session *s, const struct err *err)
{
    CLEANUP_FREE char *why = err_text_full(err);

    progress_line(s->config->progress, "FAIL  %s", why);
    run_result_add(&s->ret->result, "lab", RESULT_FAILED, 0, why);
    run_result_skip(&s->ret->result, s->config->scenario);
    s->ret->no_lab = true;
}

/* What components wrote is in the report of a run that went well, too. */
static void keep_logs(const struct session *s)
{
    CLEANUP_FREE char *dir = s->folder ? xasprintf("%s/evidence", s->folder->path) : NULL;

    if (dir && s->lab && !s->ret->evidence)
        lab_logs(s->lab, dir);
}

/* How long that took. */
static int64_t take_down(struct session *s)
{
    int64_t began = clock_mono_ms();

    keep_logs(s);
    if (interrupted(s))
        progress_line(s->config->progress, "interrupted: taking the lab down");
    else
        progress_status(s->config->progress, "taking the lab down");
    history_add(s->history, HISTORY_NOTE, NULL, "down", "taking the lab down", NULL);
    lab_free(s->lab);
    ledger_free(s->ledger);
    return clock_mono_ms() - began;
}

void one_run(const struct one_run_config *config, struct one_run *ret)
{
    struct session s = { .config = config, .ret = ret };
    int64_t began = clock_mono_ms(), used = cpu_ms(), down;
    CLEANUP_ERR struct err *err = NULL, *lost = NULL;

    *ret = (struct one_run){ .scenario = config->scenario };
    if (begin(&s, &err) < 0)
        no_folder(&s, err);
    else
        bring_up(&s);
    if (ret->result.result == RESULT_PASSED)
        run_steps(&s);
    if (config->keep && s.lab && ret->result.result == RESULT_FAILED)
        keep_up(&s);
    down = take_down(&s);
    history_result(s.history, &ret->result);
    if (history_end(s.history, ret->result.result, clock_mono_ms() - began, down, cpu_ms() - used,
                    &ret->history, &lost) < 0)
        progress_line(config->progress, "%s", err_text(lost));
    write_reports(&s);
    strv_free(s.secrets);
    run_folder_free(s.folder);
}

void one_run_done(struct one_run *r)
{
    run_result_done(&r->result);
    history_free(r->history);
    free(r->folder);
    free(r->evidence);
    *r = (struct one_run){ 0 };
}
