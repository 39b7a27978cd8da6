/*
 * What users with a like history had: user-kNN. For a history H, over its nearest users v by the cosine of histories whose items
 * count as w_j = ln(users / users who had j),
 *
 *     s_i = Σ_v c(H, v)²·[v had i],   c(H, v) = Σ_{j in H and v} w_j² / (‖H‖·‖v‖)
 *
 * (Herlocker et al. 1999; the square lets near users count for more). A history need not be of a known user.
 */
#ifndef CLLM_EVAL_USER_NEIGHBOURS_H
#define CLLM_EVAL_USER_NEIGHBOURS_H

#include "data/dataset.h"
#include "eval/columns.h"
#include "eval/topk.h"

typedef struct cllm__user_neighbours {
    const cllm__interactions *train; /* borrowed */
    size_t neighbours;
    cllm__columns columns;
    double *squares; /* [n_items]: w_j² */
    double *lengths; /* [n_users] */
    cllm__ties ties; /* among users */
} cllm__user_neighbours;

/* `index` is {0} before and freed by the caller in every case. `neighbours`: how many users count, at least 1. */
CLLM_CHECK cllm_status cllm__user_neighbours_create(cllm__user_neighbours *index, const cllm__interactions *train, size_t neighbours,
                                                    uint64_t seed, cllm_error *err);
void cllm__user_neighbours_free(cllm__user_neighbours *index);

/* What one thread needs to score. */
typedef struct cllm__neighbour_search {
    double *shared; /* [n_users], all zero between two searches */
    int32_t *candidates, *nearest;
    float *cosines, *best;
    uint64_t *heap;
} cllm__neighbour_search;

/* `search` is {0} before and freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__neighbour_search_create(cllm__neighbour_search *search, const cllm__user_neighbours *index, cllm_error *err);
void cllm__neighbour_search_free(cllm__neighbour_search *search);

/* scores [n_items] = s for the history items[0 … count), each item once; `self`, if not −1, is the user whose history it is, who is no
 * neighbour of his own. */
void cllm__user_neighbours_score(const cllm__user_neighbours *index, cllm__neighbour_search *search, const int32_t *items, size_t count,
                                 int32_t self, float *scores);

#endif
