/* SPDX-License-Identifier: AGPL-3.0-only */

/* verbs.def as a table. */

#include "base/mem.h"
#include "rig/verbs/verb.h"

#define VERB(kind, prefix, pattern, help) extern const struct verb_impl verb_##prefix;
#include "rig/verbs/verbs.def"
#undef VERB

#define VERB(kind, prefix, pattern, help) { VERB_##kind, pattern, help, &verb_##prefix },
const struct verb verb_table[] = {
#include "rig/verbs/verbs.def"
};
#undef VERB

const size_t verb_table_len = ARRAY_LEN(verb_table);
