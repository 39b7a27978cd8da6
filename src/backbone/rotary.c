#include "backbone/rotary.h"

#include <math.h>

#include "base/alloc.h"

cllm_status cllm__rotary_prepare(cllm__rotary *rotary, const cllm__architecture *a, const size_t *start, size_t sequences,
                                 cllm_error *err) {
    size_t width = a->rotary_width, longest = 0;
    if (width == 0) return CLLM_OK;
    for (size_t s = 0; s < sequences; s++)
        if (start[s + 1] - start[s] > longest) longest = start[s + 1] - start[s];
    CLLM_TRY(CLLM_GROW(rotary->table, rotary->capacity, longest * width, err));
    for (; rotary->positions < longest; rotary->positions++) {
        cllm__real *row = rotary->table + rotary->positions * width;
        for (size_t j = 0; j < width / 2; j++) {
            double angle = (double)rotary->positions * a->rotary[j];
            row[j] = (cllm__real)cos(angle);
            row[width / 2 + j] = (cllm__real)sin(angle);
        }
    }
    return CLLM_OK;
}

void cllm__rotary_free(cllm__rotary *rotary) {
    cllm__free(rotary->table);
    *rotary = (cllm__rotary){0};
}

typedef struct rotary_job {
    const cllm__rotary *rotary;
    cllm__real *qkv;
    const cllm__architecture *a;
    const size_t *start;
    cllm__real sign;
} rotary_job;

/* One task turns one sequence. */
static void rotary_task(void *context, size_t s, int worker) {
    (void)worker;
    const rotary_job *job = context;
    const cllm__architecture *a = job->a;
    size_t d = a->head_width, half = a->rotary_width / 2, heads = a->heads + a->kv_heads, ld = cllm__qkv_width(a);
    for (size_t t = job->start[s]; t < job->start[s + 1]; t++) {
        const cllm__real *cosine = job->rotary->table + (t - job->start[s]) * 2 * half, *sine = cosine + half;
        for (size_t head = 0; head < heads; head++) {
            cllm__real *restrict low = job->qkv + t * ld + head * d, *restrict high = low + half;
            for (size_t j = 0; j < half; j++) {
                cllm__real x = low[j], y = high[j], turn = job->sign * sine[j];
                low[j] = x * cosine[j] - y * turn;
                high[j] = y * cosine[j] + x * turn;
            }
        }
    }
}

void cllm__rotary_apply(const cllm__rotary *rotary, cllm__pool *pool, cllm__real *qkv, const cllm__architecture *a,
                        const size_t *start, size_t sequences, bool inverse) {
    if (a->rotary_width == 0) return;
    rotary_job job = {rotary, qkv, a, start, inverse ? -1 : 1};
    cllm__pool_run(pool, sequences, rotary_task, &job);
}
