/*
 * Training from the outside: options in, run folder out. Puts data, backbone, trainer and evaluation together; the trainer
 * itself knows neither files nor metrics.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/default_backbone.h"
#include "api/fusion_weights.h"
#include "api/item_features.h"
#include "api/model_scorer.h"
#include "api/run.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/io.h"
#include "data/merge.h"
#include "eval/evaluate.h"
#include "eval/item_weights.h"
#include "eval/held_out.h"
#include "formats/json_names.h"
#include "kernels/gemm.h"
#include "train/checkpoint.h"
#include "train/run_log.h"

static const double PROBE_SECONDS = 2;

void cllm_train_options_init(cllm_train_options *options) {
    *options = (cllm_train_options){0};
}

/* Everything that one call owns. */
typedef struct training {
    const cllm_train_options *options;
    cllm__run run;
    cllm__pool *pool;
    cllm__merged rows; /* what it learns from */
    cllm__corpus corpus;
    cllm__item_features features; /* for composed tokens */
    cllm__trainer trainer;
    cllm__run_log log;
    cllm__monitor monitor;
    cllm__model_scorer scorer;
    bool final; /* the stage: fitting once more on all rows */
    double began;
    double earlier_seconds; /* and memory, of the calls that this one goes on from */
    uint64_t earlier_memory;
} training;

static void training_free(training *t) {
    cllm__model_scorer_free(&t->scorer);
    cllm__trainer_free(&t->trainer);
    cllm__run_log_close(&t->log);
    cllm__corpus_free(&t->corpus);
    cllm__item_features_free(&t->features);
    cllm__merged_free(&t->rows);
    cllm__run_free(&t->run);
    cllm__pool_free(t->pool);
}

static const cllm_host *host_of(const training *t) {
    return &t->options->host;
}

/* ---- What the trainer calls back ---- */

static cllm_status validate(void *context, const cllm__tables *tables, cllm__validation *result, cllm_error *err) {
    training *t = context;
    const cllm__eval_data data = {
        .train = cllm__dataset_interactions(t->run.dataset, CLLM__TRAIN),
        .valid = cllm__dataset_interactions(t->run.dataset, CLLM__VALID),
    };
    cllm__model_scorer_free(&t->scorer);
    cllm__model_scorer_init(&t->scorer, t->trainer.engine, tables, &t->run.prompts, data.train,
                            t->run.config.mask_cold ? t->trainer.cold : NULL, t->run.config.seed);
    t->scorer.order_of_items = (cllm__order)t->run.config.prompt_order;
    cllm__scorer scorer = cllm__model_scorer_interface(&t->scorer);
    size_t ks[3 + CLLM__MONITOR_MAX] = {20, 40, 100}, n_ks = 3;
    for (size_t i = 0; i < t->monitor.count; i++) {
        bool known = false;
        for (size_t j = 0; j < n_ks; j++) known = known || ks[j] == t->monitor.k[i];
        if (!known) ks[n_ks++] = t->monitor.k[i];
    }
    cllm__eval_options options = {.split = CLLM__VALID, .ks = ks, .n_ks = n_ks, .seed = t->run.config.seed, .pool = t->pool, .host = host_of(t)};
    cllm__evaluation *evaluation;
    CLLM_TRY(cllm__evaluate(&evaluation, &data, &scorer, 1, &options, err));
    static const struct {
        const char *name;
        cllm__metric metric;
        size_t k;
    } shown[] = {{"recall_capped@20", CLLM__RECALL_CAPPED, 20}, {"recall_capped@40", CLLM__RECALL_CAPPED, 40}, {"ndcg@100", CLLM__NDCG, 100},
                 {"recall@20", CLLM__RECALL, 20}, {"recall@40", CLLM__RECALL, 40}};
    cllm_status status = cllm__evaluation_monitor(evaluation, 0, &t->monitor, &result->monitor, err);
    result->count = 0;
    for (size_t i = 0; i < CLLM_LEN(shown) && status == CLLM_OK; i++) {
        result->names[i] = shown[i].name;
        status = cllm__evaluation_mean(evaluation, 0, shown[i].metric, shown[i].k, &result->values[i], err);
        result->count++;
    }
    cllm__evaluation_free(evaluation);
    return status;
}

static struct json_object *validation_json(const cllm__validation *v) {
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "monitor", json_object_new_double(v->monitor));
    for (size_t i = 0; i < v->count; i++) json_object_object_add(object, v->names[i], json_object_new_double(v->values[i]));
    return object;
}

static cllm_status epoch_done(void *context, const cllm__epoch_report *report, cllm_error *err) {
    training *t = context;
    if (report->validated) {
        cllm__log(host_of(t), CLLM_LOG_INFO, "  validation after rec epoch %d: %s %.4f%s", report->epoch + 1, t->run.config.monitor,
                  report->validation.monitor, report->best ? " (best so far)" : "");
        if (report->best) json_object_object_add(t->run.manifest, "validation", validation_json(&report->validation));
    }
    return cllm__run_log_epoch(&t->log, t->final ? "final" : "fit", report, err);
}

static char *in_run(const training *t, const char *name) {
    return cllm__path_join(t->run.folder, name);
}

/* What training has taken, all calls together: for the manifest, and for the checkpoint from which another call goes on. */
static void put_costs(const training *t, struct json_object *object) {
    uint64_t memory = cllm__peak_memory();
    if (memory < t->earlier_memory) memory = t->earlier_memory;
    json_object_object_add(object, "seconds", json_object_new_double(t->earlier_seconds + cllm__now() - t->began));
    json_object_object_add(object, "peak_memory_bytes", json_object_new_uint64(memory));
}

static void take_costs(training *t, struct json_object *object) {
    struct json_object *value = NULL;
    double seconds = cllm__json_number(object, "seconds");
    if (seconds > 0 && seconds < INFINITY) t->earlier_seconds = seconds;
    if (json_object_object_get_ex(object, "peak_memory_bytes", &value)) t->earlier_memory = json_object_get_uint64(value);
}

/* Each stage has its own file: a crash between two stages leaves the first one's behind, which is no beginning for the second. */
static const char *checkpoint_name(bool final) {
    return final ? "final-checkpoint.safetensors" : "checkpoint.safetensors";
}

static cllm_status save_checkpoint(void *context, cllm_error *err) {
    training *t = context;
    struct json_object *extra = json_object_new_object(), *validation = NULL;
    json_object_object_add(extra, "csv", json_object_new_int64((int64_t)t->log.csv_size));
    json_object_object_add(extra, "json", json_object_new_int64((int64_t)t->log.json_size));
    put_costs(t, extra);
    if (json_object_object_get_ex(t->run.manifest, "validation", &validation)) json_object_object_add(extra, "validation", json_object_get(validation));
    char *path = in_run(t, checkpoint_name(t->final));
    cllm_status status = path == NULL ? cllm__fail_nomem(err)
                                      : cllm__checkpoint_save(&t->trainer, path, json_object_to_json_string_ext(extra, JSON_C_TO_STRING_PLAIN), err);
    cllm__free(path);
    json_object_put(extra);
    return status;
}

/* ---- Setting up ---- */

static cllm_status read_rows(training *t, cllm_error *err) {
    unsigned splits = t->final ? 7u : 1u << CLLM__TRAIN;
    CLLM_TRY(cllm__merge_splits(&t->rows, t->run.dataset, splits, err));
    const cllm__backbone_info *info = cllm__backbone_info_of(t->run.backbone);
    cllm__corpus_options corpus = cllm__corpus_defaults(info->context);
    corpus.all_splits = t->final;
    corpus.max_text_tokens = (size_t)t->run.config.max_text_tokens;
    corpus.shuffle_texts = t->run.config.shuffle_texts;
    corpus.shuffle_seed = t->run.config.seed;
    if (!t->run.config.content) corpus.kinds = 0;
    return cllm__corpus_build(&t->corpus, t->run.dataset, t->run.tokenizer, &t->run.prompts, corpus, t->pool, host_of(t), err);
}

static cllm_status create_trainer(training *t, cllm_error *err) {
    bool has_valid = cllm__dataset_interactions(t->run.dataset, CLLM__VALID)->count > 0;
    if (!has_valid && !t->final) {
        cllm__log(host_of(t), CLLM_LOG_WARN, "the data set has no validation rows: the tables of the last epoch are taken");
    }
    cllm__trainer_inputs inputs = {
        .train = &t->rows.matrix, .corpus = &t->corpus, .prompts = &t->run.prompts, .features = &t->features.features,
        .vectors = t->features.start, .n_vectors = t->features.start != NULL ? t->features.words.n_words : 0,
        .backbone = t->run.backbone, .dtype = t->run.dtype,
        .pool = t->pool, .host = host_of(t), .context = t, .validate = has_valid && !t->final ? validate : NULL, .epoch_done = epoch_done,
        .save = save_checkpoint,
    };
    CLLM_TRY(cllm__monitor_parse(t->run.config.monitor, &t->monitor, err));
    return cllm__trainer_create(&t->trainer, &t->run.config, &inputs, err);
}

/* Where validation rows are to say whether what follows what counts, there have to be some, and rows that lie behind a history. */
static bool uses_transitions(const training *t) {
    const cllm__train_config *config = &t->run.config;
    if (config->transitions != CLLM__TRANSITIONS_VALID) return config->transitions == CLLM__TRANSITIONS_ON;
    return cllm__held_out_of(t->run.dataset) != CLLM__HELD_ANY && cllm__fusion_weights_are_chosen(config, t->run.dataset);
}

static bool linear_fits(const training *t) {
    return cllm__ease_memory(cllm__dataset_items(t->run.dataset)) <= cllm__ease_memory_limit();
}

/* Whether the linear part reads texts: it is asked to, and there are some. */
static bool linear_reads_texts(const training *t) {
    return t->run.config.linear == CLLM__LINEAR_EASE_TEXT && cllm__item_texts_of(t->run.dataset).count > 0;
}

/* What follows the epochs and is not in the plan's time. */
static struct json_object *besides_json(const training *t) {
    const cllm__train_config *config = &t->run.config;
    struct json_object *list = json_object_new_array();
    if (config->linear != CLLM__LINEAR_NONE && linear_fits(t)) json_object_array_add(list, json_object_new_string(linear_reads_texts(t) ? "ease_text" : "ease"));
    if (config->factors_weight > 0) json_object_array_add(list, json_object_new_string("als"));
    if (uses_transitions(t)) json_object_array_add(list, json_object_new_string("markov"));
    if (cllm__fusion_weights_are_chosen(config, t->run.dataset)) json_object_array_add(list, json_object_new_string("weights"));
    return list;
}

static struct json_object *plan_json(const training *t, const cllm__plan *plan) {
    struct json_object *object = json_object_new_object(), *phases = json_object_new_object();
    json_object_object_add(object, "dry_run", json_object_new_boolean(true));
    json_object_object_add(object, "tokens", json_object_new_double(plan->tokens));
    json_object_object_add(object, "flops", json_object_new_double(plan->flops));
    json_object_object_add(object, "seconds", json_object_new_double(plan->seconds));
    json_object_object_add(object, "validation_seconds", json_object_new_double(plan->validation_seconds));
    double memory = (double)(plan->memory + cllm__backbone_info_of(t->run.backbone)->resident_bytes);
    if (t->run.config.linear != CLLM__LINEAR_NONE && linear_fits(t)) memory += (double)cllm__ease_memory(cllm__dataset_items(t->run.dataset));
    json_object_object_add(object, "memory_bytes", json_object_new_int64((int64_t)memory));
    json_object_object_add(object, "besides", besides_json(t));
    for (int p = 0; p < CLLM__PHASES; p++) {
        int epochs = cllm__schedule_epochs(&t->trainer.config, (cllm__phase)p);
        if (epochs == 0) continue;
        struct json_object *phase = json_object_new_object();
        json_object_object_add(phase, "epochs", json_object_new_int(epochs));
        json_object_object_add(phase, "examples", json_object_new_int64((int64_t)plan->phase[p].examples));
        json_object_object_add(phase, "tokens_per_epoch", json_object_new_double(plan->phase[p].rows));
        json_object_object_add(phase, "seconds_per_epoch", json_object_new_double(plan->phase[p].seconds));
        json_object_object_add(phases, cllm__phase_name((cllm__phase)p), phase);
    }
    json_object_object_add(object, "phases", phases);
    return object;
}

static void add_hash(struct json_object *object, uint64_t hash) {
    char text[17];
    cllm__hash_text(hash, text);
    cllm__json_put_text(object, "hash", text);
}

static cllm_status make_manifest(training *t, cllm_error *err) {
    const cllm__run *run = &t->run;
    const cllm__backbone_info *info = cllm__backbone_info_of(run->backbone);
    struct json_object *m = json_object_new_object(), *data = json_object_new_object(), *backbone = json_object_new_object(), *prompts;
    json_object_put(run->manifest);
    t->run.manifest = m;
    cllm__json_put_text(m, "format", "cllm4rec run 1");
    cllm__json_put_text(m, "version", cllm_version());
    cllm__json_put_text(m, "status", "training");
    cllm__json_put_text(m, "stage", "fit");
    json_object_object_add(m, "final", json_object_new_boolean(t->options->final));
    cllm__json_put_text(m, "preset", run->config.preset);
    json_object_object_add(m, "settings", cllm__config_to_json(&run->config));
    cllm__json_put_text(m, "dtype", cllm__dtype_name(run->dtype));
    cllm__json_put_text(m, "backbone_dtype", cllm__dtype_name(run->backbone_dtype));
    char *data_path = cllm__path_absolute(cllm__dataset_path(run->dataset));
    char *backbone_path = t->options->backbone != NULL ? cllm__path_absolute(t->options->backbone) : cllm__strdup("backbone");
    cllm__json_put_text(data, "path", data_path);
    add_hash(data, cllm__dataset_hash(run->dataset));
    json_object_object_add(data, "users", json_object_new_int64((int64_t)cllm__dataset_users(run->dataset)));
    json_object_object_add(data, "items", json_object_new_int64((int64_t)cllm__dataset_items(run->dataset)));
    json_object_object_add(m, "dataset", data);
    cllm__json_put_text(backbone, "path", backbone_path);
    add_hash(backbone, info->hash);
    json_object_object_add(backbone, "made_here", json_object_new_boolean(t->options->backbone == NULL));
    cllm__json_put_text(backbone, "family", info->family);
    json_object_object_add(backbone, "layers", json_object_new_int64((int64_t)info->layers));
    json_object_object_add(backbone, "width", json_object_new_int64((int64_t)info->width));
    json_object_object_add(backbone, "vocabulary", json_object_new_int64((int64_t)info->vocabulary));
    json_object_object_add(m, "backbone", backbone);
    bool complete = data_path != NULL && backbone_path != NULL;
    cllm__free(data_path);
    cllm__free(backbone_path);
    if (!complete) return cllm__fail_nomem(err);
    cllm__json_put_text(m, "bos", cllm__bos_name(run->bos));
    json_object_object_add(m, "bos_token", run->bos_token < 0 ? NULL : json_object_new_int(run->bos_token));
    CLLM_TRY(cllm__prompts_to_json(&run->prompts, &prompts, err));
    json_object_object_add(m, "prompts", prompts);
    return CLLM_OK;
}

static cllm_status read_config(training *t, cllm_error *err) {
    const cllm_train_options *o = t->options;
    CLLM_TRY(cllm__train_config_preset(&t->run.config, o->preset != NULL ? o->preset : "paper", err));
    for (size_t i = 0; i < o->n_settings; i++) CLLM_TRY(cllm__train_config_set(&t->run.config, o->settings[i], err));
    CLLM_TRY(cllm__bos_parse(o->bos, &t->run.bos, err));
    CLLM_TRY(cllm__monitor_parse(t->run.config.monitor, &t->monitor, err));
    CLLM_TRY(cllm__dtype_parse(o->dtype, &t->run.dtype, err));
    return cllm__backbone_dtype_parse(o->backbone_dtype, t->run.dtype, &t->run.backbone_dtype, err);
}

static cllm_status parse_prompts(const char *text, struct json_object **object, cllm_error *err) {
    *object = NULL;
    if (text == NULL) return CLLM_OK;
    struct json_tokener *tokener = json_tokener_new();
    if (tokener == NULL) return cllm__fail_nomem(err);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *parsed = strlen(text) < INT_MAX ? json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1) : NULL;
    enum json_tokener_error problem = json_tokener_get_error(tokener);
    size_t line = cllm__json_line(text, json_tokener_get_parse_end(tokener));
    json_tokener_free(tokener);
    cllm_status status = CLLM_OK;
    if (!json_object_is_type(parsed, json_type_object)) {
        status = cllm__fail(err, CLLM_ERR_USAGE, "line %zu: not a JSON object of texts%s%s: give {\"name\": \"text\", …}", line,
                            problem == json_tokener_success ? "" : ", ", problem == json_tokener_success ? "" : json_tokener_error_desc(problem));
    } else {
        status = cllm__json_check_names(text, strlen(text), err);
    }
    if (status == CLLM_OK) *object = parsed;
    else json_object_put(parsed);
    if (status != CLLM_OK) cllm__error_prefix(err, "the templates");
    return status;
}

/* Without finetuning the pretrained head recommends: the prompt is then what the collaborative model was trained to go on from, its own
 * prompt and the items, and no other template takes its place. */
static cllm_status prompt_for_pretrained(struct json_object **overrides, cllm_error *err) {
    if (*overrides == NULL) *overrides = json_object_new_object();
    if (cllm__json_at(*overrides, "rec") != NULL) return CLLM_OK;
    const char *collab = cllm__json_string(*overrides, "collab"), *text = collab != NULL ? collab : cllm__prompt_default("collab");
    static const char list[] = " {items}";
    char *joined = cllm__alloc(strlen(text) + sizeof list, 1);
    if (joined == NULL) return cllm__fail_nomem(err);
    memcpy(joined, text, strlen(text));
    memcpy(joined + strlen(text), list, sizeof list);
    cllm__json_put_text(*overrides, "rec", joined);
    cllm__free(joined);
    return CLLM_OK;
}

/* The head has the tokenizer's words only, so that comes first; but of two errors the backbone's says more. */
static cllm_status open_given(training *t, const char *path, cllm_error *err) {
    const cllm__train_config *config = &t->run.config;
    cllm__backbone_options options = {.dtype = t->run.backbone_dtype, .training = cllm__train_config_reads_tokens(config),
                                      .layers = (size_t)config->backbone_layers,
                                      .headless = !cllm__train_config_reads_words(config), .bare = !cllm__train_config_reads(config), .pool = t->pool};
    cllm_status status = cllm__tokenizer_open(&t->run.tokenizer, path, err);
    if (status != CLLM_OK) {
        const cllm_error first = err != NULL ? *err : (cllm_error){0};
        options.headless = true;
        options.training = false;
        CLLM_TRY(cllm__backbone_open(&t->run.backbone, path, options, err));
        if (err != NULL) *err = first;
        return status;
    }
    options.words = cllm__tokenizer_size(t->run.tokenizer);
    return cllm__backbone_open(&t->run.backbone, path, options, err);
}

/* A tokenizer and a backbone: those that were given, or our own, made in `folder`. */
static cllm_status open_language_model(training *t, const char *folder, cllm_error *err) {
    const char *given = t->options->backbone;
    char *made = NULL, *saved = NULL;
    cllm_status status = CLLM_OK;
    if (given == NULL) {
        made = cllm__path_join(folder, "backbone");
        if (made == NULL) return cllm__fail_nomem(err);
        CLLM_TRY_CLEAN(cllm__default_backbone(made, t->run.dataset, t->run.config.seed, host_of(t), err));
    }
    const char *path = given != NULL ? given : made;
    CLLM_TRY_CLEAN(open_given(t, path, err));
    cllm__log_backbone(host_of(t), &t->run);
    cllm__id_space space = {.vocab_rows = (int32_t)cllm__backbone_info_of(t->run.backbone)->vocabulary,
                            .n_users = (int32_t)cllm__dataset_users(t->run.dataset), .n_items = (int32_t)cllm__dataset_items(t->run.dataset)};
    CLLM_TRY_CLEAN(cllm__id_space_check(&space, t->run.tokenizer, err));
    struct json_object *overrides;
    CLLM_TRY_CLEAN(parse_prompts(t->options->prompts, &overrides, err));
    if (!t->run.config.finetune) status = prompt_for_pretrained(&overrides, err);
    if (status == CLLM_OK) status = cllm__prompts_compile(&t->run.prompts, t->run.tokenizer, overrides, err);
    json_object_put(overrides);
    if (status == CLLM_OK) status = cllm__run_shape_prompts(&t->run, err);
    if (status == CLLM_OK) status = cllm__tokenizer_choose_bos(t->run.tokenizer, t->run.bos, &t->run.bos_token, err);
    if (status == CLLM_OK) status = cllm__prompts_begin(&t->run.prompts, t->run.bos_token, err);
    if (status != CLLM_OK) goto cleanup;
    saved = cllm__path_join(folder, "tokenizer");
    if (saved == NULL) status = cllm__fail_nomem(err);
    if (status == CLLM_OK) status = cllm__make_folders(saved, err);
    if (status == CLLM_OK) status = cllm__tokenizer_save(t->run.tokenizer, saved, err);
cleanup:
    cllm__free(made);
    cllm__free(saved);
    return status;
}

/* Whoever held out each user's last rows has said that the rows stand in order, be it without times. */
static cllm_status check_order(const training *t, cllm_error *err) {
    const cllm__train_config *config = &t->run.config;
    bool last = cllm__held_out_of(t->run.dataset) != CLLM__HELD_ANY;
    const char *wanted = config->collab_order == CLLM__ORDER_TIME     ? "reorder=time"
                         : config->prompt_order == CLLM__ORDER_TIME   ? "prompt-order=time"
                         : config->transitions == CLLM__TRANSITIONS_ON ? "transitions=on"
                                                                       : NULL;
    if (wanted == NULL || last || cllm__dataset_interactions(t->run.dataset, CLLM__TRAIN)->times != NULL) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_USAGE,
                      "%s: the rows of '%s' have no times; go without, or prepare it from rows that have them, or with --split loo if they stand in order",
                      wanted, t->options->dataset);
}

/* A run from the beginning, set up in the temporary `folder`. *finished: a dry run, whose report is in *json. */
static cllm_status begin(training *t, const char *folder, bool *finished, struct json_object **json, cllm_error *err) {
    const cllm_train_options *o = t->options;
    CLLM_TRY(read_config(t, err));
    CLLM_TRY(cllm__dataset_open(&t->run.dataset, o->dataset, false, err));
    CLLM_TRY(check_order(t, err));
    CLLM_TRY(cllm__item_features_resolve(&t->run.config, t->run.dataset, o->backbone != NULL, host_of(t), err));
    CLLM_TRY(open_language_model(t, folder, err));
    CLLM_TRY(cllm__item_features_create(&t->features, &t->run, folder, t->pool, host_of(t), err));
    CLLM_TRY(read_rows(t, err));
    CLLM_TRY(create_trainer(t, err));
    if (o->dry_run || o->budget_seconds > 0) {
        cllm__plan plan;
        CLLM_TRY(cllm__trainer_plan(&t->trainer, PROBE_SECONDS, &plan, err));
        if (o->budget_seconds > 0) {
            CLLM_TRY(cllm__plan_fit(&plan, o->budget_seconds, &t->trainer.config, err));
            CLLM_TRY(cllm__trainer_restart(&t->trainer, err));
            for (int i = 0; i < 3; i++) t->run.config.epochs[i] = t->trainer.config.epochs[i];
            t->run.config.content_share = t->trainer.config.content_share;
            cllm__log(host_of(t), CLLM_LOG_INFO, "the whole schedule would take %.0f s; within %.0f s: epochs %d/%d/%d, %.3g of the texts in each content epoch",
                      plan.seconds, o->budget_seconds, t->run.config.epochs[0], t->run.config.epochs[1], t->run.config.epochs[2],
                      t->run.config.content_share);
        }
        if (o->dry_run) {
            *json = plan_json(t, &plan);
            *finished = true;
            return CLLM_OK;
        }
    }
    return make_manifest(t, err);
}

static int64_t manifest_int(struct json_object *object, const char *name) {
    struct json_object *value = NULL;
    return json_object_object_get_ex(object, name, &value) ? json_object_get_int64(value) : 0;
}

/* From the run folder's checkpoint, or from the beginning if it stopped before the first one. */
static cllm_status load_checkpoint(training *t, cllm_error *err) {
    char *path = in_run(t, checkpoint_name(t->final)), *extra_text = NULL;
    if (path == NULL) return cllm__fail_nomem(err);
    struct json_object *extra = NULL, *validation = NULL;
    cllm_status status = CLLM_OK;
    take_costs(t, t->run.manifest);
    if (cllm__path_exists(path)) {
        status = cllm__checkpoint_load(&t->trainer, path, &extra_text, err);
        if (status == CLLM_OK) {
            extra = json_tokener_parse(extra_text);
            take_costs(t, extra);
            if (json_object_object_get_ex(extra, "validation", &validation)) json_object_object_add(t->run.manifest, "validation", json_object_get(validation));
            cllm__log(host_of(t), CLLM_LOG_INFO, "going on at %s epoch %d, step %zu", cllm__phase_name(t->trainer.at.phase), t->trainer.at.epoch + 1,
                      t->trainer.at.batch + 1);
        }
    }
    if (status == CLLM_OK) {
        status = cllm__run_log_open(&t->log, t->run.folder, extra == NULL ? (uint64_t)manifest_int(t->run.manifest, "csv_size") : (uint64_t)manifest_int(extra, "csv"),
                                    extra == NULL ? (uint64_t)manifest_int(t->run.manifest, "log_size") : (uint64_t)manifest_int(extra, "json"), err);
    }
    json_object_put(extra);
    cllm__free(extra_text);
    cllm__free(path);
    return status;
}

/* ---- Running ---- */

/* A composed token is there for every item that has a text. */
static void state_composed_items(const training *t, uint8_t *state) {
    for (size_t i = 0; i < t->trainer.collab.n_items; i++) {
        bool text = cllm__item_features_known(&t->features, i);
        state[i] = !t->trainer.cold[i] ? CLLM__ITEM_TRAINED : text ? CLLM__ITEM_FROM_TEXT : CLLM__ITEM_UNKNOWN;
    }
}

static cllm_status save_model(training *t, const char *name, cllm_error *err) {
    uint8_t *state;
    CLLM_TRY(CLLM_NEW(state, t->trainer.collab.n_items + 1, err));
    /* Without mask_cold such items were trained as negatives in every softmax; their rows are what the method gives. */
    if (t->trainer.composed) state_composed_items(t, state);
    else if (t->run.config.mask_cold) cllm__place_cold_items(&t->trainer.collab, &t->trainer.content, t->trainer.cold, &t->corpus, state);
    char *path = in_run(t, name);
    cllm_status status = path == NULL ? cllm__fail_nomem(err) : cllm__model_save(&t->trainer.collab, &t->trainer.content, state, path, err);
    cllm__free(path);
    cllm__free(state);
    return status;
}

/* How baselines are asked for beside this run: with the data set's cache of tuned parameters, *cache, for the caller to free. */
static cllm_status beside_run(cllm__baselines_options *options, char **cache, const training *t, cllm_error *err) {
    *cache = cllm__path_join(cllm__dataset_path(t->run.dataset), "baselines.json");
    *options = (cllm__baselines_options){.cache = *cache, .data_hash = cllm__dataset_hash(t->run.dataset), .seed = t->run.config.seed,
                                         .held_out = cllm__held_out_of(t->run.dataset), .pool = t->pool, .host = host_of(t)};
    return *cache == NULL ? cllm__fail_nomem(err) : CLLM_OK;
}

/* Fits the linear part to the rows at hand, with parameters tuned on an inner split of the training rows, and saves it. Data too large
 * for it go without. */
static cllm_status save_linear(training *t, const char *name, cllm_error *err) {
    const cllm__train_config *config = &t->run.config;
    size_t n_items = cllm__dataset_items(t->run.dataset);
    if (config->linear == CLLM__LINEAR_NONE) return CLLM_OK;
    if (!linear_fits(t)) {
        cllm__log(host_of(t), CLLM_LOG_WARN, "linear: %zu items would need %.1f GB of memory, more than half of this machine's: going without",
                  n_items, (double)cllm__ease_memory(n_items) / 1e9);
        return CLLM_OK;
    }
    const cllm__item_texts texts = cllm__item_texts_of(t->run.dataset);
    cllm__baselines baselines = {0};
    cllm__item_weights linear = {0};
    char *path = in_run(t, name), *cache = NULL;
    cllm__baselines_options options;
    cllm_status status = CLLM_OK;
    if (path == NULL) CLLM_TRY_CLEAN(cllm__fail_nomem(err));
    CLLM_TRY_CLEAN(beside_run(&options, &cache, t, err));
    options.list = linear_reads_texts(t) ? "ease_text" : "ease";
    options.texts = &texts;
    CLLM_TRY_CLEAN(cllm__baselines_create(&baselines, &t->rows.matrix, &options, err));
    CLLM_TRY_CLEAN(cllm__item_weights_create(&linear, &baselines.models[0], n_items, t->pool, err));
    CLLM_TRY_CLEAN(cllm__item_weights_save(&linear, path, err));
cleanup:
    cllm__item_weights_free(&linear);
    cllm__baselines_free(&baselines);
    cllm__free(cache);
    cllm__free(path);
    return status;
}

/* The same for the factors. */
static cllm_status save_factors(training *t, const char *name, cllm_error *err) {
    if (t->run.config.factors_weight == 0) return CLLM_OK;
    cllm__fold_in factors = {0};
    char *path = in_run(t, name), *cache = NULL;
    cllm__baselines_options options;
    cllm_status status = CLLM_OK;
    if (path == NULL) CLLM_TRY_CLEAN(cllm__fail_nomem(err));
    CLLM_TRY_CLEAN(beside_run(&options, &cache, t, err));
    CLLM_TRY_CLEAN(cllm__baselines_fold_in(&factors, &t->rows.matrix, &options, err));
    CLLM_TRY_CLEAN(cllm__fold_in_save(&factors, path, err));
cleanup:
    cllm__fold_in_free(&factors);
    cllm__free(cache);
    cllm__free(path);
    return status;
}

/* What the chain of transitions needs to be made anew from the rows whenever the run is opened. */
static cllm_status find_transitions(training *t, cllm_error *err) {
    if (!uses_transitions(t)) return CLLM_OK;
    double decay, smoothing;
    char *cache;
    cllm__baselines_options options;
    CLLM_TRY(beside_run(&options, &cache, t, err));
    cllm_status status = cllm__baselines_markov(&decay, &smoothing, &t->rows.matrix, &options, err);
    cllm__free(cache);
    CLLM_TRY(status);
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "decay", json_object_new_double(decay));
    json_object_object_add(object, "smoothing", json_object_new_double(smoothing));
    json_object_object_add(t->run.manifest, "transitions", object);
    return CLLM_OK;
}

static void remove_checkpoints(const training *t) {
    for (int final = 0; final < 2; final++) {
        char *path = in_run(t, checkpoint_name(final != 0));
        if (path != NULL) unlink(path);
        cllm__free(path);
    }
}

/* What a stage leaves in the run folder: for use, or, where a last fit on all rows follows, for measuring. */
typedef struct stage_files {
    const char *tables, *linear, *factors;
} stage_files;
static const stage_files FOR_USE = {"model.safetensors", "linear.safetensors", "factors.safetensors"},
                         FOR_MEASURING = {"fit.safetensors", "fit-linear.safetensors", "fit-factors.safetensors"};

/* Of the stage that has just been saved. */
static cllm_status choose_weights(training *t, cllm_error *err) {
    struct json_object *chosen = NULL;
    struct cllm_model *model = NULL;
    const cllm_model_options options = {.dataset = t->options->dataset, .backbone = t->options->backbone};
    if (!cllm__fusion_weights_are_chosen(&t->run.config, t->run.dataset)) return CLLM_OK;
    CLLM_TRY(cllm__run_write_manifest(t->run.folder, t->run.manifest, err)); /* says what the transitions are */
    CLLM_TRY(cllm__model_open(&model, t->run.folder, &options, false, true, t->pool, err));
    cllm_status status = cllm__fusion_weights_choose(&chosen, model, t->pool, host_of(t), err);
    cllm_model_close(model);
    if (status == CLLM_OK && chosen != NULL) json_object_object_add(t->run.manifest, "part_weights", chosen);
    bool none = t->run.config.transitions == CLLM__TRANSITIONS_VALID && !(cllm__json_number(chosen, "transitions") > 0);
    if (status == CLLM_OK && none) json_object_object_del(t->run.manifest, "transitions"); /* nobody has to make them */
    return status;
}

/* Runs the present stage to its end and saves what it made. */
static cllm_status run_stage(training *t, const stage_files *files, cllm_error *err) {
    CLLM_TRY(cllm__trainer_run(&t->trainer, err));
    CLLM_TRY(save_linear(t, files->linear, err));
    CLLM_TRY(save_factors(t, files->factors, err));
    if (t->trainer.composed) CLLM_TRY(cllm__item_features_save(&t->features, &t->trainer.composer, t->run.folder, err));
    CLLM_TRY(save_model(t, files->tables, err));
    if (t->final) return CLLM_OK;
    json_object_object_add(t->run.manifest, "best_epoch", json_object_new_int(t->trainer.best_epoch + 1));
    CLLM_TRY(find_transitions(t, err));
    return choose_weights(t, err);
}

/* Sets the trainer up once more, on all rows, for as many recommendation epochs as validation chose. */
static cllm_status begin_final(training *t, cllm_error *err) {
    t->final = true;
    cllm__model_scorer_free(&t->scorer);
    cllm__trainer_free(&t->trainer);
    cllm__corpus_free(&t->corpus);
    cllm__merged_free(&t->rows);
    int best = (int)manifest_int(t->run.manifest, "best_epoch");
    cllm__train_config full = t->run.config;
    if (best > 0) t->run.config.epochs[2] = best;
    cllm_status status = read_rows(t, err);
    if (status == CLLM_OK) status = create_trainer(t, err);
    t->run.config = full;
    return status;
}

static cllm_status end_stage(training *t, const char *stage, const char *state, cllm_error *err) {
    cllm__json_put_text(t->run.manifest, "stage", stage);
    cllm__json_put_text(t->run.manifest, "status", state);
    json_object_object_add(t->run.manifest, "csv_size", json_object_new_int64((int64_t)t->log.csv_size));
    json_object_object_add(t->run.manifest, "log_size", json_object_new_int64((int64_t)t->log.json_size));
    put_costs(t, t->run.manifest);
    CLLM_TRY(cllm__run_write_manifest(t->run.folder, t->run.manifest, err));
    remove_checkpoints(t);
    return CLLM_OK;
}

static cllm_status run_stages(training *t, bool wants_final, cllm_error *err) {
    if (!t->final) {
        CLLM_TRY(run_stage(t, wants_final ? &FOR_MEASURING : &FOR_USE, err));
        if (!wants_final) return end_stage(t, "fit", "done", err);
        CLLM_TRY(end_stage(t, "final", "training", err));
        cllm__log(host_of(t), CLLM_LOG_INFO, "fitting once more, on all rows, for %d rec epochs", (int)manifest_int(t->run.manifest, "best_epoch"));
        CLLM_TRY(begin_final(t, err));
    }
    CLLM_TRY(run_stage(t, &FOR_USE, err));
    return end_stage(t, "final", "done", err);
}

static struct json_object *report_json(const training *t) {
    struct json_object *object = json_object_new_object(), *value = NULL;
    const char *const copied[] = {"preset", "settings", "dataset", "backbone", "validation", "best_epoch", "part_weights", "final"};
    cllm__json_put_text(object, "run", t->run.folder);
    cllm__json_put_text(object, "status", "done");
    for (size_t i = 0; i < CLLM_LEN(copied); i++) {
        if (json_object_object_get_ex(t->run.manifest, copied[i], &value)) json_object_object_add(object, copied[i], json_object_get(value));
    }
    json_object_object_add(object, "seconds", json_object_new_double(cllm__now() - t->began));
    return object;
}

static cllm_status train_new(training *t, bool *finished, struct json_object **json, cllm_error *err) {
    const cllm_train_options *o = t->options;
    if (o->dataset == NULL || (o->output == NULL && !o->dry_run)) return cllm__fail(err, CLLM_ERR_USAGE, "give a data set and an output folder (-o)");
    char *folder;
    if (o->dry_run) CLLM_TRY(cllm__temporary_folder(&folder, err));
    else CLLM_TRY(cllm__folder_begin(o->output, o->force, "run.json", &folder, err));
    cllm_status status = begin(t, folder, finished, json, err);
    if (status == CLLM_OK && !*finished) status = cllm__run_write_manifest(folder, t->run.manifest, err);
    if (status == CLLM_OK && !*finished) status = cllm__folder_commit(folder, o->output, err);
    if (status != CLLM_OK || *finished) cllm__remove_tree(folder);
    cllm__free(folder);
    if (status != CLLM_OK || *finished) return status;
    t->run.folder = cllm__strdup(o->output);
    if (t->run.folder == NULL) return cllm__fail_nomem(err);
    return cllm__run_log_open(&t->log, t->run.folder, 0, 0, err);
}

/* A copy of the measured tables under their own name. They also stay where they are for use until the last fit replaces them. */
static cllm_status keep_copy(const training *t, const char *name, const char *kept_as, cllm_error *err) {
    char *from = in_run(t, name), *to = in_run(t, kept_as);
    cllm__map map = {0};
    bool none = from != NULL && !cllm__path_exists(from);
    cllm_status status = from == NULL || to == NULL ? cllm__fail_nomem(err) : none ? CLLM_OK : cllm__map_open(&map, from, err);
    if (status == CLLM_OK && !none) status = cllm__write_file(to, map.data, map.size, err);
    cllm__map_close(&map);
    cllm__free(from);
    cllm__free(to);
    return status;
}

static cllm_status train_resumed(training *t, bool *finished, struct json_object **json, cllm_error *err) {
    const cllm_train_options *o = t->options;
    if (o->output == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "give the run folder (-o) that shall go on");
    cllm__run_options options = {.parts = CLLM__RUN_DATASET | CLLM__RUN_BACKBONE, .dataset = o->dataset, .backbone = o->backbone,
                                  .training = true, .as_trained = true, .pool = t->pool};
    CLLM_TRY(cllm__run_open(&t->run, o->output, &options, err));
    bool done = strcmp(cllm__json_shown(t->run.manifest, "status"), "done") == 0, was_final = strcmp(cllm__json_shown(t->run.manifest, "stage"), "final") == 0;
    if (done) remove_checkpoints(t); /* of a call that failed behind its last word */
    if (done && (was_final || !o->final)) {
        cllm__log(host_of(t), CLLM_LOG_INFO, "'%s' is complete: there is nothing to resume", o->output);
        *json = report_json(t);
        *finished = true;
        return CLLM_OK;
    }
    cllm__log_backbone(host_of(t), &t->run);
    if (done) { /* a finished fit that is to be fitted on all rows now */
        CLLM_TRY(keep_copy(t, FOR_USE.linear, FOR_MEASURING.linear, err));
        CLLM_TRY(keep_copy(t, FOR_USE.factors, FOR_MEASURING.factors, err));
        CLLM_TRY(keep_copy(t, FOR_USE.tables, FOR_MEASURING.tables, err));
        json_object_object_add(t->run.manifest, "final", json_object_new_boolean(true));
        cllm__json_put_text(t->run.manifest, "stage", "final");
        cllm__json_put_text(t->run.manifest, "status", "training");
        CLLM_TRY(cllm__run_write_manifest(t->run.folder, t->run.manifest, err));
        was_final = true;
    }
    CLLM_TRY(cllm__item_features_create(&t->features, &t->run, t->run.folder, t->pool, host_of(t), err));
    if (was_final) {
        CLLM_TRY(begin_final(t, err));
    } else {
        CLLM_TRY(read_rows(t, err));
        CLLM_TRY(create_trainer(t, err));
    }
    return load_checkpoint(t, err);
}

static bool wants_final(const training *t) {
    struct json_object *value = NULL;
    return t->options->final || (json_object_object_get_ex(t->run.manifest, "final", &value) && json_object_get_boolean(value));
}

cllm_status cllm_train(const cllm_train_options *options, char **report, cllm_error *err) {
    training t = {.options = options, .began = cllm__now()};
    struct json_object *json = NULL;
    bool finished = false;
    cllm_status status = cllm__pool_create(&t.pool, options->threads, err);
    if (status == CLLM_OK) {
        cllm__log(&options->host, CLLM_LOG_INFO, "%d threads, products on %s", cllm__pool_threads(t.pool), cllm__gemm_isa());
        status = options->resume ? train_resumed(&t, &finished, &json, err) : train_new(&t, &finished, &json, err);
    }
    if (status == CLLM_OK && !finished) {
        status = run_stages(&t, wants_final(&t), err);
        if (status == CLLM_ERR_INTERRUPTED) cllm__error_prefix(err, "a checkpoint was written; go on with: cllm4rec train --resume -o %s", options->output);
        if (status == CLLM_OK) json = report_json(&t);
    }
    if (status == CLLM_OK && report != NULL) status = cllm__json_to_text(json, report, err);
    else json_object_put(json);
    training_free(&t);
    return status;
}

cllm_status cllm_train_presets(char **json, cllm_error *err) {
    struct json_object *object = json_object_new_object();
    for (size_t i = 0; cllm__train_preset_name(i) != NULL; i++) {
        cllm__train_config config;
        cllm_status status = cllm__train_config_preset(&config, cllm__train_preset_name(i), err);
        if (status != CLLM_OK) {
            json_object_put(object);
            return status;
        }
        json_object_object_add(object, cllm__train_preset_name(i), cllm__config_to_json(&config));
    }
    return cllm__json_to_text(object, json, err);
}
