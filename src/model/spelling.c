#include "model/spelling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/numbers.h"

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

cllm_status cllm__spelling_create(cllm__spelling *s, const cllm__tokenizer *tokenizer, size_t n_items, cllm_error *err) {
    cllm__numbers numbers = {0};
    uint64_t *keys = NULL, *distinct = NULL; /* of place and piece: ascending within an item */
    size_t n_distinct = 0;
    cllm_status status = CLLM_OK;
    CLLM_TRY_CLEAN(cllm__numbers_create(&numbers, tokenizer, "", n_items, err));
    s->start = numbers.start;
    numbers.start = NULL;
    size_t count = s->start[n_items];
    CLLM_TRY_CLEAN(CLLM_NEW(keys, count + 1, err));
    for (size_t j = 0; j < n_items; j++)
        for (uint64_t e = s->start[j]; e < s->start[j + 1]; e++) keys[e] = (e - s->start[j]) << 32 | (uint32_t)numbers.ids[e];
    CLLM_TRY_CLEAN(CLLM_NEW(distinct, count + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(s->ids, count + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(s->weights, count + 1, err));
    if (count > 0) memcpy(distinct, keys, count * sizeof *keys);
    qsort(distinct, count, sizeof *distinct, compare_u64);
    for (size_t i = 0; i < count; i++)
        if (n_distinct == 0 || distinct[n_distinct - 1] != distinct[i]) distinct[n_distinct++] = distinct[i];
    for (size_t i = 0; i < count; i++) {
        const uint64_t *at = bsearch(&keys[i], distinct, n_distinct, sizeof *distinct, compare_u64);
        s->ids[i] = (int32_t)(at - distinct);
    }
    for (size_t j = 0; j < n_items; j++)
        for (uint64_t e = s->start[j]; e < s->start[j + 1]; e++) s->weights[e] = (float)(1 / sqrt((double)(s->start[j + 1] - s->start[j])));
    s->mean_pieces = n_items > 0 ? (double)count / (double)n_items : 0;
    s->features = (cllm__features){.n_items = n_items, .n_features = n_distinct, .start = s->start, .features = s->ids, .weights = s->weights};
cleanup:
    cllm__numbers_free(&numbers);
    cllm__free(keys);
    cllm__free(distinct);
    return status;
}

void cllm__spelling_free(cllm__spelling *s) {
    cllm__free(s->start);
    cllm__free(s->ids);
    cllm__free(s->weights);
    *s = (cllm__spelling){0};
}
