#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/host.h"
#include "eval/baseline.h"
#include "eval/columns.h"
#include "eval/symmetric.h"

enum { BATCH = 256, TILE = CLLM__TILE };

typedef struct ease {
    const cllm__interactions *train;
    cllm__pool *pool;
    float *weights; /* B [n_items × n_items] */
} ease;

static void free_ease(void *context) {
    ease *e = context;
    if (e == NULL) return;
    cllm__free(e->weights);
    cllm__free(e);
}

const float *cllm__ease_weights(const cllm__baseline *baseline) {
    return ((const ease *)baseline->scorer.context)->weights;
}

/* ---- Scoring ---- */

typedef struct scoring {
    const ease *model;
    const int32_t *users;
    float *scores;
} scoring;

static void score_user(void *context, size_t row, int worker) {
    (void)worker;
    const scoring *s = context;
    const cllm__interactions *train = s->model->train;
    size_t user = (size_t)s->users[row], n_items = train->n_items;
    float *restrict scores = s->scores + row * n_items;
    memset(scores, 0, n_items * sizeof *scores);
    const int32_t *history = cllm__row(train, user);
    for (size_t h = 0, n = cllm__row_count(train, user); h < n; h++) {
        const float *restrict weights = s->model->weights + (size_t)history[h] * n_items;
        for (size_t i = 0; i < n_items; i++) scores[i] += weights[i];
    }
}

static cllm_status score_ease(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    (void)err;
    const ease *e = context;
    scoring s = {e, users, scores};
    cllm__pool_run(e->pool, count, score_user, &s);
    return CLLM_OK;
}

/* ---- Building ---- */

typedef struct building {
    const cllm__interactions *train;
    cllm__columns columns;
    cllm__symmetric matrix;
    /* Text: the features and, by word, the items that have it. NULL: none. */
    const cllm__tfidf *features;
    double weight;
    cllm__feature_index by_word;
    size_t block;
    double *diagonal;
    float *weights;
} building;

/* Block row I of the lower half of XᵀX: sums of ones, exact in any order. */
static void add_gram(void *context, size_t block, int worker) {
    (void)worker;
    building *b = context;
    for (size_t item = block * TILE; item < (block + 1) * TILE && item < b->train->n_items; item++) {
        for (uint64_t at = b->columns.start[item]; at < b->columns.start[item + 1]; at++) {
            size_t user = (size_t)b->columns.users[at];
            const int32_t *row = cllm__row(b->train, user);
            for (size_t r = 0, n = cllm__row_count(b->train, user); r < n; r++) {
                if ((size_t)row[r] <= item) *cllm__symmetric_at(&b->matrix, item, (size_t)row[r]) += 1;
            }
        }
    }
}

/* Adds one item's row of the lower half of w·TTᵀ. */
static void add_text(void *context, size_t index, int worker) {
    (void)worker;
    building *b = context;
    const cllm__tfidf *f = b->features;
    const cllm__feature_index *by_word = &b->by_word;
    size_t item = b->block * TILE + index;
    for (uint64_t e = f->start[item]; e < f->start[item + 1]; e++) {
        double value = b->weight * (double)f->values[e];
        if (value == 0) continue; /* a word of all items */
        for (uint64_t at = by_word->start[f->words[e]]; (size_t)by_word->items[at] <= item; at++) {
            *cllm__symmetric_at(&b->matrix, item, (size_t)by_word->items[at]) += value * (double)by_word->weights[at];
            if (at + 1 == by_word->start[f->words[e] + 1]) break;
        }
    }
}

static cllm_status add_texts(building *b, cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    size_t n = b->train->n_items;
    const cllm__features words = cllm__tfidf_features(b->features);
    CLLM_TRY(cllm__feature_index_create(&b->by_word, &words, err));
    for (b->block = 0; b->block * TILE < n; b->block++) {
        CLLM_TRY(cllm__check_cancelled(host, err));
        cllm__pool_run(pool, n - b->block * TILE < TILE ? n - b->block * TILE : TILE, add_text, b);
    }
    return CLLM_OK;
}

/* B = −P·diag(1/diag P) off the diagonal, for one tile of P and its mirror image; the tile is freed, so that memory does
 * not hold both matrices whole. */
static void weigh_tile(void *context, size_t index, int worker) {
    (void)worker;
    building *b = context;
    size_t n = b->train->n_items, i = 0;
    while ((i + 1) * (i + 2) / 2 <= index) i++;
    size_t j = index - i * (i + 1) / 2, row0 = i * TILE, column0 = j * TILE;
    size_t rows = n - row0 < TILE ? n - row0 : TILE, columns = n - column0 < TILE ? n - column0 : TILE;
    double *tile = b->matrix.tiles[index];
    for (size_t r = 0; r < rows; r++) {
        float *to = b->weights + (row0 + r) * n + column0;
        for (size_t c = 0; c < columns; c++) {
            to[c] = row0 + r == column0 + c ? 0 : (float)(-tile[r * TILE + c] / b->diagonal[column0 + c]);
        }
    }
    for (size_t c = 0; c < columns && i != j; c++) {
        float *to = b->weights + (column0 + c) * n + row0;
        for (size_t r = 0; r < rows; r++) to[r] = (float)(-tile[r * TILE + c] / b->diagonal[row0 + r]);
    }
    cllm__free(tile);
    b->matrix.tiles[index] = NULL;
}

uint64_t cllm__ease_memory(size_t n_items) {
    if (n_items > UINT32_C(1) << 28) return UINT64_MAX; /* its square times a few bytes would not fit the type */
    return cllm__symmetric_memory(n_items) + (uint64_t)n_items * n_items * sizeof(float);
}

/* One number from a file of the cgroup; UINT64_MAX if there is none ("max"). */
static uint64_t read_limit(const char *path) {
    unsigned long long value;
    FILE *file = fopen(path, "r");
    if (file == NULL) return UINT64_MAX;
    int read = fscanf(file, "%llu", &value);
    fclose(file);
    return read == 1 ? value : UINT64_MAX;
}

uint64_t cllm__ease_memory_limit(void) {
    uint64_t limit = UINT64_MAX;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0) limit = (uint64_t)pages * (uint64_t)page;
    const char *const cgroup[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < CLLM_LEN(cgroup); i++) {
        uint64_t allowed = read_limit(cgroup[i]);
        if (allowed < limit) limit = allowed;
    }
    return limit / 2;
}

static cllm_status build(building *b, double lambda, cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    size_t n = b->train->n_items, blocks = (n + TILE - 1) / TILE;
    CLLM_TRY(cllm__columns_create(&b->columns, b->train, err));
    CLLM_TRY(cllm__symmetric_create(&b->matrix, n, err));
    CLLM_TRY(CLLM_NEW(b->diagonal, n, err));
    cllm__pool_run(pool, blocks, add_gram, b);
    if (b->features != NULL) CLLM_TRY(add_texts(b, pool, host, err));
    for (size_t i = 0; i < n; i++) *cllm__symmetric_at(&b->matrix, i, i) += lambda;
    CLLM_TRY(cllm__symmetric_invert(&b->matrix, pool, host, err));
    for (size_t i = 0; i < n; i++) b->diagonal[i] = *cllm__symmetric_at(&b->matrix, i, i);
    b->weights = cllm__alloc(n * n, sizeof *b->weights);
    if (b->weights == NULL) return cllm__fail_nomem(err);
    cllm__pool_run(pool, blocks * (blocks + 1) / 2, weigh_tile, b);
    return CLLM_OK;
}

/* With b->train, and b->features and b->weight for texts. */
static cllm_status create(cllm__baseline *out, building *b, double lambda, uint64_t limit, cllm__pool *pool,
                          const cllm_host *host, cllm_error *err) {
    size_t n_items = b->train->n_items;
    if (!(lambda > 0 && lambda < INFINITY))
        return cllm__fail(err, CLLM_ERR_USAGE, "ease: a lambda of %g: give more than 0", lambda);
    if (limit == 0) limit = cllm__ease_memory_limit();
    uint64_t need = cllm__ease_memory(n_items);
    if (need > limit) {
        return cllm__fail(
            err, CLLM_ERR_UNSUPPORTED,
            "ease on %zu items needs %.2f GB of memory, and %.2f GB are allowed: leave it out of the baselines, or use "
            "a machine with more memory",
            n_items, (double)need / 1e9, (double)limit / 1e9);
    }
    ease *model;
    CLLM_TRY(CLLM_NEW(model, 1, err));
    cllm_status status = build(b, lambda, pool, host, err);
    cllm__columns_free(&b->columns);
    cllm__symmetric_free(&b->matrix);
    cllm__feature_index_free(&b->by_word);
    cllm__free(b->diagonal);
    *model = (ease){.train = b->train, .pool = pool, .weights = b->weights};
    if (status != CLLM_OK) {
        free_ease(model);
        return status;
    }
    *out = (cllm__baseline){.scorer = {.context = model, .score = score_ease, .batch = BATCH}, .free = free_ease};
    return CLLM_OK;
}

cllm_status cllm__ease_create(cllm__baseline *out, const cllm__interactions *train, double lambda, uint64_t limit,
                              cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    CLLM_TRY(create(out, &(building){.train = train}, lambda, limit, pool, host, err));
    out->scorer.name = "ease";
    snprintf(out->parameters, sizeof out->parameters, "lambda=%g", lambda);
    return CLLM_OK;
}

cllm_status cllm__ease_text_create(cllm__baseline *out, const cllm__interactions *train, const cllm__tfidf *features,
                                   double weight, double lambda, uint64_t limit, cllm__pool *pool, const cllm_host *host,
                                   cllm_error *err) {
    if (!(weight >= 0 && weight < INFINITY))
        return cllm__fail(err, CLLM_ERR_USAGE, "ease_text: a weight of %g: give 0 or more", weight);
    if (features->n_items != train->n_items) {
        return cllm__fail(err, CLLM_ERR_MISMATCH, "texts of %zu items for %zu items", features->n_items, train->n_items);
    }
    CLLM_TRY(
        create(out, &(building){.train = train, .features = features, .weight = weight}, lambda, limit, pool, host, err));
    out->scorer.name = "ease_text";
    snprintf(out->parameters, sizeof out->parameters, "lambda=%g,weight=%g", lambda, weight);
    return CLLM_OK;
}
