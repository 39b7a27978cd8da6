/*
 * Composed item tokens: what an item's token is made of, instead of being a free row of its own,
 *
 *     z_j = w·f_j + Σ_k T_jk·v_k
 *
 * a small free part f_j (weight w) and a sum over the features k of the item, its words for one, with fixed weights T_jk (tf-idf)
 * and trainable vectors v_k that all items share. What is learnt about a brand is learnt for every item of the brand, and an item
 * that nobody has had yet gets its token with no training at all. Of the first `whole` columns, which are no parts of a product (bag.h),
 * the free part counts in full.
 */
#ifndef CLLM_MODEL_COMPOSER_H
#define CLLM_MODEL_COMPOSER_H

#include "base/real.h"
#include "base/status.h"
#include "base/threads.h"
#include "model/features.h"

typedef struct cllm__composer {
    cllm__features by_item; /* borrowed */
    size_t width;
    double id_weight;
    size_t whole; /* columns; 0 after _create */
    cllm__real *free_parts; /* f [n_items × width] */
    cllm__real *vectors;    /* v [n_features × width] */
    cllm__real *gradient;   /* of the vectors, as _backward left it */
    cllm__feature_index by_feature; /* private */
} cllm__composer;

/* `composer` is {0} before and freed by the caller in every case. All parts are zero. `features` is borrowed. id_weight ≥ 0; 0: the
 * text alone. */
CLLM_CHECK cllm_status cllm__composer_create(cllm__composer *composer, const cllm__features *features, size_t width, double id_weight,
                                             cllm_error *err);
void cllm__composer_free(cllm__composer *composer);
/* Free parts and vectors ~ N(0, deviation²); a row depends on (seed, row) alone. */
void cllm__composer_init_normal(cllm__composer *composer, double deviation, uint64_t seed);

/* items [n_items × width] = z. */
void cllm__composer_compose(const cllm__composer *composer, cllm__real *items, cllm__pool *pool);
/* Given the gradient by z in `ditems` [n_items × width]: the gradient by the vectors goes to composer->gradient, dv_k = Σ_j T_jk·dz_j,
 * and `ditems` becomes that by the free parts, w·dz. */
void cllm__composer_backward(cllm__composer *composer, cllm__real *ditems, cllm__pool *pool);

/* The token of an item that is not in the table, from its features (as a row of T): `token` [width]. Its free part is taken as zero. */
void cllm__composer_token(const cllm__composer *composer, const int32_t *features, const float *weights, size_t count, cllm__real *token);

#endif
