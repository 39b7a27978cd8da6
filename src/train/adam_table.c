#include "train/adam_table.h"

#include <string.h>

#include "base/alloc.h"

/* Rows per task: enough work to be worth handing out. */
enum { ROWS = 64 };

cllm_status cllm__adam_table_create(cllm__adam_table *table, cllm__real *values, size_t rows, size_t width, cllm__adam adam,
                                    cllm_error *err) {
    cllm__adam_table made = {.values = values, .rows = rows, .width = width, .adam = adam};
    made.first = cllm__zalloc(rows * width, sizeof *made.first);
    made.second = cllm__zalloc(rows * width, sizeof *made.second);
    made.row_step = cllm__zalloc(rows, sizeof *made.row_step);
    if (made.first == NULL || made.second == NULL || made.row_step == NULL) {
        cllm__adam_table_free(&made);
        return cllm__fail_nomem(err);
    }
    *table = made;
    return CLLM_OK;
}

void cllm__adam_table_free(cllm__adam_table *table) {
    cllm__free(table->first);
    cllm__free(table->second);
    cllm__free(table->row_step);
    *table = (cllm__adam_table){0};
}

void cllm__adam_table_reset(cllm__adam_table *table, cllm__adam adam) {
    memset(table->first, 0, table->rows * table->width * sizeof *table->first);
    memset(table->second, 0, table->rows * table->width * sizeof *table->second);
    memset(table->row_step, 0, table->rows * sizeof *table->row_step);
    table->step = 0;
    table->adam = adam;
}

static void replay(cllm__adam_table *table, size_t row) {
    if (table->row_step[row] == CLLM__ADAM_NEVER) return; /* zero moments: no step has moved it */
    size_t at = row * table->width;
    for (uint64_t t = table->row_step[row] + 1; t <= table->step; t++) {
        cllm__adam_step(table->values + at, table->first + at, table->second + at, NULL, table->width, table->adam, t);
    }
    table->row_step[row] = table->step;
}

typedef struct job {
    cllm__adam_table *table;
    const int32_t *rows; /* NULL: all */
    size_t count;
    const cllm__real *gradient; /* NULL: replay only */
} job;

static void run(void *context, size_t index, int worker) {
    (void)worker;
    const job *work = context;
    cllm__adam_table *table = work->table;
    size_t last = (index + 1) * ROWS < work->count ? (index + 1) * ROWS : work->count;
    for (size_t i = index * ROWS; i < last; i++) {
        size_t row = work->rows == NULL ? i : (size_t)work->rows[i], at = row * table->width;
        if (work->gradient == NULL) {
            replay(table, row);
        } else {
            cllm__adam_step(table->values + at, table->first + at, table->second + at, work->gradient + at, table->width,
                            table->adam, table->step);
            table->row_step[row] = table->step;
        }
    }
}

static void run_all(cllm__pool *pool, job work) {
    cllm__pool_run(pool, (work.count + ROWS - 1) / ROWS, run, &work);
}

void cllm__adam_table_catch_up(cllm__adam_table *table, const int32_t *rows, size_t count, cllm__pool *pool) {
    run_all(pool, (job){table, rows, count, NULL});
}

void cllm__adam_table_step(cllm__adam_table *table, const int32_t *rows, size_t count, const cllm__real *gradient, cllm__pool *pool) {
    table->step++;
    if (count > 0) run_all(pool, (job){table, rows, count, gradient});
}

void cllm__adam_table_step_dense(cllm__adam_table *table, const cllm__real *gradient, cllm__pool *pool) {
    table->step++;
    run_all(pool, (job){table, NULL, table->rows, gradient});
}

void cllm__adam_table_flush(cllm__adam_table *table, cllm__pool *pool) {
    run_all(pool, (job){table, NULL, table->rows, NULL});
}
