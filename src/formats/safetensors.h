/*
 * The safetensors format: a length (8 bytes, little-endian), a JSON header {name: {dtype, shape, data_offsets}}, the data.
 *
 * The reader maps the file and trusts nothing in it: header of at most 100 MB, known dtypes, no duplicate name, offsets
 * that fit the shape and follow one another without overlap or hole up to the end of the file, as the format demands.
 * An open file is immutable and may be shared by threads.
 */
#ifndef CLLM_FORMATS_SAFETENSORS_H
#define CLLM_FORMATS_SAFETENSORS_H

#include <stdint.h>

#include "base/real.h"
#include "base/status.h"

typedef enum cllm__st_dtype {
    CLLM_ST_F64,
    CLLM_ST_F32,
    CLLM_ST_F16,
    CLLM_ST_BF16,
    CLLM_ST_I64,
    CLLM_ST_I32,
    CLLM_ST_I16,
    CLLM_ST_I8,
    CLLM_ST_U64,
    CLLM_ST_U32,
    CLLM_ST_U16,
    CLLM_ST_U8,
    CLLM_ST_BOOL
} cllm__st_dtype;

enum { CLLM_ST_RANK_MAX = 8 };

typedef struct cllm__tensor {
    const char *name;
    cllm__st_dtype dtype;
    size_t rank;                      /* 0: a scalar */
    uint64_t shape[CLLM_ST_RANK_MAX]; /* outermost first, row-major */
    const void *data;                 /* little-endian; in a mapped file NOT always aligned: see cllm__tensor_aligned */
    size_t bytes;
} cllm__tensor;

/* "F32" */
const char *cllm__st_dtype_name(cllm__st_dtype dtype);
/* Bytes of one element. */
size_t cllm__st_dtype_size(cllm__st_dtype dtype);
/* F64, F32, F16, BF16. */
bool cllm__st_dtype_is_float(cllm__st_dtype dtype);
/* Elements: the product of the shape. (Of a tensor from a file it cannot overflow.) */
size_t cllm__tensor_count(const cllm__tensor *tensor);
/* "[2, 3]" for messages, cut short where it does not fit; returns `text`. */
const char *cllm__shape_text(char *text, size_t size, size_t rank, const uint64_t *shape);
/* Whether `data` may be read through a pointer to its elements; otherwise go through memcpy or a conversion below. */
bool cllm__tensor_aligned(const cllm__tensor *tensor);

/* ---- Reading ---- */
typedef struct cllm__safetensors cllm__safetensors;

CLLM_CHECK cllm_status cllm__safetensors_open(cllm__safetensors **out, const char *path, cllm_error *err);
/* Gives back the memory of what was read so far; everything stays readable. */
void cllm__safetensors_rest(const cllm__safetensors *file);
void cllm__safetensors_close(cllm__safetensors *file); /* accepts NULL; ends the life of all its tensors */
const char *cllm__safetensors_path(const cllm__safetensors *file);

/* Tensors in the order of their data. */
size_t cllm__safetensors_count(const cllm__safetensors *file);
const cllm__tensor *cllm__safetensors_at(const cllm__safetensors *file, size_t index);
/* NULL if there is none of that name. */
const cllm__tensor *cllm__safetensors_find(const cllm__safetensors *file, const char *name);
/* A string of the header's __metadata__, NULL if it isn't there. */
const char *cllm__safetensors_metadata(const cllm__safetensors *file, const char *key);

/* The tensor of that name if it has exactly this dtype and shape; otherwise CLLM_ERR_MISMATCH with both in the message
 * (CLLM_ERR_NOT_FOUND when there is none of that name). `shape` has `rank` members; UINT64_MAX in it means any. */
CLLM_CHECK cllm_status cllm__safetensors_require(const cllm__safetensors *file, const char *name, cllm__st_dtype dtype,
                                                 size_t rank, const uint64_t *shape, const cllm__tensor **tensor,
                                                 cllm_error *err);
/* The same for a tensor that may be F64, F32, F16 or BF16, to be read with cllm__tensor_to_real. */
CLLM_CHECK cllm_status cllm__safetensors_require_float(const cllm__safetensors *file, const char *name, size_t rank,
                                                       const uint64_t *shape, const cllm__tensor **tensor, cllm_error *err);

/* ---- Converting ---- */
/* All elements of an F64, F32, F16 or BF16 tensor into out[cllm__tensor_count]; F64 is rounded to nearest where the target
 * is narrower. Any value passes. Another dtype is CLLM_ERR_MISMATCH. */
CLLM_CHECK cllm_status cllm__tensor_to_f32(const cllm__tensor *tensor, float *out, cllm_error *err);
CLLM_CHECK cllm_status cllm__tensor_to_real(const cllm__tensor *tensor, cllm__real *out, cllm_error *err);
/* CLLM_ERR_DATA, naming tensor, place and value, if a floating-point tensor holds a NaN or an infinity. */
CLLM_CHECK cllm_status cllm__tensor_check_finite(const cllm__tensor *tensor, cllm_error *err);

/* ---- Writing ---- */
/* Writes the file atomically. The bytes depend on the contents alone: tensors stand in the order of falling element size,
 * then name (so each is aligned to its elements; the data begins at a multiple of 64 bytes), metadata by key. Names must
 * differ and be UTF-8, `bytes` must fit dtype and shape. `metadata` has 2 × n_pairs strings: key, value, key, value, … */
CLLM_CHECK cllm_status cllm__safetensors_write(const char *path, const cllm__tensor *tensors, size_t n,
                                               const char *const *metadata, size_t n_pairs, cllm_error *err);

#endif
