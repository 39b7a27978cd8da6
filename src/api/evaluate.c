/* Evaluation from the outside: the trained model beside the simple baselines, on the same users, by the same protocol. */
#include <math.h>
#include <string.h>

#include "api/content_likelihood.h"
#include "api/evaluate.h"
#include "api/model.h"
#include "api/model_scorer.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"
#include "eval/baseline.h"
#include "eval/report.h"
#include "eval/held_out.h"

enum { MAX_MODELS = 16 };

void cllm_evaluate_options_init(cllm_evaluate_options *options) {
    *options = (cllm_evaluate_options){.seed = 1};
}

typedef struct evaluating {
    const cllm_evaluate_options *options;
    cllm__split split;
    cllm__pool *pool;
    cllm_model *model;      /* NULL: baselines alone */
    cllm__dataset *dataset; /* of the model, or opened here */
    bool owns_dataset;
    cllm__engine *engine;
    cllm__model_scorer scorer;
    cllm__merged prompt_rows; /* training and validation rows, if asked for */
    cllm__baselines baselines;
    cllm__evaluation *evaluation;
} evaluating;

static void evaluating_free(evaluating *e) {
    if (e->evaluation != NULL) cllm__evaluation_free(e->evaluation);
    cllm__baselines_free(&e->baselines);
    cllm__merged_free(&e->prompt_rows);
    cllm__model_scorer_free(&e->scorer);
    cllm__engine_free(e->engine);
    if (e->owns_dataset) cllm__dataset_close(e->dataset);
    cllm_model_close(e->model);
    cllm__pool_free(e->pool);
}

static cllm_status open_parts(evaluating *e, cllm_error *err) {
    const cllm_evaluate_options *o = e->options;
    if (o->split == NULL || strcmp(o->split, "test") == 0) e->split = CLLM__TEST;
    else if (strcmp(o->split, "valid") == 0) e->split = CLLM__VALID;
    else return cllm__fail(err, CLLM_ERR_USAGE, "split '%s': give test or valid", o->split);
    const cllm_model_options options = {.dataset = o->dataset, .backbone = o->backbone, .dtype = o->dtype, .backbone_dtype = o->backbone_dtype};
    CLLM_TRY(cllm__pool_create(&e->pool, o->threads, err));
    if (o->run == NULL) {
        if (o->dataset == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "give a run, or a data set for baselines alone");
        CLLM_TRY(cllm__dataset_open(&e->dataset, o->dataset, false, err));
        e->owns_dataset = true;
        return CLLM_OK;
    }
    CLLM_TRY(cllm__model_open(&e->model, o->run, &options, o->content, true, e->pool, err));
    e->dataset = e->model->run.dataset;
    if (o->content && !e->model->run.config.content) {
        return cllm__fail(err, CLLM_ERR_USAGE, "'%s' was trained without the content model: there is no likelihood of texts to measure", o->run);
    }
    cllm__log_backbone(&o->host, &e->model->run);
    if (e->split == CLLM__VALID && cllm__json_at(e->model->run.manifest, "part_weights") != NULL)
        cllm__log(&o->host, CLLM_LOG_WARN, "validation rows chose the weights of this run's parts: they flatter it; the test rows don't");
    return cllm__model_engine(&e->engine, e->model, e->pool, err);
}

static cllm_status make_scorers(evaluating *e, cllm__scorer *scorers, const char **parameters, size_t *count, cllm_error *err) {
    const cllm_evaluate_options *o = e->options;
    const cllm__interactions *train = cllm__dataset_interactions(e->dataset, CLLM__TRAIN), *history = train;
    const cllm__held_out held_out = cllm__held_out_of(e->dataset);
    size_t n = 0;
    if (o->prompt_valid && e->split == CLLM__TEST) {
        CLLM_TRY(cllm__merge_splits(&e->prompt_rows, e->dataset, 1u << CLLM__TRAIN | 1u << CLLM__VALID, err));
        history = &e->prompt_rows.matrix;
    } else if (held_out == CLLM__HELD_LAST && e->split == CLLM__TEST && cllm__dataset_interactions(e->dataset, CLLM__VALID)->count > 0) {
        cllm__log(&o->host, CLLM_LOG_INFO, "note: what comes right before a test row is a validation row, and no model reads it; with --prompt-valid all do");
    }
    if (e->model != NULL) {
        cllm__model_scorer_of(&e->scorer, e->model, e->engine, history, o->seed, e->pool);
        scorers[n] = cllm__model_scorer_interface(&e->scorer);
        parameters[n++] = NULL;
    }
    char *cache = cllm__path_join(cllm__dataset_path(e->dataset), "baselines.json");
    if (cache == NULL) return cllm__fail_nomem(err);
    const cllm__item_texts texts = cllm__item_texts_of(e->dataset);
    cllm__baselines_options options = {.list = o->baselines, .settings = o->baseline_settings, .n_settings = o->n_baseline_settings,
                                       .cache = cache, .data_hash = cllm__dataset_hash(e->dataset), .seed = o->seed, .texts = &texts, .held_out = held_out, .fitted = history,
                                       .pool = e->pool, .host = &o->host};
    cllm_status status = cllm__baselines_create(&e->baselines, train, &options, err);
    cllm__free(cache);
    CLLM_TRY(status);
    for (size_t i = 0; i < e->baselines.count && n < MAX_MODELS; i++) {
        scorers[n] = e->baselines.models[i].scorer;
        parameters[n++] = e->baselines.models[i].parameters;
    }
    *count = n;
    if (n == 0) return cllm__fail(err, CLLM_ERR_USAGE, "there is nothing to evaluate: no run and no baselines");
    return CLLM_OK;
}

/* What tuning took, of those baselines of which it is known. */
static struct json_object *tuning_json(const cllm__baselines *baselines) {
    struct json_object *object = json_object_new_object();
    for (size_t i = 0; i < baselines->count; i++) {
        const cllm__baseline *b = &baselines->models[i];
        if (b->tuning_seconds > 0) json_object_object_add(object, b->scorer.name, json_object_new_double(b->tuning_seconds));
    }
    return object;
}

/* One user's line of --per-user. */
static cllm_status visit(void *context, const cllm__eval_user *user, cllm_error *err) {
    evaluating *e = context;
    struct json_object *line = json_object_new_object(), *items = json_object_new_array(), *scores = json_object_new_array();
    struct json_object *metrics = json_object_new_object();
    json_object_object_add(line, "user", json_object_new_string(cllm__dataset_user_id(e->dataset, (size_t)user->user)));
    json_object_object_add(line, "model", json_object_new_string(user->name));
    json_object_object_add(line, "targets", json_object_new_int64((int64_t)user->n_targets));
    for (size_t i = 0; i < user->n_ranked; i++) {
        json_object_array_add(items, json_object_new_string(cllm__dataset_item_id(e->dataset, (size_t)user->items[i])));
        json_object_array_add(scores, json_object_new_double((double)user->scores[i]));
    }
    for (size_t m = 0; m < CLLM__METRICS; m++) {
        for (size_t i = 0; i < user->cutoffs->count; i++) {
            char label[CLLM__METRIC_NAME];
            size_t k = user->cutoffs->ks[i];
            cllm__metric_label((cllm__metric)m, k, label);
            json_object_object_add(metrics, label, json_object_new_double(user->values[cllm__cutoffs_index(user->cutoffs, (cllm__metric)m, k)]));
        }
    }
    json_object_object_add(line, "metrics", metrics);
    json_object_object_add(line, "items", items);
    json_object_object_add(line, "scores", scores);
    char *text;
    CLLM_TRY(cllm__json_to_text(line, &text, err));
    e->options->per_user(e->options->host.user, text);
    cllm_text_free(text);
    return CLLM_OK;
}

static cllm_status evaluate(evaluating *e, struct json_object **report, cllm_error *err) {
    const cllm_evaluate_options *o = e->options;
    cllm__metrics_profile profile;
    CLLM_TRY(cllm__profile_parse(o->profile, &profile, err));
    CLLM_TRY(open_parts(e, err));
    if (cllm__dataset_interactions(e->dataset, e->split)->count == 0) { /* a table of zeros would pass for a measurement */
        return cllm__fail(err, CLLM_ERR_DATA,
                          "'%s' has no %s rows, so there is nothing to measure: of users with fewer than 3 interactions all are training; "
                          "prepare more data, or with another --split",
                          cllm__dataset_path(e->dataset), e->split == CLLM__TEST ? "test" : "validation");
    }
    cllm__scorer scorers[MAX_MODELS];
    const char *parameters[MAX_MODELS];
    size_t n;
    CLLM_TRY(make_scorers(e, scorers, parameters, &n, err));
    const cllm__eval_data data = {.train = cllm__dataset_interactions(e->dataset, CLLM__TRAIN),
                                  .valid = cllm__dataset_interactions(e->dataset, CLLM__VALID),
                                  .test = cllm__dataset_interactions(e->dataset, CLLM__TEST)};
    cllm__eval_options options = {.split = e->split, .mask_valid = o->mask_valid, .ks = o->ks, .n_ks = o->n_ks, .seed = o->seed, .pool = e->pool,
                                  .host = &o->host, .visit = o->per_user != NULL ? visit : NULL, .visit_context = e};
    CLLM_TRY(cllm__evaluate(&e->evaluation, &data, scorers, n, &options, err));
    cllm__report_options how = {.profile = profile, .model = e->model != NULL ? 0 : SIZE_MAX, .parameters = parameters, .seed = o->seed,
                                .pool = e->pool};
    CLLM_TRY(cllm__report(report, e->evaluation, &how, err));
    if (e->model != NULL) {
        json_object_object_add(*report, "run", json_object_new_string(o->run));
        if (o->content) {
            struct json_object *content;
            CLLM_TRY(cllm__content_likelihood(&content, e->model, e->engine, e->split, o->seed, e->pool, &o->host, err));
            json_object_object_add(*report, "content", content);
        }
    }
    json_object_object_add(*report, "dataset", json_object_new_string(cllm__dataset_path(e->dataset)));
    json_object_object_add(*report, "tuning_seconds", tuning_json(&e->baselines));
    return CLLM_OK;
}

cllm_status cllm__evaluate_run(const cllm_evaluate_options *options, struct json_object **report, cllm__evaluation **evaluation,
                               cllm_error *err) {
    evaluating e = {.options = options};
    struct json_object *made = NULL;
    double began = cllm__now();
    cllm_status status = evaluate(&e, &made, err);
    if (status == CLLM_OK) {
        json_object_object_add(made, "seconds", json_object_new_double(cllm__now() - began));
        if (cllm__peak_memory() > 0) json_object_object_add(made, "peak_memory_bytes", json_object_new_uint64(cllm__peak_memory()));
        *report = made;
        *evaluation = e.evaluation;
        e.evaluation = NULL;
    } else {
        json_object_put(made);
    }
    evaluating_free(&e);
    return status;
}

cllm_status cllm_evaluate(const cllm_evaluate_options *options, char **report_json, cllm_error *err) {
    struct json_object *report;
    cllm__evaluation *evaluation;
    CLLM_TRY(cllm__evaluate_run(options, &report, &evaluation, err));
    cllm__evaluation_free(evaluation);
    if (report_json != NULL) return cllm__json_to_text(report, report_json, err);
    json_object_put(report);
    return CLLM_OK;
}
