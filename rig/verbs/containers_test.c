/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/verbs/containers.h"

#include "base/check.h"
#include "base/mem.h"

/* As podman 5.4 prints it, most members left out. */
static const char two[] =
        "[{\"Id\":\"b2\",\"Image\":\"localhost/hello:v2\",\"State\":\"exited\","
        "\"StartedAt\":1700000001,"
        "\"Labels\":{\"io.nationtech.fleet.service\":\"side\"}},"
        "{\"Id\":\"a1aaaaaaaaaaaaaaaa\",\"Image\":\"localhost/hello:v1\",\"State\":\"running\","
        "\"StartedAt\":1700000000,\"Labels\":{\"io.nationtech.fleet.service\":\"web\"}}]";

TEST(containers_are_sorted_and_told)
{
    CLEANUP_CONTAINERS struct seen_containers list = { 0 };
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *text = NULL;

    need_ok(containers_decode(two, &list, &err), err);
    check_int((int64_t)list.n, 2);
    check_str(list.items[0].service, "web");
    check_int(list.items[0].started, 1700000000);
    text = containers_text(&list);
    check_str(text, "web a1aaaaaaaaaa localhost/hello:v1 running, "
                    "side b2 localhost/hello:v2 exited");
}

TEST(no_container_is_an_empty_list)
{
    CLEANUP_CONTAINERS struct seen_containers list = { 0 };
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *text = NULL;

    need_ok(containers_decode("[]\n", &list, &err), err);
    text = containers_text(&list);
    check_str(text, "no container");
}

TEST(another_answer_is_an_error)
{
    static const char *const bad[] = { "", "Error: no such", "{}", "[" };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP_CONTAINERS struct seen_containers list = { 0 };
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", bad[i]);
        check_true(containers_decode(bad[i], &list, &err) < 0);
        check_has(err_text(err), "podman ps");
        check_int((int64_t)list.n, 0);
    }
}

CHECK_MAIN()
