#include "eval/inner_split.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

void cllm__inner_split_free(cllm__inner_split *split) {
    for (int part = 0; part < 2; part++) {
        cllm__free(split->start[part]);
        cllm__free(split->items[part]);
        cllm__free(split->times[part]);
    }
    *split = (cllm__inner_split){0};
}

static void add_row(cllm__inner_split *split, const cllm__interactions *rows, size_t user, size_t i, int part) {
    size_t from = (size_t)rows->start[user] + i, to = (size_t)split->start[part][user + 1]++;
    split->items[part][to] = rows->items[from];
    if (rows->times != NULL) split->times[part][to] = rows->times[from];
}

/* Holds out n/10 of a user's n rows, rounded at random, at most n − 1. Rows keep their order. */
static void split_user(cllm__inner_split *split, const cllm__interactions *rows, size_t user, int32_t *order) {
    size_t n = cllm__row_count(rows, user);
    cllm__rng rng = cllm__rng_make(0, CLLM_RNG_SPLIT, 1, user);
    size_t held = (size_t)(0.1 * (double)n + cllm__rng_uniform(&rng));
    if (n > 0 && held > n - 1) held = n - 1;
    for (size_t i = 0; i < n; i++) order[i] = (int32_t)i;
    cllm__rng_shuffle_i32(&rng, order, n); /* row i is held out if its place in this order is among the first */
    for (size_t i = 0; i < n; i++) add_row(split, rows, user, i, (size_t)order[i] < held);
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* *moment: what is as late is held out. False where there is none. */
static cllm_status find_moment(bool *found, int64_t *moment, const cllm__interactions *rows, cllm_error *err) {
    size_t n = rows->count, at = n - n / 10;
    *found = false;
    if (rows->times == NULL || n < 2) return CLLM_OK;
    int64_t *sorted;
    CLLM_TRY(CLLM_NEW(sorted, n, err));
    memcpy(sorted, rows->times, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, ascending);
    if (at == n) at = n - 1;
    while (at < n && sorted[at] == sorted[at - 1]) at++; /* a moment is never torn apart */
    *moment = sorted[at < n ? at : n - 1];
    *found = sorted[0] != INT64_MIN && sorted[0] < *moment;
    cllm__free(sorted);
    return CLLM_OK;
}

cllm_status cllm__inner_split_create(cllm__inner_split *split, const cllm__interactions *rows, cllm__held_out held_out, cllm_error *err) {
    size_t longest = 0;
    int64_t moment = 0;
    for (size_t u = 0; u < rows->n_users; u++) {
        if (cllm__row_count(rows, u) > longest) longest = cllm__row_count(rows, u);
    }
    if (held_out == CLLM__HELD_LATEST) {
        bool found;
        CLLM_TRY(find_moment(&found, &moment, rows, err));
        if (!found) held_out = CLLM__HELD_ANY;
    }
    for (int part = 0; part < 2; part++) {
        CLLM_TRY(CLLM_NEW(split->start[part], rows->n_users + 1, err));
        CLLM_TRY(CLLM_NEW(split->items[part], rows->count + 1, err));
        if (rows->times != NULL) CLLM_TRY(CLLM_NEW(split->times[part], rows->count + 1, err));
    }
    int32_t *order;
    CLLM_TRY(CLLM_NEW(order, longest + 1, err));
    for (size_t u = 0; u < rows->n_users; u++) {
        for (int part = 0; part < 2; part++) split->start[part][u + 1] = split->start[part][u];
        if (held_out == CLLM__HELD_ANY) {
            split_user(split, rows, u, order);
            continue;
        }
        for (size_t i = 0, n = cllm__row_count(rows, u); i < n; i++) {
            add_row(split, rows, u, i, held_out == CLLM__HELD_LAST ? i + 1 == n && n > 1 : rows->times[rows->start[u] + i] >= moment);
        }
    }
    cllm__free(order);
    for (int part = 0; part < 2; part++) {
        *(part == 0 ? &split->train : &split->held) = (cllm__interactions){
            .n_users = rows->n_users, .n_items = rows->n_items, .count = (size_t)split->start[part][rows->n_users],
            .start = split->start[part], .items = split->items[part], .times = split->times[part]};
    }
    return CLLM_OK;
}
