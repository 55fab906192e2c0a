/* SPDX-License-Identifier: AGPL-3.0-only */

/* The service host with the servers that it is for: nats-server and etcd. */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "rig/lab/supervisor.h"

static struct supervisor *new_supervisor(const char *dir)
{
    CLEANUP_ERR struct err *err = NULL;
    struct supervisor *s = NULL;

    need_ok(supervisor_new(dir, &s, &err), err);
    return s;
}

static const struct service_file nats_files[] = {
    { "nats.conf", "port: {port:client}\nhost: 127.0.0.1\njetstream { store_dir: \"{data}\" }\n",
      true }
};
static const struct service_port nats_ports[] = { { "client", 4222 } };
static const char *const nats_args[] = { "-c", "{config}/nats.conf", NULL };
static const struct service_spec nats = { .name = "nats",
                                          .program = "nats-server",
                                          .args = nats_args,
                                          .files = nats_files,
                                          .n_files = ARRAY_LEN(nats_files),
                                          .ports = nats_ports,
                                          .n_ports = ARRAY_LEN(nats_ports),
                                          .durable = true,
                                          .ready = READY_NATS_INFO,
                                          .ready_timeout_ms = 20000 };

TEST(a_service_becomes_ready_and_ensuring_it_again_changes_nothing)
{
    const char *dir = check_tmpdir();
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor(dir);
    const struct service_host *host = supervisor_service_host(s, "10.0.2.2");
    CLEANUP_FREE char *file = xasprintf("%s/services/nats/config/nats.conf", dir);
    CLEANUP_FREE char *here = NULL, *there = NULL, *after = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct service_spec changed_spec = nats;
    bool changed = false;
    struct stat st;
    pid_t pid;

    need_ok(host->ensure(host->impl, &nats, &changed, &err), err);
    check_true(changed);
    check_int(stat(file, &st), 0);
    check_int(st.st_mode & 0777, 0600);
    pid = supervisor_pid(s, "nats");
    need_ok(host->ensure(host->impl, &nats, &changed, &err), err);
    check_true(!changed);
    check_int(supervisor_pid(s, "nats"), pid);
    need_ok(host->endpoint(host->impl, "nats", "client", FOR_SERVERS, &here, &err), err);
    need_ok(host->endpoint(host->impl, "nats", "client", FOR_DEVICES, &there, &err), err);
    check_has(here, "127.0.0.1:");
    check_has(there, "10.0.2.2:");
    check_str(strchr(there, ':'), strchr(here, ':'));
    check_int(host->endpoint(host->impl, "nats", "nope", FOR_SERVERS, &after, &err), -ENOENT);
    /* Another argument: it starts anew, on the same port. */
    changed_spec.args = (const char *const[]){ "-c", "{config}/nats.conf", "-D", NULL };
    need_ok(host->ensure(host->impl, &changed_spec, &changed, &err), err);
    check_true(changed);
    check_true(supervisor_pid(s, "nats") != pid);
    need_ok(host->endpoint(host->impl, "nats", "client", FOR_SERVERS, &after, &err), err);
    check_str(after, here);
}

TEST(a_killed_service_comes_back_on_its_port_with_its_data)
{
    const char *dir = check_tmpdir();
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor(dir);
    const struct service_host *host = supervisor_service_host(s, "10.0.2.2");
    CLEANUP_FREE char *data = xasprintf("%s/services/nats/data/jetstream", dir);
    CLEANUP_FREE char *folder = xasprintf("%s/services/nats", dir);
    CLEANUP_FREE char *before = NULL, *after = NULL;
    CLEANUP_ERR struct err *err = NULL;
    int64_t start;

    need_ok(host->ensure(host->impl, &nats, NULL, &err), err);
    check_true(file_exists(data));
    need_ok(host->endpoint(host->impl, "nats", "client", FOR_SERVERS, &before, &err), err);
    check_ok(supervisor_kill(s, "nats", SIGKILL, &err), err);
    start = clock_mono_ms();
    need_ok(supervisor_restart(s, "nats", &err), err);
    printf("# ready again after %d ms\n", (int)(clock_mono_ms() - start));
    need_ok(host->endpoint(host->impl, "nats", "client", FOR_SERVERS, &after, &err), err);
    check_str(after, before);
    check_ok(supervisor_check(s, &err), err);
    check_ok(host->remove(host->impl, "nats", &err), err);
    check_ok(host->remove(host->impl, "nats", &err), err);
    check_true(!file_exists(folder));
    check_true(!supervisor_running(s, "nats"));
    check_ok(supervisor_check(s, &err), err);
}

TEST(a_service_that_cannot_start_is_told_with_its_own_words)
{
    const char *dir = check_tmpdir();
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor(dir);
    const struct service_host *host = supervisor_service_host(s, "10.0.2.2");
    static const struct service_file broken[] = { { "nats.conf",
                                                    "port: {port:client}\nnonsense {\n", false } };
    CLEANUP_ERR struct err *err = NULL;
    struct service_spec spec = nats;

    spec.files = broken;
    check_true(host->ensure(host->impl, &spec, NULL, &err) < 0);
    check_has(err_text(err), "nats exited with status 1:\n  nats-server: ");
    /* It was told; what failed to start is not wanted. */
    check_ok(supervisor_check(s, &err), err);
    spec.program = "no-such-server";
    check_true(host->ensure(host->impl, &spec, NULL, &err) < 0);
    check_has(err_text(err), "no-such-server");
    spec = nats;
    spec.args = (const char *const[]){ "-p", "{port:other}", NULL };
    check_int(host->ensure(host->impl, &spec, NULL, &err), -ENOENT);
    check_has(err_text(err), "service nats: {port:other}");
}

TEST(http_readiness_is_asked_of_the_server)
{
    const char *dir = check_tmpdir();
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor(dir);
    const struct service_host *host = supervisor_service_host(s, "10.0.2.2");
    static const struct service_port ports[] = { { "client", 2379 }, { "peer", 2380 } };
    static const char *const args[] = {
        "--data-dir={data}",
        "--listen-client-urls=http://127.0.0.1:{port:client}",
        "--advertise-client-urls=http://127.0.0.1:{port:client}",
        "--listen-peer-urls=http://127.0.0.1:{port:peer}",
        "--initial-advertise-peer-urls=http://127.0.0.1:{port:peer}",
        "--initial-cluster=default=http://127.0.0.1:{port:peer}",
        "--unsafe-no-fsync",
        NULL
    };
    struct service_spec etcd = { .name = "etcd",
                                 .program = "etcd",
                                 .args = args,
                                 .ports = ports,
                                 .n_ports = ARRAY_LEN(ports),
                                 .durable = true,
                                 .ready = READY_HTTP_OK,
                                 .ready_path = "/health",
                                 .ready_timeout_ms = 30000 };
    CLEANUP_ERR struct err *err = NULL;

    need_ok(host->ensure(host->impl, &etcd, NULL, &err), err);
    etcd.ready_path = "/nowhere";
    etcd.ready_timeout_ms = 300;
    etcd.args = (const char *const[]){ args[0], args[1], args[2], args[3], args[4], args[5], NULL };
    check_int(host->ensure(host->impl, &etcd, NULL, &err), -ETIMEDOUT);
    check_has(err_text(err), "etcd is not ready after 0.3 s:");
    check_true(!supervisor_running(s, "etcd"));
}

TEST(readiness_of_one_that_runs_is_a_second_without_an_end)
{
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor(check_tmpdir());
    const struct service_host *host = supervisor_service_host(s, "10.0.2.2");
    struct service_spec spec = { .name = "sleeper",
                                 .program = "sleep",
                                 .args = (const char *const[]){ "100", NULL },
                                 .ready = READY_RUNNING,
                                 .ready_timeout_ms = 5000 };
    CLEANUP_ERR struct err *err = NULL;
    int64_t start = clock_mono_ms();
    bool changed = true;

    need_ok(host->ensure(host->impl, &spec, NULL, &err), err);
    check_true(clock_mono_ms() - start >= 1000);
    start = clock_mono_ms();
    need_ok(host->ensure(host->impl, &spec, &changed, &err), err);
    check_true(!changed);
    check_true(clock_mono_ms() - start < 500);
    spec.args = (const char *const[]){ "0.2", NULL };
    check_int(host->ensure(host->impl, &spec, NULL, &err), -ECHILD);
    check_has(err_text(err), "sleeper exited with status 0 and said nothing");
}

CHECK_MAIN()
