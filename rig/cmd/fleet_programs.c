/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/fleet_programs.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"

#define SENTENCE_LONGEST (64 * 1024)

char **fleet_ssh_argv(const struct fleet_state *s, const struct fleet_device *device, bool terminal,
                      char *const *command)
{
    static const char *const options[] = {
        "ssh",
        "-F",
        "/dev/null",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        "LogLevel=ERROR",
        "-o",
        "ConnectTimeout=10",
    };
    char **argv = NULL;

    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        strv_add(&argv, options[i]);
    strv_add(&argv, "-o");
    strv_addf(&argv, "UserKnownHostsFile=\"%s\"", s->known_hosts);
    strv_add(&argv, "-i");
    strv_add(&argv, s->ssh_key);
    strv_add(&argv, "-p");
    strv_addf(&argv, "%u", device->ssh_port);
    if (terminal && *command)
        strv_add(&argv, "-t");
    strv_add(&argv, "root@127.0.0.1");
    if (*command)
        strv_add(&argv, "--");
    for (; *command; command++)
        strv_add(&argv, *command);
    return argv;
}

char *fleet_sentence(char *const *words)
{
    CLEANUP_BUF struct buf out = BUF_INIT(SENTENCE_LONGEST);
    bool several = strv_len(words) > 1;

    for (char *const *word = words; word && *word; word++) {
        bool quotes = several && **word != '"' && (strpbrk(*word, " \t") || !**word);

        buf_addf(&out, "%s%s%s%s", word == words ? "" : " ", quotes ? "\"" : "", *word,
                 quotes ? "\"" : "");
    }
    return buf_steal(&out);
}
