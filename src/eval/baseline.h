/*
 * The simple models that every evaluation prints beside the trained one, each a scorer.
 *
 *     random      a seeded random number per user and item
 *     popularity  the item's number of training interactions
 *     recent      the same, each the less the older it is (recency.h)
 *     markov      what follows the user's latest items, whose order counts (transitions.h)
 *     itemknn     Σ s_ij over those of the user's items i that are among j's nearest neighbours;
 *                 s_ij = c_ij / (sqrt(n_i·n_j) + shrinkage), where c_ij users had both and n_i users had i
 *                 (Deshpande & Karypis 2004)
 *     userknn     Σ c² over the user's nearest users, by a cosine of histories (user_neighbours.h)
 *     ease        Σ B_ij over the user's items i; B = I − P·diag(1/diag P), P = (XᵀX + λI)⁻¹, so that B's diagonal is 0
 *                 (Steck 2019)
 *     textknn     Σ over the user's items of the cosine between their tf-idf vectors and j's (tfidf.h)
 *     ease_text   ease with P = (XᵀX + w·TTᵀ + λI)⁻¹, T the items' tf-idf vectors: collective EASE, each word a user
 *     als         x_u·y_i, the minimum of Σ c_ui·(p_ui − x_u·y_i)² + λ·(Σ|x_u|² + Σ|y_i|²) over all pairs; p_ui is 1 and
 *                 c_ui is 1 + α where the user has the item, else 0 and 1 (Hu, Koren & Volinsky 2008)
 *     bpr         x_u·y_i + b_i, by stochastic ascent of Σ ln σ(s_ui − s_uj) − λ/2·(|x_u|² + |y_i|² + |y_j|² + b_i² +
 *                 b_j²) over drawn i that the user has and j that the user has not (Rendle et al. 2009)
 *
 * A user's items are the user's training rows. A scorer borrows the training rows, which must outlive it; it is immutable,
 * and its score() may be called from one thread at a time with a pool.
 */
#ifndef CLLM_EVAL_BASELINE_H
#define CLLM_EVAL_BASELINE_H

#include "base/threads.h"
#include "data/dataset.h"
#include "eval/fold_in.h"
#include "eval/held_out.h"
#include "eval/scorer.h"
#include "eval/tfidf.h"

typedef struct cllm__baseline {
    cllm__scorer scorer;
    char parameters[128]; /* "lambda=200", "neighbours=100,shrinkage=10", "" */
    double tuning_seconds; /* in a tuned set; 0: not tuned, or not known */
    void (*free)(void *context);
} cllm__baseline;
/* Frees what the scorer holds; NULL and a zeroed baseline are fine. */
void cllm__baseline_free(cllm__baseline *baseline);

CLLM_CHECK cllm_status cllm__random_create(cllm__baseline *out, size_t n_items, uint64_t seed, cllm_error *err);
CLLM_CHECK cllm_status cllm__popularity_create(cllm__baseline *out, const cllm__interactions *train, cllm_error *err);

/* `half_life` > 0 in days. */
CLLM_CHECK cllm_status cllm__recent_create(cllm__baseline *out, const cllm__interactions *train, double half_life, cllm_error *err);

/* See transitions.h. */
CLLM_CHECK cllm_status cllm__markov_create(cllm__baseline *out, const cllm__interactions *train, double decay, double smoothing, cllm__pool *pool,
                                           cllm_error *err);

typedef struct cllm__itemknn_options {
    size_t neighbours; /* of each item; 0: all */
    double shrinkage;  /* ≥ 0 */
} cllm__itemknn_options;
/* Memory: 8 bytes a neighbour of an item. */
CLLM_CHECK cllm_status cllm__itemknn_create(cllm__baseline *out, const cllm__interactions *train,
                                            cllm__itemknn_options options, cllm__pool *pool, const cllm_host *host,
                                            cllm_error *err);

/* `neighbours` ≥ 1 of each user. */
CLLM_CHECK cllm_status cllm__userknn_create(cllm__baseline *out, const cllm__interactions *train, size_t neighbours, cllm__pool *pool,
                                            cllm_error *err);

/* Bytes that EASE on n_items takes at its peak. */
uint64_t cllm__ease_memory(size_t n_items);
/* What it may take unless told otherwise: half of the memory that this process can have (machine, cgroup). */
uint64_t cllm__ease_memory_limit(void);
/* `lambda` > 0. CLLM_ERR_UNSUPPORTED if it would take more than `limit` bytes (0: cllm__ease_memory_limit()); the message
 * says how much it needs. */
CLLM_CHECK cllm_status cllm__ease_create(cllm__baseline *out, const cllm__interactions *train, double lambda,
                                         uint64_t limit, cllm__pool *pool, const cllm_host *host, cllm_error *err);

/* B [n_items × n_items] of a baseline made by cllm__ease_create() or cllm__ease_text_create(): row j are the weights of a history's
 * item j. Lives as long as the baseline. */
const float *cllm__ease_weights(const cllm__baseline *ease);

/* Both borrow the arrays of the features: textknn as long as it lives, ease_text while it is made. `weight` is w ≥ 0. */
CLLM_CHECK cllm_status cllm__textknn_create(cllm__baseline *out, const cllm__interactions *train,
                                            const cllm__tfidf *features, cllm__pool *pool, cllm_error *err);
CLLM_CHECK cllm_status cllm__ease_text_create(cllm__baseline *out, const cllm__interactions *train,
                                              const cllm__tfidf *features, double weight, double lambda, uint64_t limit,
                                              cllm__pool *pool, const cllm_host *host, cllm_error *err);

typedef struct cllm__als_options {
    size_t factors;        /* 1 to 4,096 */
    double regularization; /* λ > 0 */
    double alpha;          /* α ≥ 0 */
    size_t iterations;     /* each solves all users, then all items; at the end the users once more */
    uint64_t seed;
    const double *initial; /* [n_items × factors] items' first vectors; NULL: N(0, 0.01²) by the seed */
} cllm__als_options;
/* Exact steps in double precision, the same bits on any number of threads. With F the vectors of one side and L·Lᵀ = FᵀF +
 * λI, a row of n entries costs a system of the size min(n, factors) in the space of L⁻¹F. Memory: 8 bytes × factors ×
 * (users + items + the larger of both), and 8 bytes × factors² × (16 + 2 × threads); the scorer keeps 4 bytes × factors ×
 * (users + items). */
CLLM_CHECK cllm_status cllm__als_create(cllm__baseline *out, const cllm__interactions *train,
                                        const cllm__als_options *options, cllm__pool *pool, const cllm_host *host,
                                        cllm_error *err);
/* The same model's items, for histories of anybody (fold_in.h). `out` is {0} before and freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__als_fold_in(cllm__fold_in *out, const cllm__interactions *train, const cllm__als_options *options,
                                         cllm__pool *pool, const cllm_host *host, cllm_error *err);

typedef struct cllm__bpr_options {
    size_t factors;         /* 1 to 4,096 */
    double learning_rate;   /* > 0, at most 10 */
    double regularization;  /* λ from 0 to 10, of vectors and biases alike */
    size_t epochs;          /* each as many steps as there are rows */
    bool popular_negatives; /* j is drawn as often as it has training rows; else all items alike */
    uint64_t seed;
} cllm__bpr_options;
/* One stream of steps, so that the result is the same on any number of threads. A step draws a row (u, i), then j; a j that
 * the user has is no step. Vectors begin uniformly within ±1/(2·factors); users and items without training rows begin at
 * zero. Memory: 4 bytes × factors (rounded up to 16) × (users + 2 × items), 8 bytes a row, and 1 MB. CLLM_ERR_DATA if it
 * diverges. */
CLLM_CHECK cllm_status cllm__bpr_create(cllm__baseline *out, const cllm__interactions *train,
                                        const cllm__bpr_options *options, cllm__pool *pool, const cllm_host *host,
                                        cllm_error *err);
/* `count` ≥ 1 models side by side on the pool, out[i] by options[i], each to the same bits as alone; they share the stream,
 * so their epochs, seeds and negatives must be the same. On failure there is nothing to free. */
CLLM_CHECK cllm_status cllm__bpr_create_several(cllm__baseline *out, size_t count, const cllm__interactions *train,
                                                const cllm__bpr_options *options, cllm__pool *pool,
                                                const cllm_host *host, cllm_error *err);

/* ---- A tuned set of them ---- */

typedef struct cllm__baselines_options {
    /* NULL or "all": every one but random; those on texts if there are texts, recent where the latest rows of all
     * are held out, markov where those or each user's last are. "none", or a list of names. */
    const char *list;
    const char *const
        *settings; /* "als.factors=64": a model that is named is not tuned, its other parameters are defaults */
    size_t n_settings;
    const char *cache;  /* file that keeps the tuned parameters; NULL: none. Its folder is made if it is missing */
    uint64_t data_hash; /* cllm__dataset_hash(): a cache of other data is ignored */
    uint64_t seed;      /* of random, als and bpr; tuning always has the same, so that it is done once for each data set */
    uint64_t memory_limit;         /* of EASE; 0: cllm__ease_memory_limit() */
    const cllm__item_texts *texts; /* for textknn and ease_text; NULL: none */
    cllm__held_out held_out; /* how the rows that are measured lie: what makes sense then is shown, and tuning holds out rows that lie so, but for last ones, which markov alone is tuned on */
    const cllm__interactions *fitted; /* rows that the models are made of, if other ones than tuning splits; NULL: the same */
    cllm__pool *pool;
    const cllm_host *host;
} cllm__baselines_options;

typedef struct cllm__baselines {
    size_t count;
    cllm__baseline *models; /* [count], in the order of the list */
    cllm__tfidf features;   /* what the models on texts borrow */
} cllm__baselines;

/* Makes the baselines, with parameters chosen on an inner split of the training rows (inner_split.h): recall_capped@20 +
 * recall_capped@40 + ndcg@100 on the tenth that is held out decides. The grids:
 *     recent    half-life 10, 30, 60, 120, 240, 480 days
 *     markov    decay 0, .3, .5, .7, .9 × smoothing 1, 10, 100
 *     itemknn   neighbours 20, 100, 500 × shrinkage 0, 10, 100, 1000
 *     ease      λ = 200·2ⁿ for n from −6 to 8, walked from 200 in the direction that gets better
 *     ease_text λ as for ease with w = 10, then w = 10·√10ⁿ for n from −3 to 3, walked in the same way
 *     userknn   neighbours 50, 100, 300, 1000
 *     als       λ 16, 64, 256 × α 8, 32, 128 with 64 factors, then 64·2ⁿ factors for n from 0 to 2, walked up; 10 iterations
 *     bpr       learning rate .05, .1 × λ .01, .03, .1; 64 factors, 300 epochs, uniform negatives
 * Equal figures: the earlier in the grid wins. With fewer than 20 rows held out the figures would be noise, and defaults are taken: 500
 * neighbours, shrinkage 10; λ = 200, w = 10; als λ = 64, α = 32; bpr rate .05, λ = .03; half-life 60; markov decay .5, smoothing 10.
 *
 * EASE says how much memory it takes. If that is more than allowed it is an error where the list names it; under the
 * default list it is left out with a warning, ease before ease_text. A cache that cannot be read or written costs
 * a warning only. CLLM_ERR_USAGE for an unknown name or setting, and for a model on texts or times where there are none. */
CLLM_CHECK cllm_status cllm__baselines_create(cllm__baselines *out, const cllm__interactions *train,
                                              const cllm__baselines_options *options, cllm_error *err);
void cllm__baselines_free(cllm__baselines *baselines);

/* The items of als with parameters that are found as cllm__baselines_create() finds them; options->list is not read. `out` is {0}
 * before and freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__baselines_fold_in(cllm__fold_in *out, const cllm__interactions *train,
                                               const cllm__baselines_options *options, cllm_error *err);

/* markov's parameters, found in the same way. */
CLLM_CHECK cllm_status cllm__baselines_markov(double *decay, double *smoothing, const cllm__interactions *train,
                                              const cllm__baselines_options *options, cllm_error *err);

#endif
