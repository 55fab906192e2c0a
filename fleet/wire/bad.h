/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* For tests: bad messages in testdata/bad/GROUP-NAME.json and what is said of each. A file without
 * a row is a failure, and so is a row without a file. */

#include <dirent.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"

#define BAD_DIR "fleet/wire/testdata/bad"

struct bad {
    const char *name;
    const char *says; /* part of the error's text */
};

static inline bool bad_has_row(const char *file, const char *group, const struct bad *rows,
                               size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CLEANUP_FREE char *name = xasprintf("%s-%s.json", group, rows[i].name);

        if (str_eq(name, file))
            return true;
    }
    return false;
}

static inline void check_bad_files(const char *group, const struct bad *rows, size_t n)
{
    CLEANUP_FREE char *prefix = xasprintf("%s-", group);
    DIR *dir = opendir(BAD_DIR);

    need_true(dir != NULL);
    for (struct dirent *file; (file = readdir(dir));) {
        check_case("%s has a row", file->d_name);
        check_true(!str_starts(file->d_name, prefix) || bad_has_row(file->d_name, group, rows, n));
    }
    closedir(dir);
}

static inline void check_bad(const char *group, const struct bad *rows, size_t n,
                             int (*decode)(const char *data, size_t len, struct err **err))
{
    for (size_t i = 0; i < n; i++) {
        CLEANUP_FREE char *path = xasprintf(BAD_DIR "/%s-%s.json", group, rows[i].name);
        CLEANUP_FREE char *data = NULL;
        CLEANUP_ERR struct err *err = NULL;
        size_t len = 0;

        data = check_read(path, &len);
        check_case("%s", rows[i].name);
        check_true(decode(data, len, &err) < 0);
        check_has(err_text(err), rows[i].says);
        /* The same without anybody who wants to know why. */
        check_true(decode(data, len, NULL) < 0);
    }
    check_bad_files(group, rows, n);
}
