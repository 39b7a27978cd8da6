/* Means over runs that differ in nothing but their seed. */
#include <math.h>
#include <string.h>

#include "api/report_data.h"
#include "base/alloc.h"

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

/* NULL if there are no baselines. */
static struct json_object *mean_paired(const cllm__report_run *const *series, size_t n) {
    struct json_object *first = cllm__json_at(series[0]->evaluation, "paired");
    if (first == NULL) return NULL;
    struct json_object *object = json_object_new_object(), *differences = json_object_new_array(), *intervals = json_object_new_array();
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *paired = cllm__json_at(series[i]->evaluation, "paired");
        double difference = cllm__json_number(paired, "difference");
        sum += difference;
        json_object_array_add(differences, json_object_new_double(difference));
        json_object_array_add(intervals, json_object_get(cllm__json_at(paired, "interval")));
    }
    cllm__json_put_text(object, "best_baseline", cllm__json_shown(first, "best_baseline"));
    cllm__json_put_text(object, "metric", cllm__json_shown(first, "metric"));
    add_number(object, "difference", sum / (double)n);
    json_object_object_add(object, "differences", differences);
    json_object_object_add(object, "intervals", intervals);
    return object;
}

static struct json_object *mean_of(const cllm__report_run *const *series, size_t n) {
    struct json_object *object = json_object_new_object(), *runs = json_object_new_array(), *seeds = json_object_new_array();
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
    struct json_object *paired = mean_paired(series, n);
    if (paired != NULL) json_object_object_add(object, "paired", paired);
    add_number(object, "training_seconds", seconds / (double)n);
    if (memory > 0) add_number(object, "peak_memory_bytes", memory);
    return object;
}

struct json_object *cllm__report_means(const cllm__report_data *data) {
    const cllm__report_run **series = cllm__alloc(data->n_runs, sizeof *series);
    struct json_object *means = series != NULL ? json_object_new_array() : NULL;
    for (size_t first = 0; means != NULL && first < data->n_runs; first++) {
        size_t n = find_series(data, first, series);
        if (n > 1) json_object_array_add(means, mean_of(series, n));
    }
    cllm__free(series);
    return means;
}
