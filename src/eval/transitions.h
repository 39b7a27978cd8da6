/*
 * What follows what: a Markov chain over items whose steps may skip some. For a history i_0, i_1, …, the latest item first,
 *
 *     s_j = Σ_k d^k·(c(i_k, j) + m·p_j)/(c(i_k) + m),   c(i, j) = Σ d^(g − 1) over users who had j g places behind i, c(i) = Σ_j c(i, j),
 *
 * p_j the share of j in all rows: counts smoothed by popularity as m more rows would. A decay of d = 0 is the plain first-order chain; the
 * nearer d is to 1, the less the order says. (Sequential rules are of this kind: Ludewig & Jannach 2018.) Terms of d^k < .01 are left
 * out, and places further apart than 50.
 */
#ifndef CLLM_EVAL_TRANSITIONS_H
#define CLLM_EVAL_TRANSITIONS_H

#include "data/dataset.h"

typedef struct cllm__transitions {
    size_t n_items;
    double decay, smoothing;
    size_t reach;      /* places */
    uint64_t *start;   /* [n_items + 1] */
    int32_t *items;    /* behind item i: items[start[i] … start[i + 1]) */
    float *counts;     /* c(i, j) */
    double *totals;    /* [n_items] c(i) */
    float *popularity; /* [n_items] p */
} cllm__transitions;

/* From rows that stand in order within each user. 0 ≤ decay < 1, smoothing ≥ 0, else CLLM_ERR_USAGE. `transitions` is {0} before and freed by
 * the caller in every case; the rows are not needed afterwards. */
CLLM_CHECK cllm_status cllm__transitions_create(cllm__transitions *transitions, const cllm__interactions *rows, double decay, double smoothing,
                                                cllm_error *err);
void cllm__transitions_free(cllm__transitions *transitions);

/* scores [n_items] = s for the history items[0 … count), oldest first; zeros without an item. Reads only: any number of threads. */
void cllm__transitions_score(const cllm__transitions *transitions, const int32_t *items, size_t count, float *scores);

#endif
