/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/verbs/look.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/machine_faults.h"

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

int noted(char note[static SAMPLE_MAX], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(note, SAMPLE_MAX, fmt, ap);
    va_end(ap);
    return 0;
}

int act_on_each(struct verb_run *run, const struct sentence *s, act_on_device *act,
                char note[static SAMPLE_MAX], struct err **err)
{
    CLEANUP_BUF struct buf all = BUF_INIT(SAMPLE_MAX - 1);

    for (char *const *d = sentence_values(s, "DEVICE"); *d; d++) {
        char one[SAMPLE_MAX] = "";
        int r = act(run, s, *d, one, err);

        if (r < 0)
            return err_wrap(err, "%s", *d);
        if (*one)
            add_part(&all, *d, one);
    }
    return noted(note, "%s", buf_str(&all));
}

int undo_on_each(struct verb_run *run, const struct sentence *s, act_on_device *act,
                 struct err **err)
{
    char note[SAMPLE_MAX];

    return act_on_each(run, s, act, note, err);
}

/* Why nothing in the machine can answer; NULL when it can. */
static const char *absence(struct verb_run *run, const char *device)
{
    struct machines *m = lab_machines(run->lab);

    return !machine_powered(m, device)  ? "the machine is switched off"
           : machine_paused(m, device)  ? "the machine is paused"
           : !machine_linked(m, device) ? "the link of the machine is cut"
                                        : NULL;
}

bool look_is_off(struct verb_run *run, const char *device, struct sample *ret)
{
    const char *why = absence(run, device);

    if (why)
        seen(ret, VERDICT_NEVER, "%s", why);
    return why != NULL;
}

/* What was stopped stays so for the rest of the step, too. */
static int need_running(struct verb_run *run, const char *component, struct err **err)
{
    const struct supervisor *s = lab_supervisor(run->lab);

    /* One that this lab has no process of is somebody else's. */
    if (!supervisor_log(s, component) || supervisor_running(s, component))
        return 0;
    return err_new(err, EHOSTDOWN, "%s does not run", component);
}

void look_without(struct verb_run *run, const char *component, struct sample *ret)
{
    size_t len = strlen(ret->text);

    if (ret->verdict != VERDICT_NO || need_running(run, component, NULL) == 0)
        return;
    ret->verdict = VERDICT_NEVER;
    snprintf(ret->text + len, sizeof(ret->text) - len, "; %s does not run", component);
}

int look_key(struct verb_run *run, const char *bucket, const char *key, struct bus_entry *ret,
             struct err **err)
{
    int r = need_running(run, "nats", err);

    return r < 0 ? r : bus_get(lab_bus(run->lab), bucket, key, LOOK_MS, ret, err);
}

int look_object(struct verb_run *run, const json_t *like, json_t **ret, struct err **err)
{
    struct kube *kube = lab_kube(run->lab);
    CLEANUP_FREE char *path = NULL;
    int r;

    if ((r = need_running(run, "etcd", err)) < 0 || (r = need_running(run, "apiserver", err)) < 0 ||
        (r = kube_object_path(kube, like, &path, err)) < 0)
        return r;
    return kube_call(kube, "GET", path, NULL, NULL, ret, err);
}

static int reach(struct verb_run *run, const char *device, int64_t timeout_ms,
                 const struct device_host **ret, struct err **err)
{
    const char *why = absence(run, device);

    if (why)
        return err_new(err, EHOSTDOWN, "%s", why);
    return lab_reach(run->lab, device, timeout_ms, ret, err);
}

int on_device(struct verb_run *run, const char *device, char *const *argv, int64_t timeout_ms,
              char **ret_out, struct err **err)
{
    const struct device_host *host = NULL;
    int r = reach(run, device, timeout_ms, &host, err);

    if (r < 0)
        return r;
    return device_run(host, (const char *const *)argv, timeout_ms, ret_out, err);
}

int script_on_device(struct verb_run *run, const char *device, const char *script,
                     char *const *args, int64_t timeout_ms, char note[static SAMPLE_MAX],
                     struct err **err)
{
    CLEANUP_STRV char **argv =
            strv_copy(ARGV("bash", "-eu", "-o", "pipefail", "-c", script, "fault"));
    const struct device_host *host = NULL;
    CLEANUP_FREE char *out = NULL;
    int r = reach(run, device, timeout_ms, &host, err), status = -1;
    size_t len;

    if (r < 0)
        return r;
    for (char *const *a = args; *a; a++)
        strv_add(&argv, *a);
    r = host->run(host->impl, (const char *const *)argv, timeout_ms, &status, &out, err);
    if (r < 0)
        return r;
    for (len = strlen(out); len > 0 && out[len - 1] == '\n';)
        out[--len] = '\0';
    if (status != 0)
        return err_new(err, EREMOTEIO, "%s", *out ? out : "it failed and said nothing");
    return noted(note, "%s", out);
}

int look_boot_id(struct verb_run *run, const char *device, int64_t timeout_ms, char **ret,
                 struct err **err)
{
    CLEANUP_FREE char *id = NULL;
    int r = on_device(run, device, ARGV("cat", "/proc/sys/kernel/random/boot_id"), timeout_ms, &id,
                      err);

    if (r < 0)
        return r;
    id[strcspn(id, "\n")] = '\0';
    *ret = steal_ptr(id);
    return 0;
}

#define GREETING_MS 3000 /* on a busy host */
#define SILENCE_MS 500

int64_t look_greeting(struct verb_run *run, const char *device)
{
    int64_t start = clock_mono_ms();

    return machine_greets(lab_machines(run->lab), device, GREETING_MS) ? clock_mono_ms() - start
                                                                       : -1;
}

int need_silence(struct verb_run *run, const char *device, int64_t greeting_ms, const char *what,
                 char note[static SAMPLE_MAX], struct err **err)
{
    int64_t silence = SILENCE_MS + (greeting_ms > 0 ? 4 * greeting_ms : 0);

    if (machine_greets(lab_machines(run->lab), device, silence))
        return err_new(err, EBUSY, "it still answers although it is %s", what);
    if (greeting_ms < 0)
        return noted(note, "%s; SSH did not answer before", what);
    return noted(note, "%s: SSH answered in %d ms before, not in %d ms now", what, (int)greeting_ms,
                 (int)silence);
}
