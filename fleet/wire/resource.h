/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The custom resources of group fleet.nationtech.io/v1alpha1: their definitions (CRDs) as JSON, and
 * the parts of a Deployment that the operator decides on. Pure. Protocol: Kubernetes
 * apiextensions.k8s.io/v1.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fleet/wire/labels.h"

#define FLEET_GROUP "fleet.nationtech.io"
#define FLEET_VERSION "v1alpha1"
#define FLEET_API_VERSION FLEET_GROUP "/" FLEET_VERSION
#define FLEET_FINALIZER FLEET_GROUP "/desired-state"
#define FLEET_FIELD_MANAGER "fleet-operator"

/* API paths, without host. */
#define PATH_CRDS "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
#define PATH_DEPLOYMENTS "/apis/" FLEET_API_VERSION "/deployments"
#define PATH_DEVICES "/apis/" FLEET_API_VERSION "/devices"

#define SCORE_TYPE_MAX 64 /* bytes of spec.score.type */

#define CRD_DEPLOYMENTS "deployments." FLEET_GROUP
#define CRD_DEVICES "devices." FLEET_GROUP

/* The CustomResourceDefinition objects. New references. */
json_t *crd_deployments(void);
json_t *crd_devices(void);

/* A Deployment object as the operator sees it. */
struct deployment {
    char *namespace, *name, *uid;
    char *created; /* creationTimestamp, for who came first */
    int64_t generation;
    int64_t observed_generation; /* of the status; 0 when none */
    bool deleting;               /* deletionTimestamp is set */
    bool has_finalizer;          /* ours */
    struct selector selector;
    char *score;    /* serialised: sorted members, compact; the bytes of desired-state */
    json_t *status; /* as stored, NULL when none; owned */
};

/* Overwrites `ret`, which deployment_done() frees in both cases.
 * A name or a spec that cannot be used is an error; `ret` then still holds namespace, name, uid,
 * generation, deleting and has_finalizer where they could be read (so that it can be told in the
 * object's conditions and its finalizer can be removed). */
int deployment_decode(const json_t *object, struct deployment *ret, struct err **err);
void deployment_done(struct deployment *d);

/* metadata.name of a decoded Device or Deployment list item and the like; NULL when absent. */
const char *object_name(const json_t *object);
