#include "model/features.h"

#include <string.h>

#include "base/alloc.h"

cllm_status cllm__features_join(cllm__joined_features *joined, const cllm__features *sparse, const float *dense, size_t dims,
                                const uint8_t *without, cllm_error *err) {
    size_t n_items = sparse->n_items, rows = 0;
    if (sparse->n_features + dims > INT32_MAX) return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "more than %d features of items", INT32_MAX);
    for (size_t j = 0; j < n_items; j++) rows += without[j] == 0;
    uint64_t count = sparse->start[n_items];
    if (dims > 0 && rows > (SIZE_MAX - count) / dims) return cllm__fail_nomem(err);
    CLLM_TRY(CLLM_NEW(joined->start, n_items + 1, err));
    CLLM_TRY(CLLM_NEW(joined->ids, count + rows * dims + 1, err));
    CLLM_TRY(CLLM_NEW(joined->weights, count + rows * dims + 1, err));
    uint64_t to = 0;
    for (size_t j = 0; j < n_items; j++) {
        uint64_t first = sparse->start[j], own = sparse->start[j + 1] - first;
        if (own > 0) memcpy(joined->ids + to, sparse->features + first, own * sizeof *joined->ids);
        if (own > 0) memcpy(joined->weights + to, sparse->weights + first, own * sizeof *joined->weights);
        to += own;
        for (size_t d = 0; d < dims && without[j] == 0; d++, to++) {
            joined->ids[to] = (int32_t)(sparse->n_features + d);
            joined->weights[to] = dense[j * dims + d];
        }
        joined->start[j + 1] = to;
    }
    joined->features = (cllm__features){n_items, sparse->n_features + dims, joined->start, joined->ids, joined->weights};
    return CLLM_OK;
}

void cllm__joined_features_free(cllm__joined_features *joined) {
    cllm__free(joined->start);
    cllm__free(joined->ids);
    cllm__free(joined->weights);
    *joined = (cllm__joined_features){0};
}

cllm_status cllm__feature_index_create(cllm__feature_index *index, const cllm__features *f, cllm_error *err) {
    uint64_t count = f->start[f->n_items];
    CLLM_TRY(CLLM_NEW(index->start, f->n_features + 2, err)); /* one more: while it is filled, start[k + 1] is where k goes on */
    CLLM_TRY(CLLM_NEW(index->items, count, err));
    CLLM_TRY(CLLM_NEW(index->weights, count, err));
    for (uint64_t e = 0; e < count; e++) {
        CLLM_ASSERT(f->features[e] >= 0 && (size_t)f->features[e] < f->n_features);
        index->start[f->features[e] + 2]++;
    }
    for (size_t k = 2; k < f->n_features + 2; k++) index->start[k] += index->start[k - 1];
    for (size_t j = 0; j < f->n_items; j++) {
        for (uint64_t e = f->start[j]; e < f->start[j + 1]; e++) {
            uint64_t to = index->start[f->features[e] + 1]++;
            index->items[to] = (int32_t)j;
            index->weights[to] = f->weights[e];
        }
    }
    return CLLM_OK;
}

void cllm__feature_index_free(cllm__feature_index *index) {
    cllm__free(index->start);
    cllm__free(index->items);
    cllm__free(index->weights);
    *index = (cllm__feature_index){0};
}
