/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. A settings file is read twice: by base/yaml.h into a tree that knows its
 * lines and columns, which conf_check() holds against the schema, and then by libcyaml, which fills
 * the C structs. What only libcyaml objects to is reported with its own words.
 */

#include "base/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/conf_check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/yaml.h"

#define FILE_MAX_BYTES (256 << 10)
#define SECRET_MAX_BYTES (64 << 10)

struct documents {
    struct yaml_node **nodes;
    size_t n;
};

static void documents_done(struct documents *d)
{
    yaml_free_all(d->nodes, d->n);
}
#define CLEANUP_DOCUMENTS __attribute__((cleanup(documents_done)))

/* Keeps libcyaml's first complaint; a backtrace follows it. */
static void __attribute__((format(printf, 3, 0))) keep_first(cyaml_log_t level, void *ctx,
                                                             const char *fmt, va_list args)
{
    struct buf *first = ctx;

    if (level >= CYAML_LOG_ERROR && first->len == 0)
        buf_vaddf(first, fmt, args);
}

static cyaml_config_t config_with(struct buf *complaint)
{
    return (cyaml_config_t){ .log_fn = keep_first,
                             .log_ctx = complaint,
                             .log_level = CYAML_LOG_ERROR,
                             .mem_fn = cyaml_mem,
                             .flags = CYAML_CFG_NO_ALIAS };
}

static int load(const char *name, const char *text, size_t len, const cyaml_schema_value_t *schema,
                void **ret, struct err **err)
{
    CLEANUP_BUF struct buf complaint = BUF_INIT(1024);
    cyaml_config_t config = config_with(&complaint);
    void *data = NULL;
    cyaml_err_t r = cyaml_load_data((const uint8_t *)text, len, &config, schema, &data, NULL);

    if (r == CYAML_ERR_OOM)
        abort();
    if (r != CYAML_OK)
        return err_new(err, EINVAL, "%s: %s", name,
                       complaint.len ? buf_str(&complaint) : cyaml_strerror(r));
    *ret = data;
    return 0;
}

static bool is_empty(const struct documents *d)
{
    return d->n == 0 || (d->n == 1 && d->nodes[0]->kind == YAML_SCALAR && !d->nodes[0]->quoted &&
                         !*d->nodes[0]->text);
}

const cyaml_strval_t conf_log_levels[CONF_LOG_LEVELS] = { { "error", LOG_LEVEL_ERROR },
                                                          { "warning", LOG_LEVEL_WARNING },
                                                          { "info", LOG_LEVEL_INFO },
                                                          { "debug", LOG_LEVEL_DEBUG } };

int conf_parse(const char *name, const char *text, size_t len, const cyaml_schema_value_t *schema,
               void **ret, struct err **err)
{
    CLEANUP_DOCUMENTS struct documents docs = { 0 }, nothing = { 0 };
    const char *no_fields = "{}";
    int r;

    if (len > FILE_MAX_BYTES)
        return err_new(err, EFBIG, "%s: larger than %d bytes", name, FILE_MAX_BYTES);
    r = yaml_parse(name, text, len, &docs.nodes, &docs.n, err);
    if (r < 0)
        return r;
    if (docs.n > 1)
        return err_new(err, EINVAL, "%s:%u:%u: a second document: settings are one", name,
                       docs.nodes[1]->line, docs.nodes[1]->column);
    if (is_empty(&docs)) {
        text = no_fields;
        len = strlen(no_fields);
        r = yaml_parse(name, text, len, &nothing.nodes, &nothing.n, err);
        if (r < 0)
            return r;
    }
    r = conf_check(name, nothing.n ? nothing.nodes[0] : docs.nodes[0], schema, err);
    if (r < 0)
        return r;
    return load(name, text, len, schema, ret, err);
}

int conf_load(const char *path, const cyaml_schema_value_t *schema, void **ret, struct err **err)
{
    CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    int r = file_read(path, FILE_MAX_BYTES, &text, &len, err);

    return r < 0 ? r : conf_parse(path, text, len, schema, ret, err);
}

void conf_free(const cyaml_schema_value_t *schema, void *data)
{
    CLEANUP_BUF struct buf complaint = BUF_INIT(1024);
    cyaml_config_t config = config_with(&complaint);

    if (data && cyaml_free(&config, schema, data, 0) != CYAML_OK)
        abort(); /* the schema is not the one that it was loaded with */
}

int conf_secret(const char *path, char **ret, struct err **err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP_FREE char *text = NULL;
    struct stat st;
    size_t len = 0;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, errno, "reading secret %s", path);
    if (st.st_mode & (S_IROTH | S_IWOTH)) {
        err_new(err, EPERM, "reading secret %s: its mode %03o lets everybody read or write it",
                path, st.st_mode & 0777u);
        return err ? err_hint(err, "Run: chmod o= %s", path) : -EPERM;
    }
    r = file_read_fd(fd, path, SECRET_MAX_BYTES, &text, &len, err);
    if (r < 0)
        return r;
    if (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    if (len == 0)
        return err_new(err, EINVAL, "reading secret %s: it is empty", path);
    if (strlen(text) != len)
        return err_new(err, EINVAL, "reading secret %s: it contains NUL bytes", path);
    *ret = steal_ptr(text);
    return 0;
}
