/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/settings.h"

#include <errno.h>
#include <stdlib.h>

#include "base/conf.h"
#include "base/duration.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

#define SETTINGS_MAX (256 * 1024)

/* As it stands in the file. */
struct raw {
    char *libvirt, *accel, *arch, *apiserver;
    bool cold;
    int cpus, memory_mb, disk_gb, keep_runs;
    char *heartbeat, *tick, *unreachable_after, *boot_timeout;
};

#define TEXT(member)                                                                               \
    CYAML_FIELD_STRING_PTR(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw, member,  \
                           1, CYAML_UNLIMITED)
#define NUMBER(member) CYAML_FIELD_INT(#member, CYAML_FLAG_OPTIONAL, struct raw, member)

static const cyaml_schema_field_t fields[] = {
    TEXT(libvirt),
    TEXT(accel),
    TEXT(arch),
    TEXT(apiserver),
    NUMBER(cpus),
    NUMBER(memory_mb),
    NUMBER(disk_gb),
    NUMBER(keep_runs),
    TEXT(heartbeat),
    TEXT(tick),
    TEXT(unreachable_after),
    TEXT(boot_timeout),
    CYAML_FIELD_BOOL("cold", CYAML_FLAG_OPTIONAL, struct raw, cold),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw, fields),
};

static int read_duration(const char *key, const char *text, int64_t otherwise_ms, int64_t *ret,
                         struct err **err)
{
    *ret = otherwise_ms;
    if (!text)
        return 0;
    if (duration_parse(text, ret, err) < 0)
        return err_wrap(err, "%s", key);
    return *ret > 0 ? 0 : err_new(err, EINVAL, "%s must be longer than 0s", key);
}

static int read_number(const char *key, int value, int otherwise, int min, int max, int *ret,
                       struct err **err)
{
    *ret = value ? value : otherwise;
    if (*ret < min || *ret > max)
        return err_new(err, EINVAL, "%s must be from %d to %d, not %d", key, min, max, value);
    return 0;
}

static int read_choice(const char *key, const char *value, const char *a, const char *b,
                       struct err **err)
{
    if (!value || str_eq(value, a) || str_eq(value, b))
        return 0;
    return err_new(err, EINVAL, "%s must be %s or %s, not '%s'", key, a, b, value);
}

static int convert(const struct raw *raw, struct settings *s, struct err **err)
{
    s->cold = raw->cold;
    s->libvirt = xstrdup(raw->libvirt);
    s->accel = xstrdup(raw->accel);
    s->arch = xstrdup(raw->arch ? raw->arch : "x86_64");
    s->apiserver = xstrdup(raw->apiserver);
    if (read_choice("accel", s->accel, "kvm", "tcg", err) < 0 ||
        read_choice("arch", s->arch, "x86_64", "aarch64", err) < 0 ||
        read_number("cpus", raw->cpus, 2, 1, 64, &s->cpus, err) < 0 ||
        read_number("memory_mb", raw->memory_mb, 1024, 256, 1 << 20, &s->memory_mb, err) < 0 ||
        read_number("disk_gb", raw->disk_gb, 8, 2, 1024, &s->disk_gb, err) < 0 ||
        read_number("keep_runs", raw->keep_runs, 20, 1, 10000, &s->keep_runs, err) < 0 ||
        read_duration("heartbeat", raw->heartbeat, 2000, &s->heartbeat_ms, err) < 0 ||
        read_duration("tick", raw->tick, 5000, &s->tick_ms, err) < 0 ||
        read_duration("unreachable_after", raw->unreachable_after, 6000, &s->unreachable_after_ms,
                      err) < 0 ||
        read_duration("boot_timeout", raw->boot_timeout, 600000, &s->boot_timeout_ms, err) < 0)
        return -EINVAL;
    if (s->unreachable_after_ms <= s->heartbeat_ms)
        return err_new(err, EINVAL, "unreachable_after must be longer than heartbeat");
    return 0;
}

int settings_parse(const char *name, const char *text, size_t len, struct settings **ret,
                   struct err **err)
{
    CLEANUP(settings_free) struct settings *s = xcalloc(1, sizeof(*s));
    void *raw = NULL;
    int r;

    r = conf_parse(name, text, len, &schema, &raw, err);
    if (r < 0)
        return r;
    r = convert(raw, s, err);
    conf_free(&schema, raw);
    if (r < 0)
        return err_wrap(err, "%s", name);
    *ret = steal_ptr(s);
    return 0;
}

int settings_load(const char *path, bool needed, struct settings **ret, struct err **err)
{
    CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    int r;

    if (!needed && !file_exists(path))
        return settings_parse("defaults", "{}", 2, ret, err);
    r = file_read(path, SETTINGS_MAX, &text, &len, err);
    if (r < 0)
        return r;
    return settings_parse(path, text, len, ret, err);
}

void settings_free(struct settings *s)
{
    if (!s)
        return;
    free(s->libvirt);
    free(s->accel);
    free(s->arch);
    free(s->apiserver);
    free(s);
}
