/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/fleet_heal.h"

#include <dirent.h>
#include <errno.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/fleet_ask.h"
#include "rig/ledger/ledger.h"

#define STATUS_MS 10000
#define HEAL_MS 300000

static void nobody(const char *line, void *userdata)
{
    (void)line;
    (void)userdata;
}

int fleet_heal(const struct fleet *f, heal_told *told, void *userdata, struct err **err)
{
    CLEANUP_FREE char *lab = fleet_path(f, "lab"), *ledger = fleet_path(f, "lab/" LEDGER_NAME);
    int r = 0;

    /* A keeper that died before its lab began has written none. */
    if (file_exists(ledger))
        r = heal(lab, /* dry= */ false, told ? told : nobody, userdata, NULL, err);
    return r < 0 ? r : fleet_clear(f, err);
}

/* --- All of them ----------------------------------------------------------------------------- */

struct healing {
    bool dry;
    heal_told *told;
    void *userdata;
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void tell(const struct healing *h, const char *fmt,
                                                       ...)
{
    CLEANUP_FREE char *line = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&line, fmt, ap) < 0)
        abort();
    va_end(ap);
    h->told(line, h->userdata);
}

static int heal_dead(struct fleet *f, struct healing *h, struct err **err)
{
    int r;

    h->n++;
    if (h->dry) {
        tell(h, "would take back what the dead fleet %s left: %s", f->name, f->dir);
        return 0;
    }
    r = fleet_lock(f, err);
    if (r <= 0)
        return r; /* somebody else is at it */
    if ((r = fleet_heal(f, h->told, h->userdata, err)) < 0 || (r = fleet_remove(f, err)) < 0)
        return r;
    tell(h, "removed what the dead fleet %s left: %s", f->name, f->dir);
    return 0;
}

static int ask(const struct fleet *f, enum ask what, int64_t timeout_ms, struct answer *ret,
               struct err **err)
{
    CLEANUP(progress_free) struct progress *quiet = NULL;
    CLEANUP_FCLOSE FILE *nowhere = fopen("/dev/null", "we");
    const struct request request = { .ask = what };

    if (!nowhere)
        return err_errno(err, errno, "/dev/null");
    quiet = progress_new(nowhere, /* width= */ 0);
    return fleet_ask(f, &request, timeout_ms, quiet, NULL, ret, err);
}

static int heal_living(const struct fleet *f, struct healing *h, struct err **err)
{
    struct answer status = { 0 }, healed = { 0 };
    json_t *fault;
    size_t i, n;
    int r = ask(f, ASK_STATUS, STATUS_MS, &status, err);

    if (r < 0)
        return r;
    n = json_array_size(json_object_get(status.data, "faults"));
    json_array_foreach(json_object_get(status.data, "faults"), i, fault)
            tell(h, "fleet %s: %s: %s", f->name, h->dry ? "would take back" : "taking back",
                 json_path_str(fault, "sentence"));
    answer_done(&status);
    h->n += n;
    if (n == 0 || h->dry)
        return 0;
    r = ask(f, ASK_HEAL, HEAL_MS, &healed, err);
    if (r >= 0 && healed.exit != 0)
        r = err_new(err, EIO, "fleet %s: %s", f->name, healed.text);
    answer_done(&healed);
    return r;
}

static int heal_one(const struct place *place, const char *name, struct healing *h,
                    struct err **err)
{
    CLEANUP(fleet_free) struct fleet *f = NULL;
    int r = fleet_new(place, name, &f, err);

    if (r < 0)
        return r;
    switch (fleet_life(f)) {
    case FLEET_NONE:
        return 0;
    case FLEET_DEAD:
        return heal_dead(f, h, err);
    case FLEET_ALIVE:
        return heal_living(f, h, err);
    }
    return 0;
}

int fleets_heal(const struct place *place, bool dry, heal_told *told, void *userdata, size_t *ret_n,
                struct err **err)
{
    CLEANUP_FREE char *dir = xasprintf("%s/fleets", place->cache);
    struct healing h = { .dry = dry, .told = told, .userdata = userdata };
    CLEANUP_STRV char **names = NULL;
    DIR *d = opendir(dir);
    int r = 0;

    if (!d)
        return errno == ENOENT ? 0 : err_errno(err, errno, "%s", dir);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            strv_add(&names, e->d_name);
    closedir(d);
    for (char **name = names; name && *name; name++) {
        CLEANUP_ERR struct err *why = NULL;

        if (heal_one(place, *name, &h, &why) >= 0)
            continue;
        tell(&h, "%s", err_text(why));
        r = err_new(err, err_code(why), "%s", err_text(why));
    }
    *ret_n += h.n;
    return r;
}
