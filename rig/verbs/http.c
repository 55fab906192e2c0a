/* SPDX-License-Identifier: AGPL-3.0-only */

/* HTTP to a device's published ports, through a forward of the emulator's user network. It accepts
 * whether or not the guest listens, so only an answer counts. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fleet/link/http.h"
#include "rig/verbs/look.h"

#define ANSWER_MS 2000
#define ANSWER_MAX (64 * 1024)

struct answer {
    long status; /* 0: none came, and `text` says why */
    char *text;  /* the body */
};

static void answer_done(struct answer *a)
{
    free(a->text);
}

#define CLEANUP_ANSWER __attribute__((cleanup(answer_done)))

/* GET /. Silence is an answer, too: an error means only that there is no way to ask. */
static int get(struct verb_run *run, const struct sentence *s, struct answer *ret, struct err **err)
{
    uint16_t port = 0, guest_port = (uint16_t)strtol(sentence_value(s, "PORT"), NULL, 10);
    struct http_request request = {
        .method = "GET", .path = "/", .timeout_ms = ANSWER_MS, .max_body = ANSWER_MAX
    };
    CLEANUP_ERR struct err *silence = NULL;
    struct http_peer peer = { 0 };
    int r;

    r = machine_forward(lab_machines(run->lab), sentence_value(s, "DEVICE"), guest_port, &port,
                        err);
    if (r < 0)
        return r;
    peer.base_url = xasprintf("http://127.0.0.1:%u", port);
    if (http_call(&peer, &request, &ret->status, &ret->text, NULL, &silence) < 0) {
        ret->status = 0;
        replace_str(&ret->text, err_text(silence));
    }
    http_peer_done(&peer);
    return 0;
}

/* The first line of the answer as the sample. */
static int seen_answer(struct sample *ret, bool yes, const struct answer *a)
{
    enum verdict verdict = yes ? VERDICT_YES : VERDICT_NO;
    size_t len = strcspn(a->text, "\r\n");

    if (a->status == 0)
        return seen(ret, verdict, "no answer: %s", a->text);
    return seen(ret, verdict, "%ld: %.*s", a->status, len < 200 ? (int)len : 200, a->text);
}

static int answers_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                         struct err **err)
{
    long want = strtol(sentence_value(s, "STATUS"), NULL, 10);
    CLEANUP_ANSWER struct answer a = { 0 };

    if (look_is_off(run, sentence_value(s, "DEVICE"), ret))
        return 0;
    if (get(run, s, &a, err) < 0)
        return err_wrap(err, "asking");
    return seen_answer(ret, a.status == want, &a);
}

static int says_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                      struct err **err)
{
    CLEANUP_ANSWER struct answer a = { 0 };

    if (look_is_off(run, sentence_value(s, "DEVICE"), ret))
        return 0;
    if (get(run, s, &a, err) < 0)
        return err_wrap(err, "asking");
    return seen_answer(ret, a.status == 200 && strstr(a.text, sentence_value(s, "TEXT")), &a);
}

static int silent_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                        struct err **err)
{
    CLEANUP_ANSWER struct answer a = { 0 };

    if (get(run, s, &a, err) < 0)
        return err_wrap(err, "asking");
    return seen_answer(ret, a.status == 0, &a);
}

const struct verb_impl verb_http_answers = { .check = answers_check };
const struct verb_impl verb_http_says = { .check = says_check };
const struct verb_impl verb_http_silent = { .check = silent_check };
