/*
 * The linear part of a model: item-item weights of EASE, whose scores are added to those of the trained tokens. The two see different
 * things: one what stands together in baskets, the other what the words say.
 *
 * Of the weights by which an item of a history speaks for others, only the largest in size are kept.
 */
#ifndef CLLM_EVAL_ITEM_WEIGHTS_H
#define CLLM_EVAL_ITEM_WEIGHTS_H

#include "data/batch.h"
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

/* Adds the linear scores to a model's: `scores` [sequences × n_items] are logarithms of probabilities, and so is the result,
 *
 *     log softmax(s + weight·(σ_s/σ_l)·l),   l_i = Σ_j B_ji over the items j of the sequence's prompt,
 *
 * with the deviations σ over the items. A prompt whose l is the same for all items keeps its scores. A row depends on its own prompt
 * alone. `first_item`: the id of item 0 among the batch's tokens. */
CLLM_CHECK cllm_status cllm__item_weights_add(const cllm__item_weights *linear, double weight, const cllm__batch *batch, size_t first_item,
                                              float *scores, cllm__pool *pool, cllm_error *err);

#endif
