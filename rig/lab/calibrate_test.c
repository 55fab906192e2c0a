/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/calibrate.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/clock.h"

TEST(an_emulated_guest_counts_to_its_end)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *why = NULL;
    int64_t start = clock_mono_ms();
    double factor = 0;

    need_ok(calibrate("x86_64", "tcg", NULL, NULL, &factor, &why, &err), err);
    printf("# factor %.2f, in %lld ms\n", factor, (long long)(clock_mono_ms() - start));
    check_str(why, NULL);
    check_true(factor >= 1 && factor <= CALIBRATE_MAX);
}

TEST(what_cannot_be_measured_counts_once_and_says_why)
{
    static const struct {
        const char *arch, *accel, *said;
    } cases[] = {
        { "pdp11", "tcg", "qemu-system-pdp11" },
        { "x86_64", "no such accelerator", NULL }, /* means TCG */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP_ERR struct err *err = NULL;
        CLEANUP_FREE char *why = NULL;
        double factor = 0;

        check_case("%s %s", cases[i].arch, cases[i].accel);
        check_ok(calibrate(cases[i].arch, cases[i].accel, NULL, NULL, &factor, &why, &err), err);
        check_true(factor >= 1);
        if (cases[i].said)
            check_has(why ? why : "", cases[i].said);
    }
}

static int stop(void *userdata, struct err **err)
{
    (void)userdata;
    return err_new(err, ECANCELED, "interrupted");
}

TEST(an_interruption_ends_the_guest)
{
    CLEANUP_ERR struct err *err = NULL;
    double factor = 0;

    check_int(calibrate("x86_64", "tcg", stop, NULL, &factor, NULL, &err), -ECANCELED);
}

TEST(deadlines_are_never_shortened)
{
    static const struct {
        int64_t ms;
        double factor;
        int64_t scaled;
    } cases[] = { { 1000, 1, 1000 }, { 1000, 2.5, 2500 }, { 1000, 0, 1000 }, { 0, 30, 0 } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_int(scaled_ms(cases[i].ms, cases[i].factor), cases[i].scaled);
}

CHECK_MAIN()
