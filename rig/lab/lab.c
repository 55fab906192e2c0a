/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: artefacts come first, all recipes side by side. Then every device gets a
 * thread (lab_devices.c), and meanwhile the servers come up on the thread that made the lab: NATS, which
 * agents need, then the Kubernetes API and what runs on it. Everything is deployed by its score; a
 * machine that was switched on early is one that its score finds done.
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
#include "rig/lab/calibrate.h"
#include "rig/lab/lab_internal.h"
#include "rig/lab/lossy.h"
#include "rig/lab/observer.h"
#include "rig/lab/remote.h"
#include "rig/lab/virt.h"

#define NATS_MS 15000

/* --- phases ---------------------------------------------------------------------------------- */

void lab_say(struct lab *lab, const char *fmt, ...)
{
    char line[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (!lab->progress)
        return;
    pthread_mutex_lock(&lab->telling);
    lab->progress(line, lab->userdata);
    pthread_mutex_unlock(&lab->telling);
}

static void tell_phase(struct lab *lab, const char *name, bool end)
{
    if (!lab->phase)
        return;
    pthread_mutex_lock(&lab->telling);
    lab->phase(name, end, lab->userdata);
    pthread_mutex_unlock(&lab->telling);
}

struct lab_phase lab_phase_begin(struct lab *lab, const char *fmt, ...)
{
    struct lab_phase phase;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(phase.name, sizeof(phase.name), fmt, ap);
    va_end(ap);
    lab_say(lab, "%s", phase.name);
    tell_phase(lab, phase.name, /* end= */ false);
    return phase;
}

void lab_phase_end(struct lab *lab, const struct lab_phase *phase)
{
    tell_phase(lab, phase->name, /* end= */ true);
}

/* The outcome of a component's score. What was cancelled because something else failed is no failure
 * of its own. */
int lab_component(struct lab *lab, int r)
{
    if (r < 0 && supervisor_interrupted(lab->supervisor, NULL) == 0)
        lab->component_failed = true;
    return r;
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
    lab_say(userdata, "%s", line);
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
    struct lab_phase phase = lab_phase_begin(lab, "artefacts");
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
    lab_phase_end(lab, &phase);
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

int lab_connect(struct lab *lab, struct bus **ret, struct err **err)
{
    const struct service_host *host = supervisor_service_host(lab->supervisor, DEVICES_SEE);
    CLEANUP_FREE char *endpoint = NULL, *url = NULL;
    struct bus_config config = { .name = "rig", .user = NATS_USER, .password = lab->password };
    int r = host->endpoint(host->impl, "nats", "client", FOR_SERVERS, &endpoint, err);

    if (r < 0)
        return r;
    url = xasprintf("nats://%s", endpoint);
    config.url = url;
    return bus_new(&config, NULL, NULL, scaled_ms(NATS_MS, lab->factor), ret, err);
}

int lab_deploy_operator(struct lab *lab, struct err **err)
{
    CLEANUP_FREE char *program = xasprintf("%s/fleet-operator", lab->programs);
    struct operator_score op = { .program = program,
                                 .nats_user = NATS_USER,
                                 .nats_password = lab->password,
                                 .unreachable_after_ms = lab->unreachable_after_ms };
    struct outcome outcome = { 0 };

    return lab_component(
            lab, operator_score_deploy(&op, supervisor_service_host(lab->supervisor, DEVICES_SEE),
                                       control_plane_api(lab->control), &outcome, err));
}

static int start_nats(struct lab *lab, struct err **err)
{
    const struct service_host *host = supervisor_service_host(lab->supervisor, DEVICES_SEE);
    struct nats_score nats = { .user = NATS_USER,
                               .password = lab->password,
                               .device_user = NATS_DEVICE_USER,
                               .device_password = lab->device_password };
    struct lab_phase phase = lab_phase_begin(lab, "NATS");
    CLEANUP_FREE char *endpoint = NULL;
    struct outcome outcome = { 0 };
    int r;

    if ((r = lab_component(lab, nats_score_deploy(&nats, host, &outcome, err))) < 0 ||
        (r = host->endpoint(host->impl, "nats", "client", FOR_DEVICES, &endpoint, err)) < 0 ||
        (r = lab_connect(lab, &lab->bus, err)) < 0)
        return r;
    lab->devices_nats = xasprintf("nats://%s", endpoint);
    lab_phase_end(lab, &phase);
    return 0;
}

static int start_servers(struct lab *lab, struct lab_crew *crew, struct err **err)
{
    struct outcome outcome = { 0 };
    struct lab_phase phase;
    int r;

    if ((r = start_nats(lab, err)) < 0)
        return r;
    lab_devices_go_on(crew);
    phase = lab_phase_begin(lab, "Kubernetes API");
    r = control_plane_start(lab->supervisor, lab->dir, lab->apiserver, &lab->control, err);
    if (r < 0)
        return err_wrap(err, "control plane");
    lab_phase_end(lab, &phase);
    phase = lab_phase_begin(lab, "custom resource definitions");
    r = lab_component(lab, crd_score_deploy(control_plane_api(lab->control), &outcome, err));
    if (r < 0)
        return r;
    lab_phase_end(lab, &phase);
    phase = lab_phase_begin(lab, "operator");
    if ((r = lab_deploy_operator(lab, err)) < 0)
        return r;
    lab_phase_end(lab, &phase);
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
    struct lab_crew *crew = NULL;
    int r;

    if ((r = get_artefacts(lab, err)) < 0 || (r = lab_machines_open(lab, err)) < 0 ||
        (r = lab_measure(lab, err)) < 0)
        return r;
    if ((r = lab_devices_begin(lab, &crew, err)) >= 0)
        r = start_servers(lab, crew, err);
    if ((r = lab_devices_end(crew, r, err)) < 0)
        return r;
    observe(lab);
    return lab_check(lab, err);
}

double lab_factor(const struct lab *lab)
{
    return lab->factor;
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
    free(lab->devices_nats);
    strv_free(lab->secrets);
    pthread_mutex_destroy(&lab->telling);
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
