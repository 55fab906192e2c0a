/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/fleet_text.h"

#include <string.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/strv.h"

#define COLUMNS 8

/* --- A table: rows of texts, as wide as their widest ----------------------------------------- */

struct table {
    char *(*rows)[COLUMNS];
    size_t n, cap, columns;
};

__attribute__((sentinel)) static void add_row(struct table *t, const char *first, ...)
{
    va_list ap;
    size_t column = 0;

    t->rows = grow(t->rows, t->n, &t->cap, sizeof(*t->rows));
    memset(t->rows[t->n], 0, sizeof(t->rows[t->n]));
    va_start(ap, first);
    for (const char *text = first; text && column < COLUMNS; text = va_arg(ap, const char *))
        t->rows[t->n][column++] = xstrdup(text);
    va_end(ap);
    if (column > t->columns)
        t->columns = column;
    t->n++;
}

static size_t width_of(const struct table *t, size_t column)
{
    size_t width = 0;

    for (size_t i = 0; i < t->n; i++) {
        const char *cell = t->rows[i][column];

        if (cell && strlen(cell) > width)
            width = strlen(cell);
    }
    return width;
}

/* Appends the table, without blanks at the ends of lines, and frees it. */
static void table_end(struct table *t, struct buf *out)
{
    size_t widths[COLUMNS] = { 0 };

    for (size_t c = 0; c < t->columns; c++)
        widths[c] = width_of(t, c);
    for (size_t i = 0; i < t->n; i++) {
        size_t blanks = 0;

        for (size_t c = 0; c < t->columns; c++) {
            const char *cell = t->rows[i][c] ? t->rows[i][c] : "";

            if (*cell) {
                buf_addf(out, "%*s%s", (int)blanks, "", cell);
                blanks = 0;
            }
            blanks += widths[c] - strlen(cell) + 2;
            free(t->rows[i][c]);
        }
        buf_addc(out, '\n');
    }
    free(t->rows);
    *t = (struct table){ 0 };
}

/* --- rig up ---------------------------------------------------------------------------------- */

static char *label_text(char *const *labels)
{
    return labels ? strv_join(labels, ",") : xstrdup("");
}

void fleet_summary(const char *name, const struct fleet_state *s, struct buf *out)
{
    bool usual = str_eq(name, "local");
    CLEANUP_FREE char *option = usual ? xstrdup("") : xasprintf(" --name %s", name);
    struct table devices = { 0 };
    char took[DURATION_TEXT_MAX];

    buf_addf(out, "Fleet %s is up: %zu device%s (%s), after %s.\n\n", name, s->n_devices,
             s->n_devices == 1 ? "" : "s", s->accel, duration_format(s->took_ms, took));
    for (size_t i = 0; i < s->n_devices; i++) {
        CLEANUP_FREE char *labels = label_text(s->devices[i].labels);
        CLEANUP_FREE char *ssh = xasprintf("rig ssh%s %s", option, s->devices[i].name);

        add_row(&devices, "", s->devices[i].name, labels, ssh, NULL);
    }
    table_end(&devices, out);
    buf_addf(out, "\n  kubeconfig  %s\n              rig kubectl%s get fleetdep,fleetdev\n",
             s->kubeconfig, option);
    buf_addf(out, "  NATS        %s, user %s, password in\n              %s\n", s->nats_url,
             s->nats_user, s->nats_password_file);
    buf_addf(out, "  look        rig status%s, rig logs%s -f\n", option, option);
    buf_addf(out, "  try         rig do%s 'cut power of %s', rig heal\n", option,
             s->devices[0].name);
    buf_addf(out, "  end         rig down%s\n", option);
}

/* --- rig status ------------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *member, const char *otherwise)
{
    const char *text = json_path_str(object, member);

    return text ? text : otherwise;
}

/* How long ago; "?" when that is not known. */
static char *ago(const json_t *object, const char *member, int64_t now_wall_ms)
{
    json_int_t then = json_path_int(object, member, 0);
    char text[DURATION_TEXT_MAX];

    if (then <= 0)
        return xstrdup("?");
    /* Whole seconds: the rest is noise here. */
    return xstrdup(
            duration_format(now_wall_ms > then ? (now_wall_ms - then) / 1000 * 1000 : 0, text));
}

static void add_components(const json_t *status, struct buf *out)
{
    struct table t = { 0 };
    json_t *component;
    size_t i;

    add_row(&t, "COMPONENT", "PID", "UP", "MEMORY", "LOG", NULL);
    json_array_foreach(json_object_get(status, "components"), i, component)
    {
        json_int_t pid = json_path_int(component, "pid", 0),
                   up = json_path_int(component, "up_ms", -1),
                   memory = json_path_int(component, "memory_kib", -1);
        CLEANUP_FREE char *number = pid ? xasprintf("%d", (int)pid) : xstrdup("stopped");
        CLEANUP_FREE char *size =
                memory < 0 ? xstrdup("") : xasprintf("%.1f MiB", (double)memory / 1024);
        char text[DURATION_TEXT_MAX] = "";

        if (up >= 0)
            duration_format(up / 1000 * 1000, text);
        add_row(&t, text_of(component, "name", "?"), number, text, size,
                text_of(component, "log", ""), NULL);
    }
    table_end(&t, out);
}

static void add_devices(const json_t *status, int64_t now_wall_ms, struct buf *out)
{
    struct table t = { 0 };
    json_t *device;
    size_t i;

    add_row(&t, "DEVICE", "POWER", "FOR", "REACHABLE", "BOOTED", "AGENT", "LABELS", "SSH", NULL);
    json_array_foreach(json_object_get(status, "devices"), i, device)
    {
        CLEANUP_FREE char *since = ago(device, "since_wall_ms", now_wall_ms);
        CLEANUP_FREE char *port =
                xasprintf("127.0.0.1:%d", (int)json_path_int(device, "ssh_port", 0));
        bool linked = !json_is_false(json_object_get(device, "linked"));
        CLEANUP_FREE char *power =
                xasprintf("%s%s", text_of(device, "power", "?"), linked ? "" : ", unplugged");

        add_row(&t, text_of(device, "name", "?"), power, since, text_of(device, "reachable", "?"),
                text_of(device, "boot", "?"), text_of(device, "agent", "?"),
                text_of(device, "labels", ""), port, NULL);
    }
    table_end(&t, out);
}

static void add_deployments(const json_t *status, struct buf *out)
{
    struct table t = { 0 };
    json_t *list = json_object_get(status, "deployments"), *d;
    size_t i;

    if (json_array_size(list) == 0) {
        buf_adds(out, "No deployments.\n");
        return;
    }
    add_row(&t, "DEPLOYMENT", "MATCHED", "SUCCEEDED", "FAILED", "PENDING", "LAST ERROR", NULL);
    json_array_foreach(list, i, d)
    {
        static const char *const members[] = { "matched", "succeeded", "failed", "pending" };
        char counts[ARRAY_LEN(members)][24];

        for (size_t m = 0; m < ARRAY_LEN(members); m++)
            snprintf(counts[m], sizeof(counts[m]), "%lld",
                     (long long)json_path_int(d, members[m], 0));
        add_row(&t, text_of(d, "name", "?"), counts[0], counts[1], counts[2], counts[3],
                text_of(d, "error", ""), NULL);
    }
    table_end(&t, out);
}

static void add_faults(const json_t *status, int64_t now_wall_ms, struct buf *out)
{
    json_t *list = json_object_get(status, "faults"), *fault;
    size_t i;

    if (json_array_size(list) == 0) {
        buf_adds(out, "No open faults.\n");
        return;
    }
    buf_adds(out, "Open faults (rig heal takes them back):\n");
    json_array_foreach(list, i, fault)
    {
        CLEANUP_FREE char *since = ago(fault, "since_wall_ms", now_wall_ms);

        buf_addf(out, "  %s, for %s\n", text_of(fault, "sentence", "?"), since);
    }
}

void fleet_status_text(const json_t *status, int64_t now_wall_ms, struct buf *out)
{
    CLEANUP_FREE char *age = ago(status, "began_wall_ms", now_wall_ms);
    const char *busy = json_path_str(status, "busy"), *trouble = json_path_str(status, "trouble"),
               *kubernetes = json_path_str(status, "kubernetes_trouble");
    char text[DURATION_TEXT_MAX];

    buf_addf(out, "Fleet %s is %s, begun %s ago, keeper %d.\n", text_of(status, "fleet", "?"),
             text_of(status, "phase", "?"), age, (int)json_path_int(status, "pid", 0));
    if (busy)
        buf_addf(out, "Doing for %s: %s\n",
                 duration_format(json_path_int(status, "busy_ms", 0), text), busy);
    if (trouble)
        buf_addf(out, "TROUBLE: %s\n", trouble);
    if (!json_object_get(status, "components"))
        return;
    buf_addc(out, '\n');
    add_components(status, out);
    buf_addc(out, '\n');
    add_devices(status, now_wall_ms, out);
    buf_addc(out, '\n');
    if (kubernetes)
        buf_addf(out, "Devices' state and deployments cannot be seen: %s\n", kubernetes);
    else
        add_deployments(status, out);
    add_faults(status, now_wall_ms, out);
}
