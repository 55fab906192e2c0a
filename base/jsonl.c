/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/jsonl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"

#define LINE_MAX (4 * 1024 * 1024)

int jsonl_append(int fd, const json_t *value)
{
    CLEANUP_FREE char *text = json_text(value);
    CLEANUP_BUF struct buf line = BUF_INIT(LINE_MAX);
    struct stat before;
    ssize_t n;

    buf_adds(&line, text);
    buf_addc(&line, '\n');
    if (line.overflow)
        return -EMSGSIZE;
    if (fstat(fd, &before) < 0)
        return -errno;
    do
        n = write(fd, line.data, line.len);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)line.len)
        return (int)n;
    if (n < 0)
        return -errno;
    /* Should this fail as well, the reader stops at the damaged line and says so. */
    return ftruncate(fd, before.st_size) < 0 ? -errno : -ENOSPC;
}

int jsonl_next(struct jsonl *l, const char *name, json_t **ret, struct err **err)
{
    const char *end = l->left > 0 ? memchr(l->at, '\n', l->left) : NULL;
    const char *line = l->at;
    CLEANUP_ERR struct err *why = NULL;
    json_t *value = NULL;

    if (!end)
        return 0;
    l->left -= (size_t)(end + 1 - line);
    l->at = end + 1;
    l->line++;
    if (json_parse(line, (size_t)(end - line), LINE_MAX, &value, &why) < 0)
        return err_new(err, EBADMSG, "%s:%zu: damaged: %s", name, l->line, err_text(why));
    *ret = value;
    return 1;
}
