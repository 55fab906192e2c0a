/* SPDX-License-Identifier: AGPL-3.0-only */

/* A keeper without a lab: who asks, who is answered, and when. */

#include "rig/cmd/keeper_server.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/fleet.h"

#define WAIT_MS 20000

struct bench {
    struct fleet *fleet;
    struct keeper_server *server;
};

static void bench_up(struct bench *b)
{
    struct place place = { .cache = (char *)(uintptr_t)check_tmpdir() };
    CLEANUP_ERR struct err *err = NULL;
    int fd = -1;

    need_ok(fleet_new(&place, FLEET_NAME, &b->fleet, &err), err);
    check_int(fleet_lock(b->fleet, &err), 1);
    need_ok(fleet_listen(b->fleet, &fd, &err), err);
    need_ok(keeper_server_new(fd, &b->server, &err), err);
}

static void bench_done(struct bench *b)
{
    keeper_server_free(b->server);
    fleet_free(b->fleet);
}

#define BENCH(b)                                                                                   \
    __attribute__((cleanup(bench_done))) struct bench b = { 0 };                                   \
    bench_up(&b)

static int ask(const struct bench *b, const char *line)
{
    CLEANUP_ERR struct err *err = NULL;
    int fd = -1;

    need_ok(fleet_connect(b->fleet, &fd, &err), err);
    check_int(send(fd, line, strlen(line), MSG_NOSIGNAL), (int64_t)strlen(line));
    return fd;
}

/* The next line, "" at the end, "(nothing)" when none comes. The caller frees it. */
static char *hear_for(int fd, int64_t timeout_ms)
{
    CLEANUP_BUF struct buf line = BUF_INIT(ANSWER_MAX);
    int64_t deadline = clock_mono_ms() + timeout_ms;
    char c = 0;

    while (c != '\n') {
        struct pollfd in = { .fd = fd, .events = POLLIN };

        if (poll(&in, 1, (int)clock_left_ms(deadline)) <= 0)
            return xstrdup("(nothing)");
        if (recv(fd, &c, 1, 0) <= 0)
            break;
        if (c != '\n')
            buf_addc(&line, c);
    }
    return buf_steal(&line);
}

static void check_heard(int fd, const char *want)
{
    CLEANUP_FREE char *line = hear_for(fd, WAIT_MS);

    check_has(line, want);
}

/* What the lab's thread is given to do next, as people read it; "" for nothing. */
static char *next(const struct bench *b)
{
    const struct request *r = NULL;
    int64_t deadline = clock_mono_ms() + WAIT_MS;

    while (clock_mono_ms() < deadline)
        if (keeper_server_next(b->server, clock_left_ms(deadline), &r))
            return request_name(r);
    return xstrdup("");
}

static void check_next(const struct bench *b, const char *want)
{
    CLEANUP_FREE char *name = next(b);

    check_str(name, want);
}

static bool stopped(const struct bench *b)
{
    return __atomic_load_n(keeper_server_stop(b->server), __ATOMIC_SEQ_CST) != 0;
}

#define DO(what) "{\"v\":1,\"do\":\"do\",\"sentence\":\"" what "\",\"folder\":\"/\"}\n"

TEST(who_waits_sees_the_progress_and_is_answered_when_the_fleet_is_up)
{
    BENCH(b);
    CLEANUP_CLOSE int first = ask(&b, "{\"v\":1,\"do\":\"wait\",\"owner\":true}\n");
    CLEANUP_CLOSE int second = ask(&b, "{\"v\":1,\"do\":\"wait\"}\n"), late = -1;
    CLEANUP_CLOSE int status = ask(&b, "{\"v\":1,\"do\":\"status\"}\n");

    check_heard(status, "\"phase\":\"coming up\"");
    keeper_server_tell(b.server, ANSWER_STATUS, "Kubernetes API");
    check_heard(first, "{\"status\":\"Kubernetes API\"}");
    check_heard(second, "{\"status\":\"Kubernetes API\"}");
    keeper_server_up(b.server);
    check_heard(first, "\"exit\":0");
    check_heard(second, "\"exit\":0");
    late = ask(&b, "{\"v\":1,\"do\":\"wait\"}\n");
    check_heard(late, "\"exit\":0");
    check_true(!keeper_server_ending(b.server));
}

TEST(a_fleet_whose_owner_leaves_before_it_is_up_goes_down)
{
    static const bool half[] = { false, true };

    for (size_t i = 0; i < ARRAY_LEN(half); i++) {
        BENCH(b);
        CLEANUP_CLOSE int owner = ask(&b, "{\"v\":1,\"do\":\"wait\",\"owner\":true}\n");
        CLEANUP_CLOSE int other = ask(&b, "{\"v\":1,\"do\":\"wait\"}\n");
        CLEANUP_CLOSE int asks = ask(&b, "{\"v\":1,\"do\":\"status\"}\n");

        check_case("%s", half[i] ? "by shutting down its side" : "by hanging up");
        check_heard(asks, "coming up");
        if (half[i])
            shutdown(owner, SHUT_WR);
        else
            close(steal_fd(&owner));
        check_within(WAIT_MS, keeper_server_ending(b.server));
        check_true(stopped(&b));
        keeper_server_down(b.server, 130, "interrupted");
        check_heard(other, "{\"exit\":130,\"text\":\"interrupted\"}");
        if (half[i])
            check_heard(owner, "{\"exit\":130,\"text\":\"interrupted\"}");
    }
}

TEST(another_one_that_leaves_changes_nothing)
{
    BENCH(b);
    CLEANUP_CLOSE int owner = ask(&b, "{\"v\":1,\"do\":\"wait\",\"owner\":true}\n");
    CLEANUP_CLOSE int other = ask(&b, "{\"v\":1,\"do\":\"wait\"}\n"), status = -1;

    close(steal_fd(&other));
    status = ask(&b, "{\"v\":1,\"do\":\"status\"}\n");
    check_heard(status, "coming up");
    check_true(!keeper_server_ending(b.server));
    keeper_server_up(b.server);
    check_heard(owner, "\"exit\":0");
}

TEST(requests_run_one_at_a_time_in_their_order)
{
    BENCH(b);
    CLEANUP_CLOSE int one = -1, two = -1, three = -1, early = ask(&b, DO("early"));

    check_heard(early, "the fleet is still coming up");
    keeper_server_up(b.server);
    one = ask(&b, DO("one"));
    check_next(&b, "do one");
    two = ask(&b, DO("two"));
    check_heard(two, "{\"status\":\"waiting for the end of: do one\"}");
    three = ask(&b, "{\"v\":1,\"do\":\"heal\"}\n");
    check_heard(three, "{\"status\":\"waiting for the end of: do one\"}");
    keeper_server_tell(b.server, ANSWER_LINE, "done: one");
    check_heard(one, "{\"line\":\"done: one\"}");
    keeper_server_answer(b.server, 0, "", NULL);
    check_heard(one, "\"exit\":0");
    check_next(&b, "do two");
    keeper_server_answer(b.server, 1, "it did not", NULL);
    check_heard(two, "{\"exit\":1,\"text\":\"it did not\"}");
    check_next(&b, "heal");
    keeper_server_answer(b.server, 0, "", NULL);
    check_heard(three, "\"exit\":0");
}

TEST(status_is_answered_while_a_request_runs)
{
    BENCH(b);
    CLEANUP_JSON json_t *data = json_pack("{s:s}", "trouble", "nats died");
    CLEANUP_CLOSE int one = -1, status = -1;
    CLEANUP_FREE char *line = NULL;

    keeper_server_up(b.server);
    keeper_server_status(b.server, data);
    one = ask(&b, DO("one"));
    check_next(&b, "do one");
    status = ask(&b, "{\"v\":1,\"do\":\"status\"}\n");
    line = hear_for(status, WAIT_MS);
    check_has(line, "\"trouble\":\"nats died\"");
    check_has(line, "\"busy\":\"do one\"");
    check_has(line, "\"phase\":\"up\"");
}

TEST(a_request_that_is_taken_back_stops_and_the_next_one_does_not)
{
    BENCH(b);
    CLEANUP_CLOSE int one = -1, two = -1, queued = -1;

    keeper_server_up(b.server);
    one = ask(&b, DO("one"));
    check_next(&b, "do one");
    queued = ask(&b, DO("queued"));
    check_heard(queued, "waiting");
    two = ask(&b, DO("two"));
    check_heard(two, "waiting");
    close(steal_fd(&queued));
    shutdown(one, SHUT_WR);
    check_within(WAIT_MS, stopped(&b));
    keeper_server_answer(b.server, 130, "interrupted", NULL);
    check_heard(one, "\"exit\":130");
    check_true(!stopped(&b));
    check_next(&b, "do two");
    check_true(!stopped(&b));
    keeper_server_answer(b.server, 0, "", NULL);
}

TEST(down_interrupts_what_runs_and_is_answered_last)
{
    BENCH(b);
    CLEANUP_CLOSE int one = -1, down = -1, late = -1;
    CLEANUP_FREE char *early = NULL;

    keeper_server_up(b.server);
    one = ask(&b, DO("one"));
    check_next(&b, "do one");
    down = ask(&b, "{\"v\":9,\"do\":\"down\"}\n");
    check_within(WAIT_MS, keeper_server_ending(b.server));
    check_true(stopped(&b));
    keeper_server_answer(b.server, 130, "interrupted", NULL);
    check_heard(one, "\"exit\":130");
    check_true(stopped(&b));
    late = ask(&b, DO("late"));
    check_heard(late, "the fleet is going down");
    keeper_server_tell(b.server, ANSWER_STATUS, "stopping");
    check_heard(down, "stopping");
    early = hear_for(down, 50);
    check_str(early, "(nothing)");
    keeper_server_down(b.server, 2, "it went down");
    check_heard(down, "{\"exit\":0,\"text\":\"\"}");
}

TEST(bad_requests_are_answered_and_the_server_goes_on)
{
    BENCH(b);
    static const struct {
        const char *line, *want;
    } cases[] = {
        { "nonsense\n", "\"exit\":2,\"text\":\"request: " },
        { "{\"v\":7,\"do\":\"status\"}\n", "version 7 of the protocol" },
        { "{\"v\":1,\"do\":\"status\"}\n{\"v\":1,\"do\":\"down\"}\n", "\"phase\"" },
    };
    CLEANUP_FREE char *flood = xcalloc(1, REQUEST_MAX + 2);
    CLEANUP_CLOSE int long_one = -1, silent = -1;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_CLOSE int fd = -1;

        check_case("%s", cases[i].line);
        fd = ask(&b, cases[i].line);
        check_heard(fd, cases[i].want);
    }
    memset(flood, 'x', REQUEST_MAX + 1);
    long_one = ask(&b, flood);
    check_heard(long_one, "the request is too long");
    silent = ask(&b, "{\"v\":1,");
    check_heard(silent, "the request did not come to its end in time");
    check_true(!keeper_server_ending(b.server));
}

TEST(more_askers_than_it_hears_at_a_time_are_all_heard)
{
    BENCH(b);
    int fds[80];

    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = ask(&b, "{\"v\":1,\"do\":\"status\"}\n");
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        check_heard(fds[i], "\"exit\":0");
        close(fds[i]);
    }
}

CHECK_MAIN()
