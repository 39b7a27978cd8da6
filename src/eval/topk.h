/*
 * The k best items of a row of scores, exactly as a full sort would list them.
 *
 * Equal scores are ordered by a seeded random key per item, never by the item's index: in some data sets the index tells
 * what was held out.
 */
#ifndef CLLM_EVAL_TOPK_H
#define CLLM_EVAL_TOPK_H

#include <stdint.h>

#include "base/status.h"

/* A random order of the items, for ties: the item with the lower key comes first. Immutable, shared by threads. */
typedef struct cllm__ties {
    size_t n_items;
    uint32_t *key; /* [n_items] a permutation of 0 … n_items − 1 */
    int32_t *item; /* [n_items] its inverse */
} cllm__ties;
CLLM_CHECK cllm_status cllm__ties_create(cllm__ties *ties, size_t n_items, uint64_t seed, cllm_error *err);
void cllm__ties_free(cllm__ties *ties);

/* The best min(k, finite scores) of scores[n_items], best first: items[] and, if `values` is not NULL, their scores, both
 * with room for k. An item with −inf is never listed. *count receives how many there are. `scratch` has room for k numbers.
 * Allocates nothing; O(n log k) at worst, near O(n) in practice.
 * CLLM_ERR_FAILED for a score that is NaN or +inf: the message names the item. */
CLLM_CHECK cllm_status cllm__topk(const cllm__ties *ties, const float *scores, size_t k, uint64_t *scratch, int32_t *items,
                                  float *values, size_t *count, cllm_error *err);

/* The same over a list: scores[c] belongs to the item candidates[c], c < n; candidates are distinct. */
CLLM_CHECK cllm_status cllm__topk_among(const cllm__ties *ties, const int32_t *candidates, const float *scores, size_t n,
                                        size_t k, uint64_t *scratch, int32_t *items, float *values, size_t *count,
                                        cllm_error *err);

#endif
