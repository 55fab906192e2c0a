/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: a failure is explained by what was written while it happened, so everything
 * is copied, in order of how surely it can be had: files of this host first, then what servers
 * answer, then what guests answer, each guest within a short time. What cannot be had becomes a
 * line of missing.txt and nothing stops.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/strv.h"
#include "fleet/wire/names.h"
#include "fleet/wire/resource.h"
#include "rig/lab/lab_internal.h"
#include "rig/lab/observed.h"

#define REACH_MS 10000
#define COMMAND_MS 20000
#define KEYS_MS 3000
#define KEYS_MAX (32 << 20)
#define COPY_MAX (32 << 20) /* of a file: its end */

struct evidence {
    struct lab *lab;
    const char *dir;
    struct buf missing;
    struct observed observed;
};

__attribute__((format(printf, 3, 4))) static void miss(struct evidence *e, const struct err *why,
                                                       const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&e->missing, fmt, ap);
    va_end(ap);
    buf_addf(&e->missing, ": %s\n", err_text(why));
}

/* Writes a text to DIR/SUB/NAME, without its secrets. */
static void keep(struct evidence *e, const char *sub, const char *name, const char *text,
                 size_t len)
{
    CLEANUP_FREE char *dir = xasprintf("%s/%s", e->dir, sub), *path = NULL;
    CLEANUP_BUF struct buf plain = BUF_INIT(2 * COPY_MAX);
    CLEANUP_ERR struct err *err = NULL;

    redact(&plain, text, len, lab_secrets(e->lab));
    path = xasprintf("%s/%s", dir, name);
    if (dir_make(dir, 0700, &err) < 0 ||
        file_write(path, buf_str(&plain), plain.len, 0644, &err) < 0)
        miss(e, err, "%s/%s", sub, name);
}

/* --- files ----------------------------------------------------------------------------------- */

/* The end of a file, at most COPY_MAX bytes. The caller frees *ret. */
static int read_end(const char *path, char **ret, size_t *ret_len, struct err **err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, errno, "%s", path);
    if (st.st_size > COPY_MAX && lseek(fd, -(off_t)COPY_MAX, SEEK_END) < 0)
        return err_errno(err, errno, "%s", path);
    /* It may grow meanwhile. */
    return file_read_fd(fd, path, 2 * COPY_MAX, ret, ret_len, err);
}

static void keep_copy(struct evidence *e, const char *sub, const char *name, const char *from)
{
    CLEANUP_FREE char *text = NULL;
    CLEANUP_ERR struct err *err = NULL;
    size_t len = 0;

    if (read_end(from, &text, &len, &err) < 0)
        miss(e, err, "%s/%s", sub, name);
    else
        keep(e, sub, name, text, len);
}

static void keep_logs(struct evidence *e)
{
    static const char *const components[] = { "etcd", "apiserver", "nats", "operator", "libvirtd" };

    for (size_t i = 0; i < ARRAY_LEN(components); i++) {
        const char *log = supervisor_log(e->lab->supervisor, components[i]);
        CLEANUP_FREE char *name = xasprintf("%s.log", components[i]);

        if (log)
            keep_copy(e, "logs", name, log);
    }
}

/* --- servers --------------------------------------------------------------------------------- */

/* Without its etcd the API server lets every request run into its deadline. */
static int can_answer(const struct lab *lab, struct err **err)
{
    static const char *const needed[] = { "etcd", "apiserver" };

    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (!supervisor_running(lab->supervisor, needed[i]))
            return err_new(err, ENOTCONN, "not asked for, since %s does not run", needed[i]);
    return 0;
}

/* False when the API server does not answer. */
static bool keep_objects(struct evidence *e, const char *name, const char *path)
{
    CLEANUP_JSON json_t *list = NULL;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *text = NULL;

    if (can_answer(e->lab, &err) < 0 ||
        kube_call(lab_kube(e->lab), "GET", path, NULL, NULL, &list, &err) < 0) {
        miss(e, err, "objects/%s", name);
        return false;
    }
    text = json_dumps(list, JSON_INDENT(2));
    keep(e, "objects", name, text, strlen(text));
    return true;
}

static void add_key(struct evidence *e, struct buf *out, const char *bucket, const char *key)
{
    CLEANUP_ERR struct err *err = NULL;
    struct bus_entry entry = { 0 };
    char when[CLOCK_RFC3339_MAX];

    if (bus_get(e->lab->bus, bucket, key, KEYS_MS, &entry, &err) < 0) {
        buf_addf(out, "%s: %s\n", key, err_text(err));
        return;
    }
    buf_addf(out, "%s (revision %llu, stored %s)\n  ", key, (unsigned long long)entry.revision,
             clock_rfc3339(entry.stored_ms, when));
    buf_add(out, entry.value, entry.len);
    buf_addc(out, '\n');
    if (str_eq(bucket, BUCKET_DESIRED_STATE))
        observed_desired(&e->observed, key, entry.value, entry.len);
    else if (str_eq(bucket, BUCKET_DEVICE_STATE))
        observed_state(&e->observed, key, entry.value, entry.len);
    bus_entry_done(&entry);
}

static void keep_bucket(struct evidence *e, const char *bucket)
{
    CLEANUP_BUF struct buf out = BUF_INIT(KEYS_MAX);
    CLEANUP_FREE char *name = xasprintf("%s.txt", bucket);
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_STRV char **keys = NULL;

    if (bus_keys(e->lab->bus, bucket, ">", KEYS_MS, &keys, &err) < 0) {
        if (err_code(err) != ENOENT) /* a bucket that nobody needed yet */
            miss(e, err, "keys/%s", name);
        return;
    }
    for (size_t i = 0; keys && keys[i]; i++)
        add_key(e, &out, bucket, keys[i]);
    keep(e, "keys", name, buf_str(&out), out.len);
}

static void keep_state(struct evidence *e)
{
    static const char *const buckets[] = { BUCKET_DESIRED_STATE, BUCKET_DEVICE_INFO,
                                           BUCKET_DEVICE_STATE, BUCKET_DEVICE_HEARTBEAT,
                                           BUCKET_AGENT_UPGRADE };

    if (lab_kube(e->lab) && keep_objects(e, "deployments.json", PATH_DEPLOYMENTS))
        keep_objects(e, "devices.json", PATH_DEVICES);
    for (size_t i = 0; e->lab->bus && i < ARRAY_LEN(buckets); i++)
        keep_bucket(e, buckets[i]);
}

/* --- guests ---------------------------------------------------------------------------------- */

#define CONTAINERS "containers.json"

static const struct {
    const char *file;
    const char *argv[12];
} questions[] = {
    { "journal.txt",
      { "journalctl", "-b", "--no-pager", "-o", "short-iso-precise", "-n", "5000" } },
    { "journal-before.txt",
      { "journalctl", "-b", "-1", "--no-pager", "-o", "short-iso-precise", "-n", "5000" } },
    { "errors.txt",
      { "journalctl", "-p", "err", "--no-pager", "-o", "short-iso-precise", "-n", "1000" } },
    { "warnings.txt",
      { "journalctl", "-p", "warning..warning", "--no-pager", "-o", "short-iso-precise", "-n",
        "1000" } },
    { "units.txt", { "systemctl", "--no-pager", "--failed" } },
    { "agent.txt", { "systemctl", "--no-pager", "-l", "status", "fleet-agent", "podman" } },
    { "containers.txt", { "podman", "ps", "--all", "--no-trunc" } },
    { CONTAINERS, { "podman", "--log-level=error", "ps", "--all", "--format", "json" } },
    { "inspect.json", { "sh", "-c", "podman ps -aq | xargs -r podman inspect" } },
    { "container-logs.txt",
      { "sh", "-c",
        "for c in $(podman ps -aq); do echo \"== $c\"; podman logs --tail 200 $c 2>&1; done" } },
    { "images.txt", { "podman", "images", "--all", "--digests" } },
    { "host.txt", { "sh", "-c", "df -h; free -m; ip address; ps axo pid,user,rss,etime,args" } },
};

static void keep_answers(struct evidence *e, const char *device, const char *sub)
{
    const struct device_host *host = NULL;
    CLEANUP_ERR struct err *err = NULL;

    if (lab_reach(e->lab, device, REACH_MS, &host, &err) < 0) {
        miss(e, err, "%s: what the guest could tell", sub);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        CLEANUP_FREE char *out = NULL;
        int status = 0, r;

        r = host->run(host->impl, questions[i].argv, COMMAND_MS, &status, &out, &err);
        if (r == 0 && status == 0 && str_eq(questions[i].file, CONTAINERS))
            observed_containers(&e->observed, device, out);
        if (r == 0)
            keep(e, sub, questions[i].file, out, strlen(out));
        else
            miss(e, err, "%s/%s", sub, questions[i].file);
    }
}

static void keep_guests(struct evidence *e)
{
    for (size_t i = 0; e->lab->machines && i < e->lab->n_members; i++) {
        const char *name = e->lab->members[i].name;
        const char *console = machine_console(e->lab->machines, name);
        CLEANUP_FREE char *emulator = machine_emulator_log(e->lab->machines, name);
        CLEANUP_FREE char *sub = xasprintf("machines/%s", name);

        if (console)
            keep_copy(e, sub, "console.log", console);
        if (emulator && file_exists(emulator))
            keep_copy(e, sub, "emulator.log", emulator);
    }
    for (size_t i = 0; e->lab->machines && i < e->lab->n_members; i++) {
        CLEANUP_FREE char *sub = xasprintf("machines/%s", e->lab->members[i].name);

        keep_answers(e, e->lab->members[i].name, sub);
    }
}

static void keep_observed(struct evidence *e)
{
    CLEANUP_FREE char *text = observed_text(&e->observed);

    keep(e, ".", "observed.json", text, strlen(text));
}

static void evidence_done(struct evidence *e)
{
    if (e->missing.len > 0)
        keep(e, ".", "missing.txt", e->missing.data, e->missing.len);
    buf_done(&e->missing);
    observed_done(&e->observed);
}

void lab_evidence(struct lab *lab, const char *dir)
{
    struct evidence e = { .lab = lab, .dir = dir, .missing = BUF_INIT(1 << 20) };
    CLEANUP_ERR struct err *err = NULL;

    if (lab_check(lab, &err) < 0)
        miss(&e, err, "a component that runs");
    if (lab->machines)
        machines_ignore_casualties(lab->machines);
    keep_logs(&e);
    keep_state(&e);
    keep_guests(&e);
    if (lab->bus)
        keep_observed(&e);
    evidence_done(&e);
}

void lab_logs(struct lab *lab, const char *dir)
{
    struct evidence e = { .lab = lab, .dir = dir, .missing = BUF_INIT(1 << 20) };

    keep_logs(&e);
    evidence_done(&e);
}
