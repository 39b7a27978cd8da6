#include "eval/columns.h"

#include "base/alloc.h"

cllm_status cllm__columns_create(cllm__columns *columns, const cllm__interactions *rows, cllm_error *err) {
    cllm__columns made = {cllm__zalloc(rows->n_items + 2, sizeof *made.start),
                          cllm__alloc(rows->count, sizeof *made.users)};
    if (made.start == NULL || made.users == NULL) {
        cllm__columns_free(&made);
        return cllm__fail_nomem(err);
    }
    /* Counts go two places up, so that after the sums start[i + 1] is where item i is to be filled in, and in the end where
     * it ends. */
    for (size_t r = 0; r < rows->count; r++) made.start[rows->items[r] + 2]++;
    for (size_t i = 2; i < rows->n_items + 2; i++) made.start[i] += made.start[i - 1];
    for (size_t u = 0; u < rows->n_users; u++) {
        const int32_t *items = cllm__row(rows, u);
        for (size_t r = 0, n = cllm__row_count(rows, u); r < n; r++) made.users[made.start[items[r] + 1]++] = (int32_t)u;
    }
    *columns = made;
    return CLLM_OK;
}

void cllm__columns_free(cllm__columns *columns) {
    cllm__free(columns->start);
    cllm__free(columns->users);
    *columns = (cllm__columns){0};
}
