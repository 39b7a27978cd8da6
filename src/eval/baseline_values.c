/* The baselines' parameters: their names, ranges and defaults, as settings and in the cache of what was tuned. */
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/io.h"
#include "eval/baseline_set.h"

enum { CACHE_BYTES = 1 << 16 };

static const char g_format[] = "cllm4rec baselines 1";

static const char *const g_names[CLLM__BASE_KINDS] = {"random", "popularity", "recent", "markov", "itemknn", "textknn",
                                                      "ease",   "ease_text",  "userknn", "als",   "bpr"};

static const struct {
    cllm__baseline_kind kind;
    const char *name;
    double low, high, usual;
    bool whole;
} g_table[CLLM__BASE_PARAMETERS] = {
    [CLLM__RECENT_HALF_LIFE] = {CLLM__BASE_RECENT, "half_life", 1e-3, 1e6, 60, false},
    [CLLM__MARKOV_DECAY] = {CLLM__BASE_MARKOV, "decay", 0, 0.999, 0.5, false},
    [CLLM__MARKOV_SMOOTHING] = {CLLM__BASE_MARKOV, "smoothing", 0, 1e9, 10, false},
    [CLLM__ITEMKNN_NEIGHBOURS] = {CLLM__BASE_ITEMKNN, "neighbours", 0, INT32_MAX, 500, true},
    [CLLM__ITEMKNN_SHRINKAGE] = {CLLM__BASE_ITEMKNN, "shrinkage", 0, 1e9, 10, false},
    [CLLM__EASE_LAMBDA] = {CLLM__BASE_EASE, "lambda", 1e-9, 1e12, 200, false},
    [CLLM__TEXT_LAMBDA] = {CLLM__BASE_EASE_TEXT, "lambda", 1e-9, 1e12, 200, false},
    [CLLM__TEXT_WEIGHT] = {CLLM__BASE_EASE_TEXT, "weight", 0, 1e12, 10, false},
    [CLLM__USERKNN_NEIGHBOURS] = {CLLM__BASE_USERKNN, "neighbours", 1, INT32_MAX, 300, true},
    [CLLM__ALS_FACTORS] = {CLLM__BASE_ALS, "factors", 1, 4096, 64, true},
    [CLLM__ALS_REGULARIZATION] = {CLLM__BASE_ALS, "regularization", 1e-9, 1e12, 64, false},
    [CLLM__ALS_ALPHA] = {CLLM__BASE_ALS, "alpha", 0, 1e9, 32, false},
    [CLLM__ALS_ITERATIONS] = {CLLM__BASE_ALS, "iterations", 1, 100000, 10, true},
    [CLLM__BPR_FACTORS] = {CLLM__BASE_BPR, "factors", 1, 4096, 64, true},
    [CLLM__BPR_LEARNING_RATE] = {CLLM__BASE_BPR, "learning_rate", 1e-9, 10, 0.05, false},
    [CLLM__BPR_REGULARIZATION] = {CLLM__BASE_BPR, "regularization", 0, 10, 0.03, false},
    [CLLM__BPR_EPOCHS] = {CLLM__BASE_BPR, "epochs", 1, 1e6, 300, true},
    [CLLM__BPR_POPULAR] = {CLLM__BASE_BPR, "popular_negatives", 0, 1, 0, true},
};

const char *cllm__baseline_name(cllm__baseline_kind kind) {
    return g_names[kind];
}

cllm__baseline_kind cllm__baseline_find(const char *name, size_t length) {
    for (int k = 0; k < CLLM__BASE_KINDS; k++) {
        if (strlen(g_names[k]) == length && memcmp(name, g_names[k], length) == 0) return (cllm__baseline_kind)k;
    }
    return CLLM__BASE_KINDS;
}

bool cllm__baseline_is_tuned(cllm__baseline_kind kind) {
    for (size_t p = 0; p < CLLM__BASE_PARAMETERS; p++) {
        if (g_table[p].kind == kind) return true;
    }
    return false;
}

void cllm__baseline_defaults(cllm__baseline_values *values) {
    *values = (cllm__baseline_values){0};
    for (size_t p = 0; p < CLLM__BASE_PARAMETERS; p++) values->value[p] = g_table[p].usual;
}

static bool fits(size_t parameter, double value) {
    return value >= g_table[parameter].low && value <= g_table[parameter].high &&
           (!g_table[parameter].whole || value == floor(value));
}

/* ---- Settings ---- */

static cllm_status set_one(cllm__baseline_values *values, const char *setting, cllm_error *err) {
    char *end;
    const char *equals = strchr(setting, '=');
    size_t length = equals != NULL ? (size_t)(equals - setting) : strlen(setting);
    for (size_t p = 0; p < CLLM__BASE_PARAMETERS; p++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%s", g_names[g_table[p].kind], g_table[p].name);
        if (strlen(name) != length || memcmp(name, setting, length) != 0) continue;
        double value = equals != NULL ? strtod(equals + 1, &end) : NAN;
        if (equals == NULL || end == equals + 1 || *end != '\0' || !fits(p, value)) {
            return cllm__fail(err, CLLM_ERR_USAGE, "setting '%.100s': give %s=VALUE, %s from %g to %g", setting, name,
                              g_table[p].whole ? "a whole number" : "a number", g_table[p].low, g_table[p].high);
        }
        values->value[p] = value;
        values->known[g_table[p].kind] = true;
        return CLLM_OK;
    }
    char all[512];
    size_t used = 0;
    for (size_t p = 0; p < CLLM__BASE_PARAMETERS; p++) {
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s.%s", p > 0 ? ", " : "", g_names[g_table[p].kind],
                                 g_table[p].name);
    }
    return cllm__fail(err, CLLM_ERR_USAGE, "there is no setting '%.*s': these are %s", (int)(length < 100 ? length : 100),
                      setting, all);
}

cllm_status cllm__baseline_settings(cllm__baseline_values *values, const char *const *settings, size_t count,
                                    cllm_error *err) {
    for (size_t i = 0; i < count; i++) CLLM_TRY(set_one(values, settings[i], err));
    return CLLM_OK;
}

void cllm__baseline_overlay(cllm__baseline_values *values, const cllm__baseline_values *from) {
    for (size_t p = 0; p < CLLM__BASE_PARAMETERS; p++) {
        if (!from->known[g_table[p].kind]) continue;
        values->value[p] = from->value[p];
        values->known[g_table[p].kind] = true;
        values->seconds[g_table[p].kind] = from->seconds[g_table[p].kind];
    }
}

/* ---- The cache ---- */

/* A parameter of an object, if it is there and in its range. */
static bool get_number(struct json_object *object, size_t parameter, double *value) {
    struct json_object *member;
    if (!json_object_object_get_ex(object, g_table[parameter].name, &member)) return false;
    if (!json_object_is_type(member, json_type_double) && !json_object_is_type(member, json_type_int)) return false;
    *value = json_object_get_double(member);
    return fits(parameter, *value);
}

static bool has_text(struct json_object *object, const char *key, const char *text) {
    struct json_object *member;
    return json_object_object_get_ex(object, key, &member) && json_object_is_type(member, json_type_string) &&
           strcmp(json_object_get_string(member), text) == 0;
}

/* 0 where there is nothing believable. */
static double get_seconds(struct json_object *object) {
    struct json_object *member;
    if (!json_object_object_get_ex(object, "seconds", &member)) return 0;
    double seconds = json_object_get_double(member);
    return seconds > 0 && seconds < 1e9 ? seconds : 0;
}

/* One model's parameters: all of them or none. */
static void take_model(cllm__baseline_values *values, struct json_object *root, cllm__baseline_kind kind) {
    struct json_object *member;
    cllm__baseline_values taken = *values;
    if (!cllm__baseline_is_tuned(kind)) return;
    if (!json_object_object_get_ex(root, g_names[kind], &member) || !json_object_is_type(member, json_type_object)) return;
    for (size_t p = 0; p < CLLM__BASE_PARAMETERS; p++) {
        if (g_table[p].kind == kind && !get_number(member, p, &taken.value[p])) return;
    }
    taken.known[kind] = true;
    taken.seconds[kind] = get_seconds(member);
    *values = taken;
}

void cllm__baseline_read_cache(cllm__baseline_values *values, const cllm__baselines_options *options) {
    if (options->cache == NULL || !cllm__path_exists(options->cache)) return;
    cllm_error problem;
    char *text, hash[17];
    size_t size;
    if (cllm__read_file(options->cache, CACHE_BYTES, &text, &size, &problem) != CLLM_OK) {
        cllm__log(options->host, CLLM_LOG_WARN, "%s; tuning the baselines again", problem.message);
        return;
    }
    cllm__hash_text(options->data_hash, hash);
    struct json_object *root = json_tokener_parse(text);
    cllm__free(text);
    if (!json_object_is_type(root, json_type_object) || !has_text(root, "format", g_format)) {
        cllm__log(options->host, CLLM_LOG_WARN, "'%s' is no cache of baselines; tuning them again", options->cache);
    } else if (has_text(root, "data", hash)) {
        for (int k = 0; k < CLLM__BASE_KINDS; k++) take_model(values, root, (cllm__baseline_kind)k);
    }
    json_object_put(root);
}

/* A cache that cannot be written costs the next evaluation some time, nothing else. */
void cllm__baseline_write_cache(const cllm__baseline_values *values, const cllm__baselines_options *options) {
    cllm_error problem;
    char text[2048], hash[17];
    cllm__hash_text(options->data_hash, hash);
    int n = snprintf(text, sizeof text, "{\"format\": \"%s\", \"data\": \"%s\"", g_format, hash);
    for (int k = 0; k < CLLM__BASE_KINDS; k++) {
        const char *between = "";
        if (!values->known[k]) continue;
        n += snprintf(text + n, sizeof text - (size_t)n, ", \"%s\": {", g_names[k]);
        for (size_t p = 0; p < CLLM__BASE_PARAMETERS; p++) {
            if (g_table[p].kind != (cllm__baseline_kind)k) continue;
            n += snprintf(text + n, sizeof text - (size_t)n, "%s\"%s\": %.17g", between, g_table[p].name, values->value[p]);
            between = ", ";
        }
        if (values->seconds[k] > 0) n += snprintf(text + n, sizeof text - (size_t)n, "%s\"seconds\": %.3g", between, values->seconds[k]);
        n += snprintf(text + n, sizeof text - (size_t)n, "}");
    }
    n += snprintf(text + n, sizeof text - (size_t)n, "}\n");

    char *folder = cllm__strdup(options->cache);
    char *slash = folder != NULL ? strrchr(folder, '/') : NULL;
    cllm_status status = CLLM_OK;
    if (slash != NULL && slash != folder) {
        *slash = '\0';
        if (!cllm__path_is_folder(folder)) status = cllm__make_folders(folder, &problem);
    }
    cllm__free(folder);
    if (status == CLLM_OK) status = cllm__write_file(options->cache, text, (size_t)n, &problem);
    if (status != CLLM_OK) cllm__log(options->host, CLLM_LOG_WARN, "the tuned baselines are not kept: %s", problem.message);
}
