/* Several splits as one matrix: what a user has had in all. */
#ifndef CLLM_DATA_MERGE_H
#define CLLM_DATA_MERGE_H

#include "data/dataset.h"

/* Owns its arrays. */
typedef struct cllm__merged {
    cllm__interactions matrix; /* times are NULL if any part has none; ratings are not kept */
    uint64_t *start;
    int32_t *items;
    int64_t *times;
} cllm__merged;

/* The rows of the given splits (a bit 1 << split each), by user, in time order; without times, in the order of the splits. An
 * item that stands in several is kept once. `merged` is {0} before; freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__merge_splits(cllm__merged *merged, const cllm__dataset *dataset, unsigned splits, cllm_error *err);
void cllm__merged_free(cllm__merged *merged);

#endif
