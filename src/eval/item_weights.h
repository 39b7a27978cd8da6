/*
 * The linear part of a model: item-item weights of EASE, whose scores are added to those of the trained tokens (fusion.h).
 *
 * Of the weights by which an item of a history speaks for others, only the largest in size are kept.
 */
#ifndef CLLM_EVAL_ITEM_WEIGHTS_H
#define CLLM_EVAL_ITEM_WEIGHTS_H

#include "eval/baseline.h"

enum { CLLM__ITEM_WEIGHTS_KEPT = 500 }; /* weights for each item of a history */

typedef struct cllm__item_weights {
    size_t n_items;
    uint64_t *start; /* [n_items + 1]: row j holds the weights of a history's item j */
    int32_t *items;  /* ascending within a row */
    float *values;
} cllm__item_weights;

/* From a baseline made by cllm__ease_create() or cllm__ease_text_create(). `linear` is {0} before and freed by the caller in every
 * case. */
CLLM_CHECK cllm_status cllm__item_weights_create(cllm__item_weights *linear, const cllm__baseline *ease, size_t n_items, cllm__pool *pool,
                                                 cllm_error *err);
void cllm__item_weights_free(cllm__item_weights *linear);
/* A safetensors file, written atomically; what is read is checked. */
CLLM_CHECK cllm_status cllm__item_weights_save(const cllm__item_weights *linear, const char *path, cllm_error *err);
CLLM_CHECK cllm_status cllm__item_weights_load(cllm__item_weights *linear, const char *path, cllm_error *err);

/* scores [n_items]: l_i = Σ_j B_ji over the items j of a history. */
void cllm__item_weights_score(const cllm__item_weights *linear, const int32_t *items, size_t count, float *scores);

#endif
