/* The table of a study: a row an arm, its cells as texts, for the program, table.tsv and the page alike. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/ablation_state.h"
#include "base/alloc.h"
#include "base/io.h"

typedef struct cells {
    struct json_object *columns, *row; /* one of them is filled */
} cells;

/* A cell of a row, or the column's head. */
static void cell(cells *c, const char *name, const char *label, const char *text) {
    if (c->row != NULL) {
        json_object_array_add(c->row, json_object_new_string(text));
        return;
    }
    struct json_object *column = json_object_new_object();
    cllm__json_put_text(column, "name", name);
    cllm__json_put_text(column, "label", label);
    json_object_array_add(c->columns, column);
}

/* "" for NaN. The format is a study's or our own. */
static void number_cell(cells *c, const char *name, const char *label, const char *format, double value) {
    char text[64] = "";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (isfinite(value)) snprintf(text, sizeof text, format, value);
#pragma GCC diagnostic pop
    cell(c, name, label, text);
}

static bool any_series(const cllm__ablation *a) {
    for (size_t i = 0; i < a->n_arms; i++) {
        if (a->arms[i].series[0] != '\0' && a->arms[i].baseline == NULL) return true;
    }
    return false;
}

static bool any_reference(const cllm__ablation *a) {
    for (size_t i = 0; i < a->n_arms; i++) {
        if (a->arms[i].reference != CLLM__NO_REFERENCE) return true;
    }
    return false;
}

/* NDCG@100 of the users of each length of history that there is in any of the data. */
static void history_cells(cells *c, const cllm__ablation *a, size_t index) {
    for (size_t b = 0; b < CLLM__BUCKETS; b++) {
        char what[64], name[64], label[64];
        bool there = false;
        snprintf(what, sizeof what, "buckets/%s/ndcg@100", cllm__bucket_name(b));
        for (size_t i = 0; i < a->n_arms && !there; i++) there = isfinite(cllm__ablation_value(a, i, what, NULL));
        if (!there) continue;
        snprintf(name, sizeof name, "ndcg@100:%s", cllm__bucket_name(b));
        snprintf(label, sizeof label, "… of %s items", cllm__bucket_name(b));
        number_cell(c, name, label, "%.4f", cllm__ablation_value(a, index, what, NULL));
    }
}

static cllm_status difference_cells(cells *c, const cllm__ablation *a, size_t index, cllm_error *err) {
    const cllm__arm *arm = &a->arms[index];
    cllm__difference d = {.test = {NAN, {NAN, NAN}, NAN, NAN}};
    const char *other = "", *verdict = "";
    if (arm->reference != CLLM__NO_REFERENCE && arm->reference != index) {
        CLLM_TRY(cllm__ablation_compare(a, index, arm->reference, NULL, &d, err));
        other = a->arms[arm->reference].name;
        verdict = d.counts ? (d.test.difference > 0 ? "better" : "worse") : "no difference";
    }
    cell(c, "against", "against", other);
    number_cell(c, "difference", "difference", "%+.4f", d.test.difference);
    number_cell(c, "low", "from", "%+.4f", d.test.interval.low);
    number_cell(c, "high", "to", "%+.4f", d.test.interval.high);
    number_cell(c, "p", "p", "%.2g", d.test.p);
    cell(c, "verdict", "", verdict);
    return CLLM_OK;
}

static cllm_status fill(cells *c, const cllm__ablation *a, size_t i, bool series, bool references, cllm_error *err) {
    const cllm__arm *arm = &a->arms[i];
    double spread, ndcg = cllm__ablation_value(a, i, "ndcg@100", &spread);
    if (a->n_data > 1) cell(c, "data", "data", a->data[arm->data].name);
    if (series) cell(c, "series", "series", arm->series);
    cell(c, "arm", a->study->axis != NULL ? a->study->axis : "arm", arm->name);
    number_cell(c, "ndcg@100", "NDCG@100", "%.4f", ndcg);
    if (a->options.seeds > 1) number_cell(c, "spread", "spread", "%.4f", spread);
    number_cell(c, "recall@20", "Recall@20", "%.4f", cllm__ablation_value(a, i, "recall_capped@20", NULL));
    number_cell(c, "recall@40", "Recall@40", "%.4f", cllm__ablation_value(a, i, "recall_capped@40", NULL));
    if (a->study->by_history) history_cells(c, a, i);
    if (references) CLLM_TRY(difference_cells(c, a, i, err));
    for (size_t k = 0; k < a->study->n_columns; k++) {
        const cllm__column *column = &a->study->columns[k];
        char path[96];
        snprintf(path, sizeof path, "columns/%s", column->name);
        number_cell(c, column->name, column->label, column->format, cllm__ablation_value(a, i, path, &spread));
        if (!column->spread || a->options.seeds < 2) continue;
        snprintf(path, sizeof path, "%s_spread", column->name);
        number_cell(c, path, "spread", column->format, spread);
    }
    number_cell(c, "seconds", "seconds", "%.1f", cllm__ablation_value(a, i, "seconds", NULL));
    cell(c, "epochs", "epochs", cllm__json_shown(cllm__ablation_result(a, i, 1), "epochs"));
    number_cell(c, "users", "users", "%.0f", cllm__ablation_value(a, i, "users", NULL));
    return CLLM_OK;
}

cllm_status cllm__ablation_tabulate(cllm__ablation *a, cllm_error *err) {
    struct json_object *table = json_object_new_object(), *columns = json_object_new_array(), *rows = json_object_new_array();
    char caption[256];
    snprintf(caption, sizeof caption, "%s scale, %zu seed%s, %s split, paired over users; Recall is recall_capped", a->options.scale, a->options.seeds,
             a->options.seeds == 1 ? "" : "s", a->split == CLLM__VALID ? "validation" : "test");
    cllm__json_put_text(table, "caption", caption);
    json_object_object_add(table, "columns", columns);
    json_object_object_add(table, "rows", rows);
    json_object_object_add(a->state, "table", table);
    bool series = any_series(a), references = any_reference(a);
    cells head = {.columns = columns};
    if (a->n_arms > 0) CLLM_TRY(fill(&head, a, 0, series, references, err));
    for (size_t i = 0; i < a->n_arms; i++) {
        cells body = {.row = json_object_new_array()};
        json_object_array_add(rows, body.row);
        CLLM_TRY(fill(&body, a, i, series, references, err));
    }
    return CLLM_OK;
}

static cllm_status write_rows(const cllm__ablation *a, cllm__out *out, cllm_error *err) {
    struct json_object *columns = cllm__json_at(a->state, "table/columns"), *rows = cllm__json_at(a->state, "table/rows");
    size_t n = json_object_array_length(columns);
    for (size_t k = 0; k < n; k++) {
        const char *name = cllm__json_shown(json_object_array_get_idx(columns, k), "name");
        CLLM_TRY(cllm__out_printf(out, err, "%s%s", k > 0 ? "\t" : "", name));
    }
    CLLM_TRY(cllm__out_printf(out, err, "\tscale\tseeds\tsplit\n"));
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        struct json_object *row = json_object_array_get_idx(rows, i);
        for (size_t k = 0; k < n; k++) {
            CLLM_TRY(cllm__out_printf(out, err, "%s%s", k > 0 ? "\t" : "", json_object_get_string(json_object_array_get_idx(row, k))));
        }
        CLLM_TRY(cllm__out_printf(out, err, "\t%s\t%zu\t%s\n", a->options.scale, a->options.seeds, a->options.split));
    }
    return CLLM_OK;
}

cllm_status cllm__ablation_write_table(const cllm__ablation *a, cllm_error *err) {
    char *path = cllm__ablation_path(a, "table.tsv");
    if (path == NULL) return cllm__fail_nomem(err);
    cllm__out *out;
    cllm_status status = cllm__out_create(&out, path, err);
    cllm__free(path);
    CLLM_TRY(status);
    status = write_rows(a, out, err);
    if (status == CLLM_OK) return cllm__out_commit(out, err);
    cllm__out_abort(out);
    return status;
}
