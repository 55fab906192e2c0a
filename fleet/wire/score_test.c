/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/score.h"

#include <string.h>

#include "fleet/wire/bad.h"

#define TESTDATA "fleet/wire/testdata/"

TEST(a_full_score)
{
    size_t len = 0;
    CLEANUP_FREE char *text = check_read(TESTDATA "score-podman-v0-full.json", &len);
    CLEANUP_ERR struct err *err = NULL;
    struct score s = { 0 };
    const struct service *web, *side;

    need_ok(score_decode(text, len, &s, &err), err);
    check_int((int64_t)s.n_services, 2);
    web = &s.services[0];
    side = &s.services[1];
    check_str(web->name, "web");
    check_str(web->image, "localhost/hello:v1");
    check_int((int64_t)web->n_ports, 1);
    check_int(web->ports[0].host, 8080);
    check_int(web->ports[0].container, 80);
    check_str(web->ports[0].protocol, "tcp");
    check_int((int64_t)web->n_env, 2);
    check_str(web->env[0].name, "B");
    check_str(web->env[0].value, "second=1");
    check_str(web->env[1].name, "A");
    check_str(web->env[1].value, "");
    check_int((int64_t)web->n_volumes, 1);
    check_str(web->volumes[0].host_path, "/var/lib/web");
    check_str(web->volumes[0].container_path, "/data");
    check_true(!web->volumes[0].read_only);
    check_str(restart_policy_text(web->restart_policy), "on-failure");
    check_str(side->name, "side");
    check_int((int64_t)side->n_ports, 0);
    check_str(restart_policy_text(side->restart_policy), "unless-stopped");
    score_done(&s);
    check_int((int64_t)s.n_services, 0);
}

TEST(a_minimal_score_has_defaults)
{
    size_t len = 0;
    CLEANUP_FREE char *text = check_read(TESTDATA "score-podman-v0-minimal.json", &len);
    CLEANUP_ERR struct err *err = NULL;
    struct score s = { 0 };

    need_ok(score_decode(text, len, &s, &err), err);
    check_int((int64_t)s.services[0].n_env, 0);
    check_int((int64_t)s.services[0].n_volumes, 0);
    check_int(s.services[0].restart_policy, RESTART_UNLESS_STOPPED);
    score_done(&s);
}

TEST(unknown_members_are_ignored_everywhere)
{
    static const char text[] =
            "{\"new\":1,\"type\":\"PodmanV0\",\"data\":{\"new\":[],\"services\":[{\"new\":{},"
            "\"name\":\"web\",\"image\":\"a\",\"ports\":[],\"env\":[{\"new\":0,\"name\":\"A\","
            "\"value\":\"1\"}],\"volumes\":[{\"new\":0,\"host_path\":\"/a\","
            "\"container_path\":\"/b\",\"read_only\":true}],\"restart_policy\":null}]}}";
    CLEANUP_ERR struct err *err = NULL;
    struct score s = { 0 };

    need_ok(score_decode(text, strlen(text), &s, &err), err);
    check_str(s.services[0].env[0].value, "1");
    check_true(s.services[0].volumes[0].read_only);
    check_int(s.services[0].restart_policy, RESTART_UNLESS_STOPPED);
    score_done(&s);
}

/* A score with one service whose member `key` is `value`, as JSON. */
static int decode_with(const char *key, const char *value, struct score *ret, struct err **err)
{
    bool image = str_eq(key, "image");
    CLEANUP_FREE char *text = xasprintf("{\"type\":\"PodmanV0\",\"data\":{\"services\":[{"
                                        "\"name\":\"web\",%s\"%s\":%s}]}}",
                                        image ? "" : "\"image\":\"a\",", key, value);

    return score_decode(text, strlen(text), ret, err);
}

TEST(ports)
{
    static const struct {
        const char *text;
        int host, container;
        const char *protocol;
    } rows[] = {
        { "8080:80", 8080, 80, "tcp" },
        { "1:65535", 1, 65535, "tcp" },
        { "65535:1/tcp", 65535, 1, "tcp" },
        { "53:53/udp", 53, 53, "udp" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_FREE char *value = xasprintf("[\"%s\"]", rows[i].text);
        CLEANUP_ERR struct err *err = NULL;
        struct score s = { 0 };

        check_case("%s", rows[i].text);
        need_ok(decode_with("ports", value, &s, &err), err);
        check_int(s.services[0].ports[0].host, rows[i].host);
        check_int(s.services[0].ports[0].container, rows[i].container);
        check_str(s.services[0].ports[0].protocol, rows[i].protocol);
        score_done(&s);
    }
}

TEST(the_same_host_port_serves_tcp_and_udp)
{
    CLEANUP_ERR struct err *err = NULL;
    struct score s = { 0 };

    need_ok(decode_with("ports", "[\"53:53/tcp\",\"53:53/udp\"]", &s, &err), err);
    score_done(&s);
}

TEST(restart_policies)
{
    static const char *const names[] = { "no", "on-failure", "always", "unless-stopped" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *value = xasprintf("\"%s\"", names[i]);
        CLEANUP_ERR struct err *err = NULL;
        struct score s = { 0 };

        check_case("%s", names[i]);
        need_ok(decode_with("restart_policy", value, &s, &err), err);
        check_int(s.services[0].restart_policy, (int)i);
        check_str(restart_policy_text(s.services[0].restart_policy), names[i]);
        score_done(&s);
    }
}

TEST(paths_become_what_podman_shows)
{
    static const struct {
        const char *written, *meant;
    } rows[] = {
        { "/data", "/data" },
        { "/data/", "/data" },
        { "//a///b//", "/a/b" },
        { "/./a/./b/.", "/a/b" },
        { "/a/.b/c.", "/a/.b/c." },
        { "/a/...", "/a/..." },
        { "/with space", "/with space" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_FREE char *value = xasprintf("[{\"host_path\":\"%s\",\"container_path\":\"%s\"}]",
                                             rows[i].written, rows[i].written);
        CLEANUP_ERR struct err *err = NULL;
        struct score s = { 0 };

        check_case("%s", rows[i].written);
        need_ok(decode_with("volumes", value, &s, &err), err);
        check_str(s.services[0].volumes[0].host_path, rows[i].meant);
        check_str(s.services[0].volumes[0].container_path, rows[i].meant);
        score_done(&s);
    }
}

TEST(the_whole_host_can_be_mounted)
{
    CLEANUP_ERR struct err *err = NULL;
    struct score s = { 0 };

    need_ok(decode_with("volumes", "[{\"host_path\":\"/\",\"container_path\":\"/host\"}]", &s,
                        &err),
            err);
    check_str(s.services[0].volumes[0].host_path, "/");
    score_done(&s);
}

#define HEX_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(image_references)
{
    static const struct {
        const char *image;
        bool good;
    } rows[] = {
        { "hello", true },
        { "hello:v1", true },
        { "localhost/hello:v1", true },
        { "localhost:5000/a/b/c:v1.2-3_4", true },
        { "registry.example.org/team/hello", true },
        { "Registry.Example.org:443/team/hello", true },
        { "127.0.0.1:5000/hello", true },
        { "hello@sha256:" HEX_64, true },
        { "localhost/hello:v1@sha256:" HEX_64, true },
        { "a__b", true },
        { "a---b", true },
        { "x/a.b_c-d:V1", true },
        { "hello:", false },
        { ":v1", false },
        { "/hello", false },
        { "hello/", false },
        { "a//b", false },
        { "hello:v1:v2", false },
        { "hello:-v1", false },
        { "hello:.v1", false },
        { "hello@", false },
        { "hello@sha256", false },
        { "hello@sha256:0123", false },
        { "hello@sha256:" HEX_64 "@x", false },
        { "hello@sha256:Z" HEX_64, false },
        { "Hello", false },
        { "a___b", false },
        { "a..b", false },
        { "a._b", false },
        { "-a", false },
        { "a-", false },
        { "host:port/hello", false },
        { ".host/hello", false },
        { "host./hello", false },
        { "docker://hello", false },
        { "oci-archive:/tmp/hello.tar", false },
        { "h\xc3\xa4llo", false },
        { "hello\\u0007", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_FREE char *value = xasprintf("\"%s\"", rows[i].image);
        CLEANUP_ERR struct err *err = NULL;
        struct score s = { 0 };
        int r = decode_with("image", value, &s, &err);

        check_case("%s", rows[i].image);
        check_true((r == 0) == rows[i].good);
        if (r == 0)
            check_str(s.services[0].image, rows[i].image);
        else
            check_has(err_text(err), "is not an image reference");
        score_done(&s);
    }
}

TEST(image_names_and_tags_have_their_limits)
{
    static const struct {
        const char *what;
        int at_most;
    } rows[] = { { "name", 255 }, { "tag", 128 } };
    char text[257];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int over = 0; over < 2; over++) {
            struct score s = { 0 };
            CLEANUP_FREE char *value = NULL;

            memset(text, 'a', sizeof(text));
            text[rows[i].at_most + over] = '\0';
            value = i == 0 ? xasprintf("\"%s\"", text) : xasprintf("\"hello:%s\"", text);
            check_case("%s of %d characters", rows[i].what, rows[i].at_most + over);
            check_true((decode_with("image", value, &s, NULL) == 0) == !over);
            score_done(&s);
        }
    }
}

TEST(a_score_over_its_cap_is_refused)
{
    CLEANUP_FREE char *text = xcalloc(1, SCORE_MAX + 2);
    CLEANUP_ERR struct err *err = NULL;
    struct score s = { 0 };

    memset(text, ' ', SCORE_MAX + 1);
    check_true(score_decode(text, SCORE_MAX + 1, &s, &err) < 0);
    check_has(err_text(err), "at most 262144 are accepted");
}

/* clang-format off: one row, one file */
static const struct bad bad_score[] = {
    { "empty", "score: JSON line" },
    { "truncated", "score: JSON line" },
    { "not-object", "score: must be an object, is a string" },
    { "no-type", "score: \"type\" is missing" },
    { "type-number", "score: type: must be a string, is an integer" },
    { "type-unknown",
      "score: type \"ComposeV1\" is not known to this agent, it knows PodmanV0: correct the "
      "type, or upgrade the agent" },
    { "no-data", "score: \"data\" is missing" },
    { "data-list", "score: data: must be an object, is a list" },
    { "no-services", "score: data: services: at least one is needed" },
    { "services-empty", "score: data: services: at least one is needed" },
    { "services-object", "score: data: services: must be a list, is an object" },
    { "services-65", "score: data: services: 65 entries, at most 64 are accepted" },
    { "service-string", "score: data: services[0]: must be an object, is a string" },
    { "service-no-name", "score: data: services[0]: \"name\" is missing" },
    { "service-no-image", "score: data: services[0]: \"image\" is missing" },
    { "service-name-capital",
      "score: data: services[0]: name: service \"Web\" is refused at byte 1: allowed are a-z, "
      "0-9 and \"-\"" },
    { "service-name-dot",
      "score: data: services[0]: name: service \"web.1\" is refused at byte 4: allowed are "
      "a-z, 0-9 and \"-\"" },
    { "service-name-twice", "score: data: two services are named \"web\": names must differ" },
    { "image-empty", "score: data: services[0]: image: is empty" },
    { "image-space", "score: data: services[0]: image: \"hello v1\" contains white space" },
    { "image-newline", "score: data: services[0]: image: \"hello:v1\\x0a\" contains white space" },
    { "image-capital",
      "score: data: services[0]: image: \"localhost/Hello:v1\" is not an image reference: "
      "write [REGISTRY/]NAME[:TAG][@DIGEST], NAME in lower case, for example localhost/hello:v1" },
    { "image-transport",
      "score: data: services[0]: image: \"docker://hello:v1\" is not an image reference: write "
      "[REGISTRY/]NAME[:TAG][@DIGEST], NAME in lower case, for example localhost/hello:v1" },
    { "port-host-zero",
      "score: data: services[0]: ports[0]: \"0:80\": host port \"0\" is not a number from 1 to "
      "65535" },
    { "port-container-zero",
      "score: data: services[0]: ports[0]: \"80:0\": container port \"0\" is not a number from "
      "1 to 65535" },
    { "port-host-70000",
      "score: data: services[0]: ports[0]: \"70000:1\": host port \"70000\" is not a number "
      "from 1 to 65535" },
    { "port-container-65536",
      "score: data: services[0]: ports[0]: \"1:65536\": container port \"65536\" is not a "
      "number from 1 to 65535" },
    { "port-host-overflows",
      "score: data: services[0]: ports[0]: \"18446744073709551617:1\": host port "
      "\"18446744073709551617\" is not" },
    { "port-single",
      "score: data: services[0]: ports[0]: \"80\" is not a port mapping: write HOST:CONTAINER "
      "or HOST:CONTAINER/udp, for example 8080:80" },
    { "port-address",
      "score: data: services[0]: ports[0]: \"127.0.0.1:8080:80\" is not a port mapping: write "
      "HOST:CONTAINER or HOST:CONTAINER/udp, for example 8080:80" },
    { "port-colon-behind-slash",
      "score: data: services[0]: ports[0]: \"80/tcp:80\" is not a port mapping: write "
      "HOST:CONTAINER or HOST:CONTAINER/udp, for example 8080:80" },
    { "port-range",
      "score: data: services[0]: ports[0]: \"8080-8090:80\": host port \"8080-8090\" is not" },
    { "port-negative", "score: data: services[0]: ports[0]: \"-1:80\": host port \"-1\" is not" },
    { "port-space",
      "score: data: services[0]: ports[0]: \" 8080:80\": host port \" 8080\" is not" },
    { "port-no-host", "score: data: services[0]: ports[0]: \":80\": host port \"\" is not" },
    { "port-no-container",
      "score: data: services[0]: ports[0]: \"80:\": container port \"\" is not" },
    { "port-sctp", "score: data: services[0]: ports[0]: \"8080:80/sctp\": protocol \"sctp\" is not "
                   "supported: tcp and udp are" },
    { "port-no-protocol",
      "score: data: services[0]: ports[0]: \"8080:80/\": protocol \"\" is not supported" },
    { "port-number",
      "score: data: services[0]: ports[0]: must be a string, is an integer: put it in quotes" },
    { "ports-string", "score: data: services[0]: ports: must be a list, is a string" },
    { "ports-257", "score: data: services[0]: ports: 257 entries, at most 256 are accepted" },
    { "port-twice",
      "score: data: services[0]: ports[1]: host port 8080/tcp is given twice: a port of the "
      "device serves one container" },
    { "port-twice-in-two-services",
      "score: data: services[1]: ports[1]: host port 8080/tcp is given twice" },
    { "env-name-empty", "score: data: services[0]: env[0]: name: is empty" },
    { "env-name-equals",
      "score: data: services[0]: env[0]: name: \"A=1\" contains \"=\": the value belongs into "
      "\"value\"" },
    { "env-no-name", "score: data: services[0]: env[0]: \"name\" is missing" },
    { "env-no-value", "score: data: services[0]: env[0]: \"value\" is missing" },
    { "env-value-number",
      "score: data: services[0]: env[0]: value: must be a string, is an integer: put it in "
      "quotes" },
    { "env-value-boolean",
      "score: data: services[0]: env[0]: value: must be a string, is a boolean: put it in "
      "quotes" },
    { "env-twice", "score: data: services[0]: env: \"A\" is given twice" },
    { "env-object", "score: data: services[0]: env: must be a list, is an object" },
    { "volume-host-relative",
      "score: data: services[0]: volumes[0]: host_path: \"data\" is not an absolute path: it "
      "must start with \"/\"" },
    { "volume-container-relative",
      "score: data: services[0]: volumes[0]: container_path: \"./data\" is not an absolute path" },
    { "volume-dots",
      "score: data: services[0]: volumes[0]: host_path: \"/data/../etc\" must not contain "
      "\"..\"" },
    { "volume-root",
      "score: data: services[0]: volumes[0]: container_path: \"/\" would hide the whole image: "
      "mount to a folder below it" },
    { "volume-no-container",
      "score: data: services[0]: volumes[0]: \"container_path\" is missing" },
    { "volume-read-only-string",
      "score: data: services[0]: volumes[0]: read_only: must be a boolean, is a string" },
    { "volume-twice",
      "score: data: services[0]: volumes: two are mounted to container_path \"/data\"" },
    { "restart-unknown",
      "score: data: services[0]: restart_policy: \"sometimes\" is unknown: known are no, "
      "on-failure, always, unless-stopped" },
    { "restart-boolean",
      "score: data: services[0]: restart_policy: must be a string, is a boolean: put it in "
      "quotes" },
};
/* clang-format on */

static int decode_score(const char *data, size_t len, struct err **err)
{
    return score_decode(data, len, &(struct score){ 0 }, err);
}

TEST(bad_scores_are_refused_with_a_reason)
{
    check_bad("score", bad_score, ARRAY_LEN(bad_score), decode_score);
}

CHECK_MAIN()
