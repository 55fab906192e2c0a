/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: keeper_start() forks before there are any threads, and the child becomes the
 * lab's thread; the server's thread only queues. The child keeps three things of its parent: the
 * lock, the lock on the devbox it runs in, and nothing else, so that nobody who waits for the end of
 * a pipe waits for the fleet. It says through a pipe that it listens; from then on whoever called for
 * it is an asker like others, with one difference: it is the owner until the fleet is up.
 */

#include "rig/cmd/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/keeper_internal.h"
#include "rig/cmd/options.h"
#include "rig/cmd/rig.h"
#include "rig/cmd/runs.h"

#define LOOK_MS 1000
#define LOGS "lab/logs"
#define LOG LOGS "/keeper.log" /* with those of the components */
#define BOX_LOCK "/in-use"     /* tools/devbox */

static struct keeper_server *served; /* for the signal handler */

static void on_signal(int number)
{
    (void)number;
    keeper_server_end(served);
}

__attribute__((format(printf, 2, 3))) static void say(struct keeper *k, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT(ANSWER_MAX / 2);
    char at[CLOCK_RFC3339_MAX];
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    progress_line(k->log, "%s %s", clock_rfc3339(clock_wall_ms(), at), buf_str(&text));
    keeper_server_tell(k->server, ANSWER_STATUS, buf_str(&text));
}

/* --- Coming up ------------------------------------------------------------------------------- */

static void on_progress(const char *line, void *userdata)
{
    say(userdata, "%s", line);
}

static int make_lab(struct keeper *k, struct err **err)
{
    const struct keeper_config *c = k->config;
    CLEANUP_FREE char *dir = fleet_path(c->fleet, "lab");
    struct lab_config config = options_lab(c->place, c->settings);
    int r = dir_make(dir, 0711, err);

    config.dir = dir;
    config.devices = c->devices;
    config.n_devices = c->n_devices;
    config.stop = keeper_server_stop(k->server);
    config.progress = on_progress;
    config.event = keeper_on_event;
    config.userdata = k;
    if (r < 0 || (r = ledger_new(dir, &k->ledger, err)) < 0)
        return r;
    config.ledger = k->ledger;
    if ((r = lab_new(&config, &k->lab, err)) < 0)
        return r;
    return lab_up(k->lab, err);
}

/* What explains why it did not come up, where finished runs are kept: the fleet's own folder goes.
 * The folder's path, or NULL; the caller frees it. */
static char *keep_evidence(struct keeper *k)
{
    CLEANUP_FREE char *runs = xasprintf("%s/runs", k->config->place->cache);
    CLEANUP_FREE char *name = xasprintf("up-%s", k->config->fleet->name);
    CLEANUP(run_folder_free) struct run_folder *folder = NULL;
    CLEANUP_FREE char *evidence = NULL;

    run_folders_prune(runs, (size_t)k->config->settings->keep_runs - 1);
    if (!k->lab || run_folder_new(runs, name, &folder, NULL) < 0)
        return NULL;
    say(k, "gathering evidence");
    evidence = xasprintf("%s/evidence", folder->path);
    lab_evidence(k->lab, evidence);
    return steal_ptr(evidence);
}

static int bring_up(struct keeper *k, char **ret_why)
{
    int64_t began = clock_mono_ms();
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *why = NULL, *evidence = NULL;
    char text[DURATION_TEXT_MAX];
    bool made = make_lab(k, &err) >= 0;

    k->state.took_ms = clock_mono_ms() - began;
    if (made && keeper_write_state(k, &err) >= 0) {
        say(k, "the fleet is up after %s", duration_format(k->state.took_ms, text));
        return RIG_PASSED;
    }
    if (keeper_server_ending(k->server)) {
        *ret_why = xstrdup("interrupted: the fleet was taken down again");
        return RIG_INT;
    }
    why = err_text_full(err);
    say(k, "the fleet does not come up: %s", why);
    evidence = keep_evidence(k);
    *ret_why = xasprintf("the fleet %s does not come up: %s%s%s", k->config->fleet->name, why,
                         evidence ? "\nevidence: " : "", evidence ? evidence : "");
    return k->lab && lab_component_failed(k->lab) ? RIG_FAILED : RIG_NO_LAB;
}

/* --- Staying up and going down --------------------------------------------------------------- */

static void stay_up(struct keeper *k)
{
    keeper_work_begin(k);
    keeper_look(k);
    keeper_server_up(k->server);
    while (!keeper_server_ending(k->server)) {
        if (keeper_server_next(k->server, LOOK_MS, &k->request))
            keeper_work(k, k->request);
        k->request = NULL;
        keeper_look(k);
    }
}

/* The lab, then the folder; last, who waits is told. */
static void go_down(struct keeper *k, int code, const char *why)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *text = NULL;

    say(k, "taking the fleet down");
    session_free(steal_ptr(k->session));
    lab_free(steal_ptr(k->lab));
    ledger_free(steal_ptr(k->ledger));
    if (fleet_clear(k->config->fleet, &err) < 0 || fleet_remove(k->config->fleet, &err) < 0)
        text = xasprintf("%s%s%s", why, *why ? "\n" : "", err_text(err));
    keeper_server_down(k->server, code, text ? text : why);
}

static void keeper_done(struct keeper *k)
{
    keeper_server_free(k->server);
    progress_free(k->log);
    fleet_state_done(&k->state);
    free(k->devices);
}

static int live(struct keeper *k)
{
    CLEANUP_FREE char *why = NULL;
    int code = bring_up(k, &why);

    if (code == RIG_PASSED) {
        stay_up(k);
        why = xstrdup("the fleet went down");
        code = RIG_USAGE;
    }
    go_down(k, code, why);
    return code == RIG_USAGE ? RIG_PASSED : code;
}

/* --- Becoming a process in the background ---------------------------------------------------- */

/* The lock of the devbox that this process runs in, so that nobody removes that. */
static bool is_box_lock(int fd)
{
    char path[32], target[4096];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    n = readlink(path, target, sizeof(target) - 1);
    if (n < 0)
        return false;
    target[n] = '\0';
    return str_ends(target, BOX_LOCK);
}

static void close_others(const int *keep, size_t n)
{
    DIR *d = opendir("/proc/self/fd");

    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        int fd = -1;
        bool kept = sscanf(e->d_name, "%d", &fd) != 1 || fd <= STDERR_FILENO || fd == dirfd(d);

        for (size_t i = 0; i < n; i++)
            kept |= fd == keep[i];
        if (!kept && !is_box_lock(fd))
            close(fd);
    }
    closedir(d);
}

/* Standard input, output and error: nothing, and the log. */
static int redirect(const struct fleet *f, struct err **err)
{
    CLEANUP_FREE char *path = fleet_path(f, LOG), *lab = fleet_path(f, "lab"),
                      *logs = fleet_path(f, LOGS);
    CLEANUP_CLOSE int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC), log = -1;
    int r;

    if ((r = dir_make(lab, 0711, err)) < 0 || (r = dir_make(logs, 0755, err)) < 0)
        return r;
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0 || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0)
        return err_errno(err, errno, "%s", path);
    return 0;
}

static void catch_signals(struct keeper_server *server)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_signal };

    served = server;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaction(numbers[i], &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

static int begin(struct keeper *k, struct err **err)
{
    CLEANUP_FREE char *path = fleet_path(k->config->fleet, FLEET_STATE);
    CLEANUP_JSON json_t *status = NULL;
    CLEANUP_CLOSE int fd = -1;
    int r;

    k->log = progress_new(stdout, /* width= */ 0);
    k->devices = xcalloc(k->config->n_devices, sizeof(*k->devices));
    k->state = (struct fleet_state){ .pid = getpid(), .began_wall_ms = clock_wall_ms() };
    if ((r = fleet_state_write(path, &k->state, err)) < 0 ||
        (r = fleet_listen(k->config->fleet, &fd, err)) < 0)
        return r;
    r = keeper_server_new(fd, &k->server, err);
    steal_fd(&fd);
    if (r < 0)
        return r;
    status = json_pack("{s:s, s:i, s:I}", "fleet", k->config->fleet->name, "pid", (int)getpid(),
                       "began_wall_ms", (json_int_t)k->state.began_wall_ms);
    keeper_server_status(k->server, status);
    catch_signals(k->server);
    return 0;
}

/* In the child; says "." through the pipe, or what is wrong. */
static int keeper_main(const struct keeper_config *config, int ready_fd)
{
    struct keeper k = { .config = config };
    CLEANUP_ERR struct err *err = NULL;
    int code = RIG_NO_LAB;
    bool good;

    setsid();
    prctl(PR_SET_NAME, "rig-keeper");
    close_others((int[]){ config->fleet->lock_fd, ready_fd }, 2);
    good = redirect(config->fleet, &err) >= 0 && begin(&k, &err) >= 0;
    if (dprintf(ready_fd, "%s", good ? "." : err_text(err)) < 0)
        good = false;
    close(ready_fd);
    if (good)
        code = live(&k);
    keeper_done(&k);
    return code;
}

int keeper_start(const struct keeper_config *config, struct err **err)
{
    CLEANUP_CLOSE int ready = -1;
    CLEANUP_FREE char *said = NULL;
    int fds[2], r;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, "starting the keeper");
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        _exit(keeper_main(config, fds[1]));
    }
    close(fds[1]);
    ready = fds[0];
    if (pid < 0)
        return err_errno(err, errno, "starting the keeper");
    if ((r = file_read_fd(ready, "the keeper", 4096, &said, NULL, err)) < 0)
        return r;
    close(steal_fd(&config->fleet->lock_fd));
    return str_eq(said, ".") ? 0 : err_new(err, EIO, "%s", *said ? said : "the keeper died");
}
