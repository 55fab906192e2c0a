/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Scores: the declared state of one component, one file each. X_score_deploy() makes it so and
 * returns only after the score's own smoke test passed. It is idempotent: a second call reports
 * OUTCOME_NOOP and restarts nothing.
 */

#include "fleet/deploy/capability.h"
#include "fleet/link/bus.h"

/* While a score waits for its smoke test, `alive` is asked a few times a second; a negative answer ends
 * the wait with its error: a component died, or the person interrupted. One for the process; NULL:
 * nobody is asked. */
void score_watch(int (*alive)(void *userdata, struct err **err), void *userdata);

enum outcome_kind { OUTCOME_CHANGED, OUTCOME_NOOP };

struct outcome {
    enum outcome_kind kind;
    char detail[160]; /* one line for people: "2 definitions established" */
};

/* NATS with JetStream on file storage. */
struct nats_score {
    const char *user, *password;               /* of the servers: everything */
    const char *device_user, *device_password; /* of the devices, until each has its own rights */
    const char *sync_interval; /* durability mode: "always", or NULL for the server's 2 minutes */
};
/* Smoke test: an authenticated JetStream key-value round trip. */
int nats_score_deploy(const struct nats_score *score, const struct service_host *host,
                      struct outcome *ret, struct err **err);

/* Both custom resource definitions. Smoke test: established, and a score whose type is no
 * identifier is refused (by a dry run). */
int crd_score_deploy(const struct kube_api *api, struct outcome *ret, struct err **err);

/* The operator. Needs NATS and the definitions. */
struct operator_score {
    const char *program; /* the fleet-operator to run */
    const char *nats_user, *nats_password;
    int64_t unreachable_after_ms; /* 0: the operator's default */
    const char *log_level;        /* NULL: info */
};
/* Smoke test: a canary Deployment that matches no device is observed (status) and goes away again. */
int operator_score_deploy(const struct operator_score *score, const struct service_host *host,
                          const struct kube_api *api, struct outcome *ret, struct err **err);

/* Container archives for a device that has no registry to pull from. Idempotent: those whose very
 * bytes were loaded before do not even travel. `ret_changed` may be NULL. */
int images_side_load(const char *const *archives, const struct device_host *device,
                     bool *ret_changed, struct err **err);

/* The agent on one device. */
struct agent_score {
    const char *device_id;
    const char *const *labels; /* "key=value", NULL-terminated */
    const char *program;       /* local path of the fleet-agent to install */
    const char *unit;          /* local path of its fleet-agent.service */
    const char *nats_url;      /* as the device sees it */
    const char *nats_user, *nats_password;
    int64_t heartbeat_ms, tick_ms;     /* 0: the agent's defaults */
    const char *log_level;             /* NULL: info */
    const char *const *image_archives; /* local container archives to side-load, NULL-terminated */
};
/* Smoke test: a heartbeat of this device that the server stored after the deployment began. */
int agent_score_deploy(const struct agent_score *score, const struct device_host *device,
                       struct bus *bus, int64_t timeout_ms, struct outcome *ret, struct err **err);

/* A virtual machine. Smoke test: a command runs in it. */
int vm_score_deploy(const struct machine_spec *score, const struct machine_host *host,
                    int64_t timeout_ms, const struct device_host **ret_device, struct outcome *ret,
                    struct err **err);
