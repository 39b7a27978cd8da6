/*
 * One thread inside BLAS: OpenBLAS would start threads of its own inside each of ours, and its sums would depend on their
 * number. Other BLAS libraries have no such switch; they do as well without it.
 */
#ifndef CLLM_EVAL_BLAS_H
#define CLLM_EVAL_BLAS_H

/* Sets one thread and returns what cllm__blas_end() puts back. The switch belongs to the process: not while another thread
 * is between the two calls. */
int cllm__blas_begin(void);
void cllm__blas_end(int before);

/* The CPU whose kernels OpenBLAS took: "Haswell"; "" if this is another BLAS. */
const char *cllm__blas_kernels(void);

#endif
