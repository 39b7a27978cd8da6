/* The page of a study: question, conclusion, figures, table. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/ablation_state.h"
#include "api/report_svg.h"
#include "base/alloc.h"

enum { MAX_SERIES = CLLM__SVG_STYLES + 4, MAX_TICKS = 64 };

/* What one figure draws of one data set: a value of each arm, with its interval where it is NDCG@100. */
typedef struct figure {
    const char *ticks[MAX_TICKS], *series[MAX_SERIES];
    size_t n_ticks, n_series;
    size_t count[MAX_SERIES];
    int style[MAX_SERIES];
    double x[MAX_SERIES][MAX_TICKS], y[MAX_SERIES][MAX_TICKS], low[MAX_SERIES][MAX_TICKS], high[MAX_SERIES][MAX_TICKS];
} figure;

static size_t place(const char **names, size_t *count, size_t limit, const char *name) {
    size_t at = 0;
    while (at < *count && strcmp(names[at], name) != 0) at++;
    if (at == *count && at < limit) names[(*count)++] = name;
    return at;
}

static cllm_status interval_of(const cllm__ablation *a, size_t arm, double *low, double *high, cllm_error *err) {
    cllm__user_values values = {0};
    cllm__interval interval = {NAN, NAN};
    cllm_status status = cllm__user_values_read(a, arm, &values, err);
    if (status == CLLM_OK && values.count > 0) status = cllm__bootstrap(a->pool, values.ndcg, values.count, 1, 0, 1, &interval, err);
    cllm__user_values_free(&values);
    *low = interval.low;
    *high = interval.high;
    return status;
}

/* Of a study of lines a baseline is one: a level across all that is there. */
static void add_level(figure *f, const cllm__arm *arm, double value) {
    size_t s = place(f->series, &f->n_series, MAX_SERIES, arm->name);
    if (s == MAX_SERIES) return;
    for (size_t at = 0; at < f->n_ticks; at++) {
        f->x[s][at] = (double)at;
        f->y[s][at] = value;
        f->low[s][at] = f->high[s][at] = NAN;
    }
    f->count[s] = f->n_ticks;
    f->style[s] = CLLM__SVG_BASELINE + (int)s;
}

/* `what` as cllm__ablation_value() takes it. */
static cllm_status gather(const cllm__ablation *a, size_t data, const char *what, figure *f, cllm_error *err) {
    bool intervals = strcmp(what, "ndcg@100") == 0;
    *f = (figure){0};
    for (size_t i = 0; i < a->n_arms; i++) {
        const cllm__arm *arm = &a->arms[i];
        double value = cllm__ablation_value(a, i, what, NULL);
        if (arm->data != data || !isfinite(value)) continue;
        if (arm->baseline != NULL && a->study->lines) {
            add_level(f, arm, value);
            continue;
        }
        size_t tick = place(f->ticks, &f->n_ticks, MAX_TICKS, arm->name), s = place(f->series, &f->n_series, MAX_SERIES, arm->series);
        if (tick == MAX_TICKS || s == MAX_SERIES || f->count[s] == MAX_TICKS) continue;
        size_t at = f->count[s]++;
        f->style[s] = arm->baseline != NULL ? CLLM__SVG_BASELINE : (int)s;
        f->x[s][at] = (double)tick;
        f->y[s][at] = value;
        f->low[s][at] = f->high[s][at] = NAN;
        if (intervals) CLLM_TRY(interval_of(a, i, &f->low[s][at], &f->high[s][at], err));
    }
    return CLLM_OK;
}

static void draw_lines(cllm__page *page, const cllm__ablation *a, const figure *f, const char *title, bool intervals) {
    cllm__svg_series series[MAX_SERIES];
    for (size_t s = 0; s < f->n_series; s++) {
        series[s] = (cllm__svg_series){.name = f->series[s], .style = f->style[s], .count = f->count[s], .x = f->x[s], .y = f->y[s],
                                       .low = intervals ? f->low[s] : NULL, .high = intervals ? f->high[s] : NULL, .marked = SIZE_MAX};
    }
    const cllm__svg_plot plot = {.title = title, .x_label = a->study->axis, .ticks = f->ticks, .n_ticks = f->n_ticks, .names = f->n_series > 1,
                                 .points = true, .reference = NAN, .width = 480, .height = 280};
    cllm__svg_lines(page, &plot, series, f->n_series);
}

static void draw_dots(cllm__page *page, const figure *f, const char *title) {
    cllm__svg_row rows[MAX_SERIES * MAX_TICKS];
    size_t n = 0;
    for (size_t s = 0; s < f->n_series; s++) {
        for (size_t i = 0; i < f->count[s]; i++) {
            rows[n++] = (cllm__svg_row){.name = f->ticks[(size_t)f->x[s][i]], .style = f->style[s], .value = f->y[s][i], .low = f->low[s][i], .high = f->high[s][i]};
        }
    }
    cllm__svg_dots(page, title, NULL, rows, n, NAN);
}

static cllm_status draw(cllm__page *page, const cllm__ablation *a, size_t data, const char *what, const char *label, cllm_error *err) {
    figure *f;
    CLLM_TRY(CLLM_NEW(f, 1, err));
    cllm_status status = gather(a, data, what, f, err);
    if (status == CLLM_OK && f->n_ticks > 0) {
        if (a->study->lines) draw_lines(page, a, f, label, strcmp(what, "ndcg@100") == 0);
        else draw_dots(page, f, label);
    }
    cllm__free(f);
    return status;
}

static cllm_status draw_data(cllm__page *page, const cllm__ablation *a, size_t data, cllm_error *err) {
    cllm__page_put(page, "<h2>");
    cllm__page_data(page, a->data[data].name, 0);
    cllm__page_put(page, "</h2>\n<div class=\"figures two\">\n");
    CLLM_TRY(draw(page, a, data, "ndcg@100", "NDCG@100", err));
    for (size_t k = 0; k < a->study->n_columns; k++) {
        const cllm__column *column = &a->study->columns[k];
        char path[96];
        snprintf(path, sizeof path, "columns/%s", column->name);
        if (column->plotted) CLLM_TRY(draw(page, a, data, path, column->label, err));
    }
    cllm__page_put(page, "</div>\n");
    return CLLM_OK;
}

static bool is_text_column(const char *name) {
    static const char *const names[] = {"data", "series", "arm", "against", "verdict", "epochs"};
    for (size_t i = 0; i < CLLM_LEN(names); i++) {
        if (strcmp(names[i], name) == 0) return true;
    }
    return false;
}

static void write_table(cllm__page *page, const cllm__ablation *a) {
    struct json_object *columns = cllm__json_at(a->state, "table/columns"), *rows = cllm__json_at(a->state, "table/rows");
    size_t n = json_object_array_length(columns);
    cllm__page_put(page, "<h2>Table</h2>\n<div class=\"wide\"><table><caption>");
    cllm__page_text(page, cllm__json_shown(a->state, "table/caption"), 0);
    cllm__page_put(page, "</caption>\n<thead><tr>");
    for (size_t k = 0; k < n; k++) {
        struct json_object *column = json_object_array_get_idx(columns, k);
        cllm__page_put(page, "<th scope=\"col\"%s>", is_text_column(cllm__json_shown(column, "name")) ? "" : " class=\"n\"");
        cllm__page_text(page, cllm__json_shown(column, "label"), 0);
        cllm__page_put(page, "</th>");
    }
    cllm__page_put(page, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        struct json_object *row = json_object_array_get_idx(rows, i);
        cllm__page_put(page, "<tr>");
        for (size_t k = 0; k < n; k++) {
            bool text = is_text_column(cllm__json_shown(json_object_array_get_idx(columns, k), "name"));
            cllm__page_put(page, text ? "<td>" : "<td class=\"n\">");
            cllm__page_text(page, json_object_get_string(json_object_array_get_idx(row, k)), 0);
            cllm__page_put(page, "</td>");
        }
        cllm__page_put(page, "</tr>\n");
    }
    cllm__page_put(page, "</tbody></table></div>\n");
}

static cllm_status write_body(cllm__page *page, const cllm__ablation *a, cllm_error *err) {
    cllm__page_put(page, "<header><h1>");
    cllm__page_text(page, a->study->title, 0);
    cllm__page_put(page, "</h1>\n<p>");
    cllm__page_text(page, a->study->question, 0);
    cllm__page_put(page, "</p>\n<p class=\"lead\">");
    cllm__page_text(page, cllm__json_shown(a->state, "conclusion"), 0);
    cllm__page_put(page, "</p></header>\n");
    for (size_t data = 0; data < a->n_data; data++) CLLM_TRY(draw_data(page, a, data, err));
    if (a->study->figures != NULL) CLLM_TRY(a->study->figures(a, page, err));
    write_table(page, a);
    cllm__page_put(page, "<footer><p>Intervals are 95 %% percentile bootstraps over users; comparisons are paired over users, each with the mean "
                         "over the seeds. A difference counts if its interval excludes 0 and, with several seeds, it exceeds their standard "
                         "deviation. The same figures stand in <code>ablation.json</code> and <code>table.tsv</code>.</p>"
                         "<p>Made by cllm4rec %s, <code>cllm4rec ablate %s</code>. This page loads nothing and runs nothing.</p></footer>\n",
                   cllm_version(), a->study->name);
    return CLLM_OK;
}

cllm_status cllm__ablation_write_page(const cllm__ablation *a, cllm_error *err) {
    char *path = cllm__ablation_path(a, "index.html");
    if (path == NULL) return cllm__fail_nomem(err);
    cllm__page page;
    uint64_t size;
    cllm_status status = cllm__page_begin(&page, path, a->study->title, err);
    cllm__free(path);
    CLLM_TRY(status);
    status = write_body(&page, a, err);
    if (status == CLLM_OK) return cllm__page_end(&page, &size, err);
    cllm__page_abort(&page);
    return status;
}
