/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/verbs/page.h"

#include <string.h>

#include "base/mem.h"
#include "rig/scenario/param.h"

static const struct {
    enum verb_kind kind;
    const char *title;
} parts[] = {
    { VERB_DO, "do: what an operator would do" },
    { VERB_FAULT, "fault: what the world does" },
    { VERB_EXPECT, "expect: what must become so, or stay so" },
};

/* Whether a pattern has a parameter of this type; one may have two. */
static bool is_used(const struct verb *verbs, size_t n, const struct param_type *type)
{
    for (size_t i = 0; i < n; i++)
        for (const char *at = verbs[i].pattern; (at = strstr(at, type->name)); at++)
            if (param_type_find(at) == type)
                return true;
    return false;
}

void verbs_page_text(const struct verb *verbs, size_t n, struct buf *out)
{
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        buf_addf(out, "%s%s\n", p ? "\n" : "", parts[p].title);
        for (size_t i = 0; i < n; i++)
            if (verbs[i].kind == parts[p].kind)
                buf_addf(out, "  %s\n      %s\n", verbs[i].pattern, verbs[i].help);
    }
    buf_adds(out, "\nparameters\n");
    for (size_t i = 0; i < param_types_len; i++)
        if (is_used(verbs, n, &param_types[i]))
            buf_addf(out, "  %-10s  %s\n", param_types[i].name, param_types[i].what);
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
    buf_adds(out, "\n**parameters**\n\n| name | what it is |\n|---|---|\n");
    for (size_t i = 0; i < param_types_len; i++)
        if (is_used(verbs, n, &param_types[i]))
            buf_addf(out, "| `%s` | %s |\n", param_types[i].name, param_types[i].what);
}
