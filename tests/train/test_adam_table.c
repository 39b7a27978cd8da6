/* Rows that wait and replay must end in the bits of the dense optimiser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "train/adam_table.h"

enum { ROWS = 200, WIDTH = 24, STEPS = 120, TOUCHED = 9 };

static const cllm__adam ADAM = {.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};

static void random_values(cllm__real *values, size_t n, uint64_t key) {
    cllm__rng rng = cllm__rng_make(7, CLLM_RNG_TEST, 0, key);
    for (size_t i = 0; i < n; i++) values[i] = (cllm__real)(0.1 * cllm__rng_normal(&rng));
}

/* The rows of a step, ascending and distinct, and their gradient. */
static size_t draw_step(uint32_t step, int32_t *rows, cllm__real *gradient) {
    cllm__rng rng = cllm__rng_make(8, CLLM_RNG_TEST, step, 0);
    bool chosen[ROWS] = {false};
    for (int i = 0; i < TOUCHED; i++) chosen[cllm__rng_below(&rng, ROWS / 2)] = true; /* half of the rows are never touched */
    size_t n = 0;
    memset(gradient, 0, sizeof(cllm__real) * ROWS * WIDTH);
    for (int32_t row = 0; row < ROWS; row++) {
        if (!chosen[row]) continue;
        rows[n++] = row;
        random_values(gradient + (size_t)row * WIDTH, WIDTH, 1000 * step + (uint64_t)row);
    }
    return n;
}

static void run_waiting(cllm__real *values, int threads) {
    static cllm__real gradient[ROWS * WIDTH];
    int32_t rows[ROWS];
    cllm__pool *pool = NULL;
    cllm__adam_table table;
    assert_int_equal(cllm__pool_create(&pool, threads, NULL), CLLM_OK);
    assert_int_equal(cllm__adam_table_create(&table, values, ROWS, WIDTH, ADAM, NULL), CLLM_OK);
    for (uint32_t step = 1; step <= STEPS; step++) {
        size_t n = draw_step(step, rows, gradient);
        cllm__adam_table_catch_up(&table, rows, n, pool);
        cllm__adam_table_step(&table, rows, n, gradient, pool);
    }
    cllm__adam_table_flush(&table, pool);
    cllm__adam_table_free(&table);
    cllm__pool_free(pool);
}

static void run_dense(cllm__real *values) {
    static cllm__real gradient[ROWS * WIDTH], first[ROWS * WIDTH], second[ROWS * WIDTH];
    int32_t rows[ROWS];
    memset(first, 0, sizeof first);
    memset(second, 0, sizeof second);
    for (uint32_t step = 1; step <= STEPS; step++) {
        draw_step(step, rows, gradient);
        cllm__adam_step(values, first, second, gradient, ROWS * WIDTH, ADAM, step);
    }
}

static void waiting_rows_end_in_the_dense_bits(void **state) {
    (void)state;
    static cllm__real dense[ROWS * WIDTH], one[ROWS * WIDTH], two[ROWS * WIDTH], start[ROWS * WIDTH];
    random_values(start, ROWS * WIDTH, 1);
    memcpy(dense, start, sizeof start);
    memcpy(one, start, sizeof start);
    memcpy(two, start, sizeof start);
    run_dense(dense);
    run_waiting(one, 1);
    run_waiting(two, 2);
    assert_memory_equal(one, dense, sizeof dense);
    assert_memory_equal(two, dense, sizeof dense);
    assert_memory_not_equal(dense, start, sizeof start);
    /* A row that no step touched has not moved. */
    assert_memory_equal(dense + (ROWS - 1) * WIDTH, start + (ROWS - 1) * WIDTH, WIDTH * sizeof *dense);
}

/* The check above must be able to fail: sparse Adam, which never replays, is another optimiser. */
static void sparse_adam_differs(void **state) {
    (void)state;
    static cllm__real dense[ROWS * WIDTH], sparse[ROWS * WIDTH], gradient[ROWS * WIDTH], first[ROWS * WIDTH], second[ROWS * WIDTH];
    int32_t rows[ROWS];
    random_values(dense, ROWS * WIDTH, 1);
    memcpy(sparse, dense, sizeof dense);
    run_dense(dense);
    for (uint32_t step = 1; step <= STEPS; step++) {
        size_t n = draw_step(step, rows, gradient);
        for (size_t i = 0; i < n; i++) {
            size_t at = (size_t)rows[i] * WIDTH;
            cllm__adam_step(sparse + at, first + at, second + at, gradient + at, WIDTH, ADAM, step);
        }
    }
    assert_memory_not_equal(dense, sparse, sizeof dense);
}

static void reset_starts_over(void **state) {
    (void)state;
    static cllm__real values[ROWS * WIDTH], gradient[ROWS * WIDTH], again[ROWS * WIDTH];
    cllm__adam_table table;
    random_values(gradient, ROWS * WIDTH, 2);
    assert_int_equal(cllm__adam_table_create(&table, values, ROWS, WIDTH, ADAM, NULL), CLLM_OK);
    for (int i = 0; i < 3; i++) cllm__adam_table_step_dense(&table, gradient, NULL);
    memcpy(again, values, sizeof values);
    memset(values, 0, sizeof values);
    cllm__adam_table_reset(&table, ADAM);
    assert_int_equal(table.step, 0);
    for (int i = 0; i < 3; i++) cllm__adam_table_step_dense(&table, gradient, NULL);
    assert_memory_equal(values, again, sizeof values);
    cllm__adam_table_free(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_rows_end_in_the_dense_bits),
        cmocka_unit_test(sparse_adam_differs),
        cmocka_unit_test(reset_starts_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
