/*
 * Matrices in 8 bits: each row in blocks of 32 numbers, kept as integers in [−127, 127] and one scale, the block's largest
 * magnitude / 127. The rounding is GGUF's Q8_0, so that weights which come from such a file stay as they were; the scale is f32.
 */
#ifndef CLLM_KERNELS_BLOCKS8_H
#define CLLM_KERNELS_BLOCKS8_H

#include <stdint.h>

#include "base/real.h"
#include "base/threads.h"

enum { CLLM__BLOCK8 = 32 };

typedef struct cllm__blocks8 {
    size_t rows, columns, blocks; /* blocks of a row */
    int8_t *values;               /* [rows × blocks × 32], zero behind the last column */
    float *scales;                /* [rows × blocks] */
} cllm__blocks8;

/* The [rows × columns] matrix whose element (r, c) is from[r·row + c·column], finite. The caller frees with _free, which accepts
 * an all-zero matrix. */
CLLM_CHECK cllm_status cllm__blocks8_make(cllm__blocks8 *out, const cllm__real *from, size_t rows, size_t columns, size_t row,
                                          size_t column, cllm__pool *pool, cllm_error *err);
void cllm__blocks8_free(cllm__blocks8 *matrix);
size_t cllm__blocks8_bytes(const cllm__blocks8 *matrix);

#endif
