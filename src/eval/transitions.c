#include "eval/transitions.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "eval/columns.h"

enum { FURTHEST = 50 };
static const double LEAST = 0.01;

/* How many places count: d^(g − 1) ≥ LEAST. */
static size_t reach_of(double decay) {
    size_t reach = 1;
    for (double weight = decay; weight >= LEAST && reach < FURTHEST; weight *= decay) reach++;
    return reach;
}

/* Adds what stands behind `item` in one user's row; *count items have been met so far. */
static void follow(const cllm__transitions *t, const int32_t *row, size_t n, int32_t item, double *weights, int32_t *met, size_t *count) {
    size_t at = 0;
    while (row[at] != item) at++;
    double weight = 1;
    for (size_t g = 1; g <= t->reach && at + g < n; g++, weight *= t->decay) {
        int32_t next = row[at + g];
        if (weights[next] == 0) met[(*count)++] = next;
        weights[next] += weight;
    }
}

static cllm_status count_pairs(cllm__transitions *t, const cllm__interactions *rows, const cllm__columns *columns, double *weights, int32_t *met,
                               cllm_error *err) {
    size_t used = 0, item_room = 0, count_room = 0;
    for (size_t i = 0; i < t->n_items; i++) {
        size_t count = 0;
        for (uint64_t at = columns->start[i]; at < columns->start[i + 1]; at++) {
            size_t user = (size_t)columns->users[at];
            follow(t, cllm__row(rows, user), cllm__row_count(rows, user), (int32_t)i, weights, met, &count);
        }
        CLLM_TRY(CLLM_GROW(t->items, item_room, used + count, err));
        CLLM_TRY(CLLM_GROW(t->counts, count_room, used + count, err));
        for (size_t c = 0; c < count; c++, used++) {
            t->items[used] = met[c];
            t->counts[used] = (float)weights[met[c]];
            t->totals[i] += weights[met[c]];
            weights[met[c]] = 0;
        }
        t->popularity[i] = rows->count > 0 ? (float)((double)(columns->start[i + 1] - columns->start[i]) / (double)rows->count) : 0;
        t->start[i + 1] = used;
    }
    return CLLM_OK;
}

cllm_status cllm__transitions_create(cllm__transitions *t, const cllm__interactions *rows, double decay, double smoothing, cllm_error *err) {
    if (!(decay >= 0 && decay < 1)) return cllm__fail(err, CLLM_ERR_USAGE, "a decay of %g: give 0 or more and less than 1", decay);
    if (!(smoothing >= 0 && smoothing < INFINITY)) return cllm__fail(err, CLLM_ERR_USAGE, "a smoothing of %g: give 0 or more", smoothing);
    cllm__columns columns = {0};
    double *weights = NULL; /* [n_items], all zero between two items */
    int32_t *met = NULL;
    cllm_status status;
    t->n_items = rows->n_items;
    t->decay = decay;
    t->smoothing = smoothing;
    t->reach = reach_of(decay);
    CLLM_TRY_CLEAN(CLLM_NEW(t->start, t->n_items + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(t->totals, t->n_items + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(t->popularity, t->n_items + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(weights, t->n_items + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(met, t->n_items + 1, err));
    CLLM_TRY_CLEAN(cllm__columns_create(&columns, rows, err));
    CLLM_TRY_CLEAN(count_pairs(t, rows, &columns, weights, met, err));
cleanup:
    cllm__columns_free(&columns);
    cllm__free(weights);
    cllm__free(met);
    return status;
}

void cllm__transitions_free(cllm__transitions *t) {
    cllm__free(t->start);
    cllm__free(t->items);
    cllm__free(t->counts);
    cllm__free(t->totals);
    cllm__free(t->popularity);
    *t = (cllm__transitions){0};
}

void cllm__transitions_score(const cllm__transitions *t, const int32_t *items, size_t count, float *scores) {
    double weight = 1, popular = 0;
    memset(scores, 0, t->n_items * sizeof *scores);
    for (size_t k = 0; k < t->reach && k < count; k++, weight *= t->decay) {
        size_t item = (size_t)items[count - 1 - k];
        double total = t->totals[item] + t->smoothing;
        if (total == 0) continue;
        popular += weight * t->smoothing / total;
        for (uint64_t at = t->start[item]; at < t->start[item + 1]; at++) scores[t->items[at]] += (float)(weight / total * (double)t->counts[at]);
    }
    for (size_t j = 0; popular > 0 && j < t->n_items; j++) scores[j] += (float)(popular * (double)t->popularity[j]);
}
