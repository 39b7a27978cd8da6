#include "model/spelling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The pieces of all numbers one behind the other, item j's from start[j] on, as keys of place and piece: ascending within an item. */
static cllm_status spell(cllm__spelling *s, const cllm__tokenizer *tokenizer, size_t n_items, uint64_t **keys, cllm_error *err) {
    cllm__tokens pieces = {0};
    size_t capacity = 0, count = 0;
    cllm_status status = CLLM_OK;
    for (size_t j = 0; j < n_items; j++) {
        char number[24];
        int length = snprintf(number, sizeof number, "%zu", j);
        pieces.count = 0;
        CLLM_TRY_CLEAN(cllm__tokenizer_encode_inner(tokenizer, number, (size_t)length, &pieces, err));
        CLLM_TRY_CLEAN(CLLM_GROW(*keys, capacity, count + pieces.count + 1, err));
        for (size_t place = 0; place < pieces.count; place++) (*keys)[count++] = (uint64_t)place << 32 | (uint32_t)pieces.ids[place];
        s->start[j + 1] = count;
        if (pieces.count == 0) CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_DATA, "the vocabulary cannot spell the number %zu", j));
    }
cleanup:
    cllm__tokens_free(&pieces);
    return status;
}

/* Numbers that are spelled alike would be one item to the model. Distinct numbers of equally many digits differ in a piece at some
 * place unless a digit is missing from the vocabulary, so it is enough to look at the ten digits. */
static cllm_status check_digits(const cllm__tokenizer *tokenizer, cllm_error *err) {
    cllm__tokens pieces = {0};
    cllm_status status = CLLM_OK;
    for (char digit = '0'; digit <= '9'; digit++) {
        size_t before = pieces.count;
        CLLM_TRY_CLEAN(cllm__tokenizer_encode_inner(tokenizer, &digit, 1, &pieces, err));
        bool known = pieces.count > before;
        for (size_t i = 0; i < before && pieces.count == before + 1; i++) known = known && pieces.ids[i] != pieces.ids[before];
        if (!known) CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_DATA, "the vocabulary has no piece of its own for the digit %c: numbers cannot be spelled", digit));
    }
cleanup:
    cllm__tokens_free(&pieces);
    return status;
}

cllm_status cllm__spelling_create(cllm__spelling *s, const cllm__tokenizer *tokenizer, size_t n_items, cllm_error *err) {
    uint64_t *keys = NULL, *distinct = NULL;
    size_t n_distinct = 0;
    cllm_status status = CLLM_OK;
    CLLM_TRY_CLEAN(check_digits(tokenizer, err));
    CLLM_TRY_CLEAN(CLLM_NEW(s->start, n_items + 1, err));
    CLLM_TRY_CLEAN(spell(s, tokenizer, n_items, &keys, err));
    size_t count = s->start[n_items];
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
