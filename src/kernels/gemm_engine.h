/* What tests and benchmarks may ask of gemm.c besides its interface. */
#ifndef CLLM_KERNELS_GEMM_ENGINE_H
#define CLLM_KERNELS_GEMM_ENGINE_H

#include <stdbool.h>

/* From now on everything that is packed is multiplied by the loops that CPUs without AVX-512 use. Packed matrices keep the
 * way that they were packed for. */
void cllm__gemm_force_loops(bool loops);

#endif
