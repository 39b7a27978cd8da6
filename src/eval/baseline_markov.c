#include <stdio.h>

#include "base/alloc.h"
#include "eval/baseline.h"
#include "eval/transitions.h"

enum { BATCH = 256 };

typedef struct chain {
    cllm__transitions transitions;
    const cllm__interactions *train;
    cllm__pool *pool;
} chain;

static void free_chain(void *context) {
    chain *c = context;
    if (c == NULL) return;
    cllm__transitions_free(&c->transitions);
    cllm__free(c);
}

typedef struct scoring {
    const chain *model;
    const int32_t *users;
    float *scores;
} scoring;

static void score_user(void *context, size_t row, int worker) {
    (void)worker;
    const scoring *s = context;
    const cllm__interactions *train = s->model->train;
    size_t user = (size_t)s->users[row];
    cllm__transitions_score(&s->model->transitions, cllm__row(train, user), cllm__row_count(train, user), s->scores + row * train->n_items);
}

static cllm_status score_chain(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    (void)err;
    scoring s = {context, users, scores};
    cllm__pool_run(s.model->pool, count, score_user, &s);
    return CLLM_OK;
}

cllm_status cllm__markov_create(cllm__baseline *out, const cllm__interactions *train, double decay, double smoothing, cllm__pool *pool,
                                cllm_error *err) {
    chain *c;
    CLLM_TRY(CLLM_NEW(c, 1, err));
    c->train = train;
    c->pool = pool;
    cllm_status status = cllm__transitions_create(&c->transitions, train, decay, smoothing, err);
    if (status != CLLM_OK) {
        free_chain(c);
        return status;
    }
    *out = (cllm__baseline){.scorer = {.name = "markov", .context = c, .score = score_chain, .batch = BATCH}, .free = free_chain};
    snprintf(out->parameters, sizeof out->parameters, "decay=%g,smoothing=%g", decay, smoothing);
    return CLLM_OK;
}
