/*
 * Full ranking: every item is a candidate for every user, except those that the user has had in training.
 *
 * Users stream through any number of scorers in chunks, so memory is O(chunk × items) besides a few floats a user. All
 * scorers see the same users. Results do not depend on the number of threads or on the size of a chunk.
 */
#ifndef CLLM_EVAL_EVALUATE_H
#define CLLM_EVAL_EVALUATE_H

#include "base/threads.h"
#include "data/dataset.h"
#include "eval/metrics.h"
#include "eval/scorer.h"

/* Users by how many training interactions they have. */
enum { CLLM__BUCKETS = 6 };
/* "0", "1-2", "3-5", "6-10", "11-20", "21+" */
const char *cllm__bucket_name(size_t bucket);
size_t cllm__bucket_of(size_t history);

/* Held-out items by how many training rows they have. */
enum { CLLM__ITEM_BUCKETS = 7 };
/* "0", "1-3", "4-10", "11-30", "31-100", "101-300", "301+" */
const char *cllm__item_bucket_name(size_t bucket);
size_t cllm__item_bucket_of(size_t rows);

/* One user's ranking, as the visitor sees it; everything is borrowed until it returns. */
typedef struct cllm__eval_user {
    size_t scorer; /* index */
    const char *name;
    int32_t user;
    size_t n_targets; /* distinct */
    size_t n_ranked;
    const int32_t *items;      /* [n_ranked], best first */
    const float *scores;       /* [n_ranked] */
    const unsigned char *hits; /* [n_ranked] */
    const cllm__cutoffs *cutoffs;
    const double *values; /* as cllm__metrics_user() gives them */
} cllm__eval_user;
/* Called from the calling thread, user by user in the order of evaluation, and for each user scorer by scorer. */
typedef cllm_status cllm__eval_visitor(void *context, const cllm__eval_user *user, cllm_error *err);

typedef struct cllm__eval_options {
    cllm__split split; /* CLLM__VALID or CLLM__TEST: whose rows are the targets */
    bool mask_valid;   /* at test, validation items are no candidates either (a stricter variant) */
    const size_t *ks;  /* cut-offs, NULL: 5, 10, 20, 40, 100 */
    size_t n_ks;
    uint64_t seed;        /* of ties */
    const int32_t *users; /* these only, NULL: all */
    size_t n_users;
    size_t chunk;              /* users at once; 0: by the scorers' batch and the memory that it takes */
    cllm__pool *pool;          /* may be NULL */
    const cllm_host *host;     /* may be NULL */
    cllm__eval_visitor *visit; /* may be NULL */
    void *visit_context;
} cllm__eval_options;

/* One scorer's result. */
typedef struct cllm__eval_model {
    char *name;
    double *mean;   /* [values] means over users, in the order of cllm__metrics_user() */
    float *kept;    /* [n_users × n_kept] per user, for intervals and paired tests */
    double *bucket; /* [CLLM__BUCKETS × values] means over the bucket's users, 0 where there is none */
    double item_recall[CLLM__ITEM_BUCKETS][CLLM__MAX_KS]; /* the share of the bucket's targets that stand in the first k */
    /* What the first k of all lists hold, by cut-off: */
    double coverage[CLLM__MAX_KS];   /* the share of all items that was recommended to somebody */
    double popularity[CLLM__MAX_KS]; /* mean over recommended items of their share of the users with a training row */
    double novelty[CLLM__MAX_KS]; /* mean of −log2 of that share; an item without a training row counts as if it had one */
    double gini[CLLM__MAX_KS];    /* 0: all items equally often; near 1: always the same few */
} cllm__eval_model;

typedef struct cllm__evaluation {
    cllm__split split;
    bool mask_valid;
    uint64_t seed;
    cllm__cutoffs cutoffs;
    size_t values;          /* = cllm__cutoffs_values(&cutoffs) */
    size_t n_users;         /* with at least one target: those that count */
    size_t without_targets; /* asked for, but without a target: left out */
    int32_t *users;         /* [n_users] */
    size_t bucket_users[CLLM__BUCKETS];
    size_t bucket_targets[CLLM__ITEM_BUCKETS]; /* distinct pairs of user and held-out item */
    size_t bucket_items[CLLM__ITEM_BUCKETS];   /* all items, held out or not */
    size_t n_kept, *kept; /* which values are kept per user: recall, recall_capped and ndcg at every cut-off */
    size_t n_models;
    cllm__eval_model *models;
} cllm__evaluation;

/* The rows that evaluation needs. `valid` or `test` may be NULL if neither split nor mask asks for it. */
typedef struct cllm__eval_data {
    const cllm__interactions *train, *valid, *test;
} cllm__eval_data;

/* Each scorer's score() is called from this thread, never from a task of the pool, with at most its own `batch` users at
 * once; it may use the pool itself. A score that is NaN or +inf is an error which names scorer, user and item. Without any
 * user that has targets the result has n_users = 0 and all means 0. Free with cllm__evaluation_free() after success. */
CLLM_CHECK cllm_status cllm__evaluate(cllm__evaluation **out, const cllm__eval_data *data, const cllm__scorer *scorers,
                                      size_t n_scorers, const cllm__eval_options *options, cllm_error *err);
void cllm__evaluation_free(cllm__evaluation *evaluation);

/* The mean of metric@k for a model. CLLM_ERR_USAGE if k is not among the cut-offs. */
CLLM_CHECK cllm_status cllm__evaluation_mean(const cllm__evaluation *evaluation, size_t model, cllm__metric metric,
                                             size_t k, double *mean, cllm_error *err);
/* The sum that a monitor asks for. */
CLLM_CHECK cllm_status cllm__evaluation_monitor(const cllm__evaluation *evaluation, size_t model,
                                                const cllm__monitor *monitor, double *value, cllm_error *err);

#endif
