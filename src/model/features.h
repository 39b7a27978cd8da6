/* Weighted features of items, such as the words of their texts: a sparse matrix, by item and by feature. */
#ifndef CLLM_MODEL_FEATURES_H
#define CLLM_MODEL_FEATURES_H

#include <stdint.h>

#include "base/status.h"

/* Row by row; all borrowed. */
typedef struct cllm__features {
    size_t n_items, n_features;
    const uint64_t *start;   /* [n_items + 1] */
    const int32_t *features; /* ascending within an item, below n_features */
    const float *weights;
} cllm__features;

/* The same by feature: feature k belongs to items[start[k]] … items[start[k + 1] − 1], ascending. */
typedef struct cllm__feature_index {
    uint64_t *start; /* [n_features + 1] */
    int32_t *items;
    float *weights;
} cllm__feature_index;

/* `index` is {0} before and freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__feature_index_create(cllm__feature_index *index, const cllm__features *features, cllm_error *err);
void cllm__feature_index_free(cllm__feature_index *index);

#endif
