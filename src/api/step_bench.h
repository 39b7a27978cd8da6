/*
 * Time of training steps and of recommending on one backbone, each beside the floor that this machine's measured peak allows:
 * what `bench` prints.
 *
 * A training step is what train does with a batch that is ready: rows of the tables brought up to date, embedding, forward,
 * heads, regulariser, backward, Adam (rows that waited for their turn replay their missed steps, as in an epoch). `users` and `one`
 * are prompts to the best unseen items.
 */
#ifndef CLLM_API_STEP_BENCH_H
#define CLLM_API_STEP_BENCH_H

#include "api/bench_timing.h"
#include "backbone/backbone.h"

/* What is timed: a copy of one model of bench/shapes.json, which peer_torch.py runs too. */
typedef struct cllm__bench_shapes {
    const char *name;
    cllm__gpt2_shape backbone; /* that it is meant for; any backbone of at least its context does */
    size_t n_users, n_items;
    struct cllm__bench_list {
        const uint16_t *lengths; /* collab, content, ragged: of the main part; else of the whole prompt */
        const uint16_t *targets; /* rec: target items */
        size_t count;
    } collab, content, ragged, rec, users, one;
    size_t top;
} cllm__bench_shapes;
extern const cllm__bench_shapes cllm__bench_gpt2, cllm__bench_mini;

typedef struct cllm__step_time {
    const char *name; /* of cllm__bench_step_names */
    cllm__dtype dtype;
    double seconds, best; /* of the repetition whose share is the median, and of the fastest */
    cllm__bench_peaks peaks; /* around that repetition */
    /* FLOPs of the tokens (prompt and main, no padding) in a backbone without shortcuts, heads where something is predicted,
     * no gradients of weights: the arithmetic of docs/PERFORMANCE.md. `exact_flops` leaves out what needn't be computed:
     * the last main token, and the last layer where nothing is predicted. */
    double flops, exact_flops;
    double floor;             /* seconds: flops / peak; for `one` at least backbone weights / bandwidth */
    double share;             /* floor / seconds */
    double optimiser_seconds; /* of `seconds`: Adam and the bringing up to date */
    size_t tokens, sequences; /* real tokens */
    size_t allocations;       /* made by our own code in the timed repetitions: 0 */
} cllm__step_time;
enum { CLLM__BENCH_STEPS = 6 };
/* Their names, in their order. */
extern const char *const cllm__bench_step_names[CLLM__BENCH_STEPS];

/* `backbone` was opened for training with `dtype`. Each step runs `repeats` times (≥ 1; fewer where it is slow) after one run to
 * warm up. `only`: the one step to run, NULL for all; the others come back without times. `peaks`: those of floors; NULL: the
 * peak is measured before and after each repetition, since a shared machine changes from second to second. */
CLLM_CHECK cllm_status cllm__bench_steps(cllm__step_time times[CLLM__BENCH_STEPS], const cllm__backbone *backbone, cllm__dtype dtype,
                                         cllm__pool *pool, const cllm__bench_shapes *shapes, const char *only,
                                         const cllm__bench_peaks *peaks, int repeats, const cllm_host *host, cllm_error *err);

#endif
