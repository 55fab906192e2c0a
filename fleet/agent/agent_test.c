/* SPDX-License-Identifier: AGPL-3.0-only */

/* The program itself, with a real nats-server and, where one can run, a real podman. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "fleet/link/bus.h"
#include "fleet/testing/engine.h"
#include "fleet/testing/servers.h"
#include "fleet/wire/device.h"
#include "fleet/wire/names.h"

#define DEVICE "edge-1"
#define WAIT_MS 30000
#define CALL_MS 10000
#define PAUSE_MS 1500 /* longer than a tick: what did not happen by then does not */

#define V1                                                                                         \
    "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":"                  \
    "\"localhost/t:v1\",\"env\":[{\"name\":\"A\",\"value\":\"1\"}],\"volumes\":[{"                 \
    "\"host_path\":\"/usr\",\"container_path\":\"/data\",\"read_only\":true}]}]}}"
#define V2                                                                                         \
    "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":"                  \
    "\"localhost/t:v2\"}]}}"
#define V9                                                                                         \
    "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":"                  \
    "\"localhost/t:v9\"}]}}"

/* --- a device ------------------------------------------------------------------------------- */

struct device {
    struct servers_nats nats;
    struct engine engine;
    struct bus *bus; /* the operator's side */
    char *dir, *program, *settings;
    struct proc agent;
    int log;
};

/* build/VARIANT/bin/fleet-agent, beside the folder that this program is in. */
static char *agent_program(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *test;

    need_true(n > 0);
    self[n] = '\0';
    test = strstr(self, "/test/fleet/agent/");
    need_true(test != NULL);
    *test = '\0';
    return xasprintf("%s/bin/fleet-agent", self);
}

static void make_buckets(struct device *d)
{
    static const char *const buckets[] = { BUCKET_DESIRED_STATE, BUCKET_DEVICE_INFO,
                                           BUCKET_DEVICE_STATE, BUCKET_DEVICE_HEARTBEAT };
    CLEANUP_ERR struct err *err = NULL;

    for (size_t i = 0; i < ARRAY_LEN(buckets); i++)
        need_ok(bus_ensure_bucket(d->bus, buckets[i], CALL_MS, &err), err);
}

static void operator_start(struct device *d)
{
    struct bus_config config = {
        .url = d->nats.url, .name = "test", .user = d->nats.user, .password = d->nats.password
    };
    CLEANUP_ERR struct err *err = NULL;

    need_ok(bus_new(&config, NULL, NULL, CALL_MS, &d->bus, &err), err);
    make_buckets(d);
}

/* Everything that NATS has stored is lost; the buckets are made again. */
static void lose_buckets(struct device *d)
{
    CLEANUP_FREE char *store = xasprintf("%s/store", d->nats.dir);
    CLEANUP_ERR struct err *err = NULL;

    servers_nats_stop(&d->nats, SIGKILL);
    need_ok(dir_remove(store, &err), err);
    need_ok(servers_nats_start(&d->nats, &err), err);
    make_buckets(d);
}

static void device_init(struct device *d, const char *tick)
{
    CLEANUP_FREE char *secret = NULL, *text = NULL, *log = NULL;
    CLEANUP_ERR struct err *err = NULL;

    *d = (struct device){ .dir = xstrdup(check_tmpdir()), .program = agent_program(), .log = -1 };
    need_ok(servers_nats_start(&d->nats, &err), err);
    need_ok(engine_start(&d->engine, &err), err);
    operator_start(d);
    secret = xasprintf("%s/secret", d->dir);
    need_ok(file_write(secret, d->nats.password, strlen(d->nats.password), 0600, &err), err);
    text = xasprintf("device_id: " DEVICE "\nlabels: [group=a]\n"
                     "nats: { url: \"%s\", user: %s, password_file: %s }\n"
                     "podman_socket: %s\nstate_dir: %s/state\ntick: %s\nheartbeat: 1s\n",
                     d->nats.url, d->nats.user, secret, d->engine.socket, d->dir, tick);
    d->settings = xasprintf("%s/agent.yml", d->dir);
    need_ok(file_write(d->settings, text, strlen(text), 0600, &err), err);
    log = xasprintf("%s/agent.log", d->dir);
    d->log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    need_true(d->log >= 0);
}

static void agent_start(struct device *d)
{
    char *argv[] = { d->program, (char *)"--config", d->settings, NULL };
    char *env[] = { (char *)"MALLOC_ARENA_MAX=1", NULL };
    struct proc_spec spec = { .argv = argv, .env = env, .out_fd = d->log };
    CLEANUP_ERR struct err *err = NULL;

    need_ok(proc_spawn(&spec, &d->agent, &err), err);
}

static void agent_stop(struct device *d, int signal)
{
    if (d->agent.pid <= 0)
        return;
    kill(d->agent.pid, signal);
    proc_wait(&d->agent, WAIT_MS, NULL);
}

static char *agent_log(const struct device *d)
{
    CLEANUP_FREE char *path = xasprintf("%s/agent.log", d->dir);
    char *text = NULL;
    size_t len;

    file_read(path, 16 << 20, &text, &len, NULL);
    return text ? text : xstrdup("");
}

static void device_done(struct device *d)
{
    agent_stop(d, SIGTERM);
    bus_free(d->bus);
    servers_nats_done(&d->nats);
    engine_done(&d->engine);
    if (d->log >= 0)
        close(d->log);
    free(d->dir);
    free(d->program);
    free(d->settings);
}
#define CLEANUP_DEVICE __attribute__((cleanup(device_done)))

#define NEED_SERVERS()                                                                             \
    SERVERS_NEED_NATS();                                                                           \
    ENGINE_NEED();                                                                                 \
    check_timeout(300)

/* --- what can be seen of it ----------------------------------------------------------------- */

static void desire(struct device *d, const char *deployment, const char *score)
{
    CLEANUP_ERR struct err *err = NULL;
    char key[KEY_MAX];

    key_desired(key, DEVICE, deployment);
    if (score)
        check_ok(bus_put(d->bus, BUCKET_DESIRED_STATE, key, score, strlen(score), CALL_MS, &err),
                 err);
    else
        check_ok(bus_delete(d->bus, BUCKET_DESIRED_STATE, key, CALL_MS, &err), err);
}

/* The value of a key; "" when there is none. The caller frees it. */
static char *value_of(struct device *d, const char *bucket, const char *key)
{
    struct bus_entry e = { 0 };
    char *value;

    if (bus_get(d->bus, bucket, key, CALL_MS, &e, NULL) < 0)
        return xstrdup("");
    value = steal_ptr(e.value);
    bus_entry_done(&e);
    return value;
}

static char *state_of(struct device *d, const char *deployment)
{
    char key[KEY_MAX];

    return value_of(d, BUCKET_DEVICE_STATE, key_state(key, DEVICE, deployment));
}

static bool state_has(struct device *d, const char *deployment, const char *part)
{
    CLEANUP_FREE char *state = state_of(d, deployment);

    return strstr(state, part) != NULL;
}

#define RUNNING "\"phase\":\"Running\""
#define FAILED "\"phase\":\"Failed\""

/* As `podman inspect` says; "" when there is no such container. */
static char *inspect(struct device *d, const char *container, const char *format)
{
    char *out = NULL;

    if (engine_run(&d->engine,
                   (char *[]){ (char *)"inspect", (char *)"--format", (char *)format,
                               (char *)container, NULL },
                   &out, NULL) < 0)
        return xstrdup("");
    return out;
}

static char *id_of(struct device *d, const char *container)
{
    return inspect(d, container, "{{.Id}}");
}

static bool runs(struct device *d, const char *container)
{
    CLEANUP_FREE char *state = inspect(d, container, "{{.State.Status}}");

    return str_eq(state, "running");
}

static bool has_id(struct device *d, const char *container, const char *id)
{
    CLEANUP_FREE char *now = id_of(d, container);

    return str_eq(now, id);
}

static int count(struct device *d)
{
    CLEANUP_FREE char *out = NULL;
    CLEANUP_STRV char **names = NULL;

    engine_run(&d->engine,
               (char *[]){ (char *)"ps", (char *)"--all", (char *)"--format={{.Names}}",
                           (char *)"--sort=names", NULL },
               &out, NULL);
    names = strv_split(out ? out : "", "\n");
    return (int)strv_len(names);
}

static void by_hand(struct device *d, const char *verb, const char *container)
{
    CLEANUP_ERR struct err *err = NULL;

    check_ok(engine_run(&d->engine,
                        (char *[]){ (char *)verb, (char *)"--time=1",
                                    str_eq(verb, "rm") ? (char *)"--force" : (char *)"--ignore",
                                    (char *)container, NULL },
                        NULL, &err),
             err);
}

static void pause_ms(int64_t ms)
{
    int64_t until = check_now_ms() + ms;

    while (check_now_ms() < until)
        check_pause();
}

static long memory_kb(const struct device *d, const char *field)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/status", (int)d->agent.pid);
    CLEANUP_FCLOSE FILE *f = fopen(path, "re");
    char line[256];

    while (f && fgets(line, sizeof(line), f))
        if (str_starts(line, field))
            return strtol(line + strlen(field) + 1, NULL, 10);
    return -1;
}

/* --- tests ---------------------------------------------------------------------------------- */

TEST(a_deployment_is_run_kept_upgraded_and_removed)
{
    NEED_SERVERS();
    CLEANUP_DEVICE struct device d;
    CLEANUP_FREE char *first = NULL, *healed = NULL, *second = NULL, *state = NULL, *info = NULL;

    device_init(&d, "500ms");
    agent_start(&d);
    desire(&d, "hello", V1);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING));
    check_true(runs(&d, "hello.web"));
    first = id_of(&d, "hello.web");
    state = state_of(&d, "hello");

    /* The same again, and ticks: nothing is touched, nothing is reported anew. */
    desire(&d, "hello", V1);
    pause_ms(PAUSE_MS);
    check_true(has_id(&d, "hello.web", first));
    check_true(state_has(&d, "hello", state));

    by_hand(&d, "rm", "hello.web");
    check_within(WAIT_MS, runs(&d, "hello.web"));
    check_true(!has_id(&d, "hello.web", first));
    healed = id_of(&d, "hello.web");
    by_hand(&d, "stop", "hello.web");
    check_within(WAIT_MS, runs(&d, "hello.web"));
    check_true(has_id(&d, "hello.web", healed));

    desire(&d, "hello", V2);
    check_within(WAIT_MS, !has_id(&d, "hello.web", healed) && runs(&d, "hello.web"));
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING) && count(&d) == 1);
    second = id_of(&d, "hello.web");

    /* An image that does not exist: the reason is told, the old one goes on. */
    desire(&d, "hello", V9);
    check_within(WAIT_MS, state_has(&d, "hello", "image localhost/t:v9: not found"));
    check_true(state_has(&d, "hello", FAILED));
    check_true(has_id(&d, "hello.web", second) && runs(&d, "hello.web"));

    /* A score that cannot be read, and a key that is none: others are not affected. */
    desire(&d, "bad", "{\"type\":\"Unknown\",\"data\":{}}");
    check_ok(bus_put(d.bus, BUCKET_DESIRED_STATE, DEVICE ".a.b", "x", 1, CALL_MS, NULL),
             (struct err *)NULL);
    check_within(WAIT_MS, state_has(&d, "bad", FAILED));
    desire(&d, "hello", V2);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING));
    check_true(has_id(&d, "hello.web", second));

    info = value_of(&d, BUCKET_DEVICE_INFO, "info." DEVICE);
    check_has(info, "\"labels\":{\"device-id\":\"" DEVICE "\",\"group\":\"a\"}");

    desire(&d, "hello", NULL);
    desire(&d, "bad", NULL);
    check_within(WAIT_MS, count(&d) == 0);
    check_within(WAIT_MS, state_has(&d, "hello", "") && !state_has(&d, "hello", "phase"));
    check_within(WAIT_MS, !state_has(&d, "bad", "phase"));
    {
        CLEANUP_FREE char *log = agent_log(&d);

        check_has(log, "skipping desired-state/" DEVICE ".a.b");
        check_true(!strstr(log, "Sanitizer"));
    }
}

TEST(a_killed_agent_comes_back_and_touches_nothing)
{
    NEED_SERVERS();
    CLEANUP_DEVICE struct device d;
    CLEANUP_FREE char *one = NULL, *two = NULL;

    device_init(&d, "500ms");
    agent_start(&d);
    desire(&d, "one", V1);
    desire(&d, "two", V2);
    check_within(WAIT_MS, state_has(&d, "one", RUNNING) && state_has(&d, "two", RUNNING));
    one = id_of(&d, "one.web");
    two = id_of(&d, "two.web");

    agent_stop(&d, SIGKILL);
    agent_start(&d);
    pause_ms(PAUSE_MS);
    check_true(has_id(&d, "one.web", one) && runs(&d, "one.web"));
    check_true(has_id(&d, "two.web", two) && runs(&d, "two.web"));

    /* TERM leaves the containers running, too. */
    agent_stop(&d, SIGTERM);
    check_true(proc_ended(&d.agent) && d.agent.status == 0);
    check_true(runs(&d, "one.web"));

    /* What is removed meanwhile is torn down at the next start; the other stays. */
    desire(&d, "two", NULL);
    agent_start(&d);
    check_within(WAIT_MS, count(&d) == 1 && !state_has(&d, "two", "phase"));
    check_true(has_id(&d, "one.web", one));
}

TEST(an_agent_killed_at_any_step_of_an_upgrade_completes_it)
{
    NEED_SERVERS();
    CLEANUP_DEVICE struct device d;
    const char *versions[] = { V1, V2 };

    device_init(&d, "500ms");
    desire(&d, "hello", V2);
    agent_start(&d);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING));
    for (int i = 0; i < 12; i++) {
        CLEANUP_FREE char *image = NULL;

        check_case("killed %d ms after the upgrade", i * 40);
        desire(&d, "hello", versions[i % 2]);
        pause_ms(i * 40);
        agent_stop(&d, SIGKILL);
        agent_start(&d);
        check_within(WAIT_MS, count(&d) == 1 && runs(&d, "hello.web"));
        check_within(WAIT_MS, ({
                         free(image);
                         image = inspect(&d, "hello.web", "{{.ImageName}}");
                         str_eq(image, i % 2 ? "localhost/t:v2" : "localhost/t:v1");
                     }));
    }
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING));
}

TEST(workloads_start_from_the_stored_copy_without_a_network)
{
    NEED_SERVERS();
    CLEANUP_DEVICE struct device d;

    device_init(&d, "500ms");
    agent_start(&d);
    desire(&d, "hello", V1);
    desire(&d, "gone", V2);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING) && state_has(&d, "gone", RUNNING));
    agent_stop(&d, SIGKILL);
    desire(&d, "gone", NULL);
    servers_nats_stop(&d.nats, SIGKILL);
    by_hand(&d, "rm", "hello.web");
    by_hand(&d, "stop", "gone.web");

    agent_start(&d);
    check_within(WAIT_MS, runs(&d, "hello.web"));
    check_within(WAIT_MS, runs(&d, "gone.web")); /* nobody can tell it yet */

    {
        CLEANUP_ERR struct err *err = NULL;

        need_ok(servers_nats_start(&d.nats, &err), err);
    }
    check_within(WAIT_MS, count(&d) == 1);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING) && !state_has(&d, "gone", "phase"));
    check_true(runs(&d, "hello.web"));
}

TEST(a_damaged_stored_copy_is_told_and_its_containers_left_alone)
{
    NEED_SERVERS();
    CLEANUP_DEVICE struct device d;
    CLEANUP_FREE char *id = NULL, *path = NULL;
    CLEANUP_ERR struct err *err = NULL;

    device_init(&d, "500ms");
    agent_start(&d);
    desire(&d, "hello", V1);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING));
    id = id_of(&d, "hello.web");
    agent_stop(&d, SIGKILL);
    servers_nats_stop(&d.nats, SIGKILL);
    path = xasprintf("%s/state/desired/hello.score", d.dir);
    need_ok(file_write(path, "nonsense", 8, 0600, &err), err);

    agent_start(&d);
    pause_ms(PAUSE_MS);
    check_true(has_id(&d, "hello.web", id) && runs(&d, "hello.web"));
    {
        CLEANUP_FREE char *log = agent_log(&d);

        check_has(log, "hello.score");
        check_has(log, "left alone");
    }
    need_ok(servers_nats_start(&d.nats, &err), err);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING));
    check_true(has_id(&d, "hello.web", id));
}

TEST(a_restart_of_the_server_changes_nothing_but_is_outlived)
{
    NEED_SERVERS();
    CLEANUP_DEVICE struct device d;
    CLEANUP_FREE char *id = NULL, *state = NULL;
    CLEANUP_ERR struct err *err = NULL;
    int64_t cut;

    device_init(&d, "500ms");
    agent_start(&d);
    desire(&d, "hello", V1);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING));
    id = id_of(&d, "hello.web");
    state = state_of(&d, "hello");
    for (int i = 0; i < 3; i++) {
        struct bus_entry e = { 0 };

        check_case("restart %d", i + 1);
        servers_nats_stop(&d.nats, SIGKILL);
        cut = clock_wall_ms();
        need_ok(servers_nats_start(&d.nats, &err), err);
        check_within(WAIT_MS, ({
                         bus_entry_done(&e);
                         bus_get(d.bus, BUCKET_DEVICE_HEARTBEAT, "heartbeat." DEVICE, CALL_MS, &e,
                                 NULL) >= 0 &&
                                 e.stored_ms > cut;
                     }));
        bus_entry_done(&e);
        check_true(state_has(&d, "hello", state));
        check_true(has_id(&d, "hello.web", id));
    }
    desire(&d, "hello", V2);
    check_within(WAIT_MS, !has_id(&d, "hello.web", id) && runs(&d, "hello.web"));
}

TEST(a_state_that_an_old_store_brings_back_is_deleted_again)
{
    NEED_SERVERS();
    CLEANUP_DEVICE struct device d;
    CLEANUP_FREE char *state = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct bus_entry e = { 0 };
    char key[KEY_MAX];

    device_init(&d, "500ms");
    agent_start(&d);
    desire(&d, "hello", V1);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING));
    state = state_of(&d, "hello");
    desire(&d, "hello", NULL);
    check_within(WAIT_MS, !state_has(&d, "hello", RUNNING) && count(&d) == 0);
    /* The operator has deleted the key again before the agent is there to see it. */
    key_state(key, DEVICE, "hello");
    need_ok(bus_put(d.bus, BUCKET_DEVICE_STATE, key, state, strlen(state), CALL_MS, &err), err);
    servers_nats_stop(&d.nats, SIGKILL);
    need_ok(servers_nats_start(&d.nats, &err), err);
    check_within(WAIT_MS, ({
                     bus_entry_done(&e);
                     bus_get(d.bus, BUCKET_DEVICE_STATE, key, CALL_MS, &e, NULL) == -ENOENT;
                 }));
    /* And it is deployed again as if nothing had been. */
    desire(&d, "hello", V2);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING) && runs(&d, "hello.web"));
}

static int logged(const struct device *d, const char *part)
{
    CLEANUP_FREE char *log = agent_log(d);
    int n = 0;

    for (const char *at = log; (at = strstr(at, part)); at += strlen(part))
        n++;
    return n;
}

TEST(a_lost_bucket_stops_no_workload)
{
    NEED_SERVERS();
    CLEANUP_DEVICE struct device d;
    CLEANUP_FREE char *id = NULL, *state = NULL;

    device_init(&d, "500ms");
    agent_start(&d);
    desire(&d, "hello", V1);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING));
    id = id_of(&d, "hello.web");
    state = state_of(&d, "hello");

    check_case("while the agent runs");
    lose_buckets(&d);
    check_within(WAIT_MS, logged(&d, "hello: not in the desired state") == 1);
    check_within(WAIT_MS, state_has(&d, "hello", state)); /* it is told again */
    pause_ms(PAUSE_MS);
    check_true(has_id(&d, "hello.web", id) && runs(&d, "hello.web"));

    check_case("while it is down");
    agent_stop(&d, SIGKILL);
    lose_buckets(&d);
    agent_start(&d);
    check_within(WAIT_MS, logged(&d, "hello: not in the desired state") == 2);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING));
    check_true(has_id(&d, "hello.web", id) && runs(&d, "hello.web"));

    check_case("and comes back");
    desire(&d, "hello", V1);
    pause_ms(PAUSE_MS);
    check_true(has_id(&d, "hello.web", id) && runs(&d, "hello.web"));

    check_case("and is deleted");
    desire(&d, "hello", NULL);
    check_within(WAIT_MS, count(&d) == 0 && !state_has(&d, "hello", "phase"));
}

TEST(containers_that_nobody_knows_are_reported_and_left_alone)
{
    NEED_SERVERS();
    CLEANUP_DEVICE struct device d;
    CLEANUP_FREE char *one = NULL, *state_dir = NULL;
    CLEANUP_ERR struct err *err = NULL;

    device_init(&d, "500ms");
    agent_start(&d);
    desire(&d, "one", V1);
    desire(&d, "two", V1);
    desire(&d, "three", V1);
    check_within(WAIT_MS, state_has(&d, "one", RUNNING) && state_has(&d, "two", RUNNING) &&
                                  state_has(&d, "three", RUNNING));
    one = id_of(&d, "one.web");

    agent_stop(&d, SIGKILL);
    state_dir = xasprintf("%s/state", d.dir);
    need_ok(dir_remove(state_dir, &err), err);
    lose_buckets(&d);
    desire(&d, "three", NULL); /* of which only a delete marker is known */
    agent_start(&d);
    check_within(WAIT_MS, state_has(&d, "one", "no desired state is known") &&
                                  state_has(&d, "two", "no desired state is known"));
    check_within(WAIT_MS, count(&d) == 2);
    check_true(!state_has(&d, "three", "phase"));
    check_true(has_id(&d, "one.web", one) && runs(&d, "one.web") && runs(&d, "two.web"));

    /* As the operator answers: one is wanted, two is not. */
    desire(&d, "one", V1);
    desire(&d, "two", NULL);
    check_within(WAIT_MS, state_has(&d, "one", RUNNING) && !state_has(&d, "two", "phase"));
    check_within(WAIT_MS, count(&d) == 1);
    check_true(has_id(&d, "one.web", one) && runs(&d, "one.web"));
}

TEST(podman_that_comes_late_is_awaited)
{
    NEED_SERVERS();
    CLEANUP_DEVICE struct device d;
    CLEANUP_ERR struct err *err = NULL;

    device_init(&d, "500ms");
    engine_stop(&d.engine);
    unlink(d.engine.socket);
    agent_start(&d);
    desire(&d, "hello", V1);
    pause_ms(PAUSE_MS);
    check_true(!state_has(&d, "hello", RUNNING));
    need_ok(engine_start(&d.engine, &err), err);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING));
}

TEST(the_options_say_what_is_wrong)
{
    CLEANUP_FREE char *program = agent_program();
    CLEANUP_FREE char *path = xasprintf("%s/agent.yml", check_tmpdir());
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 16), errors = BUF_INIT(1 << 16);
    char *check[] = { program, (char *)"--config", path, (char *)"--check", NULL };
    char *self_test[] = { program, (char *)"--config", path, (char *)"--self-test", NULL };
    static const char bad[] = "device_id: edge.1\nnats: { url: 'nats://h' }\n";
    static const char good[] = "device_id: edge-1\nnats: { url: 'nats://h' }\n"
                               "podman_socket: /none/podman.sock\nstate_dir: /proc/none\n";
    CLEANUP_ERR struct err *err = NULL;

    need_ok(file_write(path, bad, strlen(bad), 0600, &err), err);
    check_true(proc_run(check, NULL, WAIT_MS, &out, &errors, NULL) < 0);
    check_has(buf_str(&errors), "device_id");
    need_ok(file_write(path, good, strlen(good), 0600, &err), err);
    check_ok(proc_run(check, NULL, WAIT_MS, &out, &errors, &err), err);
    buf_reset(&out);
    check_true(proc_run(self_test, NULL, WAIT_MS, &out, &errors, NULL) < 0);
    check_has(buf_str(&out), "failed: podman answers: podman at /none/podman.sock");
    check_has(buf_str(&out), "failed: the state folder can be written");
}

/* An hour has 120 ticks. AGENT_SOAK_TICKS makes it longer. */
TEST(memory_stays_small_and_does_not_grow)
{
    NEED_SERVERS();
    CLEANUP_DEVICE struct device d;
    const char *wish = getenv("AGENT_SOAK_TICKS");
    long ticks = wish ? strtol(wish, NULL, 10) : 120, before, after;

    check_timeout((int)(ticks / 5) + 300);
    device_init(&d, "100ms");
    agent_start(&d);
    desire(&d, "hello", V1);
    desire(&d, "other", V2);
    desire(&d, "failing", V9);
    check_within(WAIT_MS, state_has(&d, "hello", RUNNING) && state_has(&d, "other", RUNNING));
    pause_ms(3000);
    before = memory_kb(&d, "VmRSS:");
    printf("# before: VmRSS %ld kB, RssAnon %ld kB, %ld threads\n", before,
           memory_kb(&d, "RssAnon:"), memory_kb(&d, "Threads:"));
    pause_ms(ticks * 100);
    after = memory_kb(&d, "VmRSS:");
    printf("# after %ld ticks: VmRSS %ld kB, RssAnon %ld kB, VmHWM %ld kB\n", ticks, after,
           memory_kb(&d, "RssAnon:"), memory_kb(&d, "VmHWM:"));
    check_true(before > 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    check_true(after < 10 * 1024);
    check_true(after < before + 1024);
#endif
}

CHECK_MAIN()
