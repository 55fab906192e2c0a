/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/observed.h"

#include <string.h>

#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strv.h"

#define WEB(image)                                                                                 \
    "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"" image          \
    "\",\"ports\":[]}]}}"
#define STATE(phase, more)                                                                         \
    "{\"device_id\":\"edge-1\",\"deployment\":\"hello\",\"phase\":\"" phase                        \
    "\",\"last_event_at\":\"2026-04-21T18:15:42Z\"" more "}"
#define CONTAINER(image, state)                                                                    \
    "{\"Labels\":{\"io.nationtech.fleet.deployment\":\"hello\",\"io.nationtech.fleet.service\":"   \
    "\"web\"},\"Image\":\"" image "\",\"State\":\"" state "\"}"

static const struct {
    const char *name, *desired, *state, *podman;
    const char *says, *containers, *differs;
} table[] = {
    { "as desired", WEB("i:1"), STATE("Running", ""), "[" CONTAINER("i:1", "running") "]",
      "Running", "web i:1 running", NULL },
    { "another image", WEB("i:2"), STATE("Failed", ",\"last_error\":\"no i:2\""),
      "[" CONTAINER("i:1", "running") "]", "Failed: no i:2", "web i:1 running",
      "the agent does not say Running; something else runs" },
    { "gone behind the agent's back", WEB("i:1"), STATE("Running", ""), "[]", "Running", "none",
      "nothing runs" },
    { "it ended", WEB("i:1"), STATE("Running", ""), "[" CONTAINER("i:1", "exited") "]", "Running",
      "web i:1 exited", "nothing runs; a container does not run" },
    { "nothing said yet", WEB("i:1"), NULL, "null", "nothing", "none",
      "the agent reports nothing; nothing runs" },
    { "not asked", WEB("i:1"), STATE("Running", ""), NULL, "Running", "not asked", NULL },
    { "left over", NULL, STATE("Running", ""), "[" CONTAINER("i:1", "running") "]", "Running",
      "web i:1 running",
      "a state is left of what is not desired; a container is left of what is not desired" },
    { "strange bytes", "{", "\xff", "{}", "a state that this rig cannot read", "not asked",
      "the agent does not say Running" },
};

TEST(how_desired_and_observed_differ)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct observed o = { 0 };
        CLEANUP_FREE char *text = NULL;
        CLEANUP_JSON json_t *list = NULL;

        check_case("%s", table[i].name);
        if (table[i].desired)
            observed_desired(&o, "edge-1.hello", table[i].desired, strlen(table[i].desired));
        if (table[i].state)
            observed_state(&o, "state.edge-1.hello", table[i].state, strlen(table[i].state));
        if (table[i].podman)
            observed_containers(&o, "edge-1", table[i].podman);
        text = observed_text(&o);
        need_true(json_parse(text, strlen(text), 1 << 20, &list, NULL) >= 0);
        check_int((int64_t)json_array_size(list), 1);
        check_str(json_path_str(list, "0.device"), "edge-1");
        check_str(json_path_str(list, "0.reported"), table[i].says);
        check_str(json_path_str(list, "0.containers"), table[i].containers);
        check_str(json_path_str(list, "0.differs"), table[i].differs);
        observed_done(&o);
    }
}

TEST(what_is_not_ours_is_passed_over)
{
    struct observed o = { 0 };
    CLEANUP_FREE char *text = NULL;

    observed_desired(&o, "no key", "{}", 2);
    observed_state(&o, "info.edge-1", "{}", 2);
    observed_containers(&o, "edge-1", "[{\"Image\":\"x\",\"State\":\"running\"}, 3, null]");
    text = observed_text(&o);
    check_str(text, "[]");
    observed_done(&o);
}

CHECK_MAIN()
