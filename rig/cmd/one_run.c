/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/one_run.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/runs.h"
#include "rig/cmd/summary.h"
#include "rig/lab/lab.h"
#include "rig/run/report.h"

#define REPORT_MAX (16 * 1024 * 1024)

struct session {
    const struct one_run_config *config;
    struct one_run *ret;
    struct run_folder *folder;
    struct lab *lab;
    struct lab_phase *phases;
    size_t n_phases;
};

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
    struct lab_config config = {
        .dir = dir,
        .cache_dir = c->place->cache,
        .root = c->place->root,
        .programs = c->place->programs,
        .arch = arch_of(c),
        .libvirt_uri = c->settings->libvirt,
        .accel = c->settings->accel,
        .apiserver = c->settings->apiserver,
        .cpus = c->settings->cpus,
        .memory_mb = c->settings->memory_mb,
        .disk_gb = c->settings->disk_gb,
        .heartbeat_ms = c->settings->heartbeat_ms,
        .unreachable_after_ms = c->settings->unreachable_after_ms,
        .tick_ms = c->settings->tick_ms,
        .boot_timeout_ms = c->settings->boot_timeout_ms,
        .devices = devices,
        .n_devices = c->scenario->n_devices,
        .stop = c->stop,
        .progress = on_progress,
        .userdata = s,
    };
    int r;

    r = lab_new(&config, &s->lab, err);
    if (r < 0)
        return r;
    return lab_up(s->lab, err);
}

/* Phases outlive the lab. */
static void keep_phases(struct session *s)
{
    const struct lab_phase *phases = NULL;
    size_t n = s->lab ? lab_phases(s->lab, &phases) : 0;

    s->phases = xcalloc(n + 1, sizeof(*phases));
    if (n > 0)
        memcpy(s->phases, phases, n * sizeof(*phases));
    s->n_phases = n;
}

static void gather_evidence(void *userdata)
{
    struct session *s = userdata;

    if (s->ret->evidence || interrupted(s))
        return;
    s->ret->evidence = xasprintf("%s/evidence", s->folder->path);
    progress_status(s->config->progress, "gathering evidence");
    if (s->lab)
        lab_evidence(s->lab, s->ret->evidence);
}

static void bring_up(struct session *s)
{
    struct progress *p = s->config->progress;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *why = NULL;
    int64_t began = clock_mono_ms(), took;
    char text[DURATION_TEXT_MAX];
    bool up = lab_make(s, &err) >= 0;

    took = clock_mono_ms() - began;
    keep_phases(s);
    if (up) {
        run_result_add(&s->ret->result, "lab", RESULT_PASSED, took, NULL);
        progress_line(p, "ok    lab (%s): %s, %s", duration_format(took, text),
                      machines_accel(lab_machines(s->lab)), machines_uri(lab_machines(s->lab)));
        return;
    }
    why = err_text_full(err);
    run_result_add(&s->ret->result, "lab", interrupted(s) ? RESULT_INTERRUPTED : RESULT_FAILED,
                   took, why);
    run_result_skip(&s->ret->result, s->config->scenario);
    s->ret->no_lab = !interrupted(s) && !(s->lab && lab_component_failed(s->lab));
    if (!interrupted(s))
        progress_line(p, "FAIL  lab (%s)\n  %s", duration_format(took, text), why);
    gather_evidence(s);
}

/* --- The scenario in it ---------------------------------------------------------------------- */

static void run_steps(struct session *s)
{
    struct watcher watcher = { 0 };
    struct run_config config = {
        .lab = s->lab,
        .scenario = s->config->scenario,
        .watcher = &watcher,
        .stop = s->config->stop,
        .health = lab_check,
        .failed = gather_evidence,
        .userdata = s,
    };
    progress_watch(s->config->progress, &watcher);
    run_scenario(&config, &s->ret->result);
}

static void tell_login(const struct session *s, const char *device)
{
    struct machines *machines = lab_machines(s->lab);
    uint16_t port = 0;

    if (machines && machine_forward(machines, device, 22, &port, NULL) >= 0)
        progress_line(s->config->progress,
                      "  %s: ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
                      "-i %s/lab/ssh_key -p %u root@127.0.0.1",
                      device, s->folder->path, port);
}

/* A failed lab stands until the person has seen enough. */
static void keep_up(struct session *s)
{
    struct progress *p = s->config->progress;

    progress_line(p, "The lab is kept. Ctrl-C takes it down.");
    progress_line(p, "  files: %s/lab", s->folder->path);
    if (lab_kubeconfig(s->lab))
        progress_line(p, "  kubectl --kubeconfig %s get fleetdep,fleetdev", lab_kubeconfig(s->lab));
    for (size_t i = 0; i < s->config->scenario->n_devices; i++)
        tell_login(s, s->config->scenario->devices[i].name);
    while (!interrupted(s))
        poll(NULL, 0, 200);
}

/* --- Reports --------------------------------------------------------------------------------- */

static void write_file(struct session *s, const char *name, const struct buf *text)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", s->folder->path, name);
    CLEANUP_ERR struct err *err = NULL;

    if (file_write(path, buf_str(text), text->len, 0644, &err) < 0)
        progress_line(s->config->progress, "%s", err_text(err));
}

static void write_reports(struct session *s)
{
    CLEANUP_BUF struct buf junit = BUF_INIT(REPORT_MAX), tap = BUF_INIT(REPORT_MAX);
    struct report report = {
        .name = s->config->scenario->name,
        .result = &s->ret->result,
        .began_wall_ms = s->ret->began_wall_ms,
        .evidence = s->ret->evidence,
    };

    report_junit(&report, 1, &junit);
    report_tap(&report, 1, &tap);
    write_file(s, "junit.xml", &junit);
    write_file(s, "result.tap", &tap);
}

static void write_summary(struct session *s, int64_t down_ms, int64_t total_ms, int64_t used_ms)
{
    CLEANUP_BUF struct buf text = BUF_INIT(REPORT_MAX);
    struct summary summary = {
        .scenario = s->config->scenario,
        .result = &s->ret->result,
        .phases = s->phases,
        .n_phases = s->n_phases,
        .down_ms = down_ms,
        .total_ms = total_ms,
        .cpu_ms = used_ms,
    };

    summary_text(&summary, &text);
    write_file(s, "summary.txt", &text);
    progress_line(s->config->progress, "\n%s", buf_str(&text));
}

/* --- All of it ------------------------------------------------------------------------------- */

static int begin(struct session *s, struct err **err)
{
    const struct scenario *sc = s->config->scenario;

    progress_line(s->config->progress,
                  "%s: %zu device%s (%s, %d cpus, %d MiB), embedded control plane", sc->name,
                  sc->n_devices, sc->n_devices == 1 ? "" : "s", arch_of(s->config),
                  s->config->settings->cpus, s->config->settings->memory_mb);
    run_folders_prune(s->config->runs_dir, s->config->keep_runs);
    return run_folder_new(s->config->runs_dir, sc->slug, &s->folder, err);
}

void one_run(const struct one_run_config *config, struct one_run *ret)
{
    struct session s = { .config = config, .ret = ret };
    int64_t began = clock_mono_ms(), used = cpu_ms(), down;
    CLEANUP_ERR struct err *err = NULL;

    *ret = (struct one_run){ .scenario = config->scenario, .began_wall_ms = clock_wall_ms() };
    if (begin(&s, &err) < 0) {
        progress_line(config->progress, "FAIL  %s", err_text(err));
        run_result_add(&ret->result, "lab", RESULT_FAILED, 0, err_text(err));
        run_result_skip(&ret->result, config->scenario);
        ret->no_lab = true;
        return;
    }
    bring_up(&s);
    if (ret->result.result == RESULT_PASSED)
        run_steps(&s);
    if (config->keep && s.lab && ret->result.result == RESULT_FAILED)
        keep_up(&s);
    down = clock_mono_ms();
    if (interrupted(&s))
        progress_line(config->progress, "interrupted: taking the lab down");
    else
        progress_status(config->progress, "taking the lab down");
    lab_free(s.lab);
    down = clock_mono_ms() - down;
    write_reports(&s);
    write_summary(&s, down, clock_mono_ms() - began, cpu_ms() - used);
    progress_line(config->progress, "%s: %s", ret->evidence ? "evidence" : "reports",
                  ret->evidence ? ret->evidence : s.folder->path);
    run_folder_free(s.folder);
    free(s.phases);
}

void one_run_done(struct one_run *r)
{
    run_result_done(&r->result);
    free(r->evidence);
    *r = (struct one_run){ 0 };
}
