#include "api/report_data.h"

#include <math.h>
#include <string.h>

#include "api/evaluate.h"
#include "base/alloc.h"

enum { MAX_RUNS = 1000 };

/* ---- Reading JSON ---- */

void cllm__report_interval(struct json_object *array, double *low, double *high) {
    bool there = json_object_is_type(array, json_type_array) && json_object_array_length(array) == 2;
    *low = there ? json_object_get_double(json_object_array_get_idx(array, 0)) : NAN;
    *high = there ? json_object_get_double(json_object_array_get_idx(array, 1)) : NAN;
}

bool cllm__report_is_upkeep(const char *setting) {
    return strcmp(setting, "checkpoint-seconds") == 0;
}

struct json_object *cllm__report_changed_settings(const cllm__report_run *run) {
    struct json_object *object = json_object_new_object();
    cllm__train_config preset;
    if (cllm__train_config_preset(&preset, run->run.config.preset, NULL) != CLLM_OK) return object;
    for (size_t i = 0; cllm__train_setting_name(i) != NULL; i++) {
        const char *name = cllm__train_setting_name(i);
        char own[160], usual[160];
        cllm__train_config_get(&run->run.config, name, own, sizeof own);
        cllm__train_config_get(&preset, name, usual, sizeof usual);
        if (strcmp(own, usual) != 0 && !cllm__report_is_upkeep(name)) cllm__json_put_text(object, name, own);
    }
    return object;
}

const char *cllm__report_own_model(const cllm__report_run *run) {
    struct json_object *models = cllm__json_at(run->evaluation, "models");
    if (json_object_is_type(models, json_type_object)) {
        json_object_object_foreach(models, name, unused) {
            (void)unused;
            return name; /* the run stands first */
        }
    }
    return "";
}

void cllm__report_main_metric(const cllm__report_run *run, const char **metric, const char **label) {
    struct json_object *headline = cllm__json_at(run->evaluation, "headline");
    *metric = *label = "";
    for (size_t i = 0; headline != NULL && i < json_object_array_length(headline); i++) {
        struct json_object *line = json_object_array_get_idx(headline, i);
        *metric = cllm__json_shown(line, "metric");
        *label = cllm__json_shown(line, "label");
        if (strncmp(*metric, "ndcg", 4) == 0) return;
    }
}

/* ---- Gathering ---- */

static cllm_status read_log(cllm__report_run *run, cllm_error *err) {
    CLLM_TRY(cllm__run_epochs(run->path, &run->epochs, err));
    for (size_t i = 0; i < json_object_array_length(run->epochs); i++) {
        double seconds = cllm__json_number(json_object_array_get_idx(run->epochs, i), "seconds");
        if (isfinite(seconds)) run->seconds += seconds;
    }
    double whole = cllm__json_number(run->run.manifest, "seconds");
    if (whole >= 0 && whole < 1e12) run->seconds = whole;
    run->memory = cllm__json_number(run->run.manifest, "peak_memory_bytes");
    return CLLM_OK;
}

static cllm_status open_run(const cllm__report_data *data, cllm__report_run *run, cllm_error *err) {
    const cllm__run_options options = {.parts = CLLM__RUN_MANIFEST};
    CLLM_TRY(cllm__run_open(&run->run, run->path, &options, err));
    const char *state = cllm__json_shown(run->run.manifest, "status");
    if (strcmp(state, "done") != 0) {
        return cllm__fail(err, CLLM_ERR_DATA, "the run '%s' is not finished (status '%s'): go on with cllm4rec train --resume -o %s", run->path,
                          state, run->path);
    }
    run->data_path = data->options->dataset != NULL ? data->options->dataset : cllm__json_shown(run->run.manifest, "dataset/path");
    char *text;
    cllm_status status = cllm_inspect(run->data_path, &text, err);
    if (status != CLLM_OK) {
        if (data->options->dataset == NULL) cllm__error_prefix(err, "the data set of '%s' (another place: --data DIR)", run->path);
        return status;
    }
    run->summary = json_tokener_parse(text);
    cllm_text_free(text);
    return read_log(run, err);
}

static const char *last_part(const char *path, size_t *length) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    *length = end - begin;
    return path + begin;
}

static cllm_status name_runs(cllm__report_data *data, cllm_error *err) {
    for (size_t i = 0; i < data->n_runs; i++) {
        size_t length, other;
        const char *name = last_part(data->runs[i].path, &length);
        bool alone = true;
        for (size_t j = 0; j < data->n_runs && alone; j++) {
            const char *second = last_part(data->runs[j].path, &other);
            alone = j == i || length != other || strncmp(name, second, length) != 0;
        }
        data->runs[i].name = alone ? cllm__strndup(name, length) : cllm__strdup(data->runs[i].path);
        if (data->runs[i].name == NULL) return cllm__fail_nomem(err);
    }
    return CLLM_OK;
}

static void group_runs(cllm__report_data *data) {
    for (size_t i = 0; i < data->n_runs; i++) {
        const char *hash = cllm__json_shown(data->runs[i].run.manifest, "dataset/hash");
        size_t same = 0, before = 0;
        while (same < i && strcmp(cllm__json_shown(data->runs[same].run.manifest, "dataset/hash"), hash) != 0) same++;
        data->runs[i].group = same < i ? data->runs[same].group : data->n_groups++;
        for (size_t j = 0; j < i; j++) before += data->runs[j].group == data->runs[i].group;
        data->runs[i].style = (int)(before % CLLM__SVG_STYLES);
    }
}

/* What a run is compared with: all that was asked for, or the best of that, where a run before it has found out which it is. */
static const char *baselines_for(const cllm__report_data *data, const cllm__report_run *run) {
    for (const cllm__report_run *first = data->runs; first < run; first++) {
        if (first->group != run->group) continue;
        struct json_object *paired = cllm__json_at(first->evaluation, "paired");
        return paired != NULL ? cllm__json_shown(paired, "best_baseline") : "none";
    }
    return data->options->baselines;
}

static cllm_status evaluate_run(const cllm__report_data *data, cllm__report_run *run, cllm_error *err) {
    cllm_evaluate_options options;
    cllm_evaluate_options_init(&options);
    options.run = run->path;
    options.dataset = data->options->dataset;
    options.split = data->options->split;
    options.baselines = baselines_for(data, run);
    options.profile = data->options->profile;
    options.threads = data->options->threads;
    options.host = data->options->host;
    return cllm__evaluate_run(&options, &run->evaluation, &run->measured, err);
}

cllm_status cllm__report_gather(cllm__report_data *data, cllm_error *err) {
    const cllm_report_options *options = data->options;
    if (options->n_runs > MAX_RUNS) return cllm__fail(err, CLLM_ERR_USAGE, "%zu runs: give at most %d", options->n_runs, MAX_RUNS);
    CLLM_TRY(CLLM_NEW(data->runs, options->n_runs, err));
    for (; data->n_runs < options->n_runs; data->n_runs++) data->runs[data->n_runs].path = options->runs[data->n_runs];
    for (size_t i = 0; i < data->n_runs; i++) CLLM_TRY(open_run(data, &data->runs[i], err));
    CLLM_TRY(name_runs(data, err));
    group_runs(data);
    for (size_t i = 0; i < data->n_runs; i++) CLLM_TRY(evaluate_run(data, &data->runs[i], err));
    return cllm__report_means(&data->means, data, err);
}

void cllm__report_data_free(cllm__report_data *data) {
    for (size_t i = 0; i < data->n_runs; i++) {
        cllm__run_free(&data->runs[i].run);
        cllm__free(data->runs[i].name);
        json_object_put(data->runs[i].evaluation);
        if (data->runs[i].measured != NULL) cllm__evaluation_free(data->runs[i].measured);
        json_object_put(data->runs[i].summary);
        json_object_put(data->runs[i].epochs);
    }
    cllm__free(data->runs);
    json_object_put(data->means);
    data->means = NULL;
    data->runs = NULL;
    data->n_runs = 0;
}

/* ---- Rows ---- */

cllm_status cllm__report_rows(const cllm__report_data *data, size_t group, cllm__report_row **rows, size_t *count, cllm_error *err) {
    size_t capacity = 0, n = 0;
    const char *metric = "", *label;
    cllm__report_row *made = NULL;
    for (size_t i = 0; i < data->n_runs; i++) {
        const cllm__report_run *run = &data->runs[i];
        struct json_object *models = cllm__json_at(run->evaluation, "models");
        if (run->group != group || models == NULL) continue;
        bool first = n == 0, own = true;
        int baselines = 0;
        if (first) cllm__report_main_metric(run, &metric, &label);
        json_object_object_foreach(models, name, model) {
            if (!own && !first) break; /* the baselines are those of the first run */
            if (CLLM_GROW(made, capacity, n + 1, err) != CLLM_OK) {
                cllm__free(made);
                return CLLM_ERR_NOMEM;
            }
            made[n++] = own ? (cllm__report_row){run->name, model, run, run->style}
                            : (cllm__report_row){name, model, NULL, CLLM__SVG_BASELINE + baselines++};
            own = false;
        }
    }
    for (size_t i = 1; i < n; i++) { /* best first, ties in their order */
        for (size_t j = i; j > 0 && cllm__json_number(made[j].model, metric) > cllm__json_number(made[j - 1].model, metric); j--) {
            cllm__report_row swap = made[j];
            made[j] = made[j - 1];
            made[j - 1] = swap;
        }
    }
    *rows = made;
    *count = n;
    return CLLM_OK;
}
