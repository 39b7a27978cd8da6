/*
 * The item softmax on several hidden states at once: a sequence's rows q_r each score all items, and an item's score is the soft
 * maximum of what the rows give it,
 *
 *     s_i = 1/β·ln Σ_r exp(l_r + β·q_r·z_i)
 *
 * so that one strong reason counts for more than many weak ones, and a row more with a greater loudness l; β → 0 is their mean (but for a constant). Memory is that of
 * heads.h, or the logits of the longest sequence, and two rows of logits a thread.
 */
#ifndef CLLM_MODEL_POOLED_HEAD_H
#define CLLM_MODEL_POOLED_HEAD_H

#include "model/heads.h"

/* β·q of all sequences: sequence s has the rows start[s] … start[s + 1), at least one; `rows` [start[sequences] × width]. */
typedef struct cllm__voices {
    const cllm__real *rows;
    const size_t *start;
    size_t sequences, width;
    double sharpness;           /* β > 0 */
    const cllm__real *loudness; /* l [start[sequences]]; NULL: 0 */
} cllm__voices;

/* nll[s] = −Σ_t ln softmax(s)_t over the targets t of sequence s. With drows (as rows; else NULL): weight times its gradient by the rows
 * as they are given, `ditems` [n_items × width] receives that by the item table, and `dloudness`, if there is any, that by it. cold: as in
 * cllm__item_head(). */
CLLM_CHECK cllm_status cllm__pooled_head(cllm__heads *heads, const cllm__voices *voices, const cllm__real *items, size_t n_items,
                                         const uint8_t *cold, cllm__head_targets targets, double weight, double *nll, cllm__real *drows,
                                         cllm__real *dloudness, cllm__real *ditems, cllm_error *err);
/* scores [sequences × n_items] = ln softmax(s). */
CLLM_CHECK cllm_status cllm__pooled_scores(cllm__heads *heads, const cllm__voices *voices, const cllm__real *items, size_t n_items,
                                           float *scores, cllm_error *err);

#endif
