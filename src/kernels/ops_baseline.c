/* Portable C; in the double build, the reference. */
#define TABLE cllm__ops_baseline
#define VECTOR 4
#define TILE_ROWS 2
#define PANEL_ROWS 2
#define TILE_WIDE 16
#define FMA(a, b, c) ((a) * (b) + (c))
#ifdef CLLM_REF64
#define ISA "reference"
#define sqrt_real sqrt
#else
#define ISA "baseline"
#define sqrt_real sqrtf
#endif
#include "kernels/ops_loops.inc"
