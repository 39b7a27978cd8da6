/* The set of baselines that evaluation asks for: the list, what of it fits, and one model after the other. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/host.h"
#include "eval/baseline_set.h"

static bool wanted(const cllm__baseline_choice *w, cllm__baseline_kind kind) {
    for (size_t i = 0; i < w->count; i++) {
        if (w->kinds[i] == kind) return true;
    }
    return false;
}

static void leave_out(cllm__baseline_choice *w, cllm__baseline_kind kind) {
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (w->kinds[i] != kind) w->kinds[kept++] = w->kinds[i];
    }
    w->count = kept;
}

static bool needs_texts(cllm__baseline_kind kind) {
    return kind == CLLM__BASE_TEXTKNN || kind == CLLM__BASE_EASE_TEXT;
}

cllm_status cllm__baseline_choose(cllm__baseline_choice *w, const char *list, cllm_error *err) {
    *w = (cllm__baseline_choice){.by_name = list != NULL && strcmp(list, "all") != 0};
    if (!w->by_name) {
        for (int k = CLLM__BASE_POPULARITY; k < CLLM__BASE_KINDS; k++) w->kinds[w->count++] = (cllm__baseline_kind)k;
        return CLLM_OK;
    }
    if (strcmp(list, "none") == 0) return CLLM_OK;
    for (const char *c = list;; c++) {
        size_t length = strcspn(c, ",");
        cllm__baseline_kind found = cllm__baseline_find(c, length);
        if (found == CLLM__BASE_KINDS) {
            return cllm__fail(err, CLLM_ERR_USAGE,
                              "'%.*s' is no baseline: give all, none, or some of "
                              "random,popularity,recent,markov,itemknn,textknn,ease,ease_text,userknn,als,bpr",
                              (int)(length < 100 ? length : 100), c);
        }
        if (wanted(w, found))
            return cllm__fail(err, CLLM_ERR_USAGE, "the baseline %s is asked for twice", cllm__baseline_name(found));
        w->kinds[w->count++] = found;
        c += length;
        if (*c == '\0') return CLLM_OK;
    }
}

/* Says how much memory EASE takes, and leaves out what does not fit: first the one without texts, then the other. A model
 * that is there already has its matrix of weights, while the next one is made. */
static cllm_status fit_memory(cllm__baseline_choice *w, size_t n_items, const cllm__baselines_options *options, cllm_error *err) {
    uint64_t limit = options->memory_limit > 0 ? options->memory_limit : cllm__ease_memory_limit();
    for (;;) {
        size_t models = (size_t)wanted(w, CLLM__BASE_EASE) + (size_t)wanted(w, CLLM__BASE_EASE_TEXT);
        if (models == 0) return CLLM_OK;
        uint64_t need = cllm__ease_memory(n_items);
        if (models == 2 && need < UINT64_MAX) need += (uint64_t)n_items * n_items * sizeof(float);
        const char *names = models == 2 ? "ease and ease_text" : wanted(w, CLLM__BASE_EASE) ? "ease" : "ease_text";
        if (need <= limit) {
            cllm__log(options->host, CLLM_LOG_INFO, "%s: %zu items: %.2g GB of memory, of %.2g GB allowed", names, n_items,
                      (double)need / 1e9, (double)limit / 1e9);
            return CLLM_OK;
        }
        if (w->by_name) {
            return cllm__fail(
                err, CLLM_ERR_UNSUPPORTED,
                "%s on %zu items needs %.2f GB of memory, and %.2f GB are allowed: leave it out of the baselines%s, "
                "or use a machine with more memory",
                names, n_items, (double)need / 1e9, (double)limit / 1e9, models == 2 ? ", take one of the two" : "");
        }
        cllm__baseline_kind out = wanted(w, CLLM__BASE_EASE) ? CLLM__BASE_EASE : CLLM__BASE_EASE_TEXT;
        cllm__log(options->host, CLLM_LOG_WARN,
                  "%s is left out: %s on %zu items needs %.2f GB of memory, and %.2f GB are allowed",
                  cllm__baseline_name(out), names, n_items, (double)need / 1e9, (double)limit / 1e9);
        leave_out(w, out);
    }
}

/* Without texts there are no models on texts. */
static cllm_status read_texts(cllm__tfidf *features, cllm__baseline_choice *w, size_t n_items, const cllm__baselines_options *options,
                              cllm_error *err) {
    bool needed = false;
    for (size_t i = 0; i < w->count; i++) needed |= needs_texts(w->kinds[i]);
    if (!needed) return CLLM_OK;
    if (options->texts != NULL) CLLM_TRY(cllm__tfidf_create(features, n_items, options->texts, options->host, err));
    if (features->n_words > 0) return CLLM_OK;
    if (w->by_name) {
        return cllm__fail(err, CLLM_ERR_USAGE,
                          "textknn and ease_text need texts of items, and the data set has none: leave them out");
    }
    leave_out(w, CLLM__BASE_TEXTKNN);
    leave_out(w, CLLM__BASE_EASE_TEXT);
    return CLLM_OK;
}

/* What is asked for of late means something where what is measured comes later, and what follows what where it comes behind a user's history. */
static cllm_status fit_times(cllm__baseline_choice *w, const cllm__interactions *train, const cllm__baselines_options *options, cllm_error *err) {
    if (wanted(w, CLLM__BASE_RECENT) && train->times == NULL && w->by_name)
        return cllm__fail(err, CLLM_ERR_USAGE, "recent needs the rows' times, and the data set has none: leave it out");
    if (!w->by_name && options->held_out != CLLM__HELD_LATEST) leave_out(w, CLLM__BASE_RECENT);
    if (!w->by_name && options->held_out == CLLM__HELD_ANY) leave_out(w, CLLM__BASE_MARKOV);
    return CLLM_OK;
}

static cllm__als_options als_options(const double *v, uint64_t seed) {
    return (cllm__als_options){.factors = (size_t)v[CLLM__ALS_FACTORS],
                               .regularization = v[CLLM__ALS_REGULARIZATION],
                               .alpha = v[CLLM__ALS_ALPHA],
                               .iterations = (size_t)v[CLLM__ALS_ITERATIONS],
                               .seed = seed};
}

cllm__bpr_options cllm__baseline_bpr_options(const cllm__baseline_values *values, uint64_t seed) {
    const double *v = values->value;
    return (cllm__bpr_options){.factors = (size_t)v[CLLM__BPR_FACTORS],
                               .learning_rate = v[CLLM__BPR_LEARNING_RATE],
                               .regularization = v[CLLM__BPR_REGULARIZATION],
                               .epochs = (size_t)v[CLLM__BPR_EPOCHS],
                               .popular_negatives = v[CLLM__BPR_POPULAR] != 0,
                               .seed = seed};
}

cllm_status cllm__baseline_create(cllm__baseline *out, cllm__baseline_kind kind, const cllm__baseline_values *values,
                                  const cllm__interactions *train, const cllm__tfidf *features, uint64_t seed,
                                  const cllm__baselines_options *options, const cllm_host *host, cllm_error *err) {
    const double *v = values->value;
    cllm__pool *pool = options->pool;
    switch (kind) {
    case CLLM__BASE_RANDOM: return cllm__random_create(out, train->n_items, seed, err);
    case CLLM__BASE_POPULARITY: return cllm__popularity_create(out, train, err);
    case CLLM__BASE_RECENT: return cllm__recent_create(out, train, v[CLLM__RECENT_HALF_LIFE], err);
    case CLLM__BASE_MARKOV: return cllm__markov_create(out, train, v[CLLM__MARKOV_DECAY], v[CLLM__MARKOV_SMOOTHING], pool, err);
    case CLLM__BASE_ITEMKNN: {
        cllm__itemknn_options o = {(size_t)v[CLLM__ITEMKNN_NEIGHBOURS], v[CLLM__ITEMKNN_SHRINKAGE]};
        return cllm__itemknn_create(out, train, o, pool, host, err);
    }
    case CLLM__BASE_TEXTKNN: return cllm__textknn_create(out, train, features, pool, err);
    case CLLM__BASE_EASE:
        return cllm__ease_create(out, train, v[CLLM__EASE_LAMBDA], options->memory_limit, pool, host, err);
    case CLLM__BASE_EASE_TEXT:
        return cllm__ease_text_create(out, train, features, v[CLLM__TEXT_WEIGHT], v[CLLM__TEXT_LAMBDA],
                                      options->memory_limit, pool, host, err);
    case CLLM__BASE_USERKNN: return cllm__userknn_create(out, train, (size_t)v[CLLM__USERKNN_NEIGHBOURS], pool, err);
    case CLLM__BASE_ALS: {
        cllm__als_options o = als_options(v, seed);
        return cllm__als_create(out, train, &o, pool, host, err);
    }
    case CLLM__BASE_BPR:
    case CLLM__BASE_KINDS: break;
    }
    cllm__bpr_options o = cllm__baseline_bpr_options(values, seed);
    return cllm__bpr_create(out, train, &o, pool, host, err);
}

/* What is wanted and neither set nor known from the cache is tuned, and kept. */
static cllm_status find_values(cllm__baseline_values *values, const cllm__baseline_choice *w, const cllm__baseline_values *settings,
                               const cllm__interactions *train, const cllm__tfidf *features,
                               const cllm__baselines_options *options, cllm_error *err) {
    bool to_tune[CLLM__BASE_KINDS] = {false}, parameters = false, tuning = false;
    for (size_t i = 0; i < w->count; i++) {
        to_tune[w->kinds[i]] = cllm__baseline_is_tuned(w->kinds[i]) && !settings->known[w->kinds[i]];
        parameters |= to_tune[w->kinds[i]];
    }
    if (parameters) cllm__baseline_read_cache(values, options);
    for (int k = 0; k < CLLM__BASE_KINDS; k++) {
        if (values->known[k]) to_tune[k] = false;
        tuning |= to_tune[k];
    }
    if (tuning) {
        bool news = false;
        cllm_status status = cllm__baseline_tune(values, to_tune, train, features, options, err);
        for (int k = 0; k < CLLM__BASE_KINDS; k++) news |= to_tune[k] && values->known[k];
        if (options->cache != NULL && news) cllm__baseline_write_cache(values, options); /* interrupted, too: what is tuned stays so */
        CLLM_TRY(status);
    }
    cllm__baseline_overlay(values, settings);
    return CLLM_OK;
}

static cllm_status create_all(cllm__baselines *out, cllm__baseline_choice *w, const cllm__baseline_values *settings,
                              const cllm__interactions *train, const cllm__baselines_options *options, cllm_error *err) {
    cllm__baseline_values values;
    cllm__baseline_defaults(&values);
    CLLM_TRY(read_texts(&out->features, w, train->n_items, options, err));
    CLLM_TRY(fit_times(w, train, options, err));
    CLLM_TRY(fit_memory(w, train->n_items, options, err));
    CLLM_TRY(find_values(&values, w, settings, train, &out->features, options, err));
    CLLM_TRY(CLLM_NEW(out->models, w->count, err));
    for (; out->count < w->count; out->count++) {
        cllm__baseline *model = &out->models[out->count];
        cllm__baseline_kind kind = w->kinds[out->count];
        CLLM_TRY(cllm__baseline_create(model, kind, &values, options->fitted != NULL ? options->fitted : train, &out->features, options->seed, options, options->host, err));
        model->tuning_seconds = values.seconds[kind];
    }
    return CLLM_OK;
}

cllm_status cllm__baselines_create(cllm__baselines *out, const cllm__interactions *train,
                                   const cllm__baselines_options *options, cllm_error *err) {
    cllm__baseline_choice w;
    cllm__baseline_values settings;
    CLLM_TRY(cllm__baseline_choose(&w, options->list, err));
    cllm__baseline_defaults(&settings);
    CLLM_TRY(cllm__baseline_settings(&settings, options->settings, options->n_settings, err));
    cllm__baselines made = {0};
    cllm_status status = create_all(&made, &w, &settings, train, options, err);
    if (status != CLLM_OK) {
        cllm__baselines_free(&made);
        return status;
    }
    *out = made;
    return CLLM_OK;
}

cllm_status cllm__baselines_fold_in(cllm__fold_in *out, const cllm__interactions *train,
                                    const cllm__baselines_options *options, cllm_error *err) {
    const cllm__baseline_choice w = {.kinds = {CLLM__BASE_ALS}, .count = 1};
    cllm__baseline_values values, settings;
    cllm__baseline_defaults(&values);
    cllm__baseline_defaults(&settings);
    CLLM_TRY(cllm__baseline_settings(&settings, options->settings, options->n_settings, err));
    CLLM_TRY(find_values(&values, &w, &settings, train, NULL, options, err));
    cllm__als_options o = als_options(values.value, options->seed);
    return cllm__als_fold_in(out, train, &o, options->pool, options->host, err);
}

cllm_status cllm__baselines_markov(double *decay, double *smoothing, const cllm__interactions *train,
                                   const cllm__baselines_options *options, cllm_error *err) {
    const cllm__baseline_choice w = {.kinds = {CLLM__BASE_MARKOV}, .count = 1};
    cllm__baseline_values values, settings;
    cllm__baseline_defaults(&values);
    cllm__baseline_defaults(&settings);
    CLLM_TRY(find_values(&values, &w, &settings, train, NULL, options, err));
    *decay = values.value[CLLM__MARKOV_DECAY];
    *smoothing = values.value[CLLM__MARKOV_SMOOTHING];
    return CLLM_OK;
}

void cllm__baselines_free(cllm__baselines *baselines) {
    for (size_t i = 0; i < baselines->count; i++) cllm__baseline_free(&baselines->models[i]);
    cllm__free(baselines->models);
    cllm__tfidf_free(&baselines->features);
    *baselines = (cllm__baselines){0};
}
