#include "api/model.h"

#include <math.h>
#include <string.h>

#include "api/fusion_weights.h"
#include "base/alloc.h"
#include "base/io.h"
#include "eval/held_out.h"
#include "eval/recency.h"
#include "train/checkpoint.h"

/* Of a file for use and the one that validation chose, which lies beside it after --final: the path of the latter if `measured` and
 * it is there. The caller frees. */
static cllm_status choose_file(char **chosen, const cllm_model *model, const char *use, const char *fit, bool measured, cllm_error *err) {
    *chosen = cllm__path_join(model->run.folder, fit);
    if (*chosen != NULL && !(measured && cllm__path_exists(*chosen))) {
        cllm__free(*chosen);
        *chosen = cllm__path_join(model->run.folder, use);
    }
    return *chosen == NULL ? cllm__fail_nomem(err) : CLLM_OK;
}

static cllm_status open_tables(cllm_model *model, bool measured, cllm_error *err) {
    char *chosen;
    cllm_status status;
    CLLM_TRY(choose_file(&chosen, model, "model.safetensors", "fit.safetensors", measured, err));
    if (!cllm__path_exists(chosen)) {
        status = cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' has no trained tables yet: cllm4rec train --resume -o %s", model->run.folder,
                            model->run.folder);
        goto cleanup;
    }
    CLLM_TRY_CLEAN(cllm__model_load(&model->collab, &model->content, &model->item_state, chosen, err));
    size_t users = cllm__dataset_users(model->run.dataset), items = cllm__dataset_items(model->run.dataset);
    const cllm__train_config *config = &model->run.config;
    size_t width = config->width > 0 ? (size_t)config->width : cllm__backbone_info_of(model->run.backbone)->width;
    if (model->collab.n_users != users || model->collab.n_items != items || model->collab.width != width) {
        status = cllm__fail(err, CLLM_ERR_MISMATCH, "'%s' is for %zu users, %zu items, width %zu; data and backbone have %zu, %zu, %zu", chosen,
                            model->collab.n_users, model->collab.n_items, model->collab.width, users, items, width);
    }
cleanup:
    cllm__free(chosen);
    return status;
}

/* Beside the tables that were chosen: it was fitted to the same rows. */
static cllm_status open_linear(cllm_model *model, bool measured, cllm_error *err) {
    char *chosen;
    cllm_status status = CLLM_OK;
    if (model->run.config.linear == CLLM__LINEAR_NONE) return CLLM_OK;
    CLLM_TRY(choose_file(&chosen, model, "linear.safetensors", "fit-linear.safetensors", measured, err));
    if (!cllm__path_exists(chosen)) goto cleanup; /* data too large for it go without */
    CLLM_TRY_CLEAN(cllm__item_weights_load(&model->linear, chosen, err));
    if (model->linear.n_items != model->collab.n_items) {
        status = cllm__fail(err, CLLM_ERR_MISMATCH, "'%s' is for %zu items, the tables are for %zu", chosen, model->linear.n_items, model->collab.n_items);
    }
cleanup:
    cllm__free(chosen);
    return status;
}

static cllm_status open_factors(cllm_model *model, bool measured, cllm_error *err) {
    char *chosen;
    cllm_status status = CLLM_OK;
    if (model->run.config.factors_weight == 0) return CLLM_OK;
    CLLM_TRY(choose_file(&chosen, model, "factors.safetensors", "fit-factors.safetensors", measured, err));
    CLLM_TRY_CLEAN(cllm__fold_in_load(&model->factors, chosen, err));
    if (model->factors.n_items != model->collab.n_items) {
        status = cllm__fail(err, CLLM_ERR_MISMATCH, "'%s' is for %zu items, the tables are for %zu", chosen, model->factors.n_items, model->collab.n_items);
    }
cleanup:
    cllm__free(chosen);
    return status;
}

static bool uses_recency(const cllm__run *run) {
    int use = run->config.recency;
    return use == CLLM__RECENCY_ON || (use == CLLM__RECENCY_BY_TIME && cllm__held_out_of(run->dataset) == CLLM__HELD_LATEST);
}

/* What training found for the chain. */
static cllm_status read_transitions(double *decay, double *smoothing, const cllm__run *run, cllm_error *err) {
    *decay = cllm__json_number(run->manifest, "transitions/decay");
    *smoothing = cllm__json_number(run->manifest, "transitions/smoothing");
    if (*decay >= 0 && *decay < 1 && *smoothing >= 0 && *smoothing < INFINITY) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_DATA, "'%s/run.json': transitions needs a decay from 0 to 1 and a smoothing of 0 or more", run->folder);
}

/* Neighbours are looked for among the rows that the tables were fitted to, as what is asked for of late is: after --final all of them, but
 * for measuring. */
static cllm_status open_fitted(cllm_model *model, bool measured, cllm_error *err) {
    const cllm__train_config *config = &model->run.config;
    bool recency = model->of_late = uses_recency(&model->run);
    double decay, smoothing;
    bool transitions = config->transitions != CLLM__TRANSITIONS_OFF && cllm__json_at(model->run.manifest, "transitions") != NULL;
    if (config->neighbours_weight == 0 && !recency && !config->newcomers_popular && !transitions) return CLLM_OK;
    char *fit = cllm__path_join(model->run.folder, "fit.safetensors");
    if (fit == NULL) return cllm__fail_nomem(err);
    bool all = !measured && cllm__path_exists(fit);
    cllm__free(fit);
    CLLM_TRY(cllm__merge_splits(&model->fitted, model->run.dataset, all ? 7u : 1u << CLLM__TRAIN, err));
    if (recency || config->newcomers_popular) {
        CLLM_TRY(CLLM_NEW(model->recency, model->collab.n_items + 1, err));
        cllm__recency(model->recency, &model->fitted.matrix, recency ? config->recency_days : INFINITY);
    }
    if (transitions) {
        CLLM_TRY(read_transitions(&decay, &smoothing, &model->run, err));
        CLLM_TRY(cllm__transitions_create(&model->transitions, &model->fitted.matrix, decay, smoothing, err));
    }
    if (config->neighbours_weight == 0) return CLLM_OK;
    return cllm__user_neighbours_create(&model->neighbours, &model->fitted.matrix, (size_t)config->neighbours, config->seed, err);
}

cllm__order cllm__model_prompt_order(const cllm_model *model) {
    return model->transitions.start != NULL ? CLLM__ORDER_TIME : (cllm__order)model->run.config.prompt_order;
}

cllm__fusion cllm__model_fusion(const cllm_model *model) {
    cllm__fusion fusion = {
        .linear = model->linear.n_items > 0 ? &model->linear : NULL,
        .neighbours = model->neighbours.train != NULL ? &model->neighbours : NULL,
        .factors = model->factors.n_items > 0 ? &model->factors : NULL,
        .recency = model->of_late ? model->recency : NULL,
        .transitions = model->transitions.start != NULL ? &model->transitions : NULL,
        .newcomers = model->run.config.newcomers_popular ? model->recency : NULL,
    };
    memcpy(fusion.weights, model->part_weights, sizeof fusion.weights);
    return fusion;
}

static cllm_status open_into(cllm_model *model, const char *run, const cllm_model_options *o, bool head, bool measured, cllm__pool *pool,
                             cllm_error *err) {
    cllm__run_options options = {.parts = CLLM__RUN_DATASET | CLLM__RUN_BACKBONE, .headless = !head, .as_trained = !head, .pool = pool};
    if (o != NULL) {
        options.dataset = o->dataset;
        options.backbone = o->backbone;
        options.dtype = o->dtype;
        options.backbone_dtype = o->backbone_dtype;
    }
    CLLM_TRY(cllm__run_open(&model->run, run, &options, err));
    CLLM_TRY(cllm__fusion_weights_read(model->part_weights, &model->run, err));
    CLLM_TRY(open_tables(model, measured, err));
    CLLM_TRY(open_linear(model, measured, err));
    CLLM_TRY(open_factors(model, measured, err));
    CLLM_TRY(open_fitted(model, measured, err));
    size_t n_items = model->collab.n_items;
    CLLM_TRY(CLLM_NEW(model->hidden, n_items + 1, err));
    for (size_t i = 0; i < n_items; i++) model->hidden[i] = model->item_state[i] == CLLM__ITEM_UNKNOWN;
    CLLM_TRY(cllm__merge_splits(&model->history, model->run.dataset, 7u, err));
    return cllm__ties_create(&model->ties, n_items, model->run.config.seed, err);
}

cllm_status cllm__model_open(cllm_model **out, const char *run, const cllm_model_options *options, bool head, bool measured,
                             cllm__pool *pool, cllm_error *err) {
    cllm_model *model;
    CLLM_TRY(CLLM_NEW(model, 1, err));
    cllm_status status = open_into(model, run, options, head, measured, pool, err);
    if (status != CLLM_OK) {
        cllm_model_close(model);
        return status;
    }
    *out = model;
    return CLLM_OK;
}

cllm_status cllm_model_open(cllm_model **model, const char *run, const cllm_model_options *options, cllm_error *err) {
    return cllm__model_open(model, run, options, false, false, NULL, err);
}

void cllm_model_close(cllm_model *model) {
    if (model == NULL) return;
    cllm__ties_free(&model->ties);
    cllm__merged_free(&model->history);
    cllm__free(model->hidden);
    cllm__free(model->item_state);
    cllm__item_weights_free(&model->linear);
    cllm__fold_in_free(&model->factors);
    cllm__user_neighbours_free(&model->neighbours);
    cllm__transitions_free(&model->transitions);
    cllm__free(model->recency);
    cllm__merged_free(&model->fitted);
    cllm__tables_free(&model->collab);
    cllm__tables_free(&model->content);
    cllm__run_free(&model->run);
    cllm__free(model);
}

size_t cllm_model_users(const cllm_model *model) {
    return model->collab.n_users;
}

size_t cllm_model_items(const cllm_model *model) {
    return model->collab.n_items;
}

const char *cllm_model_user_id(const cllm_model *model, size_t user) {
    return cllm__dataset_user_id(model->run.dataset, user);
}

const char *cllm_model_item_id(const cllm_model *model, size_t item) {
    return cllm__dataset_item_id(model->run.dataset, item);
}

const char *cllm_model_item_title(const cllm_model *model, size_t item) {
    return cllm__dataset_item_field(model->run.dataset, item, CLLM__TEXT_TITLE);
}

bool cllm_model_find_item(const cllm_model *model, const char *id, size_t *item) {
    return cllm__dataset_find_item(model->run.dataset, id, item);
}

cllm_status cllm__model_engine(cllm__engine **engine, const cllm_model *model, cllm__pool *pool, cllm_error *err) {
    const cllm__train_config *config = &model->run.config;
    CLLM_TRY(cllm__engine_create(engine, model->run.backbone, model->run.dtype, pool, err));
    cllm__bag bag = cllm__config_bag(config);
    if (config->bag) cllm__engine_set_bag(*engine, &bag, model->collab.width);
    return CLLM_OK;
}

cllm_status cllm__model_training_backbone(cllm__backbone **backbone, const cllm_model *model, cllm__pool *pool, cllm_error *err) {
    cllm__run run = {0};
    cllm__run_options options = {.parts = CLLM__RUN_BACKBONE, .backbone = model->run.backbone_path, .dtype = cllm__dtype_name(model->run.dtype),
                                 .backbone_dtype = cllm__dtype_name(model->run.backbone_dtype), .training = true, .pool = pool};
    cllm_status status = cllm__run_open(&run, model->run.folder, &options, err);
    if (status == CLLM_OK) {
        *backbone = run.backbone;
        run.backbone = NULL;
    }
    cllm__run_free(&run);
    return status;
}

/* ---- Sessions ---- */

static cllm_status open_session(cllm_session *s, const cllm_model *model, int threads, cllm_error *err) {
    s->model = model;
    CLLM_TRY(cllm__pool_create(&s->pool, threads, err));
    CLLM_TRY(cllm__model_engine(&s->engine, model, s->pool, err));
    const cllm__backbone_info *info = cllm__backbone_info_of(model->run.backbone);
    size_t n_items = model->collab.n_items;
    s->rules = (cllm__batch_rules){
        .space = {.vocab_rows = (int32_t)info->vocabulary, .n_users = (int32_t)model->collab.n_users, .n_items = (int32_t)n_items},
        .context = info->context,
    };
    CLLM_TRY(CLLM_NEW(s->closed, n_items + 1, err));
    CLLM_TRY(CLLM_NEW(s->ranked, n_items + 1, err));
    CLLM_TRY(CLLM_NEW(s->ranked_scores, n_items + 1, err));
    return CLLM_NEW(s->scratch, n_items + 1, err);
}

cllm_status cllm_session_open(cllm_session **out, const cllm_model *model, int threads, cllm_error *err) {
    cllm_session *session;
    CLLM_TRY(CLLM_NEW(session, 1, err));
    cllm_status status = open_session(session, model, threads, err);
    if (status != CLLM_OK) {
        cllm_session_close(session);
        return status;
    }
    *out = session;
    return CLLM_OK;
}

void cllm_session_close(cllm_session *s) {
    if (s == NULL) return;
    cllm__engine_free(s->training_engine);
    cllm__backbone_close(s->training_backbone);
    cllm__engine_free(s->engine);
    cllm__item_words_free(&s->words);
    cllm__item_states_free(&s->states);
    cllm__batch_free(&s->batch);
    cllm__free(s->scores);
    cllm__free(s->closed);
    cllm__free(s->ranked);
    cllm__free(s->ranked_scores);
    cllm__free(s->scratch);
    cllm__free(s->prompt);
    cllm__pool_free(s->pool);
    cllm__free(s);
}
