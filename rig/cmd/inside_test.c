/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/inside.h"

#include <string.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"

/* ssh itself says what it makes of it. */
TEST(ssh_finds_each_device_by_its_name)
{
    struct device_decl devices[] = { { .name = (char[]){ "edge-1" } },
                                     { .name = (char[]){ "edge-2" } },
                                     { .name = (char[]){ "edge-3" } } };
    struct scenario scenario = { .devices = devices, .n_devices = ARRAY_LEN(devices) };
    const uint16_t ports[] = { 20001, 0, 20003 };
    CLEANUP_FREE char *path = xasprintf("%s/ssh_config", check_tmpdir());
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 16), said = BUF_INIT(1 << 16);
    CLEANUP_ERR struct err *err = NULL;

    inside_ssh_config(&scenario, ports, "/runs/with a blank/ssh_key", &text);
    check_true(!strstr(buf_str(&text), "edge-2"));
    need_ok(file_write(path, buf_str(&text), text.len, 0600, &err), err);
    need_ok(proc_run(ARGV("ssh", "-G", "-F", path, "edge-3"), NULL, 10000, &said, NULL, &err), err);
    check_has(buf_str(&said), "hostname 127.0.0.1\n");
    check_has(buf_str(&said), "port 20003\n");
    check_has(buf_str(&said), "user root\n");
    check_has(buf_str(&said), "identityfile /runs/with a blank/ssh_key\n");
}

CHECK_MAIN()
