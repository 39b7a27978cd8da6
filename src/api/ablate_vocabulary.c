/*
 * N1: a vocabulary with a token for every user and item. Against items that are spelled by number; what is left of the language
 * model (with a frozen backbone and a softmax of its own: everything, to the last bit); what one softmax over words and new tokens
 * would cost it; what the tokens know about reviews; and where their rows lie among the words'.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/ablation.h"
#include "api/ablation_state.h"
#include "api/content_likelihood.h"
#include "base/alloc.h"
#include "kernels/ops.h"
#include "model/heads.h"
#include "text/bpe.h"

enum { BARE, ATOMIC, SPELLED, WRITTEN, RANDOM, ONE_SOFTMAX, KINDS };
static const char *const NAMES[] = {"bare backbone", "a token an item", "numbers in pieces", "numbers written out", "random tokens", "trained in one softmax"};

/* Texts that are measured, and items whose neighbours are looked for. */
enum { MAX_TEXTS = 400, MAX_TEXT_TOKENS = 64, MAX_ITEMS = 300, SHOWN_ITEMS = 8, BLOCK = 512 };

static cllm_status plan(cllm__ablation *a, cllm_error *err) {
    (void)err;
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        size_t atomic = SIZE_MAX;
        for (int kind = BARE; kind < KINDS; kind++) {
            cllm__arm *arm = cllm__ablation_add(a, data, "", "%s", NAMES[kind]);
            arm->kind = kind;
            arm->reference = atomic;
            if (kind == ATOMIC) atomic = cllm__arm_index(a, arm);
            if (kind == BARE) arm->run = CLLM__NO_RUN; /* measured first, before anything was trained */
            else if (kind == RANDOM) arm->run = atomic;
            else cllm__arm_set(arm, "item-tokens=%s", kind == SPELLED ? "spelled" : "id");
            if (kind == WRITTEN) cllm__arm_set(arm, "histories=spelled");
            if (kind == ONE_SOFTMAX) cllm__arm_set(arm, "main-text=joint");
        }
    }
    return CLLM_OK;
}

/* ---- Plain text ---- */

/* The language model under the tokens: of a trained run, or opened alone. */
typedef struct language {
    cllm__tokenizer *tokenizer;
    cllm__backbone *backbone;
    cllm__dataset *dataset;
    cllm__prompts prompts;
    cllm__engine *engine;
    bool own; /* opened here */
    cllm__corpus corpus;
    cllm__batch batch;
    cllm__tables none; /* no users and no items */
    double *nll;
    size_t *counts;
    cllm__real *hidden, *rows;
} language;

static void language_free(language *l) {
    cllm__corpus_free(&l->corpus);
    cllm__batch_free(&l->batch);
    cllm__tables_free(&l->none);
    cllm__free(l->nll);
    cllm__free(l->counts);
    cllm__free(l->hidden);
    cllm__free(l->rows);
    if (!l->own) return;
    cllm__engine_free(l->engine);
    cllm__prompts_free(&l->prompts);
    cllm__dataset_close(l->dataset);
    cllm__backbone_close(l->backbone);
    cllm__tokenizer_close(l->tokenizer);
}

/* As a run opens them. */
static cllm_status open_bare(language *l, const cllm__measuring *m, cllm_error *err) {
    const cllm_ablate_options *o = cllm__ablation_options(m->ablation);
    const char *path = cllm__ablation_backbone(m->ablation, m->arm->data);
    cllm__dtype dtype;
    l->own = true;
    CLLM_TRY(cllm__dtype_parse(o->dtype, &dtype, err));
    CLLM_TRY(cllm__backbone_dtype_parse(o->backbone_dtype, dtype, &dtype, err));
    CLLM_TRY(cllm__tokenizer_open(&l->tokenizer, path, err));
    CLLM_TRY(cllm__backbone_open(&l->backbone, path, (cllm__backbone_options){.dtype = dtype, .words = cllm__tokenizer_size(l->tokenizer), .pool = m->pool}, err));
    CLLM_TRY(cllm__dataset_open(&l->dataset, cllm__ablation_data_path(m->ablation, m->arm->data), false, err));
    CLLM_TRY(cllm__prompts_compile(&l->prompts, l->tokenizer, NULL, err));
    return cllm__engine_create(&l->engine, l->backbone, CLLM__F32, m->pool, err);
}

/* The plain texts: reviews of the measured split, of each the first token given and the others predicted, in one batch. */
static cllm_status gather_texts(language *l, const cllm__measuring *m, cllm_error *err) {
    const cllm__backbone_info *info = cllm__backbone_info_of(l->backbone);
    cllm__corpus_options options = cllm__corpus_defaults(info->context);
    options.kinds = 1u << CLLM__TEXT_REVIEW;
    options.split = cllm__measure_split(m);
    options.max_text_tokens = MAX_TEXT_TOKENS;
    CLLM_TRY(cllm__corpus_build(&l->corpus, l->dataset, l->tokenizer, &l->prompts, options, m->pool, &m->host, err));
    const cllm__batch_rules rules = {.space = {.vocab_rows = (int32_t)info->vocabulary}, .predict_first = true, .context = info->context};
    cllm__batch_clear(&l->batch, CLLM__STAGE_CONTENT);
    for (size_t i = 0; i < l->corpus.count && l->batch.sequences < MAX_TEXTS; i++) {
        cllm__document d = cllm__corpus_at(&l->corpus, i);
        if (d.count > 1) CLLM_TRY(cllm__batch_add_tokens(&l->batch, &rules, d.tokens, 1, d.tokens + 1, d.count - 1, err));
    }
    return CLLM_OK;
}

static double mean_of(const double *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    return n > 0 ? sum / (double)n : NAN;
}

static cllm_status open_language(language *l, const cllm__measuring *m, cllm_error *err) {
    if (m->model == NULL) {
        CLLM_TRY(open_bare(l, m, err));
    } else {
        const cllm__run *run = &m->model->run;
        *l = (language){.tokenizer = run->tokenizer, .backbone = run->backbone, .dataset = run->dataset, .prompts = run->prompts, .engine = m->engine};
    }
    return gather_texts(l, m, err);
}

/* ---- One softmax ---- */

/* How much the plain texts' mean −log p a token rises when the softmax is over the words and all rows of `tables`: the mean of
 * −ln(1 − mass on new tokens). */
static cllm_status joint_cost(double *cost, language *l, const cllm__measuring *m, const cllm__tables *tables, cllm_error *err) {
    size_t width = tables->width, n_new = tables->n_users + tables->n_items, n = l->batch.n_out;
    cllm__heads heads = {.dtype = CLLM__F32, .pool = m->pool};
    int32_t *targets = NULL;
    double *joint = NULL;
    cllm_status status;
    CLLM_TRY_CLEAN(CLLM_NEW(targets, n + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(joint, n + 1, err));
    memcpy(l->rows, tables->users, tables->n_users * width * sizeof *l->rows);
    memcpy(l->rows + tables->n_users * width, tables->items, tables->n_items * width * sizeof *l->rows);
    for (size_t i = 0; i < n; i++) targets[i] = (int32_t)n_new + l->batch.targets[i];
    CLLM_TRY_CLEAN(cllm__item_head(&heads, l->hidden, n, width, l->rows, n_new, NULL, l->backbone, (cllm__head_targets){.targets = targets}, 1, joint,
                                   NULL, NULL, false, err));
    *cost = mean_of(joint, n) - mean_of(l->nll, n);
cleanup:
    cllm__heads_free(&heads);
    cllm__free(targets);
    cllm__free(joint);
    return status;
}

/* The plain texts through the frozen model, and what the new rows would take from them. */
static cllm_status measure_text(language *l, cllm__measuring *m, cllm_error *err) {
    const cllm__backbone_info *info = cllm__backbone_info_of(l->backbone);
    size_t n = l->batch.n_out;
    cllm__heads heads = {.dtype = CLLM__F32, .pool = m->pool};
    if (n == 0) return CLLM_OK;
    CLLM_TRY(CLLM_NEW(l->nll, n, err));
    CLLM_TRY(CLLM_NEW(l->hidden, n * info->width, err));
    CLLM_TRY(cllm__tables_create(&l->none, 0, 0, info->width, err));
    CLLM_TRY(cllm__engine_hidden(l->engine, &l->none, &l->batch, l->hidden, err));
    cllm_status status = cllm__word_head(&heads, l->hidden, n, info->width, l->backbone, l->batch.targets, 1, l->nll, NULL, err);
    cllm__heads_free(&heads);
    CLLM_TRY(status);
    cllm__measure_column(m, "text_nll", mean_of(l->nll, n));
    if (m->model == NULL) return CLLM_OK;
    const cllm__tables *collab = &m->model->collab, *content = &m->model->content;
    double cost;
    CLLM_TRY(CLLM_NEW(l->rows, (collab->n_users + collab->n_items) * collab->width, err));
    CLLM_TRY(joint_cost(&cost, l, m, collab, err));
    cllm__measure_column(m, "joint_cost_collab", cost);
    CLLM_TRY(joint_cost(&cost, l, m, content, err));
    cllm__measure_column(m, "joint_cost_content", cost);
    return CLLM_OK;
}

/* ---- Reviews ---- */

static cllm_status measure_reviews(cllm__measuring *m, cllm_error *err) {
    struct json_object *reviews;
    double absent;
    CLLM_TRY(cllm__content_likelihood(&reviews, m->model, m->engine, cllm__measure_split(m), 1, m->pool, &m->host, err));
    cllm__measure_column(m, "review_nll", cllm__json_number(reviews, "nll/true"));
    cllm__measure_column(m, "review_nll_shuffled", cllm__json_number(reviews, "nll/shuffled"));
    json_object_put(reviews);
    CLLM_TRY(cllm__content_likelihood_absent(&absent, m->model, m->engine, cllm__measure_split(m), m->pool, &m->host, err));
    cllm__measure_column(m, "review_nll_absent", absent);
    return CLLM_OK;
}

/* ---- Neighbours ---- */

typedef struct neighbours {
    int32_t *items;   /* [n] */
    int32_t *words;   /* [n] the word whose embedding has the largest cosine with the item's row */
    double *cosines;  /* [n] */
    size_t n;
    double word_norm; /* mean */
    cllm__real *rows, *words_block, *products;
} neighbours;

static void neighbours_free(neighbours *v) {
    cllm__free(v->items);
    cllm__free(v->words);
    cllm__free(v->cosines);
    cllm__free(v->rows);
    cllm__free(v->words_block);
    cllm__free(v->products);
}

static double norm_of(const cllm__real *row, size_t width) {
    return sqrt((double)cllm__dot(row, row, width));
}

/* Scales to length 1; returns the length before. */
static double normalise(cllm__real *row, size_t width) {
    double norm = norm_of(row, width);
    for (size_t c = 0; norm > 0 && c < width; c++) row[c] = (cllm__real)((double)row[c] / norm);
    return norm;
}

static double mean_norm(const cllm__real *rows, size_t n, size_t width) {
    double sum = 0;
    for (size_t r = 0; r < n; r++) sum += norm_of(rows + r * width, width);
    return n > 0 ? sum / (double)n : NAN;
}

/* Items of the middle of the catalogue are as good as any: every k-th. */
static cllm_status find_neighbours(neighbours *v, const cllm__backbone *backbone, const cllm__tables *tables, cllm__pool *pool, cllm_error *err) {
    const cllm__backbone_info *info = cllm__backbone_info_of(backbone);
    size_t width = info->width, stride = (tables->n_items + MAX_ITEMS - 1) / MAX_ITEMS;
    v->n = stride > 0 ? (tables->n_items + stride - 1) / stride : 0;
    CLLM_TRY(CLLM_NEW(v->items, v->n + 1, err));
    CLLM_TRY(CLLM_NEW(v->words, v->n + 1, err));
    CLLM_TRY(CLLM_NEW(v->cosines, v->n + 1, err));
    CLLM_TRY(CLLM_NEW(v->rows, (v->n + 1) * width, err));
    CLLM_TRY(CLLM_NEW(v->words_block, BLOCK * width, err));
    CLLM_TRY(CLLM_NEW(v->products, (v->n + 1) * BLOCK, err));
    for (size_t i = 0; i < v->n; i++) {
        v->items[i] = (int32_t)(i * stride);
        v->cosines[i] = -2;
        memcpy(v->rows + i * width, tables->items + i * stride * width, width * sizeof *v->rows);
        normalise(v->rows + i * width, width);
    }
    for (size_t first = 0; first < info->words; first += BLOCK) {
        size_t n = info->words - first < BLOCK ? info->words - first : BLOCK;
        for (size_t w = 0; w < n; w++) {
            cllm__backbone_embed(backbone, (int32_t)(first + w), v->words_block + w * width);
            v->word_norm += normalise(v->words_block + w * width, width) / (double)info->words;
        }
        CLLM_TRY(cllm__gemm(pool, false, true, v->n, n, width, v->rows, width, v->words_block, width, 0, v->products, BLOCK, CLLM__F32, err));
        for (size_t i = 0; i < v->n; i++) {
            for (size_t w = 0; w < n; w++) {
                double cosine = (double)v->products[i * BLOCK + w];
                if (!(cosine > v->cosines[i])) continue;
                v->cosines[i] = cosine;
                v->words[i] = (int32_t)(first + w);
            }
        }
    }
    return CLLM_OK;
}

/* A few items with their nearest words, for the page. */
static cllm_status keep_neighbours(const neighbours *v, cllm__measuring *m, cllm_error *err) {
    struct json_object *kept = json_object_new_array();
    json_object_object_add(m->result, "neighbours", kept);
    for (size_t k = 0; k < SHOWN_ITEMS && k < v->n; k++) {
        size_t i = k * v->n / SHOWN_ITEMS, length;
        const char *title = cllm_model_item_title(m->model, (size_t)v->items[i]);
        char *word;
        CLLM_TRY(cllm__tokenizer_decode(m->model->run.tokenizer, &v->words[i], 1, &word, &length, err));
        struct json_object *row = json_object_new_object();
        cllm__json_put_text(row, "item", title != NULL ? title : cllm_model_item_id(m->model, (size_t)v->items[i]));
        cllm__json_put_text(row, "word", cllm__show(word, length).text); /* a piece may be part of a character */
        json_object_object_add(row, "cosine", json_object_new_double(v->cosines[i]));
        json_object_array_add(kept, row);
        cllm__free(word);
    }
    return CLLM_OK;
}

static cllm_status measure_rows(cllm__measuring *m, cllm_error *err) {
    const cllm__tables *tables = &m->model->collab;
    neighbours v = {0};
    cllm__measure_column(m, "item_norm", mean_norm(tables->items, tables->n_items, tables->width));
    cllm_status status = find_neighbours(&v, m->model->run.backbone, tables, m->pool, err);
    if (status == CLLM_OK) {
        cllm__measure_column(m, "word_norm", v.word_norm);
        cllm__measure_column(m, "nearest_word", mean_of(v.cosines, v.n));
        status = keep_neighbours(&v, m, err);
    }
    neighbours_free(&v);
    return status;
}

/* ---- One arm ---- */

/* The tables as training began with them. */
static void forget(cllm__measuring *m) {
    double deviation = m->model->run.config.init_deviation;
    cllm__tables_init_normal(&m->model->collab, deviation, m->seed, CLLM__TABLES_COLLAB);
    cllm__tables_init_normal(&m->model->content, deviation, m->seed, CLLM__TABLES_CONTENT);
}

static cllm_status measure(cllm__measuring *m, cllm_error *err) {
    language l = {0};
    if (m->arm->kind == RANDOM) forget(m);
    cllm_status status = open_language(&l, m, err);
    if (status == CLLM_OK) status = measure_text(&l, m, err);
    language_free(&l);
    if (status != CLLM_OK || m->model == NULL) return status;
    if (m->model->run.config.content) CLLM_TRY(measure_reviews(m, err));
    CLLM_TRY(measure_rows(m, err));
    return cllm__measure_ranking(m, NULL, NULL, NULL, 0, err);
}

/* ---- The sentence ---- */

static double column(const cllm__ablation *a, size_t data, int kind, const char *name) {
    char what[64];
    snprintf(what, sizeof what, "columns/%s", name);
    return cllm__ablation_value(a, cllm__ablation_find(a, data, "", NAMES[kind]), what, NULL);
}

/* A frozen backbone gives the same bits before and after training, or it was not frozen. */
static cllm_status check_text(const cllm__ablation *a, size_t data, cllm_error *err) {
    for (size_t seed = 1; seed <= a->options.seeds; seed++) {
        double before = cllm__json_number(cllm__ablation_result(a, cllm__ablation_find(a, data, "", NAMES[BARE]), seed), "columns/text_nll");
        for (int kind = ATOMIC; kind < KINDS; kind++) {
            double after = cllm__json_number(cllm__ablation_result(a, cllm__ablation_find(a, data, "", NAMES[kind]), seed), "columns/text_nll");
            if (before == after || (isnan(before) && isnan(after))) continue;
            return cllm__fail(err, CLLM_ERR_FAILED, "plain text had %.17g nats a token before training and %.17g after it (%s): the backbone is not frozen", before,
                              after, NAMES[kind]);
        }
    }
    return CLLM_OK;
}

/* What an arm without a token an item ranks, beside the one that has them. */
static cllm_status say_against_tokens(cllm__ablation *a, size_t data, int kind, const char *what, cllm_error *err) {
    cllm__difference d;
    char text[96];
    size_t atomic = cllm__ablation_find(a, data, "", NAMES[ATOMIC]), arm = cllm__ablation_find(a, data, "", NAMES[kind]);
    CLLM_TRY(cllm__ablation_compare(a, arm, atomic, NULL, &d, err));
    cllm__difference_text(&d, text);
    if (d.counts) cllm__ablation_say(a, "%s instead of giving each item a token changes NDCG@100 by %s.", what, text);
    else cllm__ablation_say(a, "%s ranks no differently from a token an item, beyond the noise (%s).", what, text);
    return CLLM_OK;
}

static cllm_status say_data(cllm__ablation *a, size_t data, cllm_error *err) {
    CLLM_TRY(say_against_tokens(a, data, SPELLED, "Composing tokens of the pieces of their numbers", err));
    CLLM_TRY(say_against_tokens(a, data, WRITTEN, " Writing histories as numbers, in words,", err));
    double plain = column(a, data, BARE, "text_nll");
    if (!isfinite(plain)) {
        cllm__ablation_say(a, " Without held-out reviews there is no text to measure.");
        return CLLM_OK;
    }
    cllm__ablation_say(a, " Plain text has %.4f nats a token before and after training, equal to the last bit; one softmax over words and new tokens would add "
                          "%.4f with the trained collaborative rows (%.4f if they were trained in such a softmax), %.4f with the trained content rows and %.4f with random ones.",
                       plain, column(a, data, ATOMIC, "joint_cost_collab"), column(a, data, ONE_SOFTMAX, "joint_cost_collab"),
                       column(a, data, ATOMIC, "joint_cost_content"), column(a, data, RANDOM, "joint_cost_content"));
    double own = column(a, data, ATOMIC, "review_nll"), other = column(a, data, ATOMIC, "review_nll_shuffled"), none = column(a, data, ATOMIC, "review_nll_absent");
    if (isfinite(own)) {
        cllm__ablation_say(a, " A review's own tokens are worth %+.4f nats a word over another review's and %+.4f over none.", other - own, none - own);
    }
    return CLLM_OK;
}

static cllm_status conclude(cllm__ablation *a, cllm_error *err) {
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        CLLM_TRY(check_text(a, data, err));
        if (data > 0) cllm__ablation_say(a, " ");
        if (cllm__ablation_data_sets(a) > 1) cllm__ablation_say(a, "%s: ", cllm__ablation_data_name(a, data));
        CLLM_TRY(say_data(a, data, err));
    }
    return CLLM_OK;
}

/* ---- The page ---- */

static void put_neighbours(const cllm__ablation *a, cllm__page *page, size_t data, int kind) {
    struct json_object *rows = cllm__json_at(cllm__ablation_result(a, cllm__ablation_find(a, data, "", NAMES[kind]), 1), "neighbours");
    if (json_object_array_length(rows) == 0) return;
    cllm__page_put(page, "<div class=\"wide\"><table><caption>");
    cllm__page_text(page, cllm__ablation_data_name(a, data), 0);
    cllm__page_put(page, ", %s: the words nearest to some items</caption>\n<thead><tr><th>item</th><th>word</th><th class=\"n\">cosine</th></tr></thead>\n<tbody>\n",
                   NAMES[kind]);
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        struct json_object *row = json_object_array_get_idx(rows, i);
        cllm__page_put(page, "<tr><td>");
        cllm__page_data(page, cllm__json_shown(row, "item"), 60);
        cllm__page_put(page, "</td><td>");
        cllm__page_data(page, cllm__json_shown(row, "word"), 40);
        cllm__page_put(page, "</td><td class=\"n\">%.3f</td></tr>\n", cllm__json_number(row, "cosine"));
    }
    cllm__page_put(page, "</tbody></table></div>\n");
}

static cllm_status figures(const cllm__ablation *a, cllm__page *page, cllm_error *err) {
    (void)err;
    cllm__page_put(page, "<h2>Nearest words</h2>\n");
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        put_neighbours(a, page, data, ATOMIC);
        put_neighbours(a, page, data, RANDOM);
    }
    return CLLM_OK;
}

static const cllm__column COLUMNS[] = {
    {.name = "text_nll", .label = "NLL of plain text", .format = "%.6f"},
    {.name = "joint_cost_collab", .label = "added by one softmax, collaborative rows", .format = "%.4f", .plotted = true},
    {.name = "joint_cost_content", .label = "added by one softmax, content rows", .format = "%.4f", .plotted = true},
    {.name = "review_nll", .label = "NLL of reviews, own tokens", .format = "%.4f", .plotted = true},
    {.name = "review_nll_shuffled", .label = "another's tokens", .format = "%.4f"},
    {.name = "review_nll_absent", .label = "no tokens", .format = "%.4f"},
    {.name = "item_norm", .label = "norm of item rows", .format = "%.3f"},
    {.name = "word_norm", .label = "norm of word rows", .format = "%.3f"},
    {.name = "nearest_word", .label = "cosine with the nearest word", .format = "%.3f"},
};

const cllm__study CLLM__STUDY_VOCABULARY = {
    .name = "vocabulary",
    .title = "A token for every user and item",
    .question = "Does a token of its own serve an item better than a number spelled in pieces of the vocabulary? What do the new tokens do to the language model, "
                "and what do they know about reviews?",
    .n_shops = 1,
    .columns = COLUMNS,
    .n_columns = CLLM_LEN(COLUMNS),
    .plan = plan,
    .measure = measure,
    .conclude = conclude,
    .figures = figures,
};
