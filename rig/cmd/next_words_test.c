/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/next_words.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"

static const struct verb verbs[] = {
    { VERB_DO, "apply FILE", "", NULL },
    { VERB_FAULT, "cut power of DEVICE...", "", NULL },
    { VERB_FAULT, "cut the link of DEVICE", "", NULL },
    { VERB_FAULT, "partition DEVICE... from COMPONENT", "", NULL },
    { VERB_EXPECT, "device DEVICE... is reachable", "", NULL },
    { VERB_EXPECT, "device DEVICE... is unreachable", "", NULL },
};

TEST(what_may_follow_the_words_of_a_sentence)
{
    static const struct {
        const char *given;
        unsigned kinds;
        const char *want;
    } cases[] = {
        { "", VERB_DO | VERB_FAULT, "apply cut partition" },
        { "", VERB_EXPECT, "device" },
        { "cut", VERB_DO | VERB_FAULT, "power the" },
        { "cut", VERB_EXPECT, "" },
        { "cut power of", VERB_FAULT, "edge-1 edge-2" },
        { "cut power of edge-1", VERB_FAULT, "edge-1 edge-2" },
        { "cut the link of edge-1", VERB_FAULT, "" },
        { "apply", VERB_DO, "" },
        { "partition edge-1", VERB_FAULT, "edge-1 edge-2 from" },
        { "partition edge-1 edge-2 from", VERB_FAULT, "" },
        { "device edge-1", VERB_EXPECT, "edge-1 edge-2 is" },
        { "device edge-1 is", VERB_EXPECT, "reachable unreachable" },
        { "device edge-1 is reachable", VERB_EXPECT, "" },
        { "nonsense", VERB_EXPECT, "" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_STRV char **given = strv_split(cases[i].given, " "),
                          **none = xcalloc(1, sizeof(char *));
        CLEANUP_STRV char **next = next_words(verbs, ARRAY_LEN(verbs), cases[i].kinds,
                                              given ? given : none, ARGV("edge-1", "edge-2"));
        CLEANUP_FREE char *got = next ? strv_join(next, " ") : xstrdup("");

        check_case("'%s'", cases[i].given);
        check_str(got, cases[i].want);
    }
}

TEST(without_a_fleet_no_devices_are_offered)
{
    CLEANUP_STRV char **next =
            next_words(verbs, ARRAY_LEN(verbs), VERB_FAULT, ARGV("cut", "power", "of"), NULL);

    check_true(next == NULL);
}

CHECK_MAIN()
