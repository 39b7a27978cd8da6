/*
 * The number formats of GGUF tensors. All but the first three hold blocks of 32 or 256 elements: small integers with scales
 * (and offsets) in 16-bit floats. Dequantisation is in f32, operation by operation that of the format's reference, so that
 * the results are equal to the bit.
 */
#ifndef CLLM_FORMATS_GGUF_BLOCKS_H
#define CLLM_FORMATS_GGUF_BLOCKS_H

#include <stdint.h>

#include "base/status.h"

/* Numbered as in the file. */
typedef enum cllm__gguf_type {
    CLLM_GGUF_TYPE_F32 = 0,
    CLLM_GGUF_TYPE_F16 = 1,
    CLLM_GGUF_TYPE_Q4_0 = 2,
    CLLM_GGUF_TYPE_Q4_1 = 3,
    CLLM_GGUF_TYPE_Q5_0 = 6,
    CLLM_GGUF_TYPE_Q5_1 = 7,
    CLLM_GGUF_TYPE_Q8_0 = 8,
    CLLM_GGUF_TYPE_Q2_K = 10,
    CLLM_GGUF_TYPE_Q3_K = 11,
    CLLM_GGUF_TYPE_Q4_K = 12,
    CLLM_GGUF_TYPE_Q5_K = 13,
    CLLM_GGUF_TYPE_Q6_K = 14,
    CLLM_GGUF_TYPE_IQ4_NL = 20,
    CLLM_GGUF_TYPE_IQ4_XS = 23,
    CLLM_GGUF_TYPE_BF16 = 30
} cllm__gguf_type;

/* Whether this is one of the above. */
bool cllm__gguf_type_known(uint32_t type);
/* "Q4_K"; for a type that is not one of the above but has a name, that name ("IQ2_XXS"), otherwise NULL. */
const char *cllm__gguf_type_name(uint32_t type);
/* Elements and bytes of a block. */
size_t cllm__gguf_block_count(cllm__gguf_type type);
size_t cllm__gguf_block_bytes(cllm__gguf_type type);

/* `blocks` blocks from `data` (any alignment) into out[blocks × block_count]. */
void cllm__gguf_dequantise(cllm__gguf_type type, const void *data, size_t blocks, float *out);

#endif
