#include "api/content_likelihood.h"

#include <math.h>

#include "base/alloc.h"
#include "base/host.h"
#include "base/rng.h"
#include "eval/statistics.h"

enum { BATCH = 64 };

/* Whose tokens a review's prompt has: its own, those of another review, nobody's. */
typedef enum whose { OWN, SHUFFLED, ABSENT } whose;

typedef struct measuring {
    cllm__corpus corpus;
    cllm__batch batch;
    size_t *partner; /* the review whose tokens a review receives when shuffled */
    float *nll[3];   /* per token, by review: by whose tokens the prompt has */
    size_t *length;  /* tokens of each review */
    double sum[3];
    uint64_t tokens;
} measuring;

static void measuring_free(measuring *m) {
    cllm__corpus_free(&m->corpus);
    cllm__batch_free(&m->batch);
    cllm__free(m->partner);
    cllm__free(m->length);
    for (size_t i = 0; i < CLLM_LEN(m->nll); i++) cllm__free(m->nll[i]);
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

static cllm_status measure(measuring *m, const struct cllm_model *model, const cllm__prompts *prompts, cllm__engine *engine, whose tokens,
                           const cllm_host *host, cllm_error *err) {
    static const char *const names[] = {"held-out reviews", "shuffled reviews", "reviews without tokens"};
    const cllm__backbone_info *info = cllm__backbone_info_of(model->run.backbone);
    cllm__batch_rules rules = {
        .space = {.vocab_rows = (int32_t)info->vocabulary, .n_users = (int32_t)model->content.n_users, .n_items = (int32_t)model->content.n_items},
        .predict_first = true, .context = info->context,
    };
    cllm__meter meter = cllm__meter_begin(host, names[tokens], "texts", (double)m->corpus.count);
    double nll[BATCH];
    size_t counts[BATCH];
    m->tokens = 0;
    for (size_t first = 0; first < m->corpus.count; first += BATCH) {
        size_t n = m->corpus.count - first < BATCH ? m->corpus.count - first : BATCH;
        cllm__batch_clear(&m->batch, CLLM__STAGE_CONTENT);
        for (size_t i = first; i < first + n; i++) {
            cllm__document document = cllm__corpus_at(&m->corpus, i);
            if (tokens == SHUFFLED) {
                document.user = m->corpus.users[m->partner[i]];
                document.item = m->corpus.items[m->partner[i]];
            }
            CLLM_TRY(cllm__batch_add_document(&m->batch, &rules, prompts, &document, err));
        }
        CLLM_TRY(cllm__engine_text_nll(engine, &model->content, &m->batch, nll, counts, err));
        for (size_t i = 0; i < n; i++) {
            m->nll[tokens][first + i] = (float)(nll[i] / (double)counts[i]);
            m->length[first + i] = counts[i];
            m->sum[tokens] += nll[i];
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

/* The likelihood of a token is a ratio r of two sums over reviews, Σ nll / Σ tokens. To first order it varies as the mean of
 * r + (nll − r · tokens) / mean tokens, whose value is r. */
static cllm_status ratio_intervals(cllm__interval intervals[2], const measuring *m, cllm__pool *pool, uint64_t seed, cllm_error *err) {
    size_t n = m->corpus.count;
    double mean_tokens = (double)m->tokens / (double)n;
    float *values;
    CLLM_TRY(CLLM_NEW(values, n * 2, err));
    for (size_t i = 0; i < n; i++) {
        for (size_t w = OWN; w <= SHUFFLED; w++) {
            double r = m->sum[w] / (double)m->tokens, tokens = (double)m->length[i];
            values[i * 2 + w] = (float)(r + ((double)m->nll[w][i] - r) * tokens / mean_tokens);
        }
    }
    cllm_status status = cllm__bootstrap(pool, values, n, 2, 0, seed, intervals, err);
    cllm__free(values);
    return status;
}

static cllm_status read_reviews(measuring *m, const struct cllm_model *model, cllm__split split, cllm__pool *pool, const cllm_host *host,
                                cllm_error *err) {
    cllm__corpus_options options = cllm__corpus_defaults(cllm__backbone_info_of(model->run.backbone)->context);
    options.kinds = 1u << CLLM__TEXT_REVIEW;
    options.split = split;
    options.max_text_tokens = (size_t)model->run.config.max_text_tokens;
    return cllm__corpus_build(&m->corpus, model->run.dataset, model->run.tokenizer, &model->run.prompts, options, pool, host, err);
}

static cllm_status run(measuring *m, struct json_object *result, const struct cllm_model *model, cllm__engine *engine, cllm__split split,
                       uint64_t seed, cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    CLLM_TRY(read_reviews(m, model, split, pool, host, err));
    size_t n = m->corpus.count;
    json_object_object_add(result, "split", json_object_new_string(split == CLLM__VALID ? "valid" : "test"));
    json_object_object_add(result, "reviews", json_object_new_int64((int64_t)n));
    if (n == 0) return CLLM_OK;
    CLLM_TRY(CLLM_NEW(m->nll[OWN], n, err));
    CLLM_TRY(CLLM_NEW(m->nll[SHUFFLED], n, err));
    CLLM_TRY(CLLM_NEW(m->length, n, err));
    CLLM_TRY(deal_partners(m, seed, err));
    CLLM_TRY(measure(m, model, &model->run.prompts, engine, OWN, host, err));
    CLLM_TRY(measure(m, model, &model->run.prompts, engine, SHUFFLED, host, err));
    cllm__paired_test test;
    CLLM_TRY(cllm__compare(pool, m->nll[SHUFFLED], 1, m->nll[OWN], 1, n, 0, seed, &test, err));
    cllm__interval intervals[2];
    CLLM_TRY(ratio_intervals(intervals, m, pool, seed, err));
    double tokens = (double)m->tokens, yes = m->sum[OWN] / tokens, no = m->sum[SHUFFLED] / tokens;
    json_object_object_add(result, "tokens", json_object_new_int64((int64_t)m->tokens));
    json_object_object_add(result, "nll", pair(yes, no));
    struct json_object *both = json_object_new_object();
    json_object_object_add(both, "true", cllm__json_range(intervals[OWN].low, intervals[OWN].high));
    json_object_object_add(both, "shuffled", cllm__json_range(intervals[SHUFFLED].low, intervals[SHUFFLED].high));
    json_object_object_add(result, "nll_intervals", both);
    json_object_object_add(result, "perplexity", pair(exp(yes), exp(no)));
    json_object_object_add(result, "difference", json_object_new_double(test.difference));
    json_object_object_add(result, "interval", cllm__json_range(test.interval.low, test.interval.high));
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

/* The templates, but for the review's, which has its words alone, in `words`. */
static cllm_status without_slots(cllm__prompts *prompts, int32_t **words, const cllm__prompts *from, cllm_error *err) {
    const cllm__prompt *review = &from->review;
    size_t n = 0;
    CLLM_TRY(CLLM_NEW(*words, review->length, err));
    for (size_t i = 0; i < review->length; i++) {
        if (review->pattern[i] >= 0) (*words)[n++] = review->pattern[i];
    }
    if (n == 0) return cllm__fail(err, CLLM_ERR_DATA, "the template '%.100s' has no words: nothing stands before a review without its tokens", review->text);
    *prompts = *from;
    prompts->review = (cllm__prompt){.text = review->text, .pattern = *words, .length = n};
    return CLLM_OK;
}

cllm_status cllm__content_likelihood_absent(double *nll, const struct cllm_model *model, cllm__engine *engine, cllm__split split,
                                            cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    measuring m = {0};
    cllm__prompts prompts; /* all of it borrowed */
    int32_t *words = NULL;
    cllm_status status;
    CLLM_TRY_CLEAN(without_slots(&prompts, &words, &model->run.prompts, err));
    CLLM_TRY_CLEAN(read_reviews(&m, model, split, pool, host, err));
    CLLM_TRY_CLEAN(CLLM_NEW(m.nll[ABSENT], m.corpus.count + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(m.length, m.corpus.count + 1, err));
    CLLM_TRY_CLEAN(measure(&m, model, &prompts, engine, ABSENT, host, err));
    *nll = m.tokens > 0 ? m.sum[ABSENT] / (double)m.tokens : NAN;
cleanup:
    measuring_free(&m);
    cllm__free(words);
    return status;
}
