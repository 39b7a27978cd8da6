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

/* Features of two kinds as one: those of a sparse matrix, and behind them, under the numbers from its n_features on, those of a dense
 * one in which some items have no row. */
typedef struct cllm__joined_features {
    cllm__features features; /* of the arrays below */
    uint64_t *start;
    int32_t *ids;
    float *weights;
} cllm__joined_features;

/* dense [n_items × dims]; items that are nonzero in `without` [n_items] have none of these. `joined` is {0} before and freed by the
 * caller in every case. Nothing is borrowed. */
CLLM_CHECK cllm_status cllm__features_join(cllm__joined_features *joined, const cllm__features *sparse, const float *dense, size_t dims,
                                           const uint8_t *without, cllm_error *err);
void cllm__joined_features_free(cllm__joined_features *joined);

/* Features by feature: feature k belongs to items[start[k]] … items[start[k + 1] − 1], ascending. */
typedef struct cllm__feature_index {
    uint64_t *start; /* [n_features + 1] */
    int32_t *items;
    float *weights;
} cllm__feature_index;

/* `index` is {0} before and freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__feature_index_create(cllm__feature_index *index, const cllm__features *features, cllm_error *err);
void cllm__feature_index_free(cllm__feature_index *index);

#endif
