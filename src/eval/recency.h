/*
 * What is asked for of late: the logarithm of an item's training rows, each counted the less the older it is,
 *
 *     r_i = ln(1 + Σ_rows of i 2^(−(T − t)/half_life)),
 *
 * T the time of the latest row. A row without a time counts as the oldest.
 */
#ifndef CLLM_EVAL_RECENCY_H
#define CLLM_EVAL_RECENCY_H

#include "data/dataset.h"

/* recency [n_items]; all rows count 1 where none has a time. `half_life` > 0 is in days; infinity: all rows
 * count 1. */
void cllm__recency(float *recency, const cllm__interactions *train, double half_life);

#endif
