/*
 * What evaluation ranks: anything that gives every item a score for a user. The trained model and the baselines are scorers.
 */
#ifndef CLLM_EVAL_SCORER_H
#define CLLM_EVAL_SCORER_H

#include <stdint.h>

#include "base/status.h"

typedef struct cllm__scorer {
    const char *name; /* "cllm4rec", "popularity", "itemknn", "ease" */
    void *context;
    /* scores [count × n_items], row k for users[k]; higher is better; finite, or −inf for an item that is never recommended.
     * A score depends on the user alone, not on who is scored beside it. */
    cllm_status (*score)(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err);
    size_t batch; /* users that it likes to score at once */
} cllm__scorer;

#endif
