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
