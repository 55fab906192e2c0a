/* SPDX-License-Identifier: AGPL-3.0-only */

/* Against a real podman, where one can run. */

#include "fleet/link/podman.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/podman_json.h"
#include "fleet/testing/engine.h"

#define WAIT_MS 60000

/* A podman on a loop, and how its last operation ended. */
struct fixture {
    sd_event *loop;
    struct http *http;
    struct podman *podman;
    bool done, exists;
    int calls;
    struct err *failure;
    size_t n;
    char *id, *name, *state, *deployment, *service, *spec, *image, *policy, *env, *mounts;
};

static void record(struct fixture *f, const struct err *failure)
{
    f->done = true;
    f->calls++;
    if (f->failure)
        err_free(steal_ptr(f->failure));
    if (failure)
        err_new(&f->failure, err_code(failure), "%s", err_text(failure));
}

static void on_done(const struct err *failure, void *userdata)
{
    record(userdata, failure);
}

static void on_exists(bool exists, const struct err *failure, void *userdata)
{
    struct fixture *f = userdata;

    f->exists = exists;
    record(f, failure);
}

static void on_list(const struct containers *list, const struct err *failure, void *userdata)
{
    struct fixture *f = userdata;
    const struct container *c = list && list->n ? &list->items[0] : &(struct container){ 0 };
    char *env = strv_join(c->env, " "), *mounts = strv_join(c->mounts, " ");

    f->n = list ? list->n : 0;
    replace_str(&f->id, c->id);
    replace_str(&f->name, c->name);
    replace_str(&f->state, c->state);
    replace_str(&f->deployment, c->deployment);
    replace_str(&f->service, c->service);
    replace_str(&f->spec, c->spec);
    replace_str(&f->image, c->image);
    replace_str(&f->policy, c->restart_policy);
    replace_str(&f->env, env);
    replace_str(&f->mounts, mounts);
    free(env);
    free(mounts);
    record(f, failure);
}

static void fixture_init(struct fixture *f, const char *socket)
{
    CLEANUP_ERR struct err *err = NULL;

    *f = (struct fixture){ 0 };
    need_true(sd_event_new(&f->loop) >= 0);
    need_ok(http_new(f->loop, &f->http, &err), err);
    need_ok(podman_new(f->http, socket, &f->podman, &err), err);
}

static void fixture_done(struct fixture *f)
{
    podman_free(f->podman);
    http_free(f->http);
    sd_event_unref(f->loop);
    if (f->failure)
        err_free(f->failure);
    free(f->id);
    free(f->name);
    free(f->state);
    free(f->deployment);
    free(f->service);
    free(f->spec);
    free(f->image);
    free(f->policy);
    free(f->env);
    free(f->mounts);
}
#define CLEANUP_FIXTURE __attribute__((cleanup(fixture_done)))
#define CLEANUP_ENGINE __attribute__((cleanup(engine_done)))

/* Starts an operation and runs the loop until it is done; true when it succeeded. */
#define finish(f, call)                                                                            \
    ({                                                                                             \
        CLEANUP_ERR struct err *start_err_ = NULL;                                                 \
        struct err **err = &start_err_;                                                            \
        int64_t until_ = check_now_ms() + WAIT_MS;                                                 \
        (f)->done = false;                                                                         \
        if (check_ok(call, start_err_)) {                                                          \
            check_true(!(f)->done);                                                                \
            while (!(f)->done && check_now_ms() < until_)                                          \
                sd_event_run((f)->loop, 50000);                                                    \
        }                                                                                          \
        (f)->done && !(f)->failure;                                                                \
    })
#define check_finish(f, call) check_str(finish(f, call) ? "" : err_text((f)->failure), "")

TEST(a_container_lives_through_all_its_operations)
{
    ENGINE_NEED();
    CLEANUP_ENGINE struct engine engine = { 0 };
    CLEANUP_FIXTURE struct fixture f;
    CLEANUP_ERR struct err *start_err = NULL;
    CLEANUP_FREE char *id = NULL, *args = NULL;
    struct env_var env[] = { { (char *)"B", (char *)"second=1 \"x\"" },
                             { (char *)"A", (char *)"" } };
    struct volume volumes[] = { { (char *)"/usr", (char *)"/data", true } };
    struct port_mapping ports[] = { { 18080, 80, "tcp" } };
    struct service service = { .name = (char *)"web",
                               .image = (char *)"localhost/t:v1",
                               .ports = ports,
                               .n_ports = 1,
                               .env = env,
                               .n_env = 2,
                               .volumes = volumes,
                               .n_volumes = 1,
                               .restart_policy = RESTART_ON_FAILURE };

    check_timeout(240);
    need_ok(engine_start(&engine, &start_err), start_err);
    fixture_init(&f, engine.socket);
    check_finish(&f, podman_list(f.podman, on_list, &f, err));
    check_int((int64_t)f.n, 0);
    check_finish(&f,
                 podman_create(f.podman, "hello.web", "hello", &service, "abc", on_done, &f, err));
    check_finish(&f, podman_list(f.podman, on_list, &f, err));
    check_int((int64_t)f.n, 1);
    check_str(f.name, "hello.web");
    check_str(f.state, "created");
    check_str(f.deployment, "hello");
    check_str(f.service, "web");
    check_str(f.spec, "abc");
    check_str(f.image, "localhost/t:v1");
    check_str(f.policy, "on-failure");
    check_has(f.env, "B=second=1 \"x\"");
    check_str(f.mounts, "/usr:/data:ro");
    id = xstrdup(f.id);

    check_finish(&f, podman_start(f.podman, "hello.web", on_done, &f, err));
    check_finish(&f, podman_start(f.podman, "hello.web", on_done, &f, err));
    check_finish(&f, podman_list(f.podman, on_list, &f, err));
    check_str(f.state, "running");
    check_finish(&f, podman_rename(f.podman, "hello.web", "hello.web.next", on_done, &f, err));
    check_finish(&f, podman_stop(f.podman, "hello.web.next", 10, on_done, &f, err));
    check_finish(&f, podman_stop(f.podman, id, 10, on_done, &f, err));
    check_finish(&f, podman_list(f.podman, on_list, &f, err));
    check_str(f.name, "hello.web.next");
    check_str(f.id, id);
    check_str(f.state, "exited");
    check_finish(&f, podman_remove(f.podman, id, on_done, &f, err));
    check_finish(&f, podman_remove(f.podman, id, on_done, &f, err));
    check_finish(&f, podman_list(f.podman, on_list, &f, err));
    check_int((int64_t)f.n, 0);

    /* A container of somebody else is not seen. */
    check_ok(engine_run(&engine,
                        (char *[]){ (char *)"create", (char *)"--name=other",
                                    (char *)"localhost/t:v1", NULL },
                        NULL, &start_err),
             start_err);
    check_finish(&f, podman_list(f.podman, on_list, &f, err));
    check_int((int64_t)f.n, 0);
}

TEST(podman_s_own_words_are_in_the_failure)
{
    ENGINE_NEED();
    CLEANUP_ENGINE struct engine engine = { 0 };
    CLEANUP_FIXTURE struct fixture f;
    CLEANUP_ERR struct err *start_err = NULL;
    struct service service = { .name = (char *)"web", .image = (char *)"localhost/t:v9" };

    check_timeout(240);
    need_ok(engine_start(&engine, &start_err), start_err);
    fixture_init(&f, engine.socket);
    check_finish(&f, podman_image_exists(f.podman, "localhost/t:v1", on_exists, &f, err));
    check_true(f.exists);
    check_finish(&f, podman_image_exists(f.podman, "localhost/t:v9", on_exists, &f, err));
    check_true(!f.exists);
    check_true(!finish(&f, podman_create(f.podman, "a.web", "a", &service, "x", on_done, &f, err)));
    check_int(err_code(f.failure), ENOENT);
    check_has(err_text(f.failure), "creating container a.web: no such image: localhost/t:v9");
    check_true(!finish(&f, podman_start(f.podman, "none.web", on_done, &f, err)));
    check_int(err_code(f.failure), ENOENT);
    check_true(!finish(&f, podman_pull(f.podman, "127.0.0.1:1/none:v1", on_done, &f, err)));
    check_has(err_text(f.failure), "pulling image 127.0.0.1:1/none:v1: ");
    check_has(err_text(f.failure), "refused");

    service.image = (char *)"localhost/t:v1";
    check_finish(&f, podman_create(f.podman, "a.web", "a", &service, "x", on_done, &f, err));
    check_true(!finish(&f, podman_create(f.podman, "a.web", "a", &service, "x", on_done, &f, err)));
    check_has(err_text(f.failure), "already in use");
}

TEST(a_podman_that_is_not_there_is_told_from_one_that_refuses)
{
    CLEANUP_FIXTURE struct fixture f;
    CLEANUP_FREE char *path = xasprintf("%s/none", check_tmpdir());

    fixture_init(&f, path);
    check_true(!finish(&f, podman_list(f.podman, on_list, &f, err)));
    check_int(err_code(f.failure), ENOENT);
    check_has(err_text(f.failure), "no podman at ");
    check_has(err_text(f.failure), path);
}

TEST(operations_that_run_are_given_up_silently)
{
    CLEANUP_FREE char *path = xasprintf("%s/none", check_tmpdir());
    CLEANUP_ERR struct err *err = NULL;
    struct fixture f;

    fixture_init(&f, path);
    check_ok(podman_list(f.podman, on_list, &f, &err), err);
    check_ok(podman_start(f.podman, "x", on_done, &f, &err), err);
    podman_free(steal_ptr(f.podman));
    sd_event_run(f.loop, 50000);
    check_int(f.calls, 0);
    fixture_done(&f);
}

TEST(answers_that_are_not_podman_s_are_errors)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        { "nothing", "" },
        { "no JSON", "<html>" },
        { "another type", "17" },
        { "no id", "{\"Name\":\"a\",\"State\":{\"Status\":\"running\"}}" },
        { "state of another type", "{\"Id\":\"1\",\"Name\":\"a\",\"State\":[]}" },
        { "cut", "{\"Id\":\"1\",\"Name\":\"a\",\"Sta" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;
        struct container c = { 0 };
        struct containers list = { 0 };
        size_t len = strlen(cases[i].text);

        check_case("%s", cases[i].name);
        check_true(podman_json_container(cases[i].text, len, &c, &err) < 0);
        check_true(podman_json_list(cases[i].text, len, &list, &err) < 0);
        check_true(!list.items && !c.id);
    }
}

TEST(a_container_that_a_power_cut_ended_is_told_from_one_that_ended)
{
    static const struct {
        const char *name, *state;
        bool interrupted;
    } cases[] = {
        { "runs",
          "\"Running\":true,\"StartedAt\":\"2026-11-21T08:11:23.6Z\","
          "\"FinishedAt\":\"0001-01-01T00:00:00Z\"",
          false },
        { "never started",
          "\"Running\":false,\"StartedAt\":\"0001-01-01T00:00:00Z\","
          "\"FinishedAt\":\"0001-01-01T00:00:00Z\"",
          false },
        { "ended",
          "\"Running\":false,\"StartedAt\":\"2026-11-21T08:11:23.6Z\","
          "\"FinishedAt\":\"2026-11-21T08:11:23.7+00:00\"",
          false },
        { "cut in its first run",
          "\"Running\":false,\"StartedAt\":\"2026-11-21T08:11:23.6Z\","
          "\"FinishedAt\":\"0001-01-01T00:00:00Z\"",
          true },
        { "cut in a later run",
          "\"Running\":false,\"StartedAt\":\"2026-11-21T08:11:23.6Z\","
          "\"FinishedAt\":\"2026-11-21T08:10:00Z\"",
          true },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *text =
                xasprintf("{\"Id\":\"1\",\"Name\":\"a\",\"State\":{\"Status\":\"exited\",%s}}",
                          cases[i].state);
        CLEANUP_ERR struct err *err = NULL;
        __attribute__((cleanup(container_done))) struct container c = { 0 };

        check_case("%s", cases[i].name);
        if (check_ok(podman_json_container(text, strlen(text), &c, &err), err))
            check_int(c.interrupted, cases[i].interrupted);
    }
}

TEST(an_inspection_is_read_whole)
{
    static const char text[] =
            "{\"Id\":\"1\",\"Name\":\"a.web\",\"State\":{\"Status\":\"exited\",\"ExitCode\":3},"
            "\"Image\":\"sha\",\"ImageName\":\"localhost/a:v1\",\"Config\":{\"Env\":[\"A=1\",\"B=\"],"
            "\"Labels\":{\"io.nationtech.fleet.deployment\":\"a\"}},\"HostConfig\":{"
            "\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"}],"
            "\"53/udp\":[{\"HostIp\":\"\",\"HostPort\":\"53\"}]},"
            "\"RestartPolicy\":{\"Name\":\"no\"}},"
            "\"Mounts\":[{\"Source\":\"/a\",\"Destination\":\"/b\",\"RW\":true}]}";
    CLEANUP_ERR struct err *err = NULL;
    __attribute__((cleanup(container_done))) struct container c = { 0 };

    need_ok(podman_json_container(text, strlen(text), &c, &err), err);
    check_int(c.exit_code, 3);
    check_str(c.deployment, "a");
    check_str(c.service, "");
    check_str(c.image, "localhost/a:v1");
    check_str(c.image_id, "sha");
    check_int((int64_t)c.n_ports, 2);
    check_int(c.ports[0].host, 8080);
    check_int(c.ports[0].container, 80);
    check_str(c.ports[1].protocol, "udp");
    check_str(c.env[0], "A=1");
    check_str(c.mounts[0], "/a:/b:rw");
    check_str(c.restart_policy, "no");
}

CHECK_MAIN()
