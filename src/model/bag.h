/*
 * The readout without a transformer: a prompt is the sum of its tokens,
 *
 *     h = a·n^−p·(Σ_j z_j + u·z_user)
 *
 * over the n items j of the prompt (n = 1 if there is none); words and order count for nothing. What a backbone adds is measured
 * against this.
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
} cllm__bag;

/* h [sequences × width] of a batch of stage rec or prompt. `vocabulary`: the number of words, below the ids of users. */
void cllm__bag_forward(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, const cllm__tables *tables, cllm__real *h,
                       cllm__pool *pool);
/* Adds to `gradient` what follows from dh [sequences × width]; dh is spoilt. */
void cllm__bag_backward(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, cllm__real *dh, cllm__gradient *gradient);

#endif
