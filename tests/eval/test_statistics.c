/* Intervals and tests against what theory says of them. */
#include "eval_fixture.h"

#include "base/alloc.h"
#include "base/threads.h"
#include "eval/statistics.h"

enum { USERS = 2000 };

static void test_interval_width(void **state) {
    (void)state;
    cllm_error err;
    /* Columns: a constant, N(3, 2²), a coin of .2. The 95 % interval of a mean is about 2·1.96·s/√n wide. */
    float *values = malloc(USERS * 3 * sizeof *values);
    cllm__rng rng = cllm__rng_make(5, CLLM_RNG_TEST, 0, 0);
    double mean[3] = {0}, square[3] = {0};
    for (size_t u = 0; u < USERS; u++) {
        values[3 * u] = 0.25f;
        values[3 * u + 1] = (float)(3 + 2 * cllm__rng_normal(&rng));
        values[3 * u + 2] = cllm__rng_uniform(&rng) < 0.2;
        for (int c = 0; c < 3; c++) {
            mean[c] += values[3 * u + c] / USERS;
            square[c] += values[3 * u + c] * values[3 * u + c] / USERS;
        }
    }
    cllm__interval got[3], again[3], other[3];
    check_ok(cllm__bootstrap(NULL, values, USERS, 3, 0, 1, got, &err), &err);
    assert_true(got[0].low == 0.25 && got[0].high == 0.25);
    for (int c = 1; c < 3; c++) {
        double expected = 2 * 1.96 * sqrt((square[c] - mean[c] * mean[c]) / USERS), width = got[c].high - got[c].low;
        assert_true(width > 0.88 * expected && width < 1.12 * expected);
        check_near((got[c].low + got[c].high) / 2, mean[c], 0.15 * expected);
    }
    cllm__pool *pool;
    check_ok(cllm__pool_create(&pool, 3, &err), &err);
    check_ok(cllm__bootstrap(pool, values, USERS, 3, 0, 1, again, &err), &err);
    check_ok(cllm__bootstrap(pool, values, USERS, 3, 0, 2, other, &err), &err);
    cllm__pool_free(pool);
    assert_memory_equal(got, again, sizeof got);
    assert_true(got[1].low != other[1].low);
    free(values);
}

static void test_one_user(void **state) {
    (void)state;
    cllm_error err;
    cllm__interval interval;
    check_ok(cllm__bootstrap(NULL, (float[]){0.5f}, 1, 1, 10, 1, &interval, &err), &err);
    assert_true(interval.low == 0.5 && interval.high == 0.5);
    cllm__paired_test test;
    check_ok(cllm__compare(NULL, (float[]){1}, 1, (float[]){0}, 1, 1, 1000, 1, &test, &err), &err);
    check_near(test.p_permutation, 1, 1e-12); /* one user cannot decide anything */
    check_near(test.p, 1, 1e-12);
    check_ok(cllm__compare(NULL, (float[]){1, 2, 3}, 1, (float[]){0, 0, 0}, 1, 3, 1000, 1, &test, &err), &err);
    check_near(test.p, 0.25, 1e-12); /* three signs that agree */
}

/* Users' values where a is better than b by `shift` standard deviations of the difference; *normal is the p of a t-test. */
static cllm__paired_test compare_shifted(double shift, uint64_t seed, size_t rounds, cllm__pool *pool, double *normal) {
    cllm_error err;
    double sum = 0, square = 0;
    float *a = malloc(USERS * 2 * sizeof *a), *b = malloc(USERS * sizeof *b);
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_TEST, 2, 0);
    for (size_t u = 0; u < USERS; u++) {
        double user = 10 * cllm__rng_normal(&rng); /* shared by both: only pairing sees through it */
        a[2 * u] = (float)(user + cllm__rng_normal(&rng) + shift);
        a[2 * u + 1] = 1e9f; /* another column, to be skipped */
        b[u] = (float)user;
        double d = (double)(a[2 * u] - b[u]);
        sum += d;
        square += d * d;
    }
    *normal = erfc(fabs(sum) / sqrt(2 * (square - sum * sum / USERS)));
    cllm__paired_test test;
    check_ok(cllm__compare(pool, a, 2, b, 1, USERS, rounds, 3, &test, &err), &err);
    free(a);
    free(b);
    return test;
}

static void test_paired(void **state) {
    (void)state;
    double normal;
    cllm__paired_test clear = compare_shifted(0.2, 1, 0, NULL, &normal); /* 0.2·√2000 = 8.9 standard errors */
    check_near(clear.difference, 0.2, 0.08);
    assert_true(clear.interval.low > 0.1 && clear.interval.high < 0.3);
    check_near(clear.p, 2 / 1001.0, 1e-12);
    check_near(clear.p_permutation, 1 / 1001.0, 1e-12);
    cllm__pool *pool;
    cllm_error err;
    check_ok(cllm__pool_create(&pool, 2, &err), &err);
    cllm__paired_test again = compare_shifted(0.2, 1, 0, pool, &normal);
    cllm__pool_free(pool);
    assert_memory_equal(&clear, &again, sizeof clear);
    /* Differences of 0 to 3 standard errors: with so many users both tests agree with the t-test. */
    for (uint64_t seed = 10; seed < 20; seed++) {
        double shift = (double)(seed - 10) / 3 / sqrt(USERS);
        cllm__paired_test test = compare_shifted(shift, seed, 4000, NULL, &normal);
        check_near(test.p, normal, 0.06);
        check_near(test.p_permutation, normal, 0.03);
        if (test.p < 0.04) assert_true(test.interval.low > 0 || test.interval.high < 0);
        if (test.p > 0.06) assert_true(test.interval.low < 0 && test.interval.high > 0);
    }
}

static void test_permutation_is_exact(void **state) {
    (void)state;
    cllm_error err;
    cllm__paired_test test;
    /* Four equal differences: of 16 sign patterns two are as extreme, so p = .125. */
    check_ok(cllm__compare(NULL, (float[]){1, 1, 1, 1}, 1, (float[]){0, 0, 0, 0}, 1, 4, 4000, 1, &test, &err), &err);
    check_near(test.p_permutation, 0.125, 0.02);
    /* 3, 1, 1, -1: |sum| ≥ 4 for the patterns +3+1+1±1, +3+1−1+1, +3−1+1+1 and their mirrors: 8 of 16. */
    check_ok(cllm__compare(NULL, (float[]){3, 1, 1, 0}, 1, (float[]){0, 0, 0, 1}, 1, 4, 4000, 1, &test, &err), &err);
    check_near(test.p_permutation, 0.5, 0.03);
    check_ok(cllm__compare(NULL, (float[]){2, 3}, 1, (float[]){2, 3}, 1, 2, 100, 1, &test, &err), &err);
    assert_true(test.p == 1 && test.p_permutation == 1 && test.difference == 0);
}

static void test_allocation_failure(void **state) {
    (void)state;
    cllm_error err;
    cllm__interval interval;
    cllm__paired_test test;
    cllm__alloc_fail_at(1, false);
    assert_int_equal(cllm__bootstrap(NULL, (float[]){1}, 1, 1, 10, 1, &interval, &err), CLLM_ERR_NOMEM);
    for (size_t n = 1; n <= 2; n++) {
        cllm__alloc_fail_at(n, false);
        assert_int_equal(cllm__compare(NULL, (float[]){1}, 1, (float[]){1}, 1, 1, 10, 1, &test, &err), CLLM_ERR_NOMEM);
    }
    cllm__alloc_fail_at(0, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interval_width),
        cmocka_unit_test(test_one_user),
        cmocka_unit_test(test_paired),
        cmocka_unit_test(test_permutation_is_exact),
        cmocka_unit_test(test_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
