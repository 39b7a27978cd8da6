/* The k best items against a full sort. */
#include "eval_fixture.h"

#include "base/alloc.h"
#include "eval/topk.h"

static const float *g_scores;
static const uint32_t *g_key;

static int by_score(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (g_scores[x] != g_scores[y]) return g_scores[x] > g_scores[y] ? -1 : 1;
    return g_key[x] < g_key[y] ? -1 : 1;
}

static void check_against_sort(const float *scores, const cllm__ties *ties, size_t k) {
    size_t n = ties->n_items, finite = 0, count;
    int32_t *sorted = malloc((n + 1) * sizeof *sorted), *items = malloc((k + 1) * sizeof *items);
    float *values = malloc((k + 1) * sizeof *values);
    uint64_t *scratch = malloc((k + 1) * sizeof *scratch);
    for (size_t i = 0; i < n; i++) {
        if (scores[i] != -INFINITY) sorted[finite++] = (int32_t)i;
    }
    g_scores = scores;
    g_key = ties->key;
    qsort(sorted, finite, sizeof *sorted, by_score);
    cllm_error err;
    check_ok(cllm__topk(ties, scores, k, scratch, items, values, &count, &err), &err);
    assert_int_equal(count, finite < k ? finite : k);
    for (size_t r = 0; r < count; r++) {
        assert_int_equal(items[r], sorted[r]);
        assert_true(values[r] == scores[sorted[r]]);
    }
    free(sorted);
    free(items);
    free(values);
    free(scratch);
}

static void test_equals_full_sort(void **state) {
    (void)state;
    cllm_error err;
    static const size_t sizes[] = {1, 2, 3, 7, 64, 501}, ks[] = {1, 2, 3, 5, 20, 63, 64, 65, 500, 501, 700};
    for (size_t s = 0; s < CLLM_LEN(sizes); s++) {
        for (unsigned levels = 0; levels < 9; levels += 4) { /* no ties, many, and 8 different values */
            cllm__ties ties;
            check_ok(cllm__ties_create(&ties, sizes[s], 7 + levels, &err), &err);
            float *scores = random_scores(1, sizes[s], levels, 100 * s + levels);
            for (size_t i = 0; i < sizes[s]; i += 5) scores[i] = i % 3 == 0 ? -INFINITY : scores[i];
            for (size_t k = 0; k < CLLM_LEN(ks); k++) check_against_sort(scores, &ties, ks[k]);
            free(scores);
            cllm__ties_free(&ties);
        }
    }
}

static void test_sorted_inputs_and_signs(void **state) {
    (void)state;
    cllm_error err;
    cllm__ties ties;
    check_ok(cllm__ties_create(&ties, 300, 1, &err), &err);
    float up[300], down[300], mixed[300], tiny[300];
    for (int i = 0; i < 300; i++) {
        up[i] = (float)i - 150;
        down[i] = 150 - (float)i;
        mixed[i] = i % 2 ? 0.0f : -0.0f; /* one value in two spellings: a tie */
        tiny[i] = ldexpf(i % 2 ? 1 : -1, -100 - i / 6);
    }
    for (size_t k = 1; k < 301; k += 37) {
        check_against_sort(up, &ties, k);
        check_against_sort(down, &ties, k);
        check_against_sort(mixed, &ties, k);
        check_against_sort(tiny, &ties, k);
    }
    float none[300];
    for (int i = 0; i < 300; i++) none[i] = -INFINITY;
    check_against_sort(none, &ties, 10);
    cllm__ties_free(&ties);
}

static void test_ties_follow_the_seed_not_the_index(void **state) {
    (void)state;
    cllm_error err;
    enum { N = 1000, K = 100 };
    static float zeros[N];
    uint64_t scratch[K];
    int32_t lists[3][K];
    size_t count;
    for (int s = 0; s < 3; s++) {
        cllm__ties ties;
        check_ok(cllm__ties_create(&ties, N, s == 2 ? 0 : (uint64_t)s, &err), &err);
        check_ok(cllm__topk(&ties, zeros, K, scratch, lists[s], NULL, &count, &err), &err);
        assert_int_equal(count, K);
        cllm__ties_free(&ties);
    }
    assert_memory_equal(lists[0], lists[2], sizeof lists[0]);
    size_t same = 0, low = 0, rising = 0;
    for (int r = 0; r < K; r++) {
        same += lists[0][r] == lists[1][r];
        low += lists[0][r] < N / 2;
        rising += r > 0 && lists[0][r] > lists[0][r - 1];
    }
    assert_in_range(same, 0, 5);
    assert_in_range(low, 30, 70);
    assert_in_range(rising, 30, 70);
}

static void test_candidates(void **state) {
    (void)state;
    cllm_error err;
    enum { N = 200, C = 90, K = 25 };
    cllm__ties ties;
    check_ok(cllm__ties_create(&ties, N, 3, &err), &err);
    float *few = random_scores(1, C, 6, 5), row[N];
    int32_t candidates[C], a[K], b[K];
    uint64_t scratch[K];
    float va[K], vb[K];
    size_t na, nb;
    for (int i = 0; i < N; i++) row[i] = -INFINITY;
    for (int c = 0; c < C; c++) {
        candidates[c] = (c * 77 + 13) % N;
        row[candidates[c]] = few[c];
    }
    check_ok(cllm__topk(&ties, row, K, scratch, a, va, &na, &err), &err);
    check_ok(cllm__topk_among(&ties, candidates, few, C, K, scratch, b, vb, &nb, &err), &err);
    assert_int_equal(na, K);
    assert_int_equal(nb, K);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_equal(va, vb, sizeof va);
    free(few);
    cllm__ties_free(&ties);
}

static void test_bad_scores(void **state) {
    (void)state;
    cllm_error err;
    cllm__ties ties;
    check_ok(cllm__ties_create(&ties, 50, 1, &err), &err);
    float *scores = random_scores(1, 50, 0, 2);
    uint64_t scratch[10];
    int32_t items[10];
    for (int i = 0; i < 50; i++) {
        float keep = scores[i];
        char place[32];
        snprintf(place, sizeof place, "item %d is", i);
        for (int kind = 0; kind < 2; kind++) {
            size_t count = 99;
            scores[i] = kind ? NAN : INFINITY;
            assert_int_equal(cllm__topk(&ties, scores, 10, scratch, items, NULL, &count, &err), CLLM_ERR_FAILED);
            check_message(&err, place);
            assert_int_equal(count, 99);
        }
        scores[i] = keep;
    }
    free(scores);
    cllm__ties_free(&ties);
}

static void test_allocation_failure(void **state) {
    (void)state;
    for (size_t n = 1; n <= 2; n++) {
        cllm__ties ties;
        cllm_error err;
        cllm__alloc_fail_at(n, false);
        assert_int_equal(cllm__ties_create(&ties, 10, 1, &err), CLLM_ERR_NOMEM);
    }
    cllm__alloc_fail_at(0, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_full_sort),
        cmocka_unit_test(test_sorted_inputs_and_signs),
        cmocka_unit_test(test_ties_follow_the_seed_not_the_index),
        cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_bad_scores),
        cmocka_unit_test(test_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
