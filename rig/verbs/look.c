/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/verbs/look.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/strv.h"

int seen(struct sample *ret, enum verdict verdict, const char *fmt, ...)
{
    va_list ap;

    ret->verdict = verdict;
    va_start(ap, fmt);
    vsnprintf(ret->text, sizeof(ret->text), fmt, ap);
    va_end(ap);
    return 0;
}

static void add_part(struct buf *b, const char *device, const char *text)
{
    if (b->len)
        buf_adds(b, "; ");
    buf_addf(b, "%s: %s", device, text);
}

int look_at_each(struct verb_run *run, const struct sentence *s,
                 int (*look)(struct verb_run *run, const struct sentence *s, const char *device,
                             struct sample *ret, struct err **err),
                 struct sample *ret, struct err **err)
{
    CLEANUP_BUF struct buf yes = BUF_INIT(SAMPLE_MAX - 1), no = BUF_INIT(SAMPLE_MAX - 1);
    enum verdict worst = VERDICT_YES;

    for (char *const *d = sentence_values(s, "DEVICE"); *d; d++) {
        struct sample one = { 0 };
        int r = look(run, s, *d, &one, err);

        if (r < 0)
            return err_wrap(err, "%s", *d);
        add_part(one.verdict == VERDICT_YES ? &yes : &no, *d, one.text);
        if (one.verdict == VERDICT_NEVER || (one.verdict == VERDICT_NO && worst == VERDICT_YES))
            worst = one.verdict;
    }
    return seen(ret, worst, "%s", buf_str(worst == VERDICT_YES ? &yes : &no));
}

bool look_is_off(struct verb_run *run, const char *device, struct sample *ret)
{
    if (machine_powered(lab_machines(run->lab), device))
        return false;
    seen(ret, VERDICT_NEVER, "the machine is switched off");
    return true;
}

int look_key(struct verb_run *run, const char *bucket, const char *key, struct bus_entry *ret,
             struct err **err)
{
    return bus_get(lab_bus(run->lab), bucket, key, LOOK_MS, ret, err);
}

int look_object(struct verb_run *run, const json_t *like, json_t **ret, struct err **err)
{
    struct kube *kube = lab_kube(run->lab);
    CLEANUP_FREE char *path = NULL;
    int r;

    r = kube_object_path(kube, like, &path, err);
    if (r < 0)
        return r;
    return kube_call(kube, "GET", path, NULL, NULL, ret, err);
}

int on_device(struct verb_run *run, const char *device, char *const *argv, int64_t timeout_ms,
              char **ret_out, struct err **err)
{
    const struct device_host *host = NULL;
    int r;

    r = lab_reach(run->lab, device, timeout_ms, &host, err);
    if (r < 0)
        return r;
    return device_run(host, (const char *const *)argv, timeout_ms, ret_out, err);
}
