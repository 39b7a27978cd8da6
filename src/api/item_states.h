/*
 * What the frozen backbone makes of items' texts (model/text_states.h) as features of composed item tokens: the states' principal
 * components, of variance 1 over the items, scaled to length 1 for each item like the weights of its words, with a trained vector for each,
 *
 *     z = … + Σ_d s_d·v_d,    s = A·(h − m)/|A·(h − m)|
 *
 * m and A [dims × width of the backbone] are made once, before training, and kept: a file of the run; docs/RUN.md. The token of an
 * item that is known by its text alone comes from them without training.
 */
#ifndef CLLM_API_ITEM_STATES_H
#define CLLM_API_ITEM_STATES_H

#include "base/real.h"
#include "eval/pca.h"

typedef struct cllm__item_states {
    cllm__pca pca;
    uint64_t key;   /* of the states that it was made of */
    size_t width;   /* of the tokens; 0 before training */
    float *vectors; /* v [dims × width]; NULL before training */
} cllm__item_states;

void cllm__item_states_free(cllm__item_states *states);
/* weights [pca.dims] = s of a state h. */
void cllm__item_states_weigh(const cllm__item_states *states, const float *state, float *weights);
/* token [width] += Σ_d s_d·v_d of a state h. Of a trained run only. */
CLLM_CHECK cllm_status cllm__item_states_add(const cllm__item_states *states, const float *state, cllm__real *token, cllm_error *err);

/* Writes atomically; with `vectors` [pca.dims × width] if it is not NULL. */
CLLM_CHECK cllm_status cllm__item_states_save(const cllm__item_states *states, const cllm__real *vectors, size_t width, const char *path,
                                              cllm_error *err);
/* `states` is {0} before and freed by the caller in every case; what is read is checked. CLLM_ERR_MISMATCH if it is of states of another
 * width than `width`, the backbone's. */
CLLM_CHECK cllm_status cllm__item_states_load(cllm__item_states *states, size_t width, const char *path, cllm_error *err);

#endif
