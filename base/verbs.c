/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "base/verbs_text.h"

#define USAGE_ERROR 2
#define MAX_OPTIONS ARRAY_LEN(((struct verbs_args *)NULL)->values)

const struct verbs_option verbs_common[] = {
    { .name = "help", .letter = 'h', .help = "show this help" },
    { .name = "version", .help = "show the version" },
    { .name = NULL },
};

/* For tools rather than people, so no help shows them. */
static const struct verbs_option hidden[] = {
    { .name = "completion", .value = "SHELL", .choices = "bash|zsh" },
    { .name = "man" },
    { .name = NULL },
};

const struct verbs_command *verbs_shown(const struct verbs_command *c)
{
    while (c->name && !c->help)
        c++;
    return c->name ? c : NULL;
}

bool verbs_shadows(const struct verbs_option *own, const struct verbs_option *common)
{
    for (; own && own->name; own++)
        if (strcmp(own->name, common->name) == 0)
            return true;
    return false;
}

/* One run of verbs_main(). */
struct parse {
    const struct verbs_program *program;
    const struct verbs_command *command; /* NULL until it is known */
    const struct verbs_option *builtin;  /* a built-in option that was given, or NULL */
    const char *builtin_value;
    struct verbs_args args;
    char **positional;         /* has room for every word of argv */
    struct verbs_given *given; /* the same */
    size_t n_positional;
};

/* --- what the command asks for ------------------------------------------------------------- */

static size_t index_of(const struct verbs_args *args, const char *name)
{
    for (size_t i = 0; args->options && args->options[i].name; i++)
        if (strcmp(args->options[i].name, name) == 0)
            return i;
    fprintf(stderr, "the command '%s' has no option '%s' in its table\n", args->command, name);
    abort();
}

const char *verbs_value(const struct verbs_args *args, const char *name)
{
    return args->values[index_of(args, name)];
}

bool verbs_flag(const struct verbs_args *args, const char *name)
{
    return verbs_value(args, name) != NULL;
}

char **verbs_values(const struct verbs_args *args, const char *name)
{
    const struct verbs_option *option = &args->options[index_of(args, name)];
    char **values = NULL;

    for (size_t i = 0; i < args->n_given; i++)
        if (args->given[i].option == option)
            strv_add(&values, args->given[i].value);
    return values;
}

/* --- mistakes ------------------------------------------------------------------------------ */

static int __attribute__((format(printf, 3, 4))) mistake(const struct parse *p, struct err **err,
                                                         const char *fmt, ...)
{
    CLEANUP_FREE char *what = NULL;
    const char *name = p->program->name, *command = p->command ? p->command->name : "";
    const char *gap = *command ? " " : "";
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&what, fmt, ap) < 0)
        abort();
    va_end(ap);
    err_new(err, EINVAL, "%s%s%s: %s", name, gap, command, what);
    return err_hint(err, "Try '%s%s%s --help'.", name, gap, command);
}

/* ", did you mean 'run'?" or "". The caller frees it. */
static char *did_you_mean(const char *typed, const char *dashes, char *const *candidates)
{
    const char *near = str_nearest(typed, candidates);

    return near ? xasprintf(", did you mean '%s%s'?", dashes, near) : xstrdup("");
}

static void add_names(char ***names, const struct verbs_option *options)
{
    for (; options && options->name; options++)
        if (options->help)
            strv_add(names, options->name);
}

static int unknown_option(const struct parse *p, const char *name, struct err **err)
{
    CLEANUP_STRV char **names = NULL;
    CLEANUP_FREE char *near = NULL;

    add_names(&names, p->args.options);
    add_names(&names, verbs_common);
    near = did_you_mean(name, "--", names);
    return mistake(p, err, "unknown option '--%s'%s", name, near);
}

static int unknown_command(const struct parse *p, const char *name, struct err **err)
{
    CLEANUP_STRV char **names = NULL;
    CLEANUP_FREE char *near = NULL;

    VERBS_EACH(c, p->program)
    strv_add(&names, c->name);
    near = did_you_mean(name, "", names);
    return mistake(p, err, "unknown command '%s'%s", name, near);
}

/* --- parsing ------------------------------------------------------------------------------- */

static const struct verbs_option *find(const struct verbs_option *options, const char *name,
                                       size_t len, char letter)
{
    for (; options && options->name; options++)
        if (letter ? options->letter == letter
                   : strlen(options->name) == len && strncmp(options->name, name, len) == 0)
            return options;
    return NULL;
}

/* By long name, or by `letter` when that is not 0. A command's own options come first: it may need
 * a --version of its own. */
static const struct verbs_option *find_any(const struct parse *p, const char *name, size_t len,
                                           char letter)
{
    const struct verbs_option *found = find(p->args.options, name, len, letter);

    if (!found)
        found = find(verbs_common, name, len, letter);
    return found || letter ? found : find(hidden, name, len, 0);
}

static int check_choice(const struct parse *p, const struct verbs_option *option, const char *value,
                        struct err **err)
{
    CLEANUP_STRV char **choices = NULL;
    CLEANUP_FREE char *all = NULL, *near = NULL;

    if (!option->choices)
        return 0;
    choices = strv_split(option->choices, "|");
    if (strv_has(choices, value))
        return 0;
    all = strv_join(choices, ", ");
    near = did_you_mean(value, "", choices);
    return mistake(p, err, "--%s cannot be '%s', only one of %s%s", option->name, value, all, near);
}

static int take(struct parse *p, const struct verbs_option *option, const char *value,
                struct err **err)
{
    const struct verbs_option *own = p->args.options;
    int r = check_choice(p, option, value, err);

    if (r < 0)
        return r;
    for (size_t i = 0; own && own[i].name; i++) {
        if (&own[i] == option) {
            p->args.values[i] = value;
            p->given[p->args.n_given++] = (struct verbs_given){ option, value };
            return 0;
        }
    }
    if (!p->builtin) {
        p->builtin = option;
        p->builtin_value = value;
    }
    return 0;
}

/* "--name", "--name=VALUE" or "--name VALUE" at argv[*i]. */
static int parse_long(struct parse *p, char **argv, int *i, struct err **err)
{
    const char *name = argv[*i] + 2, *value = strchr(name, '=');
    size_t len = value ? (size_t)(value - name) : strlen(name);
    const struct verbs_option *option = find_any(p, name, len, 0);
    CLEANUP_FREE char *plain = xstrndup(name, len);

    if (!option)
        return unknown_option(p, plain, err);
    if (value && !option->value)
        return mistake(p, err, "--%s takes no value", plain);
    if (value)
        value++;
    else if (!option->value)
        value = "";
    else if (argv[*i + 1])
        value = argv[++*i];
    else
        return mistake(p, err, "--%s needs a value: %s", plain, option->value);
    return take(p, option, value, err);
}

/* "-a", "-abc", "-dVALUE" or "-d VALUE" at argv[*i]. */
static int parse_short(struct parse *p, char **argv, int *i, struct err **err)
{
    for (const char *letter = argv[*i] + 1; *letter; letter++) {
        const struct verbs_option *option = find_any(p, NULL, 0, *letter);
        const char *value = "";
        int r;

        if (!option)
            return mistake(p, err, "unknown option '-%c'", *letter);
        if (option->value && letter[1])
            value = letter + 1;
        else if (option->value && argv[*i + 1])
            value = argv[++*i];
        else if (option->value)
            return mistake(p, err, "-%c needs a value: %s", *letter, option->value);
        r = take(p, option, value, err);
        if (r < 0 || option->value)
            return r;
    }
    return 0;
}

static void choose(struct parse *p, const struct verbs_command *command)
{
    p->command = command;
    p->args.command = command->name;
    p->args.options = command->options;
    for (size_t n = 0; command->options && command->options[n].name; n++)
        if (n >= MAX_OPTIONS)
            abort();
}

static int parse_word(struct parse *p, char *word, struct err **err)
{
    if (!p->command) {
        for (const struct verbs_command *c = p->program->commands; c->name; c++) {
            if (strcmp(c->name, word) == 0) {
                choose(p, c);
                return 0;
            }
        }
        return unknown_command(p, word, err);
    }
    p->positional[p->n_positional++] = word;
    return 0;
}

/* Whether `word` and what follows it belong to the program that the command hands them to. */
static bool is_passed_on(const struct parse *p, const char *word)
{
    const char *name = word + strspn(word, "-");

    if (!p->command || !p->command->passes_on)
        return false;
    if (p->n_positional > 0)
        return true;
    if (p->command->min > 0 || word[0] != '-' || str_eq(word, "--"))
        return false;
    return !find_any(p, name, strcspn(name, "="), word[1] == '-' ? 0 : word[1]);
}

static int parse_all(struct parse *p, char **argv, struct err **err)
{
    bool only_words = false;

    for (int i = 1; argv[i]; i++) {
        int r;

        if (only_words || argv[i][0] != '-' || !argv[i][1] || is_passed_on(p, argv[i])) {
            r = parse_word(p, argv[i], err);
        } else if (strcmp(argv[i], "--") == 0) {
            only_words = true;
            r = 0;
        } else if (argv[i][1] == '-') {
            r = parse_long(p, argv, &i, err);
        } else {
            r = parse_short(p, argv, &i, err);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_known(const struct parse *p, const char *words, struct err **err)
{
    CLEANUP_STRV char **known = strv_split(words, "|");
    CLEANUP_FREE char *all = strv_join(known, ", ");

    for (size_t i = 0; i < p->n_positional; i++) {
        CLEANUP_FREE char *near = NULL;

        if (strv_has(known, p->positional[i]))
            continue;
        near = did_you_mean(p->positional[i], "", known);
        return mistake(p, err, "'%s' is none of %s%s", p->positional[i], all, near);
    }
    return 0;
}

/* After the words were read, unless a built-in option makes them irrelevant. */
static int check_words(const struct parse *p, struct err **err)
{
    const struct verbs_command *c = p->command;

    if (!c)
        return mistake(p, err, "a command is missing");
    if (p->n_positional < (size_t)c->min)
        return mistake(p, err, "%s is missing", *c->arguments ? c->arguments : "an argument");
    if (c->max >= 0 && p->n_positional > (size_t)c->max)
        return mistake(p, err, "'%s' is one argument too many", p->positional[c->max]);
    if (c->complete && str_starts(c->complete, "words:"))
        return check_known(p, c->complete + strlen("words:"), err);
    return 0;
}

bool verbs_print(const struct verbs_program *program, const char *what)
{
    CLEANUP_BUF struct buf b = BUF_INIT(VERBS_TEXT_MAX);

    if (strcmp(what, "man") == 0)
        verbs_add_man(&b, program);
    else if (strcmp(what, "bash") == 0)
        verbs_add_bash(&b, program);
    else
        verbs_add_zsh(&b, program);
    fputs(buf_str(&b), stdout);
    return fflush(stdout) == 0;
}

static int run_builtin(const struct parse *p)
{
    CLEANUP_BUF struct buf b = BUF_INIT(VERBS_TEXT_MAX);
    const char *name = p->builtin->name;

    if (strcmp(name, "man") == 0 || strcmp(name, "completion") == 0)
        return verbs_print(p->program,
                           p->builtin_value && *p->builtin_value ? p->builtin_value : name)
                       ? 0
                       : 1;
    if (strcmp(name, "help") == 0)
        verbs_add_help(&b, p->program, p->command);
    else
        buf_addf(&b, "%s %s\n", p->program->name, p->program->version);
    fputs(buf_str(&b), stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* More than there can be options in `argv`: short ones may stand together. */
static size_t letters(int argc, char **argv)
{
    size_t n = 1;

    for (int i = 0; i < argc; i++)
        n += strlen(argv[i]);
    return n;
}

int verbs_main(const struct verbs_program *program, int argc, char **argv, void *userdata)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char **words = xcalloc((size_t)argc + 1, sizeof(char *));
    CLEANUP_FREE struct verbs_given *given = NULL;
    CLEANUP_FREE char *full = NULL;
    struct parse p = { .program = program, .positional = words };
    int r;

    p.given = given = xcalloc(letters(argc, argv), sizeof(*given));
    p.args.given = given;
    if (!verbs_has_subcommands(program))
        choose(&p, &program->commands[0]);
    r = argc > 0 ? parse_all(&p, argv, &err) : 0;
    if (r >= 0 && p.builtin)
        return run_builtin(&p);
    if (r >= 0)
        r = check_words(&p, &err);
    if (r < 0) {
        full = err_text_full(err);
        fprintf(stderr, "%s\n", full);
        return USAGE_ERROR;
    }
    p.args.positional = p.positional;
    p.args.n_positional = p.n_positional;
    return p.command->run(&p.args, userdata);
}
