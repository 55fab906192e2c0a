/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* For the test and the fuzzer of the HTML report. */

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"

#define DEPTH_MAX 64

/* The first complaint about a text that should be well-formed XML: tags balanced, attributes in
 * double quotes, no stray & or <. NULL when there is none. The caller frees it. */
static inline char *complaint(const char *text)
{
    char open[DEPTH_MAX][32];
    size_t depth = 0;

    while (*text) {
        char name[32] = "";
        const char *end;
        size_t len;

        if (*text == '&') {
            len = strcspn(text, "; \n<");
            if (text[len] != ';' || len > 8)
                return xasprintf("a stray &: %.40s", text);
        }
        if (*text == '>')
            return xasprintf("a stray >: %.40s", text);
        if (*text != '<') {
            text++;
            continue;
        }
        if (str_starts(text, "<!DOCTYPE html>")) {
            text += strlen("<!DOCTYPE html>");
            continue;
        }
        end = text + 1;
        for (bool quoted = false; *end && (quoted || *end != '>'); end++) {
            quoted ^= *end == '"';
            if (*end == '<' || (*end == '=' && !quoted && end[1] != '"'))
                return xasprintf("in a tag: %.60s", text);
        }
        if (!*end)
            return xasprintf("a tag without an end: %.60s", text);
        len = strcspn(text + 1 + (text[1] == '/'), " >/\n");
        if (len == 0 || len >= sizeof(name))
            return xasprintf("a tag without a name: %.40s", text);
        memcpy(name, text + 1 + (text[1] == '/'), len);
        if (text[1] == '/') {
            if (depth == 0 || !str_eq(open[--depth], name))
                return xasprintf("</%s> closes <%s>", name, open[depth]);
        } else if (end[-1] != '/') {
            if (depth == DEPTH_MAX)
                return xstrdup("too deep");
            memcpy(open[depth++], name, sizeof(name));
        }
        text = end + 1;
    }
    return depth ? xasprintf("<%s> is not closed", open[depth - 1]) : NULL;
}
