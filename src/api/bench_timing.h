/*
 * Repeated timing beside a floor that moves: a shared machine changes from second to second, so its peak is measured before
 * and after each repetition, and the repetition whose share of its own floor is the median speaks for all.
 */
#ifndef CLLM_API_BENCH_TIMING_H
#define CLLM_API_BENCH_TIMING_H

#include "kernels/gemm.h"

typedef struct cllm__bench_peaks {
    double flops;     /* per second, of products in the dtype that is timed */
    double bandwidth; /* bytes per second, reading */
} cllm__bench_peaks;

/* What is timed. */
typedef struct cllm__timing {
    void *context;
    cllm_status (*run)(void *context, double *seconds, cllm_error *err);  /* once */
    double (*floor)(const void *context, const cllm__bench_peaks *peaks); /* seconds */
    cllm__dtype dtype;              /* of the products: which peak is measured */
    const cllm__bench_peaks *peaks; /* those of floors; NULL: measured */
    cllm__pool *pool;
    const cllm_host *host; /* asked whether to stop */
} cllm__timing;

typedef struct cllm__timed {
    double seconds, floor, best; /* of the median repetition, its floor; and of the fastest */
    cllm__bench_peaks peaks;     /* around the median repetition */
    int repetitions;
    size_t allocations; /* made by our own code in all of them */
} cllm__timed;

/* Runs once to warm up, then `repeats` times (≥ 1; fewer where it is slow). */
CLLM_CHECK cllm_status cllm__bench_time(cllm__timed *out, const cllm__timing *timing, int repeats, cllm_error *err);

#endif
