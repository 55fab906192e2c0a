/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/run_page.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/report_html.h"

#define FILES_MAX 400
#define DEPTH_MAX 4
#define END_MAX (256 * 1024) /* bytes of a file that are looked at */

struct texts {
    struct report_text *items;
    size_t n, cap;
};

static void texts_done(struct texts *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free((char *)t->items[i].path);
        free((char *)t->items[i].data);
    }
    free(t->items);
}

/* What cannot be read is left out: the page is made of what there is. */
static void add_file(struct texts *t, const char *path, const char *name)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct report_text text = { 0 };
    struct stat st;
    char *data = NULL;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        (st.st_size > END_MAX && lseek(fd, -(off_t)END_MAX, SEEK_END) < 0) ||
        file_read_fd(fd, path, 2 * END_MAX, &data, &text.len, NULL) < 0)
        return;
    text.path = xstrdup(name);
    text.data = data;
    text.size = (size_t)st.st_size > text.len ? (size_t)st.st_size : text.len;
    t->items = grow(t->items, t->n, &t->cap, sizeof(*t->items));
    t->items[t->n++] = text;
}

static char **names_in(const char *folder)
{
    DIR *dir = opendir(folder);
    char **names = NULL;

    if (!dir)
        return NULL;
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            strv_add(&names, e->d_name);
    closedir(dir);
    strv_sort(names);
    return names;
}

static void add_folder(struct texts *t, const char *folder, const char *below, int depth)
{
    CLEANUP_STRV char **names = names_in(folder);

    for (size_t i = 0; names && names[i] && t->n < FILES_MAX; i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", folder, names[i]);
        CLEANUP_FREE char *name = xasprintf("%s%s%s", below, *below ? "/" : "", names[i]);
        struct stat st;

        if (lstat(path, &st) < 0)
            continue;
        if (S_ISREG(st.st_mode))
            add_file(t, path, name);
        else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
            add_folder(t, path, name, depth + 1);
    }
}

static int utc_offset_s(int64_t wall_ms)
{
    time_t at = (time_t)(wall_ms / 1000);
    struct tm tm = { 0 };

    localtime_r(&at, &tm);
    return (int)tm.tm_gmtoff;
}

int run_page_write(const char *folder, const struct history *history, char *const *secrets,
                   const char *path, struct err **err)
{
    CLEANUP_FREE char *evidence = xasprintf("%s/evidence", folder);
    CLEANUP_BUF struct buf page = BUF_INIT(REPORT_HTML_MAX);
    struct texts texts = { 0 };
    struct report_html report = { .history = history,
                                  .folder = folder,
                                  .utc_offset_s = utc_offset_s(history->run.began_wall_ms),
                                  .secrets = secrets };

    add_folder(&texts, evidence, "", 0);
    report.texts = texts.items;
    report.n_texts = texts.n;
    report_html(&report, &page);
    texts_done(&texts);
    return file_replace(path, buf_str(&page), page.len, 0644, err);
}
