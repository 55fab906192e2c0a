/* SPDX-License-Identifier: AGPL-3.0-only */

/* The first byte chooses the kind, the rest is the sentence. What was accepted is accepted again
 * and bound to the same verb when its squeezed text is parsed. */

#include <stdint.h>
#include <stdlib.h>

#include "rig/scenario/param.h"
#include "rig/scenario/sample_verbs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum verb_kind kinds[] = { VERB_DO, VERB_FAULT, VERB_EXPECT };
    struct sentence s, again;
    enum verb_kind kind;
    char *text;

    if (size == 0)
        return 0;
    kind = kinds[data[0] % ARRAY_LEN(kinds)];
    text = xstrndup((const char *)data + 1, size - 1);
    if (sentence_parse(sample_verbs, ARRAY_LEN(sample_verbs), kind, text, &s, NULL) >= 0) {
        if (sentence_parse(sample_verbs, ARRAY_LEN(sample_verbs), kind, s.text, &again, NULL) < 0 ||
            again.verb != s.verb)
            abort();
        for (size_t i = 0; i < s.n_params; i++)
            if (param_type_find(s.params[i].name)->number &&
                sentence_number(&s, s.params[i].name) < 0)
                abort();
        sentence_done(&again);
        sentence_done(&s);
    }
    free(text);
    return 0;
}
