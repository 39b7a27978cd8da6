#include "base/rng.h"

#include <Random123/philox.h>
#include <math.h>
#include <string.h>

cllm__rng cllm__rng_make(uint64_t seed, cllm__rng_stage stage, uint32_t epoch, uint64_t example) {
    /* counter[0] counts blocks; stage and epoch share a word pair with the example so that no two keys overlap. */
    return (cllm__rng){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32) ^ ((uint32_t)stage << 24)},
        .counter = {0, epoch, (uint32_t)example, (uint32_t)(example >> 32)},
        .used = 4,
    };
}

uint32_t cllm__rng_u32(cllm__rng *rng) {
    if (rng->used == 4) {
        philox4x32_ctr_t counter;
        philox4x32_key_t key;
        memcpy(counter.v, rng->counter, sizeof rng->counter);
        memcpy(key.v, rng->key, sizeof rng->key);
        philox4x32_ctr_t block = philox4x32(counter, key);
        memcpy(rng->block, block.v, sizeof rng->block);
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

uint64_t cllm__rng_u64(cllm__rng *rng) {
    uint64_t low = cllm__rng_u32(rng);
    return low | (uint64_t)cllm__rng_u32(rng) << 32;
}

double cllm__rng_uniform(cllm__rng *rng) {
    return (double)(cllm__rng_u64(rng) >> 11) * 0x1p-53;
}

double cllm__rng_normal(cllm__rng *rng) {
    double u = 1.0 - cllm__rng_uniform(rng), angle = 6.283185307179586476925 * cllm__rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(angle);
}

uint64_t cllm__rng_below(cllm__rng *rng, uint64_t n) {
    uint64_t reject = (0 - n) % n; /* 2^64 mod n: values below it would be drawn once too often */
    for (;;) {
        uint64_t value = cllm__rng_u64(rng);
        if (value >= reject) return value % n;
    }
}

void cllm__rng_shuffle_i32(cllm__rng *rng, int32_t *values, size_t count) {
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)cllm__rng_below(rng, i);
        int32_t swap = values[i - 1];
        values[i - 1] = values[j];
        values[j] = swap;
    }
}

void cllm__rng_shuffle_size(cllm__rng *rng, size_t *values, size_t count) {
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)cllm__rng_below(rng, i);
        size_t swap = values[i - 1];
        values[i - 1] = values[j];
        values[j] = swap;
    }
}
