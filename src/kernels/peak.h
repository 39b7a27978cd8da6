/*
 * What this machine can do right now: the yardstick for shares in benchmarks. Machines differ by factors and a shared one
 * changes from minute to minute, so a peak is measured just before or after what is held against it. Each takes about a
 * tenth of a second, the best of several.
 */
#ifndef CLLM_KERNELS_PEAK_H
#define CLLM_KERNELS_PEAK_H

#include "base/threads.h"
#include "kernels/gemm.h"

/* 10⁹ multiplications and additions a second of all workers together, in registers, with the instruction set in use. For
 * bf16 that of AMX tiles, else of the native dot products, or of f32 where there are none. */
double cllm__peak_gflops(cllm__dtype dtype, cllm__pool *pool);
/* 10⁹ bytes a second that all workers together read from memory (256 MiB); 0 if that much memory is not there. */
double cllm__peak_bandwidth(cllm__pool *pool);

#endif
