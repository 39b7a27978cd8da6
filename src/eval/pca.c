#include "eval/pca.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>

#include "base/alloc.h"
#include "eval/blas.h"

/* Rows in one product. */
enum { BLOCK = 256 };
/* Variance along a direction, as a share of that along the first, below which it is rounding. */
static const double LEAST = 1e-6;

void cllm__pca_free(cllm__pca *pca) {
    cllm__free(pca->mean);
    cllm__free(pca->axes);
    *pca = (cllm__pca){0};
}

static bool is_in(const uint8_t *left_out, size_t row) {
    return left_out == NULL || left_out[row] == 0;
}

static cllm_status make_mean(cllm__pca *pca, const float *rows, const uint8_t *left_out, size_t n, size_t *rows_in, cllm_error *err) {
    double *sum;
    size_t count = 0;
    CLLM_TRY(CLLM_NEW(sum, pca->width, err));
    for (size_t i = 0; i < n; i++) {
        if (!is_in(left_out, i)) continue;
        for (size_t c = 0; c < pca->width; c++) sum[c] += (double)rows[i * pca->width + c];
        count++;
    }
    for (size_t c = 0; c < pca->width && count > 0; c++) pca->mean[c] = (float)(sum[c] / (double)count);
    cllm__free(sum);
    *rows_in = count;
    return CLLM_OK;
}

/* The lower half of covariance [width × width], but for the division by the rows; `block` is [BLOCK × width]. */
static void make_covariance(const cllm__pca *pca, const float *rows, const uint8_t *left_out, size_t n, double *block, double *covariance) {
    size_t width = pca->width, filled = 0;
    for (size_t i = 0; i <= n; i++) {
        if (filled == BLOCK || (i == n && filled > 0)) {
            cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)width, (int)filled, 1, block, (int)width, 1, covariance, (int)width);
            filled = 0;
        }
        if (i == n || !is_in(left_out, i)) continue;
        for (size_t c = 0; c < width; c++) block[filled * width + c] = (double)rows[i * width + c] - (double)pca->mean[c];
        filled++;
    }
}

static void set_axis(const double *vector, size_t width, double length, float *axis) {
    size_t largest = 0;
    for (size_t c = 1; c < width; c++) {
        if (fabs(vector[c]) > fabs(vector[largest])) largest = c;
    }
    if (vector[largest] < 0) length = -length;
    for (size_t c = 0; c < width; c++) axis[c] = (float)(length * vector[c]);
}

/* `count` rows; covariance is spoilt; values [width] and vectors [dims × width] are work space. */
static cllm_status make_axes(cllm__pca *pca, size_t dims, bool even, size_t count, double *covariance, double *values, double *vectors,
                             cllm_error *err) {
    lapack_int width = (lapack_int)pca->width, first = (lapack_int)(pca->width - dims) + 1, found = 0, *support;
    CLLM_TRY(CLLM_NEW(support, 2 * dims, err));
    /* What is the lower half by rows is the upper one by columns, and a vector then a row. */
    lapack_int info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'U', width, covariance, width, 0, 0, first, width, 0, &found, values, vectors,
                                     width, support);
    cllm__free(support);
    if (info == LAPACK_WORK_MEMORY_ERROR) return cllm__fail_nomem(err);
    if (info != 0 || found != (lapack_int)dims) {
        return cllm__fail(err, CLLM_ERR_FAILED, "principal components of rows of %zu numbers: LAPACK gave up (%d)", pca->width, (int)info);
    }
    for (size_t d = 0; d < dims; d++) {
        double value = values[dims - 1 - d];
        if (!(value > 0 && value >= LEAST * values[dims - 1])) break;
        set_axis(vectors + (dims - 1 - d) * pca->width, pca->width, even ? sqrt((double)count / value) : 1, pca->axes + d * pca->width);
        pca->dims = d + 1;
    }
    return CLLM_OK;
}

cllm_status cllm__pca_create(cllm__pca *pca, const float *rows, const uint8_t *left_out, size_t n, size_t width, size_t dims, bool even,
                             cllm_error *err) {
    double *covariance = NULL, *values = NULL, *work = NULL;
    size_t count;
    cllm_status status;
    int threads = cllm__blas_begin();
    CLLM_ASSERT(dims > 0);
    if (dims > width) dims = width;
    pca->width = width;
    size_t room = dims > BLOCK ? dims : BLOCK;
    CLLM_TRY_CLEAN(CLLM_NEW(pca->mean, width, err));
    CLLM_TRY_CLEAN(CLLM_NEW(pca->axes, dims * width, err));
    CLLM_TRY_CLEAN(CLLM_NEW(covariance, width * width, err));
    CLLM_TRY_CLEAN(CLLM_NEW(values, width, err));
    CLLM_TRY_CLEAN(CLLM_NEW(work, room * width, err));
    CLLM_TRY_CLEAN(make_mean(pca, rows, left_out, n, &count, err));
    make_covariance(pca, rows, left_out, n, work, covariance);
    CLLM_TRY_CLEAN(make_axes(pca, dims, even, count, covariance, values, work, err));
cleanup:
    cllm__blas_end(threads);
    cllm__free(covariance);
    cllm__free(values);
    cllm__free(work);
    return status;
}

void cllm__pca_apply(const cllm__pca *pca, const float *row, float *out) {
    for (size_t d = 0; d < pca->dims; d++) {
        const float *axis = pca->axes + d * pca->width;
        double sum = 0;
        for (size_t c = 0; c < pca->width; c++) sum += ((double)row[c] - (double)pca->mean[c]) * (double)axis[c];
        out[d] = (float)sum;
    }
}
