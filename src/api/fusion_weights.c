#include "api/fusion_weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/model_scorer.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/rng.h"
#include "eval/evaluate.h"

/* MOST_USERS: whose validation rows are looked at. CHUNK_BYTES: of scores, a chunk's. CANDIDATES: the weights at hand and the changes to each of them. */
enum { MOST_USERS = 20000, CHUNK_BYTES = 256 << 20, ROUNDS = 10, CHANGES = 4, CANDIDATES = 1 + CHANGES * CLLM__FUSION_PARTS, CUTOFF = 100 };
static const double FACTORS[CHANGES] = {0.25, 0.5, 2, 4}, FROM_NOTHING[CHANGES] = {0.05, 0.2, 0.8, 3};
static const double STANDS_OUT = 3; /* standard errors */
static const double LARGEST = 1e6;

static const char *name_of(int part) {
    return cllm__fusion_part_name((cllm__fusion_part)part);
}

bool cllm__fusion_weights_are_chosen(const cllm__train_config *config, const cllm__dataset *dataset) {
    return config->part_weights_chosen && cllm__dataset_interactions(dataset, CLLM__VALID)->count > 0 &&
           cllm__dataset_interactions(dataset, CLLM__TEST)->count > 0;
}

cllm_status cllm__fusion_weights_read(double weights[CLLM__FUSION_PARTS], const cllm__run *run, cllm_error *err) {
    const cllm__train_config *config = &run->config;
    struct json_object *chosen = cllm__json_at(run->manifest, "part_weights");
    weights[CLLM__PART_LINEAR] = config->linear_weight;
    weights[CLLM__PART_NEIGHBOURS] = config->neighbours_weight;
    weights[CLLM__PART_FACTORS] = config->factors_weight;
    weights[CLLM__PART_RECENCY] = config->recency_weight;
    weights[CLLM__PART_TRANSITIONS] = config->transitions == CLLM__TRANSITIONS_ON ? config->transitions_weight : 0;
    for (int k = 0; k < CLLM__FUSION_PARTS; k++) {
        if (cllm__json_at(chosen, name_of(k)) == NULL) continue;
        weights[k] = cllm__json_number(chosen, name_of(k));
        if (!(weights[k] >= 0 && weights[k] <= LARGEST))
            return cllm__fail(err, CLLM_ERR_DATA, "'%s/run.json': part_weights/%s is no number from 0 to %g", run->folder, name_of(k), LARGEST);
    }
    return CLLM_OK;
}

/* A chunk of users as all candidates see them: scored once. */
typedef struct chunk {
    cllm__model_scorer *scorer; /* of the model's own scores */
    cllm__fusion fusion;
    const uint8_t *hidden;
    size_t n_items, count, capacity;
    int32_t *users;    /* [count] */
    float *own;        /* [count × n_items] */
    float *parts;      /* [CLLM__FUSION_PARTS × count × n_items] */
    cllm__pool *pool;
} chunk;

typedef struct candidate {
    chunk *chunk;
    double weights[CLLM__FUSION_PARTS];
} candidate;

static cllm_status read_chunk(chunk *c, const int32_t *users, size_t count, cllm_error *err) {
    if (count > c->capacity) {
        cllm__free(c->users);
        cllm__free(c->own);
        cllm__free(c->parts);
        c->own = c->parts = NULL;
        c->capacity = c->count = 0;
        CLLM_TRY(CLLM_NEW(c->users, count, err));
        CLLM_TRY(CLLM_NEW(c->own, count * c->n_items, err));
        CLLM_TRY(CLLM_NEW(c->parts, CLLM__FUSION_PARTS * count * c->n_items, err));
        c->capacity = count;
    }
    c->count = 0; /* until all is there */
    cllm__scorer own = cllm__model_scorer_interface(c->scorer);
    CLLM_TRY(own.score(own.context, users, count, c->own, err));
    CLLM_TRY(cllm__fusion_split(&c->fusion, &c->scorer->batch, &c->scorer->rules.space, c->own, c->parts, c->pool, err));
    memcpy(c->users, users, count * sizeof *users);
    c->count = count;
    return CLLM_OK;
}

typedef struct sum {
    const candidate *of;
    float *scores;
} sum;

static void sum_row(void *context, size_t row, int worker) {
    const sum *s = context;
    const chunk *c = s->of->chunk;
    size_t n = c->n_items;
    float *scores = s->scores + row * n;
    (void)worker;
    memcpy(scores, c->own + row * n, n * sizeof *scores);
    for (int k = 0; k < CLLM__FUSION_PARTS; k++) {
        const float *part = c->parts + ((size_t)k * c->count + row) * n;
        float weight = (float)s->of->weights[k];
        for (size_t i = 0; i < n; i++) scores[i] += weight * part[i];
    }
    for (size_t i = 0; i < n; i++)
        if (c->hidden[i]) scores[i] = -INFINITY;
}

static cllm_status score_candidate(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    const candidate *of = context;
    chunk *c = of->chunk;
    if (count != c->count || memcmp(users, c->users, count * sizeof *users) != 0) CLLM_TRY(read_chunk(c, users, count, err));
    cllm__pool_run(c->pool, count, sum_row, &(sum){of, scores});
    return CLLM_OK;
}

/* The weights at hand first. */
static size_t list_candidates(candidate *list, chunk *c, const double weights[CLLM__FUSION_PARTS]) {
    size_t count = 0;
    list[count++].chunk = c;
    memcpy(list[0].weights, weights, sizeof list[0].weights);
    for (int k = 0; k < CLLM__FUSION_PARTS; k++) {
        for (int f = 0; f < CHANGES; f++) {
            bool begins = k == CLLM__PART_TRANSITIONS && weights[k] == 0;
            double changed = begins ? FROM_NOTHING[f] : weights[k] * FACTORS[f];
            if (!cllm__fusion_has(&c->fusion, (cllm__fusion_part)k) || !(changed > 0 && changed <= LARGEST)) continue;
            list[count] = list[0];
            list[count++].weights[k] = changed;
        }
    }
    return count;
}

/* The model that is better than the first by most, of those that stand out; 0: none. */
static size_t find_better(const cllm__evaluation *e) {
    size_t best = 0, at = cllm__cutoffs_index(&e->cutoffs, CLLM__NDCG, CUTOFF), column = 0;
    double most = 0, n = (double)e->n_users;
    while (e->kept[column] != at) column++;
    for (size_t m = 1; m < e->n_models && e->n_users > 1; m++) {
        double total = 0, squares = 0;
        for (size_t u = 0; u < e->n_users; u++) {
            double difference = (double)e->models[m].kept[u * e->n_kept + column] - (double)e->models[0].kept[u * e->n_kept + column];
            total += difference;
            squares += difference * difference;
        }
        double mean = total / n, error = sqrt(fmax(0, squares / n - mean * mean) / (n - 1));
        if (mean > most && mean > STANDS_OUT * error) {
            most = mean;
            best = m;
        }
    }
    return best;
}

static cllm_status sample_users(int32_t **users, size_t *count, const cllm_model *model, cllm_error *err) {
    const cllm__interactions *valid = cllm__dataset_interactions(model->run.dataset, CLLM__VALID);
    *count = 0;
    CLLM_TRY(CLLM_NEW(*users, valid->n_users + 1, err));
    for (size_t u = 0; u < valid->n_users; u++)
        if (cllm__row_count(valid, u) > 0) (*users)[(*count)++] = (int32_t)u;
    cllm__rng rng = cllm__rng_make(model->run.config.seed, CLLM_RNG_FUSION, 0, 0);
    cllm__rng_shuffle_i32(&rng, *users, *count);
    if (*count > MOST_USERS) *count = MOST_USERS;
    return CLLM_OK;
}

static cllm_status search(double weights[CLLM__FUSION_PARTS], double ndcg[2], size_t *n_users, chunk *c, const cllm_model *model, const cllm_host *host,
                          cllm_error *err) {
    const cllm__eval_data data = {.train = cllm__dataset_interactions(model->run.dataset, CLLM__TRAIN),
                                  .valid = cllm__dataset_interactions(model->run.dataset, CLLM__VALID)};
    const size_t ks[] = {CUTOFF};
    int32_t *users = NULL;
    size_t count = 0, fit = CHUNK_BYTES / ((1 + CLLM__FUSION_PARTS) * sizeof(float) * (c->n_items + 1));
    size_t at_once = fit < 1 ? 1 : fit < CLLM__SCORE_BATCH ? fit : CLLM__SCORE_BATCH;
    cllm_status status = sample_users(&users, &count, model, err);
    *n_users = count;
    for (int round = 0; round < ROUNDS && status == CLLM_OK; round++) {
        candidate list[CANDIDATES];
        cllm__scorer scorers[CANDIDATES];
        cllm__evaluation *evaluation = NULL;
        size_t n = list_candidates(list, c, weights), better = 0;
        for (size_t i = 0; i < n; i++) {
            scorers[i] = (cllm__scorer){.name = "weights of the parts", .context = &list[i], .score = score_candidate, .batch = at_once};
        }
        const cllm__eval_options options = {.split = CLLM__VALID, .ks = ks, .n_ks = CLLM_LEN(ks), .seed = model->run.config.seed, .users = users,
                                            .n_users = count, .chunk = at_once, .pool = c->pool, .host = host};
        status = cllm__evaluate(&evaluation, &data, scorers, n, &options, err);
        if (status != CLLM_OK) break;
        better = find_better(evaluation);
        status = cllm__evaluation_mean(evaluation, better, CLLM__NDCG, CUTOFF, &ndcg[1], err);
        if (round == 0 && status == CLLM_OK) status = cllm__evaluation_mean(evaluation, 0, CLLM__NDCG, CUTOFF, &ndcg[0], err);
        cllm__evaluation_free(evaluation);
        memcpy(weights, list[better].weights, sizeof list[better].weights);
        if (better == 0) break;
    }
    cllm__free(users);
    return status;
}

cllm_status cllm__fusion_weights_choose(struct json_object **chosen, const cllm_model *model, cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    cllm__engine *engine = NULL;
    cllm__model_scorer scorer = {0};
    chunk c = {.fusion = cllm__model_fusion(model), .hidden = model->hidden, .n_items = model->collab.n_items, .pool = pool};
    double weights[CLLM__FUSION_PARTS], ndcg[2] = {0, 0};
    size_t n_users = 0;
    char text[128] = "";
    bool any = false;
    *chosen = NULL;
    for (int k = 0; k < CLLM__FUSION_PARTS; k++) any = any || cllm__fusion_has(&c.fusion, (cllm__fusion_part)k);
    if (!any) return CLLM_OK;
    memcpy(weights, c.fusion.weights, sizeof weights);
    cllm_status status = cllm__model_engine(&engine, model, pool, err);
    if (status == CLLM_OK) {
        cllm__model_scorer_of(&scorer, model, engine, cllm__dataset_interactions(model->run.dataset, CLLM__TRAIN), model->run.config.seed, pool);
        scorer.fusion = (cllm__fusion){0};
        scorer.hidden_items = NULL; /* spreads are those of all items' scores, as in use */
        c.scorer = &scorer;
        status = search(weights, ndcg, &n_users, &c, model, host, err);
    }
    if (status == CLLM_OK) {
        struct json_object *object = *chosen = json_object_new_object(), *gain = json_object_new_object();
        for (int k = 0; k < CLLM__FUSION_PARTS; k++) {
            if (!cllm__fusion_has(&c.fusion, (cllm__fusion_part)k)) continue;
            json_object_object_add(object, name_of(k), json_object_new_double(weights[k]));
            size_t used = strlen(text);
            snprintf(text + used, sizeof text - used, "%s%s %.3g", used > 0 ? ", " : "", name_of(k), weights[k]);
        }
        cllm__json_put_text(object, "chosen_on", "valid");
        json_object_object_add(object, "users", json_object_new_int64((int64_t)n_users));
        json_object_object_add(gain, "before", json_object_new_double(ndcg[0]));
        json_object_object_add(gain, "after", json_object_new_double(ndcg[1]));
        json_object_object_add(object, "ndcg@100", gain);
        cllm__log(host, CLLM_LOG_INFO, "weights of the parts, by validation rows of %zu users: %s (NDCG@100 %.4f, %.4f with those of the settings)", n_users, text,
                  ndcg[1], ndcg[0]);
    }
    cllm__model_scorer_free(&scorer);
    cllm__engine_free(engine);
    cllm__free(c.users);
    cllm__free(c.own);
    cllm__free(c.parts);
    return status;
}
