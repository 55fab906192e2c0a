/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* The keys that a scenario file can have: for the reader, and for the schema that editors use. */

#include <stdbool.h>

enum form {
    FORM_NAME, /* of a scenario */
    FORM_TEXT,
    FORM_TAGS,
    FORM_NEEDS,
    FORM_VARS,
    FORM_MATRIX,
    FORM_TOPOLOGY,
    FORM_DEVICES,
    FORM_DEVICE_NAME,
    FORM_LABELS,
    FORM_ARCH,
    FORM_COUNT,
    FORM_FILES,
    FORM_DO,
    FORM_FAULT,
    FORM_EXPECT,
    FORM_STEPS,
    FORM_DURATION,
};

struct format_key {
    const char *name;
    enum form form;
    bool required;
    const char *help; /* one line, no full stop */
};

/* Each ends with an entry whose name is NULL. */
extern const struct format_key format_scenario[], format_topology[], format_device[], format_step[];

/* NULL-terminated. */
extern const char *const format_archs[];
/* What the name of a variable consists of. */
#define FORMAT_VARIABLE "[A-Za-z][A-Za-z0-9_-]*"
