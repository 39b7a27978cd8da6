#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/host.h"
#include "eval/baseline.h"
#include "eval/columns.h"
#include "eval/topk.h"

/* Users that it scores at once; items that one task compares; tasks between two looks at the host. */
enum { BATCH = 256, BLOCK = 16, BLOCKS_AT_ONCE = 64 };

/* Similarities by the item that a user has: row i holds every j that has i among its neighbours. */
typedef struct knn {
    const cllm__interactions *train;
    cllm__pool *pool;
    uint64_t *start; /* [n_items + 1] */
    int32_t *items;
    float *values;
} knn;

static void free_knn(void *context) {
    knn *k = context;
    if (k == NULL) return;
    cllm__free(k->start);
    cllm__free(k->items);
    cllm__free(k->values);
    cllm__free(k);
}

/* ---- Scoring ---- */

typedef struct scoring {
    const knn *model;
    const int32_t *users;
    float *scores;
} scoring;

static void score_user(void *context, size_t row, int worker) {
    (void)worker;
    const scoring *s = context;
    const knn *k = s->model;
    size_t user = (size_t)s->users[row], n_items = k->train->n_items;
    float *scores = s->scores + row * n_items;
    memset(scores, 0, n_items * sizeof *scores);
    const int32_t *history = cllm__row(k->train, user);
    for (size_t h = 0, n = cllm__row_count(k->train, user); h < n; h++) {
        for (uint64_t at = k->start[history[h]]; at < k->start[history[h] + 1]; at++) scores[k->items[at]] += k->values[at];
    }
}

static cllm_status score_knn(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    (void)err;
    const knn *k = context;
    scoring s = {k, users, scores};
    cllm__pool_run(k->pool, count, score_user, &s);
    return CLLM_OK;
}

/* ---- Building ---- */

typedef struct building {
    const cllm__interactions *train;
    cllm__columns columns;
    cllm__ties ties;
    size_t limit; /* neighbours of an item */
    double shrinkage;
    size_t first_block; /* of this run of the pool */
    /* Lists by the item that they belong to: start is filled with lengths in the first pass. */
    uint64_t *start;
    int32_t *items;
    float *values;
    /* By worker, [n_items] each; `together` is all zero between items. */
    uint32_t *together;
    int32_t *touched;
    float *similar;
    uint64_t *heap;
} building;

/* Collects the items that share a user with `item`, and on how many users; returns how many items. */
static size_t meet(building *b, size_t item, uint32_t *together, int32_t *touched) {
    size_t count = 0;
    for (uint64_t at = b->columns.start[item]; at < b->columns.start[item + 1]; at++) {
        size_t user = (size_t)b->columns.users[at];
        const int32_t *row = cllm__row(b->train, user);
        for (size_t r = 0, n = cllm__row_count(b->train, user); r < n; r++) {
            if ((size_t)row[r] != item && together[row[r]]++ == 0) touched[count++] = row[r];
        }
    }
    return count;
}

static void build_block(void *context, size_t index, int worker) {
    building *b = context;
    size_t n_items = b->train->n_items, first = (b->first_block + index) * BLOCK;
    uint32_t *together = b->together + (size_t)worker * n_items;
    int32_t *touched = b->touched + (size_t)worker * n_items;
    float *similar = b->similar + (size_t)worker * n_items;
    for (size_t item = first; item < first + BLOCK && item < n_items; item++) {
        size_t count = meet(b, item, together, touched);
        double own = (double)(b->columns.start[item + 1] - b->columns.start[item]);
        for (size_t c = 0; c < count; c++) {
            double other = (double)(b->columns.start[touched[c] + 1] - b->columns.start[touched[c]]);
            similar[c] = (float)(together[touched[c]] / (sqrt(own * other) + b->shrinkage));
            together[touched[c]] = 0;
        }
        if (b->items == NULL) {
            b->start[item + 1] = count < b->limit ? count : b->limit;
            continue;
        }
        size_t kept;
        uint64_t at = b->start[item];
        if (count <= b->limit) {
            memcpy(b->items + at, touched, count * sizeof *touched);
            memcpy(b->values + at, similar, count * sizeof *similar);
        } else if (cllm__topk_among(&b->ties, touched, similar, count, b->limit, b->heap + (size_t)worker * n_items,
                                    b->items + at, b->values + at, &kept, NULL) != CLLM_OK) {
            CLLM_ASSERT(false); /* similarities are finite */
        }
    }
}

static cllm_status build_pass(building *b, cllm__pool *pool, const cllm_host *host, cllm__meter *meter, double done,
                              cllm_error *err) {
    size_t blocks = (b->train->n_items + BLOCK - 1) / BLOCK;
    for (b->first_block = 0; b->first_block < blocks; b->first_block += BLOCKS_AT_ONCE) {
        CLLM_TRY(cllm__check_cancelled(host, err));
        size_t left = blocks - b->first_block;
        cllm__pool_run(pool, left < BLOCKS_AT_ONCE ? left : BLOCKS_AT_ONCE, build_block, b);
        cllm__meter_update(meter, done + (double)(b->first_block * BLOCK) / 2, NULL);
    }
    return CLLM_OK;
}

/* From lists by the item they belong to, to lists by the neighbour. */
static cllm_status turn_round(const building *b, knn *model, cllm_error *err) {
    size_t n_items = b->train->n_items;
    uint64_t count = b->start[n_items];
    CLLM_TRY(CLLM_NEW(model->start, n_items + 2, err));
    CLLM_TRY(CLLM_NEW(model->items, count, err));
    CLLM_TRY(CLLM_NEW(model->values, count, err));
    for (uint64_t at = 0; at < count; at++) model->start[b->items[at] + 2]++;
    for (size_t i = 2; i < n_items + 2; i++) model->start[i] += model->start[i - 1];
    for (size_t item = 0; item < n_items; item++) {
        for (uint64_t at = b->start[item]; at < b->start[item + 1]; at++) {
            uint64_t to = model->start[b->items[at] + 1]++;
            model->items[to] = (int32_t)item;
            model->values[to] = b->values[at];
        }
    }
    return CLLM_OK;
}

static cllm_status build(building *b, knn *model, const cllm_host *host, cllm_error *err) {
    size_t n_items = b->train->n_items, workers = (size_t)cllm__pool_threads(model->pool);
    CLLM_TRY(cllm__columns_create(&b->columns, b->train, err));
    CLLM_TRY(cllm__ties_create(&b->ties, n_items, 0, err));
    CLLM_TRY(CLLM_NEW(b->start, n_items + 1, err));
    CLLM_TRY(CLLM_NEW(b->together, workers * n_items, err));
    CLLM_TRY(CLLM_NEW(b->touched, workers * n_items, err));
    CLLM_TRY(CLLM_NEW(b->similar, workers * n_items, err));
    CLLM_TRY(CLLM_NEW(b->heap, workers * n_items, err));
    cllm__meter meter = cllm__meter_begin(host, "itemknn", "items", (double)n_items);
    CLLM_TRY(build_pass(b, model->pool, host, &meter, 0, err));
    for (size_t i = 0; i < n_items; i++) b->start[i + 1] += b->start[i];
    CLLM_TRY(CLLM_NEW(b->items, b->start[n_items], err));
    CLLM_TRY(CLLM_NEW(b->values, b->start[n_items], err));
    CLLM_TRY(build_pass(b, model->pool, host, &meter, (double)n_items / 2, err));
    cllm__meter_end(&meter, (double)n_items, NULL);
    return turn_round(b, model, err);
}

cllm_status cllm__itemknn_create(cllm__baseline *out, const cllm__interactions *train, cllm__itemknn_options options,
                                 cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    if (!(options.shrinkage >= 0 && options.shrinkage < INFINITY)) {
        return cllm__fail(err, CLLM_ERR_USAGE, "a shrinkage of %g: give 0 or more", options.shrinkage);
    }
    building b = {
        .train = train, .limit = options.neighbours > 0 ? options.neighbours : SIZE_MAX, .shrinkage = options.shrinkage};
    knn *model;
    CLLM_TRY(CLLM_NEW(model, 1, err));
    model->train = train;
    model->pool = pool;
    cllm_status status = build(&b, model, host, err);
    cllm__columns_free(&b.columns);
    cllm__ties_free(&b.ties);
    cllm__free(b.start);
    cllm__free(b.items);
    cllm__free(b.values);
    cllm__free(b.together);
    cllm__free(b.touched);
    cllm__free(b.similar);
    cllm__free(b.heap);
    if (status != CLLM_OK) {
        free_knn(model);
        return status;
    }
    *out = (cllm__baseline){.scorer = {.name = "itemknn", .context = model, .score = score_knn, .batch = BATCH},
                            .free = free_knn};
    if (options.neighbours > 0) {
        snprintf(out->parameters, sizeof out->parameters, "neighbours=%zu,shrinkage=%g", options.neighbours,
                 options.shrinkage);
    } else {
        snprintf(out->parameters, sizeof out->parameters, "neighbours=all,shrinkage=%g", options.shrinkage);
    }
    return CLLM_OK;
}
