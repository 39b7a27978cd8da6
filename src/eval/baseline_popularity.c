#include <stdio.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "eval/baseline.h"
#include "eval/recency.h"

/* Users that a baseline scores at once: enough to keep a pool busy. */
enum { BATCH = 256 };

void cllm__baseline_free(cllm__baseline *baseline) {
    if (baseline == NULL) return;
    if (baseline->free != NULL) baseline->free(baseline->scorer.context);
    *baseline = (cllm__baseline){0};
}

typedef struct popularity {
    size_t n_items;
    uint64_t seed;
    float counts[]; /* by item; none for random */
} popularity;

static cllm_status score_popularity(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    (void)users;
    (void)err;
    const popularity *p = context;
    for (size_t k = 0; k < count; k++) {
        for (size_t i = 0; i < p->n_items; i++) scores[k * p->n_items + i] = p->counts[i];
    }
    return CLLM_OK;
}

cllm_status cllm__popularity_create(cllm__baseline *out, const cllm__interactions *train, cllm_error *err) {
    popularity *p = cllm__zalloc(1, sizeof *p + train->n_items * sizeof *p->counts);
    uint64_t *counts = cllm__zalloc(train->n_items, sizeof *counts);
    if (p == NULL || counts == NULL) {
        cllm__free(p);
        cllm__free(counts);
        return cllm__fail_nomem(err);
    }
    p->n_items = train->n_items;
    for (size_t r = 0; r < train->count; r++) counts[train->items[r]]++;
    for (size_t i = 0; i < train->n_items; i++) p->counts[i] = (float)counts[i];
    cllm__free(counts);
    *out = (cllm__baseline){.scorer = {.name = "popularity", .context = p, .score = score_popularity, .batch = BATCH},
                            .free = cllm__free};
    return CLLM_OK;
}

cllm_status cllm__recent_create(cllm__baseline *out, const cllm__interactions *train, double half_life, cllm_error *err) {
    popularity *p = cllm__zalloc(1, sizeof *p + train->n_items * sizeof *p->counts);
    if (p == NULL) return cllm__fail_nomem(err);
    p->n_items = train->n_items;
    cllm__recency(p->counts, train, half_life);
    *out = (cllm__baseline){.scorer = {.name = "recent", .context = p, .score = score_popularity, .batch = BATCH}, .free = cllm__free};
    snprintf(out->parameters, sizeof out->parameters, "half_life=%g", half_life);
    return CLLM_OK;
}

static cllm_status score_random(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    (void)err;
    const popularity *p = context;
    for (size_t k = 0; k < count; k++) {
        cllm__rng rng = cllm__rng_make(p->seed, CLLM_RNG_TIES, 1, (uint64_t)users[k]);
        for (size_t i = 0; i < p->n_items; i++) scores[k * p->n_items + i] = (float)(cllm__rng_u32(&rng) >> 8) * 0x1p-24f;
    }
    return CLLM_OK;
}

cllm_status cllm__random_create(cllm__baseline *out, size_t n_items, uint64_t seed, cllm_error *err) {
    popularity *p = cllm__zalloc(1, sizeof *p);
    if (p == NULL) return cllm__fail_nomem(err);
    p->n_items = n_items;
    p->seed = seed;
    *out = (cllm__baseline){.scorer = {.name = "random", .context = p, .score = score_random, .batch = BATCH},
                            .free = cllm__free};
    return CLLM_OK;
}
