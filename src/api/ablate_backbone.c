/*
 * Q2: what does the frozen language model contribute, and at what price? No transformer at all (the plain sum of the history's
 * tokens), the given weights, the same in random order, and their first layers, all with tokens of the same width.
 */
#include <math.h>
#include <string.h>

#include "api/ablation.h"
#include "api/model_scorer.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"

static const char NONE[] = "no transformer", RANDOM[] = "random weights", SHUFFLED[] = "shuffled weights", GIVEN[] = "given weights",
                  ALONE[] = "histories alone";
enum { MANY = 256 };

/* ---- Arms ---- */

static cllm_status look(const char *path, size_t layers, cllm__backbone_info *info, cllm_error *err) {
    cllm__backbone *backbone;
    CLLM_TRY(cllm__backbone_open(&backbone, path, (cllm__backbone_options){.dtype = CLLM__F32, .headless = true, .look = true, .layers = layers}, err));
    *info = *cllm__backbone_info_of(backbone);
    cllm__backbone_close(backbone);
    return CLLM_OK;
}

/* The given backbone with the numbers of each matrix in random order: of its family, shape, sizes and tokenizer, so that what differs
 * is what it learnt. Made once. */
static cllm_status make_shuffled(const cllm__ablation *a, char **path, cllm_error *err) {
    cllm_status status = CLLM_OK;
    char *made = cllm__ablation_path(a, "backbones/shuffled");
    if (made == NULL) return cllm__fail_nomem(err);
    if (!cllm__path_exists(made)) status = cllm_backbone_shuffle(cllm__ablation_options(a)->backbone, made, NULL, 1, false, err);
    if (status == CLLM_OK) *path = made;
    else cllm__free(made);
    return status;
}

/* Without a transformer nothing can read texts, and there is nothing to pretrain: all epochs on histories are recommendation epochs, at the
 * rate of pretraining. */
static cllm_status add_bag(cllm__ablation *a, size_t data, size_t reference, cllm_error *err) {
    cllm__train_config config;
    CLLM_TRY(cllm__ablation_config(a, NULL, &config, err));
    cllm__arm *arm = cllm__ablation_add(a, data, "", "%s", NONE);
    cllm__arm_set(arm, "readout=bag");
    cllm__arm_set(arm, "content=0");
    cllm__arm_set(arm, "lambda-c=0");
    cllm__arm_set(arm, "epochs=0/0/%d", config.epochs[1] + config.epochs[2]);
    cllm__arm_set(arm, "lr=%g", config.lr[1]);
    arm->reference = reference;
    return CLLM_OK;
}

static cllm_status plan(cllm__ablation *a, cllm_error *err) {
    bool given = cllm__ablation_options(a)->backbone != NULL;
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        cllm__backbone_info info;
        CLLM_TRY(look(cllm__ablation_backbone(a, data), 0, &info, err));
        cllm__arm *whole = cllm__ablation_add(a, data, "", "%s", given ? GIVEN : RANDOM);
        size_t reference = cllm__arm_index(a, whole);
        if (given) {
            cllm__arm *arm = cllm__ablation_add(a, data, "", "%s", SHUFFLED);
            CLLM_TRY(make_shuffled(a, &arm->backbone, err));
            arm->reference = reference;
        }
        for (size_t layers = 1; layers < info.layers; layers = layers == 4 ? 6 : 2 * layers) {
            cllm__arm *arm = cllm__ablation_add(a, data, "", "first %zu layer%s", layers, layers == 1 ? "" : "s");
            cllm__arm_set(arm, "backbone-layers=%zu", layers);
            arm->reference = reference;
        }
        cllm__arm *alone = cllm__ablation_add(a, data, "", "%s", ALONE);
        cllm__arm_set(alone, "content=0");
        cllm__arm_set(alone, "lambda-c=0");
        alone->reference = reference;
        CLLM_TRY(add_bag(a, data, reference, err));
    }
    return CLLM_OK;
}

/* ---- What it costs ---- */

/* Seconds of the fastest scoring of `count` users, of as many as fit in a third of a second, three at least. */
static cllm_status time_scoring(const cllm__scorer *scorer, const int32_t *users, size_t count, float *scores, double *seconds, cllm_error *err) {
    double began = cllm__now(), best = INFINITY;
    for (int i = 0; i < 4 || cllm__now() - began < 1.0 / 3; i++) {
        double start = cllm__now();
        CLLM_TRY(scorer->score(scorer->context, users, count, scores, err));
        double took = cllm__now() - start;
        if (i > 0 && took < best) best = took; /* the first one warms up */
    }
    *seconds = best;
    return CLLM_OK;
}

static cllm_status measure_speed(cllm__measuring *m, cllm_error *err) {
    const cllm__interactions *train = cllm__measure_data(m).train;
    int32_t *users = NULL;
    float *scores = NULL;
    double one = NAN, many = NAN;
    cllm__model_scorer own;
    cllm__model_scorer_of(&own, m->model, m->engine, train, 1, m->pool);
    cllm__scorer scorer = cllm__model_scorer_interface(&own);
    cllm_status status;
    CLLM_TRY_CLEAN(CLLM_NEW(users, MANY, err));
    CLLM_TRY_CLEAN(CLLM_NEW(scores, MANY * train->n_items, err));
    for (size_t i = 0; i < MANY; i++) users[i] = (int32_t)(i % train->n_users);
    CLLM_TRY_CLEAN(time_scoring(&scorer, users, 1, scores, &one, err));
    CLLM_TRY_CLEAN(time_scoring(&scorer, users, MANY, scores, &many, err));
    cllm__measure_column(m, "ms_one", 1000 * one);
    cllm__measure_column(m, "users_per_second", MANY / many);
cleanup:
    cllm__model_scorer_free(&own);
    cllm__free(users);
    cllm__free(scores);
    return status;
}

/* Mean seconds of an epoch of the two kinds. */
static cllm_status measure_epochs(cllm__measuring *m, cllm_error *err) {
    static const struct {
        const char *phase, *column;
    } kinds[] = {{"rec", "rec_epoch"}, {"content", "content_epoch"}};
    struct json_object *epochs;
    CLLM_TRY(cllm__run_epochs(m->folder, &epochs, err));
    for (size_t k = 0; k < CLLM_LEN(kinds); k++) {
        double sum = 0, n = 0;
        for (size_t i = 0; i < json_object_array_length(epochs); i++) {
            struct json_object *epoch = json_object_array_get_idx(epochs, i);
            if (strcmp(cllm__json_shown(epoch, "phase"), kinds[k].phase) != 0) continue;
            sum += cllm__json_number(epoch, "seconds");
            n++;
        }
        cllm__measure_column(m, kinds[k].column, n > 0 ? sum / n : NAN);
    }
    json_object_put(epochs);
    return CLLM_OK;
}

/* What recommending holds: the tokens, and the layers unless nothing goes through them. */
static cllm_status measure_memory(cllm__measuring *m, cllm_error *err) {
    const cllm__train_config *config = &m->model->run.config;
    const cllm__tables *tables = &m->model->collab;
    double bytes = (double)((tables->n_users + tables->n_items) * tables->width * sizeof(cllm__real));
    if (!config->bag) {
        cllm__backbone_info info;
        const cllm__arm *arm = m->arm;
        CLLM_TRY(look(arm->backbone != NULL ? arm->backbone : cllm__ablation_backbone(m->ablation, arm->data), (size_t)config->backbone_layers, &info, err));
        bytes += (double)info.resident_bytes;
    }
    cllm__measure_column(m, "megabytes", 1e-6 * bytes);
    return CLLM_OK;
}

static cllm_status measure(cllm__measuring *m, cllm_error *err) {
    CLLM_TRY(measure_epochs(m, err));
    CLLM_TRY(measure_memory(m, err));
    CLLM_TRY(measure_speed(m, err));
    return cllm__measure_ranking(m, NULL, NULL, NULL, 0, err);
}

/* ---- The sentence ---- */

/* "attention is worth +0.01 (…)", or that there is no difference. */
static cllm_status say_worth(cllm__ablation *a, size_t data, const char *what, const char *with, const char *without, cllm_error *err) {
    cllm__difference d;
    char text[96];
    CLLM_TRY(cllm__ablation_compare(a, cllm__ablation_find(a, data, "", with), cllm__ablation_find(a, data, "", without), NULL, &d, err));
    cllm__difference_text(&d, text);
    if (d.counts) cllm__ablation_say(a, " %s %s NDCG@100, %s against %s: %s.", what, d.test.difference > 0 ? "raise" : "lower", with, without, text);
    else cllm__ablation_say(a, " %s make no difference beyond the noise, %s against %s: %s.", what, with, without, text);
    return CLLM_OK;
}

static cllm_status conclude(cllm__ablation *a, cllm_error *err) {
    bool given = cllm__ablation_options(a)->backbone != NULL;
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        const char *whole = given ? GIVEN : RANDOM;
        size_t full = cllm__ablation_find(a, data, "", whole), none = cllm__ablation_find(a, data, "", NONE);
        cllm__difference d;
        cllm__ablation_say(a, " On %s:", cllm__ablation_data_name(a, data));
        if (given) CLLM_TRY(say_worth(a, data, "Pretrained weights", GIVEN, SHUFFLED, err));
        CLLM_TRY(say_worth(a, data, "Layers alone", ALONE, NONE, err));
        CLLM_TRY(say_worth(a, data, "Layers and texts together", whole, NONE, err));
        CLLM_TRY(cllm__ablation_compare(a, full, none, NULL, &d, err));
        if (!d.counts || d.test.difference < 0) cllm__ablation_say(a, " So the argument for a language model is not supported on these data.");
        double slower = cllm__ablation_value(a, full, "columns/rec_epoch", NULL) / cllm__ablation_value(a, none, "columns/rec_epoch", NULL);
        double later = cllm__ablation_value(a, full, "columns/ms_one", NULL) / cllm__ablation_value(a, none, "columns/ms_one", NULL);
        if (isfinite(slower) && isfinite(later)) {
            cllm__ablation_say(a, " An epoch takes %.3g times as long as without a transformer, a user's list %.3g times.", slower, later);
        }
    }
    return CLLM_OK;
}

static const cllm__column COLUMNS[] = {
    {.name = "rec_epoch", .label = "s a recommendation epoch", .format = "%.3g", .plotted = true},
    {.name = "content_epoch", .label = "s a content epoch", .format = "%.3g"},
    {.name = "megabytes", .label = "MB in use", .format = "%.1f", .plotted = true},
    {.name = "ms_one", .label = "ms for one user", .format = "%.3g", .plotted = true},
    {.name = "users_per_second", .label = "users/s, 256 at once", .format = "%.0f"},
};

const cllm__study CLLM__STUDY_BACKBONE = {
    .name = "backbone",
    .title = "What the language model contributes",
    .question = "Is the frozen language model worth its price? Pretrained weights against the same in random order, the first layers against all, and no transformer at "
                "all: the sum of a history's tokens. 'Histories alone' is the transformer without the content model, which no transformer has to do without.",
    .n_shops = 1,
    .axis = "backbone",
    .columns = COLUMNS,
    .n_columns = CLLM_LEN(COLUMNS),
    .plan = plan,
    .measure = measure,
    .conclude = conclude,
};
