#include "eval/factors.h"

#include <string.h>

#include "base/alloc.h"
#include "kernels/gemm.h"

enum { BATCH = 256 };

typedef struct factor_model {
    size_t n_items, factors;
    cllm__pool *pool;
    float *users, *bias; /* bias: NULL where there is none */
    float *batch;        /* [BATCH × factors]: the vectors of the users that are scored */
    cllm__weight *items; /* NULL without items or factors */
} factor_model;

static void free_factors(void *context) {
    factor_model *m = context;
    cllm__free(m->users);
    cllm__free(m->bias);
    cllm__free(m->batch);
    cllm__weight_free(m->items);
    cllm__free(m);
}

/* Products keep a row's bits whatever rows stand beside it (kernels/gemm.h). */
static cllm_status score_factors(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    factor_model *m = context;
    if (m->n_items == 0) return CLLM_OK;
    for (size_t first = 0; first < count; first += BATCH) {
        size_t rows = count - first < BATCH ? count - first : BATCH;
        for (size_t r = 0; r < rows; r++) {
            memcpy(m->batch + r * m->factors, m->users + (size_t)users[first + r] * m->factors,
                   m->factors * sizeof *m->batch);
        }
        CLLM_TRY(cllm__gemm_frozen(m->pool, scores + first * m->n_items, m->n_items, m->batch, m->factors, rows, m->items,
                                   m->bias, CLLM__GEMM_PLAIN, err));
    }
    return CLLM_OK;
}

static cllm_status fill(factor_model *m, const float *items, const float *bias, cllm_error *err) {
    CLLM_TRY(CLLM_NEW(m->batch, BATCH * m->factors, err));
    if (m->n_items == 0) return CLLM_OK;
    if (bias != NULL) {
        CLLM_TRY(CLLM_NEW(m->bias, m->n_items, err));
        memcpy(m->bias, bias, m->n_items * sizeof *bias);
    }
    return cllm__weight_pack(&m->items, items, m->factors, m->n_items, true, CLLM__F32, m->pool, err);
}

cllm_status cllm__factors_create(cllm__baseline *out, const char *name, float *users, const float *items, const float *bias,
                                 size_t n_items, size_t factors, cllm__pool *pool, cllm_error *err) {
    factor_model *m = cllm__zalloc(1, sizeof *m);
    if (m == NULL) {
        cllm__free(users);
        return cllm__fail_nomem(err);
    }
    *m = (factor_model){.n_items = n_items, .factors = factors, .pool = pool, .users = users};
    cllm_status status = fill(m, items, bias, err);
    if (status != CLLM_OK) {
        free_factors(m);
        return status;
    }
    *out = (cllm__baseline){.scorer = {.name = name, .context = m, .score = score_factors, .batch = BATCH},
                            .free = free_factors};
    return CLLM_OK;
}
