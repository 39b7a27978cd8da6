#include "eval/statistics.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"

/* Keys of the two kinds of random numbers: a resample of users, and signs for the permutation test. */
enum { RESAMPLE = 0, SIGNS = 1 };

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The q-quantile of sorted values, interpolated linearly. */
static double quantile(const double *sorted, size_t count, double q) {
    double at = q * (double)(count - 1);
    size_t below = (size_t)at;
    if (below + 1 >= count) return sorted[count - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

static cllm__interval interval_of(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return (cllm__interval){quantile(values, count, 0.025), quantile(values, count, 0.975)};
}

typedef struct resampling {
    const float *values;
    size_t n_users, count, rounds;
    uint64_t seed;
    double *means; /* [count × rounds] */
} resampling;

static void resample(void *context, size_t round, int worker) {
    (void)worker;
    resampling *r = context;
    cllm__rng rng = cllm__rng_make(r->seed, CLLM_RNG_BOOTSTRAP, RESAMPLE, round);
    for (size_t c = 0; c < r->count; c++) r->means[c * r->rounds + round] = 0;
    for (size_t i = 0; i < r->n_users; i++) {
        const float *user = r->values + (size_t)cllm__rng_below(&rng, r->n_users) * r->count;
        for (size_t c = 0; c < r->count; c++) r->means[c * r->rounds + round] += (double)user[c];
    }
    for (size_t c = 0; c < r->count; c++) r->means[c * r->rounds + round] /= (double)r->n_users;
}

cllm_status cllm__bootstrap(cllm__pool *pool, const float *values, size_t n_users, size_t count, size_t rounds,
                            uint64_t seed, cllm__interval *intervals, cllm_error *err) {
    CLLM_ASSERT(n_users > 0);
    if (rounds == 0) rounds = CLLM__BOOTSTRAP_ROUNDS;
    resampling r = {.values = values, .n_users = n_users, .count = count, .rounds = rounds, .seed = seed};
    CLLM_TRY(CLLM_NEW(r.means, count * rounds, err));
    cllm__pool_run(pool, rounds, resample, &r);
    for (size_t c = 0; c < count; c++) intervals[c] = interval_of(r.means + c * rounds, rounds);
    cllm__free(r.means);
    return CLLM_OK;
}

typedef struct flipping {
    const float *differences;
    size_t n_users;
    uint64_t seed;
    double *means; /* [rounds] */
} flipping;

static void flip_signs(void *context, size_t round, int worker) {
    (void)worker;
    flipping *f = context;
    cllm__rng rng = cllm__rng_make(f->seed, CLLM_RNG_BOOTSTRAP, SIGNS, round);
    double sum = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < f->n_users; i++, bits >>= 1) {
        if (i % 32 == 0) bits = cllm__rng_u32(&rng);
        sum += bits & 1 ? (double)f->differences[i] : -(double)f->differences[i];
    }
    f->means[round] = sum / (double)f->n_users;
}

cllm_status cllm__compare(cllm__pool *pool, const float *a, size_t stride_a, const float *b, size_t stride_b,
                          size_t n_users, size_t rounds, uint64_t seed, cllm__paired_test *test, cllm_error *err) {
    CLLM_ASSERT(n_users > 0);
    if (rounds == 0) rounds = CLLM__BOOTSTRAP_ROUNDS;
    cllm_status status = CLLM_OK;
    float *differences = cllm__alloc(n_users, sizeof *differences);
    double *means = cllm__alloc(rounds, sizeof *means);
    if (differences == NULL || means == NULL) {
        status = cllm__fail_nomem(err);
        goto cleanup;
    }
    double sum = 0;
    for (size_t u = 0; u < n_users; u++) {
        differences[u] = a[u * stride_a] - b[u * stride_b];
        sum += (double)differences[u];
    }
    cllm__paired_test made = {.difference = sum / (double)n_users};

    flipping flips = {.differences = differences, .n_users = n_users, .seed = seed, .means = means};
    cllm__pool_run(pool, rounds, flip_signs, &flips);
    /* Sums of the same numbers in other signs differ in rounding: what is equal up to that counts as equal. */
    double observed = fabs(made.difference) * (1 - 1e-12);
    size_t extreme = 1;
    for (size_t r = 0; r < rounds; r++) extreme += fabs(means[r]) >= observed;
    made.p_permutation = (double)extreme / (double)(rounds + 1);

    resampling r = {.values = differences, .n_users = n_users, .count = 1, .rounds = rounds, .seed = seed, .means = means};
    cllm__pool_run(pool, rounds, resample, &r);
    size_t below = 1, above = 1;
    for (size_t i = 0; i < rounds; i++) {
        below += means[i] <= 0;
        above += means[i] >= 0;
    }
    double p = 2 * (double)(below < above ? below : above) / (double)(rounds + 1), least = ldexp(1, 1 - (int)(n_users < 64 ? n_users : 64));
    if (p < least) p = least;
    made.p = p < 1 ? p : 1;
    made.interval = interval_of(means, rounds);
    *test = made;
cleanup:
    cllm__free(differences);
    cllm__free(means);
    return status;
}
