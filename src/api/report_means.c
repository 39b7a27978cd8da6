/* Means over runs that differ in nothing but their seed. */
#include <math.h>
#include <string.h>

#include "api/report_data.h"
#include "base/alloc.h"
#include "eval/statistics.h"

static bool same_text(const cllm__report_run *a, const cllm__report_run *b, const char *member) {
    return strcmp(cllm__json_shown(a->run.manifest, member), cllm__json_shown(b->run.manifest, member)) == 0;
}

static bool made_here(const cllm__report_run *run) {
    struct json_object *made = cllm__json_at(run->run.manifest, "backbone/made_here");
    return made != NULL && json_object_get_boolean(made);
}

/* A backbone that was made on the spot is drawn by the seed, so that its hash may differ. */
static bool same_backbone(const cllm__report_run *a, const cllm__report_run *b) {
    if (made_here(a) != made_here(b)) return false;
    if (!made_here(a)) return same_text(a, b, "backbone/hash");
    return same_text(a, b, "backbone/family") && cllm__json_number(a->run.manifest, "backbone/layers") == cllm__json_number(b->run.manifest, "backbone/layers") &&
           cllm__json_number(a->run.manifest, "backbone/width") == cllm__json_number(b->run.manifest, "backbone/width");
}

static bool same_but_seed(const cllm__report_run *a, const cllm__report_run *b) {
    if (a->group != b->group || !same_text(a, b, "preset") || !same_text(a, b, "dtype") || !same_text(a, b, "backbone_dtype")) return false;
    for (size_t i = 0; cllm__train_setting_name(i) != NULL; i++) {
        const char *name = cllm__train_setting_name(i);
        char of_a[160], of_b[160];
        if (strcmp(name, "seed") == 0 || cllm__report_is_upkeep(name)) continue;
        cllm__train_config_get(&a->run.config, name, of_a, sizeof of_a);
        cllm__train_config_get(&b->run.config, name, of_b, sizeof of_b);
        if (strcmp(of_a, of_b) != 0) return false;
    }
    return same_backbone(a, b);
}

/* The runs that are averaged with this one, if it is the first of them. */
static size_t find_series(const cllm__report_data *data, size_t first, const cllm__report_run **series) {
    size_t n = 0;
    for (size_t i = 0; i < data->n_runs; i++) {
        if (!same_but_seed(&data->runs[first], &data->runs[i])) continue;
        if (i < first) return 0;
        series[n++] = &data->runs[i];
    }
    return n;
}

static double own_value(const cllm__report_run *run, const char *metric) {
    return cllm__json_number(cllm__json_at(cllm__json_at(run->evaluation, "models"), cllm__report_own_model(run)), metric);
}

static void add_number(struct json_object *object, const char *name, double value) {
    if (isfinite(value)) json_object_object_add(object, name, json_object_new_double(value));
}

static struct json_object *mean_metrics(const cllm__report_run *const *series, size_t n) {
    struct json_object *object = json_object_new_object(), *headline = cllm__json_at(series[0]->evaluation, "headline");
    for (size_t h = 0; headline != NULL && h < json_object_array_length(headline); h++) {
        const char *metric = cllm__json_shown(json_object_array_get_idx(headline, h), "metric");
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += own_value(series[i], metric);
        add_number(object, metric, sum / (double)n);
    }
    return object;
}

/* Adds a model's NDCG of each user, `weight` times. */
static void add_users(float *values, const cllm__evaluation *e, const char *model, double weight) {
    size_t m = 0, v = 0, wanted = cllm__cutoffs_index(&e->cutoffs, CLLM__NDCG, 100);
    while (m < e->n_models && strcmp(e->models[m].name, model) != 0) m++;
    while (v < e->n_kept && e->kept[v] != wanted) v++;
    CLLM_ASSERT(m < e->n_models && v < e->n_kept);
    for (size_t u = 0; u < e->n_users; u++) values[u] += (float)(weight * (double)e->models[m].kept[u * e->n_kept + v]);
}

/* The runs' mean of each user against the baseline. */
static cllm_status compare_means(cllm__paired_test *test, const cllm__report_run *const *series, size_t n, const char *baseline, cllm_error *err) {
    size_t users = series[0]->measured->n_users;
    float *values;
    CLLM_TRY(CLLM_NEW(values, 2 * users, err));
    memset(values, 0, 2 * users * sizeof *values);
    for (size_t i = 0; i < n; i++) add_users(values, series[i]->measured, cllm__report_own_model(series[i]), 1.0 / (double)n);
    add_users(values + users, series[0]->measured, baseline, 1);
    cllm_status status = cllm__compare(NULL, values, 1, values + users, 1, users, 0, 1, test, err);
    cllm__free(values);
    return status;
}

/* Nothing if there are no baselines. */
static cllm_status add_paired(struct json_object *mean, const cllm__report_run *const *series, size_t n, cllm_error *err) {
    struct json_object *first = cllm__json_at(series[0]->evaluation, "paired");
    if (first == NULL) return CLLM_OK;
    cllm__paired_test test;
    CLLM_TRY(compare_means(&test, series, n, cllm__json_shown(first, "best_baseline"), err));
    struct json_object *object = json_object_new_object(), *differences = json_object_new_array(), *intervals = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        struct json_object *paired = cllm__json_at(series[i]->evaluation, "paired");
        json_object_array_add(differences, json_object_new_double(cllm__json_number(paired, "difference")));
        json_object_array_add(intervals, json_object_get(cllm__json_at(paired, "interval")));
    }
    cllm__json_put_text(object, "best_baseline", cllm__json_shown(first, "best_baseline"));
    cllm__json_put_text(object, "metric", cllm__json_shown(first, "metric"));
    add_number(object, "difference", test.difference);
    json_object_object_add(object, "interval", cllm__json_range(test.interval.low, test.interval.high));
    add_number(object, "p", test.p);
    json_object_object_add(object, "differences", differences);
    json_object_object_add(object, "intervals", intervals);
    json_object_object_add(mean, "paired", object);
    return CLLM_OK;
}

/* Takes its place in `means` in every case. */
static cllm_status add_mean(struct json_object *means, const cllm__report_run *const *series, size_t n, cllm_error *err) {
    struct json_object *object = json_object_new_object(), *runs = json_object_new_array(), *seeds = json_object_new_array();
    json_object_array_add(means, object);
    double seconds = 0, memory = 0;
    for (size_t i = 0; i < n; i++) {
        json_object_array_add(runs, json_object_new_string(series[i]->name));
        json_object_array_add(seeds, json_object_new_uint64(series[i]->run.config.seed));
        seconds += series[i]->seconds;
        memory = fmax(memory, series[i]->memory); /* of a number and NaN, the number */
    }
    cllm__json_put_text(object, "data", series[0]->data_path);
    cllm__json_put_text(object, "hash", cllm__json_shown(series[0]->run.manifest, "dataset/hash"));
    cllm__json_put_text(object, "preset", series[0]->run.config.preset);
    json_object_object_add(object, "runs", runs);
    json_object_object_add(object, "seeds", seeds);
    json_object_object_add(object, "mean", mean_metrics(series, n));
    add_number(object, "training_seconds", seconds / (double)n);
    if (memory > 0) add_number(object, "peak_memory_bytes", memory);
    return add_paired(object, series, n, err);
}

cllm_status cllm__report_means(struct json_object **out, const cllm__report_data *data, cllm_error *err) {
    const cllm__report_run **series;
    CLLM_TRY(CLLM_NEW(series, data->n_runs, err));
    struct json_object *means = json_object_new_array();
    cllm_status status = CLLM_OK;
    for (size_t first = 0; first < data->n_runs && status == CLLM_OK; first++) {
        size_t n = find_series(data, first, series);
        if (n > 1) status = add_mean(means, series, n, err);
    }
    cllm__free(series);
    if (status == CLLM_OK) *out = means;
    else json_object_put(means);
    return status;
}
