#include "model/composer.h"

#include <string.h>

#include "base/alloc.h"
#include "kernels/ops.h"
#include "model/tables.h"

/* Rows per task. */
enum { ROWS = 16 };

cllm_status cllm__composer_create(cllm__composer *c, const cllm__features *features, size_t width, double id_weight, cllm_error *err) {
    size_t most = features->n_items > features->n_features ? features->n_items : features->n_features;
    if (most > 0 && width > SIZE_MAX / most) return cllm__fail_nomem(err);
    c->by_item = *features;
    c->width = width;
    c->id_weight = id_weight;
    CLLM_TRY(CLLM_NEW(c->free_parts, features->n_items * width, err));
    CLLM_TRY(CLLM_NEW(c->vectors, features->n_features * width, err));
    CLLM_TRY(CLLM_NEW(c->gradient, features->n_features * width, err));
    return cllm__feature_index_create(&c->by_feature, features, err);
}

void cllm__composer_free(cllm__composer *c) {
    cllm__free(c->free_parts);
    cllm__free(c->vectors);
    cllm__free(c->gradient);
    cllm__feature_index_free(&c->by_feature);
    *c = (cllm__composer){0};
}

/* Tables by the numbers of tables.h. */
enum { FREE_PARTS = 4, VECTORS = 5 };

void cllm__composer_init_normal(cllm__composer *c, double deviation, uint64_t seed) {
    cllm__init_rows(c->free_parts, c->by_item.n_items, c->width, deviation, seed, FREE_PARTS);
    cllm__init_rows(c->vectors, c->by_item.n_features, c->width, deviation, seed, VECTORS);
}

/* ---- Forward ---- */

static void add_features(const cllm__composer *c, const int32_t *features, const float *weights, size_t count, cllm__real *token) {
    for (size_t e = 0; e < count; e++) {
        if (weights[e] != 0) cllm__axpy(token, (cllm__real)weights[e], c->vectors + (size_t)features[e] * c->width, c->width);
    }
}

typedef struct composing {
    const cllm__composer *composer;
    cllm__real *items;
} composing;

static void compose_task(void *context, size_t task, int worker) {
    (void)worker;
    const composing *work = context;
    const cllm__composer *c = work->composer;
    const cllm__features *f = &c->by_item;
    size_t end = (task + 1) * ROWS < f->n_items ? (task + 1) * ROWS : f->n_items;
    for (size_t j = task * ROWS; j < end; j++) {
        cllm__real *token = work->items + j * c->width;
        memset(token, 0, c->width * sizeof *token);
        const cllm__real *own = c->free_parts + j * c->width;
        if (c->id_weight != 0) {
            memcpy(token, own, c->whole * sizeof *token);
            cllm__axpy(token + c->whole, (cllm__real)c->id_weight, own + c->whole, c->width - c->whole);
        }
        uint64_t first = f->start[j];
        add_features(c, f->features + first, f->weights + first, (size_t)(f->start[j + 1] - first), token);
    }
}

void cllm__composer_compose(const cllm__composer *composer, cllm__real *items, cllm__pool *pool) {
    composing work = {composer, items};
    cllm__pool_run(pool, (composer->by_item.n_items + ROWS - 1) / ROWS, compose_task, &work);
}

void cllm__composer_token(const cllm__composer *c, const int32_t *features, const float *weights, size_t count, cllm__real *token) {
    memset(token, 0, c->width * sizeof *token);
    add_features(c, features, weights, count, token);
}

/* ---- Backward ---- */

typedef struct backing {
    const cllm__composer *composer;
    cllm__real *ditems;
} backing;

static void vectors_task(void *context, size_t task, int worker) {
    (void)worker;
    const backing *work = context;
    const cllm__composer *c = work->composer;
    const cllm__feature_index *index = &c->by_feature;
    size_t n = c->by_item.n_features, end = (task + 1) * ROWS < n ? (task + 1) * ROWS : n;
    for (size_t k = task * ROWS; k < end; k++) {
        cllm__real *gradient = c->gradient + k * c->width;
        memset(gradient, 0, c->width * sizeof *gradient);
        for (uint64_t e = index->start[k]; e < index->start[k + 1]; e++) {
            if (index->weights[e] == 0) continue;
            cllm__axpy(gradient, (cllm__real)index->weights[e], work->ditems + (size_t)index->items[e] * c->width, c->width);
        }
    }
}

static void free_parts_task(void *context, size_t task, int worker) {
    (void)worker;
    const backing *work = context;
    const cllm__composer *c = work->composer;
    size_t n = c->by_item.n_items, end = (task + 1) * ROWS < n ? (task + 1) * ROWS : n;
    cllm__real weight = (cllm__real)c->id_weight;
    for (size_t i = task * ROWS * c->width; i < end * c->width; i++)
        if (weight == 0 || i % c->width >= c->whole) work->ditems[i] *= weight;
}

void cllm__composer_backward(cllm__composer *composer, cllm__real *ditems, cllm__pool *pool) {
    backing work = {composer, ditems};
    cllm__pool_run(pool, (composer->by_item.n_features + ROWS - 1) / ROWS, vectors_task, &work);
    cllm__pool_run(pool, (composer->by_item.n_items + ROWS - 1) / ROWS, free_parts_task, &work);
}
