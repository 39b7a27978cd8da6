#include "eval/held_out.h"

#include <string.h>

/* The latest and the earliest of a row's times; false where one is missing. */
static bool span(const cllm__interactions *rows, size_t user, int64_t *first, int64_t *last) {
    *first = INT64_MAX;
    *last = INT64_MIN;
    for (uint64_t r = rows->start[user]; r < rows->start[user + 1]; r++) {
        if (rows->times[r] == INT64_MIN) return false;
        if (rows->times[r] < *first) *first = rows->times[r];
        if (rows->times[r] > *last) *last = rows->times[r];
    }
    return true;
}

cllm__held_out cllm__held_out_between(const cllm__interactions *before, const cllm__interactions *after) {
    if (before->count == 0 || after->count == 0 || before->times == NULL || after->times == NULL) return CLLM__HELD_ANY;
    int64_t all_last = INT64_MIN, all_first = INT64_MAX;
    bool behind = true;
    for (size_t u = 0; u < before->n_users; u++) {
        int64_t first, last, next, end;
        if (!span(before, u, &first, &last) || !span(after, u, &next, &end)) return CLLM__HELD_ANY;
        behind = behind && next >= last;
        if (last > all_last) all_last = last;
        if (next < all_first) all_first = next;
    }
    return all_first >= all_last ? CLLM__HELD_LATEST : behind ? CLLM__HELD_LAST : CLLM__HELD_ANY;
}

cllm__held_out cllm__held_out_of(const cllm__dataset *dataset) {
    cllm__held_out by_times = cllm__held_out_between(cllm__dataset_interactions(dataset, CLLM__TRAIN), cllm__dataset_interactions(dataset, CLLM__TEST));
    bool last = strcmp(cllm__dataset_split_rule(dataset), "loo") == 0;
    return by_times == CLLM__HELD_ANY && last ? CLLM__HELD_LAST : by_times;
}
