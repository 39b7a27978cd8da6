/* What the kernels' tests share: guarded buffers, random numbers of three families, and the bound that results are held to. */
#ifndef KERNEL_TEST_H
#define KERNEL_TEST_H

#define _DEFAULT_SOURCE /* MAP_ANONYMOUS; this header comes first */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"

/* ---- Buffers that end at a page which must not be touched, with another before them ---- */

#define GUARDED 64 /* buffers of a test */

typedef struct guards {
    void *map[GUARDED];
    size_t bytes[GUARDED];
    size_t count;
} guards;

/* `count` values whose last byte is the last before the guard page. */
static inline void *guarded(guards *g, size_t count, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), used = (count * size + page - 1) / page * page, bytes = used + 2 * page;
    assert_true(g->count < GUARDED);
    char *map = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    if (used > 0) assert_int_equal(mprotect(map + page, used, PROT_READ | PROT_WRITE), 0);
    g->map[g->count] = map;
    g->bytes[g->count++] = bytes;
    return map + page + used - count * size;
}

static inline float *guarded_floats(guards *g, size_t count) {
    return guarded(g, count, sizeof(float));
}

static inline void guards_free(guards *g) {
    for (size_t i = 0; i < g->count; i++) munmap(g->map[i], g->bytes[i]);
    g->count = 0;
}

/* ---- Numbers ---- */

typedef enum family { GAUSSIAN, POSITIVE, HEAVY, FAMILIES } family;

/* HEAVY: magnitudes over ten binades, every second value nearly cancelling the one before. */
static inline void fill(float *x, size_t n, family kind, uint64_t seed) {
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_TEST, (uint32_t)kind, n);
    for (size_t i = 0; i < n; i++) {
        double v = cllm__rng_normal(&rng);
        if (kind == POSITIVE) v = 0.5 + cllm__rng_uniform(&rng);
        if (kind == HEAVY) v = i % 2 == 1 ? -(double)x[i - 1] * (1 + 1e-3 * v) : v * exp2(10 * cllm__rng_uniform(&rng) - 5);
        x[i] = (float)v;
    }
}

#define ULP 0x1p-24

/* |got − want| ≤ c·2^-24·magnitude and some denormal units, and neither is NaN. */
#define assert_near(got, want, c, magnitude) \
    do { \
        double got_ = (double)(got), want_ = (double)(want), bound_ = (c) * ULP * (double)(magnitude) + 4e-44; \
        if (!(fabs(got_ - want_) <= bound_)) \
            fail_msg("%s: got %.9g, want %.9g, off by %.3g where %.3g is allowed", #got, got_, want_, fabs(got_ - want_), bound_); \
    } while (0)

static inline bool same_bits(const void *a, const void *b, size_t bytes) {
    return memcmp(a, b, bytes) == 0;
}

#endif
