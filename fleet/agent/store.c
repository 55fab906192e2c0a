/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/agent/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/agent/digest.h"
#include "fleet/wire/names.h"

#define SUFFIX ".score"
#define FILE_MAX_BYTES (2 * 1024 * 1024)
#define NAME_IN_FILE_NAME 200 /* a longer one does not fit, with what file_replace() adds */

struct store {
    char *dir;
};

int store_new(const char *state_dir, struct store **ret, struct err **err)
{
    CLEANUP(store_free) struct store *s = xcalloc(1, sizeof(*s));

    s->dir = xasprintf("%s/desired", state_dir);
    if (dir_make(s->dir, 0700, err) < 0)
        return err_wrap(err, "state folder");
    *ret = steal_ptr(s);
    return 0;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    free(s->dir);
    free(s);
}

static char *path_of(const struct store *s, const char *deployment)
{
    char hash[DIGEST_TEXT];

    if (strlen(deployment) <= NAME_IN_FILE_NAME)
        return xasprintf("%s/%s" SUFFIX, s->dir, deployment);
    return xasprintf("%s/%.64s~%s" SUFFIX, s->dir, deployment,
                     digest(deployment, strlen(deployment), hash));
}

static int put(const struct store *s, const char *deployment, const char *word, const char *bytes,
               size_t len, struct err **err)
{
    CLEANUP_BUF struct buf rest = BUF_INIT(FILE_MAX_BYTES), all = BUF_INIT(FILE_MAX_BYTES);
    CLEANUP_FREE char *path = path_of(s, deployment);
    char sum[DIGEST_TEXT];

    buf_addf(&rest, "%s %s\n", word, deployment);
    buf_add(&rest, bytes, len);
    buf_addf(&all, "%s\n", digest(rest.data, rest.len, sum));
    buf_add(&all, rest.data, rest.len);
    if (all.overflow)
        return err_new(err, EFBIG, "storing %s: a score of %zu bytes", deployment, len);
    if (file_replace(path, all.data, all.len, 0600, err) < 0)
        return err_wrap(err, "storing %s", deployment);
    return 0;
}

int store_want(const struct store *s, const char *deployment, const char *bytes, size_t len,
               struct err **err)
{
    return put(s, deployment, "wanted", bytes, len, err);
}

int store_unwant(const struct store *s, const char *deployment, struct err **err)
{
    return put(s, deployment, "gone", "", 0, err);
}

int store_forget(const struct store *s, const char *deployment, struct err **err)
{
    CLEANUP_FREE char *path = path_of(s, deployment);
    CLEANUP_CLOSE int dir = -1;

    if (unlink(path) < 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "removing %s", path);
    dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fsync(dir) < 0)
        return err_errno(err, errno, "syncing %s", s->dir);
    return 0;
}

/* What a whole file says; pointers into `data`, which is cut into strings. */
static int parse(char *data, size_t len, char **ret_name, bool *ret_wanted, char **ret_bytes,
                 size_t *ret_len, struct err **err)
{
    char *rest = memchr(data, '\n', len), *bytes, *space;
    char sum[DIGEST_TEXT];

    if (!rest)
        return err_new(err, EBADMSG, "no digest");
    *rest++ = '\0';
    len -= (size_t)(rest - data);
    if (!str_eq(data, digest(rest, len, sum)))
        return err_new(err, EBADMSG, "the digest does not fit the content");
    bytes = memchr(rest, '\n', len);
    if (!bytes)
        return err_new(err, EBADMSG, "no deployment");
    *bytes++ = '\0';
    space = strchr(rest, ' ');
    if (!space)
        return err_new(err, EBADMSG, "no deployment");
    *space++ = '\0';
    if (!str_eq(rest, "wanted") && !str_eq(rest, "gone"))
        return err_new(err, EBADMSG, "neither wanted nor gone");
    if (deployment_name_check(space, err) < 0)
        return -EBADMSG;
    *ret_name = space;
    *ret_wanted = str_eq(rest, "wanted");
    *ret_bytes = bytes;
    *ret_len = len - (size_t)(bytes - rest);
    return 0;
}

static void load_one(const char *path, const struct store_reader *reader)
{
    CLEANUP_FREE char *data = NULL;
    CLEANUP_ERR struct err *why = NULL;
    char *name, *bytes;
    size_t len, bytes_len;
    bool wanted;

    if (file_read(path, FILE_MAX_BYTES, &data, &len, &why) < 0 ||
        parse(data, len, &name, &wanted, &bytes, &bytes_len, &why) < 0)
        reader->damaged(path, why, reader->userdata);
    else
        reader->found(name, wanted, bytes, bytes_len, reader->userdata);
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

int store_load(const struct store *s, const struct store_reader *reader, struct err **err)
{
    __attribute__((cleanup(close_dir))) DIR *dir = opendir(s->dir);
    struct dirent *entry;

    if (!dir)
        return err_errno(err, errno, "opening %s", s->dir);
    while ((errno = 0, entry = readdir(dir))) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", s->dir, entry->d_name);

        /* Others are left from a replacement that a crash cut short. */
        if (str_ends(entry->d_name, SUFFIX))
            load_one(path, reader);
    }
    return errno ? err_errno(err, errno, "reading %s", s->dir) : 0;
}
