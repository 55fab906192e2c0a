/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/agent/inventory.h"

#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

/* PRETTY_NAME of os-release(5), without its quotes. */
static char *os_name(void)
{
    CLEANUP_FREE char *text = NULL;
    CLEANUP_STRV char **lines = NULL;
    size_t len;

    if (file_read("/etc/os-release", 64 * 1024, &text, &len, NULL) < 0)
        return NULL;
    lines = strv_split(text, "\n");
    for (size_t i = 0; lines && lines[i]; i++) {
        const char *value = lines[i] + strlen("PRETTY_NAME=");

        if (!str_starts(lines[i], "PRETTY_NAME="))
            continue;
        value += strspn(value, "\"'");
        return xstrndup(value, strcspn(value, "\"'"));
    }
    return NULL;
}

void inventory_read(struct inventory *ret)
{
    struct utsname name;
    struct sysinfo memory;

    if (uname(&name) == 0) {
        ret->hostname = xstrdup(name.nodename);
        ret->arch = xstrdup(name.machine);
        ret->kernel = xstrdup(name.release);
    }
    ret->os = os_name();
    ret->cpu_cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (sysinfo(&memory) == 0)
        ret->memory_mb = (int)((uint64_t)memory.totalram * memory.mem_unit / (1024 * 1024));
    ret->agent_version = xstrdup(FLEETRIG_VERSION);
}
