#include "model/tables.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"

cllm_status cllm__tables_create(cllm__tables *tables, size_t n_users, size_t n_items, size_t width, cllm_error *err) {
    if ((n_users > 0 && width > SIZE_MAX / n_users) || (n_items > 0 && width > SIZE_MAX / n_items)) return cllm__fail_nomem(err);
    *tables = (cllm__tables){.n_users = n_users, .n_items = n_items, .width = width};
    CLLM_TRY(CLLM_NEW(tables->users, n_users * width, err));
    return CLLM_NEW(tables->items, n_items * width, err);
}

void cllm__tables_free(cllm__tables *tables) {
    cllm__free(tables->users);
    cllm__free(tables->items);
    *tables = (cllm__tables){0};
}

bool cllm__tables_same_shape(const cllm__tables *a, const cllm__tables *b) {
    return a->n_users == b->n_users && a->n_items == b->n_items && a->width == b->width;
}

void cllm__tables_copy(cllm__tables *to, const cllm__tables *from) {
    CLLM_ASSERT(cllm__tables_same_shape(to, from));
    memcpy(to->users, from->users, from->n_users * from->width * sizeof *from->users);
    memcpy(to->items, from->items, from->n_items * from->width * sizeof *from->items);
}

uint64_t cllm__tables_hash(const cllm__tables *tables) {
    uint64_t parts[2] = {cllm__hash(tables->users, tables->n_users * tables->width * sizeof *tables->users),
                         cllm__hash(tables->items, tables->n_items * tables->width * sizeof *tables->items)};
    return cllm__hash(parts, sizeof parts);
}

void cllm__init_rows(cllm__real *rows, size_t n, size_t width, double deviation, uint64_t seed, uint32_t table) {
    for (size_t r = 0; r < n; r++) {
        cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_INIT_TABLE, table, r);
        for (size_t c = 0; c < width; c++) rows[r * width + c] = (cllm__real)(deviation * cllm__rng_normal(&rng));
    }
}

void cllm__tables_init_normal(cllm__tables *tables, double deviation, uint64_t seed, cllm__table_set set) {
    cllm__init_rows(tables->users, tables->n_users, tables->width, deviation, seed, 2 * (uint32_t)set);
    cllm__init_rows(tables->items, tables->n_items, tables->width, deviation, seed, 2 * (uint32_t)set + 1);
}

/* ---- Text means ---- */

/* Sums of word embeddings by row, and one spare row behind them for their centre. */
typedef struct means {
    double *sums;   /* [(n + 1) × width] */
    size_t *counts; /* [n] words */
    size_t n, width;
} means;

static cllm_status means_create(means *m, size_t n, size_t width, cllm_error *err) {
    *m = (means){.n = n, .width = width};
    CLLM_TRY(CLLM_NEW(m->sums, (n + 1) * width, err));
    return CLLM_NEW(m->counts, n, err);
}

static void means_free(means *m) {
    cllm__free(m->sums);
    cllm__free(m->counts);
}

static void means_add(means *m, int32_t row, const double *sum, size_t count) {
    if (row < 0) return;
    CLLM_ASSERT((size_t)row < m->n);
    m->counts[row] += count;
    for (size_t c = 0; c < m->width; c++) m->sums[(size_t)row * m->width + c] += sum[c];
}

/* Turns sums into means, centres them over the rows that have any, and mixes them into the table at the wanted size. */
static void means_mix(means *m, double deviation, cllm__real *table) {
    double *centre = m->sums + m->n * m->width, square = 0;
    size_t rows = 0;
    for (size_t r = 0; r < m->n; r++) {
        if (m->counts[r] == 0) continue;
        rows++;
        for (size_t c = 0; c < m->width; c++) {
            m->sums[r * m->width + c] /= (double)m->counts[r];
            centre[c] += m->sums[r * m->width + c];
        }
    }
    for (size_t r = 0; r < m->n; r++)
        for (size_t c = 0; m->counts[r] > 0 && c < m->width; c++) {
            double *value = &m->sums[r * m->width + c];
            *value -= centre[c] / (double)rows;
            square += *value * *value;
        }
    if (square <= 0) return; /* no texts, or all of them equal: nothing tells the rows apart */
    double scale = deviation / sqrt(square / (double)(rows * m->width));
    for (size_t r = 0; r < m->n; r++)
        for (size_t c = 0; m->counts[r] > 0 && c < m->width; c++) {
            cllm__real *value = &table[r * m->width + c];
            *value = (cllm__real)(scale * m->sums[r * m->width + c] + 0.1 * (double)*value);
        }
}

cllm_status cllm__tables_init_text_mean(cllm__tables *tables, double deviation, const cllm__corpus *corpus,
                                        const cllm__backbone *backbone, cllm_error *err) {
    size_t width = tables->width;
    CLLM_ASSERT(width == cllm__backbone_info_of(backbone)->width);
    means users = {0}, items = {0};
    double *sum = NULL;
    cllm__real *word = NULL;
    cllm_status status = CLLM_OK;
    CLLM_TRY_CLEAN(means_create(&users, tables->n_users, width, err));
    CLLM_TRY_CLEAN(means_create(&items, tables->n_items, width, err));
    CLLM_TRY_CLEAN(CLLM_NEW(sum, width, err));
    CLLM_TRY_CLEAN(CLLM_NEW(word, width, err));
    for (size_t k = 0; k < corpus->count; k++) {
        cllm__document document = cllm__corpus_at(corpus, k);
        memset(sum, 0, width * sizeof *sum);
        for (size_t t = 0; t < document.count; t++) {
            cllm__backbone_embed(backbone, document.tokens[t], word);
            for (size_t c = 0; c < width; c++) sum[c] += (double)word[c];
        }
        means_add(&users, document.user, sum, document.count);
        means_add(&items, document.item, sum, document.count);
    }
    means_mix(&users, deviation, tables->users);
    means_mix(&items, deviation, tables->items);
cleanup:
    means_free(&users);
    means_free(&items);
    cllm__free(sum);
    cllm__free(word);
    return status;
}
