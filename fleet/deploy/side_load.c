/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: beside each archive that was loaded lies a marker with the digest of its
 * bytes, written after the load, so that a load which was cut short is done again. One round trip
 * asks which markers differ; only those archives travel, and they go away once they are loaded.
 */

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/deploy/score.h"

#define ARCHIVE_MAX (512 * 1024 * 1024)
#define FOLDER "/var/lib/fleet-agent/archives"
#define ASK_MS 30000
#define LOAD_MS 120000 /* of one archive, under emulation */

/* For NAME DIGEST...: the names of those that are not loaded. Starts no process. */
#define ASK                                                                                        \
    "while [ $# -gt 0 ]; do sum=; { read -r sum <\"" FOLDER "/$1.loaded\"; } 2>/dev/null; "        \
    "[ \"$sum\" = \"$2\" ] || echo \"$1\"; shift 2; done"

/* Loads those for NAME DIGEST... */
#define LOAD                                                                                       \
    "cd " FOLDER " || exit; while [ $# -gt 0 ]; do podman load --quiet --input \"$1\" &&"          \
    " echo \"$2\" >\"$1.loaded\" && rm -f \"$1\" || exit; shift 2; done; sync"

struct archive {
    const char *name;
    char *data;
    size_t len;
    char digest[2 * crypto_hash_sha256_BYTES + 1];
    bool loaded;
};

struct archives {
    struct archive *items;
    size_t n;
};

static void archives_done(struct archives *all)
{
    for (size_t i = 0; i < all->n; i++)
        free(all->items[i].data);
    free(all->items);
}

static int read_archive(const char *path, struct archive *a, struct err **err)
{
    unsigned char raw[crypto_hash_sha256_BYTES];
    const char *slash = strrchr(path, '/');
    int r = file_read(path, ARCHIVE_MAX, &a->data, &a->len, err);

    if (r < 0)
        return r;
    a->name = slash ? slash + 1 : path;
    crypto_hash_sha256(raw, (unsigned char *)a->data, a->len);
    sodium_bin2hex(a->digest, sizeof(a->digest), raw, sizeof(raw));
    return 0;
}

/* Runs `script` with the name and digest of each archive that is not loaded. */
static int run_for(const struct archives *all, const char *script, int64_t timeout_ms,
                   const struct device_host *device, char **ret_out, struct err **err)
{
    CLEANUP_STRV char **argv = NULL;

    strv_add(&argv, "sh");
    strv_add(&argv, "-c");
    strv_add(&argv, script);
    strv_add(&argv, "side-load");
    for (size_t i = 0; i < all->n; i++)
        if (!all->items[i].loaded) {
            strv_add(&argv, all->items[i].name);
            strv_add(&argv, all->items[i].digest);
        }
    return device_run(device, (const char *const *)argv, timeout_ms, ret_out, err);
}

/* How many are not loaded, or a negative errno. */
static int ask(struct archives *all, const struct device_host *device, struct err **err)
{
    CLEANUP_FREE char *said = NULL;
    CLEANUP_STRV char **missing = NULL;
    int r = run_for(all, ASK, ASK_MS, device, &said, err);

    if (r < 0)
        return r;
    missing = strv_split(said, "\n");
    for (size_t i = 0; i < all->n; i++)
        all->items[i].loaded = !strv_has(missing, all->items[i].name);
    return (int)strv_len(missing);
}

static int put(const struct archives *all, const struct device_host *device, struct err **err)
{
    CLEANUP_FREE struct host_file *files = xcalloc(all->n, sizeof(*files));
    CLEANUP_STRV char **paths = NULL;
    size_t n = 0;

    for (size_t i = 0; i < all->n; i++) {
        const struct archive *a = &all->items[i];

        if (a->loaded)
            continue;
        strv_addf(&paths, FOLDER "/%s", a->name);
        files[n] = (struct host_file){ paths[n], a->data, a->len, 0644, false };
        n++;
    }
    return device->put_files(device->impl, files, n, err);
}

int images_side_load(const char *const *archives, const struct device_host *device,
                     bool *ret_changed, struct err **err)
{
    __attribute__((cleanup(archives_done))) struct archives all = { 0 };
    size_t n = strv_len((char *const *)archives);
    int r, missing = 0;

    all.items = xcalloc(n + 1, sizeof(*all.items));
    for (; all.n < n; all.n++)
        if ((r = read_archive(archives[all.n], &all.items[all.n], err)) < 0)
            return err_wrap(err, "side-loading images");
    if (n > 0 && (missing = ask(&all, device, err)) > 0 && (r = put(&all, device, err)) >= 0)
        r = run_for(&all, LOAD, LOAD_MS * missing, device, NULL, err);
    else
        r = missing;
    if (r < 0)
        return err_wrap(err, "side-loading images");
    if (ret_changed)
        *ret_changed = missing > 0;
    return 0;
}
