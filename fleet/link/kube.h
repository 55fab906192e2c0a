/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * A Kubernetes API client: what the operator, the scores and the rig need and no more. Protocol:
 * kubernetes.io/docs/reference/using-api/api-concepts (list and watch with bookmarks, 410 Gone,
 * server-side apply, merge patch, Status objects).
 */

#include "base/json.h"
#include "fleet/link/http.h"

struct kube {
    struct http_peer peer;
    char *namespace;       /* of the context; "default" when it names none */
    char *token_file;      /* NULL, or where peer.bearer comes from: read again every minute */
    int64_t token_read_ms; /* monotonic */
};

/* From a kubeconfig file (its current context; certificates inline or by path, bearer token). */
int kube_load(const char *kubeconfig, struct kube **ret, struct err **err);
/* From the service account that Kubernetes mounts into a pod. */
int kube_in_cluster(struct kube **ret, struct err **err);
void kube_free(struct kube *k);
DEFINE_CLEANUP(struct kube *, kube_free)

#define KUBE_TIMEOUT_MS 15000
#define KUBE_APPLY "application/apply-patch+yaml" /* JSON is YAML */
#define KUBE_MERGE "application/merge-patch+json"
#define KUBE_JSON "application/json"

/* Makes an error out of an answer that is not 2xx: its Status message, with errno by status: 404
 * ENOENT, 409 EEXIST (AlreadyExists) or ESTALE (Conflict), 410 ESTALE, 422/400 EINVAL, 403 EACCES, 401 EPERM, 429/5xx
 * EAGAIN, anything else EPROTO. 0 for 2xx. */
int kube_status(const struct http_response *response, struct err **err);

/* Blocking call. *ret (may be NULL) is the answer's object, a new reference. Errors as kube_status(). */
int kube_call(struct kube *k, const char *method, const char *path, const char *content_type,
              const json_t *body, json_t **ret, struct err **err);
/* Server-side apply of `object` (apiVersion, kind, metadata.name [+ namespace]) at its path, forced,
 * as `manager`. Blocking. *ret_changed (may be NULL): resourceVersion differs from before. */
int kube_apply(struct kube *k, const json_t *object, const char *manager, bool *ret_changed,
               struct err **err);
/* The API path of an object: "/apis/GROUP/VERSION[/namespaces/NS]/PLURAL/NAME". Plural by the table
 * of kinds that we use (CustomResourceDefinition, Deployment of our group, Device, Namespace,
 * ConfigMap, Secret, Lease, ...); another kind is an error. The caller frees it. */
int kube_object_path(const struct kube *k, const json_t *object, char **ret, struct err **err);

/* A list kept up to date: the whole list, then each change, for as long as it lives. It pages
 * (limit=500), watches with bookmarks, resumes from the last resourceVersion after a broken watch,
 * lists again on 410 and backs off with jitter (0.2 s doubling to 30 s) on failures. */
struct kube_list;

enum kube_event {
    KUBE_SYNC_BEGIN, /* a full list follows (also after 410): object is NULL */
    KUBE_PUT,        /* added or modified, or part of a full list */
    KUBE_GONE,       /* deleted: its last state */
    KUBE_SYNC_END,   /* the list is whole: what was not PUT since SYNC_BEGIN is gone */
    KUBE_TROUBLE     /* the API server cannot be reached or refuses: `trouble` says why; goes on */
};

struct kube_list_handler {
    void (*event)(enum kube_event event, const json_t *object, const struct err *trouble,
                  void *userdata);
    void *userdata;
};

/* `path` is the collection, e.g. PATH_DEPLOYMENTS for all namespaces. */
int kube_list_new(struct http *h, struct kube *k, const char *path,
                  const struct kube_list_handler *handler, struct kube_list **ret,
                  struct err **err);
void kube_list_free(struct kube_list *l);
DEFINE_CLEANUP(struct kube_list *, kube_list_free)

/* Asynchronous call, for the operator. `done` gets the object or the failure, on the loop. */
int kube_start(struct http *h, struct kube *k, const char *method, const char *path,
               const char *content_type, const json_t *body,
               void (*done)(const json_t *object, const struct err *failure, void *userdata),
               void *userdata, struct http_transfer **ret, struct err **err);
