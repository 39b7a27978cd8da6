#include "kernels/blocks8.h"

#include <math.h>

#include "base/alloc.h"

typedef struct making {
    cllm__blocks8 *to;
    const cllm__real *from;
    size_t row, column;
} making;

static void make_row(void *context, size_t r, int worker) {
    const making *run = context;
    const cllm__blocks8 *to = run->to;
    const cllm__real *from = run->from + r * run->row;
    (void)worker;
    for (size_t b = 0; b < to->blocks; b++) {
        size_t first = b * CLLM__BLOCK8, n = to->columns - first < CLLM__BLOCK8 ? to->columns - first : CLLM__BLOCK8;
        int8_t *values = to->values + (r * to->blocks + b) * CLLM__BLOCK8;
        double largest = 0;
        for (size_t c = 0; c < n; c++) largest = fmax(largest, fabs((double)from[(first + c) * run->column]));
        float scale = (float)(largest / 127);
        for (size_t c = 0; c < n; c++)
            values[c] = scale > 0 ? (int8_t)fmax(-127, fmin(127, round((double)from[(first + c) * run->column] / scale))) : 0;
        to->scales[r * to->blocks + b] = scale;
    }
}

cllm_status cllm__blocks8_make(cllm__blocks8 *out, const cllm__real *from, size_t rows, size_t columns, size_t row, size_t column,
                               cllm__pool *pool, cllm_error *err) {
    cllm__blocks8 made = {.rows = rows, .columns = columns, .blocks = (columns + CLLM__BLOCK8 - 1) / CLLM__BLOCK8};
    cllm_status status = CLLM_OK;
    CLLM_TRY_CLEAN(CLLM_NEW(made.values, rows * made.blocks * CLLM__BLOCK8, err));
    CLLM_TRY_CLEAN(CLLM_NEW(made.scales, rows * made.blocks, err));
    making run = {&made, from, row, column};
    cllm__pool_run(pool, rows, make_row, &run);
    *out = made;
    return CLLM_OK;
cleanup:
    cllm__blocks8_free(&made);
    return status;
}

void cllm__blocks8_free(cllm__blocks8 *matrix) {
    cllm__free(matrix->values);
    cllm__free(matrix->scales);
    *matrix = (cllm__blocks8){0};
}

size_t cllm__blocks8_bytes(const cllm__blocks8 *matrix) {
    return matrix->rows * matrix->blocks * (CLLM__BLOCK8 * sizeof *matrix->values + sizeof *matrix->scales);
}
