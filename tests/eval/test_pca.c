/* Principal components: what makes them such, by definition. */
#include "eval_fixture.h"

#include "base/alloc.h"
#include "eval/pca.h"

enum { N = 700, WIDTH = 12, RANK = 5 }; /* more rows than go into one product */

/* Rows of rank RANK around a mean, spread less and less from direction to direction; every third one is spoilt and left out. */
static void make(float *rows, uint8_t *left_out) {
    double direction[RANK][WIDTH];
    cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 7, 0);
    for (size_t r = 0; r < RANK; r++) {
        for (size_t c = 0; c < WIDTH; c++) direction[r][c] = cllm__rng_normal(&rng);
    }
    for (size_t i = 0; i < N; i++) {
        double at[RANK];
        for (size_t r = 0; r < RANK; r++) at[r] = cllm__rng_normal(&rng) / (double)(r + 1);
        left_out[i] = i % 3 == 2;
        for (size_t c = 0; c < WIDTH; c++) {
            double value = 10 + (double)c;
            for (size_t r = 0; r < RANK; r++) value += at[r] * direction[r][c];
            rows[i * WIDTH + c] = left_out[i] ? 1e4F : (float)value;
        }
    }
}

static void components_are_uncorrelated_and_fall(void **state) {
    (void)state;
    static float rows[N * WIDTH];
    static uint8_t left_out[N];
    cllm__pca pca = {0};
    cllm_error err;
    make(rows, left_out);
    check_ok(cllm__pca_create(&pca, rows, left_out, N, WIDTH, WIDTH, false, &err), &err);
    assert_int_equal(pca.dims, RANK); /* there are no more */
    double sum[RANK] = {0}, product[RANK][RANK] = {{0}}, whole = 0, kept = 0;
    size_t count = 0;
    for (size_t i = 0; i < N; i++) {
        float out[RANK];
        if (left_out[i]) continue;
        cllm__pca_apply(&pca, rows + i * WIDTH, out);
        for (size_t c = 0; c < WIDTH; c++) whole += pow((double)rows[i * WIDTH + c] - (double)pca.mean[c], 2);
        for (size_t a = 0; a < RANK; a++) {
            sum[a] += (double)out[a];
            kept += (double)out[a] * (double)out[a];
            for (size_t b = 0; b < RANK; b++) product[a][b] += (double)out[a] * (double)out[b];
        }
        count++;
    }
    check_near(kept / whole, 1, 1e-6);
    for (size_t a = 0; a < RANK; a++) {
        check_near(sum[a] / (double)count, 0, 1e-4);
        if (a > 0) assert_true(product[a][a] < product[a - 1][a - 1]);
        for (size_t b = 0; b < RANK; b++) {
            double length = 0, most = 0, signed_most = 0;
            for (size_t c = 0; c < WIDTH; c++) {
                double value = (double)pca.axes[a * WIDTH + c];
                length += value * (double)pca.axes[b * WIDTH + c];
                if (fabs(value) > most) {
                    most = fabs(value);
                    signed_most = value;
                }
            }
            check_near(length, a == b, 1e-5);
            assert_true(signed_most > 0);
            if (a != b) check_near(product[a][b] / product[0][0], 0, 1e-6);
        }
    }
    cllm__pca_free(&pca);
}

/* The first directions are the same however many are asked for, and what is left out counts for nothing. */
static void fewer_are_the_first(void **state) {
    (void)state;
    static float rows[N * WIDTH], packed[N * WIDTH];
    static uint8_t left_out[N];
    cllm__pca two = {0}, all = {0};
    cllm_error err;
    size_t count = 0;
    make(rows, left_out);
    for (size_t i = 0; i < N; i++) {
        if (!left_out[i]) memcpy(packed + count++ * WIDTH, rows + i * WIDTH, WIDTH * sizeof *rows);
    }
    check_ok(cllm__pca_create(&two, packed, NULL, count, WIDTH, 2, false, &err), &err);
    check_ok(cllm__pca_create(&all, rows, left_out, N, WIDTH, 99, false, &err), &err);
    assert_int_equal(two.dims, 2);
    assert_memory_equal(two.mean, all.mean, WIDTH * sizeof *two.mean);
    for (size_t i = 0; i < 2 * WIDTH; i++) check_near((double)two.axes[i], (double)all.axes[i], 1e-5);
    cllm__pca_free(&two);
    cllm__pca_free(&all);
}

/* The same directions, scaled until the rows have variance 1 along each. */
static void even_components_have_variance_1(void **state) {
    (void)state;
    static float rows[N * WIDTH];
    static uint8_t left_out[N];
    cllm__pca even = {0}, plain = {0};
    cllm_error err;
    double square[RANK] = {0}, lengths[RANK] = {0}, products[RANK] = {0};
    size_t count = 0;
    make(rows, left_out);
    check_ok(cllm__pca_create(&even, rows, left_out, N, WIDTH, WIDTH, true, &err), &err);
    check_ok(cllm__pca_create(&plain, rows, left_out, N, WIDTH, WIDTH, false, &err), &err);
    assert_int_equal(even.dims, RANK);
    for (size_t i = 0; i < N; i++) {
        float out[RANK];
        if (left_out[i]) continue;
        cllm__pca_apply(&even, rows + i * WIDTH, out);
        for (size_t d = 0; d < RANK; d++) square[d] += (double)out[d] * (double)out[d];
        count++;
    }
    for (size_t d = 0; d < RANK; d++) {
        for (size_t c = 0; c < WIDTH; c++) {
            lengths[d] += pow((double)even.axes[d * WIDTH + c], 2);
            products[d] += (double)even.axes[d * WIDTH + c] * (double)plain.axes[d * WIDTH + c];
        }
        check_near(square[d] / (double)count, 1, 1e-4);
        check_near(products[d] / sqrt(lengths[d]), 1, 1e-5);
    }
    cllm__pca_free(&even);
    cllm__pca_free(&plain);
}

static void rows_that_are_all_the_same_have_none(void **state) {
    (void)state;
    float rows[4 * WIDTH];
    cllm_error err;
    for (size_t i = 0; i < 4 * WIDTH; i++) rows[i] = (float)(i % WIDTH);
    for (size_t n = 0; n <= 4; n++) {
        cllm__pca pca = {0};
        check_ok(cllm__pca_create(&pca, rows, NULL, n, WIDTH, 3, true, &err), &err);
        assert_int_equal(pca.dims, 0);
        cllm__pca_free(&pca);
    }
}

static void want_of_memory_is_said(void **state) {
    (void)state;
    static float rows[N * WIDTH];
    static uint8_t left_out[N];
    make(rows, left_out);
    size_t n = 1;
    for (cllm_status status = CLLM_ERR_NOMEM; status != CLLM_OK; n++) {
        cllm__pca pca = {0};
        cllm_error err = {0};
        cllm__alloc_fail_at(n, true);
        status = cllm__pca_create(&pca, rows, left_out, N, WIDTH, 3, false, &err);
        cllm__alloc_fail_at(0, false);
        assert_true(status == CLLM_OK || status == CLLM_ERR_NOMEM);
        cllm__pca_free(&pca);
    }
    assert_true(n > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(components_are_uncorrelated_and_fall),
        cmocka_unit_test(fewer_are_the_first),
        cmocka_unit_test(even_components_have_variance_1),
        cmocka_unit_test(rows_that_are_all_the_same_have_none),
        cmocka_unit_test(want_of_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
