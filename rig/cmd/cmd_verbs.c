/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdio.h>

#include "rig/cmd/rig.h"
#include "rig/verbs/page.h"
#include "rig/verbs/verb.h"

#define PAGE_MAX (1024 * 1024)

const struct verbs_option cmd_verbs_options[] = {
    { "markdown", 0, NULL, "as it stands in scenarios/README.md", NULL },
    { 0 },
};

int cmd_verbs(const struct verbs_args *args, void *userdata)
{
    CLEANUP_BUF struct buf page = BUF_INIT(PAGE_MAX);

    (void)userdata;
    if (verbs_flag(args, "markdown"))
        verbs_page_markdown(verb_table, verb_table_len, &page);
    else
        verbs_page_text(verb_table, verb_table_len, &page);
    fputs(buf_str(&page), stdout);
    return RIG_PASSED;
}
