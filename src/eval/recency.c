#include "eval/recency.h"

#include <math.h>

void cllm__recency(float *recency, const cllm__interactions *train, double half_life) {
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (size_t i = 0; i < train->n_items; i++) recency[i] = 0;
    for (size_t r = 0; train->times != NULL && r < train->count; r++) {
        int64_t time = train->times[r];
        if (time > last) last = time;
        if (time != INT64_MIN && time < first) first = time;
    }
    for (size_t r = 0; r < train->count; r++) {
        double weight = 1;
        if (last > INT64_MIN) {
            int64_t time = train->times[r] == INT64_MIN ? first : train->times[r];
            weight = exp2(-((double)last - (double)time) / 86400 / half_life);
        }
        recency[train->items[r]] += (float)weight;
    }
    for (size_t i = 0; i < train->n_items; i++) recency[i] = log1pf(recency[i]);
}

bool cllm__recency_applies(const cllm__interactions *before, const cllm__interactions *after) {
    if (before->count == 0 || after->count == 0 || before->times == NULL || after->times == NULL) return false;
    int64_t last = INT64_MIN, first = INT64_MAX;
    for (size_t r = 0; r < before->count; r++) {
        if (before->times[r] == INT64_MIN) return false;
        if (before->times[r] > last) last = before->times[r];
    }
    for (size_t r = 0; r < after->count; r++) {
        if (after->times[r] < first) first = after->times[r];
    }
    return first >= last;
}

bool cllm__split_by_time(const cllm__dataset *dataset) {
    return cllm__recency_applies(cllm__dataset_interactions(dataset, CLLM__TRAIN), cllm__dataset_interactions(dataset, CLLM__TEST));
}
