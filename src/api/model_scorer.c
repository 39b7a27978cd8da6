#include "api/model_scorer.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

void cllm__model_scorer_init(cllm__model_scorer *s, cllm__engine *engine, const cllm__tables *tables, const cllm__prompts *prompts,
                             const cllm__interactions *history, const uint8_t *hidden_items, uint64_t seed) {
    const cllm__backbone_info *info = cllm__backbone_info_of(cllm__engine_backbone(engine));
    *s = (cllm__model_scorer){
        .engine = engine, .tables = tables, .prompts = prompts, .history = history, .hidden_items = hidden_items, .seed = seed,
        .rules = {.space = {.vocab_rows = (int32_t)info->vocabulary, .n_users = (int32_t)tables->n_users, .n_items = (int32_t)tables->n_items},
                  .context = info->context},
    };
}

void cllm__model_scorer_of(cllm__model_scorer *s, const struct cllm_model *model, cllm__engine *engine, const cllm__interactions *history,
                           uint64_t seed, cllm__pool *pool) {
    cllm__model_scorer_init(s, engine, &model->collab, &model->run.prompts, history, model->hidden, seed);
    s->order_of_items = cllm__model_prompt_order(model);
    s->fusion = cllm__model_fusion(model);
    s->pool = pool;
}

void cllm__model_scorer_free(cllm__model_scorer *s) {
    cllm__batch_free(&s->batch);
    cllm__free(s->order);
    *s = (cllm__model_scorer){0};
}

static cllm_status score(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    cllm__model_scorer *s = context;
    cllm__batch_clear(&s->batch, CLLM__STAGE_PROMPT);
    for (size_t i = 0; i < count; i++) {
        size_t user = (size_t)users[i], n = cllm__row_count(s->history, user);
        CLLM_TRY(CLLM_GROW(s->order, s->order_capacity, n + 1, err));
        cllm__prompt_order(s->order, cllm__row(s->history, user), n, s->order_of_items, s->seed, users[i]);
        int32_t token = s->visitors ? -1 : s->token_of != NULL ? s->token_of[user] : users[i];
        CLLM_TRY(cllm__batch_add_prompt(&s->batch, &s->rules, s->prompts, token, s->order, n, err));
    }
    CLLM_TRY(cllm__engine_score(s->engine, s->tables, &s->batch, scores, err));
    size_t n_items = s->tables->n_items;
    CLLM_TRY(cllm__fusion_add(&s->fusion, &s->batch, &s->rules.space, scores, s->pool, err));
    if (s->hidden_items != NULL) {
        for (size_t item = 0; item < n_items; item++) {
            if (!s->hidden_items[item]) continue;
            for (size_t i = 0; i < count; i++) scores[i * n_items + item] = -INFINITY;
        }
    }
    return CLLM_OK;
}

cllm__scorer cllm__model_scorer_interface(cllm__model_scorer *s) {
    return (cllm__scorer){.name = "cllm4rec", .context = s, .score = score, .batch = CLLM__SCORE_BATCH};
}
