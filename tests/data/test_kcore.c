/* k-core against a brute force, on random rows and on chains; sorting against the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "data/kcore.h"
#include "data/prepare_sort.h"

/* Removes one row at a time, the last first, and looks again from the beginning. */
static void brute_force(const cllm__prow *rows, size_t n, uint8_t *in, int k) {
    for (size_t i = 0; i < n; i++) in[i] = cllm__prow_fate(&rows[i]) == CLLM__KEPT;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = n; i-- > 0 && !changed;) {
            if (!in[i]) continue;
            int user = 0, item = 0;
            for (size_t j = 0; j < n; j++) {
                user += in[j] && rows[j].user == rows[i].user;
                item += in[j] && rows[j].item == rows[i].item;
            }
            if (user < k || item < k) {
                in[i] = 0;
                changed = true;
            }
        }
    }
}

static void check(cllm__prow *rows, const uint64_t *start, size_t users, size_t items, int k) {
    size_t n = (size_t)start[users];
    uint8_t *in = calloc(n + 1, 1);
    cllm__fate *before = calloc(n + 1, sizeof *before);
    for (size_t i = 0; i < n; i++) before[i] = cllm__prow_fate(&rows[i]);
    brute_force(rows, n, in, k);
    cllm_error err;
    assert_int_equal(cllm__kcore(rows, start, users, items, k, NULL, &err), CLLM_OK);
    for (size_t i = 0; i < n; i++) {
        cllm__fate expected = before[i] != CLLM__KEPT ? before[i] : in[i] ? CLLM__KEPT : CLLM__OUTSIDE_CORE;
        assert_int_equal(cllm__prow_fate(&rows[i]), expected);
    }
    free(before);
    free(in);
}

static void test_random(void **state) {
    (void)state;
    enum { USERS = 25, ITEMS = 18 };
    for (uint64_t round = 0; round < 120; round++) {
        cllm__rng rng = cllm__rng_make(round, CLLM_RNG_TEST, 0, 0);
        cllm__prow rows[USERS * ITEMS];
        uint64_t start[USERS + 1] = {0};
        size_t n = 0;
        double density = 0.05 + 0.3 * cllm__rng_uniform(&rng);
        for (int u = 0; u < USERS; u++) {
            for (int v = 0; v < ITEMS; v++) {
                if (cllm__rng_uniform(&rng) >= density) continue;
                rows[n] = (cllm__prow){.user = u, .item = v};
                if (cllm__rng_below(&rng, 10) == 0) cllm__prow_set_fate(&rows[n], CLLM__LOW_RATING);
                n++;
            }
            start[u + 1] = n;
        }
        check(rows, start, USERS, ITEMS, (int)(round % 7));
    }
}

/* A chain u0 – i0 – u1 – i1 – … that comes apart from its end, a link at a time: far longer than the sweeps. */
static void chain(size_t length, bool closed) {
    cllm__prow *rows = calloc(2 * length, sizeof *rows);
    uint64_t *start = calloc(length + 1, sizeof *start);
    size_t n = 0;
    for (size_t u = 0; u < length; u++) {
        /* Item u − 1 and item u; numbered so that sweeping from the front meets the loose end last. */
        if (u > 0) rows[n++] = (cllm__prow){.user = (int32_t)u, .item = (int32_t)u - 1};
        else if (closed) rows[n++] = (cllm__prow){.user = 0, .item = (int32_t)length - 1};
        else rows[n++] = (cllm__prow){.user = 0, .item = (int32_t)length};
        rows[n++] = (cllm__prow){.user = (int32_t)u, .item = (int32_t)u};
        start[u + 1] = n;
    }
    if (!closed) rows[0].item = 0, rows[1].item = 0; /* the front holds together, item 0 has three */
    cllm_error err;
    assert_int_equal(cllm__kcore(rows, start, length, length + 1, 2, NULL, &err), CLLM_OK);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) kept += cllm__prow_fate(&rows[i]) == CLLM__KEPT;
    assert_int_equal(kept, closed ? n : 2);
    free(start);
    free(rows);
}

static void test_chains(void **state) {
    (void)state;
    chain(5, true);
    chain(300, true);
    chain(300, false);
    chain(20000, false);
    /* The same against the brute force, shorter. */
    cllm__prow rows[160];
    uint64_t start[81] = {0};
    size_t n = 0;
    for (int32_t u = 0; u < 80; u++) {
        rows[n++] = (cllm__prow){.user = u, .item = u};
        if (u + 1 < 80) rows[n++] = (cllm__prow){.user = u, .item = u + 1};
        start[u + 1] = n;
    }
    check(rows, start, 80, 80, 2);
}

static void test_memory(void **state) {
    (void)state;
    cllm__prow rows[4] = {{.user = 0, .item = 0}, {.user = 0, .item = 1}, {.user = 1, .item = 0}, {.user = 1, .item = 1}};
    const uint64_t start[] = {0, 2, 4};
    cllm_error err;
    for (size_t n = 1; n <= 2; n++) {
        cllm__alloc_fail_at(n, false);
        assert_int_equal(cllm__kcore(rows, start, 2, 2, 2, NULL, &err), CLLM_ERR_NOMEM);
    }
    cllm__alloc_fail_at(0, false);
    assert_int_equal(cllm__kcore(rows, start, 2, 2, 2, NULL, &err), CLLM_OK);
    for (int i = 0; i < 4; i++) assert_int_equal(cllm__prow_fate(&rows[i]), CLLM__KEPT);
}

/* The packed members of a row keep apart. */
static void test_row(void **state) {
    (void)state;
    static const int64_t times[] = {0, 1, -1, 1393545600, (1ll << 45) - 1, -(1ll << 45), CLLM__NO_TIME};
    static const uint64_t offsets[] = {0, 1, 31, 32, 1ull << 31, (1ull << 43) - 1};
    for (size_t t = 0; t < CLLM_LEN(times); t++) {
        for (size_t o = 0; o < CLLM_LEN(offsets); o++) {
            cllm__prow row = {.user = 5, .item = 6};
            cllm__prow_set_time(&row, times[t]);
            cllm__prow_set_where(&row, offsets[o], CLLM__VALID, CLLM__LOW_RATING, true);
            cllm__prow_set_split(&row, CLLM__TEST);
            cllm__prow_set_fate(&row, CLLM__OUTSIDE_CORE);
            assert_true(cllm__prow_time(&row) == times[t]);
            assert_true(cllm__prow_offset(&row) == offsets[o]);
            assert_int_equal(cllm__prow_split(&row), CLLM__TEST);
            assert_int_equal(cllm__prow_fate(&row), CLLM__OUTSIDE_CORE);
            assert_true(cllm__prow_only_text(&row));
        }
    }
}

static int compare_ints(const void *a, const void *b, const void *context) {
    ++*(size_t *)(uintptr_t)context;
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static int compare_for_c(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void test_sort(void **state) {
    (void)state;
    enum { MOST = 5000 };
    static const size_t sizes[] = {0, 1, 2, 3, 16, 17, 18, 33, 100, 1000, MOST};
    static int mine[MOST], theirs[MOST];
    for (size_t s = 0; s < CLLM_LEN(sizes); s++) {
        size_t n = sizes[s], steps = 0;
        for (int shape = 0; shape < 7; shape++) {
            cllm__rng rng = cllm__rng_make((uint64_t)shape, CLLM_RNG_TEST, 0, n);
            for (size_t i = 0; i < n; i++) {
                switch (shape) {
                case 0: mine[i] = (int)i; break;                        /* sorted */
                case 1: mine[i] = -(int)i; break;                       /* falling */
                case 2: mine[i] = 7; break;                             /* equal */
                case 3: mine[i] = (int)cllm__rng_below(&rng, 5); break; /* few values */
                case 4: mine[i] = (int)(i < n / 2 ? i : n - i); break;  /* a hill */
                case 5: mine[i] = (int)(i % 2 == 0 ? i : n - i); break; /* a saw */
                default: mine[i] = (int)cllm__rng_u32(&rng);
                }
            }
            memcpy(theirs, mine, sizeof mine);
            qsort(theirs, n, sizeof *theirs, compare_for_c);
            steps = 0;
            cllm__sort(mine, n, sizeof *mine, compare_ints, &steps);
            assert_memory_equal(mine, theirs, n * sizeof *mine);
            assert_true(n < 100 || steps < 40 * n); /* n log n, not n² */
        }
    }
}

/* McIlroy's adversary: decides what is smaller only when asked, so that quicksort alone would need n² comparisons. */
static int g_value[2000];
static int g_solid, g_candidate;
static size_t g_steps;

static int adversary(const void *a, const void *b, const void *context) {
    const int *gas = context;
    int x = *(const int *)a, y = *(const int *)b;
    g_steps++;
    if (g_value[x] == *gas && g_value[y] == *gas) {
        if (x == g_candidate) g_value[x] = g_solid++;
        else g_value[y] = g_solid++;
    }
    if (g_value[x] == *gas) g_candidate = x;
    else if (g_value[y] == *gas) g_candidate = y;
    return (g_value[x] > g_value[y]) - (g_value[x] < g_value[y]);
}

static void test_sort_adversary(void **state) {
    (void)state;
    enum { N = 2000 };
    static int index[N];
    const int gas = N;
    for (int i = 0; i < N; i++) {
        index[i] = i;
        g_value[i] = gas;
    }
    cllm__sort(index, N, sizeof *index, adversary, &gas);
    assert_true(g_steps < 100000); /* n² / 4 would be a million */
    for (int i = 1; i < N; i++) assert_true(g_value[index[i - 1]] <= g_value[index[i]]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random), cmocka_unit_test(test_chains), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_row),    cmocka_unit_test(test_sort),   cmocka_unit_test(test_sort_adversary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
