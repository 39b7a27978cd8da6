/*
 * The inverse of a large symmetric positive definite matrix in double precision, in place, in half the memory: only the
 * tiles on and below the diagonal exist.
 *
 * Block sweep (Gauss-Jordan without pivoting; the pivots of a positive definite matrix are its Schur complements, so they
 * are positive definite as well): n³ floating-point operations, all but a few of them in products of tiles, which the
 * pool's workers share. Each tile is written by one task in a fixed order, so the bits do not depend on the number of
 * threads.
 */
#ifndef CLLM_EVAL_SYMMETRIC_H
#define CLLM_EVAL_SYMMETRIC_H

#include <stdint.h>

#include "base/threads.h"

enum { CLLM__TILE = 256 };

typedef struct cllm__symmetric {
    size_t n, blocks; /* rows; tiles a side */
    double **tiles;   /* [blocks·(blocks + 1)/2], row by row; each [TILE × TILE] row-major */
} cllm__symmetric;

/* Zeros; behind the last row the diagonal goes on with ones up to a whole tile. */
CLLM_CHECK cllm_status cllm__symmetric_create(cllm__symmetric *matrix, size_t n, cllm_error *err);
void cllm__symmetric_free(cllm__symmetric *matrix);
/* Bytes that it takes, with the work space of the inversion. */
uint64_t cllm__symmetric_memory(size_t n);

/* Tile (i, j) of the lower half, j ≤ i. Tiles on the diagonal hold both halves. */
static inline double *cllm__symmetric_tile(const cllm__symmetric *matrix, size_t i, size_t j) {
    return matrix->tiles[i * (i + 1) / 2 + j];
}
/* Element (row, column) with column ≤ row. */
static inline double *cllm__symmetric_at(const cllm__symmetric *matrix, size_t row, size_t column) {
    return cllm__symmetric_tile(matrix, row / CLLM__TILE, column / CLLM__TILE) + row % CLLM__TILE * CLLM__TILE +
           column % CLLM__TILE;
}

/* Of the lower half, also within the tiles on the diagonal, which may hold anything above it. Afterwards these hold both
 * halves. CLLM_ERR_DATA if the matrix is not positive definite; then its contents are spoilt. */
CLLM_CHECK cllm_status cllm__symmetric_invert(cllm__symmetric *matrix, cllm__pool *pool, const cllm_host *host,
                                              cllm_error *err);

#endif
