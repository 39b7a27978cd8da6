#include "backbone/stored.h"

#include <math.h>

enum { CHUNK = 256 }; /* a whole number of blocks of every format */

size_t cllm__stored_count(const cllm__stored *stored) {
    return stored->rows * stored->columns;
}

/* The n ≤ CHUNK values from element `first` on, in the file's order; `first` is where a block begins. */
static void read_chunk(const cllm__gguf_tensor *t, size_t first, size_t n, float chunk[CHUNK]) {
    size_t count = cllm__gguf_block_count(t->type), bytes = cllm__gguf_block_bytes(t->type);
    cllm__gguf_dequantise(t->type, t->data + first / count * bytes, n / count, chunk);
}

/* The row that row `at` of the file belongs to. */
static size_t row_of(const cllm__stored *s, size_t at) {
    if (s->pairs == 0 || at % s->head >= 2 * s->pairs) return at;
    size_t j = at % s->head;
    return at - j + j / 2 + j % 2 * s->pairs;
}

static void read_blocks(const cllm__stored *s, cllm__real *out) {
    /* A vector of heads is a column: its values are permuted as rows are. */
    bool column = s->rows == 1 && s->pairs > 0;
    size_t rows = s->transposed ? s->columns : column ? 1 : s->rows, columns = s->transposed ? s->rows : s->columns;
    float chunk[CHUNK];
    for (size_t r = 0; r < rows; r++) {
        size_t to = column ? 0 : row_of(s, r);
        for (size_t first = 0; first < columns; first += CHUNK) {
            size_t n = columns - first < CHUNK ? columns - first : CHUNK;
            read_chunk(s->blocks, r * columns + first, n, chunk);
            if (s->transposed)
                for (size_t j = 0; j < n; j++) out[(first + j) * rows + to] = (cllm__real)chunk[j];
            else if (column)
                for (size_t j = 0; j < n; j++) out[row_of(s, first + j)] = (cllm__real)chunk[j];
            else
                for (size_t j = 0; j < n; j++) out[to * columns + first + j] = (cllm__real)chunk[j];
        }
    }
}

void cllm__stored_read(const cllm__stored *s, cllm__real *out) {
    if (s->blocks != NULL) {
        read_blocks(s, out);
    } else {
        cllm_status status = cllm__tensor_to_real(s->plain, out, NULL);
        (void)status; /* the type was checked when the tensor was found; there is nothing else to fail */
    }
}

void cllm__stored_row(const cllm__stored *s, size_t row, cllm__real *out) {
    CLLM_ASSERT(row < s->rows && !s->transposed && s->pairs == 0);
    if (s->blocks != NULL) {
        float chunk[CHUNK];
        for (size_t first = 0; first < s->columns; first += CHUNK) {
            size_t n = s->columns - first < CHUNK ? s->columns - first : CHUNK;
            read_chunk(s->blocks, row * s->columns + first, n, chunk);
            for (size_t j = 0; j < n; j++) out[first + j] = (cllm__real)chunk[j];
        }
        return;
    }
    const cllm__tensor *t = s->plain;
    cllm__tensor one = {.name = t->name, .dtype = t->dtype, .rank = 1, .shape = {s->columns}};
    one.bytes = s->columns * cllm__st_dtype_size(t->dtype);
    one.data = (const unsigned char *)t->data + row * one.bytes;
    cllm__stored_read(&(cllm__stored){.rows = 1, .columns = s->columns, .plain = &one}, out);
}

const cllm__real *cllm__stored_direct(const cllm__stored *s) {
    bool single = sizeof(cllm__real) == sizeof(float);
    if (s->plain != NULL)
        return s->plain->dtype == (single ? CLLM_ST_F32 : CLLM_ST_F64) && cllm__tensor_aligned(s->plain) ? s->plain->data
                                                                                                         : NULL;
    bool ours = single && s->blocks->type == CLLM_GGUF_TYPE_F32 && !s->transposed && s->pairs == 0;
    const void *data = s->blocks->data;
    return ours && (uintptr_t)data % sizeof(cllm__real) == 0 ? data : NULL;
}

const void *cllm__stored_bytes(const cllm__stored *s, size_t *size) {
    *size = s->plain != NULL ? s->plain->bytes : s->blocks->bytes;
    return s->plain != NULL ? s->plain->data : s->blocks->data;
}

cllm_status cllm__stored_check_finite(const cllm__stored *s, cllm_error *err) {
    if (s->plain != NULL) return cllm__tensor_check_finite(s->plain, err);
    const cllm__gguf_tensor *t = s->blocks;
    size_t row = (size_t)t->shape[t->rank - 1];
    char shown[CLLM_GGUF_SHOWN];
    float chunk[CHUNK];
    for (size_t begin = 0; begin < t->count; begin += row) {
        for (size_t first = 0; first < row; first += CHUNK) {
            size_t n = row - first < CHUNK ? row - first : CHUNK;
            read_chunk(t, begin + first, n, chunk);
            for (size_t j = 0; j < n; j++) {
                if (isfinite(chunk[j])) continue;
                return cllm__fail(err, CLLM_ERR_DATA,
                                  "element %zu of tensor '%s' is %f: the file is damaged, or its training diverged",
                                  begin + first + j, cllm__gguf_show(shown, t->name), (double)chunk[j]);
            }
        }
    }
    return CLLM_OK;
}
