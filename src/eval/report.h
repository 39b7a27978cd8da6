/*
 * An evaluation as one JSON object:
 *
 *     {"split": "test", "users": 7901, "users_without_targets": 0, "profile": "paper", "k": [5, 10, …],
 *      "headline": [{"label": "Recall@20", "metric": "recall_capped@20"}, …],
 *      "definitions": {"recall": "…", …},
 *      "models": {"cllm4rec": {"recall@20": …, "recall_capped@20": …, "ndcg@100": …, …,
 *                              "interval": {"ndcg@100": [low, high], …},
 *                              "coverage@20": …, "popularity@20": …, "novelty@20": …, "gini@20": …, "parameters": "…"},
 *                 "popularity": {…}, …},
 *      "buckets": [{"history": "1-2", "users": …, "models": {"cllm4rec": {"recall@20": …, …}, …}}, …],
 *      "item_buckets": [{"training_rows": "4-10", "items": …, "targets": …, "models": {"cllm4rec": {"found@20": …}, …}}, …],
 *      "paired": {"model": "cllm4rec", "best_baseline": "ease", "metric": "ndcg@100", "difference": …,
 *                 "interval": [low, high], "p": …, "p_permutation": …}}
 *
 * The keys of metrics never change their meaning. The profile says which of them stand in the headline and by which label:
 * "Recall@20" is recall_capped@20 to the paper and recall@20 to RecBole.
 */
#ifndef CLLM_EVAL_REPORT_H
#define CLLM_EVAL_REPORT_H

#include "eval/evaluate.h"

struct json_object;

typedef enum cllm__metrics_profile { CLLM__PROFILE_PAPER = 0, CLLM__PROFILE_RECBOLE } cllm__metrics_profile;
/* NULL is "paper"; CLLM_ERR_USAGE for an unknown name. */
CLLM_CHECK cllm_status cllm__profile_parse(const char *name, cllm__metrics_profile *profile, cllm_error *err);

typedef struct cllm__report_options {
    cllm__metrics_profile profile;
    size_t model;                  /* the index that is compared with the others; SIZE_MAX: no comparison */
    const char *const *parameters; /* by model, may be NULL, as may each */
    const char *paired_metric;     /* NULL: ndcg@100, or ndcg at the largest cut-off */
    size_t rounds;                 /* of the bootstrap; 0: CLLM__BOOTSTRAP_ROUNDS */
    uint64_t seed;
    cllm__pool *pool;
} cllm__report_options;

/* The object belongs to the caller (json_object_put), who may add to it. */
CLLM_CHECK cllm_status cllm__report(struct json_object **out, const cllm__evaluation *evaluation,
                                    const cllm__report_options *options, cllm_error *err);
/* The same as text; the caller frees with cllm_text_free. */
CLLM_CHECK cllm_status cllm__report_text(char **json, const cllm__evaluation *evaluation,
                                         const cllm__report_options *options, cllm_error *err);

#endif
