/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * runc with cgroupfs, the host's network and small limits: what works for root in a container too, and
 * on cgroups of either version. Storage by plain copies needs nothing of the file system.
 */

#include "fleet/testing/engine.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

#define PODMAN_MS 60000

static const char configuration[] = "[containers]\n"
                                    "default_ulimits=[\"nofile=4096:4096\",\"nproc=8192:8192\"]\n"
                                    "netns=\"host\"\n"
                                    "[engine]\n"
                                    "runtime=\"runc\"\n"
                                    "cgroup_manager=\"cgroupfs\"\n"
                                    "events_logger=\"file\"\n";

/* What runs in the containers. */
static const char program[] = "#include <signal.h>\n"
                              "#include <unistd.h>\n"
                              "static void on_term(int s) { (void)s; _exit(0); }\n"
                              "int main(int argc, char **argv)\n"
                              "{ (void)argv; signal(SIGTERM, on_term);\n"
                              "  if (argc > 1) return 0;\n"
                              "  for (;;) pause(); }\n";

static int make_images(struct engine *e, struct err **err)
{
    CLEANUP_FREE char *source = xasprintf("%s/t.c", e->dir);
    CLEANUP_FREE char *root = xasprintf("%s/rootfs", e->dir);
    CLEANUP_FREE char *binary = xasprintf("%s/t", root);
    CLEANUP_FREE char *tar = xasprintf("%s/rootfs.tar", e->dir);
    char *compile[] = { (char *)"gcc", (char *)"-O1", (char *)"-static",
                        (char *)"-s",  (char *)"-o",  binary,
                        source,        NULL };
    char *pack[] = { (char *)"tar", (char *)"-C", root, (char *)"-cf", tar, (char *)".", NULL };
    static const char *const tags[] = { "localhost/t:v1", "localhost/t:v2" };

    if (file_write(source, program, strlen(program), 0644, err) < 0 ||
        dir_make(root, 0755, err) < 0 || proc_run(compile, NULL, PODMAN_MS, NULL, NULL, err) < 0 ||
        proc_run(pack, NULL, PODMAN_MS, NULL, NULL, err) < 0)
        return err_wrap(err, "making the test image");
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        CLEANUP_FREE char *label = xasprintf("LABEL tag=%s", tags[i]);
        char *import[] = { (char *)"import",
                           (char *)"--change",
                           (char *)"CMD [\"/t\"]",
                           (char *)"--change",
                           label,
                           tar,
                           (char *)tags[i],
                           NULL };

        if (engine_run(e, import, NULL, err) < 0)
            return err_wrap(err, "making the test image");
    }
    return 0;
}

/* The folder, its configuration and the images; once for each engine. */
static int make(struct engine *e, struct err **err)
{
    CLEANUP_FREE char *path = NULL;

    if (e->dir)
        return 0;
    e->dir = xstrdup(check_tmpdir());
    e->socket = xasprintf("%s/api", e->dir);
    path = xasprintf("%s/containers.conf", e->dir);
    if (file_write(path, configuration, strlen(configuration), 0644, err) < 0)
        return -EIO;
    return make_images(e, err);
}

/* podman's options that make it this engine's, then `args`. */
static char **command_line(const struct engine *e, char *const *args)
{
    char **argv = NULL;

    strv_add(&argv, "podman");
    strv_addf(&argv, "--root=%s/root", e->dir);
    strv_addf(&argv, "--runroot=%s/run", e->dir);
    strv_addf(&argv, "--tmpdir=%s/tmp", e->dir);
    strv_add(&argv, "--storage-driver=vfs");
    for (; *args; args++)
        strv_add(&argv, *args);
    return argv;
}

int engine_run(struct engine *e, char *const *args, char **ret, struct err **err)
{
    CLEANUP_STRV char **argv = command_line(e, args), **with = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
    int r;

    strv_add(&with, "env");
    strv_addf(&with, "CONTAINERS_CONF=%s/containers.conf", e->dir);
    for (size_t i = 0; argv[i]; i++)
        strv_add(&with, argv[i]);
    r = proc_run(with, NULL, PODMAN_MS, &out, NULL, err);
    if (r < 0)
        return r;
    if (ret) {
        *ret = buf_steal(&out);
        if (str_ends(*ret, "\n"))
            (*ret)[strlen(*ret) - 1] = '\0';
    }
    return 0;
}

static bool answers(const char *path)
{
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    return fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

int engine_start(struct engine *e, struct err **err)
{
    CLEANUP_FREE char *address = NULL, *conf = NULL;
    CLEANUP_STRV char **argv = NULL;
    struct proc_spec spec = { .own_group = true };
    int64_t until = check_now_ms() + PODMAN_MS;
    int r = make(e, err);

    if (r < 0)
        return r;
    address = xasprintf("unix://%s", e->socket);
    conf = xasprintf("CONTAINERS_CONF=%s/containers.conf", e->dir);
    argv = command_line(e, (char *[]){ (char *)"system", (char *)"service", (char *)"--time=0",
                                       address, NULL });
    spec.argv = argv;
    spec.env = (char *[]){ conf, (char *)"PODMAN_IGNORE_CGROUPSV1_WARNING=1", NULL };
    r = proc_spawn(&spec, &e->proc, err);
    if (r < 0)
        return r;
    while (!answers(e->socket)) {
        if (proc_ended(&e->proc) || check_now_ms() > until)
            return err_new(err, EIO, "podman's API service does not come up");
        check_pause();
    }
    return 0;
}

void engine_stop(struct engine *e)
{
    proc_stop(&e->proc, /* group= */ true, 5000);
}

void engine_done(struct engine *e)
{
    if (e->dir)
        engine_run(e,
                   (char *[]){ (char *)"rm", (char *)"--all", (char *)"--force", (char *)"--time=0",
                               NULL },
                   NULL, NULL);
    if (e->proc.pid > 0)
        engine_stop(e);
    free(e->dir);
    free(e->socket);
    *e = (struct engine){ 0 };
}

const char *engine_missing(void)
{
    static bool tried;
    static char *reason;
    struct engine e = { 0 };
    CLEANUP_ERR struct err *err = NULL;
    char *run[] = { (char *)"run", (char *)"--rm", (char *)"localhost/t:v1",
                    (char *)"/t",  (char *)"end",  NULL };

    if (tried)
        return reason;
    tried = true;
    if (geteuid() != 0)
        reason = xstrdup("running containers needs root here");
    else if (make(&e, &err) < 0 || engine_run(&e, run, NULL, &err) < 0)
        reason = xasprintf("podman cannot run a container here: %s", err_text(err));
    engine_done(&e);
    return reason;
}
