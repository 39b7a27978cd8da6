/*
 * N3: is it the texts that regularise, and where? Separate strengths in L-steps, C-steps and recommendation steps (the last: on or off
 * in finetuning), and texts as they are, cut short, and dealt to other items.
 */
#include <math.h>
#include <stdio.h>

#include "api/ablation.h"
#include "api/content_likelihood.h"

static const char STRENGTHS[] = "strengths", TEXTS[] = "texts", WHOLE[] = "whole texts", SHUFFLED[] = "shuffled texts";

/* Of the preset's strength. */
static const double FACTORS[] = {0, 1, 0.1};
enum { MOST = CLLM_LEN(FACTORS) };

static size_t n_factors(const cllm__ablation *a) {
    return cllm__ablation_scale(a) == CLLM__SCALE_SMOKE ? 2 : MOST;
}

static void name_of(double lambda, const size_t stage[3], char name[CLLM__ARM_NAME]) {
    snprintf(name, CLLM__ARM_NAME, "%g/%g/%g", lambda * FACTORS[stage[0]], lambda * FACTORS[stage[1]], lambda * FACTORS[stage[2]]);
}

/* Visits the triples of strengths in order; false past the last. stage = {0} is the first, no coupling anywhere. */
static bool next(size_t stage[3], size_t n) {
    for (int i = 2; i >= 0; i--) {
        if (++stage[i] < n) return true;
        stage[i] = 0;
    }
    return false;
}

static cllm_status strength(const cllm__ablation *a, double *lambda, cllm_error *err) {
    cllm__train_config config;
    CLLM_TRY(cllm__ablation_config(a, NULL, &config, err));
    *lambda = config.lambda_c;
    if (*lambda > 0 && isfinite(*lambda)) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_USAGE, "lambda-c %g: this study varies it by stages, so give a strength above 0, below infinity", *lambda);
}

static void add_texts(cllm__ablation *a, size_t data, size_t none, size_t all, int longest) {
    static const int cuts[] = {64, 16, 4};
    cllm__arm *arm = cllm__ablation_add(a, data, TEXTS, "%s", WHOLE);
    arm->run = all;
    arm->reference = none;
    for (size_t i = 0; i < CLLM_LEN(cuts); i++) {
        bool wanted = cllm__ablation_scale(a) == CLLM__SCALE_SMOKE ? cuts[i] == 4 : cuts[i] != 4;
        if (!wanted || cuts[i] >= longest) continue;
        arm = cllm__ablation_add(a, data, TEXTS, "first %d tokens", cuts[i]);
        cllm__arm_set(arm, "max-text-tokens=%d", cuts[i]);
        arm->reference = none;
    }
    arm = cllm__ablation_add(a, data, TEXTS, "%s", SHUFFLED);
    cllm__arm_set(arm, "shuffle-texts=1");
    arm->reference = none;
}

static cllm_status plan(cllm__ablation *a, cllm_error *err) {
    double lambda;
    cllm__train_config config;
    CLLM_TRY(strength(a, &lambda, err));
    CLLM_TRY(cllm__ablation_config(a, NULL, &config, err));
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        size_t stage[3] = {0}, none = cllm__ablation_arms(a), all = none;
        do {
            char name[CLLM__ARM_NAME];
            name_of(lambda, stage, name);
            cllm__arm *arm = cllm__ablation_add(a, data, STRENGTHS, "%s", name);
            cllm__arm_set(arm, "lambda-stages=%g/%g/%g", FACTORS[stage[0]], FACTORS[stage[1]], FACTORS[stage[2]]);
            size_t index = cllm__arm_index(a, arm);
            if (index != none) arm->reference = none;
            if (stage[0] == 1 && stage[1] == 1 && stage[2] == 1) all = index;
        } while (next(stage, n_factors(a)));
        add_texts(a, data, none, all, config.max_text_tokens);
    }
    return CLLM_OK;
}

static cllm_status measure(cllm__measuring *m, cllm_error *err) {
    struct json_object *reviews;
    CLLM_TRY(cllm__content_likelihood(&reviews, m->model, m->engine, cllm__measure_split(m), 1, m->pool, &m->host, err));
    cllm__measure_column(m, "review_nll", cllm__json_number(reviews, "nll/true"));
    json_object_put(reviews);
    return cllm__measure_ranking(m, NULL, NULL, NULL, 0, err);
}

/* ---- The sentences ---- */

static cllm_status say_best(cllm__ablation *a, size_t data, double lambda, cllm_error *err) {
    size_t stage[3] = {0}, best = SIZE_MAX, none = SIZE_MAX, all = SIZE_MAX, triples = 0;
    char name[CLLM__ARM_NAME], text[96], other[96];
    do {
        name_of(lambda, stage, name);
        size_t arm = cllm__ablation_find(a, data, STRENGTHS, name);
        if (none == SIZE_MAX) none = arm;
        if (stage[0] == 1 && stage[1] == 1 && stage[2] == 1) all = arm;
        if (best == SIZE_MAX || cllm__ablation_value(a, arm, "ndcg@100", NULL) > cllm__ablation_value(a, best, "ndcg@100", NULL)) best = arm;
        triples++;
    } while (next(stage, n_factors(a)));
    cllm__difference from_none, from_all;
    CLLM_TRY(cllm__ablation_compare(a, best, none, NULL, &from_none, err));
    CLLM_TRY(cllm__ablation_compare(a, best, all, NULL, &from_all, err));
    cllm__difference_text(&from_none, text);
    cllm__difference_text(&from_all, other);
    if (best == none) {
        cllm__ablation_say(a, " On %s no coupling is the best of %zu triples of strengths.", cllm__ablation_data_name(a, data), triples);
        return CLLM_OK;
    }
    cllm__ablation_say(a, " On %s the best of %zu triples of strengths (L-steps/C-steps/recommendation) is %s; against no coupling: %s%s", cllm__ablation_data_name(a, data),
                       triples, cllm__ablation_arm(a, best)->name, text, from_none.counts ? "" : ", no difference beyond the noise");
    if (best == all) cllm__ablation_say(a, "; it is the same everywhere.");
    else cllm__ablation_say(a, "; against the same strength everywhere: %s%s.", other, from_all.counts ? "" : ", no difference beyond the noise");
    return CLLM_OK;
}

/* Whether the texts' meaning regularises, or any text does as well. */
static cllm_status say_texts(cllm__ablation *a, size_t data, double lambda, cllm_error *err) {
    char name[CLLM__ARM_NAME], text[96];
    name_of(lambda, (const size_t[3]){0}, name);
    size_t none = cllm__ablation_find(a, data, STRENGTHS, name), whole = cllm__ablation_find(a, data, TEXTS, WHOLE),
           shuffled = cllm__ablation_find(a, data, TEXTS, SHUFFLED);
    cllm__difference content, shrinkage, meaning;
    CLLM_TRY(cllm__ablation_compare(a, whole, none, NULL, &content, err));
    CLLM_TRY(cllm__ablation_compare(a, shuffled, none, NULL, &shrinkage, err));
    CLLM_TRY(cllm__ablation_compare(a, whole, shuffled, NULL, &meaning, err));
    cllm__difference_text(&meaning, text);
    cllm__ablation_say(a, " Whole texts against texts dealt to other items: %s,", text);
    if (meaning.counts) {
        cllm__ablation_say(a, meaning.test.difference > 0 ? " so it matters that a text is the item's own." : " so an item's own text is worse than another's.");
    } else if (content.counts && content.test.difference > 0 && shrinkage.counts && shrinkage.test.difference > 0) {
        cllm__ablation_say(a, " no difference beyond the noise, while both beat no coupling: the effect is shrinkage, not content.");
    } else {
        cllm__ablation_say(a, " no difference beyond the noise; regularisation with the item's own texts %s no coupling.",
                           !content.counts ? "makes no difference to" : content.test.difference > 0 ? "beats" : "is worse than");
    }
    return CLLM_OK;
}

static cllm_status conclude(cllm__ablation *a, cllm_error *err) {
    double lambda;
    CLLM_TRY(strength(a, &lambda, err));
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        CLLM_TRY(say_best(a, data, lambda, err));
        CLLM_TRY(say_texts(a, data, lambda, err));
    }
    return CLLM_OK;
}

/* ---- The heat map ---- */

/* Strengths in ascending order: FACTORS begins with none and all, whatever lies between comes last. */
static const size_t ASCENDING[] = {0, 2, 1};

static void heat_row(const cllm__ablation *a, cllm__page *page, size_t data, double lambda, size_t stage[3], double low, double high) {
    cllm__page_put(page, "<tr><th scope=\"row\">%g</th>", lambda * FACTORS[stage[0]]);
    for (size_t c = 0; c < MOST; c++) {
        if ((stage[1] = ASCENDING[c]) >= n_factors(a)) continue;
        char name[CLLM__ARM_NAME];
        name_of(lambda, stage, name);
        double value = cllm__ablation_value(a, cllm__ablation_find(a, data, STRENGTHS, name), "ndcg@100", NULL);
        cllm__page_put(page, "<td class=\"n\" style=\"background:rgba(0,120,160,%.2f)\">%.4f</td>", high > low ? 0.6 * (value - low) / (high - low) : 0, value);
    }
    cllm__page_put(page, "</tr>\n");
}

static void heat_map(const cllm__ablation *a, cllm__page *page, size_t data, double lambda, size_t rec, double low, double high) {
    cllm__page_put(page, "<div class=\"wide\"><table><caption>NDCG@100, strength %g in recommendation steps; down: in L-steps, across: in C-steps</caption>\n"
                         "<thead><tr><th></th>", lambda * FACTORS[rec]);
    for (size_t c = 0; c < MOST; c++) {
        if (ASCENDING[c] < n_factors(a)) cllm__page_put(page, "<th scope=\"col\" class=\"n\">%g</th>", lambda * FACTORS[ASCENDING[c]]);
    }
    cllm__page_put(page, "</tr></thead>\n<tbody>\n");
    for (size_t l = 0; l < MOST; l++) {
        size_t stage[3] = {ASCENDING[l], 0, rec};
        if (stage[0] < n_factors(a)) heat_row(a, page, data, lambda, stage, low, high);
    }
    cllm__page_put(page, "</tbody></table></div>\n");
}

static cllm_status figures(const cllm__ablation *a, cllm__page *page, cllm_error *err) {
    double lambda;
    CLLM_TRY(strength(a, &lambda, err));
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        double low = INFINITY, high = -INFINITY;
        for (size_t i = 0; i < cllm__ablation_arms(a); i++) {
            double value = cllm__ablation_value(a, i, "ndcg@100", NULL);
            if (cllm__ablation_arm(a, i)->data != data || cllm__ablation_arm(a, i)->baseline != NULL) continue;
            if (value < low) low = value;
            if (value > high) high = value;
        }
        cllm__page_put(page, "<h3>Strengths by stage: ");
        cllm__page_data(page, cllm__ablation_data_name(a, data), 0);
        cllm__page_put(page, "</h3>\n");
        for (size_t r = 0; r < MOST; r++) {
            if (ASCENDING[r] < n_factors(a)) heat_map(a, page, data, lambda, ASCENDING[r], low, high);
        }
    }
    return CLLM_OK;
}

/* ---- The study ---- */

static const cllm__column COLUMNS[] = {{.name = "review_nll", .label = "NLL of held-out reviews", .format = "%.4f"}};

const cllm__study CLLM__STUDY_REGULARISATION = {
    .name = "regularisation",
    .title = "Where regularisation works, and whether it is the texts",
    .question = "Mutual regularisation may act in the collaborative model's steps (L), in the content model's (C), and in finetuning. Which of these does the work, "
                "and do the texts matter, or would any do?",
    .n_shops = 1,
    .axis = "λ_L/λ_C/λ_rec, or texts",
    .columns = COLUMNS,
    .n_columns = CLLM_LEN(COLUMNS),
    .plan = plan,
    .measure = measure,
    .conclude = conclude,
    .figures = figures,
};
