/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/jsonl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

/* The values in `text`, joined, and what is wrong with it. */
static const struct {
    const char *name, *text, *values, *error;
} texts[] = {
    { "nothing", "", "", NULL },
    { "two lines", "1\n{\"a\":2}\n", "1 {\"a\":2} ", NULL },
    { "the last one is cut short", "1\n{\"a\":", "1 ", NULL },
    { "the last one lacks its end", "1\n2", "1 ", NULL },
    { "damage", "1\n{\"a\"\n3\n", "1 ", "f:2: damaged: JSON line 1" },
    { "an empty line is damage", "1\n\n", "1 ", "f:2: damaged" },
};

TEST(lines_are_read_one_by_one)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct jsonl l = { .at = texts[i].text, .left = strlen(texts[i].text) };
        CLEANUP_BUF struct buf values = BUF_INIT(1000);
        CLEANUP_ERR struct err *err = NULL;
        json_t *value = NULL;
        int r;

        check_case("%s", texts[i].name);
        while ((r = jsonl_next(&l, "f", &value, &err)) > 0) {
            CLEANUP_FREE char *text = json_text(value);

            buf_addf(&values, "%s ", text);
            json_decref(value);
        }
        check_str(buf_str(&values), texts[i].values);
        check_int(r, texts[i].error ? -EBADMSG : 0);
        if (texts[i].error)
            check_has(err_text(err), texts[i].error);
    }
}

TEST(a_line_that_does_not_fit_leaves_nothing_behind)
{
    CLEANUP_FREE char *path = xasprintf("%s/lines", check_tmpdir()), *text = NULL;
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    CLEANUP_JSON json_t *value = json_string("0123456789");
    struct rlimit old, small;

    need_true(fd >= 0);
    check_int(jsonl_append(fd, value), 13);
    /* Room for half of the next one. */
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){ .rlim_cur = 20, .rlim_max = old.rlim_max };
    setrlimit(RLIMIT_FSIZE, &small);
    check_int(jsonl_append(fd, value), -ENOSPC);
    check_int(jsonl_append(fd, value), -ENOSPC);
    setrlimit(RLIMIT_FSIZE, &old);
    check_int(jsonl_append(fd, value), 13);
    need_ok(file_read(path, 1000, &text, NULL, NULL), NULL);
    check_str(text, "\"0123456789\"\n\"0123456789\"\n");
}

CHECK_MAIN()
