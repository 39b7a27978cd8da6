#include "formats/gguf_blocks.h"

#include <string.h>

#include "formats/half.h"

enum { SUPER = 256 }; /* elements of a block of the K formats and of IQ4_XS */

static float half_at(const unsigned char *data) {
    return cllm__half_to_float((uint16_t)(data[0] | data[1] << 8));
}

/* ---- Plain numbers ---- */

static void read_f32(const unsigned char *block, float *out) {
    memcpy(out, block, sizeof *out);
}

static void read_f16(const unsigned char *block, float *out) {
    *out = half_at(block);
}

static void read_bf16(const unsigned char *block, float *out) {
    *out = cllm__bfloat_to_float((uint16_t)(block[0] | block[1] << 8));
}

/* ---- Blocks of 32: element j < 16 is the low half of byte j, element j + 16 the high half ---- */

static int nibble(const unsigned char *bytes, size_t j) {
    return j < 16 ? bytes[j] & 15 : bytes[j - 16] >> 4;
}

/* half scale, 16 bytes */
static void read_q4_0(const unsigned char *block, float *out) {
    float scale = half_at(block);
    for (size_t j = 0; j < 32; j++) out[j] = scale * (float)(nibble(block + 2, j) - 8);
}

/* half scale, half offset, 16 bytes */
static void read_q4_1(const unsigned char *block, float *out) {
    float scale = half_at(block), offset = half_at(block + 2);
    for (size_t j = 0; j < 32; j++) out[j] = scale * (float)nibble(block + 4, j) + offset;
}

/* The fifth bits of 32 elements, in 4 bytes from element 0 on. */
static int fifth_bit(const unsigned char *bits, size_t j) {
    return (bits[j / 8] >> j % 8 & 1) << 4;
}

/* half scale, fifth bits, 16 bytes */
static void read_q5_0(const unsigned char *block, float *out) {
    float scale = half_at(block);
    for (size_t j = 0; j < 32; j++) out[j] = scale * (float)((nibble(block + 6, j) | fifth_bit(block + 2, j)) - 16);
}

/* half scale, half offset, fifth bits, 16 bytes */
static void read_q5_1(const unsigned char *block, float *out) {
    float scale = half_at(block), offset = half_at(block + 2);
    for (size_t j = 0; j < 32; j++) out[j] = scale * (float)(nibble(block + 8, j) | fifth_bit(block + 4, j)) + offset;
}

static int signed_byte(unsigned char byte) {
    return byte < 128 ? byte : byte - 256;
}

/* half scale, 32 signed bytes */
static void read_q8_0(const unsigned char *block, float *out) {
    float scale = half_at(block);
    for (size_t j = 0; j < 32; j++) out[j] = (float)signed_byte(block[2 + j]) * scale;
}

/* The levels of the non-linear 4-bit formats, part of the format. */
static const signed char IQ4_LEVELS[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* half scale, 16 bytes */
static void read_iq4_nl(const unsigned char *block, float *out) {
    float scale = half_at(block);
    for (size_t j = 0; j < 32; j++) out[j] = scale * (float)IQ4_LEVELS[nibble(block + 2, j)];
}

/* ---- Blocks of 256 ---- */

/* Element j of numbers of two bits: in each 32 bytes, bits 0-1 of all are 32 elements, bits 2-3 the next 32, and so on. */
static int two_bits(const unsigned char *bytes, size_t j) {
    return bytes[j / 128 * 32 + j % 32] >> j % 128 / 32 * 2 & 3;
}

/* Element j of numbers of one bit: bit 0 of 32 bytes are the first 32 elements, and so on. */
static int one_bit(const unsigned char *bytes, size_t j) {
    return bytes[j % 32] >> j / 32 & 1;
}

/* Element j of numbers of four bits: the low halves of 32 bytes are 32 elements, the high halves the next. */
static int four_bits(const unsigned char *bytes, size_t j) {
    return bytes[j / 64 * 32 + j % 32] >> j % 64 / 32 * 4 & 15;
}

/* 16 bytes of scale and offset of each 16 elements, 64 bytes, half scale of scales, half scale of offsets */
static void read_q2_k(const unsigned char *block, float *out) {
    float scale = half_at(block + 80), offset = half_at(block + 82);
    for (size_t g = 0; g < 16; g++) {
        float step = scale * (float)(block[g] & 15), low = offset * (float)(block[g] >> 4);
        for (size_t j = 16 * g; j < 16 * (g + 1); j++) out[j] = step * (float)two_bits(block + 16, j) - low;
    }
}

/* 32 bytes of third bits (0 stands for −4), 64 bytes, 12 bytes of scales, half scale of scales. A scale has 6 bits: the
 * lower four of scales 0-7 and 8-15 in the low and high halves of 8 bytes, the upper two of scales 0-3, 4-7, … in 4 bytes.
 */
static void read_q3_k(const unsigned char *block, float *out) {
    const unsigned char *scales = block + 96;
    float scale = half_at(block + 108);
    for (size_t g = 0; g < 16; g++) {
        int low = scales[g % 8] >> g / 8 * 4 & 15, high = scales[8 + g % 4] >> g / 4 * 2 & 3;
        float step = scale * (float)((low | high << 4) - 32);
        for (size_t j = 16 * g; j < 16 * (g + 1); j++)
            out[j] = step * (float)(two_bits(block + 32, j) - (one_bit(block, j) != 0 ? 0 : 4));
    }
}

/* Scale and offset, of 6 bits each, of the g-th 32 elements, from 12 bytes: 0-3 are the lower six bits of bytes 0-3 and
 * 4-7; 4-7 have four bits in bytes 8-11 and their upper two above those six. */
static void six_bits(const unsigned char *bytes, size_t g, int *scale, int *offset) {
    if (g < 4) {
        *scale = bytes[g] & 63;
        *offset = bytes[4 + g] & 63;
    } else {
        *scale = (bytes[4 + g] & 15) | (bytes[g - 4] >> 6) << 4;
        *offset = bytes[4 + g] >> 4 | (bytes[g] >> 6) << 4;
    }
}

/* half scale of scales, half scale of offsets, 12 bytes of both, 128 bytes */
static void read_q4_k(const unsigned char *block, float *out) {
    float scale = half_at(block), offset = half_at(block + 2);
    for (size_t g = 0; g < 8; g++) {
        int s, o;
        six_bits(block + 4, g, &s, &o);
        float step = scale * (float)s, low = offset * (float)o;
        for (size_t j = 32 * g; j < 32 * (g + 1); j++) out[j] = step * (float)four_bits(block + 16, j) - low;
    }
}

/* The same with 32 bytes of fifth bits before the 128. */
static void read_q5_k(const unsigned char *block, float *out) {
    float scale = half_at(block), offset = half_at(block + 2);
    for (size_t g = 0; g < 8; g++) {
        int s, o;
        six_bits(block + 4, g, &s, &o);
        float step = scale * (float)s, low = offset * (float)o;
        for (size_t j = 32 * g; j < 32 * (g + 1); j++)
            out[j] = step * (float)(four_bits(block + 48, j) | one_bit(block + 16, j) << 4) - low;
    }
}

/* 128 bytes of lower halves (in each 64 bytes the low halves are 64 elements, the high halves the next 64), 64 bytes of two
 * bits, 16 signed scales, half scale of scales */
static void read_q6_k(const unsigned char *block, float *out) {
    float scale = half_at(block + 208);
    for (size_t g = 0; g < 16; g++) {
        float step = scale * (float)signed_byte(block[192 + g]);
        for (size_t j = 16 * g; j < 16 * (g + 1); j++) {
            int low = block[j / 128 * 64 + j % 64] >> j % 128 / 64 * 4 & 15;
            out[j] = step * (float)((low | two_bits(block + 128, j) << 4) - 32);
        }
    }
}

/* half scale of scales, 2 bytes of the scales' upper two bits, 4 bytes of their lower four, 128 bytes as in IQ4_NL */
static void read_iq4_xs(const unsigned char *block, float *out) {
    float scale = half_at(block);
    unsigned highs = block[2] | (unsigned)block[3] << 8;
    for (size_t g = 0; g < 8; g++) {
        int low = block[4 + g / 2] >> g % 2 * 4 & 15, high = (int)(highs >> 2 * g & 3);
        float step = scale * (float)((low | high << 4) - 32);
        for (size_t j = 0; j < 32; j++) out[32 * g + j] = step * (float)IQ4_LEVELS[nibble(block + 8 + 16 * g, j)];
    }
}

/* ---- The table ---- */

typedef struct format {
    const char *name;
    size_t count, bytes;                                  /* of a block */
    void (*read)(const unsigned char *block, float *out); /* NULL: known by name only */
} format;

static const format FORMATS[] = {
    [0] = {"F32", 1, 4, read_f32},
    [1] = {"F16", 1, 2, read_f16},
    [2] = {"Q4_0", 32, 18, read_q4_0},
    [3] = {"Q4_1", 32, 20, read_q4_1},
    [6] = {"Q5_0", 32, 22, read_q5_0},
    [7] = {"Q5_1", 32, 24, read_q5_1},
    [8] = {"Q8_0", 32, 34, read_q8_0},
    [9] = {.name = "Q8_1"},
    [10] = {"Q2_K", SUPER, 84, read_q2_k},
    [11] = {"Q3_K", SUPER, 110, read_q3_k},
    [12] = {"Q4_K", SUPER, 144, read_q4_k},
    [13] = {"Q5_K", SUPER, 176, read_q5_k},
    [14] = {"Q6_K", SUPER, 210, read_q6_k},
    [15] = {.name = "Q8_K"},
    [16] = {.name = "IQ2_XXS"},
    [17] = {.name = "IQ2_XS"},
    [18] = {.name = "IQ3_XXS"},
    [19] = {.name = "IQ1_S"},
    [20] = {"IQ4_NL", 32, 18, read_iq4_nl},
    [21] = {.name = "IQ3_S"},
    [22] = {.name = "IQ2_S"},
    [23] = {"IQ4_XS", SUPER, 136, read_iq4_xs},
    [24] = {.name = "I8"},
    [25] = {.name = "I16"},
    [26] = {.name = "I32"},
    [27] = {.name = "I64"},
    [28] = {.name = "F64"},
    [29] = {.name = "IQ1_M"},
    [30] = {"BF16", 1, 2, read_bf16},
    [34] = {.name = "TQ1_0"},
    [35] = {.name = "TQ2_0"},
    [39] = {.name = "MXFP4"},
};

bool cllm__gguf_type_known(uint32_t type) {
    return type < CLLM_LEN(FORMATS) && FORMATS[type].read != NULL;
}

const char *cllm__gguf_type_name(uint32_t type) {
    return type < CLLM_LEN(FORMATS) ? FORMATS[type].name : NULL;
}

size_t cllm__gguf_block_count(cllm__gguf_type type) {
    return FORMATS[type].count;
}

size_t cllm__gguf_block_bytes(cllm__gguf_type type) {
    return FORMATS[type].bytes;
}

void cllm__gguf_dequantise(cllm__gguf_type type, const void *data, size_t blocks, float *out) {
    const format *f = &FORMATS[type];
    const unsigned char *block = data;
    if (type == CLLM_GGUF_TYPE_F32) {
        if (blocks > 0) memcpy(out, data, blocks * sizeof *out);
        return;
    }
    for (size_t i = 0; i < blocks; i++) f->read(block + i * f->bytes, out + i * f->count);
}
