/*
 * oneDNN 2.x behind one source file: products of one row tile with a piece of a packed matrix.
 *
 * Only oneDNN's "brgemm" products are used (AVX-512 and later). Measured with 2.6.3: the bits of an output row are then a
 * function of its input row, the matrix and k alone, whatever the height of the tile, the row's place in it and the width of
 * the piece; docs/PERFORMANCE.md has the experiment and tests/kernels/test_gemm.c repeats a part of it. Other
 * implementations of oneDNN (the only ones below AVX-512) don't have this property, so elsewhere gemm.c uses the loops of
 * the operations' table.
 *
 * In f32 that function is: sums over blocks of k, each in the order of k with fused multiply-adds, the blocks' sums added in order;
 * cllm__onednn_block() is the block. It is looked at when a process begins, so that another oneDNN may do otherwise.
 *
 * With AMX, products in bf16 have it within bounds only. oneDNN leaves AMX alone for small products (h ≤ 32 and h·n ≤ 256; a k
 * of at most 16 always), which sums in another order; and it cuts k where a tile's operands outgrow the second-level cache,
 * which depends on n and h. Measured with 2.6.3 and 2 MiB of that cache, all h ≤ 64: the bits are the row's own for n ≤ 256 up
 * to k = 4096 and for any n up to k = 1536. CLLM__AMX_* keep gemm.c inside that.
 *
 * Primitives are created once for each shape and kept for the life of the process. oneDNN runs each on the calling thread.
 */
#ifndef CLLM_KERNELS_GEMM_ONEDNN_H
#define CLLM_KERNELS_GEMM_ONEDNN_H

#include "base/status.h"

/* Packed matrices: panels of 64 columns, [k padded × 64] each, k padded to a multiple of 16; in bf16 [k padded / 2 × 64 × 2],
 * k padded to a multiple of 32. Padding is zero. This is oneDNN's BA16a64b and BA16a64b2a. */
enum { CLLM__PANEL = 64 };

/* Of products that go to AMX: rows of a tile come in multiples of UNIT and columns in whole panels, k is at most DEEPEST and n
 * at most WIDEST. */
enum { CLLM__AMX_UNIT = 8, CLLM__AMX_DEEPEST = 4096, CLLM__AMX_WIDEST = 256 };

/* Whether this CPU and this oneDNN multiply f32, or bf16, that way. */
bool cllm__onednn_has(bool bf16);
/* The instruction set that oneDNN reports: "avx512_core_bf16"; "" if it has none for us. */
const char *cllm__onednn_isa(bool bf16);
/* Whether products in bf16 go to AMX, and have to keep to its bounds. */
bool cllm__onednn_amx(void);

/* Rows of k that products in f32 sum before they add to what came before; 0 if they do it in some other way. */
size_t cllm__onednn_block(size_t k);

/* Whether products in bf16 sum as gemm_amx.h says. */
bool cllm__onednn_as_tiles(void);

/* y[h × n] = x[h × k]·w, all dense. */
typedef struct cllm__onednn_shape {
    size_t h, n, k;
    bool bf16;
} cllm__onednn_shape;

/* A product of one shape with arguments for a team of workers, leased for one call of gemm.c. */
typedef struct cllm__onednn_team cllm__onednn_team;
CLLM_CHECK cllm_status cllm__onednn_take(cllm__onednn_team **out, cllm__onednn_shape shape, int workers, cllm_error *err);
void cllm__onednn_give(cllm__onednn_team *team); /* NULL is fine */
/* Runs it on the calling thread, which is the team's `worker`. False if oneDNN failed. */
bool cllm__onednn_run(cllm__onednn_team *team, int worker, float *y, const void *x, const void *panels);

/* Primitives created so far: constant once every shape of a step has been seen. */
size_t cllm__onednn_created(void);

#endif
