/* SPDX-License-Identifier: AGPL-3.0-only */

/* Servers on disks that lose what was not synced: nats-server, which syncs lazily, and etcd, which
 * syncs before it acknowledges. */

#include "rig/lab/lossy.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/bus.h"
#include "fleet/link/http.h"
#include "rig/lab/supervisor.h"

#define CALL_MS 10000

static const struct service_file lazy_files[] = {
    { "nats.conf",
      "port: {port:client}\nhost: 127.0.0.1\njetstream { store_dir: \"{data}\", sync_interval: 2m }\n",
      true }
};
static const struct service_file eager_files[] = {
    { "nats.conf",
      "port: {port:client}\nhost: 127.0.0.1\n"
      "jetstream { store_dir: \"{data}\", sync_interval: always }\n",
      true }
};
static const struct service_port nats_ports[] = { { "client", 4222 } };
static const char *const nats_args[] = { "-c", "{config}/nats.conf", NULL };

static struct service_spec nats_with(const struct service_file *files)
{
    return (struct service_spec){ .name = "nats",
                                  .program = "nats-server",
                                  .args = nats_args,
                                  .files = files,
                                  .n_files = 1,
                                  .ports = nats_ports,
                                  .n_ports = ARRAY_LEN(nats_ports),
                                  .durable = true,
                                  .ready = READY_NATS_INFO,
                                  .ready_timeout_ms = 20000 };
}

static const struct service_port etcd_ports[] = { { "client", 2379 }, { "peer", 2380 } };
static const char *const etcd_args[] = {
    "--data-dir={data}",
    "--listen-client-urls=http://127.0.0.1:{port:client}",
    "--advertise-client-urls=http://127.0.0.1:{port:client}",
    "--listen-peer-urls=http://127.0.0.1:{port:peer}",
    "--initial-advertise-peer-urls=http://127.0.0.1:{port:peer}",
    "--initial-cluster=default=http://127.0.0.1:{port:peer}",
    NULL
};
static const struct service_spec etcd = { .name = "etcd",
                                          .program = "etcd",
                                          .args = etcd_args,
                                          .ports = etcd_ports,
                                          .n_ports = ARRAY_LEN(etcd_ports),
                                          .durable = true,
                                          .ready = READY_HTTP_OK,
                                          .ready_path = "/health",
                                          .ready_timeout_ms = 30000 };

static const char *const lossy_names[] = { "nats", "etcd", NULL };

static void need_lossy(void)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *text = NULL;

    if (lossy_possible(&err) < 0) {
        text = xstrdup(err_text(err));
        check_skip("%s", text);
    }
}

static struct supervisor *new_supervisor(const char *dir)
{
    CLEANUP_FREE char *program = xasprintf("%s/rig-lossyfs", getenv("FLEETRIG_BIN"));
    CLEANUP_ERR struct err *err = NULL;
    struct supervisor *s = NULL;

    need_ok(supervisor_new(dir, &s, &err), err);
    supervisor_program(s, "rig-lossyfs", program);
    supervisor_lossy(s, lossy_names);
    return s;
}

static struct bus *dial(struct supervisor *s)
{
    const struct service_host *host = supervisor_service_host(s, "10.0.2.2");
    CLEANUP_FREE char *endpoint = NULL, *url = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct bus *bus = NULL;

    need_ok(host->endpoint(host->impl, "nats", "client", FOR_SERVERS, &endpoint, &err), err);
    url = xasprintf("nats://%s", endpoint);
    need_ok(bus_new(&(struct bus_config){ .url = url, .name = "test" }, NULL, NULL, CALL_MS, &bus,
                    &err),
            err);
    return bus;
}

static void put(struct supervisor *s, const char *value)
{
    CLEANUP(bus_free) struct bus *bus = dial(s);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(bus_ensure_bucket(bus, "b", CALL_MS, &err), err);
    need_ok(bus_put(bus, "b", "k", value, strlen(value), CALL_MS, &err), err);
}

/* The value, "" when even the bucket is gone. The caller frees it. */
static char *get(struct supervisor *s)
{
    CLEANUP(bus_free) struct bus *bus = dial(s);
    CLEANUP_ERR struct err *err = NULL;
    struct bus_entry entry = { 0 };
    char *value;

    if (bus_get(bus, "b", "k", CALL_MS, &entry, &err) < 0)
        return xstrdup("");
    value = xstrdup(entry.value);
    bus_entry_done(&entry);
    return value;
}

static void cut_power(struct supervisor *s, const char *name)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *lost = NULL;
    struct lossy_count count;

    need_ok(supervisor_drop_unsynced(s, name, &count, &err), err);
    lost = lossy_text(&count);
    printf("# lost: %s\n", lost);
    check_true(!supervisor_running(s, name));
    need_ok(supervisor_restart(s, name, &err), err);
}

static const struct {
    const char *name;
    const struct service_file *files;
    bool sync; /* between v1 and v2 */
    const char *want;
} cuts[] = {
    { "lazy, nothing was on the disk", lazy_files, false, "" },
    { "lazy, the first value was", lazy_files, true, "v1" },
    { "each write is synced", eager_files, false, "v2" },
};

TEST(nats_loses_what_it_acknowledged_and_did_not_sync)
{
    need_lossy();
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        CLEANUP(supervisor_free) struct supervisor *s = new_supervisor(check_tmpdir());
        const struct service_host *host = supervisor_service_host(s, "10.0.2.2");
        struct service_spec nats = nats_with(cuts[i].files);
        CLEANUP_FREE char *got = NULL;
        struct lossy_count synced;
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", cuts[i].name);
        need_ok(host->ensure(host->impl, &nats, NULL, &err), err);
        put(s, "v1");
        if (cuts[i].sync)
            need_ok(supervisor_sync_disk(s, "nats", &synced, &err), err);
        put(s, "v2");
        cut_power(s, "nats");
        got = get(s);
        check_str(got, cuts[i].want);
    }
}

/* Through etcd's JSON gateway. The caller frees it. */
static char *etcd_call(struct supervisor *s, const char *path, const char *body)
{
    const struct service_host *host = supervisor_service_host(s, "10.0.2.2");
    CLEANUP_FREE char *endpoint = NULL, *url = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct http_peer peer = { 0 };
    struct http_request request = { .method = "POST",
                                    .path = path,
                                    .body = body,
                                    .body_len = strlen(body),
                                    .timeout_ms = CALL_MS,
                                    .max_body = 64 << 10 };
    char *answer = NULL;
    size_t len = 0;
    long status = 0;

    need_ok(host->endpoint(host->impl, "etcd", "client", FOR_SERVERS, &endpoint, &err), err);
    peer.base_url = url = xasprintf("http://%s", endpoint);
    need_ok(http_call(&peer, &request, &status, &answer, &len, &err), err);
    check_int(status, 200);
    return answer;
}

TEST(etcd_loses_nothing_that_it_acknowledged)
{
    static const char *const values[] = { "djA=", "djE=", "djI=" };
    CLEANUP(supervisor_free) struct supervisor *s = NULL;
    CLEANUP_ERR struct err *err = NULL;
    const struct service_host *host;

    need_lossy();
    s = new_supervisor(check_tmpdir());
    host = supervisor_service_host(s, "10.0.2.2");
    need_ok(host->ensure(host->impl, &etcd, NULL, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        CLEANUP_FREE char *body = xasprintf("{\"key\":\"aw==\",\"value\":\"%s\"}", values[i]);
        CLEANUP_FREE char *done = etcd_call(s, "/v3/kv/put", body), *got = NULL;

        cut_power(s, "etcd");
        got = etcd_call(s, "/v3/kv/range", "{\"key\":\"aw==\"}");
        check_has(got, values[i]);
    }
}

TEST(only_the_service_sees_the_mount_and_removing_it_leaves_nothing)
{
    const char *dir = check_tmpdir();
    CLEANUP(supervisor_free) struct supervisor *s = NULL;
    CLEANUP_FREE char *seen = xasprintf("%s/services/nats/data/jetstream", dir);
    CLEANUP_FREE char *disk = xasprintf("%s/services/nats/disk/jetstream", dir);
    CLEANUP_FREE char *folder = xasprintf("%s/services/nats", dir), *inside = NULL;
    struct service_spec nats = nats_with(lazy_files);
    CLEANUP_ERR struct err *err = NULL;
    const struct service_host *host;

    need_lossy();
    s = new_supervisor(dir);
    host = supervisor_service_host(s, "10.0.2.2");
    need_ok(host->ensure(host->impl, &nats, NULL, &err), err);
    inside = xasprintf("/proc/%d/root%s", supervisor_pid(s, "nats"), seen);
    check_true(!file_exists(seen));
    check_true(file_exists(inside));
    check_true(file_exists(disk));
    check_true(supervisor_running(s, "nats-disk"));
    check_ok(host->remove(host->impl, "nats", &err), err);
    check_true(!file_exists(folder));
    check_true(!supervisor_running(s, "nats-disk"));
    check_ok(supervisor_check(s, &err), err);
}

TEST(a_disk_that_dies_is_told)
{
    CLEANUP(supervisor_free) struct supervisor *s = NULL;
    struct service_spec nats = nats_with(lazy_files);
    CLEANUP_ERR struct err *err = NULL;
    const struct service_host *host;
    struct lossy_count lost;

    need_lossy();
    s = new_supervisor(check_tmpdir());
    host = supervisor_service_host(s, "10.0.2.2");
    need_ok(host->ensure(host->impl, &nats, NULL, &err), err);
    kill(supervisor_pid(s, "nats-disk"), SIGKILL);
    check_within(5000, supervisor_check(s, NULL) < 0);
    supervisor_check(s, &err);
    check_has(err_text(err), "nats-disk killed by signal 9");
    check_true(supervisor_drop_unsynced(s, "nats", &lost, &err) < 0);
    check_has(err_text(err), "nats-disk");
}

TEST(an_ordinary_disk_drops_nothing)
{
    CLEANUP(supervisor_free) struct supervisor *s = NULL;
    static const char *const none[] = { NULL };
    struct service_spec nats = nats_with(lazy_files);
    CLEANUP_ERR struct err *err = NULL;
    const struct service_host *host;
    struct lossy_count lost;

    s = new_supervisor(check_tmpdir());
    supervisor_lossy(s, none);
    host = supervisor_service_host(s, "10.0.2.2");
    need_ok(host->ensure(host->impl, &nats, NULL, &err), err);
    check_int(supervisor_drop_unsynced(s, "nats", &lost, &err), -ENOTSUP);
    check_has(err_text(err), "the disk of nats cannot lose what was not synced");
    check_true(supervisor_running(s, "nats"));
}

CHECK_MAIN()
