#include "eval/report.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "eval/statistics.h"

cllm_status cllm__profile_parse(const char *name, cllm__metrics_profile *profile, cllm_error *err) {
    if (name == NULL || strcmp(name, "paper") == 0) {
        *profile = CLLM__PROFILE_PAPER;
    } else if (strcmp(name, "recbole") == 0) {
        *profile = CLLM__PROFILE_RECBOLE;
    } else {
        return cllm__fail(err, CLLM_ERR_USAGE, "'%.100s' is no metrics profile: give paper or recbole", name);
    }
    return CLLM_OK;
}

/* ---- json-c, with running out of memory remembered instead of checked at each call ---- */

typedef struct builder {
    bool short_of_memory;
} builder;

/* Hands `value` over to `object`. */
static void put(builder *b, struct json_object *object, const char *key, struct json_object *value) {
    if (value != NULL && object != NULL && json_object_object_add(object, key, value) == 0) return;
    b->short_of_memory = true;
    json_object_put(value);
}

static void append(builder *b, struct json_object *array, struct json_object *value) {
    if (value != NULL && array != NULL && json_object_array_add(array, value) == 0) return;
    b->short_of_memory = true;
    json_object_put(value);
}

/* Six significant digits are more than any of these figures means. */
static struct json_object *number(double value) {
    char text[32];
    snprintf(text, sizeof text, "%.6g", value);
    return json_object_new_double_s(value, text);
}

static struct json_object *interval(builder *b, cllm__interval range) {
    struct json_object *array = json_object_new_array();
    append(b, array, number(range.low));
    append(b, array, number(range.high));
    return array;
}

static void put_at(builder *b, struct json_object *object, const char *name, size_t k, double value) {
    char label[CLLM__METRIC_NAME];
    snprintf(label, sizeof label, "%s@%zu", name, k);
    put(b, object, label, number(value));
}

static void value_label(const cllm__evaluation *e, size_t value, char label[CLLM__METRIC_NAME]) {
    cllm__metric_label((cllm__metric)(value / e->cutoffs.count), e->cutoffs.ks[value % e->cutoffs.count], label);
}

static void put_values(builder *b, struct json_object *object, const cllm__evaluation *e, const double *values) {
    for (size_t v = 0; v < e->values; v++) {
        char label[CLLM__METRIC_NAME];
        value_label(e, v, label);
        put(b, object, label, number(values[v]));
    }
}

/* ---- The parts ---- */

static void put_line(builder *b, struct json_object *lines, const char *name, cllm__metric metric, size_t k) {
    char label[CLLM__METRIC_NAME], shown[64];
    cllm__metric_label(metric, k, label);
    snprintf(shown, sizeof shown, "%s@%zu", name, k);
    struct json_object *line = json_object_new_object();
    put(b, line, "label", json_object_new_string(shown));
    put(b, line, "metric", json_object_new_string(label));
    append(b, lines, line);
}

/* The profile's metrics at the profile's cut-offs; a metric of which none of these was asked for stands at the smallest or largest there is. */
static void put_headline(builder *b, struct json_object *root, const cllm__evaluation *e, cllm__metrics_profile profile) {
    static const struct {
        cllm__metrics_profile profile;
        const char *name;
        cllm__metric metric;
        size_t k;
    } lines[] = {
        {CLLM__PROFILE_PAPER, "Recall", CLLM__RECALL_CAPPED, 20}, {CLLM__PROFILE_PAPER, "Recall", CLLM__RECALL_CAPPED, 40},
        {CLLM__PROFILE_PAPER, "NDCG", CLLM__NDCG, 100},           {CLLM__PROFILE_RECBOLE, "Recall", CLLM__RECALL, 10},
        {CLLM__PROFILE_RECBOLE, "MRR", CLLM__MRR, 10},            {CLLM__PROFILE_RECBOLE, "NDCG", CLLM__NDCG, 10},
        {CLLM__PROFILE_RECBOLE, "Hit", CLLM__HIT, 10},            {CLLM__PROFILE_RECBOLE, "Precision", CLLM__PRECISION, 10},
    };
    const size_t *ks = e->cutoffs.ks, smallest = ks[0], largest = ks[e->cutoffs.count - 1];
    struct json_object *array = json_object_new_array();
    bool shown[CLLM__METRICS] = {false};
    for (size_t i = 0; i < CLLM_LEN(lines); i++) {
        if (lines[i].profile != profile || cllm__cutoffs_index(&e->cutoffs, lines[i].metric, lines[i].k) == SIZE_MAX) continue;
        put_line(b, array, lines[i].name, lines[i].metric, lines[i].k);
        shown[lines[i].metric] = true;
    }
    for (size_t i = 0; i < CLLM_LEN(lines); i++) {
        if (lines[i].profile != profile || shown[lines[i].metric]) continue;
        put_line(b, array, lines[i].name, lines[i].metric, lines[i].k == 100 ? largest : smallest);
        shown[lines[i].metric] = true;
    }
    put(b, root, "headline", array);
    char coverage[64];
    snprintf(coverage, sizeof coverage, "coverage@%zu", cllm__cutoffs_index(&e->cutoffs, CLLM__NDCG, 20) != SIZE_MAX ? 20 : smallest);
    put(b, root, "headline_coverage", json_object_new_string(coverage));
}

static void put_definitions(builder *b, struct json_object *root) {
    struct json_object *object = json_object_new_object();
    for (int m = 0; m < CLLM__METRICS; m++) {
        put(b, object, cllm__metric_name((cllm__metric)m),
            json_object_new_string(cllm__metric_definition((cllm__metric)m)));
    }
    put(b, object, "found", json_object_new_string("share of the held-out items of a bucket that stand in their user's first k"));
    put(b, object, "coverage", json_object_new_string("share of all items that stand in somebody's first k"));
    put(b, object, "popularity",
        json_object_new_string("mean over recommended items of the share of users who had them in training"));
    put(b, object, "novelty",
        json_object_new_string("mean of -log2 of that share, an item that nobody had counting as one user's"));
    put(b, object, "gini",
        json_object_new_string("Gini coefficient of how often items are recommended: 0 all alike, 1 always one"));
    put(b, root, "definitions", object);
}

static cllm_status put_models(builder *b, struct json_object *root, const cllm__evaluation *e,
                              const cllm__report_options *options, cllm_error *err) {
    cllm__interval *intervals;
    CLLM_TRY(CLLM_NEW(intervals, e->n_kept, err));
    struct json_object *models = json_object_new_object();
    cllm_status status = CLLM_OK;
    for (size_t m = 0; m < e->n_models && status == CLLM_OK; m++) {
        const cllm__eval_model *model = &e->models[m];
        struct json_object *object = json_object_new_object();
        put_values(b, object, e, model->mean);
        if (e->n_users > 0) {
            struct json_object *ranges = json_object_new_object();
            status = cllm__bootstrap(options->pool, model->kept, e->n_users, e->n_kept, options->rounds, options->seed,
                                     intervals, err);
            for (size_t v = 0; v < e->n_kept && status == CLLM_OK; v++) {
                char label[CLLM__METRIC_NAME];
                value_label(e, e->kept[v], label);
                put(b, ranges, label, interval(b, intervals[v]));
            }
            put(b, object, "interval", ranges);
        }
        for (size_t c = 0; c < e->cutoffs.count; c++) {
            put_at(b, object, "coverage", e->cutoffs.ks[c], model->coverage[c]);
            put_at(b, object, "popularity", e->cutoffs.ks[c], model->popularity[c]);
            put_at(b, object, "novelty", e->cutoffs.ks[c], model->novelty[c]);
            put_at(b, object, "gini", e->cutoffs.ks[c], model->gini[c]);
        }
        if (options->parameters != NULL && options->parameters[m] != NULL) {
            put(b, object, "parameters", json_object_new_string(options->parameters[m]));
        }
        put(b, models, model->name, object);
    }
    put(b, root, "models", models);
    cllm__free(intervals);
    return status;
}

static void put_buckets(builder *b, struct json_object *root, const cllm__evaluation *e) {
    struct json_object *array = json_object_new_array();
    for (size_t bucket = 0; bucket < CLLM__BUCKETS; bucket++) {
        if (e->bucket_users[bucket] == 0) continue;
        struct json_object *object = json_object_new_object(), *models = json_object_new_object();
        put(b, object, "history", json_object_new_string(cllm__bucket_name(bucket)));
        put(b, object, "users", json_object_new_uint64(e->bucket_users[bucket]));
        for (size_t m = 0; m < e->n_models; m++) {
            struct json_object *values = json_object_new_object();
            put_values(b, values, e, e->models[m].bucket + bucket * e->values);
            put(b, models, e->models[m].name, values);
        }
        put(b, object, "models", models);
        append(b, array, object);
    }
    put(b, root, "buckets", array);
}

static void put_item_buckets(builder *b, struct json_object *root, const cllm__evaluation *e) {
    struct json_object *array = json_object_new_array();
    for (size_t bucket = 0; bucket < CLLM__ITEM_BUCKETS; bucket++) {
        if (e->bucket_targets[bucket] == 0) continue;
        struct json_object *object = json_object_new_object(), *models = json_object_new_object();
        put(b, object, "training_rows", json_object_new_string(cllm__item_bucket_name(bucket)));
        put(b, object, "items", json_object_new_uint64(e->bucket_items[bucket]));
        put(b, object, "targets", json_object_new_uint64(e->bucket_targets[bucket]));
        for (size_t m = 0; m < e->n_models; m++) {
            struct json_object *values = json_object_new_object();
            for (size_t c = 0; c < e->cutoffs.count; c++) put_at(b, values, "found", e->cutoffs.ks[c], e->models[m].item_recall[bucket][c]);
            put(b, models, e->models[m].name, values);
        }
        put(b, object, "models", models);
        append(b, array, object);
    }
    put(b, root, "item_buckets", array);
}

/* The metric that decides which baseline is the best, as an index into what is kept per user. */
static cllm_status find_paired(const cllm__evaluation *e, const char *name, size_t *kept, cllm_error *err) {
    size_t wanted = cllm__cutoffs_index(&e->cutoffs, CLLM__NDCG, 100);
    if (name != NULL) {
        cllm__metric metric;
        size_t k;
        CLLM_TRY(cllm__metric_parse(name, &metric, &k, err));
        wanted = cllm__cutoffs_index(&e->cutoffs, metric, k);
    } else if (wanted == SIZE_MAX) {
        wanted = cllm__cutoffs_index(&e->cutoffs, CLLM__NDCG, e->cutoffs.ks[e->cutoffs.count - 1]);
    }
    for (size_t v = 0; v < e->n_kept; v++) {
        if (e->kept[v] != wanted) continue;
        *kept = v;
        return CLLM_OK;
    }
    return cllm__fail(err, CLLM_ERR_USAGE,
                      "no paired test on '%.100s': give recall, recall_capped or ndcg at one of the cut-offs", name);
}

static cllm_status put_paired(builder *b, struct json_object *root, const cllm__evaluation *e,
                              const cllm__report_options *options, cllm_error *err) {
    if (options->model >= e->n_models || e->n_models < 2 || e->n_users == 0) return CLLM_OK;
    size_t kept = 0, best = SIZE_MAX;
    CLLM_TRY(find_paired(e, options->paired_metric, &kept, err));
    for (size_t m = 0; m < e->n_models; m++) {
        if (m == options->model) continue;
        if (best == SIZE_MAX || e->models[m].mean[e->kept[kept]] > e->models[best].mean[e->kept[kept]]) best = m;
    }
    cllm__paired_test test;
    CLLM_TRY(cllm__compare(options->pool, e->models[options->model].kept + kept, e->n_kept, e->models[best].kept + kept,
                           e->n_kept, e->n_users, options->rounds, options->seed, &test, err));
    char label[CLLM__METRIC_NAME];
    value_label(e, e->kept[kept], label);
    struct json_object *object = json_object_new_object();
    put(b, object, "model", json_object_new_string(e->models[options->model].name));
    put(b, object, "best_baseline", json_object_new_string(e->models[best].name));
    put(b, object, "metric", json_object_new_string(label));
    put(b, object, "difference", number(test.difference));
    put(b, object, "interval", interval(b, test.interval));
    put(b, object, "p", number(test.p));
    put(b, object, "p_permutation", number(test.p_permutation));
    put(b, root, "paired", object);
    return CLLM_OK;
}

cllm_status cllm__report(struct json_object **out, const cllm__evaluation *e, const cllm__report_options *options,
                         cllm_error *err) {
    builder b = {0};
    struct json_object *root = json_object_new_object(), *ks = json_object_new_array();
    for (size_t c = 0; c < e->cutoffs.count; c++) append(&b, ks, json_object_new_uint64(e->cutoffs.ks[c]));
    put(&b, root, "split", json_object_new_string(e->split == CLLM__TEST ? "test" : "valid"));
    put(&b, root, "users", json_object_new_uint64(e->n_users));
    put(&b, root, "users_without_targets", json_object_new_uint64(e->without_targets));
    put(&b, root, "mask_valid", json_object_new_boolean(e->mask_valid));
    put(&b, root, "profile", json_object_new_string(options->profile == CLLM__PROFILE_PAPER ? "paper" : "recbole"));
    put(&b, root, "k", ks);
    put_headline(&b, root, e, options->profile);
    put_definitions(&b, root);
    cllm_status status = put_models(&b, root, e, options, err);
    if (status == CLLM_OK) status = put_paired(&b, root, e, options, err);
    put_buckets(&b, root, e);
    put_item_buckets(&b, root, e);
    if (status == CLLM_OK && b.short_of_memory) status = cllm__fail_nomem(err);
    if (status != CLLM_OK) {
        json_object_put(root);
        return status;
    }
    *out = root;
    return CLLM_OK;
}

cllm_status cllm__report_text(char **json, const cllm__evaluation *evaluation, const cllm__report_options *options,
                              cllm_error *err) {
    struct json_object *root;
    CLLM_TRY(cllm__report(&root, evaluation, options, err));
    const char *text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
    char *copy = text != NULL ? cllm__strdup(text) : NULL;
    json_object_put(root);
    if (copy == NULL) return cllm__fail_nomem(err);
    *json = copy;
    return CLLM_OK;
}
