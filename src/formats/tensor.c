/* Values of safetensors tensors: conversion to float and double, and the search for what is not finite. */
#include <math.h>
#include <string.h>

#include "formats/half.h"
#include "formats/safetensors.h"

enum { BLOCK = 1024 };

static cllm_status check_float(const cllm__tensor *t, cllm_error *err) {
    if (cllm__st_dtype_is_float(t->dtype)) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_MISMATCH, "tensor '%s' is %s, but F32, F16, BF16 or F64 is expected", t->name,
                      cllm__st_dtype_name(t->dtype));
}

/* Elements [first, first + n), n ≤ BLOCK, of a floating-point tensor; the data may be unaligned. */
static void load(const cllm__tensor *t, size_t first, size_t n, double *out) {
    const unsigned char *from = (const unsigned char *)t->data + first * cllm__st_dtype_size(t->dtype);
    union {
        double f64[BLOCK];
        float f32[BLOCK];
        uint16_t u16[BLOCK];
    } block;
    memcpy(&block, from, n * cllm__st_dtype_size(t->dtype));
    if (t->dtype == CLLM_ST_F64) {
        for (size_t i = 0; i < n; i++) out[i] = block.f64[i];
    } else if (t->dtype == CLLM_ST_F32) {
        for (size_t i = 0; i < n; i++) out[i] = block.f32[i];
    } else if (t->dtype == CLLM_ST_F16) {
        for (size_t i = 0; i < n; i++) out[i] = cllm__half_to_float(block.u16[i]);
    } else {
        for (size_t i = 0; i < n; i++) out[i] = cllm__bfloat_to_float(block.u16[i]);
    }
}

cllm_status cllm__tensor_to_f32(const cllm__tensor *t, float *out, cllm_error *err) {
    CLLM_TRY(check_float(t, err));
    if (t->dtype == CLLM_ST_F32) {
        if (t->bytes > 0) memcpy(out, t->data, t->bytes);
        return CLLM_OK;
    }
    size_t count = cllm__tensor_count(t);
    double block[BLOCK];
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t n = count - first < BLOCK ? count - first : BLOCK;
        load(t, first, n, block);
        for (size_t i = 0; i < n; i++) out[first + i] = (float)block[i];
    }
    return CLLM_OK;
}

cllm_status cllm__tensor_to_real(const cllm__tensor *t, cllm__real *out, cllm_error *err) {
#ifdef CLLM_REF64
    CLLM_TRY(check_float(t, err));
    size_t count = cllm__tensor_count(t);
    for (size_t first = 0; first < count; first += BLOCK)
        load(t, first, count - first < BLOCK ? count - first : BLOCK, out + first);
    return CLLM_OK;
#else
    return cllm__tensor_to_f32(t, out, err);
#endif
}

cllm_status cllm__tensor_check_finite(const cllm__tensor *t, cllm_error *err) {
    CLLM_TRY(check_float(t, err));
    size_t count = cllm__tensor_count(t);
    double block[BLOCK];
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t n = count - first < BLOCK ? count - first : BLOCK;
        load(t, first, n, block);
        for (size_t i = 0; i < n; i++) {
            if (isfinite(block[i])) continue;
            return cllm__fail(err, CLLM_ERR_DATA,
                              "element %zu of tensor '%s' is %f: the file is damaged, or its training diverged", first + i,
                              t->name, block[i]);
        }
    }
    return CLLM_OK;
}
