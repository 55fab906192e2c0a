/* SPDX-License-Identifier: AGPL-3.0-only */

/* The disks of servers; see rig/lab/lossy.h. */

#include "rig/verbs/disk.h"

#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/lossy.h"
#include "rig/verbs/look.h"

static const char *server(const struct sentence *s)
{
    return sentence_value(s, "SERVER");
}

static char *memory_key(const struct sentence *s)
{
    return xasprintf("lost by %s", server(s));
}

static void remember_loss(struct verb_run *run, const struct sentence *s, const char *text,
                          const struct lossy_count *lost)
{
    CLEANUP_FREE char *key = memory_key(s);

    json_object_set_new(
            run->memory, key,
            json_pack("{s:s, s:b}", "text", text, "any", lost->bytes > 0 || lost->names > 0));
}

static int drop_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                    struct err **err)
{
    struct supervisor *all = lab_supervisor(run->lab);
    pid_t pid = supervisor_pid(all, server(s));
    CLEANUP_FREE char *text = NULL;
    struct lossy_count lost;
    int r = supervisor_drop_unsynced(all, server(s), &lost, err);

    if (r < 0)
        return r;
    text = lossy_text(&lost);
    remember_loss(run, s, text, &lost);
    if (pid == 0)
        return noted(note, "it did not run; lost: %s", text);
    return noted(note, "process %d was killed; lost: %s", (int)pid, text);
}

/* What its last drop took. */
static int loss_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                      struct err **err)
{
    CLEANUP_FREE char *key = memory_key(s);
    const json_t *loss = json_object_get(run->memory, key);

    (void)err;
    if (!loss)
        return seen(ret, VERDICT_NEVER, "nothing was dropped");
    return seen(ret, json_is_true(json_object_get(loss, "any")) ? VERDICT_YES : VERDICT_NEVER, "%s",
                json_string_value(json_object_get(loss, "text")));
}

/* What was lost stays lost. */
static int drop_undo(struct verb_run *run, const struct sentence *s, struct err **err)
{
    if (supervisor_running(lab_supervisor(run->lab), server(s)))
        return 0;
    return lab_restart(run->lab, server(s), err);
}

static int sync_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                    struct err **err)
{
    CLEANUP_FREE char *text = NULL;
    struct lossy_count synced;
    int r = supervisor_sync_disk(lab_supervisor(run->lab), server(s), &synced, err);

    if (r < 0)
        return r;
    text = lossy_text(&synced);
    return noted(note, "%s", text);
}

const struct verb_impl verb_drop_unsynced = { .act = drop_act, .undo = drop_undo };
const struct verb_impl verb_sync_disk = { .act = sync_act };
const struct verb_impl verb_has_lost = { .check = loss_check };

static void add_lossy(const struct step *steps, size_t n_steps, char ***servers)
{
    for (size_t i = 0; i < n_steps; i++)
        for (size_t k = 0; k < steps[i].n_actions; k++) {
            const struct sentence *s = &steps[i].actions[k];

            if ((s->verb->impl == &verb_drop_unsynced || s->verb->impl == &verb_sync_disk) &&
                !strv_has(*servers, server(s)))
                strv_add(servers, server(s));
        }
}

char **disk_lossy(const struct scenario *s)
{
    char **servers = NULL;

    add_lossy(s->steps, s->n_steps, &servers);
    add_lossy(s->finally, s->n_finally, &servers);
    return servers;
}
