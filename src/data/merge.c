#include "data/merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

typedef struct row {
    int64_t time;
    size_t order;
    int32_t item;
} row;

static int by_item(const void *a, const void *b) {
    const row *x = a, *y = b;
    if (x->item != y->item) return (x->item > y->item) - (x->item < y->item);
    return (x->order > y->order) - (x->order < y->order);
}

static int by_time(const void *a, const void *b) {
    const row *x = a, *y = b;
    if (x->time != y->time) return (x->time > y->time) - (x->time < y->time);
    return (x->order > y->order) - (x->order < y->order);
}

cllm_status cllm__merge_splits(cllm__merged *merged, const cllm__dataset *dataset, unsigned splits, cllm_error *err) {
    const cllm__interactions *parts[CLLM__SPLITS];
    size_t n_parts = 0, count = 0, longest = 0, n_users = cllm__dataset_users(dataset);
    bool timed = true;
    for (int split = 0; split < CLLM__SPLITS; split++) {
        if ((splits & (1u << split)) == 0) continue;
        parts[n_parts] = cllm__dataset_interactions(dataset, (cllm__split)split);
        count += parts[n_parts]->count;
        if (parts[n_parts]->count > 0 && parts[n_parts]->times == NULL) timed = false;
        n_parts++;
    }
    for (size_t user = 0; user < n_users; user++) {
        size_t n = 0;
        for (size_t p = 0; p < n_parts; p++) n += cllm__row_count(parts[p], user);
        if (n > longest) longest = n;
    }
    CLLM_TRY(CLLM_NEW(merged->start, n_users + 1, err));
    CLLM_TRY(CLLM_NEW(merged->items, count + 1, err));
    if (timed) CLLM_TRY(CLLM_NEW(merged->times, count + 1, err));
    row *rows;
    CLLM_TRY(CLLM_NEW(rows, longest + 1, err));
    size_t used = 0;
    for (size_t user = 0; user < n_users; user++) {
        size_t n = 0, kept = 0;
        for (size_t p = 0; p < n_parts; p++) {
            for (size_t i = 0; i < cllm__row_count(parts[p], user); i++, n++) {
                size_t at = (size_t)parts[p]->start[user] + i;
                rows[n] = (row){timed ? parts[p]->times[at] : 0, n, parts[p]->items[at]};
            }
        }
        qsort(rows, n, sizeof *rows, by_item);
        for (size_t i = 0; i < n; i++) {
            if (i == 0 || rows[i].item != rows[i - 1].item) rows[kept++] = rows[i];
        }
        qsort(rows, kept, sizeof *rows, by_time);
        for (size_t i = 0; i < kept; i++, used++) {
            merged->items[used] = rows[i].item;
            if (timed) merged->times[used] = rows[i].time;
        }
        merged->start[user + 1] = used;
    }
    cllm__free(rows);
    merged->matrix = (cllm__interactions){.n_users = n_users, .n_items = cllm__dataset_items(dataset), .count = used,
                                          .start = merged->start, .items = merged->items, .times = merged->times};
    return CLLM_OK;
}

void cllm__merged_free(cllm__merged *merged) {
    cllm__free(merged->start);
    cllm__free(merged->items);
    cllm__free(merged->times);
    *merged = (cllm__merged){0};
}
