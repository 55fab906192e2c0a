/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: a table of jobs, of which schedule_next() picks; a poll over the pipes and
 * the ends of those that run. A child has a process group of its own, so that Ctrl-C reaches this
 * process alone, which sends TERM on; a child that loses this process gets TERM from the kernel. In
 * either case it takes its lab down. Whoever asks a second time is told what is waited for.
 */

#include "rig/cmd/many.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "rig/cmd/runs.h"
#include "rig/lab/host.h"

#define LOOK_MS 500 /* how late a signal is noticed at most */

struct job {
    const struct many_job *what;
    struct outcome outcome;
    bool started;
    char *folder;
    struct proc proc;
    int fd; /* its output; -1: it does not run */
    size_t slot;
};

struct many {
    const struct many_config *config;
    struct job *jobs;
    struct schedule_job *plan; /* the same as the scheduler sees them */
    size_t n, cap, cap_plan, rounds, running;
    int stops; /* how many signals were answered */
    bool no_more;
};

static void add_round(struct many *m)
{
    for (size_t i = 0; i < m->config->n_jobs; i++) {
        const struct many_job *what = &m->config->jobs[i];

        m->jobs = grow(m->jobs, m->n, &m->cap, sizeof(*m->jobs));
        m->plan = grow(m->plan, m->n, &m->cap_plan, sizeof(*m->plan));
        m->jobs[m->n] = (struct job){ .what = what, .fd = -1 };
        m->plan[m->n++] = (struct schedule_job){
            .need = schedule_need(what->scenario->n_devices, m->config->memory_mb),
            .expected_ms = what->expected_ms,
        };
    }
    m->rounds++;
}

/* --- One job --------------------------------------------------------------------------------- */

static char **arguments(const struct many_config *config, const struct job *job)
{
    char **argv = NULL;

    strv_add(&argv, "/proc/self/exe");
    for (char *const *a = config->argv; *a; a++)
        strv_add(&argv, *a);
    strv_addf(&argv, "--only=%s", job->what->scenario->name);
    strv_addf(&argv, "--folder=%s", job->folder);
    strv_addf(&argv, "--width=%d", board_width(config->board));
    strv_add(&argv, "--");
    strv_add(&argv, job->what->scenario->path);
    return argv;
}

static int start(struct many *m, struct job *job, struct err **err)
{
    CLEANUP_STRV char **argv = NULL;
    CLEANUP_CLOSE int in = -1, out = -1;
    struct proc_spec spec = { .own_group = true, .death_signal = SIGTERM };
    int fds[2], r;

    if ((r = run_folder_make(m->config->runs_dir, job->what->scenario->slug, &job->folder, err)) <
        0)
        return r;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, "pipe");
    in = fds[0];
    out = fds[1];
    if (fcntl(in, F_SETFL, O_NONBLOCK) < 0)
        return err_errno(err, errno, "pipe");
    spec.argv = argv = arguments(m->config, job);
    spec.out_fd = out;
    if ((r = proc_spawn(&spec, &job->proc, err)) < 0)
        return r;
    job->started = true;
    job->fd = steal_fd(&in);
    job->slot = board_begin(m->config->board, job->what->scenario->name);
    m->plan[job - m->jobs].state = SCHEDULE_RUNNING;
    m->running++;
    return 0;
}

static void read_output(struct many *m, struct job *job)
{
    char chunk[4096];
    ssize_t n;

    while ((n = read(job->fd, chunk, sizeof(chunk))) > 0)
        board_feed(m->config->board, job->slot, chunk, (size_t)n);
}

static void tell_end(struct many *m, const struct job *job)
{
    const char *mark = job->outcome.result == RESULT_PASSED   ? "ok  "
                       : job->outcome.result == RESULT_FAILED ? "FAIL"
                                                              : "stop";

    board_line(m->config->board, "%s  %s: %s", mark, job->what->scenario->name, job->folder);
}

static void end(struct many *m, struct job *job)
{
    int status = job->proc.status;

    read_output(m, job);
    outcome_read(&job->outcome, job->what->scenario->name, job->folder,
                 WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                 board_last_words(m->config->board, job->slot));
    board_end(m->config->board, job->slot);
    close(steal_fd(&job->fd));
    tell_end(m, job);
    m->plan[job - m->jobs].state = SCHEDULE_OVER;
    m->running--;
    /* Where one lab cannot be had the next one cannot either. */
    m->no_more |=
            job->outcome.no_lab || (m->config->until_fail && job->outcome.result != RESULT_PASSED);
}

/* --- All of them ----------------------------------------------------------------------------- */

static int start_what_fits(struct many *m, struct err **err)
{
    struct schedule_host host = m->config->host;
    size_t next;
    int r;

    while (!m->no_more && !*m->config->stop) {
        host.free_mb = host_memory_mb();
        next = schedule_next(&host, m->plan, m->n);
        if (next < m->n) {
            if ((r = start(m, &m->jobs[next], err)) < 0)
                return r;
            continue;
        }
        for (size_t i = 0; i < m->n; i++)
            if (m->plan[i].state == SCHEDULE_WAITING)
                return 0;
        if (m->config->rounds && m->rounds == m->config->rounds)
            return 0;
        add_round(m);
    }
    return 0;
}

static void answer_stop(struct many *m)
{
    CLEANUP_STRV char **names = NULL;
    CLEANUP_FREE char *all = NULL;
    int stops = *m->config->stop;

    if (stops <= m->stops)
        return;
    for (size_t i = 0; i < m->n; i++) {
        if (m->jobs[i].fd < 0)
            continue;
        if (m->stops == 0)
            kill(m->jobs[i].proc.pid, SIGTERM);
        strv_add(&names, m->jobs[i].what->scenario->name);
    }
    all = strv_join(names, ", ");
    if (m->running)
        board_line(m->config->board, "%s: %s",
                   m->stops == 0 ? "interrupted, taking down" : "still taking down", all);
    m->stops = stops;
}

static void wait_for_news(struct many *m)
{
    CLEANUP_FREE struct pollfd *fds = xcalloc(2 * m->running + 1, sizeof(*fds));
    size_t n = 0;

    for (size_t i = 0; i < m->n; i++) {
        if (m->jobs[i].fd < 0)
            continue;
        fds[n++] = (struct pollfd){ .fd = m->jobs[i].fd, .events = POLLIN };
        fds[n++] = (struct pollfd){ .fd = m->jobs[i].proc.pidfd, .events = POLLIN };
    }
    poll(fds, n, LOOK_MS);
    for (size_t i = 0; i < m->n; i++) {
        if (m->jobs[i].fd < 0)
            continue;
        if (proc_ended(&m->jobs[i].proc))
            end(m, &m->jobs[i]);
        else
            read_output(m, &m->jobs[i]);
    }
}

int many_run(const struct many_config *config, struct outcomes *ret, struct err **err)
{
    struct many m = { .config = config };
    int r = 0;

    add_round(&m);
    for (;;) {
        if (r >= 0 && (r = start_what_fits(&m, err)) < 0)
            m.no_more = true;
        answer_stop(&m);
        if (m.running == 0)
            break;
        wait_for_news(&m);
    }
    for (size_t i = 0; i < m.n; i++) {
        if (m.jobs[i].started)
            *outcomes_add(ret) = m.jobs[i].outcome;
        free(m.jobs[i].folder);
    }
    free(m.jobs);
    free(m.plan);
    return r;
}
