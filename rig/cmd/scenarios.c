/* SPDX-License-Identifier: AGPL-3.0-only */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/place.h"
#include "rig/cmd/rig.h"
#include "rig/verbs/verb.h"

#define MISTAKES_MAX (256 * 1024)

static bool has_key(const char *text, const char *key)
{
    for (const char *at = text; (at = strstr(at, key)); at++)
        if (at == text || at[-1] == '\n')
            return true;
    return false;
}

/* A manifest that stands among scenarios. */
static bool is_manifest(const char *path)
{
    CLEANUP_FREE char *text = NULL;

    return file_read(path, SCENARIO_MAX, &text, NULL, NULL) >= 0 && has_key(text, "apiVersion:") &&
           !has_key(text, "scenario:");
}

/* The scenario files of a folder, sorted. */
static int files_of(const char *folder, char ***ret, struct err **err)
{
    CLEANUP_STRV char **names = NULL, **files = NULL;
    DIR *dir = opendir(folder);

    if (!dir)
        return err_errno(err, errno, "%s", folder);
    for (struct dirent *d; (d = readdir(dir));)
        if (str_ends(d->d_name, ".yml") && d->d_name[0] != '.')
            strv_add(&names, d->d_name);
    closedir(dir);
    strv_sort(names);
    for (char **n = names; n && *n; n++) {
        CLEANUP_FREE char *path = xasprintf("%s%s%s", folder, str_ends(folder, "/") ? "" : "/", *n);

        if (!is_manifest(path))
            strv_add(&files, path);
    }
    if (!files)
        return err_new(err, ENOENT, "%s: no scenario (*.yml) in this folder", folder);
    *ret = steal_ptr(files);
    return 0;
}

static bool load_file(const char *path, char *const *overrides, struct scenarios *list)
{
    CLEANUP_BUF struct buf mistakes = BUF_INIT(MISTAKES_MAX);
    CLEANUP_ERR struct err *err = NULL;

    if (scenario_load(path, overrides, verb_table, verb_table_len, list, &mistakes, &err) >= 0)
        return true;
    fputs(buf_str(&mistakes), stderr);
    fprintf(stderr, "%s\n", err_text(err));
    return false;
}

/* A file, or those of a folder. */
static bool load(const char *path, char *const *overrides, struct scenarios *list, size_t *n_files)
{
    CLEANUP_STRV char **files = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct stat st;
    bool good = true;

    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
        ++*n_files;
        return load_file(path, overrides, list);
    }
    if (files_of(path, &files, &err) < 0) {
        fprintf(stderr, "%s\n", err_text(err));
        return false;
    }
    for (char **f = files; *f; f++, ++*n_files)
        good &= load_file(*f, overrides, list);
    return good;
}

static bool bears(const struct scenario *s, char *const *tags)
{
    for (char *const *t = tags; t && *t; t++)
        if (strv_has(s->tags, *t))
            return true;
    return !tags;
}

/* Keeps those that bear one of the tags and returns how many others there were. */
static size_t choose(struct scenarios *list, char *const *tags)
{
    size_t kept = 0, n = list->n;

    for (size_t i = 0; i < n; i++) {
        if (bears(list->items[i], tags))
            list->items[kept++] = list->items[i];
        else
            scenario_free(list->items[i]);
    }
    list->n = kept;
    return n - kept;
}

/* The folder that is meant where only tags are given. */
static bool load_ours(char *const *overrides, struct scenarios *list, size_t *n_files)
{
    CLEANUP(place_free) struct place *place = NULL;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *ours = NULL;

    if (place_new(&place, &err) < 0) {
        fprintf(stderr, "%s\n", err_text(err));
        return false;
    }
    ours = xasprintf("%s/scenarios", place->root);
    return load(ours, overrides, list, n_files);
}

bool scenarios_load(const struct scenarios_wanted *wanted, struct scenarios *ret,
                    struct scenarios_count *ret_count)
{
    struct scenarios_count count = { 0 };
    bool good = true;

    if (!*wanted->paths)
        good = load_ours(wanted->overrides, ret, &count.files);
    for (char *const *p = wanted->paths; *p; p++)
        good &= load(*p, wanted->overrides, ret, &count.files);
    count.scenarios = ret->n;
    count.without_tag = choose(ret, wanted->tags);
    if (ret_count)
        *ret_count = count;
    return good;
}
