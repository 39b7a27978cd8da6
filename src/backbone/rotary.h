/*
 * Rotary positions (Su et al. 2021): the values j and j + w/2 of the first w values of a query's or key's head are turned as
 * a point in the plane by position × frequency[j]. Scores then depend on the distance of positions. The inverse turn is the
 * backward pass.
 */
#ifndef CLLM_BACKBONE_ROTARY_H
#define CLLM_BACKBONE_ROTARY_H

#include "backbone/family.h"

/* Cosines and sines by position, [positions × rotary_width]: a position's cosines, then its sines. */
typedef struct cllm__rotary {
    cllm__real *table;
    size_t capacity, positions;
} cllm__rotary;

/* Makes the table long enough for the longest sequence; does nothing for models without rotary positions. */
CLLM_CHECK cllm_status cllm__rotary_prepare(cllm__rotary *rotary, const cllm__architecture *architecture, const size_t *start,
                                            size_t sequences, cllm_error *err);
void cllm__rotary_free(cllm__rotary *rotary);
/* Turns the queries and keys of all rows in qkv [T × (heads + 2·kv_heads)·head_width], back if `inverse`. */
void cllm__rotary_apply(const cllm__rotary *rotary, cllm__pool *pool, cllm__real *qkv, const cllm__architecture *architecture,
                        const size_t *start, size_t sequences, bool inverse);

#endif
