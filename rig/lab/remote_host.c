/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: SSH has no other way to run a program than a line for root's login shell, so
 * every argument goes in single quotes. A file is compared by its digest first. Otherwise it is
 * written beside its place, checked by its digest (a broken connection looks like the end of the
 * input), synced and renamed: whatever is cut off in between, the path holds the old bytes or the
 * new ones.
 */

#include "rig/lab/remote_host.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"

#define COMMAND_MAX (256 << 10)
#define COMPARE_MS 60000
#define PUT_MS 60000
#define PUT_BYTES_PER_MS 64 /* the slowest link that we wait for */

#define COMPARE                                                                                    \
    "[ \"$(sha256sum <\"$1\")\" = \"$2  -\" ] && [ \"$(stat -c %a:%u:%g -- \"$1\")\" = \"$3:0:0\" ]"

#define PUT                                                                                        \
    "set -e; t=$1.new; d=$(dirname -- \"$1\"); mkdir -p -- \"$d\"; umask 077; cat >\"$t\"; "         \
    "if [ \"$(sha256sum <\"$t\")\" != \"$2  -\" ]; then rm -f -- \"$t\"; "                             \
    "echo 'it arrived damaged or cut short' >&2; exit 1; fi; "                                     \
    "chown 0:0 -- \"$t\"; chmod \"$3\" -- \"$t\"; sync -- \"$t\"; mv -fT -- \"$t\" \"$1\"; "           \
    "sync -- \"$d\""

char *remote_quote(const char *arg)
{
    CLEANUP_BUF struct buf out = BUF_INIT(COMMAND_MAX);

    buf_addc(&out, '\'');
    for (; *arg; arg++)
        if (*arg == '\'')
            buf_adds(&out, "'\\''");
        else
            buf_addc(&out, *arg);
    buf_addc(&out, '\'');
    return buf_steal(&out);
}

static int command_line(const char *const *argv, char **ret, struct err **err)
{
    CLEANUP_BUF struct buf line = BUF_INIT(COMMAND_MAX);

    for (size_t i = 0; argv[i]; i++) {
        CLEANUP_FREE char *word = remote_quote(argv[i]);

        if (strlen(word) < strlen(argv[i]))
            return err_new(err, E2BIG, "an argument is longer than %d bytes", COMMAND_MAX);
        buf_addf(&line, "%s%s", i ? " " : "", word);
    }
    if (line.overflow)
        return err_new(err, E2BIG, "the command is longer than %d bytes", COMMAND_MAX);
    *ret = buf_steal(&line);
    return 0;
}

static int exec_argv(struct remote *remote, const char *const *argv, const void *input, size_t len,
                     int64_t timeout_ms, int *ret_status, char **ret_out, struct err **err)
{
    CLEANUP_FREE char *line = NULL;
    int r = command_line(argv, &line, err);

    if (r < 0)
        return r;
    return remote_exec(remote, line, input, len, timeout_ms, ret_status, ret_out, err);
}

static int run(void *impl, const char *const *argv, int64_t timeout_ms, int *ret_status,
               char **ret_out, struct err **err)
{
    int r = exec_argv(impl, argv, NULL, 0, timeout_ms, ret_status, ret_out, err);

    return r == -ECANCELED || r >= 0 ? r : err_wrap(err, "running %s", argv[0]);
}

static char *digest(const void *data, size_t len)
{
    unsigned char raw[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof(raw) + 1];

    crypto_hash_sha256(raw, data ? data : "", len);
    return xstrdup(sodium_bin2hex(hex, sizeof(hex), raw, sizeof(raw)));
}

static int put(struct remote *remote, const char *path, const void *data, size_t len, mode_t mode,
               bool *ret_changed, struct err **err)
{
    CLEANUP_FREE char *sum = digest(data, len), *bits = xasprintf("%o", mode), *said = NULL;
    const char *compare[] = { "sh", "-c", COMPARE, "sh", path, sum, bits, NULL };
    const char *replace[] = { "sh", "-c", PUT, "sh", path, sum, bits, NULL };
    int status = 0;
    int r = exec_argv(remote, compare, NULL, 0, COMPARE_MS, &status, NULL, err);

    if (r < 0)
        return r;
    if (status != 0) {
        r = exec_argv(remote, replace, data, len, PUT_MS + (int64_t)len / PUT_BYTES_PER_MS,
                      &status, &said, err);
        if (r < 0)
            return r;
        if (status != 0)
            return err_new(err, EIO, "%.500s", said);
        if (ret_changed)
            *ret_changed = true;
    } else if (ret_changed) {
        *ret_changed = false;
    }
    return 0;
}

static int put_file(void *impl, const char *path, const void *data, size_t len, mode_t mode,
                    bool *ret_changed, struct err **err)
{
    int r;

    if (path[0] != '/')
        return err_new(err, EINVAL, "writing %s: the path is not absolute", path);
    r = put(impl, path, data, len, mode, ret_changed, err);
    return r == -ECANCELED || r >= 0 ? r : err_wrap(err, "writing %s", path);
}

void remote_host_init(struct remote *remote, struct device_host *ret)
{
    *ret = (struct device_host){ .run = run, .put_file = put_file, .impl = remote };
}
