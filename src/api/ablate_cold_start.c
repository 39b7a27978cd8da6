/*
 * Items and users that training never met. A tenth of the items and of the users are kept out of it (data/withhold.h); then each rule
 * gives them a token in its way, and their withheld rows are predicted: those of the items among cold items only and among all
 * items (with what that costs the other items' held-out rows), those of the users after one, two, three and five of their items.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/ablation.h"
#include "api/model_scorer.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"
#include "base/rng.h"
#include "data/withhold.h"
#include "eval/baseline.h"
#include "eval/held_out.h"
#include "train/adam_table.h"

/* Items of a new user that may be given; what comes after them is to be predicted, whatever is given. */
enum { GIVEN = 5, FIT_STEPS = 40, MAX_NEW_USERS = 300 };
/* Of Adam on a new user's token, as a share of the spread of the trained ones. */
static const double FIT_RATE = 0.1;
static const double WITHHELD = 0.1;
enum { SEED = 1 }; /* of what is withheld */

/* ---- Rules ---- */

typedef enum question { COLD_AMONG_COLD, COLD_AMONG_ALL, WARM_AMONG_ALL, USERS_1, USERS_2, USERS_3, USERS_5, QUESTIONS } question;
static const struct {
    const char *series;
    size_t given; /* items of a new user */
} ASKED[QUESTIONS] = {
    {"cold items among cold items", 0}, {"cold items among all", 0},     {"other items among all", 0},   {"new users, 1 item given", 1},
    {"new users, 2 items given", 2},    {"new users, 3 items given", 3}, {"new users, 5 items given", 5},
};

/* What is trained. */
typedef enum training { NOTHING, AS_NEGATIVES, FAIR, TEXT_TOKENS, ID_TEXT_TOKENS, ACCURATE, TRAININGS } training;
/* What stands for the token of an item or user without training rows. */
typedef enum token { AS_IS, CONTENT_ROW, PRIOR_ROW, MEAN_ROW, NO_TOKEN, FITTED } token;

typedef struct rule {
    const char *name;
    bool users;     /* of new users; else of cold items */
    bool text;      /* of use only where items have texts of their own */
    training run;
    token token;
    const char *baseline; /* of NOTHING */
    bool blind;     /* knows nothing of a cold item: they are all the same to it */
} rule;

/* Negative: trained with cold items in every softmax, where they are never right. All others leave them out. */
static const rule RULES[] = {
    {"random", false, false, NOTHING, AS_IS, "random", false},
    {"popularity", false, false, NOTHING, AS_IS, "popularity", true},
    {"text-kNN", false, true, NOTHING, AS_IS, "textknn", false},
    {"EASE + text", false, true, NOTHING, AS_IS, "ease_text", false},
    {"negative: own", false, false, AS_NEGATIVES, AS_IS, NULL, false},
    {"negative: text", false, true, AS_NEGATIVES, CONTENT_ROW, NULL, false},
    {"mean row", false, false, FAIR, MEAN_ROW, NULL, true},
    {"content row", false, true, FAIR, CONTENT_ROW, NULL, false},
    {"prior row", false, true, FAIR, PRIOR_ROW, NULL, false},
    {"text token", false, true, TEXT_TOKENS, AS_IS, NULL, false},
    {"id+text token", false, true, ID_TEXT_TOKENS, AS_IS, NULL, false},
    {"accurate", false, true, ACCURATE, AS_IS, NULL, false},
    {"no token", true, false, FAIR, NO_TOKEN, NULL, false},
    {"untrained token", true, false, FAIR, AS_IS, NULL, false},
    {"mean token", true, false, FAIR, MEAN_ROW, NULL, false},
    {"fitted token", true, false, FAIR, FITTED, NULL, false},
    {"accurate", true, true, ACCURATE, NO_TOKEN, NULL, false},
    {"popularity", true, false, NOTHING, AS_IS, "popularity", false},
    {"EASE + text", true, true, NOTHING, AS_IS, "ease_text", false},
};

/* What the others of a question are compared with. */
static const char *reference_of(bool users) {
    return users ? "no token" : "random";
}

/* ---- Planning ---- */

/* The data set of the study, made on the first call. */
static cllm_status derive(cllm__ablation *a, size_t data, char **path, cllm_error *err) {
    char name[32];
    snprintf(name, sizeof name, "withheld-%zu", data + 1);
    *path = cllm__ablation_path(a, name);
    if (*path == NULL) return cllm__fail_nomem(err);
    if (cllm__path_exists(*path)) return CLLM_OK;
    const char *split = cllm__ablation_options(a)->split;
    cllm__dataset *dataset;
    CLLM_TRY(cllm__dataset_open(&dataset, cllm__ablation_data_path(a, data), false, err));
    double users = MAX_NEW_USERS / (double)(cllm__dataset_users(dataset) + 1);
    cllm__withhold options = {.items = WITHHELD, .users = users < WITHHELD ? users : WITHHELD, .least = GIVEN + 1,
                              .keep_test = split == NULL || strcmp(split, "test") == 0, .seed = SEED};
    cllm_status status = cllm__withhold_write(dataset, options, *path, false, err);
    cllm__dataset_close(dataset);
    return status;
}

/* Nonzero for items without a training row. */
static cllm_status mark_cold(const cllm__dataset *dataset, uint8_t **cold, cllm_error *err) {
    const cllm__interactions *train = cllm__dataset_interactions(dataset, CLLM__TRAIN);
    CLLM_TRY(CLLM_NEW(*cold, train->n_items + 1, err));
    memset(*cold, 1, train->n_items);
    for (size_t i = 0; i < train->count; i++) (*cold)[train->items[i]] = 0;
    return CLLM_OK;
}

/* Whether cold items have texts, which then are about the item alone: a review would be of a training row. */
static cllm_status has_texts(const char *path, bool *texts, cllm_error *err) {
    cllm__dataset *dataset;
    uint8_t *cold = NULL;
    CLLM_TRY(cllm__dataset_open(&dataset, path, true, err));
    cllm_status status = mark_cold(dataset, &cold, err);
    *texts = false;
    for (size_t i = 0; status == CLLM_OK && i < cllm__dataset_texts(dataset); i++) {
        cllm__text text = cllm__dataset_text(dataset, i);
        if (text.item >= 0 && text.kind != CLLM__TEXT_REVIEW && cold[text.item]) *texts = true;
    }
    cllm__free(cold);
    cllm__dataset_close(dataset);
    return status;
}

/* What --set says of composed tokens is no matter of those that are not. */
static void set_training(cllm__arm *arm, training run) {
    if (run == AS_NEGATIVES || run == FAIR) {
        cllm__arm_set(arm, "item-features=words");
        cllm__arm_set(arm, "init-words=normal");
    }
    switch (run) {
    case AS_NEGATIVES: cllm__arm_set(arm, "mask-cold=0"); break;
    case TEXT_TOKENS: cllm__arm_set(arm, "item-tokens=text"); break;
    case ID_TEXT_TOKENS: cllm__arm_set(arm, "item-tokens=id+text"); break;
    case ACCURATE: arm->preset = "accurate"; break;
    default: break;
    }
}

static cllm_status plan_data(cllm__ablation *a, size_t data, const char *path, cllm_error *err) {
    bool texts;
    size_t run[TRAININGS];
    CLLM_TRY(has_texts(path, &texts, err));
    for (size_t t = 0; t < TRAININGS; t++) run[t] = CLLM__OWN_RUN;
    for (int q = 0; q < QUESTIONS; q++) {
        size_t reference = CLLM__NO_REFERENCE;
        for (size_t r = 0; r < CLLM_LEN(RULES); r++) {
            const rule *by = &RULES[r];
            if (by->users != (ASKED[q].given > 0) || (by->text && !texts)) continue;
            cllm__arm *arm = cllm__ablation_add(a, data, ASKED[q].series, "%s", by->name);
            arm->kind = q * (int)CLLM_LEN(RULES) + (int)r;
            arm->reference = reference;
            if (strcmp(by->name, reference_of(by->users)) == 0) reference = cllm__arm_index(a, arm);
            arm->dataset = cllm__strdup(path);
            if (arm->dataset == NULL) return cllm__fail_nomem(err);
            arm->run = by->run == NOTHING ? CLLM__NO_RUN : run[by->run];
            if (arm->run != CLLM__OWN_RUN) continue;
            set_training(arm, by->run);
            if (cllm__ablation_scale(a) == CLLM__SCALE_SMOKE) cllm__arm_set(arm, "content-share=0.2");
            run[by->run] = cllm__arm_index(a, arm);
        }
    }
    return CLLM_OK;
}

static cllm_status plan(cllm__ablation *a, cllm_error *err) {
    cllm_status status = CLLM_OK;
    for (size_t data = 0; data < cllm__ablation_data_sets(a) && status == CLLM_OK; data++) {
        char *path = NULL;
        status = derive(a, data, &path, err);
        if (status == CLLM_OK) status = plan_data(a, data, path, err);
        cllm__free(path);
    }
    return status;
}

/* ---- What is asked ---- */

/* Everything that measuring one arm owns. */
typedef struct asking {
    cllm__measuring *m;
    const rule *rule;
    cllm__dataset *dataset;  /* of the model, or opened here */
    bool owns_dataset;
    uint8_t *cold;           /* [n_items] */
    uint8_t *closed;         /* [n_items] no candidate */
    uint8_t *role;           /* [rows of the split that is asked] what a row is to the question */
    cllm__merged given, targets;
    const cllm__interactions *history; /* what stands in the prompts, and is no candidate */
    cllm__tables tables, start;
    cllm__model_scorer model;
    cllm__baselines baselines;
    cllm__scorer inner;      /* without closed items */
} asking;

static void asking_free(asking *a) {
    cllm__model_scorer_free(&a->model);
    cllm__baselines_free(&a->baselines);
    cllm__tables_free(&a->tables);
    cllm__tables_free(&a->start);
    cllm__merged_free(&a->given);
    cllm__merged_free(&a->targets);
    cllm__free(a->role);
    cllm__free(a->closed);
    cllm__free(a->cold);
    if (a->owns_dataset) cllm__dataset_close(a->dataset);
}

enum { ROLE_NONE, ROLE_GIVEN, ROLE_TARGET };

typedef struct role_filter {
    const uint8_t *role;
    uint8_t wanted;
} role_filter;

static bool has_role(const void *context, size_t user, int32_t item, size_t place) {
    const role_filter *filter = context;
    (void)user;
    (void)item;
    return filter->role[place] == filter->wanted;
}

/* Of a new user's rows with items that are not cold, in time order or else shuffled, the first are given and those behind the
 * GIVENth are targets. One with too few rows for a target was not withheld. */
static cllm_status deal_user(asking *a, size_t user, size_t given, cllm_error *err) {
    const cllm__interactions *test = cllm__dataset_interactions(a->dataset, CLLM__TEST);
    size_t *places, n = 0;
    CLLM_TRY(CLLM_NEW(places, cllm__row_count(test, user) + 1, err));
    for (size_t at = (size_t)test->start[user]; at < test->start[user + 1]; at++) {
        if (!a->cold[test->items[at]]) places[n++] = at;
    }
    cllm__rng rng = cllm__rng_make(SEED, CLLM_RNG_WITHHOLD, 2, user);
    if (test->times == NULL) cllm__rng_shuffle_size(&rng, places, n);
    for (size_t i = 0; i < n && n > GIVEN; i++) {
        if (i < given) a->role[places[i]] = ROLE_GIVEN;
        else if (i >= GIVEN) a->role[places[i]] = ROLE_TARGET;
    }
    cllm__free(places);
    return CLLM_OK;
}

/* Held-out rows of trained users with cold items, or with the others. */
static void deal_items(asking *a, const cllm__interactions *held_out, bool cold) {
    const cllm__interactions *train = cllm__dataset_interactions(a->dataset, CLLM__TRAIN);
    for (size_t user = 0; user < held_out->n_users; user++) {
        if (cllm__row_count(train, user) == 0) continue;
        for (size_t at = (size_t)held_out->start[user]; at < held_out->start[user + 1]; at++) {
            if ((a->cold[held_out->items[at]] != 0) == cold) a->role[at] = ROLE_TARGET;
        }
    }
}

/* The rows that are given and those to be predicted. All withheld rows are test; the others of the measured split stayed there. */
static cllm_status deal_rows(asking *a, question asked, cllm_error *err) {
    const cllm__interactions *train = cllm__dataset_interactions(a->dataset, CLLM__TRAIN);
    const cllm__interactions *rows = cllm__dataset_interactions(a->dataset, asked == WARM_AMONG_ALL ? cllm__measure_split(a->m) : CLLM__TEST);
    CLLM_TRY(CLLM_NEW(a->role, rows->count + 1, err));
    if (ASKED[asked].given == 0) deal_items(a, rows, asked != WARM_AMONG_ALL);
    for (size_t user = 0; user < rows->n_users && ASKED[asked].given > 0; user++) {
        if (cllm__row_count(train, user) == 0) CLLM_TRY(deal_user(a, user, ASKED[asked].given, err));
    }
    CLLM_TRY(cllm__select_rows(&a->given, rows, has_role, &(role_filter){a->role, ROLE_GIVEN}, err));
    CLLM_TRY(cllm__select_rows(&a->targets, rows, has_role, &(role_filter){a->role, ROLE_TARGET}, err));
    a->history = ASKED[asked].given > 0 ? &a->given.matrix : train;
    return CLLM_OK;
}

/* Candidates: cold items where those are asked for alone, others for new users, all otherwise. */
static cllm_status close_items(asking *a, question asked, cllm_error *err) {
    size_t n_items = cllm__dataset_items(a->dataset);
    CLLM_TRY(CLLM_NEW(a->closed, n_items + 1, err));
    for (size_t i = 0; i < n_items; i++) {
        a->closed[i] = asked == COLD_AMONG_COLD ? !a->cold[i] : ASKED[asked].given > 0 ? a->cold[i] : 0;
    }
    return CLLM_OK;
}

/* ---- Tokens by a rule ---- */

/* The mean of the rows that are known, and their root mean square distance from it; rows [n × width]. */
static double mean_of(const cllm__real *rows, size_t n, size_t width, const uint8_t *unknown, cllm__real *mean) {
    double squares = 0;
    for (size_t j = 0; j < width; j++) {
        double sum = 0, square = 0;
        size_t known = 0;
        for (size_t i = 0; i < n; i++) {
            if (unknown[i]) continue;
            sum += rows[i * width + j];
            square += (double)rows[i * width + j] * rows[i * width + j];
            known++;
        }
        mean[j] = (cllm__real)(sum / (double)known);
        squares += square / (double)known - sum / (double)known * (sum / (double)known);
    }
    return sqrt(squares > 0 ? squares / (double)width : 0);
}

static void set_rows(cllm__real *rows, size_t n, size_t width, const uint8_t *unknown, const cllm__real *from, bool one) {
    for (size_t i = 0; i < n; i++) {
        if (unknown[i]) memcpy(rows + i * width, one ? from : from + i * width, width * sizeof *rows);
    }
}

/* Without an interaction λ_c/2·‖z^l − z^c‖² + λ_l/2·‖z^l‖² is all there is to a cold item's row, least at λ_c/(λ_c + λ_l)·z^c. A run without
 * a prior (λ_l = 0) takes the one that its trained rows are likeliest under: 1/λ_l = the mean square of their numbers. */
static double prior_factor(const cllm__train_config *config, const cllm__tables *trained, const uint8_t *cold) {
    double squares = 0, lambda_l = config->lambda_l;
    size_t known = 0;
    for (size_t i = 0; i < trained->n_items; i++) {
        const cllm__real *row = trained->items + i * trained->width;
        if (cold[i]) continue;
        for (size_t j = 0; j < trained->width; j++) squares += (double)row[j] * row[j];
        known += trained->width;
    }
    if (lambda_l == 0 && squares > 0) lambda_l = (double)known / squares;
    return isinf(config->lambda_c) || lambda_l == 0 ? 1 : config->lambda_c / (config->lambda_c + lambda_l);
}

/* Each of a new user's items once as the target and the others in the prompt. */
static cllm_status make_examples(const asking *a, const cllm__batch_rules *rules, cllm__batch *batch, cllm_error *err) {
    const cllm__interactions *given = &a->given.matrix;
    int32_t others[GIVEN];
    cllm__batch_clear(batch, CLLM__STAGE_REC);
    for (size_t user = 0; user < given->n_users; user++) {
        size_t n = cllm__row_count(given, user);
        const int32_t *items = cllm__row(given, user);
        for (size_t target = 0; target < n; target++) {
            size_t rest = 0;
            for (size_t i = 0; i < n; i++) {
                if (i != target) others[rest++] = items[i];
            }
            CLLM_TRY(cllm__batch_add_rec(batch, rules, &a->m->model->run.prompts, (int32_t)user, others, rest, &items[target], 1, err));
        }
    }
    return CLLM_OK;
}

typedef struct fitting {
    cllm__backbone *backbone;
    cllm__engine *engine;
    cllm__gradient gradient;
    cllm__adam_table users;
    cllm__batch batch;
} fitting;

/* Moves the new users' tokens from the mean to where their items become likely, with the trained tokens' spread as the prior. */
static cllm_status fit_users(asking *a, double spread, cllm_error *err) {
    const cllm_model *model = a->m->model;
    cllm__tables *own = &a->tables;
    fitting f = {0};
    cllm_status status;
    CLLM_TRY_CLEAN(cllm__tables_create(&a->start, own->n_users, own->n_items, own->width, err));
    cllm__tables_copy(&a->start, own);
    CLLM_TRY_CLEAN(cllm__model_training_backbone(&f.backbone, model, a->m->pool, err));
    CLLM_TRY_CLEAN(cllm__engine_create(&f.engine, f.backbone, model->run.dtype, a->m->pool, err));
    CLLM_TRY_CLEAN(cllm__gradient_create(&f.gradient, own->n_users, own->n_items, own->width, err));
    const cllm__adam adam = {.lr = FIT_RATE * spread, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    CLLM_TRY_CLEAN(cllm__adam_table_create(&f.users, own->users, own->n_users, own->width, adam, err));
    const cllm__backbone_info *info = cllm__backbone_info_of(f.backbone);
    const cllm__batch_rules rules = {
        .space = {.vocab_rows = (int32_t)info->vocabulary, .n_users = (int32_t)own->n_users, .n_items = (int32_t)own->n_items},
        .reg = CLLM__REG_MAP, .context = info->context};
    CLLM_TRY_CLEAN(make_examples(a, &rules, &f.batch, err));
    const cllm__objective objective = {.reg = CLLM__REG_MAP, .lambda_c = spread > 0 ? 1 / (spread * spread) : 0, .cold_items = a->cold};
    double before = 0;
    cllm__loss loss = {0};
    for (int i = 0; i < FIT_STEPS; i++) {
        CLLM_TRY_CLEAN(cllm__check_cancelled(&a->m->host, err));
        CLLM_TRY_CLEAN(cllm__engine_step(f.engine, &f.batch, own, &a->start, &objective, &f.gradient, &loss, err));
        if (i == 0) before = loss.nll_sum;
        cllm__adam_table_step(&f.users, f.gradient.touched_users, f.gradient.n_touched_users, f.gradient.users, a->m->pool);
    }
    cllm__measure_column(a->m, "fit_gain", (before - loss.nll_sum) / (double)loss.predictions);
    status = CLLM_OK;
cleanup:
    cllm__batch_free(&f.batch);
    cllm__adam_table_free(&f.users);
    cllm__gradient_free(&f.gradient);
    cllm__engine_free(f.engine);
    cllm__backbone_close(f.backbone);
    return status;
}

/* The model's tables with the rows that the rule gives to cold items or new users. */
static cllm_status make_tokens(asking *a, cllm_error *err) {
    const cllm_model *model = a->m->model;
    const cllm__tables *trained = &model->collab;
    const cllm__interactions *train = cllm__dataset_interactions(a->dataset, CLLM__TRAIN);
    size_t width = trained->width;
    CLLM_TRY(cllm__tables_create(&a->tables, trained->n_users, trained->n_items, width, err));
    cllm__tables_copy(&a->tables, trained);
    if (a->rule->token == CONTENT_ROW || a->rule->token == PRIOR_ROW) {
        set_rows(a->tables.items, trained->n_items, width, a->cold, model->content.items, false);
    }
    if (a->rule->token == PRIOR_ROW) {
        double factor = prior_factor(&model->run.config, trained, a->cold);
        for (size_t i = 0; i < trained->n_items * width; i++) {
            if (a->cold[i / width]) a->tables.items[i] = (cllm__real)(factor * (double)a->tables.items[i]);
        }
        cllm__measure_column(a->m, "prior_factor", factor);
    }
    if (a->rule->token != MEAN_ROW && a->rule->token != FITTED) return CLLM_OK;
    cllm__real *mean;
    uint8_t *new_users = NULL;
    cllm_status status = CLLM_NEW(mean, width, err);
    if (status == CLLM_OK) status = CLLM_NEW(new_users, trained->n_users + 1, err);
    for (size_t u = 0; status == CLLM_OK && u < trained->n_users; u++) new_users[u] = cllm__row_count(train, u) == 0;
    if (status == CLLM_OK && !a->rule->users) {
        mean_of(trained->items, trained->n_items, width, a->cold, mean);
        set_rows(a->tables.items, trained->n_items, width, a->cold, mean, true);
    } else if (status == CLLM_OK) {
        double spread = mean_of(trained->users, trained->n_users, width, new_users, mean);
        set_rows(a->tables.users, trained->n_users, width, new_users, mean, true);
        if (a->rule->token == FITTED) status = fit_users(a, spread, err);
    }
    cllm__free(new_users);
    cllm__free(mean);
    return status;
}

/* ---- Scores ---- */

/* Equal scores of cold items in an order of each user's own: one order for all may be lucky where there are few such items. */
static void shuffle_ties(const asking *a, int32_t user, float *scores) {
    cllm__rng rng = cllm__rng_make(a->m->seed, CLLM_RNG_TIES, 2, (uint64_t)user);
    for (size_t item = 0; item < cllm__dataset_items(a->dataset); item++) {
        if (a->cold[item]) scores[item] += 1e-5f * fmaxf(1, fabsf(scores[item])) * (float)cllm__rng_uniform(&rng);
    }
}

static cllm_status score_candidates(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    asking *a = context;
    size_t n_items = cllm__dataset_items(a->dataset);
    CLLM_TRY(a->inner.score(a->inner.context, users, count, scores, err));
    for (size_t u = 0; u < count; u++) {
        float *own = scores + u * n_items;
        if (a->rule->blind) shuffle_ties(a, users[u], own);
        for (size_t item = 0; item < n_items; item++) {
            if (a->closed[item]) own[item] = -INFINITY;
        }
    }
    return CLLM_OK;
}

/* EASE's scores of histories that it was not fitted to. */
static cllm_status score_ease(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    const asking *a = context;
    const float *weights = cllm__ease_weights(&a->baselines.models[0]);
    size_t n_items = cllm__dataset_items(a->dataset);
    (void)err;
    memset(scores, 0, count * n_items * sizeof *scores);
    for (size_t u = 0; u < count; u++) {
        const int32_t *items = cllm__row(a->history, (size_t)users[u]);
        for (size_t i = 0; i < cllm__row_count(a->history, (size_t)users[u]); i++) {
            const float *row = weights + (size_t)items[i] * n_items;
            for (size_t j = 0; j < n_items; j++) scores[u * n_items + j] += row[j];
        }
    }
    return CLLM_OK;
}

static cllm_status make_baseline(asking *a, cllm_error *err) {
    char *cache = cllm__path_join(cllm__dataset_path(a->dataset), "baselines.json");
    if (cache == NULL) return cllm__fail_nomem(err);
    const cllm__item_texts texts = cllm__item_texts_of(a->dataset);
    const cllm__baselines_options options = {.list = a->rule->baseline, .cache = cache, .data_hash = cllm__dataset_hash(a->dataset),
                                             .seed = a->m->seed, .texts = &texts,
                                             .held_out = cllm__held_out_of(a->dataset), .pool = a->m->pool, .host = &a->m->host};
    cllm_status status = cllm__baselines_create(&a->baselines, cllm__dataset_interactions(a->dataset, CLLM__TRAIN), &options, err);
    cllm__free(cache);
    CLLM_TRY(status);
    a->inner = a->baselines.models[0].scorer;
    if (strcmp(a->rule->baseline, "ease_text") == 0) a->inner = (cllm__scorer){.name = "ease_text", .context = a, .score = score_ease, .batch = 64};
    return CLLM_OK;
}

static cllm_status make_model(asking *a, cllm_error *err) {
    const cllm_model *model = a->m->model;
    CLLM_TRY(make_tokens(a, err));
    cllm__model_scorer_of(&a->model, model, a->m->engine, a->history, a->m->seed, a->m->pool);
    a->model.tables = &a->tables;
    a->model.hidden_items = NULL;
    a->model.visitors = a->rule->token == NO_TOKEN;
    /* An item without a text has a row only where the rule needs none. */
    for (size_t i = 0; i < model->collab.n_items && a->rule->text; i++) a->closed[i] = a->closed[i] || model->hidden[i];
    a->inner = cllm__model_scorer_interface(&a->model);
    return CLLM_OK;
}

static cllm_status ask(asking *a, question asked, cllm_error *err) {
    a->dataset = a->m->model != NULL ? a->m->model->run.dataset : NULL;
    if (a->dataset == NULL) {
        CLLM_TRY(cllm__dataset_open(&a->dataset, a->m->arm->dataset, true, err));
        a->owns_dataset = true;
    }
    CLLM_TRY(mark_cold(a->dataset, &a->cold, err));
    CLLM_TRY(deal_rows(a, asked, err));
    CLLM_TRY(close_items(a, asked, err));
    if (a->rule->run == NOTHING) CLLM_TRY(make_baseline(a, err));
    else CLLM_TRY(make_model(a, err));
    const cllm__scorer scorer = {.name = a->rule->name, .context = a, .score = score_candidates, .batch = a->inner.batch};
    const cllm__eval_data data = {.train = a->history, .valid = &a->targets.matrix, .test = &a->targets.matrix};
    CLLM_TRY(cllm__measure_ranking(a->m, &scorer, &data, NULL, 0, err));
    cllm__measure_column(a->m, "targets", (double)a->targets.matrix.count);
    return CLLM_OK;
}

static cllm_status measure(cllm__measuring *m, cllm_error *err) {
    const int rules = (int)CLLM_LEN(RULES);
    asking a = {.m = m, .rule = &RULES[m->arm->kind % rules]};
    cllm_status status = ask(&a, (question)(m->arm->kind / rules), err);
    asking_free(&a);
    return status;
}

/* ---- Concluding ---- */

/* "X does better than Y (+…)", if both are there. */
static cllm_status say_pair(cllm__ablation *a, size_t data, question asked, const char *name, const char *other, cllm_error *err) {
    size_t x = cllm__ablation_find(a, data, ASKED[asked].series, name), y = cllm__ablation_find(a, data, ASKED[asked].series, other);
    cllm__difference d;
    char text[96];
    if (x == SIZE_MAX || y == SIZE_MAX) return CLLM_OK;
    CLLM_TRY(cllm__ablation_compare(a, x, y, NULL, &d, err));
    cllm__difference_text(&d, text);
    cllm__ablation_say(a, " \"%s\" (%.4f) %s \"%s\" (%.4f): %s.", name, cllm__ablation_value(a, x, "ndcg@100", NULL),
                       !d.counts ? "does not differ beyond the noise from" : d.test.difference > 0 ? "is better than" : "is worse than", other,
                       cllm__ablation_value(a, y, "ndcg@100", NULL), text);
    return CLLM_OK;
}

/* The rule with the highest NDCG of a question, among those of a trained model. */
static const char *best_rule(const cllm__ablation *a, size_t data, question asked) {
    const char *best = NULL;
    double most = -1;
    for (size_t r = 0; r < CLLM_LEN(RULES); r++) {
        size_t arm = RULES[r].run == NOTHING ? SIZE_MAX : cllm__ablation_find(a, data, ASKED[asked].series, RULES[r].name);
        double value = arm == SIZE_MAX ? -1 : cllm__ablation_value(a, arm, "ndcg@100", NULL);
        if (!(value > most)) continue;
        most = value;
        best = RULES[r].name;
    }
    return best != NULL ? best : "";
}

static cllm_status conclude_data(cllm__ablation *a, size_t data, cllm_error *err) {
    static const char *const items[][2] = {{"content row", "random"}, {"content row", "negative: text"}, {"text token", "content row"},
                                           {"id+text token", "content row"}};
    static const char *const users[][2] = {{"mean token", "no token"}, {"fitted token", "no token"}};
    cllm__ablation_say(a, "%sOn %s, NDCG@100 of cold items among cold items:", data > 0 ? " " : "", cllm__ablation_data_name(a, data));
    for (size_t i = 0; i < CLLM_LEN(items); i++) CLLM_TRY(say_pair(a, data, COLD_AMONG_COLD, items[i][0], items[i][1], err));
    const char *best = best_rule(a, data, COLD_AMONG_COLD);
    CLLM_TRY(say_pair(a, data, COLD_AMONG_COLD, best, "EASE + text", err));
    if (cllm__ablation_find(a, data, ASKED[COLD_AMONG_COLD].series, "content row") == SIZE_MAX) {
        cllm__ablation_say(a, " no item has a text of its own here, so nothing is known of a cold one, and rules by text are left out.");
    }
    cllm__ablation_say(a, " Among all items:");
    best = best_rule(a, data, COLD_AMONG_ALL);
    CLLM_TRY(say_pair(a, data, COLD_AMONG_ALL, best, "negative: own", err));
    CLLM_TRY(say_pair(a, data, COLD_AMONG_ALL, "prior row", "content row", err));
    cllm__ablation_say(a, " What that costs the other items:");
    CLLM_TRY(say_pair(a, data, WARM_AMONG_ALL, best, "negative: own", err));
    cllm__ablation_say(a, " New users of whom 3 items are known:");
    for (size_t i = 0; i < CLLM_LEN(users); i++) CLLM_TRY(say_pair(a, data, USERS_3, users[i][0], users[i][1], err));
    return say_pair(a, data, USERS_3, best_rule(a, data, USERS_3), "EASE + text", err);
}

static cllm_status conclude(cllm__ablation *a, cllm_error *err) {
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) CLLM_TRY(conclude_data(a, data, err));
    return CLLM_OK;
}

static const cllm__column COLUMNS[] = {
    {.name = "targets", .label = "held-out rows", .format = "%.0f"},
    {.name = "prior_factor", .label = "prior's factor of the content row", .format = "%.4f"},
    {.name = "fit_gain", .label = "nats a given item, gained by fitting", .format = "%.3f"},
};

const cllm__study CLLM__STUDY_COLD_START = {
    .name = "cold-start",
    .title = "Cold start",
    .question = "What is recommended of items and to people that training never met? A tenth of the items and of the users are withheld from it; each rule "
                "gives them a token in its own way, and their rows are predicted.",
    .n_shops = 1,
    .own_baselines = true,
    .columns = COLUMNS,
    .n_columns = CLLM_LEN(COLUMNS),
    .plan = plan,
    .measure = measure,
    .conclude = conclude,
};
