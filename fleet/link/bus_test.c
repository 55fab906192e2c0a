/* SPDX-License-Identifier: AGPL-3.0-only */

/* Against a real nats-server, which is killed and started again on its port and store. */

#include "fleet/link/bus.h"

#include <arpa/inet.h>
#include <errno.h>
#include <nats/nats.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"

#define WAIT_MS 15000

/* --- a server ------------------------------------------------------------------------------- */

struct server {
    const char *dir;
    int port;
    char *url;
    struct proc proc;
};

static int free_port(void)
{
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);

    need_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0);
    need_true(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    return ntohs(a.sin_port);
}

static bool answers(int port)
{
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char info[5] = "";

    return fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
           recv(fd, info, 4, MSG_WAITALL) == 4 && strcmp(info, "INFO") == 0;
}

static void server_start(struct server *s, const char *password)
{
    CLEANUP_FREE char *path = xasprintf("%s/nats.conf", s->dir);
    CLEANUP_FREE char *text = xasprintf("listen: \"127.0.0.1:%d\"\n"
                                        "jetstream { store_dir: \"%s/store\" }\n"
                                        "authorization { user: fleet, password: \"%s\" }\n",
                                        s->port, s->dir, password);
    char *argv[] = { (char *)"nats-server", (char *)"-c", path, NULL };
    struct proc_spec spec = { .argv = argv };
    CLEANUP_ERR struct err *err = NULL;

    need_ok(file_write(path, text, strlen(text), 0600, &err), err);
    need_ok(proc_spawn(&spec, &s->proc, &err), err);
    check_within(WAIT_MS, answers(s->port));
}

static void server_init(struct server *s)
{
    *s = (struct server){ .dir = check_tmpdir(), .port = free_port() };
    s->url = xasprintf("nats://127.0.0.1:%d", s->port);
}

static void server_kill(struct server *s)
{
    if (s->proc.pid > 0) {
        kill(s->proc.pid, SIGKILL);
        proc_wait(&s->proc, WAIT_MS, NULL);
    }
}

static void server_done(struct server *s)
{
    server_kill(s);
    free(s->url);
}
#define CLEANUP_SERVER __attribute__((cleanup(server_done)))

static struct bus_config config_of(const struct server *s, const char *password)
{
    return (struct bus_config){ .url = s->url,
                                .name = "bus test.1",
                                .user = "fleet",
                                .password = password,
                                .reconnect_max_ms = 300 };
}

static struct bus *sync_bus(const struct server *s)
{
    struct bus_config config = config_of(s, "right");
    CLEANUP_ERR struct err *err = NULL;
    struct bus *b = NULL;

    need_ok(bus_new(&config, NULL, NULL, WAIT_MS, &b, &err), err);
    return b;
}

static int consumers_of(const struct server *s, const char *stream)
{
    natsOptions *o = NULL;
    natsConnection *nc = NULL;
    jsCtx *js = NULL;
    jsStreamInfo *info = NULL;
    int n = -1;

    if (natsOptions_Create(&o) == NATS_OK && natsOptions_SetURL(o, s->url) == NATS_OK &&
        natsOptions_SetUserInfo(o, "fleet", "right") == NATS_OK &&
        natsConnection_Connect(&nc, o) == NATS_OK &&
        natsConnection_JetStream(&js, nc, NULL) == NATS_OK &&
        js_GetStreamInfo(&info, js, stream, NULL, NULL) == NATS_OK)
        n = (int)info->State.Consumers;
    jsStreamInfo_Destroy(info);
    jsCtx_Destroy(js);
    natsConnection_Destroy(nc);
    natsOptions_Destroy(o);
    return n;
}

/* --- a listener on a loop ------------------------------------------------------------------- */

struct listener {
    sd_event *loop;
    struct bus *bus;
    struct bus_watch *watch;
    int connected, disconnected, begins, ends, troubles, writes, failures;
    char *reason, *trouble, *failure;
    int failure_code;
    struct buf seen; /* "key=value " of every entry since the last begin; "key! " deleted */
    size_t entries;
    int64_t stored_ms;
    bool free_in_entry;
};

static void on_connected(void *userdata)
{
    ((struct listener *)userdata)->connected++;
}

static void on_disconnected(const char *reason, void *userdata)
{
    struct listener *l = userdata;

    l->disconnected++;
    replace_str(&l->reason, reason);
}

static void on_begin(void *userdata)
{
    struct listener *l = userdata;

    l->begins++;
    l->entries = 0;
    buf_reset(&l->seen);
}

static void on_entry(const struct bus_entry *entry, void *userdata)
{
    struct listener *l = userdata;

    l->entries++;
    l->stored_ms = entry->stored_ms;
    if (entry->value)
        buf_addf(&l->seen, "%s=%s ", entry->key, entry->value);
    else
        buf_addf(&l->seen, "%s! ", entry->key);
    if (l->free_in_entry)
        bus_watch_free(steal_ptr(l->watch));
}

static void on_end(void *userdata)
{
    ((struct listener *)userdata)->ends++;
}

static void on_trouble(const struct err *err, void *userdata)
{
    struct listener *l = userdata;

    l->troubles++;
    replace_str(&l->trouble, err_text(err));
}

static void on_written(const struct err *failure, void *userdata)
{
    struct listener *l = userdata;

    l->writes++;
    if (failure) {
        l->failures++;
        l->failure_code = err_code(failure);
        replace_str(&l->failure, err_text(failure));
    }
}

static void listener_done(struct listener *l)
{
    bus_watch_free(l->watch);
    bus_free(l->bus);
    sd_event_unref(l->loop);
    buf_done(&l->seen);
    free(l->reason);
    free(l->trouble);
    free(l->failure);
}
#define CLEANUP_LISTENER __attribute__((cleanup(listener_done)))

static void listener_init(struct listener *l, const struct server *s)
{
    struct bus_config config = config_of(s, "right");
    struct bus_handler handler = { on_connected, on_disconnected, l };
    CLEANUP_ERR struct err *err = NULL;

    *l = (struct listener){ .seen = BUF_INIT(1 << 20) };
    need_true(sd_event_new(&l->loop) >= 0);
    need_ok(bus_new(&config, l->loop, &handler, 0, &l->bus, &err), err);
}

static void listener_watch(struct listener *l, const char *filter)
{
    struct bus_watch_handler handler = { on_begin, on_entry, on_end, on_trouble, l };
    CLEANUP_ERR struct err *err = NULL;

    need_ok(bus_watch_new(l->bus, "b", filter, &handler, &l->watch, &err), err);
}

static bool loop_step(struct listener *l)
{
    return sd_event_run(l->loop, 20000) >= 0;
}

/* Runs the loop until `cond` holds. */
#define loop_until(l, cond)                                                                        \
    do {                                                                                           \
        int64_t until_ = check_now_ms() + WAIT_MS;                                                 \
        while (!(cond) && check_now_ms() < until_ && loop_step(l))                                 \
            ;                                                                                      \
        check_true(cond);                                                                          \
    } while (0)

static void loop_for(struct listener *l, int64_t ms)
{
    int64_t until = check_now_ms() + ms;

    while (check_now_ms() < until)
        loop_step(l);
}

static void put(struct bus *b, const char *key, const char *value)
{
    CLEANUP_ERR struct err *err = NULL;

    check_ok(bus_put(b, "b", key, value, strlen(value), WAIT_MS, &err), err);
}

static void write_key(struct listener *l, const char *bucket, const char *key, const char *value)
{
    CLEANUP_ERR struct err *err = NULL;

    check_ok(bus_write(l->bus, bucket, key, value, value ? strlen(value) : 0, on_written, l, &err),
             err);
}

/* --- tests ---------------------------------------------------------------------------------- */

TEST(blocking_calls_put_get_list_and_delete)
{
    CLEANUP_SERVER struct server s;
    CLEANUP(bus_free) struct bus *b = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct bus_entry e = { 0 };
    CLEANUP_STRV char **keys = NULL;
    CLEANUP_FREE char *text = NULL;
    int64_t now = clock_wall_ms();

    server_init(&s);
    server_start(&s, "right");
    b = sync_bus(&s);
    check_int(bus_get(b, "b", "x.1", WAIT_MS, &e, &err), -ENOENT);
    check_has(err_text(err), "b");
    check_ok(bus_ensure_bucket(b, "b", WAIT_MS, &err), err);
    check_ok(bus_ensure_bucket(b, "b", WAIT_MS, &err), err);
    check_int(bus_get(b, "b", "x.1", WAIT_MS, &e, &err), -ENOENT);

    put(b, "x.2", "two");
    put(b, "x.1", "");
    put(b, "y.1", "other");
    check_ok(bus_get(b, "b", "x.2", WAIT_MS, &e, &err), err);
    check_str(e.value, "two");
    check_int((int64_t)e.len, 3);
    check_int((int64_t)e.revision, 1);
    check_true(e.stored_ms >= now - 1000 && e.stored_ms <= clock_wall_ms() + 1000);
    bus_entry_done(&e);

    check_ok(bus_keys(b, "b", "x.>", WAIT_MS, &keys, &err), err);
    text = strv_join(keys, " ");
    check_str(text, "x.1 x.2");
    check_ok(bus_delete(b, "b", "x.2", WAIT_MS, &err), err);
    check_int(bus_get(b, "b", "x.2", WAIT_MS, &e, &err), -ENOENT);
    check_int(consumers_of(&s, "KV_b"), 0);
}

TEST(the_keys_of_a_large_bucket_are_listed)
{
    CLEANUP_SERVER struct server s;
    CLEANUP(bus_free) struct bus *b = NULL;
    CLEANUP_STRV char **keys = NULL;
    CLEANUP_ERR struct err *err = NULL;

    check_timeout(120);
    server_init(&s);
    server_start(&s, "right");
    b = sync_bus(&s);
    check_ok(bus_ensure_bucket(b, "b", WAIT_MS, &err), err);
    for (int i = 0; i < 6000; i++) {
        char key[32];

        snprintf(key, sizeof(key), "k.%04d", i);
        put(b, key, "v");
    }
    check_ok(bus_keys(b, "b", ">", WAIT_MS, &keys, &err), err);
    check_int((int64_t)strv_len(keys), 6000);
    check_str(keys ? keys[5999] : NULL, "k.5999");
}

TEST(a_blocking_bus_outlives_a_restart_of_the_server)
{
    CLEANUP_SERVER struct server s;
    CLEANUP(bus_free) struct bus *b = NULL;
    CLEANUP_ERR struct err *err = NULL;

    server_init(&s);
    server_start(&s, "right");
    b = sync_bus(&s);
    check_ok(bus_ensure_bucket(b, "b", WAIT_MS, &err), err);
    server_kill(&s);
    check_true(bus_put(b, "b", "k", "v", 1, 300, &err) < 0);
    server_start(&s, "right");
    put(b, "k", "v");
}

static int followers(struct bus *b, const char *filter)
{
    CLEANUP_STRV char **names = NULL;
    CLEANUP_ERR struct err *err = NULL;

    check_ok(bus_followers(b, "b", filter, WAIT_MS, &names, &err), err);
    return (int)strv_len(names);
}

TEST(a_watch_gives_the_snapshot_and_then_each_change)
{
    CLEANUP_SERVER struct server s;
    CLEANUP(bus_free) struct bus *b = NULL;
    CLEANUP_LISTENER struct listener l;
    CLEANUP_ERR struct err *err = NULL;
    int64_t now = clock_wall_ms();
    uint64_t last = 0;

    server_init(&s);
    server_start(&s, "right");
    b = sync_bus(&s);
    bus_ensure_bucket(b, "b", WAIT_MS, NULL);
    put(b, "x.1", "old");
    put(b, "x.1", "one");
    put(b, "x.2", "two");
    put(b, "y.1", "not mine");

    listener_init(&l, &s);
    listener_watch(&l, "x.>");
    loop_until(&l, l.ends == 1);
    check_int(l.connected, 1);
    check_int(l.begins, 1);
    check_str(buf_str(&l.seen), "x.1=one x.2=two ");
    check_true(l.stored_ms >= now - 1000 && l.stored_ms <= clock_wall_ms() + 1000);

    put(b, "x.3", "three");
    put(b, "y.2", "not mine");
    bus_delete(b, "b", "x.1", WAIT_MS, NULL);
    loop_until(&l, l.entries == 4);
    check_str(buf_str(&l.seen), "x.1=one x.2=two x.3=three x.1! ");
    check_int(l.ends, 1);
    check_int(consumers_of(&s, "KV_b"), 1);
    check_int(followers(b, "x.>"), 1);
    check_int(followers(b, ">"), 0);
    need_ok(bus_last_revision(b, "b", WAIT_MS, &last, &err), err);
    check_int((int64_t)last, 7);

    bus_watch_free(steal_ptr(l.watch));
    check_within(WAIT_MS, followers(b, "x.>") == 0);
    check_true(bus_last_revision(b, "absent", WAIT_MS, &last, NULL) < 0);
}

TEST(an_empty_bucket_has_a_whole_snapshot_of_nothing)
{
    CLEANUP_SERVER struct server s;
    CLEANUP(bus_free) struct bus *b = NULL;
    CLEANUP_LISTENER struct listener l;

    server_init(&s);
    server_start(&s, "right");
    b = sync_bus(&s);
    bus_ensure_bucket(b, "b", WAIT_MS, NULL);
    listener_init(&l, &s);
    listener_watch(&l, ">");
    loop_until(&l, l.ends == 1);
    check_int((int64_t)l.entries, 0);
    put(b, "x", "1");
    loop_until(&l, l.entries == 1);
    check_int(l.ends, 1);
}

TEST(a_large_snapshot_arrives_whole_under_flow_control)
{
    CLEANUP_SERVER struct server s;
    CLEANUP(bus_free) struct bus *b = NULL;
    CLEANUP_LISTENER struct listener l;
    CLEANUP_FREE char *value = NULL;

    server_init(&s);
    server_start(&s, "right");
    b = sync_bus(&s);
    bus_ensure_bucket(b, "b", WAIT_MS, NULL);
    listener_init(&l, &s);
    loop_until(&l, l.connected == 1);
    value = xmalloc(4001);
    memset(value, 'v', 4000);
    value[4000] = '\0';
    for (int i = 0; i < 5000; i++) {
        CLEANUP_FREE char *key = xasprintf("k.%d", i);

        write_key(&l, "b", key, value);
    }
    loop_until(&l, l.writes == 5000);
    check_int(l.failures, 0);
    listener_watch(&l, ">");
    loop_until(&l, l.ends == 1);
    check_int((int64_t)l.entries, 5000);
}

TEST(a_watch_freed_by_its_own_callback_is_silent)
{
    CLEANUP_SERVER struct server s;
    CLEANUP(bus_free) struct bus *b = NULL;
    CLEANUP_LISTENER struct listener l;

    server_init(&s);
    server_start(&s, "right");
    b = sync_bus(&s);
    bus_ensure_bucket(b, "b", WAIT_MS, NULL);
    put(b, "x.1", "1");
    put(b, "x.2", "2");
    listener_init(&l, &s);
    l.free_in_entry = true;
    listener_watch(&l, ">");
    loop_until(&l, l.entries == 1);
    loop_for(&l, 200);
    check_int((int64_t)l.entries, 1);
    check_int(l.ends, 0);
    check_within(WAIT_MS, consumers_of(&s, "KV_b") == 0);
}

TEST(a_bucket_that_does_not_exist_yet_is_told_once_and_awaited)
{
    CLEANUP_SERVER struct server s;
    CLEANUP(bus_free) struct bus *b = NULL;
    CLEANUP_LISTENER struct listener l;

    server_init(&s);
    server_start(&s, "right");
    b = sync_bus(&s);
    listener_init(&l, &s);
    listener_watch(&l, ">");
    loop_until(&l, l.troubles == 1);
    check_has(l.trouble, "stream not found");
    loop_for(&l, 1000);
    check_int(l.troubles, 1);
    check_int(l.begins, 0);
    write_key(&l, "b", "x", "1");
    loop_until(&l, l.writes == 1);
    check_int(l.failure_code, ENOENT);
    check_has(l.failure, "no such bucket");

    bus_ensure_bucket(b, "b", WAIT_MS, NULL);
    put(b, "x", "1");
    loop_until(&l, l.ends == 1);
    check_str(buf_str(&l.seen), "x=1 ");
}

TEST(every_restart_of_the_server_redoes_the_snapshot_and_leaks_no_consumer)
{
    CLEANUP_SERVER struct server s;
    CLEANUP_LISTENER struct listener l;

    server_init(&s);
    server_start(&s, "right");
    {
        CLEANUP(bus_free) struct bus *b = sync_bus(&s);

        bus_ensure_bucket(b, "b", WAIT_MS, NULL);
        put(b, "x", "0");
    }
    listener_init(&l, &s);
    listener_watch(&l, ">");
    loop_until(&l, l.ends == 1);

    for (int round = 1; round <= 5; round++) {
        char value[16];

        check_case("restart %d", round);
        server_kill(&s);
        loop_until(&l, l.disconnected >= round && !bus_connected(l.bus));
        server_start(&s, "right");
        loop_until(&l, l.ends == round + 1);
        check_int(l.begins, round + 1);
        check_int(l.connected, round + 1);
        check_int((int64_t)l.entries, 1);
        snprintf(value, sizeof(value), "v%d", round);
        write_key(&l, "b", "x", value);
        loop_until(&l, l.entries == 2 && l.writes == round);
        check_has(buf_str(&l.seen), value);
    }
    check_int(l.failures, 0);
    check_int(consumers_of(&s, "KV_b"), 1);
}

/* Breaks every connection of this process to the server, which lives on. */
static void break_lines(const struct server *s)
{
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in a;
        socklen_t len = sizeof(a);

        if (getpeername(fd, (struct sockaddr *)&a, &len) == 0 && a.sin_family == AF_INET &&
            ntohs(a.sin_port) == s->port)
            shutdown(fd, SHUT_RDWR);
    }
}

TEST(a_line_that_breaks_leaves_no_consumer_behind)
{
    CLEANUP_SERVER struct server s;
    CLEANUP_LISTENER struct listener l;
    CLEANUP_ERR struct err *err = NULL;

    server_init(&s);
    server_start(&s, "right");
    listener_init(&l, &s);
    loop_until(&l, l.connected == 1);
    check_ok(bus_ensure_bucket(l.bus, "b", WAIT_MS, &err), err);
    listener_watch(&l, ">");
    loop_until(&l, l.ends == 1);
    for (int i = 0; i < 3; i++) {
        break_lines(&s);
        loop_until(&l, l.ends == i + 2);
    }
    /* The server removes those of the old lines by itself. */
    loop_until(&l, consumers_of(&s, "KV_b") == 1);
    bus_watch_free(steal_ptr(l.watch));
    check_within(WAIT_MS, consumers_of(&s, "KV_b") == 0);
}

static bool delete_bucket(const struct server *s)
{
    natsOptions *o = NULL;
    natsConnection *nc = NULL;
    jsCtx *js = NULL;
    bool ok = natsOptions_Create(&o) == NATS_OK && natsOptions_SetURL(o, s->url) == NATS_OK &&
              natsOptions_SetUserInfo(o, "fleet", "right") == NATS_OK &&
              natsConnection_Connect(&nc, o) == NATS_OK &&
              natsConnection_JetStream(&js, nc, NULL) == NATS_OK &&
              js_DeleteKeyValue(js, "b") == NATS_OK;

    jsCtx_Destroy(js);
    natsConnection_Destroy(nc);
    natsOptions_Destroy(o);
    return ok;
}

TEST(a_bucket_that_is_made_anew_is_followed_though_the_line_never_broke)
{
    CLEANUP_SERVER struct server s;
    CLEANUP_LISTENER struct listener l;
    CLEANUP_ERR struct err *err = NULL;

    server_init(&s);
    server_start(&s, "right");
    listener_init(&l, &s);
    loop_until(&l, l.connected == 1);
    need_ok(bus_ensure_bucket(l.bus, "b", WAIT_MS, &err), err);
    put(l.bus, "old", "1");
    listener_watch(&l, ">");
    loop_until(&l, l.ends == 1);
    need_true(delete_bucket(&s));
    need_ok(bus_ensure_bucket(l.bus, "b", WAIT_MS, &err), err);
    put(l.bus, "new", "2");
    /* The consumer is gone without a word: only its silence tells. */
    loop_until(&l, l.ends == 2);
    check_str(buf_str(&l.seen), "new=2 ");
    check_has(l.trouble, "no heartbeat");
    check_int(l.connected, 1);
}

TEST(a_server_that_is_absent_at_the_start_is_awaited)
{
    CLEANUP_SERVER struct server s;
    CLEANUP_LISTENER struct listener l;
    CLEANUP_ERR struct err *err = NULL;

    server_init(&s);
    listener_init(&l, &s);
    listener_watch(&l, ">");
    loop_until(&l, l.disconnected == 1);
    loop_for(&l, 1000);
    check_int(l.disconnected, 1); /* the same reason is told once */
    check_int(l.connected, 0);
    check_int(bus_write(l.bus, "b", "k", "v", 1, on_written, &l, &err), -ENOTCONN);
    check_int(bus_publish(l.bus, "s", "v", 1, &err), -ENOTCONN);
    check_int(bus_put(l.bus, "b", "k", "v", 1, WAIT_MS, &err), -ENOTCONN);

    server_start(&s, "right");
    loop_until(&l, l.connected == 1);
    check_ok(bus_ensure_bucket(l.bus, "b", WAIT_MS, &err), err);
    loop_until(&l, l.ends == 1);
    check_int(l.writes, 0);
}

TEST(refused_credentials_are_tried_again_until_they_are_accepted)
{
    CLEANUP_SERVER struct server s;
    CLEANUP_LISTENER struct listener l;

    server_init(&s);
    server_start(&s, "another");
    listener_init(&l, &s);
    loop_until(&l, l.disconnected == 1);
    check_has(l.reason, "uthorization");
    loop_for(&l, 1500); /* several equal refusals in a row */
    check_int(l.connected, 0);
    server_kill(&s);
    server_start(&s, "right");
    loop_until(&l, l.connected == 1);

    /* The same with a connection that stood before. */
    server_kill(&s);
    server_start(&s, "another");
    loop_for(&l, 1500);
    check_true(!bus_connected(l.bus));
    server_kill(&s);
    server_start(&s, "right");
    loop_until(&l, l.connected == 2);
}

TEST(writes_are_acknowledged_or_fail_exactly_once)
{
    CLEANUP_SERVER struct server s;
    CLEANUP(bus_free) struct bus *b = NULL;
    CLEANUP_LISTENER struct listener l;
    CLEANUP_ERR struct err *err = NULL;
    struct bus_entry e = { 0 };

    server_init(&s);
    server_start(&s, "right");
    b = sync_bus(&s);
    bus_ensure_bucket(b, "b", WAIT_MS, NULL);
    listener_init(&l, &s);
    loop_until(&l, l.connected == 1);
    for (int i = 0; i < 100; i++) {
        char value[16];

        snprintf(value, sizeof(value), "%d", i);
        write_key(&l, "b", "k", value);
    }
    check_int(l.writes, 0); /* never before bus_write() returned */
    loop_until(&l, l.writes == 100);
    check_int(l.failures, 0);
    check_ok(bus_get(b, "b", "k", WAIT_MS, &e, &err), err);
    check_str(e.value, "99");
    bus_entry_done(&e);
    write_key(&l, "b", "k", NULL);
    loop_until(&l, l.writes == 101);
    check_int(bus_get(b, "b", "k", WAIT_MS, &e, &err), -ENOENT);

    /* A server that hangs, and is then killed: the writes were not acknowledged. */
    check_int(l.failures, 0);
    kill(s.proc.pid, SIGSTOP);
    write_key(&l, "b", "k", "lost?");
    write_key(&l, "b", "k", "lost too?");
    loop_for(&l, 200);
    check_int(l.writes, 101);
    server_kill(&s);
    loop_until(&l, l.writes == 103);
    check_int(l.failures, 2);
    check_int(l.failure_code, ENOTCONN);
}

TEST(a_write_that_nobody_acknowledges_fails_after_ten_seconds)
{
    CLEANUP_SERVER struct server s;
    CLEANUP(bus_free) struct bus *b = NULL;
    CLEANUP_LISTENER struct listener l;
    int64_t start;

    server_init(&s);
    server_start(&s, "right");
    b = sync_bus(&s);
    bus_ensure_bucket(b, "b", WAIT_MS, NULL);
    listener_init(&l, &s);
    loop_until(&l, l.connected == 1);
    kill(s.proc.pid, SIGSTOP);
    start = check_now_ms();
    write_key(&l, "b", "k", "v");
    loop_until(&l, l.writes == 1);
    check_int(l.failures, 1);
    check_int(l.failure_code, ETIMEDOUT);
    check_true(check_now_ms() - start >= 9900 && check_now_ms() - start < 12000);
    kill(s.proc.pid, SIGCONT);
    loop_for(&l, 200); /* the late answer changes nothing */
    check_int(l.writes, 1);
}

TEST(a_bus_can_be_freed_at_any_moment)
{
    CLEANUP_SERVER struct server s;
    CLEANUP(bus_free) struct bus *b = NULL;

    server_init(&s);
    for (int i = 0; i < 3; i++) {
        CLEANUP_LISTENER struct listener absent;

        listener_init(&absent, &s);
        listener_watch(&absent, ">");
        loop_for(&absent, i * 30);
    }
    server_start(&s, "right");
    b = sync_bus(&s);
    bus_ensure_bucket(b, "b", WAIT_MS, NULL);
    for (int i = 0; i < 10; i++) {
        CLEANUP_LISTENER struct listener l;

        listener_init(&l, &s);
        listener_watch(&l, ">");
        loop_for(&l, i);
        if (bus_connected(l.bus))
            write_key(&l, "b", "k", "v");
    }
    check_within(WAIT_MS, consumers_of(&s, "KV_b") == 0);
}

CHECK_MAIN()
