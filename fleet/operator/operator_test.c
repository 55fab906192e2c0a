/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * The operator as a process, between a real API server and a real nats-server. The test plays the
 * people on one side and the devices on the other. All tests share the servers; each has names of
 * its own, and finds an operator that runs.
 */

#include "fleet/operator/operator_test.h"

/* --- tests -------------------------------------------------------------------------------- */

/* Runs it to its end: the exit status, or -1; what it said in `said`. */
static int run_briefly(char *argument, char *value, struct buf *said)
{
    CLEANUP_FREE char *program = operator_path(), *log = NULL, *text = NULL;
    char *argv[] = { program, argument, value, NULL };
    CLEANUP_CLOSE int fd = -1;
    struct proc proc;

    log = xasprintf("%s/brief.log", check_tmpdir());
    fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    need_true(proc_spawn(&(struct proc_spec){ .argv = argv, .out_fd = fd }, &proc, NULL) == 0);
    need_true(proc_wait(&proc, SOON_MS, NULL) == 0);
    need_true(file_read(log, 1 << 20, &text, NULL, NULL) == 0);
    buf_reset(said);
    buf_adds(said, text);
    return WIFEXITED(proc.status) ? WEXITSTATUS(proc.status) : -1;
}

TEST(wrong_settings_end_it_at_once_and_the_definitions_can_be_printed)
{
    CLEANUP_BUF struct buf said = BUF_INIT(1 << 20);
    CLEANUP_FREE char *path = xasprintf("%s/operator.yml", check_tmpdir());
    static const char text[] = "nats: { url: 'nats://127.0.0.1:1' }\n";

    check_int(run_briefly((char *)"--config", (char *)"/nowhere.yml", &said), 2);
    check_has(buf_str(&said), "/nowhere.yml: No such file");
    need_true(file_write(path, text, strlen(text), 0600, NULL) == 0);
    check_int(run_briefly((char *)"--config", path, &said), 1);
    check_has(buf_str(&said), "this is not a pod");
    check_has(buf_str(&said), "name a kubeconfig file");
    check_int(run_briefly((char *)"crds", NULL, &said), 0);
    check_has(buf_str(&said), "\"name\": \"" CRD_DEPLOYMENTS "\"");
    check_has(buf_str(&said), "\"name\": \"" CRD_DEVICES "\"");
    check_int(run_briefly((char *)"crsd", NULL, &said), 2);
}

TEST(it_waits_for_api_server_and_nats_as_long_as_it_takes)
{
    CLEANUP_ERR struct err *err = NULL;

    SERVERS_NEED_NATS();
    SERVERS_NEED_KUBE();
    lab_setup();
    servers_nats_stop(&lab.nats, SIGTERM);
    servers_kube_stop(&lab.kube, SIGTERM);
    operator_start();
    check_within(SOON_MS, logged("waiting for the API server: ") > 0);
    check_within(SOON_MS, logged("not connected to NATS: ") > 0);
    need_ok(servers_kube_start(&lab.kube, &err), err);
    check_within(SOON_MS, logged("the custom resource definitions are in place") == 1);
    check_int(logged("the fleet is known"), 0);
    need_ok(servers_nats_start(&lab.nats, &err), err);
    check_within(SOON_MS * 2, logged("the fleet is known") == 1);
    bus_connect();
}

static int compare_int64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

TEST(an_applied_deployment_becomes_a_key_of_each_matching_device)
{
    CLEANUP_FREE char *v1 = score_bytes("localhost/hello:v1");
    CLEANUP_FREE char *v2 = score_bytes("localhost/hello:v2");
    int64_t took[20];

    need_lab();
    join("basic-1", "basic");
    join("basic-2", "other");
    check_within(SOON_MS, strstr(device_condition("basic-1", "Reachable"), "True") != NULL);
    apply("basic", "basic", "localhost/hello:v1");
    check_within(SOON_MS, str_eq(desired("basic-1.basic"), v1));
    check_str(desired("basic-2.basic"), "");
    check_within(SOON_MS, str_eq(counts("basic"), "1 0 0 1"));
    check_str(dep_condition("default", "basic", "Accepted"), "True Accepted: ");
    check_str(dep_condition("default", "basic", "Ready"),
              "False WaitingForDevices: 0 of 1 devices run it");

    for (size_t i = 0; i < ARRAY_LEN(took); i++) {
        const char *want = i % 2 ? v1 : v2;
        int64_t start;

        apply("basic", "basic", i % 2 ? "localhost/hello:v1" : "localhost/hello:v2");
        start = check_now_ms();
        while (!str_eq(desired("basic-1.basic"), want) && check_now_ms() - start < SOON_MS)
            ;
        took[i] = check_now_ms() - start;
        check_true(took[i] < SOON_MS);
    }
    qsort(took, ARRAY_LEN(took), sizeof(*took), compare_int64);
    printf("# from applied to key: median %jd ms, most %jd ms\n", (intmax_t)took[10],
           (intmax_t)took[19]);
}

TEST(a_selector_or_label_that_changes_moves_the_keys)
{
    need_lab();
    join("move-1", "move-a");
    join("move-2", "move-b");
    apply("move", "move-a", "localhost/hello:v1");
    check_within(SOON_MS, *desired("move-1.move"));
    apply("move", "move-b", "localhost/hello:v1");
    check_within(SOON_MS, *desired("move-2.move") && !*desired("move-1.move"));
    check_within(SOON_MS, str_eq(counts("move"), "1 0 0 1"));
    join("move-1", "move-b");
    check_within(SOON_MS, *desired("move-1.move"));
    join("move-2", "elsewhere");
    check_within(SOON_MS, !*desired("move-2.move"));
    check_within(SOON_MS, str_eq(counts("move"), "1 0 0 1"));
}

TEST(a_deleted_deployment_goes_after_its_keys)
{
    need_lab();
    join("gone-1", "gone");
    join("gone-2", "gone");
    apply("gone", "gone", "localhost/hello:v1");
    check_within(SOON_MS, *desired("gone-1.gone") && *desired("gone-2.gone"));
    delete ("default", "gone");
    check_within(SOON_MS, !dep_exists("default", "gone"));
    check_str(desired("gone-1.gone"), "");
    check_str(desired("gone-2.gone"), "");

    /* With the bus away, the object waits. */
    apply("gone", "gone", "localhost/hello:v1");
    check_within(SOON_MS, *desired("gone-1.gone"));
    servers_nats_stop(&lab.nats, SIGKILL);
    delete ("default", "gone");
    let_settle();
    check_true(dep_exists("default", "gone"));
    check_true(servers_nats_start(&lab.nats, NULL) == 0);
    check_within(SOON_MS * 2, !dep_exists("default", "gone"));
    check_str(desired("gone-1.gone"), "");
}

TEST(what_devices_report_is_added_up)
{
    CLEANUP_FREE char *path = dep_path("default", "sum");
    CLEANUP_JSON json_t *object = NULL;
    int64_t now = clock_wall_ms();

    need_lab();
    join("sum-1", "sum");
    join("sum-2", "sum");
    join("sum-3", "sum");
    join("sum-4", "not-sum");
    say_at("sum-4", "sum", PHASE_RUNNING, NULL, now); /* does not match: does not count */
    apply("sum", "sum", "localhost/hello:v1");
    check_within(SOON_MS, str_eq(counts("sum"), "3 0 0 3"));
    say_at("sum-1", "sum", PHASE_RUNNING, NULL, now);
    say_at("sum-2", "sum", PHASE_FAILED, "no such image", now);
    check_within(SOON_MS, str_eq(counts("sum"), "3 1 1 1"));
    object = get(path);
    check_str(json_path_str(object, "status.aggregate.lastError.deviceId"), "sum-2");
    check_str(json_path_str(object, "status.aggregate.lastError.message"), "no such image");
    check_str(dep_condition("default", "sum", "Ready"),
              "False DevicesFailed: 1 of 3 devices run it; see aggregate.lastError");

    say_at("sum-2", "sum", PHASE_RUNNING, NULL, now - 60000); /* older than what is known */
    say_at("sum-3", "sum", PHASE_RUNNING, NULL, now);
    check_within(SOON_MS, str_eq(counts("sum"), "3 2 1 0"));
    say_at("sum-2", "sum", PHASE_RUNNING, NULL, now + 1000);
    check_within(SOON_MS, str_eq(counts("sum"), "3 3 0 0"));
    json_decref(object);
    object = get(path);
    check_true(json_path(object, "status.aggregate.lastError") == NULL);
    check_str(dep_condition("default", "sum", "Ready"),
              "True AllDevicesRun: 3 of 3 devices run it");
}

TEST(a_device_is_reachable_while_its_heartbeats_arrive)
{
    CLEANUP_JSON json_t *object = NULL;

    need_lab();
    join("beat-1", "beat");
    check_within(SOON_MS, strstr(device_condition("beat-1", "Reachable"), "True "));
    check_str(device_condition("beat-1", "ClockSkew"),
              "False ClockIsRight: the device's clock is right to 30 s");
    object = get(PATH_DEVICES "/beat-1");
    check_str(json_path_str(object, "status.currentVersion"), "0.1.0");
    check_str(json_path_str(object, "metadata.labels.group"), "beat");
    check_str(json_path_str(object, "spec.inventory.arch"), "x86_64");
    check_within(UNREACHABLE_MS + SOON_MS,
                 strstr(device_condition("beat-1", "Reachable"),
                        "False HeartbeatsMissing: the last heartbeat was stored at 20"));
    beat_at("beat-1", clock_wall_ms() + 95000);
    check_within(SOON_MS, strstr(device_condition("beat-1", "Reachable"), "True "));
    check_within(SOON_MS, strstr(device_condition("beat-1", "ClockSkew"), "True ClockIsOff: "));
    check_has(device_condition("beat-1", "ClockSkew"), " s ahead");
}

TEST(heartbeats_alone_write_nothing)
{
    CLEANUP_JSON json_t *before = NULL, *after = NULL;

    need_lab();
    join("quiet-1", "quiet");
    check_within(SOON_MS, strstr(device_condition("quiet-1", "Reachable"), "True "));
    before = get(PATH_DEVICES "/quiet-1");
    for (int i = 0; i < 8; i++) {
        int64_t until = check_now_ms() + UNREACHABLE_MS / 4;

        beat("quiet-1");
        while (check_now_ms() < until)
            check_pause();
    }
    after = get(PATH_DEVICES "/quiet-1");
    check_str(json_path_str(after, "metadata.resourceVersion"),
              json_path_str(before, "metadata.resourceVersion"));
}

TEST(a_restart_writes_nothing_that_is_so_already)
{
    static const int signals[] = { SIGTERM, SIGKILL };

    need_lab();
    join("same-1", "same");
    apply("same", "same", "localhost/hello:v1");
    say("same-1", "same", PHASE_FAILED, "broken");
    check_within(SOON_MS, str_eq(counts("same"), "1 0 1 0"));
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        CLEANUP_FREE char *before = NULL, *after = NULL;

        check_case("signal %d", signals[i]);
        let_settle(); /* devices of other tests become unreachable meanwhile */
        before = all_writes();
        operator_restart(signals[i]);
        let_settle();
        after = all_writes();
        check_str(after, before);
    }
}

TEST(what_changed_while_it_was_down_is_made_good)
{
    CLEANUP_FREE char *path = dep_path("default", "down-force");
    CLEANUP_JSON json_t *none = json_pack("{s:{s:[]}}", "metadata", "finalizers");
    CLEANUP_FREE char *v1 = score_bytes("localhost/hello:v1");
    CLEANUP_ERR struct err *err = NULL;

    need_lab();
    join("down-1", "down-a");
    join("down-2", "down-b");
    apply("down", "down-a", "localhost/hello:v1");
    apply("down-force", "down-a", "localhost/hello:v1");
    check_within(SOON_MS, *desired("down-1.down") && *desired("down-1.down-force"));

    operator_stop(SIGKILL);
    apply("down", "down-b", "localhost/hello:v1");
    check_ok(kube_call(lab.api, "PATCH", path, KUBE_MERGE, none, NULL, &err), err);
    delete ("default", "down-force");
    put(BUCKET_DESIRED_STATE, "nobody.nothing", "{}");
    put(BUCKET_DESIRED_STATE, "down-2.down", "somebody else's bytes");
    operator_start();
    check_within(SOON_MS, str_eq(desired("down-2.down"), v1));
    check_within(SOON_MS, !*desired("down-1.down"));
    check_within(SOON_MS, !*desired("down-1.down-force"));
    check_within(SOON_MS, !*desired("nobody.nothing"));
}

TEST(nats_may_restart_and_even_forget_everything)
{
    CLEANUP_FREE char *store = NULL, *v2 = score_bytes("localhost/hello:v2");
    CLEANUP_ERR struct err *err = NULL;

    need_lab();
    join("store-1", "store");
    apply("store", "store", "localhost/hello:v1");
    check_within(SOON_MS, *desired("store-1.store"));

    servers_nats_stop(&lab.nats, SIGKILL);
    apply("store", "store", "localhost/hello:v2");
    need_ok(servers_nats_start(&lab.nats, &err), err);
    bus_connect();
    check_within(SOON_MS * 2, str_eq(desired("store-1.store"), v2));

    /* An empty store: the labels of the Device objects stand in until the devices speak. */
    servers_nats_stop(&lab.nats, SIGKILL);
    store = xasprintf("%s/store", lab.nats.dir);
    need_ok(dir_remove(store, &err), err);
    need_ok(servers_nats_start(&lab.nats, &err), err);
    bus_connect();
    check_within(SOON_MS * 3, str_eq(desired("store-1.store"), v2));
}

TEST(what_runs_although_nothing_wants_it_is_marked_as_deleted_once)
{
    CLEANUP_FREE char *v1 = score_bytes("localhost/hello:v1"), *store = NULL;
    CLEANUP_FREE char *before = NULL, *after = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_lab();
    check_timeout(120);
    join("mark-1", "mark");
    apply("mark", "mark", "localhost/hello:v1");
    apply("mark-old", "mark", "localhost/hello:v1");
    check_within(SOON_MS, *desired("mark-1.mark") && *desired("mark-1.mark-old"));
    say("mark-1", "mark-old", PHASE_RUNNING, NULL);
    delete ("default", "mark-old");
    check_within(SOON_MS, !dep_exists("default", "mark-old") && !*desired("mark-1.mark-old"));
    let_settle();
    check_int(logged("mark-1 reports mark-old"), 0); /* it was marked when it was deleted */

    /* The marker is lost with everything else, and the device tells what it runs. */
    servers_nats_stop(&lab.nats, SIGKILL);
    store = xasprintf("%s/store", lab.nats.dir);
    need_ok(dir_remove(store, &err), err);
    need_ok(servers_nats_start(&lab.nats, &err), err);
    bus_connect();
    check_within(SOON_MS * 3, str_eq(desired("mark-1.mark"), v1));
    say("mark-1", "mark", PHASE_RUNNING, NULL);
    say("mark-1", "mark-old", PHASE_RUNNING, NULL);
    let_settle();
    check_int(logged("mark-1 reports mark-old"), 0); /* its labels are not known */
    join("mark-1", "mark");
    check_within(SOON_MS, logged("mark-1 reports mark-old") == 1);

    let_settle();
    before = key_writes();
    say("mark-1", "mark-old", PHASE_FAILED, "broken");
    operator_restart(SIGKILL); /* it finds the marker in the bucket */
    say("mark-1", "mark-old", PHASE_RUNNING, NULL);
    let_settle();
    after = key_writes();
    check_str(after, before);
    check_int(logged("mark-1 reports"), 1);
}

static const struct {
    const char *bucket, *key, *value;
} corrupt[] = {
    { BUCKET_DESIRED_STATE, "no-dot-at-all", "x" },
    { BUCKET_DEVICE_INFO, "info.bad-1", "{not json" },
    { BUCKET_DEVICE_INFO, "info.bad-1.more", "{}" },
    { BUCKET_DEVICE_INFO, "info.bad-2",
      "{\"device_id\":\"bad-1\",\"labels\":{\"device-id\":\"bad-1\"},\"inventory\":{},"
      "\"updated_at\":\"2026-01-01T00:00:00Z\"}" },
    { BUCKET_DEVICE_STATE, "state.bad-1.bad", "{\"phase\":7}" },
    { BUCKET_DEVICE_HEARTBEAT, "heartbeat.bad-1", "" },
};

TEST(a_corrupt_message_is_told_once_and_hurts_nobody)
{
    CLEANUP_FREE char *v1 = score_bytes("localhost/hello:v1");

    need_lab();
    for (size_t i = 0; i < ARRAY_LEN(corrupt); i++) {
        CLEANUP_FREE char *line = xasprintf("key %s, revision", corrupt[i].key);

        check_case("%s %s", corrupt[i].bucket, corrupt[i].key);
        put(corrupt[i].bucket, corrupt[i].key, corrupt[i].value);
        check_within(SOON_MS, logged(line) == 1);
    }
    check_case("afterwards");
    join("bad-1", "bad");
    apply("bad", "bad", "localhost/hello:v1");
    check_within(SOON_MS, str_eq(desired("bad-1.bad"), v1));
    check_str(desired("no-dot-at-all"), "x");
    say("bad-1", "bad", PHASE_RUNNING, NULL);
    check_within(SOON_MS, str_eq(counts("bad"), "1 1 0 0"));
    check_true(!proc_ended(&lab.op));
}

TEST(of_two_deployments_of_one_name_the_older_owns_it)
{
    CLEANUP_FREE char *v1 = score_bytes("localhost/hello:v1");
    CLEANUP_FREE char *v2 = score_bytes("localhost/hello:v2");
    int64_t until = check_now_ms() + 1100;

    need_lab();
    join("twin-1", "twin");
    apply_in("default", "twin", "twin", "localhost/hello:v1");
    check_within(SOON_MS, str_eq(desired("twin-1.twin"), v1));
    while (check_now_ms() < until) /* creationTimestamp has seconds */
        check_pause();
    apply_in("another", "twin", "twin", "localhost/hello:v2");
    check_within(SOON_MS, str_eq(dep_condition("another", "twin", "Accepted"),
                                 "False NameTaken: deployment default/twin is older and has the "
                                 "same name on devices"));
    check_str(desired("twin-1.twin"), v1);
    delete ("default", "twin");
    check_within(SOON_MS, str_eq(desired("twin-1.twin"), v2));
    check_within(SOON_MS, !dep_exists("default", "twin"));
    check_within(SOON_MS, strstr(dep_condition("another", "twin", "Accepted"), "True "));
}

TEST(the_api_server_may_restart)
{
    CLEANUP_FREE char *v2 = score_bytes("localhost/hello:v2");
    CLEANUP_ERR struct err *err = NULL;

    need_lab();
    join("again-1", "again");
    apply("again", "again", "localhost/hello:v1");
    check_within(SOON_MS, str_eq(counts("again"), "1 0 0 1"));
    servers_kube_stop(&lab.kube, SIGKILL);
    say("again-1", "again", PHASE_RUNNING, NULL);
    let_settle();
    need_ok(servers_kube_start(&lab.kube, &err), err);
    check_within(SOON_MS * 2, str_eq(counts("again"), "1 1 0 0"));
    apply("again", "again", "localhost/hello:v2");
    check_within(SOON_MS * 3, str_eq(desired("again-1.again"), v2));
}

TEST(an_api_server_that_lost_everything_is_set_up_again)
{
    CLEANUP_FREE char *v1 = score_bytes("localhost/hello:v1"), *store = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_lab();
    check_timeout(120);
    join("wiped-1", "wiped");
    apply("wiped", "wiped", "localhost/hello:v1");
    check_within(SOON_MS, *desired("wiped-1.wiped"));
    servers_kube_stop(&lab.kube, SIGKILL);
    store = xasprintf("%s/etcd", lab.kube.dir);
    need_ok(dir_remove(store, &err), err);
    need_ok(servers_kube_start(&lab.kube, &err), err);
    /* No Deployments: no keys. Devices are made again from what they say of themselves. */
    check_within(SOON_MS * 6, !*desired("wiped-1.wiped"));
    check_within(SOON_MS, *device_condition("wiped-1", "Reachable"));
    apply("wiped", "wiped", "localhost/hello:v1");
    check_within(SOON_MS * 3, str_eq(desired("wiped-1.wiped"), v1));
    check_within(SOON_MS, str_eq(counts("wiped"), "1 0 0 1"));
}

TEST(it_ends_cleanly_when_told_and_stays_small)
{
    CLEANUP_FREE char *path = NULL, *text = NULL, *rss = NULL;

    need_lab();
    path = xasprintf("/proc/%d/status", (int)lab.op.pid);
    need_true(file_read(path, 64 << 10, &text, NULL, NULL) == 0);
    rss = strstr(text, "VmRSS:") ? xstrndup(strstr(text, "VmRSS:"), 24) : xstrdup("VmRSS: ?");
    rss[strcspn(rss, "\n")] = '\0';
    printf("# operator: %s\n", rss);
    operator_stop(SIGTERM);
    check_int(lab.op.status, 0);
    check_true(logged("fleet-operator ends") >= 1);
    bus_free(steal_ptr(lab.bus));
    kube_free(steal_ptr(lab.api));
    if (getenv("OPERATOR_LOG")) {
        CLEANUP_FREE char *log = log_text();
        printf("%s", log);
    }
    servers_nats_done(&lab.nats);
    servers_kube_done(&lab.kube);
}

CHECK_MAIN()
