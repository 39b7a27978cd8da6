/*
 * The simple models that every evaluation prints beside the trained one, each a scorer.
 *
 *     random      a seeded random number per user and item
 *     popularity  the item's number of training interactions
 *     itemknn     Σ s_ij over those of the user's items i that are among j's nearest neighbours;
 *                 s_ij = c_ij / (sqrt(n_i·n_j) + shrinkage), where c_ij users had both and n_i users had i
 *                 (Deshpande & Karypis 2004)
 *     ease        Σ B_ij over the user's items i; B = I − P·diag(1/diag P), P = (XᵀX + λI)⁻¹, so that B's diagonal is 0
 *                 (Steck 2019)
 *     textknn     Σ over the user's items of the cosine between their tf-idf vectors and j's (tfidf.h)
 *     ease_text   ease with P = (XᵀX + w·TTᵀ + λI)⁻¹, T the items' tf-idf vectors: collective EASE, each word a user
 *
 * A user's items are the user's training rows. A scorer borrows the training rows, which must outlive it; it is immutable,
 * and its score() may be called from one thread at a time with a pool.
 */
#ifndef CLLM_EVAL_BASELINE_H
#define CLLM_EVAL_BASELINE_H

#include "base/threads.h"
#include "data/dataset.h"
#include "eval/scorer.h"
#include "eval/tfidf.h"

typedef struct cllm__baseline {
    cllm__scorer scorer;
    char parameters[64]; /* "lambda=200", "neighbours=100,shrinkage=10", "" */
    void (*free)(void *context);
} cllm__baseline;
/* Frees what the scorer holds; NULL and a zeroed baseline are fine. */
void cllm__baseline_free(cllm__baseline *baseline);

CLLM_CHECK cllm_status cllm__random_create(cllm__baseline *out, size_t n_items, uint64_t seed, cllm_error *err);
CLLM_CHECK cllm_status cllm__popularity_create(cllm__baseline *out, const cllm__interactions *train, cllm_error *err);

typedef struct cllm__itemknn_options {
    size_t neighbours; /* of each item; 0: all */
    double shrinkage;  /* ≥ 0 */
} cllm__itemknn_options;
/* Memory: 8 bytes a neighbour of an item. */
CLLM_CHECK cllm_status cllm__itemknn_create(cllm__baseline *out, const cllm__interactions *train,
                                            cllm__itemknn_options options, cllm__pool *pool, const cllm_host *host,
                                            cllm_error *err);

/* Bytes that EASE on n_items takes at its peak. */
uint64_t cllm__ease_memory(size_t n_items);
/* What it may take unless told otherwise: half of the memory that this process can have (machine, cgroup). */
uint64_t cllm__ease_memory_limit(void);
/* `lambda` > 0. CLLM_ERR_UNSUPPORTED if it would take more than `limit` bytes (0: cllm__ease_memory_limit()); the message
 * says how much it needs. */
CLLM_CHECK cllm_status cllm__ease_create(cllm__baseline *out, const cllm__interactions *train, double lambda,
                                         uint64_t limit, cllm__pool *pool, const cllm_host *host, cllm_error *err);

/* Both borrow the arrays of the features: textknn as long as it lives, ease_text while it is made. `weight` is w ≥ 0. */
CLLM_CHECK cllm_status cllm__textknn_create(cllm__baseline *out, const cllm__interactions *train,
                                            const cllm__tfidf *features, cllm__pool *pool, cllm_error *err);
CLLM_CHECK cllm_status cllm__ease_text_create(cllm__baseline *out, const cllm__interactions *train,
                                              const cllm__tfidf *features, double weight, double lambda, uint64_t limit,
                                              cllm__pool *pool, const cllm_host *host, cllm_error *err);

/* ---- A tuned set of them ---- */

typedef struct cllm__baselines_options {
    /* "popularity,itemknn,ease" (the default if NULL), also "random", "textknn" and "ease_text"; "none" gives none. */
    const char *list;
    const char *cache;     /* file that keeps the tuned parameters; NULL: none. Its folder is made if it is missing */
    uint64_t data_hash;    /* cllm__dataset_hash(): a cache of other data is ignored */
    uint64_t seed;         /* of random; the inner split is always the same, so that it is tuned once for each data set */
    uint64_t memory_limit; /* of EASE; 0: cllm__ease_memory_limit() */
    const cllm__item_texts *texts; /* for textknn and ease_text; NULL: none */
    cllm__pool *pool;
    const cllm_host *host;
} cllm__baselines_options;

typedef struct cllm__baselines {
    size_t count;
    cllm__baseline *models; /* [count], in the order of the list */
    cllm__tfidf features;   /* what the models on texts borrow */
} cllm__baselines;

/* Makes the baselines, with parameters chosen on an inner split of the training rows: 10 % of each user's rows (rounded up
 * or down at random, so that it is 10 % in the mean; never a user's last row) are held out, and recall_capped@20 +
 * recall_capped@40 + ndcg@100 on them decides. The grids:
 *     itemknn   neighbours 20, 100, 500 × shrinkage 0, 10, 100, 1000
 *     ease      λ = 200·2ⁿ for n from −6 to 8, walked from 200 in the direction that gets better
 *     ease_text λ as for ease with w = 10, then w = 10·√10ⁿ for n from −3 to 3, walked in the same way
 * Equal figures: the earlier in the grid wins. With fewer than 20 rows held out the figures would be noise, and defaults
 * are taken (500 neighbours, shrinkage 10; λ = 200, w = 10).
 *
 * EASE that needs more memory than allowed is an error if the list names it; under the default list it is left out with a
 * warning. A cache that cannot be read or written costs a warning only. CLLM_ERR_USAGE for an unknown name,
 * and for a model on texts where there are none. */
CLLM_CHECK cllm_status cllm__baselines_create(cllm__baselines *out, const cllm__interactions *train,
                                              const cllm__baselines_options *options, cllm_error *err);
void cllm__baselines_free(cllm__baselines *baselines);

#endif
