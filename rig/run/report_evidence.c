/* SPDX-License-Identifier: AGPL-3.0-only */

/* The part of the HTML report that shows what was kept: the table of what is desired and what is
 * there, and the ends of logs and of answers, by what they are of. */

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/report_view.h"

#define OBSERVED_MAX (1024 * 1024)
#define ROWS_MAX 400

/* --- Desired and observed -------------------------------------------------------------------- */

static void add_cell(const struct view *v, const json_t *row, const char *member)
{
    const char *text = json_string_value(json_object_get(row, member));

    html_addf(&v->html, "<td>%s</td>", text ? text : "");
}

static void add_observed_row(const struct view *v, const json_t *row)
{
    const char *differs = json_string_value(json_object_get(row, "differs"));

    html_addf(&v->html, differs ? "<tr class=\"differs\">" : "<tr>");
    add_cell(v, row, "device");
    add_cell(v, row, "deployment");
    add_cell(v, row, "desired");
    add_cell(v, row, "reported");
    add_cell(v, row, "containers");
    if (differs)
        html_addf(&v->html, "<td class=\"no\">\u2260 %s</td></tr>\n", differs);
    else
        html_addf(&v->html, "<td class=\"yes\">\u2713 as desired</td></tr>\n");
}

/* Those that differ are shown; the others are folded away. */
static void add_observed_table(const struct view *v, const json_t *rows, bool differing)
{
    size_t n = 0, left = 0, i;
    const json_t *row;

    html_addf(&v->html,
              "<div class=\"wide\"><table class=\"events\"><thead><tr><th>device</th><th>deployment"
              "</th><th>desired</th><th>the agent says</th><th>containers</th><th></th></tr>"
              "</thead><tbody>\n");
    json_array_foreach(rows, i, row)
    {
        if (json_is_string(json_object_get(row, "differs")) != differing)
            continue;
        if (n++ >= ROWS_MAX || !view_room(v, ROOM_OBSERVED))
            left++;
        else
            add_observed_row(v, row);
    }
    html_addf(&v->html, "</tbody></table></div>\n");
    if (left > 0)
        html_addf(&v->html, "<p class=\"muted\">%zu more stand in " REPORT_OBSERVED ".</p>\n",
                  left);
}

static void add_observed(const struct view *v, const json_t *rows)
{
    size_t n = json_array_size(rows), differ = 0, i;
    const json_t *row;

    json_array_foreach(rows, i, row) differ += json_is_string(json_object_get(row, "differs"));
    html_addf(&v->html, "<section><h2>Desired and observed</h2>\n");
    if (n == 0)
        html_addf(&v->html, "<p>Nothing was desired of any device, and nothing was there.</p>\n");
    else if (differ == 0)
        html_addf(&v->html, "<p class=\"yes\">\u2713 All %zu were as desired.</p>\n", n);
    else
        add_observed_table(v, rows, /* differing= */ true);
    if (n > differ) {
        html_addf(&v->html,
                  "<details><summary>As desired <span class=\"muted\">%zu</span></summary>\n",
                  n - differ);
        add_observed_table(v, rows, /* differing= */ false);
        html_addf(&v->html, "</details>\n");
    }
    html_addf(&v->html, "</section>\n");
}

void report_observed(const struct view *v)
{
    for (size_t i = 0; i < v->in->n_texts; i++) {
        const struct report_text *t = &v->in->texts[i];
        CLEANUP_JSON json_t *rows = NULL;

        if (!str_eq(t->path, REPORT_OBSERVED))
            continue;
        if (json_parse_wide(t->data, t->len, OBSERVED_MAX, &rows, NULL) >= 0 && json_is_array(rows))
            add_observed(v, rows);
    }
}

/* --- Texts ----------------------------------------------------------------------------------- */

/* The groups, by how a path begins; the last takes the rest. */
static const struct {
    const char *prefix, *title;
} groups[] = {
    { "logs/", "Logs of the components" }, { "machines/", "Devices" },
    { "keys/", "Keys in NATS" },           { "objects/", "Objects at the API server" },
    { "servers/", "What servers say" },    { "", "Other evidence" },
};

static bool in_group(const struct report_text *t, size_t group)
{
    if (str_eq(t->path, REPORT_OBSERVED))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        if (str_starts(t->path, groups[i].prefix))
            return i == group;
    return false;
}

static void text_size(size_t bytes, char text[static 32])
{
    if (bytes < 1024)
        snprintf(text, 32, "%zu bytes", bytes);
    else if (bytes < 1024 * 1024)
        snprintf(text, 32, "%.1f KiB", (double)bytes / 1024);
    else
        snprintf(text, 32, "%.1f MiB", (double)bytes / 1024 / 1024);
}

/* The end of it, from the beginning of a line on. */
static void add_end(const struct view *v, const struct report_text *t, size_t most)
{
    const char *from = t->data, *line;
    size_t len = t->len;

    if (len > most) {
        from += len - most;
        len = most;
        line = memchr(from, '\n', len);
        if (line && (size_t)(line - from) < len / 2) {
            len -= (size_t)(line + 1 - from);
            from = line + 1;
        }
    }
    if (len < t->size) {
        char whole[32], shown[32];

        text_size(t->size, whole);
        text_size(len, shown);
        html_addf(&v->html,
                  "<p class=\"muted\">The last %s of %s; the whole is in <code>%s%s%s"
                  "</code></p>",
                  shown, whole, v->h->evidence ? v->h->evidence : "evidence", "/", t->path);
    }
    html_addf(&v->html, "<pre>");
    html_text(&v->html, from, len);
    html_addf(&v->html, "</pre>");
}

static void add_text(const struct view *v, const struct report_text *t, const char *name,
                     size_t *left)
{
    size_t most = *left < REPORT_TEXT_MAX ? *left : REPORT_TEXT_MAX, before;
    char size[32];

    text_size(t->size, size);
    html_addf(&v->html,
              "<details class=\"texts\"><summary><span class=\"mono\">%s</span> <span "
              "class=\"muted\">%s</span></summary>",
              name, size);
    before = v->html.out->len;
    add_end(v, t, most);
    before = v->html.out->len - before;
    *left -= before < *left ? before : *left;
    html_addf(&v->html, "</details>\n");
}

/* The folder of a name, its length; 0 when it is in none. */
static size_t folder_len(const char *name)
{
    const char *slash = strchr(name, '/');

    return slash ? (size_t)(slash - name) : 0;
}

/* What is of one device is folded together. */
static void turn_to(const struct view *v, char **folder, const char *name)
{
    CLEANUP_FREE char *next = folder_len(name) ? xstrndup(name, folder_len(name)) : NULL;

    if (str_eq(*folder, next))
        return;
    if (*folder)
        html_addf(&v->html, "</details>\n");
    if (next)
        html_addf(&v->html, "<details><summary>%s</summary>\n", next);
    replace_str(folder, next);
}

static void add_group(const struct view *v, size_t group, size_t *left)
{
    CLEANUP_FREE char *folder = NULL;
    bool any = false;

    for (size_t i = 0; i < v->in->n_texts; i++) {
        const struct report_text *t = &v->in->texts[i];
        const char *name = t->path + strlen(groups[group].prefix);

        if (t->size == 0 || !in_group(t, group) || !view_room(v, ROOM_TEXTS))
            continue;
        if (!any)
            html_addf(&v->html, "<h3>%s</h3>\n", groups[group].title);
        any = true;
        turn_to(v, &folder, name);
        add_text(v, t, folder ? name + strlen(folder) + 1 : name, left);
    }
    if (folder)
        html_addf(&v->html, "</details>\n");
}

void report_evidence(const struct view *v)
{
    size_t left = REPORT_TEXTS_MAX, n = 0;

    for (size_t i = 0; i < v->in->n_texts; i++)
        n += v->in->texts[i].size > 0;
    if (n == 0)
        return;
    html_addf(&v->html, "<section><h2>Evidence</h2>\n");
    for (size_t g = 0; g < ARRAY_LEN(groups); g++)
        add_group(v, g, &left);
    html_addf(&v->html, "</section>\n");
}
