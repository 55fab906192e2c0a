/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/expand.h"

#include "base/check.h"
#include "base/mem.h"

static const struct expand_port ports[] = { { "client", 4222 }, { "http", 8222 } };

static const struct {
    const char *name, *text, *want, *error;
    bool durable;
} cases[] = {
    { "plain", "--debug", "--debug", NULL, false },
    { "empty", "", "", NULL, false },
    { "config", "-c={config}/nats.conf", "-c=/run/c/nats.conf", NULL, false },
    { "data", "{data}", "/run/d", NULL, true },
    { "data of a service that keeps none", "{data}", NULL, "not durable", false },
    { "two ports", "{port:client},{port:http}", "4222,8222", NULL, false },
    { "a port that is a prefix of another", "{port:cli}", NULL, "{port:cli}", false },
    { "unknown port", "a{port:nope}b", NULL, "{port:nope}: there is no such port", false },
    { "empty port", "{port:}", NULL, "no such port", false },
    { "braces of the settings' own", "jetstream { x: {} }", "jetstream { x: {} }", NULL, false },
    { "unfinished", "{port:client", "{port:client", NULL, false },
    { "a brace at the end", "a{", "a{", NULL, false },
    { "what was put in is not expanded again", "{config}}", "/run/c}", NULL, false },
};

TEST(placeholders_become_values)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct expand_values values = { .config = "/run/c",
                                        .data = cases[i].durable ? "/run/d" : NULL,
                                        .ports = ports,
                                        .n_ports = ARRAY_LEN(ports) };
        CLEANUP_ERR struct err *err = NULL;
        CLEANUP_FREE char *got = NULL;
        int r = expand(cases[i].text, &values, &got, &err);

        check_case("%s", cases[i].name);
        check_str(got, cases[i].want);
        check_int(r < 0, cases[i].error != NULL);
        if (cases[i].error)
            check_has(err_text(err), cases[i].error);
    }
}

CHECK_MAIN()
