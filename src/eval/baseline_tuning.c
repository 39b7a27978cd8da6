/* Parameters of baselines, chosen on an inner split of the training rows. */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/host.h"
#include "eval/baseline_set.h"
#include "eval/evaluate.h"
#include "eval/inner_split.h"

enum {
    MIN_TARGETS = 20,
    TUNING_SEED = 1,
    LAMBDA_DOWN = 6,
    LAMBDA_UP = 8,
    WEIGHT_STEPS = 3,
    FACTOR_DOUBLINGS = 3,
    STRENGTH_DOUBLINGS = 3,
    MOST_VALUES = 6,
    MOST_POINTS = 12
};

/* ---- Tuning ---- */

typedef struct tuning {
    const cllm__baselines_options *options;
    const cllm__tfidf *features;
    const cllm__inner_split *inner; /* of the kind at hand */
    cllm_host quiet; /* for each small fit and evaluation: their progress is a detail of the meter's */
    cllm__meter meter;
    cllm__baseline_kind kind;
    cllm__baseline_values *values; /* the best so far */
    double best;
    size_t trials;
} tuning;

/* Progress that the small fits and evaluations make within a trial. */
static void pass_on(void *user, const cllm_progress *progress) {
    tuning *t = user;
    char detail[64];
    snprintf(detail, sizeof detail, "%.20s %.0f/%.0f %.10s", progress->phase, progress->done, progress->total, progress->unit);
    cllm__meter_update(&t->meter, (double)t->trials, detail);
}

static bool cancelled(void *user) {
    return cllm__cancelled(((const tuning *)user)->options->host);
}

/* recall_capped@20 + recall_capped@40 + ndcg@100 of the held-out rows. Frees the baseline. */
static cllm_status judge(const tuning *t, cllm__baseline *baseline, double *figure, cllm_error *err) {
    static const size_t ks[] = {20, 40, 100};
    const cllm__monitor monitor = {3, {CLLM__RECALL_CAPPED, CLLM__RECALL_CAPPED, CLLM__NDCG}, {20, 40, 100}};
    cllm__eval_options options = {
        .split = CLLM__VALID, .ks = ks, .n_ks = CLLM_LEN(ks), .pool = t->options->pool, .host = &t->quiet};
    cllm__evaluation *evaluation = NULL;
    cllm_status status = cllm__evaluate(&evaluation, &(cllm__eval_data){.train = &t->inner->train, .valid = &t->inner->held},
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

/* Judges what was fitted with these values, frees it, and keeps them if they are better than all before. */
static cllm_status consider(tuning *t, cllm__baseline *baseline, const cllm__baseline_values *values, bool *better,
                            cllm_error *err) {
    double figure;
    CLLM_TRY(judge(t, baseline, &figure, err));
    *better = t->trials++ == 0 || figure > t->best;
    if (*better) {
        t->best = figure;
        *t->values = *values;
    }
    cllm__meter_update(&t->meter, (double)t->trials, NULL);
    return CLLM_OK;
}

static cllm_status attempt(tuning *t, const cllm__baseline_values *values, bool *better, cllm_error *err) {
    cllm__baseline baseline;
    CLLM_TRY(cllm__baseline_create(&baseline, t->kind, values, &t->inner->train, t->features, TUNING_SEED, t->options,
                                   &t->quiet, err));
    return consider(t, &baseline, values, better, err);
}

/* Values that one parameter takes in a grid. */
typedef struct axis {
    cllm__baseline_parameter parameter;
    size_t count;
    double values[MOST_VALUES];
} axis;

static size_t count_points(const axis *axes, size_t n_axes) {
    size_t points = 1;
    for (size_t a = 0; a < n_axes; a++) points *= axes[a].count;
    return points;
}

/* One of all combinations, the last axis fastest. */
static cllm__baseline_values grid_point(const tuning *t, const axis *axes, size_t n_axes, size_t point) {
    cllm__baseline_values values = *t->values;
    for (size_t a = n_axes; a-- > 0; point /= axes[a].count) values.value[axes[a].parameter] = axes[a].values[point % axes[a].count];
    return values;
}

static cllm_status try_grid(tuning *t, const axis *axes, size_t n_axes, cllm_error *err) {
    bool better;
    size_t points = count_points(axes, n_axes);
    t->meter.total = (double)points;
    for (size_t point = 0; point < points; point++) {
        cllm__baseline_values values = grid_point(t, axes, n_axes, point);
        CLLM_TRY(attempt(t, &values, &better, err));
    }
    t->meter.total = 0; /* how far a walk goes is not known */
    return CLLM_OK;
}

/* One fit of bpr cannot be divided among threads, so all points are fitted side by side. */
static cllm_status try_bpr(tuning *t, const axis *axes, size_t n_axes, cllm_error *err) {
    bool better;
    size_t points = count_points(axes, n_axes), point = 0;
    cllm__baseline models[MOST_POINTS] = {{.free = NULL}};
    cllm__bpr_options options[MOST_POINTS];
    cllm__baseline_values values[MOST_POINTS];
    CLLM_ASSERT(points <= MOST_POINTS);
    for (size_t p = 0; p < points; p++) {
        values[p] = grid_point(t, axes, n_axes, p);
        options[p] = cllm__baseline_bpr_options(&values[p], TUNING_SEED);
    }
    t->meter.total = (double)points;
    cllm_status status = cllm__bpr_create_several(models, points, &t->inner->train, options, t->options->pool, &t->quiet, err);
    for (; point < points && status == CLLM_OK; point++) {
        status = consider(t, &models[point], &values[point], &better, err);
    }
    for (; point < points; point++) cllm__baseline_free(&models[point]);
    return status;
}

/* Where each trial is dear: one parameter, or several in step, times step^n, walked from n = 0 up, or else down, as long as it gets better. */
static cllm_status walk(tuning *t, const cllm__baseline_parameter *parameters, size_t n_parameters, double step, int low, int high,
                        cllm_error *err) {
    const cllm__baseline_values middle = *t->values;
    bool better = false;
    for (int direction = 1; direction >= -1 && !better; direction -= 2) {
        for (int next = direction; next <= high && next >= low; next += direction) {
            bool goes_on;
            cllm__baseline_values values = middle;
            for (size_t p = 0; p < n_parameters; p++) values.value[parameters[p]] *= pow(step, next);
            CLLM_TRY(attempt(t, &values, &goes_on, err));
            if (!goes_on) break;
            better = true;
        }
    }
    return CLLM_OK;
}

/* λ and α in step: what matters most is their ratio, which the grid has found. */
static cllm_status tune_als(tuning *t, cllm_error *err) {
    static const axis grid[] = {{CLLM__ALS_REGULARIZATION, 3, {16, 64, 256}}, {CLLM__ALS_ALPHA, 3, {8, 32, 128}}};
    static const cllm__baseline_parameter factors = CLLM__ALS_FACTORS, strength[] = {CLLM__ALS_REGULARIZATION, CLLM__ALS_ALPHA};
    CLLM_TRY(try_grid(t, grid, CLLM_LEN(grid), err));
    CLLM_TRY(walk(t, &factors, 1, 2, 0, FACTOR_DOUBLINGS, err));
    return walk(t, strength, CLLM_LEN(strength), 2, 0, STRENGTH_DOUBLINGS, err);
}

static cllm_status tune_ease(tuning *t, cllm__baseline_parameter lambda, cllm_error *err) {
    bool better;
    cllm__baseline_values values = *t->values;
    CLLM_TRY(attempt(t, &values, &better, err));
    CLLM_TRY(walk(t, &lambda, 1, 2, -LAMBDA_DOWN, LAMBDA_UP, err));
    static const cllm__baseline_parameter weight = CLLM__TEXT_WEIGHT;
    return t->kind == CLLM__BASE_EASE_TEXT ? walk(t, &weight, 1, sqrt(10), -WEIGHT_STEPS, WEIGHT_STEPS, err) : CLLM_OK;
}

static cllm_status try_values(tuning *t, cllm_error *err) {
    static const axis itemknn[] = {{CLLM__ITEMKNN_NEIGHBOURS, 3, {20, 100, 500}},
                                   {CLLM__ITEMKNN_SHRINKAGE, 4, {0, 10, 100, 1000}}};
    static const axis recent[] = {{CLLM__RECENT_HALF_LIFE, 6, {10, 30, 60, 120, 240, 480}}};
    static const axis markov[] = {{CLLM__MARKOV_DECAY, 5, {0, 0.3, 0.5, 0.7, 0.9}}, {CLLM__MARKOV_SMOOTHING, 3, {1, 10, 100}}};
    static const axis userknn[] = {{CLLM__USERKNN_NEIGHBOURS, 4, {50, 100, 300, 1000}}};
    static const axis bpr[] = {{CLLM__BPR_LEARNING_RATE, 2, {0.05, 0.1}}, {CLLM__BPR_REGULARIZATION, 3, {0.01, 0.03, 0.1}}};
    switch (t->kind) {
    case CLLM__BASE_ITEMKNN: return try_grid(t, itemknn, CLLM_LEN(itemknn), err);
    case CLLM__BASE_RECENT: return try_grid(t, recent, CLLM_LEN(recent), err);
    case CLLM__BASE_MARKOV: return try_grid(t, markov, CLLM_LEN(markov), err);
    case CLLM__BASE_USERKNN: return try_grid(t, userknn, CLLM_LEN(userknn), err);
    case CLLM__BASE_ALS: return tune_als(t, err);
    case CLLM__BASE_BPR: return try_bpr(t, bpr, CLLM_LEN(bpr), err);
    case CLLM__BASE_EASE: return tune_ease(t, CLLM__EASE_LAMBDA, err);
    case CLLM__BASE_EASE_TEXT: return tune_ease(t, CLLM__TEXT_LAMBDA, err);
    default: return CLLM_OK;
    }
}

static cllm_status tune_one(tuning *t, cllm__baseline_kind kind, cllm_error *err) {
    char phase[32];
    double began = cllm__now();
    snprintf(phase, sizeof phase, "tune %s", cllm__baseline_name(kind));
    t->kind = kind;
    t->trials = 0;
    t->meter = cllm__meter_begin(t->options->host, phase, "trials", 0);
    CLLM_TRY(try_values(t, err));
    cllm__meter_end(&t->meter, (double)t->trials, NULL);
    t->values->seconds[kind] = cllm__now() - began;
    return CLLM_OK;
}

/* Where each user's last rows are measured, the chain needs such rows, since what it reads are neighbours in time; the others are better tuned on
 * a tenth of all (docs/EVALUATION.md). */
static cllm__held_out held_out_for(cllm__baseline_kind kind, cllm__held_out measured) {
    return measured == CLLM__HELD_LAST && kind != CLLM__BASE_MARKOV ? CLLM__HELD_ANY : measured;
}

cllm_status cllm__baseline_tune(cllm__baseline_values *values, const bool wanted[CLLM__BASE_KINDS],
                                const cllm__interactions *train, const cllm__tfidf *features,
                                const cllm__baselines_options *options, cllm_error *err) {
    cllm__inner_split splits[CLLM__HELD_LATEST + 1] = {{.train = {0}}};
    tuning t = {.options = options, .features = features, .values = values};
    t.quiet = (cllm_host){.progress = pass_on, .cancelled = cancelled, .user = &t};
    cllm_status status = CLLM_OK;
    bool told = false;
    for (int k = 0; k < CLLM__BASE_KINDS; k++) {
        if (!wanted[k]) continue;
        cllm__held_out held_out = held_out_for((cllm__baseline_kind)k, options->held_out);
        cllm__inner_split *inner = &splits[held_out];
        if (inner->train.start == NULL) CLLM_TRY_CLEAN(cllm__inner_split_create(inner, train, held_out, err));
        t.inner = inner;
        bool enough = inner->held.count >= MIN_TARGETS;
        if (enough) CLLM_TRY_CLEAN(tune_one(&t, (cllm__baseline_kind)k, err));
        else if (!told) cllm__log(options->host, CLLM_LOG_INFO, "too few training rows to tune baselines on: defaults are used");
        told = told || !enough;
        values->known[k] = true;
    }
cleanup:
    for (int h = 0; h <= CLLM__HELD_LATEST; h++) cllm__inner_split_free(&splits[h]);
    return status;
}
