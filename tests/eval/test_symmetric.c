/* The tiled inverse against the definition of an inverse. */
#include "eval_fixture.h"

#include "base/alloc.h"
#include "eval/symmetric.h"

/* A random positive definite matrix: Gram matrix of random rows, plus lambda on the diagonal. */
static double *random_matrix(size_t n, size_t rank, double lambda, uint64_t seed) {
    double *rows = malloc(rank * n * sizeof *rows), *a = calloc(n * n, sizeof *a);
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_TEST, 3, n);
    for (size_t i = 0; i < rank * n; i++) rows[i] = cllm__rng_normal(&rng);
    for (size_t r = 0; r < rank; r++) {
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < n; j++) a[i * n + j] += rows[r * n + i] * rows[r * n + j];
        }
    }
    for (size_t i = 0; i < n; i++) a[i * n + i] += lambda;
    free(rows);
    return a;
}

static void load(cllm__symmetric *matrix, const double *a, size_t n) {
    cllm_error err;
    check_ok(cllm__symmetric_create(matrix, n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) *cllm__symmetric_at(matrix, i, j) = a[i * n + j];
    }
}

static void check_inverse(size_t n, cllm__pool *pool) {
    cllm_error err;
    cllm__symmetric matrix;
    double *a = random_matrix(n, 5, 0.5, 1);
    load(&matrix, a, n);
    /* Above the diagonal of a tile on it there may be anything. */
    if (n > 1) *(cllm__symmetric_tile(&matrix, 0, 0) + 1) = 1e6;
    check_ok(cllm__symmetric_invert(&matrix, pool, NULL, &err), &err);
    double worst = 0;
    for (size_t i = 0; i < n; i += n / 40 + 1) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t k = 0; k < n; k++) sum += a[i * n + k] * *cllm__symmetric_at(&matrix, k > j ? k : j, k > j ? j : k);
            worst = fmax(worst, fabs(sum - (i == j)));
        }
    }
    if (worst > 1e-10) fail_msg("n = %zu: A times its inverse differs from I by %g", n, worst);
    if (n > 1) {
        const double *tile = cllm__symmetric_tile(&matrix, 0, 0);
        assert_true(tile[1] == tile[CLLM__TILE]);
    }
    free(a);
    cllm__symmetric_free(&matrix);
}

static void test_inverse(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 2, 100, 255, 256, 257, 600};
    for (size_t i = 0; i < CLLM_LEN(sizes); i++) check_inverse(sizes[i], NULL);
}

static void test_threads_change_nothing(void **state) {
    (void)state;
    cllm_error err;
    enum { N = 700 };
    cllm__symmetric matrix[2];
    double *a = random_matrix(N, 3, 1, 2);
    for (int i = 0; i < 2; i++) {
        cllm__pool *pool;
        check_ok(cllm__pool_create(&pool, i + 1, &err), &err);
        load(&matrix[i], a, N);
        check_ok(cllm__symmetric_invert(&matrix[i], pool, NULL, &err), &err);
        cllm__pool_free(pool);
    }
    for (size_t t = 0; t < matrix[0].blocks * (matrix[0].blocks + 1) / 2; t++) {
        assert_memory_equal(matrix[0].tiles[t], matrix[1].tiles[t], CLLM__TILE * CLLM__TILE * sizeof(double));
    }
    cllm__symmetric_free(&matrix[0]);
    cllm__symmetric_free(&matrix[1]);
    free(a);
}

static bool cancel_second(void *user) {
    return ++*(int *)user >= 2;
}

static void test_failures(void **state) {
    (void)state;
    cllm_error err;
    enum { N = 400 };
    cllm__symmetric matrix;
    double *a = random_matrix(N, 3, 1, 3);
    a[300 * N + 300] = -1;
    load(&matrix, a, N);
    assert_int_equal(cllm__symmetric_invert(&matrix, NULL, NULL, &err), CLLM_ERR_DATA);
    check_message(&err, "row 256");
    cllm__symmetric_free(&matrix);

    a[300 * N + 300] = 100;
    int asked = 0;
    load(&matrix, a, N);
    assert_int_equal(cllm__symmetric_invert(&matrix, NULL, &(cllm_host){.cancelled = cancel_second, .user = &asked}, &err),
                     CLLM_ERR_INTERRUPTED);
    for (size_t n = 1; n <= 3; n++) {
        cllm__alloc_fail_at(n, false);
        assert_int_equal(cllm__symmetric_invert(&matrix, NULL, NULL, &err), CLLM_ERR_NOMEM);
    }
    cllm__symmetric_free(&matrix);
    for (size_t n = 1; n <= 4; n++) {
        cllm__alloc_fail_at(n, false);
        assert_int_equal(cllm__symmetric_create(&matrix, N, &err), CLLM_ERR_NOMEM);
    }
    cllm__alloc_fail_at(0, false);
    free(a);
    check_ok(cllm__symmetric_create(&matrix, 0, &err), &err);
    check_ok(cllm__symmetric_invert(&matrix, NULL, NULL, &err), &err);
    cllm__symmetric_free(&matrix);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inverse),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
