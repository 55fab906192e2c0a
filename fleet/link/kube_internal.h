/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What the files of the Kubernetes client share. */

#include "fleet/link/kube.h"

/* etcd stores objects of 1.5 MiB at most; a page of a list is the largest answer. */
#define KUBE_ANSWER_MAX (64 << 20)

/* The peer with a token that is fresh enough. */
const struct http_peer *kube_peer(struct kube *k);
/* The answer's object (a new reference), or the error as by kube_status(). */
int kube_answer(const struct http_response *response, json_t **ret, struct err **err);
