/*
 * Time of training steps and of scoring on one backbone, each beside the floor that this machine's measured peak allows: what
 * `bench` prints.
 */
#ifndef CLLM_MODEL_STEP_BENCH_H
#define CLLM_MODEL_STEP_BENCH_H

#include "backbone/backbone.h"
#include "data/batch.h"

/* What is timed; lengths are tokens of a sequence. Defaults are those of performance.md §2: 4 + 12, 8 + 100, 20, 256 × 20, 1 × 20. */
typedef struct cllm__bench_shapes {
    size_t n_users, n_items;
    const size_t *collab_mains;  /* [n_collab] items of a user; the prompt has 4 tokens */
    size_t n_collab;
    const size_t *content_mains; /* [n_content] words of a text; the prompt has 8 tokens */
    size_t n_content;
    const size_t *rec_lengths;   /* [n_rec] tokens of a recommendation prompt, ≥ 10 */
    size_t n_rec;
    const size_t *user_lengths;  /* [n_scored] tokens of a prompt that is scored, ≥ 10 */
    size_t n_scored;
    size_t one_length;           /* of the single user's prompt */
} cllm__bench_shapes;
/* Batch 20 at mean lengths, 10,553 users and 6,086 items. */
cllm__bench_shapes cllm__bench_default_shapes(void);

typedef struct cllm__bench_peaks {
    double flops;     /* per second, of products in `dtype`, measured just now */
    double bandwidth; /* bytes per second, reading */
} cllm__bench_peaks;

typedef struct cllm__step_time {
    const char *name;       /* "collab", "content", "rec", "users", "one" */
    cllm__dtype dtype;
    double seconds;         /* median of a step */
    double flops;           /* of its real work */
    double floor;           /* seconds: flops / peak; "one": at least weights / bandwidth */
    double share;           /* floor / seconds */
    size_t rows, sequences; /* of the batch */
    size_t allocations;     /* made by our own code in the timed steps: 0 */
} cllm__step_time;
enum { CLLM__BENCH_STEPS = 5 };

/* `backbone` was opened for training with `dtype`. Each step runs at least `repeats` times after warm-up. */
CLLM_CHECK cllm_status cllm__bench_steps(cllm__step_time times[CLLM__BENCH_STEPS], const cllm__backbone *backbone, cllm__dtype dtype,
                                         cllm__pool *pool, const cllm__bench_shapes *shapes, cllm__bench_peaks peaks, int repeats,
                                         const cllm_host *host, cllm_error *err);

#endif
