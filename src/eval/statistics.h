/*
 * How sure a mean over users is, and whether two models differ. Users are the unit that is resampled.
 *
 * The n-th resample is a function of (seed, n) alone, so results do not depend on threads, and all metrics and models that
 * are given the same seed see the same resamples.
 */
#ifndef CLLM_EVAL_STATISTICS_H
#define CLLM_EVAL_STATISTICS_H

#include <stdint.h>

#include "base/threads.h"

enum { CLLM__BOOTSTRAP_ROUNDS = 1000 };

typedef struct cllm__interval {
    double low, high;
} cllm__interval;

/* 95 % percentile bootstrap intervals of the means of `count` columns of values[n_users × count] (n_users ≥ 1), in `rounds`
 * resamples of n_users users (0: CLLM__BOOTSTRAP_ROUNDS). intervals[count]. */
CLLM_CHECK cllm_status cllm__bootstrap(cllm__pool *pool, const float *values, size_t n_users, size_t count, size_t rounds,
                                       uint64_t seed, cllm__interval *intervals, cllm_error *err);

typedef struct cllm__paired_test {
    double difference;       /* mean of a − b */
    cllm__interval interval; /* 95 %, paired bootstrap */
    double p; /* two-sided, from the same resamples: 2·min(P(d* ≤ 0), P(d* ≥ 0)), with one round added to each; no less than 2^(1 − users), which is
               * all that so many signs can show */
    double p_permutation; /* two-sided, signs of the differences flipped at random */
} cllm__paired_test;

/* Compares a[u × stride_a] with b[u × stride_b] over the same users u < n_users (n_users ≥ 1). Equal values give p = 1. */
CLLM_CHECK cllm_status cllm__compare(cllm__pool *pool, const float *a, size_t stride_a, const float *b, size_t stride_b,
                                     size_t n_users, size_t rounds, uint64_t seed, cllm__paired_test *test,
                                     cllm_error *err);

#endif
