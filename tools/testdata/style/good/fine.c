/* SPDX-License-Identifier: AGPL-3.0-only */
/* strcpy() and system() may be spoken of: this is
   a comment, with goto away; in it */
#include "base/fine.h"

int fine(struct fine *f)
{
    const char *text = "system(\"x\") sleep(1) // log_info(";
    char quote = '"';

    f->exit(text, quote); // atoi(text)
    fine_sleep(f);
    snprintf(f->name, sizeof(f->name), "%s.XXXXXX", text);
    _exit(127);
}
