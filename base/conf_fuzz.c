/* SPDX-License-Identifier: AGPL-3.0-only */

/* Any bytes fill the struct, whose texts can be read to their ends, or give an error with a place. */

#include <stdlib.h>
#include <string.h>

#include "base/conf.h"

struct item {
    char *name;
    int16_t n;
};

struct settings {
    char *text;
    uint8_t number;
    bool flag;
    double ratio;
    struct item *items;
    unsigned items_count;
};

static const cyaml_schema_field_t item_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct item, name, 0, 20),
    CYAML_FIELD_INT("n", CYAML_FLAG_OPTIONAL, struct item, n),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t item_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct item, item_fields),
};

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("text", CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL,
                           struct settings, text, 0, 20),
    CYAML_FIELD_UINT("number", CYAML_FLAG_OPTIONAL, struct settings, number),
    CYAML_FIELD_BOOL("flag", CYAML_FLAG_OPTIONAL, struct settings, flag),
    CYAML_FIELD_FLOAT("ratio", CYAML_FLAG_OPTIONAL, struct settings, ratio),
    CYAML_FIELD_SEQUENCE("items", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct settings, items,
                         &item_entry, 0, 5),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct settings, fields),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_ERR struct err *err = NULL;
    struct settings *s = NULL;

    if (conf_parse("f", (const char *)data, len, &schema, (void **)&s, &err) < 0) {
        if (!err || strncmp(err_text(err), "f:", 2) != 0)
            abort();
        return 0;
    }
    if (!s || (s->text && strlen(s->text) > 20) || s->items_count > 5)
        abort();
    for (unsigned i = 0; i < s->items_count; i++)
        if (strlen(s->items[i].name) > 20)
            abort();
    conf_free(&schema, s);
    return 0;
}
