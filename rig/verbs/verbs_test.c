/* SPDX-License-Identifier: AGPL-3.0-only */

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/scenario/param.h"
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
        check_true(v->impl->heals == NULL || !expect);
        for (const struct verb_impl *const *h = v->impl->heals; h && *h; h++)
            check_true((*h)->undo != NULL);
        check_true(*v->help && v->help[strlen(v->help) - 1] != '.');
    }
}

/* A literal as it is, a value for a parameter. */
static const char *example(const char *word)
{
    const struct param_type *type = param_type_find(word);

    if (!isupper((unsigned char)word[0]))
        return word;
    return type ? type->example : NULL;
}

TEST(a_list_in_a_pattern_ends_at_a_literal)
{
    for (size_t i = 0; i < verb_table_len; i++) {
        const char *list = strstr(verb_table[i].pattern, "... ");

        check_case("%s", verb_table[i].pattern);
        check_true(!list || !isupper((unsigned char)list[4]));
    }
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
