/* SPDX-License-Identifier: AGPL-3.0-only */

/* One sentence in a fleet that is up. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/mem.h"
#include "rig/cmd/cmd_fleet.h"
#include "rig/cmd/fleet_programs.h"

#define WITHIN_MS 30000 /* where nothing is said */

const struct verbs_option cmd_do_options[] = { FLEET_OPTION, { 0 } };
const struct verbs_option cmd_expect_options[] = {
    { "within", 0, "DURATION", "how long it may take to become so (30s)", NULL },
    { "holds", 0, "DURATION", "it is so now and for so long", NULL },
    FLEET_OPTION,
    { 0 },
};

static int run(const struct verbs_args *args, struct request *request)
{
    CLEANUP_FLEET_CMD struct fleet_cmd c = { 0 };
    CLEANUP_FREE char *sentence = fleet_sentence(args->positional), *folder = getcwd(NULL, 0);
    int code = fleet_cmd_need(args, &c);

    if (code)
        return code;
    request->sentence = sentence;
    request->folder = folder ? folder : (char[]){ "/" };
    return fleet_cmd_ask(&c, request, stdout, NULL);
}

int cmd_do(const struct verbs_args *args, void *userdata)
{
    struct request request = { .ask = ASK_DO };

    (void)userdata;
    return run(args, &request);
}

static bool read_ms(const struct verbs_args *args, const char *option, int64_t *ret)
{
    const char *text = verbs_value(args, option);
    CLEANUP_ERR struct err *err = NULL;

    if (!text)
        return true;
    if (duration_parse(text, ret, &err) >= 0 && *ret > 0 && *ret <= REQUEST_MAX_MS)
        return true;
    fprintf(stderr, "--%s: %s\n", option, err ? err_text(err) : "must be from 1ms to 24h");
    return false;
}

int cmd_expect(const struct verbs_args *args, void *userdata)
{
    struct request request = { .ask = ASK_EXPECT };

    (void)userdata;
    if (!read_ms(args, "within", &request.within_ms) || !read_ms(args, "holds", &request.holds_ms))
        return RIG_USAGE;
    if (request.within_ms && request.holds_ms) {
        fprintf(stderr, "--within and --holds exclude each other\n");
        return RIG_USAGE;
    }
    if (!request.holds_ms && !request.within_ms)
        request.within_ms = WITHIN_MS;
    return run(args, &request);
}
