/*
 * The softmax heads on last hidden states: over the items, tied to the item table; over the vocabulary, frozen; and over both at
 * once, with one normaliser.
 *
 * Logits are held for a block of rows at a time (CLLM__HEAD_BLOCK_VALUES of them at most, but no fewer than 64 rows), never for
 * all rows of a batch: memory is O(block × items) and O(block × vocabulary). A row's results have the same bits whatever rows
 * stand beside it.
 */
#ifndef CLLM_MODEL_HEADS_H
#define CLLM_MODEL_HEADS_H

#include "backbone/backbone.h"
#include "kernels/gemm.h"

enum { CLLM__HEAD_BLOCK_VALUES = 1 << 23 };

typedef struct cllm__heads {
    cllm__dtype dtype; /* of products with the item table */
    cllm__pool *pool;
    cllm__real *logits; /* [block × classes], owned */
    size_t room;
    cllm__real *pooled; /* [threads × 2·classes], owned: pooled_head.h's */
    size_t pooled_room;
} cllm__heads;

void cllm__heads_free(cllm__heads *heads);
/* Rows of a block for this many classes: a function of it alone. */
size_t cllm__heads_block(size_t classes);

/* Target classes of rows: row r has targets[start[r] … start[r + 1]), or targets[r] alone if start is NULL. */
typedef struct cllm__head_targets {
    const size_t *start;
    const int32_t *targets;
} cllm__head_targets;

/* nll[r] = −Σ_t log softmax(items·h_r)_t over the targets t of row r. With dh [rows × width] (else NULL): dh_r = weight times
 * its gradient, and ditems [n_items × width] = (add: +=) weight times the gradient by the item table through this head.
 * cold [n_items] (or NULL): nonzero items have no part in the softmax; one among the targets is CLLM_ERR_DATA.
 * joint (or NULL): one softmax over the items and the words of that backbone's head, which stand behind them: word v is target
 * n_items + v. With dh it is open for training. */
CLLM_CHECK cllm_status cllm__item_head(cllm__heads *heads, const cllm__real *h, size_t rows, size_t width, const cllm__real *items,
                                       size_t n_items, const uint8_t *cold, const cllm__backbone *joint, cllm__head_targets targets,
                                       double weight, double *nll, cllm__real *dh, cllm__real *ditems, bool add, cllm_error *err);
/* scores [rows × n_items] = log softmax(items·h_r). packed (or NULL): the same items, packed transposed; the bits are the same. */
CLLM_CHECK cllm_status cllm__item_scores(cllm__heads *heads, const cllm__real *h, size_t rows, size_t width, const cllm__real *items,
                                         size_t n_items, const cllm__weight *packed, float *scores, cllm_error *err);
/* The vocabulary head, one target a row. With dh: the backbone is open for training. */
CLLM_CHECK cllm_status cllm__word_head(cllm__heads *heads, const cllm__real *h, size_t rows, size_t width,
                                       const cllm__backbone *backbone, const int32_t *targets, double weight, double *nll,
                                       cllm__real *dh, cllm_error *err);

#endif
