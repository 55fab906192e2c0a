/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Real servers for component tests: nats-server, and etcd with the CRD API server. They listen on
 * free ports of the loopback, keep their data in a folder of the test's own and die with the test.
 *
 *     SERVERS_NEED_NATS();
 *     need_ok(servers_nats_start(&nats, &err), err);
 *     ... nats.url, nats.user, nats.password
 *     servers_nats_stop(&nats, SIGTERM);  then start again: the same port, the same data
 *     servers_nats_done(&nats);
 *
 * The binaries are those of the artefact cache (images/nats.sh, images/apiserver.sh), else those in
 * PATH. A test whose server is not there skips, with the reason.
 */

#include <stdint.h>

#include "base/check.h"
#include "base/err.h"
#include "base/proc.h"

#define SERVERS_NEED_NATS()                                                                        \
    do {                                                                                           \
        const char *missing_ = servers_nats_missing();                                             \
        if (missing_)                                                                              \
            check_skip("%s", missing_);                                                            \
    } while (0)
#define SERVERS_NEED_KUBE()                                                                        \
    do {                                                                                           \
        const char *missing_ = servers_kube_missing();                                             \
        if (missing_)                                                                              \
            check_skip("%s", missing_);                                                            \
    } while (0)

/* Why it cannot be started, or NULL. */
const char *servers_nats_missing(void);
const char *servers_kube_missing(void);

/* Zero-initialise before the first start. */
struct servers_nats {
    char *dir; /* config, store and log (nats.log) */
    uint16_t port;
    char *url; /* "nats://127.0.0.1:PORT" */
    const char *user, *password;
    struct proc proc;
};

/* With JetStream and file storage. Returns when it says INFO. After a stop: with what it stored. */
int servers_nats_start(struct servers_nats *s, struct err **err);
void servers_nats_stop(struct servers_nats *s, int signal);
void servers_nats_done(struct servers_nats *s);

struct servers_kube {
    char *dir; /* certificates, etcd's data and the logs (etcd.log, apiserver.log) */
    uint16_t port, etcd_port, etcd_peer_port;
    char *url;        /* "https://127.0.0.1:PORT" */
    char *kubeconfig; /* path; the user may do everything */
    struct proc etcd, api;
};

/* Returns when /readyz says ok. After a stop: with what it stored. */
int servers_kube_start(struct servers_kube *s, struct err **err);
void servers_kube_stop(struct servers_kube *s, int signal);
void servers_kube_done(struct servers_kube *s);
