#include <stdio.h>

#include "base/alloc.h"
#include "eval/baseline.h"
#include "eval/user_neighbours.h"

enum { BATCH = 256 };

typedef struct knn {
    cllm__user_neighbours index;
    cllm__neighbour_search *searches; /* one a thread */
    cllm__pool *pool;
} knn;

static void free_knn(void *context) {
    knn *k = context;
    if (k == NULL) return;
    for (int w = 0; k->searches != NULL && w < cllm__pool_threads(k->pool); w++) cllm__neighbour_search_free(&k->searches[w]);
    cllm__free(k->searches);
    cllm__user_neighbours_free(&k->index);
    cllm__free(k);
}

typedef struct scoring {
    const knn *model;
    const int32_t *users;
    float *scores;
} scoring;

static void score_user(void *context, size_t row, int worker) {
    const scoring *s = context;
    const cllm__user_neighbours *index = &s->model->index;
    size_t user = (size_t)s->users[row];
    cllm__user_neighbours_score(index, &s->model->searches[worker], cllm__row(index->train, user), cllm__row_count(index->train, user), s->users[row],
                                s->scores + row * index->train->n_items);
}

static cllm_status score_knn(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    (void)err;
    scoring s = {context, users, scores};
    cllm__pool_run(s.model->pool, count, score_user, &s);
    return CLLM_OK;
}

static cllm_status build(knn *k, const cllm__interactions *train, size_t neighbours, cllm_error *err) {
    int threads = cllm__pool_threads(k->pool);
    CLLM_TRY(cllm__user_neighbours_create(&k->index, train, neighbours, 0, err));
    CLLM_TRY(CLLM_NEW(k->searches, (size_t)threads, err));
    for (int w = 0; w < threads; w++) CLLM_TRY(cllm__neighbour_search_create(&k->searches[w], &k->index, err));
    return CLLM_OK;
}

cllm_status cllm__userknn_create(cllm__baseline *out, const cllm__interactions *train, size_t neighbours, cllm__pool *pool, cllm_error *err) {
    knn *model;
    if (neighbours == 0) return cllm__fail(err, CLLM_ERR_USAGE, "0 neighbours: give 1 or more");
    CLLM_TRY(CLLM_NEW(model, 1, err));
    model->pool = pool;
    cllm_status status = build(model, train, neighbours, err);
    if (status != CLLM_OK) {
        free_knn(model);
        return status;
    }
    *out = (cllm__baseline){.scorer = {.name = "userknn", .context = model, .score = score_knn, .batch = BATCH}, .free = free_knn};
    snprintf(out->parameters, sizeof out->parameters, "neighbours=%zu", neighbours);
    return CLLM_OK;
}
