/*
 * The gradient of one step with respect to a set of tables. Storage is dense, work is not: only rows that a batch touched
 * are written, listed, and cleared again.
 */
#ifndef CLLM_MODEL_GRADIENT_H
#define CLLM_MODEL_GRADIENT_H

#include <stdint.h>

#include "base/real.h"
#include "base/status.h"

typedef struct cllm__gradient {
    size_t n_users, n_items, width;
    cllm__real *users; /* [n_users × width]; rows that are not touched are zero */
    cllm__real *items; /* [n_items × width]; the same unless items_dense */
    int32_t *touched_users; /* [n_touched_users] ascending */
    int32_t *touched_items; /* [n_touched_items] ascending; not kept when items_dense */
    size_t n_touched_users, n_touched_items;
    bool items_dense; /* the item head made every item row nonzero: all of `items` counts */
    /* private */
    uint8_t *user_marks, *item_marks;
    bool items_stale; /* what a dense step left behind is still there */
} cllm__gradient;

/* `gradient` is {0} before; freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__gradient_create(cllm__gradient *gradient, size_t n_users, size_t n_items, size_t width,
                                             cllm_error *err);
void cllm__gradient_free(cllm__gradient *gradient);

/* For the engine: empties the gradient in O(touched rows); `dense` announces an item head, which will overwrite all item rows
 * first (their old contents stay until then). */
void cllm__gradient_reset(cllm__gradient *gradient, bool dense);
/* The row to add to; touches it. */
cllm__real *cllm__gradient_user(cllm__gradient *gradient, int32_t user);
cllm__real *cllm__gradient_item(cllm__gradient *gradient, int32_t item);
/* Sorts the lists. */
void cllm__gradient_finish(cllm__gradient *gradient);

#endif
