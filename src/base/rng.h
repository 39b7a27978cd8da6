/*
 * Random numbers keyed by what they are for: (seed, stage, epoch, example). The n-th number of a key is a function of
 * the key and n alone (Philox4x32-10, Salmon et al. 2011), so results depend neither on threads nor on interruption.
 */
#ifndef CLLM_BASE_RNG_H
#define CLLM_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* What the numbers are for. Values are pinned: changing one changes every run. */
typedef enum cllm__rng_stage {
    CLLM_RNG_SPLIT = 1,     /* splitting interactions; example = user */
    CLLM_RNG_ITEM_ORDER,    /* renumbering items */
    CLLM_RNG_INIT_BACKBONE, /* example = tensor */
    CLLM_RNG_INIT_TABLE,    /* example = table */
    CLLM_RNG_BATCH_ORDER,   /* order of examples in an epoch; example = training stage */
    CLLM_RNG_COLLAB,        /* item order; example = user */
    CLLM_RNG_REC,           /* mask and item order; example = user */
    CLLM_RNG_DROPOUT,
    CLLM_RNG_PROMPT,        /* item order of an evaluation prompt; example = user */
    CLLM_RNG_TIES,          /* ranking ties */
    CLLM_RNG_BOOTSTRAP,
    CLLM_RNG_DEMO,
    CLLM_RNG_TEST,
    CLLM_RNG_BASELINE, /* fitting a baseline; epoch = which numbers, example = row */
    CLLM_RNG_SWEEP,    /* settings of a trial; epoch = attempt, example = trial */
    CLLM_RNG_WITHHOLD, /* who is left out of training; epoch 0: items, 1: users, 2: a left-out user's order (example = user) */
    CLLM_RNG_FUSION    /* whose validation rows choose weights */
} cllm__rng_stage;

typedef struct cllm__rng {
    uint32_t key[2], counter[4], block[4];
    unsigned used;
} cllm__rng;

cllm__rng cllm__rng_make(uint64_t seed, cllm__rng_stage stage, uint32_t epoch, uint64_t example);
uint32_t cllm__rng_u32(cllm__rng *rng);
uint64_t cllm__rng_u64(cllm__rng *rng);
/* In [0, 1), 53 bits. */
double cllm__rng_uniform(cllm__rng *rng);
/* N(0, 1), by Box-Muller; uses exactly two u64 a call. */
double cllm__rng_normal(cllm__rng *rng);
/* In [0, n), without bias; n > 0. */
uint64_t cllm__rng_below(cllm__rng *rng, uint64_t n);
/* Fisher-Yates. */
void cllm__rng_shuffle_i32(cllm__rng *rng, int32_t *values, size_t count);
void cllm__rng_shuffle_size(cllm__rng *rng, size_t *values, size_t count);

#endif
