/* SPDX-License-Identifier: AGPL-3.0-only */

/* Any bytes give a value whose text reads back as an equal value, or an error with a text. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What the strict parser takes the wide one takes too, and its values can be written. */
static void parse_wide(const char *data, size_t len, bool strict_took_it)
{
    CLEANUP_JSON json_t *value = NULL;
    CLEANUP_FREE char *text = NULL;

    if (json_parse_wide(data, len, 64 << 10, &value, NULL) == 0)
        text = json_text(value);
    else if (strict_took_it)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_JSON json_t *value = NULL, *again = NULL;
    CLEANUP_FREE char *text = NULL;

    json_parse((const char *)data, len, 64 << 10, &value, &err);
    parse_wide((const char *)data, len, value != NULL);
    if (!value) {
        if (!err || !*err_text(err))
            abort();
        return 0;
    }
    text = json_text_sorted(value);
    if (json_parse(text, strlen(text), SIZE_MAX, &again, NULL) < 0 || !json_equal(value, again))
        abort();
    json_path(value, "a.0.b");
    return 0;
}
