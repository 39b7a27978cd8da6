#include "eval/symmetric.h"

#include <cblas.h>
#include <lapacke.h>
#include <string.h>

#include "base/alloc.h"
#include "base/host.h"
#include "eval/blas.h"

enum { TILE = CLLM__TILE, TILE_SIZE = CLLM__TILE * CLLM__TILE };

cllm_status cllm__symmetric_create(cllm__symmetric *matrix, size_t n, cllm_error *err) {
    cllm__symmetric made = {.n = n, .blocks = (n + TILE - 1) / TILE};
    size_t count = made.blocks * (made.blocks + 1) / 2;
    CLLM_TRY(CLLM_NEW(made.tiles, count, err));
    for (size_t t = 0; t < count; t++) {
        made.tiles[t] = cllm__zalloc(TILE_SIZE, sizeof(double));
        if (made.tiles[t] == NULL) {
            cllm__symmetric_free(&made);
            return cllm__fail_nomem(err);
        }
    }
    for (size_t i = n; i < made.blocks * TILE; i++) *cllm__symmetric_at(&made, i, i) = 1;
    *matrix = made;
    return CLLM_OK;
}

void cllm__symmetric_free(cllm__symmetric *matrix) {
    for (size_t t = 0; matrix->tiles != NULL && t < matrix->blocks * (matrix->blocks + 1) / 2; t++)
        cllm__free(matrix->tiles[t]);
    cllm__free(matrix->tiles);
    *matrix = (cllm__symmetric){0};
}

uint64_t cllm__symmetric_memory(size_t n) {
    uint64_t blocks = ((uint64_t)n + TILE - 1) / TILE;
    return (blocks * (blocks + 1) / 2 + 2 * blocks + 1) * TILE_SIZE * sizeof(double);
}

typedef struct sweep {
    cllm__symmetric *matrix;
    size_t pivot;
    double *column;  /* [blocks × tile]: the pivot's block column as it was */
    double *scaled;  /* [blocks × tile]: times the pivot's inverse */
    double *inverse; /* [tile]: of the pivot */
} sweep;

/* Tasks of the first half of a step: block row i of the pivot's column, gathered and multiplied by the pivot's inverse. */
static void scale_block(void *context, size_t i, int worker) {
    (void)worker;
    sweep *s = context;
    if (i == s->pivot) return;
    double *column = s->column + i * TILE_SIZE;
    if (i > s->pivot) {
        memcpy(column, cllm__symmetric_tile(s->matrix, i, s->pivot), TILE_SIZE * sizeof *column);
    } else {
        const double *mirror = cllm__symmetric_tile(s->matrix, s->pivot, i);
        for (size_t r = 0; r < TILE; r++) {
            for (size_t c = 0; c < TILE; c++) column[r * TILE + c] = mirror[c * TILE + r];
        }
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, TILE, TILE, TILE, 1, column, TILE, s->inverse, TILE, 0,
                s->scaled + i * TILE_SIZE, TILE);
}

/* Tasks of the second half: one tile each. */
static void update_tile(void *context, size_t index, int worker) {
    (void)worker;
    sweep *s = context;
    size_t i = 0;
    while ((i + 1) * (i + 2) / 2 <= index) i++;
    size_t j = index - i * (i + 1) / 2;
    double *tile = s->matrix->tiles[index];
    if (i == s->pivot && j == s->pivot) {
        for (size_t e = 0; e < TILE_SIZE; e++) tile[e] = -s->inverse[e];
    } else if (j == s->pivot) {
        memcpy(tile, s->scaled + i * TILE_SIZE, TILE_SIZE * sizeof *tile);
    } else if (i == s->pivot) {
        const double *scaled = s->scaled + j * TILE_SIZE;
        for (size_t r = 0; r < TILE; r++) {
            for (size_t c = 0; c < TILE; c++) tile[r * TILE + c] = scaled[c * TILE + r];
        }
    } else {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, TILE, TILE, TILE, -1, s->scaled + i * TILE_SIZE, TILE,
                    s->column + j * TILE_SIZE, TILE, 1, tile, TILE);
    }
}

/* Row-major, so that LAPACK, which counts by column, finds the lower half under the name of the upper one. */
static bool invert_pivot(const double *tile, double *inverse) {
    memcpy(inverse, tile, TILE_SIZE * sizeof *inverse);
    if (LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'U', TILE, inverse, TILE) != 0) return false;
    if (LAPACKE_dpotri(LAPACK_COL_MAJOR, 'U', TILE, inverse, TILE) != 0) return false;
    for (size_t r = 0; r < TILE; r++) {
        for (size_t c = r + 1; c < TILE; c++) inverse[r * TILE + c] = inverse[c * TILE + r];
    }
    return true;
}

static void finish_tile(void *context, size_t index, int worker) {
    (void)worker;
    const sweep *s = context;
    double *tile = s->matrix->tiles[index];
    for (size_t e = 0; e < TILE_SIZE; e++) tile[e] = -tile[e];
    size_t i = 0;
    while ((i + 1) * (i + 2) / 2 <= index) i++;
    if (index != i * (i + 1) / 2 + i) return;
    for (size_t r = 0; r < TILE; r++) {
        for (size_t c = r + 1; c < TILE; c++) tile[r * TILE + c] = tile[c * TILE + r];
    }
}

static cllm_status run_sweep(sweep *s, cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    size_t blocks = s->matrix->blocks, count = blocks * (blocks + 1) / 2;
    cllm__meter meter = cllm__meter_begin(host, "invert", "blocks", (double)blocks);
    for (s->pivot = 0; s->pivot < blocks; s->pivot++) {
        CLLM_TRY(cllm__check_cancelled(host, err));
        if (!invert_pivot(cllm__symmetric_tile(s->matrix, s->pivot, s->pivot), s->inverse)) {
            return cllm__fail(err, CLLM_ERR_DATA, "the matrix is not positive definite near row %zu: a larger lambda helps",
                              s->pivot * TILE);
        }
        cllm__pool_run(pool, blocks, scale_block, s);
        cllm__pool_run(pool, count, update_tile, s);
        cllm__meter_update(&meter, (double)(s->pivot + 1), NULL);
    }
    cllm__pool_run(pool, count, finish_tile, s);
    cllm__meter_end(&meter, (double)blocks, NULL);
    return CLLM_OK;
}

cllm_status cllm__symmetric_invert(cllm__symmetric *matrix, cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    cllm_status status = CLLM_OK;
    sweep s = {.matrix = matrix,
               .column = cllm__alloc(matrix->blocks * TILE_SIZE, sizeof(double)),
               .scaled = cllm__alloc(matrix->blocks * TILE_SIZE, sizeof(double)),
               .inverse = cllm__alloc(TILE_SIZE, sizeof(double))};
    if (s.column == NULL || s.scaled == NULL || s.inverse == NULL) {
        status = cllm__fail_nomem(err);
    } else {
        int threads = cllm__blas_begin();
        status = run_sweep(&s, pool, host, err);
        cllm__blas_end(threads);
    }
    cllm__free(s.column);
    cllm__free(s.scaled);
    cllm__free(s.inverse);
    return status;
}
