#ifndef CLLM_KERNELS_PEAK_BF16_H
#define CLLM_KERNELS_PEAK_BF16_H

#include <stddef.h>

/* Runs `rounds` rounds of bf16 dot products in registers and returns the multiplications and additions they made. Only where
 * the CPU has AVX512-BF16; 0 in builds for other processors. */
double cllm__bf16_burst(size_t rounds);

#endif
