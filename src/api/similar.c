/*
 * Items like an item, or like a text: cosine of item vectors. A text has no vector. Where tokens are composed of texts it receives the
 * one that an item with this text would have; else the content token under which the frozen backbone finds it most likely, as training
 * gives one to an item's description.
 *
 * Content tokens share a large part that says only "this is an item's text"; cosines between them are taken from their mean. (On the
 * built-in shop, of the ten items nearest to an item's own description 9 % were of its theme without that, 46 % with it.)
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/model.h"
#include "base/alloc.h"
#include "base/io.h"
#include "model/text_states.h"
#include "train/adam_table.h"

/* Steps of Adam for a text's token, and their size as a share of the item vectors' spread. */
enum { FIT_STEPS = 60 };
static const double FIT_RATE = 0.05;

enum { SPACE_COLLAB = 1, SPACE_CONTENT = 2 };

/* Whether the run's tokens are composed of texts, so that a text has a collaborative token. */
static bool composed_of_texts(const cllm_model *model) {
    int tokens = model->run.config.item_tokens;
    return tokens == CLLM__ITEM_TOKENS_TEXT || tokens == CLLM__ITEM_TOKENS_ID_TEXT;
}

const char *cllm_similar_space(const cllm_session *s, bool text) {
    return text && !composed_of_texts(s->model) ? "content" : "collab";
}

static cllm_status parse_space(const cllm_session *s, const char *name, bool text, unsigned *spaces, cllm_error *err) {
    if (name == NULL) name = cllm_similar_space(s, text);
    if (strcmp(name, "collab") == 0) *spaces = SPACE_COLLAB;
    else if (strcmp(name, "content") == 0) *spaces = SPACE_CONTENT;
    else if (strcmp(name, "both") == 0) *spaces = SPACE_COLLAB | SPACE_CONTENT;
    else return cllm__fail(err, CLLM_ERR_USAGE, "space '%s': give collab, content or both", name);
    if (!text || *spaces == SPACE_CONTENT || (*spaces == SPACE_COLLAB && composed_of_texts(s->model))) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_USAGE, "a text has no place in the space '%s': it has one in 'content', and in 'collab' where item tokens are composed of texts", name);
}

/* ---- Cosines ---- */

/* scores[i] += the cosine of `vector` and item i's row, both seen from `origin` (NULL: zero) and without their columns before `first`. A
 * vector of no length is like nothing: 0. */
static void add_cosines(float *scores, const cllm__tables *tables, size_t first, const cllm__real *vector, const cllm__real *origin) {
    for (size_t i = 0; i < tables->n_items; i++) {
        const cllm__real *row = tables->items + i * tables->width;
        double product = 0, a = 0, b = 0;
        for (size_t j = first; j < tables->width; j++) {
            double from = origin != NULL ? origin[j] : 0, x = vector[j] - from, y = row[j] - from;
            product += x * y;
            a += x * x;
            b += y * y;
        }
        if (a > 0 && b > 0) scores[i] += (float)(product / (sqrt(a) * sqrt(b)));
    }
}

/* What is no part of an item's likeness: how often it is bought, say. */
static size_t columns_of_biases(const cllm_model *model) {
    return model->run.config.bag_biases ? CLLM__BAG_BIASES : 0;
}

/* Writes the mean content vector of the items of which something is known; returns the root mean square distance of a value from
 * it, 0 if there is no such item. */
static double mean_of_items(const cllm_model *model, cllm__real *mean) {
    const cllm__tables *t = &model->content;
    double squares = 0;
    for (size_t j = 0; j < t->width; j++) {
        double sum = 0, square = 0;
        size_t known = 0;
        for (size_t i = 0; i < t->n_items; i++) {
            double value = t->items[i * t->width + j];
            if (model->hidden[i]) continue;
            sum += value;
            square += value * value;
            known++;
        }
        if (known == 0) return 0;
        mean[j] = (cllm__real)(sum / (double)known);
        squares += square / (double)known - (sum / (double)known) * (sum / (double)known);
    }
    return squares > 0 ? sqrt(squares / (double)t->width) : 0;
}

static cllm_status rank(cllm_session *s, const float *scores, size_t k, cllm_answer *answer, cllm_error *err) {
    const cllm_model *model = s->model;
    size_t n_items = model->collab.n_items, count;
    CLLM_TRY(cllm__topk(&model->ties, scores, k < n_items ? k : n_items, s->scratch, s->ranked, s->ranked_scores, &count, err));
    cllm_recommendation *items;
    CLLM_TRY(CLLM_NEW(items, count + 1, err));
    for (size_t i = 0; i < count; i++) {
        size_t item = (size_t)s->ranked[i];
        items[i] = (cllm_recommendation){cllm_model_item_id(model, item), cllm_model_item_title(model, item), s->ranked_scores[i]};
    }
    *answer = (cllm_answer){.items = items, .count = count};
    if (count < k) snprintf(answer->reason, sizeof answer->reason, "there are only %zu other items of which something is known", count);
    return CLLM_OK;
}

/* ---- The token of a text ---- */

/* What fitting needs besides the session. */
typedef struct fitting {
    cllm__tables own, start;
    cllm__gradient gradient;
    cllm__adam_table items;
    cllm__batch batch;
    cllm__tokens tokens;
} fitting;

static void fitting_free(fitting *f) {
    cllm__tables_free(&f->own);
    cllm__tables_free(&f->start);
    cllm__gradient_free(&f->gradient);
    cllm__adam_table_free(&f->items);
    cllm__batch_free(&f->batch);
    cllm__tokens_free(&f->tokens);
}

/* Kept for the next text. */
static cllm_status open_training(cllm_session *s, cllm_error *err) {
    if (s->training_engine != NULL) return CLLM_OK;
    if (s->training_backbone == NULL) CLLM_TRY(cllm__model_training_backbone(&s->training_backbone, s->model, s->pool, err));
    return cllm__engine_create(&s->training_engine, s->training_backbone, s->model->run.dtype, s->pool, err);
}

static cllm_status set_up(cllm_session *s, fitting *f, const char *text, const cllm__real *mean, double spread, cllm_error *err) {
    const cllm_model *model = s->model;
    const cllm__backbone_info *info = cllm__backbone_info_of(model->run.backbone);
    size_t limit = (size_t)model->run.config.max_text_tokens;
    CLLM_TRY(cllm__tokenizer_encode_main(model->run.tokenizer, text, strlen(text), false, limit > 0 ? limit : SIZE_MAX, &f->tokens, err));
    if (f->tokens.count == 0) return cllm__fail(err, CLLM_ERR_USAGE, "the text is empty: give some words");
    CLLM_TRY(cllm__tables_create(&f->own, 1, 1, info->width, err));
    CLLM_TRY(cllm__tables_create(&f->start, 1, 1, info->width, err));
    CLLM_TRY(cllm__gradient_create(&f->gradient, 1, 1, info->width, err));
    memcpy(f->start.items, mean, info->width * sizeof *mean);
    if (spread <= 0) return cllm__fail(err, CLLM_ERR_DATA, "the run has no content vectors to compare a text with (trained with content=0, or only one item has texts)");
    cllm__tables_copy(&f->own, &f->start);
    const cllm__adam adam = {.lr = FIT_RATE * spread, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    CLLM_TRY(cllm__adam_table_create(&f->items, f->own.items, 1, info->width, adam, err));
    cllm__batch_rules rules = {.space = {.vocab_rows = (int32_t)info->vocabulary, .n_users = 1, .n_items = 1}, .reg = CLLM__REG_MAP,
                               .predict_first = true, .context = info->context};
    cllm__document document = {.kind = CLLM__TEXT_DESCRIPTION, .user = -1, .item = 0, .tokens = f->tokens.ids, .count = f->tokens.count};
    cllm__batch_clear(&f->batch, CLLM__STAGE_CONTENT);
    return cllm__batch_add_document(&f->batch, &rules, &model->run.prompts, &document, err);
}

/* From the mean of the items, towards what makes the text likely; the pull back is that of training. */
static cllm_status fit_token(cllm_session *s, const char *text, const cllm__real *mean, double spread, cllm__real *vector, cllm_error *err) {
    fitting f = {0};
    const int32_t row = 0;
    cllm_status status;
    CLLM_TRY_CLEAN(open_training(s, err));
    CLLM_TRY_CLEAN(set_up(s, &f, text, mean, spread, err));
    /* A Gaussian prior with the spread of the items' own tokens. */
    const cllm__objective objective = {.reg = CLLM__REG_MAP, .lambda_c = 1 / (spread * spread)};
    for (int i = 0; i < FIT_STEPS; i++) {
        cllm__loss loss;
        CLLM_TRY_CLEAN(cllm__engine_step(s->training_engine, &f.batch, &f.own, &f.start, &objective, &f.gradient, &loss, err));
        cllm__adam_table_step(&f.items, &row, 1, f.gradient.items, NULL);
    }
    memcpy(vector, f.own.items, f.own.width * sizeof *vector);
    status = CLLM_OK;
cleanup:
    fitting_free(&f);
    return status;
}

/* ---- The same of a run with composed tokens ---- */

static bool has_words(const cllm_model *model) {
    return model->run.config.item_features != CLLM__ITEM_FEATURES_STATES;
}

static bool has_states(const cllm_model *model) {
    return cllm__train_config_uses_states(&model->run.config);
}

static cllm_status check_width(size_t width, const cllm_model *model, const char *path, cllm_error *err) {
    if (width == model->collab.width) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_MISMATCH, "'%s' has vectors of width %zu, the run's tokens have %zu", path, width, model->collab.width);
}

/* Kept for the next text. */
static cllm_status open_words(cllm_session *s, cllm_error *err) {
    if (s->words.vectors != NULL) return CLLM_OK;
    cllm__item_words words = {0};
    char *path = cllm__path_join(s->model->run.folder, "words.safetensors");
    cllm_status status = path == NULL ? cllm__fail_nomem(err) : cllm__item_words_load(&words, path, err);
    if (status == CLLM_OK) status = check_width(words.width, s->model, path, err);
    cllm__free(path);
    if (status == CLLM_OK) s->words = words;
    else cllm__item_words_free(&words);
    return status;
}

static cllm_status open_states(cllm_session *s, cllm_error *err) {
    if (s->states.vectors != NULL) return CLLM_OK;
    cllm__item_states states = {0};
    char *path = cllm__path_join(s->model->run.folder, "states.safetensors");
    cllm_status status =
        path == NULL ? cllm__fail_nomem(err) : cllm__item_states_load(&states, cllm__backbone_info_of(s->model->run.backbone)->width, path, err);
    if (status == CLLM_OK) status = check_width(states.width, s->model, path, err);
    cllm__free(path);
    if (status == CLLM_OK) s->states = states;
    else cllm__item_states_free(&states);
    return status;
}

/* Adds what the backbone's state of the text says. */
static cllm_status add_state(cllm_session *s, const char *text, cllm__real *vector, cllm_error *err) {
    const cllm__run *run = &s->model->run;
    const cllm__text_states_options options = {.max_tokens = (size_t)run->config.max_text_tokens, .bos = run->bos_token};
    float *state;
    CLLM_TRY(open_states(s, err));
    CLLM_TRY(CLLM_NEW(state, cllm__backbone_info_of(run->backbone)->width, err));
    cllm_status status = cllm__text_state(state, run->backbone, run->tokenizer, text, strlen(text), options, s->pool, err);
    if (status == CLLM_OK) status = cllm__item_states_add(&s->states, state, vector, err);
    cllm__free(state);
    return status;
}

/* As training composes one. With states, a text of unknown words has a token too. */
static cllm_status compose_token(cllm_session *s, const char *text, cllm__real *vector, cllm_error *err) {
    memset(vector, 0, s->model->collab.width * sizeof *vector);
    if (has_words(s->model)) {
        CLLM_TRY(open_words(s, err));
        cllm_status status = cllm__item_words_token(&s->words, text, strlen(text), vector, err);
        if (status != CLLM_OK && !(status == CLLM_ERR_NOT_FOUND && has_states(s->model))) return status;
    }
    return has_states(s->model) ? add_state(s, text, vector, err) : CLLM_OK;
}

/* ---- */

static cllm_status score_item(cllm_session *s, const char *id, unsigned spaces, const cllm__real *mean, float *scores, cllm_error *err) {
    const cllm_model *model = s->model;
    size_t item;
    if (!cllm__dataset_find_item(model->run.dataset, id, &item)) return cllm__fail(err, CLLM_ERR_NOT_FOUND, "item '%s' is not in the data", id);
    if (model->hidden[item]) {
        return cllm__fail(err, CLLM_ERR_NOT_FOUND, "item '%s' has neither interactions nor texts: nothing is known to compare", id);
    }
    const size_t width = model->collab.width;
    if ((spaces & SPACE_COLLAB) != 0) add_cosines(scores, &model->collab, columns_of_biases(model), model->collab.items + item * width, NULL);
    if ((spaces & SPACE_CONTENT) != 0) add_cosines(scores, &model->content, 0, model->content.items + item * width, mean);
    for (size_t i = 0; i < model->collab.n_items && spaces == (SPACE_COLLAB | SPACE_CONTENT); i++) scores[i] /= 2;
    scores[item] = -INFINITY;
    return CLLM_OK;
}

cllm_status cllm_similar(cllm_session *s, const char *item, const char *text, const char *space, size_t k, cllm_answer *answer,
                         cllm_error *err) {
    const cllm_model *model = s->model;
    unsigned spaces = 0;
    size_t n_items = model->collab.n_items;
    if ((item == NULL) == (text == NULL)) return cllm__fail(err, CLLM_ERR_USAGE, "give an item or a text, and not both");
    if (k == 0) return cllm__fail(err, CLLM_ERR_USAGE, "k is 0: ask for at least one item");
    CLLM_TRY(parse_space(s, space, item == NULL, &spaces, err));
    if ((spaces & SPACE_CONTENT) != 0 && !s->model->run.config.content) {
        return cllm__fail(err, CLLM_ERR_USAGE,
                          "'%s' was trained without the content model: no text has a place in it; ask for an item in the space 'collab', "
                          "or train with --content 1",
                          s->model->run.folder);
    }
    CLLM_TRY(CLLM_GROW(s->scores, s->scores_capacity, n_items, err));
    memset(s->scores, 0, n_items * sizeof *s->scores);
    cllm__real *vectors; /* the items' mean, the text's token */
    CLLM_TRY(CLLM_NEW(vectors, 2 * model->content.width, err));
    cllm__real *mean = vectors, *token = vectors + model->content.width;
    double spread = mean_of_items(model, mean);
    cllm_status status;
    if (text != NULL && spaces == SPACE_COLLAB) {
        status = compose_token(s, text, token, err);
        if (status == CLLM_OK) add_cosines(s->scores, &model->collab, columns_of_biases(model), token, NULL);
    } else if (item != NULL) {
        status = score_item(s, item, spaces, mean, s->scores, err);
    } else {
        status = fit_token(s, text, mean, spread, token, err);
        if (status == CLLM_OK) add_cosines(s->scores, &model->content, 0, token, mean);
    }
    cllm__free(vectors);
    CLLM_TRY(status);
    for (size_t i = 0; i < n_items; i++) {
        if (model->hidden[i]) s->scores[i] = -INFINITY;
    }
    return rank(s, s->scores, k, answer, err);
}
