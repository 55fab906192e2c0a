/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/scenario/sentence.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/strv.h"
#include "rig/scenario/param.h"
#include "rig/scenario/sample_verbs.h"

#define VERBS sample_verbs, ARRAY_LEN(sample_verbs)

static void sentence_cleanup(struct sentence *s)
{
    sentence_done(s);
}

#define CLEANUP_SENTENCE __attribute__((cleanup(sentence_cleanup)))

/* "DEVICE=edge-1,edge-2 TEXT=..." of what was bound. */
static char *bound(const struct sentence *s)
{
    struct buf b = BUF_INIT(4096);

    for (size_t i = 0; i < s->n_params; i++) {
        CLEANUP_FREE char *values = strv_join(s->params[i].values, ",");

        buf_addf(&b, "%s%s=%s", i ? " " : "", s->params[i].name, values);
    }
    return buf_steal(&b);
}

TEST(a_sentence_binds_its_parameters)
{
    static const struct {
        enum verb_kind kind;
        const char *text, *pattern, *bound;
    } table[] = {
        { VERB_DO, "apply manifests/hello-v1.yml", "apply FILE", "FILE=manifests/hello-v1.yml" },
        { VERB_DO, "apply \"my manifests/hello.yml\"", "apply FILE",
          "FILE=my manifests/hello.yml" },
        { VERB_FAULT, "cut power of edge-1", "cut power of DEVICE...", "DEVICE=edge-1" },
        { VERB_FAULT, "cut power of a b c", "cut power of DEVICE...", "DEVICE=a,b,c" },
        { VERB_EXPECT, "device edge-1 edge-2 is reachable", "device DEVICE... is reachable",
          "DEVICE=edge-1,edge-2" },
        { VERB_EXPECT, "deployment hello has failed on edge-1 edge-2",
          "deployment DEPLOYMENT has failed on DEVICE...",
          "DEPLOYMENT=hello DEVICE=edge-1,edge-2" },
        { VERB_EXPECT, "deployment hello has failed on edge-1 with no such image",
          "deployment DEPLOYMENT has failed on DEVICE with TEXT",
          "DEPLOYMENT=hello DEVICE=edge-1 TEXT=no such image" },
        { VERB_EXPECT, "http 8080 of edge-1 answers 200", "http PORT of DEVICE answers STATUS",
          "PORT=8080 DEVICE=edge-1 STATUS=200" },
        { VERB_EXPECT, "http 80 of edge-1 says \"hello  v1\"", "http PORT of DEVICE says TEXT",
          "PORT=80 DEVICE=edge-1 TEXT=hello  v1" },
        { VERB_EXPECT, "http 80 of edge-1 says the \"big\" one", "http PORT of DEVICE says TEXT",
          "PORT=80 DEVICE=edge-1 TEXT=the \"big\" one" },
        { VERB_EXPECT, "deployment hello has 1 succeeded of 2 matched",
          "deployment DEPLOYMENT has COUNT succeeded of COUNT matched",
          "DEPLOYMENT=hello COUNT=1 COUNT=2" },
        { VERB_FAULT, "kill etcd nats", "kill COMPONENT...", "COMPONENT=etcd,nats" },
        { VERB_FAULT, "fill /var/lib of edge-1 with 64MiB", "fill PATH of DEVICE with SIZE",
          "PATH=/var/lib DEVICE=edge-1 SIZE=64MiB" },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_ERR struct err *err = NULL;
        CLEANUP_SENTENCE struct sentence s = { 0 };
        CLEANUP_FREE char *params = NULL;

        check_case("%s", table[i].text);
        if (!check_ok(sentence_parse(VERBS, table[i].kind, table[i].text, &s, &err), err))
            continue;
        params = bound(&s);
        check_str(s.verb->pattern, table[i].pattern);
        check_str(params, table[i].bound);
        check_str(s.text, table[i].text);
    }
}

TEST(white_space_outside_quotes_is_squeezed)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_SENTENCE struct sentence s = { 0 };

    need_ok(sentence_parse(VERBS, VERB_EXPECT, "  http 80\tof edge-1  says \"a  b\" ", &s, &err),
            err);
    check_str(s.text, "http 80 of edge-1 says \"a  b\"");
    check_str(sentence_value(&s, "TEXT"), "a  b");
}

TEST(what_fits_nothing_is_told_where_it_parts)
{
    static const struct {
        unsigned kind;
        const char *text, *error;
    } table[] = {
        { VERB_EXPECT, "deployment hello is runing on edge-1",
          "after 'deployment hello is' expected 'running' or 'absent', found 'runing'; "
          "did you mean 'running'?" },
        { VERB_EXPECT, "http 8080 of edge-1",
          "after 'http 8080 of edge-1' expected 'answers' or "
          "'says', found the end" },
        { VERB_EXPECT, "device edge-1 are reachable",
          "after 'device edge-1', or further on, expected 'is' or 'has'" },
        { VERB_EXPECT, "device edge-1",
          "after 'device edge-1' expected 'is' or 'has', found the end" },
        { VERB_EXPECT, "device edge-1 is reachable now",
          "after 'device edge-1 is reachable' expected the end, found 'now'" },
        { VERB_DO, "cut power of edge-1", "this sentence belongs under 'fault', not under 'do'" },
        { VERB_DO, "sleep 5",
          "'sleep' begins no sentence of 'do': it expects 'apply' or 'restart'" },
        { VERB_DO, "\"apply\" x",
          "'\"apply\"' begins no sentence of 'do': it expects 'apply' or 'restart'; "
          "did you mean 'apply'?" },
        { VERB_DO, "apply", "after 'apply' expected FILE, found the end" },
        { VERB_DO, "apply \"\"", "FILE is empty" },
        { VERB_DO, "apply \"a.yml", "a quote is opened and not closed: \"a.yml" },
        { VERB_DO, "apply \"a.yml\"b", "a space is missing behind \"a.yml\"" },
        { VERB_DO, "apply a\x01.yml", "a sentence stands on one line of printable text" },
        { VERB_DO, " ", "a sentence is empty" },
        { VERB_EXPECT, "http 0 of edge-1 answers 200", "'0' is no PORT: a number from 1 to 65535" },
        { VERB_EXPECT, "http 65536 of edge-1 answers 200",
          "'65536' is no PORT: a number from 1 to 65535" },
        { VERB_EXPECT, "http http of edge-1 answers 200",
          "'http' is no PORT: a number from 1 to 65535" },
        { VERB_EXPECT, "http 80 of edge-1 answers 600",
          "'600' is no STATUS: a number from 100 to 599" },
        { VERB_EXPECT, "deployment hello has -1 succeeded of 2 matched",
          "'-1' is no COUNT: a number from 0 to 1000000" },
        { VERB_FAULT, "kill nats redis",
          "'redis' is no COMPONENT: one of etcd, apiserver, nats and operator" },
        { VERB_FAULT, "kill nas",
          "after 'kill' expected 'etcd', 'apiserver', 'nats' or 'operator', found 'nas'; did you mean "
          "'nats'?" },
        { VERB_EXPECT, "devcie edge-1 is reachable",
          "'devcie' begins no sentence of 'expect': it expects 'device', 'deployment', 'http', "
          "'etcd', 'apiserver', 'nats' or 'operator'; did you mean 'device'?" },
        { VERB_FAULT, "slow the link of edge-1 by 5 to 9ms losing 5% at 1mbit",
          "\"5\" is not a duration like 200ms, 20s, 5m or 1h30m: the unit is missing" },
        { VERB_FAULT, "slow the link of edge-1 by 0s to 9ms losing 5% at 1mbit",
          "'0s' is no DURATION: a time like 200ms, 20s, 5m or 1h30m, longer than 0s and at most 365 days" },
        { VERB_FAULT, "slow the link of edge-1 by 5ms to 9ms losing 101% at 1mbit",
          "'101%' is no PERCENT: a whole number from 0 to 100, like 5 or 5%" },
        { VERB_FAULT, "slow the link of edge-1 by 5ms to 9ms losing 5% at 1mb",
          "'1mb' is no RATE: a rate from 1kbit to 100gbit a second, like 512kbit or 2mbit" },
        { VERB_FAULT, "slow the link of edge-1 by 5ms to 9ms losing 5% at 101gbit",
          "'101gbit' is no RATE: a rate from 1kbit to 100gbit a second, like 512kbit or 2mbit" },
        { VERB_FAULT, "fill /tmp of edge-1 with 64",
          "'64' is no SIZE: a size from 1KiB to 1024GiB, like 64MiB" },
        { VERB_FAULT, "fill /tmp of edge-1 with 999999999GiB",
          "'999999999GiB' is no SIZE: a size from 1KiB to 1024GiB, like 64MiB" },
        { VERB_FAULT, "fill tmp of edge-1 with 1MiB",
          "'tmp' is no PATH: an absolute path on the device, without '..'" },
        { VERB_FAULT, "fill /tmp/../etc of edge-1 with 1MiB",
          "'/tmp/../etc' is no PATH: an absolute path on the device, without '..'" },
        { VERB_DO | VERB_FAULT, "sleep 5",
          "'sleep' begins no sentence of 'do' or 'fault': it expects 'apply', 'restart', 'cut', "
          "'kill', 'slow' or 'fill'" },
        { VERB_DO | VERB_FAULT, "device edge-1 is reachable",
          "this sentence belongs under 'expect', not under 'do' or 'fault'" },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_ERR struct err *err = NULL;
        struct sentence s;

        check_case("%s", table[i].text);
        check_int(sentence_parse(VERBS, table[i].kind, table[i].text, &s, &err), -22);
        check_str(err_text(err), table[i].error);
    }
}

TEST(numbers_are_had_in_the_unit_of_their_type)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_SENTENCE struct sentence s = { 0 }, counts = { 0 }, fill = { 0 };

    need_ok(sentence_parse(VERBS, VERB_FAULT,
                           "slow the link of edge-1 by 1.5s to 2m losing 7% at 2mbit", &s, &err),
            err);
    check_int(sentence_ms(&s, "DURATION"), 1500);
    check_int(sentence_ms(&s, "DURATION_2"), 120000);
    check_int(sentence_number(&s, "PERCENT"), 7);
    check_int(sentence_number(&s, "RATE"), 2000);
    need_ok(sentence_parse(VERBS, VERB_EXPECT, "deployment hello has 1 succeeded of 2 matched",
                           &counts, &err),
            err);
    check_int(sentence_number(&counts, "COUNT"), 1);
    check_int(sentence_number(&counts, "COUNT_2"), 2);
    check_str(sentence_value(&counts, "COUNT_2"), "2");
    need_ok(sentence_parse(VERBS, VERB_FAULT, "fill / of edge-1 with 64MiB", &fill, &err), err);
    check_int(sentence_number(&fill, "SIZE"), 64 << 20);
}

TEST(the_example_of_every_type_is_accepted)
{
    for (size_t i = 0; i < param_types_len; i++) {
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", param_types[i].name);
        check_ok(param_check(&param_types[i], param_types[i].example, NULL, &err), err);
        check_true(param_check(&param_types[i], "", NULL, NULL) < 0);
        check_true(param_types[i].number ==
                   (param_types[i].duration || param_types[i].units != NULL));
    }
}

TEST(long_sentences_are_refused)
{
    CLEANUP_ERR struct err *err = NULL;
    struct sentence s;
    char text[SENTENCE_MAX + 2];

    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    check_int(sentence_parse(VERBS, VERB_DO, text, &s, &err), -22);
    check_str(err_text(err), "a sentence has at most 400 bytes, this one has 401");
    for (size_t i = 1; i < sizeof(text) - 2; i += 2)
        text[i] = ' ';
    text[SENTENCE_MAX] = '\0';
    check_int(sentence_parse(VERBS, VERB_DO, text, &s, &err), -22);
    check_str(err_text(err), "a sentence has at most 72 words");
}

CHECK_MAIN()
