/* Small data sets and scorers for the tests of evaluation. */
#ifndef EVAL_FIXTURE_H
#define EVAL_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "data/dataset.h"
#include "eval/scorer.h"

static inline void check_ok(cllm_status status, const cllm_error *err) {
    if (status != CLLM_OK) fail_msg("status %d: %s", (int)status, err->message);
}

static inline void check_message(const cllm_error *err, const char *part) {
    if (strstr(err->message, part) == NULL) fail_msg("'%s' is not in the message '%s'", part, err->message);
}

#define check_near(got, expected, tolerance) check_near_at((got), (expected), (tolerance), __FILE__, __LINE__)
static inline void check_near_at(double got, double expected, double tolerance, const char *file, int line) {
    if (!(fabs(got - expected) <= tolerance)) fail_msg("%s:%d: %.17g, not %.17g", file, line, got, expected);
}

/* Rows of a user end with −1; `rows` is [n_users][width]. */
static inline cllm__interactions make_rows(size_t n_users, size_t n_items, size_t width, const int32_t *rows) {
    uint64_t *start = calloc(n_users + 1, sizeof *start);
    int32_t *items = malloc((n_users * width + 1) * sizeof *items);
    size_t count = 0;
    for (size_t u = 0; u < n_users; u++) {
        for (size_t i = 0; i < width && rows[u * width + i] >= 0; i++) items[count++] = rows[u * width + i];
        start[u + 1] = count;
    }
    return (cllm__interactions){.n_users = n_users, .n_items = n_items, .count = count, .start = start, .items = items};
}

static inline void free_rows(cllm__interactions *rows) {
    free((void *)rows->start);
    free((void *)rows->items);
}

/* Three splits of random rows: user u has up to `longest` distinct items, of which some are valid and test; every third
 * user has no test rows, every fifth none for validation. Items of low number are more popular. */
typedef struct fixture {
    size_t n_users, n_items;
    cllm__interactions split[3];
} fixture;

static inline fixture make_fixture(size_t n_users, size_t n_items, size_t longest, uint64_t seed) {
    fixture f = {.n_users = n_users, .n_items = n_items};
    int32_t *rows[3], *order = malloc(n_items * sizeof *order);
    for (int s = 0; s < 3; s++) rows[s] = malloc(n_users * (n_items + 1) * sizeof **rows);
    for (size_t u = 0; u < n_users; u++) {
        cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_TEST, 0, u);
        size_t n = 0, want = cllm__rng_below(&rng, longest + 1), used[3] = {0};
        if (want > n_items) want = n_items;
        while (n < want) {
            double x = cllm__rng_uniform(&rng);
            int32_t item = (int32_t)((u % 2 == 0 ? x * x : x) * (double)n_items);
            bool known = false;
            for (size_t i = 0; i < n; i++) known |= order[i] == item;
            if (!known) order[n++] = item;
        }
        for (size_t i = 0; i < n; i++) {
            size_t to = i % 4 == 2 && u % 5 != 0 ? 1 : i % 4 == 3 && u % 3 != 0 ? 2 : 0;
            rows[to][u * (n_items + 1) + used[to]++] = order[i];
        }
        for (int s = 0; s < 3; s++) rows[s][u * (n_items + 1) + used[s]] = -1;
    }
    for (int s = 0; s < 3; s++) {
        f.split[s] = make_rows(n_users, n_items, n_items + 1, rows[s]);
        free(rows[s]);
    }
    free(order);
    return f;
}

static inline void free_fixture(fixture *f) {
    for (int s = 0; s < 3; s++) free_rows(&f->split[s]);
}

static inline bool has_item(const cllm__interactions *rows, size_t user, int32_t item) {
    for (size_t i = 0; i < cllm__row_count(rows, user); i++) {
        if (cllm__row(rows, user)[i] == item) return true;
    }
    return false;
}

/* Solves a·x = b by Gaussian elimination; spoils both. */
static inline void solve(double *a, double *b, size_t n) {
    for (size_t k = 0; k < n; k++) {
        for (size_t i = k + 1; i < n; i++) {
            double factor = a[i * n + k] / a[k * n + k];
            for (size_t j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
            b[i] -= factor * b[k];
        }
    }
    for (size_t k = n; k-- > 0;) {
        for (size_t j = k + 1; j < n; j++) b[k] -= a[k * n + j] * b[j];
        b[k] /= a[k * n + k];
    }
}

/* A scorer from a table [n_users × n_items]. */
typedef struct table {
    size_t n_items, largest_batch, calls;
    const float *scores;
} table;

static inline cllm_status score_table(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    (void)err;
    table *t = context;
    t->calls++;
    if (count > t->largest_batch) t->largest_batch = count;
    for (size_t k = 0; k < count; k++) {
        memcpy(scores + k * t->n_items, t->scores + (size_t)users[k] * t->n_items, t->n_items * sizeof *scores);
    }
    return CLLM_OK;
}

/* Random scores; with levels > 0 only so many different values, so that there are ties. */
static inline float *random_scores(size_t n_users, size_t n_items, unsigned levels, uint64_t seed) {
    float *scores = malloc((n_users * n_items + 1) * sizeof *scores);
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_TEST, 1, 0);
    for (size_t i = 0; i < n_users * n_items; i++) {
        scores[i] = levels > 0 ? (float)cllm__rng_below(&rng, levels) - (float)(levels / 2) : (float)cllm__rng_normal(&rng);
    }
    return scores;
}

#endif
