/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/verbs/differ.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

static json_t *value(const char *text)
{
    json_t *v = NULL;

    if (!text)
        return NULL;
    need_true(json_parse(text, strlen(text), 1 << 20, &v, NULL) == 0);
    return v;
}

static const struct {
    const char *name, *then, *now, *says;
} table[] = {
    { "the same", "{\"a\":[1,{\"b\":2}]}", "{\"a\":[1,{\"b\":2}]}", "" },
    { "in another order", "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "" },
    { "a value", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":2}}", "a.b: 2, was 1" },
    { "of another type", "{\"a\":{\"b\":1}}", "{\"a\":[1]}", "a: [1], was {\"b\":1}" },
    { "all of them", "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":2,\"c\":3,\"d\":4}",
      "a: 2, was 1; b: absent, was 2; d: 4, was absent" },
    { "what servers generate",
      "{\"metadata\":{\"name\":\"hello\",\"resourceVersion\":\"5\",\"uid\":\"x\",\"generation\":1,"
      "\"managedFields\":[1],\"creationTimestamp\":\"2026-04-21T18:15:42Z\"},"
      "\"status\":{\"observedGeneration\":1,\"last\":\"2026-04-21T18:15:42Z\",\"phase\":\"A\"}}",
      "{\"metadata\":{\"name\":\"hello\",\"resourceVersion\":\"6\",\"uid\":\"y\",\"generation\":2},"
      "\"status\":{\"observedGeneration\":2,\"last\":\"2026-04-21T18:15:43Z\",\"phase\":\"B\"}}",
      "status.phase: \"B\", was \"A\"" },
    { "a time that is none any more", "{\"at\":\"2026-04-21T18:15:42Z\"}", "{\"at\":\"never\"}",
      "at: \"never\", was \"2026-04-21T18:15:42Z\"" },
    { "a key that is called like something generated", "{\"uid\":1}", "{\"uid\":2}",
      "uid: 2, was 1" },
    { "elements by name",
      "{\"services\":[{\"name\":\"web\",\"image\":\"v1\"},{\"name\":\"db\",\"image\":\"v1\"}]}",
      "{\"services\":[{\"name\":\"db\",\"image\":\"v1\"},{\"name\":\"web\",\"image\":\"v2\"}]}",
      "services[web].image: \"v2\", was \"v1\"" },
    { "elements by type, come and gone",
      "{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}",
      "{\"conditions\":[{\"type\":\"Reachable\",\"status\":\"True\"}]}",
      "conditions[Ready]: absent, was {\"type\":\"Ready\",\"status\":\"True\"}; "
      "conditions[Reachable]: {\"type\":\"Reachable\",\"status\":\"True\"}, was absent" },
    { "elements by number", "[1,2,3]", "[1,5]", "[1]: 5, was 2; [2]: absent, was 3" },
    { "two of one name count by number", "[{\"name\":\"a\",\"x\":1},{\"name\":\"a\",\"x\":2}]",
      "[{\"name\":\"a\",\"x\":1},{\"name\":\"a\",\"x\":3}]", "[1].x: 3, was 2" },
    { "an empty list and a full one", "{\"a\":[]}", "{\"a\":[{\"name\":\"x\"}]}",
      "a[x]: {\"name\":\"x\"}, was absent" },
    { "objects in texts", "{\"key\":\"{\\\"image\\\":\\\"v1\\\",\\\"n\\\":1}\"}",
      "{\"key\":\"{\\\"image\\\":\\\"v2\\\",\\\"n\\\":1}\"}", "key.image: \"v2\", was \"v1\"" },
    { "texts of the same object in other bytes", "\"{\\\"a\\\":1}\"", "\"{\\\"a\\\": 1}\"",
      "\"{\\\"a\\\": 1}\", was \"{\\\"a\\\":1}\"" },
    { "absent altogether", NULL, "1", "1, was absent" },
    { "both absent", NULL, NULL, "" },
    { "a long value is cut between characters", "1",
      "\"012345678901234567890123456789012345678901234567890123456\xc3\xa4\xc3\xa4\xc3\xa4\"",
      "\"012345678901234567890123456789012345678901234567890123456\xc3\xa4..., was 1" },
};

TEST(only_what_matters_and_differs_is_told)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_JSON json_t *then = value(table[i].then), *now = value(table[i].now);
        CLEANUP_BUF struct buf out = BUF_INIT(4096);

        check_case("%s", table[i].name);
        buf_adds(&out, "> ");
        check_int(differ(&out, then, now), *table[i].says != '\0');
        check_str(buf_str(&out) + 2, table[i].says);
    }
}

CHECK_MAIN()
