/* The figures of a report: which series are drawn, and against what. The drawing is report_svg.c's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/report_data.h"
#include "base/alloc.h"

/* Series of one figure, with their points. */
typedef struct series_list {
    cllm__svg_series *items;
    size_t count, capacity;
    double **blocks; /* [capacity] x, y, low and high of each */
    size_t blocks_capacity;
} series_list;

static cllm_status add_series(series_list *list, const char *name, int style, size_t points, cllm_error *err) {
    CLLM_TRY(CLLM_GROW(list->items, list->capacity, list->count + 1, err));
    CLLM_TRY(CLLM_GROW(list->blocks, list->blocks_capacity, list->count + 1, err));
    double *block;
    CLLM_TRY(CLLM_NEW(block, 4 * points + 1, err));
    list->blocks[list->count] = block;
    list->items[list->count++] = (cllm__svg_series){.name = name, .style = style, .count = points, .x = block, .y = block + points, .marked = SIZE_MAX};
    return CLLM_OK;
}

/* The last series' block. */
static double *last_block(series_list *list) {
    return list->blocks[list->count - 1];
}

static void clear(series_list *list) {
    for (size_t i = 0; i < list->count; i++) cllm__free(list->blocks[i]);
    list->count = 0;
}

static void series_free(series_list *list) {
    clear(list);
    cllm__free(list->items);
    cllm__free(list->blocks);
}

static const cllm__report_run *run_of_group(const cllm__report_data *data, size_t group, size_t *from) {
    for (; *from < data->n_runs; ++*from) {
        if (data->runs[*from].group == group) return &data->runs[(*from)++];
    }
    return NULL;
}

/* ---- Training ---- */

/* Points of a run: the epochs of up to three phases one after the other (its first fit only), with one figure of each. */
static cllm_status add_epochs(series_list *list, const cllm__report_run *run, const char *const *phases, const char *figure, bool mark_best,
                              cllm_error *err) {
    size_t n = json_object_array_length(run->epochs), count = 0;
    CLLM_TRY(add_series(list, run->name, run->style, n, err));
    cllm__svg_series *s = &list->items[list->count - 1];
    double *block = last_block(list), best = cllm__json_number(run->run.manifest, "best_epoch");
    for (size_t i = 0; i < n; i++) {
        struct json_object *epoch = json_object_array_get_idx(run->epochs, i);
        const char *phase = cllm__json_shown(epoch, "phase");
        bool wanted = false;
        for (size_t p = 0; phases[p] != NULL; p++) wanted = wanted || strcmp(phase, phases[p]) == 0;
        double value = cllm__json_number(epoch, figure);
        if (!wanted || !isfinite(value) || strcmp(cllm__json_shown(epoch, "stage"), "final") == 0) continue;
        /* Validation begins with the first epoch of its phase; so does a figure of one phase. Several follow each other. */
        block[count] = phases[1] == NULL ? cllm__json_number(epoch, "epoch") : (double)count + 1;
        block[n + count] = value;
        if (mark_best && block[count] == best) s->marked = count;
        count++;
    }
    s->count = count;
    return CLLM_OK;
}

static bool any_nonzero(const series_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        for (size_t p = 0; p < list->items[i].count; p++) {
            if (list->items[i].y[p] != 0) return true;
        }
    }
    return false;
}

typedef struct training_panel {
    const char *title, *note, *x_label, *figure;
    const char *phases[4];
} training_panel;

static cllm_status panel(cllm__page *page, const cllm__report_data *data, size_t group, const training_panel *panel, bool best, cllm_error *err) {
    series_list list = {0};
    cllm_status status = CLLM_OK;
    size_t from = 0;
    for (const cllm__report_run *run; status == CLLM_OK && (run = run_of_group(data, group, &from)) != NULL;) {
        status = add_epochs(&list, run, panel->phases, panel->figure, best, err);
    }
    if (status == CLLM_OK && any_nonzero(&list)) {
        const cllm__svg_plot plot = {.title = panel->title, .note = panel->note, .x_label = panel->x_label, .reference = NAN, .width = 360, .height = 230};
        cllm__svg_lines(page, &plot, list.items, list.count);
    }
    series_free(&list);
    return status;
}

static cllm_status key_of_runs(cllm__page *page, const cllm__report_data *data, size_t group, cllm_error *err) {
    series_list list = {0};
    cllm_status status = CLLM_OK;
    size_t from = 0;
    for (const cllm__report_run *run; status == CLLM_OK && (run = run_of_group(data, group, &from)) != NULL;) {
        status = add_series(&list, run->name, run->style, 0, err);
    }
    if (status == CLLM_OK && list.count > 1) cllm__svg_key(page, list.items, list.count);
    series_free(&list);
    return status;
}

cllm_status cllm__report_training(cllm__page *page, const cllm__report_data *data, size_t group, cllm_error *err) {
    static const training_panel validation[] = {
        {"Recall@20 in validation", "the ring marks the epoch that was taken", "recommendation epoch", "recall_capped@20", {"rec", NULL}},
        {"Recall@40 in validation", NULL, "recommendation epoch", "recall_capped@40", {"rec", NULL}},
        {"NDCG@100 in validation", NULL, "recommendation epoch", "ndcg@100", {"rec", NULL}},
    };
    static const training_panel loss[] = {
        {"Loss of texts", "nats a word: warm-up, alternation, and between recommendation epochs", "content epoch", "nll", {"warm-up", "content", "rec-content", NULL}},
        {"Loss of histories", "nats an item", "alternation epoch", "nll", {"collab", NULL}},
        {"Loss of recommendation", "nats a held-out item", "recommendation epoch", "nll", {"rec", NULL}},
        {"Regulariser, texts", "mean over steps, weight included", "content epoch", "regulariser", {"warm-up", "content", "rec-content", NULL}},
        {"Regulariser, histories", "mean over steps, weight included", "alternation epoch", "regulariser", {"collab", NULL}},
        {"Regulariser, recommendation", "mean over steps, weight included", "recommendation epoch", "regulariser", {"rec", NULL}},
        {"Prior, histories", "mean over steps, weight included", "alternation epoch", "prior", {"collab", NULL}},
        {"Prior, recommendation", "mean over steps, weight included", "recommendation epoch", "prior", {"rec", NULL}},
    };
    cllm__page_put(page, "<h3>Training</h3>\n");
    CLLM_TRY(key_of_runs(page, data, group, err));
    cllm__page_put(page, "<div class=\"figures\">\n");
    for (size_t i = 0; i < CLLM_LEN(validation); i++) CLLM_TRY(panel(page, data, group, &validation[i], true, err));
    for (size_t i = 0; i < CLLM_LEN(loss); i++) CLLM_TRY(panel(page, data, group, &loss[i], false, err));
    cllm__page_put(page, "</div>\n");
    return CLLM_OK;
}

/* ---- Comparison ---- */

static void dots(cllm__page *page, const cllm__report_run *first, const cllm__report_row *rows, size_t count, cllm__svg_row *dot) {
    struct json_object *headline = cllm__json_at(first->evaluation, "headline");
    cllm__page_put(page, "<h3>Runs and baselines, with 95 %% intervals</h3>\n<div class=\"figures\">\n");
    for (size_t h = 0; h < json_object_array_length(headline); h++) {
        struct json_object *line = json_object_array_get_idx(headline, h);
        const char *metric = cllm__json_shown(line, "metric");
        double reference = NAN;
        for (size_t i = 0; i < count; i++) {
            dot[i] = (cllm__svg_row){.name = rows[i].name, .style = rows[i].style, .value = cllm__json_number(rows[i].model, metric)};
            cllm__report_interval(cllm__json_at(cllm__json_at(rows[i].model, "interval"), metric), &dot[i].low, &dot[i].high);
            if (rows[i].run == NULL && !(dot[i].value <= reference)) reference = dot[i].value;
        }
        cllm__svg_dots(page, cllm__json_shown(line, "label"), h == 0 ? "filled: runs, hollow: baselines, dashed: the best baseline" : NULL, dot, count,
                       reference);
    }
    cllm__page_put(page, "</div>\n");
}

/* A figure by buckets of users ("buckets") or of held-out items ("item_buckets"). A row's buckets stand in its own run's evaluation,
 * a baseline's in the first one's; all have the same. */
static cllm_status by_bucket(cllm__page *page, const cllm__report_run *first, const cllm__report_row *rows, size_t count, const char *member,
                             const char *metric, const cllm__svg_plot *plot, const char *name_of, const char *size_of, cllm_error *err) {
    struct json_object *buckets = cllm__json_at(first->evaluation, member);
    size_t n = buckets == NULL ? 0 : json_object_array_length(buckets);
    if (n < 2) return CLLM_OK;
    const char *ticks[16], *under[16];
    char sizes[16][32];
    if (n > CLLM_LEN(ticks)) n = CLLM_LEN(ticks);
    for (size_t b = 0; b < n; b++) {
        struct json_object *bucket = json_object_array_get_idx(buckets, b);
        ticks[b] = cllm__json_shown(bucket, name_of);
        double size = cllm__json_number(bucket, size_of);
        if (size < 1e4) snprintf(sizes[b], sizeof sizes[b], "(%.0f)", size);
        else snprintf(sizes[b], sizeof sizes[b], "(%.0fk)", 1e-3 * size);
        under[b] = sizes[b];
    }
    series_list list = {0};
    cllm_status status = CLLM_OK;
    for (size_t i = 0; i < count && status == CLLM_OK; i++) {
        const cllm__report_run *from = rows[i].run != NULL ? rows[i].run : first;
        struct json_object *own = cllm__json_at(from->evaluation, member);
        status = add_series(&list, rows[i].name, rows[i].style, n, err);
        for (size_t b = 0; b < n && status == CLLM_OK; b++) {
            struct json_object *models = cllm__json_at(json_object_array_get_idx(own, b), "models");
            struct json_object *model = cllm__json_at(models, rows[i].run != NULL ? cllm__report_own_model(from) : rows[i].name);
            last_block(&list)[b] = (double)b;
            last_block(&list)[n + b] = cllm__json_number(model, metric);
        }
    }
    if (status == CLLM_OK) {
        cllm__svg_plot shown = *plot;
        shown.ticks = ticks;
        shown.under = under;
        shown.n_ticks = n;
        cllm__svg_lines(page, &shown, list.items, list.count);
    }
    series_free(&list);
    return status;
}

/* ---- A metric against the one setting in which the runs differ ---- */

/* The only numeric setting that is not alike in all runs of the group (the seed aside), or NULL. */
static const char *only_difference(const cllm__report_data *data, size_t group) {
    const char *found = NULL;
    for (size_t s = 0; cllm__train_setting_name(s) != NULL; s++) {
        const char *name = cllm__train_setting_name(s);
        if (cllm__report_is_upkeep(name) || strcmp(name, "seed") == 0) continue;
        char value[160] = "", other[160], *rest;
        bool differs = false, numeric = true, first = true;
        size_t from = 0;
        for (const cllm__report_run *run; (run = run_of_group(data, group, &from)) != NULL; first = false) {
            cllm__train_config_get(&run->run.config, name, other, sizeof other);
            if (first) memcpy(value, other, sizeof value);
            differs = differs || strcmp(value, other) != 0;
            strtod(other, &rest);
            numeric = numeric && rest != other && *rest == '\0';
        }
        if (!differs) continue;
        if (!numeric || found != NULL) return NULL;
        found = name;
    }
    return found;
}

typedef struct curve_point {
    double x, y, low, high;
} curve_point;

static int compare_points(const void *a, const void *b) {
    double x = ((const curve_point *)a)->x, y = ((const curve_point *)b)->x;
    return (x > y) - (x < y);
}

static cllm_status curve(cllm__page *page, const cllm__report_data *data, size_t group, const char *setting, const char *metric, const char *label,
                         double reference, cllm_error *err) {
    curve_point *points;
    CLLM_TRY(CLLM_NEW(points, data->n_runs, err));
    size_t n = 0, from = 0, values = 0;
    for (const cllm__report_run *run; (run = run_of_group(data, group, &from)) != NULL; n++) {
        char text[160];
        cllm__train_config_get(&run->run.config, setting, text, sizeof text);
        struct json_object *model = cllm__json_at(cllm__json_at(run->evaluation, "models"), cllm__report_own_model(run));
        points[n].x = strtod(text, NULL);
        points[n].y = cllm__json_number(model, metric);
        cllm__report_interval(cllm__json_at(cllm__json_at(model, "interval"), metric), &points[n].low, &points[n].high);
    }
    qsort(points, n, sizeof *points, compare_points);
    series_list list = {0};
    cllm_status status = add_series(&list, setting, 0, n, err);
    if (status == CLLM_OK) {
        double *dot = list.blocks[0], positive = INFINITY;
        for (size_t i = 0; i < n; i++) {
            if (points[i].x > 0 && points[i].x < positive) positive = points[i].x;
            dot[i] = points[i].x;
            dot[n + i] = points[i].y;
            dot[2 * n + i] = points[i].low;
            dot[3 * n + i] = points[i].high;
        }
        for (size_t i = 0; i < n; i++) values += i == 0 || points[i].x != points[i - 1].x;
        list.items[0].low = dot + 2 * n;
        list.items[0].high = dot + 3 * n;
        char title[256];
        snprintf(title, sizeof title, "%s by %s", label, setting);
        cllm__svg_plot plot = {.title = title, .note = "bars are 95 % intervals; the dashed level is the best baseline’s", .x_label = setting,
                               .log_x = points[0].x >= 0 && isfinite(positive) && points[n - 1].x >= 10 * positive, .reference = reference,
                               .width = 360, .height = 260, .points = true,
                               .scatter = values < n}; /* runs that differ in their seed only: no line goes through them */
        cllm__svg_lines(page, &plot, list.items, 1);
    }
    series_free(&list);
    cllm__free(points);
    return status;
}

static cllm_status curves(cllm__page *page, const cllm__report_data *data, size_t group, const cllm__report_run *first, const cllm__report_row *rows,
                          size_t count, cllm_error *err) {
    size_t from = 0, runs = 0;
    while (run_of_group(data, group, &from) != NULL) runs++;
    const char *setting = runs < 2 ? NULL : only_difference(data, group);
    if (setting == NULL) return CLLM_OK;
    struct json_object *headline = cllm__json_at(first->evaluation, "headline");
    cllm__page_put(page, "<h3>What <code>%s</code> does</h3>\n<p>The runs differ in this setting only.</p>\n<div class=\"figures\">\n", setting);
    for (size_t h = 0; h < json_object_array_length(headline); h++) {
        struct json_object *line = json_object_array_get_idx(headline, h);
        const char *metric = cllm__json_shown(line, "metric");
        double reference = NAN;
        for (size_t i = 0; i < count; i++) {
            double value = cllm__json_number(rows[i].model, metric);
            if (rows[i].run == NULL && !(value <= reference)) reference = value;
        }
        CLLM_TRY(curve(page, data, group, setting, metric, cllm__json_shown(line, "label"), reference, err));
    }
    cllm__page_put(page, "</div>\n");
    return CLLM_OK;
}

cllm_status cllm__report_comparison(cllm__page *page, const cllm__report_data *data, size_t group, const cllm__report_row *rows, size_t count,
                                    cllm_error *err) {
    size_t from = 0;
    const cllm__report_run *first = run_of_group(data, group, &from);
    cllm__svg_row *dot;
    CLLM_TRY(CLLM_NEW(dot, count, err));
    dots(page, first, rows, count, dot);
    cllm__free(dot);
    CLLM_TRY(curves(page, data, group, first, rows, count, err));
    const char *metric, *label;
    cllm__report_main_metric(first, &metric, &label);
    char title[96];
    snprintf(title, sizeof title, "%s by length of history", label);
    cllm__svg_plot plot = {.title = title, .note = "in brackets the users; where they are few, a point says little", .x_label = "training items of the user",
                           .zero_y = true, .names = true, .points = true, .reference = NAN, .width = 520, .height = 340};
    cllm__page_put(page, "<h3>For whom, and for which items</h3>\n<div class=\"figures two\">\n");
    CLLM_TRY(by_bucket(page, first, rows, count, "buckets", metric, &plot, "history", "users", err));
    plot.title = "Found among the first 20, by popularity of the item";
    plot.note = "the share of held-out items that stand in their user’s first 20; in brackets their number";
    plot.x_label = "training rows of the held-out item";
    CLLM_TRY(by_bucket(page, first, rows, count, "item_buckets", "found@20", &plot, "training_rows", "targets", err));
    cllm__page_put(page, "</div>\n");
    return CLLM_OK;
}
