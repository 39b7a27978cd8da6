/*
 * numpy's .npz (a zip of .npy arrays) and scipy's sparse matrices in it. Read: stored or deflated members, zip64, .npy 1.0
 * to 3.0, C order, little-endian or single-byte elements; never pickled objects. Write: stored, the same bytes each time.
 */
#ifndef CLLM_FORMATS_NPZ_H
#define CLLM_FORMATS_NPZ_H

#include <stdint.h>

#include "base/status.h"

typedef enum cllm__npy_type {
    CLLM_NPY_BOOL,
    CLLM_NPY_I8,
    CLLM_NPY_U8,
    CLLM_NPY_I16,
    CLLM_NPY_U16,
    CLLM_NPY_I32,
    CLLM_NPY_U32,
    CLLM_NPY_I64,
    CLLM_NPY_U64,
    CLLM_NPY_F32,
    CLLM_NPY_F64,
    CLLM_NPY_BYTES,  /* '|S12': fixed width, padded with NUL */
    CLLM_NPY_UNICODE /* '<U12': fixed width in 4-byte code points */
} cllm__npy_type;

enum { CLLM_NPY_RANK_MAX = 8 };

typedef struct cllm__array {
    cllm__npy_type type;
    size_t item;                       /* bytes of one element; 4 × width for UNICODE */
    size_t rank;                       /* 0: a scalar */
    uint64_t shape[CLLM_NPY_RANK_MAX]; /* outermost first, row-major */
    size_t count;                      /* elements */
    void *data;                        /* 64-byte aligned; NULL when empty */
} cllm__array;

/* ---- Reading ---- */
typedef struct cllm__npz cllm__npz;

CLLM_CHECK cllm_status cllm__npz_open(cllm__npz **out, const char *path, cllm_error *err);
void cllm__npz_close(cllm__npz *file); /* accepts NULL */
/* Arrays in the archive and their names, without ".npy"; borrowed. */
size_t cllm__npz_count(const cllm__npz *file);
const char *cllm__npz_name(const cllm__npz *file, size_t index);
bool cllm__npz_has(const cllm__npz *file, const char *name);
/* The array `name`; the caller frees it with cllm__array_free. */
CLLM_CHECK cllm_status cllm__npz_read(cllm__npz *file, const char *name, cllm__array *array, cllm_error *err);
void cllm__array_free(cllm__array *array);
/* The string at `index` of a BYTES or UNICODE array as UTF-8 (cllm__free). */
CLLM_CHECK cllm_status cllm__array_string(const cllm__array *array, size_t index, char **text, cllm_error *err);

/* A matrix in compressed sparse rows: row i has the entries indptr[i] … indptr[i + 1] - 1, in the order of the file. */
typedef struct cllm__csr {
    size_t rows, columns;
    int64_t *indptr;  /* rows + 1; indptr[0] = 0, never falling */
    int32_t *indices; /* in [0, columns) */
    float *data;      /* finite and not zero */
    size_t zeros;     /* explicit zeros that were dropped */
} cllm__csr;

/* Reads what scipy.sparse.save_npz wrote, format "csr". Everything is checked; a column that stands twice in a row is kept
 * twice. The caller frees with cllm__csr_free. */
CLLM_CHECK cllm_status cllm__csr_read(const char *path, cllm__csr *matrix, cllm_error *err);
void cllm__csr_free(cllm__csr *matrix);

/* ---- Writing ---- */
/* One array to write: `data` holds the product of `shape` elements of `type` (BOOL … F64); or, for CLLM_NPY_UNICODE,
 * pointers to that many NUL-terminated UTF-8 strings (const char *const *), written with the width of the longest. */
typedef struct cllm__npz_entry {
    const char *name; /* without ".npy" */
    cllm__npy_type type;
    size_t rank;
    uint64_t shape[CLLM_NPY_RANK_MAX];
    const void *data;
} cllm__npz_entry;

/* Writes the file atomically. */
CLLM_CHECK cllm_status cllm__npz_write(const char *path, const cllm__npz_entry *entries, size_t n, cllm_error *err);

#endif
