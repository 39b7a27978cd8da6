/*
 * The frame of `cllm4rec ablate`: arms are trained and measured one after the other, seed by seed; every result goes into
 * ablation.json at once, and what is left to do is read from there.
 */
#include "api/ablation.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/ablation_state.h"
#include "api/model_scorer.h"
#include "api/run.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"
#include "formats/safetensors.h"
#include "train/schedule.h"

static const char FORMAT[] = "cllm4rec ablation 1";
static const char *const SCALES[] = {"smoke", "small", "full"};
enum { MAX_SEEDS = 100 };

/* ---- Arms ---- */

cllm__arm *cllm__ablation_add(cllm__ablation *a, size_t data, const char *series, const char *format, ...) {
    CLLM_ASSERT(a->n_arms < CLLM__MAX_ARMS && data < a->n_data);
    cllm__arm *arm = &a->arms[a->n_arms++];
    *arm = (cllm__arm){.data = data, .run = CLLM__OWN_RUN, .reference = CLLM__NO_REFERENCE};
    snprintf(arm->series, sizeof arm->series, "%s", series);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(arm->name, sizeof arm->name, format, args);
    va_end(args);
    CLLM_ASSERT(n > 0 && (size_t)n < sizeof arm->name);
    (void)n;
    return arm;
}

void cllm__arm_set(cllm__arm *arm, const char *format, ...) {
    CLLM_ASSERT(arm->n_settings < CLLM__ARM_SETTINGS);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(arm->settings[arm->n_settings++], CLLM__ARM_SETTING, format, args);
    va_end(args);
    CLLM_ASSERT(n > 0 && n < CLLM__ARM_SETTING);
    (void)n;
}

const cllm_ablate_options *cllm__ablation_options(const cllm__ablation *a) {
    return &a->options;
}

cllm__scale cllm__ablation_scale(const cllm__ablation *a) {
    return a->scale;
}

size_t cllm__ablation_data_sets(const cllm__ablation *a) {
    return a->n_data;
}

const char *cllm__ablation_data_name(const cllm__ablation *a, size_t data) {
    return a->data[data].name;
}

const char *cllm__ablation_data_path(const cllm__ablation *a, size_t data) {
    return a->data[data].path;
}

const char *cllm__ablation_backbone(const cllm__ablation *a, size_t data) {
    return a->data[data].backbone;
}

char *cllm__ablation_path(const cllm__ablation *a, const char *name) {
    return cllm__path_join(a->options.output, name);
}

size_t cllm__ablation_arms(const cllm__ablation *a) {
    return a->n_arms;
}

const cllm__arm *cllm__ablation_arm(const cllm__ablation *a, size_t index) {
    return &a->arms[index];
}

size_t cllm__arm_index(const cllm__ablation *a, const cllm__arm *arm) {
    return (size_t)(arm - a->arms);
}

size_t cllm__ablation_find(const cllm__ablation *a, size_t data, const char *series, const char *name) {
    for (size_t i = 0; i < a->n_arms; i++) {
        const cllm__arm *arm = &a->arms[i];
        if (arm->data == data && strcmp(arm->series, series) == 0 && strcmp(arm->name, name) == 0) return i;
    }
    return SIZE_MAX;
}

/* ---- Beginning ---- */

static cllm_status find_study(cllm__ablation *a, const char *name, cllm_error *err) {
    char known[512] = "";
    for (size_t i = 0, used = 0; CLLM__STUDIES[i] != NULL; i++) {
        if (name != NULL && strcmp(CLLM__STUDIES[i]->name, name) == 0) {
            a->study = CLLM__STUDIES[i];
            return CLLM_OK;
        }
        int n = snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", CLLM__STUDIES[i]->name);
        used += n > 0 && (size_t)n < sizeof known - used ? (size_t)n : 0;
    }
    return cllm__fail(err, CLLM_ERR_USAGE, "study '%s': there are %s", name != NULL ? name : "", known);
}

static cllm_status parse_scale(cllm__ablation *a, const char *name, cllm_error *err) {
    for (size_t i = 0; i < CLLM_LEN(SCALES); i++) {
        if (strcmp(name, SCALES[i]) != 0) continue;
        a->scale = (cllm__scale)i;
        return CLLM_OK;
    }
    return cllm__fail(err, CLLM_ERR_USAGE, "scale '%s': give smoke, small or full", name);
}

static cllm_status parse_split(cllm__ablation *a, const char *name, cllm_error *err) {
    a->split = strcmp(name, "valid") == 0 ? CLLM__VALID : CLLM__TEST;
    if (a->split == CLLM__VALID || strcmp(name, "test") == 0) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_USAGE, "split '%s': give test or valid", name);
}

static const char *base_preset(const cllm__ablation *a) {
    return a->study->preset != NULL ? a->study->preset : "paper";
}

/* What was asked for, checked as far as that goes without training, as ablation.json keeps it. */
static cllm_status make_state(cllm__ablation *a, const cllm_ablate_options *o, cllm_error *err) {
    cllm__train_config config;
    cllm__dtype dtype;
    if (o->output == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "give an output folder (-o)");
    CLLM_TRY(find_study(a, o->study, err));
    CLLM_TRY(parse_scale(a, o->scale != NULL ? o->scale : "small", err));
    CLLM_TRY(parse_split(a, o->split != NULL ? o->split : "test", err));
    CLLM_TRY(cllm__train_config_preset(&config, base_preset(a), err));
    for (size_t i = 0; i < o->n_settings; i++) CLLM_TRY(cllm__train_config_set(&config, o->settings[i], err));
    CLLM_TRY(cllm__dtype_parse(o->dtype, &dtype, err));
    CLLM_TRY(cllm__backbone_dtype_parse(o->backbone_dtype, dtype, &dtype, err));
    if (o->seeds > MAX_SEEDS) return cllm__fail(err, CLLM_ERR_USAGE, "%zu seeds: give at most %d", o->seeds, MAX_SEEDS);
    if (o->n_datasets > CLLM__MAX_DATA_SETS) return cllm__fail(err, CLLM_ERR_USAGE, "%zu data sets: give at most %d", o->n_datasets, CLLM__MAX_DATA_SETS);
    struct json_object *settings = json_object_new_array(), *datasets = json_object_new_array();
    a->state = json_object_new_object();
    cllm__json_put_text(a->state, "format", FORMAT);
    cllm__json_put_text(a->state, "version", cllm_version());
    cllm__json_put_text(a->state, "study", a->study->name);
    cllm__json_put_text(a->state, "title", a->study->title);
    cllm__json_put_text(a->state, "question", a->study->question);
    cllm__json_put_text(a->state, "scale", SCALES[a->scale]);
    cllm__json_put_text(a->state, "split", a->split == CLLM__VALID ? "valid" : "test");
    json_object_object_add(a->state, "seeds", json_object_new_uint64(o->seeds > 0 ? o->seeds : a->scale == CLLM__SCALE_FULL ? 3 : 1));
    cllm__json_put_text(a->state, "dtype", o->dtype);
    cllm__json_put_text(a->state, "backbone_dtype", o->backbone_dtype);
    json_object_object_add(a->state, "settings", settings);
    json_object_object_add(a->state, "datasets", datasets);
    json_object_object_add(a->state, "results", json_object_new_object());
    for (size_t i = 0; i < o->n_settings; i++) json_object_array_add(settings, json_object_new_string(o->settings[i]));
    for (size_t i = 0; i < o->n_datasets; i++) {
        cllm__dataset *dataset;
        CLLM_TRY(cllm__dataset_open(&dataset, o->datasets[i], false, err));
        size_t rows = cllm__dataset_interactions(dataset, a->split)->count;
        cllm__dataset_close(dataset);
        if (rows == 0) {
            return cllm__fail(err, CLLM_ERR_DATA, "'%s' has no %s rows to measure by: prepare it with another split", o->datasets[i],
                              a->split == CLLM__VALID ? "validation" : "test");
        }
        char *path;
        CLLM_TRY(cllm__part_path(&path, o->datasets[i], "data set", err));
        json_object_array_add(datasets, json_object_new_string(path));
        cllm__free(path);
    }
    char *backbone;
    CLLM_TRY(cllm__part_path(&backbone, o->backbone, "backbone", err));
    cllm__json_put_text(a->state, "backbone", backbone);
    cllm__free(backbone);
    return CLLM_OK;
}

static cllm_status begin_new(cllm__ablation *a, const cllm_ablate_options *o, cllm_error *err) {
    char *folder;
    CLLM_TRY(make_state(a, o, err));
    CLLM_TRY(cllm__folder_begin(o->output, o->force, "ablation.json", &folder, err));
    cllm_status status = cllm__json_write(folder, "ablation.json", a->state, err);
    if (status == CLLM_OK) status = cllm__folder_commit(folder, o->output, err);
    if (status != CLLM_OK) cllm__remove_tree(folder);
    cllm__free(folder);
    return status;
}

static cllm_status begin_again(cllm__ablation *a, const cllm_ablate_options *o, cllm_error *err) {
    if (o->output == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "give the study's folder (-o) that shall go on");
    char *path = cllm__path_join(o->output, "ablation.json");
    if (path == NULL) return cllm__fail_nomem(err);
    cllm_status status = cllm__path_exists(path) ? cllm__json_file(path, &a->state, err)
                                                 : cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' is no study (there is no ablation.json in it)", o->output);
    if (status == CLLM_OK) {
        double seeds = cllm__json_number(a->state, "seeds");
        bool good = strcmp(cllm__json_shown(a->state, "format"), FORMAT) == 0 && seeds >= 1 && seeds <= MAX_SEEDS &&
                    cllm__json_is_texts(cllm__json_at(a->state, "settings"), SIZE_MAX) && cllm__json_is_texts(cllm__json_at(a->state, "datasets"), CLLM__MAX_DATA_SETS) &&
                    json_object_is_type(cllm__json_at(a->state, "results"), json_type_object);
        if (!good) status = cllm__fail(err, CLLM_ERR_DATA, "'%s' is damaged or not of this version: begin the study anew", path);
    }
    if (status == CLLM_OK) status = find_study(a, cllm__json_string(a->state, "study"), err);
    if (status == CLLM_OK) status = parse_scale(a, cllm__json_shown(a->state, "scale"), err);
    if (status == CLLM_OK) status = parse_split(a, cllm__json_shown(a->state, "split"), err);
    cllm__free(path);
    return status;
}

/* The options as the state has them, whether they were given now or when the study began. */
static cllm_status read_options(cllm__ablation *a, const cllm_ablate_options *given, cllm_error *err) {
    struct json_object *settings = cllm__json_at(a->state, "settings");
    size_t n = json_object_array_length(settings);
    CLLM_TRY(CLLM_NEW(a->settings, n + 1, err));
    for (size_t i = 0; i < n; i++) a->settings[i] = json_object_get_string(json_object_array_get_idx(settings, i));
    a->options = (cllm_ablate_options){
        .study = a->study->name, .output = given->output, .scale = SCALES[a->scale], .seeds = (size_t)cllm__json_number(a->state, "seeds"),
        .backbone = cllm__json_string(a->state, "backbone"), .dtype = cllm__json_string(a->state, "dtype"),
        .backbone_dtype = cllm__json_string(a->state, "backbone_dtype"), .settings = a->settings, .n_settings = n,
        .split = cllm__json_string(a->state, "split"), .threads = given->threads, .host = given->host,
    };
    return CLLM_OK;
}

/* ---- Results ---- */

static void result_key(const cllm__ablation *a, size_t arm, size_t seed, char key[256]) {
    const cllm__arm *of = &a->arms[arm];
    snprintf(key, 256, "%zu %.100s | %s | %s | seed %zu", of->data + 1, a->data[of->data].name, of->series, of->name, seed);
}

struct json_object *cllm__ablation_result(const cllm__ablation *a, size_t arm, size_t seed) {
    char key[256];
    struct json_object *result = NULL;
    result_key(a, arm, seed, key);
    return json_object_object_get_ex(cllm__json_at(a->state, "results"), key, &result) ? result : NULL;
}

static double standard_deviation(const double *values, size_t n) {
    double mean = 0, sum = 0;
    if (n < 2) return NAN;
    for (size_t i = 0; i < n; i++) mean += values[i] / (double)n;
    for (size_t i = 0; i < n; i++) sum += (values[i] - mean) * (values[i] - mean);
    return sqrt(sum / (double)(n - 1));
}

double cllm__ablation_value(const cllm__ablation *a, size_t arm, const char *what, double *spread) {
    double values[MAX_SEEDS], mean = 0;
    size_t n = a->options.seeds;
    for (size_t seed = 1; seed <= n; seed++) {
        values[seed - 1] = cllm__json_number(cllm__ablation_result(a, arm, seed), what);
        mean += values[seed - 1] / (double)n;
    }
    if (spread != NULL) *spread = standard_deviation(values, n);
    return mean;
}

static void users_name(size_t arm, size_t seed, char name[64]) {
    snprintf(name, 64, "users/arm%03zu-seed%zu.safetensors", arm + 1, seed);
}

static void run_name(size_t arm, size_t seed, char name[64]) {
    snprintf(name, 64, "runs/arm%03zu-seed%zu", arm + 1, seed);
}

void cllm__user_values_free(cllm__user_values *v) {
    cllm__free(v->user);
    cllm__free(v->history);
    cllm__free(v->ndcg);
    *v = (cllm__user_values){0};
}

static cllm_status add_user_values(cllm__user_values *v, const cllm__safetensors *file, bool first, double weight, cllm_error *err) {
    const cllm__tensor *user, *history, *ndcg;
    const uint64_t any[] = {UINT64_MAX};
    CLLM_TRY(cllm__safetensors_require(file, "user", CLLM_ST_I32, 1, any, &user, err));
    CLLM_TRY(cllm__safetensors_require(file, "history", CLLM_ST_I32, 1, user->shape, &history, err));
    CLLM_TRY(cllm__safetensors_require(file, "ndcg@100", CLLM_ST_F32, 1, user->shape, &ndcg, err));
    size_t n = (size_t)user->shape[0];
    if (first) {
        CLLM_TRY(CLLM_NEW(v->user, n + 1, err));
        CLLM_TRY(CLLM_NEW(v->history, n + 1, err));
        CLLM_TRY(CLLM_NEW(v->ndcg, n + 1, err));
        v->count = n;
        memcpy(v->user, user->data, n * sizeof *v->user);
        memcpy(v->history, history->data, n * sizeof *v->history);
    }
    if (n != v->count || memcmp(v->user, user->data, n * sizeof *v->user) != 0) {
        return cllm__fail(err, CLLM_ERR_MISMATCH, "'%s' holds other users than the arm's other seeds", cllm__safetensors_path(file));
    }
    for (size_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, (const char *)ndcg->data + i * sizeof value, sizeof value);
        v->ndcg[i] += (float)(weight * (double)value);
    }
    return CLLM_OK;
}

cllm_status cllm__user_values_read(const cllm__ablation *a, size_t arm, cllm__user_values *values, cllm_error *err) {
    size_t seeds = a->options.seeds;
    for (size_t seed = 1; seed <= seeds; seed++) {
        if (cllm__json_at(cllm__ablation_result(a, arm, seed), "ndcg@100") == NULL) return CLLM_OK;
        char name[64];
        users_name(arm, seed, name);
        char *path = cllm__path_join(a->options.output, name);
        cllm__safetensors *file = NULL;
        cllm_status status = path == NULL ? cllm__fail_nomem(err) : cllm__safetensors_open(&file, path, err);
        if (status == CLLM_OK) status = add_user_values(values, file, seed == 1, 1.0 / (double)seeds, err);
        cllm__safetensors_close(file);
        cllm__free(path);
        CLLM_TRY(status);
    }
    return CLLM_OK;
}

/* ---- Comparing ---- */

/* Keeps the users of a bucket, in place in both. */
static size_t keep_bucket(cllm__user_values *x, cllm__user_values *y, const char *history) {
    size_t kept = 0;
    for (size_t i = 0; i < x->count; i++) {
        if (history != NULL && strcmp(cllm__bucket_name(cllm__bucket_of((size_t)x->history[i])), history) != 0) continue;
        x->ndcg[kept] = x->ndcg[i];
        y->ndcg[kept++] = y->ndcg[i];
    }
    return kept;
}

/* Of arm − other, over the seeds. */
static void seed_differences(const cllm__ablation *a, size_t arm, size_t other, const char *history, double values[MAX_SEEDS]) {
    char what[64];
    snprintf(what, sizeof what, history == NULL ? "ndcg@100" : "buckets/%s/ndcg@100", history);
    for (size_t seed = 1; seed <= a->options.seeds; seed++) {
        values[seed - 1] = cllm__json_number(cllm__ablation_result(a, arm, seed), what) - cllm__json_number(cllm__ablation_result(a, other, seed), what);
    }
}

/* Both arms' users; *ranked: that there are any. */
static cllm_status read_pair(const cllm__ablation *a, size_t arm, size_t other, cllm__user_values *x, cllm__user_values *y, bool *ranked, cllm_error *err) {
    CLLM_TRY(cllm__user_values_read(a, arm, x, err));
    CLLM_TRY(cllm__user_values_read(a, other, y, err));
    *ranked = x->count > 0 && y->count > 0;
    if (!*ranked || (x->count == y->count && memcmp(x->user, y->user, x->count * sizeof *x->user) == 0)) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_MISMATCH, "'%s' and '%s' ranked for different users: they cannot be paired", a->arms[arm].name, a->arms[other].name);
}

static const cllm__difference NO_DIFFERENCE = {.test = {.difference = NAN, .interval = {NAN, NAN}, .p = NAN, .p_permutation = NAN}, .spread = NAN};

/* x − y of d->users users; the spread is that of `seeds`. */
static cllm_status test_difference(const cllm__ablation *a, const float *x, const float *y, const double *seeds, cllm__difference *d, cllm_error *err) {
    CLLM_TRY(cllm__compare(a->pool, x, 1, y, 1, d->users, 0, 1, &d->test, err));
    d->spread = standard_deviation(seeds, a->options.seeds);
    bool sure = d->test.interval.low > 0 || d->test.interval.high < 0;
    d->counts = sure && !(fabs(d->test.difference) <= d->spread);
    return CLLM_OK;
}

cllm_status cllm__ablation_compare(const cllm__ablation *a, size_t arm, size_t other, const char *history, cllm__difference *difference,
                                   cllm_error *err) {
    cllm__user_values x = {0}, y = {0};
    cllm__difference d = NO_DIFFERENCE;
    double seeds[MAX_SEEDS];
    bool ranked;
    cllm_status status = read_pair(a, arm, other, &x, &y, &ranked, err);
    if (status == CLLM_OK && ranked) d.users = keep_bucket(&x, &y, history);
    if (d.users > 0) {
        seed_differences(a, arm, other, history, seeds);
        status = test_difference(a, x.ndcg, y.ndcg, seeds, &d, err);
    }
    if (status == CLLM_OK) *difference = d;
    cllm__user_values_free(&x);
    cllm__user_values_free(&y);
    return status;
}

cllm_status cllm__ablation_interaction(const cllm__ablation *a, size_t both, size_t one, size_t other, size_t none, cllm__difference *difference,
                                       cllm_error *err) {
    cllm__user_values x = {0}, y = {0}, u = {0}, v = {0};
    cllm__difference d = NO_DIFFERENCE;
    double seeds[MAX_SEEDS], alone[MAX_SEEDS];
    bool ranked, alone_ranked;
    cllm_status status = read_pair(a, both, one, &x, &y, &ranked, err);
    if (status == CLLM_OK) status = read_pair(a, other, none, &u, &v, &alone_ranked, err);
    if (status == CLLM_OK && ranked && alone_ranked) {
        if (x.count == u.count && memcmp(x.user, u.user, x.count * sizeof *x.user) == 0) d.users = x.count;
        else status = cllm__fail(err, CLLM_ERR_MISMATCH, "'%s' and '%s' ranked for different users: they cannot be paired", a->arms[both].name,
                                  a->arms[other].name);
    }
    if (d.users > 0) {
        for (size_t i = 0; i < d.users; i++) {
            x.ndcg[i] -= y.ndcg[i];
            u.ndcg[i] -= v.ndcg[i];
        }
        seed_differences(a, both, one, NULL, seeds);
        seed_differences(a, other, none, NULL, alone);
        for (size_t seed = 0; seed < a->options.seeds; seed++) seeds[seed] -= alone[seed];
        status = test_difference(a, x.ndcg, u.ndcg, seeds, &d, err);
    }
    if (status == CLLM_OK) *difference = d;
    cllm__user_values_free(&x);
    cllm__user_values_free(&y);
    cllm__user_values_free(&u);
    cllm__user_values_free(&v);
    return status;
}

void cllm__difference_text(const cllm__difference *d, char text[96]) {
    snprintf(text, 96, "%+.4f (95 %% interval %+.4f to %+.4f)", d->test.difference, d->test.interval.low, d->test.interval.high);
}

void cllm__ablation_say(cllm__ablation *a, const char *format, ...) {
    size_t used = strlen(a->conclusion);
    va_list args;
    va_start(args, format);
    vsnprintf(a->conclusion + used, sizeof a->conclusion - used, format, args);
    va_end(args);
}

/* ---- Measuring ---- */

cllm__eval_data cllm__measure_data(const cllm__measuring *m) {
    const cllm__dataset *dataset = m->model->run.dataset;
    return (cllm__eval_data){.train = cllm__dataset_interactions(dataset, CLLM__TRAIN), .valid = cllm__dataset_interactions(dataset, CLLM__VALID),
                             .test = cllm__dataset_interactions(dataset, CLLM__TEST)};
}

cllm__split cllm__measure_split(const cllm__measuring *m) {
    return m->ablation->split;
}

void cllm__measure_column(cllm__measuring *m, const char *column, double value) {
    struct json_object *columns = cllm__json_at(m->result, "columns");
    json_object_object_add(columns, column, isfinite(value) ? json_object_new_double(value) : NULL);
}

static cllm_status keep_users(const cllm__measuring *m, const cllm__evaluation *e, const cllm__interactions *train, cllm_error *err) {
    const cllm__ablation *a = m->ablation;
    size_t kept = 0, n = e->n_users;
    while (kept < e->n_kept && e->kept[kept] != cllm__cutoffs_index(&e->cutoffs, CLLM__NDCG, 100)) kept++;
    CLLM_ASSERT(kept < e->n_kept);
    int32_t *history = NULL;
    float *ndcg = NULL;
    char name[64], *folder = cllm__path_join(a->options.output, "users"), *path = NULL;
    cllm_status status;
    CLLM_TRY_CLEAN(CLLM_NEW(history, n + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(ndcg, n + 1, err));
    for (size_t i = 0; i < n; i++) {
        history[i] = (int32_t)cllm__row_count(train, (size_t)e->users[i]);
        ndcg[i] = e->models[0].kept[i * e->n_kept + kept];
    }
    const cllm__tensor tensors[] = {
        {.name = "user", .dtype = CLLM_ST_I32, .rank = 1, .shape = {n}, .data = e->users, .bytes = n * sizeof *e->users},
        {.name = "history", .dtype = CLLM_ST_I32, .rank = 1, .shape = {n}, .data = history, .bytes = n * sizeof *history},
        {.name = "ndcg@100", .dtype = CLLM_ST_F32, .rank = 1, .shape = {n}, .data = ndcg, .bytes = n * sizeof *ndcg},
    };
    users_name(cllm__arm_index(a, m->arm), (size_t)m->seed, name);
    path = cllm__path_join(a->options.output, name);
    if (folder == NULL || path == NULL) status = cllm__fail_nomem(err);
    if (status == CLLM_OK) status = cllm__make_folders(folder, err);
    if (status == CLLM_OK) status = cllm__safetensors_write(path, tensors, CLLM_LEN(tensors), NULL, 0, err);
cleanup:
    cllm__free(folder);
    cllm__free(path);
    cllm__free(history);
    cllm__free(ndcg);
    return status;
}

static void keep_metrics(struct json_object *result, const cllm__evaluation *e) {
    static const cllm__metric metrics[] = {CLLM__NDCG, CLLM__RECALL_CAPPED, CLLM__RECALL};
    struct json_object *buckets = json_object_new_object();
    for (size_t i = 0; i < CLLM_LEN(metrics); i++) {
        for (size_t c = 0; c < e->cutoffs.count; c++) {
            char label[CLLM__METRIC_NAME];
            cllm__metric_label(metrics[i], e->cutoffs.ks[c], label);
            json_object_object_add(result, label, json_object_new_double(e->models[0].mean[cllm__cutoffs_index(&e->cutoffs, metrics[i], e->cutoffs.ks[c])]));
        }
    }
    for (size_t b = 0; b < CLLM__BUCKETS; b++) {
        if (e->bucket_users[b] == 0) continue;
        struct json_object *bucket = json_object_new_object();
        double value = e->models[0].bucket[b * e->values + cllm__cutoffs_index(&e->cutoffs, CLLM__NDCG, 100)];
        json_object_object_add(bucket, "users", json_object_new_uint64(e->bucket_users[b]));
        json_object_object_add(bucket, "ndcg@100", json_object_new_double(value));
        json_object_object_add(buckets, cllm__bucket_name(b), bucket);
    }
    json_object_object_add(result, "users", json_object_new_uint64(e->n_users));
    json_object_object_add(result, "buckets", buckets);
}

cllm_status cllm__measure_ranking(cllm__measuring *m, const cllm__scorer *scorer, const cllm__eval_data *data, const int32_t *users,
                                  size_t n_users, cllm_error *err) {
    static const size_t ks[] = {20, 40, 100};
    cllm__model_scorer own = {0};
    cllm__scorer used;
    cllm__eval_data rows = data != NULL ? *data : cllm__measure_data(m);
    if (scorer != NULL) {
        used = *scorer;
    } else {
        cllm__model_scorer_of(&own, m->model, m->engine, rows.train, 1, m->pool);
        used = cllm__model_scorer_interface(&own);
    }
    const cllm__eval_options options = {.split = m->ablation->split, .ks = ks, .n_ks = CLLM_LEN(ks), .seed = 1, .users = users, .n_users = n_users,
                                        .pool = m->pool, .host = &m->host};
    cllm__evaluation *evaluation = NULL;
    cllm_status status = cllm__evaluate(&evaluation, &rows, &used, 1, &options, err);
    if (status == CLLM_OK && evaluation->n_users == 0) status = cllm__fail(err, CLLM_ERR_DATA, "nobody has a held-out row: there is nothing to rank");
    if (status == CLLM_OK) status = keep_users(m, evaluation, rows.train, err);
    if (status == CLLM_OK) keep_metrics(m->result, evaluation);
    if (evaluation != NULL) cllm__evaluation_free(evaluation);
    cllm__model_scorer_free(&own);
    return status;
}

/* ---- Training ---- */

/* The scale's schedule. Where the preset alternates, a short one learns only at higher rates. */
static size_t schedule(const cllm__ablation *a, const char *preset, const char **settings) {
    static const char *const smoke[] = {"epochs=1/2/4", "lr=2e-2/2e-2/5e-3", "content-share=0.3", "max-text-tokens=16", "patience=0"};
    static const char *const small[] = {"epochs=3/10/25", "lr=5e-3/5e-3/1e-3", "content-share=0.3", "max-text-tokens=64"};
    static const char *const smoke_bag[] = {"epochs=0/0/4", "width=32"};
    cllm__train_config config;
    bool bag = cllm__train_config_preset(&config, preset, NULL) == CLLM_OK && config.epochs[1] == 0;
    const char *const *from = a->scale == CLLM__SCALE_SMOKE ? (bag ? smoke_bag : smoke) : small;
    size_t n = a->scale == CLLM__SCALE_FULL || (bag && a->scale == CLLM__SCALE_SMALL) ? 0 : from == smoke ? CLLM_LEN(smoke) : from == small ? CLLM_LEN(small)
                                                                                                                                    : CLLM_LEN(smoke_bag);
    for (size_t i = 0; i < n; i++) settings[i] = from[i];
    return n;
}

cllm_status cllm__ablation_config(const cllm__ablation *a, const char *preset, cllm__train_config *config, cllm_error *err) {
    const char *settings[16];
    if (preset == NULL) preset = base_preset(a);
    size_t n = schedule(a, preset, settings);
    CLLM_TRY(cllm__train_config_preset(config, preset, err));
    for (size_t i = 0; i < n; i++) CLLM_TRY(cllm__train_config_set(config, settings[i], err));
    for (size_t i = 0; i < a->options.n_settings; i++) CLLM_TRY(cllm__train_config_set(config, a->options.settings[i], err));
    return CLLM_OK;
}

static cllm_status train(cllm__ablation *a, size_t index, size_t seed, const char *folder, cllm_error *err) {
    const cllm__arm *arm = &a->arms[index];
    const char *preset = arm->preset != NULL ? arm->preset : base_preset(a), **settings;
    char seed_text[32];
    CLLM_TRY(CLLM_NEW(settings, 16 + a->options.n_settings + arm->n_settings, err));
    size_t n = schedule(a, preset, settings);
    if (a->options.backbone == NULL) settings[n++] = "item-features=words"; /* what is random here has nothing to say of texts */
    for (size_t i = 0; i < a->options.n_settings; i++) settings[n++] = a->options.settings[i];
    for (size_t i = 0; i < arm->n_settings; i++) settings[n++] = arm->settings[i];
    snprintf(seed_text, sizeof seed_text, "seed=%zu", seed);
    settings[n++] = seed_text;
    cllm_train_options options;
    cllm_train_options_init(&options);
    options.dataset = arm->dataset != NULL ? arm->dataset : a->data[arm->data].path;
    options.output = folder;
    options.backbone = arm->backbone != NULL ? arm->backbone : a->data[arm->data].backbone;
    options.preset = preset;
    options.prompts = arm->prompts;
    options.dtype = a->options.dtype;
    options.backbone_dtype = a->options.backbone_dtype;
    options.settings = settings;
    options.n_settings = n;
    options.threads = a->options.threads;
    cllm_status status = cllm__part_train(&a->part, &options, NULL, err);
    cllm__free(settings);
    return status;
}

/* Seconds of all steps, and the epochs that were asked for. */
static cllm_status keep_training(struct json_object *result, const char *folder, const struct cllm_model *model, cllm_error *err) {
    struct json_object *epochs;
    double seconds = 0;
    char asked[96];
    const cllm__train_config *config = &model->run.config;
    CLLM_TRY(cllm__run_epochs(folder, &epochs, err));
    for (size_t i = 0; i < json_object_array_length(epochs); i++) {
        double of_epoch = cllm__json_number(json_object_array_get_idx(epochs, i), "seconds");
        if (isfinite(of_epoch)) seconds += of_epoch;
    }
    json_object_put(epochs);
    snprintf(asked, sizeof asked, "%d/%d/%d", cllm__schedule_epochs(config, CLLM__PHASE_WARMUP), cllm__schedule_epochs(config, CLLM__PHASE_COLLAB),
             cllm__schedule_epochs(config, CLLM__PHASE_REC));
    cllm__json_put_text(result, "epochs", asked);
    json_object_object_add(result, "seconds", json_object_new_double(seconds));
    return CLLM_OK;
}

/* ---- One arm with one seed ---- */

static cllm_status measure(cllm__ablation *a, size_t index, size_t seed, const char *folder, struct json_object *result, cllm_error *err) {
    const cllm__arm *arm = &a->arms[index];
    cllm__measuring m = {.ablation = a, .arm = arm, .seed = seed, .folder = folder, .pool = a->pool, .host = cllm__part_host(&a->part), .result = result};
    cllm_status status = CLLM_OK;
    json_object_object_add(result, "columns", json_object_new_object());
    if (folder != NULL) {
        const cllm_model_options options = {.dataset = arm->dataset != NULL ? arm->dataset : a->data[arm->data].path};
        CLLM_TRY_CLEAN(cllm__model_open(&m.model, folder, &options, true, true, a->pool, err));
        CLLM_TRY_CLEAN(cllm__model_engine(&m.engine, m.model, a->pool, err));
        CLLM_TRY_CLEAN(keep_training(result, folder, m.model, err));
    }
    if (arm->baseline != NULL) status = cllm__ablation_measure_baseline(&m, err);
    else if (a->study->measure != NULL) status = a->study->measure(&m, err);
    else status = cllm__measure_ranking(&m, NULL, NULL, NULL, 0, err);
cleanup:
    cllm__engine_free(m.engine);
    cllm_model_close(m.model);
    return status;
}

/* Whether a run is still wanted: its own arm or one that shares it has no result yet. */
static bool is_wanted(const cllm__ablation *a, size_t run, size_t seed) {
    for (size_t i = 0; i < a->n_arms; i++) {
        if ((i == run || a->arms[i].run == run) && cllm__ablation_result(a, i, seed) == NULL) return true;
    }
    return false;
}

static cllm_status do_arm(cllm__ablation *a, size_t index, size_t seed, cllm_error *err) {
    const cllm__arm *arm = &a->arms[index];
    size_t run = arm->run == CLLM__OWN_RUN ? index : arm->run;
    char name[64], key[256], *folder = NULL;
    CLLM_TRY(cllm__check_cancelled(&a->options.host, err));
    int n = snprintf(a->part.label, sizeof a->part.label, "arm %zu/%zu", index + 1, a->n_arms);
    if (a->options.seeds > 1) snprintf(a->part.label + n, sizeof a->part.label - (size_t)n, " seed %zu/%zu", seed, a->options.seeds);
    if (run != CLLM__NO_RUN) {
        run_name(run, seed, name);
        folder = cllm__path_join(a->options.output, name);
        if (folder == NULL) return cllm__fail_nomem(err);
    }
    struct json_object *result = json_object_new_object();
    cllm_status status;
    if (run == index) CLLM_TRY_CLEAN(train(a, index, seed, folder, err));
    CLLM_TRY_CLEAN(measure(a, index, seed, folder, result, err));
    result_key(a, index, seed, key);
    json_object_object_add(cllm__json_at(a->state, "results"), key, json_object_get(result));
    CLLM_TRY_CLEAN(cllm__json_write(a->options.output, "ablation.json", a->state, err));
    double seconds = cllm__json_number(result, "seconds");
    char took[32] = "";
    if (isfinite(seconds)) snprintf(took, sizeof took, ", %.1f s", seconds);
    cllm__log(&a->options.host, CLLM_LOG_INFO, "%s: %s%s%s%s%s: NDCG@100 %.4f%s", a->part.label, a->n_data > 1 ? a->data[arm->data].name : "",
              a->n_data > 1 ? ", " : "", arm->series, arm->series[0] != '\0' ? ", " : "", arm->name, cllm__json_number(result, "ndcg@100"),
              took);
    if (folder != NULL && !is_wanted(a, run, seed)) cllm__remove_tree(folder);
cleanup:
    if (status != CLLM_OK && status != CLLM_ERR_INTERRUPTED) cllm__error_prefix(err, "%s (%s)", a->part.label, arm->name);
    json_object_put(result);
    cllm__free(folder);
    return status;
}

/* ---- All of it ---- */

static cllm_status run_arms(cllm__ablation *a, cllm_error *err) {
    for (size_t seed = 1; seed <= a->options.seeds; seed++) {
        for (size_t arm = 0; arm < a->n_arms; arm++) {
            if (cllm__ablation_result(a, arm, seed) == NULL) CLLM_TRY(do_arm(a, arm, seed, err));
        }
    }
    return CLLM_OK;
}

static cllm_status finish(cllm__ablation *a, cllm_error *err) {
    CLLM_TRY(a->study->conclude(a, err));
    CLLM_TRY(cllm__ablation_say_baselines(a, err));
    cllm__json_put_text(a->state, "conclusion", a->conclusion + strspn(a->conclusion, " "));
    CLLM_TRY(cllm__ablation_tabulate(a, err));
    CLLM_TRY(cllm__ablation_write_table(a, err));
    CLLM_TRY(cllm__ablation_write_page(a, err));
    return cllm__json_write(a->options.output, "ablation.json", a->state, err);
}

static cllm_status run_study(cllm__ablation *a, const cllm_ablate_options *options, cllm_error *err) {
    CLLM_TRY(options->resume ? begin_again(a, options, err) : begin_new(a, options, err));
    CLLM_TRY(read_options(a, options, err));
    CLLM_TRY(cllm__pool_create(&a->pool, options->threads, err));
    CLLM_TRY(CLLM_NEW(a->arms, CLLM__MAX_ARMS, err));
    CLLM_TRY(cllm__ablation_open_data(a, err));
    CLLM_TRY(a->study->plan(a, err));
    cllm__ablation_add_baselines(a);
    CLLM_TRY(run_arms(a, err));
    char *runs = cllm__ablation_path(a, "runs");
    if (runs == NULL) return cllm__fail_nomem(err);
    cllm__remove_tree(runs);
    cllm__free(runs);
    return finish(a, err);
}

cllm_status cllm_ablate(const cllm_ablate_options *options, char **results, cllm_error *err) {
    cllm__ablation *a;
    CLLM_TRY(CLLM_NEW(a, 1, err));
    a->part.host = &a->options.host;
    cllm_status status = run_study(a, options, err);
    if (status == CLLM_ERR_INTERRUPTED && err != NULL) {
        snprintf(err->message, sizeof err->message, "interrupted; go on with: cllm4rec ablate --resume -o %s", options->output);
    }
    if (status == CLLM_OK && results != NULL) status = cllm__json_to_text(json_object_get(a->state), results, err);
    for (size_t i = 0; i < a->n_arms; i++) {
        cllm__free(a->arms[i].dataset);
        cllm__free(a->arms[i].backbone);
    }
    for (size_t i = 0; i < a->n_data; i++) {
        cllm__free(a->data[i].path);
        cllm__free(a->data[i].backbone);
    }
    cllm__free(a->arms);
    cllm__free(a->settings);
    cllm__pool_free(a->pool);
    json_object_put(a->state);
    cllm__free(a);
    return status;
}

cllm_status cllm_ablations(char **json, cllm_error *err) {
    struct json_object *object = json_object_new_object(), *studies = json_object_new_array();
    for (size_t i = 0; CLLM__STUDIES[i] != NULL; i++) {
        struct json_object *study = json_object_new_object();
        cllm__json_put_text(study, "name", CLLM__STUDIES[i]->name);
        cllm__json_put_text(study, "title", CLLM__STUDIES[i]->title);
        cllm__json_put_text(study, "question", CLLM__STUDIES[i]->question);
        json_object_array_add(studies, study);
    }
    json_object_object_add(object, "studies", studies);
    return cllm__json_to_text(object, json, err);
}
