/* Within the set of baselines (baselines.c): names and parameters as one table, the cache of tuned ones, and the tuning. */
#ifndef CLLM_EVAL_BASELINE_SET_H
#define CLLM_EVAL_BASELINE_SET_H

#include "eval/baseline.h"

typedef enum cllm__baseline_kind {
    CLLM__BASE_RANDOM = 0,
    CLLM__BASE_POPULARITY,
    CLLM__BASE_RECENT,
    CLLM__BASE_MARKOV,
    CLLM__BASE_ITEMKNN,
    CLLM__BASE_TEXTKNN,
    CLLM__BASE_EASE,
    CLLM__BASE_EASE_TEXT,
    CLLM__BASE_USERKNN,
    CLLM__BASE_ALS,
    CLLM__BASE_BPR,
    CLLM__BASE_KINDS
} cllm__baseline_kind;

typedef enum cllm__baseline_parameter {
    CLLM__RECENT_HALF_LIFE = 0,
    CLLM__MARKOV_DECAY,
    CLLM__MARKOV_SMOOTHING,
    CLLM__ITEMKNN_NEIGHBOURS,
    CLLM__ITEMKNN_SHRINKAGE,
    CLLM__EASE_LAMBDA,
    CLLM__TEXT_LAMBDA,
    CLLM__TEXT_WEIGHT,
    CLLM__USERKNN_NEIGHBOURS,
    CLLM__ALS_FACTORS,
    CLLM__ALS_REGULARIZATION,
    CLLM__ALS_ALPHA,
    CLLM__ALS_ITERATIONS,
    CLLM__BPR_FACTORS,
    CLLM__BPR_LEARNING_RATE,
    CLLM__BPR_REGULARIZATION,
    CLLM__BPR_EPOCHS,
    CLLM__BPR_POPULAR,
    CLLM__BASE_PARAMETERS
} cllm__baseline_parameter;

/* The value of every parameter, and of which models they are more than defaults. */
typedef struct cllm__baseline_values {
    double value[CLLM__BASE_PARAMETERS];
    bool known[CLLM__BASE_KINDS];
    double seconds[CLLM__BASE_KINDS]; /* that tuning took; 0: it was not tuned, or an older cache does not tell */
} cllm__baseline_values;

/* "itemknn" */
const char *cllm__baseline_name(cllm__baseline_kind kind);
/* CLLM__BASE_KINDS if there is none of this name. */
cllm__baseline_kind cllm__baseline_find(const char *name, size_t length);
/* Whether it has parameters at all. */
bool cllm__baseline_is_tuned(cllm__baseline_kind kind);

/* Models that are asked for, each once, in the order of the list. */
typedef struct cllm__baseline_choice {
    cllm__baseline_kind kinds[CLLM__BASE_KINDS];
    size_t count;
    bool by_name; /* else what cannot be made is left out */
} cllm__baseline_choice;

/* NULL or "all": every one but random; "none"; or names with commas between them. CLLM_ERR_USAGE for anything else. */
CLLM_CHECK cllm_status cllm__baseline_choose(cllm__baseline_choice *choice, const char *list, cllm_error *err);

void cllm__baseline_defaults(cllm__baseline_values *values);
/* "als.factors=64" and so on; a model that is named becomes known. CLLM_ERR_USAGE for anything else. */
CLLM_CHECK cllm_status cllm__baseline_settings(cllm__baseline_values *values, const char *const *settings, size_t count,
                                               cllm_error *err);

/* Of the models in `from` that are known, takes the values. */
void cllm__baseline_overlay(cllm__baseline_values *values, const cllm__baseline_values *from);

/* Takes over what a cache of the same data holds; writes what is known. Trouble is a warning. */
void cllm__baseline_read_cache(cllm__baseline_values *values, const cllm__baselines_options *options);
void cllm__baseline_write_cache(const cllm__baseline_values *values, const cllm__baselines_options *options);

/* One model with the given values. */
CLLM_CHECK cllm_status cllm__baseline_create(cllm__baseline *out, cllm__baseline_kind kind,
                                             const cllm__baseline_values *values, const cllm__interactions *train,
                                             const cllm__tfidf *features, uint64_t seed,
                                             const cllm__baselines_options *options, const cllm_host *host,
                                             cllm_error *err);
/* bpr's part of it. */
cllm__bpr_options cllm__baseline_bpr_options(const cllm__baseline_values *values, uint64_t seed);
/* Finds the values of those that are `wanted` and become known by it; baseline.h has the grids. */
CLLM_CHECK cllm_status cllm__baseline_tune(cllm__baseline_values *values, const bool wanted[CLLM__BASE_KINDS],
                                           const cllm__interactions *train, const cllm__tfidf *features,
                                           const cllm__baselines_options *options, cllm_error *err);

#endif
