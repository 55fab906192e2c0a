/* SPDX-License-Identifier: AGPL-3.0-only */

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/verbs/page.h"
#include "rig/verbs/verb.h"

#define README "scenarios/README.md"
#define BEGIN "<!-- verbs: written by `rig verbs --markdown` -->\n"
#define END "<!-- end of verbs -->\n"

TEST(every_verb_has_what_its_kind_needs)
{
    for (size_t i = 0; i < verb_table_len; i++) {
        const struct verb *v = &verb_table[i];
        bool expect = v->kind == VERB_EXPECT;

        check_case("%s", v->pattern);
        check_true((v->impl->check != NULL) == expect);
        check_true((v->impl->act != NULL) == !expect);
        check_true(v->impl->prepare == NULL || expect);
        check_true(v->impl->undo == NULL || v->kind == VERB_FAULT);
        check_true(*v->help && v->help[strlen(v->help) - 1] != '.');
    }
}

/* A value of each type of parameter. */
static const char *example(const char *word)
{
    static const struct {
        const char *type, *value;
    } examples[] = {
        { "DEVICE", "edge-1" },    { "DEVICE...", "edge-1 edge-2" },
        { "DEPLOYMENT", "hello" }, { "FILE", "hello.yml" },
        { "PORT", "8080" },        { "STATUS", "200" },
        { "COUNT", "1" },          { "IMAGE", "localhost/hello:v1" },
        { "TEXT", "hello v1" },
    };

    if (!isupper((unsigned char)word[0]))
        return word;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++)
        if (str_eq(examples[i].type, word))
            return examples[i].value;
    return NULL;
}

TEST(every_pattern_is_found_by_a_sentence_made_from_it)
{
    for (size_t i = 0; i < verb_table_len; i++) {
        const struct verb *v = &verb_table[i];
        CLEANUP_STRV char **words = strv_split(v->pattern, " ");
        CLEANUP_BUF struct buf text = BUF_INIT(SENTENCE_MAX);
        CLEANUP_ERR struct err *err = NULL;
        struct sentence s;

        check_case("%s", v->pattern);
        for (char **w = words; *w; w++) {
            need_true(example(*w) != NULL);
            buf_addf(&text, "%s ", example(*w));
        }
        if (!check_ok(sentence_parse(verb_table, verb_table_len, v->kind, buf_str(&text), &s, &err),
                      err))
            continue;
        check_str(s.verb->pattern, v->pattern);
        sentence_done(&s);
    }
}

/* Run with CHECK_REGEN=1 to write the list anew. */
TEST(the_list_in_the_readme_is_up_to_date)
{
    CLEANUP_BUF struct buf want = BUF_INIT(1 << 20);
    CLEANUP_FREE char *readme = check_read(README, NULL);
    const char *begin = strstr(readme, BEGIN), *end = strstr(readme, END);

    need_true(begin && end && begin < end);
    buf_add(&want, readme, (size_t)(begin - readme));
    buf_adds(&want, BEGIN);
    verbs_page_markdown(verb_table, verb_table_len, &want);
    buf_adds(&want, end);
    check_golden(buf_str(&want), README);
}

CHECK_MAIN()
