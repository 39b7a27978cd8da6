/* Products against sums in double, for every engine that this CPU has. */
#include "kernel_test.h"

#include <dirent.h>
#include <pthread.h>

#include "base/alloc.h"
#include "kernels/gemm.h"
#include "kernels/gemm_engine.h"
#include "kernels/gemm_onednn.h"
#include "kernels/ops.h"

enum { LOOPS, ONEDNN, ENGINES };

/* False if this CPU lacks the engine. */
static bool choose(int engine) {
    if (engine == ONEDNN && (!cllm__onednn_has(false) || strcmp(cllm__ops_isa(), "avx512") != 0)) return false;
    cllm__gemm_force_loops(engine == LOOPS);
    return true;
}

/* op(x) as a dense [rows × columns] matrix, rounded as the product rounds it. */
static double *rounded(const float *x, size_t rows, size_t columns, size_t row, size_t column, cllm__dtype dtype) {
    float *values = calloc(rows * columns + 1, sizeof *values);
    uint16_t *half = calloc(rows * columns + 1, sizeof *half);
    double *out = calloc(rows * columns + 1, sizeof *out);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) values[i * columns + j] = x[i * row + j * column];
    if (dtype == CLLM__BF16) {
        cllm__to_bf16(half, values, rows * columns);
        cllm__from_bf16(values, half, rows * columns);
    }
    for (size_t i = 0; i < rows * columns; i++) out[i] = values[i];
    free(values);
    free(half);
    return out;
}

/* want[m × n] = op(a)·op(b) in double, magnitude = Σ|a·b|, of inputs rounded as the product rounds them. */
static void reference(double *want, double *magnitude, size_t m, size_t n, size_t k, const float *a, size_t row_a, size_t column_a,
                      const float *b, size_t row_b, size_t column_b, cllm__dtype dtype) {
    double *left = rounded(a, m, k, row_a, column_a, dtype), *right = rounded(b, k, n, row_b, column_b, dtype);
    for (size_t i = 0; i < m; i++)
        for (size_t p = 0; p < k; p++)
            for (size_t j = 0; j < n; j++) {
                double term = left[i * k + p] * right[p * n + j];
                want[i * n + j] += term;
                magnitude[i * n + j] += fabs(term);
            }
    free(left);
    free(right);
}

static const cllm__dtype dtypes[] = {CLLM__F32, CLLM__BF16};

/* Products sum in one chain of multiply-adds: ours of 256 terms, oneDNN's of 512 (of 1024 for k > 1024). The bound of 16, made
 * for 16 partial sums, holds for all but long chains and for small terms that follow big ones. */
static double bound_of(int engine, family kind, size_t k) {
    return (engine == ONEDNN && k > 256) || kind == HEAVY ? 32 : 16;
}

static void check_frozen(int engine, cllm__dtype dtype, family kind, size_t m, size_t n, size_t k, bool transposed, size_t extra) {
    guards g = {0};
    size_t ld_x = k + extra, ld_y = n + extra;
    float *x = guarded_floats(&g, m == 0 ? 0 : (m - 1) * ld_x + k), *w = guarded_floats(&g, k * n), *bias = guarded_floats(&g, n);
    size_t y_count = m == 0 ? 0 : (m - 1) * ld_y + n;
    float *y = guarded_floats(&g, y_count);
    double *want = calloc(m * n + 1, sizeof *want), *magnitude = calloc(m * n + 1, sizeof *magnitude);
    fill(x, m == 0 ? 0 : (m - 1) * ld_x + k, kind, 1);
    fill(w, k * n, kind, 2);
    fill(bias, n, GAUSSIAN, 3);
    reference(want, magnitude, m, n, k, x, ld_x, 1, w, transposed ? 1 : n, transposed ? k : 1, dtype);
    cllm__weight *weight;
    assert_int_equal(cllm__weight_pack(&weight, w, k, n, transposed, dtype, NULL, NULL), CLLM_OK);
    assert_int_equal(cllm__weight_rows(weight), k);
    assert_int_equal(cllm__weight_columns(weight), n);
    for (int variant = 0; variant < 4; variant++) {
        bool with_bias = variant & 1, add = variant & 2;
        for (size_t i = 0; i < y_count; i++) y[i] = 0.25f;
        assert_int_equal(cllm__gemm_frozen(NULL, y, ld_y, x, ld_x, m, weight, with_bias ? bias : NULL,
                                           add ? CLLM__GEMM_ADD : CLLM__GEMM_PLAIN, NULL), CLLM_OK);
        for (size_t i = 0; i < m; i++) {
            for (size_t j = 0; j < n; j++) {
                double b = with_bias ? bias[j] : 0, old = add ? 0.25 : 0;
                assert_near(y[i * ld_y + j], want[i * n + j] + b + old, bound_of(engine, kind, k), magnitude[i * n + j] + fabs(b) + old);
            }
            for (size_t j = n; j < ld_y && i + 1 < m; j++) assert_true(y[i * ld_y + j] == 0.25f);
        }
    }
    cllm__weight_free(weight);
    free(want);
    free(magnitude);
    guards_free(&g);
}

static void test_frozen(void **state) {
    static const size_t sizes[][3] = {{0, 16, 16},  {1, 1, 1},     {1, 64, 16},  {3, 15, 17},    {4, 33, 31},   {5, 130, 15},
                                      {17, 48, 33}, {16, 192, 48}, {31, 64, 96}, {33, 200, 100}, {65, 70, 513}, {20, 96, 768},
                                      {7, 0, 5},    {6, 31, 0}};
    (void)state;
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!choose(engine)) continue;
        for (size_t d = 0; d < 2; d++)
            for (size_t s = 0; s < CLLM_LEN(sizes); s++)
                for (int kind = 0; kind < FAMILIES; kind++)
                    check_frozen(engine, dtypes[d], (family)kind, sizes[s][0], sizes[s][1], sizes[s][2], (s + (size_t)kind) % 2 == 1,
                                 s % 3 == 1 ? 3 : 0);
    }
}

static void test_long_sums(void **state) {
    (void)state;
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!choose(engine)) continue;
        for (int kind = 0; kind < FAMILIES; kind++)
            for (size_t d = 0; d < 2; d++) check_frozen(engine, dtypes[d], (family)kind, 9, 16, 3072, false, 0);
    }
}

/* bf16 against unrounded inputs: 2^-8·Σ|ab| is allowed, and something must really have been rounded. */
static void test_bf16_accuracy(void **state) {
    enum { K = 768, N = 64, M = 4 };
    static float x[M * K], w[K * N], y[M * N];
    static double want[M * N], magnitude[M * N];
    (void)state;
    fill(x, M * K, GAUSSIAN, 1);
    fill(w, K * N, GAUSSIAN, 2);
    reference(want, magnitude, M, N, K, x, K, 1, w, N, 1, CLLM__F32);
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!choose(engine)) continue;
        cllm__weight *weight;
        double worst = 0;
        assert_int_equal(cllm__weight_pack(&weight, w, K, N, false, CLLM__BF16, NULL, NULL), CLLM_OK);
        assert_int_equal(cllm__gemm_frozen(NULL, y, N, x, K, M, weight, NULL, CLLM__GEMM_PLAIN, NULL), CLLM_OK);
        for (size_t i = 0; i < M * N; i++) worst = fmax(worst, fabs((double)y[i] - want[i]) / magnitude[i]);
        assert_true(worst < 0x1p-8);
        assert_true(worst > 0x1p-16);
        if (cllm__gemm_has_bf16()) assert_true(cllm__weight_bytes(weight) == sizeof(uint16_t) * K * N);
        cllm__weight_free(weight);
    }
}

/* The promise: a row's bits are its own, whatever the number of rows, its place, the workers, strides, bias or addition. */
static void check_rows(int engine, cllm__dtype dtype, size_t n, size_t k, cllm__pool *const *pools) {
    enum { ROWS = 200 };
    static const size_t counts[] = {200, 1, 2, 3, 4, 5, 8, 16, 20, 23, 31, 32, 48, 63, 64, 65, 66, 100, 127, 128, 130, 192};
    size_t ld_x = k + 8, ld_y = n + 8;
    float *x = malloc(ROWS * ld_x * sizeof *x), *w = malloc(k * n * sizeof *w), *bias = malloc(n * sizeof *bias),
          *want = malloc(ROWS * n * sizeof *want), *y = malloc(ROWS * ld_y * sizeof *y);
    float *dense = malloc(ROWS * k * sizeof *dense);
    cllm__weight *weight;
    (void)engine;
    fill(x, ROWS * ld_x, GAUSSIAN, 1);
    fill(w, k * n, GAUSSIAN, 2);
    fill(bias, n, GAUSSIAN, 3);
    for (size_t i = 0; i < ROWS; i++) memcpy(dense + i * k, x + i * ld_x, k * sizeof *x);
    assert_int_equal(cllm__weight_pack(&weight, w, k, n, false, dtype, pools[2], NULL), CLLM_OK);
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(cllm__gemm_frozen(NULL, want + i * n, n, dense + i * k, k, 1, weight, NULL, CLLM__GEMM_PLAIN, NULL), CLLM_OK);
    for (size_t c = 0; c < CLLM_LEN(counts); c++)
        for (int variant = 0; variant < 16; variant++) {
            size_t m = counts[c], first = (variant & 1) ? ROWS - m : 0;
            bool strided = variant & 2, with_bias = variant & 4, add = variant & 8;
            size_t ld = strided ? ld_y : n;
            const float *from = strided ? x + first * ld_x : dense + first * k;
            for (size_t i = 0; i < ROWS * ld_y; i++) y[i] = 0.75f;
            assert_int_equal(cllm__gemm_frozen(pools[(c + (size_t)variant / 4) % 3], y, ld, from, strided ? ld_x : k, m, weight,
                                               with_bias ? bias : NULL, add ? CLLM__GEMM_ADD : CLLM__GEMM_PLAIN, NULL), CLLM_OK);
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++) {
                    float expected = want[(first + i) * n + j];
                    if (with_bias) expected += bias[j];
                    if (add) expected += 0.75f;
                    if (!same_bits(&y[i * ld + j], &expected, sizeof expected))
                        fail_msg("row %zu of %zu, column %zu (n %zu, k %zu, variant %d): %.9g is not %.9g", i, m, j, n, k, variant,
                                 (double)y[i * ld + j], (double)expected);
                }
        }
    /* The same product with operands that change, and by panels. */
    for (int t = 0; t < 3; t++) {
        memset(y, 0, ROWS * n * sizeof *y);
        assert_int_equal(cllm__gemm(pools[t], false, false, ROWS - 3, n, k, x, ld_x, w, n, 0, y, n, dtype, NULL), CLLM_OK);
        assert_true(same_bits(y, want, (ROWS - 3) * n * sizeof *y));
    }
    cllm__weight_free(weight);
    free(x);
    free(w);
    free(bias);
    free(want);
    free(y);
    free(dense);
}

static void test_row_bits(void **state) {
    static const size_t shapes[][2] = {{96, 48}, {130, 100}, {384, 128}, {192, 768}, {70, 1100}, {64, 40}, {5, 70}, {9, 12}};
    cllm__pool *pools[3] = {NULL, NULL, NULL};
    (void)state;
    assert_int_equal(cllm__pool_create(&pools[1], 1, NULL), CLLM_OK);
    assert_int_equal(cllm__pool_create(&pools[2], 2, NULL), CLLM_OK);
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!choose(engine)) continue;
        for (size_t s = 0; s < CLLM_LEN(shapes); s++)
            for (size_t d = 0; d < 2; d++) check_rows(engine, dtypes[d], shapes[s][0], shapes[s][1], pools);
    }
    cllm__pool_free(pools[1]);
    cllm__pool_free(pools[2]);
}

/* Products so deep that their operands outgrow the second-level cache: rows alone and packed, whole and by columns. */
static void test_deep_row_bits(void **state) {
    enum { M = 64, N = 640, MOST = 4200 };
    static const size_t depths[] = {2560, 4096, MOST};
    static float x[M * MOST], w[MOST * N], one[M * N], all[M * N], some[M * N];
    cllm__pool *pool;
    (void)state;
    fill(x, M * MOST, GAUSSIAN, 1);
    fill(w, MOST * N, GAUSSIAN, 2);
    assert_int_equal(cllm__pool_create(&pool, 2, NULL), CLLM_OK);
    for (size_t i = 0; i < CLLM_LEN(depths); i++)
        for (size_t d = 0; d < 2; d++) {
            size_t k = depths[i];
            cllm__weight *weight;
            cllm__gemm_force_loops(false);
            assert_int_equal(cllm__weight_pack(&weight, w, k, N, false, dtypes[d], pool, NULL), CLLM_OK);
            for (size_t r = 0; r < M; r++)
                assert_int_equal(cllm__gemm_frozen(NULL, one + r * N, N, x + r * k, k, 1, weight, NULL, CLLM__GEMM_PLAIN, NULL), CLLM_OK);
            assert_int_equal(cllm__gemm_frozen(NULL, all, N, x, k, M, weight, NULL, CLLM__GEMM_PLAIN, NULL), CLLM_OK);
            assert_true(same_bits(one, all, sizeof one));
            assert_int_equal(cllm__gemm_frozen_columns(pool, some, N - 64, x, k, 36, weight, 64, N - 64, NULL), CLLM_OK);
            for (size_t r = 0; r < 36; r++) assert_true(same_bits(some + r * (N - 64), all + r * N + 64, (N - 64) * sizeof *some));
            cllm__weight_free(weight);
        }
    cllm__pool_free(pool);
}

static void test_columns(void **state) {
    enum { M = 37, N = 1300, K = 64 };
    static float x[M * K], w[K * N], whole[M * N], part[M * 1024];
    cllm__pool *pool;
    (void)state;
    fill(x, M * K, GAUSSIAN, 1);
    fill(w, K * N, GAUSSIAN, 2);
    assert_int_equal(cllm__pool_create(&pool, 2, NULL), CLLM_OK);
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!choose(engine)) continue;
        for (size_t d = 0; d < 2; d++) {
            static const size_t windows[][2] = {{0, 512}, {512, 512}, {1024, 276}, {0, 1024}, {512, 788}};
            cllm__weight *weight;
            assert_int_equal(cllm__weight_pack(&weight, w, K, N, false, dtypes[d], NULL, NULL), CLLM_OK);
            assert_int_equal(cllm__gemm_frozen(pool, whole, N, x, K, M, weight, NULL, CLLM__GEMM_PLAIN, NULL), CLLM_OK);
            for (size_t i = 0; i < CLLM_LEN(windows); i++) {
                size_t first = windows[i][0], count = windows[i][1];
                assert_int_equal(cllm__gemm_frozen_columns(pool, part, count, x, K, M, weight, first, count, NULL), CLLM_OK);
                for (size_t r = 0; r < M; r++) assert_true(same_bits(part + r * count, whole + r * N + first, count * sizeof *part));
            }
            cllm__weight_free(weight);
        }
    }
    cllm__pool_free(pool);
}

static void check_gemm(int engine, cllm__dtype dtype, family kind, size_t m, size_t n, size_t k, cllm__pool *pool) {
    for (int variant = 0; variant < 8; variant++) {
        bool ta = variant & 1, tb = variant & 2, beta = variant & 4;
        guards g = {0};
        size_t extra = m % 2, ld_a = (ta ? m : k) + extra, ld_b = (tb ? k : n) + extra, ld_c = n + extra;
        size_t rows_a = ta ? k : m, rows_b = tb ? n : k;
        size_t na = rows_a == 0 ? 0 : (rows_a - 1) * ld_a + ld_a - extra, nb = rows_b == 0 ? 0 : (rows_b - 1) * ld_b + ld_b - extra;
        size_t nc = m == 0 || n == 0 ? 0 : (m - 1) * ld_c + n;
        float *a = guarded_floats(&g, na), *b = guarded_floats(&g, nb), *c = guarded_floats(&g, nc), *again = guarded_floats(&g, nc);
        double *want = calloc(m * n + 1, sizeof *want), *magnitude = calloc(m * n + 1, sizeof *magnitude);
        fill(a, na, kind, 4);
        fill(b, nb, kind, 5);
        for (size_t i = 0; i < nc; i++) c[i] = again[i] = 0.5f;
        reference(want, magnitude, m, n, k, a, ta ? 1 : ld_a, ta ? ld_a : 1, b, tb ? 1 : ld_b, tb ? ld_b : 1, dtype);
        assert_int_equal(cllm__gemm(pool, ta, tb, m, n, k, a, ld_a, b, ld_b, beta ? 1 : 0, c, ld_c, dtype, NULL), CLLM_OK);
        assert_int_equal(cllm__gemm(NULL, ta, tb, m, n, k, a, ld_a, b, ld_b, beta ? 1 : 0, again, ld_c, dtype, NULL), CLLM_OK);
        assert_true(same_bits(c, again, nc * sizeof *c));
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++)
                assert_near(c[i * ld_c + j], want[i * n + j] + (beta ? 0.5 : 0), bound_of(engine, kind, k), magnitude[i * n + j] + 0.5);
        free(want);
        free(magnitude);
        guards_free(&g);
    }
}

static void test_gemm(void **state) {
    static const size_t sizes[][3] = {{1, 1, 1}, {0, 5, 3}, {5, 3, 0}, {15, 17, 31}, {16, 64, 33}, {33, 70, 15}, {130, 20, 48}, {9, 12, 1100}};
    cllm__pool *pool;
    (void)state;
    assert_int_equal(cllm__pool_create(&pool, 2, NULL), CLLM_OK);
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!choose(engine)) continue;
        for (size_t s = 0; s < CLLM_LEN(sizes); s++)
            for (size_t d = 0; d < 2; d++)
                check_gemm(engine, dtypes[d], (family)(s % FAMILIES), sizes[s][0], sizes[s][1], sizes[s][2], pool);
    }
    cllm__pool_free(pool);
}

/* NaN and Inf go where arithmetic takes them, to no other row, and no further column. */
static void test_not_finite(void **state) {
    enum { M = 6, K = 40, N = 70 };
    static float x[M * K], w[K * N], y[M * N];
    (void)state;
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!choose(engine)) continue;
        for (size_t d = 0; d < 2; d++) {
            cllm__weight *weight;
            fill(x, M * K, POSITIVE, 1);
            fill(w, K * N, POSITIVE, 2);
            x[1 * K + 7] = NAN;
            x[3 * K + 39] = INFINITY;
            w[5 * N + 69] = -INFINITY;
            assert_int_equal(cllm__weight_pack(&weight, w, K, N, false, dtypes[d], NULL, NULL), CLLM_OK);
            assert_int_equal(cllm__gemm_frozen(NULL, y, N, x, K, M, weight, NULL, CLLM__GEMM_PLAIN, NULL), CLLM_OK);
            for (size_t i = 0; i < M; i++)
                for (size_t j = 0; j < N; j++) {
                    float got = y[i * N + j];
                    if (i == 1 || (i == 3 && j == 69)) assert_true(isnan(got));
                    else if (i == 3) assert_true(got == INFINITY);
                    else if (j == 69) assert_true(got == -INFINITY);
                    else assert_true(isfinite(got));
                }
            cllm__weight_free(weight);
        }
    }
}

static size_t tasks_of_process(void) {
    DIR *folder = opendir("/proc/self/task");
    size_t count = 0;
    if (folder == NULL) return 0;
    while (readdir(folder) != NULL) count++;
    closedir(folder);
    return count;
}

/* Once warm, a step allocates nothing, makes no primitive and starts no thread. */
static void test_steady_state(void **state) {
    enum { N = 192, K = 96, M = 150 };
    static float x[M * K], w[K * N], y[M * N], c[K * N];
    cllm__pool *pool;
    (void)state;
    fill(x, M * K, GAUSSIAN, 1);
    fill(w, K * N, GAUSSIAN, 2);
    assert_int_equal(cllm__pool_create(&pool, 2, NULL), CLLM_OK);
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!choose(engine)) continue;
        for (size_t d = 0; d < 2; d++) {
            cllm__weight *weight;
            size_t allocations = 0, primitives = 0, tasks = 0;
            assert_int_equal(cllm__weight_pack(&weight, w, K, N, false, dtypes[d], pool, NULL), CLLM_OK);
            for (int step = 0; step < 5; step++) {
                if (step == 2) {
                    allocations = cllm__alloc_count();
                    primitives = cllm__onednn_created();
                    tasks = tasks_of_process();
                }
                static const size_t rows[] = {150, 20, 64, 3};
                for (size_t i = 0; i < CLLM_LEN(rows); i++)
                    assert_int_equal(cllm__gemm_frozen(pool, y, N, x, K, rows[i], weight, NULL, CLLM__GEMM_PLAIN, NULL), CLLM_OK);
                assert_int_equal(cllm__gemm(pool, true, false, K, N, M, x, K, y, N, 1, c, N, dtypes[d], NULL), CLLM_OK);
                assert_int_equal(cllm__gemm(pool, false, true, M, K, N, y, N, w, N, 0, x, K, dtypes[d], NULL), CLLM_OK);
            }
            assert_int_equal(cllm__alloc_count(), allocations);
            assert_int_equal(cllm__onednn_created(), primitives);
            assert_int_equal(tasks_of_process(), tasks);
            cllm__weight_free(weight);
        }
    }
    cllm__pool_free(pool);
}

/* Several callers at once, each with a pool of its own, get what one caller gets. */
typedef struct caller {
    const cllm__weight *weight;
    const float *x;
    float *y;
    size_t m, n, k;
} caller;

static void *call(void *argument) {
    caller *c = argument;
    cllm__pool *pool = NULL;
    bool fine = cllm__pool_create(&pool, 2, NULL) == CLLM_OK;
    for (int i = 0; i < 20 && fine; i++)
        fine = cllm__gemm_frozen(pool, c->y, c->n, c->x, c->k, c->m, c->weight, NULL, CLLM__GEMM_PLAIN, NULL) == CLLM_OK;
    cllm__pool_free(pool);
    return fine ? c : NULL;
}

static void test_callers(void **state) {
    enum { N = 128, K = 80, M = 70 };
    static float x[M * K], w[K * N], y[3][M * N];
    (void)state;
    fill(x, M * K, GAUSSIAN, 1);
    fill(w, K * N, GAUSSIAN, 2);
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!choose(engine)) continue;
        cllm__weight *weight;
        pthread_t threads[3];
        caller callers[3];
        assert_int_equal(cllm__weight_pack(&weight, w, K, N, false, CLLM__BF16, NULL, NULL), CLLM_OK);
        uint64_t hash = cllm__weight_hash(weight);
        for (int i = 0; i < 3; i++) {
            callers[i] = (caller){weight, x, y[i], M, N, K};
            assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
        }
        for (int i = 0; i < 3; i++) {
            void *result;
            pthread_join(threads[i], &result);
            assert_non_null(result);
            assert_true(same_bits(y[i], y[0], sizeof y[i]));
        }
        assert_true(cllm__weight_hash(weight) == hash);
        cllm__weight_free(weight);
    }
}

static void test_no_memory(void **state) {
    enum { N = 100, K = 50, M = 9 };
    static float x[M * K], w[K * N], y[M * N];
    (void)state;
    for (int engine = 0; engine < ENGINES; engine++) {
        if (!choose(engine)) continue;
        cllm__weight *weight = NULL;
        cllm_error err;
        cllm_status status = CLLM_ERR_NOMEM;
        for (size_t n = 1; status != CLLM_OK; n++) {
            cllm__alloc_fail_at(n, false);
            status = cllm__weight_pack(&weight, w, K, N, false, CLLM__F32, NULL, &err);
            assert_true(status == CLLM_OK || (status == CLLM_ERR_NOMEM && err.status == CLLM_ERR_NOMEM && weight == NULL));
        }
        /* Shapes that nobody used before, so that everything has to be allocated. */
        status = CLLM_ERR_NOMEM;
        for (size_t n = 1; status != CLLM_OK; n++) {
            cllm__alloc_fail_at(n, false);
            status = cllm__gemm_frozen(NULL, y, N, x, K, M, weight, NULL, CLLM__GEMM_PLAIN, &err);
            assert_true(status == CLLM_OK || status == CLLM_ERR_NOMEM);
        }
        cllm__alloc_fail_at(0, false);
        cllm__weight_free(weight);
    }
    cllm__weight *none = NULL;
    assert_int_equal(cllm__weight_pack(&none, w, SIZE_MAX / 4, 8, false, CLLM__F32, NULL, NULL), CLLM_ERR_NOMEM);
    assert_null(none);
    cllm__weight_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frozen),       cmocka_unit_test(test_long_sums),    cmocka_unit_test(test_bf16_accuracy),
        cmocka_unit_test(test_row_bits),     cmocka_unit_test(test_deep_row_bits), cmocka_unit_test(test_columns),      cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_not_finite),   cmocka_unit_test(test_steady_state), cmocka_unit_test(test_callers),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
