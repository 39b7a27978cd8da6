/* Matrices in 8 bits: their rounding, and products that are those of the rounded numbers in f32, bit for bit. */
#include "kernel_test.h"

#include "base/alloc.h"
#include "kernels/blocks8.h"
#include "kernels/gemm.h"
#include "kernels/gemm_engine.h"

#define MUST(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

static uint32_t g_state;

static float number(void) {
    g_state = g_state * 1664525u + 1013904223u;
    float x = (float)(g_state >> 8) / (1 << 23) - 1;
    return x * x * x;
}

static float *numbers(size_t n) {
    float *x = cllm__alloc(n + 1, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = number();
    return x;
}

/* What 8 bits keep of a [k × n] matrix, computed here. */
static float *kept(const float *w, size_t k, size_t n) {
    float *out = cllm__alloc(k * n + 1, sizeof *out);
    for (size_t j = 0; j < n; j++)
        for (size_t first = 0; first < k; first += 32) {
            size_t end = first + 32 < k ? first + 32 : k;
            float largest = 0;
            for (size_t p = first; p < end; p++) largest = fmaxf(largest, fabsf(w[p * n + j]));
            float scale = largest / 127;
            for (size_t p = first; p < end; p++) {
                out[p * n + j] = scale > 0 ? scale * (float)lrintf(w[p * n + j] / scale) : 0;
                assert_true(fabsf(out[p * n + j] - w[p * n + j]) <= 0.5001f * scale);
            }
        }
    return out;
}

static void equal_bits(const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0) fail_msg("value %zu: %.9g and %.9g", i, (double)a[i], (double)b[i]);
}

static void check(cllm__pool *pool, size_t m, size_t k, size_t n, bool transposed) {
    float *w = numbers(k * n), *x = numbers(m * (k > n ? k : n)), *bias = numbers(n), *given = cllm__alloc(k * n + 1, sizeof *given);
    float *rounded = kept(w, k, n), *want = numbers(m * n), *got = cllm__alloc(m * n + 1, sizeof *got);
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j++) given[transposed ? j * k + p : p * n + j] = w[p * n + j];
    memcpy(got, want, m * n * sizeof *got);
    cllm__weight *eight, *plain, *turned, *plain_turned;
    MUST(cllm__weight_pack(&eight, given, k, n, transposed, CLLM__Q8_0, pool, ERR));
    MUST(cllm__weight_pack(&plain, rounded, k, n, false, CLLM__F32, pool, ERR));
    assert_true(cllm__weight_rows(eight) == k && cllm__weight_columns(eight) == n);
    assert_true(cllm__weight_bytes(eight) == n * ((k + 31) / 32) * 36);
    uint64_t hash = cllm__weight_hash(eight);
    for (int add = 0; add < 2; add++) {
        MUST(cllm__gemm_frozen(pool, want, n, x, k, m, plain, add ? NULL : bias, add ? CLLM__GEMM_ADD : CLLM__GEMM_PLAIN, ERR));
        MUST(cllm__gemm_frozen(pool, got, n, x, k, m, eight, add ? NULL : bias, add ? CLLM__GEMM_ADD : CLLM__GEMM_PLAIN, ERR));
        equal_bits(want, got, m * n);
    }
    if (n > CLLM__GEMM_PANEL) {
        size_t count = n - CLLM__GEMM_PANEL;
        MUST(cllm__gemm_frozen_columns(pool, want, count, x, k, m, plain, CLLM__GEMM_PANEL, count, ERR));
        MUST(cllm__gemm_frozen_columns(pool, got, count, x, k, m, eight, CLLM__GEMM_PANEL, count, ERR));
        equal_bits(want, got, m * count);
    }
    MUST(cllm__weight_turn(&turned, eight, ERR));
    MUST(cllm__weight_pack(&plain_turned, rounded, n, k, true, CLLM__F32, pool, ERR));
    float *back = cllm__alloc(m * k + 1, sizeof *back), *wanted_back = cllm__alloc(m * k + 1, sizeof *back);
    MUST(cllm__gemm_frozen(pool, wanted_back, k, x, n, m, plain_turned, NULL, CLLM__GEMM_PLAIN, ERR));
    MUST(cllm__gemm_frozen(pool, back, k, x, n, m, turned, NULL, CLLM__GEMM_PLAIN, ERR));
    equal_bits(wanted_back, back, m * k);
    assert_int_equal(cllm__weight_bytes(turned), 0);
    assert_true(cllm__weight_hash(eight) == hash && cllm__weight_hash(turned) == hash);
    cllm_error error = {0};
    cllm__weight *none;
    assert_int_equal(cllm__weight_turn(&none, plain, &error), CLLM_ERR_UNSUPPORTED);
    cllm__weight_free(turned);
    cllm__weight_free(plain_turned);
    cllm__weight_free(eight);
    cllm__weight_free(plain);
    float *all[] = {w, x, bias, given, rounded, want, got, back, wanted_back};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) cllm__free(all[i]);
}

static void test_products(void **state) {
    (void)state;
    cllm__pool *pool;
    MUST(cllm__pool_create(&pool, 2, ERR));
    for (int loops = 0; loops < 2; loops++) {
        cllm__gemm_force_loops(loops);
        g_state = 7;
        check(pool, 1, 32, 1, false);
        check(pool, 5, 33, 17, true);
        check(pool, 70, 576, 192, true);
        check(pool, 3, 100, 600, false);
        check(pool, 130, 64, 1300, true);
    }
    cllm__gemm_force_loops(false);
    cllm__pool_free(pool);
}

/* All that a zero block needs is no division by its scale. */
static void test_zeros(void **state) {
    (void)state;
    float w[64] = {0}, x[64], y[1] = {1};
    for (int i = 0; i < 64; i++) x[i] = 1;
    w[40] = -3;
    cllm__weight *weight;
    MUST(cllm__weight_pack(&weight, w, 64, 1, false, CLLM__Q8_0, NULL, ERR));
    MUST(cllm__gemm_frozen(NULL, y, 1, x, 64, 1, weight, NULL, CLLM__GEMM_PLAIN, ERR));
    assert_true(fabsf(y[0] + 3) < 1e-6f);
    cllm__weight_free(weight);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_zeros)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
