/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Parts of the embedded control plane: its keys and the API server's command line. */

#include <stdint.h>

#include "base/err.h"

/* Makes in `dir`, which it creates: ca.crt, server.{crt,key} for 127.0.0.1, admin.{crt,key} of group
 * system:masters, service-account.key. ECDSA P-256; the CA's key is removed again, so that nobody
 * can sign with it later. */
int control_pki_make(const char *dir, struct err **err);

struct apiserver {
    const char *program; /* its file name decides: crd-apiserver, or a kube-apiserver */
    const char *pki;     /* folder */
    uint16_t port, etcd_port;
};

/* Pure. An strv; the caller frees it. */
char **control_apiserver_argv(const struct apiserver *a);

/* Pure. The caller frees it. */
char *control_kubeconfig_text(const char *pki, uint16_t port);
