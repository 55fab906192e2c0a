/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: a thread for each device switches it on, waits for it and installs its agent
 * as soon as NATS serves, while the thread that made the lab brings up the servers. Only that one
 * starts servers, since a child is tied to the thread that started it. What fails first counts: it
 * cancels every wait of the supervisor, so that the others end, and it is what the caller is told.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/deploy/score.h"
#include "rig/lab/calibrate.h"
#include "rig/lab/lab_internal.h"
#include "rig/lab/remote.h"
#include "rig/lab/virt.h"

#define HEARTBEAT_MS 60000 /* until an agent's first one */
#define IDENTITY_MS 30000
#define SLICE_MS 100

struct hand {
    struct lab_crew *crew;
    struct lab_member *member;
    pthread_t thread;
};

struct lab_crew {
    struct lab *lab;
    struct hand *hands;
    size_t n;
    pthread_mutex_t lock;
    bool nats_is_up;
    struct err *failure; /* the first */
};

static struct machine_spec spec_of(const struct lab *lab, const struct lab_member *m)
{
    return (struct machine_spec){ .name = m->name,
                                  .arch = m->arch,
                                  .image = m->image->dir,
                                  .ssh_key = lab->public_key,
                                  .cpus = lab->cpus,
                                  .memory_mb = lab->memory_mb,
                                  .disk_gb = lab->disk_gb,
                                  .image_archives = (const char *const *)m->archives };
}

static void on_note(const char *line, void *userdata)
{
    lab_say(userdata, "%s", line);
}

int lab_machines_open(struct lab *lab, struct err **err)
{
    CLEANUP_FREE char *prefix = xasprintf(VIRT_PREFIX "%d", (int)getpid());
    struct lab_phase phase = lab_phase_begin(lab, "libvirt");
    struct machines_config config = { .dir = lab->dir,
                                      .cache_dir = lab->cache_dir,
                                      .prefix = prefix,
                                      .uri = lab->libvirt_uri,
                                      .ssh_key = lab->key_path,
                                      .accel = lab->accel,
                                      .cold = lab->cold,
                                      .note = on_note,
                                      .userdata = lab };
    int r;

    if ((r = remote_keygen(lab->key_path, &lab->public_key, err)) < 0 ||
        (r = machines_new(lab->supervisor, &config, &lab->machines, err)) < 0)
        return r;
    lab_phase_end(lab, &phase);
    return 0;
}

static int interrupted(void *userdata, struct err **err)
{
    return supervisor_interrupted(userdata, err);
}

static int measure(struct lab *lab, const struct lab_member *m, struct err **err)
{
    CLEANUP_FREE char *why = NULL;
    const char *accel = NULL;
    double factor = 1;
    int r = machines_choose_accel(lab->machines, m->arch, m->image->dir, &accel, err);

    if (r < 0 ||
        (r = calibrate(m->arch, accel, interrupted, lab->supervisor, &factor, &why, err)) < 0)
        return r;
    if (why)
        lab_say(lab, "how slow %s is cannot be measured: %s", m->arch, why);
    if (factor > lab->factor)
        lab->factor = factor;
    return 0;
}

int lab_measure(struct lab *lab, struct err **err)
{
    struct lab_phase phase = lab_phase_begin(lab, "calibrating");

    lab->factor = 1;
    for (size_t i = 0; i < lab->n_members; i++) {
        bool known = false;
        int r;

        for (size_t k = 0; k < i; k++)
            known |= str_eq(lab->members[k].arch, lab->members[i].arch);
        if (!known && (r = measure(lab, &lab->members[i], err)) < 0)
            return r;
    }
    supervisor_scale(lab->supervisor, lab->factor);
    machines_scale(lab->machines, lab->factor);
    lab_phase_end(lab, &phase);
    return 0;
}

static int learn_identity(struct lab *lab, struct lab_member *m, const struct device_host *device,
                          struct err **err)
{
    static const char *const read_id[] = { "cat", "/etc/machine-id", NULL };
    CLEANUP_FREE char *id = NULL;
    int r = device_run(device, read_id, scaled_ms(IDENTITY_MS, lab->factor), &id, err);

    if (r < 0)
        return err_wrap(err, "identity of %s", m->name);
    m->identity = xasprintf("machine-id %.*s host key %s", (int)strcspn(id, "\n"), id,
                            machine_fingerprint(lab->machines, m->name));
    return 0;
}

int lab_deploy_agent(struct lab *lab, const struct lab_member *m, const struct device_host *device,
                     struct bus *bus, struct err **err)
{
    CLEANUP_FREE char *program = xasprintf("%s/fleet-agent", lab->programs);
    CLEANUP_FREE char *unit = xasprintf("%s/fleet/agent/fleet-agent.service", lab->root);
    struct agent_score agent = { .device_id = m->name,
                                 .labels = (const char *const *)m->labels,
                                 .program = program,
                                 .unit = unit,
                                 .nats_url = lab->devices_nats,
                                 .nats_user = NATS_DEVICE_USER,
                                 .nats_password = lab->device_password,
                                 .heartbeat_ms = lab->heartbeat_ms,
                                 .tick_ms = lab->tick_ms,
                                 .image_archives = (const char *const *)m->archives };
    struct outcome outcome = { 0 };
    int r = lab_component(lab,
                          agent_score_deploy(&agent, device, bus,
                                             scaled_ms(HEARTBEAT_MS, lab->factor), &outcome, err));

    if (r < 0)
        return r;
    lab_say(lab, "agent: %s", outcome.detail);
    return 0;
}

static int switch_on(struct lab *lab, struct lab_member *m, const struct machine_spec *spec,
                     const struct device_host **ret, struct err **err)
{
    const struct machine_host *host = machines_host(lab->machines);
    struct lab_phase phase = lab_phase_begin(lab, "machine %s: switching on", m->name);
    struct outcome outcome = { 0 };
    int r = host->ensure(host->impl, spec, NULL, err);

    if (r < 0)
        return err_wrap(err, "machine %s", m->name);
    lab_phase_end(lab, &phase);
    phase = lab_phase_begin(lab, "machine %s: waiting for SSH", m->name);
    if ((r = vm_score_deploy(spec, host, scaled_ms(lab->boot_timeout_ms, lab->factor), ret,
                             &outcome, err)) < 0 ||
        (r = learn_identity(lab, m, *ret, err)) < 0)
        return r;
    lab_phase_end(lab, &phase);
    lab_say(lab, "machine: %s", outcome.detail);
    return 0;
}

static bool nats_is_up(struct lab_crew *crew)
{
    bool is;

    pthread_mutex_lock(&crew->lock);
    is = crew->nats_is_up;
    pthread_mutex_unlock(&crew->lock);
    return is;
}

/* The server's own deadline ends this wait, too. */
static int await_nats(struct lab_crew *crew, struct err **err)
{
    int r;

    while (!nats_is_up(crew)) {
        if ((r = supervisor_interrupted(crew->lab->supervisor, err)) < 0)
            return r;
        poll(NULL, 0, SLICE_MS);
    }
    return 0;
}

static int enrol(struct hand *h, struct err **err)
{
    struct lab *lab = h->crew->lab;
    struct machine_spec spec = spec_of(lab, h->member);
    CLEANUP(bus_free) struct bus *bus = NULL; /* one thread's */
    const struct device_host *device = NULL;
    struct lab_phase phase;
    int r;

    if ((r = switch_on(lab, h->member, &spec, &device, err)) < 0 ||
        (r = await_nats(h->crew, err)) < 0 || (r = lab_connect(lab, &bus, err)) < 0)
        return r;
    phase = lab_phase_begin(lab, "agent of %s", h->member->name);
    if ((r = lab_deploy_agent(lab, h->member, device, bus, err)) < 0)
        return r;
    lab_phase_end(lab, &phase);
    return 0;
}

/* Takes what `why` holds, if it is the first failure. */
static void fail(struct lab_crew *crew, struct err **why)
{
    pthread_mutex_lock(&crew->lock);
    if (!crew->failure) {
        crew->failure = steal_ptr(*why);
        supervisor_cancel(crew->lab->supervisor, true);
    }
    pthread_mutex_unlock(&crew->lock);
}

static void *work(void *userdata)
{
    struct hand *h = userdata;
    CLEANUP_ERR struct err *err = NULL;

    if (enrol(h, &err) < 0)
        fail(h->crew, &err);
    return NULL;
}

int lab_devices_begin(struct lab *lab, struct lab_crew **ret, struct err **err)
{
    struct lab_crew *crew = xcalloc(1, sizeof(*crew));
    int r = 0;

    crew->lab = lab;
    crew->hands = xcalloc(lab->n_members + 1, sizeof(*crew->hands));
    pthread_mutex_init(&crew->lock, NULL);
    *ret = crew;
    for (; r == 0 && crew->n < lab->n_members; crew->n++) {
        struct hand *h = &crew->hands[crew->n];

        *h = (struct hand){ .crew = crew, .member = &lab->members[crew->n] };
        if ((r = pthread_create(&h->thread, NULL, work, h)) != 0)
            break;
    }
    return r ? err_errno(err, r, "starting a thread") : 0;
}

void lab_devices_go_on(struct lab_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->nats_is_up = true;
    pthread_mutex_unlock(&crew->lock);
}

int lab_devices_end(struct lab_crew *crew, int servers, struct err **err)
{
    struct supervisor *supervisor = crew->lab->supervisor;
    int r = servers;

    if (servers < 0 && err)
        fail(crew, err);
    for (size_t i = 0; i < crew->n; i++)
        pthread_join(crew->hands[i].thread, NULL);
    supervisor_cancel(supervisor, false);
    if (crew->failure) {
        r = -err_code(crew->failure);
        if (err) {
            err_free(*err);
            *err = steal_ptr(crew->failure);
        }
    }
    err_free(crew->failure);
    pthread_mutex_destroy(&crew->lock);
    free(crew->hands);
    free(crew);
    return r;
}
