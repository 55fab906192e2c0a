/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/rig.h"

const struct verbs_option cmd_list_options[] = {
    { "tag", 0, "TAG", "only scenarios that bear it; given again, one of them", NULL },
    { 0 },
};

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

/* "2 devices", or of variants "1 to 4 devices". */
static void list_devices(struct scenario *const *variants, size_t n)
{
    size_t fewest = variants[0]->n_devices, most = fewest;

    for (size_t i = 1; i < n; i++) {
        fewest = variants[i]->n_devices < fewest ? variants[i]->n_devices : fewest;
        most = variants[i]->n_devices > most ? variants[i]->n_devices : most;
    }
    if (fewest < most)
        printf("%zu to ", fewest);
    printf("%zu device%s", most, most == 1 ? "" : "s");
}

/* The scenarios of one file, which are several only with a matrix. */
static void list_file(struct scenario *const *variants, size_t n)
{
    const struct scenario *s = variants[0];
    CLEANUP_FREE char *story = first_sentence(s->story), *tags = strv_join(s->tags, " ");
    CLEANUP_FREE char *needs = strv_join(s->needs, " ");
    size_t name = strcspn(s->name, "[");

    printf("%.*s  ", (int)name, s->name);
    list_devices(variants, n);
    printf("  [%s]  %s\n    %s\n", tags, s->path, story);
    if (*needs)
        printf("    needs %s\n", needs);
    for (size_t i = 0; i < n; i++)
        if (variants[i]->name[name])
            printf("      %s\n", variants[i]->name);
}

int cmd_list(const struct verbs_args *args, void *userdata)
{
    CLEANUP_STRV char **tags = verbs_values(args, "tag");
    struct scenarios_wanted wanted = { .paths = args->positional, .tags = tags };
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    bool good = scenarios_load(&wanted, &list, NULL);

    (void)userdata;
    for (size_t i = 0, n; i < list.n; i += n) {
        for (n = 1; i + n < list.n; n++)
            if (!str_eq(list.items[i + n]->path, list.items[i]->path))
                break;
        list_file(&list.items[i], n);
    }
    return good ? RIG_PASSED : RIG_USAGE;
}
