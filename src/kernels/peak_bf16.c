/* Compiled with the flags of AVX512-BF16; see layer.cmake. */
#include "kernels/peak_bf16.h"

#ifdef __AVX512BF16__
#include <immintrin.h>

enum { CHAINS = 12 };

double cllm__bf16_burst(size_t rounds) {
    __m512 sum[CHAINS];
    __m512i a = _mm512_set1_epi32(0x3f803f80), b = _mm512_set1_epi32(0x3c003c00); /* 1 and 2^-7 */
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_dpbf16_ps(sum[i], (__m512bh)a, (__m512bh)b);
    }
    float out[16];
    volatile float keep;
    for (int i = 1; i < CHAINS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    _mm512_storeu_ps(out, sum[0]);
    keep = out[0];
    (void)keep;
    return (double)rounds * CHAINS * 64;
}
#else
double cllm__bf16_burst(size_t rounds) {
    (void)rounds;
    return 0;
}
#endif
