/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. A snapshot is made of a machine like any other whose memory is a file: it boots,
 * loads the container archives, stops, and QEMU writes all that is not memory beside it (migration to
 * a file with x-ignore-shared, which leaves shared memory where it is). A restored machine maps the same
 * file copy on write, so nothing is read ahead and what nobody writes is shared by all of them, and
 * has an overlay of its own on the snapshot's disk. It is the same hardware with another name and
 * other ports. A later power cycle is an ordinary boot from that overlay. See docs/adr/0009.
 *
 * An open snapshot is kept (and locked) until the machines are gone. `making` is held while one is
 * looked up or made, so machines that are switched on side by side make it once.
 */

#include <errno.h>
#include <libvirt/libvirt-qemu.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/deploy/score.h"
#include "rig/lab/calibrate.h"
#include "rig/lab/identity.h"
#include "rig/lab/machines_internal.h"

#define QEMU_MIN                                                                                   \
    8002000UL /* 8.2.0 as libvirt counts: migration to a file, read-only memory files */
#define ANSWER_MAX (1 << 20)
#define BOOT_MS 600000
#define SETTLE_MS 120000
#define MOVE_MS 60000 /* of a state to or from its file, less than a megabyte */
#define PATIENCE 4    /* of systemd in a snapshot, which is for slower days than this, too */
#define WAKE_MS 30000 /* a restored machine answers at once or never */
#define SLICE_MS 10
#define DISK_BYTES (512LL << 20) /* of a snapshot: what a boot and the archives write, with room */

/* --- the monitor ----------------------------------------------------------------------------- */

/* qemu.org/docs/master/interop/qemu-qmp-ref.html. `ret` may be NULL. */
static int qmp(struct machine *v, const char *command, json_t **ret, struct err **err)
{
    CLEANUP_JSON json_t *json = NULL;
    CLEANUP_FREE char *answer = NULL;
    int r;

    if (virDomainQemuMonitorCommand(v->domain, command, &answer, 0) < 0)
        return virt_error(err, "machine %s: %s", v->name, command);
    if ((r = json_parse(answer, strlen(answer), ANSWER_MAX, &json, err)) < 0)
        return r;
    if (!json_object_get(json, "return"))
        return err_new(err, EIO, "machine %s: %s", v->name, answer);
    if (ret)
        *ret = steal_ptr(json);
    return 0;
}

static int ignore_shared(struct machine *v, struct err **err)
{
    return qmp(v,
               "{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":"
               "[{\"capability\":\"x-ignore-shared\",\"state\":true}]}}",
               NULL, err);
}

/* `command`: "migrate" to the file, "migrate-incoming" from it. Returns when it is over. */
static int move_state(struct machine *v, const char *command, const char *file, struct err **err)
{
    CLEANUP_FREE char *uri = xasprintf("file:%s", file), *line = NULL;
    CLEANUP_JSON json_t *json =
            json_pack("{s:s, s:{s:s}}", "execute", command, "arguments", "uri", uri);
    int64_t deadline = clock_mono_ms() + MOVE_MS;
    int r;

    line = json_text(json);
    if ((r = ignore_shared(v, err)) < 0 || (r = qmp(v, line, NULL, err)) < 0)
        return r;
    for (;;) {
        CLEANUP_JSON json_t *answer = NULL;
        const char *status, *why;

        if ((r = supervisor_interrupted(v->all->supervisor, err)) < 0 ||
            (r = qmp(v, "{\"execute\":\"query-migrate\"}", &answer, err)) < 0)
            return r;
        status = json_path_str(answer, "return.status");
        why = json_path_str(answer, "return.error-desc");
        if (str_eq(status, "completed"))
            return 0;
        if (str_eq(status, "failed") || clock_left_ms(deadline) == 0)
            return err_new(err, EIO, "%s %s: %s", command, file, why ? why : "no end of it");
        poll(NULL, 0, SLICE_MS);
    }
}

/* --- making ---------------------------------------------------------------------------------- */

/* What the snapshot is made of. */
static int digest_of(struct machine *v, char **ret, struct err **err)
{
    struct domain d = machine_domain(v);
    CLEANUP_FREE char *xml = NULL, *hardware = NULL;
    struct warm_shape shape = { .image = v->image, .archives = (const char *const *)v->archives };

    if (virConnectGetVersion(v->all->virt.connection, &shape.emulator) < 0)
        return virt_error(err, "asking for the emulator's version");
    if (shape.emulator < QEMU_MIN)
        return err_new(err, ENOTSUP, "QEMU is older than 8.2, which a warm machine needs");
    d.name = d.kernel = d.initrd = d.cmdline = d.disk = d.console = "";
    d.uuid = NULL;
    d.n_forwards = 0;
    xml = domain_xml(&d);
    hardware = xasprintf("%s disk %d GiB", xml, v->disk_gb);
    shape.hardware = hardware;
    return warm_digest(&shape, ret, err);
}

/* A machine of v's kind that becomes the snapshot. */
static int new_model(struct machine *v, struct warm *w, struct machine **ret, struct err **err)
{
    CLEANUP_FREE char *key = NULL;
    CLEANUP(machine_free) struct machine *model = NULL;
    struct machine_spec spec = { .name = "WARM", /* no device is called so */
                                 .arch = v->arch,
                                 .image = v->image,
                                 .image_archives = (const char *const *)v->archives,
                                 .cpus = v->cpus,
                                 .memory_mb = v->memory_mb,
                                 .disk_gb = v->disk_gb };
    int r = remote_keygen(w->key, &key, err);

    if (r < 0)
        return r;
    spec.ssh_key = key;
    if ((r = machine_new(v->all, &spec, &model, err)) < 0 ||
        (r = remote_become(model->remote, w->key, NULL, err)) < 0)
        return r;
    model->patience = PATIENCE;
    replace_str(&model->disk, w->disk);
    *ret = steal_ptr(model);
    return 0;
}

static int boot_model(struct machine *model, const struct warm *w, struct err **err)
{
    CLEANUP_FREE char *base = xasprintf("%s/disk.qcow2", model->image);
    struct domain d = machine_domain(model);
    int r;

    d.ram = w->ram;
    if ((r = machine_make_disk(model, base, err)) < 0 || (r = machine_define(model, &d, err)) < 0)
        return r;
    if (virDomainCreateWithFlags(model->domain, VIR_DOMAIN_START_AUTODESTROY) < 0)
        return virt_error(err, "starting it");
    return machine_is_on(model, "power on", err);
}

static int save_model(struct machine *model, struct warm *w, struct err **err)
{
    const struct device_host *device = remote_device_host(model->remote);
    int r;

    if ((r = remote_wait(model->remote, scaled_ms(BOOT_MS, model->all->factor), err)) < 0)
        return r;
    machines_note(model->all, "warm machine: loading container archives");
    if (model->archives &&
        (r = images_side_load((const char *const *)model->archives, device, NULL, err)) < 0)
        return r;
    machines_note(model->all, "warm machine: settling and saving");
    if ((r = identity_prepare(model->remote, w->nonce, scaled_ms(SETTLE_MS, model->all->factor),
                              err)) < 0)
        return r;
    w->host_key = xstrdup(remote_fingerprint(model->remote));
    remote_drop(model->remote);
    if (virDomainSuspend(model->domain) < 0)
        return virt_error(err, "stopping it");
    return move_state(model, "migrate", w->state, err);
}

static void note_waiting(void *userdata)
{
    machines_note(userdata, "warm machine: another rig makes one, waiting for it");
}

static int interrupted(void *userdata, struct err **err)
{
    struct machines *m = userdata;

    return supervisor_interrupted(m->supervisor, err);
}

static int make_snapshot(struct machine *v, const char *digest, struct warm **ret, struct err **err)
{
    CLEANUP(warm_close) struct warm *w = NULL;
    struct machine *model = NULL;
    int64_t bytes = ((int64_t)v->memory_mb << 20) + DISK_BYTES;
    int r = warm_begin(v->all->cache_dir, digest, bytes, interrupted, note_waiting, v->all, &w,
                       err);

    if (r < 0)
        return r;
    machines_note(v->all, "warm machine: booting one, this once");
    if ((r = new_model(v, w, &model, err)) >= 0 && (r = boot_model(model, w, err)) >= 0)
        r = save_model(model, w, err);
    if (model) {
        virDomainDestroy(model->domain); /* in peace: QEMU writes the end of its disk */
        free(steal_ptr(model->disk));    /* the snapshot's */
    }
    machine_free(model);
    if (r < 0 || (r = warm_finish(w, err)) < 0)
        return r;
    *ret = steal_ptr(w);
    return 0;
}

/* --- which one ------------------------------------------------------------------------------- */

/* `making` is held. */
static int find_snapshot(struct machine *v, struct warm **ret, struct err **err)
{
    struct machines *m = v->all;
    CLEANUP_FREE char *digest = NULL;
    struct warm *w = NULL;
    int r = digest_of(v, &digest, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < m->n_snapshots; i++)
        if (!m->snapshots[i]->bad && str_eq(m->snapshots[i]->digest, digest)) {
            *ret = m->snapshots[i];
            return 0;
        }
    if (m->n_snapshots == ARRAY_LEN(m->snapshots))
        return err_new(err, ENOSPC, "more than %zu warm machines in one run", m->n_snapshots);
    do {
        CLEANUP_ERR struct err *why = NULL;
        CLEANUP_FREE char *damage = NULL;

        r = warm_open(m->cache_dir, digest, &w, &damage, &why);
        if (damage)
            machines_note(m, "warm machine: the one there is was damaged and is made again: %s",
                          damage);
        if (r == -ENOENT)
            r = make_snapshot(v, digest, &w, &why);
        if (r < 0 && r != -EEXIST)
            return err_new(err, -r, "%s", err_text(why));
    } while (r == -EEXIST);
    *ret = m->snapshots[m->n_snapshots++] = w;
    return 0;
}

static int take_snapshot(struct machine *v, struct warm **ret, struct err **err)
{
    int r;

    pthread_mutex_lock(&v->all->making);
    r = find_snapshot(v, ret, err);
    pthread_mutex_unlock(&v->all->making);
    return r;
}

/* It stays open, since several machines may stand on it, and find out at the same time. */
static void drop_snapshot(struct machines *m, struct warm *w)
{
    CLEANUP_ERR struct err *err = NULL;

    pthread_mutex_lock(&m->making);
    if (!w->bad && warm_discard(w, &err) < 0)
        machines_note(m, "warm machine: the bad snapshot cannot be removed, and is not used: %s",
                      err_text(err));
    w->bad = true;
    pthread_mutex_unlock(&m->making);
}

void machines_cool(struct machines *m)
{
    while (m->n_snapshots > 0)
        warm_close(m->snapshots[--m->n_snapshots]);
}

/* --- restoring ------------------------------------------------------------------------------- */

static int wake(struct machine *v, const struct warm *w, struct err **err)
{
    struct domain d = machine_domain(v);
    int r;

    d.ram = w->ram;
    d.ram_copied = d.incoming = true;
    if ((r = remote_become(v->remote, w->key, w->host_key, err)) < 0 ||
        (r = machine_make_disk(v, w->disk, err)) < 0 || (r = machine_define(v, &d, err)) < 0)
        return r;
    if (virDomainCreateWithFlags(v->domain,
                                 VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY) < 0)
        return virt_error(err, "starting it");
    if ((r = move_state(v, "migrate-incoming", w->state, err)) >= 0 &&
        virDomainResume(v->domain) < 0)
        r = virt_error(err, "letting it run");
    if (r < 0)
        virDomainDestroy(v->domain);
    return r;
}

int machine_restore(struct machine *v, struct err **err)
{
    for (int attempt = 0;; attempt++) {
        CLEANUP_ERR struct err *why = NULL;
        struct warm *w = NULL;
        int r = take_snapshot(v, &w, &why);

        if (r >= 0 && (r = wake(v, w, &why)) >= 0) {
            v->warm = w;
            v->nameless = true;
            return machine_is_on(v, "restored", err);
        }
        if (!w || r == -ECANCELED || attempt > 0)
            return err_new(err, -r, "%s", err_text(why));
        machines_note(v->all, "warm machine: %s cannot be restored from it, it is made again: %s",
                      v->name, err_text(why));
        drop_snapshot(v->all, w);
    }
}

static int try_name(struct machine *v, struct err **err)
{
    const struct warm *w = v->warm;
    struct identity identity = {
        .name = v->name, .ssh_key = v->ssh_key, .login = v->all->ssh_key, .nonce = w->nonce
    };
    int64_t wake_ms = scaled_ms(WAKE_MS, v->all->factor);
    int r = remote_wait(v->remote, wake_ms, err);

    if (r < 0 || (r = identity_give(v->remote, &identity, wake_ms, err)) < 0)
        return r;
    v->nameless = false;
    return 0;
}

/* It is neither wanted nor trusted any more. */
static void put_down(struct machine *v)
{
    pthread_mutex_lock(&v->all->lock);
    v->wanted = false;
    pthread_mutex_unlock(&v->all->lock);
    remote_drop(v->remote);
    virDomainDestroy(v->domain);
    supervisor_tell(v->all->supervisor, LAB_STOP, v->name, "failed its check");
}

int machine_name(struct machine *v, struct err **err)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        CLEANUP_ERR struct err *why = NULL;
        int r = try_name(v, &why);

        if (r >= 0)
            return 0;
        if (supervisor_interrupted(v->all->supervisor, err) < 0)
            return -ECANCELED;
        machines_note(v->all, "warm machine: %s fails its check: %s", v->name, err_text(why));
        put_down(v);
        drop_snapshot(v->all, v->warm);
        if (attempt > 0 || machine_restore(v, &why) < 0)
            break;
    }
    machines_note(v->all, "%s is booted: no warm machine works", v->name);
    return machine_boot(v, err);
}
