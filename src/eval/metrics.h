/*
 * Ranking metrics of one user, at any number of cut-offs in one pass over one ranked list.
 *
 * T is the set of the user's held-out items (at least one), r_1, r_2, … the ranked list, hit(r) says whether it is in T:
 *
 *     recall@k         hits in the first k / |T|                    (RecBole, ranx, trec_eval)
 *     recall_capped@k  hits in the first k / min(k, |T|)            (the paper's code and the Mult-VAE line of work)
 *     ndcg@k           Σ_{r ≤ k} hit(r)/log2(r + 1), divided by the same sum of a perfect list of min(k, |T|) hits
 *     hit@k            1 if there is a hit in the first k
 *     mrr@k            1 / rank of the first hit, 0 if it lies beyond k
 *     map@k            Σ_{r ≤ k} hit(r)·(hits up to r)/r, divided by min(k, |T|)
 *     precision@k      hits in the first k / k
 */
#ifndef CLLM_EVAL_METRICS_H
#define CLLM_EVAL_METRICS_H

#include "base/status.h"

/* The order is the order of values and of reports. */
typedef enum cllm__metric {
    CLLM__RECALL = 0,
    CLLM__RECALL_CAPPED,
    CLLM__NDCG,
    CLLM__HIT,
    CLLM__MRR,
    CLLM__MAP,
    CLLM__PRECISION
} cllm__metric;
enum { CLLM__METRICS = 7, CLLM__MAX_KS = 16, CLLM__METRIC_NAME = 48 };

/* "ndcg" */
const char *cllm__metric_name(cllm__metric metric);
/* "hits in the first k / |T|" */
const char *cllm__metric_definition(cllm__metric metric);
/* "ndcg@100" */
void cllm__metric_label(cllm__metric metric, size_t k, char text[CLLM__METRIC_NAME]);
/* Reads "ndcg@100"; CLLM_ERR_USAGE names what is allowed. */
CLLM_CHECK cllm_status cllm__metric_parse(const char *text, cllm__metric *metric, size_t *k, cllm_error *err);

/* The cut-offs, with tables for them. Immutable, shared by threads. */
typedef struct cllm__cutoffs {
    size_t count;            /* of cut-offs */
    size_t ks[CLLM__MAX_KS]; /* ascending, distinct */
    size_t depth;            /* length of the ranked list that is needed: min(largest k, n_items) */
    double *discount;        /* [depth] 1/log2(r + 1) at rank r = 1 … depth */
    double *ideal;           /* [depth + 1] sums of the first 0, 1, … discounts */
} cllm__cutoffs;

/* `ks` in any order, each ≥ 1; NULL: 5, 10, 20, 40, 100. A k above n_items counts all items. CLLM_ERR_USAGE for a k of 0 or
 * for more than CLLM__MAX_KS of them. */
CLLM_CHECK cllm_status cllm__cutoffs_create(cllm__cutoffs *cutoffs, const size_t *ks, size_t n_ks, size_t n_items,
                                            cllm_error *err);
void cllm__cutoffs_free(cllm__cutoffs *cutoffs);
/* Values of a user: CLLM__METRICS × cutoffs->count, metric by metric. */
static inline size_t cllm__cutoffs_values(const cllm__cutoffs *cutoffs) {
    return CLLM__METRICS * cutoffs->count;
}
/* Where metric@k stands among them, or SIZE_MAX if k is not a cut-off. */
size_t cllm__cutoffs_index(const cllm__cutoffs *cutoffs, cllm__metric metric, size_t k);

/* All metrics of one user. hits[r] (r < n_ranked ≤ depth) says whether the item at rank r + 1 is a target; a list shorter
 * than k has no hit beyond its end. n_targets ≥ 1. `values` has room for cllm__cutoffs_values(). */
void cllm__metrics_user(const cllm__cutoffs *cutoffs, const unsigned char *hits, size_t n_ranked, size_t n_targets,
                        double *values);

/* A sum of metrics, as early stopping watches it: "recall_capped@20+recall_capped@40+ndcg@100". */
enum { CLLM__MONITOR_MAX = 8 };
typedef struct cllm__monitor {
    size_t count;
    cllm__metric metric[CLLM__MONITOR_MAX];
    size_t k[CLLM__MONITOR_MAX];
} cllm__monitor;
CLLM_CHECK cllm_status cllm__monitor_parse(const char *text, cllm__monitor *monitor, cllm_error *err);

#endif
