/*
 * Recommending as a language model writes: the likeliest item comes out, its token is appended to the prompt, and the model is asked
 * again. The other way to a list is one question whose answer ranks all items (cllm__engine_score); `ablate decode` compares them.
 */
#ifndef CLLM_MODEL_ROLLOUT_H
#define CLLM_MODEL_ROLLOUT_H

#include "backbone/backbone.h"
#include "model/tables.h"

typedef struct cllm__rollout_options {
    size_t steps; /* tokens that come out of a prompt, ≥ 1 */
    size_t beams; /* sequences that are followed side by side, ≥ 1; the likeliest whole one is the answer. 1: greedy */
    bool joint;   /* the softmax is over words and items: a word may come out. Needs the backbone's head */
    bool free;    /* no item is ruled out, whether closed or out already */
    size_t prompt_tokens; /* the longest prompt; with the steps no longer than the backbone's context */
    const int32_t *join;  /* [n_join] words that may stand between items: they take their steps, but are no outputs. Borrowed */
    size_t n_join;
} cllm__rollout_options;

/* What came out, summed over calls. */
typedef struct cllm__rollout_tally {
    uint64_t outputs;   /* tokens */
    uint64_t words;     /* of them words */
    uint64_t repeats;   /* items that were closed or out already */
    double word_mass;   /* Σ over outputs of the probability that a word would come, along the answer (joint) */
} cllm__rollout_tally;

/* Belongs to one thread at a time. Borrows everything; the tables must not change. */
typedef struct cllm__rollout cllm__rollout;
CLLM_CHECK cllm_status cllm__rollout_create(cllm__rollout **out, const cllm__backbone *backbone, const cllm__tables *tables, cllm__dtype dtype,
                                            cllm__rollout_options options, cllm__pool *pool, cllm_error *err);
void cllm__rollout_free(cllm__rollout *rollout);

/* From prompt[n] (ids of words, users, items as in a batch) and the items that are closed [n_items] to a list of items, all open and
 * distinct, in the order in which they came out: `items` has room for options.steps, *count receives how many there are. What else
 * came out has cost its step. Of equal probabilities the lower token comes first, words before items. `tally` is added to. */
CLLM_CHECK cllm_status cllm__rollout_run(cllm__rollout *rollout, const int32_t *prompt, size_t n, const uint8_t *closed, int32_t *items,
                                         size_t *count, cllm__rollout_tally *tally, cllm_error *err);

#endif
