/*
 * Matrix products. Matrices are row-major; `ld` is the distance between rows in elements.
 *
 * Two promises that the rest of the library stands on:
 *  - The bits of an output row depend on its own input row and the other operand only, never on how many rows are
 *    computed together, on their order, or on the number of threads: a user's result is the same alone or in a batch.
 *  - Sums over the rows of a batch (weight-gradient products, cllm__gemm with transpose_a) go in row order in blocks of one
 *    fixed height, whatever the number of threads.
 */
#ifndef CLLM_KERNELS_GEMM_H
#define CLLM_KERNELS_GEMM_H

#include <stdint.h>

#include "base/real.h"
#include "base/threads.h"

/* The type in which products read their inputs; sums and results are always cllm__real. CLLM__Q8_0 is for frozen matrices only:
 * 8 bits a number (blocks8.h), turned into f32 a few columns at a time when they are multiplied. */
typedef enum cllm__dtype { CLLM__F32, CLLM__BF16, CLLM__Q8_0 } cllm__dtype;

/* A frozen [k × n] matrix, packed once for y = x·W. Immutable, shared by threads. */
typedef struct cllm__weight cllm__weight;

/* Packs `values`: [k × n], or [n × k] if `transposed`. The values are not needed afterwards. */
CLLM_CHECK cllm_status cllm__weight_pack(cllm__weight **out, const cllm__real *values, size_t k, size_t n, bool transposed,
                                         cllm__dtype dtype, cllm__pool *pool, cllm_error *err);
/* The transpose of a packed matrix. One in 8 bits shares its numbers with `weight`, which must live longer; of any other type
 * there is no way back from the packing: CLLM_ERR_UNSUPPORTED. */
CLLM_CHECK cllm_status cllm__weight_turn(cllm__weight **out, const cllm__weight *weight, cllm_error *err);
void cllm__weight_free(cllm__weight *weight);
size_t cllm__weight_rows(const cllm__weight *weight);    /* k */
size_t cllm__weight_columns(const cllm__weight *weight); /* n */
size_t cllm__weight_bytes(const cllm__weight *weight);   /* resident size; 0 for what is shared */
size_t cllm__weight_size(size_t k, size_t n, cllm__dtype dtype); /* the same of a matrix that is not packed yet */
/* XXH3 of the packed values as they lie in memory: shows that nothing has written to them. */
uint64_t cllm__weight_hash(const cllm__weight *weight);

typedef enum cllm__gemm_flags {
    CLLM__GEMM_PLAIN = 0,
    CLLM__GEMM_ADD = 1 /* add to what y holds */
} cllm__gemm_flags;

/* y[m × n] = x[m × k]·W + bias; bias [n] may be NULL. Scratch for bf16 inputs is kept per weight shape and worker. */
CLLM_CHECK cllm_status cllm__gemm_frozen(cllm__pool *pool, cllm__real *y, size_t ld_y, const cllm__real *x, size_t ld_x, size_t m,
                                         const cllm__weight *weight, const cllm__real *bias, cllm__gemm_flags flags,
                                         cllm_error *err);
/* The columns [first, first + count) of the same product, for a head that is too wide to materialise: y is [m × count].
 * `first` is a multiple of CLLM__GEMM_PANEL, `count` one too or up to the end. */
enum { CLLM__GEMM_PANEL = 512 };
CLLM_CHECK cllm_status cllm__gemm_frozen_columns(cllm__pool *pool, cllm__real *y, size_t ld_y, const cllm__real *x, size_t ld_x,
                                                 size_t m, const cllm__weight *weight, size_t first, size_t count,
                                                 cllm_error *err);

/* c[m × n] = op(a)·op(b) + beta·c for operands that change; op(a) is [m × k], op(b) is [k × n]. beta is 0 or 1. */
CLLM_CHECK cllm_status cllm__gemm(cllm__pool *pool, bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k,
                                  const cllm__real *a, size_t ld_a, const cllm__real *b, size_t ld_b, cllm__real beta,
                                  cllm__real *c, size_t ld_c, cllm__dtype dtype, cllm_error *err);

/* Whether this CPU multiplies bf16 natively; otherwise bf16 works but gains nothing. */
bool cllm__gemm_has_bf16(void);
/* The instruction set that products run on, for logs: "avx512_core_bf16", "reference". */
const char *cllm__gemm_isa(void);

#endif
