/*
 * Users and items as vectors: a user's score of an item is their inner product, plus the item's bias where there is one.
 * What matrix factorisations end in.
 */
#ifndef CLLM_EVAL_FACTORS_H
#define CLLM_EVAL_FACTORS_H

#include "eval/baseline.h"

/* Makes the scorer `name` (borrowed for ever). Takes `users` [n_users × factors], which cllm__free() must be able to free,
 * also on failure; copies `items` [n_items × factors] and `bias` [n_items] (NULL: none). parameters stays empty. */
CLLM_CHECK cllm_status cllm__factors_create(cllm__baseline *out, const char *name, float *users, const float *items,
                                            const float *bias, size_t n_items, size_t factors, cllm__pool *pool,
                                            cllm_error *err);

#endif
