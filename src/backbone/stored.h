/*
 * A tensor as it lies in a file: its number format and the order of its values, and reading it in the order of a Hugging
 * Face checkpoint, which is the one that families ask for.
 */
#ifndef CLLM_BACKBONE_STORED_H
#define CLLM_BACKBONE_STORED_H

#include "base/real.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"

typedef struct cllm__stored {
    size_t rows, columns;            /* as asked for; a vector has one row */
    const cllm__tensor *plain;       /* in a safetensors file, or */
    const cllm__gguf_tensor *blocks; /* in a GGUF file */
    /* Orders that only GGUF files have. */
    bool transposed;    /* the file holds [columns × rows] */
    size_t head, pairs; /* in each `head` rows (values of a vector) the first 2·pairs are adjacent pairs of what
                         * belongs to rows j and j + pairs; 0: no heads */
} cllm__stored;

size_t cllm__stored_count(const cllm__stored *stored);
/* All values into out[rows × columns]. */
void cllm__stored_read(const cllm__stored *stored, cllm__real *out);
/* One row of a tensor that is stored in order. */
void cllm__stored_row(const cllm__stored *stored, size_t row, cllm__real *out);
/* The values where they lie, if they are in order, of our type and aligned; otherwise NULL. */
const cllm__real *cllm__stored_direct(const cllm__stored *stored);
/* The bytes of the file. */
const void *cllm__stored_bytes(const cllm__stored *stored, size_t *size);
/* CLLM_ERR_DATA, naming tensor, place and value, if there is a NaN or an infinity. */
CLLM_CHECK cllm_status cllm__stored_check_finite(const cllm__stored *stored, cllm_error *err);

#endif
