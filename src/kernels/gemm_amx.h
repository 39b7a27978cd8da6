/*
 * Products of few rows with panels in bf16 by AMX, which read the panels ahead: with few rows reading a matrix takes longer
 * than multiplying, and oneDNN does not read ahead. An element is summed in the order of k, 32 at a time, as one
 * instruction sums them; that is oneDNN's order too, which gemm_onednn.c looks at when a process begins.
 */
#ifndef CLLM_KERNELS_GEMM_AMX_H
#define CLLM_KERNELS_GEMM_AMX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLLM__AMX_DEPTH = 32 };

/* Whether this build and this system have it. Only where the CPU has AMX. */
bool cllm__amx_has(void);

/* y[rows × 64·panels] = x[rows × k]·w, dense, in panels as gemm_onednn.h has them; k a multiple of CLLM__AMX_DEPTH. On one
 * thread. Only if cllm__amx_has(). */
void cllm__amx_product(float *y, const uint16_t *x, size_t rows, size_t k, const uint16_t *w, size_t panels);

#endif
