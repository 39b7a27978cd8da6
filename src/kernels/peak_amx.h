#ifndef CLLM_KERNELS_PEAK_AMX_H
#define CLLM_KERNELS_PEAK_AMX_H

#include <stddef.h>

/* As cllm__bf16_burst(), but of products of AMX tiles. Only where the CPU has them; 0 where the system withholds them, and in builds for
 * other processors. */
double cllm__amx_burst(size_t rounds);

#endif
