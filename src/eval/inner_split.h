/* A split of the training rows, for choosing parameters without a look at validation or test rows. */
#ifndef CLLM_EVAL_INNER_SPLIT_H
#define CLLM_EVAL_INNER_SPLIT_H

#include "eval/held_out.h"

/* Owns its arrays. */
typedef struct cllm__inner_split {
    cllm__interactions train, held; /* no ratings; times as the rows have them */
    uint64_t *start[2];
    int32_t *items[2];
    int64_t *times[2];
} cllm__inner_split;

/* Holds out about a tenth of the rows, the same ones at each call, as the rows to be measured are held out (held_out.h):
 *
 *     any      a tenth of each user's rows, rounded up or down at random so that it is a tenth in the mean, never a user's only one
 *     last     the last row of each user who has two or more
 *     latest   what happened from one moment on: the earliest that leaves at most ⌊n/10⌋ of the n rows, or the last moment of all where
 *              even that holds more
 *
 * Latest is any where a row has no time, or all rows have the same. `split` is {0} before and freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__inner_split_create(cllm__inner_split *split, const cllm__interactions *rows, cllm__held_out held_out, cllm_error *err);
void cllm__inner_split_free(cllm__inner_split *split);

#endif
