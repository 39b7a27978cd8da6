/* One HTML file that shows what runs found. */
#include <math.h>
#include <string.h>

#include "api/report_data.h"
#include "base/alloc.h"
#include "base/io.h"

void cllm_report_options_init(cllm_report_options *options) {
    *options = (cllm_report_options){.samples = 3};
}

/* The last part of a path. */
static const char *short_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static cllm_status make_title(const cllm__report_data *data, char **title, cllm_error *err) {
    if (data->options->title != NULL) {
        *title = cllm__strdup(data->options->title);
    } else {
        const char *name = data->n_groups == 1 ? short_name(data->runs[0].data_path) : "several data sets";
        static const char before[] = "Recommendation on ";
        *title = cllm__alloc(sizeof before + strlen(name), 1);
        if (*title != NULL) {
            memcpy(*title, before, sizeof before - 1);
            strcpy(*title + sizeof before - 1, name);
        }
    }
    return *title == NULL ? cllm__fail_nomem(err) : CLLM_OK;
}

static void footer(cllm__page *page, const cllm__report_data *data) {
    struct json_object *definitions = cllm__json_at(data->runs[0].evaluation, "definitions");
    static const char *const told[] = {"recall_capped", "recall", "ndcg", "coverage", "found"};
    cllm__page_put(page, "<footer>");
    for (size_t i = 0; i < CLLM_LEN(told); i++) {
        const char *text = cllm__json_shown(definitions, told[i]);
        if (text[0] == '\0') continue;
        cllm__page_put(page, "<p><b>%s@k</b>: ", told[i]);
        cllm__page_text(page, text, 0);
        cllm__page_put(page, "%s</p>", strcmp(told[i], "recall_capped") == 0 && strcmp(cllm__json_shown(data->runs[0].evaluation, "profile"), "paper") == 0
                                           ? " (T: the user’s held-out items); this is what the table calls Recall" : "");
    }
    cllm__page_put(page, "<p>Intervals are 95 %% percentile bootstraps over users; the comparison with the best baseline is paired over users, and that "
                         "baseline was chosen on the same users, which favours it a little. The same figures come from ");
    for (size_t i = 0; i < data->n_runs && i < 3; i++) {
        cllm__page_put(page, "%s<code>cllm4rec eval ", i > 0 ? ", " : "");
        cllm__page_text(page, data->runs[i].path, 0);
        cllm__page_put(page, " --json</code>");
    }
    cllm__page_put(page, "%s.</p><p>Made by cllm4rec %s. This page loads nothing and runs nothing.</p></footer>\n", data->n_runs > 3 ? " and so on" : "",
                   cllm_version());
}

static cllm_status write_group(cllm__page *page, const cllm__report_data *data, size_t group, cllm_error *err) {
    cllm__report_row *rows;
    size_t count;
    CLLM_TRY(cllm__report_rows(data, group, &rows, &count, err));
    cllm__report_tables(page, data, group, rows, count);
    cllm__report_mean_table(page, data, group);
    cllm_status status = cllm__report_comparison(page, data, group, rows, count, err);
    const cllm__report_run *best = NULL;
    for (size_t i = 0; i < count && best == NULL; i++) best = rows[i].run;
    cllm__free(rows);
    CLLM_TRY(status);
    CLLM_TRY(cllm__report_samples(page, best, data->options, err));
    cllm__report_settings(page, data, group);
    return cllm__report_training(page, data, group, err);
}

/* Whether the page can be written, asked before runs are evaluated for minutes. */
static cllm_status try_output(const char *path, cllm_error *err) {
    cllm__out *out;
    CLLM_TRY(cllm__out_create(&out, path, err));
    cllm__out_abort(out);
    return CLLM_OK;
}

static cllm_status write_page(const cllm__report_data *data, const char *title, uint64_t *size, cllm_error *err) {
    cllm__page page;
    cllm_status status = CLLM_OK;
    CLLM_TRY(cllm__page_begin(&page, data->options->output, title, err));
    cllm__page_put(&page, "<header><h1>");
    cllm__page_data(&page, title, 0);
    cllm__page_put(&page, "</h1></header>\n");
    for (size_t group = 0; group < data->n_groups && status == CLLM_OK; group++) status = write_group(&page, data, group, err);
    if (status != CLLM_OK) {
        cllm__page_abort(&page);
        return status;
    }
    footer(&page, data);
    return cllm__page_end(&page, size, err);
}

static cllm_status summarise(const cllm__report_data *data, const char *title, uint64_t size, char **json, cllm_error *err) {
    struct json_object *object = json_object_new_object(), *runs = json_object_new_array();
    json_object_object_add(object, "output", json_object_new_string(data->options->output));
    json_object_object_add(object, "bytes", json_object_new_uint64(size));
    json_object_object_add(object, "title", json_object_new_string(title));
    for (size_t i = 0; i < data->n_runs; i++) {
        struct json_object *run = json_object_new_object();
        json_object_object_add(run, "name", json_object_new_string(data->runs[i].name));
        json_object_object_add(run, "run", json_object_new_string(data->runs[i].path));
        cllm__json_put_text(run, "preset", data->runs[i].run.config.preset);
        json_object_object_add(run, "changed_settings", cllm__report_changed_settings(&data->runs[i]));
        json_object_object_add(run, "seed", json_object_new_uint64(data->runs[i].run.config.seed));
        json_object_object_add(run, "training_seconds", json_object_new_double(data->runs[i].seconds));
        if (isfinite(data->runs[i].memory)) json_object_object_add(run, "peak_memory_bytes", json_object_new_double(data->runs[i].memory));
        json_object_object_add(run, "evaluation", json_object_get(data->runs[i].evaluation));
        json_object_array_add(runs, run);
    }
    json_object_object_add(object, "runs", runs);
    json_object_object_add(object, "means", json_object_get(data->means));
    return cllm__json_to_text(object, json, err);
}

cllm_status cllm_report(const cllm_report_options *options, char **summary_json, cllm_error *err) {
    if (options->n_runs == 0) return cllm__fail(err, CLLM_ERR_USAGE, "no run: give the folders that cllm4rec train made");
    if (options->output == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "no output: give the HTML file (-o report.html)");
    if (cllm__path_is_folder(options->output)) return cllm__fail(err, CLLM_ERR_USAGE, "'%s' is a folder: give a file (-o report.html)", options->output);
    CLLM_TRY(cllm__page_check_kind(options->output, options->force, err));
    CLLM_TRY(try_output(options->output, err));
    cllm__report_data data = {.options = options};
    char *title = NULL;
    uint64_t size = 0;
    cllm_status status = cllm__report_gather(&data, err);
    if (status == CLLM_OK) status = make_title(&data, &title, err);
    if (status == CLLM_OK) status = write_page(&data, title, &size, err);
    if (status == CLLM_OK && summary_json != NULL) status = summarise(&data, title, size, summary_json, err);
    cllm__free(title);
    cllm__report_data_free(&data);
    return status;
}
