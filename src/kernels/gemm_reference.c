/* Plain C: one sum for each element, in the order of k. The products of the double build. */
#include "kernels/gemm.h"

#ifdef CLLM_REF64

#include <stdint.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "kernels/blocks8.h"

struct cllm__weight {
    size_t k, n;
    cllm__dtype dtype;
    cllm__real *values; /* [k × n] */
};

/* bf16 products read their inputs rounded to bf16, here as elsewhere. */
static cllm__real rounded(cllm__real x, cllm__dtype dtype) {
    if (dtype != CLLM__BF16) return x;
    union {
        float value;
        uint32_t bits;
    } f = {.value = (float)x};
    if ((f.bits & 0x7fffffff) > 0x7f800000) return x;
    f.bits = (f.bits + 0x7fff + ((f.bits >> 16) & 1)) & 0xffff0000;
    return (cllm__real)f.value;
}

/* What 8 bits keep of the values. */
static cllm_status quantise(cllm__weight *weight, cllm_error *err) {
    cllm__blocks8 blocks;
    CLLM_TRY(cllm__blocks8_make(&blocks, weight->values, weight->n, weight->k, 1, weight->n, NULL, err));
    for (size_t j = 0; j < weight->n; j++)
        for (size_t p = 0; p < weight->k; p++) {
            size_t at = j * blocks.blocks * CLLM__BLOCK8 + p;
            weight->values[p * weight->n + j] = (cllm__real)blocks.scales[at / CLLM__BLOCK8] * blocks.values[at];
        }
    cllm__blocks8_free(&blocks);
    return CLLM_OK;
}

cllm_status cllm__weight_pack(cllm__weight **out, const cllm__real *values, size_t k, size_t n, bool transposed, cllm__dtype dtype,
                              cllm__pool *pool, cllm_error *err) {
    (void)pool;
    cllm__weight *weight;
    if (n != 0 && k > SIZE_MAX / n) return cllm__fail_nomem(err);
    CLLM_TRY(CLLM_NEW(weight, 1, err));
    weight->k = k;
    weight->n = n;
    weight->values = cllm__alloc(k * n, sizeof *weight->values);
    if (weight->values == NULL) {
        cllm__free(weight);
        return cllm__fail_nomem(err);
    }
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j++) weight->values[p * n + j] = rounded(transposed ? values[j * k + p] : values[p * n + j], dtype);
    weight->dtype = dtype;
    cllm_status status = dtype == CLLM__Q8_0 ? quantise(weight, err) : CLLM_OK;
    if (status == CLLM_OK) *out = weight;
    else cllm__weight_free(weight);
    return status;
}

cllm_status cllm__weight_turn(cllm__weight **out, const cllm__weight *weight, cllm_error *err) {
    if (weight->dtype != CLLM__Q8_0) return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "only matrices in 8 bits can be transposed after packing");
    return cllm__weight_pack(out, weight->values, weight->n, weight->k, true, CLLM__F32, NULL, err);
}

void cllm__weight_free(cllm__weight *weight) {
    if (weight == NULL) return;
    cllm__free(weight->values);
    cllm__free(weight);
}

size_t cllm__weight_rows(const cllm__weight *weight) {
    return weight->k;
}

size_t cllm__weight_columns(const cllm__weight *weight) {
    return weight->n;
}

size_t cllm__weight_bytes(const cllm__weight *weight) {
    return cllm__weight_size(weight->k, weight->n, weight->dtype);
}

size_t cllm__weight_size(size_t k, size_t n, cllm__dtype dtype) {
    (void)dtype;
    return k * n * sizeof(cllm__real);
}

uint64_t cllm__weight_hash(const cllm__weight *weight) {
    return cllm__hash(weight->values, cllm__weight_bytes(weight));
}

typedef struct product {
    size_t m, n, k;
    const cllm__real *a, *b, *bias;
    size_t row_a, column_a, row_b, column_b, ld_c;
    cllm__real *c;
    bool add;
    cllm__dtype dtype;
} product;

static void row_task(void *context, size_t i, int worker) {
    const product *run = context;
    cllm__real *c = run->c + i * run->ld_c;
    (void)worker;
    if (!run->add)
        for (size_t j = 0; j < run->n; j++) c[j] = 0;
    for (size_t p = 0; p < run->k; p++) {
        cllm__real x = rounded(run->a[i * run->row_a + p * run->column_a], run->dtype);
        const cllm__real *b = run->b + p * run->row_b;
        for (size_t j = 0; j < run->n; j++) c[j] += x * rounded(b[j * run->column_b], run->dtype);
    }
    if (run->bias != NULL)
        for (size_t j = 0; j < run->n; j++) c[j] += run->bias[j];
}

cllm_status cllm__gemm_frozen(cllm__pool *pool, cllm__real *y, size_t ld_y, const cllm__real *x, size_t ld_x, size_t m,
                              const cllm__weight *weight, const cllm__real *bias, cllm__gemm_flags flags, cllm_error *err) {
    (void)err;
    product run = {m, weight->n, weight->k, x, weight->values, bias, ld_x, 1, weight->n, 1, ld_y, y, flags == CLLM__GEMM_ADD, weight->dtype};
    cllm__pool_run(pool, m, row_task, &run);
    return CLLM_OK;
}

cllm_status cllm__gemm_frozen_columns(cllm__pool *pool, cllm__real *y, size_t ld_y, const cllm__real *x, size_t ld_x, size_t m,
                                      const cllm__weight *weight, size_t first, size_t count, cllm_error *err) {
    (void)err;
    CLLM_ASSERT(first % CLLM__GEMM_PANEL == 0 && count <= weight->n && first <= weight->n - count);
    product run = {m, count, weight->k, x, weight->values + first, NULL, ld_x, 1, weight->n, 1, ld_y, y, false, weight->dtype};
    cllm__pool_run(pool, m, row_task, &run);
    return CLLM_OK;
}

cllm_status cllm__gemm(cllm__pool *pool, bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const cllm__real *a,
                       size_t ld_a, const cllm__real *b, size_t ld_b, cllm__real beta, cllm__real *c, size_t ld_c,
                       cllm__dtype dtype, cllm_error *err) {
    (void)err;
    product run = {.m = m,
               .n = n,
               .k = k,
               .a = a,
               .b = b,
               .row_a = transpose_a ? 1 : ld_a,
               .column_a = transpose_a ? ld_a : 1,
               .row_b = transpose_b ? 1 : ld_b,
               .column_b = transpose_b ? ld_b : 1,
               .c = c,
               .ld_c = ld_c,
               .add = beta != 0,
               .dtype = dtype};
    cllm__pool_run(pool, m, row_task, &run);
    return CLLM_OK;
}

bool cllm__gemm_has_bf16(void) {
    return false;
}

const char *cllm__gemm_isa(void) {
    return "reference";
}

#else
typedef int cllm__gemm_reference_is_for_the_double_build;
#endif
