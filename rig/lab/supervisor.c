/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: a child has its own process group, so that Ctrl-C at the terminal reaches the
 * rig alone, and dies with the rig (PR_SET_PDEATHSIG) unless its spec says otherwise. What the rig
 * wants is a flag of the child: `wanted` is set by a start and cleared by a stop or a fatal signal
 * that the rig sent itself. A child that has ended while it was wanted is a casualty, and every wait
 * looks for casualties between two questions.
 */

#include "rig/lab/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/calibrate.h"
#include "rig/lab/lossy.h"
#include "rig/lab/services.h"
#include "rig/ledger/ledger.h"

#define STOP_GRACE_MS 5000
#define POLL_MS 50
#define LAST_WORDS_LINES 5
#define LAST_WORDS_BYTES 4096

struct child {
    char *name, *log;
    char **argv, **env;
    bool outlive;
    int (*prepare)(void *userdata);
    void *userdata;
    struct proc proc;
    bool wanted;
    bool ready, mourned; /* as told to who listens, since the last start */
    off_t log_start;     /* where this start's output begins */
    uint64_t note;       /* of this start in the ledger; 0: none */
    struct child *older;
};

struct program {
    char *name, *path;
    struct program *next;
};

struct supervisor {
    pthread_mutex_t lock; /* of the children; taken again by its holder */
    char *dir;
    atomic_bool cancelled;
    double factor;
    const volatile sig_atomic_t *stop;
    lab_on_event *event;
    void *userdata;
    struct ledger *ledger;
    struct child *newest;
    struct program *programs;
    struct services *services;
};

static pthread_mutex_t *hold(const struct supervisor *s)
{
    pthread_mutex_t *lock = &((struct supervisor *)s)->lock;

    pthread_mutex_lock(lock);
    return lock;
}

static void release(pthread_mutex_t **lock)
{
    pthread_mutex_unlock(*lock);
}

/* Until the end of the block. */
#define HOLD(s) __attribute__((cleanup(release), unused)) pthread_mutex_t *held_ = hold(s)

static void child_free(struct child *c)
{
    free(c->name);
    free(c->log);
    strv_free(c->argv);
    strv_free(c->env);
    free(c);
}
DEFINE_CLEANUP(struct child *, child_free)

static struct child *find(const struct supervisor *s, const char *name)
{
    for (struct child *c = s->newest; c; c = c->older)
        if (str_eq(c->name, name))
            return c;
    return NULL;
}

static int need(const struct supervisor *s, const char *name, struct child **ret, struct err **err)
{
    struct child *c = find(s, name);

    if (!c)
        return err_new(err, ENOENT, "there is no component %s", name);
    *ret = c;
    return 0;
}

static bool running(struct child *c)
{
    return c->proc.pid > 0 && !proc_ended(&c->proc);
}

void supervisor_listen(struct supervisor *s, lab_on_event *event, void *userdata)
{
    s->event = event;
    s->userdata = userdata;
}

void supervisor_tell(const struct supervisor *s, enum lab_event_kind kind, const char *lane,
                     const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (s->event)
        s->event(kind, lane, text, s->userdata);
}

void supervisor_journal(struct supervisor *s, struct ledger *ledger)
{
    s->ledger = ledger;
}

struct ledger *supervisor_ledger(const struct supervisor *s)
{
    return s->ledger;
}

/* It was reaped. An entry that stays open for want of room on the disk does no harm. */
static void cross_out(const struct supervisor *s, struct child *c)
{
    ledger_done(s->ledger, c->note, NULL);
    c->note = 0;
}

/* Stops it, if it runs. */
static void end(const struct supervisor *s, struct child *c)
{
    bool ran = running(c);

    c->wanted = false;
    proc_stop(&c->proc, true, STOP_GRACE_MS);
    cross_out(s, c);
    if (ran)
        supervisor_tell(s, LAB_STOP, c->name, "stopped");
}

int supervisor_new(const char *dir, struct supervisor **ret, struct err **err)
{
    CLEANUP_FREE char *logs = xasprintf("%s/logs", dir);
    CLEANUP(supervisor_free) struct supervisor *s = NULL;
    pthread_mutexattr_t kind;
    int r = dir_make(logs, 0755, err);

    if (r < 0)
        return r;
    s = xcalloc(1, sizeof(*s));
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&s->lock, &kind);
    s->dir = xstrdup(dir);
    s->services = services_new(s, dir);
    *ret = steal_ptr(s);
    return 0;
}

void supervisor_free(struct supervisor *s)
{
    struct child *c;
    struct program *p;

    if (!s)
        return;
    while ((c = s->newest)) {
        s->newest = c->older;
        end(s, c);
        child_free(c);
    }
    while ((p = s->programs)) {
        s->programs = p->next;
        free(p->name);
        free(p->path);
        free(p);
    }
    services_free(s->services);
    pthread_mutex_destroy(&s->lock);
    free(s->dir);
    free(s);
}

void supervisor_stop_flag(struct supervisor *s, const volatile sig_atomic_t *stop)
{
    s->stop = stop;
}

int supervisor_interrupted(const struct supervisor *s, struct err **err)
{
    if (s->stop && *s->stop)
        return err_new(err, ECANCELED, "interrupted");
    return s->cancelled ? err_new(err, ECANCELED, "something else failed") : 0;
}

void supervisor_scale(struct supervisor *s, double factor)
{
    s->factor = factor;
}

void supervisor_cancel(struct supervisor *s, bool cancel)
{
    s->cancelled = cancel;
}

void supervisor_program(struct supervisor *s, const char *name, const char *path)
{
    struct program *p = xcalloc(1, sizeof(*p));

    p->name = xstrdup(name);
    p->path = xstrdup(path);
    p->next = s->programs;
    s->programs = p;
}

static const char *program_path(const struct supervisor *s, const char *name)
{
    for (struct program *p = s->programs; p; p = p->next)
        if (str_eq(p->name, name))
            return p->path;
    return name;
}

static int launch(struct supervisor *s, struct child *c, struct err **err)
{
    CLEANUP_CLOSE int log = open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    CLEANUP_STRV char **argv = strv_copy(c->argv);
    struct proc_spec spec = { .argv = argv,
                              .env = c->env,
                              .own_group = true,
                              .outlive = c->outlive,
                              .prepare = c->prepare,
                              .userdata = c->userdata };
    struct stat st;
    int r;

    if (log < 0 || fstat(log, &st) < 0)
        return err_errno(err, errno, "%s", c->log);
    replace_str(&argv[0], program_path(s, c->argv[0]));
    spec.out_fd = log;
    if ((r = proc_spawn(&spec, &c->proc, err)) < 0)
        return err_wrap(err, "starting %s", c->name);
    if ((r = ledger_process(s->ledger, c->name, c->proc.pid, &c->note, err)) < 0) {
        proc_stop(&c->proc, true, 0);
        return r;
    }
    c->log_start = st.st_size;
    c->wanted = true;
    c->ready = c->mourned = false;
    supervisor_tell(s, LAB_START, c->name, "process %d", (int)c->proc.pid);
    return 0;
}

int supervisor_start_spec(struct supervisor *s, const char *name, const struct proc_spec *spec,
                          struct err **err)
{
    HOLD(s);
    struct child *old = find(s, name), **at = &s->newest;
    CLEANUP(child_free) struct child *c = NULL;
    int r;

    if (old && running(old))
        return err_new(err, EEXIST, "%s runs already", name);
    c = xcalloc(1, sizeof(*c));
    c->name = xstrdup(name);
    c->log = xasprintf("%s/logs/%s.log", s->dir, name);
    c->argv = strv_copy(spec->argv);
    c->env = strv_copy(spec->env);
    c->outlive = spec->outlive;
    c->prepare = spec->prepare;
    c->userdata = spec->userdata;
    c->proc.pidfd = -1;
    if ((r = launch(s, c, err)) < 0)
        return r;
    if (old) {
        while (*at != old)
            at = &(*at)->older;
        *at = old->older;
        cross_out(s, old);
        child_free(old);
    }
    c->older = s->newest;
    s->newest = steal_ptr(c);
    return 0;
}

int supervisor_start(struct supervisor *s, const char *name, char *const *argv, char *const *env,
                     struct err **err)
{
    return supervisor_start_spec(s, name, &(struct proc_spec){ .argv = argv, .env = env }, err);
}

int supervisor_kill(struct supervisor *s, const char *name, int signal, struct err **err)
{
    HOLD(s);
    struct child *c = NULL;
    int r = need(s, name, &c, err);

    if (r < 0)
        return r;
    if (!running(c))
        return err_new(err, ESRCH, "%s does not run", name);
    if (kill(c->proc.pid, signal) < 0)
        return err_errno(err, errno, "sending signal %d to %s", signal, name);
    if (signal == SIGSTOP || signal == SIGCONT)
        supervisor_tell(s, signal == SIGSTOP ? LAB_PAUSE : LAB_RESUME, name, "signal %d", signal);
    if (signal != SIGKILL && signal != SIGTERM)
        return 0;
    c->wanted = false;
    supervisor_tell(s, LAB_STOP, name, "sent signal %d", signal);
    kill(c->proc.pid, SIGCONT); /* one that stands still takes no TERM */
    if ((r = proc_wait(&c->proc, STOP_GRACE_MS, err)) < 0)
        return err_wrap(err, "waiting for %s to end", name);
    cross_out(s, c);
    return 0;
}

int supervisor_stop(struct supervisor *s, const char *name, struct err **err)
{
    HOLD(s);
    struct child *c = NULL;
    int r = need(s, name, &c, err);

    if (r < 0)
        return r;
    end(s, c);
    return 0;
}

static int start_again(struct supervisor *s, const char *name, struct err **err)
{
    HOLD(s);
    struct child *c = NULL;
    int r = need(s, name, &c, err);

    if (r < 0)
        return r;
    end(s, c);
    return launch(s, c, err);
}

int supervisor_restart(struct supervisor *s, const char *name, struct err **err)
{
    int r = start_again(s, name, err);

    return r < 0 ? r : services_started(s->services, name, err);
}

void supervisor_lossy(struct supervisor *s, const char *const *names)
{
    services_lossy(s->services, names);
}

bool supervisor_is_lossy(const struct supervisor *s, const char *name)
{
    return services_is_lossy(s->services, name);
}

int supervisor_drop_unsynced(struct supervisor *s, const char *name, struct lossy_count *ret,
                             struct err **err)
{
    struct lossy *disk = NULL;
    int r = services_disk(s->services, name, &disk, err);

    if (r < 0 || (supervisor_running(s, name) && (r = supervisor_kill(s, name, SIGKILL, err)) < 0))
        return r;
    return lossy_drop(disk, ret, err);
}

int supervisor_sync_disk(struct supervisor *s, const char *name, struct lossy_count *ret,
                         struct err **err)
{
    struct lossy *disk = NULL;
    int r = services_disk(s->services, name, &disk, err);

    return r < 0 ? r : lossy_sync(disk, ret, err);
}

bool supervisor_running(const struct supervisor *s, const char *name)
{
    HOLD(s);
    struct child *c = find(s, name);

    return c && running(c);
}

/* The last lines that this start wrote; "" when it said nothing. The caller frees it. */
static char *last_words(const struct child *c)
{
    CLEANUP_CLOSE int fd = open(c->log, O_RDONLY | O_CLOEXEC);
    CLEANUP_STRV char **lines = NULL;
    char tail[LAST_WORDS_BYTES + 1];
    struct stat st;
    off_t from;
    ssize_t n;
    size_t count;

    if (fd < 0 || fstat(fd, &st) < 0)
        return xstrdup("");
    from = st.st_size - LAST_WORDS_BYTES;
    if (from < c->log_start)
        from = c->log_start;
    if ((n = pread(fd, tail, LAST_WORDS_BYTES, from)) <= 0)
        return xstrdup("");
    tail[n] = '\0';
    lines = strv_split(tail, "\r\n");
    count = strv_len(lines);
    return strv_join(lines + (count > LAST_WORDS_LINES ? count - LAST_WORDS_LINES : 0), "\n  ");
}

static int obituary(const struct supervisor *s, struct child *c, struct err **err)
{
    CLEANUP_FREE char *status = proc_status_text(c->proc.status), *words = last_words(c);
    int r;

    if (c->wanted && !c->mourned)
        supervisor_tell(s, LAB_DIED, c->name, "%s", status);
    c->mourned = true;
    r = err_new(err, ECHILD, "%s %s%s%s", c->name, status, *words ? ":\n  " : " and said nothing",
                words);

    err_hint(err, "the whole log: logs/%s.log", c->name);
    return r;
}

int supervisor_check(struct supervisor *s, struct err **err)
{
    HOLD(s);

    for (struct child *c = s->newest; c; c = c->older)
        if (c->wanted && !running(c))
            return obituary(s, c, err);
    return 0;
}

/* Between two questions: whether it is worth waiting on. *ret_end is ready when it ends. */
static int look(struct supervisor *s, const char *name, int *ret_end, struct err **err)
{
    HOLD(s);
    struct child *c = NULL;
    int r = need(s, name, &c, err);

    if (r < 0)
        return r;
    if (!running(c))
        return obituary(s, c, err);
    if ((r = supervisor_interrupted(s, err)) < 0 || (r = supervisor_check(s, err)) < 0)
        return r;
    *ret_end = c->proc.pidfd;
    return 0;
}

static void tell_ready(struct supervisor *s, const char *name)
{
    HOLD(s);
    struct child *c = find(s, name);

    if (c && !c->ready)
        supervisor_tell(s, LAB_READY, name, "serves");
    if (c)
        c->ready = true;
}

int supervisor_wait(struct supervisor *s, const char *name,
                    int (*ready)(void *userdata, struct err **err), void *userdata,
                    int64_t timeout_ms, struct err **err)
{
    int64_t limit_ms = scaled_ms(timeout_ms, s->factor), deadline = clock_mono_ms() + limit_ms;
    CLEANUP_ERR struct err *last = NULL;
    int r;

    if (!supervisor_log(s, name))
        return err_new(err, ENOENT, "there is no component %s", name);
    while (ready(userdata, &last) < 0) {
        struct pollfd death = { .events = POLLIN };

        if ((r = look(s, name, &death.fd, err)) < 0)
            return r;
        if (clock_mono_ms() >= deadline) {
            r = err_new(err, ETIMEDOUT, "%s is not ready after %.1f s: %s", name,
                        (double)limit_ms / 1000, err_text(last));
            err_hint(err, "its log: logs/%s.log", name);
            return r;
        }
        poll(&death, 1, POLL_MS);
    }
    tell_ready(s, name);
    return 0;
}

const char *supervisor_log(const struct supervisor *s, const char *name)
{
    HOLD(s);
    struct child *c = find(s, name);

    return c ? c->log : NULL;
}

static void add_names(const struct child *c, char ***names)
{
    if (!c)
        return;
    add_names(c->older, names);
    strv_add(names, c->name);
}

char **supervisor_names(const struct supervisor *s)
{
    HOLD(s);
    char **names = NULL;

    add_names(s->newest, &names);
    return names;
}

pid_t supervisor_pid(const struct supervisor *s, const char *name)
{
    HOLD(s);
    struct child *c = find(s, name);

    return c && running(c) ? c->proc.pid : 0;
}

const struct service_host *supervisor_service_host(struct supervisor *s, const char *devices_see)
{
    return services_host(s->services, devices_see);
}

/* Below the range that the kernel takes outgoing connections' ports from (32768 and up), so that
 * none of those takes the port before the service does. */
#define PORT_FIRST 20000
#define PORT_COUNT 12768

/* Other rigs are told that a port is ours before its service has it, by an abstract socket of this
 * name; like ports those belong to the network namespace. It is held as long as this process lives.
 * False when another has it. */
static bool claim(uint16_t port)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "fleetrig-port-%u", port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&name,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
        return true;
    if (fd >= 0)
        close(fd);
    return false;
}

static bool is_free(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

int port_free(uint16_t *ret, struct err **err)
{
    /* Moves on, so that one process never gives a port twice. */
    static _Atomic unsigned next;

    if (next == 0) {
        unsigned start = 0;

        getrandom(&start, sizeof(start), 0);
        next = start;
    }
    for (int i = 0; i < PORT_COUNT; i++) {
        uint16_t port = (uint16_t)(PORT_FIRST + next++ % PORT_COUNT);

        if (is_free(port) && claim(port)) {
            *ret = port;
            return 0;
        }
    }
    return err_new(err, EADDRINUSE, "no port from %d to %d is free on 127.0.0.1", PORT_FIRST,
                   PORT_FIRST + PORT_COUNT - 1);
}
