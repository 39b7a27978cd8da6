/*
 * Principal components: rows of many columns seen along the few directions in which they differ most.
 *
 * The directions are eigenvectors of the covariance matrix, by falling eigenvalue, each with the sign that makes its largest entry
 * positive (of equal ones the first), and of length 1 or, on request, such that the rows have variance 1 along it. Sums go in the order of
 * the rows, on one thread: the bits depend on the rows alone.
 */
#ifndef CLLM_EVAL_PCA_H
#define CLLM_EVAL_PCA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct cllm__pca {
    size_t width, dims;
    float *mean; /* [width] */
    float *axes; /* [dims × width] */
} cllm__pca;

/* Of the rows [n × width] but for those that are nonzero in `left_out` [n] (NULL: none), at most `dims` ≥ 1 directions; fewer where the
 * rows do not differ in so many (variance below 1e-6 of that along the first): 0 if they are all the same, or none. `even`: with variance 1
 * along each. `pca` is {0} before and freed by the caller in every case. The rows are finite. */
CLLM_CHECK cllm_status cllm__pca_create(cllm__pca *pca, const float *rows, const uint8_t *left_out, size_t n, size_t width, size_t dims,
                                        bool even, cllm_error *err);
void cllm__pca_free(cllm__pca *pca);
/* out [dims]: the row, less the mean, along each direction. */
void cllm__pca_apply(const cllm__pca *pca, const float *row, float *out);

#endif
