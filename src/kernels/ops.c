/* Chooses the instruction set and splits rows and values among the workers. */
#include "kernels/ops.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/ops_table.h"

/* ---- Choosing ---- */

static const char *const g_names[] = {"baseline", "avx2", "avx512"};

/* The place of a name in g_names, or -1. */
static int level_of(const char *name) {
    for (size_t i = 0; i < CLLM_LEN(g_names); i++)
        if (strcmp(name, g_names[i]) == 0) return (int)i;
    return -1;
}

/* The highest level that this CPU, and its operating system, can run. */
static int level_of_cpu(void) {
#ifdef CLLM__OPS_X86
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return 2;
    if (avx2) return 1;
#endif
    return 0;
}

static const cllm__ops_table *table_of(int level) {
#ifdef CLLM__OPS_X86
    if (level == 2) return &cllm__ops_avx512;
    if (level == 1) return &cllm__ops_avx2;
#endif
    (void)level;
    return &cllm__ops_baseline;
}

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static int g_limit = 2;
static const cllm__ops_table *_Atomic g_table;

const cllm__ops_table *cllm__ops_table_for(const char *name) {
    int level = level_of(name);
    return level < 0 || level > level_of_cpu() ? NULL : table_of(level);
}

const cllm__ops_table *cllm__ops(void) {
    const cllm__ops_table *table = atomic_load_explicit(&g_table, memory_order_acquire);
    if (table != NULL) return table;
    pthread_mutex_lock(&g_mutex);
    const char *wanted = getenv("CLLM4REC_ISA");
    int level = level_of_cpu();
    if (level > g_limit) level = g_limit;
    if (wanted != NULL && wanted[0] != '\0') {
        int asked = level_of(wanted);
        if (asked < level) level = asked < 0 ? 0 : asked;
    }
    table = table_of(level);
    atomic_store_explicit(&g_table, table, memory_order_release);
    pthread_mutex_unlock(&g_mutex);
    return table;
}

const char *cllm__ops_isa(void) {
    return cllm__ops()->name;
}

cllm_status cllm__ops_check_isa(const char *name, cllm_error *err) {
    if (level_of(name) >= 0) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_USAGE, "unknown instruction set '%s': use baseline, avx2 or avx512", name);
}

cllm_status cllm__ops_set_isa(const char *name, cllm_error *err) {
    CLLM_TRY(cllm__ops_check_isa(name, err));
    pthread_mutex_lock(&g_mutex);
    bool used = atomic_load(&g_table) != NULL;
    if (!used) g_limit = level_of(name);
    pthread_mutex_unlock(&g_mutex);
    if (used) return cllm__fail(err, CLLM_ERR_USAGE, "the instruction set is in use already: choose '%s' before the first operation", name);
    return CLLM_OK;
}

/* ---- Splitting ---- */

/* A task should take some ten microseconds at least, and work that is no bigger than one stays on the caller. */
enum { VALUES_PER_TASK = 16384 };

typedef struct split {
    const cllm__ops_table *ops;
    void (*part)(const struct split *split, size_t first, size_t count);
    size_t total, step;
    cllm__real *y, *y2, *y3;
    const cllm__real *x, *x2, *x3, *x4, *x5;
    size_t columns;
    double number;
    uint64_t key;
} split;

static void split_task(void *context, size_t index, int worker) {
    const split *s = context;
    size_t first = index * s->step;
    (void)worker;
    s->part(s, first, s->total - first < s->step ? s->total - first : s->step);
}

/* Parts of whole rows, of about VALUES_PER_TASK values. */
static void run_split(cllm__pool *pool, split *s, size_t total, size_t columns) {
    if (total == 0) return;
    s->ops = cllm__ops();
    s->total = total;
    s->columns = columns;
    s->step = columns == 0 || columns >= VALUES_PER_TASK ? 1 : VALUES_PER_TASK / columns;
    size_t tasks = (total + s->step - 1) / s->step;
    cllm__pool_run(tasks == 1 ? NULL : pool, tasks, split_task, s);
}

/* ---- Norms ---- */

static void layernorm_part(const split *s, size_t t, size_t count) {
    size_t C = s->columns;
    s->ops->layernorm(s->y + t * C, s->y2 + t, s->y3 + t, s->x + t * C, s->x2, s->x3, s->number, count, C);
}

void cllm__layernorm(cllm__pool *pool, cllm__real *y, cllm__real *mean, cllm__real *rstd, const cllm__real *x,
                     const cllm__real *gain, const cllm__real *bias, double eps, size_t T, size_t C) {
    split s = {.part = layernorm_part, .y = y, .y2 = mean, .y3 = rstd, .x = x, .x2 = gain, .x3 = bias, .number = eps};
    run_split(pool, &s, T, C);
}

static void layernorm_backward_part(const split *s, size_t t, size_t count) {
    size_t C = s->columns;
    s->ops->layernorm_backward(s->y + t * C, s->x + t * C, s->x2 + t * C, s->x3 + t, s->x4 + t, s->x5, count, C);
}

void cllm__layernorm_backward(cllm__pool *pool, cllm__real *dx, const cllm__real *dy, const cllm__real *x, const cllm__real *mean,
                              const cllm__real *rstd, const cllm__real *gain, size_t T, size_t C) {
    split s = {.part = layernorm_backward_part, .y = dx, .x = dy, .x2 = x, .x3 = mean, .x4 = rstd, .x5 = gain};
    run_split(pool, &s, T, C);
}

static void rmsnorm_part(const split *s, size_t t, size_t count) {
    size_t C = s->columns;
    s->ops->rmsnorm(s->y + t * C, s->y2 + t, s->x + t * C, s->x2, s->number, count, C);
}

void cllm__rmsnorm(cllm__pool *pool, cllm__real *y, cllm__real *rstd, const cllm__real *x, const cllm__real *gain, double eps,
                   size_t T, size_t C) {
    split s = {.part = rmsnorm_part, .y = y, .y2 = rstd, .x = x, .x2 = gain, .number = eps};
    run_split(pool, &s, T, C);
}

static void rmsnorm_backward_part(const split *s, size_t t, size_t count) {
    size_t C = s->columns;
    s->ops->rmsnorm_backward(s->y + t * C, s->x + t * C, s->x2 + t * C, s->x3 + t, s->x4, count, C);
}

void cllm__rmsnorm_backward(cllm__pool *pool, cllm__real *dx, const cllm__real *dy, const cllm__real *x, const cllm__real *rstd,
                            const cllm__real *gain, size_t T, size_t C) {
    split s = {.part = rmsnorm_backward_part, .y = dx, .x = dy, .x2 = x, .x3 = rstd, .x4 = gain};
    run_split(pool, &s, T, C);
}

/* ---- Elementwise ---- */

static void gelu_part(const split *s, size_t i, size_t n) {
    s->ops->gelu(s->y + i, s->x + i, n);
}

void cllm__gelu(cllm__pool *pool, cllm__real *y, const cllm__real *x, size_t count) {
    split s = {.part = gelu_part, .y = y, .x = x};
    run_split(pool, &s, count, 1);
}

static void gelu_backward_part(const split *s, size_t i, size_t n) {
    s->ops->gelu_backward(s->y + i, s->x + i, n);
}

void cllm__gelu_backward(cllm__pool *pool, cllm__real *dy, const cllm__real *x, size_t count) {
    split s = {.part = gelu_backward_part, .y = dy, .x = x};
    run_split(pool, &s, count, 1);
}

static void swiglu_part(const split *s, size_t i, size_t n) {
    s->ops->swiglu(s->y + i, s->x + i, s->x2 + i, n);
}

void cllm__swiglu(cllm__pool *pool, cllm__real *y, const cllm__real *gate, const cllm__real *up, size_t count) {
    split s = {.part = swiglu_part, .y = y, .x = gate, .x2 = up};
    run_split(pool, &s, count, 1);
}

static void swiglu_backward_part(const split *s, size_t i, size_t n) {
    s->ops->swiglu_backward(s->y + i, s->y2 + i, s->x + i, s->x2 + i, s->x3 + i, n);
}

void cllm__swiglu_backward(cllm__pool *pool, cllm__real *dgate, cllm__real *dup, const cllm__real *dy, const cllm__real *gate,
                           const cllm__real *up, size_t count) {
    split s = {.part = swiglu_backward_part, .y = dgate, .y2 = dup, .x = dy, .x2 = gate, .x3 = up};
    run_split(pool, &s, count, 1);
}

static void add_part(const split *s, size_t i, size_t n) {
    s->ops->add(s->y + i, s->x + i, n);
}

void cllm__add(cllm__pool *pool, cllm__real *y, const cllm__real *x, size_t count) {
    split s = {.part = add_part, .y = y, .x = x};
    run_split(pool, &s, count, 1);
}

static void dropout_part(const split *s, size_t i, size_t n) {
    s->ops->dropout(s->y + i, i, n, s->number, s->key);
}

void cllm__dropout(cllm__pool *pool, cllm__real *x, size_t count, double p, uint64_t key) {
    split s = {.part = dropout_part, .y = x, .number = p, .key = key};
    if (p > 0) run_split(pool, &s, count, 1);
}

/* ---- On the caller ---- */

void cllm__softmax_take(cllm__softmax_state *state, const cllm__real *logits, size_t n) {
    cllm__ops()->softmax_take(state, logits, n);
}

double cllm__softmax_lse(const cllm__softmax_state *state) {
    return (double)state->maximum + log(state->sum);
}

void cllm__softmax_gradient(cllm__real *logits, size_t n, double lse, cllm__real weight) {
    cllm__ops()->softmax_gradient(logits, n, lse, weight);
}

void cllm__adam_step(cllm__real *p, cllm__real *m, cllm__real *v, const cllm__real *gradient, size_t n, cllm__adam adam, uint64_t t) {
    cllm__ops()->adam_step(p, m, v, gradient, n, adam, t);
}

double cllm__dot(const cllm__real *a, const cllm__real *b, size_t n) {
    return cllm__ops()->dot(a, b, n);
}

void cllm__axpy(cllm__real *y, cllm__real alpha, const cllm__real *x, size_t n) {
    cllm__ops()->axpy(y, alpha, x, n);
}

double cllm__distance2(const cllm__real *a, const cllm__real *b, size_t n) {
    return cllm__ops()->distance2(a, b, n);
}

void cllm__to_bf16(uint16_t *y, const float *x, size_t count) {
    cllm__ops()->to_bf16(y, x, count);
}

void cllm__from_bf16(float *y, const uint16_t *x, size_t count) {
    cllm__ops()->from_bf16(y, x, count);
}

void cllm__from_f16(float *y, const uint16_t *x, size_t count) {
    cllm__ops()->from_f16(y, x, count);
}
