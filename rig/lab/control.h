/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The embedded control plane: etcd and a Kubernetes API server (the one that KUBEBUILDER_ASSETS or
 * the settings name, else the CRD API server of images/apiserver.sh) as children of the supervisor,
 * with a throw-away PKI. Ready when etcd's /health and the API server's /readyz say so.
 *
 * Durability: etcd runs with --unsafe-no-fsync. It survives being killed, which is all that a scenario
 * does to it, but not a power cut of this host, which ends the run in any case.
 */

#include "rig/lab/supervisor.h"

struct control_plane;

/* `apiserver` is the program, or NULL for KUBEBUILDER_ASSETS/kube-apiserver. Anything but a
 * crd-apiserver is taken for a kube-apiserver. KUBEBUILDER_ASSETS/etcd is used where it is there.
 * Files are made in `dir`: pki/, kubeconfig (admin; absolute paths inside, works with any kubectl).
 * The children are "etcd" and "apiserver". */
int control_plane_start(struct supervisor *s, const char *dir, const char *apiserver,
                        struct control_plane **ret, struct err **err);
/* Waits until the API server, which runs again, is ready. */
int control_plane_wait(struct supervisor *s, struct control_plane *c, struct err **err);
/* The capability. Owned by the control plane. */
const struct kube_api *control_plane_api(struct control_plane *c);
/* Path of the admin kubeconfig. Owned. */
const char *control_plane_kubeconfig(const struct control_plane *c);
void control_plane_free(struct control_plane *c);
DEFINE_CLEANUP(struct control_plane *, control_plane_free)
