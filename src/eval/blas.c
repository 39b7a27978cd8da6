#include "eval/blas.h"

#include <stddef.h>

#pragma weak openblas_set_num_threads
#pragma weak openblas_get_num_threads
#pragma weak openblas_get_corename
extern void openblas_set_num_threads(int threads);
extern int openblas_get_num_threads(void);
extern char *openblas_get_corename(void);

int cllm__blas_begin(void) {
    int threads = openblas_get_num_threads != NULL ? openblas_get_num_threads() : 0;
    if (openblas_set_num_threads != NULL) openblas_set_num_threads(1);
    return threads;
}

void cllm__blas_end(int before) {
    if (openblas_set_num_threads != NULL && before > 0) openblas_set_num_threads(before);
}

const char *cllm__blas_kernels(void) {
    return openblas_get_corename != NULL ? openblas_get_corename() : "";
}
