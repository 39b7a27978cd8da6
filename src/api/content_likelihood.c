#include "api/content_likelihood.h"

#include <math.h>

#include "base/alloc.h"
#include "base/host.h"
#include "base/rng.h"
#include "eval/statistics.h"

enum { BATCH = 64 };

typedef struct measuring {
    cllm__corpus corpus;
    cllm__batch batch;
    size_t *partner; /* the review whose tokens a review receives when shuffled */
    float *nll[2];   /* per token, by review: true, shuffled */
    double sum[2];
    uint64_t tokens;
} measuring;

static void measuring_free(measuring *m) {
    cllm__corpus_free(&m->corpus);
    cllm__batch_free(&m->batch);
    cllm__free(m->partner);
    cllm__free(m->nll[0]);
    cllm__free(m->nll[1]);
}

/* A random order read as one cycle: nobody keeps his own. */
static cllm_status deal_partners(measuring *m, uint64_t seed, cllm_error *err) {
    size_t n = m->corpus.count, *order;
    CLLM_TRY(CLLM_NEW(m->partner, n + 1, err));
    CLLM_TRY(CLLM_NEW(order, n + 1, err));
    for (size_t i = 0; i < n; i++) order[i] = i;
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_PROMPT, 1, 0);
    cllm__rng_shuffle_size(&rng, order, n);
    for (size_t i = 0; i < n; i++) m->partner[order[i]] = order[(i + 1) % n];
    cllm__free(order);
    return CLLM_OK;
}

static cllm_status measure(measuring *m, const struct cllm_model *model, cllm__engine *engine, bool shuffled, const cllm_host *host, cllm_error *err) {
    const cllm__backbone_info *info = cllm__backbone_info_of(model->run.backbone);
    cllm__batch_rules rules = {
        .space = {.vocab_rows = (int32_t)info->vocabulary, .n_users = (int32_t)model->content.n_users, .n_items = (int32_t)model->content.n_items},
        .predict_first = true, .context = info->context,
    };
    cllm__meter meter = cllm__meter_begin(host, shuffled ? "shuffled reviews" : "held-out reviews", "texts", (double)m->corpus.count);
    double nll[BATCH];
    size_t counts[BATCH];
    m->tokens = 0;
    for (size_t first = 0; first < m->corpus.count; first += BATCH) {
        size_t n = m->corpus.count - first < BATCH ? m->corpus.count - first : BATCH;
        cllm__batch_clear(&m->batch, CLLM__STAGE_CONTENT);
        for (size_t i = first; i < first + n; i++) {
            cllm__document document = cllm__corpus_at(&m->corpus, i);
            if (shuffled) {
                document.user = m->corpus.users[m->partner[i]];
                document.item = m->corpus.items[m->partner[i]];
            }
            CLLM_TRY(cllm__batch_add_document(&m->batch, &rules, &model->run.prompts, &document, err));
        }
        CLLM_TRY(cllm__engine_text_nll(engine, &model->content, &m->batch, nll, counts, err));
        for (size_t i = 0; i < n; i++) {
            m->nll[shuffled][first + i] = (float)(nll[i] / (double)counts[i]);
            m->sum[shuffled] += nll[i];
            m->tokens += counts[i];
        }
        cllm__meter_update(&meter, (double)(first + n), NULL);
        CLLM_TRY(cllm__check_cancelled(host, err));
    }
    cllm__meter_end(&meter, (double)m->corpus.count, NULL);
    return CLLM_OK;
}

static struct json_object *pair(double a, double b) {
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "true", json_object_new_double(a));
    json_object_object_add(object, "shuffled", json_object_new_double(b));
    return object;
}

static cllm_status run(measuring *m, struct json_object *result, const struct cllm_model *model, cllm__engine *engine, cllm__split split,
                       uint64_t seed, cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    cllm__corpus_options options = cllm__corpus_defaults(cllm__backbone_info_of(model->run.backbone)->context);
    options.kinds = 1u << CLLM__TEXT_REVIEW;
    options.split = split;
    options.max_text_tokens = (size_t)model->run.config.max_text_tokens;
    CLLM_TRY(cllm__corpus_build(&m->corpus, model->run.dataset, model->run.tokenizer, &model->run.prompts, options, pool, host, err));
    size_t n = m->corpus.count;
    json_object_object_add(result, "split", json_object_new_string(split == CLLM__VALID ? "valid" : "test"));
    json_object_object_add(result, "reviews", json_object_new_int64((int64_t)n));
    if (n == 0) return CLLM_OK;
    CLLM_TRY(CLLM_NEW(m->nll[0], n, err));
    CLLM_TRY(CLLM_NEW(m->nll[1], n, err));
    CLLM_TRY(deal_partners(m, seed, err));
    CLLM_TRY(measure(m, model, engine, false, host, err));
    CLLM_TRY(measure(m, model, engine, true, host, err));
    cllm__paired_test test;
    CLLM_TRY(cllm__compare(pool, m->nll[1], 1, m->nll[0], 1, n, 0, seed, &test, err));
    double tokens = (double)m->tokens, yes = m->sum[0] / tokens, no = m->sum[1] / tokens;
    struct json_object *interval = json_object_new_array();
    json_object_array_add(interval, json_object_new_double(test.interval.low));
    json_object_array_add(interval, json_object_new_double(test.interval.high));
    json_object_object_add(result, "tokens", json_object_new_int64((int64_t)m->tokens));
    json_object_object_add(result, "nll", pair(yes, no));
    json_object_object_add(result, "perplexity", pair(exp(yes), exp(no)));
    json_object_object_add(result, "difference", json_object_new_double(test.difference));
    json_object_object_add(result, "interval", interval);
    json_object_object_add(result, "p", json_object_new_double(test.p));
    return CLLM_OK;
}

cllm_status cllm__content_likelihood(struct json_object **out, const struct cllm_model *model, cllm__engine *engine, cllm__split split,
                                     uint64_t seed, cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    measuring m = {0};
    struct json_object *result = json_object_new_object();
    cllm_status status = run(&m, result, model, engine, split, seed, pool, host, err);
    measuring_free(&m);
    if (status == CLLM_OK) *out = result;
    else json_object_put(result);
    return status;
}
