/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What a fleet's keeper is asked, and what it answers: JSON, a line each, over a Unix socket. One
 * request a connection, of at most REQUEST_MAX bytes:
 *
 *     {"v":1,"do":"status"}
 *     {"v":1,"do":"wait","owner":true}    until the fleet is up; with its owner gone before, it goes down
 *     {"v":1,"do":"down"}
 *     {"v":1,"do":"do","sentence":"cut power of edge-1","folder":"/home/me"}
 *     {"v":1,"do":"expect","sentence":"...","folder":"/home/me","within_ms":30000}    or "holds_ms"
 *     {"v":1,"do":"heal"}
 *     {"v":1,"do":"redeploy","what":"agent","programs":"/...","devices":["edge-1"]}   or "operator"
 *
 * It is answered by any number of {"line":"..."}, which stay, and {"status":"..."}, each of which
 * replaces the one before, and last {"exit":0,"text":"...","data":{...}}: an exit code of rig, and what to
 * print. Who shuts their side down, or hangs up, takes the request back; the last answer tells how
 * that ended.
 *
 * Unknown members are passed over. A keeper refuses a request of another version, but "down" it
 * understands in every one.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

#define FLEET_PROTOCOL 1
#define REQUEST_MAX (64 * 1024) /* bytes, with the line end */
#define ANSWER_MAX (1024 * 1024)
#define REQUEST_DEVICES 64
#define REQUEST_MAX_MS (24 * 3600 * INT64_C(1000)) /* of within_ms and holds_ms */

enum ask { ASK_STATUS, ASK_WAIT, ASK_DOWN, ASK_DO, ASK_EXPECT, ASK_HEAL, ASK_REDEPLOY };

struct request {
    enum ask ask;
    bool owner;                  /* wait */
    char *sentence, *folder;     /* do, expect; the folder is absolute */
    int64_t within_ms, holds_ms; /* expect: one of them is 0 */
    bool operator;               /* redeploy: the operator, not agents */
    char *programs;              /* redeploy: the folder of the new program, absolute */
    char **devices;              /* redeploy of agents: strv; NULL: all */
};

/* `text` is the line, with or without its end. -EPROTO: of another version. *ret is to be freed with
 * request_done(). */
int request_parse(const char *text, size_t len, struct request *ret, struct err **err);
/* With its line end. The caller frees it. */
char *request_text(const struct request *r);
void request_done(struct request *r);
/* "expect device edge-1 is reachable", for people. The caller frees it. */
char *request_name(const struct request *r);

enum answer_kind { ANSWER_LINE, ANSWER_STATUS, ANSWER_EXIT };

struct answer {
    enum answer_kind kind;
    char *text; /* never NULL */
    int exit;
    json_t *data; /* NULL when there is none */
};

int answer_parse(const char *text, size_t len, struct answer *ret, struct err **err);
/* With its line end. The caller frees it. */
char *answer_text(const struct answer *a);
void answer_done(struct answer *a);
