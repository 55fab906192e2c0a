/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: what makes a service the one that was specified is written down as one text,
 * its print: program, arguments, environment and files after expansion. Ensuring a service whose
 * print is that of the running child changes nothing. Ports are chosen once per service and kept, so
 * that a service which is restarted, or changed, is found where it was.
 */

#include "rig/lab/services.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/expand.h"
#include "rig/lab/lossy.h"

#define PRINT_MAX (8 << 20)
#define PROBE_MS 1000
#define SETTLED_MS 1000 /* READY_RUNNING */

struct member {
    char *name, *config, *data;
    struct expand_port *ports;
    size_t n_ports, cap_ports;
    char *print; /* of what runs; NULL before the first start */
    enum service_ready ready;
    char *ready_path;
    int64_t ready_timeout_ms, started_ms;
    struct lossy *lossy; /* what its data lies on; NULL for the host's own disk */
    struct member *next;
};

struct services {
    struct supervisor *supervisor;
    char *dir, *devices_see;
    char **lossy_names;
    struct member *first;
    struct service_host host;
};

static void service_free(struct member *v)
{
    for (size_t i = 0; i < v->n_ports; i++)
        free((char *)v->ports[i].name);
    free(v->ports);
    free(v->name);
    free(v->config);
    free(v->data);
    free(v->print);
    free(v->ready_path);
    if (v->lossy)
        lossy_free(v->lossy);
    free(v);
}

static struct member *find(const struct services *all, const char *name)
{
    for (struct member *v = all->first; v; v = v->next)
        if (str_eq(v->name, name))
            return v;
    return NULL;
}

static struct member *find_or_add(struct services *all, const char *name)
{
    struct member *v = find(all, name);

    if (v)
        return v;
    v = xcalloc(1, sizeof(*v));
    v->name = xstrdup(name);
    v->config = xasprintf("%s/services/%s/config", all->dir, name);
    v->data = xasprintf("%s/services/%s/data", all->dir, name);
    v->next = all->first;
    all->first = v;
    return v;
}

static const struct expand_port *find_port(const struct member *v, const char *name)
{
    for (size_t i = 0; i < v->n_ports; i++)
        if (str_eq(v->ports[i].name, name))
            return &v->ports[i];
    return NULL;
}

static int choose_ports(struct member *v, const struct service_spec *spec, struct err **err)
{
    for (size_t i = 0; i < spec->n_ports; i++) {
        uint16_t number = 0;
        int r;

        if (find_port(v, spec->ports[i].name))
            continue;
        if ((r = port_free(&number, err)) < 0)
            return r;
        v->ports = grow(v->ports, v->n_ports, &v->cap_ports, sizeof(*v->ports));
        v->ports[v->n_ports++] =
                (struct expand_port){ .name = xstrdup(spec->ports[i].name), .number = number };
    }
    return 0;
}

/* --- readiness ------------------------------------------------------------------------------- */

static int dial(uint16_t port, struct err **err)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return err_errno(err, errno, "connecting to 127.0.0.1:%u", port);
    return steal_fd(&fd);
}

/* A port that accepts is not a server that serves: waits for the server's own greeting. */
static int greets(uint16_t port, struct err **err)
{
    CLEANUP_CLOSE int fd = dial(port, err);
    struct pollfd in = { .fd = fd, .events = POLLIN };
    char start[6] = "";

    if (fd < 0)
        return fd;
    if (poll(&in, 1, PROBE_MS) <= 0 || recv(fd, start, 5, MSG_WAITALL) != 5)
        return err_new(err, EAGAIN, "127.0.0.1:%u accepts but sends no INFO line", port);
    if (!str_eq(start, "INFO "))
        return err_new(err, EPROTO, "127.0.0.1:%u does not greet with an INFO line", port);
    return 0;
}

static int answers_ok(uint16_t port, const char *path, struct err **err)
{
    CLEANUP_FREE char *url = xasprintf("http://127.0.0.1:%u", port);
    CLEANUP_FREE char *body = NULL;
    struct http_peer peer = { .base_url = url };
    struct http_request request = {
        .method = "GET", .path = path, .timeout_ms = PROBE_MS, .max_body = 64 << 10
    };
    size_t len = 0;
    long status = 0;
    int r = http_call(&peer, &request, &status, &body, &len, err);

    if (r < 0)
        return r;
    return status == 200 ? 0 : err_new(err, EAGAIN, "%s%s answers %ld", url, path, status);
}

static int ready(void *userdata, struct err **err)
{
    const struct member *v = userdata;

    switch (v->ready) {
    case READY_RUNNING:
        return clock_mono_ms() - v->started_ms >= SETTLED_MS
                       ? 0
                       : err_new(err, EAGAIN, "in its first second");
    case READY_NATS_INFO:
        return greets(v->ports[0].number, err);
    case READY_HTTP_OK:
        return answers_ok(v->ports[0].number, v->ready_path, err);
    }
    return err_new(err, EINVAL, "unknown kind of readiness");
}

static int wait_ready(struct services *all, struct member *v, struct err **err)
{
    return supervisor_wait(all->supervisor, v->name, ready, v, v->ready_timeout_ms, err);
}

int services_started(struct services *all, const char *name, struct err **err)
{
    struct member *v = find(all, name);

    if (!v)
        return 0;
    v->started_ms = clock_mono_ms();
    return wait_ready(all, v, err);
}

/* --- the capability -------------------------------------------------------------------------- */

static int expand_all(const char *const *texts, const struct expand_values *values, char ***ret,
                      struct err **err)
{
    CLEANUP_STRV char **expanded = NULL;

    for (size_t i = 0; texts && texts[i]; i++) {
        CLEANUP_FREE char *text = NULL;
        int r = expand(texts[i], values, &text, err);

        if (r < 0)
            return r;
        strv_add(&expanded, text);
    }
    *ret = steal_ptr(expanded);
    return 0;
}

static void print_all(struct buf *print, const char *what, char *const *texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        buf_addf(print, "%s %zu %s\n", what, strlen(texts[i]), texts[i]);
}

/* A service as it is to run. */
struct run {
    char **argv, **env, **files; /* contents, in the order of the spec */
    char *print;
};

static void run_done(struct run *run)
{
    strv_free(run->argv);
    strv_free(run->env);
    strv_free(run->files);
    free(run->print);
}

static int run_make(struct member *v, const struct service_spec *spec, struct run *run,
                    struct err **err)
{
    struct expand_values values = { .config = v->config,
                                    .data = spec->durable ? v->data : NULL,
                                    .ports = v->ports,
                                    .n_ports = v->n_ports };
    CLEANUP_BUF struct buf print = BUF_INIT(PRINT_MAX);
    CLEANUP_STRV char **args = NULL;
    int r;

    if ((r = expand_all(spec->args, &values, &args, err)) < 0 ||
        (r = expand_all(spec->env, &values, &run->env, err)) < 0)
        return r;
    strv_add(&run->argv, spec->program);
    for (size_t i = 0; args && args[i]; i++)
        strv_add(&run->argv, args[i]);
    print_all(&print, "argument", run->argv);
    print_all(&print, "environment", run->env);
    for (size_t i = 0; i < spec->n_files; i++) {
        CLEANUP_FREE char *content = NULL;

        if ((r = expand(spec->files[i].content, &values, &content, err)) < 0)
            return err_wrap(err, "file %s", spec->files[i].name);
        strv_add(&run->files, content);
        buf_addf(&print, "file %s %d\n", spec->files[i].name, spec->files[i].secret);
    }
    print_all(&print, "content", run->files);
    if (print.overflow)
        return err_new(err, EFBIG, "arguments and files are larger than %d bytes", PRINT_MAX);
    run->print = buf_steal(&print);
    return 0;
}

static int write_files(const struct member *v, const struct service_spec *spec,
                       const struct run *run, struct err **err)
{
    int r = dir_make(v->config, 0700, err);

    if (r < 0 || (spec->durable && (r = dir_make(v->data, 0700, err)) < 0))
        return r;
    for (size_t i = 0; i < spec->n_files; i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", v->config, spec->files[i].name);

        r = file_write(path, run->files[i], strlen(run->files[i]),
                       spec->files[i].secret ? 0600 : 0644, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Its disk, where it is to be one that can lose what was not synced. */
static int provide_disk(struct services *all, struct member *v, const struct service_spec *spec,
                        struct err **err)
{
    CLEANUP_FREE char *disk = NULL;
    int r;

    if (!spec->durable || v->lossy || !services_is_lossy(all, v->name))
        return 0;
    disk = xasprintf("%s/services/%s/disk", all->dir, v->name);
    if ((r = dir_make(disk, 0700, err)) < 0)
        return r;
    return lossy_start(all->supervisor, v->name, disk, v->data, &v->lossy, err);
}

static int start(struct services *all, struct member *v, const struct service_spec *spec,
                 struct run *run, struct err **err)
{
    struct proc_spec child = { .argv = run->argv, .env = run->env };
    int r;

    if (supervisor_running(all->supervisor, v->name) &&
        (r = supervisor_stop(all->supervisor, v->name, err)) < 0)
        return r;
    if ((r = write_files(v, spec, run, err)) < 0 || (r = provide_disk(all, v, spec, err)) < 0)
        return r;
    if (v->lossy) {
        child.prepare = lossy_enter;
        child.userdata = v->lossy;
    }
    free(v->print);
    v->print = steal_ptr(run->print);
    v->ready = spec->ready;
    replace_str(&v->ready_path, spec->ready_path);
    v->ready_timeout_ms = spec->ready_timeout_ms;
    if ((r = supervisor_start_spec(all->supervisor, v->name, &child, err)) < 0)
        return r;
    if ((r = services_started(all, v->name, err)) < 0)
        supervisor_stop(all->supervisor, v->name, NULL);
    return r;
}

static int ensure(void *impl, const struct service_spec *spec, bool *ret_changed, struct err **err)
{
    struct services *all = impl;
    struct member *v = find_or_add(all, spec->name);
    __attribute__((cleanup(run_done))) struct run run = { 0 };
    bool same;
    int r;

    if (spec->ready != READY_RUNNING && spec->n_ports == 0)
        return err_new(err, EINVAL, "service %s: readiness is asked on a port, and it has none",
                       spec->name);
    if ((r = choose_ports(v, spec, err)) < 0 || (r = run_make(v, spec, &run, err)) < 0)
        return err_wrap(err, "service %s", spec->name);
    same = str_eq(run.print, v->print) && supervisor_running(all->supervisor, v->name);
    r = same ? wait_ready(all, v, err) : start(all, v, spec, &run, err);
    if (r < 0)
        return r;
    if (ret_changed)
        *ret_changed = !same;
    return 0;
}

static int endpoint(void *impl, const char *service, const char *port, enum audience audience,
                    char **ret, struct err **err)
{
    struct services *all = impl;
    struct member *v = find(all, service);
    const struct expand_port *p = v ? find_port(v, port) : NULL;
    const char *host = audience == FOR_DEVICES ? all->devices_see : "127.0.0.1";

    if (!p)
        return err_new(err, ENOENT, "service %s has no port %s", service, port);
    if (!host)
        return err_new(err, EINVAL, "nobody said how devices see this host");
    *ret = xasprintf("%s:%u", host, p->number);
    return 0;
}

static int remove_service(void *impl, const char *service, struct err **err)
{
    struct services *all = impl;
    struct member *v = find(all, service), **at = &all->first;
    CLEANUP_FREE char *dir = NULL;
    int r;

    if (!v)
        return 0;
    if (supervisor_log(all->supervisor, service) &&
        (r = supervisor_stop(all->supervisor, service, err)) < 0)
        return r;
    if (v->lossy && (r = lossy_stop(all->supervisor, v->lossy, err)) < 0)
        return r;
    dir = xasprintf("%s/services/%s", all->dir, service);
    if ((r = dir_remove(dir, err)) < 0)
        return r;
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    service_free(v);
    return 0;
}

/* --- disks that lose what was not synced ------------------------------------------------------- */

void services_lossy(struct services *all, const char *const *names)
{
    strv_free(all->lossy_names);
    all->lossy_names = strv_copy((char *const *)names);
}

bool services_is_lossy(const struct services *all, const char *name)
{
    return strv_has(all->lossy_names, name);
}

int services_disk(const struct services *all, const char *name, struct lossy **ret,
                  struct err **err)
{
    const struct member *v = find(all, name);

    if (!v || !v->lossy)
        return err_new(err, ENOTSUP, "the disk of %s cannot lose what was not synced", name);
    *ret = v->lossy;
    return 0;
}

struct services *services_new(struct supervisor *s, const char *dir)
{
    struct services *all = xcalloc(1, sizeof(*all));

    all->supervisor = s;
    all->dir = xstrdup(dir);
    all->host = (struct service_host){
        .ensure = ensure, .endpoint = endpoint, .remove = remove_service, .impl = all
    };
    return all;
}

void services_free(struct services *all)
{
    struct member *v;

    if (!all)
        return;
    while ((v = all->first)) {
        all->first = v->next;
        service_free(v);
    }
    free(all->dir);
    free(all->devices_see);
    strv_free(all->lossy_names);
    free(all);
}

const struct service_host *services_host(struct services *all, const char *devices_see)
{
    if (devices_see)
        replace_str(&all->devices_see, devices_see);
    return &all->host;
}
