#include "api/bench_timing.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/host.h"
#include "kernels/peak.h"

/* What is slow is repeated at least this often, and no more once so many seconds have gone by. */
enum { FEWEST = 3, PATIENCE = 20 };

/* One repetition and the peak around it. */
typedef struct repetition {
    double seconds, floor;
    cllm__bench_peaks peaks;
} repetition;

static int compare_shares(const void *a, const void *b) {
    const repetition *x = a, *y = b;
    double difference = x->floor / x->seconds - y->floor / y->seconds;
    return (difference > 0) - (difference < 0);
}

/* Products in 8 bits are computed in f32. */
static double peak_now(const cllm__timing *t) {
    return 1e9 * cllm__peak_gflops(t->dtype == CLLM__BF16 ? CLLM__BF16 : CLLM__F32, t->pool);
}

/* `*count` repetitions, fewer if they are slow. */
static cllm_status repeat(const cllm__timing *t, repetition *runs, int *count, cllm__bench_peaks peaks, cllm_error *err) {
    int most = *count, done = 0;
    double began = cllm__now(), before = t->peaks != NULL ? peaks.flops : peak_now(t);
    while (done < most && (done < FEWEST || cllm__now() - began < PATIENCE)) {
        CLLM_TRY(cllm__check_cancelled(t->host, err));
        CLLM_TRY(t->run(t->context, &runs[done].seconds, err));
        double after = t->peaks != NULL ? before : peak_now(t);
        peaks.flops = (before + after) / 2;
        before = after;
        runs[done].peaks = peaks;
        runs[done].floor = t->floor(t->context, &peaks);
        done++;
    }
    *count = done;
    return CLLM_OK;
}

cllm_status cllm__bench_time(cllm__timed *out, const cllm__timing *t, int repeats, cllm_error *err) {
    repetition *runs = NULL;
    double warm_up;
    cllm_status status;
    CLLM_ASSERT(repeats >= 1);
    CLLM_TRY(CLLM_NEW(runs, (size_t)repeats, err));
    CLLM_TRY_CLEAN(t->run(t->context, &warm_up, err));
    cllm__bench_peaks peaks = t->peaks != NULL ? *t->peaks : (cllm__bench_peaks){0, 1e9 * cllm__peak_bandwidth(t->pool)};
    size_t allocations = cllm__alloc_count();
    CLLM_TRY_CLEAN(repeat(t, runs, &repeats, peaks, err));
    allocations = cllm__alloc_count() - allocations;
    qsort(runs, (size_t)repeats, sizeof *runs, compare_shares);
    const repetition *median = &runs[repeats / 2];
    *out = (cllm__timed){.seconds = median->seconds,
                         .floor = median->floor,
                         .best = median->seconds,
                         .peaks = median->peaks,
                         .repetitions = repeats,
                         .allocations = allocations};
    for (int r = 0; r < repeats; r++)
        if (runs[r].seconds < out->best) out->best = runs[r].seconds;
cleanup:
    cllm__free(runs);
    return status;
}
