/*
 * A set of names (raw ids), numbered 0, 1, … in the order in which they came: the map from raw ids to rows and back.
 * Names are byte strings without NUL. Costs about 20 bytes a name besides its characters.
 */
#ifndef CLLM_BASE_NAMES_H
#define CLLM_BASE_NAMES_H

#include "base/status.h"

typedef struct cllm__names cllm__names;

CLLM_CHECK cllm_status cllm__names_create(cllm__names **out, cllm_error *err);
void cllm__names_free(cllm__names *names);
size_t cllm__names_count(const cllm__names *names);
/* The number of `name`, added if it is new. */
CLLM_CHECK cllm_status cllm__names_add(cllm__names *names, const char *name, size_t length, size_t *index, cllm_error *err);
/* False if it is not there. */
bool cllm__names_find(const cllm__names *names, const char *name, size_t length, size_t *index);
/* Borrowed until the next _add. */
const char *cllm__names_get(const cllm__names *names, size_t index);

#endif
