/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. A sentence is cut into words; every pattern of the table is laid beside them
 * word by word, where it stands: thousands of sentences by dozens of patterns are read in a check. A pattern that does not fit leaves behind how far it came and what it wanted there.
 * Of all misfits those that came furthest make the error: what they wanted, together.
 */

#include "rig/scenario/sentence.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/scenario/param.h"

struct words {
    char *raw[SENTENCE_WORDS]; /* with quotes */
    size_t n;
};

static void words_done(struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->raw[i]);
    w->n = 0;
}

static bool quoted(const char *word)
{
    return word[0] == '"';
}

/* A word without its quotes. */
static char *unquoted(const char *word)
{
    if (!quoted(word))
        return xstrdup(word);
    return xstrndup(word + 1, strlen(word) - 2);
}

/* The end of the word that begins at `s`, NULL for a quote without end. */
static const char *word_end(const char *s)
{
    if (*s == '"') {
        const char *close = strchr(s + 1, '"');

        return close ? close + 1 : NULL;
    }
    while (*s && !isspace((unsigned char)*s))
        s++;
    return s;
}

static int words_split(const char *text, struct words *ret, struct err **err)
{
    if (strlen(text) > SENTENCE_MAX)
        return err_new(err, EINVAL, "a sentence has at most %d bytes, this one has %zu",
                       SENTENCE_MAX, strlen(text));
    for (const char *s = text;;) {
        const char *end;

        while (isspace((unsigned char)*s))
            s++;
        if (!*s)
            break;
        end = word_end(s);
        if (!end)
            return err_new(err, EINVAL, "a quote is opened and not closed: %s", s);
        if (*end && !isspace((unsigned char)*end))
            return err_new(err, EINVAL, "a space is missing behind %.*s", (int)(end - s), s);
        for (const char *c = s; c < end; c++)
            if (iscntrl((unsigned char)*c))
                return err_new(err, EINVAL, "a sentence stands on one line of printable text");
        if (ret->n == SENTENCE_WORDS)
            return err_new(err, EINVAL, "a sentence has at most %d words", SENTENCE_WORDS);
        ret->raw[ret->n++] = xstrndup(s, (size_t)(end - s));
        s = end;
    }
    if (ret->n == 0)
        return err_new(err, EINVAL, "a sentence is empty");
    return 0;
}

static char *words_join(const struct words *w, size_t from, size_t to)
{
    struct buf b = BUF_INIT(SENTENCE_MAX + SENTENCE_WORDS);

    for (size_t i = from; i < to; i++) {
        if (i > from)
            buf_addc(&b, ' ');
        buf_adds(&b, w->raw[i]);
    }
    return buf_steal(&b);
}

static bool is_param(const char *word)
{
    return isupper((unsigned char)word[0]);
}

/* Where and why a pattern does not fit. */
struct misfit {
    size_t at;            /* index of the first word that it cannot take */
    const char *expected; /* where it stands in the pattern, "" for the end; borrowed */
    bool in_list; /* after a first value of DEVICE...: `expected` may also stand further on */
};

/* A pattern is read where it stands: words by their beginning, "" at the end. */
static size_t word_len(const char *word)
{
    return strcspn(word, " ");
}

static const char *word_after(const char *word)
{
    word += word_len(word);
    return *word ? word + 1 : word;
}

static bool is_list(const char *word)
{
    size_t len = word_len(word);

    return len > 3 && strncmp(word + len - 3, "...", 3) == 0;
}

static struct binding *bind(struct sentence *s, const char *param)
{
    struct binding *b = &s->params[s->n_params++];
    size_t len = strcspn(param, " .");

    if (s->n_params > SENTENCE_PARAMS || !param_type_find(param) || len >= sizeof(b->name))
        abort();
    memcpy(b->name, param, len);
    b->name[len] = '\0';
    b->values = NULL;
    b->list = is_list(param);
    return b;
}

static void bind_value(struct binding *b, const char *raw)
{
    CLEANUP_FREE char *value = unquoted(raw);

    strv_add(&b->values, value);
}

static bool literal_at(const struct words *w, size_t i, const char *literal)
{
    size_t len = word_len(literal);

    return i < w->n && strncmp(w->raw[i], literal, len) == 0 && !w->raw[i][len];
}

/* Whether a first value of `param` may be meant: of a few words it must be one, so that other patterns
 * may have a literal there. */
static bool may_be(const char *param, const char *raw)
{
    const struct param_type *type = param_type_find(param);
    CLEANUP_FREE char *value = type && type->words ? unquoted(raw) : NULL;

    return !value || strv_has((char *const *)type->words, value);
}

/* Lays pattern words beside the words; binds parameters into `s` as it goes. */
static bool fits(const char *pattern, const struct words *w, struct sentence *s,
                 size_t *ret_literals, struct misfit *ret)
{
    size_t at = 0, literals = 0;

    for (const char *want = pattern, *then; *want; want = then) {
        struct binding *b;

        then = word_after(want);
        *ret = (struct misfit){ .at = at, .expected = want };
        if (!is_param(want)) {
            if (!literal_at(w, at, want))
                return false;
            at++;
            literals++;
            continue;
        }
        if (at == w->n || !may_be(want, w->raw[at]))
            return false;
        b = bind(s, want);
        if (str_eq(b->name, "TEXT")) {
            bool one = w->n - at == 1;
            CLEANUP_FREE char *rest = one ? unquoted(w->raw[at]) : words_join(w, at, w->n);

            strv_add(&b->values, rest);
            at = w->n;
            continue;
        }
        bind_value(b, w->raw[at++]);
        if (!b->list)
            continue;
        *ret = (struct misfit){ .at = at, .expected = then, .in_list = true };
        while (at < w->n && !(*then && literal_at(w, at, then)))
            bind_value(b, w->raw[at++]);
        if (*then && at == w->n)
            return false;
    }
    *ret = (struct misfit){ .at = at, .expected = "" };
    *ret_literals = literals;
    return at == w->n;
}

static int check_values(const struct sentence *s, struct err **err)
{
    for (size_t i = 0; i < s->n_params; i++)
        for (char **v = s->params[i].values; *v; v++)
            if (param_check(param_type_find(s->params[i].name), *v, NULL, err) < 0)
                return -EINVAL;
    return 0;
}

/* The pattern of `kinds` that fits best, bound into `ret`; NULL when none fits. `misfits`, one for
 * each verb, keeps why; its `at` is 0 for verbs of other kinds. */
static const struct verb *best_fit(const struct verb *verbs, size_t n_verbs, unsigned kinds,
                                   const struct words *w, struct sentence *ret,
                                   struct misfit *misfits)
{
    const struct verb *best = NULL;
    size_t most = 0;

    for (size_t i = 0; i < n_verbs; i++) {
        struct sentence s = { 0 };
        size_t literals = 0;

        misfits[i] = (struct misfit){ 0 };
        if ((verbs[i].kind & kinds) && fits(verbs[i].pattern, w, &s, &literals, &misfits[i]) &&
            (!best || literals > most)) {
            sentence_done(ret);
            *ret = s;
            best = &verbs[i];
            most = literals;
        } else {
            sentence_done(&s);
        }
    }
    return best;
}

/* What may stand in a place of a sentence. */
struct choices {
    char **literals, **params;
};

static void add_once(char ***list, const char *text)
{
    if (!strv_has(*list, text))
        strv_add(list, text);
}

static void add_choice(struct choices *c, const struct misfit *m)
{
    CLEANUP_FREE char *word = xstrndup(m->expected, word_len(m->expected));
    const struct param_type *type = is_param(word) ? param_type_find(word) : NULL;

    for (const char *const *value = type ? type->words : NULL; value && *value; value++)
        add_once(&c->literals, *value);
    if (!*word)
        add_once(&c->params, "the end");
    else if (!type)
        add_once(&c->literals, word);
    else if (!type->words)
        add_once(&c->params, word);
}

static void choices_done(struct choices *c)
{
    strv_free(c->literals);
    strv_free(c->params);
}

/* "a, b or c" */
static char *either(char *const *choices)
{
    struct buf b = BUF_INIT(SENTENCE_MAX * 4);
    size_t n = strv_len(choices);

    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_adds(&b, i + 1 == n ? " or " : ", ");
        buf_adds(&b, choices[i]);
    }
    return buf_steal(&b);
}

const char *verb_kind_text(enum verb_kind kind)
{
    switch (kind) {
    case VERB_DO:
        return "do";
    case VERB_FAULT:
        return "fault";
    case VERB_EXPECT:
        return "expect";
    }
    abort();
}

static const enum verb_kind all_kinds[] = { VERB_DO, VERB_FAULT, VERB_EXPECT };

/* "'do' or 'fault'" */
static char *kinds_text(unsigned kinds)
{
    CLEANUP_STRV char **names = NULL;

    for (size_t i = 0; i < ARRAY_LEN(all_kinds); i++)
        if (kinds & all_kinds[i])
            strv_addf(&names, "'%s'", verb_kind_text(all_kinds[i]));
    return either(names);
}

static char *choices_text(const struct choices *c)
{
    CLEANUP_STRV char **all = NULL;

    for (char **l = c->literals; l && *l; l++)
        strv_addf(&all, "'%s'", *l);
    for (char **p = c->params; p && *p; p++)
        strv_add(&all, *p);
    return either(all);
}

static char *did_you_mean(const char *found, char *const *literals)
{
    const char *nearest = found && literals ? str_nearest(found, literals) : NULL;

    return nearest ? xasprintf("; did you mean '%s'?", nearest) : xstrdup("");
}

/* Nothing fits: what those that came furthest wanted. */
static int explain(const struct words *w, unsigned kinds, const struct verb *verbs,
                   const struct misfit *misfits, size_t n_verbs, struct err **err)
{
    __attribute__((cleanup(choices_done))) struct choices choices = { 0 };
    CLEANUP_FREE char *wanted = NULL, *before = NULL, *of = kinds_text(kinds), *hint = NULL;
    const char *found;
    bool in_list = false;
    size_t furthest = 0;

    for (size_t i = 0; i < n_verbs; i++)
        if ((verbs[i].kind & kinds) && misfits[i].at > furthest)
            furthest = misfits[i].at;
    for (size_t i = 0; i < n_verbs; i++) {
        if (!(verbs[i].kind & kinds) || misfits[i].at != furthest)
            continue;
        add_choice(&choices, &misfits[i]);
        in_list |= misfits[i].in_list;
    }
    wanted = choices_text(&choices);
    before = words_join(w, 0, furthest);
    found = furthest < w->n ? w->raw[furthest] : NULL;
    hint = did_you_mean(found, choices.literals);
    if (furthest == 0)
        return err_new(err, EINVAL, "'%s' begins no sentence of %s: it expects %s%s", found, of,
                       wanted, hint);
    if (!found)
        return err_new(err, EINVAL, "after '%s' expected %s, found the end", before, wanted);
    if (in_list && w->n > furthest + 1)
        return err_new(err, EINVAL, "after '%s', or further on, expected %s", before, wanted);
    return err_new(err, EINVAL, "after '%s' expected %s, found '%s'%s", before, wanted, found,
                   hint);
}

static int match(const struct verb *verbs, size_t n_verbs, unsigned kinds, const struct words *w,
                 struct sentence *ret, struct err **err)
{
    CLEANUP_FREE struct misfit *misfits = xcalloc(n_verbs + 1, sizeof(*misfits));
    CLEANUP_FREE char *of = NULL;

    ret->verb = best_fit(verbs, n_verbs, kinds, w, ret, misfits);
    if (ret->verb)
        return check_values(ret, err);
    explain(w, kinds, verbs, misfits, n_verbs, err);
    for (size_t i = 0; i < ARRAY_LEN(all_kinds); i++) {
        struct sentence other = { 0 };
        bool there = best_fit(verbs, n_verbs, all_kinds[i], w, &other, misfits) != NULL;

        sentence_done(&other);
        if (!there)
            continue;
        of = kinds_text(kinds);
        return err_new(err, EINVAL, "this sentence belongs under '%s', not under %s",
                       verb_kind_text(all_kinds[i]), of);
    }
    return -EINVAL;
}

static void words_cleanup(struct words *w)
{
    words_done(w);
}

int sentence_parse(const struct verb *verbs, size_t n_verbs, unsigned kinds, const char *text,
                   struct sentence *ret, struct err **err)
{
    __attribute__((cleanup(words_cleanup))) struct words w = { 0 };
    struct sentence s = { 0 };
    int r;

    r = words_split(text, &w, err);
    if (r < 0)
        return r;
    r = match(verbs, n_verbs, kinds, &w, &s, err);
    if (r < 0) {
        sentence_done(&s);
        return r;
    }
    s.text = words_join(&w, 0, w.n);
    *ret = s;
    return 0;
}

/* "COUNT_2" is the second COUNT. */
static const struct binding *binding_of(const struct sentence *s, const char *name)
{
    const char *suffix = strchr(name, '_');
    size_t len = suffix ? (size_t)(suffix - name) : strlen(name);
    int nth = suffix ? suffix[1] - '0' : 1;

    for (size_t i = 0; i < s->n_params; i++) {
        const struct binding *b = &s->params[i];

        if (strlen(b->name) == len && strncmp(b->name, name, len) == 0 && --nth == 0)
            return b;
    }
    abort();
}

char *const *sentence_values(const struct sentence *s, const char *name)
{
    return binding_of(s, name)->values;
}

const char *sentence_value(const struct sentence *s, const char *name)
{
    return sentence_values(s, name)[0];
}

int64_t sentence_number(const struct sentence *s, const char *name)
{
    const struct binding *b = binding_of(s, name);
    const struct param_type *type = param_type_find(b->name);
    int64_t n = 0;

    if (!type->number || param_check(type, b->values[0], &n, NULL) < 0)
        abort();
    return n;
}

int64_t sentence_ms(const struct sentence *s, const char *name)
{
    return sentence_number(s, name);
}

void sentence_done(struct sentence *s)
{
    for (size_t i = 0; i < s->n_params; i++)
        strv_free(s->params[i].values);
    free(s->text);
    *s = (struct sentence){ 0 };
}
