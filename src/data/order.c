/* Orders and masks of histories: see data/batch.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/batch.h"

static int compare_i32(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void copy(int32_t *out, const int32_t *items, size_t n) {
    if (out != items && n > 0) memcpy(out, items, n * sizeof *items);
}

static void shuffle(int32_t *items, size_t n, cllm__rng rng) {
    cllm__rng_shuffle_i32(&rng, items, n);
}

static void put_in_order(int32_t *out, const int32_t *items, size_t n, cllm__order order, cllm__rng rng) {
    copy(out, items, n);
    if (order == CLLM__ORDER_RANDOM) shuffle(out, n, rng);
    if (order == CLLM__ORDER_ASCENDING) qsort(out, n, sizeof *out, compare_i32);
}

void cllm__collab_order(int32_t *out, const int32_t *items, size_t n, cllm__order order, uint64_t seed, uint32_t epoch, int32_t user) {
    put_in_order(out, items, n, order, cllm__rng_make(seed, CLLM_RNG_COLLAB, epoch, (uint64_t)user));
}

void cllm__rec_mask(int32_t *prompt, size_t *n_prompt, int32_t *target, size_t *n_target, const int32_t *items, size_t n,
                    cllm__mask_rules rules, uint64_t seed, uint32_t epoch, int32_t user) {
    CLLM_ASSERT(n >= 1);
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_REC, epoch, (uint64_t)user);
    double share = rules.share_low + (rules.share_high - rules.share_low) * cllm__rng_uniform(&rng);
    double masked = floor(share * (double)n);
    size_t m = masked < 1 ? 1 : masked >= (double)n ? n : (size_t)masked;
    if (m == n && n >= 2) m = n - 1;
    /* One permutation of places gives both: its first n − m are the prompt, the others the mask. */
    for (size_t i = 0; i < n; i++) prompt[i] = (int32_t)i;
    cllm__rng_shuffle_i32(&rng, prompt, n);
    if (rules.order == CLLM__ORDER_TIME) qsort(prompt, n - m, sizeof *prompt, compare_i32);
    for (size_t i = 0; i < n; i++) prompt[i] = items[prompt[i]];
    if (rules.order == CLLM__ORDER_ASCENDING) qsort(prompt, n - m, sizeof *prompt, compare_i32);
    if (rules.target_all) copy(target, items, n);
    else memcpy(target, prompt + (n - m), m * sizeof *prompt);
    *n_prompt = n - m;
    *n_target = rules.target_all ? n : m;
    qsort(target, *n_target, sizeof *target, compare_i32);
}

void cllm__prompt_order(int32_t *out, const int32_t *items, size_t n, cllm__order order, uint64_t seed, int32_t user) {
    put_in_order(out, items, n, order, cllm__rng_make(seed, CLLM_RNG_PROMPT, 0, (uint64_t)user));
}
