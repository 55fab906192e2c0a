/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: one thread. What takes long runs in processes anyway, so provisioning in
 * parallel is a matter of order: artefacts first (all recipes side by side), then every machine is
 * switched on, and while they boot the control plane and the servers come up; then each machine is
 * waited for and gets its agent. Everything is deployed by its score; a machine that was switched on
 * early is one that its score finds done.
 */

#include "rig/lab/lab.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/deploy/score.h"
#include "rig/lab/lab_internal.h"
#include "rig/lab/lossy.h"
#include "rig/lab/observer.h"
#include "rig/lab/remote.h"
#include "rig/lab/virt.h"

#define NATS_DEVICE_USER "fleet-device"
#define NATS_MS 15000
#define HEARTBEAT_MS 60000 /* until an agent's first one */
#define IDENTITY_MS 30000

/* --- phases ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void say(struct lab *lab, const char *fmt, ...)
{
    char line[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (lab->progress)
        lab->progress(line, lab->userdata);
}

static void tell_phase(struct lab *lab, const char *name, bool end)
{
    if (!lab->phase)
        return;
    pthread_mutex_lock(&lab->telling);
    lab->phase(name, end, lab->userdata);
    pthread_mutex_unlock(&lab->telling);
}

/* Begins one and says so. Its number. */
__attribute__((format(printf, 2, 3))) static size_t phase_begin(struct lab *lab, const char *fmt,
                                                                ...)
{
    char *name;
    va_list ap;

    lab->phases = grow(lab->phases, lab->n_phases, &lab->cap_phases, sizeof(*lab->phases));
    name = lab->phases[lab->n_phases];
    va_start(ap, fmt);
    vsnprintf(name, sizeof(*lab->phases), fmt, ap);
    va_end(ap);
    say(lab, "%s", name);
    tell_phase(lab, name, /* end= */ false);
    return lab->n_phases++;
}

static void phase_end(struct lab *lab, size_t phase)
{
    tell_phase(lab, lab->phases[phase], /* end= */ true);
}

/* --- artefacts ------------------------------------------------------------------------------- */

static const char *debian_arch(const char *arch)
{
    return str_eq(arch, "aarch64") ? "arm64" : "amd64";
}

static struct artefact *find_artefact(struct lab *lab, const char *recipe, const char *argument)
{
    for (size_t i = 0; i < lab->n_artefacts; i++)
        if (str_eq(lab->artefacts[i].recipe, recipe) &&
            str_eq(lab->artefacts[i].argument, argument))
            return &lab->artefacts[i];
    return NULL;
}

static void want_artefact(struct lab *lab, const char *recipe, const char *argument)
{
    if (find_artefact(lab, recipe, argument))
        return;
    lab->artefacts =
            grow(lab->artefacts, lab->n_artefacts, &lab->cap_artefacts, sizeof(*lab->artefacts));
    lab->artefacts[lab->n_artefacts++] =
            (struct artefact){ .recipe = recipe, .argument = argument };
}

static void on_build(const char *line, void *userdata)
{
    say(userdata, "%s", line);
}

/* Our own API server is needed where nobody named another one. */
static bool needs_apiserver(const struct lab *lab)
{
    const char *assets = getenv("KUBEBUILDER_ASSETS");

    return !lab->apiserver && !(assets && *assets);
}

static int get_artefacts(struct lab *lab, struct err **err)
{
    CLEANUP_FREE char *images = xasprintf("%s/images", lab->root), *nats = NULL;
    size_t phase = phase_begin(lab, "artefacts");
    struct artefact *server;
    int r;

    want_artefact(lab, "nats", NULL);
    if (needs_apiserver(lab))
        want_artefact(lab, "apiserver", NULL);
    for (size_t i = 0; i < lab->n_members; i++) {
        want_artefact(lab, "device", debian_arch(lab->members[i].arch));
        want_artefact(lab, "hello", debian_arch(lab->members[i].arch));
    }
    r = artefacts_ensure(images, lab->artefacts, lab->n_artefacts, lab->stop, on_build, lab, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < lab->n_members; i++) {
        struct lab_member *m = &lab->members[i];

        m->image = find_artefact(lab, "device", debian_arch(m->arch));
        m->hello = find_artefact(lab, "hello", debian_arch(m->arch));
        strv_addf(&m->archives, "%s/hello-v1.tar", m->hello->dir);
        strv_addf(&m->archives, "%s/hello-v2.tar", m->hello->dir);
    }
    if ((server = find_artefact(lab, "apiserver", NULL)))
        lab->apiserver = xasprintf("%s/bin/crd-apiserver", server->dir);
    nats = xasprintf("%s/bin/nats-server", find_artefact(lab, "nats", NULL)->dir);
    supervisor_program(lab->supervisor, "nats-server", nats);
    phase_end(lab, phase);
    return 0;
}

/* --- machines -------------------------------------------------------------------------------- */

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
    say(userdata, "%s", line);
}

static int switch_on(struct lab *lab, struct err **err)
{
    CLEANUP_FREE char *prefix = xasprintf(VIRT_PREFIX "%d", (int)getpid());
    size_t phase = phase_begin(lab, "machines: switching on");
    const struct machine_host *host;
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
    host = machines_host(lab->machines);
    for (size_t i = 0; i < lab->n_members; i++) {
        struct machine_spec spec = spec_of(lab, &lab->members[i]);

        if ((r = host->ensure(host->impl, &spec, NULL, err)) < 0)
            return err_wrap(err, "machine %s", spec.name);
    }
    phase_end(lab, phase);
    return 0;
}

static int learn_identity(struct lab *lab, struct lab_member *m, const struct device_host *device,
                          struct err **err)
{
    static const char *const read_id[] = { "cat", "/etc/machine-id", NULL };
    CLEANUP_FREE char *id = NULL;
    int r = device_run(device, read_id, IDENTITY_MS, &id, err);

    if (r < 0)
        return err_wrap(err, "identity of %s", m->name);
    m->identity = xasprintf("machine-id %.*s host key %s", (int)strcspn(id, "\n"), id,
                            machine_fingerprint(lab->machines, m->name));
    return 0;
}

/* The outcome of a component's score. */
static int component(struct lab *lab, int r)
{
    lab->component_failed |= r < 0;
    return r;
}

int lab_deploy_agent(struct lab *lab, const struct lab_member *m, const struct device_host *device,
                     struct err **err)
{
    const struct service_host *host = supervisor_service_host(lab->supervisor, DEVICES_SEE);
    CLEANUP_FREE char *endpoint = NULL, *url = NULL;
    CLEANUP_FREE char *program = xasprintf("%s/fleet-agent", lab->programs);
    CLEANUP_FREE char *unit = xasprintf("%s/fleet/agent/fleet-agent.service", lab->root);
    struct agent_score agent = { .device_id = m->name,
                                 .labels = (const char *const *)m->labels,
                                 .program = program,
                                 .unit = unit,
                                 .nats_user = NATS_DEVICE_USER,
                                 .nats_password = lab->device_password,
                                 .heartbeat_ms = lab->heartbeat_ms,
                                 .tick_ms = lab->tick_ms,
                                 .image_archives = (const char *const *)m->archives };
    struct outcome outcome = { 0 };
    int r = host->endpoint(host->impl, "nats", "client", FOR_DEVICES, &endpoint, err);

    if (r < 0)
        return r;
    url = xasprintf("nats://%s", endpoint);
    agent.nats_url = url;
    r = component(lab, agent_score_deploy(&agent, device, lab->bus, HEARTBEAT_MS, &outcome, err));
    if (r < 0)
        return r;
    say(lab, "agent: %s", outcome.detail);
    return 0;
}

static int enrol(struct lab *lab, struct lab_member *m, struct err **err)
{
    struct machine_spec spec = spec_of(lab, m);
    size_t phase = phase_begin(lab, "machine %s: waiting for SSH", m->name);
    const struct device_host *device = NULL;
    struct outcome outcome = { 0 };
    int r;

    r = vm_score_deploy(&spec, machines_host(lab->machines), lab->boot_timeout_ms, &device,
                        &outcome, err);
    if (r < 0 || (r = learn_identity(lab, m, device, err)) < 0)
        return r;
    phase_end(lab, phase);
    say(lab, "machine: %s", outcome.detail);
    phase = phase_begin(lab, "agent of %s", m->name);
    if ((r = lab_deploy_agent(lab, m, device, err)) < 0)
        return r;
    phase_end(lab, phase);
    return 0;
}

/* --- servers --------------------------------------------------------------------------------- */

static char *random_password(void)
{
    unsigned char raw[16];
    char hex[2 * sizeof(raw) + 1];

    randombytes_buf(raw, sizeof(raw));
    return xstrdup(sodium_bin2hex(hex, sizeof(hex), raw, sizeof(raw)));
}

static int connect_bus(struct lab *lab, const struct service_host *host, struct err **err)
{
    CLEANUP_FREE char *endpoint = NULL, *url = NULL;
    struct bus_config config = { .name = "rig", .user = NATS_USER, .password = lab->password };
    int r = host->endpoint(host->impl, "nats", "client", FOR_SERVERS, &endpoint, err);

    if (r < 0)
        return r;
    url = xasprintf("nats://%s", endpoint);
    config.url = url;
    return bus_new(&config, NULL, NULL, NATS_MS, &lab->bus, err);
}

int lab_deploy_operator(struct lab *lab, struct err **err)
{
    CLEANUP_FREE char *program = xasprintf("%s/fleet-operator", lab->programs);
    struct operator_score op = { .program = program,
                                 .nats_user = NATS_USER,
                                 .nats_password = lab->password,
                                 .unreachable_after_ms = lab->unreachable_after_ms };
    struct outcome outcome = { 0 };

    return component(
            lab, operator_score_deploy(&op, supervisor_service_host(lab->supervisor, DEVICES_SEE),
                                       control_plane_api(lab->control), &outcome, err));
}

static int start_servers(struct lab *lab, struct err **err)
{
    const struct service_host *host = supervisor_service_host(lab->supervisor, DEVICES_SEE);
    struct nats_score nats = { .user = NATS_USER,
                               .password = lab->password,
                               .device_user = NATS_DEVICE_USER,
                               .device_password = lab->device_password };
    const struct kube_api *api;
    struct outcome outcome = { 0 };
    size_t phase = phase_begin(lab, "Kubernetes API");
    int r;

    r = control_plane_start(lab->supervisor, lab->dir, lab->apiserver, &lab->control, err);
    if (r < 0)
        return err_wrap(err, "control plane");
    phase_end(lab, phase);
    api = control_plane_api(lab->control);
    phase = phase_begin(lab, "custom resource definitions");
    if ((r = component(lab, crd_score_deploy(api, &outcome, err))) < 0)
        return r;
    phase_end(lab, phase);
    phase = phase_begin(lab, "NATS");
    if ((r = component(lab, nats_score_deploy(&nats, host, &outcome, err))) < 0 ||
        (r = connect_bus(lab, host, err)) < 0)
        return r;
    phase_end(lab, phase);
    phase = phase_begin(lab, "operator");
    if ((r = lab_deploy_operator(lab, err)) < 0)
        return r;
    phase_end(lab, phase);
    return 0;
}

/* --- events ---------------------------------------------------------------------------------- */

void lab_tell(struct lab *lab, enum lab_event_kind kind, const char *lane, const char *text)
{
    if (!lab->event)
        return;
    pthread_mutex_lock(&lab->telling);
    lab->event(kind, lane, text, lab->userdata);
    pthread_mutex_unlock(&lab->telling);
}

static void on_event(enum lab_event_kind kind, const char *lane, const char *text, void *userdata)
{
    lab_tell(userdata, kind, lane, text);
}

/* Without one nothing fails: it is told less. */
static void observe(struct lab *lab)
{
    const struct service_host *host = supervisor_service_host(lab->supervisor, DEVICES_SEE);
    struct observer_config config = { .kubeconfig = control_plane_kubeconfig(lab->control),
                                      .user = NATS_USER,
                                      .password = lab->password,
                                      .tell = on_event,
                                      .userdata = lab };
    CLEANUP_FREE char *endpoint = NULL, *url = NULL;

    if (!lab->event ||
        host->endpoint(host->impl, "nats", "client", FOR_SERVERS, &endpoint, NULL) < 0)
        return;
    config.nats_url = url = xasprintf("nats://%s", endpoint);
    lab->observer = observer_new(&config);
}

char *const *lab_secrets(const struct lab *lab)
{
    return lab->secrets;
}

/* --- the lab --------------------------------------------------------------------------------- */

/* In every wait of a score. */
static int alive(void *userdata, struct err **err)
{
    struct lab *lab = userdata;
    int r = supervisor_interrupted(lab->supervisor, err);

    return r < 0 ? r : lab_check(lab, err);
}

static int provide_lossy(struct lab *lab, const char *const *names, struct err **err)
{
    CLEANUP_FREE char *program = xasprintf("%s/rig-lossyfs", lab->programs);
    int r;

    if (!names || !names[0])
        return 0;
    if ((r = lossy_possible(err)) < 0)
        return r;
    supervisor_program(lab->supervisor, "rig-lossyfs", program);
    supervisor_lossy(lab->supervisor, names);
    return 0;
}

int lab_new(const struct lab_config *config, struct lab **ret, struct err **err)
{
    CLEANUP(lab_free) struct lab *lab = xcalloc(1, sizeof(*lab));
    int r;

    pthread_mutex_init(&lab->telling, NULL);
    if (sodium_init() < 0)
        return err_new(err, EIO, "libsodium does not start");
    /* The host's libvirt runs the emulator as a user of its own, who must get through, no more. */
    if ((r = dir_make(config->dir, 0711, err)) < 0)
        return r;
    if (!(lab->dir = realpath(config->dir, NULL)))
        return err_errno(err, errno, "%s", config->dir);
    lab->cache_dir = xstrdup(config->cache_dir);
    lab->root = xstrdup(config->root);
    lab->programs = xstrdup(config->programs);
    lab->libvirt_uri = xstrdup(config->libvirt_uri);
    lab->accel = xstrdup(config->accel);
    lab->apiserver = xstrdup(config->apiserver);
    lab->cold = config->cold;
    lab->cpus = config->cpus;
    lab->memory_mb = config->memory_mb;
    lab->disk_gb = config->disk_gb;
    lab->heartbeat_ms = config->heartbeat_ms;
    lab->unreachable_after_ms = config->unreachable_after_ms;
    lab->tick_ms = config->tick_ms;
    lab->boot_timeout_ms = config->boot_timeout_ms;
    lab->stop = config->stop;
    lab->progress = config->progress;
    lab->phase = config->phase;
    lab->event = config->event;
    lab->ledger = config->ledger;
    lab->userdata = config->userdata;
    lab->key_path = xasprintf("%s/ssh_key", lab->dir);
    lab->password = random_password();
    lab->device_password = random_password();
    strv_add(&lab->secrets, lab->password);
    strv_add(&lab->secrets, lab->device_password);
    lab->members = xcalloc(config->n_devices + 1, sizeof(*lab->members));
    for (; lab->n_members < config->n_devices; lab->n_members++) {
        const struct lab_device *d = &config->devices[lab->n_members];
        struct lab_member *m = &lab->members[lab->n_members];

        m->name = xstrdup(d->name);
        m->labels = strv_copy((char *const *)d->labels);
        m->arch = xstrdup(d->arch ? d->arch : config->arch);
    }
    if ((r = supervisor_new(lab->dir, &lab->supervisor, err)) < 0 ||
        (r = provide_lossy(lab, config->lossy, err)) < 0)
        return r;
    supervisor_stop_flag(lab->supervisor, config->stop);
    supervisor_journal(lab->supervisor, config->ledger);
    supervisor_listen(lab->supervisor, on_event, lab);
    score_watch(alive, lab);
    *ret = steal_ptr(lab);
    return 0;
}

int lab_up(struct lab *lab, struct err **err)
{
    int r;

    if ((r = get_artefacts(lab, err)) < 0 || (r = switch_on(lab, err)) < 0 ||
        (r = start_servers(lab, err)) < 0)
        return r;
    observe(lab);
    for (size_t i = 0; i < lab->n_members; i++)
        if ((r = supervisor_interrupted(lab->supervisor, err)) < 0 ||
            (r = enrol(lab, &lab->members[i], err)) < 0)
            return r;
    return lab_check(lab, err);
}

bool lab_component_failed(const struct lab *lab)
{
    return lab->component_failed;
}

void lab_free(struct lab *lab)
{
    if (!lab)
        return;
    score_watch(NULL, NULL);
    observer_free(lab->observer);
    bus_free(lab->bus);
    machines_free(lab->machines);
    control_plane_free(lab->control);
    supervisor_free(lab->supervisor);
    for (size_t i = 0; i < lab->n_members; i++) {
        free(lab->members[i].name);
        strv_free(lab->members[i].labels);
        free(lab->members[i].arch);
        strv_free(lab->members[i].archives);
        free(lab->members[i].identity);
    }
    free(lab->members);
    artefacts_done(lab->artefacts, lab->n_artefacts);
    free(lab->artefacts);
    free(lab->dir);
    free(lab->cache_dir);
    free(lab->root);
    free(lab->programs);
    free(lab->libvirt_uri);
    free(lab->accel);
    free(lab->apiserver);
    free(lab->key_path);
    free(lab->public_key);
    free(lab->password);
    free(lab->device_password);
    strv_free(lab->secrets);
    pthread_mutex_destroy(&lab->telling);
    free(lab->phases);
    free(lab);
}

struct supervisor *lab_supervisor(struct lab *lab)
{
    return lab->supervisor;
}

struct machines *lab_machines(struct lab *lab)
{
    return lab->machines;
}

struct kube *lab_kube(struct lab *lab)
{
    return lab->control ? control_plane_api(lab->control)->kube : NULL;
}

struct bus *lab_bus(struct lab *lab)
{
    return lab->bus;
}

const char *lab_kubeconfig(struct lab *lab)
{
    return lab->control ? control_plane_kubeconfig(lab->control) : NULL;
}

int lab_reach(struct lab *lab, const char *device, int64_t timeout_ms,
              const struct device_host **ret, struct err **err)
{
    const struct machine_host *host = machines_host(lab->machines);

    return host->reach(host->impl, device, timeout_ms, ret, err);
}

const char *lab_identity(struct lab *lab, const char *device)
{
    for (size_t i = 0; i < lab->n_members; i++)
        if (str_eq(lab->members[i].name, device))
            return lab->members[i].identity;
    return NULL;
}

int lab_check(struct lab *lab, struct err **err)
{
    int r = supervisor_check(lab->supervisor, err);

    if (r < 0 || !lab->machines)
        return r;
    return machines_check(lab->machines, err);
}

const char *lab_event_text(enum lab_event_kind kind)
{
    static const char *const texts[] = { "start",  "ready", "stop",  "died", "pause",
                                         "resume", "link",  "state", "log" };

    return texts[kind];
}
