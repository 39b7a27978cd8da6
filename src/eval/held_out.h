/*
 * How the rows that are measured lie to those that a model learns from: parameters are chosen on rows that lie the same way, and some models
 * make sense for one kind only.
 */
#ifndef CLLM_EVAL_HELD_OUT_H
#define CLLM_EVAL_HELD_OUT_H

#include "data/dataset.h"

typedef enum cllm__held_out {
    CLLM__HELD_ANY,   /* anywhere in a user's history */
    CLLM__HELD_LAST,  /* behind the user's own history: what comes next */
    CLLM__HELD_LATEST /* behind everybody's history, too: the data set was split by time */
} cllm__held_out;

/* By the times, where all rows have them: none of `after` is older than one of `before`, than one of the same user, or neither. */
cllm__held_out cllm__held_out_between(const cllm__interactions *before, const cllm__interactions *after);
/* Of a data set's training and test rows; last rows (--split loo) are that without times, too. */
cllm__held_out cllm__held_out_of(const cllm__dataset *dataset);

#endif
