/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: SSH has no other way to run a program than a line for root's login shell, so
 * every argument goes in single quotes. Files are first compared by their digests, all in one round
 * trip. Those that differ come in one stream: each is written beside its place and checked by its
 * digest (a broken connection looks like the end of the input); when all are there they are synced and
 * renamed. Whatever is cut off in between, a path holds the old bytes or the new ones. A process costs
 * tens of milliseconds on an emulated device, so the scripts start few.
 */

#include "rig/lab/remote_host.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"

#define COMMAND_MAX (256 << 10)
#define COMPARE_MS 60000
#define PUT_MS 60000
#define PUT_BYTES_PER_MS 64 /* the slowest link that we wait for */

/* For PATH SHA256 MODE...: the number (from 0) of each file that is not so, a line each. */
#define COMPARE                                                                                    \
    "i=0; while [ $# -gt 0 ]; do "                                                                 \
    "[ -e \"$1\" ] && [ \"$(sha256sum <\"$1\")\" = \"$2  -\" ] && "                                \
    "[ \"$(stat -c %a:%u:%g -- \"$1\")\" = \"$3:0:0\" ] || echo $i; "                              \
    "i=$((i+1)); shift 3; done"

/* For PATH SHA256 MODE LENGTH...: the files, one behind the other on stdin. */
#define PUT                                                                                        \
    "each() { while [ $# -gt 1 ]; do $1 \"$2\" \"$3\" \"$4\" \"$5\" || return; "                   \
    "f=$1; shift 5; set -- $f \"$@\"; done; }; "                                                   \
    "store() { [ -d \"${1%/*}/\" ] || mkdir -p -- \"${1%/*}/\" || return; "                        \
    "(umask 077; head -c \"$4\" >\"$1.new\") || return; "                                          \
    "[ \"$(sha256sum <\"$1.new\")\" = \"$2  -\" ] || "                                             \
    "{ echo \"$1 arrived damaged or cut short\" >&2; return 1; }; "                                \
    "chmod \"$3\" -- \"$1.new\"; }; "                                                              \
    "place() { mv -fT -- \"$1.new\" \"$1\"; }; "                                                   \
    "drop() { rm -f -- \"$1.new\"; }; "                                                            \
    "each store \"$@\" && sync && each place \"$@\" && sync || { each drop \"$@\"; exit 1; }"

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

/* "sh -c SCRIPT sh ARGUMENTS...". */
static char **script_argv(const char *script)
{
    char **argv = NULL;

    strv_add(&argv, "sh");
    strv_add(&argv, "-c");
    strv_add(&argv, script);
    strv_add(&argv, "sh");
    return argv;
}

/* Which files differ: sets `changed` of each. *ret_len: how many bytes those have. */
static int compare(struct remote *remote, struct host_file *files, size_t n, size_t *ret_len,
                   struct err **err)
{
    CLEANUP_STRV char **argv = script_argv(COMPARE), **lines = NULL;
    CLEANUP_FREE char *said = NULL;
    int status = 0, r;

    for (size_t i = 0; i < n; i++) {
        CLEANUP_FREE char *sum = digest(files[i].data, files[i].len);

        files[i].changed = false;
        strv_add(&argv, files[i].path);
        strv_add(&argv, sum);
        strv_addf(&argv, "%o", files[i].mode);
    }
    r = exec_argv(remote, (const char *const *)argv, NULL, 0, COMPARE_MS, &status, &said, err);
    if (r < 0)
        return r;
    lines = strv_split(said, "\n");
    *ret_len = 0;
    for (size_t k = 0; k < strv_len(lines); k++) {
        size_t i = n;

        if (sscanf(lines[k], "%zu", &i) != 1 || i >= n)
            return err_new(err, EPROTO, "comparing files: %.500s", said);
        files[i].changed = true;
        *ret_len += files[i].len;
    }
    return 0;
}

static int put(struct remote *remote, struct host_file *files, size_t n, size_t len,
               struct err **err)
{
    CLEANUP_STRV char **argv = script_argv(PUT);
    CLEANUP_FREE char *said = NULL, *stream = xmalloc(len + 1);
    size_t at = 0;
    int status = 0, r;

    for (size_t i = 0; i < n; i++) {
        CLEANUP_FREE char *sum = digest(files[i].data, files[i].len);

        if (!files[i].changed)
            continue;
        strv_add(&argv, files[i].path);
        strv_add(&argv, sum);
        strv_addf(&argv, "%o", files[i].mode);
        strv_addf(&argv, "%zu", files[i].len);
        if (files[i].len)
            memcpy(stream + at, files[i].data, files[i].len);
        at += files[i].len;
    }
    r = exec_argv(remote, (const char *const *)argv, stream, len,
                  PUT_MS + (int64_t)len / PUT_BYTES_PER_MS, &status, &said, err);
    if (r < 0)
        return r;
    return status ? err_new(err, EIO, "%.500s", said) : 0;
}

static int put_files(void *impl, struct host_file *files, size_t n, struct err **err)
{
    bool any = false;
    size_t len = 0;
    int r;

    for (size_t i = 0; i < n; i++)
        if (files[i].path[0] != '/')
            return err_new(err, EINVAL, "writing %s: the path is not absolute", files[i].path);
    r = compare(impl, files, n, &len, err);
    for (size_t i = 0; r >= 0 && i < n; i++)
        any |= files[i].changed;
    if (r >= 0 && any)
        r = put(impl, files, n, len, err);
    return r == -ECANCELED || r >= 0 ? r : err_wrap(err, "writing files");
}

void remote_host_init(struct remote *remote, struct device_host *ret)
{
    *ret = (struct device_host){ .run = run, .put_files = put_files, .impl = remote };
}
