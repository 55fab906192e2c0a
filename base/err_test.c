/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/err.h"

#include <errno.h>

#include "base/check.h"

static int open_socket(struct err **err)
{
    return err_errno(err, EACCES, "/run/podman.sock");
}

static int connect_podman(struct err **err)
{
    if (open_socket(err) < 0)
        return err_wrap(err, "connecting to podman socket %s", "/run/podman.sock");
    return 0;
}

TEST(a_wrapped_error_reads_from_the_outside_in_and_keeps_its_errno)
{
    CLEANUP_ERR struct err *err = NULL;

    check_int(connect_podman(&err), -EACCES);
    check_str(err_text(err),
              "connecting to podman socket /run/podman.sock: /run/podman.sock: Permission denied");
    check_int(err_code(err), EACCES);
    check_str(err_next(err), NULL);
}

TEST(a_caller_that_does_not_care_passes_null_and_still_sees_a_failure)
{
    check_int(open_socket(NULL), -EACCES);
    check_int(connect_podman(NULL), -EIO);
    check_int(err_new(NULL, ENOENT, "gone"), -ENOENT);
    check_int(err_hint(NULL, "look"), -EIO);
}

TEST(a_new_error_replaces_the_old_one_which_it_may_quote)
{
    CLEANUP_ERR struct err *err = NULL;

    err_new(&err, ENOENT, "first");
    check_int(err_new(&err, EBUSY, "after %s", err_text(err)), -EBUSY);
    check_str(err_text(err), "after first");
    check_int(err_wrap(&err, "not %s", err_text(err)), -EBUSY);
    check_str(err_text(err), "not after first: after first");
}

TEST(zero_means_einval)
{
    CLEANUP_ERR struct err *err = NULL;

    check_int(err_new(&err, 0, "bad"), -EINVAL);
    check_int(err_code(err), EINVAL);
    check_int(err_errno(&err, 0, "bad"), -EINVAL);
}

TEST(a_hint_survives_a_wrap_and_stands_on_its_own_line)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *full = NULL;

    err_new(&err, ENOENT, "no key file");
    check_int(err_hint(&err, "make one with %s", "fleetctl"), -ENOENT);
    err_wrap(&err, "starting");
    check_str(err_next(err), "make one with fleetctl");
    full = err_text_full(err);
    check_str(full, "starting: no key file\nmake one with fleetctl");
}

TEST(no_error_is_harmless)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *full = err_text_full(NULL);

    check_str(err_text(NULL), "no error");
    check_str(full, "no error");
    check_str(err_next(NULL), NULL);
    check_int(err_code(NULL), 0);
    err_free(NULL);
    /* Wrapping where nothing was set is a mistake of the callee; it must not look like success. */
    check_int(err_wrap(&err, "context"), -EIO);
    check_str(err_text(err), "context");
}

CHECK_MAIN()
