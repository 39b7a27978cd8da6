#include <string.h>

#include "base/alloc.h"
#include "eval/baseline.h"

enum { BATCH = 256 };

typedef struct text_knn {
    const cllm__interactions *train;
    cllm__tfidf features; /* borrowed arrays */
    cllm__pool *pool;
    float *profiles; /* [workers × n_words], all zero between users */
} text_knn;

static void free_text_knn(void *context) {
    text_knn *t = context;
    cllm__free(t->profiles);
    cllm__free(t);
}

typedef struct scoring {
    const text_knn *model;
    const int32_t *users;
    float *scores;
} scoring;

/* The sum of cosines with the user's items is one product with the sum of their vectors. */
static void score_user(void *context, size_t row, int worker) {
    const scoring *s = context;
    const cllm__tfidf *f = &s->model->features;
    size_t user = (size_t)s->users[row], n = cllm__row_count(s->model->train, user);
    const int32_t *history = cllm__row(s->model->train, user);
    float *profile = s->model->profiles + (size_t)worker * f->n_words, *scores = s->scores + row * f->n_items;
    for (size_t h = 0; h < n; h++) {
        for (uint64_t e = f->start[history[h]]; e < f->start[history[h] + 1]; e++) profile[f->words[e]] += f->values[e];
    }
    for (size_t i = 0; i < f->n_items; i++) {
        float score = 0;
        for (uint64_t e = f->start[i]; e < f->start[i + 1]; e++) score += f->values[e] * profile[f->words[e]];
        scores[i] = score;
    }
    for (size_t h = 0; h < n; h++) {
        for (uint64_t e = f->start[history[h]]; e < f->start[history[h] + 1]; e++) profile[f->words[e]] = 0;
    }
}

static cllm_status score_text_knn(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    (void)err;
    const text_knn *t = context;
    scoring s = {t, users, scores};
    cllm__pool_run(t->pool, count, score_user, &s);
    return CLLM_OK;
}

cllm_status cllm__textknn_create(cllm__baseline *out, const cllm__interactions *train, const cllm__tfidf *features,
                                 cllm__pool *pool, cllm_error *err) {
    if (features->n_items != train->n_items) {
        return cllm__fail(err, CLLM_ERR_MISMATCH, "texts of %zu items for %zu items", features->n_items, train->n_items);
    }
    text_knn *t = cllm__zalloc(1, sizeof *t);
    float *profiles = cllm__zalloc((size_t)cllm__pool_threads(pool), features->n_words * sizeof *profiles);
    if (t == NULL || profiles == NULL) {
        cllm__free(t);
        cllm__free(profiles);
        return cllm__fail_nomem(err);
    }
    *t = (text_knn){train, *features, pool, profiles};
    *out = (cllm__baseline){.scorer = {.name = "textknn", .context = t, .score = score_text_knn, .batch = BATCH},
                            .free = free_text_knn};
    return CLLM_OK;
}
