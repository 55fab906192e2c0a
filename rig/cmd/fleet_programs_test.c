/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/fleet_programs.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"

TEST(words_become_one_sentence)
{
    static const struct {
        const char *const words[6];
        const char *want;
    } cases[] = {
        { { "cut power of edge-1" }, "cut power of edge-1" },
        { { "cut", "power", "of", "edge-1" }, "cut power of edge-1" },
        { { "apply", "my manifest.yml" }, "apply \"my manifest.yml\"" },
        { { "apply \"my manifest.yml\"" }, "apply \"my manifest.yml\"" },
        { { "http", "80", "of", "edge-1", "\"a b\"" }, "http 80 of edge-1 \"a b\"" },
        { { "apply", "" }, "apply \"\"" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *got = fleet_sentence((char *const *)cases[i].words);

        check_case("%s", cases[i].want);
        check_str(got, cases[i].want);
    }
}

TEST(ssh_uses_the_fleet_s_key_and_the_pinned_host_key_and_nothing_else)
{
    struct fleet_state s = { .ssh_key = (char[]){ "/c/key" },
                             .known_hosts = (char[]){ "/c/known hosts" } };
    struct fleet_device d = { .ssh_port = 20002 };
    static const struct {
        const char *const command[4];
        bool terminal;
        const char *want;
    } cases[] = {
        { { NULL }, true, " -p 20002 root@127.0.0.1" },
        { { "uname", "-a" }, false, " -p 20002 root@127.0.0.1 -- uname -a" },
        { { "top" }, true, " -p 20002 -t root@127.0.0.1 -- top" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_STRV char **argv =
                fleet_ssh_argv(&s, &d, cases[i].terminal, (char *const *)cases[i].command);
        CLEANUP_FREE char *line = strv_join(argv, " ");

        check_case("%s", cases[i].want);
        check_true(str_ends(line, cases[i].want));
        check_true(str_starts(line, "ssh -F /dev/null -o StrictHostKeyChecking=yes "));
        check_has(line, " -o UserKnownHostsFile=\"/c/known hosts\" -i /c/key ");
    }
}

CHECK_MAIN()
