#include "backbone/decoder.h"

#include <string.h>

#include "backbone/family.h"
#include "backbone/rotary.h"
#include "base/alloc.h"
#include "kernels/ops.h"

struct cllm__decoder {
    const cllm__backbone *backbone;
    cllm__pool *pool;
    cllm__rotary rotary;
    size_t capacity, length;
    cllm__real **qkv;      /* [layers][capacity × Q]: of the tokens so far, queries unused */
    cllm__real *stream;    /* [capacity × C] the new rows' residual stream */
    cllm__real *normed;    /* [capacity × C] */
    cllm__real *attended;  /* [capacity × A] by position */
    cllm__real *up, *gate, *activated; /* [capacity × I]; with a gate: three */
    cllm__real *mean, *rstd;
};

static cllm_status new_numbers(cllm__real **out, size_t rows, size_t width, cllm_error *err) {
    *out = cllm__alloc(rows * width, sizeof **out);
    return *out != NULL ? CLLM_OK : cllm__fail_nomem(err);
}

static cllm_status set_up(cllm__decoder *d, cllm_error *err) {
    const cllm__architecture *a = &d->backbone->architecture;
    const size_t whole[] = {0, d->capacity};
    CLLM_TRY(cllm__rotary_prepare(&d->rotary, a, whole, 1, err));
    CLLM_TRY(CLLM_NEW(d->qkv, a->layers, err));
    for (size_t i = 0; i < a->layers; i++) CLLM_TRY(new_numbers(&d->qkv[i], d->capacity, cllm__qkv_width(a), err));
    CLLM_TRY(new_numbers(&d->stream, d->capacity, a->width, err));
    CLLM_TRY(new_numbers(&d->normed, d->capacity, a->width, err));
    CLLM_TRY(new_numbers(&d->attended, d->capacity, cllm__attention_width(a), err));
    CLLM_TRY(new_numbers(&d->up, d->capacity, a->inner, err));
    if (a->activation == CLLM__SWIGLU) {
        CLLM_TRY(new_numbers(&d->gate, d->capacity, a->inner, err));
        CLLM_TRY(new_numbers(&d->activated, d->capacity, a->inner, err));
    }
    CLLM_TRY(new_numbers(&d->mean, d->capacity, 1, err));
    return new_numbers(&d->rstd, d->capacity, 1, err);
}

cllm_status cllm__decoder_create(cllm__decoder **out, const cllm__backbone *backbone, size_t capacity, cllm__pool *pool, cllm_error *err) {
    cllm__decoder *d;
    if (capacity < 1 || capacity > backbone->architecture.context)
        return cllm__fail(err, CLLM_ERR_USAGE, "a sequence of %zu tokens: the backbone takes 1 to %zu", capacity, backbone->architecture.context);
    CLLM_TRY(cllm__backbone_can_compute(backbone, err));
    CLLM_TRY(CLLM_NEW(d, 1, err));
    d->backbone = backbone;
    d->pool = pool;
    d->capacity = capacity;
    cllm_status status = set_up(d, err);
    if (status == CLLM_OK) *out = d;
    else cllm__decoder_free(d);
    return status;
}

void cllm__decoder_free(cllm__decoder *d) {
    if (d == NULL) return;
    for (size_t i = 0; d->qkv != NULL && i < d->backbone->architecture.layers; i++) cllm__free(d->qkv[i]);
    cllm__real *all[] = {d->stream, d->normed, d->attended, d->up, d->gate, d->activated, d->mean, d->rstd};
    for (size_t i = 0; i < CLLM_LEN(all); i++) cllm__free(all[i]);
    cllm__free(d->qkv);
    cllm__rotary_free(&d->rotary);
    cllm__free(d);
}

size_t cllm__decoder_length(const cllm__decoder *d) {
    return d->length;
}

void cllm__decoder_rewind(cllm__decoder *d, size_t length) {
    CLLM_ASSERT(length <= d->length);
    d->length = length;
}

void cllm__decoder_copy(cllm__decoder *to, const cllm__decoder *from) {
    const cllm__architecture *a = &from->backbone->architecture;
    CLLM_ASSERT(to->backbone == from->backbone && from->length <= to->capacity);
    for (size_t i = 0; i < a->layers; i++) memcpy(to->qkv[i], from->qkv[i], from->length * cllm__qkv_width(a) * sizeof **to->qkv);
    to->length = from->length;
}

static cllm_status linear(cllm__decoder *d, cllm__real *y, size_t ld_y, const cllm__real *x, size_t ld_x, size_t rows,
                          const cllm__linear *layer, cllm__gemm_flags flags, cllm_error *err) {
    return cllm__gemm_frozen(d->pool, y, ld_y, x, ld_x, rows, layer->weight, layer->bias, flags, err);
}

static void norm(cllm__decoder *d, cllm__real *y, const cllm__real *x, const cllm__norm *layer, size_t rows) {
    cllm__norm_forward(d->pool, &d->backbone->architecture, layer, y, d->mean, d->rstd, x, rows);
}

static cllm_status attend(cllm__decoder *d, const cllm__layer *layer, cllm__real *qkv, size_t rows, cllm_error *err) {
    const cllm__architecture *a = &d->backbone->architecture;
    size_t A = cllm__attention_width(a), Q = cllm__qkv_width(a), C = a->width, first = d->length;
    const size_t fresh[] = {0, rows}, whole[] = {0, first + rows};
    cllm__real *to = qkv + first * Q;
    norm(d, d->normed, d->stream, &layer->norm1, rows);
    CLLM_TRY(linear(d, to, Q, d->normed, C, rows, &layer->query, CLLM__GEMM_PLAIN, err));
    CLLM_TRY(linear(d, to + A, Q, d->normed, C, rows, &layer->key_value, CLLM__GEMM_PLAIN, err));
    /* The rotations from the first new position on. */
    cllm__rotary later = d->rotary;
    if (a->rotary_width > 0) later.table += first * a->rotary_width;
    cllm__rotary_apply(&later, d->pool, to, a, fresh, 1, false);
    const cllm__attention_shape shape = {a->heads, a->kv_heads, a->head_width, layer->attention_scale};
    CLLM_TRY(cllm__attention(d->pool, d->attended, NULL, qkv, shape, 1, whole, &first, err));
    return linear(d, d->stream, C, d->attended + first * A, A, rows, &layer->projection, CLLM__GEMM_ADD, err);
}

static cllm_status transform(cllm__decoder *d, const cllm__layer *layer, size_t rows, cllm_error *err) {
    const cllm__architecture *a = &d->backbone->architecture;
    size_t C = a->width, I = a->inner;
    norm(d, d->normed, d->stream, &layer->norm2, rows);
    CLLM_TRY(linear(d, d->up, I, d->normed, C, rows, &layer->up, CLLM__GEMM_PLAIN, err));
    if (a->activation == CLLM__SWIGLU) {
        CLLM_TRY(linear(d, d->gate, I, d->normed, C, rows, &layer->gate, CLLM__GEMM_PLAIN, err));
        cllm__swiglu(d->pool, d->activated, d->gate, d->up, rows * I);
    } else {
        cllm__gelu(d->pool, d->up, d->up, rows * I);
    }
    return linear(d, d->stream, C, d->activated != NULL ? d->activated : d->up, I, rows, &layer->down, CLLM__GEMM_ADD, err);
}

cllm_status cllm__decoder_extend(cllm__decoder *d, const cllm__real *x, size_t rows, cllm__real *h, cllm_error *err) {
    const cllm__backbone *backbone = d->backbone;
    size_t C = backbone->architecture.width;
    CLLM_ASSERT(rows >= 1);
    if (rows > d->capacity - d->length)
        return cllm__fail(err, CLLM_ERR_USAGE, "%zu more tokens after %zu: there is room for %zu in all", rows, d->length, d->capacity);
    memcpy(d->stream, x, rows * C * sizeof *x);
    if (backbone->positions != NULL) cllm__add(d->pool, d->stream, backbone->positions + d->length * C, rows * C);
    for (size_t i = 0; i < backbone->architecture.layers; i++) {
        CLLM_TRY(attend(d, &backbone->layers[i], d->qkv[i], rows, err));
        CLLM_TRY(transform(d, &backbone->layers[i], rows, err));
    }
    norm(d, h, d->stream + (rows - 1) * C, &backbone->final_norm, 1);
    d->length += rows;
    return CLLM_OK;
}
