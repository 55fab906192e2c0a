/* SPDX-License-Identifier: AGPL-3.0-only */

/* Labs that do not come up; scenarios are the test of those that do. */

#include "rig/lab/lab.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

static const char *const labels[] = { "group=a", NULL };
static const struct lab_device devices[] = { { .name = "edge-1", .labels = labels } };

static void note(const char *line, void *userdata)
{
    buf_addf(userdata, "%s\n", line);
}

static void on_phase(const char *name, bool end, void *userdata)
{
    buf_addf(userdata, "%s %s\n", end ? "end" : "begin", name);
}

static struct lab_config config_of(const char *dir, const char *root, struct buf *said)
{
    return (struct lab_config){ .dir = dir,
                                .cache_dir = dir,
                                .root = root,
                                .programs = "/nonexistent",
                                .arch = "x86_64",
                                .libvirt_uri = "private",
                                .accel = "tcg",
                                .cpus = 1,
                                .memory_mb = 512,
                                .disk_gb = 8,
                                .boot_timeout_ms = 1000,
                                .devices = devices,
                                .n_devices = 1,
                                .progress = note,
                                .userdata = said };
}

/* Recipes that make next to nothing, at once. */
static void write_recipes(const char *root)
{
    static const char *const names[] = { "device", "hello", "nats", "apiserver" };
    static const char script[] = "#!/bin/sh\n"
                                 "cd \"$(dirname \"$0\")\"; echo 'console=ttyS0' >cmdline; pwd\n";
    CLEANUP_FREE char *images = xasprintf("%s/images", root);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(dir_make(images, 0755, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s.sh", images, names[i]);

        need_ok(file_write(path, script, strlen(script), 0755, &err), err);
    }
}

TEST(an_interruption_is_noticed_before_anything_starts)
{
    CLEANUP(lab_free) struct lab *lab = NULL;
    CLEANUP_BUF struct buf said = BUF_INIT(4096);
    CLEANUP_ERR struct err *err = NULL;
    const char *root = check_tmpdir(), *dir = check_tmpdir();
    struct lab_config config = config_of(dir, root, &said);
    volatile sig_atomic_t stop = 1;

    write_recipes(root);
    config.stop = &stop;
    need_ok(lab_new(&config, &lab, &err), err);
    check_int(lab_up(lab, &err), -ECANCELED);
    check_str(err_text(err), "interrupted");
}

TEST(a_recipe_that_is_not_there_is_told)
{
    CLEANUP(lab_free) struct lab *lab = NULL;
    CLEANUP_BUF struct buf said = BUF_INIT(4096);
    CLEANUP_ERR struct err *err = NULL;
    const char *dir = check_tmpdir();
    struct lab_config config = config_of(dir, "/nonexistent", &said);

    config.phase = on_phase;
    need_ok(lab_new(&config, &lab, &err), err);
    check_true(lab_up(lab, &err) < 0);
    check_has(err_text(err), "/nonexistent/images/");
    /* It never ended. */
    check_str(buf_str(&said), "artefacts\nbegin artefacts\n");
}

/* Servers that are there, and an API server that never serves: what fails is the machine. */
static char *write_servers(const char *root)
{
    static const char nats[] = "#!/bin/sh\nexec nats-server \"$@\"\n",
                      slow[] = "#!/bin/sh\nexec sleep 60\n";
    CLEANUP_FREE char *bin = xasprintf("%s/images/bin", root);
    CLEANUP_FREE char *path = xasprintf("%s/nats-server", bin);
    char *apiserver = xasprintf("%s/slow-apiserver", bin);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(dir_make(bin, 0755, &err), err);
    need_ok(file_write(path, nats, strlen(nats), 0755, &err), err);
    need_ok(file_write(apiserver, slow, strlen(slow), 0755, &err), err);
    return apiserver;
}

TEST(a_broken_image_fails_the_lab_and_the_evidence_says_what_there_is)
{
    CLEANUP(lab_free) struct lab *lab = NULL;
    CLEANUP_BUF struct buf said = BUF_INIT(4096);
    CLEANUP_ERR struct err *err = NULL;
    const char *root = check_tmpdir(), *dir = check_tmpdir();
    struct lab_config config = config_of(dir, root, &said);
    CLEANUP_FREE char *evidence = xasprintf("%s/evidence", check_tmpdir());
    CLEANUP_FREE char *log = xasprintf("%s/logs/libvirtd.log", evidence), *apiserver = NULL;

    write_recipes(root);
    config.apiserver = apiserver = write_servers(root);
    need_ok(lab_new(&config, &lab, &err), err);
    check_true(lab_up(lab, &err) < 0);
    check_has(err_text(err), "machine edge-1: ");
    check_has(err_text(err), "disk.qcow2");
    check_true(lab_identity(lab, "edge-1") == NULL);
    check_true(!lab_component_failed(lab));
    check_true(lab_kube(lab) == NULL);
    check_true(lab_kubeconfig(lab) == NULL);
    lab_evidence(lab, evidence);
    check_true(file_exists(log));
}

CHECK_MAIN()
