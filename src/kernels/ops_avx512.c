/* Compiled with the flags of its instruction set; see layer.cmake. */
#include "kernels/ops_table.h"

#ifdef CLLM__OPS_X86
#define TABLE cllm__ops_avx512
#define ISA "avx512"
#define VECTOR 16
#define TILE_ROWS 4
#define PANEL_ROWS 6
#define TILE_WIDE 64
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define sqrt_real sqrtf
#include "kernels/ops_loops.inc"
#endif
