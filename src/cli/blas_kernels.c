/*
 * OpenBLAS picks its kernels by a list of CPU models when it is loaded. Debian 12's (0.3.21) doesn't know later ones, and takes
 * those of 2004 for them: EASE is then six times slower. Only the environment of a new program overrules it.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#if defined(__x86_64__) && defined(__GNUC__)
#pragma weak openblas_get_corename
extern char *openblas_get_corename(void);

static const char *best_kernels(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "Haswell" : NULL;
}

void use_best_blas_kernels(char **argv) {
    static const char *const OLD[] = {"Prescott", "Core2", "Nehalem"};
    if (openblas_get_corename == NULL || getenv("OPENBLAS_CORETYPE") != NULL) return;
    const char *name = openblas_get_corename(), *best = best_kernels();
    bool old = false;
    for (size_t i = 0; i < sizeof OLD / sizeof OLD[0]; i++) old = old || strcmp(name, OLD[i]) == 0;
    /* If it cannot start again, it goes on slowly. */
    if (old && best != NULL && setenv("OPENBLAS_CORETYPE", best, 0) == 0) execv("/proc/self/exe", argv);
}
#else
void use_best_blas_kernels(char **argv) {
    (void)argv;
}
#endif
