#include "eval/item_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/safetensors.h"

void cllm__item_weights_free(cllm__item_weights *linear) {
    cllm__free(linear->start);
    cllm__free(linear->items);
    cllm__free(linear->values);
    *linear = (cllm__item_weights){0};
}

/* ---- Thinning ---- */

static int larger_first(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

typedef struct thinning {
    const float *weights; /* [n_items × n_items] */
    cllm__item_weights *linear;
    float *sizes; /* [threads × n_items] */
    size_t kept;  /* a row */
} thinning;

/* Of equal sizes at the edge the first ones stay. */
static void thin_row(void *context, size_t row, int worker) {
    const thinning *t = context;
    size_t n = t->linear->n_items, to = row * t->kept, above = 0, end = to + t->kept;
    const float *weights = t->weights + row * n;
    float *sizes = t->sizes + (size_t)worker * n;
    for (size_t i = 0; i < n; i++) sizes[i] = fabsf(weights[i]);
    qsort(sizes, n, sizeof *sizes, larger_first);
    float edge = sizes[t->kept - 1];
    for (size_t i = 0; i < t->kept; i++) above += sizes[i] > edge;
    size_t at_edge = t->kept - above;
    for (size_t i = 0; i < n && to < end; i++) {
        float size = fabsf(weights[i]);
        if (size < edge || (size == edge && at_edge == 0)) continue;
        if (size == edge) at_edge--;
        t->linear->items[to] = (int32_t)i;
        t->linear->values[to++] = weights[i];
    }
}

cllm_status cllm__item_weights_create(cllm__item_weights *linear, const cllm__baseline *ease, size_t n_items, cllm__pool *pool, cllm_error *err) {
    thinning t = {.weights = cllm__ease_weights(ease), .linear = linear, .kept = n_items < CLLM__ITEM_WEIGHTS_KEPT ? n_items : CLLM__ITEM_WEIGHTS_KEPT};
    linear->n_items = n_items;
    CLLM_TRY(CLLM_NEW(linear->start, n_items + 1, err));
    CLLM_TRY(CLLM_NEW(linear->items, n_items * t.kept, err));
    CLLM_TRY(CLLM_NEW(linear->values, n_items * t.kept, err));
    CLLM_TRY(CLLM_NEW(t.sizes, (size_t)cllm__pool_threads(pool) * n_items, err));
    for (size_t i = 0; i <= n_items; i++) linear->start[i] = i * t.kept;
    cllm__pool_run(pool, n_items, thin_row, &t);
    cllm__free(t.sizes);
    return CLLM_OK;
}

/* ---- Files ---- */

cllm_status cllm__item_weights_save(const cllm__item_weights *linear, const char *path, cllm_error *err) {
    uint64_t n = linear->n_items, count = linear->start[n];
    const cllm__tensor tensors[] = {
        {.name = "start", .dtype = CLLM_ST_U64, .rank = 1, .shape = {n + 1}, .data = linear->start, .bytes = (n + 1) * sizeof *linear->start},
        {.name = "items", .dtype = CLLM_ST_I32, .rank = 1, .shape = {count}, .data = linear->items, .bytes = count * sizeof *linear->items},
        {.name = "values", .dtype = CLLM_ST_F32, .rank = 1, .shape = {count}, .data = linear->values, .bytes = count * sizeof *linear->values},
    };
    const char *metadata[] = {"format", "cllm4rec linear 1"};
    return cllm__safetensors_write(path, tensors, CLLM_LEN(tensors), metadata, 1, err);
}

static cllm_status check(const cllm__item_weights *linear, uint64_t count, const char *path, cllm_error *err) {
    bool sound = linear->start[0] == 0 && linear->start[linear->n_items] == count;
    for (size_t i = 0; sound && i < linear->n_items; i++) sound = linear->start[i] <= linear->start[i + 1];
    for (uint64_t e = 0; sound && e < count; e++) {
        sound = linear->items[e] >= 0 && (size_t)linear->items[e] < linear->n_items && isfinite(linear->values[e]);
    }
    return sound ? CLLM_OK : cllm__fail(err, CLLM_ERR_DATA, "'%s' is damaged: train the run anew", path);
}

cllm_status cllm__item_weights_load(cllm__item_weights *linear, const char *path, cllm_error *err) {
    cllm__safetensors *file;
    CLLM_TRY(cllm__safetensors_open(&file, path, err));
    cllm_status status;
    const uint64_t any[] = {UINT64_MAX};
    const cllm__tensor *start, *items, *values;
    CLLM_TRY_CLEAN(cllm__safetensors_require(file, "start", CLLM_ST_U64, 1, any, &start, err));
    CLLM_TRY_CLEAN(cllm__safetensors_require(file, "items", CLLM_ST_I32, 1, any, &items, err));
    CLLM_TRY_CLEAN(cllm__safetensors_require(file, "values", CLLM_ST_F32, 1, items->shape, &values, err));
    if (start->shape[0] == 0) {
        status = cllm__fail(err, CLLM_ERR_DATA, "'%s' is damaged: train the run anew", path);
        goto cleanup;
    }
    linear->n_items = (size_t)start->shape[0] - 1;
    CLLM_TRY_CLEAN(CLLM_NEW(linear->start, start->shape[0], err));
    CLLM_TRY_CLEAN(CLLM_NEW(linear->items, items->shape[0], err));
    CLLM_TRY_CLEAN(CLLM_NEW(linear->values, values->shape[0], err));
    memcpy(linear->start, start->data, start->bytes);
    if (items->bytes > 0) memcpy(linear->items, items->data, items->bytes);
    if (values->bytes > 0) memcpy(linear->values, values->data, values->bytes);
    status = check(linear, items->shape[0], path, err);
cleanup:
    cllm__safetensors_close(file);
    return status;
}

/* ---- Scoring ---- */

void cllm__item_weights_score(const cllm__item_weights *linear, const int32_t *items, size_t count, float *scores) {
    memset(scores, 0, linear->n_items * sizeof *scores);
    for (size_t h = 0; h < count; h++) {
        for (uint64_t e = linear->start[items[h]]; e < linear->start[items[h] + 1]; e++) scores[linear->items[e]] += linear->values[e];
    }
}
