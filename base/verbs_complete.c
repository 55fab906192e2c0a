/* SPDX-License-Identifier: AGPL-3.0-only */

/* Shell completion. The scripts hold the table as it is; they call the program only for arguments of
 * kind "command". */

#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "base/verbs_text.h"

/* "fleet-operator" -> "_fleet_operator". The caller frees it. */
static char *function_name(const struct verbs_program *program)
{
    char *name = xasprintf("_%s", program->name);

    for (char *c = name; *c; c++)
        if (*c == '-' || *c == '.')
            *c = '_';
    return name;
}

enum kind { KIND_NOTHING, KIND_WORDS, KIND_FOLDERS, KIND_FILES, KIND_COMMAND };

/* What completes a value or an argument. */
struct completer {
    enum kind kind;
    const char *detail; /* "a|b" for words; a pattern, or NULL, for files; who is asked */
};

static struct completer for_option(const struct verbs_option *o)
{
    if (o->choices)
        return (struct completer){ KIND_WORDS, o->choices };
    if (str_ends(o->value, "DIR") || str_ends(o->value, "FOLDER"))
        return (struct completer){ KIND_FOLDERS, NULL };
    if (str_ends(o->value, "FILE") || str_ends(o->value, "PATH") || str_ends(o->value, "SOCKET"))
        return (struct completer){ KIND_FILES, NULL };
    return (struct completer){ KIND_NOTHING, NULL };
}

static struct completer for_arguments(const struct verbs_command *c)
{
    const char *s = c->complete ? c->complete : "none";

    if (str_starts(s, "file:"))
        return (struct completer){ KIND_FILES, s + strlen("file:") };
    if (strcmp(s, "file") == 0)
        return (struct completer){ KIND_FILES, NULL };
    if (strcmp(s, "dir") == 0)
        return (struct completer){ KIND_FOLDERS, NULL };
    if (str_starts(s, "words:"))
        return (struct completer){ KIND_WORDS, s + strlen("words:") };
    if (str_starts(s, "command:"))
        return (struct completer){ KIND_COMMAND, s + strlen("command:") };
    return (struct completer){ KIND_NOTHING, NULL };
}

/* In single quotes for a shell. */
static void add_quoted(struct buf *b, const char *s)
{
    buf_addc(b, '\'');
    for (; *s; s++) {
        if (*s == '\'')
            buf_adds(b, "'\\''");
        else
            buf_addc(b, *s);
    }
    buf_addc(b, '\'');
}

/* --- bash ---------------------------------------------------------------------------------- */

/* A shell command that prints the candidates, one a line; `command` is whose arguments they are. */
static void add_bash_completer(struct buf *b, struct completer c, const char *command)
{
    switch (c.kind) {
    case KIND_NOTHING:
        buf_adds(b, ":");
        break;
    case KIND_WORDS: {
        CLEANUP_STRV char **words = strv_split(c.detail, "|");
        CLEANUP_FREE char *all = strv_join(words, " ");

        buf_adds(b, "compgen -W ");
        add_quoted(b, all);
        buf_adds(b, " -- \"$cur\"");
        break;
    }
    case KIND_FOLDERS:
        buf_adds(b, "compgen -d -- \"$cur\"");
        break;
    case KIND_FILES:
        if (c.detail) {
            CLEANUP_FREE char *except = xasprintf("!%s", c.detail);

            buf_adds(b, "compgen -d -- \"$cur\"; compgen -f -X ");
            add_quoted(b, except);
            buf_adds(b, " -- \"$cur\"");
        } else {
            buf_adds(b, "compgen -f -- \"$cur\"");
        }
        break;
    case KIND_COMMAND:
        buf_addf(b, "compgen -W \"$(\"${COMP_WORDS[0]}\" %s %s ", c.detail, command);
        buf_adds(b, "\"${COMP_WORDS[@]:2:COMP_CWORD-2}\" 2>/dev/null)\" -- \"$cur\"");
        break;
    }
}

static void add_bash_values(struct buf *b, const struct verbs_command *c)
{
    for (const struct verbs_option *o = c->options; o && o->name; o++) {
        if (!o->value || !o->help)
            continue;
        buf_addf(b, "    '%s --%s'", c->name, o->name);
        if (o->letter)
            buf_addf(b, " | '%s -%c'", c->name, o->letter);
        buf_adds(b, ") ");
        add_bash_completer(b, for_option(o), c->name);
        buf_adds(b, "; return ;;\n");
    }
}

/* Without those that `own` has, too. */
static void add_bash_names(struct buf *b, const struct verbs_option *o,
                           const struct verbs_option *own)
{
    for (; o && o->name; o++)
        if (o->help && !verbs_shadows(own, o))
            buf_addf(b, " --%s", o->name);
}

static void add_bash_command(struct buf *b, const struct verbs_command *c)
{
    buf_addf(b, "    '%s -'*) compgen -W '", c->name);
    add_bash_names(b, c->options, NULL);
    add_bash_names(b, verbs_common, c->options);
    buf_adds(b, "' -- \"$cur\" ;;\n");
    buf_addf(b, "    '%s '*) ", c->name);
    add_bash_completer(b, for_arguments(c), c->name);
    buf_adds(b, " ;;\n");
}

void verbs_add_bash(struct buf *b, const struct verbs_program *program)
{
    CLEANUP_FREE char *fn = function_name(program);
    bool subcommands = verbs_has_subcommands(program);

    buf_addf(b, "# bash completion for %s, made by '%s --completion bash'\n", program->name,
             program->name);
    buf_addf(b, "%s_candidates()\n{\n", fn);
    buf_adds(b, "    local command=$1 prev=$2 cur=$3\n\n");
    buf_adds(b, "    case \"$command $prev\" in\n");
    VERBS_EACH(c, program)
    add_bash_values(b, c);
    buf_adds(b, "    esac\n    case \"$command $cur\" in\n");
    VERBS_EACH(c, program)
    add_bash_command(b, c);
    if (subcommands) {
        buf_adds(b, "    ' '*) compgen -W '");
        VERBS_EACH(c, program)
        buf_addf(b, "%s%s", c == program->commands ? "" : " ", c->name);
        add_bash_names(b, verbs_common, NULL);
        buf_adds(b, "' -- \"$cur\" ;;\n");
    }
    buf_adds(b, "    esac\n}\n\n");

    buf_addf(b, "%s()\n{\n", fn);
    buf_adds(b, "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                "    local command= i\n\n");
    if (subcommands)
        buf_adds(b, "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                    "        [[ ${COMP_WORDS[i]} == -* ]] || { command=${COMP_WORDS[i]}; break; }\n"
                    "    done\n");
    /* Bash takes "--name=value" apart at the "=". */
    buf_adds(b, "    [[ $cur == = ]] && cur=\n"
                "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
                "    compopt -o filenames 2>/dev/null\n");
    buf_addf(b, "    mapfile -t COMPREPLY < <(%s_candidates \"$command\" \"$prev\" \"$cur\")\n}\n",
             fn);
    buf_addf(b, "complete -F %s %s\n", fn, program->name);
}

/* --- zsh ----------------------------------------------------------------------------------- */

/* Text inside a specification of _arguments, which is in single quotes. */
static void add_zsh_text(struct buf *b, const char *s)
{
    for (; *s; s++) {
        if (*s == '\'')
            buf_adds(b, "'\\''");
        else if (strchr("[]:\\", *s))
            buf_addf(b, "\\%c", *s);
        else
            buf_addc(b, *s);
    }
}

static void add_zsh_completer(struct buf *b, struct completer c, const char *command)
{
    switch (c.kind) {
    case KIND_NOTHING:
        buf_addc(b, ' ');
        break;
    case KIND_WORDS: {
        CLEANUP_STRV char **words = strv_split(c.detail, "|");
        CLEANUP_FREE char *all = strv_join(words, " ");

        buf_addf(b, "(%s)", all);
        break;
    }
    case KIND_FOLDERS:
        buf_adds(b, "_files -/");
        break;
    case KIND_FILES:
        buf_adds(b, "_files");
        if (c.detail)
            buf_addf(b, " -g \"%s\"", c.detail);
        break;
    case KIND_COMMAND:
        buf_addf(b, "{ compadd -- ${(f)\"$($program %s %s ", c.detail, command);
        buf_adds(b, "${(Q)words[2,CURRENT-1]} 2>/dev/null)\"} }");
        break;
    }
}

static void add_zsh_option(struct buf *b, const struct verbs_option *o)
{
    const char *plus = o->value ? "+" : "", *equals = o->value ? "=" : "";

    buf_adds(b, "            ");
    if (o->letter)
        buf_addf(b, "'(-%c --%s)'{-%c%s,--%s%s}'[", o->letter, o->name, o->letter, plus, o->name,
                 equals);
    else
        buf_addf(b, "'--%s%s[", o->name, equals);
    add_zsh_text(b, o->help ? o->help : "");
    buf_addc(b, ']');
    if (o->value) {
        buf_addc(b, ':');
        add_zsh_text(b, o->value);
        buf_addc(b, ':');
        add_zsh_completer(b, for_option(o), "");
    }
    buf_adds(b, "' \\\n");
}

static void add_zsh_command(struct buf *b, const struct verbs_command *c)
{
    buf_addf(b, "    '%s')\n        _arguments -s -S \\\n", c->name);
    for (const struct verbs_option *o = c->options; o && o->name; o++)
        if (o->help)
            add_zsh_option(b, o);
    for (const struct verbs_option *o = verbs_common; o->name; o++)
        if (!verbs_shadows(c->options, o))
            add_zsh_option(b, o);
    if (c->max == 0) {
        buf_adds(b, "            && return\n");
    } else {
        buf_adds(b, "            '*:");
        add_zsh_text(b, c->arguments && *c->arguments ? c->arguments : "argument");
        buf_addc(b, ':');
        add_zsh_completer(b, for_arguments(c), c->name);
        buf_adds(b, "'\n");
    }
    buf_adds(b, "        ;;\n");
}

void verbs_add_zsh(struct buf *b, const struct verbs_program *program)
{
    CLEANUP_FREE char *fn = function_name(program);

    buf_addf(b, "#compdef %s\n# zsh completion for %s, made by '%s --completion zsh'\n",
             program->name, program->name, program->name);
    buf_addf(b, "%s()\n{\n    local command= program=$words[1]\n", fn);
    if (verbs_has_subcommands(program)) {
        buf_adds(b, "    local -a commands=(\n");
        VERBS_EACH(c, program)
        {
            buf_addf(b, "        '%s:", c->name);
            add_zsh_text(b, c->help);
            buf_adds(b, "'\n");
        }
        buf_adds(b, "    )\n\n"
                    "    if ((CURRENT == 2)); then\n"
                    "        _describe -t commands command commands\n"
                    "        _arguments \\\n");
        for (const struct verbs_option *o = verbs_common; o->name; o++)
            add_zsh_option(b, o);
        buf_adds(b, "            && return\n"
                    "        return\n"
                    "    fi\n"
                    "    command=$words[2]\n"
                    "    shift words\n"
                    "    ((CURRENT--))\n");
    }
    buf_adds(b, "    case $command in\n");
    VERBS_EACH(c, program)
    add_zsh_command(b, c);
    buf_adds(b, "    esac\n}\n\n");
    /* Both as an autoloaded function and sourced. */
    buf_addf(b,
             "if [ \"$funcstack[1]\" = '%s' ]; then\n    %s \"$@\"\nelse\n    compdef %s %s\nfi\n",
             fn, fn, fn, program->name);
}
