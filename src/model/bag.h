/*
 * The readouts without a transformer: words and order count for nothing. What a backbone adds is measured against them. Over the n
 * items j of a prompt (n = 1 if there is none), either their sum, on which the item head stands,
 *
 *     h = a·n^−p·(Σ_j z_j + u·z_user)
 *
 * or, with a sharpness β > 0, each item for itself, pooled by the head of pooled_head.h:
 *
 *     q_j = z_j + u·z_user
 */
#ifndef CLLM_MODEL_BAG_H
#define CLLM_MODEL_BAG_H

#include "data/batch.h"
#include "model/gradient.h"
#include "model/tables.h"

typedef struct cllm__bag {
    double scale;       /* a > 0 */
    double power;       /* p: 0 is the sum, 1 the mean */
    double user_weight; /* u ≥ 0 */
    double sharpness;   /* β; 0: the sum */
} cllm__bag;

/* h [sequences × width] of a batch of stage rec or prompt, whatever the sharpness. `vocabulary`: the number of words, below the ids of
 * users. */
void cllm__bag_forward(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, const cllm__tables *tables, cllm__real *h,
                       cllm__pool *pool);
/* Adds to `gradient` what follows from dh [sequences × width]; dh is spoilt. */
void cllm__bag_backward(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, cllm__real *dh, cllm__gradient *gradient);

/* start [sequences + 1]: where each sequence's rows begin, one an item, but at least one. */
void cllm__bag_rows(const cllm__batch *batch, size_t first_item, size_t *start);
/* rows [start[sequences] × width] = β·q. */
void cllm__bag_voices(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, const cllm__tables *tables, const size_t *start,
                      cllm__real *rows, cllm__pool *pool);
/* Adds to `gradient` what follows from drows, the gradient by those rows. */
void cllm__bag_voices_backward(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, const size_t *start, const cllm__real *drows,
                               cllm__gradient *gradient);

#endif
