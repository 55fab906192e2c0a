/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/place.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/* Cuts the last `n` pieces off a path. */
static void cut(char *path, int n)
{
    while (n-- > 0) {
        char *slash = strrchr(path, '/');

        if (!slash)
            return;
        *slash = '\0';
    }
}

/* $VARIABLE/fleetrig/NAME, or $HOME/OTHERWISE/fleetrig/NAME. */
static int under_home(const char *variable, const char *otherwise, const char *name, char **ret,
                      struct err **err)
{
    const char *value = getenv(variable), *home = getenv("HOME");

    if (value && value[0] == '/')
        *ret = xasprintf("%s/fleetrig%s", value, name);
    else if (home && home[0] == '/')
        *ret = xasprintf("%s/%s/fleetrig%s", home, otherwise, name);
    else
        return err_new(err, ENOENT, "neither %s nor HOME is set", variable);
    return 0;
}

int place_new(struct place **ret, struct err **err)
{
    CLEANUP(place_free) struct place *p = xcalloc(1, sizeof(*p));
    const char *root = getenv("FLEETRIG_ROOT");
    CLEANUP_FREE char *images = NULL;
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int r;

    if (len < 0)
        return err_errno(err, errno, "/proc/self/exe");
    self[len] = '\0';
    p->programs = xstrdup(self);
    cut(p->programs, 1);
    p->root = xstrdup(root && *root ? root : p->programs);
    if (!root || !*root)
        cut(p->root, 3);
    images = xasprintf("%s/images", p->root);
    if (!file_exists(images)) {
        err_new(err, ENOENT, "there is no %s", images);
        return err_hint(err, "set FLEETRIG_ROOT to the checkout that this program belongs to");
    }
    r = under_home("XDG_CACHE_HOME", ".cache", "", &p->cache, err);
    if (r < 0)
        return r;
    r = under_home("XDG_CONFIG_HOME", ".config", "/rig.yml", &p->settings, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(p);
    return 0;
}

void place_free(struct place *p)
{
    if (!p)
        return;
    free(p->root);
    free(p->programs);
    free(p->cache);
    free(p->settings);
    free(p);
}
