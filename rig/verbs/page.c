/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/verbs/page.h"

#include "base/mem.h"

static const struct {
    enum verb_kind kind;
    const char *title;
} parts[] = {
    { VERB_DO, "do: what an operator would do" },
    { VERB_FAULT, "fault: what the world does" },
    { VERB_EXPECT, "expect: what must become so, or stay so" },
};

void verbs_page_text(const struct verb *verbs, size_t n, struct buf *out)
{
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        buf_addf(out, "%s%s\n", p ? "\n" : "", parts[p].title);
        for (size_t i = 0; i < n; i++)
            if (verbs[i].kind == parts[p].kind)
                buf_addf(out, "  %s\n      %s\n", verbs[i].pattern, verbs[i].help);
    }
}

void verbs_page_markdown(const struct verb *verbs, size_t n, struct buf *out)
{
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        buf_addf(out, "%s**%s**\n\n| sentence | meaning |\n|---|---|\n", p ? "\n" : "",
                 parts[p].title);
        for (size_t i = 0; i < n; i++)
            if (verbs[i].kind == parts[p].kind)
                buf_addf(out, "| `%s` | %s |\n", verbs[i].pattern, verbs[i].help);
    }
}
