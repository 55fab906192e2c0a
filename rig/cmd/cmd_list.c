/* SPDX-License-Identifier: AGPL-3.0-only */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/place.h"
#include "rig/cmd/rig.h"

/* The scenario files of a folder, sorted. */
static int files_of(const char *folder, char ***ret, struct err **err)
{
    CLEANUP_STRV char **files = NULL;
    DIR *dir = opendir(folder);

    if (!dir)
        return err_errno(err, errno, "%s", folder);
    for (struct dirent *d; (d = readdir(dir));)
        if (str_ends(d->d_name, ".yml") && d->d_name[0] != '.')
            strv_addf(&files, "%s/%s", folder, d->d_name);
    closedir(dir);
    strv_sort(files);
    *ret = steal_ptr(files);
    return 0;
}

/* Up to the first full stop, its line ends made spaces. */
static char *first_sentence(const char *story)
{
    const char *stop = strstr(story, ". ");
    char *text = xstrndup(story, stop ? (size_t)(stop + 1 - story) : strcspn(story, "\n"));

    for (char *c = text; *c; c++)
        if (*c == '\n')
            *c = ' ';
    return text;
}

static void list_one(const struct scenario *s)
{
    CLEANUP_FREE char *story = first_sentence(s->story), *tags = strv_join(s->tags, " ");

    printf("%s  %zu device%s  [%s]  %s\n    %s\n", s->name, s->n_devices,
           s->n_devices == 1 ? "" : "s", tags, s->path, story);
}

static bool list_folder(const char *folder)
{
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    CLEANUP_STRV char **files = NULL;
    CLEANUP_ERR struct err *err = NULL;
    bool good;

    if (files_of(folder, &files, &err) < 0) {
        fprintf(stderr, "%s\n", err_text(err));
        return false;
    }
    if (!files)
        return true;
    good = scenarios_load(files, &list);
    for (size_t i = 0; i < list.n; i++)
        list_one(list.items[i]);
    return good;
}

int cmd_list(const struct verbs_args *args, void *userdata)
{
    CLEANUP(place_free) struct place *place = NULL;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *ours = NULL;
    bool good = true;

    (void)userdata;
    for (char **d = args->positional; *d; d++)
        good &= list_folder(*d);
    if (args->n_positional > 0)
        return good ? RIG_PASSED : RIG_USAGE;
    if (place_new(&place, &err) < 0) {
        fprintf(stderr, "%s\n", err_text(err));
        return RIG_USAGE;
    }
    ours = xasprintf("%s/scenarios", place->root);
    return list_folder(ours) ? RIG_PASSED : RIG_USAGE;
}
