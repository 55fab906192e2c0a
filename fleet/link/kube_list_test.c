/* SPDX-License-Identifier: AGPL-3.0-only */

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "fleet/link/kube.h"
#include "fleet/testing/peer.h"
#include "fleet/testing/servers.h"

/* --- what a list said --------------------------------------------------------------------- */

struct said {
    sd_event *loop;
    struct buf text; /* "begin put:a put:b end gone:a trouble " */
    int puts, ends;
    int stop_at_ends;    /* leaves the loop at the nth SYNC_END ... */
    const char *stop_at; /* ... or when this event was added */
};

static void on_event(enum kube_event event, const json_t *object, const struct err *trouble,
                     void *userdata)
{
    struct said *s = userdata;
    const char *name = json_path_str(object, "metadata.name");

    switch (event) {
    case KUBE_SYNC_BEGIN:
        buf_adds(&s->text, "begin ");
        break;
    case KUBE_PUT:
        s->puts++;
        buf_addf(&s->text, "put:%s ", name);
        break;
    case KUBE_GONE:
        buf_addf(&s->text, "gone:%s ", name);
        break;
    case KUBE_SYNC_END:
        buf_adds(&s->text, "end ");
        s->ends++;
        break;
    case KUBE_TROUBLE:
        check_true(trouble != NULL);
        buf_adds(&s->text, "trouble ");
        break;
    }
    if ((s->stop_at && strstr(buf_str(&s->text), s->stop_at)) ||
        (s->stop_at_ends && s->ends >= s->stop_at_ends))
        sd_event_exit(s->loop, 0);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)usec;
    *(bool *)userdata = true;
    return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* A new loop for each step, since one that was left is over. */
static bool run_until(struct said *s, sd_event **loop, struct http **http, struct kube *k,
                      const char *path, struct kube_list **list)
{
    const struct kube_list_handler handler = { .event = on_event, .userdata = s };
    CLEANUP_ERR struct err *err = NULL;
    bool late = false;

    need_true(sd_event_new(loop) >= 0);
    s->loop = *loop;
    need_ok(http_new(*loop, http, &err), err);
    need_ok(kube_list_new(*http, k, path, &handler, list, &err), err);
    need_true(sd_event_add_time_relative(*loop, NULL, CLOCK_MONOTONIC, 20000000, 1000, on_deadline,
                                         &late) >= 0);
    sd_event_loop(*loop);
    return !late;
}

/* --- answers of a strange server ---------------------------------------------------------- */

#define OK "HTTP/1.1 200 OK\r\n\r\n"
#define LIST(version, items)                                                                       \
    OK "{\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"
#define NAMED(name, version)                                                                       \
    "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" NAMED(name, version) "}\n"
#define GONE_410 "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"message\":\"too old\"}}\n"

static const struct {
    const char *name;
    struct peer_answer answers[4];
    size_t n;
    const char *said;    /* up to where the test ends */
    const char *request; /* that was made meanwhile */
} cases[] = {
    { "list, then watch from its version",
      { { { LIST("7", NAMED("a", "3")) }, 0, false },
        { { OK EVENT("ADDED", "b", "8"), EVENT("DELETED", "a", "9") }, 30, true } },
      2,
      "begin put:a end put:b gone:a ",
      "resourceVersion=7&" },
    { "a broken watch resumes after the last version that it saw, a bookmark's included",
      { { { LIST("7", "") }, 0, false },
        { { OK EVENT("ADDED", "a", "8"), EVENT("BOOKMARK", "", "12") }, 0, false },
        { { OK EVENT("MODIFIED", "a", "13") }, 0, true } },
      3,
      "begin end put:a put:a ",
      "resourceVersion=12&" },
    { "an event in two pieces",
      { { { LIST("7", "") }, 0, false },
        { { OK "{\"type\":\"ADDED\",\"object\":", NAMED("a", "8") "}", "\n" }, 30, true } },
      2,
      "begin end put:a ",
      "watch=1" },
    { "410 as an event lists again, without a word",
      { { { LIST("7", NAMED("a", "3")) }, 0, false },
        { { OK GONE_410 }, 0, false },
        { { LIST("20", NAMED("b", "19")) }, 0, false },
        { { OK }, 0, true } },
      4,
      "begin put:a end begin put:b end ",
      "resourceVersion=7&" },
    { "410 as a status lists again",
      { { { LIST("7", "") }, 0, false },
        { { "HTTP/1.1 410 Gone\r\n\r\n" }, 0, false },
        { { LIST("20", "") }, 0, false },
        { { OK }, 0, true } },
      4,
      "begin end begin end ",
      "limit=500" },
    { "pages are one list",
      { { { OK "{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"t/=\"},\"items\":[" NAMED(
                  "a", "3") "]}" },
          0,
          false },
        { { LIST("7", NAMED("b", "4")) }, 0, false },
        { { OK }, 0, true } },
      3,
      "begin put:a put:b end ",
      "&continue=%74%2F%3D" },
    { "a page that expired begins anew",
      { { { OK "{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"t\"},\"items\":[" NAMED(
                  "a", "3") "]}" },
          0,
          false },
        { { "HTTP/1.1 410 Gone\r\n\r\n" }, 0, false },
        { { LIST("9", NAMED("a", "3")) }, 0, false },
        { { OK }, 0, true } },
      4,
      "begin put:a begin put:a end ",
      "continue" },
    { "garbage events are told and watched past",
      { { { LIST("7", "") }, 0, false },
        { { OK "what?\n" }, 0, true },
        { { OK EVENT("ADDED", "a", "8") }, 0, true } },
      3,
      "begin end trouble put:a ",
      "watch=1" },
    { "an answer that is no list is told and asked again",
      { { { OK "{}" }, 0, false },
        { { OK "<html>" }, 0, false },
        { { LIST("7", "") }, 0, false },
        { { OK }, 0, true } },
      4,
      "trouble trouble begin end ",
      "limit=500" },
    { "a watch that is refused twice lists again",
      { { { LIST("7", "") }, 0, false },
        { { "HTTP/1.1 504 No\r\n\r\n" }, 0, false },
        { { "HTTP/1.1 504 No\r\n\r\n" }, 0, false },
        { { LIST("2", NAMED("a", "1")) }, 0, false } },
      4,
      "begin end trouble trouble begin put:a end ",
      "resourceVersion=7&" },
    { "refused, then allowed",
      { { { "HTTP/1.1 403 Forbidden\r\n\r\n{\"message\":\"no\"}" }, 0, false },
        { { LIST("7", "") }, 0, false },
        { { OK }, 0, true } },
      3,
      "trouble begin end ",
      "limit" },
};

TEST(a_list_survives_whatever_the_server_says)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct said said = { .text = BUF_INIT(1 << 16), .stop_at = cases[i].said };
        struct kube k = { 0 };
        struct kube_list *list = NULL;
        struct http *http = NULL;
        sd_event *loop = NULL;
        struct peer p;

        check_case("%s", cases[i].name);
        peer_start(&p, cases[i].answers, cases[i].n, NULL);
        k.peer = p.http;
        check_true(run_until(&said, &loop, &http, &k, "/things", &list));
        check_str(buf_str(&said.text), cases[i].said);
        kube_list_free(list);
        http_free(http);
        sd_event_unref(loop);
        peer_stop(&p);
        check_has(buf_str(&p.requests), cases[i].request);
        peer_done(&p);
        buf_done(&said.text);
    }
}

/* --- the real server ---------------------------------------------------------------------- */

#define MAPS "/api/v1/namespaces/default/configmaps"

static json_t *map_of(const char *name)
{
    return json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "ConfigMap", "metadata",
                     "name", name);
}

static void post_map(struct kube *k, const char *name)
{
    CLEANUP_JSON json_t *map = map_of(name);
    CLEANUP_ERR struct err *err = NULL;

    check_ok(kube_call(k, "POST", MAPS, KUBE_JSON, map, NULL, &err), err);
}

/* Posts map-0 to map-(n-1), a few at a time. */
struct posting {
    sd_event *loop;
    struct http *http;
    struct kube *kube;
    int next, n, left;
};

static void post_next(struct posting *p);

static void on_posted(const json_t *object, const struct err *failure, void *userdata)
{
    struct posting *p = userdata;

    check_str(failure ? err_text(failure) : NULL, NULL);
    check_true(object != NULL);
    if (--p->left == 0)
        sd_event_exit(p->loop, 0);
    else
        post_next(p);
}

static void post_next(struct posting *p)
{
    CLEANUP_FREE char *name = xasprintf("map-%d", p->next);
    CLEANUP_JSON json_t *map = map_of(name);
    CLEANUP_ERR struct err *err = NULL;

    if (p->next++ < p->n)
        check_ok(kube_start(p->http, p->kube, "POST", MAPS, KUBE_JSON, map, on_posted, p, NULL,
                            &err),
                 err);
}

static void post_many(struct kube *k, int n)
{
    struct posting posting = { .kube = k, .n = n, .left = n };
    CLEANUP_ERR struct err *err = NULL;

    need_true(sd_event_new(&posting.loop) >= 0);
    need_ok(http_new(posting.loop, &posting.http, &err), err);
    for (int i = 0; i < 8; i++)
        post_next(&posting);
    sd_event_loop(posting.loop);
    check_int(posting.left, 0);
    http_free(posting.http);
    sd_event_unref(posting.loop);
}

static int restart_and_post(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct servers_kube *server = userdata;
    CLEANUP(kube_free) struct kube *k = NULL;
    CLEANUP_ERR struct err *err = NULL;

    (void)source, (void)usec;
    servers_kube_stop(server, SIGKILL);
    need_ok(servers_kube_start(server, &err), err);
    need_ok(kube_load(server->kubeconfig, &k, &err), err);
    post_map(k, "after");
    return 0;
}

TEST(a_list_of_many_is_whole_and_outlives_the_api_server)
{
    struct said said = { .text = BUF_INIT(1 << 20), .stop_at = "put:after" };
    struct servers_kube server = { 0 };
    CLEANUP(kube_free) struct kube *k = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct kube_list *list = NULL;
    struct http *http = NULL;
    sd_event *loop = NULL;

    SERVERS_NEED_KUBE();
    need_ok(servers_kube_start(&server, &err), err);
    need_ok(kube_load(server.kubeconfig, &k, &err), err);
    post_many(k, 1100);
    said.stop_at_ends = 1;
    check_true(run_until(&said, &loop, &http, k, MAPS, &list));
    check_int(said.puts, 1100);
    kube_list_free(list);
    http_free(http);
    sd_event_unref(loop);

    /* Killed with what it stored, and started again, while a list watches. */
    said.stop_at_ends = 0;
    buf_reset(&said.text);
    need_true(sd_event_new(&loop) >= 0);
    need_ok(http_new(loop, &http, &err), err);
    said.loop = loop;
    need_ok(kube_list_new(http, k, MAPS,
                          &(struct kube_list_handler){ .event = on_event, .userdata = &said },
                          &list, &err),
            err);
    need_true(sd_event_add_time_relative(loop, NULL, CLOCK_MONOTONIC, 1500000, 1000,
                                         restart_and_post, &server) >= 0);
    sd_event_loop(loop);
    check_has(buf_str(&said.text), "put:after");
    kube_list_free(list);
    http_free(http);
    sd_event_unref(loop);
    buf_done(&said.text);
    servers_kube_done(&server);
}

CHECK_MAIN()
