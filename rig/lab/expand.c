/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/expand.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/strv.h"

#define EXPANDED_MAX (1 << 20)

static int add_port(struct buf *out, const char *name, size_t len,
                    const struct expand_values *values, struct err **err)
{
    for (size_t i = 0; i < values->n_ports; i++)
        if (strlen(values->ports[i].name) == len && !memcmp(values->ports[i].name, name, len)) {
            buf_addf(out, "%u", values->ports[i].number);
            return 0;
        }
    return err_new(err, ENOENT, "{port:%.*s}: there is no such port", (int)len, name);
}

/* Adds what the placeholder at `p` stands for. Returns its length, 0 when there is none. */
static int add_placeholder(struct buf *out, const char *p, const struct expand_values *values,
                           struct err **err)
{
    const char *end = strchr(p, '}');
    int r;

    if (str_starts(p, "{config}")) {
        buf_adds(out, values->config);
    } else if (str_starts(p, "{data}")) {
        if (!values->data)
            return err_new(err, EINVAL, "{data}: the service is not durable");
        buf_adds(out, values->data);
    } else if (str_starts(p, "{port:") && end) {
        p += strlen("{port:");
        if ((r = add_port(out, p, (size_t)(end - p), values, err)) < 0)
            return r;
        return (int)(end + 1 - p) + (int)strlen("{port:");
    } else {
        return 0;
    }
    return (int)(end + 1 - p);
}

int expand(const char *text, const struct expand_values *values, char **ret, struct err **err)
{
    CLEANUP_BUF struct buf out = BUF_INIT(EXPANDED_MAX);

    while (*text) {
        int len = *text == '{' ? add_placeholder(&out, text, values, err) : 0;

        if (len < 0)
            return len;
        if (len == 0)
            buf_addc(&out, *text);
        text += len ? len : 1;
    }
    if (out.overflow)
        return err_new(err, EFBIG, "text is longer than %d bytes", EXPANDED_MAX);
    *ret = buf_steal(&out);
    return 0;
}
