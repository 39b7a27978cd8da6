/*
 * The readouts without a transformer: words and order count for nothing. What a backbone adds is measured against them. Over the n
 * items j of a prompt (n = 1 if there is none), either their sum, on which the item head stands,
 *
 *     h = a·n^−p·(Σ_j z_j + u·z_user)
 *
 * or, with a sharpness β > 0, each item for itself, pooled by the head of pooled_head.h:
 *
 *     q_j = z_j + u·z_user
 *
 * Then the first two columns of an item's token may be numbers of its own instead of taking part in products: how readily it is
 * recommended, whatever the history (a bias), and how loudly it speaks in one,
 *
 *     s_i = z_i0 + 1/β·ln Σ_j exp(z_j1 + β·Σ_{c ≥ 2} q_jc·z_ic)
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
    bool biases;        /* the two columns above; with β > 0 only */
} cllm__bag;

enum { CLLM__BAG_BIAS, CLLM__BAG_LOUDNESS, CLLM__BAG_BIASES }; /* columns, and how many there are */

/* h [sequences × width] of a batch of stage rec or prompt, whatever the sharpness. `vocabulary`: the number of words, below the ids of
 * users. */
void cllm__bag_forward(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, const cllm__tables *tables, cllm__real *h,
                       cllm__pool *pool);
/* Adds to `gradient` what follows from dh [sequences × width]; dh is spoilt. */
void cllm__bag_backward(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, cllm__real *dh, cllm__gradient *gradient);

/* start [sequences + 1]: where each sequence's rows begin, one an item, but at least one. */
void cllm__bag_rows(const cllm__batch *batch, size_t first_item, size_t *start);
/* rows [start[sequences] × width] = β·q, with biases β and 0 in their columns, and loudness [start[sequences]], which is touched with biases
 * only. */
void cllm__bag_voices(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, const cllm__tables *tables, const size_t *start,
                      cllm__real *rows, cllm__real *loudness, cllm__pool *pool);
/* Adds to `gradient` what follows from drows and dloudness, the gradients by those. drows is spoilt. */
void cllm__bag_voices_backward(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, const size_t *start, cllm__real *drows,
                               const cllm__real *dloudness, cllm__gradient *gradient);

#endif
