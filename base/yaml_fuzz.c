/* SPDX-License-Identifier: AGPL-3.0-only */

/* Any bytes give a tree that turns into JSON that can be read again, or an error with a text. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_ERR struct err *err = NULL;
    struct yaml_node **docs = NULL;
    size_t n = 0;

    if (yaml_parse("f", (const char *)data, len, &docs, &n, &err) < 0) {
        if (!err || strncmp(err_text(err), "f:", 2) != 0)
            abort();
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        CLEANUP_JSON json_t *json = yaml_to_json(docs[i]), *again = NULL;
        CLEANUP_FREE char *text = json_text(json);

        if (json_parse(text, strlen(text), SIZE_MAX, &again, NULL) < 0)
            abort();
    }
    yaml_free_all(docs, n);
    return 0;
}
