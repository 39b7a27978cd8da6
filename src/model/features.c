#include "model/features.h"

#include "base/alloc.h"

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
