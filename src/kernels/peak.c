#include "kernels/peak.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "kernels/ops_table.h"
#include "kernels/peak_amx.h"
#include "kernels/peak_bf16.h"

enum { ROUNDS = 20000, TASKS = 32, REPEATS = 5 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct burst {
    double (*run)(size_t rounds); /* returns its operations */
    double operations[TASKS];
} burst;

static void burst_task(void *context, size_t index, int worker) {
    burst *b = context;
    (void)worker;
    b->operations[index] = b->run(ROUNDS);
}

double cllm__peak_gflops(cllm__dtype dtype, cllm__pool *pool) {
    burst b = {.run = cllm__ops()->fma_burst};
    double best = 0;
    if (dtype == CLLM__BF16 && cllm__gemm_has_bf16()) b.run = strstr(cllm__gemm_isa(), "amx") != NULL ? cllm__amx_burst : cllm__bf16_burst;
    for (int i = 0; i < REPEATS; i++) {
        double begin = now(), sum = 0;
        cllm__pool_run(pool, TASKS, burst_task, &b);
        double seconds = now() - begin;
        for (int t = 0; t < TASKS; t++) sum += b.operations[t];
        if (sum / seconds > best) best = sum / seconds;
    }
    return best * 1e-9;
}

enum { READ_MEGABYTES = 256, READ_TASKS = 256 };

typedef struct reading {
    const cllm__ops_table *ops;
    const cllm__real *values;
    size_t count; /* of a task */
    double sums[READ_TASKS];
} reading;

static void reading_task(void *context, size_t index, int worker) {
    reading *r = context;
    (void)worker;
    r->sums[index] = r->ops->read_burst(r->values + index * r->count, r->count);
}

double cllm__peak_bandwidth(cllm__pool *pool) {
    size_t bytes = (size_t)READ_MEGABYTES << 20;
    cllm__real *values = cllm__alloc(bytes, 1);
    if (values == NULL) return 0;
    memset(values, 0, bytes);
    reading r = {.ops = cllm__ops(), .values = values, .count = bytes / sizeof *values / READ_TASKS};
    double best = 0;
    for (int i = 0; i < REPEATS; i++) {
        double begin = now();
        cllm__pool_run(pool, READ_TASKS, reading_task, &r);
        double rate = (double)bytes / (now() - begin);
        if (rate > best) best = rate;
    }
    cllm__free(values);
    return best * 1e-9;
}
