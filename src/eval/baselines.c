/* The set of baselines that evaluation asks for: names, tuning on an inner split, and the cache of what was chosen. */
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/io.h"
#include "base/rng.h"
#include "eval/baseline.h"
#include "eval/evaluate.h"

enum { MIN_TARGETS = 20, LAMBDA_DOWN = 6, LAMBDA_UP = 8, WEIGHT_STEPS = 3, CACHE_BYTES = 1 << 16 };

static const char g_format[] = "cllm4rec baselines 1";
static const double g_lambda = 200, g_weight = 10;
static const size_t g_neighbours[] = {20, 100, 500};
static const double g_shrinkage[] = {0, 10, 100, 1000};

/* What is tuned, and whether it is known yet. */
typedef struct parameters {
    bool has_itemknn, has_ease, has_ease_text;
    cllm__itemknn_options itemknn;
    double lambda, text_lambda, text_weight;
} parameters;

/* ---- The inner split ---- */

typedef struct inner_split {
    cllm__interactions train, held;
    uint64_t *start[2];
    int32_t *items[2];
} inner_split;

static void free_inner(inner_split *inner) {
    for (int part = 0; part < 2; part++) {
        cllm__free(inner->start[part]);
        cllm__free(inner->items[part]);
    }
}

/* Holds out n/10 of a user's n rows, rounded at random, at most n − 1. Rows keep their order. */
static void split_user(inner_split *inner, const cllm__interactions *rows, size_t user, int32_t *order) {
    size_t n = cllm__row_count(rows, user);
    cllm__rng rng = cllm__rng_make(0, CLLM_RNG_SPLIT, 1, user);
    size_t held = (size_t)(0.1 * (double)n + cllm__rng_uniform(&rng));
    if (n > 0 && held > n - 1) held = n - 1;
    for (size_t i = 0; i < n; i++) order[i] = (int32_t)i;
    cllm__rng_shuffle_i32(&rng, order, n); /* row i is held out if its place in this order is among the first */
    for (size_t i = 0; i < n; i++) {
        int part = (size_t)order[i] < held;
        inner->items[part][inner->start[part][user + 1]++] = cllm__row(rows, user)[i];
    }
}

static cllm_status split_inner(inner_split *inner, const cllm__interactions *rows, cllm_error *err) {
    size_t longest = 0;
    for (size_t u = 0; u < rows->n_users; u++) {
        if (cllm__row_count(rows, u) > longest) longest = cllm__row_count(rows, u);
    }
    for (int part = 0; part < 2; part++) {
        CLLM_TRY(CLLM_NEW(inner->start[part], rows->n_users + 1, err));
        CLLM_TRY(CLLM_NEW(inner->items[part], rows->count, err));
    }
    int32_t *order;
    CLLM_TRY(CLLM_NEW(order, longest, err));
    for (size_t u = 0; u < rows->n_users; u++) {
        for (int part = 0; part < 2; part++) inner->start[part][u + 1] = inner->start[part][u];
        split_user(inner, rows, u, order);
    }
    cllm__free(order);
    for (int part = 0; part < 2; part++) {
        *(part == 0 ? &inner->train : &inner->held) =
            (cllm__interactions){.n_users = rows->n_users,
                                 .n_items = rows->n_items,
                                 .count = (size_t)inner->start[part][rows->n_users],
                                 .start = inner->start[part],
                                 .items = inner->items[part]};
    }
    return CLLM_OK;
}

/* ---- Tuning ---- */

typedef struct tuning {
    const cllm__baselines_options *options;
    const cllm__tfidf *features;
    inner_split inner;
    cllm_host quiet; /* cancels, but does not report each small evaluation */
} tuning;

/* recall_capped@20 + recall_capped@40 + ndcg@100 of the held-out rows. Frees the baseline. */
static cllm_status judge(const tuning *t, cllm__baseline *baseline, double *figure, cllm_error *err) {
    static const size_t ks[] = {20, 40, 100};
    const cllm__monitor monitor = {3, {CLLM__RECALL_CAPPED, CLLM__RECALL_CAPPED, CLLM__NDCG}, {20, 40, 100}};
    cllm__eval_options options = {
        .split = CLLM__VALID, .ks = ks, .n_ks = CLLM_LEN(ks), .pool = t->options->pool, .host = &t->quiet};
    cllm__evaluation *evaluation = NULL;
    cllm_status status = cllm__evaluate(&evaluation, &(cllm__eval_data){.train = &t->inner.train, .valid = &t->inner.held},
                                        &baseline->scorer, 1, &options, err);
    if (status == CLLM_OK) status = cllm__evaluation_monitor(evaluation, 0, &monitor, figure, err);
    if (status == CLLM_OK) {
        cllm__log(t->options->host, CLLM_LOG_DEBUG, "inner split: %s (%s): %.5f", baseline->scorer.name,
                  baseline->parameters, *figure);
    }
    cllm__evaluation_free(evaluation);
    cllm__baseline_free(baseline);
    return status;
}

static cllm_status tune_itemknn(const tuning *t, cllm__itemknn_options *chosen, cllm_error *err) {
    double best = -1;
    cllm__meter meter = cllm__meter_begin(t->options->host, "tune itemknn", "trials",
                                          (double)(CLLM_LEN(g_neighbours) * CLLM_LEN(g_shrinkage)));
    for (size_t n = 0; n < CLLM_LEN(g_neighbours); n++) {
        for (size_t h = 0; h < CLLM_LEN(g_shrinkage); h++) {
            cllm__itemknn_options options = {g_neighbours[n], g_shrinkage[h]};
            cllm__baseline baseline;
            double figure;
            CLLM_TRY(cllm__itemknn_create(&baseline, &t->inner.train, options, t->options->pool, &t->quiet, err));
            CLLM_TRY(judge(t, &baseline, &figure, err));
            if (figure > best) {
                best = figure;
                *chosen = options;
            }
            cllm__meter_update(&meter, (double)(n * CLLM_LEN(g_shrinkage) + h + 1), NULL);
        }
    }
    cllm__meter_end(&meter, meter.total, NULL);
    return CLLM_OK;
}

/* One trial of EASE; with text if `weight` is positive. */
static cllm_status try_ease(const tuning *t, double lambda, double weight, double *figure, cllm_error *err) {
    const cllm__baselines_options *o = t->options;
    cllm__baseline baseline;
    if (weight > 0) {
        cllm__log(o->host, CLLM_LOG_INFO, "tuning ease_text: lambda %g, weight %g", lambda, weight);
        CLLM_TRY(cllm__ease_text_create(&baseline, &t->inner.train, t->features, weight, lambda, o->memory_limit, o->pool,
                                        o->host, err));
    } else {
        cllm__log(o->host, CLLM_LOG_INFO, "tuning ease: lambda %g on %zu items", lambda, t->inner.train.n_items);
        CLLM_TRY(cllm__ease_create(&baseline, &t->inner.train, lambda, o->memory_limit, o->pool, o->host, err));
    }
    return judge(t, &baseline, figure, err);
}

/* Each trial inverts a matrix, so a grid low … high is walked from 0 up, or else down, as long as it gets better. *best is
 * the figure at 0. The walk changes λ, or the weight of texts. */
static cllm_status walk(const tuning *t, double *value, double step, int low, int high, const double *lambda,
                        const double *weight, double *best, cllm_error *err) {
    double middle = *value;
    int at = 0;
    for (int direction = 1; direction >= -1 && at == 0; direction -= 2) {
        for (int next = direction; next <= high && next >= low; next += direction) {
            double figure, kept = *value;
            *value = middle * pow(step, next);
            CLLM_TRY(try_ease(t, *lambda, *weight, &figure, err));
            if (figure <= *best) {
                *value = kept;
                break;
            }
            *best = figure;
            at = next;
        }
    }
    return CLLM_OK;
}

static cllm_status tune_ease(const tuning *t, double *lambda, double *weight, cllm_error *err) {
    double best;
    CLLM_TRY(try_ease(t, *lambda, *weight, &best, err));
    CLLM_TRY(walk(t, lambda, 2, -LAMBDA_DOWN, LAMBDA_UP, lambda, weight, &best, err));
    if (*weight > 0) CLLM_TRY(walk(t, weight, sqrt(10), -WEIGHT_STEPS, WEIGHT_STEPS, lambda, weight, &best, err));
    return CLLM_OK;
}

/* What of the tuned models is asked for. */
typedef struct wishes {
    bool itemknn, ease, ease_text;
} wishes;

/* Fills in what is wanted and not known yet. */
static cllm_status tune(parameters *p, wishes want, const cllm__interactions *train, const cllm__tfidf *features,
                        const cllm__baselines_options *options, cllm_error *err) {
    tuning t = {.options = options, .features = features};
    if (options->host != NULL) t.quiet = (cllm_host){.cancelled = options->host->cancelled, .user = options->host->user};
    cllm_status status;
    CLLM_TRY_CLEAN(split_inner(&t.inner, train, err));
    if (t.inner.held.count < MIN_TARGETS) {
        cllm__log(options->host, CLLM_LOG_INFO, "too few training rows to tune baselines on: defaults are used");
        p->has_itemknn = p->has_ease = p->has_ease_text = true;
        goto cleanup;
    }
    if (want.itemknn && !p->has_itemknn) {
        CLLM_TRY_CLEAN(tune_itemknn(&t, &p->itemknn, err));
        p->has_itemknn = true;
    }
    if (want.ease && !p->has_ease) {
        double no_text = 0;
        CLLM_TRY_CLEAN(tune_ease(&t, &p->lambda, &no_text, err));
        p->has_ease = true;
    }
    if (want.ease_text && !p->has_ease_text) {
        CLLM_TRY_CLEAN(tune_ease(&t, &p->text_lambda, &p->text_weight, err));
        p->has_ease_text = true;
    }
cleanup:
    free_inner(&t.inner);
    return status;
}

/* ---- The cache ---- */

/* A number of an object, if it is there and within [low, high]. */
static bool get_number(struct json_object *object, const char *key, double low, double high, double *value) {
    struct json_object *member;
    if (!json_object_object_get_ex(object, key, &member)) return false;
    if (!json_object_is_type(member, json_type_double) && !json_object_is_type(member, json_type_int)) return false;
    double number = json_object_get_double(member);
    if (!(number >= low && number <= high)) return false;
    *value = number;
    return true;
}

static bool has_text(struct json_object *object, const char *key, const char *text) {
    struct json_object *member;
    return json_object_object_get_ex(object, key, &member) && json_object_is_type(member, json_type_string) &&
           strcmp(json_object_get_string(member), text) == 0;
}

/* Takes over what a cache of the same data holds. */
static void read_cache(parameters *p, const cllm__baselines_options *options) {
    if (options->cache == NULL || !cllm__path_exists(options->cache)) return;
    cllm_error problem;
    char *text, hash[17];
    size_t size;
    if (cllm__read_file(options->cache, CACHE_BYTES, &text, &size, &problem) != CLLM_OK) {
        cllm__log(options->host, CLLM_LOG_WARN, "%s; tuning the baselines again", problem.message);
        return;
    }
    cllm__hash_text(options->data_hash, hash);
    struct json_object *root = json_tokener_parse(text), *member;
    cllm__free(text);
    if (!json_object_is_type(root, json_type_object) || !has_text(root, "format", g_format)) {
        cllm__log(options->host, CLLM_LOG_WARN, "'%s' is no cache of baselines; tuning them again", options->cache);
    } else if (has_text(root, "data", hash)) {
        double neighbours, shrinkage, lambda, weight;
        if (json_object_object_get_ex(root, "itemknn", &member) &&
            get_number(member, "neighbours", 0, INT32_MAX, &neighbours) &&
            get_number(member, "shrinkage", 0, 1e9, &shrinkage)) {
            p->itemknn = (cllm__itemknn_options){(size_t)neighbours, shrinkage};
            p->has_itemknn = true;
        }
        if (json_object_object_get_ex(root, "ease", &member) && get_number(member, "lambda", 1e-9, 1e12, &p->lambda)) {
            p->has_ease = true;
        }
        if (json_object_object_get_ex(root, "ease_text", &member) && get_number(member, "lambda", 1e-9, 1e12, &lambda) &&
            get_number(member, "weight", 1e-9, 1e12, &weight)) {
            p->text_lambda = lambda;
            p->text_weight = weight;
            p->has_ease_text = true;
        }
    }
    json_object_put(root);
}

/* A cache that cannot be written costs the next evaluation some time, nothing else. */
static void write_cache(const parameters *p, const cllm__baselines_options *options) {
    cllm_error problem;
    char text[512], hash[17];
    cllm__hash_text(options->data_hash, hash);
    int n = snprintf(text, sizeof text, "{\"format\": \"%s\", \"data\": \"%s\"", g_format, hash);
    if (p->has_itemknn) {
        n += snprintf(text + n, sizeof text - (size_t)n, ", \"itemknn\": {\"neighbours\": %zu, \"shrinkage\": %.17g}",
                      p->itemknn.neighbours, p->itemknn.shrinkage);
    }
    if (p->has_ease) n += snprintf(text + n, sizeof text - (size_t)n, ", \"ease\": {\"lambda\": %.17g}", p->lambda);
    if (p->has_ease_text) {
        n += snprintf(text + n, sizeof text - (size_t)n, ", \"ease_text\": {\"lambda\": %.17g, \"weight\": %.17g}",
                      p->text_lambda, p->text_weight);
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

/* ---- The set ---- */

typedef enum baseline_kind { RANDOM, POPULARITY, ITEMKNN, EASE, TEXTKNN, EASE_TEXT, KINDS } baseline_kind;
static const char *const g_names[KINDS] = {"random", "popularity", "itemknn", "ease", "textknn", "ease_text"};

static cllm_status parse_list(const char *list, baseline_kind *kinds, size_t *count, cllm_error *err) {
    *count = 0;
    if (strcmp(list, "none") == 0) return CLLM_OK;
    for (const char *c = list;; c++) {
        size_t length = strcspn(c, ",");
        baseline_kind found = KINDS;
        for (int k = 0; k < KINDS; k++) {
            if (strlen(g_names[k]) == length && memcmp(c, g_names[k], length) == 0) found = (baseline_kind)k;
        }
        if (found == KINDS) {
            return cllm__fail(
                err, CLLM_ERR_USAGE,
                "'%.*s' is no baseline: give none, or some of random,popularity,itemknn,ease,textknn,ease_text",
                (int)(length < 100 ? length : 100), c);
        }
        for (size_t i = 0; i < *count; i++) {
            if (kinds[i] == found)
                return cllm__fail(err, CLLM_ERR_USAGE, "the baseline %s is asked for twice", g_names[found]);
        }
        kinds[(*count)++] = found;
        c += length;
        if (*c == '\0') return CLLM_OK;
    }
}

static cllm_status create_one(cllm__baseline *out, baseline_kind kind, const parameters *p, const cllm__interactions *train,
                              const cllm__tfidf *features, const cllm__baselines_options *options, cllm_error *err) {
    switch (kind) {
    case RANDOM: return cllm__random_create(out, train->n_items, options->seed, err);
    case POPULARITY: return cllm__popularity_create(out, train, err);
    case ITEMKNN: return cllm__itemknn_create(out, train, p->itemknn, options->pool, options->host, err);
    case EASE: return cllm__ease_create(out, train, p->lambda, options->memory_limit, options->pool, options->host, err);
    case TEXTKNN: return cllm__textknn_create(out, train, features, options->pool, err);
    case EASE_TEXT:
    case KINDS: break;
    }
    return cllm__ease_text_create(out, train, features, p->text_weight, p->text_lambda, options->memory_limit,
                                  options->pool, options->host, err);
}

static bool wanted(const baseline_kind *kinds, size_t count, baseline_kind kind) {
    for (size_t i = 0; i < count; i++) {
        if (kinds[i] == kind) return true;
    }
    return false;
}

static cllm_status read_texts(cllm__tfidf *features, size_t n_items, const cllm__baselines_options *options,
                              cllm_error *err) {
    if (options->texts != NULL) CLLM_TRY(cllm__tfidf_create(features, n_items, options->texts, options->host, err));
    if (features->n_words == 0) {
        return cllm__fail(err, CLLM_ERR_USAGE,
                          "textknn and ease_text need texts of items, and the data set has none: leave them out");
    }
    return CLLM_OK;
}

static cllm_status create_all(cllm__baselines *out, const baseline_kind *kinds, size_t count,
                              const cllm__interactions *train, const cllm__baselines_options *options, cllm_error *err) {
    parameters p = {.itemknn = {500, 10}, .lambda = g_lambda, .text_lambda = g_lambda, .text_weight = g_weight};
    wishes want = {wanted(kinds, count, ITEMKNN), wanted(kinds, count, EASE), wanted(kinds, count, EASE_TEXT)};
    if (want.ease_text || wanted(kinds, count, TEXTKNN)) CLLM_TRY(read_texts(&out->features, train->n_items, options, err));
    if (want.itemknn || want.ease || want.ease_text) read_cache(&p, options);
    if ((want.itemknn && !p.has_itemknn) || (want.ease && !p.has_ease) || (want.ease_text && !p.has_ease_text)) {
        CLLM_TRY(tune(&p, want, train, &out->features, options, err));
        if (options->cache != NULL) write_cache(&p, options);
    }
    CLLM_TRY(CLLM_NEW(out->models, count, err));
    for (; out->count < count; out->count++) {
        CLLM_TRY(create_one(&out->models[out->count], kinds[out->count], &p, train, &out->features, options, err));
    }
    return CLLM_OK;
}

cllm_status cllm__baselines_create(cllm__baselines *out, const cllm__interactions *train,
                                   const cllm__baselines_options *options, cllm_error *err) {
    baseline_kind kinds[KINDS];
    size_t count;
    CLLM_TRY(parse_list(options->list != NULL ? options->list : "popularity,itemknn,ease", kinds, &count, err));
    uint64_t limit = options->memory_limit > 0 ? options->memory_limit : cllm__ease_memory_limit();
    if (options->list == NULL && cllm__ease_memory(train->n_items) > limit) {
        count--; /* ease is the last of the default list */
        cllm__log(options->host, CLLM_LOG_WARN,
                  "ease is left out: on %zu items it needs %.2f GB of memory, and %.2f GB are allowed", train->n_items,
                  (double)cllm__ease_memory(train->n_items) / 1e9, (double)limit / 1e9);
    }
    cllm__baselines made = {0};
    cllm_status status = create_all(&made, kinds, count, train, options, err);
    if (status != CLLM_OK) {
        cllm__baselines_free(&made);
        return status;
    }
    *out = made;
    return CLLM_OK;
}

void cllm__baselines_free(cllm__baselines *baselines) {
    for (size_t i = 0; i < baselines->count; i++) cllm__baseline_free(&baselines->models[i]);
    cllm__free(baselines->models);
    cllm__tfidf_free(&baselines->features);
    *baselines = (cllm__baselines){0};
}
