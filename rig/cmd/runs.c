/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/runs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

#define LOCK_NAME "lock"
#define STILLBORN_S 3600

/* A held lock on a run's folder, -1 when its run lasts, or is no run's. */
static int lock_folder(const char *path, int flags)
{
    CLEANUP_FREE char *name = xasprintf("%s/" LOCK_NAME, path);
    CLEANUP_CLOSE int fd = open(name, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -1;
    return steal_fd(&fd);
}

/* "20260421T181542.007Z": sorts by time. */
static void stamp(int64_t wall_ms, char text[static 40])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    char whole[32];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(whole, sizeof(whole), "%Y%m%dT%H%M%S", &tm);
    snprintf(text, 40, "%s.%03dZ", whole, (int)(wall_ms % 1000));
}

int run_folder_make(const char *dir, const char *scenario, char **ret_path, struct err **err)
{
    static int64_t last; /* no two of one process have the same time */
    int64_t now = clock_wall_ms();
    int r = dir_make(dir, 0755, err);

    if (now <= last)
        now = last + 1;
    while (r >= 0) {
        CLEANUP_FREE char *path = NULL;
        char at[40];

        stamp(last = now++, at);
        path = xasprintf("%s/%s-%s-%d", dir, at, scenario, (int)getpid());
        /* Others get through (the host's libvirt to the disks of machines) but see no names. */
        if (mkdir(path, 0711) == 0) {
            *ret_path = steal_ptr(path);
            return 0;
        }
        if (errno != EEXIST)
            r = err_errno(err, errno, "making the folder of the run, %s", path);
    }
    err_hint(err, "make %s writable for you, or choose another folder with --report-dir", dir);
    return r;
}

int run_folder_take(const char *path, struct run_folder **ret, struct err **err)
{
    CLEANUP(run_folder_free) struct run_folder *f = xcalloc(1, sizeof(*f));

    f->path = xstrdup(path);
    f->lock_fd = lock_folder(f->path, O_CREAT);
    if (f->lock_fd < 0)
        return err_errno(err, errno, "locking %s", f->path);
    *ret = steal_ptr(f);
    return 0;
}

int run_folder_new(const char *dir, const char *scenario, struct run_folder **ret, struct err **err)
{
    CLEANUP_FREE char *path = NULL;
    int r = run_folder_make(dir, scenario, &path, err);

    return r < 0 ? r : run_folder_take(path, ret, err);
}

static void remove_lab(const char *path)
{
    CLEANUP_FREE char *lab = xasprintf("%s/lab", path);

    dir_remove(lab, NULL);
}

void run_folder_free(struct run_folder *f)
{
    if (!f)
        return;
    if (f->lock_fd >= 0) {
        remove_lab(f->path);
        close(f->lock_fd);
    }
    free(f->path);
    free(f);
}

char **run_folders_list(const char *dir)
{
    char **names = NULL;
    DIR *d = opendir(dir);

    if (!d)
        return NULL;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            strv_add(&names, e->d_name);
    closedir(d);
    strv_sort(names);
    return names;
}

/* One whose process died before it could lock it stays empty. */
static void remove_stillborn(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && clock_wall_ms() / 1000 - st.st_mtime > STILLBORN_S)
        rmdir(path);
}

void run_folders_prune(const char *dir, size_t keep)
{
    CLEANUP_STRV char **names = run_folders_list(dir);
    size_t n = strv_len(names);

    for (size_t i = 0; i + keep < n; i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", dir, names[i]);
        CLEANUP_FREE char *lab = xasprintf("%s/lab", path);
        CLEANUP_CLOSE int fd = lock_folder(path, 0);

        if (fd < 0)
            remove_stillborn(path);
        else if (!file_exists(lab))
            dir_remove(path, NULL);
    }
}

bool run_folder_lives(const char *path)
{
    CLEANUP_FREE char *name = xasprintf("%s/" LOCK_NAME, path);
    CLEANUP_CLOSE int fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

/* --- Finding one ----------------------------------------------------------------------------- */

/* "20260421T181542Z-hello-123" is of the scenario "hello". */
static bool is_of_scenario(const char *name, const char *scenario)
{
    const char *first = strchr(name, '-'), *last = strrchr(name, '-');
    size_t len = strlen(scenario);

    return first && last > first && (size_t)(last - first - 1) == len &&
           strncmp(first + 1, scenario, len) == 0;
}

/* The folder that a path means: itself, or that of a file in it. */
static int find_path(const char *path, char **ret, struct err **err)
{
    CLEANUP_FREE char *absolute = realpath(path, NULL);
    struct stat st;

    if (!absolute || stat(absolute, &st) < 0)
        return err_errno(err, errno, "%s", path);
    if (!S_ISDIR(st.st_mode))
        *strrchr(absolute, '/') = '\0';
    *ret = steal_ptr(absolute);
    return 0;
}

/* Of several that begin so, the error names the last ones. */
static int ambiguous(const char *wanted, char *const *names, struct err **err)
{
    CLEANUP_STRV char **some = NULL;
    CLEANUP_FREE char *text = NULL;

    for (size_t i = strv_len(names); i > 0 && strv_len(some) < 5; i--)
        if (str_starts(names[i - 1], wanted))
            strv_add(&some, names[i - 1]);
    text = strv_join(some, ", ");
    err_new(err, EINVAL, "several runs begin with %s: %s", wanted, text);
    return err_hint(err, "'rig report --list' lists all of them");
}

static int no_run(const char *dir, const char *wanted, struct err **err)
{
    if (!wanted)
        return err_new(err, ENOENT, "there are no runs in %s", dir);
    err_new(err, ENOENT, "there is no run %s in %s", wanted, dir);
    return err_hint(err, "'rig report --list' lists those that there are");
}

int run_folder_find(const char *dir, const char *wanted, char **ret, struct err **err)
{
    CLEANUP_STRV char **names = NULL;
    const char *begins = NULL, *scenario = NULL;
    size_t n_begin = 0;

    if (wanted && (strchr(wanted, '/') || str_eq(wanted, ".")))
        return find_path(wanted, ret, err);
    names = run_folders_list(dir);
    for (char **name = names; name && *name; name++) {
        if (str_eq(*name, wanted))
            n_begin = 0;
        if (!wanted || str_starts(*name, wanted))
            begins = *name, n_begin++;
        if (wanted && is_of_scenario(*name, wanted))
            scenario = *name;
        if (str_eq(*name, wanted))
            break;
    }
    if (wanted && n_begin > 1)
        return ambiguous(wanted, names, err);
    if (!begins && !scenario)
        return no_run(dir, wanted, err);
    *ret = xasprintf("%s/%s", dir, begins ? begins : scenario);
    return 0;
}

/* --- What dead runs left --------------------------------------------------------------------- */

struct healed {
    heal_told *told;
    void *userdata;
    const char *path;
    bool named; /* whose things they are was told */
};

static void on_healed(const char *line, void *userdata)
{
    struct healed *h = userdata;
    CLEANUP_FREE char *text = xasprintf("  %s", line);

    if (!h->named)
        h->told(h->path, h->userdata);
    h->named = true;
    h->told(text, h->userdata);
}

/* The lab of a run whose lock is ours. */
static int heal_one(struct healed *h, bool dry, size_t *n)
{
    CLEANUP_FREE char *lab = xasprintf("%s/lab", h->path), *line = NULL, *why = NULL;
    CLEANUP_ERR struct err *err = NULL;
    size_t left = 0;

    if (!file_exists(lab))
        return 0;
    if (heal(lab, dry, on_healed, h, &left, &err) >= 0) {
        line = xasprintf("%s %s", dry ? "would remove" : "removing", lab);
        on_healed(line, h);
        left++;
        if (!dry)
            dir_remove(lab, &err);
    }
    *n += left;
    if (!err)
        return 0;
    why = err_text_full(err);
    on_healed(why, h);
    return -EBUSY;
}

int run_folders_heal(const char *dir, bool dry, heal_told *told, void *userdata, size_t *ret_n)
{
    CLEANUP_STRV char **names = run_folders_list(dir);
    size_t n = 0;
    int r = 0;

    for (char **name = names; name && *name; name++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", dir, *name);
        CLEANUP_CLOSE int fd = lock_folder(path, 0);
        struct healed h = { .told = told, .userdata = userdata, .path = path };

        if (fd >= 0 && heal_one(&h, dry, &n) < 0)
            r = -EBUSY;
    }
    *ret_n = n;
    return r;
}
