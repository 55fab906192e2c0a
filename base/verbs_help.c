/* SPDX-License-Identifier: AGPL-3.0-only */

/* Help on the terminal and the man page. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "base/verbs_text.h"

#define WIDTH 80
/* Help of an option or command starts at this column at most; longer names get a line of their own. */
#define MAX_LEFT 30

static bool is_blank(const char *line)
{
    line += strspn(line, " \t");
    return *line == '\n' || !*line;
}

static const char *after_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

bool verbs_next_block(const char **text, struct verbs_block *ret)
{
    const char *start = *text, *end;
    bool verbatim;

    while (*start && is_blank(start))
        start = after_line(start);
    if (!*start)
        return false;
    verbatim = *start == ' ' || *start == '\t';
    end = start;
    while (*end && !is_blank(end) && (*end == ' ' || *end == '\t') == verbatim)
        end = after_line(end);
    *text = end;
    *ret = (struct verbs_block){ .text = start,
                                 .len = (size_t)(end - start) - (end[-1] == '\n'),
                                 .verbatim = verbatim };
    return true;
}

/* --- the terminal -------------------------------------------------------------------------- */

/* Columns that UTF-8 text takes. */
static size_t columns(const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

static void add_spaces(struct buf *b, size_t n)
{
    buf_addf(b, "%*s", (int)n, "");
}

/* Fills words into lines from `column`, later lines from `indent`; ends the last line. */
static void add_filled(struct buf *b, const char *text, size_t len, size_t column, size_t indent)
{
    const char *end = text + len;
    bool first = true;

    while (text < end) {
        size_t n = 0, width;

        while (text < end && isspace((unsigned char)*text))
            text++;
        while (text + n < end && !isspace((unsigned char)text[n]))
            n++;
        if (n == 0)
            break;
        width = columns(text, n);
        if (!first && column + 1 + width >= WIDTH) {
            buf_addc(b, '\n');
            add_spaces(b, indent);
            column = indent;
            first = true;
        }
        if (!first)
            buf_addc(b, ' ');
        buf_add(b, text, n);
        column += width + !first;
        first = false;
        text += n;
    }
    buf_addc(b, '\n');
}

static void add_blocks(struct buf *b, const char *text)
{
    struct verbs_block block;

    while (verbs_next_block(&text, &block)) {
        buf_addc(b, '\n');
        if (block.verbatim)
            buf_addf(b, "%.*s\n", (int)block.len, block.text);
        else
            add_filled(b, block.text, block.len, 0, 0);
    }
}

/* "-r, --report-dir DIR". The caller frees it. */
static char *option_left(const struct verbs_option *o)
{
    CLEANUP_BUF struct buf b = BUF_INIT(VERBS_TEXT_MAX);

    if (o->letter)
        buf_addf(&b, "-%c, ", o->letter);
    else
        buf_adds(&b, "    ");
    buf_addf(&b, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    return buf_steal(&b);
}

/* The help of an option with its choices. The caller frees it. */
static char *option_help(const struct verbs_option *o)
{
    CLEANUP_STRV char **choices = NULL;
    CLEANUP_FREE char *all = NULL;

    if (!o->choices)
        return xstrdup(o->help ? o->help : "");
    choices = strv_split(o->choices, "|");
    all = strv_join(choices, ", ");
    return xasprintf("%s (%s)", o->help ? o->help : "one of", all);
}

/* Two columns; `left` is their distance from the margin. */
static void add_row(struct buf *b, const char *name, const char *help, size_t left)
{
    size_t width = columns(name, strlen(name));

    buf_addf(b, "  %s", name);
    if (width + 4 > left) {
        buf_addc(b, '\n');
        width = 0;
        add_spaces(b, left);
    } else {
        add_spaces(b, left - width - 2);
    }
    add_filled(b, help, strlen(help), left, left);
}

static size_t left_of(size_t widest)
{
    return widest + 4 < MAX_LEFT ? widest + 4 : MAX_LEFT;
}

static void add_options(struct buf *b, const struct verbs_option *own)
{
    const struct verbs_option *lists[] = { own, verbs_common };
    size_t widest = 0;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (const struct verbs_option *o = lists[i]; o && o->name; o++) {
            CLEANUP_FREE char *left = option_left(o);
            size_t n = o->help ? columns(left, strlen(left)) : 0;

            if (n + 4 <= MAX_LEFT && n > widest)
                widest = n;
        }
    }
    buf_adds(b, "\nOptions:\n");
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (const struct verbs_option *o = lists[i]; o && o->name; o++) {
            CLEANUP_FREE char *left = option_left(o), *help = option_help(o);

            if (!o->help || (lists[i] == verbs_common && verbs_shadows(own, o)))
                continue;
            add_row(b, left, help, left_of(widest));
        }
    }
}

static void add_commands(struct buf *b, const struct verbs_program *program)
{
    size_t widest = 0;

    VERBS_EACH(c, program)
    if (strlen(c->name) > widest)
        widest = strlen(c->name);
    buf_adds(b, "\nCommands:\n");
    VERBS_EACH(c, program)
    add_row(b, c->name, c->help, left_of(widest));
}

static void add_exit_codes(struct buf *b, const struct verbs_program *program)
{
    if (!program->exit_codes)
        return;
    buf_adds(b, "\nExit status:\n");
    for (const char *line = program->exit_codes; *line; line = after_line(line)) {
        buf_adds(b, "  ");
        add_filled(b, line, strcspn(line, "\n"), 2, 4);
    }
}

void verbs_add_usage(struct buf *b, const struct verbs_program *program,
                     const struct verbs_command *command)
{
    buf_adds(b, program->name);
    if (!command && verbs_has_subcommands(program)) {
        buf_adds(b, " COMMAND [OPTION...] [ARGUMENT...]");
        return;
    }
    if (!command)
        command = &program->commands[0];
    if (*command->name)
        buf_addf(b, " %s", command->name);
    buf_adds(b, " [OPTION...]");
    if (command->arguments && *command->arguments)
        buf_addf(b, " %s", command->arguments);
}

void verbs_add_help(struct buf *b, const struct verbs_program *program,
                    const struct verbs_command *command)
{
    bool subcommands = verbs_has_subcommands(program);
    const char *summary = command && subcommands ? command->help : program->summary;

    if (!command && !subcommands)
        command = &program->commands[0];
    buf_adds(b, "Usage: ");
    verbs_add_usage(b, program, command);
    buf_adds(b, "\n\n");
    add_filled(b, summary, strlen(summary), 0, 0);
    if (!command)
        add_commands(b, program);
    add_options(b, command ? command->options : NULL);
    if (command && command->details)
        add_blocks(b, command->details);
    if (!command || !subcommands)
        add_exit_codes(b, program);
    if (!command)
        buf_addf(b, "\n'%s COMMAND --help' tells more about a command.\n", program->name);
}

/* --- the man page -------------------------------------------------------------------------- */

/* Text that troff does not take for requests or escapes. */
static void add_troff(struct buf *b, const char *s, size_t len)
{
    bool line_start = b->len == 0 || b->data[b->len - 1] == '\n';

    for (size_t i = 0; i < len; i++) {
        if (line_start && (s[i] == '.' || s[i] == '\''))
            buf_adds(b, "\\&");
        if (s[i] == '\\')
            buf_adds(b, "\\e");
        else if (s[i] == '-')
            buf_adds(b, "\\-");
        else
            buf_addc(b, s[i]);
        line_start = s[i] == '\n';
    }
}

static void add_troffs(struct buf *b, const char *s)
{
    add_troff(b, s, strlen(s));
}

static void add_font(struct buf *b, char font, const char *s)
{
    buf_addf(b, "\\f%c", font);
    add_troffs(b, s);
    buf_adds(b, "\\fR");
}

/* "rig run [OPTION...] FILE...": what one types in bold, what one replaces in italics. */
static void add_man_usage(struct buf *b, const struct verbs_program *program,
                          const struct verbs_command *command)
{
    add_font(b, 'B', program->name);
    if (*command->name) {
        buf_addc(b, ' ');
        add_font(b, 'B', command->name);
    }
    buf_adds(b, " [");
    add_font(b, 'I', "OPTION...");
    buf_adds(b, "]");
    if (command->arguments && *command->arguments) {
        buf_addc(b, ' ');
        add_font(b, 'I', command->arguments);
    }
    buf_addc(b, '\n');
}

/* Without those that `own` has, too. */
static void add_man_options(struct buf *b, const struct verbs_option *o,
                            const struct verbs_option *own)
{
    for (; o && o->name; o++) {
        CLEANUP_FREE char *help = option_help(o), *name = xasprintf("--%s", o->name);

        if (!o->help || verbs_shadows(own, o))
            continue;
        buf_adds(b, ".TP\n");
        if (o->letter) {
            char letter[] = { '-', o->letter, '\0' };

            add_font(b, 'B', letter);
            buf_adds(b, ", ");
        }
        add_font(b, 'B', name);
        if (o->value) {
            buf_addc(b, ' ');
            add_font(b, 'I', o->value);
        }
        buf_addc(b, '\n');
        add_troffs(b, help);
        buf_adds(b, ".\n");
    }
}

static void add_man_blocks(struct buf *b, const char *text)
{
    struct verbs_block block;

    while (text && verbs_next_block(&text, &block)) {
        buf_adds(b, block.verbatim ? ".PP\n.nf\n" : ".PP\n");
        add_troff(b, block.text, block.len);
        buf_adds(b, block.verbatim ? "\n.fi\n" : "\n");
    }
}

static void add_man_command(struct buf *b, const struct verbs_program *program,
                            const struct verbs_command *c)
{
    if (*c->name) {
        buf_adds(b, ".SS ");
        add_man_usage(b, program, c);
        add_troffs(b, c->help);
        buf_adds(b, ".\n");
    }
    add_man_blocks(b, c->details);
    add_man_options(b, c->options, NULL);
}

/* Lines like "3  no lab here" become a list. */
static void add_man_exit_codes(struct buf *b, const char *text)
{
    buf_adds(b, ".SH EXIT STATUS\n");
    for (const char *line = text; *line; line = after_line(line)) {
        size_t digits = strspn(line, "0123456789"), len = strcspn(line, "\n");
        size_t gap = strspn(line + digits, " ");

        if (digits && gap) {
            buf_addf(b, ".TP\n\\fB%.*s\\fR\n", (int)digits, line);
            line += digits + gap;
            len -= digits + gap;
        }
        add_troff(b, line, len);
        buf_addc(b, '\n');
    }
}

void verbs_add_man(struct buf *b, const struct verbs_program *program)
{
    bool subcommands = verbs_has_subcommands(program);
    CLEANUP_FREE char *title = xstrdup(program->name);

    for (char *c = title; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    buf_addf(b, ".TH \"%s\" \"1\" \"\" \"%s %s\" \"User Commands\"\n", title, program->name,
             program->version);
    buf_adds(b, ".SH NAME\n");
    add_troffs(b, program->name);
    buf_adds(b, " \\- ");
    add_troffs(b, program->summary);
    buf_adds(b, "\n.SH SYNOPSIS\n");
    if (subcommands) {
        add_font(b, 'B', program->name);
        buf_adds(b, " \\fICOMMAND\\fR [\\fIOPTION...\\fR] [\\fIARGUMENT...\\fR]\n.SH COMMANDS\n");
        VERBS_EACH(c, program)
        add_man_command(b, program, c);
        buf_adds(b, ".SH OPTIONS OF EVERY COMMAND\n");
    } else {
        add_man_usage(b, program, &program->commands[0]);
        if (program->commands[0].details) {
            buf_adds(b, ".SH DESCRIPTION\n");
            add_man_blocks(b, program->commands[0].details);
        }
        buf_adds(b, ".SH OPTIONS\n");
        add_man_options(b, program->commands[0].options, NULL);
    }
    add_man_options(b, verbs_common, subcommands ? NULL : program->commands[0].options);
    if (program->exit_codes)
        add_man_exit_codes(b, program->exit_codes);
}
