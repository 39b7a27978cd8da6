/* scipy.sparse matrices in compressed rows, out of an .npz file. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/npz.h"

void cllm__csr_free(cllm__csr *matrix) {
    cllm__free(matrix->indptr);
    cllm__free(matrix->indices);
    cllm__free(matrix->data);
    *matrix = (cllm__csr){0};
}

static bool is_integer(const cllm__array *a) {
    return a->type == CLLM_NPY_I32 || a->type == CLLM_NPY_I64;
}

static int64_t integer_at(const cllm__array *a, size_t i) {
    return a->type == CLLM_NPY_I32 ? ((const int32_t *)a->data)[i] : ((const int64_t *)a->data)[i];
}

static float number_at(const cllm__array *a, size_t i) {
    switch (a->type) {
    case CLLM_NPY_BOOL: return ((const uint8_t *)a->data)[i] != 0;
    case CLLM_NPY_I8: return ((const int8_t *)a->data)[i];
    case CLLM_NPY_U8: return ((const uint8_t *)a->data)[i];
    case CLLM_NPY_I16: return ((const int16_t *)a->data)[i];
    case CLLM_NPY_U16: return ((const uint16_t *)a->data)[i];
    case CLLM_NPY_I32: return (float)((const int32_t *)a->data)[i];
    case CLLM_NPY_U32: return (float)((const uint32_t *)a->data)[i];
    case CLLM_NPY_I64: return (float)((const int64_t *)a->data)[i];
    case CLLM_NPY_U64: return (float)((const uint64_t *)a->data)[i];
    case CLLM_NPY_F32: return ((const float *)a->data)[i];
    case CLLM_NPY_F64: return (float)((const double *)a->data)[i];
    default: return NAN;
    }
}

static cllm_status check_format(cllm__npz *file, const char *path, cllm_error *err) {
    if (!cllm__npz_has(file, "format")) {
        return cllm__fail(err, CLLM_ERR_DATA,
                          "'%s' is not a sparse matrix: it has no array 'format'; write it with scipy.sparse.save_npz",
                          path);
    }
    cllm__array format;
    CLLM_TRY(cllm__npz_read(file, "format", &format, err));
    char *text = NULL;
    cllm_status status = CLLM_OK;
    if (format.count != 1 || (format.type != CLLM_NPY_BYTES && format.type != CLLM_NPY_UNICODE)) {
        status = cllm__fail(err, CLLM_ERR_DATA, "'%s': the array 'format' is not one string", path);
    } else {
        status = cllm__array_string(&format, 0, &text, err);
    }
    if (status == CLLM_OK && strcmp(text, "csr") != 0) {
        status = cllm__fail(err, CLLM_ERR_UNSUPPORTED, "'%s' is a sparse matrix of format '%.20s': save its .tocsr()", path,
                            text);
    }
    cllm__free(text);
    cllm__array_free(&format);
    return status;
}

typedef struct parts {
    cllm__array shape, indptr, indices, data;
} parts;

static cllm_status check_parts(const parts *p, const char *path, cllm_error *err) {
    if (p->shape.rank != 1 || p->shape.count != 2 || !is_integer(&p->shape)) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': the array 'shape' is not two integers", path);
    }
    int64_t rows = integer_at(&p->shape, 0), columns = integer_at(&p->shape, 1);
    if (rows < 0 || columns < 0 || rows > INT32_MAX || columns > INT32_MAX) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': a matrix of %lld × %lld is out of range (0 to %d)", path,
                          (long long)rows, (long long)columns, INT32_MAX);
    }
    if (p->indptr.rank != 1 || !is_integer(&p->indptr) || p->indices.rank != 1 || !is_integer(&p->indices)) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': 'indptr' and 'indices' are not lists of 4- or 8-byte integers", path);
    }
    if (p->data.rank != 1 || p->data.type == CLLM_NPY_BYTES || p->data.type == CLLM_NPY_UNICODE) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': 'data' is not a list of numbers", path);
    }
    if (p->indptr.count != (size_t)rows + 1) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': 'indptr' has %zu members for %lld rows", path, p->indptr.count,
                          (long long)rows);
    }
    if (p->indices.count != p->data.count) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': 'indices' has %zu members and 'data' has %zu", path, p->indices.count,
                          p->data.count);
    }
    for (size_t i = 0; i < p->indptr.count; i++) {
        int64_t before = i == 0 ? 0 : integer_at(&p->indptr, i - 1), now = integer_at(&p->indptr, i);
        if ((i == 0 && now != 0) || now < before || (uint64_t)now > p->indices.count) {
            return cllm__fail(err, CLLM_ERR_DATA, "'%s': 'indptr' is %lld at row %zu, after %lld, with %zu entries in all",
                              path, (long long)now, i, (long long)before, p->indices.count);
        }
    }
    return CLLM_OK;
}

static cllm_status fill(cllm__csr *m, const parts *p, const char *path, cllm_error *err) {
    m->rows = (size_t)integer_at(&p->shape, 0);
    m->columns = (size_t)integer_at(&p->shape, 1);
    size_t entries = (size_t)integer_at(&p->indptr, m->rows), kept = 0;
    CLLM_TRY(CLLM_NEW(m->indptr, m->rows + 1, err));
    CLLM_TRY(CLLM_NEW(m->indices, entries, err));
    CLLM_TRY(CLLM_NEW(m->data, entries, err));
    for (size_t row = 0; row < m->rows; row++) {
        size_t end = (size_t)integer_at(&p->indptr, row + 1);
        for (size_t i = (size_t)integer_at(&p->indptr, row); i < end; i++) {
            int64_t column = integer_at(&p->indices, i);
            float value = number_at(&p->data, i);
            if (column < 0 || (uint64_t)column >= m->columns) {
                return cllm__fail(err, CLLM_ERR_DATA, "'%s': row %zu names column %lld of %zu", path, row,
                                  (long long)column, m->columns);
            }
            if (!isfinite(value)) {
                return cllm__fail(err, CLLM_ERR_DATA, "'%s': the value at row %zu, column %lld is %f: give a finite number",
                                  path, row, (long long)column, (double)value);
            }
            if (value == 0) {
                m->zeros++;
                continue;
            }
            m->indices[kept] = (int32_t)column;
            m->data[kept] = value;
            kept++;
        }
        m->indptr[row + 1] = (int64_t)kept;
    }
    return CLLM_OK;
}

static cllm_status read_parts(cllm__npz *file, const char *path, parts *p, cllm_error *err) {
    CLLM_TRY(check_format(file, path, err));
    CLLM_TRY(cllm__npz_read(file, "shape", &p->shape, err));
    CLLM_TRY(cllm__npz_read(file, "indptr", &p->indptr, err));
    CLLM_TRY(cllm__npz_read(file, "indices", &p->indices, err));
    CLLM_TRY(cllm__npz_read(file, "data", &p->data, err));
    return check_parts(p, path, err);
}

cllm_status cllm__csr_read(const char *path, cllm__csr *matrix, cllm_error *err) {
    cllm__npz *file;
    CLLM_TRY(cllm__npz_open(&file, path, err));
    parts p = {0};
    cllm__csr result = {0};
    cllm_status status = read_parts(file, path, &p, err);
    cllm__npz_close(file);
    if (status == CLLM_OK) status = fill(&result, &p, path, err);
    cllm__array_free(&p.shape);
    cllm__array_free(&p.indptr);
    cllm__array_free(&p.indices);
    cllm__array_free(&p.data);
    if (status != CLLM_OK) {
        cllm__csr_free(&result);
        return status;
    }
    *matrix = result;
    return CLLM_OK;
}
