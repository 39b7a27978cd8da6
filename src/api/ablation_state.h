/* What the parts of the frame of ablations share: the study under way. Studies see api/ablation.h alone. */
#ifndef CLLM_API_ABLATION_STATE_H
#define CLLM_API_ABLATION_STATE_H

#include "api/ablation.h"

enum { CLLM__MAX_ARMS = 512, CLLM__MAX_DATA_SETS = 16, CLLM__CONCLUSION = 4096 };

typedef struct cllm__ablation_data {
    const char *name; /* in `state`, or its last part */
    char *path, *backbone;
} cllm__ablation_data;

struct cllm__ablation {
    cllm_ablate_options options; /* as they stand in `state`, but for output, threads and host */
    const char **settings;       /* options.settings */
    const cllm__study *study;
    cllm__scale scale;
    cllm__split split;
    struct json_object *state; /* ablation.json */
    cllm__ablation_data data[CLLM__MAX_DATA_SETS];
    size_t n_data;
    cllm__arm *arms; /* [CLLM__MAX_ARMS] */
    size_t n_arms;
    cllm__pool *pool;
    cllm__part part; /* the arm under way */
    char conclusion[CLLM__CONCLUSION];
};

/* What an arm found with a seed (from 1); NULL: nothing yet. */
struct json_object *cllm__ablation_result(const cllm__ablation *a, size_t arm, size_t seed);
/* An arm's ranked users with their mean NDCG@100 over the seeds. */
typedef struct cllm__user_values {
    size_t count;
    int32_t *user, *history; /* [count] row, and number of training rows */
    float *ndcg;             /* [count] */
} cllm__user_values;
/* count = 0 if the arm did not rank. `values` is {0} before and freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__user_values_read(const cllm__ablation *a, size_t arm, cllm__user_values *values, cllm_error *err);
void cllm__user_values_free(cllm__user_values *values);

/* ---- ablation_data.c: what arms are trained on ---- */
/* Makes the demo shops and the backbones that are missing, and fills a->data. */
CLLM_CHECK cllm_status cllm__ablation_open_data(cllm__ablation *a, cllm_error *err);

/* ---- ablation_baselines.c: the simple models beside the arms ---- */
/* Adds them behind the study's arms; nothing if it has its own. */
void cllm__ablation_add_baselines(cllm__ablation *a);
/* Ranks for an arm that is a baseline. EASE that needs more memory than there is ranks nobody, with a warning. */
CLLM_CHECK cllm_status cllm__ablation_measure_baseline(cllm__measuring *m, cllm_error *err);
/* Appends to the conclusion what they score, and how the best of them compares with the method. */
CLLM_CHECK cllm_status cllm__ablation_say_baselines(cllm__ablation *a, cllm_error *err);

/* ---- ablation_table.c ---- */
/* Adds "table" to the state: {"caption", "columns": [{"name", "label"}], "rows": [[text, …], …]}. */
CLLM_CHECK cllm_status cllm__ablation_tabulate(cllm__ablation *a, cllm_error *err);
/* table.tsv */
CLLM_CHECK cllm_status cllm__ablation_write_table(const cllm__ablation *a, cllm_error *err);

/* ---- ablation_page.c ---- */
/* index.html */
CLLM_CHECK cllm_status cllm__ablation_write_page(const cllm__ablation *a, cllm_error *err);

#endif
