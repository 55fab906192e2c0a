/* SPDX-License-Identifier: AGPL-3.0-only */

/* Any bytes as a request, as an answer and as a state file: refused with an error, or something that
 * says the same when it is written and read again. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rig/cmd/fleet_state.h"
#include "rig/cmd/fleet_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok)
        abort();
}

static void fuzz_request(const char *text, size_t len)
{
    CLEANUP_FREE char *first = NULL, *second = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct request r = { 0 }, again = { 0 };

    if (request_parse(text, len, &r, &err) < 0) {
        need(err != NULL);
        return;
    }
    first = request_text(&r);
    if (strlen(first) < REQUEST_MAX) {
        need(request_parse(first, strlen(first), &again, NULL) == 0);
        second = request_text(&again);
        need(strcmp(first, second) == 0);
    }
    need(r.ask != ASK_EXPECT || !r.within_ms != !r.holds_ms);
    request_done(&r);
    request_done(&again);
}

static void fuzz_answer(const char *text, size_t len)
{
    CLEANUP_FREE char *line = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct answer a = { 0 };

    if (answer_parse(text, len, &a, &err) < 0) {
        need(err != NULL);
        return;
    }
    line = answer_text(&a);
    need(strchr(line, '\n') == line + strlen(line) - 1);
    answer_done(&a);
}

static void fuzz_state(const char *text, size_t len)
{
    CLEANUP_FLEET_STATE struct fleet_state s = { 0 };
    CLEANUP_ERR struct err *err = NULL;

    if (fleet_state_parse("f", text, len, &s, &err) < 0)
        need(err != NULL && s.n_devices == 0);
    else
        need(s.pid > 0 && (!s.up || (s.n_devices > 0 && s.kubeconfig && s.devices[0].name)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_request((const char *)data, size);
    fuzz_answer((const char *)data, size);
    fuzz_state((const char *)data, size);
    return 0;
}
