#include "data/kcore.h"

#include "base/alloc.h"

typedef struct core {
    cllm__prow *rows;
    const uint64_t *start;
    size_t n_users, n_items;
    uint64_t k;
    uint64_t *of_user, *of_item; /* kept rows of each */
} core;

static void drop_row(core *c, cllm__prow *row) {
    cllm__prow_set_fate(row, CLLM__OUTSIDE_CORE);
    c->of_user[row->user]--;
    c->of_item[row->item]--;
}

/* One pass over all rows; true if any was dropped. */
static bool sweep(core *c) {
    bool changed = false;
    for (size_t i = 0; i < c->start[c->n_users]; i++) {
        cllm__prow *row = &c->rows[i];
        if (cllm__prow_fate(row) != CLLM__KEPT) continue;
        if (c->of_user[row->user] >= c->k && c->of_item[row->item] >= c->k) continue;
        drop_row(c, row);
        changed = true;
    }
    return changed;
}

/* Long chains would take a pass for each link: follow them by a list of rows for each item and a stack of poor users and
 * items instead, in time proportional to the rows. */
static cllm_status follow(core *c, cllm_error *err) {
    cllm_status status;
    uint64_t *item_start = NULL, *item_rows = NULL, *stack = NULL;
    size_t depth = 0, rows = c->start[c->n_users];
    CLLM_TRY_CLEAN(CLLM_NEW(item_start, c->n_items + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(stack, c->n_users + c->n_items, err)); /* users, then n_users + item; each enters once */
    for (size_t v = 0; v < c->n_items; v++) item_start[v + 1] = item_start[v] + c->of_item[v];
    CLLM_TRY_CLEAN(CLLM_NEW(item_rows, item_start[c->n_items], err));
    for (size_t i = 0; i < rows; i++) {
        if (cllm__prow_fate(&c->rows[i]) == CLLM__KEPT) item_rows[item_start[c->rows[i].item]++] = i;
    }
    for (size_t v = c->n_items; v > 0; v--) item_start[v] = item_start[v - 1];
    item_start[0] = 0;
    for (size_t u = 0; u < c->n_users; u++) {
        if (c->of_user[u] > 0 && c->of_user[u] < c->k) stack[depth++] = u;
    }
    for (size_t v = 0; v < c->n_items; v++) {
        if (c->of_item[v] > 0 && c->of_item[v] < c->k) stack[depth++] = c->n_users + v;
    }
    while (depth > 0) {
        size_t who = stack[--depth];
        bool is_user = who < c->n_users;
        uint64_t from = is_user ? c->start[who] : item_start[who - c->n_users];
        uint64_t to = is_user ? c->start[who + 1] : item_start[who - c->n_users + 1];
        for (uint64_t i = from; i < to; i++) {
            cllm__prow *row = &c->rows[is_user ? i : item_rows[i]];
            if (cllm__prow_fate(row) != CLLM__KEPT) continue;
            drop_row(c, row);
            /* Only the step from k to k − 1 makes the other side poor. */
            if (is_user && c->of_item[row->item] == c->k - 1) stack[depth++] = c->n_users + row->item;
            if (!is_user && c->of_user[row->user] == c->k - 1) stack[depth++] = row->user;
        }
    }
    status = CLLM_OK;
cleanup:
    cllm__free(stack);
    cllm__free(item_rows);
    cllm__free(item_start);
    return status;
}

cllm_status cllm__kcore(cllm__prow *rows, const uint64_t *start, size_t n_users, size_t n_items, int k,
                        const cllm_host *host, cllm_error *err) {
    enum { SWEEPS = 40 };
    if (k < 2) return CLLM_OK;
    core c = {.rows = rows, .start = start, .n_users = n_users, .n_items = n_items, .k = (uint64_t)k};
    cllm_status status;
    bool changed = true;
    CLLM_TRY_CLEAN(CLLM_NEW(c.of_user, n_users, err));
    CLLM_TRY_CLEAN(CLLM_NEW(c.of_item, n_items, err));
    for (size_t i = 0; i < start[n_users]; i++) {
        if (cllm__prow_fate(&rows[i]) != CLLM__KEPT) continue;
        c.of_user[rows[i].user]++;
        c.of_item[rows[i].item]++;
    }
    for (int pass = 0; pass < SWEEPS && changed; pass++) {
        CLLM_TRY_CLEAN(cllm__check_cancelled(host, err));
        changed = sweep(&c);
    }
    status = changed ? follow(&c, err) : CLLM_OK;
cleanup:
    cllm__free(c.of_item);
    cllm__free(c.of_user);
    return status;
}
