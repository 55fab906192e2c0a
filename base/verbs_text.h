/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What base/verbs.c prints, made from the same table. Internal to base/verbs*.c. */

#include "base/buf.h"
#include "base/verbs.h"

#define VERBS_TEXT_MAX (1 << 20)

/* The options that every command understands; ends with an entry whose name is NULL. A command
 * may have one of its own with such a name: verbs_shadows() says so, and it wins. */
extern const struct verbs_option verbs_common[];
bool verbs_shadows(const struct verbs_option *own, const struct verbs_option *common);

/* The first of these and those behind it that help shows; NULL when none is left. */
const struct verbs_command *verbs_shown(const struct verbs_command *c);
#define VERBS_EACH(c, program)                                                                     \
    for (const struct verbs_command *c = verbs_shown((program)->commands); c;                      \
         c = verbs_shown(c + 1))

static inline bool verbs_has_subcommands(const struct verbs_program *program)
{
    return *program->commands[0].name != '\0';
}

/* "rig run [OPTION...] FILE..."; for NULL that of the whole program. */
void verbs_add_usage(struct buf *b, const struct verbs_program *program,
                     const struct verbs_command *command);
/* Help for one command, or for the program when `command` is NULL. */
void verbs_add_help(struct buf *b, const struct verbs_program *program,
                    const struct verbs_command *command);
/* The man page of the program, in man(7) macros. */
void verbs_add_man(struct buf *b, const struct verbs_program *program);
void verbs_add_bash(struct buf *b, const struct verbs_program *program);
void verbs_add_zsh(struct buf *b, const struct verbs_program *program);

/* A block of `details`: a paragraph to be filled, or lines that start with white space and stay as
 * they are. Advances *text; false at the end. */
struct verbs_block {
    const char *text;
    size_t len;
    bool verbatim;
};
bool verbs_next_block(const char **text, struct verbs_block *ret);
