/*
 * The scores of simple models added to those of a trained one. They see different things: EASE what stands together in baskets,
 * neighbours what single users share, factors what many baskets have in common, recency what is asked for now, transitions what comes after
 * what, the tokens what the words say.
 */
#ifndef CLLM_EVAL_FUSION_H
#define CLLM_EVAL_FUSION_H

#include "data/batch.h"
#include "eval/fold_in.h"
#include "eval/item_weights.h"
#include "eval/transitions.h"
#include "eval/user_neighbours.h"

typedef enum cllm__fusion_part {
    CLLM__PART_LINEAR,
    CLLM__PART_NEIGHBOURS,
    CLLM__PART_FACTORS,
    CLLM__PART_RECENCY,
    CLLM__PART_TRANSITIONS,
    CLLM__FUSION_PARTS
} cllm__fusion_part;

typedef struct cllm__fusion {
    const cllm__item_weights *linear; /* NULL: without this part; the others likewise */
    const cllm__user_neighbours *neighbours;
    const cllm__fold_in *factors;
    const float *recency;   /* [n_items] (recency.h) */
    const cllm__transitions *transitions; /* asks for prompts whose items stand in order, oldest first */
    const float *newcomers; /* [n_items] logarithms of how much items are asked for; NULL: a history without items is like any */
    double weights[CLLM__FUSION_PARTS];
} cllm__fusion;

bool cllm__fusion_has(const cllm__fusion *fusion, cllm__fusion_part part);
/* "linear" */
const char *cllm__fusion_part_name(cllm__fusion_part part);

/* `scores` [sequences × n_items] are logarithms of probabilities, and so is the result,
 *
 *     log softmax(s + σ_s·Σ_k w_k·l_k/σ_k),
 *
 * l_k what model k makes of the items of the sequence's prompt (recency: the same of any), σ the deviations over the items. Where a model says the same of all
 * items it adds nothing. A prompt without an item says nothing to any
 * of them: with `newcomers` the result is log softmax of these. A row depends on its own prompt alone. `space`: what the ids among the batch's tokens mean. */
CLLM_CHECK cllm_status cllm__fusion_add(const cllm__fusion *fusion, const cllm__batch *batch, const cllm__id_space *space, float *scores,
                                        cllm__pool *pool, cllm_error *err);

/* The same sum in its terms, for trying weights: what a weight of 1 adds, parts [CLLM__FUSION_PARTS × sequences × n_items]
 * = σ_s·l_k/σ_k, zeros of a part that is not there or says nothing. `scores` stay, but for histories that newcomers answer. */
CLLM_CHECK cllm_status cllm__fusion_split(const cllm__fusion *fusion, const cllm__batch *batch, const cllm__id_space *space, float *scores,
                                          float *parts, cllm__pool *pool, cllm_error *err);

#endif
