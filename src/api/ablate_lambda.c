/*
 * Q1: what does mutual regularisation do, and how strong should it be? λ_c from 0 (no coupling) to infinity (one table for both
 * models), in the paper's convention and in that of the authors' program, on data of different density.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/ablation.h"
#include "api/content_likelihood.h"
#include "api/report_svg.h"

static const char *const CONVENTIONS[] = {"map", "code"};
static const char *const STRENGTHS[] = {"0", "1e-4", "1e-3", "1e-2", "0.1", "1", "10", "100", "1000", "inf"};
static const char *const SMOKE_STRENGTHS[] = {"0", "1", "100", "inf"};

static void strengths(const cllm__ablation *a, const char *const **names, size_t *count) {
    bool smoke = cllm__ablation_scale(a) == CLLM__SCALE_SMOKE;
    *names = smoke ? SMOKE_STRENGTHS : STRENGTHS;
    *count = smoke ? CLLM_LEN(SMOKE_STRENGTHS) : CLLM_LEN(STRENGTHS);
}

static cllm_status plan(cllm__ablation *a, cllm_error *err) {
    const char *const *names;
    size_t count;
    (void)err;
    strengths(a, &names, &count);
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        for (size_t c = 0; c < CLLM_LEN(CONVENTIONS); c++) {
            size_t none = SIZE_MAX;
            for (size_t i = 0; i < count; i++) {
                cllm__arm *arm = cllm__ablation_add(a, data, CONVENTIONS[c], "%s", names[i]);
                cllm__arm_set(arm, "lambda-c=%s", names[i]);
                cllm__arm_set(arm, "reg=%s", CONVENTIONS[c]);
                if (i == 0) none = cllm__arm_index(a, arm);
                arm->reference = none;
            }
        }
    }
    return CLLM_OK;
}

/* Sums over the rows of one table: squared distance, and cosine of those that have a direction. */
typedef struct apart {
    double distance, cosine;
    size_t rows;
} apart;

static void add_rows(apart *sum, const cllm__real *x, const cllm__real *y, size_t rows, size_t width) {
    for (size_t r = 0; r < rows; r++, x += width, y += width) {
        double xx = 0, yy = 0, xy = 0, distance = 0;
        for (size_t i = 0; i < width; i++) {
            double a = (double)x[i], b = (double)y[i];
            xx += a * a;
            yy += b * b;
            xy += a * b;
            distance += (a - b) * (a - b);
        }
        sum->distance += distance;
        sum->cosine += xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
        sum->rows++;
    }
}

static cllm_status measure(cllm__measuring *m, cllm_error *err) {
    const cllm__tables *collab = &m->model->collab, *content = &m->model->content;
    apart sum = {0};
    struct json_object *reviews;
    add_rows(&sum, collab->users, content->users, collab->n_users, collab->width);
    add_rows(&sum, collab->items, content->items, collab->n_items, collab->width);
    cllm__measure_column(m, "distance", sum.distance / (double)sum.rows);
    cllm__measure_column(m, "cosine", sum.cosine / (double)sum.rows);
    CLLM_TRY(cllm__content_likelihood(&reviews, m->model, m->engine, cllm__measure_split(m), 1, m->pool, &m->host, err));
    cllm__measure_column(m, "review_nll", cllm__json_number(reviews, "nll/true"));
    json_object_put(reviews);
    return cllm__measure_ranking(m, NULL, NULL, NULL, 0, err);
}

/* ---- The sentence ---- */

/* The arm of a line with the highest NDCG@100. */
static size_t best_of(const cllm__ablation *a, size_t data, const char *series, const char *const *names, size_t count) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t arm = cllm__ablation_find(a, data, series, names[i]);
        if (best == SIZE_MAX || cllm__ablation_value(a, arm, "ndcg@100", NULL) > cllm__ablation_value(a, best, "ndcg@100", NULL)) best = arm;
    }
    return best;
}

/* Whether short histories gain more from coupling than long ones: the claim that it helps where there is little to go by. */
static cllm_status say_history(cllm__ablation *a, size_t best, size_t none, cllm_error *err) {
    const char *shortest = NULL, *longest = NULL;
    for (size_t b = 0; b < CLLM__BUCKETS; b++) {
        char what[64];
        snprintf(what, sizeof what, "buckets/%s/ndcg@100", cllm__bucket_name(b));
        if (!isfinite(cllm__ablation_value(a, none, what, NULL))) continue;
        if (shortest == NULL) shortest = cllm__bucket_name(b);
        longest = cllm__bucket_name(b);
    }
    if (shortest == NULL || shortest == longest) return CLLM_OK;
    cllm__difference few, many;
    CLLM_TRY(cllm__ablation_compare(a, best, none, shortest, &few, err));
    CLLM_TRY(cllm__ablation_compare(a, best, none, longest, &many, err));
    cllm__ablation_say(a, " Users with %s training items change by %+.4f%s, those with %s by %+.4f%s.", shortest, few.test.difference,
                       few.counts ? "" : " (within the noise)", longest, many.test.difference, many.counts ? "" : " (within the noise)");
    return CLLM_OK;
}

/* *helps: whether the best strength beats none beyond the noise. */
static cllm_status say_line(cllm__ablation *a, size_t data, const char *series, const char *const *names, size_t count, size_t *best, bool *helps,
                            cllm_error *err) {
    size_t none = cllm__ablation_find(a, data, series, names[0]), one = cllm__ablation_find(a, data, series, names[count - 1]);
    cllm__difference from_none, from_one;
    char text[96];
    *best = best_of(a, data, series, names, count);
    CLLM_TRY(cllm__ablation_compare(a, *best, none, NULL, &from_none, err));
    CLLM_TRY(cllm__ablation_compare(a, *best, one, NULL, &from_one, err));
    *helps = from_none.counts;
    const char *lambda = cllm__ablation_arm(a, *best)->name;
    cllm__difference_text(&from_none, text);
    cllm__ablation_say(a, " On %s, convention %s: ", cllm__ablation_data_name(a, data), series);
    if (*best == none) {
        cllm__ablation_say(a, "no strength of coupling beats none, so texts do not help here.");
    } else if (!*helps) {
        cllm__ablation_say(a, "no difference beyond the noise between no coupling and the best strength, λ_c = %s: %s.", lambda, text);
    } else if (*best == one) {
        cllm__ablation_say(a, "one table for both models is best, %s over no coupling: two tables are unnecessary.", text);
    } else if (from_one.counts) {
        cllm__ablation_say(a, "the best strength lies inside, at λ_c = %s, %s over no coupling, and beats one shared table too.", lambda, text);
    } else {
        cllm__ablation_say(a, "λ_c = %s is best, %s over no coupling, but not beyond the noise over one shared table.", lambda, text);
    }
    return *helps ? say_history(a, *best, none, err) : CLLM_OK;
}

static cllm_status conclude(cllm__ablation *a, cllm_error *err) {
    const char *const *names;
    size_t count;
    strengths(a, &names, &count);
    for (size_t c = 0; c < CLLM_LEN(CONVENTIONS); c++) {
        double lowest = INFINITY, highest = 0;
        for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
            size_t best;
            bool helps;
            CLLM_TRY(say_line(a, data, CONVENTIONS[c], names, count, &best, &helps, err));
            double lambda = strtod(cllm__ablation_arm(a, best)->name, NULL);
            if (helps && lambda < lowest) lowest = lambda;
            if (helps && lambda > highest) highest = lambda;
        }
        if (highest > 10 * lowest) {
            cllm__ablation_say(a, " With convention %s the best strengths of the data sets lie more than ten times apart: it has to be tuned for each.",
                               CONVENTIONS[c]);
        }
    }
    return CLLM_OK;
}

/* ---- By length of history ---- */

/* NDCG@100 of each strength by the length of the user's history, for one data set and convention. */
static void history_figure(const cllm__ablation *a, cllm__page *page, size_t data, const char *series_name, const char *const *names, size_t count) {
    double x[CLLM_LEN(STRENGTHS)], y[CLLM__BUCKETS][CLLM_LEN(STRENGTHS)];
    cllm__svg_series series[CLLM__BUCKETS];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) x[i] = (double)i;
    for (size_t b = 0; b < CLLM__BUCKETS; b++) {
        char what[64];
        snprintf(what, sizeof what, "buckets/%s/ndcg@100", cllm__bucket_name(b));
        for (size_t i = 0; i < count; i++) y[n][i] = cllm__ablation_value(a, cllm__ablation_find(a, data, series_name, names[i]), what, NULL);
        if (!isfinite(y[n][0])) continue;
        series[n] = (cllm__svg_series){.name = cllm__bucket_name(b), .style = (int)n, .count = count, .x = x, .y = y[n], .marked = SIZE_MAX};
        n++;
    }
    char title[96];
    snprintf(title, sizeof title, "NDCG@100 by training items, convention %s", series_name);
    const cllm__svg_plot plot = {.title = title, .x_label = "λ_c", .ticks = names, .n_ticks = count, .names = true, .points = true, .reference = NAN,
                                 .width = 480, .height = 280};
    cllm__svg_lines(page, &plot, series, n);
}

static cllm_status figures(const cllm__ablation *a, cllm__page *page, cllm_error *err) {
    const char *const *names;
    size_t count;
    (void)err;
    strengths(a, &names, &count);
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        cllm__page_put(page, "<h3>By length of history: ");
        cllm__page_data(page, cllm__ablation_data_name(a, data), 0);
        cllm__page_put(page, "</h3>\n<div class=\"figures two\">\n");
        for (size_t c = 0; c < CLLM_LEN(CONVENTIONS); c++) history_figure(a, page, data, CONVENTIONS[c], names, count);
        cllm__page_put(page, "</div>\n");
    }
    return CLLM_OK;
}

/* ---- The study ---- */

static const cllm__column COLUMNS[] = {
    {.name = "distance", .label = "mean ‖z^l − z^c‖²", .format = "%.4g", .plotted = true},
    {.name = "cosine", .label = "mean cosine of z^l and z^c", .format = "%.4f", .plotted = true},
    {.name = "review_nll", .label = "NLL of held-out reviews", .format = "%.4f", .plotted = true},
};

const cllm__study CLLM__STUDY_LAMBDA = {
    .name = "lambda",
    .title = "The strength of mutual regularisation",
    .question = "The paper couples the collaborative and the content tokens with strength λ_c. Does that help, how strong should it be, and does the best strength "
                "depend on the data? 0 is no coupling, inf one table for both models.",
    .n_shops = 2,
    .lines = true,
    .by_history = true,
    .axis = "λ_c",
    .columns = COLUMNS,
    .n_columns = CLLM_LEN(COLUMNS),
    .plan = plan,
    .measure = measure,
    .conclude = conclude,
    .figures = figures,
};
